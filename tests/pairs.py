#!/usr/bin/env python3
"""Ordering pairs: each is declared once, named on both of its sides, and has a race test.

pairs.py TREE         labels in runtime/, and the table in docs/verification.md
pairs.py --self-test  plants a fault of every kind in a small tree, and wants each found

A pair is declared in the comment at the head of a file: "Ordering pair LABEL", or a line " *  LABEL  text" below "Ordering pairs". It is named in a
comment beside a call, or in the line above one; both sides of a pair are in different functions. A label has capitals and a hyphen, or is a declared
word. The table has a line for each pair, with the tests that race for it as `area_file/test`.
"""
import os
import re
import sys
import tempfile

LABEL = r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*"
HYPHENED = re.compile(r"(?<![\w-])[A-Z]{2,}(?:-[A-Z]{2,})+(?![\w-])")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
FUNCTION = re.compile(r"^(?!#|static const|struct|enum|typedef)[A-Za-z_][\w \t\*(),\"]*?(\w+)\([^;]*$")


def source_files(tree):
    for directory, _, names in os.walk(os.path.join(tree, "runtime")):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8") as file:
                    yield os.path.relpath(path, os.path.join(tree, "runtime")), file.read()


def declared(text):
    """Labels that the head of a file declares."""
    head = COMMENT.match(text)
    if not head:
        return []
    labels = re.findall(r"Ordering pair (" + LABEL + r")\b", head.group(0))
    listed = False
    for line in head.group(0).split("\n"):
        if "Ordering pairs" in line:
            listed = True
        elif not line.strip(" *"):
            listed = False
        elif listed:
            match = re.match(r" \*  (" + LABEL + r")  +\S", line)
            if match:
                labels.append(match.group(1))
    return labels


def functions(text):
    """For each line, the function that it is in, or None."""
    where, depth, name, last = [], 0, None, None
    for line in re.sub(COMMENT, lambda m: "\n" * m.group(0).count("\n"), text).split("\n"):
        if depth == 0:
            match = FUNCTION.match(line)
            last = match.group(1) if match else last
        where.append(name if depth else last)
        opened = depth == 0 and "{" in line
        depth += line.count("{") - line.count("}")
        if opened:
            name = last
        if depth == 0 and "}" in line:
            name = last = None
    return where


def uses(text, words):
    """(label, function, line) of each label in a comment beside a call, behind the head of the file."""
    lines, where = text.split("\n"), functions(text)
    head = COMMENT.match(text)
    bare = re.sub(COMMENT, lambda m: "\n" * m.group(0).count("\n"), text).split("\n")
    for match in COMMENT.finditer(text, head.end() if head else 0):
        first, last = text.count("\n", 0, match.start()), text.count("\n", 0, match.end())
        # beside the code of its own line, or above the next one
        at = first if bare[first].strip() else last + 1
        if at >= len(lines) or "(" not in bare[at]:
            continue
        found = set(HYPHENED.findall(match.group(0))) | {w for w in re.findall(r"(?<![\w-])[A-Z]+(?![\w-])", match.group(0)) if w in words}
        for label in found:
            yield label, where[at], at + 1


def check_labels(tree):
    """Faults, and the labels of all pairs."""
    faults, home, seen = [], {}, {}
    files = list(source_files(tree))
    for name, text in files:
        for label in declared(text):
            if label in home:
                faults.append(f"{name}: pair {label} is declared in {home[label]} already")
            home[label] = name
    for name, text in files:
        for label, function, line in uses(text, home):
            if label not in home:
                faults.append(f"{name}:{line}: pair {label} is declared nowhere")
            seen.setdefault(label, set()).add((name, function))
    for label, name in sorted(home.items()):
        sides = seen.get(label, set())
        if len(sides) < 2:
            faults.append(f"{name}: pair {label} is named in {len(sides)} function{'' if len(sides) == 1 else 's'}, not on both sides")
    return faults, home


def known_tests(tree):
    """area_file/test of all tests in C."""
    known = set()
    top = os.path.join(tree, "tests")
    for area in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        cmake = os.path.join(top, area, "CMakeLists.txt")
        if not os.path.exists(cmake):
            continue
        with open(cmake, encoding="utf-8") as file:
            for name, sources in re.findall(r"leat_test\((\w+) SOURCES ([^)]*)", file.read()):
                for source in re.findall(r"[\w./]+\.c\b", sources):
                    with open(os.path.join(top, area, source), encoding="utf-8") as text:
                        known.update(f"{name}/{test}" for test in re.findall(r"^Test\(\w+, (\w+)", text.read(), re.M))
    return known


