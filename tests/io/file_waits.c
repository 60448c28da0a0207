/*
 * Calls on files that wait for a disk, or for a thread of the pool: how deadlines, cancellation and
 * a close end them. And those that never wait, which let others run all the same.
 */
#define _GNU_SOURCE
#include "io/files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(io_file_waits, .timeout = 60, .init = make_top, .fini = take_top);

/* --- one that waits in the kernel for as long as we want: opening a fifo --- */

static leat_result open_fifo(const char *path, int64_t ns)
{
    int fd = leat_open(path, O_RDONLY, 0, ns ? leat_after(ns) : LEAT_FOREVER);

    if (fd >= 0)
        leat_close(fd);
    return fd >= 0 ? 0 : fd;
}

static uint64_t queued(void)
{
    leat_run_stats s;

    return leat_stats_run(&s) == 0 ? s.blocking_queued : 0;
}

static uint64_t pool_threads(void)
{
    leat_run_stats s;

    return leat_stats_run(&s) == 0 ? s.blocking_threads : 0;
}

/* To be called before any other job: the only thread of the pool is busy. */
static leat_handle *make_busy(const char *path)
{
    leat_handle *hog = NULL;

    SPAWN(hog, open_fifo, path, (int64_t)0);
    while (pool_threads() == 0 || queued() > 0)
        leat_yield();
    return hog;
}

/* Whoever opens the fifo goes on. */
static void let_in(const char *path)
{
    int fd = -1;

    while (fd < 0) {
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        leat_yield();
    }
    close(fd);
}

