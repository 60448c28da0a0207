/*
 * leat/signal.h - signals as events: a coroutine waits for them, no user code runs in a handler.
 */
#ifndef LEAT_SIGNAL_H
#define LEAT_SIGNAL_H

#include <leat/base.h>
#include <leat/chan.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

/* One signal in a set of them: leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT)). */
#define LEAT_SIG(signo) (UINT64_C(1) << ((signo)-1))

/**
 * leat_signal_open - take over signals: from now on they are events for leat_signal_wait()
 * @set: LEAT_SIG() values; not SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL
 *
 * The previous handlers come back when the last descriptor for a signal is closed, unless the
 * program has set others meanwhile. Several may be open for one signal (64 in all), each sees it. A
 * signal to a forked child is not an event here.
 * Context: anywhere. Never parks.
 * Returns: a descriptor, to be closed with leat_close(), and closed by the end of the run; -EINVAL
 *          an empty set or a signal that cannot be taken; -EMFILE, -ENFILE; -ESHUTDOWN no run is
 *          under way.
 */
LEAT_API int leat_signal_open(uint64_t set) LEAT_MUST_CHECK;

/**
 * leat_signal_wait - wait for the next signal of a descriptor from leat_signal_open()
 *
 * Signals that came in between are kept, each number once until it is taken.
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: the signal's number; -ETIMEDOUT; -ECANCELED cancelled, or the descriptor was closed;
 *          -EBADF; -EINVAL another kind of descriptor; -EBUSY another one waits here.
 */
LEAT_API int leat_signal_wait(int fd, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

LEAT_END_DECLS

/* A channel of signal numbers. leat_chan_new(&signals, 8) makes one. */
LEAT_CHAN_TYPE(leat_signal_chan, int);

LEAT_BEGIN_DECLS

/* Signals on their way into a channel. Opaque. */
typedef struct leat_notify leat_notify;

/**
 * leat_signal_notify - signals as values of a channel, for who waits for other channels too
 * @out:  where it goes; to be given to leat_signal_stop() before the run ends, else its memory and
 *        the reference are lost. Written only on 0
 * @ch:   of any capacity; a reference is taken
 * @set:  as for leat_signal_open()
 *
 * A coroutine of the run's root group sends them. While the channel is full they are kept, each
 * number once, and sent when there is room: that a signal came is never lost, how often it came is.
 * A closed channel gets none; what comes then is kept for leat_signal_stop().
 *
 * Context: anywhere. Never parks.
 * Returns: 0; -EINVAL; -EMFILE, -ENFILE; -ENOMEM; -EAGAIN as from go(); -ESHUTDOWN.
 */
LEAT_API int leat_signal_notify(leat_notify **out, leat_signal_chan ch,
                                uint64_t set) LEAT_MUST_CHECK;

/**
 * leat_signal_stop - no more of them; when it returns nothing is sent any more, and the handlers
 * from before are back
 *
 * In a cancelled coroutine too: it is not cut short.
 * Context: anywhere, in the run of its leat_signal_notify(): after that the program is stopped with
 *          a message. May park, and may come back on another thread. NULL is nothing to do.
 * Returns: LEAT_SIG() of each signal that came and was not sent; 0 none.
 */
LEAT_API uint64_t leat_signal_stop(leat_notify *n) LEAT_MAY_PARK;

LEAT_END_DECLS

#endif
