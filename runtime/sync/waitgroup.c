/*
 * A count of work under way. Contract: include/leat/sync.h.
 *
 * One word decides everything, so that adding and taking are one atomic each:
 *   bit  0        WAITERS  the list is not empty, or the one who took the last is on its way to
 *        empty it
 *   bit  1        LOCK     of the list
 *   bits 2..31    number of the wake-up that comes next
 *   bits 32..63   the count, signed
 *
 * Whoever brings the count to 0 while WAITERS is set is the waker: it takes the LOCK, claims all,
 * and drops the LOCK, clears WAITERS and counts the wake-up in one step, its last touch. Until then
 * (count 0, WAITERS) is on the word, and everybody who sees that waits for the number to move on: a
 * new waiter before it returns, one that was claimed before it returns, and an add before it
 * returns. Therefore
 *  - nobody returns 0, and frees the waitgroup, before the last touch of whoever might still touch
 *    it;
 *  - there is one waker at a time: what was added during a wake-up cannot be done before that add
 *    has returned.
 *
 * The count is changed in a solo section where that may be (sched/solo.h); whoever changes the word
 * by a locked instruction heeds.
 *
 * Ordering pair WG-DONE: the add in leat_wg_done (and those after it on the same word) -> the
 * acquire load in leat_wg_wait.
 */
#include "base/delay.h"
#include "base/mutant.h"
#include "sched/solo.h"
#include "sched/waiter.h"
#include "sched/wrong.h"

#include <errno.h>
#include <leat/sync.h>

#define WAITERS ((uintptr_t)1)
#define LOCK ((uintptr_t)2)
#define WAKE_ONE ((uintptr_t)4)
#define LOW_MASK ((uintptr_t)UINT32_MAX)
#define WAKE_MASK (LOW_MASK & ~(WAITERS | LOCK))
#define COUNT_SHIFT 32
#define COUNT_ONE ((uintptr_t)1 << COUNT_SHIFT)
#define COUNT_MASK (~LOW_MASK)

struct waitgroup {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
    uint64_t unused;
};
_Static_assert(sizeof(struct waitgroup) == sizeof(leat_waitgroup), "the public size is fixed");
_Static_assert(sizeof(uintptr_t) == 8, "the count and the number of wake-ups share a word");

static inline struct waitgroup *inner(leat_waitgroup *wg)
{
    return (struct waitgroup *)(void *)wg;
}

static inline int64_t count_of(uintptr_t word)
{
    return (int64_t)word >> COUNT_SHIFT;
}

/* A waker is under way: wait for its last touch. `w` was read while it was. */
static void wakeup_over(struct waitgroup *wg, uintptr_t w)
{
    unsigned round = 0;

    while (((lea_word_load_acq(&wg->word) ^ w) & WAKE_MASK) == 0) /* WG-DONE */
        lea_relax(&round);
}

static void list_lock(struct waitgroup *wg)
{
    unsigned round = 0;

    lea_solo_heed();
    for (;;) {
        uintptr_t w = lea_word_load_rlx(&wg->word); /* relaxed: the CAS decides */

        if (LEA_LIKELY(!(w & LOCK)) && lea_word_cas(&wg->word, w, w | LOCK))
            return;
        lea_relax(&round);
    }
}