static int body_ends(void *arg)
{
    char path[128], other[128];
    leat_handle *first, *second, *third;
    struct stat st;

    (void)arg;
    in_top(path, "fifo");
    in_top(other, "other");
    OK(mkfifo(path, 0600) == 0);
    OK(mkfifo(other, 0600) == 0);
    /* what is not in memory waits for the first one */
    first = make_busy(path);
    SPAWN(second, open_fifo, other, (int64_t)0);
    while (queued() == 0)
        leat_yield();
    WANT(leat_unlink("/nowhere/leat", leat_after(2 * MS)), -ETIMEDOUT);
    WANT(leat_unlink("/nowhere/leat", LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_open(in_top((char[128]){0}, "new"), O_WRONLY | O_CREAT, 0600, leat_after(2 * MS)),
         -ETIMEDOUT);
    leat_cancel(second);
    WANT(kit_join(second), -ECANCELED);
    WANT(queued(), 0);
    /* one that has begun is not given up */
    leat_cancel(first);
    WANT(leat_join(first, NULL, leat_after(5 * MS)), -ETIMEDOUT);
    let_in(path);
    WANT(kit_join(first), 0);
    /* cancelled before: nothing is done, whether it could have been or not */
    SPAWN(third, open_fifo, "/dev/null", (int64_t)0);
    leat_cancel(third);
    OK(kit_join(third) <= 0);
    WANT(leat_stat(in_top((char[128]){0}, "new"), &st, LONG), -ENOENT);
    OK(unlink(path) == 0 && unlink(other) == 0);
    return 0;
}

/*
 * Goal: deadline and cancellation end what has not begun, and nothing of it is done; what has begun
 * goes on to its end.
 */
Test(io_file_waits, ends)
{
    setenv("LEAT_BLOCKING_THREADS", "1", 1);
    kit_run_all(body_ends);
    unsetenv("LEAT_BLOCKING_THREADS");
}

static leat_result sync_it(int fd)
{
    return leat_fsync(fd, LONG);
}

static int body_closed(void *arg)
{
    char path[128], fifo[128];
    leat_handle *hog, *user;
    int fd = open(in_top(path, "closed"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), other;

    (void)arg;
    OK(mkfifo(in_top(fifo, "fifo"), 0600) == 0);
    hog = make_busy(fifo);
    SPAWN(user, sync_it, fd);
    while (queued() == 0)
        leat_yield();
    WANT(leat_close(fd), 0);
    WANT(leat_close(fd), -EBADF);
    WANT(leat_fsync(fd, LONG), -EBADF);
    other = open(path, O_RDONLY | O_CLOEXEC);
    OK(other >= 0 && other != fd);
    let_in(fifo);
    WANT(kit_join(hog), 0);
    WANT(kit_join(user), 0);
    OK(kit_is_closed(fd));
    close(other);
    OK(unlink(path) == 0 && unlink(fifo) == 0);
    return 0;
}

/*
 * Goal: a descriptor that is closed while a call on it waits for a thread is closed when that call
 * is done, and not before.
 */
Test(io_file_waits, closed_under_a_call)
{
    setenv("LEAT_FILE_IO", "pool", 1);
    setenv("LEAT_BLOCKING_THREADS", "1", 1);
    kit_run_all(body_closed);
    unsetenv("LEAT_BLOCKING_THREADS");
    unsetenv("LEAT_FILE_IO");
}

/* --- those who read from memory all the time --- */

struct sharing {
    int fd;
    unsigned long reads;
    bool over;
};

static leat_result read_on(struct sharing *s)
{
    char buf[100];

    while (!__atomic_load_n(&s->over, __ATOMIC_RELAXED)) {
        WANT(leat_pread(s->fd, buf, sizeof(buf), 0, LONG), sizeof(buf));
        __atomic_add_fetch(&s->reads, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

static int body_sharing(void *arg)
{
    char path[128];
    struct sharing s = {.fd = filled(in_top(path, "sharing"))};
    leat_handle *h;
    unsigned long turns = 0;

    (void)arg;
    SPAWN(h, read_on, &s);
    while (__atomic_load_n(&s.reads, __ATOMIC_RELAXED) < 400) {
        leat_yield();
        turns++;
    }
    __atomic_store_n(&s.over, true, __ATOMIC_RELAXED);
    WANT(kit_join(h), 0);
    WANT_IN(turns, 20, 1L << 40);
    leat_close(s.fd);
    OK(unlink(path) == 0);
    return 0;
}

/*
 * Goal: one that never waits, since all is in memory, lets others run after some calls, and not at
 * the end of its slice.
 */
Test(io_file_waits, memory_is_shared)
{
    unsetenv("LEAT_CHAOS"); /* which lets others run much oftener */
    kit_run(1, body_sharing, NULL);
}

/* --- given up while the kernel is at it --- */

static leat_result cancelled_reader(int fd, uint64_t seed, int64_t ns)
{
    unsigned char buf[2 * PAGE];

    for (;;) {
        size_t at = kit_random(&seed) % (PAGES * PAGE - sizeof(buf));
        ssize_t n;

        memset(buf, 0, sizeof(buf));
        OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
        n = leat_pread(fd, buf, sizeof(buf), (off_t)at,
                       ns ? leat_after((int64_t)(kit_random(&seed) % (uint64_t)ns)) : LEAT_FOREVER);
        if (n == -ECANCELED)
            return 0;
        if (n == -ETIMEDOUT)
            continue;
        /* less, if it was given up between what was in memory and the rest */
        OK(n > 0 && (size_t)n <= sizeof(buf));
        OK(n < 0 || bytes_are(buf, (size_t)n, at));
    }
}

static int body_given_up(void *arg)
{
    char path[128];
    int fd = filled(in_top(path, "given-up"));
    uint64_t seed = 12345;
    leat_handle *h[6];

    (void)arg;
    WANT(leat_fsync(fd, LONG), 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 6; i++)
            SPAWN(h[i], cancelled_reader, fd, (uint64_t)(round * 6 + i + 1) * 7919,
                  i % 2 ? 200 * LEAT_USEC : (int64_t)0);
        kit_dawdle(&seed, 2000);
        for (int i = 0; i < 6; i++)
            leat_cancel(h[i]);
        for (int i = 0; i < 6; i++)
            WANT(kit_join(h[i]), 0);
    }
    leat_close(fd);
    OK(unlink(path) == 0);
    return 0;
}

/*
 * Goal: deadlines and cancellation at any moment of a read: what it says was read is there, and the
 * memory is the caller's again.
 */
Test(io_file_waits, given_up_at_any_moment)
{
    kit_run_all(body_given_up);
}
