#!/usr/bin/env python3
"""Nothing that was built asks for an executable stack.

execstack.py BUILD-DIRECTORY      every ELF file below it: objects, members of archives, libraries, programs. Not in directories of the name
                                  "work": there tests that may run at the same time make, and take away, files of their own
execstack.py --self-test WORK-DIRECTORY COMPILER

An object without .note.GNU-stack makes the stack of whatever it is linked into executable, and so does one whose note has the X flag; a linked
file says it in its GNU_STACK header.
"""
import os
import re
import struct
import subprocess
import sys

PLANTED = "execstack.planted"  # by the self-test
NOT_BUILT = {PLANTED, "work"}
ET_REL, ET_CORE, PT_GNU_STACK, PF_X, SHF_EXECINSTR = 1, 4, 0x6474E551, 1, 4


def fault_of(data):
    """What is wrong with the bytes of a 64-bit little-endian ELF file; None: nothing."""
    kind, = struct.unpack_from("<H", data, 16)
    ph_at, sh_at = struct.unpack_from("<QQ", data, 32)
    ph_size, ph_count, sh_size, sh_count, names_index = struct.unpack_from("<HHHHH", data, 54)
    if kind == ET_CORE:  # of a test that is to end so
        return None
    if kind != ET_REL:
        for i in range(ph_count):
            what, flags = struct.unpack_from("<II", data, ph_at + i * ph_size)
            if what == PT_GNU_STACK:
                return "its stack is executable" if flags & PF_X else None
        return "no GNU_STACK header: the kernel's default, which may be executable"
    sections = []
    for i in range(sh_count):
        name, _, flags, _, offset, size = struct.unpack_from("<IIQQQQ", data, sh_at + i * sh_size)
        sections.append((name, flags, offset, size))
    if not sections:
        return None
    strings = sections[names_index][2]
    for name, flags, _, _ in sections:
        text = data[strings + name:data.index(b"\0", strings + name)]
        if text == b".note.GNU-stack":
            return "asks for an executable stack" if flags & SHF_EXECINSTR else None
    return "no .note.GNU-stack: the linker would make stacks executable"


def members(data):
    """(name, bytes) of a static archive."""
    at = 8
    while at + 60 <= len(data):
        name = data[at:at + 16].decode("latin-1").strip()
        size = int(data[at + 48:at + 58])
        yield name, data[at + 60:at + 60 + size]
        at += 60 + size + size % 2


def files_below(directory):
    for where, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name not in NOT_BUILT]
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path) and os.path.isfile(path):
                yield path


def check(directory):
    """(files looked at, faults)."""
    seen, faults = 0, []
    for path in files_below(directory):
        with open(path, "rb") as file:
            start = file.read(8)
            if start[:5] != b"\x7fELF\x02" and start != b"!<arch>\n":
                continue
            data = start + file.read()
        parts = members(data) if start == b"!<arch>\n" else [("", data)]
        for name, part in parts:
            # link-time optimisation: the linker sees another object
            if part[:5] != b"\x7fELF\x02" or b".gnu.lto_" in part:
                continue
            seen += 1
            fault = fault_of(part)
            if fault:
                faults.append(f"{os.path.relpath(path, directory)} {name}: {fault}")
    return seen, faults


def self_test(work, compiler):
    """Planted: a note with X, no note at all, a program linked so; and one that is fine, also in an archive."""
    planted = os.path.join(work, PLANTED)
    os.makedirs(planted, exist_ok=True)

    def made(name, text, *options):
        path = os.path.join(planted, name)
        subprocess.run([compiler, "-x", "assembler", "-", *options, "-o", path], input=text, text=True, check=True, cwd=planted)

    for name in os.listdir(planted):
        os.remove(os.path.join(planted, name))
    note = '.section .note.GNU-stack,"%s",%%progbits\n'
    body = ".text\n.globl main\nmain:\n nop\n"
    made("fine.o", body + note % "", "-c")
    made("asks.o", body + note % "x", "-c")
    made("silent.o", body, "-c")
    made("program", body + note % "", "-shared", "-nostdlib", "-Wl,-z,execstack")
    subprocess.run(["ar", "rc", "all.a", "fine.o", "asks.o"], check=True, cwd=planted)
    seen, faults = check(planted)
    bad = sorted(re.sub(r"/? ?:.*", "", fault) for fault in faults)
    right = ["all.a asks.o", "asks.o", "program", "silent.o"]
    return [] if bad == right and seen == 6 else [f"planted {right}, found {faults} in {seen} files"]


def main():
    if sys.argv[1] == "--self-test":
        faults = self_test(sys.argv[2], sys.argv[3])
    else:
        seen, faults = check(sys.argv[1])
        print(f"{seen} objects, libraries and programs")
        if not seen:
            faults.append("nothing found: is this a build directory?")
    for fault in faults:
        print("FAILED: " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
