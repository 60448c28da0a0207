/*
 * sched/fresh.h - those that have not begun, and how they come to their turn when newer ones follow
 * all the time.
 *
 * The newest stand on the processor's stack (lifo.h) and run first, so that fork-join goes depth
 * first: a branch is done before the next one begins, on warm caches, with few stacks alive. (While
 * somebody in the rings has waited for long, those have every second turn: turns.h.) The
 * older half of a full stack sinks into a list behind it, `lifo_over`, open to thieves: first in,
 * first out, but for who sinks a second time.
 *
 * Out of that list:
 *  - When nothing else waits here, half a stack goes back onto it, the oldest on top: so the first
 *    of them is done, most likely, before the next begins. (One that spawns more than half a stack
 *    sinks the others again.) So it does at a look around (every 61st turn) that finds the stack
 *    empty: rings that are never empty do not keep it out.
 *  - A thief takes half of it in the same way, half a stack at most, onto its own.
 *  - While the stack is never empty, the list's oldest goes to the ring, where everybody has a
 *    turn, every LEA_FRESH_AGE_NS, and the oldest on the stack does when it has stood for that
 *    long. For each LEA_FRESH_LATE_NS that the list has not been empty it is one more in that time,
 *    up to one at each look.
 * So nobody starves: of a thousand the last begins within half a second, of ten thousand within
 * two. No faster than that, since each may be the root of a tree: with a share of the turns, trees
 * are begun before others have ended, what they spawn fills the stack and sinks too, and soon all
 * go breadth first, with every coroutine alive at once. So do trees whose turns last for about as
 * long as LEA_FRESH_AGE_NS.
 *
 * Where work is small, the oldest on the stack owes a wake-up when it has stood for LEA_AGE_NS, and
 * thieves that are awake take it earlier (find.c).
 *
 * In the list only the class NORMAL: between classes only weights count (find.h).
 */
#ifndef LEA_SCHED_FRESH_H
#define LEA_SCHED_FRESH_H

#include "sched/runtime.h"

#ifndef LEA_FRESH_AGE_NS
#define LEA_FRESH_AGE_NS 1000000
#endif
#ifndef LEA_FRESH_LATE_NS
#define LEA_FRESH_LATE_NS 200000000
#endif

/* Owner only: the stack is full. Its older half sinks. */
void lea_fresh_sink(struct lea_proc *p);

/* Owner only: some of its list go onto its stack. Returns how many. */
uint32_t lea_fresh_raise(struct lea_proc *p);

/* Owner of `p` only: some of the victim's list go onto the stack of `p`. Returns how many. */
uint32_t lea_fresh_steal(struct lea_proc *p, struct lea_proc *victim);

/* Owner only, at a look around. True: somebody has gone to the ring. */
bool lea_fresh_look(struct lea_proc *p, int64_t now);

/* Anybody: has the oldest on the stack stood there for so long, as far as its owner has seen? */
bool lea_fresh_aged(struct lea_proc *p, int64_t now, int64_t age_ns);

#endif
