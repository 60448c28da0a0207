# Run inside gdb by gdb.sh: steps through switches, and reads parked stacks.
import os

import gdb


def frames():
    """Names from the innermost outwards, and why gdb stopped there."""
    names, frame = [], gdb.newest_frame()
    while True:
        names.append(frame.name())
        older = frame.older()
        if older is None:
            return names, frame.unwind_stop_reason()
        frame = older
        if len(names) > 50:
            raise gdb.GdbError("walk has no end: %s" % names)


ENDS = (["parked_inner", "parked_outer", "lea_ctx_start"], ["parked_inner", "main"])
CLEAN = (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST)
failed = 0


def expect(what, got, want):
    global failed
    (names, reason) = got
    if names not in want or reason not in CLEAN:
        failed += 1
        print("FAILED %s: %s (%s)" % (what, names, gdb.frame_stop_reason_string(reason)))


def step_through():
    """From the first instruction of lea_ctx_switch() to the caller it returns to; the count of instructions."""
    steps = 0
    while gdb.newest_frame().name() in ("lea_ctx_switch", "lea_ctx_resume", "lea_ctx_start"):
        names, reason = frames()
        at = "%s, instruction %d" % (names[0], steps)
        if names[0] == "lea_ctx_start":
            expect(at, (names, reason), (["lea_ctx_start"],))
        else:
            # a context that never ran has no callers but its beginning
            expect(at, (names[1:], reason), ENDS + (["lea_ctx_start"],))
        gdb.execute("stepi", to_string=True)
        steps += 1
        if steps > 100:
            raise gdb.GdbError("the switch does not end")
    return steps


def parked(name, want):
    """As ctx.h says: sp from the context, pc at lea_ctx_resume."""
    saved = [(r, int(gdb.parse_and_eval("(unsigned long)$" + r))) for r in ("sp", "pc")]
    gdb.execute("set $sp = (unsigned long)%s.sp" % name, to_string=True)
    gdb.execute("set $pc = (unsigned long)&lea_ctx_resume", to_string=True)
    names, reason = frames()
    expect("parked " + name, (names[1:], reason), (want,))
    for register, value in saved:
        gdb.execute("set $%s = %d" % (register, value), to_string=True)


gdb.execute("set pagination off")
remote = os.environ.get("CTX_REMOTE")
if remote:  # on another machine, which waits at its first instruction
    gdb.execute("set remotetimeout 60")
    gdb.execute("target remote " + remote, to_string=True)
gdb.execute("break *(unsigned long)&lea_ctx_switch", to_string=True)
gdb.execute("continue" if remote else "run", to_string=True)
seen = []
for turn in range(7):
    seen.append(step_through())
    expect("after turn %d" % turn, frames(), ENDS + (["parked_outer", "lea_ctx_start"],))
    parked("parked_fresh", ["lea_ctx_start"])
    if turn == 4:  # the right one runs, the others wait
        parked("parked_left", ENDS[0])
        parked("parked_home", ENDS[1])
    gdb.execute("continue", to_string=True)
print("stepped through switches of %s instructions" % seen)
print("%d failed" % failed)
gdb.execute("kill", to_string=True)
gdb.execute("quit %d" % (1 if failed else 0))
