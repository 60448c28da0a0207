/*
 * The waiting side of a call. See wait.h.
 */
#include "io/wait.h"

#include "base/os.h"
#include "sched/find.h"

#include <fcntl.h>
#include <sys/stat.h>

int lea_io_no_record(int fd)
{
    int r = lea_os_fcntl(fd, F_GETFD, 0);

    return r < 0 ? r : -ENOMEM;
}

int lea_io_arm(struct lea_io *io)
{
    int r;

    if (LEA_LIKELY(io->owned && lea_u32_load_acq(&io->f->armed) == io->gen + 1))
        return 0;
    lea_syscall_begin(io->m);
    r = lea_fd_arm(&io->m->rt->netpoll, io->f, io->fd);
    lea_syscall_end(io->m);
    return r;
}

/* Always ready, as the poller would say. */
static bool is_file(struct lea_io *io)
{
    struct stat st;
    int r;

    if (lea_u32_load_rlx(&io->f->kind) != LEA_FD_KIND_UNKNOWN)
        return false;
    lea_syscall_begin(io->m);
    r = lea_os_fstat(io->fd, &st);
    lea_syscall_end(io->m);
    return r == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

int lea_io_wait(struct lea_io *io, enum lea_fd_dir dir, enum lea_reason reason, int64_t until_ns)
{
    struct lea_fd *f = io->f;
    struct lea_co *g = io->m->co;
    enum lea_wake code = LEA_WAKE_DONE;
    uintptr_t ticket;
    int r;

    /*
     * whoever adopted the number latched an edge afterwards; the caller may have taken it, and
     * there will be none
     */
    if (LEA_UNLIKELY(lea_u32_load_acq(&f->gen) != io->gen))
        return -ECANCELED;
    if (until_ns <= 0)
        return is_file(io) ? -EPERM : -ETIMEDOUT;
    r = lea_io_arm(io);
    if (r < 0)
        return r;
    ticket = lea_co_ticket(g);
    if (LEA_LIKELY(lea_fd_wait_begin(f, dir, g, ticket))) {
        code = lea_park_until(&io->m, reason, ticket, until_ns, false);
        if (LEA_LIKELY(io->m->proc != NULL))
            lea_find_prefetch(io->m->proc);
        lea_fd_wait_end(f, dir, g);
    } else {
        /* somebody may have seen the ticket: it must never name another wait */
        (void)lea_co_claim(g, ticket, LEA_WAKE_NONE);
    }
    lea_u32_store_rlx(&f->drained[dir], 0); /* relaxed: ours */
    if (LEA_UNLIKELY((lea_u32_load_acq(&f->use) & LEA_FD_USE_CLOSING) ||
                     lea_u32_load_acq(&f->gen) != io->gen))
        return -ECANCELED;
    return code == LEA_WAKE_CLOSED ? 0 : lea_wake_errno(code);
}

struct elsewhere {
    struct lea_io *io;
    lea_io_try try_call;
    void *arg;
};

static leat_result call_elsewhere(void *arg)
{
    struct elsewhere *e = arg;
    ssize_t n;

    do
        n = e->try_call(e->io, e->arg, true);
    while (n == -EINTR);
    return n;
}

ssize_t lea_io_always_ready(struct lea_io *io, enum lea_reason reason, int64_t until_ns,
                            lea_io_try try_call, void *arg)
{
    struct elsewhere e = {io, try_call, arg};
    leat_result result = 0;
    int r;

    if ((reason != LEA_REASON_READ && reason != LEA_REASON_WRITE) || until_ns <= 0)
        return lea_io_try_once(io, try_call, arg, true);
    r = lea_blocking_run(&io->m, call_elsewhere, &e, &result, until_ns);
    if (r == -EAGAIN) /* not one thread can be had */
        return lea_io_try_once(io, try_call, arg, true);
    return r < 0 ? r : result;
}

static void give_back(struct lea_io *io)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    lea_syscall_begin(io->m);
    (void)lea_fd_free(&io->m->rt->netpoll, io->f, io->fd, &list);
    lea_syscall_end(io->m);
    lea_ready_list_all(io->m->rt, io->m, &list);
}

void lea_io_free(struct lea_io *io)
{
    give_back(io);
    lea_leave(io->m);
}

void lea_io_drop(struct lea_io *io)
{
    if (lea_fd_leave(io->f, io->how))
        give_back(io);
}

int lea_io_is_non_blocking(const struct lea_io *io)
{
    int mode = io->owned ? O_NONBLOCK : lea_os_fcntl(io->fd, F_GETFL, 0);

    return mode < 0 ? mode : mode & O_NONBLOCK ? 0 : -EINVAL;
}

ssize_t lea_io_call(int fd, enum lea_fd_dir dir, enum lea_reason reason, int64_t until_ns,
                    lea_io_try try_call, void *arg)
{
    struct lea_io io;
    ssize_t n = lea_io_begin(&io, fd, dir == LEA_FD_READ ? LEA_FD_USE_RD : LEA_FD_USE_WR);

    if (n < 0)
        return n;
    n = lea_io_loop(&io, dir, reason, until_ns, try_call, arg);
    lea_io_end(&io);
    return n;
}
