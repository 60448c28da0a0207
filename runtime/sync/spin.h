/*
 * sync/spin.h - whoever is in the way: how long to look whether it is gone before a wait, and how
 * long to let others overtake after one.
 */
#ifndef LEA_SYNC_SPIN_H
#define LEA_SYNC_SPIN_H

#include "sched/runtime.h"

#include <leat/time.h>
#include <stdbool.h>

/* Who has waited for so long is overtaken no more. */
#ifndef LEA_HAND_OVER_NS
#define LEA_HAND_OVER_NS LEAT_MSEC
#endif

/*
 * About 0.7 µs on x86-64, where a pause takes 30 ns, and more for a look at many cache lines: a
 * section of somebody who runs is over by then, or not soon.
 */
#ifndef LEA_SPIN_ROUNDS
#define LEA_SPIN_ROUNDS 20
#endif

/*
 * Does who is in the way run at this moment, on another processor? Nobody knows; at least somebody
 * else can. @m: NULL on a plain thread.
 */
static inline bool lea_spin_may(const struct lea_worker *m)
{
    return !m || !m->rt->alone;
}

#endif
