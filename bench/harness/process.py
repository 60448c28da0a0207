"""Running one program to its end and reading its lines; callgrind's count of instructions."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

LIMIT_S = 300


class Failed(Exception):
    """A measurement or a build that gives no figure, with the reason."""


def environment(procs):
    """One place says how many processors every system gets."""
    env = dict(os.environ)
    env["LEAT_PROCS"] = str(procs)
    env["GOMAXPROCS"] = str(procs)
    return env


def parse(text):
    """Lines 'metric value unit' as a list of (metric, value, unit)."""
    lines = []
    for line in text.splitlines():
        fields = line.split()
        try:
            metric, value, unit = fields
            lines.append((metric, float(value), unit))
        except ValueError:
            raise Failed(f"not a line of figures: {line!r}") from None
    return lines


def output(command, **options):
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_S, **options)
    except FileNotFoundError as error:
        raise Failed(str(error)) from None
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {LIMIT_S} s") from None
    if done.returncode != 0:
        raise Failed(f"exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def figures(command, procs):
    """Runs a workload program; its figures."""
    return parse(output(command, env=environment(procs)))


def symbol_range(program, name):
    """First address of a function and the one behind it."""
    for line in output(["nm", "--print-size", program]).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[3] == name:
            return int(fields[0], 16), int(fields[0], 16) + int(fields[1], 16)
    raise Failed(f"no function {name} in {program}")


def executed_within(path, low, high):
    """
    Instructions executed at addresses of a range, from a callgrind file. By address: callgrind books what runs behind a switch under
    the function that switched, because it sees a jump and no call.
    """
    total = 0
    of_a_call = False
    for line in Path(path).read_text().splitlines():
        if line.startswith("calls="):
            of_a_call = True  # the next line is what the callee cost
        elif line.startswith("0x"):
            address, _, cost = line.split()
            if not of_a_call and low <= int(address, 16) < high:
                total += int(cost)
            of_a_call = False
    return total


def instructions_per(program, functions, per_round):
    """Instructions of these functions for each of what the program does per_round times a round. Counted twice, so that what happens once cancels out."""
    ranges = [symbol_range(program, function) for function in functions]
    rounds = 20000
    costs = []
    for times in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "callgrind"
            output(["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no", f"--callgrind-out-file={path}",
                    program, times * rounds], env=environment(1))
            costs.append(sum(executed_within(path, low, high) for low, high in ranges))
    if costs[0] == 0:
        raise Failed(f"callgrind saw no instruction of {', '.join(functions)}")
    return [("instructions", (costs[1] - costs[0]) / (per_round * rounds), "1")]


def spent(pid):
    """Of all threads of a process until now: voluntary context switches, CPU seconds."""
    switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                switches += int(line.split()[1])
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return switches, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(program, procs):
    """A program that waits for its standard input, looked at from outside for two seconds once it has come to rest."""
    settle_s, look_s = 0.5, 2
    try:
        child = subprocess.Popen([program], stdin=subprocess.PIPE, env=environment(procs))
    except FileNotFoundError as error:
        raise Failed(str(error)) from None
    try:
        time.sleep(settle_s)
        begun = spent(child.pid)
        time.sleep(look_s)
        ended = spent(child.pid)
    except OSError as error:
        raise Failed(f"it did not stay: {error}") from None
    finally:
        child.stdin.close()
        code = child.wait(LIMIT_S)
    if code != 0:
        raise Failed(f"exit {code}")
    return [("sleeps", (ended[0] - begun[0]) / look_s, "1/sec"), ("cpu", (ended[1] - begun[1]) / look_s * 100, "%")]
