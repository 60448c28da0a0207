/*
 * leat/chan.h - channels: values handed from one coroutine or thread to another.
 *
 * A channel holds up to `capacity` elements of one fixed size, first in, first out. With capacity 0
 * a send returns when a receive has taken its element. Whoever waits is served in the order in
 * which they came. A value for which somebody waits goes straight to that one.
 *
 * After leat_chan_close() sends give -EPIPE, at once and for ever; receives take what is still
 * there, then give -EPIPE.
 *
 * NULL for a channel is one that nobody else uses: a send or receive waits until its deadline or
 * its cancellation, a try gives -EAGAIN.
 *
 * A channel belongs to no run: coroutines and plain threads may use it at once (a plain thread
 * sleeps in the kernel), and also threads alone, while no run is under way. It is reference
 * counted: see leat_chan_ref().
 *
 * The typed forms (LEAT_CHAN_TYPE and what follows it) are what a program should use; those with a
 * void * are for elements whose type the compiler does not know.
 */
#ifndef LEAT_CHAN_H
#define LEAT_CHAN_H

#include <leat/base.h>
#include <leat/time.h>

/* Largest element. What is larger is sent by its address. */
#define LEAT_CHAN_ELEM_MAX 65536

LEAT_BEGIN_DECLS

typedef struct leat_chan leat_chan;

/**
 * leat_chan_make - make a channel
 * @out:        where it goes; NULL is written there when the call fails
 * @elem_bytes: size of an element, 0 to LEAT_CHAN_ELEM_MAX. Of 0 bytes only the number counts
 * @capacity:   elements that it holds while nobody receives; 0 for none
 *
 * The caller has the one reference. Memory for all elements is taken now; later calls need none.
 * Context: anywhere, also without a run. Never parks.
 * Returns: 0; -ENOMEM; -EINVAL @out is NULL or an element too large.
 */
LEAT_API int leat_chan_make(leat_chan **out, size_t elem_bytes, size_t capacity) LEAT_MUST_CHECK;

/**
 * leat_chan_ref - one more reference
 *
 * Everybody who uses a channel needs a reference that lasts until their last call on it has
 * returned: their own, or that of somebody who is known to outlive them. One reference, given up by
 * whoever knows that all others are done (its waitgroup or group has ended, or it has received the
 * last value), is an owner that frees.
 * Context: anywhere. Never parks. Returns: @ch; NULL for NULL.
 */
LEAT_API leat_chan *leat_chan_ref(leat_chan *ch);

/**
 * leat_chan_unref - give a reference up; the last one frees the channel and what is in it
 *
 * Somebody who still waits on the channel then, or one reference given up twice where that is
 * noticed, stops the program with a message.
 * Context: anywhere. Never parks. NULL is nothing to do.
 */
LEAT_API void leat_chan_unref(leat_chan *ch);

/**
 * leat_chan_close - no more sends
 *
 * All who wait in a send get -EPIPE, and their values are not sent; all who wait in a receive get
 * -EPIPE.
 * Context:  anywhere. Never parks.
 * Ordering: what was written before it is visible to whoever gets -EPIPE from a receive.
 * Returns:  0; -EPIPE it was closed before; -EINVAL NULL.
 */
LEAT_API int leat_chan_close(leat_chan *ch);

/**
 * leat_chan_send - put a value into a channel
 * @ch:    open or closed channel, or NULL; the caller keeps its reference during the call
 * @elem:  an element of the channel's size; read during the call only. NULL only for a size of 0
 * @until: absolute, from leat_after() or leat_at(); LEAT_FOREVER never gives up. Where there is
 * room, or somebody waits, it is not looked at
 *
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what was written before is visible to whoever receives the value. With capacity 0, what
 *           the receiver wrote before its call is visible after a return of 0; with capacity C what
 *           was written before the receive that made the room.
 * Returns:  0 it is in the channel, or with capacity 0 a receiver has it; -EPIPE closed; -ETIMEDOUT
 *           @until passed first; -ECANCELED the coroutine was cancelled. Nothing was sent unless 0.
 */
