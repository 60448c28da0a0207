/*
 * Descriptors that are not sockets of the network: closing, handing over, pipes and pairs.
 */
#include "base/os.h"
#include "io/own.h"
#include "io/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <leat/io.h>
#include <netinet/in.h>
#include <sys/stat.h>

int leat_close(int fd)
{
    struct lea_caller c;
    struct lea_ready_list list;
    int r = lea_caller_begin(&c);

    /* no run, no records; nor a slot for signals, signal.c says why */
    if (r < 0)
        return lea_os_close(fd);
    /* close(2) may take its time; nothing here needs the processor */
    if (c.m)
        lea_syscall_begin(c.m);
    lea_ready_list_init(&list);
    (void)lea_signal_closing(&c.rt->netpoll, fd);
    r = lea_fd_close(&c.rt->netpoll, fd, &list);
    if (c.m)
        lea_syscall_end(c.m);
    lea_ready_list_all(c.rt, c.m, &list);
    lea_caller_end(&c);
    return r;
}

static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof(protocol);

    return lea_os_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
           protocol == IPPROTO_TCP;
}

/* One that is closed with more care than a close(2), and must stay known as that. */
static bool is_signal(struct lea_netpoll *np, int fd)
{
    struct lea_fd *f = lea_fd_get(np, fd);

    return f && (lea_u32_load_acq(&f->use) & LEA_FD_USE_OWNED) &&
           lea_u32_load_rlx(&f->kind) == LEA_FD_KIND_SIGNAL;
}

/* Ready to be adopted. With an even tick. */
static int make_ready(int fd, int mode)
{
    int r = mode & O_NONBLOCK ? 0 : lea_os_fcntl(fd, F_SETFL, mode | O_NONBLOCK);

    return r < 0 ? r : lea_os_fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/*
 * A file stays unknown: no mode makes its calls non-blocking, so they go the way of those that are
 * not ours.
 */
static enum lea_fd_kind kind_of(mode_t mode)
{
    if (S_ISSOCK(mode))
        return LEA_FD_KIND_SOCKET;
    return S_ISREG(mode) || S_ISBLK(mode) ? LEA_FD_KIND_UNKNOWN : LEA_FD_KIND_STREAM;
}

static int adopt(const struct lea_caller *c, int fd, enum lea_fd_kind kind,
                 struct lea_ready_list *list)
{
    lea_own_at_end(c->rt);
    return lea_fd_adopt(&c->rt->netpoll, fd, kind,
                        kind == LEA_FD_KIND_SOCKET && is_tcp(fd) ? LEA_FD_SHORT_IS_DRAINED : 0,
                        list);
}

int leat_adopt(int fd)
{
    int mode = lea_os_fcntl(fd, F_GETFL, 0);
    struct lea_ready_list list;
    struct lea_caller c;
    struct stat st;
    int r;

    if (mode < 0)
        return mode;
    r = lea_os_fstat(fd, &st);
    if (r < 0)
        return r;
    r = lea_caller_begin(&c);
    if (r < 0)
        return r;
    lea_ready_list_init(&list);
    if (c.m)
        lea_syscall_begin(c.m);
    r = is_signal(&c.rt->netpoll, fd) ? -EINVAL : make_ready(fd, mode);
    if (r == 0)
        r = adopt(&c, fd, kind_of(st.st_mode), &list);
    if (c.m)
        lea_syscall_end(c.m);
    lea_ready_list_all(c.rt, c.m, &list);
    lea_caller_end(&c);
    return r;
}

/* Both or none. */
static int own_pair(int fds[2], enum lea_fd_kind kind, uint8_t flags)
{
    int r = lea_own(fds[0], kind, flags);

    if (r < 0) {
        (void)lea_os_close(fds[1]);
        return r;
    }
    r = lea_own(fds[1], kind, flags);
    if (r < 0)
        (void)leat_close(fds[0]);
    return r < 0 ? r : 0;
}

int leat_pipe(int fds[2])
{
    int both[2];
    int r = lea_own_possible();

    if (r == 0)
        r = lea_os_pipe2(both, O_NONBLOCK | O_CLOEXEC);
    if (r == 0)
        r = own_pair(both, LEA_FD_KIND_STREAM, LEA_FD_MADE | LEA_FD_SHORT_IS_DRAINED);
    if (r == 0) {
        fds[0] = both[0];
        fds[1] = both[1];
    }
    return r;
}

int leat_socketpair(int type, int fds[2])
{
    int both[2];
    int r = lea_own_possible();

    if (r == 0)
        r = lea_os_socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both);
    if (r == 0)
        r = own_pair(both, LEA_FD_KIND_SOCKET, lea_own_flags(AF_UNIX, type));
    if (r == 0) {
        fds[0] = both[0];
        fds[1] = both[1];
    }
    return r;
}
