/*
 * leat_relay(). Contract: include/leat/io.h.
 *
 * Splice(2) moves from a socket to a pipe and from a pipe to a socket. So a part goes into a pipe,
 * and all of that out again, before the next one is taken: then "would have to wait" is said of the
 * socket and never of the pipe. A part is taken when poll(2) says that there is room for it: what
 * is on its way when the deadline comes is the rest of one that was larger than the room.
 *
 * A pipe is two descriptors and some pages, so a relay has one only while something is on its way;
 * empty ones wait for the next relay (pipes.h).
 *
 * Without a pipe, or where the kernel cannot splice, read(2) and write(2) with a buffer do the
 * same. So they do behind urgent data: splice(2) from TCP stops at its mark, and says that the
 * socket is empty, or at its end. An end is asked for by read(2) too, for that reason.
 *
 * SIGPIPE as in rw.c: splice(2) raises it on sockets too.
 */
#include "base/os.h"
#include "io/pipes.h"
#include "io/wait.h"
#include "mem/heap.h"

#include <leat/io.h>
#include <sys/stat.h>

#define PART_BYTES ((size_t)64 << 10)
#define BUFFER_BYTES ((size_t)16 << 10)

struct relay {
    struct lea_io in, out; /* the same worker in both */
    int64_t until_ns;
    uint64_t left;  /* bytes to be written yet */
    uint64_t moved; /* bytes written by this call */
    bool copies;    /* no splice any more */
    int pipe[2];    /* -1 none */
    char *buffer;   /* NULL none */
    /* what is on its way; that in the buffer goes before that in the pipe */
    uint32_t in_pipe, first, in_buffer;
};

static void stand_on(struct relay *r, struct lea_worker *m)
{
    r->in.m = r->out.m = m;
}

static uint32_t on_its_way(const struct relay *r)
{
    return r->in_pipe + r->in_buffer;
}

static size_t at_most(uint64_t left, size_t bytes)
{
    return left < bytes ? (size_t)left : bytes;
}

/* --- what carries: a pipe, a buffer, or both --- */

static int buffer_get(struct relay *r)
{
    if (!r->buffer)
        r->buffer = lea_heap_alloc(BUFFER_BYTES);
    return r->buffer ? 0 : -ENOMEM;
}

/* For the next part: nothing is on its way. Without descriptors the buffer does for once. */
static int carrier_get(struct relay *r)
{
    if (!r->copies && (r->pipe[0] >= 0 || lea_pipe_get(r->out.m, r->pipe) == 0))
        return 0;
    return buffer_get(r);
}

/* What is empty of it. */
static void carrier_put(struct relay *r)
{
    if (r->pipe[0] >= 0 && r->in_pipe == 0)
        lea_pipe_put(r->out.m, r->pipe);
    if (r->in_buffer == 0) {
        lea_heap_free(r->buffer, BUFFER_BYTES);
        r->buffer = NULL;
    }
}

/* --- the ends --- */

static int is_stream_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);
    int e = lea_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);

    return e < 0 ? e : type == SOCK_STREAM ? 0 : -EINVAL;
}

/* With an even tick. */
static int is_stream(const struct lea_io *io)
{
    struct stat st;
    int e = lea_io_is_non_blocking(io);

    if (e == 0)
        e = lea_os_fstat(io->fd, &st);
    if (e < 0)
        return e;
    if (S_ISSOCK(st.st_mode))
        return is_stream_socket(io->fd);
    return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode) ? -EINVAL : 0;
}

static int check_ends(struct relay *r)
{
    int e;

    lea_syscall_begin(r->out.m);
    e = is_stream(&r->out);
    if (e == 0)
        e = is_stream(&r->in);
    lea_syscall_end(r->out.m);
    return e;
}

static bool is_closed(const struct lea_io *io)
{
    return (lea_u32_load_acq(&io->f->use) & LEA_FD_USE_CLOSING) ||
           lea_u32_load_acq(&io->f->gen) != io->gen;
}

/* What a write would say, if anything but a success. */
static ssize_t why_broken(int fd, int events)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (lea_os_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -EPIPE; /* a pipe */
    return error ? -error : events & EPOLLHUP ? -EPIPE : events;
}

