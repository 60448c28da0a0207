/*
 * Parsing of addresses. See addr.h.
 */
#include "io/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define HOST_BYTES 64
#define NAME_MAX_BYTES 253
#define UNIX_PREFIX "unix:"

/* Digits only, at most `max`. Returns the number, or -1. */
static long digits(const char *s, size_t len, long max)
{
    long v = 0;

    if (len == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
        if (v > max)
            return -1;
    }
    return v;
}

static void put4(struct lea_addr *a, struct in_addr host, long port)
{
    memset(a, 0, sizeof(*a));
    a->in.sin_family = AF_INET;
    a->in.sin_addr = host;
    a->in.sin_port = htons((uint16_t)port);
    a->len = sizeof(a->in);
}

static void put6(struct lea_addr *a, const struct in6_addr *host, long port)
{
    memset(a, 0, sizeof(*a));
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_addr = *host;
    a->in6.sin6_port = htons((uint16_t)port);
    a->len = sizeof(a->in6);
}

static int both(struct lea_addr out[2], bool any, long port)
{
    static const struct in6_addr any6 = IN6ADDR_ANY_INIT, here6 = IN6ADDR_LOOPBACK_INIT;
    struct in_addr host4 = {htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};

    put6(&out[0], any ? &any6 : &here6, port);
    put4(&out[1], host4, port);
    out[0].any = out[1].any = any;
    return 2;
}

/* What stands in brackets: an IPv6 address, with a numeric scope perhaps ("fe80::1%2"). */
static int parse6(const char *host, size_t len, long port, struct lea_addr *out)
{
    char text[HOST_BYTES];
    struct in6_addr in6;
    long scope = 0;
    char *percent;

    if (len >= sizeof(text))
        return -EINVAL;
    memcpy(text, host, len);
    text[len] = '\0';
    percent = strchr(text, '%');
    if (percent) {
        scope = digits(percent + 1, strlen(percent + 1), INT32_MAX);
        *percent = '\0';
    }
    if (scope < 0 || inet_pton(AF_INET6, text, &in6) != 1)
        return -EINVAL;
    put6(out, &in6, port);
    out->in6.sin6_scope_id = (uint32_t)scope;
    return 1;
}

static int parse4(const char *host, size_t len, long port, struct lea_addr *out)
{
    char text[HOST_BYTES];
    struct in_addr in;

    if (len >= sizeof(text))
        return -EINVAL;
    memcpy(text, host, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, &in) != 1)
        return -EINVAL;
    put4(out, in, port);
    return 1;
}

int lea_addr_host(const char *host, size_t len, long port, struct lea_addr out[LEA_ADDR_MAX])
{
    int n;

    if (len == 9 && memcmp(host, "localhost", 9) == 0)
        return both(out, false, port);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
        return parse6(host + 1, len - 2, port, out);
    n = parse4(host, len, port, out);
    return n < 0 ? parse6(host, len, port, out) : n;
}

/*
 * Letters, digits and what else names are made of; the last part is no number, which an address
 * with a mistake in it would be.
 */
static bool is_name(const char *host, size_t len)
{
    bool number = true;

    if (len == 0 || len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = host[i];

        if (c == '.') {
            if (i + 1 < len)
                number = true;
        } else if (c == '-' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            number = false;
        } else if (c < '0' || c > '9') {
            return false;
        }
    }
    return !number;
}

long lea_addr_name(const char *text, size_t text_len, size_t *len)
{
    size_t host = text_len;
    long port;

    while (host > 0 && text[host - 1] != ':')
        host--;
    if (host == 0 || !is_name(text, host - 1))
        return -EINVAL;
    port = digits(text + host, text_len - host, 65535);
    *len = host - 1;
    return port < 0 ? -EINVAL : port;
}

int lea_addr_unix(const char *path, size_t len, struct lea_addr *out)
{
    bool abstract = len > 0 && path[0] == '@';

    memset(out, 0, sizeof(*out));
    /* a path is terminated; an abstract name is not, and counts with its length */
    if (len <= (abstract ? 1u : 0u) || len + !abstract > sizeof(out->un.sun_path))
        return -EINVAL;
    out->un.sun_family = AF_UNIX;
    memcpy(out->un.sun_path, path, len);
    if (abstract)
        out->un.sun_path[0] = '\0';
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return 0;
}

int lea_addr_parse(const char *text, size_t len, bool dial, struct lea_addr out[LEA_ADDR_MAX])
{
    size_t prefix = sizeof(UNIX_PREFIX) - 1, host;
    long port;

    if (len > prefix && memcmp(text, UNIX_PREFIX, prefix) == 0)
        return lea_addr_unix(text + prefix, len - prefix, out) < 0 ? -EINVAL : 1;
    for (host = len; host > 0 && text[host - 1] != ':'; host--)
        ;
    if (host == 0) /* no colon */
        return -EINVAL;
    port = digits(text + host, len - host, 65535);
    if (port < 0)
        return -EINVAL;
    host--; /* now the length of what stands before the colon */
    if (host == 0)
        return both(out, !dial, port);
    if (host >= 2 && text[0] == '[' && text[host - 1] == ']')
        return parse6(text + 1, host - 2, port, out);
    if (host == 9 && memcmp(text, "localhost", 9) == 0)
        return both(out, false, port);
    return parse4(text, host, port, out);
}
