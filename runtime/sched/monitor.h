/*
 * sched/monitor.h - the watcher: a thread without a processor that looks at the others from time to
 * time.
 *
 * Duties: wake-ups that are still owed (a next slot that stands while its processor's turn goes
 * on), the poller and due timers when nobody looks at them, the end of a slice, the memory of idle
 * stacks, LEAT_SCHEDTRACE, a deadlock (quiet.h). It looks every millisecond after something stood
 * still, every few when all moves, and sleeps without a time-out when nothing has run for a while:
 * an idle process wakes up never.
 *
 * Where somebody waits, and no processor is idle, it looks every twentieth part of LEAT_RETAKE_US
 * while a worker stands still, has just been seen asleep outside the runtime, or has just lost its
 * processor for that. That ends with the wait, and after a few looks that take nothing.
 */
#ifndef LEA_SCHED_MONITOR_H
#define LEA_SCHED_MONITOR_H

#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/runtime.h"

int lea_monitor_start(struct lea_runtime *rt);
void lea_monitor_stop(struct lea_runtime *rt);

/* A processor leaves idleness: does the monitor sleep? */
static inline void lea_monitor_kick(struct lea_runtime *rt)
{
    if (LEA_MUTATED(MONITOR_NO_KICK))
        return;
    lea_delay_point(MONITOR);
    lea_fence_after_rmw(); /* MONITOR: the caller has just cleared an idle bit */
    /* relaxed: after the fence */
    if (LEA_UNLIKELY(lea_u32_load_rlx(&rt->monitor.asleep)) &&
        lea_u32_cas(&rt->monitor.asleep, 1, 0))
        lea_os_futex_wake(&rt->monitor.asleep, 1);
}

#endif
