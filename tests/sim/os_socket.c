/*
 * Sockets of the simulator: connecting and accepting, half-closing. Contracts: runtime/base/os.h.
 */
#include "os_fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

int lea_os_socket(int domain, int type, int protocol)
{
    (void)domain;
    (void)protocol;
    sim_file_enter("socket");
    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    return sim_fd_new(sim_file_new(KIND_SOCKET, type & SOCK_NONBLOCK), SIM_FIRST_FD);
}

static uint16_t port_of(const struct sockaddr *addr)
{
    return ((const struct sockaddr_in *)(const void *)addr)->sin_port;
}

int lea_os_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct sim_file *f = sim_file_of(fd);

    (void)len;
    if (!f)
        return -EBADF;
    f->port = port_of(addr);
    return 0;
}

int lea_os_listen(int fd, int backlog)
{
    struct sim_file *f = sim_file_of(fd);

    (void)backlog;
    sim_file_enter("listen");
    if (!f)
        return -EBADF;
    f->kind = KIND_LISTENER;
    return 0;
}

int lea_os_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct sim_file *f, *c;
    int r;

    (void)addr;
    sim_file_enter("accept4");
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    if (f->kind != KIND_LISTENER)
        return -EINVAL;
    if (sim_fault(SIM_FAULT_INTR))
        return -EINTR;
    if (!f->nr_queue)
        return -EAGAIN;
    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    c = f->queue[0];
    memmove(f->queue, f->queue + 1, (f->nr_queue - 1) * sizeof(c));
    f->nr_queue--;
    sim_hb_receive(&f->vc);
    c->nonblock = flags & SOCK_NONBLOCK;
    if (len)
        *len = 0;
    r = sim_fd_new(c, SIM_FIRST_FD);
    return r;
}

int lea_os_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct sim_file *f, *c;

    (void)len;
    sim_file_enter("connect");
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    if (f->kind == KIND_STREAM)
        return -EISCONN;
    for (unsigned i = 0; i < SIM_FDS; i++) {
        struct sim_file *l = sim_fd_table[i];

        if (!l || l->kind != KIND_LISTENER || l->port != port_of(addr) || l->nr_queue == SIM_QUEUE)
            continue;
        c = sim_file_new(KIND_STREAM, true);
        f->kind = KIND_STREAM;
        f->exact = c->exact = true;
        f->peer = c;
        c->peer = f;
        l->queue[l->nr_queue++] = c;
        sim_hb_send(&l->vc);
        sim_file_edge(l, EPOLLIN);
        sim_file_edge(f, EPOLLOUT);
        return sim_fault(SIM_FAULT_LATE_EVENT) ? -EINPROGRESS : 0;
    }
    return -ECONNREFUSED;
}

int lea_os_shutdown(int fd, int how)
{
    struct sim_file *f;

    sim_file_enter("shutdown");
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    if (f->kind != KIND_STREAM)
        return -ENOTCONN;
    if (how != SHUT_RD) {
        f->shut = true;
        if (f->peer) {
            f->peer->hung_up = true;
            sim_file_edge(f->peer, EPOLLIN | EPOLLRDHUP);
        }
    }
    return 0;
}

int lea_os_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sim_file *f = sim_file_of(fd);

    (void)level;
    (void)name;
    if (!f)
        return -EBADF;
    if (f->kind < KIND_STREAM || f->kind > KIND_LISTENER)
        return -ENOTSOCK;
    memset(value, 0, *len);
    return 0;
}

int lea_os_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)level;
    (void)name;
    (void)value;
    (void)len;
    return sim_file_of(fd) ? 0 : -EBADF;
}

int lea_os_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct sim_file *f = sim_file_of(fd);
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (!f)
        return -EBADF;
    in.sin_port = f->port;
    memcpy(addr, &in, *len < sizeof(in) ? *len : sizeof(in));
    *len = sizeof(in);
    return 0;
}
