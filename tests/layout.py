#!/usr/bin/env python3
"""The layout of all C and C++ files is what clang-format makes of them by .clang-format, and no line of the library is longer than it says.

layout.py TREE          lists the files that differ, and the lines that are too long
layout.py TREE --write  lays them out
Exit 77: no clang-format, or another version's: its layout is another one.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

VERSION = "version 14."
COLUMNS = 100
TOPS = ("runtime", "include", "examples", "bench", "tests")
LIBRARY = ("runtime", "include", "examples")
FRAGMENTS = os.path.join("tests", "docs", "around")   # no C before an example is put in
BY_HAND = {"include/leat/impl/go_c.h", "include/leat/impl/go_cxx.h"}   # may have longer lines: strings in _Pragma stay whole


def files_of(tree):
    for top in TOPS:
        for directory, _, names in os.walk(os.path.join(tree, top)):
            if directory.endswith(FRAGMENTS):
                continue
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cc", ".cpp")):
                    yield os.path.join(directory, name)


def lay_out(tree, paths):
    """Yields path, text, and text laid out. One process for many files: most of its time is its start."""
    jobs = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as copies, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        def copy_of(path):
            # a header by the name of a C file: clang-format takes some for Objective-C
            copy = os.path.join(copies, os.path.splitext(path)[1][1:], os.path.relpath(path, tree))
            return copy[:-2] + ".c" if copy.endswith(".h") else copy

        for path in paths:
            os.makedirs(os.path.dirname(copy_of(path)), exist_ok=True)
            shutil.copyfile(path, copy_of(path))
        command = ["clang-format", "-i", "--style=file:" + os.path.join(tree, ".clang-format")]
        for done in [pool.submit(subprocess.run, command + [copy_of(path) for path in paths[k::jobs]], check=True) for k in range(jobs)]:
            done.result()
        for path in paths:
            with open(path, encoding="utf-8") as before, open(copy_of(path), encoding="utf-8") as after:
                yield path, before.read(), after.read()


def main():
    tree, write = os.path.abspath(sys.argv[1]), "--write" in sys.argv[2:]
    if not shutil.which("clang-format"):
        print("no clang-format")
        return 77
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
    if VERSION not in version:
        print(f"clang-format is {version.strip()}, not {VERSION}")
        return 77
    faults = 0
    for path, before, after in lay_out(tree, list(files_of(tree))):
        name = os.path.relpath(path, tree)
        if before != after and write:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
        elif before != after:
            faults += 1
            print(f"{name}: not as clang-format lays it out (tests/layout.py . --write)")
        if name.split(os.sep)[0] in LIBRARY and name not in BY_HAND:
            for number, line in enumerate(after.split("\n"), 1):
                if len(line) > COLUMNS:
                    faults += 1
                    print(f"{name}:{number}: {len(line)} columns, at most {COLUMNS}")
    print("no fault" if not faults else f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
