/*
 * A number of permits. Contract: include/leat/sync.h.
 *
 *   bit  0       LOCK     of the list (word.h)
 *   bit  1       WAITERS  the list is not empty
 *   bits 32..62  permits that are free
 *
 * Waiters are served strictly in order: while there are any, a newcomer queues behind them however
 * few it asks for, and permits that are given back go to the first one as soon as they are enough
 * for it. So one that asks for many is not starved. The permits are taken for a waiter when it is
 * claimed.
 *
 * Last touch: a release without waiters is one CAS; else the store that drops the lock, which a
 * claimed waiter waits for.
 *
 * Ordering pair SEM: the CAS that gives permits back -> the CAS that takes them. To a waiter: the
 * claim.
 */
#include "base/mutant.h"
#include "sched/wrong.h"
#include "sync/word.h"

#include <errno.h>
#include <leat/sync.h>

#define WAITERS ((uintptr_t)2)
#define COUNT_SHIFT LEAT_SEM_SHIFT_
#define FLAGS (((uintptr_t)1 << COUNT_SHIFT) - 1)

struct sem {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
};
_Static_assert(sizeof(struct sem) == sizeof(leat_sem), "the public size is fixed");
_Static_assert(sizeof(uintptr_t) == 8, "the permits and the flags share a word");

struct sem_waiter {
    struct lea_waiter w;
    const struct sem *of;
    unsigned n;
};

static inline struct sem *inner(leat_sem *sem)
{
    return (struct sem *)(void *)sem;
}

static inline uintptr_t permits(unsigned n)
{
    return (uintptr_t)n << COUNT_SHIFT;
}

/* Enough for n, and nobody before us? */
static inline bool take(struct sem *s, unsigned n)
{
    for (;;) {
        uintptr_t w = lea_word_load_rlx(&s->word); /* relaxed: the CAS decides */

        if ((w & FLAGS) || w < permits(n))
            return false;
        if (lea_word_cas(&s->word, w, w - permits(n))) /* SEM */
            return true;
    }
}

/* LOCK is held. Serves who can be served, in order; returns the next word. */
static uintptr_t serve_locked(struct sem *s, uintptr_t w, struct lea_wakes *wakes, const char *call)
{
    struct lea_waiter *first;

    while ((first = lea_waiters_first(&s->waiters))) {
        struct sem_waiter *waiter = lea_container(first, struct sem_waiter, w);
        unsigned n = waiter->n;

        LEA_RIGHT(waiter->of == s, call,
                  "semaphore %p is a copy of %p, made while that was waited for", (void *)s,
                  (const void *)waiter->of);
        if (w < permits(n) && !LEA_MUTATED(SEM_SMALL_FIRST))
            break;
        if (w < permits(n)) {
            first = lea_container(first->node.next, struct lea_waiter, node);
            waiter = lea_container(first, struct sem_waiter, w);
            n = waiter->n;
            if (w < permits(n))
                break;
        }
        lea_waiters_del(&s->waiters, first);
        if (lea_waiter_claim(first, LEA_WAKE_DONE, wakes) || LEA_MUTATED(SEM_GIVEN_TO_NOBODY))
            w -= permits(n);
    }
    return (w & ~FLAGS) | (lea_waiters_first(&s->waiters) ? WAITERS : 0);
}

/* The wait ended by deadline or cancellation: those behind us may have waited for us only. */
static void dequeue(struct sem *s, struct lea_waiter *waiter, struct lea_worker *m)
{
    struct lea_wakes wakes;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    w = lea_word_lock(&s->word);
    if (waiter->queued)
        lea_waiters_del(&s->waiters, waiter);
    if (!LEA_MUTATED(SEM_GAVE_UP))
        w = serve_locked(s, w, &wakes, "leat_sem_acquire");
    lea_word_unlock(&s->word, w);
    lea_wakes_deliver(&wakes, m);
}

static __attribute__((noinline)) int acquire_slow(struct sem *s, unsigned n, int64_t until_ns)
{
    struct lea_worker *m = lea_enter_park();
    struct sem_waiter waiter = {.of = s, .n = n};
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t w;

    lea_waiter_begin(&waiter.w, m);
    w = lea_word_lock(&s->word);
    if (!(w & WAITERS) && w >= permits(n)) {
        lea_word_unlock(&s->word, w - permits(n));
    } else {
        lea_waiters_push_back(&s->waiters, &waiter.w);
        lea_word_unlock(&s->word, w | WAITERS);
        if (m)
            lea_co_waits_for(m->co, s);
        code = lea_waiter_wait(&waiter.w, &m, LEA_REASON_SEM, until_ns, false);
        if (LEA_LIKELY(code == LEA_WAKE_DONE))
            lea_word_passed(&s->word);
        else
            dequeue(s, &waiter.w, m);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

int leat_sem_acquire(leat_sem *sem, unsigned n, leat_deadline until)
{
    struct lea_worker *m = lea_self();

    LEA_RIGHT(n <= INT32_MAX, "leat_sem_acquire", "%u permits are out of range", n);
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co)))
        return -ECANCELED;
    if (LEA_LIKELY(take(inner(sem), n)))
        return 0;
    return acquire_slow(inner(sem), n, until.ns);
}

int leat_sem_try(leat_sem *sem, unsigned n)
{
    struct sem *s = inner(sem);
    unsigned round = 0;

    LEA_RIGHT(n <= INT32_MAX, "leat_sem_try", "%u permits are out of range", n);
    while (!take(s, n)) {
        uintptr_t w = lea_word_load_acq(&s->word); /* WORD */

        if ((w & WAITERS) || (w & ~FLAGS) < permits(n))
            return -EAGAIN;
        lea_relax(&round); /* somebody holds the lock, and may leave the permits there */
    }
    return 0;
}

static void check_range(const struct sem *s, uintptr_t w, unsigned n)
{
    LEA_RIGHT(n <= INT32_MAX && (w >> COUNT_SHIFT) + n <= INT32_MAX, "leat_sem_release",
              "semaphore %p has %lu permits, %u more are out of its range of 0 to %d",
              (const void *)s, (unsigned long)(w >> COUNT_SHIFT), n, INT32_MAX);
}

static __attribute__((noinline)) void release_slow(struct sem *s, unsigned n)
{
    struct lea_worker *m = lea_enter();
    struct lea_wakes wakes;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    w = lea_word_lock(&s->word);
    check_range(s, w, n); /* again: others may have released before us */
    lea_word_unlock(&s->word, serve_locked(s, w + permits(n), &wakes, "leat_sem_release"));
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

void leat_sem_release(leat_sem *sem, unsigned n)
{
    struct sem *s = inner(sem);

    for (;;) {
        uintptr_t w = lea_word_load_rlx(&s->word); /* relaxed: the CAS decides */

        check_range(s, w, n);
        if (w & FLAGS) {
            release_slow(s, n);
            return;
        }
        if (LEA_LIKELY(lea_word_cas(&s->word, w, w + permits(n)))) /* SEM */
            return;
    }
}

void leat_sem_destroy(leat_sem *sem)
{
    const struct sem *s = inner(sem);

    LEA_RIGHT(!(lea_word_load_acq(&s->word) & FLAGS), "leat_sem_destroy", /* SEM */
              "semaphore %p is waited for", (const void *)s);
}
