/*
 * sched/fresh.h - those that have not begun, and how they come to their turn when newer ones follow
 * all the time.
 *
 * The newest stand on the processor's stack (lifo.h) and run first, so that fork-join goes depth
 * first: each branch is done before the next one begins, on warm caches, with few stacks alive. The
 * older half of a full stack sinks into a list behind it, `lifo_over`: first in, first out, open to
 * thieves.
 *
 * Out of that list:
 *  - When nothing else waits here, half a stack goes back onto the stack, the oldest on top: so
 *    each of them is again done before the next one begins. So it does at a look around (every 61st
 *    turn) that finds the stack empty: rings that are never empty do not keep it out.
 *  - A thief takes it in the same way, onto its own stack.
 *  - While the stack is never empty, one goes to the ring, where everybody has a turn, every
 *    LEA_FRESH_AGE_NS, and one at each look when the list has not been empty for LEA_FRESH_LATE_NS.
 *    With no list, the oldest on the stack does, when it has stood for LEA_FRESH_AGE_NS.
 * So nobody starves. No faster than that, since each may be the root of a tree: with a share of the
 * turns, trees are begun before others have ended, what they spawn fills the stack and sinks too,
 * and soon all go breadth first, with every coroutine alive at once.
 *
 * Only of the class NORMAL: between classes only weights count (find.h).
 */
#ifndef LEA_SCHED_FRESH_H
#define LEA_SCHED_FRESH_H

#include "sched/runtime.h"

#define LEA_FRESH_AGE_NS 1000000
#define LEA_FRESH_LATE_NS 200000000

/* Owner only: the stack is full. Its older half sinks. */
void lea_fresh_sink(struct lea_proc *p);

/*
 * Owner of `p` only: some of `from`, its own or another's list, go onto the stack of `p`, at most
 * half a stack and not more than there is room for. Returns how many.
 */
uint32_t lea_fresh_raise(struct lea_proc *p, struct lea_inject *from);

/* Owner only, at a look around. True: somebody has gone to the ring. */
bool lea_fresh_look(struct lea_proc *p, int64_t now);

#endif
