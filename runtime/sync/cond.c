/*
 * Waiting for a change of what a mutex protects. Contract: include/leat/sync.h.
 *
 *   bit 0  LOCK     of the list (word.h)
 *   bit 1  WAITERS  the list is not empty; the upper bits are the address of the object then
 *
 * A waiter is in the list before it gives the mutex back, so that whoever changes something under
 * the mutex, and signals then or later, finds it: one load answers "nobody waits", and the mutex
 * orders it. A signal goes to the oldest waiter that can be claimed: one that has given up does not
 * swallow it.
 *
 * A waiter that was claimed waits for the lock to be dropped, which is the last touch of the
 * signal: it may free the condition once it has the mutex again.
 */
#include "base/mutant.h"
#include "sched/wrong.h"
#include "sync/mutex.h"
#include "sync/word.h"

#include <errno.h>

#define WAITERS ((uintptr_t)2)
#define FLAGS ((uintptr_t)3)

struct cond {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
    leat_mutex *mutex;          /* under LOCK: of those in the list */
};
_Static_assert(sizeof(struct cond) == sizeof(leat_cond), "the public size is fixed");

static inline struct cond *inner(leat_cond *cond)
{
    return (struct cond *)(void *)cond;
}

/* Of the next word. LOCK is held. */
static inline uintptr_t word_of(const struct cond *c)
{
    return lea_waiters_first(&c->waiters) ? (uintptr_t)c | WAITERS : 0;
}

static void check_not_copied(const struct cond *c, uintptr_t w, const char *call)
{
    LEA_RIGHT(!(w & WAITERS) || (w & ~FLAGS) == (uintptr_t)c, call,
              "condition %p is a copy of %p, made while that was waited for", (const void *)c,
              (void *)(w & ~FLAGS));
}

/* The wait ended by deadline or cancellation. */
static void dequeue(struct cond *c, struct lea_waiter *waiter)
{
    (void)lea_word_lock(&c->word);
    if (waiter->queued)
        lea_waiters_del(&c->waiters, waiter);
    lea_word_unlock(&c->word, word_of(c));
}

static void enqueue(struct cond *c, struct lea_waiter *waiter, leat_mutex *mutex)
{
    uintptr_t w = lea_word_lock(&c->word);

    check_not_copied(c, w, "leat_cond_wait");
    LEA_RIGHT(!(w & WAITERS) || c->mutex == mutex, "leat_cond_wait",
              "condition %p is waited for with mutex %p, and not with %p", (void *)c,
              (void *)c->mutex, (void *)mutex);
    c->mutex = mutex;
    lea_waiters_push_back(&c->waiters, waiter);
    lea_word_unlock(&c->word, word_of(c));
}

int leat_cond_wait(leat_cond *cond, leat_mutex *mutex, leat_deadline until)
{
    struct cond *c = inner(cond);
    struct lea_worker *m = lea_enter_park();
    struct lea_waiter waiter;
    enum lea_wake code;

    lea_mutex_check_held(mutex, "leat_cond_wait");
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co))) {
        lea_leave(m);
        return -ECANCELED;
    }
    lea_waiter_begin(&waiter, m);
    if (!LEA_MUTATED(COND_UNLOCK_FIRST))
        enqueue(c, &waiter, mutex);
    lea_mutex_unlock(mutex, m, "leat_cond_wait");
    if (LEA_MUTATED(COND_UNLOCK_FIRST))
        enqueue(c, &waiter, mutex);
    if (m)
        lea_co_waits_for(m->co, c);
    code = lea_waiter_wait(&waiter, &m, LEA_REASON_COND, until.ns, false);
    if (LEA_UNLIKELY(code != LEA_WAKE_DONE))
        dequeue(c, &waiter);
    else
        lea_word_passed(&c->word);
    lea_mutex_lock(mutex, &m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

static void wake(struct cond *c, bool all, const char *call)
{
    struct lea_worker *m = lea_enter();
    struct lea_wakes wakes;
    struct lea_waiter *waiter;

    lea_wakes_begin(&wakes, m);
    check_not_copied(c, lea_word_lock(&c->word), call);
    while ((waiter = lea_waiters_pop(&c->waiters))) {
        bool claimed = lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);

        if (!all && (claimed || LEA_MUTATED(COND_SIGNAL_SWALLOWED)))
            break;
    }
    lea_word_unlock(&c->word, word_of(c));
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

void leat_cond_signal(leat_cond *cond)
{
    if (lea_word_load_acq(&inner(cond)->word) & WAITERS) /* WORD, and the mutex */
        wake(inner(cond), false, "leat_cond_signal");
}

void leat_cond_broadcast(leat_cond *cond)
{
    if (lea_word_load_acq(&inner(cond)->word) & WAITERS) /* WORD, and the mutex */
        wake(inner(cond), true, "leat_cond_broadcast");
}

void leat_cond_destroy(leat_cond *cond)
{
    const struct cond *c = inner(cond);

    LEA_RIGHT(lea_word_load_acq(&c->word) == 0, "leat_cond_destroy", /* WORD */
              "condition %p is waited for", (const void *)c);
}