def check_table(tree, home):
    faults, rows, tests = [], {}, known_tests(tree)
    path = os.path.join("docs", "verification.md")
    with open(os.path.join(tree, path), encoding="utf-8") as file:
        text = file.read()
    table = re.search(r"^\| pair \|.*?(?=^[^|]|\Z)", text, re.M | re.S)
    for row in table.group(0).split("\n")[2:] if table else []:
        cells = [cell.strip() for cell in row.strip("| ").split("|")]
        if len(cells) < 2:
            continue
        label = cells[0]
        if label in rows:
            faults.append(f"{path}: pair {label} has two lines")
        rows[label] = cells
        if label not in home:
            faults.append(f"{path}: there is no pair {label}")
        named = re.findall(r"`(\w+/\w+)`", cells[1])
        if not named:
            faults.append(f"{path}: no test is named for {label}")
        for test in named:
            if test not in tests:
                faults.append(f"{path}: {label} names the test {test}, which there is not")
    for label in sorted(home):
        if label not in rows:
            faults.append(f"{path}: pair {label} has no line in the table")
    return faults


CLEAN = {
    "runtime/a/a.h": """/*
 * a.h
 *
 * Ordering pairs.
 *  PUT-GET  release in put  ->  acquire in get: what
 *           is behind it.
 *
 * Ordering pair ROOT: one and the other. PUT-GET is above.
 */
static inline void put(int *a)
{
    store(a); /* PUT-GET */
    /* ROOT */
    fence();
}
""",
    "runtime/a/a.c": """/*
 * See a.h: pair PUT-GET.
 */
static int get(int *a)
{
    fence(); /* ROOT: as put() */
    return load(a); /* relaxed: no. PUT-GET */
}
""",
    "tests/a/CMakeLists.txt": "leat_test(a_race SOURCES race.c)\n",
    "tests/a/race.c": "Test(race, put_get, .timeout = 1)\n{\n}\n",
    "docs/verification.md": "| pair | test |\n|---|---|\n| PUT-GET | `a_race/put_get` |\n| ROOT | `a_race/put_get` as well |\n\nEnd\n",
}
PLANTED = [
    ("runtime/a/a.c", "relaxed: no. PUT-GET", "relaxed", "pair PUT-GET is named in 1 function"),
    ("runtime/a/a.c", "PUT-GET */\n}", "PUT-GOT */\n}", "pair PUT-GOT is declared nowhere"),
    ("runtime/a/a.c", "ROOT: as", "as", "pair ROOT is named in 1 function"),
    ("runtime/a/a.c", "See a.h: pair PUT-GET", "Ordering pair PUT-GET: twice", "declared in runtime"),
    ("docs/verification.md", "| ROOT |", "| RUT |", "pair ROOT has no line"),
    ("docs/verification.md", "| ROOT |", "| RUT |", "there is no pair RUT"),
    ("docs/verification.md", "`a_race/put_get` as well", "`a_race/get_put`", "a_race/get_put, which there is not"),
    ("docs/verification.md", "`a_race/put_get` as well", "none", "no test is named for ROOT"),
    ("docs/verification.md", "| ROOT |", "| PUT-GET |", "pair PUT-GET has two lines"),
]


def check(tree):
    faults, home = check_labels(tree)
    if not home:
        faults.append("no pair was found")
    return faults + check_table(tree, home)


def self_test():
    wrong = []
    for path, before, after, expected in [("", "", "", "")] + PLANTED:
        with tempfile.TemporaryDirectory() as tree:
            for name, text in CLEAN.items():
                os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
                if name == path and before not in text:
                    wrong.append(f"{name} has no {before!r}")
                with open(os.path.join(tree, name), "w", encoding="utf-8") as file:
                    file.write(text.replace(before, after, 1) if name == path else text)
            faults = check(tree)
        if not expected and faults:
            wrong.append(f"found in a clean tree: {faults}")
        elif expected and not any(expected.replace("declared in runtime", "is declared in a/a") in fault for fault in faults):
            wrong.append(f"not found: {expected}: {faults}")
    return wrong


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    faults = self_test() if sys.argv[1] == "--self-test" else check(sys.argv[1])
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
