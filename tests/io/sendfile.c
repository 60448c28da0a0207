/*
 * leat_sendfile(): what arrives, and how much of it is told when it ends early.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG leat_after(60 * LEAT_SEC)
#define SIZE ((size_t)3 * 1024 * 1024 + 77) /* more than the buffers of a connection take */

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + i / 4096);
}

/* A file of SIZE bytes that has no name. */
static int filled(const char *dir)
{
    char path[64];
    unsigned char *all = malloc(SIZE);
    int fd;

    snprintf(path, sizeof(path), "%s/leat-sendfile-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    unlink(path);
    for (size_t i = 0; i < SIZE; i++)
        all[i] = byte_at(i);
    if (OK(fd >= 0))
        WANT(leat_pwrite(fd, all, SIZE, 0, LONG), SIZE);
    free(all);
    return fd;
}

struct reading {
    int fd;
    size_t from, bytes; /* what is to come */
};

static leat_result read_all(struct reading *r)
{
    unsigned char buf[8192];
    size_t got = 0;

    while (got < r->bytes) {
        size_t room = r->bytes - got < sizeof(buf) ? r->bytes - got : sizeof(buf);
        ssize_t n = leat_read(r->fd, buf, room, LONG);

        if (n <= 0)
            return n < 0 ? n : -ENODATA;
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(r->from + got + (size_t)i))
                return -EBADMSG;
        got += (size_t)n;
    }
    return 0;
}

static void moves(int to, int from, int file, size_t at, size_t len)
{
    size_t bytes = at >= SIZE ? 0 : len < SIZE - at ? len : SIZE - at;
    struct reading r = {from, at, bytes};
    leat_handle *h;

    SPAWN(h, read_all, &r);
    WANT(leat_sendfile(to, file, (off_t)at, len, LONG), bytes);
    WANT(kit_join(h), 0);
}

static void moves_all(const char *dir)
{
    int fd = filled(dir), pair[2], pipes[2];

    if (!kit_tcp_pair(pair) || !OK(leat_pipe(pipes) == 0))
        return;
    moves(pair[0], pair[1], fd, 0, SIZE);
    WANT(leat_fdatasync(fd, LONG), 0);
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    moves(pair[0], pair[1], fd, 5, SIZE);
    OK(posix_fadvise(fd, 1 << 20, 1 << 20, POSIX_FADV_DONTNEED) == 0);
    moves(pair[0], pair[1], fd, 4096, SIZE * 2);
    moves(pair[0], pair[1], fd, SIZE - 1, 100);
    moves(pair[0], pair[1], fd, SIZE, 100);
    moves(pair[0], pair[1], fd, SIZE * 7, 100);
    moves(pair[0], pair[1], fd, 17, 0);
    moves(pipes[1], pipes[0], fd, 1000, 300000);
    WANT(lseek(fd, 0, SEEK_CUR), 0);
    leat_close(pair[0]);
    leat_close(pair[1]);
    leat_close(pipes[0]);
    leat_close(pipes[1]);
    leat_close(fd);
}

static int body_moves(void *arg)
{
    (void)arg;
    moves_all("/tmp");
    return 0;
}

static int body_moves_without_disk(void *arg)
{
    (void)arg;
    moves_all("/dev/shm");
    return 0;
}

/* Goal: whatever of a file is in memory, what is asked for arrives, up to the end of the file. */
Test(io_sendfile, moves, .timeout = 60)
{
    kit_run_all(body_moves);
    if (access("/dev/shm", W_OK) == 0)
        kit_run(2, body_moves_without_disk, NULL);
}

/* Goal: fault 34, the same where the kernel does not tell what is in memory, one way or both. */
Test(io_sendfile, moves_unseen, .timeout = 60)
{
    if (!kit_refuse(451, ENOSYS))
        cr_skip_test("no seccomp filters here");
    kit_run(2, body_moves, NULL);
    cr_assert(kit_refuse(SYS_preadv2, ENOSYS));
    kit_run(2, body_moves, NULL);
}

static leat_result send_it(int to, int file, size_t *sent)
{
    ssize_t n = leat_sendfile(to, file, 0, SIZE, LEAT_FOREVER);

    *sent = n > 0 ? (size_t)n : 0;
    n = leat_sendfile(to, file, 0, SIZE, LEAT_FOREVER); /* why it ended */
    return n < 0 ? n : -ENODATA;
}

static void arrives(int fd, size_t bytes)
{
    struct reading r = {fd, 0, bytes};

    WANT(read_all(&r), 0);
}

