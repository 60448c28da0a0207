/*
 * sched/idle.h - who sleeps, who searches, who is woken.
 *
 * A processor with nothing to run is idle: its bit is in the mask, and its worker sleeps with it,
 * on its sleep word or (one of them, the watcher) in the poller. Whoever clears the bit by CAS has
 * claimed processor and worker, and must hand the worker a token.
 *
 * Always:
 *  - A sleeper's bit is set before it counts in nr_idle, and cleared before it ceases to count. The
 *    count is the word that submitters read; the mask only answers "which one?", and is scanned
 *    after the count was seen.
 *  - A worker that looks for work elsewhere is counted in nr_searching; at most half of the busy
 *    processors may search, and whoever has seen something in its last look.
 *  - A submitter wakes one worker, and only if nobody searches. A searcher that finds work wakes
 *    its successor. Who gives coroutines to a processor, or adds a timer to it, wakes that one,
 *    whoever searches.
 *  - Small work stays where it is. Moving a coroutine to another CPU costs several cache misses,
 *    waking a thread 5 to 30 µs. Every processor learns how long its turns usually take; while that
 *    is less than a move (lea_proc_small), a push into its ring or onto its stack of new ones only
 *    owes a wake-up, and thieves leave it alone, until a coroutine has waited there for LEA_AGE_NS.
 *    The owner looks at every 61st turn, an awake thief itself at the ring, the monitor when the
 *    turn goes on. Whoever was woken steals at once. The oldest new one is the root of more than it
 *    is itself: an awake thief takes it when its owner has seen it for 30 µs (find.c).
 *  - Brief work stays there too (lea_proc_brief): a ring that its owner empties before anybody who
 *    is woken for it could begin. A batch of timers, and several woken at once where work is
 *    small too, only owe their wake-up then, thieves leave them alone as small work, and a worker
 *    goes to sleep beside them. A searcher that found work wakes a successor only for what is
 *    neither.
 *  - Small work that several processors share in fact, since its coroutines wake each other across
 *    them, is gathered on one of them if that one does about as much as all did. There turns are
 *    small up to LEA_GATHER_TURN_NS (gather.h).
 *  - A run whose monitor could not be had owes nothing (lea_proc.unwatched): no work is small,
 *    nothing is gathered, and a slot counts as work.
 *
 * Ordering pairs (law 3; on both sides a write, a full fence, a read).
 *  IDLE-LOOK    submitter: queue tail, fence, reads nr_idle and nr_searching  |  sleeper: nr_idle +
 *               1, nr_searching - 1, fence, reads every queue again. So one of them sees the other.
 *               What only owes its wake-up (a first one in an empty slot, small or brief work) is
 *               not counted as work there; the owner and the monitor see to it within some
 *               milliseconds. A sleeper that was searching and finds something then wakes a
 *               successor: submitters may have relied on its search before it was counted out.
 *               A watcher that has lost its processor meanwhile: watcher = 0, fence, reads nr_idle
 *               and wakes one  |  sleeper: nr_idle + 1, fence,
 *               CAS of watcher. So one of the two sees to it that somebody watches.
 *  IDLE-SLEEP   the sleep word is one atomic for both sides: AWAKE -> FUTEX or POLL by the
 *               sleeper's CAS, anything -> TOKEN by the waker's swap. A token that comes first
 *               makes the sleeper's CAS fail.
 *  IDLE-TIMER   a worker without a processor: entry in another one's timers, fence, reads the idle
 *               mask  |  sleeper: its bit, fence, reads the time of its first timer. Its own worker
 *               adds to a processor's timers while it is busy; this is for everybody else.
 *  IDLE-GATHER  who gives its coroutines away: the other one's `over`, fence, reads its idle bit  |
 *               sleeper: its bit, fence, reads its own `over`, even if what is there only owes its
 *               wake-up to others.
 *  MONITOR      worker: nr_idle - 1, fence, reads monitor.asleep  |  monitor: asleep = 1, fence,
 *               reads nr_idle.
 */
#ifndef LEA_SCHED_IDLE_H
#define LEA_SCHED_IDLE_H

#include "base/delay.h"
#include "base/mutant.h"
#include "sched/runtime.h"

