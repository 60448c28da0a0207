/*
 * Descriptors of others. See foreign.h.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "io/foreign.h"

#include "base/os.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum guess { GUESS_SOCKET, GUESS_OTHER };

static bool not_known(ssize_t r)
{
    return r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS || r == -ESPIPE;
}

/* It may have to wait for a disk, and no poll says so. */
static bool is_file(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode);
}

static ssize_t read_if_ready(int fd, const struct iovec *iov, int n)
{
    struct stat st;
    int e = lea_os_fstat(fd, &st);

    if (e == 0 && is_file(&st))
        return -EAGAIN;
    if (e == 0)
        e = lea_os_poll_now(fd, EPOLLIN);
    if (e < 0)
        return e;
    return e ? lea_os_readv(fd, iov, n) : -EAGAIN;
}

ssize_t lea_foreign_readv(struct lea_io *io, const struct iovec *iov, int n, bool in_place)
{
    lea_u32 *guess = &io->f->guess[LEA_FD_READ];
    ssize_t r;

    if (in_place)
        return lea_os_readv(io->fd, iov, n);
    if (lea_u32_load_rlx(guess) == GUESS_SOCKET) {
        struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

        r = lea_os_recvmsg(io->fd, &msg, MSG_DONTWAIT);
        if (r != -ENOTSOCK)
            return r;
        lea_u32_store_rlx(guess, GUESS_OTHER);
    }
    r = lea_os_preadv2(io->fd, iov, n, -1, RWF_NOWAIT);
    return not_known(r) ? read_if_ready(io->fd, iov, n) : r;
}

static ssize_t send_pieces(int fd, const struct iovec *iov, int n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

    return lea_os_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t write_if_ready(struct lea_io *io, const struct iovec *iov, int n)
{
    struct iovec one;
    struct stat st;
    int r = lea_os_fstat(io->fd, &st);

    if (r < 0)
        return r;
    if (S_ISSOCK(st.st_mode)) {
        lea_u32_store_rlx(&io->f->guess[LEA_FD_WRITE], GUESS_SOCKET);
        return send_pieces(io->fd, iov, n);
    }
    if (is_file(&st))
        return -EAGAIN;
    r = lea_os_poll_now(io->fd, EPOLLOUT);
    if (r <= 0)
        return r < 0 ? r : -EAGAIN;
    while (n > 1 && iov->iov_len == 0) {
        iov++;
        n--;
    }
    one.iov_base = iov->iov_base;
    one.iov_len = iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF;
    return lea_os_writev(io->fd, &one, 1);
}

static ssize_t write_pieces(struct lea_io *io, const struct iovec *iov, int n, bool in_place)
{
    lea_u32 *guess = &io->f->guess[LEA_FD_WRITE];
    ssize_t r;

    if (in_place)
        return lea_os_writev(io->fd, iov, n);
    if (lea_u32_load_rlx(guess) == GUESS_SOCKET) {
        r = send_pieces(io->fd, iov, n);
        if (r != -ENOTSOCK)
            return r;
        lea_u32_store_rlx(guess, GUESS_OTHER);
    }
    r = lea_os_pwritev2(io->fd, iov, n, -1, RWF_NOWAIT);
    return not_known(r) ? write_if_ready(io, iov, n) : r;
}

ssize_t lea_foreign_writev(struct lea_io *io, const struct iovec *iov, int n, bool in_place)
{
    ssize_t r = write_pieces(io, iov, n, in_place);

    if (r == -EPIPE)
        lea_os_sigpipe_take();
    return r;
}
