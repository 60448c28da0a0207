/*
 * Descriptors of the simulator: the table, pipes, stream sockets and eventfds, their bytes.
 * Contracts: runtime/base/os.h.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "os_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct sim_file sim_files[SIM_FILES];
struct sim_file *sim_fd_table[SIM_FDS];

void sim_stderr_add(const void *buf, size_t len);

void sim_fd_reset(void)
{
    memset(sim_fd_table, 0, sizeof(sim_fd_table));
    for (unsigned i = 0; i < SIM_FILES; i++)
        sim_files[i].kind = KIND_FREE;
    sim_ring_reset();
}

unsigned sim_fd_open_count(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SIM_FDS; i++)
        n += sim_fd_table[i] != NULL;
    return n;
}

void sim_file_enter(const char *what)
{
    sim_point();
    sim_memory_enter();
    if (sim.self->slow &&
        (*what == 'r' || *what == 's' || *what == 'w')) { /* read, recv, send, write */
        void (*slow)(void) = sim.self->slow;

        sim.self->slow = NULL;
        slow();
    }
    if (sim.tracing)
        sim_trace(SIM_OP_CALL, 0, 0, __builtin_return_address(0), what);
}

struct sim_file *sim_file_new(enum sim_kind kind, bool nonblock)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        if (sim_files[i].kind != KIND_FREE)
            continue;
        memset(&sim_files[i], 0, sizeof(sim_files[i]));
        sim_files[i].kind = kind;
        sim_files[i].nonblock = nonblock;
        return &sim_files[i];
    }
    sim_fail("the simulator has no room for more files");
}

int sim_fd_new(struct sim_file *f, int from)
{
    for (int fd = from; fd < SIM_FDS; fd++) {
        if (!sim_fd_table[fd]) {
            sim_fd_table[fd] = f;
            f->refs++;
            return fd;
        }
    }
    if (!f->refs)
        f->kind = KIND_FREE;
    return -EMFILE;
}

struct sim_file *sim_file_of(int fd)
{
    return fd >= 0 && fd < SIM_FDS ? sim_fd_table[fd] : NULL;
}

/* --- bytes --- */

static ssize_t take(struct sim_file *f, void *buf, size_t len)
{
    if (f->kind == KIND_EVENT) {
        if (!f->count)
            return -EAGAIN;
        memcpy(buf, &f->count, sizeof(f->count));
        f->count = 0;
        sim_hb_receive(&f->vc);
        return sizeof(f->count);
    }
    if (f->kind != KIND_STREAM && f->kind != KIND_PIPE_READ)
        return f->kind == KIND_SOCKET ? -ENOTCONN : -EINVAL;
    if (f->reset) {
        f->reset = false;
        return -ECONNRESET;
    }
    if (!f->len)
        return f->hung_up ? 0 : -EAGAIN;
    if (len > 1 && !f->exact && sim_fault(SIM_FAULT_SHORT))
        len = 1;
    len = len < f->len ? len : f->len;
    sim_touch(buf, len, true, __builtin_return_address(0));
    memcpy(buf, f->data, len);
    memmove(f->data, f->data + len, f->len - len);
    f->len -= len;
    sim_hb_receive(&f->vc);
    if (f->peer && f->peer->no_space) {
        f->peer->no_space = false;
        sim_file_edge(f->peer, EPOLLOUT);
    }
    return (ssize_t)len;
}

