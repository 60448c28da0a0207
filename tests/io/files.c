/*
 * Files and directories: what the calls do, that waiting for a disk holds nobody up, and how they
 * end.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LONG leat_after(60 * LEAT_SEC)

/* A directory of the test's own, made before and taken away after it. */
static char top[64];
static const char *base = "/tmp";

static void make_top(void)
{
    snprintf(top, sizeof(top), "%s/leat-files-XXXXXX", base);
    cr_assert(mkdtemp(top) != NULL);
}

static void take_top(void)
{
    cr_expect(eq(int, rmdir(top), 0), "something was left behind in %s", top);
}

TestSuite(io_files, .timeout = 60, .init = make_top, .fini = take_top);

static const char *in_top(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", top, name);
    return out;
}

/* As much as pages of memory, so that a part of a file can be there and a part not. */
#define PAGES 8
#define PAGE 4096

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / PAGE);
}

static bool bytes_are(const unsigned char *buf, size_t len, size_t from)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != byte_at(from + i))
            return false;
    return true;
}

/* A file of PAGES pages and 10 bytes. */
static int filled(const char *path)
{
    static unsigned char all[PAGES * PAGE + 10];
    int fd = leat_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, LONG);

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = byte_at(i);
    if (OK(fd >= 0))
        WANT(leat_pwrite(fd, all, sizeof(all), 0, LONG), sizeof(all));
    return fd;
}

/*
 * What of it is on the disk only is read from there; elsewhere than on a disk it stays in memory,
 * which does no harm.
 */
static void forget(int fd, int from_page, int nr_pages)
{
    WANT(leat_fdatasync(fd, LONG), 0);
    OK(posix_fadvise(fd, (off_t)from_page * PAGE, (off_t)nr_pages * PAGE, POSIX_FADV_DONTNEED) ==
       0);
}

static int body_reads(void *arg)
{
    static unsigned char buf[(PAGES + 2) * PAGE];
    const size_t size = PAGES * PAGE + 10;
    char path[128];
    int spare = kit_spare(), fd = filled(in_top(path, "reads"));

    (void)arg;
    close(spare);
    for (int i = 0; i < 3; i++) {
        WANT(leat_pread(fd, buf, 100, 50, LONG), 100);
        OK(bytes_are(buf, 100, 50));
        /* up to the end, behind it */
        WANT(leat_pread(fd, buf, sizeof(buf), 0, LONG), size);
        OK(bytes_are(buf, size, 0));
        WANT(leat_pread(fd, buf, sizeof(buf), (off_t)size - 4, LONG), 4);
        WANT(leat_pread(fd, buf, 1, (off_t)size, LONG), 0);
        WANT(leat_pread(fd, buf, 1, (off_t)size * 100, LONG), 0);
        WANT(leat_pread(fd, buf, 0, 0, LONG), 0);
        forget(fd, i == 0 ? 0 : PAGES / 2, i == 0 ? PAGES + 1 : PAGES / 2 + 1);
    }
    /* one part in memory, the other one not, in pieces */
    forget(fd, 0, PAGES + 1);
    WANT(leat_pread(fd, buf, 10, 0, LONG), 10);
    {
        struct iovec iov[3] = {
            {buf, 5}, {buf + 5, 3 * PAGE}, {buf + 5 + 3 * PAGE, sizeof(buf) - 5 - 3 * PAGE}};

        WANT(leat_preadv(fd, iov, 3, 1, LONG), size - 1);
        OK(bytes_are(buf, size - 1, 1));
    }
    WANT(leat_pread(fd, buf, 1, -1, LONG), -EINVAL);
    WANT(leat_pwrite(fd, buf, 1, -1, LONG), -EINVAL);
    WANT(leat_preadv(fd, NULL, 0, 0, LONG), -EINVAL);
    WANT(leat_pread(-1, buf, 1, 0, LONG), -EBADF);
    WANT(leat_pread(1 << 20, buf, 1, 0, LONG), -EBADF);
    WANT(lseek(fd, 0, SEEK_CUR), 0);
    WANT(leat_close(fd), 0);
    WANT(leat_pread(fd, buf, 1, 0, LONG), -EBADF);
    WANT(leat_unlink(path, LONG), 0);
    return 0;
}

/*
 * Goal: what is in memory, what is not, and both at once come out the same; less than asked for
 * comes at the end of the file only.
 */
Test(io_files, reads)
{
    kit_run_all(body_reads);
}

