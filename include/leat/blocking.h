/*
 * leat/blocking.h - code that blocks its thread, or computes for long.
 *
 * None of this is needed for the others to go on: a coroutine that blocks its thread, or computes
 * without a call, loses its processor to others that wait (LEAT_RETAKE_US), and goes on beside
 * them. To say so beforehand is quicker, and costs the others nothing.
 */
#ifndef LEAT_BLOCKING_H
#define LEAT_BLOCKING_H

#include <leat/base.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

/**
 * leat_block_enter - a call that may block the thread follows
 * leat_block_leave - it is over
 *
 * Others that wait may have the caller's processor between the two, as soon as a tenth of
 * LEAT_RETAKE_US has passed (never where that is 0 or -1); the caller's thread is left alone.
 * leat_block_leave() does not wait: with its own processor if that is still there, else with an
 * idle one, else without, until the next call that may park. A few nanoseconds when nobody wanted
 * it. Pairs may be nested; a call of leat in between ends the bracket early, which does no harm.
 *
 * Context:  anywhere; on a plain thread nothing happens. Neither parks, nor moves the coroutine to
 *           another thread: errno of the call in between may be read after leat_block_leave().
 * Ordering: what the caller wrote before leat_block_enter() is visible to whoever gets the
 * processor; nothing else is promised.
 */
LEAT_API void leat_block_enter(void);
LEAT_API void leat_block_leave(void);

/**
 * leat_blocking - run a function on a thread of the pool, and wait for it
 * @fn:     may block, compute for long, and needs no care about its stack (8 MiB). It runs as on a
 *          plain thread: calls that may park give -EPERM there, leat_cancelled() says whether the
 *          waiting coroutine was asked to end, or @until has passed
 * @arg:    handed to @fn
 * @result: where its value goes, or NULL
 *
 * The pool begins empty and grows with what is waiting, up to LEAT_BLOCKING_THREADS; a thread that
 * has had nothing to do for 5 s leaves. Jobs begin in the order in which they came. Deadline and
 * cancellation take a job out of the queue; one that has begun is waited for to its end, whatever
 * happens: it may use the caller's memory.
 *
 * Context:  a coroutine. May park, and may come back on another thread. A plain thread runs @fn
 *           itself.
 * Ordering: what the caller wrote is visible to @fn, and what that wrote after a return of 0.
 * Returns:  0 @fn has run, also when @until passed meanwhile; -ETIMEDOUT @until passed, -ECANCELED
 *           the coroutine was cancelled, before it began: it will not run (a deadline that has
 *           passed at the call is always -ETIMEDOUT); -EAGAIN for a second the system refused even
 *           one thread: it will not run; -EOWNERDEAD @fn ended its thread (pthread_exit): there is
 *           no result, and a warning on stderr says so; -EINVAL @fn is NULL.
 */
LEAT_API int leat_blocking(leat_result (*fn)(void *), void *arg, leat_result *result,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_poll - for loops that compute: let others run if they wait for this processor
 *
 * About a nanosecond when nobody does, so it may stand in an inner loop. Others who have waited for
 * a part of LEAT_RETAKE_US go first then, as by leat_yield(); so the coroutine keeps to its share
 * of the processors, where it would compute on beside them otherwise.
 *
 * Context: anywhere; on a plain thread nothing happens. May park, and may come back on another
 * thread.
 */
LEAT_API void leat_poll(void) LEAT_MAY_PARK;

LEAT_END_DECLS

#endif
