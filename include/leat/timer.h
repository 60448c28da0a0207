/*
 * leat/timer.h - timers and tickers as objects. To end one wait, a deadline is enough
 * (leat/time.h); to run a function later, start a coroutine late (leat_attr.start, leat/go.h).
 *
 * A timer is of fixed size, valid when zero (not running), and may be used from coroutines and from
 * plain threads at once. It owns no memory and needs no end: nothing to stop before its memory
 * goes, except waits and calls that are under way. Do not move or copy one in use.
 *
 * A tick is not kept anywhere: whoever takes one looks at what the timer says at that moment. So a
 * timer that was stopped, or started anew, has no tick of its former time left over. Each tick is
 * taken once; with several that wait it is one of them who gets it.
 */
#ifndef LEAT_TIMER_H
#define LEAT_TIMER_H

#include <leat/base.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

typedef struct leat_timer {
    uint64_t word_[5];
} leat_timer;

/**
 * leat_timer_start - let it tick once, at a time; also to start a running timer anew (Go's NewTimer
 * and Reset)
 * @timer: running or not
 * @at:    from leat_after() or leat_at(). A time that has passed, a negative one too, ticks at
 *         once; LEAT_FOREVER runs and never ticks
 *
 * Context:  anywhere. Never parks.
 * Ordering: what the caller wrote before is visible to whoever takes the tick.
 * Returns:  was it running, with a tick that nobody has taken? That one will not be taken any more.
 */
LEAT_API bool leat_timer_start(leat_timer *timer, leat_deadline at);

/**
 * leat_timer_start_every - let it tick again and again (Go's NewTicker)
 * @timer:     running or not
 * @first:     of the first tick
 * @period_ns: from then on; 0 or less: one tick, as leat_timer_start()
 *
 * The times are those of the grid first + n * period, however late a tick is taken. Who takes ticks
 * more slowly than they come misses some: there is one at most to take. A time beyond the clock's
 * range is never.
 *
 * Context: anywhere. Never parks. Ordering and result: as leat_timer_start().
 */
LEAT_API bool leat_timer_start_every(leat_timer *timer, leat_deadline first, int64_t period_ns);

/**
 * leat_timer_stop - no tick from now on, the one included that was due and that nobody has taken
 *
 * Those who wait go on waiting, for a tick after the next start.
 *
 * Context: anywhere. Never parks.
 * Returns: was it running, with a tick that nobody has taken?
 */
LEAT_API bool leat_timer_stop(leat_timer *timer);

/**
 * leat_timer_wait - wait for a tick and take it
 *
 * When the timer is not running the wait is for somebody to start it. A tick that is due is taken,
 * whatever the deadline.
 *
 * Context:  anywhere. May park, and may come back on another thread. A plain thread sleeps in the
 *           kernel.
 * Ordering: what was written before the start is visible after a return of 0.
 * Returns:  0 a tick was taken, never before its time; -ETIMEDOUT @until passed first; -ECANCELED
 *           the coroutine was cancelled. On both errors the tick stays for others.
 */
LEAT_API int leat_timer_wait(leat_timer *timer, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_timer_try - take a tick that is due. Anywhere; never parks. Returns: 0 taken; -EAGAIN none
 * is due.
 */
LEAT_API int leat_timer_try(leat_timer *timer) LEAT_MUST_CHECK;

LEAT_END_DECLS

#endif
