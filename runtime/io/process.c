/*
 * Child processes. Contract: include/leat/process.h.
 *
 * A child is known by its pidfd, which becomes readable at its end and never names another process:
 * signals go through it, and its end is taken through it. The pidfd is an owned descriptor, so that
 * the wait for it is that of io/ (deadline, cancellation, one waiter). Between the start and
 * pidfd_open(2) the number cannot be reused: nobody but us takes its end.
 */
#include "base/os.h"
#include "io/case.h"
#include "io/own.h"
#include "io/wait.h"
#include "sched/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <leat/io.h>
#include <leat/process.h>
#include <leat/scope.h>
#include <signal.h>
#include <string.h>

enum state { CLOSED, RUNNING, ENDED };

/* above the child's standard descriptors: nothing is overwritten before it has been copied */
#define FIRST_FREE_FD 3

/* Descriptors of a start that is under way; -1 none. */
struct ends {
    int child[3];  /* what the child gets */
    bool close[3]; /* made for it: ours is closed after the start */
    int ours[3];   /* the other ends of pipes */
};

static void clear(leat_process *p)
{
    memset(p, 0, sizeof(*p));
    p->in = p->out = p->err = p->fd_ = -1;
}

/* --- descriptors --- */

static int make_pipe(struct ends *e, int which)
{
    int fds[2], ours = which == 0 ? 1 : 0, r = lea_os_pipe2(fds, O_CLOEXEC);

    if (r < 0)
        return r;
    e->child[which] = fds[1 - ours];
    e->close[which] = true;
    e->ours[which] = fds[ours];
    return lea_os_fcntl(fds[ours], F_SETFL,
                        O_NONBLOCK); /* ours alone: the ends of a pipe are two open files */
}

/* A copy that no other standard descriptor of the child can overwrite. */
static int copy_away(struct ends *e, int which, int fd)
{
    int r = lea_os_fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);

    if (r < 0)
        return r;
    e->child[which] = r;
    e->close[which] = true;
    return 0;
}

static int make_end(struct ends *e, int which, int wanted)
{
    int r;

    if (wanted == LEAT_CHILD_PIPE)
        return make_pipe(e, which);
    if (wanted == LEAT_CHILD_OUT && which == 2)
        return copy_away(e, which, e->child[1]);
    if (wanted == LEAT_CHILD_NULL) {
        r = lea_os_open("/dev/null", O_RDWR | O_CLOEXEC, 0);
        if (r < 0)
            return r;
        e->child[which] = r;
        e->close[which] = true;
        return 0;
    }
    if (wanted < 0)
        return -EINVAL;
    if (wanted != LEAT_CHILD_INHERIT)
        return copy_away(e, which, wanted);
    r = copy_away(e, which, which);
    if (r == -EBADF) { /* the caller has none: neither does the child */
        e->child[which] = which;
        return 0;
    }
    return r;
}

static void close_ends(struct ends *e, bool ours)
{
    for (int i = 0; i < 3; i++) {
        if (e->close[i])
            (void)lea_os_close(e->child[i]);
        if (ours && e->ours[i] >= 0)
            (void)lea_os_close(e->ours[i]);
    }
}

static int make_ends(struct ends *e, const leat_process_opts *opts)
{
    const int wanted[3] = {opts->in, opts->out, opts->err};
    int r = 0;

    for (int i = 0; i < 3; i++) {
        e->child[i] = e->ours[i] = -1;
        e->close[i] = false;
    }
    for (int i = 0; r == 0 && i < 3; i++)
        r = make_end(e, i, wanted[i]);
    if (r < 0)
        close_ends(e, true);
    return r;
}

/* --- starting --- */

/* The child runs: take over what is left of its descriptors. */
static int own_all(leat_process *p, struct ends *e, int pidfd)
{
    int *const to[3] = {&p->in, &p->out, &p->err};
    int r = lea_own(pidfd, LEA_FD_KIND_STREAM, LEA_FD_MADE);

    if (r < 0)
        return r;
    p->fd_ = r;
    for (int i = 0; i < 3; i++) {
        if (e->ours[i] < 0)
            continue;
        r = lea_own(e->ours[i], LEA_FD_KIND_STREAM, LEA_FD_MADE | LEA_FD_SHORT_IS_DRAINED);
        e->ours[i] = -1; /* ours no more: when that failed it is closed */
        if (r < 0)
            return r;
        *to[i] = r;
    }
    return 0;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)leat_close(*fd);
    *fd = -1;
}

static void close_all(leat_process *p)
{
    close_one(&p->in);
    close_one(&p->out);
    close_one(&p->err);
    close_one(&p->fd_);
    p->state_ = CLOSED;
}

static int start(leat_process *p, const char *const argv[], const leat_process_opts *opts,
                 struct ends *e)
{
    struct lea_os_child child = {
        .argv = argv, .env = opts->env, .dir = opts->dir, .own_group = opts->own_group};
    int pid, r;

    memcpy(child.fd, e->child, sizeof(child.fd));
    pid = lea_os_child_start(&child);
    if (pid < 0)
        return pid;
    r = lea_os_pidfd_open(pid);
    if (r >= 0)
        r = own_all(p, e, r);
    if (r < 0) {
        lea_os_child_abandon(pid);
        close_all(p);
        return r;
    }
    p->pid = pid;
    p->kill_signal_ = opts->kill_signal ? opts->kill_signal : SIGTERM;
    p->own_group_ = opts->own_group;
    p->state_ = RUNNING;
    return 0;
}

