/*
 * Listeners. Without a host one IPv6 socket takes both families, where the system has IPv6;
 * "localhost" is 127.0.0.1.
 *
 * TCP_NODELAY is set on the listener: Linux hands it down to accepted sockets, which saves a system
 * call for each.
 */
#include "base/os.h"
#include "io/addr.h"
#include "io/own.h"

#include <errno.h>
#include <fcntl.h>
#include <leat/net.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

static int set_on(int fd, int level, int name, bool on)
{
    int value = on;

    return lea_os_setsockopt(fd, level, name, &value, sizeof(value));
}

static int set_options(int fd, int family, const leat_listen_opts *opts)
{
    int r = 0;

    if (family != AF_UNIX) {
        r = set_on(fd, SOL_SOCKET, SO_REUSEADDR, true);
        if (r == 0)
            r = set_on(fd, IPPROTO_TCP, TCP_NODELAY, true);
        if (r == 0 && opts->reuse_port)
            r = set_on(fd, SOL_SOCKET, SO_REUSEPORT, true);
    }
    if (r == 0 && family == AF_INET6)
        r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->v6_only);
    return r;
}

/*
 * A socket file that no socket is bound to any more: the bind may be tried again. Asked with the
 * wrong type of socket, so that a listener that is alive sees no connection of ours.
 */
static bool unix_stale_removed(const struct lea_addr *a)
{
    const char *path = a->un.sun_path;
    struct stat st;
    int fd, r;

    if (path[0] == '\0' || lea_os_lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = lea_os_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    r = lea_os_connect(fd, &a->sa, a->len);
    (void)lea_os_close(fd);
    return r == -ECONNREFUSED && lea_os_unlink(path) == 0;
}

/* A listening socket, not owned yet. */
static int listener(const struct lea_addr *a, const leat_listen_opts *opts)
{
    int family = a->sa.sa_family;
    int fd = lea_os_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return fd;
    r = set_options(fd, family, opts);
    if (r == 0)
        r = lea_os_bind(fd, &a->sa, a->len);
    if (r == -EADDRINUSE && family == AF_UNIX && unix_stale_removed(a))
        r = lea_os_bind(fd, &a->sa, a->len);
    if (r == 0) /* the kernel lowers it to somaxconn */
        r = lea_os_listen(fd, opts->backlog > 0 ? opts->backlog : INT_MAX);
    if (r == 0)
        return fd;
    (void)lea_os_close(fd);
    return r;
}

static int listen_on(const struct lea_addr *a, int n, const leat_listen_opts *opts)
{
    static const leat_listen_opts defaults;
    int fd, r = lea_own_possible();

    if (r < 0)
        return r;
    if (!opts)
        opts = &defaults;
    if (opts->backlog < 0)
        return -EINVAL;
    if (n == 2 && !a->any) /* localhost */
        a++, n--;
    fd = listener(a, opts);
    /* no IPv6 here */
    if (n == 2 && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && !opts->v6_only)
        fd = listener(++a, opts);
    if (fd < 0)
        return fd;
    return lea_own(fd, LEA_FD_KIND_SOCKET, lea_own_flags(a->sa.sa_family, SOCK_STREAM));
}

int leat_tcp_listen(const char *address, const leat_listen_opts *opts)
{
    struct lea_addr a[LEA_ADDR_MAX];
    int n = address ? lea_addr_parse(address, strlen(address), false, a) : -EINVAL;

    return n < 0 ? n : listen_on(a, n, opts);
}

int leat_unix_listen(const char *path, const leat_listen_opts *opts)
{
    struct lea_addr a;
    int r = path ? lea_addr_unix(path, strlen(path), &a) : -EINVAL;

    return r < 0 ? r : listen_on(&a, 1, opts);
}

int leat_shutdown(int fd, int how)
{
    return lea_os_shutdown(fd, how);
}

int leat_port(int fd)
{
    struct lea_addr a;
    socklen_t len = sizeof(a.un);
    int r = lea_os_getsockname(fd, &a.sa, &len);

    if (r < 0)
        return r;
    if (a.sa.sa_family != AF_INET && a.sa.sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    return ntohs(a.sa.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}
