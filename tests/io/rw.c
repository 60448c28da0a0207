/*
 * Reading and writing what leat has opened: results, ends, deadlines, and that calls that succeed
 * at once let others run.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const leat_deadline soon = {0};

/* --- bytes --- */

#define BULK ((size_t)1 << 20)

static long send_bulk(int fd)
{
    unsigned char *p = malloc(BULK);
    ssize_t n;

    for (size_t i = 0; i < BULK; i++)
        p[i] = (unsigned char)(i * 31 >> 3);
    n = leat_write_all(fd, p, BULK, leat_after(20 * LEAT_SEC));
    free(p);
    return n;
}

static void move_bulk(int from, int to)
{
    unsigned char *p = malloc(BULK);
    leat_handle *sender;
    size_t wrong = 0;

    SPAWN(sender, send_bulk, from);
    WANT(leat_read_full(to, p, BULK, leat_after(20 * LEAT_SEC)), BULK);
    WANT(kit_join(sender), BULK);
    for (size_t i = 0; i < BULK; i++)
        wrong += p[i] != (unsigned char)(i * 31 >> 3);
    WANT(wrong, 0);
    free(p);
}

static int body_bytes(void *arg)
{
    int pair[2], tcp[2], ends[2];
    char buf[16];

    (void)arg;
    WANT(leat_pipe(ends), 0);
    WANT(leat_socketpair(SOCK_STREAM, pair), 0);
    if (!kit_tcp_pair(tcp))
        return 0;
    WANT(leat_write(ends[1], "abc", 3, soon), 3);
    WANT(leat_read(ends[0], buf, sizeof(buf), soon), 3);
    WANT(memcmp(buf, "abc", 3), 0);
    move_bulk(ends[1], ends[0]);
    move_bulk(pair[0], pair[1]);
    move_bulk(pair[1], pair[0]);
    move_bulk(tcp[0], tcp[1]);
    move_bulk(tcp[1], tcp[0]);
    WANT(leat_read(tcp[0], buf, 0, soon), 0);
    WANT(leat_write(tcp[0], buf, 0, soon), 0);
    WANT(leat_write_all(tcp[0], buf, 0, soon), 0);
    WANT(leat_read_full(tcp[0], buf, 0, soon), 0);

    /* the file ends early, then at once */
    WANT(leat_write_all(ends[1], "xyz", 3, soon), 3);
    WANT(leat_close(ends[1]), 0);
    WANT(leat_read_full(ends[0], buf, sizeof(buf), soon), 3);
    WANT(leat_read_full(ends[0], buf, sizeof(buf), soon), 0);
    WANT(leat_close(ends[0]), 0);
    for (int i = 0; i < 2; i++) {
        leat_close(pair[i]);
        leat_close(tcp[i]);
    }
    return 0;
}

/*
 * Goal: what goes in comes out, on pipes, unix and TCP sockets, in both directions, with more than
 * any buffer holds.
 */
Test(io_rw, bytes_arrive, .timeout = 60)
{
    kit_run_all(body_bytes);
}

