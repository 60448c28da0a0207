/*
 * sched/turns.h - what a processor learns about its turns at each look around (find.h): how long
 * they are, whether somebody waits for long, and so who has a share of them.
 */
#ifndef LEA_SCHED_TURNS_H
#define LEA_SCHED_TURNS_H

#include "sched/runtime.h"

/*
 * Owner only. Turns are counted so that the clock is read once in a batch; long turns make the
 * batches short.
 */
void lea_turns_rewind(struct lea_proc *p, int64_t now);

/*
 * Has somebody waited in this ring for LEA_AGE_NS? Each look either confirms the mark of an earlier
 * one, or sets a new one.
 */
bool lea_ring_aged(struct lea_runq *q, struct lea_age *age, int64_t now);

/*
 * Owner only. Does the stack of new ones share with the rings? From when somebody there has waited
 * for long until nobody does, and the backlog behind them is gone. But where those in the rings
 * spawn more than the stack has turns then, so that some sink, it is depth first again, and for
 * longer each time: else whatever waits in the rings would begin all that it has to do before any
 * of it is done. With chaos the clock decides nothing.
 */
void lea_turns_share(struct lea_proc *p, bool aged, int64_t now);

#endif
