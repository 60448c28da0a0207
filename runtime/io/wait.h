/*
 * io/wait.h - one system call on behalf of a coroutine: when to try, when to park. Everything in
 * io/ that waits goes through here.
 *
 * A call: lea_io_begin (bracket, cancellation, the direction is held), lea_io_loop (try and park),
 * lea_io_end.
 *
 * When to try: always, unless the last call on this direction came back short, no edge has been
 * latched since, and nothing unusual (end of the peer's direction, error, urgent data) was ever
 * seen: then the try would most likely only say EAGAIN, and we park at once. With a deadline that
 * has passed there is one try in any case: a call that needs no wait succeeds.
 *
 * A latched edge is taken before the try, never after: what comes in between is latched again, and
 * ends the next wait at once. A write that nothing speaks against is tried without taking it: every
 * event latches that writing is possible, which a server that never waits there need not hear. It
 * is found when the write would have to wait, and costs one more try then.
 *
 * Wakings may come too early (a stale edge): the try decides. That a descriptor was closed, or its
 * number adopted anew, is read from the record (CLOSING, generation), not from how the wait ended.
 */
#ifndef LEA_IO_WAIT_H
#define LEA_IO_WAIT_H

#include "netpoll/netpoll.h"
#include "sched/sched.h"

#include <errno.h>
#include <leat/time.h>
#include <sys/types.h>

struct lea_io {
    struct lea_worker *m; /* changes when the coroutine has waited */
    struct lea_fd *f;
    int fd;
    uint32_t how; /* LEA_FD_USE_RD, _WR */
    uint32_t gen;
    bool owned;
};

/*
 * One try. Returns a result, or -EAGAIN: it would have to wait. `in_place`: the poller says that
 * such a descriptor is always ready (a file), so let the kernel do what it has to; on another
 * thread then, for reading and writing. Runs with an even tick: no processor may be touched.
 */
typedef ssize_t (*lea_io_try)(struct lea_io *io, void *arg, bool in_place);

/* Why there is no record of a number. */
int lea_io_no_record(int fd);

/*
 * The poller must know the descriptor before anybody waits. 0; -EPERM: always ready; -ENOMEM,
 * -ENOSPC, …
 */
int lea_io_arm(struct lea_io *io);

/* Park until there is an edge. 0: try again; -EPERM: always ready; else the call's result. */
int lea_io_wait(struct lea_io *io, enum lea_fd_dir dir, enum lea_reason reason, int64_t until_ns);

/*
 * The poller says that the descriptor is always ready, and the try that it would have to wait: a
 * file. Reading and writing are left to a thread of the pool; the others do not wait. With a
 * deadline that has passed the call is made in place, as it would wait for no event.
 */
ssize_t lea_io_always_ready(struct lea_io *io, enum lea_reason reason, int64_t until_ns,
                            lea_io_try try_call, void *arg);

/*
 * End of the last call on a descriptor that was closed meanwhile: free its number, and leave the
 * bracket.
 */
void lea_io_free(struct lea_io *io);

/* Begin, loop and end in one, for what need not be inlined. */
ssize_t lea_io_call(int fd, enum lea_fd_dir dir, enum lea_reason reason, int64_t until_ns,
                    lea_io_try try_call, void *arg);

/*
 * In a bracket, io->m: one descriptor more, until lea_io_drop(). 0, or why not.
 */
__attribute__((always_inline)) static inline int lea_io_hold(struct lea_io *io, int fd,
                                                             uint32_t how)
{
    int r;

    io->fd = fd;
    io->how = how;
    io->f = lea_fd_get(&io->m->rt->netpoll, fd);
    r = LEA_LIKELY(io->f != NULL) ? lea_fd_enter(io->f, how) : lea_io_no_record(fd);
    if (LEA_UNLIKELY(r < 0))
        return r;
    io->gen = lea_u32_load_acq(&io->f->gen);
    /* relaxed: our CAS has acquired it */
    io->owned = (lea_u32_load_rlx(&io->f->use) & LEA_FD_USE_OWNED) != 0;
    return 0;
}

