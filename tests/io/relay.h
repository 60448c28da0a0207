/*
 * io/relay.h - what the tests of leat_relay() share: streams of three kinds, and bytes that go
 * through them and are told from others.
 */
#ifndef LEAT_TESTS_IO_RELAY_H
#define LEAT_TESTS_IO_RELAY_H

#include "io/kit.h"

#include <sys/socket.h>

#define LONG leat_after(60 * LEAT_SEC)
#define SIZE ((size_t)3 * 1024 * 1024 + 77) /* more than the buffers of narrow_pair() take */

static inline unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + i / 4096);
}

/* Writes so many bytes, and closes its end. */
static inline leat_result feed(int fd, size_t bytes)
{
    unsigned char buf[8192];
    size_t done = 0;
    ssize_t n = 0;

    while (done < bytes && n >= 0) {
        size_t part = bytes - done < sizeof(buf) ? bytes - done : sizeof(buf);

        for (size_t i = 0; i < part; i++)
            buf[i] = byte_at(done + i);
        n = leat_write_all(fd, buf, part, LONG);
        done += part;
    }
    leat_close(fd);
    return n < 0 ? n : 0;
}

/* Reads to the end. Bytes. */
static inline leat_result drain(int fd)
{
    unsigned char buf[8192];
    size_t got = 0;
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof(buf), LONG)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(got + (size_t)i))
                return -EBADMSG;
        got += (size_t)n;
    }
    return n < 0 ? n : (leat_result)got;
}

enum kind { TCP, UNIX, PIPE, NR_KINDS };

/* Write to out[0], read from out[1]. */
static inline bool way(enum kind kind, int out[2])
{
    int fds[2];

    if (kind == TCP)
        return kit_tcp_pair(out);
    if (!OK((kind == UNIX ? leat_socketpair(SOCK_STREAM, fds) : leat_pipe(fds)) == 0))
        return false;
    out[0] = fds[1];
    out[1] = fds[0];
    return true;
}

/* Takes much less than SIZE when nobody reads. */
static inline bool narrow_pair(int out[2])
{
    int bytes = 65536;

    return kit_tcp_pair(out) &&
           OK(setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0) &&
           OK(setsockopt(out[1], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
}

#endif
