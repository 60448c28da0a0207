/*
 * Sockets of the network: addresses, half-closing, resets, peers that are slow or never read, unix
 * sockets, UDP.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const leat_deadline soon = {0};

static int read_byte(int fd)
{
    char c = 0;
    ssize_t n = leat_read(fd, &c, 1, leat_after(60 * LEAT_SEC));

    return n == 1 ? c : n < 0 ? (int)n : 1000;
}

/* --- addresses --- */

static int body_addresses(void *arg)
{
    static const char *const wrong[] = {
        "",
        ":",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1: 80",
        "127.0.0.1:+80",
        "::1:80",
        "[::1]",
        "[::1]:",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1%x]:80",
        "example.org:80",
        "1.2.3:80",
        "1.2.3.4.5:80",
        "unix:",
        "unix:@",
        "127.0.0.1:1,127.0.0.1:2",
        "[::1:80",
        "localhostx:80",
        "127.0.0.1:99999999999999999999",
        "[00000000000000000000000000000000000000000000000000000000000000000000000000000000]:1",
    };
    static const char *const right[] = {"127.0.0.1:0", "localhost:0", ":0",        "0.0.0.0:0",
                                        "[::1]:0",     "[::]:0",      "[::1%1]:0", "127.1.2.3:0"};
    char name[64], longer[200];
    int fd, dialled;

    (void)arg;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (!WANT(leat_tcp_listen(wrong[i], NULL), -EINVAL))
            fprintf(stderr, "accepted: \"%s\"\n", wrong[i]);
    }
    WANT(leat_tcp_listen(NULL, NULL), -EINVAL);
    WANT(leat_tcp_dial(NULL, LEAT_FOREVER), -EINVAL);
    WANT(leat_tcp_dial("127.0.0.1:1,", LEAT_FOREVER), -EINVAL);
    WANT(leat_tcp_dial(",127.0.0.1:1", LEAT_FOREVER), -EINVAL);
    WANT(leat_tcp_dial("127.0.0.1:1,x", LEAT_FOREVER), -EINVAL);
    WANT(leat_udp_open("x", NULL), -EINVAL);
    WANT(leat_udp_open("unix:/x", NULL), -EINVAL);
    WANT(leat_udp_open("127.0.0.1:0", "[::1]:9"), -EINVAL);
    WANT(leat_unix_listen("", NULL), -EINVAL);
    WANT(leat_unix_dial(NULL, LEAT_FOREVER), -EINVAL);
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    WANT(leat_unix_listen(longer, NULL), -EINVAL);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        fd = leat_tcp_listen(right[i], NULL);
        /* no IPv6 here */
        if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
            continue;
        if (!OK(fd >= 0))
            fprintf(stderr, "refused: \"%s\"\n", right[i]);
        WANT_IN(leat_port(fd), 1, 65535);
        /* every one of them answers on its own family's local address; the wildcard on IPv4 too */
        snprintf(name, sizeof(name), "localhost:%d,%s:%d", leat_port(fd),
                 i == 7 ? "127.1.2.3" : "127.0.0.1", leat_port(fd));
        dialled = leat_tcp_dial(name, leat_after(20 * LEAT_SEC));
        if (!OK(dialled >= 0))
            fprintf(stderr, "no answer: \"%s\" %d\n", right[i], dialled);
        leat_close(dialled);
        leat_close(fd);
    }
    return 0;
}

Test(io_net, addresses, .timeout = 20)
{
    kit_run(2, body_addresses, NULL);
}

/* --- ends --- */

