/*
 * sched/waiter.h - one waiter of an object of chan, sync or scope: a coroutine, or a plain thread
 * that sleeps in the kernel. Lives on the stack of the function that waits. A select has one for
 * each of its cases: all with one ticket, or one thread's word (case.h).
 *
 * The object's lock guards the list and `queued`. Who ends a wait takes the waiter off the list and
 * claims it under the lock (collect), drops the lock, and delivers (lea_wakes). A waiter whose wait
 * ended otherwise takes itself off, under the lock.
 *
 * When a waiter's frame may vanish:
 *  coroutine     as soon as it is claimed: the claimer never looks at the waiter again. If it had
 *                not parked yet it runs on at once, while the claimer still holds the object's
 *                lock. A waiter that may free the object must see that lock dropped first.
 *  plain thread  when its word says how the wait ended, and that is the last store of the delivery.
 *                The kernel is then given the word's address only, and a stray wake-up hits nobody:
 *                all who sleep look again.
 *
 * Ordering pairs.
 *  THREAD-WAKE  the delivery's release store of the word -> its acquire load in the wait.
 *  WAITER-TOLD  the delivery's release store of the word of a coroutine that was claimed before it
 *               had parked -> its acquire load in
 *               lea_waiter_told: the claimer has done with the object and with the waiter.
 *  WAITER-LOST  the claimer that came too late, its release store of the word of a coroutine that
 *               it took off the list -> the acquire load of who leaves the list: the same.
 */
#ifndef LEA_SCHED_WAITER_H
#define LEA_SCHED_WAITER_H

#include "sched/sched.h"

/* What a plain thread's word says. From ENDED on: ENDED + enum lea_wake. */
enum lea_thread_wait {
    LEA_THREAD_WAITS,
    LEA_THREAD_CLAIMED, /* a claimer has it in its hands, and will say how the wait ended */
    LEA_THREAD_GAVE_UP, /* the deadline passed first */
    LEA_THREAD_ENDED,
};

struct lea_waiter {
    struct lea_node node;
    struct lea_co *co; /* NULL: a plain thread */
    union {
        uintptr_t ticket; /* of the coroutine's wait */
        /* plain thread: whose fields below count; itself, unless it is a case of a select */
        struct lea_waiter *lead;
    };
    struct lea_waiter *next; /* among the threads to wake; the claimer's */
    /* plain thread: enum lea_thread_wait; a futex. Coroutine: lea_waiter_claim_one() */
    lea_u32 word;
    uint8_t code; /* plain thread: enum lea_wake, on its way */
    bool queued;  /* in a list */
    bool lost;    /* taken off the list by a claimer that came too late */
    bool mark;    /* for the object: says something between claimer and waiter */
};

/*
 * One round of waiting for another thread that is in the middle of some dozens of instructions;
 * long ones if that one was descheduled.
 */
void lea_relax(unsigned *round);

/* A list of waiters. Zero is a valid empty one. */
struct lea_waiters {
    struct lea_node *first; /* a ring: the last one is before the first */
};

/* Claimed waiters, on their way from under a lock. */
struct lea_wakes {
    struct lea_ready_list ready;
    struct lea_waiter *threads;
    struct lea_runtime *rt; /* NULL: no run is under way, so there are plain threads only */
};

/* To the back; the caller says that it is `queued`. */
static inline void lea_waiters_link(struct lea_waiters *l, struct lea_waiter *w)
{
    if (l->first) {
        lea_list_push_back(l->first, &w->node);
    } else {
        lea_list_init(&w->node);
        l->first = &w->node;
    }
}

static inline void lea_waiters_push_back(struct lea_waiters *l, struct lea_waiter *w)
{
    lea_waiters_link(l, w);
    w->queued = true;
}

static inline void lea_waiters_push_front(struct lea_waiters *l, struct lea_waiter *w)
{
    lea_waiters_push_back(l, w);
    l->first = &w->node;
}

static inline struct lea_waiter *lea_waiters_first(const struct lea_waiters *l)
{
    return l->first ? lea_container(l->first, struct lea_waiter, node) : NULL;
}

static inline void lea_waiters_del(struct lea_waiters *l, struct lea_waiter *w)
{
    if (l->first == &w->node)
        l->first = w->node.next == &w->node ? NULL : w->node.next;
    lea_list_del(&w->node);
    w->queued = false;
}

/* It is the first one. Its node is left as it is. */
static inline void lea_waiters_drop(struct lea_waiters *l, struct lea_waiter *first)
{
    struct lea_node *next = first->node.next, *last = first->node.prev;

    first->queued = false;
    if (next == &first->node) {
        l->first = NULL;
        return;
    }
    last->next = next;
    next->prev = last;
    l->first = next;
}