static ssize_t put(struct sim_file *f, const void *buf, size_t len)
{
    struct sim_file *to = f->peer;

    if (f->kind == KIND_EVENT) {
        f->count += *(const uint64_t *)buf;
        sim_hb_send(&f->vc);
        sim_file_edge(f, EPOLLIN);
        return sizeof(f->count);
    }
    if (f->kind != KIND_STREAM && f->kind != KIND_PIPE_WRITE)
        return f->kind == KIND_SOCKET ? -ENOTCONN : -EINVAL;
    if (!to || f->shut)
        return -EPIPE;
    if (to->len == SIM_STREAM_BYTES) {
        f->no_space = true;
        return -EAGAIN;
    }
    f->no_space = len > SIM_STREAM_BYTES - to->len;
    if (len > 1 && !f->exact && sim_fault(SIM_FAULT_SHORT))
        len = 1;
    len = len < SIM_STREAM_BYTES - to->len ? len : SIM_STREAM_BYTES - to->len;
    sim_touch(buf, len, false, __builtin_return_address(0));
    memcpy(to->data + to->len, buf, len);
    to->len += len;
    sim_hb_send(&to->vc);
    sim_file_edge(to, EPOLLIN);
    return (ssize_t)len;
}

static ssize_t transfer(int fd, void *buf, size_t len, bool write, bool dontwait)
{
    for (;;) {
        struct sim_file *f = sim_file_of(fd);
        ssize_t n;

        if (!f)
            return -EBADF;
        n = write ? put(f, buf, len) : take(f, buf, len);
        if (n != -EAGAIN || f->nonblock || dontwait)
            return n;
        if (sim_fault(SIM_FAULT_INTR))
            return -EINTR;
        (void)sim_block(write ? "write" : "read", (uintptr_t)f, SIM_FOREVER);
    }
}

ssize_t lea_os_read(int fd, void *buf, size_t len)
{
    sim_file_enter("read");
    return transfer(fd, buf, len, false, false);
}

ssize_t lea_os_write(int fd, const void *buf, size_t len)
{
    if (fd == 2) {
        sim_stderr_add(buf, len);
        return (ssize_t)len;
    }
    sim_file_enter("write");
    return transfer(fd, (void *)(uintptr_t)buf, len, true, false);
}

ssize_t lea_os_recv(int fd, void *buf, size_t len, int flags)
{
    sim_file_enter("recv");
    return transfer(fd, buf, len, false, flags & MSG_DONTWAIT);
}

ssize_t lea_os_send(int fd, const void *buf, size_t len, int flags)
{
    sim_file_enter("send");
    return transfer(fd, (void *)(uintptr_t)buf, len, true, flags & MSG_DONTWAIT);
}

static bool is_socket(int fd)
{
    const struct sim_file *f = sim_file_of(fd);

    return !f || (f->kind >= KIND_STREAM && f->kind <= KIND_LISTENER);
}

static ssize_t transfer_many(int fd, const struct iovec *iov, int n, bool write, bool dontwait)
{
    ssize_t sum = 0;

    for (int i = 0; i < n; i++) {
        ssize_t r = transfer(fd, iov[i].iov_base, iov[i].iov_len, write, dontwait || sum > 0);

        if (r < 0)
            return sum ? sum : r;
        sum += r;
        if ((size_t)r < iov[i].iov_len)
            break;
    }
    return sum;
}

ssize_t lea_os_readv(int fd, const struct iovec *iov, int n)
{
    sim_file_enter("readv");
    return transfer_many(fd, iov, n, false, false);
}

ssize_t lea_os_writev(int fd, const struct iovec *iov, int n)
{
    sim_file_enter("writev");
    return transfer_many(fd, iov, n, true, false);
}

ssize_t lea_os_preadv2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    sim_file_enter("preadv2");
    if (offset >= 0) /* of a file; nothing is in memory */
        return -EAGAIN;
    return transfer_many(fd, iov, n, false, flags & RWF_NOWAIT);
}

ssize_t lea_os_pwritev2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    sim_file_enter("pwritev2");
    if (offset >= 0)
        return -EOPNOTSUPP;
    return transfer_many(fd, iov, n, true, flags & RWF_NOWAIT);
}

ssize_t lea_os_recvmsg(int fd, struct msghdr *msg, int flags)
{
    sim_file_enter("recvmsg");
    return is_socket(fd)
               ? transfer_many(fd, msg->msg_iov, (int)msg->msg_iovlen, false, flags & MSG_DONTWAIT)
               : -ENOTSOCK;
}

