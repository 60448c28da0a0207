/*
 * Calls with several pieces: readv, writev, recvmsg, sendmsg.
 */
#include "io/foreign.h"
#include "io/wait.h"

#include "base/os.h"

#include <leat/io.h>

#define PIECES_MAX 1024

struct pieces {
    const struct iovec *iov;
    int n;
};

struct message {
    struct msghdr *msg;
    int flags;
};

static size_t bytes_of(const struct iovec *iov, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum;
}

static ssize_t readv_try(struct lea_io *io, void *arg, bool in_place)
{
    struct pieces *p = arg;

    if (lea_u32_load_rlx(&io->f->kind) == LEA_FD_KIND_SOCKET) {
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)p->iov,
                             .msg_iovlen = (size_t)p->n};

        return lea_os_recvmsg(io->fd, &msg, MSG_DONTWAIT);
    }
    return lea_io_is_stream(io) ? lea_os_readv(io->fd, p->iov, p->n)
                                : lea_foreign_readv(io, p->iov, p->n, in_place);
}

static ssize_t writev_try(struct lea_io *io, void *arg, bool in_place)
{
    struct pieces *p = arg;
    ssize_t n;

    if (lea_u32_load_rlx(&io->f->kind) == LEA_FD_KIND_SOCKET) {
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)p->iov,
                             .msg_iovlen = (size_t)p->n};

        return lea_os_sendmsg(io->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (!lea_io_is_stream(io))
        return lea_foreign_writev(io, p->iov, p->n, in_place);
    n = lea_os_writev(io->fd, p->iov, p->n);
    if (n == -EPIPE)
        lea_os_sigpipe_take();
    return n;
}

static ssize_t recvmsg_try(struct lea_io *io, void *arg, bool in_place)
{
    struct message *a = arg;

    (void)in_place;
    return lea_os_recvmsg(io->fd, a->msg, a->flags | MSG_DONTWAIT);
}

static ssize_t sendmsg_try(struct lea_io *io, void *arg, bool in_place)
{
    struct message *a = arg;

    (void)in_place;
    return lea_os_sendmsg(io->fd, a->msg, a->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* `wanted`: bytes that a full transfer moves; 0 when a short one says nothing. */
static ssize_t call(int fd, enum lea_fd_dir dir, int64_t until_ns, lea_io_try try_call, void *arg,
                    size_t wanted)
{
    enum lea_reason reason = dir == LEA_FD_READ ? LEA_REASON_READ : LEA_REASON_WRITE;
    struct lea_io io;
    ssize_t n = lea_io_begin(&io, fd, dir == LEA_FD_READ ? LEA_FD_USE_RD : LEA_FD_USE_WR);

    if (n < 0)
        return n;
    n = lea_io_loop(&io, dir, reason, until_ns, try_call, arg);
    lea_io_note(&io, dir, n, wanted);
    lea_io_end(&io);
    return n;
}

ssize_t leat_readv(int fd, const struct iovec *iov, int nr_iov, leat_deadline until)
{
    struct pieces p = {iov, nr_iov};

    if (nr_iov < 1 || nr_iov > PIECES_MAX)
        return -EINVAL;
    if (bytes_of(iov, (size_t)nr_iov) == 0)
        return leat_read(fd, NULL, 0, until);
    return call(fd, LEA_FD_READ, until.ns, readv_try, &p, bytes_of(iov, (size_t)nr_iov));
}

ssize_t leat_writev(int fd, const struct iovec *iov, int nr_iov, leat_deadline until)
{
    struct pieces p = {iov, nr_iov};

    if (nr_iov < 1 || nr_iov > PIECES_MAX)
        return -EINVAL;
    return call(fd, LEA_FD_WRITE, until.ns, writev_try, &p, bytes_of(iov, (size_t)nr_iov));
}

ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags, leat_deadline until)
{
    struct message a = {msg, flags};

    return call(fd, LEA_FD_READ, until.ns, recvmsg_try, &a,
                flags & ~MSG_DONTWAIT ? 0 : bytes_of(msg->msg_iov, msg->msg_iovlen));
}

ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags, leat_deadline until)
{
    struct message a = {(struct msghdr *)(uintptr_t)msg, flags};

    return call(fd, LEA_FD_WRITE, until.ns, sendmsg_try, &a,
                bytes_of(msg->msg_iov, msg->msg_iovlen));
}