/* The count has reached 0, and there are waiters. */
static __attribute__((noinline)) void wake_all(struct waitgroup *wg)
{
    struct lea_worker *m = lea_solo_enter_any();
    struct lea_wakes wakes;
    struct lea_waiter *waiter;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    list_lock(wg);
    while ((waiter = lea_waiters_pop(&wg->waiters)))
        (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);
    do
        w = lea_word_load_rlx(&wg->word); /* relaxed: the CAS decides */
    while (!lea_word_cas(&wg->word, w, (w & COUNT_MASK) | ((w + WAKE_ONE) & WAKE_MASK)));
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

/* The count was, is or was to be 0 or less, or is out of range. */
static __attribute__((noinline)) void add_slow(struct waitgroup *wg, uintptr_t old, int n,
                                               const char *call)
{
    int64_t before = count_of(old);

    LEA_RIGHT(before + n >= 0 && before + n <= INT32_MAX, call,
              "waitgroup %p has the count %lld, %d more are out of its range of 0 to %d",
              (void *)wg, (long long)before, n, INT32_MAX);
    if (!(old & WAITERS) || n == 0)
        return;
    if (before + n == 0)
        wake_all(wg);
    else if (before == 0)
        wakeup_over(wg, old);
}

/* Without a solo section, but in a bracket where there is one. */
static __attribute__((noinline)) uintptr_t word_add_bracketed(struct waitgroup *wg, uintptr_t by)
{
    struct lea_worker *m = lea_solo_enter_once();
    uintptr_t old;

    lea_solo_heed();
    old = lea_word_add(&wg->word, by); /* WG-DONE */
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return old;
}

/*
 * The one step of an add, where solo sections may be. Returns the word before. A call of its own
 * for so little would cost a third more.
 */
__attribute__((always_inline)) static inline uintptr_t word_add_solo(struct waitgroup *wg,
                                                                     uintptr_t by)
{
    struct lea_worker *m = lea_solo_enter(0);
    uintptr_t old;

    if (LEA_UNLIKELY(!m))
        return word_add_bracketed(wg, by);
    if (LEA_LIKELY(lea_solo_begin())) {
        old = lea_word_load_acq(&wg->word);      /* WG-DONE */
        lea_word_store_rel(&wg->word, old + by); /* WG-DONE */
        lea_solo_end();
    } else {
        old = lea_word_add(&wg->word, by); /* WG-DONE; the holder, in a bracket */
    }
    lea_leave(m);
    return old;
}

/* And elsewhere. */
static inline uintptr_t word_add(struct waitgroup *wg, uintptr_t by)
{
    lea_solo_heed();
    return lea_word_add(&wg->word, by); /* WG-DONE */
}

static inline uintptr_t by_of(int n)
{
    return (uintptr_t)(intptr_t)n << COUNT_SHIFT;
}

/* n were added, to the word that was. */
static inline void added(struct waitgroup *wg, uintptr_t old, int n)
{
    int64_t before = count_of(old), now = before + n;

    if (LEA_UNLIKELY(now <= 0 || now > INT32_MAX || ((old & WAITERS) && before == 0)))
        add_slow(wg, old, n, "leat_wg_add");
}

static __attribute__((noinline)) void add_solo(struct waitgroup *wg, int n)
{
    added(wg, word_add_solo(wg, by_of(n)), n);
}

void leat_wg_add(leat_waitgroup *group, int n)
{
    struct waitgroup *wg = inner(group);

    if (LEA_UNLIKELY(lea_solo_may()))
        add_solo(wg, n);
    else
        added(wg, word_add(wg, by_of(n)), n);
}

static inline void done(struct waitgroup *wg, uintptr_t old)
{
    lea_delay_point(WG_DONE);
    if (LEA_UNLIKELY((intptr_t)old < (intptr_t)(2 * COUNT_ONE)))
        add_slow(wg, old, -1, "leat_wg_done");
}

static __attribute__((noinline)) void done_solo(struct waitgroup *wg)
{
    done(wg, word_add_solo(wg, by_of(-1)));
}

void leat_wg_done(leat_waitgroup *group)
{
    struct waitgroup *wg = inner(group);

    if (LEA_UNLIKELY(lea_solo_may()))
        done_solo(wg);
    else
        done(wg, word_add(wg, by_of(-1)));
}

/*
 * Into the list. False: the count is 0 (and no waker is left to touch the waitgroup). *seen: the
 * word then.
 */
static bool enqueue(struct waitgroup *wg, struct lea_waiter *waiter, uintptr_t *seen)
{
    unsigned round = 0;
    uintptr_t w;

    lea_solo_heed();
    for (;;) {
        w = lea_word_load_acq(&wg->word); /* WG-DONE */
        if (count_of(w) == 0) {
            if (w & WAITERS)
                wakeup_over(wg, w);
            return false;
        }
        if (LEA_LIKELY(!(w & LOCK)) && lea_word_cas(&wg->word, w, w | LOCK))
            break;
        lea_relax(&round);
    }
    lea_waiters_push_back(&wg->waiters, waiter);
    for (;;) {
        w = lea_word_load_acq(&wg->word); /* WG-DONE */
        /* it has become 0, and nobody was there to wake */
        if (LEA_UNLIKELY(count_of(w) == 0 && !(w & WAITERS)) && !LEA_MUTATED(WG_NO_SECOND_LOOK)) {
            lea_waiters_del(&wg->waiters, waiter);
            if (lea_word_cas(&wg->word, w, w & ~LOCK))
                return false;
            lea_waiters_push_back(&wg->waiters, waiter); /* an add came between */
        } else if (lea_word_cas(&wg->word, w, (w | WAITERS) & ~LOCK)) {
            *seen = w;
            return true;
        }
    }
}

/* The wait ended by deadline or cancellation. */
static void dequeue(struct waitgroup *wg, struct lea_waiter *waiter)
{
    uintptr_t w, next;

    list_lock(wg);
    if (waiter->queued)
        lea_waiters_del(&wg->waiters, waiter);
    do {
        w = lea_word_load_rlx(&wg->word); /* relaxed: the CAS decides */
        next = w & ~LOCK;
        /* with count 0 a waker is on its way, and clears it */
        if (count_of(w) != 0 && !lea_waiters_first(&wg->waiters))
            next &= ~WAITERS;
    } while (!lea_word_cas(&wg->word, w, next));
}

static __attribute__((noinline)) int wait_slow(struct waitgroup *wg, int64_t until_ns)
{
    struct lea_worker *m = lea_enter_park();
    struct lea_waiter waiter;
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t seen;

    lea_waiter_begin(&waiter, m);
    if (LEA_LIKELY(m != NULL))
        lea_co_waits_for(m->co, wg);
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co))) {
        code = LEA_WAKE_CANCEL;
    } else if (enqueue(wg, &waiter, &seen)) {
        code = lea_waiter_wait(&waiter, &m, LEA_REASON_WAITGROUP, until_ns, false);
        if (LEA_UNLIKELY(code != LEA_WAKE_DONE))
            dequeue(wg, &waiter);
        else if (!LEA_MUTATED(WG_LAST_TOUCH))
            wakeup_over(wg, seen);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

int leat_wg_wait(leat_waitgroup *group, leat_deadline until)
{
    struct waitgroup *wg = inner(group);
    uintptr_t w = lea_word_load_acq(&wg->word); /* WG-DONE */
    struct lea_worker *m;

    if (count_of(w) != 0 || (w & WAITERS))
        return wait_slow(wg, until.ns);
    m = lea_self();
    return m && LEA_UNLIKELY(lea_co_cancelled(m->co)) ? -ECANCELED : 0;
}

void leat_wg_destroy(leat_waitgroup *group)
{
    const struct waitgroup *wg = inner(group);
    uintptr_t w = lea_word_load_acq(&wg->word); /* WG-DONE */

    LEA_RIGHT(count_of(w) == 0, "leat_wg_destroy", "waitgroup %p has the count %lld",
              (const void *)wg, (long long)count_of(w));
    LEA_RIGHT(!(w & (WAITERS | LOCK)), "leat_wg_destroy", "waitgroup %p is waited for",
              (const void *)wg);
}
