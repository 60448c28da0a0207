/*
 * leat/select.h - wait for the first of several things.
 *
 *     leat_case c[] = {leat_case_get(jobs, &job), leat_case_put(results, &result),
 *     leat_case_recv(quit, NULL)};
 *
 *     switch (leat_select(c, 3, leat_after(LEAT_SEC))) {
 *     case 0: ...  a job was taken if c[0].result == 0; -EPIPE: the channel is closed and empty
 *     case 1: ...  the result was sent if c[1].result == 0; -EPIPE: the channel is closed
 *     case 2: ...
 *     default: ... -ETIMEDOUT, -ECANCELED
 *     }
 *
 * One case is chosen, and only that one takes effect: the others take no value and send none. Cases
 * may name the same channel, as often as one likes and in both directions; a select never sends to
 * itself.
 *
 * A closed channel is ready, for ever: to go on without it, set its case to leat_case_none().
 * Sending on a closed channel, where Go panics, is the result -EPIPE of the chosen case.
 */
#ifndef LEAT_SELECT_H
#define LEAT_SELECT_H

#include <leat/base.h>
#include <leat/chan.h>
#include <leat/process.h>
#include <leat/scope.h>
#include <leat/sync.h>
#include <leat/time.h>
#include <leat/timer.h>

LEAT_BEGIN_DECLS

/*
 * One case: made by the leat_case_…() calls, used by one select at a time, and again by later ones.
 * What it points to is looked at by the select only, which keeps a reference of the caller's to it
 * during the call.
 */
typedef struct leat_case {
    int result; /* of the case that was chosen; other cases: not to be looked at */
    bool queued_, send_;
    uint32_t events_;
    const struct leat_case_ops_ *ops_; /* NULL: a channel */
    void *object_;                     /* NULL: never ready */
    union {
        void *out;
        const void *from;
    } elem_;
    size_t bytes_;
    uint64_t room_[7];
} leat_case;

#define LEAT_CASE_ANY_BYTES_ SIZE_MAX
#ifdef __cplusplus
#define LEAT_NONE_ nullptr
#else
#define LEAT_NONE_ NULL
#endif

/* All but the room, which is the select's: zeroes there would cost more than most selects do. */
static inline leat_case leat_case_of_(void *object, const struct leat_case_ops_ *ops)
{
    leat_case c;

    c.result = 0;
    c.queued_ = false;
    c.send_ = false;
    c.events_ = 0;
    c.ops_ = ops;
    c.object_ = object;
    c.elem_.out = LEAT_NONE_;
    c.bytes_ = LEAT_CASE_ANY_BYTES_;
    return c;
}

/** leat_case_none - a case that is never ready; as is every case whose object is NULL. */
static inline leat_case leat_case_none(void)
{
    return leat_case_of_(LEAT_NONE_, LEAT_NONE_);
}

/* The runtime's side of the typed forms. */
static inline leat_case leat_case_out_(leat_chan *ch, void *out, size_t bytes)
{
    leat_case c = leat_case_of_(ch, LEAT_NONE_);

    c.elem_.out = out;
    c.bytes_ = bytes;
    return c;
}

static inline leat_case leat_case_from_(leat_chan *ch, const void *elem, size_t bytes)
{
    leat_case c = leat_case_of_(ch, LEAT_NONE_);

    c.send_ = true;
    c.elem_.from = elem;
    c.bytes_ = bytes;
    return c;
}

/**
 * leat_case_recv - ready when a receive from the channel need not wait: result 0, the value is in
 * @out; -EPIPE closed and empty
 * @ch:  open or closed channel, or NULL: never ready
 * @out: room for one element of the channel's size, or NULL to drop the value; touched only when
 * the result is 0
 */
static inline leat_case leat_case_recv(leat_chan *ch, void *out)
{
    return leat_case_out_(ch, out, LEAT_CASE_ANY_BYTES_);
}

/**
 * leat_case_send - ready when a send to the channel need not wait: result 0, the value was sent;
 * -EPIPE closed
 * @ch:   open or closed channel, or NULL: never ready
 * @elem: an element of the channel's size, read during the select. NULL only for a size of 0
 */
static inline leat_case leat_case_send(leat_chan *ch, const void *elem)
{
    return leat_case_from_(ch, elem, LEAT_CASE_ANY_BYTES_);
}