static ssize_t room_try(struct lea_io *io, void *arg, bool in_place)
{
    int events;

    (void)arg;
    (void)in_place;
    lea_fd_before_look(io->f);
    events = lea_os_poll_now(io->fd, EPOLLOUT);
    if (events <= 0)
        return events < 0 ? events : -EAGAIN;
    return events & (EPOLLERR | EPOLLHUP) ? why_broken(io->fd, events) : events;
}

static ssize_t put(struct relay *r, lea_io_try try_call)
{
    ssize_t n = lea_io_loop(&r->out, LEA_FD_WRITE, LEA_REASON_WRITE, r->until_ns, try_call, r);

    stand_on(r, r->out.m);
    return n;
}

/* Waits for room, and for that long gives back what carries. */
static ssize_t room(struct relay *r)
{
    ssize_t n = lea_io_try_once(&r->out, room_try, r, false);

    if (n != -EAGAIN)
        return n;
    carrier_put(r);
    return put(r, room_try);
}

/* --- a part --- */

static bool cannot_splice(ssize_t n)
{
    return n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP;
}

static ssize_t take_try(struct lea_io *io, void *arg, bool in_place)
{
    struct relay *r = arg;

    (void)in_place;
    if (r->pipe[0] >= 0)
        return lea_os_splice(io->fd, r->pipe[1], at_most(r->left, PART_BYTES));
    return lea_os_read(io->fd, r->buffer, at_most(r->left, BUFFER_BYTES));
}

static ssize_t take_now(struct relay *r)
{
    ssize_t n;

    if (lea_fd_take_edge(r->in.f, LEA_FD_READ))
        lea_u32_store_rlx(&r->in.f->drained[LEA_FD_READ], 0); /* relaxed: ours */
    /* relaxed: a bit that is stored later comes with an edge */
    if (lea_u32_load_rlx(&r->in.f->seen) & LEA_FD_SEEN_URGENT)
        r->copies = true;
    if (r->copies && r->pipe[0] >= 0) /* left by a part before: it is empty */
        lea_pipe_put(r->out.m, r->pipe);
    n = carrier_get(r);
    if (n < 0)
        return n;
    n = lea_io_try_once(&r->in, take_try, r, false);
    if (n > 0 && r->pipe[0] >= 0)
        r->in_pipe = (uint32_t)n;
    else if (n > 0)
        r->in_buffer = (uint32_t)n;
    return n;
}

/* Nothing is on its way. Bytes; 0 there will be none; or why none came. */
static ssize_t take(struct relay *r)
{
    for (;;) {
        ssize_t n = take_now(r);
        bool by_read = r->pipe[0] >= 0 && (n == 0 || cannot_splice(n));

        if (n > 0)
            return n;
        carrier_put(r);
        if (by_read) {
            r->copies = true;
            continue;
        }
        if (n != -EAGAIN)
            return n;
        n = lea_io_wait(&r->in, LEA_FD_READ, LEA_REASON_READ, r->until_ns);
        stand_on(r, r->in.m);
        if (n < 0)
            return n == -EPERM ? -EINVAL : n;
    }
}

static ssize_t splice_try(struct lea_io *io, void *arg, bool in_place)
{
    struct relay *r = arg;
    ssize_t n = lea_os_splice(r->pipe[0], io->fd, at_most(r->left, r->in_pipe));

    (void)in_place;
    if (n == -EPIPE)
        lea_os_sigpipe_take();
    return n;
}

static ssize_t write_try(struct lea_io *io, void *arg, bool in_place)
{
    struct relay *r = arg;
    ssize_t n = lea_os_write(io->fd, r->buffer + r->first, at_most(r->left, r->in_buffer));

    (void)in_place;
    if (n == -EPIPE)
        lea_os_sigpipe_take();
    return n;
}

/* From the pipe to the buffer, in front of what is still in the pipe. */
static int refill(struct relay *r)
{
    ssize_t n = buffer_get(r);

    if (n < 0)
        return (int)n;
    lea_syscall_begin(r->out.m);
    do
        n = lea_os_read(r->pipe[0], r->buffer, at_most(r->in_pipe, BUFFER_BYTES));
    while (n == -EINTR);
    lea_syscall_end(r->out.m);
    if (n <= 0)
        return n < 0 ? (int)n : -EIO;
    r->in_pipe -= (uint32_t)n;
    r->in_buffer = (uint32_t)n;
    r->first = 0;
    return 0;
}