static int body_writes(void *arg)
{
    char path[128], buf[64];
    struct iovec two[2] = {{(void *)"wor", 3}, {(void *)"ld", 2}};
    struct stat st;
    int fd = leat_open(in_top(path, "writes"), O_RDWR | O_CREAT | O_EXCL, 0640, LONG), again;

    (void)arg;
    if (!OK(fd >= 0))
        return 0;
    OK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    WANT(leat_pwrite(fd, "hello ", 6, 0, LONG), 6);
    WANT(leat_pwritev(fd, two, 2, 6, LONG), 5);
    WANT(leat_fsync(fd, LONG), 0);
    WANT(leat_fdatasync(fd, LONG), 0);
    WANT(leat_pread(fd, buf, sizeof(buf), 0, LONG), 11);
    OK(memcmp(buf, "hello world", 11) == 0);
    WANT(leat_fstat(fd, &st), 0);
    WANT(st.st_size, 11);
    WANT(leat_ftruncate(fd, 5, LONG), 0);
    WANT(leat_stat(path, &st, LONG), 0);
    WANT(st.st_size, 5);
    WANT(leat_truncate(path, 3, LONG), 0);
    WANT(leat_pread(fd, buf, sizeof(buf), 0, LONG), 3);
    /* at the position that the file has */
    WANT(leat_write_all(fd, "HELLO", 5, LONG), 5);
    OK(lseek(fd, 1, SEEK_SET) == 1);
    WANT(leat_read_full(fd, buf, sizeof(buf), LONG), 4);
    OK(memcmp(buf, "ELLO", 4) == 0);
    again = leat_open(path, O_RDONLY, 0, LONG);
    OK(again >= 0 && again != fd);
    WANT(leat_pwrite(again, "x", 1, 0, LONG), -EBADF);
    WANT(leat_close(again), 0);
    again = leat_open(path, O_WRONLY | O_TRUNC, 0, LONG);
    WANT(leat_fstat(again, &st), 0);
    WANT(st.st_size, 0);
    /* appended, wherever it was meant to go: as pwrite(2) */
    WANT(leat_close(again), 0);
    again = leat_open(path, O_WRONLY | O_APPEND, 0, LONG);
    WANT(leat_write(again, "one", 3, LONG), 3);
    WANT(leat_write(again, "two", 3, LONG), 3);
    WANT(leat_pread(fd, buf, sizeof(buf), 0, LONG), 6);
    WANT(leat_close(again), 0);
    WANT(leat_chmod(path, 0400, LONG), 0);
    WANT(leat_stat(path, &st, LONG), 0);
    WANT(st.st_mode & 0777, 0400);
    WANT(leat_close(fd), 0);
    WANT(leat_unlink(path, LONG), 0);
    return 0;
}

/* Goal: what was written is there, as long as it was made. */
Test(io_files, writes)
{
    kit_run_all(body_writes);
}

