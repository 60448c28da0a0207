# Run inside gdb by gdb.sh: from the depth of a coroutine to the function that was spawned, to the end of the stack, and to the place of spawn.
import os

import gdb

failed = 0


def expect(what, right, got):
    global failed
    if not right:
        failed += 1
        print("FAILED %s: %s" % (what, got))


def backtrace():
    names, frame = [], gdb.newest_frame()
    while frame is not None and len(names) < 50:
        names.append(frame.name())
        reason, frame = frame.unwind_stop_reason(), frame.older()
    return names, reason


def look(where):
    names, reason = backtrace()
    inner = names[:3]
    expect(where + ", the callers", inner == ["spawned_leaf", "spawned_middle", "spawned_first"], names)
    # between: what the spawn macro makes, which each compiler names as it likes
    expect(where + ", the end", names[-2:] == ["lea_loop_begin", "lea_ctx_start"] and 5 <= len(names) <= 8, names)
    expect(where + ", a clean end", reason in (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST),
           gdb.frame_stop_reason_string(reason))
    # to the place of spawn
    site = gdb.parse_and_eval("(const struct leat_site_ *)lea_self_worker->co->site.value_").dereference()
    path = site["file"].string()
    expect(where + ", the file of the spawn", path.endswith("spawned.c"), path)
    expect(where + ", the line of the spawn", "spawned here" in lines[int(site["line"]) - 1], int(site["line"]))


with open(os.path.join(os.path.dirname(os.environ["CTX_WALK"]), "spawned.c"), encoding="utf-8") as file:
    lines = file.read().split("\n")
gdb.execute("set pagination off")
gdb.execute("set environment LEAT_PROCS 1")
gdb.execute("break spawned_leaf", to_string=True)
gdb.execute("run", to_string=True)
look("before it parked")
# no watchpoint: a virtual machine may miss one that the hardware is to look at
after = 1 + next(i for i, line in enumerate(lines) if "after the yield" in line)
gdb.execute("break spawned.c:%d" % after, to_string=True)
gdb.execute("continue", to_string=True)
expect("it has parked", int(gdb.parse_and_eval("depth")) == 3, gdb.parse_and_eval("depth"))
look("after it parked")
print("stepped through %d frames" % len(backtrace()[0]))
print("%d failed" % failed)
gdb.execute("kill", to_string=True)
gdb.execute("quit %d" % (1 if failed else 0))
