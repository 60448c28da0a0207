/*
 * The seam to the kernel, a part of os.h: calls that the kernel makes by itself, io_uring. In a
 * file of its own, for those who hold such a ring, and make no system calls.
 */
#ifndef LEA_BASE_OS_RING_H
#define LEA_BASE_OS_RING_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

enum lea_os_ring_op {
    LEA_OS_RING_READ,
    LEA_OS_RING_WRITE,
    LEA_OS_RING_SYNC,
    LEA_OS_RING_DATASYNC,
    LEA_OS_RING_CANCEL
};
struct lea_os_ring_call {
    enum lea_os_ring_op op;
    uint64_t tag;            /* comes back with its end */
    uint64_t cancel;         /* the tag of the call that shall end early */
    const struct iovec *iov; /* the bytes stay until the end, the pieces' list until it was sent */
    int64_t offset;
    int fd;
    int nr_iov;
};
struct lea_os_ring_end {
    uint64_t tag;
    int result; /* as of the system call */
};
struct lea_os_ring {
    int fd; /* readable, with an edge for each end */
    uint32_t nr_calls, nr_ends;
    void *rings, *calls, *ends;
    size_t rings_bytes, calls_bytes;
    lea_u32 *put_head, *put_tail, *end_head, *end_tail;
};
int lea_os_ring_open(struct lea_os_ring *ring,
                     unsigned nr_calls); /* a power of two. There is room for twice as many ends */
void lea_os_ring_close(struct lea_os_ring *ring);
/* Under a lock of the caller's: queue a call, *at: its place in the queue. False: it is full. */
bool lea_os_ring_put(struct lea_os_ring *ring, const struct lea_os_ring_call *call, uint32_t *at);
/* any thread: hand over what is queued. It may have been less, whatever the result */
int lea_os_ring_submit(struct lea_os_ring *ring);
bool lea_os_ring_sent(const struct lea_os_ring *ring, uint32_t at); /* has it been handed over? */
/* Under a lock of the caller's: what has ended. */
unsigned lea_os_ring_take(struct lea_os_ring *ring, struct lea_os_ring_end *out, unsigned max);

#endif