static int body_paths(void *arg)
{
    char a[128], b[128], dir[128], text[128];
    struct stat st;
    int fd;

    (void)arg;
    in_top(a, "a");
    in_top(b, "b");
    in_top(dir, "dir");
    WANT(leat_stat(a, &st, LONG), -ENOENT);
    WANT(leat_open(a, O_RDONLY, 0, LONG), -ENOENT);
    WANT(leat_unlink(a, LONG), -ENOENT);
    fd = leat_open(a, O_WRONLY | O_CREAT | O_EXCL, 0600, LONG);
    OK(fd >= 0);
    WANT(leat_open(a, O_WRONLY | O_CREAT | O_EXCL, 0600, LONG), -EEXIST);
    WANT(leat_open(a, O_RDONLY | O_DIRECTORY, 0, LONG), -ENOTDIR);
    WANT(leat_close(fd), 0);
    WANT(leat_link(a, b, LONG), 0);
    WANT(leat_link(a, b, LONG), -EEXIST);
    WANT(leat_stat(b, &st, LONG), 0);
    WANT(st.st_nlink, 2);
    WANT(leat_unlink(b, LONG), 0);
    WANT(leat_symlink("a", b, LONG), 0);
    WANT(leat_readlink(b, text, sizeof(text), LONG), 1);
    WANT(leat_lstat(b, &st, LONG), 0);
    OK(S_ISLNK(st.st_mode));
    WANT(leat_stat(b, &st, LONG), 0);
    OK(S_ISREG(st.st_mode));
    WANT(leat_rename(a, b, LONG), 0);
    WANT(leat_readlink(b, text, sizeof(text), LONG), -EINVAL);
    WANT(leat_stat(a, &st, LONG), -ENOENT);
    WANT(leat_mkdir(dir, 0700, LONG), 0);
    WANT(leat_mkdir(dir, 0700, LONG), -EEXIST);
    WANT(leat_rename(b, in_top(a, "dir/a"), LONG), 0);
    WANT(leat_rmdir(dir, LONG), -ENOTEMPTY);
    WANT(leat_unlink(dir, LONG), -EISDIR);
    WANT(leat_unlink(a, LONG), 0);
    WANT(leat_rmdir(dir, LONG), 0);
    WANT(leat_stat(NULL, &st, LONG), -EFAULT);
    /* beneath a directory */
    WANT(leat_mkdir(dir, 0700, LONG), 0);
    OK(symlink("..", in_top(b, "dir/up")) == 0);
    {
        int at = leat_open(dir, O_RDONLY | O_DIRECTORY, 0, LONG), below;

        below = leat_open_beneath(at, "new", O_WRONLY | O_CREAT | O_EXCL, 0600, LONG);
        if (below == -ENOSYS) { /* an old kernel, or no kernel at all: qemu-user */
            OK(leat_open_beneath(at, "..", O_RDONLY, 0, LONG) == -ENOSYS);
        } else {
            leat_close(below);
            for (int i = 0; i < 2; i++) {
                WANT(leat_open_beneath(at, "..", O_RDONLY, 0, LONG), -EXDEV);
                WANT(leat_open_beneath(at, "/etc", O_RDONLY, 0, LONG), -EXDEV);
                WANT(leat_open_beneath(at, "up", O_RDONLY, 0, LONG), -EXDEV);
                WANT(leat_open_beneath(at, "none", O_RDONLY, 0, LONG), -ENOENT);
                below = leat_open_beneath(at, "new", O_RDONLY, 0, LONG);
                OK(below >= 0);
                leat_close(below);
            }
            WANT(leat_unlink(in_top(a, "dir/new"), LONG), 0);
        }
        leat_close(at);
    }
    OK(unlink(b) == 0);
    WANT(leat_rmdir(dir, LONG), 0);
    return 0;
}

/* Goal: the calls on paths do what their names say. */
Test(io_files, paths)
{
    kit_run_all(body_paths);
}

#define NAME "a-name-of-a-length-such-that-few-of-them-fit-into-one-buffer-"
#define MANY 300 /* more than one look at a directory gives */

static int body_directory(void *arg)
{
    static unsigned char seen[MANY];
    char dir[128], path[256];
    leat_dirent e;
    leat_dir *d;
    int r, n = 0;

    (void)arg;
    memset(seen, 0, sizeof(seen));
    in_top(dir, "many");
    OK(mkdir(dir, 0700) == 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "%s/" NAME "%d", dir, i);
        OK(symlink("x", path) == 0);
    }
    if (!OK(leat_dir_open(&d, dir, LONG) == 0))
        return 0;
    while ((r = leat_dir_next(d, &e, LONG)) == 1) {
        unsigned i = MANY;

        OK(sscanf(e.name, NAME "%u", &i) == 1 && i < MANY);
        OK(e.type == DT_LNK || e.type == DT_UNKNOWN);
        OK(e.inode != 0);
        if (i < MANY)
            n += !seen[i]++;
    }
    WANT(r, 0);
    WANT(n, MANY);
    WANT(leat_dir_next(d, &e, LONG), 0);
    leat_dir_close(d);
    leat_dir_close(NULL);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "%s/" NAME "%d", dir, i);
        OK(unlink(path) == 0);
    }
    OK(leat_dir_open(&d, dir, LONG) == 0);
    WANT(leat_dir_next(d, &e, LONG), 0);
    leat_dir_close(d);
    OK(rmdir(dir) == 0);
    WANT(leat_dir_open(&d, dir, LONG), -ENOENT);
    OK(d == NULL);
    return 0;
}

/* Goal: each entry of a directory comes once. */
Test(io_files, directory)
{
    kit_run(2, body_directory, NULL);
}

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
Test(io_files, ends)
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
Test(io_files, closed_under_a_call)
{
    setenv("LEAT_FILE_IO", "pool", 1);
    setenv("LEAT_BLOCKING_THREADS", "1", 1);
    kit_run_all(body_closed);
    unsetenv("LEAT_BLOCKING_THREADS");
    unsetenv("LEAT_FILE_IO");
}

