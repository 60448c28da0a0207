/*
 * The seam to the kernel: every system call of L0–L4. Results are 0/positive or a negative errno;
 * errno is never touched.
 *
 * The calls go to the kernel directly and not through libc: no cancellation points, nothing that a
 * library which wears libc's names could get in between. EINTR comes back as such unless a comment
 * says otherwise.
 */
#ifndef LEA_BASE_OS_H
#define LEA_BASE_OS_H

#include "base/atomic.h"
#include "base/os_ring.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stat;

/* --- time --- */
int64_t lea_os_now_ns(void);              /* CLOCK_MONOTONIC */
int lea_os_sleep_until(int64_t until_ns); /* 0, or -EINTR */
int64_t lea_os_thread_cpu_ns(void);       /* of the calling thread */

/* --- memory --- */
/* private, anonymous, no reservation; NULL when refused */
void *lea_os_map(size_t bytes, int prot);
int lea_os_unmap(void *addr, size_t bytes);
int lea_os_madvise(void *addr, size_t bytes, int advice);
/*
 * The same advice on many ranges in one call. 0, or a negative errno: some were not reached, the
 * caller goes through them one by one.
 */
int lea_os_madvise_many(const struct iovec *ranges, int n, int advice);
size_t lea_os_page_bytes(void);
int lea_os_protect(void *addr, size_t bytes, int prot);

/* --- threads --- */
/*
 * Sleeps while *word == expect, until woken, until_ns (INT64_MAX: for ever) or a signal. 0,
 * -EAGAIN, -ETIMEDOUT, -EINTR.
 */
int lea_os_futex_wait(lea_u32 *word, uint32_t expect, int64_t until_ns);
int lea_os_futex_wake(lea_u32 *word, int n);
/*
 * @cpu: where it runs from its first instruction on; -1, or if it may not: where the caller may
 * run. One that is told to move by itself may have waited for milliseconds until it could, behind
 * whoever started it.
 */
int lea_os_thread_start(pthread_t *out, void *(*fn)(void *), void *arg, size_t stack_bytes,
                        int cpu);
/*
 * Calls fn(arg); when the thread ends in there, by pthread_exit() or by a cancellation, died(arg)
 * is called on the thread's own stack.
 */
void lea_os_thread_guard(void (*fn)(void *arg), void (*died)(void *arg), void *arg);
void lea_os_thread_join(pthread_t thread);
void lea_os_thread_detach(pthread_t thread);
void lea_os_thread_name(const char *name); /* of the caller; at most 15 bytes */
/* called in every child that libc's fork() makes; the first function counts, for good */
void lea_os_at_fork(void (*child)(void));
/*
 * What is called at the end of a thread that has asked for it, on that thread, with what it gave.
 * The first function counts, for good; nobody asks at the same time.
 */
void lea_os_at_thread_end(void (*ended)(void *arg));
/* The caller asks; NULL: no longer. Returns: 0; -EAGAIN, -ENOMEM libc has no room for that. */
int lea_os_thread_end_ask(void *arg);
int lea_os_gettid(void);
int lea_os_getpid(void);
/* of the process, one that is just ending included; negative: not known */
int lea_os_nr_threads(void);
/*
 * Without those that the kernel has made for io_uring, and which stay. Slower. Negative: not known,
 * or it has changed meanwhile
 */
int lea_os_nr_threads_ours(void);
/* started with more rights than its starter has (setuid, file capabilities) */
int lea_os_is_privileged(void);
void lea_os_thread_yield(void);
int lea_os_affinity_get(void *mask, size_t bytes); /* of the caller: bytes of the kernel's mask */
int lea_os_affinity_set(int tid, const void *mask, size_t bytes); /* tid 0: of the caller */
int lea_os_nice_set(int tid, int nice);
void lea_os_timers_precise(void); /* of the calling thread; best effort */
/* the kernel's time slice, from 100 µs on; 0: the default. tid 0: of the caller. Best effort */
void lea_os_slice_set(int tid, int64_t ns);
/* CPU time that a thread of ours has used, or a negative errno */
int64_t lea_os_thread_cpu_of(int tid);
int lea_os_thread_signal(int tid, int signo); /* to a thread of ours */
/*
 * of a thread of ours: 'R' runs or could, 'S' or 'D' waits in the kernel, others: proc(5); 0: not
 * known
 */
char lea_os_thread_state(int tid);
int lea_os_membarrier_register(void);
int lea_os_membarrier(void); /* all threads of the process pass a full fence */
int lea_os_sigmask(int how, const sigset_t *set, sigset_t *old);
int lea_os_sigaltstack(const stack_t *stack, stack_t *old);
int lea_os_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
/* SIGPIPE, blocked, may be pending for the calling thread: not any more */
void lea_os_sigpipe_take(void);

/* --- readiness --- */
int lea_os_epoll_create(void);
int lea_os_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
/*
 * timeout_ns: negative for ever. Nanosecond precision where the kernel has epoll_pwait2, else
 * rounded up to milliseconds.
 */
int lea_os_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns);
int lea_os_eventfd(void);
/* the ready events at this instant, as poll(2) with no timeout */
int lea_os_poll_now(int fd, int events);

