"""What a model's head says, and the text of the functions that it mirrors.

A model is a .pml file whose first comment has these lines, each also with continuation lines that are indented deeper:

    mirrors: PATH  FUNCTION...         the C functions whose steps the model takes
    holds:   FLAG...                   a verification that must end without an error
    fails:   FLAG... -- WHY            a mutant: spin must find an error
"""
import hashlib
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
CONFIRMED = os.path.join(HERE, "confirmed")
KEYS = ("mirrors", "holds", "fails")


class Model:
    def __init__(self, path):
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.mirrors, self.holds, self.fails = [], [], []
        with open(path, encoding="utf-8") as file:
            head = file.read().split("*/")[0]
        for key, text in entries(head):
            if key == "mirrors":
                where, *functions = text.split()
                self.mirrors += [(where, function) for function in functions]
            elif key == "holds":
                self.holds.append(text.split())
            else:
                flags, _, why = text.partition(" -- ")
                self.fails.append((flags.split(), why.strip()))
        if not self.mirrors or not self.holds or not self.fails:
            raise ValueError(f"{path}: the head must say what it mirrors, what holds and what fails")
        if any(not why for _, why in self.fails):
            raise ValueError(f"{path}: a mutant without its reason (fails: FLAG -- WHY)")


def entries(head):
    """(key, text) of the head; a line that is indented deeper than its key belongs to it."""
    found = []
    open_at = None
    for line in head.split("\n"):
        body = re.match(r"^ \*(\s*)(.*)$", line)
        if not body:
            continue
        indent, text = len(body.group(1)), body.group(2)
        key = re.match(r"^(\w+):\s*(.*)$", text)
        if key and key.group(1) in KEYS:
            found.append([key.group(1), key.group(2)])
            open_at = indent
        elif open_at is not None and text and indent > open_at:
            found[-1][1] += " " + text
        else:
            open_at = None
    return found


def models():
    return [Model(os.path.join(HERE, name)) for name in sorted(os.listdir(HERE)) if name.endswith(".pml")]


def without_comments(text):
    """C source without comments; strings and character constants stay."""
    def keep(match):
        return match.group(0) if match.group(0)[0] in "\"'" else " "

    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', keep, text, flags=re.S)


def function_text(text, name):
    """The definition of `name` in C source, from the line of its name to its closing brace in the first column; None: not there."""
    text = without_comments(text)
    for match in re.finditer(rf"^(?:[A-Za-z_][^;{{}}#\n]*[\s*])?{re.escape(name)}\s*\([^;{{}}]*\)\s*\{{", text, flags=re.M):
        end = re.compile(r"^\}", flags=re.M).search(text, match.end())
        if end:
            return text[match.start():end.end()]
    return None


def fingerprint(text):
    """Comments are gone already; white space does not count, nor do the points where tests delay a thread."""
    text = re.sub(r"\blea_delay_point\(\w+\);", "", text)
    return hashlib.sha256(re.sub(r"\s+", "", text).encode()).hexdigest()[:16]


def fingerprint_of(where, function, tree=TREE):
    """None: no such function there."""
    try:
        with open(os.path.join(tree, where), encoding="utf-8") as file:
            text = function_text(file.read(), function)
    except FileNotFoundError:
        return None
    return fingerprint(text) if text else None


def confirmed_read(path=CONFIRMED):
    """(model, file, function) -> fingerprint."""
    table = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                model, where, function, value = line.split()
                table[model, where, function] = value
    return table


def confirmed_faults(all_models, table, tree=TREE):
    """What has changed since somebody last looked, in words."""
    faults = []
    wanted = {(model.name, where, function) for model in all_models for where, function in model.mirrors}
    for model, where, function in sorted(wanted):
        now, then = fingerprint_of(where, function, tree), table.get((model, where, function))
        if now is None:
            faults.append(f"{where}: {function}() is not there any more, and tests/spin/{model}.pml mirrors it")
        elif then is None:
            faults.append(f"{where}: {function}() was never confirmed for tests/spin/{model}.pml")
        elif now != then:
            faults.append(f"{where}: {function}() has changed since tests/spin/{model}.pml was last confirmed")
    for model, where, function in sorted(set(table) - wanted):
        faults.append(f"tests/spin/confirmed names {where} {function} for {model}, which the model's head does not")
    return faults