ssize_t lea_os_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    sim_file_enter("sendmsg");
    return is_socket(fd)
               ? transfer_many(fd, msg->msg_iov, (int)msg->msg_iovlen, true, flags & MSG_DONTWAIT)
               : -ENOTSOCK;
}

/* --- opening and closing --- */

void sim_file_hang_up(struct sim_file *f)
{
    struct sim_file *peer = f->peer;

    if (!peer)
        return;
    peer->hung_up = true;
    peer->peer = NULL;
    sim_hb_send(&peer->vc);
    if (f->len && f->kind == KIND_STREAM)
        peer->reset = true; /* it was sent what nobody will read */
    sim_file_edge(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
}

void sim_file_release(struct sim_file *f)
{
    for (unsigned i = 0; i < SIM_FILES; i++)
        for (unsigned k = 0; sim_files[i].kind == KIND_EPOLL && k < SIM_INTERESTS; k++)
            if (sim_files[i].interest[k].file == f)
                sim_files[i].interest[k].file = NULL;
    for (unsigned i = 0; i < f->nr_queue; i++) {
        sim_file_hang_up(f->queue[i]);
        f->queue[i]->kind = KIND_FREE;
    }
    sim_file_hang_up(f);
    f->kind = KIND_FREE;
    (void)sim_wake((uintptr_t)f, SIM_THREADS, 0);
}

int lea_os_close(int fd)
{
    struct sim_file *f;

    sim_file_enter("close");
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    sim_fd_table[fd] = NULL;
    /* else it lives on under another number, and so do the interests in it; or within a wait */
    if (!--f->refs && !sim_file_held(f))
        sim_file_release(f);
    return 0;
}

static int pair(int fds[2], enum sim_kind a, enum sim_kind b, bool nonblock)
{
    struct sim_file *f[2];

    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    f[0] = sim_file_new(a, nonblock);
    f[1] = sim_file_new(b, nonblock);
    f[0]->peer = f[1];
    f[1]->peer = f[0];
    f[0]->exact = f[1]->exact = a != KIND_STREAM;
    fds[0] = sim_fd_new(f[0], SIM_FIRST_FD);
    fds[1] = sim_fd_new(f[1], SIM_FIRST_FD);
    return fds[0] < 0 || fds[1] < 0 ? -EMFILE : 0;
}

int lea_os_pipe2(int fds[2], int flags)
{
    sim_file_enter("pipe2");
    return pair(fds, KIND_PIPE_READ, KIND_PIPE_WRITE, flags & O_NONBLOCK);
}

int lea_os_socketpair(int domain, int type, int protocol, int fds[2])
{
    (void)domain;
    (void)protocol;
    sim_file_enter("socketpair");
    return pair(fds, KIND_STREAM, KIND_STREAM, type & SOCK_NONBLOCK);
}

int lea_os_eventfd(void)
{
    sim_file_enter("eventfd");
    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    return sim_fd_new(sim_file_new(KIND_EVENT, true), SIM_FIRST_FD);
}

int lea_os_fcntl(int fd, int cmd, long arg)
{
    struct sim_file *f;

    sim_file_enter("fcntl");
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    if (cmd == F_DUPFD)
        return sim_fd_new(f, (int)arg);
    if (cmd == F_GETFL)
        return O_RDWR | (f->nonblock ? O_NONBLOCK : 0);
    if (cmd == F_SETFL)
        f->nonblock = arg & O_NONBLOCK;
    return 0;
}

int lea_os_fstat(int fd, struct stat *st)
{
    struct sim_file *f = sim_file_of(fd);

    if (!f)
        return -EBADF;
    memset(st, 0, sizeof(*st));
    st->st_mode = f->kind == KIND_PIPE_READ || f->kind == KIND_PIPE_WRITE ? S_IFIFO : S_IFSOCK;
    return 0;
}
