/*
 * A function that runs once. Contract: include/leat/sync.h.
 *
 *   bit 0  LOCK     of the list (word.h)
 *   bit 1  DONE     alone in the word: the header's fast path is one load and compares with it
 *   bit 2  RUNNING  somebody is in the function; the upper bits are the address of the object then
 *   bit 3  WAITERS  the list is not empty
 *
 * DONE appears in the store that drops the lock, after all waiters were claimed: the last touch.
 *
 * Ordering pair ONCE: the store of DONE -> the acquire load that sees it, in the header too.
 */
#include "base/mutant.h"
#include "base/os.h"
#include "sched/wrong.h"
#include "sync/word.h"

#include <errno.h>
#include <leat/sync.h>

#define DONE ((uintptr_t)LEAT_ONCE_DONE_)
#define RUNNING ((uintptr_t)4)
#define WAITERS ((uintptr_t)8)
#define FLAGS ((uintptr_t)15)
#define TAG_SHIFT 1 /* an address is a multiple of 8 */

struct once {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
    lea_word runner;            /* who is in the function: whoami() */
};
_Static_assert(sizeof(struct once) == sizeof(leat_once), "the public size is fixed");

static inline uintptr_t tag(const struct once *x)
{
    return (uintptr_t)x << TAG_SHIFT;
}

/* Tells apart who may wait for whom: coroutines by address, threads by their odd number. */
static uintptr_t whoami(const struct lea_worker *m)
{
    return m ? (uintptr_t)m->co : (uintptr_t)lea_os_gettid() << 1 | 1;
}

static void check_not_copied(const struct once *x, uintptr_t w, const char *call)
{
    LEA_RIGHT((w & ~FLAGS) == tag(x), call, "once %p is a copy of %p, made while that was running",
              (const void *)x, (void *)((w & ~FLAGS) >> TAG_SHIFT));
}

static void finish(struct once *x)
{
    struct lea_worker *m = lea_enter();
    struct lea_wakes wakes;
    struct lea_waiter *waiter;

    lea_wakes_begin(&wakes, m);
    (void)lea_word_lock(&x->word);
    lea_word_store_rlx(&x->runner, 0); /* relaxed: a hint for reports and checks */
    while ((waiter = lea_waiters_pop(&x->waiters)))
        (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);
    lea_word_unlock(&x->word, DONE); /* ONCE */
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

static void run(struct once *x, void (*fn)(void *), void *arg, const struct lea_worker *m)
{
    lea_word_store_rlx(&x->runner, whoami(m)); /* relaxed: only we ask whether it is us */
    fn(arg);
    finish(x);
}

/* The wait ended by deadline or cancellation. */
static void dequeue(struct once *x, struct lea_waiter *waiter)
{
    uintptr_t w = lea_word_lock(&x->word);

    if (waiter->queued)
        lea_waiters_del(&x->waiters, waiter);
    if (!lea_waiters_first(&x->waiters))
        w &= ~WAITERS;
    lea_word_unlock(&x->word, w);
}

static int wait(struct once *x, int64_t until_ns, bool shielded, const char *call)
{
    struct lea_worker *m = lea_enter_park();
    struct lea_waiter waiter;
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t w;

    LEA_RIGHT(lea_word_load_rlx(&x->runner) != whoami(m), call, /* relaxed: ours if it is us */
              "the function of once %p waits for itself", (void *)x);
    lea_waiter_begin(&waiter, m);
    w = lea_word_lock(&x->word);
    if (!(w & RUNNING)) {
        lea_word_unlock(&x->word, w);
    } else {
        lea_waiters_push_back(&x->waiters, &waiter);
        lea_word_unlock(&x->word, w | WAITERS);
        if (m)
            lea_co_waits_for(m->co, x);
        code = lea_waiter_wait(&waiter, &m, LEA_REASON_ONCE, until_ns, shielded);
        if (LEA_UNLIKELY(code != LEA_WAKE_DONE))
            dequeue(x, &waiter);
        else
            /* who comes back looks again, and would wait for the lock then */
            lea_word_passed(&x->word);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

/* Run it, or find that somebody has. -EAGAIN: somebody is at it. */
static int try(struct once *x, void (*fn)(void *), void *arg, const char *call)
{
    unsigned round = 0;

    for (;;) {
        uintptr_t w = lea_word_load_acq(&x->word); /* ONCE */

        if (w == DONE)
            return 0;
        if (w & RUNNING) {
            check_not_copied(x, w, call);
            return -EAGAIN;
        }
        if (LEA_MUTATED(ONCE_TWO_STEPS) && w == 0) {
            lea_word_store_rel(&x->word, tag(x) | RUNNING);
        } else if (!lea_word_cas(&x->word, 0, tag(x) | RUNNING)) {
            lea_relax(&round); /* somebody who is about to wait looks under LOCK first */
            continue;
        }
        run(x, fn, arg, lea_self());
        return 0;
    }
}

void leat_once_do_slow_(leat_once *once, void (*fn)(void *), void *arg)
{
    struct once *x = (struct once *)(void *)once;

    LEA_RIGHT(fn, "leat_once_do", "the function of once %p is NULL", (void *)x);
    while (try(x, fn, arg, "leat_once_do") != 0)
        (void)wait(x, INT64_MAX, true, "leat_once_do");
}

int leat_once_do_until(leat_once *once, void (*fn)(void *), void *arg, leat_deadline until)
{
    struct once *x = (struct once *)(void *)once;
    struct lea_worker *m = lea_self();
    int r = 0;

    if (!fn)
        return -EINVAL;
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co)))
        return -ECANCELED;
    while (r == 0 && (r = try(x, fn, arg, "leat_once_do_until")) == -EAGAIN)
        r = wait(x, until.ns, false, "leat_once_do_until");
    return r;
}

int leat_once_try(leat_once *once, void (*fn)(void *), void *arg)
{
    if (!fn)
        return -EINVAL;
    return try((struct once *)(void *)once, fn, arg, "leat_once_try");
}

void leat_once_destroy(leat_once *once)
{
    const struct once *x = (const struct once *)(const void *)once;

    LEA_RIGHT(!(lea_word_load_acq(&x->word) & RUNNING), "leat_once_destroy", /* ONCE */
              "the function of once %p is running", (const void *)x);
}