/* Some of what is on its way. Bytes, or why none. */
static ssize_t give(struct relay *r)
{
    ssize_t n;

    if (r->in_buffer == 0 && !r->copies) {
        n = put(r, splice_try);
        if (n > 0)
            r->in_pipe -= (uint32_t)n;
        if (!cannot_splice(n))
            return n != 0 ? n : -EIO;
        r->copies = true;
    }
    n = r->in_buffer > 0 ? 0 : refill(r);
    if (n == 0)
        n = put(r, write_try);
    if (n > 0) {
        r->in_buffer -= (uint32_t)n;
        r->first = r->in_buffer > 0 ? r->first + (uint32_t)n : 0;
    }
    return n != 0 ? n : -EIO;
}

/* --- all of them --- */

static int give_all(struct relay *r)
{
    while (on_its_way(r) > 0 && r->left > 0) {
        ssize_t n = give(r);

        if (n < 0)
            return (int)n;
        r->moved += (uint64_t)n;
        r->left -= (uint64_t)n;
    }
    return 0;
}

/* Between two parts: what ends a relay that never has to wait. */
static int go_on(struct relay *r)
{
    int e = lea_io_again(&r->out);

    stand_on(r, r->out.m);
    if (e < 0)
        return e;
    if (is_closed(&r->in) || is_closed(&r->out))
        return -ECANCELED;
    return r->moved > 0 && r->until_ns != INT64_MAX && lea_os_now_ns() >= r->until_ns ? -ETIMEDOUT
                                                                                      : 0;
}

static int relay_all(struct relay *r)
{
    for (;;) {
        ssize_t n = give_all(r);

        if (n < 0 || r->left == 0)
            return (int)n;
        n = go_on(r);
        if (n == 0)
            n = room(r);
        if (n > 0)
            n = take(r);
        if (n <= 0)
            return (int)n;
    }
}

/* What an earlier call has left on its way. */
static void take_up(struct relay *r, const leat_relayed *progress)
{
    if (!progress || progress->kept == 0)
        return;
    r->in_pipe = progress->in_pipe_;
    r->first = progress->first_;
    r->in_buffer = progress->in_bytes_;
    r->buffer = progress->bytes_;
    if (r->in_pipe > 0) {
        r->pipe[0] = progress->pipe_[0];
        r->pipe[1] = progress->pipe_[1];
    }
}

static void leave_off(struct relay *r, leat_relayed *progress)
{
    carrier_put(r);
    if (progress) {
        progress->moved += r->moved;
        progress->kept = on_its_way(r);
        progress->in_pipe_ = r->in_pipe;
        progress->first_ = r->first;
        progress->in_bytes_ = r->in_buffer;
        progress->bytes_ = r->buffer;
        progress->pipe_[0] = r->pipe[0];
        progress->pipe_[1] = r->pipe[1];
        return;
    }
    lea_heap_free(r->buffer, BUFFER_BYTES);
    if (r->in_pipe == 0)
        return;
    lea_syscall_begin(r->out.m);
    lea_pipe_close(r->pipe);
    lea_syscall_end(r->out.m);
}

int leat_relay(int to, int from, uint64_t len, leat_relayed *progress, leat_deadline until)
{
    struct relay r = {.until_ns = until.ns, .left = len, .pipe = {-1, -1}};
    int n = lea_io_begin(&r.out, to, LEA_FD_USE_WR);

    if (n < 0)
        return n;
    r.in.m = r.out.m;
    n = lea_io_hold(&r.in, from, LEA_FD_USE_RD);
    if (n == 0) {
        n = check_ends(&r);
        if (n == 0) {
            take_up(&r, progress);
            n = relay_all(&r);
            leave_off(&r, progress);
        }
        lea_io_drop(&r.in);
    }
    lea_io_end(&r.out);
    return n;
}

void leat_relay_drop(leat_relayed *progress)
{
    struct lea_worker *m;

    if (progress->kept == 0)
        return;
    if (progress->in_pipe_ > 0)
        lea_pipe_close(progress->pipe_);
    m = lea_enter();
    lea_heap_free(progress->bytes_, BUFFER_BYTES);
    if (m)
        lea_leave(m);
    progress->bytes_ = NULL;
    progress->kept = 0;
}
