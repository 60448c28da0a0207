/*
 * Calls on files: who makes them, and reading and writing. See file.h.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "io/file.h"

#include "base/os.h"
#include "io/file_ring.h"
#include "io/sendfile.h"
#include "io/wait.h"

#include <fcntl.h>
#include <leat/file.h>

#define PIECES_MAX 1024

/* Calls that are done at once before others have a turn; a large one counts as several. */
#define TURNS 8
#define BYTES_PER_TURN 16384

/* --- who makes a call --- */

static ssize_t now_once(const struct lea_file_call *c)
{
    switch (c->op) {
    case LEA_FILE_READ:
        return lea_os_preadv(c->fd, c->iov, c->nr_iov, c->offset);
    case LEA_FILE_WRITE:
        return lea_os_pwritev(c->fd, c->iov, c->nr_iov, c->offset);
    case LEA_FILE_OPEN:
        return c->how ? lea_os_openat2(c->fd, c->path, c->flags, c->mode, c->how)
                      : lea_os_open(c->path, c->flags, c->mode);
    case LEA_FILE_SYNC:
        return lea_os_sync(c->fd, c->flags != 0);
    case LEA_FILE_FTRUNCATE:
        return lea_os_ftruncate(c->fd, c->bytes);
    case LEA_FILE_TRUNCATE:
        return lea_os_truncate(c->path, c->bytes);
    case LEA_FILE_ALLOCATE:
        return lea_os_fallocate(c->fd, c->mode, c->offset, c->bytes);
    case LEA_FILE_STAT:
        return lea_os_stat(c->path, c->out);
    case LEA_FILE_LSTAT:
        return lea_os_lstat(c->path, c->out);
    case LEA_FILE_RENAME:
        return lea_os_rename(c->path, c->to);
    case LEA_FILE_LINK:
        return lea_os_link(c->path, c->to);
    case LEA_FILE_SYMLINK:
        return lea_os_symlink(c->path, c->to);
    case LEA_FILE_READLINK:
        return lea_os_readlink(c->path, c->out, (size_t)c->bytes);
    case LEA_FILE_UNLINK:
        return lea_os_unlink(c->path);
    case LEA_FILE_CHMOD:
        return lea_os_chmod(c->path, c->mode);
    case LEA_FILE_MKDIR:
        return lea_os_mkdir(c->path, c->mode);
    case LEA_FILE_RMDIR:
        return lea_os_rmdir(c->path);
    case LEA_FILE_GETDENTS:
        return lea_os_getdents(c->fd, c->out, (size_t)c->bytes);
    case LEA_FILE_SEND:
        return lea_send_once(c->flags, c->fd, c->offset, (size_t)c->bytes);
    }
    return -ENOSYS;
}

ssize_t lea_file_now(const struct lea_file_call *c)
{
    ssize_t r;

    do
        r = now_once(c);
    while (r == -EINTR);
    return r;
}

static size_t bytes_of(const struct iovec *iov, int n)
{
    size_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum;
}

/*
 * Behind the first `done` bytes of the pieces: is it the end of the file, rather than bytes that
 * are not in memory?
 */
static bool ends_there(const struct lea_file_call *c, size_t done)
{
    const struct iovec *iov = c->iov;
    size_t skip = done;
    struct iovec rest;

    while (skip >= iov->iov_len)
        skip -= iov++->iov_len;
    rest.iov_base = (char *)iov->iov_base + skip;
    rest.iov_len = iov->iov_len - skip;
    return lea_os_preadv2(c->fd, &rest, 1, c->offset + (int64_t)done, RWF_NOWAIT) == 0;
}

/* A read that came back short: is that all there is? */
static bool is_whole(struct lea_worker *m, const struct lea_file_call *c, ssize_t r)
{
    bool whole;

    if (c->op != LEA_FILE_READ || r <= 0 || (size_t)r == bytes_of(c->iov, c->nr_iov))
        return true;
    lea_syscall_begin(m);
    whole = ends_there(c, (size_t)r);
    lea_syscall_end(m);
    return whole;
}

static leat_result job(void *call)
{
    return lea_file_now(call);
}