/**
 * leat_case_event - ready while the event is set: result 0. A reset between the set and the look of
 * who waits already does not take it back.
 */
LEAT_API leat_case leat_case_event(leat_event *event);

/**
 * leat_case_timer - ready when a tick of the timer is due, which is taken: result 0. A timer that
 * is not running may be started meanwhile.
 *
 * For one select that is to end at some time a deadline is enough.
 */
LEAT_API leat_case leat_case_timer(leat_timer *timer);

/**
 * leat_case_join - ready when the handle's coroutine has ended: result 0, and the handle is gone,
 * as after leat_join()
 * @handle: nobody else joins it meanwhile, and it stands in one case only. Not the caller's own
 * @result: what it returned; NULL is fine
 *
 * On a plain thread it is ready at once, with the result -EPERM; the handle stays.
 */
LEAT_API leat_case leat_case_join(leat_handle *handle, leat_result *result);

/**
 * leat_case_scope - ready when a scope of another coroutine has been cancelled, by whomever or by
 * its deadline: result 0
 *
 * The scope stays open until the select has returned: it is a message and the end of the program to
 * close it before. A coroutine that is itself inside of the scope need not watch it: its selects
 * give -ECANCELED then.
 */
LEAT_API leat_case leat_case_scope(leat_scope *scope);

/**
 * leat_case_fd - ready when the descriptor is, as in leat_poll_fd(): result is the events that are
 * @fd:     open
 * @events: LEAT_POLLIN, LEAT_POLLOUT or both
 *
 * Errors are results too, at once: -EBADF; -EINVAL no such events; -EBUSY somebody waits for the
 * same direction (another case, too); -ECANCELED closed by leat_close() during a wait; -ENOMEM,
 * -ENOSPC; -EPERM on a plain thread. What a select says is ready is ready for whoever is first.
 */
LEAT_API leat_case leat_case_fd(int fd, int events);

/**
 * leat_case_child - ready when the child process has ended: result 0, and leat_process_wait() gives
 * its end at once
 * @process: started, not moved during the select. Closed: the result is -EBADF
 *
 * Errors as of leat_case_fd(). Cancelling the select sends no signal.
 */
LEAT_API leat_case leat_case_child(leat_process *process);

/**
 * leat_select - wait until one of the cases is ready, and do what it says
 * @cases: so many
 * @n:     0 and up; no more than INT_MAX
 * @until: absolute, from leat_after() or leat_at(); LEAT_FOREVER never gives up. When a case is
 * ready at once it is not looked at
 *
 * Of several that are ready each is as likely as any other. Who waits is in the lines of all the
 * channels, behind those who came before.
 *
 * Context:  anywhere. May park, and may come back on another thread. A plain thread sleeps in the
 *           kernel.
 * Ordering: as the call that the chosen case stands for.
 * Returns:  the index of the chosen case, whose `result` says what came of it; -ETIMEDOUT @until
 *           passed first; -ECANCELED the coroutine was cancelled.
 */
LEAT_API int leat_select(leat_case *cases, size_t n,
                         leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_select_ordered - as leat_select(), but of several that are ready when it is called the first
 * one is chosen.
 */
LEAT_API int leat_select_ordered(leat_case *cases, size_t n,
                                 leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_select_try - do what one of the cases says, if that need not wait. Anywhere; never parks
 *
 * Returns: the index of the chosen case; -EAGAIN at one instant during the call no channel among
 * the cases was ready.
 */
LEAT_API int leat_select_try(leat_case *cases, size_t n) LEAT_MUST_CHECK;

/**
 * leat_select_ordered_try - as leat_select_try(); of several that are ready the first one is
 * chosen. Anywhere; never parks.
 */
LEAT_API int leat_select_ordered_try(leat_case *cases, size_t n) LEAT_MUST_CHECK;

LEAT_END_DECLS

/*
 * Cases of typed channels (LEAT_CHAN_TYPE in leat/chan.h), checked as leat_chan_get() and
 * leat_chan_put() are:
 *
 * leat_case_get(ch, out)   - as leat_case_recv(). @out: T *, or NULL to drop the value
 * leat_case_put(ch, value) - as leat_case_send(). @value: const T *, the address of the value; it
 * is read during the select
 */
#include <leat/impl/select_c.h>
#include <leat/impl/select_cxx.h>

#endif
