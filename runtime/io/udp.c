/*
 * UDP sockets. Without any host the socket is an IPv6 one that takes both families, where the
 * system has IPv6.
 */
#include "base/os.h"
#include "io/addr.h"
#include "io/own.h"

#include <errno.h>
#include <leat/net.h>
#include <string.h>

/* One text as at most two addresses, none unix; a NULL text is 0 addresses. */
static int parse(const char *text, bool dial, struct lea_addr out[LEA_ADDR_MAX])
{
    int n = text ? lea_addr_parse(text, strlen(text), dial, out) : 0;

    return n > 0 && out[0].sa.sa_family == AF_UNIX ? -EINVAL : n;
}

static const struct lea_addr *of_family(const struct lea_addr *a, int n, int family)
{
    for (int i = 0; i < n; i++)
        if (a[i].sa.sa_family == family)
            return &a[i];
    return NULL;
}

/* A socket of one family, bound and connected as asked; not owned yet. */
static int open_family(int family, const struct lea_addr *local, const struct lea_addr *remote)
{
    int fd = lea_os_socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int off = 0, r = 0;

    if (fd < 0)
        return fd;
    if (family == AF_INET6 && (!local || local->any))
        r = lea_os_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (r == 0 && local)
        r = lea_os_bind(fd, &local->sa, local->len);
    if (r == 0 && remote)
        r = lea_os_connect(fd, &remote->sa, remote->len);
    if (r == 0)
        return fd;
    (void)lea_os_close(fd);
    return r;
}

int leat_udp_open(const char *local, const char *remote)
{
    /*
     * named hosts ("localhost", ":80") mean IPv4 where there is a choice; "any" means both families
     */
    struct lea_addr l[LEA_ADDR_MAX], r[LEA_ADDR_MAX];
    int nl = parse(local, false, l), nr = parse(remote, true, r), fd = -EINVAL,
        err = lea_own_possible();
    bool any;

    if (nl < 0 || nr < 0)
        return -EINVAL;
    if (err < 0)
        return err;
    any = (nl == 0 || l[0].any) && nr == 0;
    for (int i = 0; i < 2 && fd < 0; i++) {
        int family = (i == 0) == any ? AF_INET6 : AF_INET;
        const struct lea_addr *from = of_family(l, nl, family), *to = of_family(r, nr, family);

        if ((nl && !from) || (nr && !to))
            continue;
        fd = open_family(family, from, to);
        if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
            break;
    }
    return fd < 0 ? fd : lea_own(fd, LEA_FD_KIND_SOCKET, LEA_FD_MADE);
}