ssize_t lea_file_elsewhere(struct lea_worker **m, const struct lea_file_call *c, int64_t until_ns)
{
    leat_result result = 0;
    int r;

    if (lea_file_by_ring(m, c, until_ns, &result) && is_whole(*m, c, result))
        return result;
    r = lea_blocking_run(m, job, (void *)(uintptr_t)c, &result, until_ns);
    if (LEA_LIKELY(r == 0))
        return result;
    if (r != -EAGAIN)
        return r;
    /* not one thread can be had: as a call that nobody has announced */
    lea_syscall_begin(*m);
    result = lea_file_now(c);
    lea_syscall_end(*m);
    return result;
}

ssize_t lea_file_on_path(const struct lea_file_call *c, int64_t until_ns)
{
    struct lea_worker *m = lea_enter_park();
    ssize_t r;

    if (!m)
        return lea_file_now(c);
    r = lea_co_cancelled(m->co) ? -ECANCELED : lea_file_elsewhere(&m, c, until_ns);
    lea_leave(m);
    return r;
}

ssize_t lea_file_on_fd(const struct lea_file_call *c, int64_t until_ns)
{
    struct lea_io io;
    ssize_t r = lea_io_begin(&io, c->fd, LEA_FD_USE_POLL);

    if (r == -EPERM) /* a plain thread */
        return lea_file_now(c);
    if (r < 0)
        return r;
    r = lea_file_elsewhere(&io.m, c, until_ns);
    lea_io_end(&io);
    return r;
}

/* --- reading and writing --- */

/* A try that must not wait says so, or that it does not know how. */
static bool is_for_elsewhere(ssize_t r)
{
    return r == -EAGAIN || r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS || r == -EPERM ||
           r == -EINTR;
}

/*
 * Who reads from memory all the time never waits, and a hundred of them would hold up a sleeper for
 * a hundred slices. So after some tens of microseconds the others have a turn, which costs some
 * tens of nanoseconds.
 */
static void give_way(struct lea_io *io, size_t bytes)
{
    io->m->at_once += 1 + (uint32_t)(bytes / BYTES_PER_TURN);
    if (io->m->at_once < TURNS)
        return;
    io->m->at_once = 0;
    io->m = lea_yield(io->m);
}

/* -EAGAIN and the like: *some bytes are there, the rest is to be read elsewhere. */
static ssize_t read_memory(const struct lea_file_call *c, size_t *some)
{
    ssize_t r = lea_os_preadv2(c->fd, c->iov, c->nr_iov, c->offset, RWF_NOWAIT);

    *some = 0;
    if (r <= 0 || (size_t)r == bytes_of(c->iov, c->nr_iov) || ends_there(c, (size_t)r))
        return r;
    *some = (size_t)r;
    return -EAGAIN;
}

static ssize_t read_all(const struct lea_file_call *c, int64_t until_ns)
{
    struct lea_io io;
    size_t some;
    ssize_t r = lea_io_begin(&io, c->fd, LEA_FD_USE_POLL);

    if (r == -EPERM) /* a plain thread */
        return lea_file_now(c);
    if (r < 0)
        return r;
    lea_syscall_begin(io.m);
    r = read_memory(c, &some);
    lea_syscall_end(io.m);
    if (LEA_LIKELY(!is_for_elsewhere(r))) {
        give_way(&io, r > 0 ? (size_t)r : 0);
    } else {
        r = lea_file_elsewhere(&io.m, c, until_ns);
        if (r < 0 && some > 0)
            r = (ssize_t)some;
    }
    lea_io_end(&io);
    return r;
}

/* What a try in memory has left of one piece. It may take several calls (a signal, a limit). */
static ssize_t write_rest(struct lea_io *io, struct lea_file_call *c, size_t done, size_t len,
                          int64_t until_ns)
{
    struct iovec rest = {(char *)c->iov->iov_base + done, len - done};
    ssize_t r;

    c->iov = &rest;
    c->offset += (int64_t)done;
    do {
        r = io ? lea_file_elsewhere(&io->m, c, until_ns) : lea_file_now(c);
        if (r <= 0)
            break;
        done += (size_t)r;
        c->offset += r;
        rest.iov_base = (char *)rest.iov_base + r;
        rest.iov_len -= (size_t)r;
    } while (done < len);
    return done > 0 ? (ssize_t)done : r;
}

