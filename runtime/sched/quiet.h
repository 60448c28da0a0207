/*
 * sched/quiet.h - does everybody wait for somebody else? The monitor asks when nothing has run for
 * a while.
 *
 * A deadlock: the main coroutine is alive; every coroutine is parked, without a deadline, in a wait
 * that only another one or a thread of the program's can end (lea_reason_inside); and the process
 * has no thread that could call in. If all of that holds at one instant it holds for good.
 *
 * The instant. While monitor.asleep is 1, whoever makes a processor leave idleness sets it to 0
 * (pair MONITOR, idle.h). So: asleep = 1, fence, all processors are idle; look at everything; then
 * all processors are still idle, and asleep is still 1. Then none has left idleness in between, and
 * whatever was looked at was so at every moment in between:
 *  coroutines  read as reports do (co/report.h). One in user code on a worker without a processor
 *              is RUNNING, and may do anything.
 *  threads     the kernel counts them. Any that is not a worker, the monitor, leat_run's caller or
 *              one that the kernel has made for io_uring may call in. No coroutine runs, so none of
 *              those comes into being that is not made by another one.
 *
 * Looked at again when a turn has been taken since. Two things end without one: a coroutine on a
 * worker without a processor, and that worker tells the monitor (lea_quiet_end_without); a thread
 * of the program's, which tells nobody: for that one the monitor looks again, each time after twice
 * the time, for about a minute.
 *
 * Nothing of this is done while something runs. It costs a walk over the coroutines, up to the
 * first that waits for something outside.
 */
#ifndef LEA_SCHED_QUIET_H
#define LEA_SCHED_QUIET_H

#include "sched/runtime.h"

/* What the monitor remembers between two looks. Zero is valid. */
struct lea_quiet {
    uintptr_t turns;       /* of all processors, at the last look */
    uint32_t ends_without; /* likewise */
    int64_t since_ns;      /* nothing has moved since */
    int64_t again_ns;      /* when to look again; INT64_MAX: not before something moves */
    int64_t span_ns;       /* after the next look in vain */
};

/*
 * The monitor, at each of its looks, not asleep. May not come back: a deadlock ends the process,
 * unless leat_config says otherwise.
 */
void lea_quiet_look(struct lea_runtime *rt, struct lea_quiet *q, int64_t now_ns);

/*
 * The monitor, with asleep set to 1 and fenced: until when may it sleep? 0: not at all, something
 * has moved since the last look.
 */
int64_t lea_quiet_sleep_until(struct lea_runtime *rt, const struct lea_quiet *q, int64_t now_ns);

/* A coroutine has ended, or was given away, on a worker without a processor. By that worker. */
void lea_quiet_end_without(struct lea_runtime *rt);

#endif
