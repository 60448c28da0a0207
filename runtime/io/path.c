/*
 * Calls on paths. Opening a file and asking about one are tried in memory first. See file.h.
 */
#define _GNU_SOURCE /* O_PATH, O_TMPFILE */
#include "io/file.h"

#include "base/os.h"

#include <fcntl.h>
#include <leat/file.h>
#include <sys/stat.h>

/* What the kernel does not do from memory alone. */
#define MAKES (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

static int open_in_memory(const struct lea_file_call *c, int flags)
{
    return lea_os_openat2(c->fd, c->path, flags, 0, LEA_OS_IN_MEMORY | c->how);
}

/*
 * What the path leads to, if that is in memory: a result, or -EAGAIN: it is not, or another error.
 */
static ssize_t look_in_memory(const struct lea_file_call *c, int nofollow, struct stat *st)
{
    int fd = open_in_memory(c, O_PATH | O_CLOEXEC | nofollow);
    ssize_t r;

    if (fd < 0)
        return fd == -ENOENT ? fd : -EAGAIN;
    r = lea_os_fstat(fd, st);
    (void)lea_os_close(fd);
    return r;
}

static ssize_t stat_memory(const struct lea_file_call *c)
{
    return look_in_memory(c, c->op == LEA_FILE_LSTAT ? O_NOFOLLOW : 0, c->out);
}

/*
 * Opening a file or a directory. A fifo waits for its other end, some devices for something else,
 * and none may be opened only to look what it is.
 */
static ssize_t open_memory(const struct lea_file_call *c)
{
    struct stat st;
    ssize_t r = c->flags & MAKES ? -EAGAIN : look_in_memory(c, c->flags & O_NOFOLLOW, &st);

    if (r < 0)
        return r;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return -EAGAIN;
    r = open_in_memory(c, c->flags);
    return r >= 0 || r == -ENOENT ? r : -EAGAIN;
}

/* As lea_file_on_path(), tried in memory before. */
static ssize_t memory_first(ssize_t (*try_call)(const struct lea_file_call *c),
                            const struct lea_file_call *c, int64_t until_ns)
{
    struct lea_worker *m;
    ssize_t r = -ECANCELED;

    if (!c->path) /* libc must not be asked about it */
        return -EFAULT;
    m = lea_enter_park();
    if (!m)
        return lea_file_now(c);
    if (!lea_co_cancelled(m->co)) {
        lea_syscall_begin(m);
        r = try_call(c);
        lea_syscall_end(m);
        if (r == -EAGAIN)
            r = lea_file_elsewhere(&m, c, until_ns);
    }
    lea_leave(m);
    return r;
}

int leat_open(const char *path, int flags, mode_t mode, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_OPEN,
                              .fd = LEA_OS_CWD,
                              .path = path,
                              .flags = flags | O_CLOEXEC,
                              .mode = (int)mode};

    return (int)memory_first(open_memory, &c, until.ns);
}

int leat_open_beneath(int dir, const char *path, int flags, mode_t mode, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_OPEN,
                              .fd = dir,
                              .path = path,
                              .flags = flags | O_CLOEXEC,
                              .mode = (int)mode,
                              .how = LEA_OS_BENEATH};

    return (int)memory_first(open_memory, &c, until.ns);
}

int leat_stat(const char *path, struct stat *out, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_STAT, .fd = LEA_OS_CWD, .path = path, .out = out};

    return (int)memory_first(stat_memory, &c, until.ns);
}

int leat_lstat(const char *path, struct stat *out, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_LSTAT, .fd = LEA_OS_CWD, .path = path, .out = out};

    return (int)memory_first(stat_memory, &c, until.ns);
}

int leat_truncate(const char *path, off_t bytes, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_TRUNCATE, .path = path, .bytes = bytes};

    return (int)lea_file_on_path(&c, until.ns);
}

static int two_paths(enum lea_file_op op, const char *from, const char *to, leat_deadline until)
{
    struct lea_file_call c = {.op = op, .path = from, .to = to};

    return (int)lea_file_on_path(&c, until.ns);
}

int leat_rename(const char *from, const char *to, leat_deadline until)
{
    return two_paths(LEA_FILE_RENAME, from, to, until);
}

int leat_link(const char *from, const char *to, leat_deadline until)
{
    return two_paths(LEA_FILE_LINK, from, to, until);
}

int leat_symlink(const char *text, const char *path, leat_deadline until)
{
    return two_paths(LEA_FILE_SYMLINK, text, path, until);
}

ssize_t leat_readlink(const char *path, char *buf, size_t size, leat_deadline until)
{
    struct lea_file_call c = {
        .op = LEA_FILE_READLINK, .path = path, .out = buf, .bytes = (int64_t)size};

    return lea_file_on_path(&c, until.ns);
}

static int one_path(enum lea_file_op op, const char *path, mode_t mode, leat_deadline until)
{
    struct lea_file_call c = {.op = op, .path = path, .mode = (int)mode};

    return (int)lea_file_on_path(&c, until.ns);
}

int leat_unlink(const char *path, leat_deadline until)
{
    return one_path(LEA_FILE_UNLINK, path, 0, until);
}

int leat_chmod(const char *path, mode_t mode, leat_deadline until)
{
    return one_path(LEA_FILE_CHMOD, path, mode, until);
}

int leat_mkdir(const char *path, mode_t mode, leat_deadline until)
{
    return one_path(LEA_FILE_MKDIR, path, mode, until);
}

int leat_rmdir(const char *path, leat_deadline until)
{
    return one_path(LEA_FILE_RMDIR, path, 0, until);
}
