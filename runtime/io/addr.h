/*
 * io/addr.h - addresses as text. The forms: include/leat/net.h.
 */
#ifndef LEA_IO_ADDR_H
#define LEA_IO_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct lea_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t len;
    bool any; /* no host was named */
};

/*
 * What one text may stand for: the IPv6 and the IPv4 address, in this order, where it names both.
 */
#define LEA_ADDR_MAX 2

/*
 * Parse text[0..len). An empty host is every local address, or with `dial` this host. Returns:
 * number of addresses, 1 or 2; -EINVAL.
 */
int lea_addr_parse(const char *text, size_t len, bool dial, struct lea_addr out[LEA_ADDR_MAX]);

/*
 * A numeric host, an IPv6 one in brackets perhaps, or "localhost". Returns: number of addresses, 1
 * or 2; -EINVAL another one.
 */
int lea_addr_host(const char *host, size_t len, long port, struct lea_addr out[LEA_ADDR_MAX]);

/*
 * "name:port" with a name that could be looked up. Returns: the port, and *len: of the name;
 * -EINVAL.
 */
long lea_addr_name(const char *text, size_t text_len, size_t *len);

/* A unix socket's path; "@name" is abstract. Returns: 0; -EINVAL empty or too long. */
int lea_addr_unix(const char *path, size_t len, struct lea_addr *out);

#endif