static ssize_t write_all(struct lea_file_call *c, int64_t until_ns)
{
    size_t len = c->iov->iov_len;
    struct lea_io io;
    ssize_t r = lea_io_begin(&io, c->fd, LEA_FD_USE_POLL);

    if (r == -EPERM) /* a plain thread */
        return c->nr_iov == 1 ? write_rest(NULL, c, 0, len, until_ns) : lea_file_now(c);
    if (r < 0)
        return r;
    lea_syscall_begin(io.m);
    r = lea_os_pwritev2(c->fd, c->iov, c->nr_iov, c->offset, RWF_NOWAIT);
    lea_syscall_end(io.m);
    if (c->nr_iov > 1 && is_for_elsewhere(r))
        r = lea_file_elsewhere(&io.m, c, until_ns);
    else if (c->nr_iov == 1 && (is_for_elsewhere(r) || (r >= 0 && (size_t)r < len)))
        r = write_rest(&io, c, r > 0 ? (size_t)r : 0, len, until_ns);
    lea_io_end(&io);
    return r;
}

static ssize_t vector(enum lea_file_op op, int fd, const struct iovec *iov, int nr_iov,
                      off_t offset, leat_deadline until)
{
    struct lea_file_call c = {.op = op, .fd = fd, .iov = iov, .nr_iov = nr_iov, .offset = offset};

    /* for the kernel -1 is the position of the file */
    if (nr_iov < 1 || nr_iov > PIECES_MAX || offset < 0)
        return -EINVAL;
    return op == LEA_FILE_READ ? read_all(&c, until.ns) : write_all(&c, until.ns);
}

ssize_t leat_pread(int fd, void *buf, size_t len, off_t offset, leat_deadline until)
{
    struct iovec one = {buf, len};

    return vector(LEA_FILE_READ, fd, &one, 1, offset, until);
}

ssize_t leat_preadv(int fd, const struct iovec *iov, int nr_iov, off_t offset, leat_deadline until)
{
    return vector(LEA_FILE_READ, fd, iov, nr_iov, offset, until);
}

ssize_t leat_pwrite(int fd, const void *buf, size_t len, off_t offset, leat_deadline until)
{
    struct iovec one = {(void *)(uintptr_t)buf, len};

    return vector(LEA_FILE_WRITE, fd, &one, 1, offset, until);
}

ssize_t leat_pwritev(int fd, const struct iovec *iov, int nr_iov, off_t offset, leat_deadline until)
{
    return vector(LEA_FILE_WRITE, fd, iov, nr_iov, offset, until);
}

static int sync_call(int fd, int data_only, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_SYNC, .fd = fd, .flags = data_only};

    return (int)lea_file_on_fd(&c, until.ns);
}

int leat_fsync(int fd, leat_deadline until)
{
    return sync_call(fd, 0, until);
}

int leat_fdatasync(int fd, leat_deadline until)
{
    return sync_call(fd, 1, until);
}

int leat_ftruncate(int fd, off_t bytes, leat_deadline until)
{
    struct lea_file_call c = {.op = LEA_FILE_FTRUNCATE, .fd = fd, .bytes = bytes};

    return (int)lea_file_on_fd(&c, until.ns);
}

int leat_fallocate(int fd, int mode, off_t offset, off_t bytes, leat_deadline until)
{
    struct lea_file_call c = {
        .op = LEA_FILE_ALLOCATE, .fd = fd, .mode = mode, .offset = offset, .bytes = bytes};

    return (int)lea_file_on_fd(&c, until.ns);
}

int leat_fstat(int fd, struct stat *out)
{
    struct lea_worker *m = lea_enter();
    int r;

    if (!m)
        return lea_os_fstat(fd, out);
    lea_syscall_begin(m);
    r = lea_os_fstat(fd, out);
    lea_syscall_end(m);
    lea_leave(m);
    return r;
}