static int body_adopted(void *arg)
{
    char path[128], buf[16] = "";
    int fd = filled(in_top(path, "adopted"));
    struct iovec two[2] = {{buf, 2}, {buf + 2, 2}};

    (void)arg;
    WANT(leat_adopt(fd), 0);
    forget(fd, 0, PAGES + 1);
    WANT(leat_read_full(fd, buf, 4, LONG), 4);
    OK(bytes_are((unsigned char *)buf, 4, 0));
    WANT(leat_write_all(fd, "ab", 2, LONG), 2);
    WANT(leat_writev(fd, two, 2, LONG), 4);
    forget(fd, 0, PAGES + 1);
    WANT(leat_readv(fd, two, 2, LONG), 4);
    OK(bytes_are((unsigned char *)buf, 4, 10));
    WANT(leat_pread(fd, buf, 2, 4, LONG), 2);
    OK(memcmp(buf, "ab", 2) == 0);
    /* always ready, whatever the deadline */
    forget(fd, 0, PAGES + 1);
    WANT(leat_read(fd, buf, 1, LEAT_AT_ONCE), 1);
    WANT(leat_write(fd, buf, 1, LEAT_AT_ONCE), 1);
    WANT(leat_close(fd), 0);
    OK(unlink(path) == 0);
    return 0;
}

/* Goal: a file that was handed over works as any other. */
Test(io_files, adopted)
{
    kit_run_all(body_adopted);
}

/* --- errors --- */

/* The runtime may have a file open for a moment, and its number with it. */
static int lowest_free(void)
{
    int least = INT_MAX;

    for (int look = 0; look < 5; look++) {
        int n = dup(0);

        close(n);
        least = n < least ? n : least;
        usleep(2000);
    }
    return least;
}

static int body_full(void *arg)
{
    char path[128], buf[100] = "";
    int fd = leat_open("/dev/full", O_WRONLY, 0, LONG), pipes[2];
    struct rlimit old, small;

    (void)arg;
    if (fd >= 0) {
        WANT(leat_pwrite(fd, "x", 1, 0, LONG), -ENOSPC);
        leat_close(fd);
    }
    OK(pipe(pipes) == 0);
    WANT(leat_pread(pipes[0], buf, 1, 0, LONG), -ESPIPE);
    WANT(leat_fsync(pipes[0], LONG), -EINVAL);
    close(pipes[0]);
    close(pipes[1]);
    fd = leat_open("/tmp", O_RDONLY, 0, LONG);
    WANT(leat_pread(fd, buf, 1, 0, LONG), -EISDIR);
    leat_close(fd);
    /* beyond the limit of a file: what fits, then the error */
    fd = leat_open(in_top(path, "full"), O_RDWR | O_CREAT | O_EXCL, 0600, LONG);
    OK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = old;
    small.rlim_cur = 150;
    OK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    WANT(leat_pwrite(fd, buf, 100, 0, LONG), 100);
    WANT(leat_pwrite(fd, buf, 100, 100, LONG), 50);
    WANT(leat_pwrite(fd, buf, 100, 150, LONG), -EFBIG);
    OK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    leat_close(fd);
    OK(unlink(path) == 0);
    /* no descriptor left */
    OK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    small = old;
    small.rlim_cur = (rlim_t)lowest_free();
    OK(setrlimit(RLIMIT_NOFILE, &small) == 0);
    WANT(leat_open("/tmp", O_RDONLY, 0, LONG), -EMFILE);
    OK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    return 0;
}

/*
 * Goal: a full disk, a limit, a wrong kind of descriptor: the kernel's error, after what could be
 * done.
 */
Test(io_files, errors)
{
    signal(SIGXFSZ, SIG_IGN);
    kit_run_all(body_full);
}