int leat_process_start(leat_process *process, const char *const argv[],
                       const leat_process_opts *opts)
{
    static const leat_process_opts defaults;
    struct lea_worker *m;
    struct ends e;
    int r;

    clear(process);
    if (!opts)
        opts = &defaults;
    if (!argv || !argv[0] || !argv[0][0] || opts->kill_signal < -1 || opts->kill_signal >= NSIG)
        return -EINVAL;
    r = lea_own_possible();
    if (r == 0)
        r = make_ends(&e, opts);
    if (r < 0)
        return r;
    m = lea_enter();
    if (m) {
        lea_worker_loosen(m);
        lea_leave(m);
    }
    r = start(process, argv, opts, &e);
    close_ends(&e, true);
    m = lea_enter(); /* it took long: whoever wants the processor has it now */
    if (m) {
        if (m->proc)
            lea_worker_settle(m);
        lea_leave(m);
    }
    return r;
}

/* --- its end --- */

static ssize_t end_try(struct lea_io *io, void *arg, bool in_place)
{
    (void)in_place;
    return lea_os_pidfd_end(io->fd, arg);
}

static void note_end(leat_process *p, const struct lea_os_exit *end)
{
    p->end_.code = end->code;
    p->end_.signo = end->signo;
    p->end_.core = end->core;
    p->state_ = ENDED;
}

static int wait_end(leat_process *p, int64_t until_ns)
{
    struct lea_os_exit end = {0};
    int r = (int)lea_io_call(p->fd_, LEA_FD_READ, LEA_REASON_CHILD, until_ns, end_try, &end);

    if (r < 0)
        return r;
    note_end(p, &end);
    return 0;
}

int leat_process_wait(leat_process *process, leat_exit *end, leat_deadline until)
{
    int r;

    if (process->state_ == CLOSED)
        return -EBADF;
    r = process->state_ == ENDED ? 0 : wait_end(process, until.ns);
    if (r == -ECANCELED && process->kill_signal_ > 0)
        (void)leat_process_kill(process, process->kill_signal_);
    if (r == 0 && end)
        *end = process->end_;
    return r;
}

int leat_process_kill(leat_process *process, int signo)
{
    if (process->state_ != RUNNING)
        return process->state_ == CLOSED ? -EBADF : -ESRCH;
    if (process->own_group_)
        return lea_os_pidfd_signal_group(process->fd_, process->pid, signo);
    return lea_os_pidfd_signal(process->fd_, signo);
}

/*
 * The system cannot tell of its end, for want of memory say: the thread waits, for as long as the
 * kernel takes to end it.
 */
static void wait_in_place(const leat_process *p)
{
    struct lea_worker *m = lea_enter();

    if (m)
        lea_syscall_begin(m);
    lea_os_child_abandon(p->pid);
    if (m) {
        lea_syscall_end(m);
        lea_leave(m);
    }
}

void leat_process_close(leat_process *process)
{
    if (process->state_ == CLOSED)
        return;
    if (process->state_ == RUNNING) {
        leat_shield shield;
        int r;

        leat_shield_begin(&shield);
        (void)leat_process_kill(process, SIGKILL);
        r = wait_end(process, INT64_MAX);
        /* somebody else has taken its end, or is about to */
        if (r < 0 && r != -ECHILD && r != -EBUSY)
            wait_in_place(process);
        leat_shield_end(&shield);
    }
    close_all(process);
}

int leat_process_run(const char *const argv[], const leat_process_opts *opts, leat_exit *end,
                     leat_deadline until)
{
    leat_process p;
    int r;

    if (opts && (opts->in == LEAT_CHILD_PIPE || opts->out == LEAT_CHILD_PIPE ||
                 opts->err == LEAT_CHILD_PIPE))
        return -EINVAL;
    if (!lea_self()) /* before there is a child that nobody could wait for */
        return lea_outside(-EPERM);
    r = leat_process_start(&p, argv, opts);
    if (r < 0)
        return r;
    r = leat_process_wait(&p, end, until);
    leat_process_close(&p);
    return r;
}

/* --- as a case of a select --- */

static bool case_ready(leat_case *c, struct lea_worker *m)
{
    const leat_process *p = c->object_;

    return c->send_ || p->state_ != RUNNING || (!m && !lea_self()) || lea_fd_case_look(c, m) != 0;
}

static int take_end(leat_process *p, struct lea_worker *m)
{
    struct lea_os_exit end = {0};
    int r;

    do {
        lea_syscall_begin(m);
        r = lea_os_pidfd_end(p->fd_, &end);
        lea_syscall_end(m);
    } while (r == -EINTR);
    if (r == 0)
        note_end(p, &end);
    return r;
}

static bool case_take(leat_case *c, struct lea_select *s)
{
    leat_process *p = c->object_;

    if (p->state_ != RUNNING || c->send_)
        c->result = p->state_ == ENDED ? 0 : -EBADF;
    else
        c->result = s->m ? take_end(p, s->m) : lea_outside(-EPERM);
    return c->result != -EAGAIN;
}

static enum lea_case_queued case_queue(leat_case *c, struct lea_select *s)
{
    return lea_fd_case_queue(c, s, case_take);
}

static bool case_finish(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    (void)code;
    return case_take(c, s);
}

leat_case leat_case_child(leat_process *process)
{
    static const struct leat_case_ops_ ops = {true,       case_ready,        case_take,
                                              case_queue, lea_fd_case_leave, case_finish};
    leat_case c = leat_case_of_(process, &ops);

    if (process)
        c.bytes_ = (size_t)process->fd_;
    c.events_ = LEAT_POLLIN;
    return c;
}
