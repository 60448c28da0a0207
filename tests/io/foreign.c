/*
 * Descriptors that leat did not open: blocking ones of every kind, files, numbers that change hands
 * behind its back. The runs of the suite "io_fallback" refuse the kernel's newer calls first.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define BULK ((size_t)300000)

static const leat_deadline soon = {0};

static int read_byte(int fd)
{
    char c = 0;
    ssize_t n = leat_read(fd, &c, 1, leat_after(60 * LEAT_SEC));

    return n == 1 ? c : n < 0 ? (int)n : 1000;
}

/* The thread is free while the caller waits: others run on the one processor. */
static void read_late(int from, int to)
{
    leat_handle *reader;
    int ticks = 0;

    SPAWN(reader, read_byte, from);
    while (ticks < 5 && leat_sleep(MS) == 0)
        ticks++;
    WANT(leat_write(to, "L", 1, leat_after(20 * LEAT_SEC)), 1);
    WANT(kit_join(reader), 'L');
}

static long send_bulk(int fd)
{
    char *p = malloc(BULK);
    ssize_t n;

    for (size_t i = 0; i < BULK; i++)
        p[i] = (char)('a' + i % 23);
    n = leat_write_all(fd, p, BULK, leat_after(20 * LEAT_SEC));
    free(p);
    return n;
}

static void move_bulk(int from, int to)
{
    char *p = malloc(BULK);
    size_t wrong = 0;
    leat_handle *sender;

    SPAWN(sender, send_bulk, from);
    leat_sleep(2 * MS); /* it fills the pipe, and must not block */
    WANT(leat_read_full(to, p, BULK, leat_after(20 * LEAT_SEC)), BULK);
    WANT(kit_join(sender), BULK);
    for (size_t i = 0; i < BULK; i++)
        wrong += p[i] != (char)('a' + i % 23);
    WANT(wrong, 0);
    free(p);
}

