/*
 * leat_relay() that ends early: by a deadline or a cancellation, after which the next call goes on
 * where it was; because an end is closed; by an error.
 */
#define _GNU_SOURCE
#include "io/relay.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- ends early --- */

struct stuck {
    int in[2], out[2];
    leat_handle *feeder;
    leat_relayed progress;
};

/* More comes than goes: nobody reads. */
static bool stuck_begin(struct stuck *s)
{
    *s = (struct stuck){.feeder = NULL};
    if (!kit_tcp_pair(s->in) || !narrow_pair(s->out))
        return false;
    SPAWN(s->feeder, feed, s->in[0], SIZE);
    return true;
}

/* The rest of it goes on where it was. */
static void stuck_go_on(struct stuck *s)
{
    leat_handle *drainer;

    WANT_IN(s->progress.kept, 0, 65536);
    SPAWN(drainer, drain, s->out[1]);
    WANT(leat_relay(s->out[0], s->in[1], LEAT_RELAY_ALL, &s->progress, LONG), 0);
    WANT(s->progress.moved, SIZE);
    WANT(s->progress.kept, 0);
    leat_close(s->out[0]);
    WANT(kit_join(drainer), SIZE);
    WANT(kit_join(s->feeder), 0);
    leat_close(s->in[1]);
    leat_close(s->out[1]);
}

static leat_result relay(struct stuck *s)
{
    return leat_relay(s->out[0], s->in[1], LEAT_RELAY_ALL, &s->progress, LEAT_FOREVER);
}

static int body_deadline(void *arg)
{
    struct stuck s;

    (void)arg;
    if (!stuck_begin(&s))
        return 0;
    for (int i = 0; i < 10; i++)
        WANT(leat_relay(s.out[0], s.in[1], LEAT_RELAY_ALL, &s.progress, leat_after(2 * MS)),
             -ETIMEDOUT);
    WANT_IN(s.progress.moved + s.progress.kept, 0, SIZE - 1);
    stuck_go_on(&s);
    return 0;
}

static int body_deadlines(void *arg)
{
    leat_relayed progress = {0};
    leat_handle *feeder, *drainer;
    int in[2], out[2], r;

    (void)arg;
    if (!kit_tcp_pair(in) || !narrow_pair(out))
        return 0;
    SPAWN(feeder, feed, in[0], SIZE);
    SPAWN(drainer, drain, out[1]);
    do
        r = leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, leat_after(50 * LEAT_USEC));
    while (r == -ETIMEDOUT);
    WANT(r, 0);
    WANT(progress.moved, SIZE);
    leat_close(out[0]);
    WANT(kit_join(drainer), SIZE);
    WANT(kit_join(feeder), 0);
    leat_close(in[1]);
    leat_close(out[1]);
    return 0;
}

static int body_cancel(void *arg)
{
    leat_handle *h;
    struct stuck s;

    (void)arg;
    if (!stuck_begin(&s))
        return 0;
    SPAWN(h, relay, &s);
    OK(leat_poll_fd(s.out[1], LEAT_POLLIN, LONG) > 0);
    WANT(leat_relay(s.out[0], s.out[1], 1, NULL, LONG), -EBUSY);
    WANT(leat_relay(s.out[1], s.in[1], 1, NULL, LONG), -EBUSY);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT_IN(s.progress.moved, 1, SIZE - 1);
    stuck_go_on(&s);
    return 0;
}

/* Goal: a deadline or a cancellation ends it, and the next call goes on where it was. */
Test(io_relay_ends, goes_on_after_a_deadline, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_deadline);
    kit_run_all(body_deadlines);
    cr_expect(eq(int, kit_nr_fds(), before));
}

Test(io_relay_ends, goes_on_after_a_cancellation, .timeout = 60)
{
    kit_run_all(body_cancel);
}

static int body_goes_on(void *arg)
{
    (void)body_deadline(arg);
    (void)body_deadlines(arg);
    return body_cancel(arg);
}

