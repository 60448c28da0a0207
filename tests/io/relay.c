/*
 * leat_relay(): what arrives, and that nothing is lost when it ends early.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG leat_after(60 * LEAT_SEC)
#define SIZE ((size_t)3 * 1024 * 1024 + 77) /* more than the buffers of narrow_pair() take */
#define SMALL 100

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + i / 4096);
}

/* Writes so many bytes, and closes its end. */
static leat_result feed(int fd, size_t bytes)
{
    unsigned char buf[8192];
    size_t done = 0;
    ssize_t n = 0;

    while (done < bytes && n >= 0) {
        size_t part = bytes - done < sizeof(buf) ? bytes - done : sizeof(buf);

        for (size_t i = 0; i < part; i++)
            buf[i] = byte_at(done + i);
        n = leat_write_all(fd, buf, part, LONG);
        done += part;
    }
    leat_close(fd);
    return n < 0 ? n : 0;
}

/* Reads to the end. Bytes. */
static leat_result drain(int fd)
{
    unsigned char buf[8192];
    size_t got = 0;
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof(buf), LONG)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(got + (size_t)i))
                return -EBADMSG;
        got += (size_t)n;
    }
    return n < 0 ? n : (leat_result)got;
}

/* --- what arrives --- */

enum kind { TCP, UNIX, PIPE, NR_KINDS };

/* Write to out[0], read from out[1]. */
static bool way(enum kind kind, int out[2])
{
    int fds[2];

    if (kind == TCP)
        return kit_tcp_pair(out);
    if (!OK((kind == UNIX ? leat_socketpair(SOCK_STREAM, fds) : leat_pipe(fds)) == 0))
        return false;
    out[0] = fds[1];
    out[1] = fds[0];
    return true;
}

/* Through two ways and a relay between them, the bytes before `first` by a call of their own. */
static void moves(enum kind a, enum kind b, size_t bytes, size_t first)
{
    leat_relayed progress = {0};
    leat_handle *feeder, *drainer;
    int in[2], out[2];

    if (!way(a, in) || !way(b, out))
        return;
    SPAWN(feeder, feed, in[0], bytes);
    SPAWN(drainer, drain, out[1]);
    WANT(leat_relay(out[0], in[1], first, &progress, LONG), 0);
    WANT(progress.moved, first);
    WANT(progress.kept, 0);
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, LONG), 0);
    WANT(progress.moved, bytes);
    WANT(progress.kept, 0);
    leat_close(out[0]);
    WANT(kit_join(feeder), 0);
    WANT(kit_join(drainer), bytes);
    leat_close(in[1]);
    leat_close(out[1]);
}

static int body_moves(void *arg)
{
    (void)arg;
    for (int a = 0; a < NR_KINDS; a++)
        for (int b = 0; b < NR_KINDS; b++) {
            moves((enum kind)a, (enum kind)b, SIZE / 4, a == b ? 0 : 70001);
            moves((enum kind)a, (enum kind)b, SMALL, 1);
        }
    moves(TCP, TCP, SIZE, 1 << 20);
    moves(TCP, TCP, 0, 0);
    return 0;
}

/* Goal: between any two streams all arrives, and the end is told; no descriptor is left. */
Test(io_relay, moves, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_moves);
    cr_expect(eq(int, kit_nr_fds(), before));
}

/* Goal: fault 34, the same where the kernel cannot splice. */
Test(io_relay, moves_without_splice, .timeout = 60)
{
    if (!kit_refuse(SYS_splice, EINVAL))
        cr_skip_test("no seccomp filters here");
    kit_run_all(body_moves);
}

static int body_moves_sockets(void *arg)
{
    (void)arg;
    moves(TCP, TCP, SIZE, 5);
    moves(UNIX, TCP, SIZE / 4, 5);
    return 0;
}

