/*
 * The seam to the Linux kernel, for io_uring: calls that the kernel makes by itself. See os.h.
 *
 * Two rings in memory that is shared with the kernel. Of the first one the tail is ours and the
 * head the kernel's, of the second one the other way round. Slots are free running numbers, masked.
 *
 * The other side of each release and acquire is the kernel's: an entry is complete before our tail
 * shows it; a result is complete when its tail shows it, and has been read before our head gives
 * its slot back.
 */
#include "base/os.h"

#include "base/os_call.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#endif

/*
 * Both rings in one mapping; no result is ever dropped; what a call points to may go once it was
 * handed over, but for the bytes. Linux 5.5
 */
#define NEEDED (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE)

static void *map(int fd, size_t bytes, uint64_t what)
{
    long r =
        SYS(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

    return r < 0 && r > -4096 ? NULL : (void *)r;
}

static lea_u32 *word(const struct lea_os_ring *ring, uint32_t offset)
{
    return (lea_u32 *)(void *)((char *)ring->rings + offset);
}

static int map_all(struct lea_os_ring *ring, const struct io_uring_params *p)
{
    uint32_t *array;
    size_t calls = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t ends = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);

    ring->rings_bytes = calls > ends ? calls : ends;
    ring->calls_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    ring->rings = map(ring->fd, ring->rings_bytes, IORING_OFF_SQ_RING);
    ring->calls = map(ring->fd, ring->calls_bytes, IORING_OFF_SQES);
    if (!ring->rings || !ring->calls)
        return -ENOMEM;
    ring->put_head = word(ring, p->sq_off.head);
    ring->put_tail = word(ring, p->sq_off.tail);
    ring->end_head = word(ring, p->cq_off.head);
    ring->end_tail = word(ring, p->cq_off.tail);
    ring->ends = (char *)ring->rings + p->cq_off.cqes;
    ring->nr_calls = p->sq_entries;
    ring->nr_ends = p->cq_entries;
    array = (uint32_t *)(void *)((char *)ring->rings + p->sq_off.array);
    for (uint32_t i = 0; i < p->sq_entries; i++)
        array[i] = i;
    return 0;
}

int lea_os_ring_open(struct lea_os_ring *ring, unsigned nr_calls)
{
    struct io_uring_params p;
    int r;

    memset(ring, 0, sizeof(*ring));
    memset(&p, 0, sizeof(p));
    ring->fd = (int)SYS(SYS_io_uring_setup, nr_calls, &p, 0, 0, 0, 0); /* close-on-exec by itself */
    if (ring->fd < 0)
        return ring->fd;
    r = (p.features & NEEDED) == NEEDED ? map_all(ring, &p) : -ENOSYS;
    if (r < 0)
        lea_os_ring_close(ring);
    return r;
}

void lea_os_ring_close(struct lea_os_ring *ring)
{
    if (ring->rings)
        (void)lea_os_unmap(ring->rings, ring->rings_bytes);
    if (ring->calls)
        (void)lea_os_unmap(ring->calls, ring->calls_bytes);
    (void)lea_os_close(ring->fd);
}

static void fill(struct io_uring_sqe *e, const struct lea_os_ring_call *c)
{
    static const uint8_t code[] = {
        [LEA_OS_RING_READ] = IORING_OP_READV,          [LEA_OS_RING_WRITE] = IORING_OP_WRITEV,
        [LEA_OS_RING_SYNC] = IORING_OP_FSYNC,          [LEA_OS_RING_DATASYNC] = IORING_OP_FSYNC,
        [LEA_OS_RING_CANCEL] = IORING_OP_ASYNC_CANCEL,
    };

    memset(e, 0, sizeof(*e));
    e->opcode = code[c->op];
    e->fd = c->op == LEA_OS_RING_CANCEL ? -1 : c->fd;
    e->user_data = c->tag;
    if (c->op == LEA_OS_RING_CANCEL) {
        e->addr = c->cancel;
    } else if (c->op == LEA_OS_RING_DATASYNC) {
        e->fsync_flags = IORING_FSYNC_DATASYNC;
    } else if (c->op != LEA_OS_RING_SYNC) {
        e->addr = (uintptr_t)c->iov;
        e->len = (uint32_t)c->nr_iov;
        e->off = (uint64_t)c->offset;
    }
}

bool lea_os_ring_put(struct lea_os_ring *ring, const struct lea_os_ring_call *call, uint32_t *at)
{
    uint32_t tail = lea_u32_load_rlx(ring->put_tail); /* relaxed: under the caller's lock */

    /* acquire: the kernel has read what stood there before */
    if (tail - lea_u32_load_acq(ring->put_head) >= ring->nr_calls)
        return false;
    fill((struct io_uring_sqe *)ring->calls + (tail & (ring->nr_calls - 1)), call);
    lea_u32_store_rel(ring->put_tail, tail + 1); /* the entry is complete */
    *at = tail;
    return true;
}

int lea_os_ring_submit(struct lea_os_ring *ring)
{
    /* the kernel takes no more than there are, whoever is here at the same time */
    uint32_t n = lea_u32_load_acq(ring->put_tail) - lea_u32_load_acq(ring->put_head);

    return (int)SYS(SYS_io_uring_enter, ring->fd, n, 0, 0, NULL, 0);
}

bool lea_os_ring_sent(const struct lea_os_ring *ring, uint32_t at)
{
    return (int32_t)(lea_u32_load_acq(ring->put_head) - at) > 0;
}

unsigned lea_os_ring_take(struct lea_os_ring *ring, struct lea_os_ring_end *out, unsigned max)
{
    uint32_t head = lea_u32_load_rlx(ring->end_head); /* relaxed: under the caller's lock */
    uint32_t tail = lea_u32_load_acq(ring->end_tail); /* the results are complete */
    unsigned n = 0;

    for (; n < max && head != tail; n++, head++) {
        const struct io_uring_cqe *e =
            (const struct io_uring_cqe *)ring->ends + (head & (ring->nr_ends - 1));

        out[n] = (struct lea_os_ring_end){.tag = e->user_data, .result = e->res};
    }
    lea_u32_store_rel(ring->end_head, head); /* they have been read */
    return n;
}