/* A stream, both ends blocking. */
static void exercise(int rd, int wr)
{
    char c, big[4096] = {0};
    ssize_t n;

    WANT(fcntl(rd, F_GETFL) & O_NONBLOCK, 0);
    WANT(leat_poll_fd(rd, LEAT_POLLIN, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_poll_fd(wr, LEAT_POLLOUT, LEAT_AT_ONCE), LEAT_POLLOUT);
    WANT(leat_read(rd, &c, 1, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_read(rd, &c, 1, leat_after(3 * MS)), -ETIMEDOUT);
    WANT(leat_write(wr, "ab", 2, soon), 2);
    WANT(leat_poll_fd(rd, LEAT_POLLIN, LEAT_AT_ONCE), LEAT_POLLIN);
    WANT(read_byte(rd), 'a');
    WANT(read_byte(rd), 'b');
    read_late(rd, wr);
    move_bulk(wr, rd);
    /* full: the writer waits for its deadline, not for ever */
    while ((n = leat_write(wr, big, sizeof(big), leat_after(5 * MS))) > 0)
        ;
    WANT(n, -ETIMEDOUT);
    WANT(fcntl(rd, F_GETFL) & O_NONBLOCK, 0);
    WANT(fcntl(wr, F_GETFL) & O_NONBLOCK, 0);
    close(wr);
    while ((n = leat_read(rd, big, sizeof(big), leat_after(20 * LEAT_SEC))) > 0)
        ;
    WANT(n, 0);
    close(rd);
}

static int body_streams(void *arg)
{
    char path[64];
    int fd[2];

    (void)arg;
    if (OK(pipe(fd) == 0))
        exercise(fd[0], fd[1]);
    if (OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0))
        exercise(fd[0], fd[1]);
    snprintf(path, sizeof(path), "/tmp/leat-test-fifo-%d", (int)getpid());
    unlink(path);
    if (OK(mkfifo(path, 0600) == 0)) {
        int keep = open(path, O_RDWR | O_CLOEXEC);

        fd[0] = open(path, O_RDONLY | O_CLOEXEC);
        fd[1] = open(path, O_WRONLY | O_CLOEXEC);
        unlink(path);
        close(keep);
        if (OK(fd[0] >= 0) && OK(fd[1] >= 0))
            exercise(fd[0], fd[1]);
    }
    return 0;
}

Test(io_foreign, blocking_streams, .timeout = 60)
{
    kit_run_all(body_streams);
}

static int body_tty(void *arg)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), tty;
    char buf[32];

    (void)arg;
    if (!OK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0))
        return 0;
    tty = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (!OK(tty >= 0))
        return 0;
    WANT(leat_read(tty, buf, sizeof(buf), leat_after(2 * MS)), -ETIMEDOUT);
    /* a terminal gives line by line: a short read says nothing about what is left */
    WANT(leat_write(master, "one\ntwo\n", 8, soon), 8);
    WANT(leat_read(tty, buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 4);
    WANT(leat_read(tty, buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 4);
    WANT(memcmp(buf, "two\n", 4), 0);
    WANT(leat_adopt(tty), 0);
    WANT(leat_write(master, "one\ntwo\n", 8, soon), 8);
    WANT(leat_read(tty, buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 4);
    WANT(leat_read(tty, buf, sizeof(buf), leat_after(20 * LEAT_SEC)), 4);
    WANT(leat_write(tty, "out", 3, leat_after(20 * LEAT_SEC)), 3);
    WANT(leat_poll_fd(master, LEAT_POLLIN, leat_after(20 * LEAT_SEC)) & LEAT_POLLIN, LEAT_POLLIN);
    leat_close(tty);
    close(master);
    return 0;
}

Test(io_foreign, terminal, .timeout = 20)
{
    kit_run_all(body_tty);
}

static int body_files(void *arg)
{
    char path[64], buf[64];
    int fd, dir, event = eventfd(0, EFD_CLOEXEC);
    uint64_t count = 7;
    struct iovec two[2] = {{(void *)"he", 2}, {(void *)"llo", 3}};

    (void)arg;
    snprintf(path, sizeof(path), "/tmp/leat-test-file-%d", (int)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unlink(path);
    WANT(leat_writev(fd, two, 2, soon), 5);
    WANT(send_bulk(fd), BULK); /* in any pieces, but all of it */
    WANT(lseek(fd, 0, SEEK_CUR), BULK + 5);
    WANT(lseek(fd, 0, SEEK_SET), 0);
    WANT(leat_read(fd, buf, 5, soon), 5);
    WANT(memcmp(buf, "hello", 5), 0);
    WANT(leat_poll_fd(fd, LEAT_POLLIN | LEAT_POLLOUT, LEAT_AT_ONCE), LEAT_POLLIN | LEAT_POLLOUT);
    WANT(leat_poll_fd(fd, LEAT_POLLIN, LEAT_FOREVER), LEAT_POLLIN);
    lseek(fd, 0, SEEK_END);
    WANT(leat_read(fd, buf, 5, LEAT_FOREVER), 0);
    WANT(leat_accept(fd, NULL, NULL, LEAT_AT_ONCE), -ENOTSOCK);
    WANT(leat_adopt(fd), 0); /* handed over it works the same */
    lseek(fd, 0, SEEK_SET);
    WANT(leat_read_full(fd, buf, 5, LEAT_FOREVER), 5);
    WANT(leat_write(fd, "x", 1, LEAT_FOREVER), 1);
    WANT(leat_poll_fd(fd, LEAT_POLLIN, LEAT_FOREVER), LEAT_POLLIN);
    leat_close(fd);

    dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    WANT(leat_read(dir, buf, 5, LEAT_FOREVER), -EISDIR);
    WANT(leat_write(dir, buf, 5, LEAT_FOREVER), -EBADF);
    OK(leat_poll_fd(dir, LEAT_POLLIN, LEAT_FOREVER) > 0);
    close(dir);

    fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    WANT(leat_read(fd, buf, sizeof(buf), soon), sizeof(buf));
    WANT(leat_write_all(fd, buf, sizeof(buf), soon), sizeof(buf));
    close(fd);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    WANT(leat_read(fd, buf, sizeof(buf), soon), 0);
    WANT(leat_write_all(fd, buf, sizeof(buf), soon), sizeof(buf));
    close(fd);

    WANT(leat_read(event, &count, sizeof(count), leat_after(2 * MS)), -ETIMEDOUT);
    WANT(leat_write(event, &count, sizeof(count), soon), 8);
    WANT(leat_poll_fd(event, LEAT_POLLIN, LEAT_FOREVER), LEAT_POLLIN);
    count = 0;
    WANT(leat_read(event, &count, sizeof(count), LEAT_FOREVER), 8);
    WANT(count, 7);
    close(event);
    return 0;
}

/* Goal: fault 28, every kind of thing has a defined path. */
Test(io_foreign, files_directories_devices, .timeout = 20)
{
    kit_run_all(body_files);
}

static int body_stdin(void *arg)
{
    int *feed = arg;
    leat_handle *reader;

    SPAWN_WAITER(reader, read_byte, 0);
    WANT(leat_write(*feed, "i", 1, soon), 1);
    WANT(kit_join(reader), 'i');
    WANT(leat_write_all(1, "", 0, soon), 0);
    return 0;
}

Test(io_foreign, standard_input, .timeout = 20)
{
    int fd[2];

    cr_assert(eq(int, pipe(fd), 0));
    cr_assert(eq(int, dup2(fd[0], 0), 0));
    kit_run(1, body_stdin, &fd[1]);
    kit_run(2, body_stdin, &fd[1]);
}

/* --- sockets of others --- */

static int body_socket(void *arg)
{
    char address[32];
    int listener = kit_listen(address, NULL), plain, fd;
    leat_handle *acceptor;

    (void)arg;
    /*
     * a blocking listener: as kit_listen's, with the mode taken away and a number that leat does
     * not know
     */
    plain = dup(listener);
    leat_close(listener);
    fcntl(plain, F_SETFL, fcntl(plain, F_GETFL) & ~O_NONBLOCK);
    WANT(leat_accept(plain, NULL, NULL, leat_after(3 * MS)), -ETIMEDOUT);
    SPAWN(acceptor, leat_accept, plain, NULL, NULL, leat_after(20 * LEAT_SEC));
    fd = leat_tcp_dial(address, leat_after(20 * LEAT_SEC));
    {
        int peer = (int)kit_join(acceptor);

        if (OK(peer >= 0))
            read_late(peer, fd);
        leat_close(peer);
    }
    leat_close(fd);
    close(plain);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = 0};

        /* it would block the thread */
        WANT(leat_connect(fd, (struct sockaddr *)&a, sizeof(a), LEAT_FOREVER), -EINVAL);
    }
    close(fd);
    return 0;
}

Test(io_foreign, blocking_listener, .timeout = 20)
{
    kit_run_all(body_socket);
}

/* --- numbers that change hands --- */

/* The descriptor `fd` stands for becomes another thing, closed by plain close(2). */
static void become(int fd, int other)
{
    close(fd);
    OK(dup2(other, fd) == fd);
}

static int body_reuse(void *arg)
{
    int fd, pair[2], ends[2], file, spare;
    char path[64], c;

    (void)arg;
    snprintf(path, sizeof(path), "/tmp/leat-test-reuse-%d", (int)getpid());
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    OK(pipe(ends) == 0);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unlink(path);
    OK(write(file, "fff", 3) == 3);
    spare = kit_spare();
    fd = dup(pair[0]);
    close(spare);
    for (int i = 0; i < 3; i++) {
        read_late(fd, pair[1]);
        WANT(leat_write(fd, "s", 1, soon), 1);
        become(fd, ends[0]);
        read_late(fd, ends[1]);
        WANT(leat_read(fd, &c, 1, leat_after(MS)), -ETIMEDOUT);
        become(fd, ends[1]);
        WANT(leat_write(fd, "p", 1, soon), 1);
        WANT(read_byte(ends[0]), 'p');
        become(fd, file);
        lseek(fd, 0, SEEK_SET);
        WANT(read_byte(fd), 'f');
        WANT(leat_write(fd, "f", 1, soon), 1);
        WANT(leat_poll_fd(fd, LEAT_POLLIN, LEAT_FOREVER), LEAT_POLLIN);
        become(fd, pair[0]);
        WANT(leat_poll_fd(fd, LEAT_POLLIN, leat_after(MS)), -ETIMEDOUT);
        WANT(leat_write(fd, "s", 1, soon), 1);
    }
    close(fd);
    WANT(leat_read(fd, &c, 1, LEAT_FOREVER), -EBADF);
    /* a library's sockets come and go at one number while we poll for them */
    for (int i = 0; i < 50; i++) {
        leat_handle *poller;
        int lib[2];

        OK(socketpair(AF_UNIX, SOCK_STREAM, 0, lib) == 0);
        SPAWN(poller, leat_poll_fd, lib[0], LEAT_POLLIN, leat_after(10 * LEAT_SEC));
        if (i % 2)
            leat_sleep(MS / 10);
        OK(write(lib[1], "x", 1) == 1);
        WANT(kit_join(poller), LEAT_POLLIN);
        close(lib[0]);
        close(lib[1]);
    }
    close(pair[0]);
    close(pair[1]);
    close(ends[0]);
    close(ends[1]);
    close(file);
    return 0;
}

/* Goal: fault 36. Each call works on what the number stands for now, whatever it was before. */
Test(io_foreign, numbers_change_hands, .timeout = 30)
{
    kit_run_all(body_reuse);
}

static int body_return(void *arg)
{
    int fd[2], other, number, spare = kit_spare();

    (void)arg;
    /*
     * the file lives on under another number, and its registration with it; then it comes back to
     * the first
     */
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    close(spare); /* for the monitor's file, not the number that comes back */
    read_late(fd[0], fd[1]);
    other = dup(fd[0]);
    number = fd[0];
    WANT(leat_close(number), 0);
    OK(dup2(other, number) == number);
    read_late(number, fd[1]);
    WANT(leat_adopt(number), 0);
    read_late(number, fd[1]);
    read_late(other, fd[1]);
    close(other);
    leat_close(number);
    leat_close(fd[1]);
    return 0;
}

Test(io_foreign, file_comes_back_to_its_number, .timeout = 20)
{
    kit_run_all(body_return);
}

static int body_adopt_under(void *arg)
{
    int pair[2], ends[2], number;
    leat_handle *w;

    (void)arg;
    for (int i = 0; i < 20; i++) {
        OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        number = pair[0];
        SPAWN_WAITER(w, read_byte, number);
        close(number); /* under a waiter: an error, but one that a library can make */
        WANT(leat_pipe(ends), 0);
        for (int k = 0; k < 1000 && ends[0] != number && ends[1] != number; k++) {
            /* the monitor's file has it */
            leat_close(ends[0]);
            leat_close(ends[1]);
            usleep(100);
            WANT(leat_pipe(ends), 0);
        }
        OK(ends[0] == number || ends[1] == number);
        WANT(kit_join(w), -ECANCELED);
        read_late(ends[0], ends[1]);
        leat_close(ends[0]);
        leat_close(ends[1]);
        close(pair[1]);
    }
    return 0;
}

Test(io_foreign, number_is_taken_over_under_a_waiter, .timeout = 20)
{
    kit_run_all(body_adopt_under);
}

/* --- what the kernel may not have --- */

/* Goal: fault 34, the same results without epoll_pwait2, and without RWF_NOWAIT. */
Test(io_fallback, without_epoll_pwait2, .timeout = 60)
{
    if (!kit_refuse(SYS_epoll_pwait2, ENOSYS))
        cr_skip_test("seccomp is not to be had");
    kit_run_all(body_streams);
}

Test(io_fallback, without_nowait, .timeout = 60)
{
    if (!kit_refuse(SYS_preadv2, EOPNOTSUPP) || !kit_refuse(SYS_pwritev2, EOPNOTSUPP))
        cr_skip_test("seccomp is not to be had");
    kit_run_all(body_streams);
    kit_run_all(body_tty);
    kit_run_all(body_files);
    kit_run_all(body_reuse);
}

/*
 * Goal: fault 5, what the poller refuses reaches the caller, and the descriptor is as good as
 * before.
 */
static int body_refused(void *arg)
{
    int error = *(int *)arg, fd[2];
    char c;

    WANT(leat_pipe(fd), 0);
    for (int i = 0; i < 3; i++) {
        WANT(leat_read(fd[0], &c, 1, leat_after(20 * LEAT_SEC)), -error);
        WANT(leat_poll_fd(fd[0], LEAT_POLLIN, leat_after(20 * LEAT_SEC)), -error);
        WANT(leat_write(fd[1], "x", 1, LEAT_FOREVER), 1);
        WANT(read_byte(fd[0]), 'x');
    }
    WANT(leat_close(fd[0]), 0);
    WANT(leat_close(fd[1]), 0);
    return 0;
}

static int refuse_ctl_error;
static bool not_to_be_had;

static int body_refuse_then(void *arg)
{
    (void)arg;
    /* on this thread, the only worker */
    not_to_be_had = !kit_refuse(SYS_epoll_ctl, refuse_ctl_error);
    return not_to_be_had ? 0 : body_refused(&refuse_ctl_error);
}

static void refuse(int error)
{
    refuse_ctl_error = error;
    kit_run(1, body_refuse_then, NULL);
    if (not_to_be_had)
        cr_skip_test("seccomp is not to be had");
}

Test(io_fallback, epoll_ctl_enospc, .timeout = 20)
{
    refuse(ENOSPC);
}

Test(io_fallback, epoll_ctl_enomem, .timeout = 20)
{
    refuse(ENOMEM);
}

/* --- the mode is set back by somebody else --- */

static void set_back(const int fd[2])
{
    for (int i = 0; i < 2; i++)
        WANT(fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) & ~O_NONBLOCK), 0);
}

static int body_set_back(void *arg)
{
    char bytes[4096] = {0};
    struct iovec iov[2] = {{bytes, 1000}, {bytes, 1000}};
    int fd[2];
    ssize_t n;

    (void)arg;
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    set_back(fd);
    WANT(leat_read(fd[0], bytes, sizeof(bytes), leat_after(MS)), -ETIMEDOUT);
    WANT(leat_readv(fd[0], iov, 2, leat_after(MS)), -ETIMEDOUT);
    while ((n = leat_write(fd[0], bytes, sizeof(bytes), leat_after(MS))) > 0)
        ;
    WANT(n, -ETIMEDOUT);
    WANT(leat_writev(fd[0], iov, 2, leat_after(MS)), -ETIMEDOUT);
    WANT(leat_readv(fd[1], iov, 2, LEAT_FOREVER), 2000);
    leat_close(fd[0]);
    leat_close(fd[1]);
    return 0;
}

/*
 * Goal: trap 37, a socket that a process sets back to blocking mode blocks no worker. Without that
 * this never ends.
 */
Test(io_foreign, our_sockets_never_block_the_worker, .timeout = 20)
{
    kit_run_all(body_set_back);
}