/* Goal: so it is where the kernel cannot splice. */
Test(io_relay_ends, goes_on_without_splice, .timeout = 60)
{
    if (!kit_refuse(SYS_splice, ENOSYS))
        cr_skip_test("no seccomp filters here");
    kit_run_all(body_goes_on);
}

/* One end is closed under it. */
static void closed(bool from)
{
    leat_handle *h, *drainer;
    struct stuck s;

    if (!stuck_begin(&s))
        return;
    SPAWN(h, relay, &s);
    OK(leat_poll_fd(s.out[1], LEAT_POLLIN, LONG) > 0);
    WANT(leat_close(from ? s.in[1] : s.out[0]), 0);
    /* while it waits for `to` it does not hear of `from` */
    SPAWN(drainer, drain, s.out[1]);
    WANT(kit_join(h), -ECANCELED);
    WANT_IN(s.progress.moved, 1, SIZE - 1);
    leat_relay_drop(&s.progress);
    WANT(s.progress.kept, 0);
    leat_close(from ? s.out[0] : s.in[1]);
    WANT(kit_join(drainer), s.progress.moved);
    WANT_IN(kit_join(s.feeder), -ECONNRESET, 0); /* it may all be in buffers */
    leat_close(s.out[1]);
}

static int body_close_idle(void *arg)
{
    leat_handle *h;
    struct stuck s = {.feeder = NULL};
    int spare = kit_spare();

    (void)arg;
    if (!kit_tcp_pair(s.in) || !kit_tcp_pair(s.out))
        return 0;
    close(spare);
    SPAWN_WAITER(h, relay, &s);
    WANT(leat_close(s.in[1]), 0);
    WANT(kit_join(h), -ECANCELED);
    WANT(s.progress.moved, 0);
    WANT(s.progress.kept, 0);
    WANT(leat_relay(s.out[0], s.in[1], 1, &s.progress, LONG), -EBADF);
    leat_close(s.in[0]);
    leat_close(s.out[0]);
    leat_close(s.out[1]);
    return 0;
}

static int body_close(void *arg)
{
    closed(true);
    closed(false);
    return body_close_idle(arg);
}

/* Goal: fault 8, either end is closed by another coroutine. */
Test(io_relay_ends, closed, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_close);
    cr_expect(eq(int, kit_nr_fds(), before));
}

/* --- errors --- */

static bool sigpipe_pending(void)
{
    sigset_t pending;

    sigemptyset(&pending);
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

static void reset(int fd)
{
    struct linger now = {1, 0};

    OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
    leat_close(fd);
}

/* The one who sends is gone at once. */
static void reset_from(void)
{
    leat_relayed progress = {0};
    int in[2], out[2];
    leat_handle *drainer;

    if (!kit_tcp_pair(in) || !kit_tcp_pair(out))
        return;
    SPAWN(drainer, drain, out[1]);
    WANT(leat_write_all(in[0], "\0\37\76", 3, LONG), 3);
    WANT(leat_relay(out[0], in[1], 3, &progress, LONG), 0);
    reset(in[0]);
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, LONG), -ECONNRESET);
    WANT(progress.moved, 3);
    WANT(progress.kept, 0);
    leat_close(out[0]);
    WANT(kit_join(drainer), 3);
    leat_close(in[1]);
    leat_close(out[1]);
}

/* The one who reads is gone: before it is tried nothing is taken. */
static void ended_to(enum kind kind)
{
    leat_relayed progress = {0};
    int in[2], out[2], r;
    char got[8];

    if (!way(UNIX, in) || !way(kind, out))
        return;
    WANT(leat_write_all(in[0], "lost?", 5, LONG), 5);
    if (kind == TCP)
        reset(out[1]);
    else
        leat_close(out[1]);
    OK(leat_poll_fd(out[0], LEAT_POLLIN | (kind == PIPE ? LEAT_POLLOUT : 0), LONG) > 0);
    r = leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, LONG);
    OK(r == -EPIPE || (kind == TCP && r == -ECONNRESET));
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, LONG), -EPIPE);
    WANT(progress.moved + progress.kept, 0);
    WANT(leat_read(in[1], got, sizeof(got), LONG), 5);
    OK(!sigpipe_pending());
    leat_close(in[0]);
    leat_close(in[1]);
    leat_close(out[0]);
}