/* There is a first one. */
static inline void lea_waiters_drop_first(struct lea_waiters *l)
{
    lea_waiters_drop(l, lea_container(l->first, struct lea_waiter, node));
}

static inline struct lea_waiter *lea_waiters_pop(struct lea_waiters *l)
{
    struct lea_waiter *w = lea_waiters_first(l);

    if (w)
        lea_waiters_drop_first(l);
    return w;
}

/* Before the waiter is put into a list. The running coroutine's. */
static inline void lea_waiter_begin_co(struct lea_waiter *w, struct lea_co *co)
{
    w->queued = false;
    w->lost = false;
    w->mark = false;
    w->co = co;
    w->ticket = lea_co_ticket(co);
}

/* Before the waiter is put into a list. @m: NULL on a plain thread. */
static inline void lea_waiter_begin(struct lea_waiter *w, struct lea_worker *m)
{
    if (LEA_LIKELY(m != NULL)) {
        lea_waiter_begin_co(w, m->co);
    } else {
        w->queued = false;
        w->lost = false;
        w->mark = false;
        w->co = NULL;
        w->lead = w;
        lea_u32_store_rlx(&w->word, LEA_THREAD_WAITS); /* relaxed: the object's lock publishes it */
    }
}

/*
 * Wait until somebody claims it, until the deadline, or (a coroutine, unless shielded) until it is
 * cancelled. Returns how the wait ended. A waiter that was not claimed may still be `queued`. No
 * lock held.
 */
enum lea_wake lea_waiter_wait(struct lea_waiter *w, struct lea_worker **m, enum lea_reason reason,
                              int64_t until_ns, bool shielded);

/* Of threads only; lea_waiter_claim() */
bool lea_waiter_claim_thread(struct lea_waiter *w, enum lea_wake code, struct lea_wakes *wakes);

/*
 * End its wait, under the object's lock, after it was taken off the list. False: it has ended
 * otherwise; whoever waits then still has to take that lock. Hands off the waiter afterwards.
 */
static inline bool lea_waiter_claim(struct lea_waiter *w, enum lea_wake code,
                                    struct lea_wakes *wakes)
{
    bool claimed = LEA_LIKELY(w->co != NULL)
                       ? lea_co_claim_to(w->co, w->ticket, code, &wakes->ready)
                       : lea_waiter_claim_thread(w, code, wakes);

    if (LEA_UNLIKELY(!claimed))
        w->lost = true;
    return claimed;
}

/* Has its wait not been ended yet? Under the object's lock; true may not hold any more. */
static inline bool lea_waiter_waits(const struct lea_waiter *w)
{
    if (LEA_UNLIKELY(!w->co))
        /* relaxed: the claim decides */
        return lea_u32_load_rlx(&w->lead->word) == LEA_THREAD_WAITS;
    return lea_co_ticket(w->co) == w->ticket;
}

/*
 * At most one claimed waiter, on its way from under a lock: what an operation that serves one
 * waiter needs. All zero: none.
 *
 * Whoever is served so goes on only after the delivery, which comes after the lock was dropped, and
 * need not look at the object again: either side may free it then. One that had not parked yet is
 * told by its `word` (lea_waiter_told).
 * Ordering pair WAITER-TOLD: the release store of `word` in the delivery -> its acquire load in
 * lea_waiter_told.
 *
 * A claimer that takes it off the list and comes too late says that as well, and that is its last
 * touch of the waiter: who finds either there need not take the lock to leave the list.
 */
enum lea_served { LEA_SERVED_NOT, LEA_SERVED_TOLD, LEA_SERVED_LOST };

struct lea_woken {
    struct lea_co *co;         /* to be made ready */
    struct lea_waiter *thread; /* to be woken; its lead */
    struct lea_waiter *early;  /* to be told */
};

/* Whom to wake for a thread's waiter, which is claimed now; NULL: it has ended otherwise. */
struct lea_waiter *lea_waiter_claim_one_thread(struct lea_waiter *w, enum lea_wake code);

/* Before a coroutine's waiter is put into a list of an object that serves so. */
static inline void lea_waiter_begin_served(struct lea_waiter *w)
{
    /* relaxed: the object's lock publishes it */
    lea_u32_store_rlx(&w->word, LEA_SERVED_NOT);
}

/* The same as both of one that is in its list, in a solo section. */
static inline void lea_waiter_begin_solo(struct lea_waiter *w, struct lea_co *co, uintptr_t ticket)
{
    w->co = co;
    w->ticket = ticket;
    lea_waiter_begin_served(w);
    w->code = 0;
    w->queued = true;
    w->lost = false;
    w->mark = true;
}

/* Of a coroutine that had parked: it need not wait for more when it goes on. */
static inline void lea_waiter_tell(struct lea_waiter *w)
{
    lea_u32_store_rlx(&w->word, LEA_SERVED_TOLD); /* relaxed: making it ready publishes it */
}

