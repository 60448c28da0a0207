/*
 * The seam, files and directories: there are none.
 */
#include "base/os.h"

#include <errno.h>

#define NONE(result, name, ...)                                                                    \
    result name(__VA_ARGS__)                                                                       \
    {                                                                                              \
        return -ENOSYS;                                                                            \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"

NONE(int, lea_os_openat2, int dir, const char *path, int flags, int mode, int how)
NONE(ssize_t, lea_os_sendfile, int out, int file, int64_t *offset, size_t bytes)
NONE(ssize_t, lea_os_splice, int from, int to, size_t bytes)
NONE(ssize_t, lea_os_pages_in_memory, int fd, int64_t offset, int64_t bytes)
NONE(int, lea_os_stat, const char *path, struct stat *st)
NONE(int, lea_os_ftruncate, int fd, int64_t bytes)
NONE(int, lea_os_truncate, const char *path, int64_t bytes)
NONE(int, lea_os_fallocate, int fd, int mode, int64_t offset, int64_t bytes)
NONE(int, lea_os_rename, const char *from, const char *to)
NONE(int, lea_os_link, const char *from, const char *to)
NONE(int, lea_os_symlink, const char *text, const char *path)
NONE(ssize_t, lea_os_readlink, const char *path, char *buf, size_t size)
NONE(int, lea_os_chmod, const char *path, int mode)
NONE(int, lea_os_mkdir, const char *path, int mode)
NONE(int, lea_os_rmdir, const char *path)
NONE(ssize_t, lea_os_getdents, int fd, void *buf, size_t size)
