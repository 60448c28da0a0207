/*
 * Timers and tickers as objects. Contract: include/leat/timer.h.
 *
 * A timer is the time of its next tick, no more. It has no entry in a heap: whoever waits for it
 * waits with a deadline of its own, its own one or the timer's, whichever comes first, and then
 * looks at the timer again. What ends such a wait is only a reason to look; the tick is taken,
 * under the lock, from what the timer says then. So there is no tick that could be stale.
 *
 * Invariant: everybody in the list looks again at look_ns or before. A start with an earlier time
 * lets them look at once; all other changes (stop, a later start, a tick that was taken) leave them
 * alone.
 *
 * Last touch: a call's drop of the lock. Who takes a tick has taken the lock since, so the timer's
 * memory may go when its wait returns.
 *
 * Ordering pair TICK-START: the start's store of next_ns under the lock  ->  the load under the
 * lock of whoever takes the tick.
 */
#include "base/mutant.h"
#include "base/os.h"
#include "sched/case.h"

#include <errno.h>
#include <leat/timer.h>

#define NOT_RUNNING 0
#define LONG_PAST 1

/* Keys: (l) under the lock */
struct timer {
    struct lea_lock lock;
    struct lea_waiters waiters; /* (l) */
    lea_word
        /*
         * of the next tick; NOT_RUNNING; INT64_MAX never. Written under the lock, read by
         * leat_timer_try() without
         */
        next_ns;
    int64_t period_ns; /* (l) 0: one tick */
    int64_t look_ns;   /* (l) whoever is in the list looks again no later */
};
_Static_assert(sizeof(struct timer) == sizeof(leat_timer), "the public size is fixed");

static inline struct timer *inner(leat_timer *timer)
{
    return (struct timer *)(void *)timer;
}

/* The first time of the grid after now. */
static int64_t next_on_grid(int64_t next, int64_t period, int64_t now)
{
    int64_t at;

    if (__builtin_add_overflow(next, period, &at))
        return INT64_MAX;
    if (at > now || LEA_MUTATED(TICK_CATCHES_UP))
        return at;
    /* what lies between is no more than now is */
    if (__builtin_add_overflow(at, ((now - at) / period + 1) * period, &at))
        return INT64_MAX;
    return at;
}

/* The lock is held; `now` may have been read before. */
static bool take_locked(struct timer *t, int64_t now)
{
    /* relaxed: under the lock, TICK-START */
    int64_t next = (int64_t)lea_word_load_rlx(&t->next_ns);

    if (next == NOT_RUNNING || next > now)
        return false;
    if (!LEA_MUTATED(TICK_NOT_TAKEN))
        lea_word_store_rel(&t->next_ns, t->period_ns
                                            ? (uintptr_t)next_on_grid(next, t->period_ns, now)
                                            : NOT_RUNNING);
    return true;
}

/* --- start and stop --- */

static bool set(struct timer *t, int64_t next, int64_t period)
{
    struct lea_worker *m = lea_enter();
    struct lea_waiter *waiter;
    struct lea_wakes wakes;
    int64_t was;

    lea_wakes_begin(&wakes, m);
    lea_lock_take(&t->lock);
    was = (int64_t)lea_word_load_rlx(&t->next_ns); /* relaxed: the lock is held */
    if (!LEA_MUTATED(TICK_STALE) || was == NOT_RUNNING || was > lea_os_now_ns())
        lea_word_store_rel(&t->next_ns, (uintptr_t)next); /* TICK-START */
    t->period_ns = period;
    if (next != NOT_RUNNING && next < t->look_ns && !LEA_MUTATED(TICK_EARLIER_UNSEEN))
        while ((waiter = lea_waiters_pop(&t->waiters)))
            (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes);
    lea_lock_drop(&t->lock);
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return was != NOT_RUNNING;
}

bool leat_timer_start(leat_timer *timer, leat_deadline at)
{
    return set(inner(timer), at.ns < LONG_PAST ? LONG_PAST : at.ns, 0);
}

bool leat_timer_start_every(leat_timer *timer, leat_deadline first, int64_t period_ns)
{
    return set(inner(timer), first.ns < LONG_PAST ? LONG_PAST : first.ns,
               period_ns < 0 ? 0 : period_ns);
}

bool leat_timer_stop(leat_timer *timer)
{
    return set(inner(timer), NOT_RUNNING, 0);
}

/* --- waiting --- */

/* Into the list, to look again at `look`. */
static void enqueue_locked(struct timer *t, struct lea_waiter *waiter, int64_t look)
{
    if (!lea_waiters_first(&t->waiters) || t->look_ns < look)
        t->look_ns = look;
    lea_waiters_push_back(&t->waiters, waiter);
}

/*
 * One look: DONE a tick was taken; TIMEOUT; NONE we are in the list, and *look says when to look
 * again.
 */