/* Goal: fault 4, the same when descriptors have run out. */
Test(io_relay, moves_without_pipes, .timeout = 60)
{
    if (!kit_refuse(SYS_pipe2, EMFILE))
        cr_skip_test("no seccomp filters here");
    kit_run_all(body_moves_sockets);
}

/* One that the kernel cannot splice to: what is in the pipe then goes by a buffer. */
static int body_cannot_splice(void *arg)
{
    int in[2], counter = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t number = 5, sum = 0;
    leat_relayed progress = {0};

    (void)arg;
    if (!way(TCP, in) || !OK(leat_adopt(counter) == 0))
        return 0;
    for (int i = 1; i <= 3; i++) {
        WANT(leat_write_all(in[0], &number, sizeof(number), LONG), sizeof(number));
        WANT(leat_relay(counter, in[1], sizeof(number), &progress, LONG), 0);
        WANT(progress.moved, (size_t)i * sizeof(number));
    }
    WANT(leat_read(counter, &sum, sizeof(sum), LEAT_AT_ONCE), sizeof(sum));
    WANT(sum, 15);
    leat_close(counter);
    leat_close(in[0]);
    leat_close(in[1]);
    return 0;
}

/* Goal: what is in the pipe when it shows that it cannot go on from there by splice is not lost. */
Test(io_relay, falls_back_with_bytes_on_their_way, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_cannot_splice);
    cr_expect(eq(int, kit_nr_fds(), before));
}

/* Takes much less than SIZE when nobody reads. */
static bool narrow_pair(int out[2])
{
    int bytes = 65536;

    return kit_tcp_pair(out) &&
           OK(setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0) &&
           OK(setsockopt(out[1], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
}

static int body_urgent(void *arg)
{
    int in[2], out[2];
    char got[8] = "";

    (void)arg;
    if (!kit_tcp_pair(in) || !kit_tcp_pair(out))
        return 0;
    OK(send(in[0], "abcX", 4, MSG_OOB) == 4);
    WANT(leat_write_all(in[0], "def", 3, LONG), 3);
    leat_close(in[0]);
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, NULL, LONG), 0);
    leat_close(out[0]);
    WANT(leat_read_full(out[1], got, sizeof(got), LONG), 6);
    OK(strcmp(got, "abcdef") == 0);
    leat_close(in[1]);
    leat_close(out[1]);
    return 0;
}

/* Goal: urgent data in the middle, which stops splice(2) for good, does not stop a relay. */
Test(io_relay, urgent_data, .timeout = 60)
{
    kit_run_all(body_urgent);
}

/* More than narrow_pair() takes, or what fits in. Bytes. */
static uint64_t fill(int fd)
{
    static const char zeros[4096];
    uint64_t bytes = 0;
    ssize_t n;

    while (bytes < 1024 * 1024 && (n = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
        bytes += (uint64_t)n;
    return bytes;
}

/* Reads to the end, whatever it is. Bytes. */
static leat_result swallow(int fd)
{
    char buf[8192];
    size_t got = 0;
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof(buf), LONG)) > 0)
        got += (size_t)n;
    return n < 0 ? n : (leat_result)got;
}

static int body_urgent_late(void *arg)
{
    int in[2], out[2];
    leat_relayed progress = {0};
    leat_handle *drainer;
    uint64_t bytes;

    (void)arg;
    if (!kit_tcp_pair(in) || !narrow_pair(out))
        return 0;
    bytes = fill(in[0]);
    WANT(leat_relay(out[0], in[1], LEAT_RELAY_ALL, &progress, leat_after(50 * LEAT_MSEC)),
         -ETIMEDOUT);
    /* with a part half written there is a pipe */
    OK(send(in[0], "abcX", 4, MSG_OOB) == 4);
    WANT(leat_write_all(in[0], "def", 3, LONG), 3);
    bytes += 6;
    SPAWN(drainer, swallow, out[1]);
    WANT(leat_relay(out[0], in[1], bytes - progress.moved, &progress, LONG), 0);
    WANT(progress.moved, bytes);
    leat_close(out[0]);
    WANT(kit_join(drainer), bytes);
    leat_close(in[0]);
    leat_close(in[1]);
    leat_close(out[1]);
    return 0;
}