/* Takes much less than SIZE when nobody reads. */
static bool narrow_pair(int out[2])
{
    int bytes = 65536;

    return kit_tcp_pair(out) &&
           OK(setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0) &&
           OK(setsockopt(out[1], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
}

static int body_stuck(void *arg)
{
    int spare = kit_spare(), fd = filled("/tmp"), pair[2];
    leat_handle *h;
    size_t sent = 0;
    ssize_t n;

    (void)arg;
    if (!narrow_pair(pair)) {
        close(spare);
        return 0;
    }
    /* for the monitor's file: it may not be at the number of ours when that is closed */
    close(spare);
    /* nobody reads: the deadline, and what has gone */
    n = leat_sendfile(pair[0], fd, 0, SIZE, leat_after(20 * MS));
    if (n == -ETIMEDOUT) /* a busy machine */
        n = 0;
    WANT_IN(n, 0, SIZE - 1);
    arrives(pair[1], (size_t)n);
    /* cancelled */
    SPAWN_WAITER(h, send_it, pair[0], fd, &sent);
    WANT(leat_sendfile(pair[0], fd, 0, SIZE, LONG), -EBUSY);
    OK(leat_poll_fd(pair[1], LEAT_POLLIN, LONG) > 0);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT_IN(sent, 1, SIZE - 1);
    arrives(pair[1], sent);
    /* the file is closed: its number stays until the call has ended */
    SPAWN_WAITER(h, send_it, pair[0], fd, &sent);
    WANT(leat_close(fd), 0);
    WANT(leat_pread(fd, &sent, 1, 0, LONG), -EBADF);
    arrives(pair[1], SIZE);
    WANT(kit_join(h), -EBADF);
    WANT(sent, SIZE);
    /* the socket is closed */
    fd = filled("/tmp");
    SPAWN_WAITER(h, send_it, pair[0], fd, &sent);
    OK(leat_poll_fd(pair[1], LEAT_POLLIN, LONG) > 0);
    WANT(leat_close(pair[0]), 0);
    WANT(kit_join(h), -EBADF);
    WANT_IN(sent, 1, SIZE - 1);
    leat_close(pair[1]);
    leat_close(fd);
    return 0;
}

/* Goal: whatever ends it early, how much has gone is told, and what has gone arrives. */
Test(io_sendfile, ends_early, .timeout = 60)
{
    kit_run_all(body_stuck);
}

static int body_wrong(void *arg)
{
    int fd = filled("/tmp"), pair[2], plain[2];
    char buf[1];

    (void)arg;
    if (!kit_tcp_pair(pair) || !OK(pipe(plain) == 0))
        return 0;
    WANT(leat_sendfile(pair[0], fd, -1, 1, LONG), -EINVAL);
    WANT(leat_sendfile(-1, fd, 0, 1, LONG), -EBADF);
    WANT(leat_sendfile(pair[0], -1, 0, 1, LONG), -EBADF);
    WANT(leat_sendfile(pair[0], 1 << 20, 0, 1, LONG), -EBADF);
    /* a blocking one would hold its thread up */
    WANT(leat_sendfile(plain[1], fd, 0, 1, LONG), -EINVAL);
    OK(fcntl(plain[1], F_SETFL, O_NONBLOCK) == 0);
    WANT(leat_sendfile(plain[1], fd, 0, 1, LONG), 1);
    close(plain[0]);
    close(plain[1]);
    /* nobody reads: an error and no signal */
    leat_close(pair[1]);
    while (leat_sendfile(pair[0], fd, 0, SIZE, LONG) > 0)
        ;
    WANT(leat_sendfile(pair[0], fd, 0, SIZE, LONG), -EPIPE);
    leat_close(pair[0]);
    /* what can be done at once is, whatever the deadline */
    if (kit_tcp_pair(pair)) {
        WANT(leat_pread(fd, buf, 1, 0, LONG), 1);
        WANT(leat_sendfile(pair[0], fd, 0, 1, LEAT_AT_ONCE), 1);
        WANT(leat_read_full(pair[1], buf, 1, LONG), 1);
        leat_close(pair[0]);
        leat_close(pair[1]);
    }
    leat_close(fd);
    return 0;
}

/* Goal: wrong arguments and ended peers are errors. */
Test(io_sendfile, errors, .timeout = 60)
{
    cr_assert(eq(long, leat_sendfile(0, 0, 0, 1, LEAT_AT_ONCE), -EPERM));
    kit_run_all(body_wrong);
}