static enum lea_wake look_or_queue(struct timer *t, struct lea_waiter *waiter, struct lea_worker *m,
                                   int64_t until_ns, int64_t *look)
{
    enum lea_wake code = LEA_WAKE_NONE;
    int64_t now = lea_os_now_ns(), next;

    lea_lock_take(&t->lock);
    if (waiter->queued && !LEA_MUTATED(TICK_WAITER_KEPT))
        lea_waiters_del(&t->waiters, waiter);
    if (take_locked(t, now)) {
        code = LEA_WAKE_DONE;
    } else if (now >= until_ns) {
        code = LEA_WAKE_TIMEOUT;
    } else {
        next = (int64_t)lea_word_load_rlx(&t->next_ns); /* relaxed: the lock is held */
        *look = next != NOT_RUNNING && next < until_ns ? next : until_ns;
        lea_waiter_begin(waiter, m);
        enqueue_locked(t, waiter, *look);
    }
    lea_lock_drop(&t->lock);
    return code;
}

/* The wait was cancelled. */
static void dequeue(struct timer *t, struct lea_waiter *waiter)
{
    lea_lock_take(&t->lock);
    if (waiter->queued)
        lea_waiters_del(&t->waiters, waiter);
    lea_lock_drop(&t->lock);
}

static enum lea_wake wait(struct timer *t, struct lea_worker **m, int64_t until_ns)
{
    struct lea_waiter waiter = {.queued = false};

    for (;;) {
        int64_t look;
        enum lea_wake code = look_or_queue(t, &waiter, *m, until_ns, &look);

        if (code != LEA_WAKE_NONE)
            return code;
        if (LEA_LIKELY(*m != NULL))
            lea_co_waits_for((*m)->co, t);
        code = lea_waiter_wait(&waiter, m, LEA_REASON_TIMER, look, false);
        if (code == LEA_WAKE_CANCEL || code == LEA_WAKE_CLOSED) {
            dequeue(t, &waiter);
            return code;
        }
    }
}

int leat_timer_wait(leat_timer *timer, leat_deadline until)
{
    struct lea_worker *m = lea_enter_park();
    enum lea_wake code = LEA_WAKE_CANCEL;

    if (!m || LEA_LIKELY(!lea_co_cancelled(m->co)))
        code = wait(inner(timer), &m, until.ns);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

int leat_timer_try(leat_timer *timer)
{
    struct timer *t = inner(timer);
    int64_t now = lea_os_now_ns();
    bool taken;

    if (lea_word_load_acq(&t->next_ns) == NOT_RUNNING)
        return -EAGAIN;
    lea_lock_take(&t->lock);
    taken = take_locked(t, now);
    lea_lock_drop(&t->lock);
    return taken ? 0 : -EAGAIN;
}

/* --- as a case of a select --- */

static bool case_ready(leat_case *c, struct lea_worker *m)
{
    int64_t next = (int64_t)lea_word_load_acq(&((struct timer *)c->object_)->next_ns);

    (void)m;
    return next != NOT_RUNNING && next != INT64_MAX && next <= lea_os_now_ns();
}

static bool case_take(leat_case *c, struct lea_select *s)
{
    struct timer *t = c->object_;
    int64_t now = lea_os_now_ns();
    bool taken;

    (void)s;
    lea_lock_take(&t->lock);
    taken = take_locked(t, now);
    lea_lock_drop(&t->lock);
    c->result = 0;
    return taken;
}

static enum lea_case_queued case_queue(leat_case *c, struct lea_select *s)
{
    struct timer *t = c->object_;
    enum lea_case_queued q = LEA_CASE_QUEUED;
    int64_t now = lea_os_now_ns(), next;

    lea_lock_take(&t->lock);
    next = (int64_t)lea_word_load_rlx(&t->next_ns); /* relaxed: the lock is held */
    if (next != NOT_RUNNING && next <= now) {
        q = lea_case_is_ready(c, s);
        if (q == LEA_CASE_TAKEN)
            (void)take_locked(t, now);
    } else {
        lea_case_begin(c, s);
        next = next == NOT_RUNNING ? INT64_MAX : next;
        enqueue_locked(t, lea_case_waiter(c), next);
        lea_select_look_at(s, next);
    }
    lea_lock_drop(&t->lock);
    return q;
}

static enum lea_case_left case_leave(leat_case *c, struct lea_select *s)
{
    struct timer *t = c->object_;
    struct lea_waiter *me = lea_case_waiter(c);
    enum lea_case_left left;

    (void)s;
    lea_lock_take(&t->lock);
    left = lea_case_left(me);
    if (me->queued)
        lea_waiters_del(&t->waiters, me);
    lea_lock_drop(&t->lock);
    return left;
}

/* Somebody has started the timer, for an earlier time. */
static bool case_finish(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    (void)c;
    (void)s;
    (void)code;
    return false;
}

leat_case leat_case_timer(leat_timer *timer)
{
    static const struct leat_case_ops_ ops = {false,      case_ready, case_take,
                                              case_queue, case_leave, case_finish};

    return leat_case_of_(timer, &ops);
}