/* Goal: nor does it when a part before it has left a pipe. */
Test(io_relay, urgent_data_behind_a_part, .timeout = 60)
{
    kit_run_all(body_urgent_late);
}

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
Test(io_relay, goes_on_after_a_deadline, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_deadline);
    kit_run_all(body_deadlines);
    cr_expect(eq(int, kit_nr_fds(), before));
}

Test(io_relay, goes_on_after_a_cancellation, .timeout = 60)
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
Test(io_relay, goes_on_without_splice, .timeout = 60)
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
Test(io_relay, closed, .timeout = 60)
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
Test(io_relay, broken, .timeout = 60)
{
    int before = kit_nr_fds();

    kit_run_all(body_broken);
    cr_expect(eq(int, kit_nr_fds(), before));
}

Test(io_relay, broken_without_splice, .timeout = 60)
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
Test(io_relay, errors, .timeout = 60)
{
    leat_relayed progress = {0};

    cr_assert(eq(int, leat_relay(0, 0, 1, &progress, LEAT_AT_ONCE), -EPERM));
    kit_run_all(body_wrong);
}

/* --- many at once --- */

#define PEERS (KIT_SANITIZED ? 16 : 64)
#define EACH ((size_t)128 << 10)

/* Sends back what comes. */
static leat_result echo(int fd)
{
    int r = leat_relay(fd, fd, LEAT_RELAY_ALL, NULL, LONG);

    leat_close(fd);
    return r;
}

static leat_result half(int to, int from)
{
    int r = leat_relay(to, from, LEAT_RELAY_ALL, NULL, LONG);

    shutdown(to, SHUT_WR);
    return r;
}

/* Between a client and a server. */
static leat_result proxy(int client, int server)
{
    leat_handle *up;
    leat_result down;

    SPAWN(up, half, server, client);
    down = half(client, server);
    if (down == 0)
        down = kit_join(up);
    else
        (void)kit_join(up);
    leat_close(client);
    leat_close(server);
    return down;
}

static leat_result send_all(int fd)
{
    unsigned char *all = malloc(EACH);
    ssize_t n;

    for (size_t i = 0; i < EACH; i++)
        all[i] = byte_at(i);
    n = leat_write_all(fd, all, EACH, LONG);
    free(all);
    shutdown(fd, SHUT_WR);
    return n < 0 ? n : 0;
}

static leat_result client(int fd)
{
    leat_handle *sender;
    leat_result got;

    SPAWN(sender, send_all, fd);
    got = drain(fd);
    WANT(kit_join(sender), 0);
    leat_close(fd);
    return got;
}

static int body_many(void *arg)
{
    leat_handle *clients[PEERS], *proxies[PEERS], *servers[PEERS];

    (void)arg;
    for (int i = 0; i < PEERS; i++) {
        int near[2], far[2];

        if (!way(i % 2 ? TCP : UNIX, near) || !way(TCP, far))
            return 0;
        SPAWN(clients[i], client, near[0]);
        SPAWN(proxies[i], proxy, near[1], far[0]);
        SPAWN(servers[i], echo, far[1]);
    }
    for (int i = 0; i < PEERS; i++) {
        WANT(kit_join(clients[i]), EACH);
        WANT(kit_join(proxies[i]), 0);
        WANT(kit_join(servers[i]), 0);
    }
    return 0;
}

/* Goal: many relays at once, both ways, half-closes passed on; what carries them is used again, and
 * gone at the end. */
Test(io_relay, many, .timeout = 120)
{
    int before = kit_nr_fds();

    kit_run_all(body_many);
    cr_expect(eq(int, kit_nr_fds(), before));
}