/* Of a coroutine that was taken off the list, and whose wait has ended otherwise. */
static inline void lea_waiter_tell_lost(struct lea_waiter *w)
{
    w->lost = true;
    if (LEA_MUTATED(WAITER_LOST_RELAXED))
        lea_u32_store_rlx(&w->word, LEA_SERVED_LOST);
    else
        lea_u32_store_rel(&w->word, LEA_SERVED_LOST); /* WAITER-LOST. The frame may be gone now */
}

/* By a coroutine that was claimed so: its claimer has done with the object, and with the waiter. */
static inline void lea_waiter_told(const struct lea_waiter *w)
{
    unsigned round = 0;

    /* WAITER-TOLD */
    while (LEA_UNLIKELY(!lea_u32_load_acq(&w->word)) && !LEA_MUTATED(WAITER_NOT_TOLD))
        lea_relax(&round);
}

/* As lea_waiter_claim(), but the waiter goes on after the delivery only. */
static inline bool lea_waiter_claim_one(struct lea_waiter *w, enum lea_wake code,
                                        struct lea_woken *woken)
{
    if (LEA_LIKELY(w->co != NULL)) {
        enum lea_claim claim = lea_co_claim(w->co, w->ticket, code);

        if (LEA_LIKELY(claim == LEA_CLAIM_PARKED)) {
            woken->co = w->co;
            lea_waiter_tell(w);
        } else if (claim == LEA_CLAIM_RUNNING) {
            woken->early = w;
            if (LEA_MUTATED(WAITER_TOLD_EARLY))
                lea_u32_store_rel(&w->word, LEA_SERVED_TOLD);
        } else {
            lea_waiter_tell_lost(w);
        }
        return claim != LEA_CLAIM_LOST;
    }
    woken->thread = lea_waiter_claim_one_thread(w, code);
    if (LEA_UNLIKELY(!woken->thread))
        w->lost = true;
    return woken->thread != NULL;
}

/*
 * Before the object's lock is taken: coroutines can be claimed while the run is there, so a plain
 * thread holds it.
 */
static inline void lea_wakes_begin(struct lea_wakes *wakes, struct lea_worker *m)
{
    lea_ready_list_init(&wakes->ready);
    wakes->threads = NULL;
    wakes->rt = LEA_LIKELY(m != NULL) ? m->rt : lea_rt_hold();
}

/* Wake the threads of the list. */
void lea_wakes_threads(struct lea_waiter *threads);

/*
 * By a plain thread that found no run before it took the object's lock, and has claimed coroutines:
 * they are of one that has begun since, or were left over by the end of theirs.
 */
void lea_wakes_late(struct lea_ready_list *ready);
void lea_wakes_late_one(struct lea_co *co);

/*
 * Let all that were claimed go on; ends what lea_wakes_begin() began. No sync or scope lock held.
 */
static inline void lea_wakes_deliver(struct lea_wakes *wakes, struct lea_worker *m)
{
    if (wakes->ready.n) {
        if (LEA_LIKELY(wakes->rt != NULL))
            lea_ready_list_all(wakes->rt, m, &wakes->ready);
        else
            lea_wakes_late(&wakes->ready);
    }
    if (LEA_UNLIKELY(wakes->threads != NULL))
        lea_wakes_threads(wakes->threads);
    if (LEA_UNLIKELY(!m && wakes->rt))
        lea_rt_drop();
}

/*
 * Let the one that was claimed go on. @rt: NULL if no run was under way, as in lea_wakes_begin().
 * No chan, sync or scope lock held.
 */
static inline void lea_woken_deliver(const struct lea_woken *woken, struct lea_worker *m,
                                     struct lea_runtime *rt)
{
    if (woken->co && (m || LEA_LIKELY(rt != NULL)))
        lea_ready(rt, m, woken->co);
    else if (LEA_UNLIKELY(woken->co != NULL))
        lea_wakes_late_one(woken->co);
    else if (LEA_UNLIKELY(woken->thread != NULL))
        lea_wakes_threads(woken->thread);
    else if (LEA_UNLIKELY(woken->early != NULL))
        /* WAITER-TOLD. From here on the frame may be gone */
        lea_u32_store_rel(&woken->early->word, LEA_SERVED_TOLD);
}

/*
 * For a waiter that was claimed and is about to free the object: the claimer has dropped the
 * object's lock, which was its last touch. Pair LOCK (lock.h), and the claim: the claimer held the
 * lock when it claimed.
 */
static inline void lea_lock_passed(struct lea_lock *lock)
{
    if (LEA_UNLIKELY(lea_u32_load_acq(&lock->word) != 0)) {
        lea_lock_take(lock);
        lea_lock_drop(lock);
    }
}

#endif
