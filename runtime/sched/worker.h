/*
 * sched/worker.h - OS threads: beginning, ending, and moving processors between them.
 *
 * A worker has a processor, or sleeps on the spare list until somebody hands it one, or runs a
 * coroutine without one (its slice was over in a call that never parks, or the monitor has taken
 * it). The one without acts as a plain thread would: inject queue, shared caches. Spare ones leave
 * after a while; their structs stay, for threads that are started later: an id in an owner word
 * always has a worker.
 *
 * Hand-over: the giver writes p->worker, p->owner and the receiver's proc and word, then the token;
 * the receiver reads them after the token.
 */
#ifndef LEA_SCHED_WORKER_H
#define LEA_SCHED_WORKER_H

#include "base/mutant.h"
#include "sched/runtime.h"

/*
 * A new thread that begins with processor p. NULL: no thread to be had, or LEAT_MAX_THREADS
 * reached.
 */
struct lea_worker *lea_worker_start(struct lea_runtime *rt, struct lea_proc *p);

/*
 * A worker to hand a processor to, a new one if need be: nobody else gets it. NULL: as above.
 * lea_worker_hand() or _unhold() follows.
 */
struct lea_worker *lea_worker_hold(struct lea_runtime *rt);
void lea_worker_unhold(struct lea_worker *m);

/* Nobody has p (TAKEN): now this held worker has it, and wakes up. */
void lea_worker_hand(struct lea_worker *m, struct lea_proc *p);

/*
 * See that so many spare workers are there, if LEAT_MAX_THREADS allows it: a hand-over does not
 * wait for a thread then. False: the system refuses one.
 */
bool lea_worker_keep_spares(struct lea_runtime *rt, uint32_t n);

/* The body of a worker on the calling thread, until the run stops. */
void lea_worker_main(struct lea_worker *m);

/*
 * A struct for a worker that some thread will become. rt->lock held. NULL: LEAT_MAX_THREADS, or no
 * memory.
 */
struct lea_worker *lea_worker_new_locked(struct lea_runtime *rt, struct lea_proc *p);

/*
 * A struct for the calling thread, the program's own, which runs one coroutine and never has a
 * processor (attach.c). NULL: as above. It counts as a thread of the run from now on.
 */
struct lea_worker *lea_worker_adopt(struct lea_runtime *rt);

/*
 * No longer: it is not counted, and its struct is for the next thread. Who holds the root may touch
 * the run afterwards.
 */
void lea_worker_release(struct lea_worker *m);

/* Join the threads that have left. No lock held. */
void lea_worker_reap(struct lea_runtime *rt);

/*
 * The worker has the processor from now on. By its owner, or by who has it: claimed from idleness,
 * or taken.
 */
void lea_proc_assign(struct lea_proc *p, struct lea_worker *m);

/*
 * Give the own processor to another worker and go on without. False: none could be had, nothing has
 * changed.
 */
bool lea_proc_give(struct lea_worker *m);

/*
 * In a bracket (bracket.h): come back to the processor that it stepped aside from. False: it was
 * taken meanwhile.
 */
bool lea_bracket_end(struct lea_worker *m);

/*
 * Without a processor: come back to the one that it stepped aside from, or take an idle one, the
 * last one first.
 */
bool lea_proc_reacquire(struct lea_worker *m);

/*
 * A thread runs on wherever there is room, with the kernel's usual slice: it computes without a
 * processor. tid 0: the calling one.
 */
void lea_worker_spread(const struct lea_runtime *rt, int tid);

/* May one more worker compute without a processor? */
bool lea_burning_room(const struct lea_runtime *rt);

/* The calling worker goes on in user code without a processor. */
void lea_worker_burns(struct lea_worker *m);

/*
 * The calling worker is none of those any more, and runs on wherever there is room: its coroutine
 * is bound.
 */
void lea_worker_unwatched(struct lea_worker *m);

/*
 * What the calling worker begins now, a child process say, inherits from its thread, and is to run
 * wherever there is room. In a bracket; it settles afterwards.
 */
void lea_worker_loosen(struct lea_worker *m);

/*
 * It has a processor (again), or nothing to run: the end of what the calls above began. No lock
 * held.
 */
void lea_worker_settle(struct lea_worker *m);

/*
 * How a run ends for a thread that is still in a coroutine's user code: at its next entry it sleeps
 * for ever.
 */
void lea_worker_sleep_for_ever(void) __attribute__((noreturn));

#endif
