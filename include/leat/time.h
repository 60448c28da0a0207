/*
 * leat/time.h - the clock, deadlines and sleeping. Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef LEAT_TIME_H
#define LEAT_TIME_H

#include <leat/base.h>

/* int64_t, without a cast: C++ programs may be compiled with -Wold-style-cast */
#define LEAT_NSEC INT64_C(1)
#define LEAT_USEC INT64_C(1000)
#define LEAT_MSEC INT64_C(1000000)
#define LEAT_SEC INT64_C(1000000000)

/*
 * An absolute time. A struct, so that a plain number (a timeout, say) does not compile where a
 * deadline is meant.
 */
typedef struct leat_deadline {
    int64_t ns; /* CLOCK_MONOTONIC; INT64_MAX never passes */
} leat_deadline;

#ifdef __cplusplus
#define LEAT_FOREVER (leat_deadline{INT64_MAX})
#define LEAT_AT_ONCE (leat_deadline{0})
#else
/* Never passes. */
#define LEAT_FOREVER ((leat_deadline){INT64_MAX})
/* Has always passed: a call with it succeeds if it need not wait, else gives -ETIMEDOUT. */
#define LEAT_AT_ONCE ((leat_deadline){0})
#endif

LEAT_BEGIN_DECLS

/**
 * leat_now - the current time in nanoseconds of CLOCK_MONOTONIC
 *
 * Context: anywhere. Never parks. Costs one clock reading (about 25 ns).
 */
LEAT_API int64_t leat_now(void);

/**
 * leat_after - the deadline that lies a span from now
 * @span_ns: nanoseconds; negative or 0 has passed already, a sum beyond the clock's range is
 * LEAT_FOREVER
 *
 * Context: anywhere. Never parks.
 */
LEAT_API leat_deadline leat_after(int64_t span_ns);

/**
 * leat_at - the deadline at an absolute time
 * @at_ns: CLOCK_MONOTONIC nanoseconds, as leat_now() returns; a negative time has passed
 *
 * Context: anywhere. Never parks.
 */
static inline leat_deadline leat_at(int64_t at_ns)
{
    leat_deadline d;

    d.ns = at_ns;
    return d;
}

/**
 * leat_sleep - suspend the calling coroutine for a span
 * @span_ns: nanoseconds; 0 or less returns at once
 *
 * Context: a coroutine. May park, and may come back on another thread. A plain thread sleeps as
 * nanosleep(2) does.
 * Returns: 0 after the span has passed, never earlier; -ECANCELED the coroutine was cancelled.
 */
LEAT_API int leat_sleep(int64_t span_ns) LEAT_MAY_PARK;

/**
 * leat_sleep_until - as leat_sleep(), until an absolute time. LEAT_FOREVER sleeps until the
 * coroutine is cancelled.
 */
LEAT_API int leat_sleep_until(leat_deadline until) LEAT_MAY_PARK;

LEAT_END_DECLS

#endif
