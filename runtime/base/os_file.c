/*
 * The seam to the Linux kernel, for files and directories. See os.h.
 */
#define _GNU_SOURCE
#include "base/os.h"

#include "base/os_call.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_BENEATH 0x08
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */

_Static_assert(LEA_OS_CWD == AT_FDCWD, "");

/* The kernel's struct open_how. */
struct open_how {
    uint64_t flags, mode, resolve;
};

/* The kernel's structs cachestat_range and cachestat. */
struct cachestat_range {
    uint64_t offset, bytes;
};
struct cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

int lea_os_openat2(int dir, const char *path, int flags, int mode, int how)
{
    struct open_how h = {
        .flags = (uint64_t)flags,
        .mode = (uint64_t)mode,
        .resolve = (how & LEA_OS_IN_MEMORY ? RESOLVE_CACHED : 0u) |
                   (how & LEA_OS_BENEATH ? RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS : 0u),
    };

    return (int)SYS(SYS_openat2, dir, path, &h, sizeof(h), 0, 0);
}

ssize_t lea_os_sendfile(int out, int file, int64_t *offset, size_t bytes)
{
    return SYS(SYS_sendfile, out, file, offset, bytes, 0, 0);
}

ssize_t lea_os_splice(int from, int to, size_t bytes)
{
    return SYS(SYS_splice, from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

ssize_t lea_os_pages_in_memory(int fd, int64_t offset, int64_t bytes)
{
    struct cachestat_range range = {(uint64_t)offset, (uint64_t)bytes};
    struct cachestat found;
    long r = SYS(SYS_cachestat, fd, &range, &found, 0, 0, 0);

    return r < 0 ? r : (ssize_t)found.cached;
}

ssize_t lea_os_preadv(int fd, const struct iovec *iov, int n, int64_t offset)
{
    return SYS(SYS_preadv, fd, iov, n, offset, 0, 0);
}

ssize_t lea_os_pwritev(int fd, const struct iovec *iov, int n, int64_t offset)
{
    return SYS(SYS_pwritev, fd, iov, n, offset, 0, 0);
}

/* libc's: its struct stat may differ from the kernel's */
__attribute__((noinline)) int lea_os_stat(const char *path, struct stat *st)
{
    int saved = errno;
    int r = stat(path, st) ? -errno : 0;

    errno = saved;
    return r;
}

int lea_os_sync(int fd, bool data_only)
{
    return (int)SYS(data_only ? SYS_fdatasync : SYS_fsync, fd, 0, 0, 0, 0, 0);
}

int lea_os_ftruncate(int fd, int64_t bytes)
{
    return (int)SYS(SYS_ftruncate, fd, bytes, 0, 0, 0, 0);
}

int lea_os_truncate(const char *path, int64_t bytes)
{
    return (int)SYS(SYS_truncate, path, bytes, 0, 0, 0, 0);
}

int lea_os_fallocate(int fd, int mode, int64_t offset, int64_t bytes)
{
    return (int)SYS(SYS_fallocate, fd, mode, offset, bytes, 0, 0);
}

int lea_os_rename(const char *from, const char *to)
{
    return (int)SYS(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0, 0);
}

int lea_os_link(const char *from, const char *to)
{
    return (int)SYS(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0, 0);
}

int lea_os_symlink(const char *text, const char *path)
{
    return (int)SYS(SYS_symlinkat, text, AT_FDCWD, path, 0, 0, 0);
}

ssize_t lea_os_readlink(const char *path, char *buf, size_t size)
{
    return SYS(SYS_readlinkat, AT_FDCWD, path, buf, size, 0, 0);
}

int lea_os_chmod(const char *path, int mode)
{
    return (int)SYS(SYS_fchmodat, AT_FDCWD, path, mode, 0, 0, 0);
}

int lea_os_mkdir(const char *path, int mode)
{
    return (int)SYS(SYS_mkdirat, AT_FDCWD, path, mode, 0, 0, 0);
}

int lea_os_rmdir(const char *path)
{
    return (int)SYS(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR, 0, 0, 0);
}

ssize_t lea_os_getdents(int fd, void *buf, size_t size)
{
    return SYS(SYS_getdents64, fd, buf, size, 0, 0, 0);
}
