/*
 * sched/bound.h - coroutines that keep to their thread (leat_lock_thread). Contract:
 * include/leat/run.h.
 *
 * A bound coroutine and its worker belong together: the worker runs nobody else, and nobody else
 * runs the coroutine. Such a worker never has a processor. It gave the one it had to another worker
 * when it was bound, and acts as every worker does that has lost its own (bracket.h): as a plain
 * thread, with the inject queue and the shared caches. So its thread costs the others nothing but
 * the CPU that it uses, and needs nobody's watching.
 *
 * It parks as all do. Its thread then lands on its own stack, where the commit publishes the
 * coroutine, and sleeps. Whoever ends the wait makes it ready as all are, into whatever queue;
 * whoever takes it out of there finds that it is bound, and hands it to its thread instead of
 * running it.
 *
 * Always:
 *  - g->bound and m->bound == g hold together, and both are written by the coroutine itself.
 *  - While g->bound and g is not RUNNING, g->stack is NULL, and m->bound_stack holds it. So the
 *    places that look for a stack before they run somebody meet it on their way to make one, and
 *    the others need not ask.
 *  - m->bound_go is 1 from the hand-over until the thread has taken it; m->co is g then, and g is
 *    in no queue.
 *
 * An attached thread (attach.c) is such a coroutine on a thread that is the program's. It stands on
 * that thread's stack, g->stack is NULL throughout, and it does not leave it when it parks: the
 * commit runs where it stands, and then the thread sleeps there. That keeps law 1: nobody but the
 * thread itself can go on on that stack, and it looks whether it may after the commit only.
 *
 * A coroutine that ends while it is bound takes the thread along, as it may have done anything to
 * it.
 *
 * Ordering pair BOUND-GO: the hand-over writes m->co, then the release of bound_go, then the token
 * ->  the thread's acquire of bound_go. What the coroutine wrote before it parked is known to the
 * hand-over by the queue that it came through. The thread goes on when it has taken the token too:
 * found later, by a worker that is bound no more and idle, it would pass for a claimer's (idle.c).
 */
#ifndef LEA_SCHED_BOUND_H
#define LEA_SCHED_BOUND_H

#include "sched/runtime.h"

/* Taken out of a queue: its thread runs it. Hands off it afterwards. */
void lea_bound_hand(struct lea_co *g);

/* The running coroutine, bound, is about to leave its stack: it parks or yields. */
static inline void lea_bound_leaves(struct lea_worker *m, struct lea_co *g)
{
    m->bound_stack = g->stack;
    g->stack = NULL;
}

/* It ends. */
void lea_bound_end(struct lea_worker *m, struct lea_co *g);

/*
 * On the worker's own stack, after its coroutine has left: runs it whenever it is handed over.
 * Returns when the run stops, or nobody is bound any more.
 */
void lea_bound_run(struct lea_worker *m);

/*
 * An attached thread's coroutine has left, with a commit or without: sleeps until it is handed over
 * again. When the run stops, for ever.
 */
struct lea_worker *lea_bound_wait(struct lea_worker *m);

/* Its coroutine keeps to it from now on, or no longer. */
void lea_bound_begin(struct lea_worker *m, struct lea_co *g);
void lea_bound_over(struct lea_worker *m, struct lea_co *g);

#endif