LEAT_API int leat_chan_send(leat_chan *ch, const void *elem,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_chan_recv - take the oldest value from a channel
 * @ch:    open or closed channel, or NULL; the caller keeps its reference during the call
 * @out:   room for one element of the channel's size, or NULL to drop the value
 * @until: absolute, from leat_after() or leat_at(); LEAT_FOREVER never gives up. An element that is
 * there is taken, whatever the deadline
 *
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what the sender wrote before its send is visible after a return of 0.
 * Returns:  0 a value was taken; -EPIPE closed and empty; -ETIMEDOUT @until passed first;
 *           -ECANCELED the coroutine was cancelled.
 *           @out is touched only on 0.
 */
LEAT_API int leat_chan_recv(leat_chan *ch, void *out,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_chan_send_try - send if that need not wait. Anywhere; never parks
 *
 * Returns: 0; -EPIPE closed; -EAGAIN at one instant during the call the channel was open, full, and
 * nobody waited for a value.
 */
LEAT_API int leat_chan_send_try(leat_chan *ch, const void *elem) LEAT_MUST_CHECK;

/**
 * leat_chan_recv_try - receive if that need not wait. Anywhere; never parks
 *
 * Returns: 0; -EPIPE closed and empty; -EAGAIN at one instant during the call the channel was open,
 * empty, and nobody waited to send.
 */
LEAT_API int leat_chan_recv_try(leat_chan *ch, void *out) LEAT_MUST_CHECK;

/**
 * leat_chan_len - elements in the channel at this moment; those of senders that wait do not count.
 * 0 for NULL. Anywhere; never parks.
 */
LEAT_API size_t leat_chan_len(const leat_chan *ch);

/** leat_chan_cap - elements that it can hold. 0 for NULL. Anywhere; never parks. */
LEAT_API size_t leat_chan_cap(const leat_chan *ch);

/**
 * leat_chan_closed - has it been closed? (There may be elements left.) False for NULL. Anywhere;
 * never parks.
 */
LEAT_API bool leat_chan_closed(const leat_chan *ch);

/* The runtime's side of the typed forms: the size of the element is looked at first. */
LEAT_API int leat_chan_put_(leat_chan *ch, const void *elem, size_t bytes,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;
LEAT_API int leat_chan_get_(leat_chan *ch, void *out, size_t bytes,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;
LEAT_API int leat_chan_put_try_(leat_chan *ch, const void *elem, size_t bytes) LEAT_MUST_CHECK;
LEAT_API int leat_chan_get_try_(leat_chan *ch, void *out, size_t bytes) LEAT_MUST_CHECK;

LEAT_END_DECLS

/**
 * LEAT_CHAN_TYPE(name, T) - declare `name`, the type of a channel of T
 *
 * A value of that type is one pointer, copied and passed as such: ch.chan is the leat_chan, for the
 * calls above (close, len, ref, …), and (name){NULL} is none. T may be any complete object type; in
 * C++ it must be trivially copyable.
 *
 *     LEAT_CHAN_TYPE(job_chan, struct job);
 *
 *     job_chan jobs;
 *     int r = leat_chan_new(&jobs, 16);
 *     r = leat_chan_put(jobs, job, LEAT_FOREVER);
 *     r = leat_chan_get(jobs, &job, leat_after(LEAT_SEC));
 *     leat_chan_close(jobs.chan);
 *     leat_chan_unref(jobs.chan);
 *
 * leat_chan_new(&ch, capacity) - as leat_chan_make(), with T's size
 *
 * leat_chan_put(ch, value, until) - as leat_chan_send(). @value is converted to T as by an
 * assignment, and evaluated once
 * leat_chan_get(ch, out, until)   - as leat_chan_recv(). @out: T *, or NULL to drop the value
 * leat_chan_put_try(ch, value)    - as leat_chan_send_try()
 * leat_chan_get_try(ch, out)      - as leat_chan_recv_try()
 *
 * A value or pointer of another type is a compile error, an integer for a pointer too; in C a void
 * * fits any @out. A channel whose elements are of another size than T (made by hand, or cast)
 * stops the program with a message. Errors, deadlines, contexts: of the calls above.
 */
#ifdef __cplusplus
#define LEAT_CHAN_TYPE(name, T)                                                                    \
    union name {                                                                                   \
        leat_chan *chan;                                                                           \
        __typeof__(T) *elem_;                                                                      \
    }
#else
#define LEAT_CHAN_TYPE(name, T)                                                                    \
    typedef union name {                                                                           \
        leat_chan *chan;                                                                           \
        __typeof__(T) *elem_;                                                                      \
    } name
#endif

#include <leat/impl/chan_c.h>
#include <leat/impl/chan_cxx.h>

#endif