/* Writing was ended here: the kernel says so to who writes only. */
static void shut_to(enum kind kind)
{
    leat_relayed progress = {0};
    int in[2], out[2];

    if (!way(UNIX, in) || !way(kind, out))
        return;
    WANT(leat_write_all(in[0], "lost!", 5, LONG), 5);
    OK(shutdown(out[0], SHUT_WR) == 0);
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, LONG), -EPIPE);
    WANT(progress.moved, 0);
    WANT(progress.kept, 5);
    OK(!sigpipe_pending());
    leat_relay_drop(&progress);
    leat_relay_drop(&progress);
    leat_close(in[0]);
    leat_close(in[1]);
    leat_close(out[0]);
    leat_close(out[1]);
}

static int body_broken(void *arg)
{
    (void)arg;
    reset_from();
    ended_to(TCP);
    ended_to(UNIX);
    ended_to(PIPE);
    shut_to(TCP);
    shut_to(UNIX);
    return 0;
}

/* Goal: faults 17 and 26, a peer that is gone is an error, and never a signal. */
Test(io_relay_ends, broken, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_broken);
    cr_expect(eq(int, kit_nr_fds(), before));
}

Test(io_relay_ends, broken_without_splice, .timeout = 60)
{
    if (!kit_refuse(SYS_splice, ENOSYS))
        cr_skip_test("no seccomp filters here");
    kit_run_all(body_broken);
}

static int body_wrong(void *arg)
{
    int pair[2], plain[2], packets[2], file = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    leat_relayed progress = {0};

    (void)arg;
    if (!kit_tcp_pair(pair) || !OK(pipe(plain) == 0) ||
        !OK(leat_socketpair(SOCK_DGRAM, packets) == 0))
        return 0;
    WANT(leat_relay(-1, pair[0], 1, NULL, LONG), -EBADF);
    WANT(leat_relay(pair[0], -1, 1, NULL, LONG), -EBADF);
    WANT(leat_relay(pair[0], 1 << 20, 1, NULL, LONG), -EBADF);
    /* blocking ones would hold their thread up */
    WANT(leat_relay(plain[1], pair[0], 1, NULL, LONG), -EINVAL);
    WANT(leat_relay(pair[0], plain[0], 1, NULL, LONG), -EINVAL);
    WANT(leat_relay(pair[0], packets[0], 1, NULL, LONG), -EINVAL);
    OK(fcntl(file, F_SETFL, O_NONBLOCK) == 0);
    WANT(leat_relay(pair[0], file, 1, NULL, LONG), -EINVAL);
    WANT(leat_relay(pair[0], pair[0], 0, NULL, LONG), 0);
    /* what can be done at once is, whatever the deadline */
    WANT(leat_relay(pair[0], pair[0], 1, &progress, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_write_all(pair[1], "\0\37", 2, LONG), 2);
    OK(leat_poll_fd(pair[0], LEAT_POLLIN, LONG) > 0);
    WANT(leat_relay(pair[0], pair[0], 2, &progress, LEAT_AT_ONCE), 0);
    WANT(progress.moved, 2);
    /* those that are not leat's too, if they do not block */
    OK(fcntl(plain[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(plain[1], F_SETFL, O_NONBLOCK) == 0);
    WANT(leat_relay(plain[1], pair[1], 2, &progress, LONG), 0);
    WANT(leat_relay(pair[1], plain[0], 2, &progress, LONG), 0);
    WANT(progress.moved, 6);
    close(file);
    close(plain[0]);
    close(plain[1]);
    for (int i = 0; i < 2; i++) {
        leat_close(pair[i]);
        leat_close(packets[i]);
    }
    return 0;
}

/* Goal: wrong arguments are errors. */
Test(io_relay_ends, errors, .timeout = 60)
{
    leat_relayed progress = {0};

    cr_assert(eq(int, leat_relay(0, 0, 1, &progress, LEAT_AT_ONCE), -EPERM));
    kit_run_all(body_wrong);
}
