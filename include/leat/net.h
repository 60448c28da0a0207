/*
 * leat/net.h - making sockets. They are plain descriptors: read, write and close them with
 * leat/io.h.
 *
 * Addresses are text: "host:port", "[v6]:port", ":port" for every local address, "unix:/path" or
 * "unix:@abstract". A host is numeric ("[fe80::1%2]:80" with the number of an interface), or
 * "localhost"; to dial it may be any name; a service is a number 0..65535. To dial, several may be
 * given, separated by commas: they are tried in that order; "localhost" and an empty host are then
 * ::1 and 127.0.0.1, in that order; a name stands for the addresses that leat_resolve() finds, IPv6
 * and IPv4 in turn. A listener on "localhost" has 127.0.0.1; one without a host takes IPv4 and IPv6
 * where the system has both. -EINVAL: the text is no such address.
 *
 * A socket belongs to the run in which it was made: every call here that makes one gives -ESHUTDOWN
 * when no run is under way. So listen in the main coroutine, not before leat_run().
 */
#ifndef LEAT_NET_H
#define LEAT_NET_H

#include <leat/base.h>
#include <leat/time.h>
#include <sys/socket.h>

LEAT_BEGIN_DECLS

/* Settings of a listener. Zero means default. */
typedef struct leat_listen_opts {
    int backlog;     /* connections that wait for accept; default: the system's maximum */
    bool reuse_port; /* SO_REUSEPORT: several listeners on one address share its connections */
    bool v6_only;    /* IPV6_V6ONLY: an IPv6 wildcard does not take IPv4 connections */
} leat_listen_opts;

/**
 * leat_tcp_listen - listen on an address, a unix one too; SO_REUSEADDR is set
 * @opts: NULL for the defaults
 *
 * Context: anywhere. Never parks. Returns: a descriptor; -EINVAL; -ESHUTDOWN no run is under way;
 * -EADDRINUSE and whatever socket, bind and listen give.
 */
LEAT_API int leat_tcp_listen(const char *address, const leat_listen_opts *opts) LEAT_MUST_CHECK;

/**
 * leat_accept - take the next connection of a listener (TCP or unix)
 * @peer, @peer_len: as accept(2); may be NULL
 *
 * A connection reset before it was accepted is skipped. When descriptors run out (EMFILE, ENFILE,
 * ENOBUFS, ENOMEM) the caller is held for 5 ms, doubling up to 100 ms while it lasts, and then gets
 * that error, so that a plain loop does not spin.
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: a descriptor, TCP_NODELAY set; -ECANCELED cancelled, or the listener was closed;
 *          -ETIMEDOUT; -EBUSY another coroutine accepts here.
 */
LEAT_API int leat_accept(int fd, struct sockaddr *peer, socklen_t *peer_len,
                         leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_tcp_dial - connect to the first of the addresses that answers, unix ones too; TCP_NODELAY is
 * set
 *
 * Names are looked up first, one after the other; one without addresses is passed over if others
 * have some. The addresses are then tried beside each other (Happy Eyeballs, RFC 8305): each begins
 * when the one before it has failed, or 250 ms after that began, or earlier if all are to have an
 * equal share of the time that is left; six at most at a time. The first connection that stands is
 * taken, the others are closed.
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: a descriptor; the last error (-ECONNREFUSED, -EHOSTUNREACH, …, or leat_resolve()'s);
 * -ETIMEDOUT; -ECANCELED; -EINVAL; -ENOMEM.
 */
LEAT_API int leat_tcp_dial(const char *addresses,
                           leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_connect - connect(2) for a coroutine, on an adopted socket of any kind
 *
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: 0; -EISCONN; -EINVAL it is blocking; -ETIMEDOUT; -ECANCELED; -EBUSY; the kernel's error.
 */
LEAT_API int leat_connect(int fd, const struct sockaddr *addr, socklen_t addr_len,
                          leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_unix_listen - listen on a unix stream socket; a stale socket file is replaced. @path:
 * "@name" is abstract. Never parks.
 */
LEAT_API int leat_unix_listen(const char *path, const leat_listen_opts *opts) LEAT_MUST_CHECK;

/**
 * leat_unix_dial - connect to a unix stream socket. Returns: a descriptor; negative errno. May
 * park.
 */
LEAT_API int leat_unix_dial(const char *path, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_udp_open - a UDP socket
 * @local:  address to bind, or NULL for any
 * @remote: address to connect to, or NULL; with it leat_read() and leat_write() move datagrams
 *
 * Context: anywhere. Never parks. Returns: a descriptor; -EINVAL; whatever socket, bind and connect
 * give.
 */
LEAT_API int leat_udp_open(const char *local, const char *remote) LEAT_MUST_CHECK;

/**
 * leat_shutdown - end one direction (SHUT_RD, SHUT_WR) or both; the other goes on. Anywhere; never
 * parks. Returns: 0; negative errno.
 */
LEAT_API int leat_shutdown(int fd, int how);

/**
 * leat_port - the local port of a socket, for listeners on port 0
 *
 * Context: anywhere. Never parks. Returns: 0..65535; -EAFNOSUPPORT a unix socket; negative errno.
 */
LEAT_API int leat_port(int fd);

LEAT_END_DECLS

#endif
