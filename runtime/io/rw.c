/*
 * Reading and writing bytes: leat_read(), leat_write() and what is built of them. The loop is
 * inlined here, it is the server's hot path.
 *
 * Sockets of ours are non-blocking, and are told so at each call all the same: the mode belongs to
 * the file description, and whoever shares it (a forked child, the program) may set it back. Pipes
 * have no such flag that costs nothing; one that was set back blocks the worker.
 *
 * SIGPIPE is blocked on workers. Sockets are written without asking for it; a pipe without readers
 * leaves one pending for the thread, which is taken away at once, so that it does not strike when a
 * worker's mask is set back.
 */
#include "io/foreign.h"
#include "io/wait.h"

#include "base/os.h"

#include <leat/io.h>

struct piece {
    char *base;
    size_t len;
};

static inline ssize_t read_try(struct lea_io *io, void *arg, bool in_place)
{
    struct piece *p = arg;
    struct iovec one;

    if (LEA_LIKELY(lea_u32_load_rlx(&io->f->kind) == LEA_FD_KIND_SOCKET))
        return lea_os_recv(io->fd, p->base, p->len, MSG_DONTWAIT);
    if (lea_io_is_stream(io))
        return lea_os_read(io->fd, p->base, p->len);
    one.iov_base = p->base;
    one.iov_len = p->len;
    return lea_foreign_readv(io, &one, 1, in_place);
}

static inline ssize_t write_try(struct lea_io *io, void *arg, bool in_place)
{
    struct piece *p = arg;
    struct iovec one;
    ssize_t n;

    if (LEA_LIKELY(lea_u32_load_rlx(&io->f->kind) == LEA_FD_KIND_SOCKET))
        return lea_os_send(io->fd, p->base, p->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (lea_io_is_stream(io)) {
        n = lea_os_write(io->fd, p->base, p->len);
        if (n == -EPIPE)
            lea_os_sigpipe_take();
        return n;
    }
    one.iov_base = p->base;
    one.iov_len = p->len;
    return lea_foreign_writev(io, &one, 1, in_place);
}

__attribute__((always_inline)) static inline ssize_t read_some(struct lea_io *io, void *buf,
                                                               size_t len, int64_t until_ns)
{
    struct piece p = {buf, len};
    ssize_t n;

    /* as read(2); recv(2) would wait */
    if (LEA_UNLIKELY(len == 0))
        return 0;
    n = lea_io_loop(io, LEA_FD_READ, LEA_REASON_READ, until_ns, read_try, &p);
    lea_io_note(io, LEA_FD_READ, n, len);
    return n;
}

__attribute__((always_inline)) static inline ssize_t write_some(struct lea_io *io, const void *buf,
                                                                size_t len, int64_t until_ns)
{
    struct piece p = {(char *)(uintptr_t)buf, len};
    ssize_t n = lea_io_loop(io, LEA_FD_WRITE, LEA_REASON_WRITE, until_ns, write_try, &p);

    lea_io_note(io, LEA_FD_WRITE, n, len);
    return n;
}

ssize_t leat_read(int fd, void *buf, size_t len, leat_deadline until)
{
    struct lea_io io;
    ssize_t n = lea_io_begin(&io, fd, LEA_FD_USE_RD);

    if (LEA_UNLIKELY(n < 0))
        return n;
    n = read_some(&io, buf, len, until.ns);
    lea_io_end(&io);
    return n;
}

ssize_t leat_write(int fd, const void *buf, size_t len, leat_deadline until)
{
    struct lea_io io;
    ssize_t n = lea_io_begin(&io, fd, LEA_FD_USE_WR);

    if (LEA_UNLIKELY(n < 0))
        return n;
    n = write_some(&io, buf, len, until.ns);
    lea_io_end(&io);
    return n;
}

ssize_t leat_read_full(int fd, void *buf, size_t len, leat_deadline until)
{
    struct lea_io io;
    size_t done = 0;
    ssize_t n = lea_io_begin(&io, fd, LEA_FD_USE_RD);

    if (LEA_UNLIKELY(n < 0))
        return n;
    for (;;) {
        n = read_some(&io, (char *)buf + done, len - done, until.ns);
        if (n <= 0)
            break;
        done += (size_t)n;
        if (done == len)
            break;
        n = lea_io_again(&io);
        if (n < 0)
            break;
    }
    lea_io_end(&io);
    return n < 0 ? n : (ssize_t)done;
}

ssize_t leat_write_all(int fd, const void *buf, size_t len, leat_deadline until)
{
    struct lea_io io;
    size_t done = 0;
    ssize_t n = lea_io_begin(&io, fd, LEA_FD_USE_WR);

    if (LEA_UNLIKELY(n < 0))
        return n;
    for (;;) {
        n = write_some(&io, (const char *)buf + done, len - done, until.ns);
        if (LEA_UNLIKELY(n < 0))
            break;
        done += (size_t)n;
        if (LEA_LIKELY(done == len))
            break;
        n = lea_io_again(&io);
        if (n < 0)
            break;
    }
    lea_io_end(&io);
    return n < 0 ? n : (ssize_t)done;
}
