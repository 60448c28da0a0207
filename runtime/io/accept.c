/*
 * Accepting. A connection that is gone before it was accepted is passed over. When descriptors or
 * buffers run out, the caller is held (5 ms, doubling to 100 ms) before it gets the error: the
 * connection stays in the backlog, and a plain loop would spin on it.
 */
#include "base/os.h"
#include "io/own.h"
#include "io/wait.h"

#include <leat/net.h>
#include <sys/epoll.h>

#define HOLD_MIN_NS INT64_C(5000000)
#define HOLD_MAX_NS INT64_C(100000000)
#define BACKOFF_MAX 5 /* 5 ms << 5 is past the longest hold */

struct accept_call {
    struct sockaddr *peer;
    socklen_t *peer_len;
};

/* What accept(2) says of a connection that has failed already, rather than of the listener. */
static bool connection_gone(ssize_t r)
{
    return r == -ECONNABORTED || r == -EPROTO || r == -ENETDOWN || r == -ENETUNREACH ||
           r == -EHOSTDOWN || r == -EHOSTUNREACH || r == -ENONET;
}

static ssize_t accept_try(struct lea_io *io, void *arg, bool in_place)
{
    struct accept_call *a = arg;
    ssize_t r;

    (void)in_place;
    do {
        if (!io->owned) { /* it may be blocking */
            r = lea_os_poll_now(io->fd, EPOLLIN);
            if (r <= 0)
                return r < 0 ? r : -EAGAIN;
        }
        r = lea_os_accept4(io->fd, a->peer, a->peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (connection_gone(r));
    return r;
}

static bool ran_out(ssize_t r)
{
    return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

/* Edges may wake us early, and are none of our business now: whoever accepts next tries first. */
static int hold(struct lea_io *io, int64_t until_ns)
{
    struct lea_fd *f = io->f;
    uint32_t backoff = lea_u32_load_rlx(&f->backoff); /* relaxed: ours */
    int64_t now = lea_os_now_ns(), end = now + (HOLD_MIN_NS << backoff);
    int r = 0;

    if (end > now + HOLD_MAX_NS)
        end = now + HOLD_MAX_NS;
    if (backoff < BACKOFF_MAX)
        lea_u32_store_rlx(&f->backoff, backoff + 1);
    if (until_ns < end)
        end = until_ns;
    while (r == 0 && lea_os_now_ns() < end)
        r = lea_io_wait(io, LEA_FD_READ, LEA_REASON_ACCEPT, end);
    return r == -ETIMEDOUT ? 0 : r;
}

int leat_accept(int fd, struct sockaddr *peer, socklen_t *peer_len, leat_deadline until)
{
    struct accept_call a = {peer, peer_len};
    struct lea_io io;
    ssize_t r = lea_io_begin(&io, fd, LEA_FD_USE_RD);

    if (r < 0)
        return (int)r;
    r = lea_io_loop(&io, LEA_FD_READ, LEA_REASON_ACCEPT, until.ns, accept_try, &a);
    if (LEA_LIKELY(r >= 0)) {
        struct lea_caller c = {io.m, io.m->rt};

        lea_u32_store_rlx(&io.f->backoff, 0); /* relaxed: ours */
        /* what one can say of the listener holds for what it accepts */
        if (io.owned)
            r = lea_own_inside(&c, (int)r, LEA_FD_KIND_SOCKET,
                               (uint8_t)(LEA_FD_MADE | (lea_u32_load_rlx(&io.f->flags) &
                                                        LEA_FD_SHORT_IS_DRAINED)));
        lea_io_end(&io);
        return io.owned ? (int)r : lea_own((int)r, LEA_FD_KIND_SOCKET, LEA_FD_MADE);
    }
    if (ran_out(r)) {
        int cut = hold(&io, until.ns);

        if (cut < 0)
            r = cut;
    }
    lea_io_end(&io);
    return (int)r;
}