#define LEA_SMALL_TURN_NS 250u
#define LEA_GATHER_TURN_NS 4000u /* where shared work is gathered (gather.h) */
#define LEA_FIRST_TURN_NS 1000u  /* before anything is known */
#define LEA_COALESCE_NS 100000
#define LEA_AGE_NS 150000

/* Is the work of this processor of late too small to be worth a move? */
static inline bool lea_proc_small(const struct lea_proc *p)
{
    uint32_t limit = LEA_SMALL_TURN_NS;

    if (LEA_UNLIKELY(lea_u32_load_rlx(&p->gather.here))) /* relaxed, as the next: statistics */
        limit = LEA_GATHER_TURN_NS;
    return lea_u32_load_rlx(&p->turn_ns) < limit;
}

/*
 * Work was published in a queue that others may take from: wake one worker if that is called for.
 * `p`: the submitter's, for counting, or NULL.
 */
void lea_idle_wake_one(struct lea_runtime *rt, struct lea_proc *p);

static inline void lea_idle_published(struct lea_runtime *rt, struct lea_proc *p)
{
    lea_delay_point(IDLE_LOOK);
    if (!LEA_MUTATED(IDLE_SUBMIT_FENCE))
        lea_fence_full(); /* IDLE-LOOK */
    /* relaxed: the fence orders them */
    if (lea_u32_load_rlx(&rt->idle.nr_idle) && !lea_u32_load_rlx(&rt->idle.nr_searching))
        lea_idle_wake_one(rt, p);
}

/* As lea_idle_published(), for the own ring. */
static inline void lea_idle_published_local(struct lea_runtime *rt, struct lea_proc *p)
{
    if (!lea_proc_small(p))
        lea_idle_published(rt, p);
}

/*
 * Somebody else than its owner has added a timer to p: if its worker sleeps, it looks at them
 * again.
 */
void lea_idle_timer_added(struct lea_runtime *rt, struct lea_proc *p);

/*
 * Likewise: another processor has put coroutines into its `over`. `by`: that one, for counting, or
 * NULL.
 */
void lea_idle_given(struct lea_runtime *rt, struct lea_proc *p, struct lea_proc *by);

/* Is this one idle? A hint. (Acquire: what is read next is no older.) */
static inline bool lea_proc_idle(const struct lea_proc *p)
{
    return lea_word_load_acq(&p->rt->idle.mask[p->index / 64]) >> (p->index % 64) & 1;
}

/* Claim some idle processor; its worker sleeps on, or is about to. NULL: none. */
struct lea_proc *lea_idle_claim(struct lea_runtime *rt);

/* Claim this one. */
bool lea_idle_claim_proc(struct lea_runtime *rt, struct lea_proc *p);

/* Hand a token to a worker, and end its sleep. */
void lea_worker_wake(struct lea_runtime *rt, struct lea_worker *m);

/* A token for the caller is on its way this very moment: wait for it, and take it. */
void lea_token_await(struct lea_worker *m);

/*
 * Sleep on the sleep word until a token comes, or until_ns. For workers without a processor. True:
 * a token was taken.
 */
bool lea_worker_sleep(struct lea_worker *m, int64_t until_ns);

/*
 * The worker has seen a token. By a swap and not by a store: the end of the run hands out tokens
 * too, and its own may come on top of another. Either the swap comes after it, and the phase that
 * was stored before it is seen; or the token stays, and the next sleep ends at once.
 */
static inline void lea_token_take(struct lea_worker *m)
{
    if (LEA_MUTATED(IDLE_TOKEN_STORE))
        lea_u32_store_rel(&m->sleep, LEA_SLEEP_AWAKE);
    else
        (void)lea_u32_swap(&m->sleep, LEA_SLEEP_AWAKE); /* IDLE-SLEEP */
}

/*
 * The worker has found nothing: announce, look again, sleep. Returns when there may be something to
 * do; `out` holds what the poller gave.
 */
void lea_idle_wait(struct lea_worker *m, struct lea_ready_list *out);

/* Begin and end to search. Begin: false when enough others do. */
bool lea_search_begin(struct lea_worker *m);
void lea_search_end_found(struct lea_worker *m);

#endif
