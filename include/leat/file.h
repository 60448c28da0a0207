/*
 * leat/file.h - files and directories for a coroutine.
 *
 * What is in memory already is done at once: a read of cached bytes, opening or asking about a file
 * whose path is cached. The rest, which may have to wait for a disk, is left to io_uring, or to a
 * thread of the pool of leat_blocking() (LEAT_FILE_IO, LEAT_BLOCKING_THREADS), while the coroutine
 * waits.
 *
 * A descriptor from leat_open() is a plain one: it belongs to no run, nobody closes it for you.
 * leat_close() closes it as any other, and gives its number back when the last call on it has
 * returned; close(2) does too, without that care. Any number of coroutines may use one at the same
 * time. leat_read(), leat_write() and their kin (leat/io.h) work on it at the position that belongs
 * to the open file, one reader and one writer at a time.
 *
 * Unless a comment says otherwise:
 * @until:  ends the wait for a free thread, and asks the kernel to give up what it has not begun.
 *          What has begun is waited for to its end, as it uses the caller's memory; cancellation
 *          likewise, and leat_close() does not end it either. Its result is then reported as if
 *          nothing had been. When for a second not even one thread can be had (LEAT_MAX_THREADS, or
 *          the system refuses), the call is made in place.
 * Context: a coroutine. May park, and may come back on another thread. A plain thread makes the
 * system call itself, whatever the deadline.
 * Returns: besides what is named, -ETIMEDOUT @until passed, -ECANCELED the coroutine was cancelled,
 *          before it began: nothing has been done; -EBADF not an open descriptor; else the kernel's
 *          error, negated. EINTR never.
 */
#ifndef LEAT_FILE_H
#define LEAT_FILE_H

#include <leat/base.h>
#include <leat/time.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

LEAT_BEGIN_DECLS

/**
 * leat_open - open(2), close-on-exec
 * @flags: O_RDONLY, O_CREAT and so on (<fcntl.h>)
 * @mode:  of a file that is made
 *
 * A fifo without its other end holds up a thread until that comes, and is not cancelled: O_NONBLOCK
 * opens it at once.
 * Returns: a descriptor.
 */
