/*
 * The seam to the Linux kernel. Everything that has a system call of its own is called directly
 * (see os.h).
 */
#define _GNU_SOURCE
#include "base/os.h"

#include "base/os_call.h"
#include "base/os_tsan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#define PIDFD_SELF_PROCESS (-10001) /* the calling process in place of a pidfd; Linux 6.14 */

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define KERNEL_SIGSET_BYTES 8

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
}

/* --- time --- */

int64_t lea_os_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int lea_os_sleep_until(int64_t until_ns)
{
    struct timespec t;
    int64_t end = until_ns;
    int r;

    do {
#ifdef LEA_OS_TSAN
        end = lea_tsan_slice_end(until_ns);
#endif
        t = timespec_of(end);
        r = (int)SYS(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0, 0, 0);
    } while (r == 0 && end < until_ns);
    return r;
}

int64_t lea_os_thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

/* --- memory --- */

void *lea_os_map(size_t bytes, int prot)
{
    long r = SYS(SYS_mmap, 0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return r < 0 && r > -4096 ? NULL : (void *)r;
}

int lea_os_unmap(void *addr, size_t bytes)
{
    return (int)SYS(SYS_munmap, addr, bytes, 0, 0, 0, 0);
}

int lea_os_madvise(void *addr, size_t bytes, int advice)
{
    return (int)SYS(SYS_madvise, addr, bytes, advice, 0, 0, 0);
}

int lea_os_madvise_many(const struct iovec *ranges, int n, int advice)
{
    size_t bytes = 0;
    long r;

    for (int i = 0; i < n; i++)
        bytes += ranges[i].iov_len;
    r = SYS(SYS_process_madvise, PIDFD_SELF_PROCESS, ranges, n, advice, 0, 0);
    if (r < 0)
        return (int)r;
    return (size_t)r == bytes ? 0 : -EAGAIN;
}

size_t lea_os_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int lea_os_protect(void *addr, size_t bytes, int prot)
{
    return (int)SYS(SYS_mprotect, addr, bytes, prot, 0, 0, 0);
}

/* --- threads --- */

#ifdef LEA_OS_TSAN
static int futex_wait_tsan(lea_u32 *word, uint32_t expect, int64_t until_ns)
{
    int64_t end;
    long r;

    do {
        struct timespec t = timespec_of((end = lea_tsan_slice_end(until_ns)) < 0 ? 0 : end);

        r = SYS(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expect, &t, 0,
                FUTEX_BITSET_MATCH_ANY);
    } while (r == -ETIMEDOUT && end < until_ns);
    return (int)r;
}
#endif

int lea_os_futex_wait(lea_u32 *word, uint32_t expect, int64_t until_ns)
{
#ifdef LEA_OS_TSAN
    return futex_wait_tsan(word, expect, until_ns);
#else
    struct timespec t = timespec_of(until_ns < 0 ? 0 : until_ns);

    return (int)SYS(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expect,
                    until_ns == INT64_MAX ? NULL : &t, 0, FUTEX_BITSET_MATCH_ANY);
#endif
}

int lea_os_futex_wake(lea_u32 *word, int n)
{
    return (int)SYS(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, 0, 0, 0);
}

void lea_os_thread_name(const char *name)
{
    (void)SYS(SYS_prctl, PR_SET_NAME, name, 0, 0, 0, 0);
}

int lea_os_gettid(void)
{
    return (int)SYS(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

int lea_os_getpid(void)
{
    return (int)SYS(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int lea_os_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

void lea_os_thread_yield(void)
{
    (void)SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

int lea_os_affinity_get(void *mask, size_t bytes)
{
    return (int)SYS(SYS_sched_getaffinity, 0, bytes, mask, 0, 0, 0);
}

int lea_os_affinity_set(int tid, const void *mask, size_t bytes)
{
    return (int)SYS(SYS_sched_setaffinity, tid, bytes, mask, 0, 0, 0);
}

int lea_os_nice_set(int tid, int nice)
{
    return (int)SYS(SYS_setpriority, PRIO_PROCESS, tid, nice, 0, 0, 0);
}

/* The kernel's struct sched_attr, first version. */
struct sched_attr_v0 {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void lea_os_timers_precise(void)
{
    (void)SYS(SYS_prctl, PR_SET_TIMERSLACK, 1, 0, 0, 0, 0);
}

void lea_os_slice_set(int tid, int64_t ns)
{
    struct sched_attr_v0 attr = {.size = sizeof(attr)};

    if (SYS(SYS_sched_getattr, tid, &attr, sizeof(attr), 0, 0, 0) < 0)
        return;
    attr.runtime = (uint64_t)ns;
    attr.deadline = attr.period = 0;
    (void)SYS(SYS_sched_setattr, tid, &attr, 0, 0, 0, 0);
}

/* As the kernel and libc agree: the clock of a thread's own CPU time. */
#define THREAD_CPU_CLOCK(tid) ((clockid_t)(~(unsigned)(tid) << 3 | 6u))

int64_t lea_os_thread_cpu_of(int tid)
{
    struct timespec t;
    long r = SYS(SYS_clock_gettime, THREAD_CPU_CLOCK(tid), &t, 0, 0, 0, 0);

    return r < 0 ? r : t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int lea_os_thread_signal(int tid, int signo)
{
    return (int)SYS(SYS_tgkill, lea_os_getpid(), tid, signo, 0, 0, 0);
}

int lea_os_membarrier_register(void)
{
    return (int)SYS(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

int lea_os_membarrier(void)
{
    return (int)SYS(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

int lea_os_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    return -pthread_sigmask(how, set, old);
}

int lea_os_sigaltstack(const stack_t *stack, stack_t *old)
{
    return (int)SYS(SYS_sigaltstack, stack, old, 0, 0, 0, 0);
}

/*
 * Whatever asks libc, and so for the address of errno, is not inlined: a caller that parks would
 * keep that address, and be on another thread.
 */
__attribute__((noinline)) int lea_os_sigaction(int signo, const struct sigaction *action,
                                               struct sigaction *old)
{
    int saved = errno;
    int r = sigaction(signo, action, old) ? -errno : 0; /* libc's: it adds the return trampoline */

    errno = saved;
    return r;
}

void lea_os_sigpipe_take(void)
{
    uint64_t set = UINT64_C(1) << (SIGPIPE - 1);
    struct timespec t = {0, 0};

    (void)SYS(SYS_rt_sigtimedwait, &set, NULL, &t, KERNEL_SIGSET_BYTES, 0, 0);
}

/* --- readiness --- */

int lea_os_epoll_create(void)
{
    return (int)SYS(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
}

int lea_os_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return (int)SYS(SYS_epoll_ctl, epfd, op, fd, event, 0, 0);
}

static int epoll_wait_once(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    /* 1: the kernel has no epoll_pwait2; a fact about the machine, not about a run */
    static lea_u32 no_pwait2;
    int64_t ms;

    if (timeout_ns > 0 && !lea_u32_load_rlx(&no_pwait2)) { /* relaxed: nothing hangs on it */
        struct timespec t = timespec_of(timeout_ns);
        long r = SYS(SYS_epoll_pwait2, epfd, events, max, &t, 0, KERNEL_SIGSET_BYTES);

        if (r != -ENOSYS && r != -EPERM)
            return (int)r;
        lea_u32_store_rlx(&no_pwait2, 1);
    }
    ms = timeout_ns <= 0 ? timeout_ns : timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    if (ms > INT_MAX)
        ms = INT_MAX;
    return (int)SYS(SYS_epoll_pwait, epfd, events, max, ms < 0 ? -1 : ms, 0, KERNEL_SIGSET_BYTES);
}

int lea_os_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
#ifdef LEA_OS_TSAN
    int64_t now = lea_os_now_ns(), end;
    int64_t until = timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
    int r;

    if (timeout_ns == 0)
        return epoll_wait_once(epfd, events, max, 0);
    do {
        end = lea_tsan_slice_end(until);
        now = lea_os_now_ns();
        r = epoll_wait_once(epfd, events, max, end > now ? end - now : 0);
    } while (r == 0 && end < until);
    return r;
#else
    return epoll_wait_once(epfd, events, max, timeout_ns);
#endif
}

int lea_os_eventfd(void)
{
    return (int)SYS(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC, 0, 0, 0, 0);
}

int lea_os_poll_now(int fd, int events)
{
    struct pollfd p = {.fd = fd, .events = (short)events};
    struct timespec t = {0, 0};
    long r = SYS(SYS_ppoll, &p, 1, &t, 0, KERNEL_SIGSET_BYTES, 0);

    if (r < 0)
        return (int)r;
    return p.revents & POLLNVAL ? -EBADF : p.revents;
}

/* --- descriptors --- */

ssize_t lea_os_read(int fd, void *buf, size_t len)
{
    return SYS(SYS_read, fd, buf, len, 0, 0, 0);
}

ssize_t lea_os_write(int fd, const void *buf, size_t len)
{
    return SYS(SYS_write, fd, buf, len, 0, 0, 0);
}

ssize_t lea_os_readv(int fd, const struct iovec *iov, int n)
{
    return SYS(SYS_readv, fd, iov, n, 0, 0, 0);
}

ssize_t lea_os_writev(int fd, const struct iovec *iov, int n)
{
    return SYS(SYS_writev, fd, iov, n, 0, 0, 0);
}

ssize_t lea_os_preadv2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    return SYS(SYS_preadv2, fd, iov, n, offset, 0, flags);
}

ssize_t lea_os_pwritev2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    return SYS(SYS_pwritev2, fd, iov, n, offset, 0, flags);
}

int lea_os_close(int fd)
{
    int r = (int)SYS(SYS_close, fd, 0, 0, 0, 0, 0);

    return r == -EINTR ? 0 : r; /* Linux has closed it all the same */
}

int lea_os_fcntl(int fd, int cmd, long arg)
{
    return (int)SYS(SYS_fcntl, fd, cmd, arg, 0, 0, 0);
}

__attribute__((noinline)) int lea_os_fstat(int fd, struct stat *st)
{
    int saved = errno;
    int r = fstat(fd, st) ? -errno : 0; /* libc's: its struct stat may differ from the kernel's */

    errno = saved;
    return r;
}

__attribute__((noinline)) int lea_os_lstat(const char *path, struct stat *st)
{
    int saved = errno;
    int r = lstat(path, st) ? -errno : 0;

    errno = saved;
    return r;
}

int lea_os_pipe2(int fds[2], int flags)
{
    return (int)SYS(SYS_pipe2, fds, flags, 0, 0, 0, 0);
}

int lea_os_open(const char *path, int flags, int mode)
{
    return (int)SYS(SYS_openat, AT_FDCWD, path, flags, mode, 0, 0);
}

int lea_os_unlink(const char *path)
{
    return (int)SYS(SYS_unlinkat, AT_FDCWD, path, 0, 0, 0, 0);
}

ssize_t lea_os_read_file(const char *path, char *buf, size_t size)
{
    int fd = lea_os_open(path, O_RDONLY | O_CLOEXEC, 0);
    size_t used = 0;
    ssize_t n = 0;

    if (fd < 0)
        return fd;
    while (used + 1 < size) {
        n = lea_os_read(fd, buf + used, size - 1 - used);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    lea_os_close(fd);
    buf[used] = '\0';
    return n < 0 ? n : (ssize_t)used;
}

/* --- sockets --- */

int lea_os_socket(int domain, int type, int protocol)
{
    return (int)SYS(SYS_socket, domain, type, protocol, 0, 0, 0);
}

int lea_os_socketpair(int domain, int type, int protocol, int fds[2])
{
    return (int)SYS(SYS_socketpair, domain, type, protocol, fds, 0, 0);
}

int lea_os_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)SYS(SYS_bind, fd, addr, len, 0, 0, 0);
}

int lea_os_listen(int fd, int backlog)
{
    return (int)SYS(SYS_listen, fd, backlog, 0, 0, 0, 0);
}

int lea_os_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    return (int)SYS(SYS_accept4, fd, addr, len, flags, 0, 0);
}

int lea_os_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)SYS(SYS_connect, fd, addr, len, 0, 0, 0);
}

int lea_os_shutdown(int fd, int how)
{
    return (int)SYS(SYS_shutdown, fd, how, 0, 0, 0, 0);
}

int lea_os_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return (int)SYS(SYS_getsockopt, fd, level, name, value, len, 0);
}

int lea_os_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return (int)SYS(SYS_setsockopt, fd, level, name, value, len, 0);
}

int lea_os_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    return (int)SYS(SYS_getsockname, fd, addr, len, 0, 0, 0);
}

ssize_t lea_os_recv(int fd, void *buf, size_t len, int flags)
{
    return SYS(SYS_recvfrom, fd, buf, len, flags, 0, 0);
}

ssize_t lea_os_send(int fd, const void *buf, size_t len, int flags)
{
    return SYS(SYS_sendto, fd, buf, len, flags, 0, 0);
}

ssize_t lea_os_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return SYS(SYS_recvmsg, fd, msg, flags, 0, 0, 0);
}

ssize_t lea_os_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return SYS(SYS_sendmsg, fd, msg, flags, 0, 0, 0);
}

/* --- chance --- */

uint64_t lea_os_random(void)
{
    uint64_t r = 0;

    if (SYS(SYS_getrandom, &r, sizeof(r), 0, 0, 0, 0) != (long)sizeof(r))
        r = (uint64_t)lea_os_now_ns() * UINT64_C(0x9e3779b97f4a7c15);
    return r;
}

void lea_os_exit(int status)
{
    for (;;)
        (void)SYS(SYS_exit_group, status, 0, 0, 0, 0, 0);
}