/* The end of it: the bracket goes on. */
void lea_io_drop(struct lea_io *io);

/* 0, and then lea_io_end() is due; or the call's result. */
__attribute__((always_inline)) static inline int lea_io_begin(struct lea_io *io, int fd,
                                                              uint32_t how)
{
    int r;

    io->m = lea_enter_park();
    if (LEA_UNLIKELY(!io->m))
        return lea_outside(-EPERM);
    r = LEA_UNLIKELY(lea_co_cancelled(io->m->co)) ? -ECANCELED : lea_io_hold(io, fd, how);
    if (LEA_UNLIKELY(r < 0))
        lea_leave(io->m);
    return r;
}

/* 0; -EINVAL it is blocking. One that is ours has been made so that it is not. */
int lea_io_is_non_blocking(const struct lea_io *io);

/* Ours, non-blocking, no socket. */
static inline bool lea_io_is_stream(const struct lea_io *io)
{
    return io->owned && lea_u32_load_rlx(&io->f->kind) != LEA_FD_KIND_UNKNOWN;
}

static inline void lea_io_end(struct lea_io *io)
{
    if (LEA_LIKELY(!lea_fd_leave(io->f, io->how)))
        lea_leave(io->m);
    else
        lea_io_free(io);
}

/* Between two tries of one long call: obey a slice request, notice a cancellation. */
static inline int lea_io_again(struct lea_io *io)
{
    lea_leave(io->m);
    io->m = lea_enter_park();
    return LEA_UNLIKELY(lea_co_cancelled(io->m->co)) ? -ECANCELED : 0;
}

/* After a result: remember whether it was short. */
static inline void lea_io_note(struct lea_io *io, enum lea_fd_dir dir, ssize_t n, size_t wanted)
{
    if (n > 0 && (size_t)n < wanted && (lea_u32_load_rlx(&io->f->flags) & LEA_FD_SHORT_IS_DRAINED))
        lea_u32_store_rlx(&io->f->drained[dir], 1); /* relaxed: ours */
}

static inline ssize_t lea_io_try_once(struct lea_io *io, lea_io_try try_call, void *arg,
                                      bool in_place)
{
    ssize_t n;

    do {
        lea_syscall_begin(io->m);
        n = try_call(io, arg, in_place);
        lea_syscall_end(io->m);
    } while (LEA_UNLIKELY(n == -EINTR));
    return n;
}

__attribute__((always_inline)) static inline ssize_t lea_io_loop(struct lea_io *io,
                                                                 enum lea_fd_dir dir,
                                                                 enum lea_reason reason,
                                                                 int64_t until_ns,
                                                                 lea_io_try try_call, void *arg)
{
    struct lea_fd *f = io->f;
    bool skip = lea_u32_load_rlx(&f->drained[dir]) && until_ns > 0, tried = false;
    int r;

    for (;;) {
        if ((dir == LEA_FD_READ || skip) && lea_fd_take_edge(f, dir)) {
            lea_u32_store_rlx(&f->drained[dir], 0);
            skip = false;
        }
        /* relaxed: a bit that is stored later comes with an edge, which ends the wait */
        if (!skip || (lea_u32_load_rlx(&f->seen) & LEA_FD_SEEN_ANY)) {
            ssize_t n = lea_io_try_once(io, try_call, arg, false);

            if (n != -EAGAIN)
                return n;
            tried = true;
        }
        r = lea_io_wait(io, dir, reason, until_ns);
        if (LEA_UNLIKELY(r < 0)) {
            if (r == -EPERM)
                return lea_io_always_ready(io, reason, until_ns, try_call, arg);
            if (r != -ETIMEDOUT || tried)
                return r;
            until_ns = 0; /* the hint was wrong perhaps: the one try */
        }
        skip = false;
    }
}

#endif
