/*
 * leat/resolve.h - the addresses of a host by its name.
 */
#ifndef LEAT_RESOLVE_H
#define LEAT_RESOLVE_H

#include <leat/base.h>
#include <leat/time.h>
#include <netinet/in.h>
#include <sys/socket.h>

LEAT_BEGIN_DECLS

/*
 * An address with a port, to be handed to leat_connect(): &a.any, leat_address_bytes(&a).
 * any.sa_family says which one it is.
 */
typedef union leat_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} leat_address;

static inline socklen_t leat_address_bytes(const leat_address *a)
{
    const socklen_t v4 = sizeof(a->v4), v6 = sizeof(a->v6);

    return a->any.sa_family == AF_INET6 ? v6 : v4;
}

/**
 * leat_resolve - the addresses of a host
 * @host: a name, or a numeric address ("192.0.2.1", "2001:db8::1", "fe80::1%2" with the number of
 * an interface), the last two in brackets too, as leat_tcp_dial() wants them
 * @port: 0..65535, put into each address
 * @out:  room for @max of them; they come in the order in which they should be tried (RFC 6724)
 * @max:  at least 1; no more than 32 are ever found
 *
 * A numeric address and "localhost" (::1 and 127.0.0.1) are answered at once, whatever the
 * deadline. Any other name is looked up by the system's getaddrinfo() on a thread of the pool
 * (leat_blocking()); all who ask for the same name at once share one look-up. No more than half of
 * LEAT_BLOCKING_THREADS do so at a time, other names wait for their turn. Nothing is remembered:
 * that is for the system's own cache.
 *
 * A caller whose deadline passes, or who is cancelled, goes on at once. The look-up, which owns all
 * its memory, is taken back if it has not begun, and left behind otherwise; the end of a run does
 * not wait for it either.
 *
 * Context:  a coroutine. May park, and may come back on another thread. A plain thread calls
 *           getaddrinfo() itself, and @until does not count.
 * Returns:  how many addresses were put into @out; -ENOENT there is no such name, or it has no
 *           address; -EAGAIN nobody can say at the moment (a server does not answer, or there is no
 *           thread to ask); -ETIMEDOUT; -ECANCELED; -ENOMEM; -EIO, or what the system's resolver
 *           ran into; -EOWNERDEAD a module of the resolver ended its thread; -EINVAL @host is
 *           empty, or longer than 255, or @max is less than 1.
 */
LEAT_API int leat_resolve(const char *host, uint16_t port, leat_address *out, int max,
                          leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

LEAT_END_DECLS

#endif
