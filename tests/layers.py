#!/usr/bin/env python3
"""The house rules that a machine can check. The rules themselves are in layers.table, beside this file.

layers.py TREE                    includes go down only; headers and words in their one place; file length; top directory
layers.py TREE --archive LIBRARY  what the objects ask of libc, writable statics and thread-locals (by nm)
layers.py --self-test             plants a violation of every kind in a copy of a small tree, and wants each found
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

MAX_LINES = 600
HERE = os.path.dirname(os.path.abspath(__file__))


class Table:
    """The rules of layers.table."""

    def __init__(self, path):
        self.rooms = {}
        self.only, self.words, self.libc = [], [], []
        self.static, self.tls, self.top = {}, {}, set()
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                line = line.split("#", 1)[0].rstrip()
                if line:
                    self.read(line, f"{path}:{number}")

    def read(self, line, where):
        kind, rest = line.split(None, 1)
        parts = [part.strip() for part in re.split(r"(?:(?<=\s)|^):(?=\s|$)", rest)]
        if kind == "room":
            name, level = parts[0].split()
            rooms, public = parts[1].split(), parts[2].split()
            for other in rooms:
                if other not in self.rooms or self.rooms[other][0] > int(level):
                    sys.exit(f"{where}: {name} may not name {other}, which is not below it")
            self.rooms[name] = (int(level), set(rooms), set(public))
        elif kind == "only":
            self.only.append((parts[0], parts[1].split()))
        elif kind == "word":
            self.words.append((re.compile(r"(?<!\w)(?:" + parts[0] + r")(?!\w)"), parts[1].split()))
        elif kind == "libc":
            self.libc += [re.compile(name) for name in rest.split()]
        elif kind == "static":
            self.static[parts[0]] = parts[1].split()
        elif kind == "tls":
            self.tls[parts[0]] = parts[1].split()
        elif kind == "top":
            self.top |= set(rest.split())
        else:
            sys.exit(f"{where}: {kind}?")


def without_comments(text):
    """The text with comments and the insides of strings blanked; lines stay where they are."""
    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return "\n" * token.count("\n") or " "
        return token[0] + token[0]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def includes(text):
    """(line, "quote" or "angle", name) of each include."""
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', text, flags=re.M):
        line = text.count("\n", 0, match.start()) + 1
        yield (line, "quote", match.group(1)) if match.group(1) else (line, "angle", match.group(2))


def source_files(tree, top):
    for directory, _, names in os.walk(os.path.join(tree, top)):
        for name in sorted(names):
            if name.endswith((".c", ".h", ".S", ".inc")):
                path = os.path.join(directory, name)
                yield path, os.path.relpath(path, os.path.join(tree, top))


def in_place(name, places):
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def check_runtime_include(table, room, name, style, target):
    """Why this include is wrong, or None."""
    if style == "quote":
        other = target.split("/")[0] if "/" in target else None
        if other not in table.rooms:
            return f'"{target}" is not written "room/file.h"'
        if other != room and other not in table.rooms[room][1]:
            return f"{room} may not include {other}"
        return None
    if target.startswith("leat/"):
        public = table.rooms[room][2]
        header = target[len("leat/"):].removesuffix(".h")
        return None if "*" in public or header in public else f"{room} may not include <{target}>"
    for pattern, places in table.only:
        if fnmatch.fnmatch(target, pattern) and not in_place(name, places):
            return f"<{target}> belongs to {', '.join(places) or 'nobody'}"
    return None


def check_sources(table, tree):
    faults = []
    for path, name in source_files(tree, "runtime"):
        with open(path, encoding="utf-8") as file:
            raw = file.read()
        where = f"runtime/{name}"
        room = name.split("/")[0]
        lines = raw.count("\n")
        if room not in table.rooms or "/" not in name:
            faults.append(f"{where}: no such room in layers.table")
            continue
        if lines > MAX_LINES:
            faults.append(f"{where}: {lines} lines, at most {MAX_LINES}")
        text = without_comments(raw)
        # names of included files are strings, and were blanked: take them from the raw text, unless they were in a comment
        live = {line for line, line_text in enumerate(text.split("\n"), 1) if re.match(r"\s*#\s*include", line_text)}
        for line, style, target in includes(raw):
            why = check_runtime_include(table, room, name, style, target) if line in live else None
            if why:
                faults.append(f"{where}:{line}: {why}")
        for pattern, places in table.words:
            for match in pattern.finditer(raw if "TODO" in pattern.pattern else text):
                if not in_place(name, places):
                    line = raw.count("\n", 0, match.start()) if "TODO" in pattern.pattern else text.count("\n", 0, match.start())
                    faults.append(f"{where}:{line + 1}: {match.group(0)} belongs to {', '.join(places) or 'nobody'}")
    for top in ("include", "examples"):
        for path, name in source_files(tree, top):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for line, style, target in includes(text):
                if style == "quote" and target.split("/")[0] in table.rooms:
                    faults.append(f"{top}/{name}:{line}: \"{target}\" is the runtime's own")
                for pattern, _ in table.only:
                    if top == "include" and fnmatch.fnmatch(target, pattern):
                        faults.append(f"{top}/{name}:{line}: <{target}> has no place in a public header")
    for name in sorted(os.listdir(tree)):
        if not name.startswith(".") and not name.startswith("build") and name not in table.top:
            faults.append(f"{name}: not in the top directory")
    return faults


def check_archive(table, archive, nm, sources):
    """By the symbol tables of the objects, which no macro can hide from."""
    faults = []
    listing = subprocess.run([nm, "--format=sysv", archive], check=True, capture_output=True, text=True).stdout
    member = "?"
    seen = set()
    for line in listing.split("\n"):
        head = re.match(r"(?:Symbols from|Undefined symbols from)?\s*.*?([\w.+-]+\.o)(?:\]|\)|):?$", line)
        if head and "|" not in line:
            stem = re.sub(r"\.o$", "", head.group(1))
            member = sources.get(stem, stem)
            seen.add(member)
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 7 or cells[0] == "Name":
            continue
        name, kind, typ, section = cells[0], cells[2], cells[3], cells[6]
        name = name.split("@")[0]
        plain = re.sub(r"\.\d+$", "", name).split(".")[-1]  # a static of a function: name.1 by gcc, function.name by clang
        if kind in ("U", "w", "v") and section == "*UND*":
            own = name.startswith(("lea_", "leat_"))
            if not own and member not in ("base/os_linux.c", "base/os_child.c", "base/os_file.c", "base/os_names.c", "base/os_ring.c", "base/os_thread.c") and not any(p.fullmatch(name) for p in table.libc):
                faults.append(f"{member}: uses {name}, which is not base/os.h's nor on the list of harmless calls")
        elif typ == "TLS":
            if not any(re.fullmatch(p, plain) for p in table.tls.get(member, [])):
                faults.append(f"{member}: thread-local {plain}")
        elif section.startswith((".data", ".bss", "*COM*", "COMMON")) and not section.startswith(".data.rel.ro") and typ == "OBJECT":
            if not any(re.fullmatch(p, plain) for p in table.static.get(member, [])):
                faults.append(f"{member}: writable static {plain}")
    if not seen:
        faults.append(f"{archive}: no objects")
    return faults


def object_sources(tree):
    """Object name without .o to path in runtime/: foo.c.o is what CMake makes of room/foo.c."""
    table = {}
    for _, name in source_files(tree, "runtime"):
        table.setdefault(os.path.basename(name), name)
    return table


# ---- self-test ----------------------------------------------------------------------------------------------------------

PLANTED = {
    "runtime/ctx/up.c": ('#include "sched/sched.h"\n', "ctx may not include sched"),
    "runtime/time/side.c": ('#include "netpoll/netpoll.h"\n', "time may not include netpoll"),
    "runtime/mem/here.c": ('#include "stack.h"\n', "is not written"),
    "runtime/mem/public.c": ("#include <leat/run.h>\n", "mem may not include <leat/run.h>"),
    "runtime/sched/ao.c": ("#  include <atomic_ops.h>\n", "<atomic_ops.h> belongs to base/atomic.h"),
    "runtime/io/kernel.c": ("#include <linux/futex.h>\n", "<linux/futex.h> belongs to"),
    "runtime/sync/raw.c": ("int f(int *p) { return __atomic_load_n(p, 0); }\n", "__atomic_load_n belongs to base/"),
    "runtime/sync/std.c": ("_Atomic int x;\n", "_Atomic belongs to nobody"),
    "runtime/io/later.c": ("/* TODO: all of it */\n", "TODO belongs to nobody"),
    "runtime/io/long.c": ("\n" * (MAX_LINES + 1), "lines, at most"),
    "runtime/kitchen/sink.c": ("int x;\n", "no such room"),
    "include/leat/leak.h": ('#include "base/os.h"\n', "is the runtime's own"),
    "examples/peek.c": ('#include "sched/sched.h"\n', "is the runtime's own"),
    "attic/x": ("", "not in the top directory"),
}
CLEAN = {
    "runtime/sched/fine.c": '#include "base/atomic.h"\n#include "co/co.h"\n#include <leat/run.h>\n/* #include "io/io.h", __atomic_x, _Atomic */\n'
                            'const char *s = "AO_load"; typedef AO_t a;\n',
    "runtime/base/atomic.h": "#include <atomic_ops.h>\nint f(void) { return AO_load(0); }\n",
}
PLANTED_OBJECT = """
#include <unistd.h>
#include <stddef.h>
int counter = 3;
static int hidden[4];
_Thread_local int mine;
static const char *const fine[] = {"a", "b"};
const char *const *lea_f(int i);
const char *const *lea_f(int i) { hidden[i]++; return getpid() ? fine : NULL; }
int *lea_g(void);
int *lea_g(void) { return hidden; }
"""


def put(tree, name, text):
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def self_test(table, cc, nm):
    wrong = []
    with tempfile.TemporaryDirectory() as tree:
        for name, text in CLEAN.items():
            put(tree, name, text)
        wrong += [f"found in a clean tree: {fault}" for fault in check_sources(table, tree)]
        for name, (text, expected) in PLANTED.items():
            put(tree, name, text)
        faults = check_sources(table, tree)
        for name, (_, expected) in PLANTED.items():
            if not any(fault.startswith(name.split("/")[0] if name.startswith("attic") else name) and expected in fault for fault in faults):
                wrong.append(f"not found: {name}: {expected}")
        if len(faults) != len(PLANTED):
            wrong.append(f"{len(PLANTED)} planted, {len(faults)} found: {faults}")

        source = put(tree, "runtime/io/kernel_call.c", PLANTED_OBJECT)
        objects = os.path.join(tree, "kernel_call.c.o")
        archive = os.path.join(tree, "lib.a")
        subprocess.run([cc, "-fPIC", "-c", "-o", objects, source], check=True)
        subprocess.run(["ar", "rcs", archive, objects], check=True)
        faults = check_archive(table, archive, nm, object_sources(tree))
        for expected in ("uses getpid", "writable static counter", "writable static hidden", "thread-local mine"):
            if not any(expected in fault and fault.startswith("io/kernel_call.c") for fault in faults):
                wrong.append(f"not found: {expected}")
        if len(faults) != 4:
            wrong.append(f"4 planted in an object, found: {faults}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", nargs="?")
    parser.add_argument("--archive")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()

    table = Table(os.path.join(HERE, "layers.table"))
    if args.self_test:
        faults = self_test(table, args.cc, args.nm)
    elif args.archive:
        faults = check_archive(table, args.archive, args.nm, object_sources(args.tree))
    elif args.tree:
        faults = check_sources(table, args.tree)
    else:
        parser.error("which tree?")
    for fault in faults:
        print(fault)
    print(f"{len(faults)} violations" if faults else "no violation")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
