/*
 * leat/io.h - system calls for a coroutine, on plain file descriptors.
 *
 * They work on any descriptor. One that leat opened (leat/net.h, leat_pipe, leat_socketpair) or
 * that was handed over with leat_adopt() is non-blocking and must be closed with leat_close();
 * others are left as they are (a blocking one is read and written only when the kernel says that it
 * will not block), may be closed by plain close(2), and each call works on what the number stands
 * for then. Where the kernel cannot be asked not to block (older than
 * RWF_NOWAIT for pipes; terminals) it is asked whether the descriptor is ready: another process
 * that reads or writes there too may be quicker, and then the thread blocks. Hand over what is
 * shared like that. Of regular files what is in memory is read at once; the rest, and what is
 * written where the file system does not say that it will not block, is left to a thread of the
 * pool (leat/file.h, whose calls take an offset too). Once that one has begun it is waited for,
 * whatever happens. A file is always ready: with a deadline that has passed the call is made where
 * it is, and may hold its thread up.
 *
 * What leat opened and nobody has closed is closed by the end of the run, unless coroutines are
 * left over that may still use it. What was handed over with leat_adopt() stays open, and works in
 * the next run too.
 *
 * One coroutine at a time may read from a descriptor, and one may write to it; a second one gets
 * -EBUSY while the first one's call lasts. So several writers on one socket take a leat_mutex
 * around what belongs together. Accepting counts as reading, connecting as writing, leat_poll_fd()
 * as what it waits for.
 *
 * Unless a comment says otherwise:
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: besides what is named, -EBADF not an open descriptor; -EBUSY see above; -ETIMEDOUT
 *          @until passed first; -ECANCELED the coroutine was cancelled, or the descriptor was
 *          closed with leat_close() or its number handed over anew meanwhile; -ENOMEM, -ENOSPC the
 *          system cannot watch another descriptor; -ESHUTDOWN a call that makes or takes over one,
 *          without a run; else the kernel's error, negated. EINTR never.
 */
#ifndef LEAT_IO_H
#define LEAT_IO_H

#include <leat/base.h>
#include <leat/time.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

LEAT_BEGIN_DECLS

/**
 * leat_read - read what is there, at most @len bytes. Returns: bytes read; 0 end of file; negative
 * errno.
 */
