/*
 * A place where so many meet. Contract: include/leat/sync.h.
 *
 *   bit  0       LOCK of the list (word.h)
 *   bits 1..31   how many a round takes, while a round is under way; else 0
 *   bits 32..63  how many have come to this round
 *
 * The last one to come takes everybody off the list, under the lock: at that instant the round is
 * over, for all who came. A waiter whose deadline or cancellation wins the race against the claim
 * finds itself off the list, and returns as one who has met the others; one that is still in the
 * list takes back that it came. So either all of a round return 0 (one of them 1), or nobody does.
 *
 * Ordering: WORD carries what whoever comes wrote to the last one, the claim (or WORD again) from
 * there to all.
 */
#include "base/mutant.h"
#include "sched/wrong.h"
#include "sync/word.h"

#include <errno.h>
#include <leat/sync.h>

#define COME_SHIFT 32
#define COME_ONE ((uintptr_t)1 << COME_SHIFT)

struct barrier {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
};
_Static_assert(sizeof(struct barrier) == sizeof(leat_barrier), "the public size is fixed");
_Static_assert(sizeof(uintptr_t) == 8, "two counts share a word");

struct barrier_waiter {
    struct lea_waiter w;
    const struct barrier *of;
};

/* LOCK is held, and is dropped. */
static void round_over(struct barrier *b, struct lea_worker *m)
{
    struct lea_wakes wakes;
    struct lea_waiter *waiter;

    lea_wakes_begin(&wakes, m);
    while ((waiter = lea_waiters_pop(&b->waiters))) {
        const struct barrier *of = lea_container(waiter, struct barrier_waiter, w)->of;

        LEA_RIGHT(of == b, "leat_barrier_wait",
                  "barrier %p is a copy of %p, made while that was waited for", (void *)b,
                  (const void *)of);
        (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);
    }
    lea_word_unlock(&b->word, 0);
    lea_wakes_deliver(&wakes, m);
}

/* The wait ended by deadline or cancellation. True: too late, the round is over. */
static bool dequeue(struct barrier *b, struct lea_waiter *waiter)
{
    uintptr_t w = lea_word_lock(&b->word);
    bool over = !waiter->queued && !LEA_MUTATED(BARRIER_HALF_A_ROUND);

    if (waiter->queued) {
        lea_waiters_del(&b->waiters, waiter);
        if (!LEA_MUTATED(BARRIER_COUNTED_STILL))
            w -= COME_ONE;
        if (w < COME_ONE)
            w = 0;
    }
    lea_word_unlock(&b->word, w);
    return over;
}

int leat_barrier_wait(leat_barrier *barrier, unsigned n, leat_deadline until)
{
    struct barrier *b = (struct barrier *)(void *)barrier;
    struct lea_worker *m = lea_enter_park();
    struct barrier_waiter waiter = {.of = b};
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t w, round = (uintptr_t)n << 1;
    int r = 1;

    LEA_RIGHT(n >= 1 && n <= INT32_MAX, "leat_barrier_wait", "%u are no number to meet", n);
    lea_waiter_begin(&waiter.w, m);
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co))) {
        lea_leave(m);
        return -ECANCELED;
    }
    w = lea_word_lock(&b->word);
    LEA_RIGHT(w == 0 || (w & (COME_ONE - 1)) == round, "leat_barrier_wait",
              "barrier %p is one of %lu in this round, and not of %u", (void *)b,
              (unsigned long)((w & (COME_ONE - 1)) >> 1), n);
    if ((w >> COME_SHIFT) + 1 == n) {
        round_over(b, m);
    } else {
        lea_waiters_push_back(&b->waiters, &waiter.w);
        lea_word_unlock(&b->word, ((w >> COME_SHIFT) + 1) << COME_SHIFT | round);
        if (m)
            lea_co_waits_for(m->co, b);
        code = lea_waiter_wait(&waiter.w, &m, LEA_REASON_BARRIER, until.ns, false);
        if (code == LEA_WAKE_DONE)
            lea_word_passed(&b->word);
        else if (dequeue(b, &waiter.w))
            code = LEA_WAKE_DONE;
        r = lea_wake_errno(code);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r;
}

void leat_barrier_destroy(leat_barrier *barrier)
{
    const struct barrier *b = (const struct barrier *)(const void *)barrier;

    LEA_RIGHT(lea_word_load_acq(&b->word) == 0, "leat_barrier_destroy", /* WORD */
              "barrier %p is waited for", (const void *)b);
}