/* Goal: a plain thread makes the calls itself. */
Test(io_files, plain_thread)
{
    char path[128], buf[8];
    struct stat st;
    leat_dirent e;
    leat_dir *d;
    int fd = leat_open(in_top(path, "plain"), O_RDWR | O_CREAT, 0600, LEAT_AT_ONCE);

    cr_assert(ge(int, fd, 0));
    cr_expect(eq(long, leat_pwrite(fd, "12345", 5, 0, LEAT_AT_ONCE), 5));
    cr_expect(eq(long, leat_pread(fd, buf, 8, 1, LEAT_AT_ONCE), 4));
    cr_expect(eq(int, leat_fsync(fd, LEAT_AT_ONCE), 0));
    cr_expect(eq(int, leat_fstat(fd, &st), 0));
    cr_expect(eq(long, st.st_size, 5));
    cr_expect(eq(int, leat_stat(path, &st, LEAT_AT_ONCE), 0));
    cr_assert(eq(int, leat_dir_open(&d, top, LEAT_AT_ONCE), 0));
    cr_expect(eq(int, leat_dir_next(d, &e, LEAT_AT_ONCE), 1));
    cr_expect(eq(str, (char *)(uintptr_t)e.name, "plain"));
    leat_dir_close(d);
    cr_expect(eq(int, leat_close(fd), 0));
    cr_expect(eq(int, leat_unlink(path, LEAT_AT_ONCE), 0));
}

static void all_bodies(void)
{
    kit_run_all(body_reads);
    kit_run_all(body_writes);
    kit_run_all(body_paths);
    kit_run_all(body_adopted);
}

static leat_result reader(int fd, uint64_t seed)
{
    unsigned char buf[3 * PAGE];
    const size_t size = PAGES * PAGE + 10;

    for (int i = 0; i < 40; i++) {
        size_t at = kit_random(&seed) % size, len = kit_random(&seed) % sizeof(buf);
        ssize_t n = leat_pread(fd, buf, len, (off_t)at, LONG);

        WANT(n, len < size - at ? len : size - at);
        OK(n < 0 || bytes_are(buf, (size_t)n, at));
        if (i % 8 == 0) {
            OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
            kit_dawdle(&seed, 50);
        }
    }
    return 0;
}

#define READERS 12

static int body_crowd(void *arg)
{
    char path[128];
    leat_handle *h[READERS];
    int fd = filled(in_top(path, "crowd"));

    (void)arg;
    WANT(leat_fsync(fd, LONG), 0);
    for (int i = 0; i < READERS; i++)
        SPAWN(h[i], reader, fd, (uint64_t)(i + 1) * 7919);
    for (int i = 0; i < READERS; i++)
        WANT(kit_join(h[i]), 0);
    leat_close(fd);
    OK(unlink(path) == 0);
    return 0;
}

static int body_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/*
 * Goal: io_uring and the pool give the same results; who insists on io_uring where there is none is
 * told at the start.
 */
Test(io_files, each_way)
{
    setenv("LEAT_FILE_IO", "pool", 1);
    all_bodies();
    kit_run(2, body_crowd, NULL);
    setenv("LEAT_FILE_IO", "uring", 1);
    if (leat_run(body_nothing, NULL) == 0) {
        all_bodies();
        kit_run(2, body_crowd, NULL);
    }
    unsetenv("LEAT_FILE_IO");
}

#define RING_SETUP 425 /* everywhere */

/* Goal: fault 34, without io_uring the pool does the same, and only who insists gets an error. */
Test(io_files, without_ring)
{
    if (!kit_refuse(RING_SETUP, EPERM))
        cr_skip_test("no seccomp filters here");
    all_bodies();
    setenv("LEAT_FILE_IO", "uring", 1);
    cr_expect(eq(int, leat_run(body_nothing, NULL), -EPERM));
    unsetenv("LEAT_FILE_IO");
}

/* Goal: fault 34, the same results where the kernel cannot be asked not to wait. */
Test(io_files, without_nowait)
{
    if (!kit_refuse(SYS_preadv2, ENOSYS) || !kit_refuse(SYS_pwritev2, EOPNOTSUPP) ||
        !kit_refuse(437, ENOSYS))
        cr_skip_test("no seccomp filters here");
    all_bodies();
}

/* Goal: the same in a file system that has no disk, where the kernel says that it cannot tell. */
Test(io_files, in_memory)
{
    if (access("/dev/shm", W_OK) != 0)
        cr_skip_test("no /dev/shm here");
    cr_assert(eq(int, rmdir(top), 0));
    base = "/dev/shm";
    make_top();
    all_bodies();
}

/* Goal: many at one descriptor, while its pages go out of memory and come back. */
Test(io_files, crowd)
{
    kit_run_all(body_crowd);
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
Test(io_files, memory_is_shared)
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
Test(io_files, given_up_at_any_moment)
{
    kit_run_all(body_given_up);
}
