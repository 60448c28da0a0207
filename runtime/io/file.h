/*
 * io/file.h - one call on a file for a coroutine. Contract: include/leat/file.h.
 *
 * Files are always ready, says the poller, and yet their calls wait for disks. So a call is tried
 * in a way that fails where it would have to (RWF_NOWAIT, RESOLVE_CACHED), and then made by
 * somebody else. The description of the call and all that it points to stay until that one is done:
 * who waits does so to the end.
 *
 * Calls on a descriptor count as users of its record without holding a direction, so that
 * leat_close() does not give the number away under them.
 */
#ifndef LEA_IO_FILE_H
#define LEA_IO_FILE_H

#include "sched/sched.h"

#include <sys/types.h>
#include <sys/uio.h>

enum lea_file_op {
    LEA_FILE_READ,
    LEA_FILE_WRITE,
    LEA_FILE_OPEN, /* fd: a directory; how: LEA_OS_BENEATH */
    LEA_FILE_SYNC, /* flags: 1 the data only */
    LEA_FILE_FTRUNCATE,
    LEA_FILE_TRUNCATE,
    LEA_FILE_ALLOCATE,
    LEA_FILE_STAT,
    LEA_FILE_LSTAT,
    LEA_FILE_RENAME,
    LEA_FILE_LINK,
    LEA_FILE_SYMLINK,
    LEA_FILE_READLINK,
    LEA_FILE_UNLINK,
    LEA_FILE_CHMOD,
    LEA_FILE_MKDIR,
    LEA_FILE_RMDIR,
    LEA_FILE_GETDENTS,
    LEA_FILE_SEND, /* to the non-blocking descriptor `flags`; -EAGAIN: that would have to wait */
};

/*
 * Constant while it is under way. Which fields count depends on the operation: the arguments of its
 * system call.
 */
struct lea_file_call {
    enum lea_file_op op;
    int fd;
    int flags;
    int mode;
    int how;
    int nr_iov;
    const struct iovec *iov;
    const char *path, *to;
    void *out;
    int64_t offset, bytes;
};

/* The system call itself, repeated when interrupted. Any thread. */
ssize_t lea_file_now(const struct lea_file_call *c);

/*
 * In a bracket that may park: somebody else makes it. Its result, or -ETIMEDOUT, -ECANCELED before
 * it began. *m: the worker afterwards.
 */
ssize_t lea_file_elsewhere(struct lea_worker **m, const struct lea_file_call *c, int64_t until_ns);

/* Any thread, outside a bracket: one that is not tried before, on a path, or on a descriptor. */
ssize_t lea_file_on_path(const struct lea_file_call *c, int64_t until_ns);
ssize_t lea_file_on_fd(const struct lea_file_call *c, int64_t until_ns);

#endif
