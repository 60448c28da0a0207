/*
 * The seam to the system's names: libc's getaddrinfo(), which asks files, daemons and servers, as
 * the system is set up. See os.h.
 */
#define _GNU_SOURCE
#include "base/os.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

static int error_of(int code)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno > 0 ? -errno : -EIO;
    default:
        return -EIO;
    }
}

static bool take(const struct addrinfo *a, union lea_os_address *out)
{
    size_t bytes = a->ai_family == AF_INET    ? sizeof(out->v4)
                   : a->ai_family == AF_INET6 ? sizeof(out->v6)
                                              : 0;

    if (bytes == 0 || a->ai_addrlen < bytes)
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(out, a->ai_addr, bytes);
    return true;
}

/* One of each protocol would come otherwise. */
__attribute__((noinline)) int lea_os_resolve(const char *host, union lea_os_address *out, int max)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int saved = errno, n = 0, r;

    errno = 0;
    r = getaddrinfo(host, NULL, &hints, &found);
    r = r ? error_of(r) : 0;
    for (const struct addrinfo *a = found; r == 0 && a && n < max; a = a->ai_next)
        n += take(a, &out[n]);
    if (found)
        freeaddrinfo(found);
    errno = saved;
    return r < 0 ? r : n > 0 ? n : -ENOENT;
}
