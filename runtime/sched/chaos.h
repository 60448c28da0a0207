/*
 * sched/chaos.h - LEAT_CHAOS=seed: the scheduler does what it may do, not what is best, so that a
 * program which relies on an order that nobody promises is found out. The next coroutine is a
 * random one of those that are ready here; calls that may park let others in, or go on on another
 * processor; calls that never park give the processor up; any idle worker is woken; threads are
 * held up.
 *
 * Nothing is done that could not happen otherwise. Off, it costs nothing where anything is fast:
 * CHAOS stands in every worker's request word (bracket.h), so that every entry takes the slow path,
 * and turns_left is 3 at most, so that every few turns begin with a look around.
 *
 * Replay: each processor and each worker has a generator of its own, which begins with the seed.
 * With one processor, and a program that asks neither clock nor kernel and whose turns are shorter
 * than the slice, the same seed is the same run; else the same habit.
 */
#ifndef LEA_SCHED_CHAOS_H
#define LEA_SCHED_CHAOS_H

#include "sched/runtime.h"

static inline bool lea_chaos(const struct lea_runtime *rt)
{
    return LEA_UNLIKELY(rt->config.chaos != 0);
}

/* Before the first thread; after the last. At an abort in between the seed is printed. */
void lea_chaos_begin(struct lea_runtime *rt);
void lea_chaos_end(struct lea_runtime *rt);

/* A failure is being reported: name the seed, if there is one. Async-signal-safe. */
void lea_chaos_note(const struct lea_runtime *rt);

void lea_chaos_proc(struct lea_proc *p);     /* a new one */
void lea_chaos_worker(struct lea_worker *m); /* likewise */

/* At an entry: hold the thread up, perhaps. Returns further requests to obey. */
uint32_t lea_chaos_enter(struct lea_worker *m);

/*
 * At the entry of a call that may park, with a processor: let others in, or go elsewhere, or do
 * not.
 */
struct lea_worker *lea_chaos_park(struct lea_worker *m);

/* Owner only, before a turn: shuffle who waits here. */
void lea_chaos_turn(struct lea_proc *p);

/* Claim some idle processor, any. NULL: none. */
struct lea_proc *lea_chaos_claim(struct lea_runtime *rt);

#endif
