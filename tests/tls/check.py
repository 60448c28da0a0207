#!/usr/bin/env python3
"""No address of a thread-local lives over a switch, whatever the optimiser does.

check.py TREE COMPILER WORK-DIRECTORY [FLAG...]      exit 77: no such compiler, or nothing to disassemble its code with
check.py --self-test COMPILER WORK-DIRECTORY [FLAG...]

Compiles the whole runtime with the flags, disassembles it, and follows the direct calls. A function that reaches lea_ctx_switch must not
touch a thread-local itself, nor ask for errno's address: what a compiler may keep in a register is what one function has read. The few
that do read one (lea_self, of which each file has its own, the rest of sched/self.c, the fast ways of a rwmutex's readers and of a mutex's unlock) are never inlined and
switch nothing.

On the way no warning may come, at any of the levels.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

OWN = {"lea_self", "lea_self_set"}
# Stand on a thread's own stack only, which is never resumed by another thread
ON_THREADS = {"run", "leat_run", "leat_run_with"}
CHECKED_FLAGS = ["-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", "-ftls-model=initial-exec", "-g0", "-Wl,-z,undefs"]
# The build has one level of optimisation, and some warnings come with another only
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
# %fs:0x28 is the stack protector's word
TLS_X86 = re.compile(r"%fs:(?!0x28\b)|__tls_get_addr|__errno_location")
# on a call's line only: objdump names the symbol before any address that it sees
TLS_ARM = re.compile(r"\btpidr_el0\b|\tbl?\t.*<(?:__tls_get_addr|__errno_location)@")


def functions_of(text):
    """Name to (touches a thread-local, names called)."""
    functions = {}
    calls, name, tls = set(), None, False
    arm = "aarch64" in text[:400]
    pattern = TLS_ARM if arm else TLS_X86
    for line in text.split("\n"):
        head = re.match(r"^[0-9a-f]+ <([^>]+)>:$", line)
        if head:
            # a part that the compiler split off counts as its function
            name = re.sub(r"\.(?:cold|part|isra|constprop|lto_priv).*|@.*", "", head.group(1))
            tls, calls = functions.get(name, (False, set()))
            functions[name] = (tls, calls)
        elif name and "\t" in line:
            if pattern.search(line):
                functions[name] = (True, calls)
            target = re.search(r"<([^>+]+)(?:\+0x[0-9a-f]+)?>", line)
            if target:
                calls.add(re.sub(r"\.(?:cold|part|isra|constprop|lto_priv).*|@.*", "", target.group(1)))
    return functions


def reaches_switch(functions):
    """Names of the functions from which lea_ctx_switch can be reached by direct calls."""
    reaching = {name for name in functions if name.startswith("lea_ctx_switch")}
    grown = True
    while grown:
        grown = False
        for name, (_, calls) in functions.items():
            if name not in reaching and calls & reaching:
                reaching.add(name)
                grown = True
    return reaching


def check(text):
    functions = functions_of(text)
    reaching = reaches_switch(functions)
    faults = []
    if len(reaching) < 2:
        faults.append("nothing calls lea_ctx_switch: not the runtime, or no disassembly")
    for name, (tls, _) in sorted(functions.items()):
        if tls and name in reaching and name not in ON_THREADS:
            faults.append(f"{name} touches a thread-local, and a switch can happen within it")
    for name in OWN & set(functions):
        if not functions[name][0]:
            faults.append(f"{name} touches no thread-local: is this check blind?")
    return faults, len(functions), len(reaching)


def machine_of(compiler, flags):
    target = [flag for flag in flags if flag.startswith("--target=")]
    return subprocess.run([compiler, *target, "-dumpmachine"], check=True, capture_output=True, text=True).stdout.split("-")[0]


def objdump_for(machine):
    """Of binutils, whose format is known here."""
    return shutil.which("objdump" if machine == os.uname().machine else f"{machine}-linux-gnu-objdump")


def disassemble(compiler, sources, include, flags, work, name):
    os.makedirs(work, exist_ok=True)
    library = os.path.join(work, name)
    subprocess.run([compiler, *CHECKED_FLAGS, *flags, *[f"-I{path}" for path in include], *sources, "-o", library], check=True)
    objdump = objdump_for(machine_of(compiler, flags))
    return subprocess.run([objdump, "-d", "--no-show-raw-insn", library], check=True, capture_output=True, text=True).stdout


def atomic_ops_for(machine, work):
    """Its headers serve every machine, the rest of the host's include directory does not. As tools/cmake/LeatAtomicOps.cmake."""
    if machine == os.uname().machine:
        return []
    include = os.path.join(work, "include")
    os.makedirs(include, exist_ok=True)
    for name in ("atomic_ops.h", "atomic_ops"):
        if not os.path.exists(os.path.join(include, name)):
            os.symlink(os.path.join("/usr/include", name), os.path.join(include, name))
    return [include]


PLANTED = """
#include <errno.h>
void *lea_ctx_switch(void *a, void *b, void *c);
__attribute__((noinline)) void *lea_ctx_switch(void *a, void *b, void *c) { __asm__ volatile("" ::: "memory"); return a ? b : c; }
static _Thread_local int mine;
__attribute__((noinline, visibility("default"))) int *park(void);
int *park(void) { return lea_ctx_switch(&park, (void *)1, (void *)2); }
__attribute__((visibility("default"))) int bad_local(void);
int bad_local(void) { mine++; park(); return mine; }
__attribute__((visibility("default"))) int bad_errno(void);
int bad_errno(void) { park(); return errno; }
__attribute__((visibility("default"))) int fine(void);
int fine(void) { return ++mine + errno; }
"""


def self_test(compiler, work, flags):
    os.makedirs(work, exist_ok=True)
    source = os.path.join(work, "planted.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(PLANTED)
    faults, _, _ = check(disassemble(compiler, [source], [], ["-w", "-O2", *flags], work, "planted.so"))
    found = [fault.split()[0] for fault in faults]
    return [] if found == ["bad_errno", "bad_local"] else [f"planted bad_errno and bad_local, found {faults}"]


def main():
    own_test = sys.argv[1] == "--self-test"
    compiler, work = sys.argv[2:4]
    flags = sys.argv[4:]
    if not shutil.which(compiler):
        print(f"skipped: no {compiler}")
        return 77
    machine = machine_of(compiler, flags)
    if not objdump_for(machine):
        print(f"skipped: no objdump for {machine}")
        return 77
    if own_test:
        faults = self_test(compiler, work, flags)
    else:
        tree = sys.argv[1]
        sources = sorted(glob.glob(f"{tree}/runtime/*/*.c")) + [f"{tree}/runtime/ctx/switch_{machine}.S"]
        include = [f"{tree}/runtime", f"{tree}/include", *atomic_ops_for(machine, work)]
        text = disassemble(compiler, sources, include, [*WARNINGS, *flags], work, "leat.so")
        faults, functions, reaching = check(text)
        print(f"{functions} functions, {reaching} of them reach a switch")
    for fault in faults:
        print(fault)
    print(f"{len(faults)} violations" if faults else "no violation")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
