/*
 * Files and directories: what the calls do, whichever way the kernel lets them go.
 */
#define _GNU_SOURCE
#include "io/files.h"

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

TestSuite(io_files, .timeout = 60, .init = make_top, .fini = take_top);

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