static int body_pieces(void *arg)
{
    int fd[2], pass[2], got = -1;
    char a[3], b[5], c[8], room[64];
    int64_t start;
    struct iovec out[3] = {{(void *)"abc", 3}, {NULL, 0}, {(void *)"defgh", 5}};
    struct iovec in[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr msg = {.msg_iov = out,
                         .msg_iovlen = 3,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

    (void)arg;
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    WANT(leat_pipe(pass), 0);
    WANT(leat_writev(fd[0], out, 3, soon), 8);
    WANT(leat_readv(fd[1], in, 2, soon), 8);
    WANT(memcmp(a, "abc", 3), 0);
    WANT(memcmp(b, "defgh", 5), 0);
    WANT(leat_readv(fd[1], in, 0, soon), -EINVAL);
    WANT(leat_readv(fd[1], in, 1025, soon), -EINVAL);
    WANT(leat_writev(fd[1], out, -1, soon), -EINVAL);
    WANT(leat_readv(fd[1], &out[1], 1, soon), 0);
    WANT(leat_writev(pass[1], out, 3, soon), 8);
    WANT(leat_readv(pass[0], in, 2, soon), 8);

    /* a descriptor travels */
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &pass[1], sizeof(int));
    WANT(leat_sendmsg(fd[0], &msg, MSG_DONTWAIT, soon), 8);
    memset(&control, 0, sizeof(control));
    msg.msg_iov = &(struct iovec){c, sizeof(c)};
    msg.msg_iovlen = 1;
    WANT(leat_recvmsg(fd[1], &msg, 0, leat_after(20 * LEAT_SEC)), 8);
    cm = CMSG_FIRSTHDR(&msg);
    if (OK(cm != NULL)) {
        memcpy(&got, CMSG_DATA(cm), sizeof(int));
        WANT(leat_adopt(got), 0);
        WANT(leat_write(got, "!", 1, soon), 1);
        WANT(kit_read_byte(pass[0]), '!');
        leat_close(got);
    }
    WANT(leat_recvmsg(fd[1], &msg, 0, soon), -ETIMEDOUT);

    /* a read of a unix socket stops where a descriptor was passed: short, with more behind it */
    msg.msg_iov = out;
    msg.msg_iovlen = 3;
    msg.msg_controllen = sizeof(control.room);
    cm = CMSG_FIRSTHDR(&msg);
    memcpy(CMSG_DATA(cm), &pass[1], sizeof(int));
    WANT(leat_read(fd[1], c, 1, leat_after(MS)), -ETIMEDOUT);
    WANT(leat_sendmsg(fd[0], &msg, 0, soon), 8);
    WANT(leat_sendmsg(fd[0], &msg, 0, soon), 8);
    leat_sleep(2 * MS);
    start = leat_now();
    WANT(leat_read(fd[1], room, sizeof(room), leat_after(30 * LEAT_SEC)), 8);
    WANT(leat_read(fd[1], room, sizeof(room), leat_after(30 * LEAT_SEC)), 8);
    WANT_IN(kit_ms_since(start), 0, 25000); /* not by the last try before the deadline */
    msg = (struct msghdr){.msg_iov = &(struct iovec){c, sizeof(c)}, .msg_iovlen = 1};
    WANT(leat_recvmsg(pass[0], &msg, 0, soon), -ENOTSOCK);
    for (int i = 0; i < 2; i++) {
        leat_close(fd[i]);
        leat_close(pass[i]);
    }
    return 0;
}

Test(io_rw, pieces_and_messages, .timeout = 60)
{
    kit_run_all(body_pieces);
}

/* --- ends --- */

static int body_epipe(void *arg)
{
    int ends[2], pair[2];
    struct iovec one = {(void *)"x", 1};
    struct msghdr msg = {.msg_iov = &one, .msg_iovlen = 1};

    (void)arg;
    WANT(leat_pipe(ends), 0);
    WANT(leat_socketpair(SOCK_STREAM, pair), 0);
    leat_close(ends[0]);
    leat_close(pair[0]);
    for (int i = 0; i < 3; i++) {
        WANT(leat_write(ends[1], "x", 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_writev(ends[1], &one, 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_write_all(pair[1], "x", 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_writev(pair[1], &one, 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_sendmsg(pair[1], &msg, 0, LEAT_FOREVER), -EPIPE);
    }
    leat_close(ends[1]);
    leat_close(pair[1]);
    /* descriptors of others */
    if (OK(pipe(ends) == 0) && OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)) {
        close(ends[0]);
        close(pair[0]);
        WANT(leat_write(ends[1], "x", 1, LEAT_FOREVER), -EPIPE);
        WANT(leat_write(pair[1], "x", 1, LEAT_FOREVER), -EPIPE);
        leat_close(ends[1]);
        close(pair[1]);
    }
    {
        sigset_t pending, none;

        /* what is pending would strike when the mask is lifted */
        sigpending(&pending);
        WANT(sigismember(&pending, SIGPIPE), 0);
        sigemptyset(&none);
        sigaddset(&none, SIGPIPE);
        pthread_sigmask(SIG_UNBLOCK, &none, NULL);
        pthread_sigmask(SIG_BLOCK, &none, NULL);
    }
    return 0;
}

/*
 * Goal: fault 17, a write to a closed peer is -EPIPE and never a signal, though SIGPIPE has its
 * default action here.
 */
Test(io_rw, closed_peer_is_epipe_and_no_signal, .timeout = 20)
{
    signal(SIGPIPE, SIG_DFL);
    kit_run_all(body_epipe);
}

/* --- deadlines --- */

static int body_deadlines(void *arg)
{
    int fd[2];
    char buf[64];
    int64_t start;

    (void)arg;
    if (!kit_tcp_pair(fd))
        return 0;
    WANT(leat_read(fd[0], buf, sizeof(buf), LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_read(fd[0], buf, sizeof(buf), leat_after(-5)), -ETIMEDOUT);
    WANT(leat_read(fd[0], buf, sizeof(buf), leat_at(INT64_MIN)), -ETIMEDOUT);
    start = leat_now();
    WANT(leat_read(fd[0], buf, sizeof(buf), leat_after(20 * MS)), -ETIMEDOUT);
    WANT_IN(kit_ms_since(start), 20, 15000);
    /*
     * after a short read the next one is expected to wait: what has come meanwhile is taken all the
     * same, however late it is
     */
    for (int i = 0; i < 50; i++) {
        leat_deadline past = i % 2 ? LEAT_AT_ONCE : leat_at(leat_now() - 1);

        WANT(leat_write(fd[1], "abc", 3, soon), 3);
        WANT(leat_read(fd[0], buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 3);
        WANT(leat_write(fd[1], "de", 2, soon), 2);
        if (i % 3 == 0)
            leat_sleep(MS);
        WANT(leat_read(fd[0], buf, sizeof(buf), past), 2);
    }
    /* a peer that never reads */
    start = leat_now();
    memset(buf, 0, sizeof(buf));
    {
        size_t bytes = (size_t)32 << 20;
        char *p = calloc(1, bytes);
        ssize_t n;

        WANT(leat_write_all(fd[0], p, bytes, leat_after(50 * MS)), -ETIMEDOUT);
        WANT_IN(kit_ms_since(start), 50, 15000);
        /* the kernel moves some on by itself */
        while ((n = leat_write(fd[0], p, bytes, LEAT_AT_ONCE)) > 0)
            leat_sleep(MS);
        WANT(n, -ETIMEDOUT);
        free(p);
    }
    leat_close(fd[0]);
    leat_close(fd[1]);
    return 0;
}

Test(io_rw, deadlines_hold, .timeout = 30)
{
    kit_run_all(body_deadlines);
}

/* --- calls that always succeed at once --- */

static int write_for_ever(int fd)
{
    char buf[512] = {0};
    ssize_t n;

    do
        n = leat_write(fd, buf, sizeof(buf), LEAT_FOREVER);
    while (n > 0);
    return (int)n;
}

static int body_greedy(void *arg)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), ticks = 0;
    int64_t start = leat_now();
    leat_handle *w;

    (void)arg;
    SPAWN(w, write_for_ever, null);
    while (ticks < 10 && leat_sleep(MS) == 0)
        ticks++;
    WANT(ticks, 10);
    WANT_IN(kit_ms_since(start), 10, 15000); /* a slice is 10 ms; else it would never end */
    leat_cancel(w);
    WANT(kit_join(w), -ECANCELED);
    close(null);
    return 0;
}

/* Goal: fault 37 for I/O. */
Test(io_rw, greedy_writer_lets_others_run, .timeout = 30)
{
    kit_run_all(body_greedy);
}
