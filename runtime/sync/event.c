/*
 * Something has happened: a flag that can be waited for. Contract: include/leat/sync.h.
 *
 *   bit 0  LOCK     of the list (word.h)
 *   bit 1  SET      known to leat_event_is_set() in the header, which is one load
 *   bit 2  WAITERS  the list is not empty; never together with SET outside the lock
 *
 * SET appears in the very store that drops the lock, after all waiters were claimed: who sees it,
 * and frees the event, comes after the last touch of whoever set it.
 *
 * Ordering pair EVENT: the CAS or the store that sets SET -> the acquire load that sees it.
 */
#include "base/mutant.h"
#include "sched/case.h"
#include "sched/wrong.h"
#include "sync/word.h"

#include <errno.h>
#include <leat/sync.h>

#define SET ((uintptr_t)LEAT_EVENT_SET_)
#define WAITERS ((uintptr_t)4)

struct event {
    lea_word word;
    struct lea_waiters waiters; /* under LOCK */
};
_Static_assert(sizeof(struct event) == sizeof(leat_event), "the public size is fixed");

static inline struct event *inner(leat_event *event)
{
    return (struct event *)(void *)event;
}

static __attribute__((noinline)) void set_slow(struct event *e)
{
    struct lea_worker *m = lea_enter();
    struct lea_wakes wakes;
    struct lea_waiter *waiter;

    lea_wakes_begin(&wakes, m);
    (void)lea_word_lock(&e->word);
    while ((waiter = lea_waiters_pop(&e->waiters)))
        (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);
    lea_word_unlock(&e->word, SET); /* EVENT */
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

void leat_event_set(leat_event *event)
{
    struct event *e = inner(event);
    uintptr_t w = lea_word_load_acq(&e->word); /* EVENT */

    while (!(w & SET)) {
        if (w != 0) {
            set_slow(e);
            return;
        }
        if (lea_word_cas(&e->word, 0, SET)) /* EVENT */
            return;
        w = lea_word_load_acq(&e->word); /* EVENT */
    }
}

void leat_event_reset(leat_event *event)
{
    struct event *e = inner(event);

    /* whoever has seen it set may be on its way out still: that is its affair */
    if (lea_word_load_rlx(&e->word) & SET) /* relaxed: the lock decides */
        lea_word_unlock(&e->word, lea_word_lock(&e->word) & ~SET);
}

/* The wait ended by deadline or cancellation. */
static void dequeue(struct event *e, struct lea_waiter *waiter)
{
    uintptr_t w = lea_word_lock(&e->word);

    if (waiter->queued)
        lea_waiters_del(&e->waiters, waiter);
    if (!lea_waiters_first(&e->waiters))
        w &= ~WAITERS;
    lea_word_unlock(&e->word, w);
}

static __attribute__((noinline)) int wait_slow(struct event *e, int64_t until_ns)
{
    struct lea_worker *m = lea_enter_park();
    struct lea_waiter waiter;
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t w;

    lea_waiter_begin(&waiter, m);
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co))) {
        code = LEA_WAKE_CANCEL;
    } else if ((w = lea_word_lock(&e->word)) & SET && !LEA_MUTATED(EVENT_NO_SECOND_LOOK)) {
        lea_word_unlock(&e->word, w);
    } else {
        lea_waiters_push_back(&e->waiters, &waiter);
        lea_word_unlock(&e->word, w | WAITERS);
        if (m)
            lea_co_waits_for(m->co, e);
        code = lea_waiter_wait(&waiter, &m, LEA_REASON_EVENT, until_ns, false);
        if (LEA_UNLIKELY(code != LEA_WAKE_DONE))
            dequeue(e, &waiter);
        else if (!LEA_MUTATED(EVENT_LAST_TOUCH))
            lea_word_passed(&e->word);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

int leat_event_wait(leat_event *event, leat_deadline until)
{
    struct event *e = inner(event);
    struct lea_worker *m;

    if (!(lea_word_load_acq(&e->word) & SET)) /* EVENT */
        return wait_slow(e, until.ns);
    m = lea_self();
    return m && LEA_UNLIKELY(lea_co_cancelled(m->co)) ? -ECANCELED : 0;
}

/* --- as a case of a select --- */

static bool case_ready(leat_case *c, struct lea_worker *m)
{
    (void)m;
    return lea_word_load_acq(&((struct event *)c->object_)->word) & SET; /* EVENT */
}

static bool case_take(leat_case *c, struct lea_select *s)
{
    (void)s;
    c->result = 0;
    return case_ready(c, NULL);
}

static enum lea_case_queued case_queue(leat_case *c, struct lea_select *s)
{
    struct event *e = c->object_;
    uintptr_t w = lea_word_lock(&e->word);

    if (w & SET && !LEA_MUTATED(EVENT_NO_SECOND_LOOK)) {
        lea_word_unlock(&e->word, w);
        return lea_case_is_ready(c, s);
    }
    lea_case_begin(c, s);
    lea_waiters_push_back(&e->waiters, lea_case_waiter(c));
    lea_word_unlock(&e->word, w | WAITERS);
    return LEA_CASE_QUEUED;
}

/* The lock is taken, so whoever has set it has done with it. */
static enum lea_case_left case_leave(leat_case *c, struct lea_select *s)
{
    struct event *e = c->object_;
    struct lea_waiter *me = lea_case_waiter(c);
    uintptr_t w = lea_word_lock(&e->word);
    enum lea_case_left left = lea_case_left(me);

    (void)s;
    if (me->queued)
        lea_waiters_del(&e->waiters, me);
    if (!lea_waiters_first(&e->waiters))
        w &= ~WAITERS;
    lea_word_unlock(&e->word, w);
    return left;
}

leat_case leat_case_event(leat_event *event)
{
    static const struct leat_case_ops_ ops = {false,      case_ready, case_take,
                                              case_queue, case_leave, lea_case_finish_ready};

    return leat_case_of_(event, &ops);
}

void leat_event_destroy(leat_event *event)
{
    const struct event *e = inner(event);

    LEA_RIGHT(!(lea_word_load_acq(&e->word) & WAITERS), "leat_event_destroy", /* EVENT */
              "event %p is waited for", (const void *)e);
}