LEAT_API int leat_open(const char *path, int flags, mode_t mode,
                       leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_open_beneath - the same with a path that begins at a directory, and leads to what lies below
 * it only
 * @dir: a directory's descriptor
 *
 * For paths that come from others: no "..", no absolute path and no symbolic link leads out. Linux
 * 5.6 and later.
 * Returns: a descriptor; -EXDEV it would lead out; -ENOSYS an older kernel.
 */
LEAT_API int leat_open_beneath(int dir, const char *path, int flags, mode_t mode,
                               leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_pread - read @len bytes at @offset, which no position knows of
 *
 * Returns: @len; less where the file ends (0: at or behind its end), or when something went wrong
 *          after so many, which the next call tells; -ESPIPE it has no offsets; -EISDIR; -EINVAL a
 *          negative @offset.
 */
LEAT_API ssize_t leat_pread(int fd, void *buf, size_t len, off_t offset,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_preadv - as leat_pread(), into @nr_iov (1..1024) pieces. */
LEAT_API ssize_t leat_preadv(int fd, const struct iovec *iov, int nr_iov, off_t offset,
                             leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_pwrite - write @len bytes at @offset. Returns: @len; less when something went wrong after so
 * many (a full disk), which the next call tells.
 */
LEAT_API ssize_t leat_pwrite(int fd, const void *buf, size_t len, off_t offset,
                             leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_pwritev - as leat_pwrite(), from @nr_iov (1..1024) pieces. Returns: bytes written, maybe
 * fewer.
 */
LEAT_API ssize_t leat_pwritev(int fd, const struct iovec *iov, int nr_iov, off_t offset,
                              leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_sendfile - send a part of a file to a socket or a pipe, without a copy of it in the program
 * @to:     non-blocking: one of leat's, or adopted. The call counts as a write to it (leat/io.h)
 * @file:   a regular file
 * @offset: where the part begins; the position of the file stays
 * @until:  for all of it, also while @to takes nothing
 *
 * Returns: @len; less where the file ends, or when the deadline, a cancellation or an error came
 *          after so many bytes: the next call tells which; -EPIPE nobody reads (never a signal);
 *          -EINVAL @to is blocking, or the file cannot be sent so; -EBUSY another coroutine writes
 *          to
 *          @to; -ECANCELED also when @to was closed by leat_close(); -EPERM on a plain thread.
 */
LEAT_API ssize_t leat_sendfile(int to, int file, off_t offset, size_t len,
                               leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_fsync - wait until all of a file is on the disk. Returns: 0; -EIO and the like, and then it
 * is not known what is.
 */
LEAT_API int leat_fsync(int fd, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_fdatasync - the same without what only describes the file, its times say. */
LEAT_API int leat_fdatasync(int fd, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_ftruncate - make a file so long: cut, or filled up with zeroes. Returns: 0. */
LEAT_API int leat_ftruncate(int fd, off_t bytes, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_truncate - the same by its path. */
LEAT_API int leat_truncate(const char *path, off_t bytes,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_fallocate - fallocate(2): take room on the disk, or give some back, as @mode says. Returns:
 * 0; -EOPNOTSUPP the file system cannot.
 */
LEAT_API int leat_fallocate(int fd, int mode, off_t offset, off_t bytes,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_fstat - what a descriptor is. At once, always: no deadline. Anywhere; never parks. Returns:
 * 0.
 */
LEAT_API int leat_fstat(int fd, struct stat *out) LEAT_MUST_CHECK;

/** leat_stat - what a path leads to. Returns: 0. */
LEAT_API int leat_stat(const char *path, struct stat *out,
                       leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_lstat - the same of a symbolic link itself, if the path ends with one. */
LEAT_API int leat_lstat(const char *path, struct stat *out,
                        leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_rename - give a file or directory another path; what was there is replaced in one step.
 * Returns: 0.
 */
LEAT_API int leat_rename(const char *from, const char *to,
                         leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_link - a second path for a file. Returns: 0; -EEXIST there is something at @to. */
LEAT_API int leat_link(const char *from, const char *to,
                       leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_symlink - make a symbolic link with this text at @path. Returns: 0. */
LEAT_API int leat_symlink(const char *text, const char *path,
                          leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_readlink - the text of a symbolic link, without a NUL. Returns: its bytes, @size if there
 * are more.
 */
LEAT_API ssize_t leat_readlink(const char *path, char *buf, size_t size,
                               leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_unlink - take a path away; the file goes with its last path and descriptor. Returns: 0. */
LEAT_API int leat_unlink(const char *path, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_chmod - change who may do what with a file. Returns: 0. */
LEAT_API int leat_chmod(const char *path, mode_t mode,
                        leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_mkdir - make a directory. Returns: 0. */
LEAT_API int leat_mkdir(const char *path, mode_t mode,
                        leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_rmdir - take an empty directory away. Returns: 0; -ENOTEMPTY. */
LEAT_API int leat_rmdir(const char *path, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/* An open directory. One coroutine at a time uses it. */
typedef struct leat_dir leat_dir;

typedef struct leat_dirent {
    const char *name; /* stays until the next call with this directory */
    uint64_t inode;
    /*
     * DT_REG, DT_DIR and so on (<dirent.h>); DT_UNKNOWN where the file system does not say:
     * leat_lstat() does
     */
    int type;
} leat_dirent;

/**
 * leat_dir_open - begin to read a directory. Returns: 0, and then leat_dir_close() is due;
 * -ENOTDIR; -ENOMEM.
 */
LEAT_API int leat_dir_open(leat_dir **out, const char *path,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_dir_next - the next entry, in no particular order; "." and ".." are left out
 *
 * Returns: 1 @out has been filled; 0 there is no other one.
 */
LEAT_API int leat_dir_next(leat_dir *dir, leat_dirent *out,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_dir_close - the end of it. Anywhere; never parks. NULL is nothing to do. */
LEAT_API void leat_dir_close(leat_dir *dir);

LEAT_END_DECLS

#endif
