/*
 * scope/outside.h - waits of plain threads for coroutines of a run, which end with that run at the
 * latest: it may leave a coroutine over, which will never end.
 *
 * Such a wait is in the list of the run that was under way when it began. The end of the run takes
 * all of them off it, when it has let go of plain threads and its own have left, and ends those
 * that nobody has ended before. A thread whose wait is over takes itself off while it can hold the
 * run; else the end has it in hand, or will have, and the thread waits to be told: its frame may
 * not go before.
 *
 * Ordering pairs.
 *  OUTSIDE-TELL  release store of `told` by the end of the run -> the thread's acquire load: the
 *                end has done with its frame.
 * That the end sees every wait in the list, and that nobody comes to it afterwards, is pair ROOT
 * (sched/run.c): who holds the run is waited for before the end looks.
 */
#ifndef LEA_SCOPE_OUTSIDE_H
#define LEA_SCOPE_OUTSIDE_H

#include "sched/waiter.h"

/*
 * A plain thread's lea_waiter_wait(). LEA_WAKE_CLOSED: there is no run, or it has ended, and nobody
 * had claimed the waiter.
 */
enum lea_wake lea_outside_wait_thread(struct lea_waiter *w, int64_t until_ns);

/* lea_waiter_wait() for what a coroutine of the run will end. */
static inline enum lea_wake lea_outside_wait(struct lea_waiter *w, struct lea_worker **m,
                                             enum lea_reason reason, int64_t until_ns,
                                             bool shielded)
{
    if (LEA_UNLIKELY(!*m))
        return lea_outside_wait_thread(w, until_ns);
    return lea_waiter_wait(w, m, reason, until_ns, shielded);
}

/* The run with this seed, held, if it is the one that is under way; else NULL. */
struct lea_runtime *lea_outside_hold(uint64_t seed);

/* The run is over: what is in its list ends. */
void lea_outside_end(struct lea_runtime *rt);

#endif