static int body_half_close(void *arg)
{
    int fd[2];
    char buf[8];

    (void)arg;
    for (int i = 0; i < 20; i++) {
        if (!kit_tcp_pair(fd))
            return 0;
        if (i % 2) {
            WANT(leat_write(fd[0], "q", 1, soon), 1);
            /* short: the next one expects to wait */
            WANT(leat_read(fd[1], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 1);
        }
        WANT(leat_shutdown(fd[0], SHUT_WR), 0);
        WANT(leat_read(fd[1], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 0);
        WANT(leat_read(fd[1], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 0);
        WANT(leat_write(fd[0], "x", 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_write(fd[1], "answer", 6, soon), 6);
        WANT(leat_read(fd[0], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 6);
        leat_close(fd[1]);
        WANT(leat_read(fd[0], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 0);
        leat_close(fd[0]);
    }
    return 0;
}

Test(io_net, half_close, .timeout = 20)
{
    kit_run_all(body_half_close);
}

static void reset(int fd)
{
    struct linger now = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    leat_close(fd);
}

static int body_reset(void *arg)
{
    char address[32];
    int fd[2], listener, got;
    leat_handle *w;

    (void)arg;
    if (!kit_tcp_pair(fd))
        return 0;
    SPAWN_WAITER(w, read_byte, fd[1]);
    reset(fd[0]);
    WANT(kit_join(w), -ECONNRESET);
    WANT(leat_write(fd[1], "x", 1, LEAT_FOREVER), -EPIPE);
    WANT(read_byte(fd[1]), 1000);
    leat_close(fd[1]);
    /* reset before it was accepted: the error shows on the connection, and the listener goes on */
    listener = kit_listen(address, NULL);
    reset(leat_tcp_dial(address, leat_after(20 * LEAT_SEC)));
    fd[0] = leat_tcp_dial(address, leat_after(20 * LEAT_SEC));
    WANT(leat_write(fd[0], "k", 1, soon), 1);
    got = leat_accept(listener, NULL, NULL, leat_after(20 * LEAT_SEC));
    OK(got >= 0);
    if (read_byte(got) == -ECONNRESET) {
        leat_close(got);
        got = leat_accept(listener, NULL, NULL, leat_after(20 * LEAT_SEC));
        WANT(read_byte(got), 'k');
    }
    leat_close(got);
    leat_close(fd[0]);
    leat_close(listener);
    return 0;
}

Test(io_net, reset, .timeout = 20)
{
    kit_run_all(body_reset);
}

static int body_urgent(void *arg)
{
    int fd[2];
    char buf[16];
    int64_t start;

    (void)arg;
    /* a read stops at the mark of urgent data: short, with more behind it */
    for (int i = 0; i < 20; i++) {
        if (!kit_tcp_pair(fd))
            return 0;
        WANT(leat_write(fd[0], "a", 1, soon), 1);
        WANT(read_byte(fd[1]), 'a');
        if (i % 2)
            WANT(leat_read(fd[1], buf, 1, leat_after(MS)), -ETIMEDOUT);
        WANT(leat_write(fd[0], "bc", 2, soon), 2);
        WANT(send(fd[0], "!", 1, MSG_OOB), 1);
        WANT(leat_write(fd[0], "de", 2, soon), 2);
        if (i % 4 < 2)
            leat_sleep(2 * MS);
        start = leat_now();
        WANT(leat_read(fd[1], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 2);
        WANT(leat_read(fd[1], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 2);
        WANT(buf[0], 'd');
        WANT_IN(kit_ms_since(start), 0, 15000); /* not by the last try before the deadline */
        leat_close(fd[0]);
        leat_close(fd[1]);
    }
    return 0;
}

Test(io_net, urgent_data, .timeout = 30)
{
    kit_run_all(body_urgent);
}

/* --- slow peers --- */

static int drip(int fd)
{
    for (;;) {
        int r = leat_write(fd, "x", 1, LEAT_FOREVER) == 1 ? leat_sleep(MS) : -EPIPE;

        if (r < 0)
            return r;
    }
}

static int ping_pong(int a, int b)
{
    for (int i = 0; i < 200; i++) {
        WANT(leat_write(a, "p", 1, leat_after(20 * LEAT_SEC)), 1);
        WANT(read_byte(b), 'p');
        leat_sleep(MS / 4);
    }
    return 0;
}

static int flood(int fd, int64_t span)
{
    size_t bytes = (size_t)32 << 20;
    char *p = calloc(1, bytes);
    ssize_t n = leat_write_all(fd, p, bytes, leat_after(span));

    free(p);
    return (int)n;
}

static int body_slow(void *arg)
{
    int slow[2], deaf[2], good[2];
    char buf[4096];
    leat_handle *dripper, *flooder, *ponger;
    int64_t start = leat_now();

    (void)arg;
    if (!kit_tcp_pair(slow) || !kit_tcp_pair(deaf) || !kit_tcp_pair(good))
        return 0;
    SPAWN(dripper, drip, slow[0]);
    SPAWN(flooder, flood, deaf[0], 60 * MS); /* zero window */
    SPAWN(ponger, ping_pong, good[0], good[1]);
    WANT(leat_read_full(slow[1], buf, sizeof(buf), leat_after(60 * MS)), -ETIMEDOUT);
    WANT(kit_join(flooder), -ETIMEDOUT);
    WANT_IN(kit_ms_since(start), 60, 20000);
    WANT(kit_join(ponger), 0);
    leat_close(slow[1]);
    WANT_IN(kit_join(dripper), -EPIPE, -EPIPE);
    leat_close(slow[0]);
    for (int i = 0; i < 2; i++) {
        leat_close(deaf[i]);
        leat_close(good[i]);
    }
    return 0;
}

/* Goal: fault 25, and the zero window of 26. */
Test(io_net, slow_peers_meet_their_deadlines, .timeout = 30)
{
    kit_run_all(body_slow);
}

/* --- unix and UDP --- */

static int body_unix(void *arg)
{
    char path[64], uri[80];
    int listener, fd, got;

    (void)arg;
    snprintf(path, sizeof(path), "/tmp/leat-test-unix-%d", (int)getpid());
    snprintf(uri, sizeof(uri), "unix:%s", path);
    unlink(path);
    WANT(leat_unix_dial(path, LEAT_FOREVER), -ENOENT);
    listener = leat_unix_listen(path, NULL);
    OK(listener >= 0);
    WANT(leat_unix_listen(path, NULL), -EADDRINUSE);
    WANT(leat_tcp_listen(uri, NULL), -EADDRINUSE);
    fd = leat_tcp_dial(uri, leat_after(20 * LEAT_SEC));
    got = leat_accept(listener, NULL, NULL, leat_after(20 * LEAT_SEC));
    WANT(leat_write(got, "u", 1, soon), 1);
    WANT(read_byte(fd), 'u');
    leat_close(fd);
    leat_close(got);
    leat_close(listener);
    WANT(leat_unix_dial(path, LEAT_FOREVER), -ECONNREFUSED);
    listener = leat_tcp_listen(uri, NULL); /* the file is stale */
    OK(listener >= 0);
    leat_close(listener);
    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    WANT(leat_unix_listen(path, NULL), -EADDRINUSE); /* a file, not a socket: left alone */
    WANT(access(path, F_OK), 0);
    unlink(path);
    return 0;
}

Test(io_net, unix_sockets, .timeout = 20)
{
    kit_run(1, body_unix, NULL);
    kit_run(2, body_unix, NULL);
}

static int body_udp(void *arg)
{
    char buf[64], address[32];
    int server = leat_udp_open("127.0.0.1:0", NULL), client, any;
    struct sockaddr_in from;
    struct iovec one = {buf, sizeof(buf)};
    struct msghdr msg = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &one, .msg_iovlen = 1};
    leat_handle *w;

    (void)arg;
    snprintf(address, sizeof(address), "127.0.0.1:%d", leat_port(server));
    client = leat_udp_open(NULL, address);
    OK(server >= 0 && client >= 0);
    /* several wait: each read takes one, though each is short */
    WANT(leat_write(client, "one", 3, soon), 3);
    WANT(leat_write(client, "", 0, soon), 0);
    WANT(leat_write(client, "three", 5, soon), 5);
    WANT(leat_recvmsg(server, &msg, 0, leat_after(20 * LEAT_SEC)), 3);
    WANT(leat_recvmsg(server, &msg, 0, leat_after(20 * LEAT_SEC)), 0);
    WANT(leat_recvmsg(server, &msg, 0, leat_after(20 * LEAT_SEC)), 5);
    WANT(ntohs(from.sin_port), leat_port(client));
    WANT(leat_recvmsg(server, &msg, 0, leat_after(MS)), -ETIMEDOUT);
    SPAWN_WAITER(w, read_byte, client);
    one.iov_base = (void *)"r";
    one.iov_len = 1;
    WANT(leat_sendmsg(server, &msg, 0, soon), 1);
    WANT(kit_join(w), 'r');
    any = leat_udp_open(":0", NULL);
    OK(any >= 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", leat_port(any));
    leat_close(client);
    client = leat_udp_open(NULL, address);
    WANT(leat_write(client, "a", 1, soon), 1);
    WANT(read_byte(any), 'a');
    leat_close(any);
    any = leat_udp_open(NULL, NULL);
    OK(any >= 0);
    /* nobody is there: the next call hears of it */
    WANT(leat_write(client, "x", 1, soon), 1);
    WANT(leat_read(client, buf, 1, leat_after(20 * LEAT_SEC)), -ECONNREFUSED);
    leat_close(any);
    leat_close(client);
    leat_close(server);
    return 0;
}

Test(io_net, udp, .timeout = 20)
{
    kit_run_all(body_udp);
}
