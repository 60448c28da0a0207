/*
 * Waiting for readiness alone, for libraries that make their own system calls. Level-triggered to
 * the caller: poll(2) without a timeout decides, edges only say when to ask again.
 */
#include "base/os.h"
#include "io/wait.h"

#include <leat/io.h>

#define BOTH_WAYS (LEA_FD_USE_RD | LEA_FD_USE_WR)

static ssize_t poll_try(struct lea_io *io, void *arg, bool in_place)
{
    int events = *(int *)arg;
    int r;

    lea_fd_before_look(io->f);
    r = lea_os_poll_now(io->fd, events);
    if (in_place)
        return events;
    return r == 0 ? -EAGAIN : r;
}

/* As lea_io_wait(), for both directions at once. */
static int wait_both(struct lea_io *io, int64_t until_ns)
{
    struct lea_fd *f = io->f;
    struct lea_co *g = io->m->co;
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t ticket = lea_co_ticket(g);
    bool rd, wr;

    if (until_ns <= 0)
        return -ETIMEDOUT;
    rd = lea_fd_wait_begin(f, LEA_FD_READ, g, ticket);
    wr = rd && lea_fd_wait_begin(f, LEA_FD_WRITE, g, ticket);
    if (wr)
        code = lea_park_until(&io->m, LEA_REASON_POLL, ticket, until_ns, false);
    else
        /* somebody may have seen the ticket: it must never name another wait */
        (void)lea_co_claim(g, ticket, LEA_WAKE_NONE);
    if (rd)
        lea_fd_wait_end(f, LEA_FD_READ, g);
    if (wr)
        lea_fd_wait_end(f, LEA_FD_WRITE, g);
    lea_u32_store_rlx(&f->drained[LEA_FD_READ], 0); /* relaxed: both are ours */
    lea_u32_store_rlx(&f->drained[LEA_FD_WRITE], 0);
    if ((lea_u32_load_acq(&f->use) & LEA_FD_USE_CLOSING) || lea_u32_load_acq(&f->gen) != io->gen)
        return -ECANCELED;
    return code == LEA_WAKE_CLOSED ? 0 : lea_wake_errno(code);
}

static ssize_t poll_both(struct lea_io *io, int *events, int64_t until_ns)
{
    for (;;) {
        ssize_t r = lea_io_try_once(io, poll_try, events, false);

        if (r != -EAGAIN)
            return r;
        r = lea_io_arm(io);
        if (r == -EPERM)
            return *events;
        if (r == 0)
            r = wait_both(io, until_ns);
        if (r < 0)
            return r;
    }
}

/* The drained hint of the stream calls is not ours: what we report is left to be read. */
static ssize_t poll_one(struct lea_io *io, enum lea_fd_dir dir, int *events, int64_t until_ns)
{
    lea_u32_store_rlx(&io->f->drained[dir], 0); /* relaxed: ours */
    return lea_io_loop(io, dir, LEA_REASON_POLL, until_ns, poll_try, events);
}

int leat_poll_fd(int fd, int events, leat_deadline until)
{
    uint32_t how =
        (events & LEAT_POLLIN ? LEA_FD_USE_RD : 0) | (events & LEAT_POLLOUT ? LEA_FD_USE_WR : 0);
    struct lea_io io;
    ssize_t r;

    if (!how || (events & ~(LEAT_POLLIN | LEAT_POLLOUT)))
        return -EINVAL;
    r = lea_io_begin(&io, fd, how);
    if (r < 0)
        return (int)r;
    if (how == BOTH_WAYS)
        r = poll_both(&io, &events, until.ns);
    else
        r = poll_one(&io, how == LEA_FD_USE_RD ? LEA_FD_READ : LEA_FD_WRITE, &events, until.ns);
    lea_io_end(&io);
    return (int)r;
}