/* --- descriptors --- */
ssize_t lea_os_read(int fd, void *buf, size_t len);
ssize_t lea_os_write(int fd, const void *buf, size_t len);
ssize_t lea_os_readv(int fd, const struct iovec *iov, int n);
ssize_t lea_os_writev(int fd, const struct iovec *iov, int n);
ssize_t lea_os_preadv2(int fd, const struct iovec *iov, int n, int64_t offset, int flags);
ssize_t lea_os_pwritev2(int fd, const struct iovec *iov, int n, int64_t offset, int flags);
int lea_os_close(int fd);
int lea_os_fcntl(int fd, int cmd, long arg);
int lea_os_fstat(int fd, struct stat *st);
int lea_os_lstat(const char *path, struct stat *st);
int lea_os_pipe2(int fds[2], int flags);
/* one of the two is a pipe, which is never waited for; the other one must be non-blocking */
ssize_t lea_os_splice(int from, int to, size_t bytes);
int lea_os_open(const char *path, int flags, int mode);
int lea_os_unlink(const char *path);
/* whole small file, NUL-terminated; bytes, or negative errno */
ssize_t lea_os_read_file(const char *path, char *buf, size_t size);

/* --- files --- */
enum {
    /*
     * an existing one, if all that its path needs is there; -EAGAIN it is not, -ENOSYS, -EINVAL:
     * the kernel cannot tell
     */
    LEA_OS_IN_MEMORY = 1,
    LEA_OS_BENEATH = 2, /* -EXDEV: the path leads out of the directory */
};
#define LEA_OS_CWD (-100)                                                    /* AT_FDCWD */
int lea_os_openat2(int dir, const char *path, int flags, int mode, int how); /* with any of these */
ssize_t lea_os_preadv(int fd, const struct iovec *iov, int n, int64_t offset);
ssize_t lea_os_pwritev(int fd, const struct iovec *iov, int n, int64_t offset);
int lea_os_stat(const char *path, struct stat *st);
int lea_os_sync(int fd, bool data_only);
int lea_os_ftruncate(int fd, int64_t bytes);
int lea_os_truncate(const char *path, int64_t bytes);
int lea_os_fallocate(int fd, int mode, int64_t offset, int64_t bytes);
int lea_os_rename(const char *from, const char *to);
int lea_os_link(const char *from, const char *to);
int lea_os_symlink(const char *text, const char *path);
ssize_t lea_os_readlink(const char *path, char *buf, size_t size);
int lea_os_chmod(const char *path, int mode);
int lea_os_mkdir(const char *path, int mode);
int lea_os_rmdir(const char *path);
/* @offset grows by what was moved, up to what of the file is there. */
ssize_t lea_os_sendfile(int out, int file, int64_t *offset, size_t bytes);
/* Pages of a range that are in memory; -ENOSYS, -EPERM, …: not known. */
ssize_t lea_os_pages_in_memory(int fd, int64_t offset, int64_t bytes);
/* struct linux_dirent64, as many as fit; 0: no more */
ssize_t lea_os_getdents(int fd, void *buf, size_t size);

/* --- sockets --- */
int lea_os_socket(int domain, int type, int protocol);
int lea_os_socketpair(int domain, int type, int protocol, int fds[2]);
int lea_os_bind(int fd, const struct sockaddr *addr, socklen_t len);
int lea_os_listen(int fd, int backlog);
int lea_os_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int lea_os_connect(int fd, const struct sockaddr *addr, socklen_t len);
int lea_os_shutdown(int fd, int how);
int lea_os_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int lea_os_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int lea_os_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
ssize_t lea_os_recv(int fd, void *buf, size_t len, int flags);
ssize_t lea_os_send(int fd, const void *buf, size_t len, int flags);
ssize_t lea_os_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t lea_os_sendmsg(int fd, const struct msghdr *msg, int flags);

/* --- names --- */
#define LEA_OS_ADDRESSES 32
union lea_os_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
/*
 * IPv4 and IPv6 addresses of a host, the most useful first, without a port. Blocks, for long
 * perhaps. Their number, at most `max`; -ENOENT there are none; -EAGAIN nobody can say now;
 * -ENOMEM, -EIO, …
 */
int lea_os_resolve(const char *host, union lea_os_address *out, int max);

/* --- processes --- */
struct lea_os_child {
    const char *const *argv;
    const char *const *env; /* NULL: the caller's */
    const char *dir;        /* NULL: the caller's */
    int fd[3];              /* what its standard descriptors shall be; of the caller */
    bool own_group;
};
struct lea_os_exit {
    int code; /* 0..255; -1: by a signal */
    int signo;
    bool core;
};
/* its pid; waits until the program is loaded */
int lea_os_child_start(const struct lea_os_child *child);
void lea_os_child_abandon(int pid); /* ends it, and takes its end: nobody has been told of it */
int lea_os_pidfd_open(int pid);
int lea_os_pidfd_signal(int pidfd, int signo);
/* to its process group, whose leader it is */
int lea_os_pidfd_signal_group(int pidfd, int pid, int signo);
/* 0: it has ended, and is no zombie any more; -EAGAIN; -ECHILD */
int lea_os_pidfd_end(int pidfd, struct lea_os_exit *out);

/* --- chance --- */
uint64_t lea_os_random(void);

/* Ends the process at once, from a signal handler too. */
void lea_os_exit(int status) __attribute__((noreturn));

#endif
