#!/usr/bin/env python3
"""tests/docs/check.py - the examples, the names of tests and the links in README.md and docs/manual.md.

  check.py SOURCE_DIR COMPILER LIBRARY

A block of C with a main() is a program. Any other one stands in the place of the line EXAMPLE in around/<page>_<section>_<n>.c beside this
file, which brings what the text takes for granted, runs it, and exits with 0 when it did what the text says.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PAGES = ("README.md", "docs/manual.md")
FLAGS = "-std=gnu11 -O1 -Wall -Wextra -Werror -pthread".split()

failed = []


def fail(what):
    print("FAILED: " + what)
    failed.append(what)


def blocks(text):
    """(section, number in it, code) of each block of C."""
    section, count, code = "", 0, None
    for line in text.splitlines():
        if code is not None:
            if line == "```":
                yield section, count, "\n".join(code) + "\n"
                code = None
            else:
                code.append(line)
        elif line.startswith("## "):
            section, count = re.sub(r"[^a-z0-9]+", "_", line[3:].lower()).strip("_"), 0
        elif line == "```c":
            count, code = count + 1, []


def run_example(name, code, compiler, library, include):
    around = HERE / "around" / (name + ".c")
    program = code
    if "int main(" not in code:
        if not around.exists():
            return fail("%s: it is no program, and there is no %s" % (name, around))
        before, mark, after = around.read_text().partition("EXAMPLE\n")
        if not mark:
            return fail("%s: no line EXAMPLE in it" % around)
        program = before + code + after
    with tempfile.TemporaryDirectory() as directory:
        source, binary = directory + "/" + name + ".c", directory + "/" + name
        pathlib.Path(source).write_text(program)
        flags = FLAGS + (["-fblocks"] if "clang" in compiler else [])
        built = subprocess.run([compiler, *flags, "-I", include, source, library, "-o", binary], capture_output=True, text=True)
        if built.returncode != 0:
            return fail("%s does not compile:\n%s" % (name, built.stderr))
        try:
            ran = subprocess.run([binary], capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            return fail("%s does not end" % name)
        if ran.returncode != 0:
            return fail("%s: exit %d\n%s%s" % (name, ran.returncode, ran.stdout, ran.stderr))
    print("ok: " + name)


def known_tests(tree):
    """"area_file/test" of all tests."""
    known = set()
    for cmake in (tree / "tests").glob("*/CMakeLists.txt"):
        for name, sources in re.findall(r"leat_test\((\w+) SOURCES ([^)]*)", cmake.read_text()):
            for source in re.findall(r"[\w./]+\.c\b", sources):
                text = (cmake.parent / source).read_text()
                known.update("%s/%s" % (name, test) for test in re.findall(r"^Test\(\w+, (\w+)", text, re.M))
    for file in (tree / "tests/http").glob("test_*.py"):
        known.update("http_server/" + test for test in re.findall(r"def (test_\w+)", file.read_text()))
    return known


def anchors(text):
    for title in re.findall(r"^#+ (.*)$", text, re.M):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def check_links(tree, page, text):
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (tree / page).parent / path if path else tree / page
        if not file.exists():
            fail("%s: the link %s leads nowhere" % (page, target))
        elif anchor and anchor not in anchors(file.read_text()):
            fail("%s: the link %s leads to no heading" % (page, target))


def main():
    tree, compiler, library = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    known, used = known_tests(tree), set()
    for page in PAGES:
        text = (tree / page).read_text()
        short = pathlib.Path(page).stem.lower()
        for section, number, code in blocks(text):
            name = "%s_%s_%d" % (short, section, number)
            used.add(name)
            run_example(name, code, compiler, library, str(tree / "include"))
        check_links(tree, page, text)
        for test in re.findall(r"`((?:chan|config|ctx|go|io|mem|sched|scope|sync|http)_\w+/\w+)`", text):
            if test not in known:
                fail("%s names the test %s, which there is not" % (page, test))
    if next(blocks((tree / "README.md").read_text()))[2] != (tree / "examples/hello.c").read_text():
        fail("the first program of README.md is not examples/hello.c")
    for file in (HERE / "around").glob("*.c"):
        if file.stem not in used:
            fail("%s is around no example" % file)
    if len(used) < 3:
        fail("only %d examples found" % len(used))
    print("%d examples, %d failures" % (len(used), len(failed)))
    return 1 if failed else 0


sys.exit(main())
