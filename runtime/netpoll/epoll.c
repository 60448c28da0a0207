/*
 * The epoll driver. An event's data is the tag (number and generation), all ones for the eventfd
 * that breaks a wait.
 *
 * Only a call that may block (timeout not 0) reads the eventfd and clears wake_pending: a look in
 * passing must not swallow the break that is meant for the sleeper (it is level-triggered, so it
 * stays visible). A break that was not needed after all, since the sleeper had left for another
 * reason, or turned out to look in passing itself, ends the next blocking wait at once and in vain.
 *
 * wake_pending is set before the eventfd is written. A waker that finds it set relies on the
 * other's
 * write: when that one is descheduled in between, the break is late by as long. Two wakers at once
 * are rare (idle.h: one token a sleep), and it takes a sleeper that left and came back in between.
 * A waker that finds it set while the sleeper is about to clear it is not needed: the sleeper is
 * out of its wait, and finds the token.
 */
#include "netpoll/event.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"

#include <errno.h>

#define UNUSUAL (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

static int epoll_open(struct lea_netpoll *np)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = LEA_WAKE_TAG};
    int r;

    np->epfd = lea_os_epoll_create();
    if (np->epfd < 0)
        return np->epfd;
    np->wakefd = lea_os_eventfd();
    if (np->wakefd < 0) {
        lea_os_close(np->epfd);
        return np->wakefd;
    }
    r = lea_os_epoll_ctl(np->epfd, EPOLL_CTL_ADD, np->wakefd, &ev);
    if (r < 0) {
        lea_os_close(np->wakefd);
        lea_os_close(np->epfd);
    }
    return r;
}

static void epoll_close(struct lea_netpoll *np)
{
    lea_os_close(np->wakefd);
    lea_os_close(np->epfd);
}

static int epoll_add(struct lea_netpoll *np, int fd, uint64_t tag, bool renew)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
                             .data.u64 = tag};
    int r = lea_os_epoll_ctl(np->epfd, EPOLL_CTL_ADD, fd, &ev);

    if (r == -EEXIST)
        r = renew && !LEA_MUTATED(FD_TAG_NOT_RENEWED)
                ? lea_os_epoll_ctl(np->epfd, EPOLL_CTL_MOD, fd, &ev)
                : 0;
    return r;
}

/*
 * A wait holds the file of each event that it looks at, and one that finds nothing to report goes
 * on to sleep. What was closed in between is open until that sleep ends (Linux 6.9 and later: the
 * last reference is then given back on the way out of the call), and its peer is told nothing. Both
 * calls take the lock under which a wait looks, so afterwards none has the file in hand.
 */
static void epoll_del(struct lea_netpoll *np, int fd)
{
    (void)lea_os_epoll_ctl(np->epfd, EPOLL_CTL_DEL, fd, NULL); /* -ENOENT: it knows another file */
}

/* The break of a wait was meant for us. */
static void read_wake(struct lea_netpoll *np)
{
    uint64_t count;
    ssize_t r = lea_os_read(np->wakefd, &count, sizeof(count));

    LEA_CHECK(r == (ssize_t)sizeof(count) || r == -EAGAIN,
              "the poller's own descriptor %d failed with errno %d: was it closed by the program?",
              np->wakefd, (int)-r);
    lea_delay_point(POLL_BREAK);
    if (!LEA_MUTATED(POLLER_BREAK_ONCE))
        lea_u32_store_rel(&np->wake_pending, 0);
}

static int epoll_wait_events(struct lea_netpoll *np, int64_t timeout_ns, uint32_t max,
                             struct lea_ready_list *out)
{
    struct epoll_event ev[LEA_POLL_MAX];
    int n = lea_os_epoll_wait(np->epfd, ev, (int)max, timeout_ns);

    LEA_CHECK(n >= 0 || n == -EINTR,
              "the poller's own descriptor %d failed with errno %d: was it closed by the program?",
              np->epfd, -n);
    /* the lines of many events come together; each of them alone would be waited for */
    for (int i = 0; i < n; i++)
        lea_event_prefetch(np, ev[i].data.u64);
    for (int i = 0; i < n; i++)
        lea_event_prefetch_waiter(np, ev[i].data.u64);
    for (int i = 0; i < n; i++) {
        uint32_t e = ev[i].events, seen = 0;

        if (LEA_UNLIKELY(e & UNUSUAL)) {
            seen = (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? LEA_FD_SEEN_RDHUP : 0) |
                   (e & (EPOLLHUP | EPOLLERR) ? LEA_FD_SEEN_HUP : 0) |
                   (e & EPOLLPRI ? LEA_FD_SEEN_URGENT : 0);
            e |= (seen ? EPOLLIN : 0) | (seen & LEA_FD_SEEN_HUP ? EPOLLOUT : 0);
        }
        if (LEA_UNLIKELY(ev[i].data.u64 == LEA_RING_TAG))
            lea_ring_event(np, out);
        else if (LEA_LIKELY(ev[i].data.u64 != LEA_WAKE_TAG))
            lea_event(np, ev[i].data.u64, e & EPOLLIN, e & EPOLLOUT, seen, out);
        else if (timeout_ns != 0 || LEA_MUTATED(POLLER_BREAK_SWALLOWED))
            read_wake(np);
    }
    return n;
}

static void epoll_wake(struct lea_netpoll *np)
{
    uint64_t one = 1;

    if (!lea_u32_cas(&np->wake_pending, 0, 1))
        return;
    LEA_CHECK(lea_os_write(np->wakefd, &one, sizeof(one)) == (ssize_t)sizeof(one),
              "the poller's own descriptor %d cannot be written: was it closed by the program?",
              np->wakefd);
}

const struct lea_netpoll_driver lea_netpoll_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .add = epoll_add,
    .del = epoll_del,
    .wait = epoll_wait_events,
    .wake = epoll_wake,
};