LEAT_API ssize_t leat_read(int fd, void *buf, size_t len,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_read_full - read exactly @len bytes
 *
 * Returns: @len; less when the file ended before (0: at once); negative errno, and then how much
 * was read is not told: after -ETIMEDOUT the stream can only be closed. Who wants to go on calls
 * leat_read() in a loop, and counts.
 */
LEAT_API ssize_t leat_read_full(int fd, void *buf, size_t len,
                                leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_write - write some of @len bytes. Returns: bytes written, maybe fewer; -EPIPE nobody reads
 * (never a signal).
 */
LEAT_API ssize_t leat_write(int fd, const void *buf, size_t len,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_write_all - write all of @len bytes. Returns: @len; negative errno, and then an unknown part
 * was written (as above).
 */
LEAT_API ssize_t leat_write_all(int fd, const void *buf, size_t len,
                                leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_readv - as leat_read(), into @nr_iov (1..1024) pieces. */
LEAT_API ssize_t leat_readv(int fd, const struct iovec *iov, int nr_iov,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_writev - as leat_write(), from @nr_iov (1..1024) pieces. */
LEAT_API ssize_t leat_writev(int fd, const struct iovec *iov, int nr_iov,
                             leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_recvmsg - recvmsg(2); MSG_DONTWAIT and MSG_WAITALL in @flags are ignored
 *
 * Returns: bytes received; 0 end of stream or an empty datagram.
 */
LEAT_API ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags,
                              leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_sendmsg - sendmsg(2); MSG_DONTWAIT in @flags is ignored, MSG_NOSIGNAL implied. Returns:
 * bytes sent.
 */
LEAT_API ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags,
                              leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/* For leat_relay(): all that comes until the end. */
#define LEAT_RELAY_ALL UINT64_MAX

/*
 * How far a relay has come, and what is on its way: taken from the one descriptor, and not yet
 * written to the other. Begins as {0}; one relay at a time uses it. What ends with `_` is leat's.
 */
typedef struct leat_relayed {
    uint64_t moved; /* bytes written, by all calls with it */
    uint64_t kept;  /* bytes on their way: the next call with it writes them first; at most 64 Ki */
    int pipe_[2];
    void *bytes_;
    uint32_t in_pipe_, first_, in_bytes_;
} leat_relayed;

/**
 * leat_relay - move bytes from one descriptor to another, without a copy of them in the program
 * @to, @from: non-blocking (leat's, or adopted), and streams: TCP, unix stream sockets, pipes, also
 *             the two directions of one. The call counts as a write to @to and as a read from @from
 * @len:       how many to write; LEAT_RELAY_ALL no bound
 * @progress:  how far it has come, also after an error; NULL: not told, and what was on its way
 *             then is lost
 * @until:     for all of it; when it has passed, what is there is moved, 64 KiB at most
 *
 * Bytes are taken while @to has room, 64 KiB at most at a time, and go by splice(2); where the
 * kernel cannot, or descriptors have run out, by a buffer of 16 KiB. While it waits for @from it
 * holds neither. Descriptors that come with the bytes of a unix socket are closed, and an urgent
 * byte of TCP is left out.
 * The end of @from is not passed on: shutdown(@to, SHUT_WR) does. That @to is broken is noticed
 * when there is something to write, not while @from is silent. Nor is its leat_close() then, or
 * that of @from while @to has no room: the number stays in use until the wait is over. To end a
 * relay at once, cancel it.
 *
 * Whatever ends it early, no byte is lost: what was taken and not written is kept in @progress, for
 * the next call with it, after a deadline say. After an error that is not answered by another call
 * leat_relay_drop() is due.
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: 0 @len bytes were written, or all that came before the end of @from; else why it ended:
 *          -EPIPE nobody reads from @to (never a signal); -ECONNRESET; -EINVAL one is blocking, a
 *          file, or no stream; -EBUSY; -ETIMEDOUT; -ECANCELED also when either was closed by
 *          leat_close(); -EPERM on a plain thread.
 */
LEAT_API int leat_relay(int to, int from, uint64_t len, leat_relayed *progress,
                        leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_relay_drop - give up what is on its way, if anything is; @progress->kept is 0 then
 *
 * Context: anywhere. Never parks.
 */
LEAT_API void leat_relay_drop(leat_relayed *progress);

/* What leat_poll_fd() may wait for and report; the values of poll(2)'s. */
#define LEAT_POLLIN 0x001
#define LEAT_POLLOUT 0x004
#define LEAT_POLLERR 0x008
#define LEAT_POLLHUP 0x010

/**
 * leat_poll_fd - wait until a descriptor is ready, for libraries that make their own system calls
 * @events: LEAT_POLLIN, LEAT_POLLOUT or both
 *
 * Level-triggered: what is ready already is reported at once.
 * Returns: the ready events, LEAT_POLLERR and LEAT_POLLHUP among them; regular files are always
 *          ready; -EINVAL no or other @events.
 */
LEAT_API int leat_poll_fd(int fd, int events, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_close - close a descriptor
 *
 * Whoever waits on it gets -ECANCELED; the number is free for reuse when the last call on it has
 * returned.
 * Context: anywhere. Never parks. Returns: 0; -EBADF not open, or closed already; -EIO and the like
 * as close(2).
 */
LEAT_API int leat_close(int fd);

/**
 * leat_adopt - hand a descriptor over to leat: made non-blocking and close-on-exec; from now on
 * close it with leat_close() only
 *
 * The mode belongs to the open file: whoever shares it by dup(2) or fork(2) sees it change. Handed
 * over again it begins anew, and whoever waits on it gets -ECANCELED.
 * Context: anywhere. Never parks. Returns: 0; -EBADF; -EINVAL one of leat_signal_open(); -ESHUTDOWN
 * no run is under way.
 */
LEAT_API int leat_adopt(int fd) LEAT_MUST_CHECK;

/**
 * leat_pipe - a pipe: read from fds[0], write to fds[1]. Anywhere; never parks. Returns: 0;
 * -EMFILE, -ENFILE; -ESHUTDOWN no run.
 */
LEAT_API int leat_pipe(int fds[2]) LEAT_MUST_CHECK;

/**
 * leat_socketpair - two connected unix sockets of a type (SOCK_STREAM, …). Anywhere; never parks.
 * Returns as leat_pipe().
 */
LEAT_API int leat_socketpair(int type, int fds[2]) LEAT_MUST_CHECK;

LEAT_END_DECLS

#endif
