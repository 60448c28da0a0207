/*
 * leat_relay(): what arrives, by one and by many at once.
 */
#define _GNU_SOURCE
#include "io/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SMALL 100

/* --- what arrives --- */

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
