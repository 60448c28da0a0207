/*
 * The seam, calls that the kernel makes by itself: a ring, and a disk that takes its time.
 * Contracts: runtime/base/os.h.
 *
 * What Linux promises and what it does not: an end makes an edge; ends come in any order; a call
 * that was not taken for want of memory stays queued; one that is to end early does so or not.
 * Files hold FILLED everywhere, and what is written is looked at only.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "os_fd.h"

#include <errno.h>
#include <string.h>

#define OPS 64

enum state { FREE, QUEUED, SENT };

static struct op {
    enum state state;
    struct lea_os_ring_call call;
    uint32_t at;
    bool cancelled;
    int64_t due_ns;
} op[OPS];

static uint32_t nr_put, nr_sent;

void sim_ring_reset(void)
{
    memset(op, 0, sizeof(op));
    nr_put = nr_sent = 0;
}

bool sim_ring_ready(void)
{
    for (unsigned i = 0; i < OPS; i++)
        if (op[i].state == SENT && op[i].due_ns <= sim.now_ns)
            return true;
    return false;
}

int64_t sim_ring_next(void)
{
    int64_t next = SIM_FOREVER;

    for (unsigned i = 0; i < OPS; i++)
        if (op[i].state == SENT && op[i].due_ns > sim.now_ns && op[i].due_ns < next)
            next = op[i].due_ns;
    return next;
}

int lea_os_ring_open(struct lea_os_ring *ring, unsigned nr_calls)
{
    sim_file_enter("ring_open");
    memset(ring, 0, sizeof(*ring));
    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    ring->fd = sim_fd_new(sim_file_new(KIND_RING, true), SIM_FIRST_FD);
    ring->nr_calls = nr_calls;
    return ring->fd < 0 ? ring->fd : 0;
}

void lea_os_ring_close(struct lea_os_ring *ring)
{
    (void)lea_os_close(ring->fd);
}

bool lea_os_ring_put(struct lea_os_ring *ring, const struct lea_os_ring_call *call, uint32_t *at)
{
    if (nr_put - nr_sent >= ring->nr_calls)
        return false;
    for (unsigned i = 0; i < OPS; i++) {
        if (op[i].state != FREE)
            continue;
        *at = nr_put++;
        op[i] = (struct op){.state = QUEUED, .call = *call, .at = *at};
        return true;
    }
    sim_fail("the simulator has no room for more calls");
}

static void begin(struct op *o)
{
    static const int64_t takes_ns[] = {0, 30 * 1000, 400 * 1000};

    o->state = SENT;
    o->due_ns = sim.now_ns;
    if (o->call.op != LEA_OS_RING_CANCEL) {
        o->due_ns += takes_ns[sim_choose(SIM_CHOOSE_ORDER, 3)];
        return;
    }
    for (unsigned i = 0; i < OPS; i++) {
        if (op[i].state != SENT || op[i].call.tag != o->call.cancel || op[i].due_ns <= sim.now_ns ||
            sim_choose(SIM_CHOOSE_ORDER, 2))
            continue;
        op[i].cancelled = true;
        op[i].due_ns = sim.now_ns;
    }
}

static struct op *queued(uint32_t at)
{
    for (unsigned i = 0; i < OPS; i++)
        if (op[i].state == QUEUED && op[i].at == at)
            return &op[i];
    return NULL;
}

int lea_os_ring_submit(struct lea_os_ring *ring)
{
    struct op *o;
    int n = 0;

    sim_file_enter("ring_submit");
    while ((o = queued(nr_sent)) && !sim_fault(SIM_FAULT_SHORT)) {
        begin(o);
        nr_sent++;
        n++;
    }
    if (n) /* an edge for what has ended, and one for what will */
        sim_file_edge_at(sim_file_of(ring->fd), sim_ring_ready() ? sim.now_ns : sim_ring_next());
    return o && !n ? -EAGAIN : n;
}

bool lea_os_ring_sent(const struct lea_os_ring *ring, uint32_t at)
{
    (void)ring;
    return (int32_t)(nr_sent - at) > 0;
}

static ssize_t transfer(const struct iovec *iov, int n, bool read)
{
    ssize_t sum = 0;

    for (int i = 0; i < n; i++) {
        sim_touch(iov[i].iov_base, iov[i].iov_len, read, __builtin_return_address(0));
        if (read)
            memset(iov[i].iov_base, SIM_FILLED, iov[i].iov_len);
        sum += (ssize_t)iov[i].iov_len;
    }
    return sum;
}

static int end(const struct op *o)
{
    if (o->cancelled)
        return -ECANCELED;
    if (o->call.op == LEA_OS_RING_READ || o->call.op == LEA_OS_RING_WRITE)
        return (int)transfer(o->call.iov, o->call.nr_iov, o->call.op == LEA_OS_RING_READ);
    return 0;
}

/* One at a time: who wants all of them asks until there is none. */
unsigned lea_os_ring_take(struct lea_os_ring *ring, struct lea_os_ring_end *out, unsigned max)
{
    unsigned start = sim_choose(SIM_CHOOSE_ORDER, OPS);

    (void)ring;
    sim_check(max > 0, "no room for an end");
    for (unsigned i = 0; i < OPS; i++) {
        struct op *o = &op[(start + i) % OPS];

        if (o->state != SENT || o->due_ns > sim.now_ns)
            continue;
        *out = (struct lea_os_ring_end){.tag = o->call.tag, .result = end(o)};
        o->state = FREE;
        return 1;
    }
    return 0;
}

/* --- the same by a thread that waits --- */

ssize_t lea_os_preadv(int fd, const struct iovec *iov, int n, int64_t offset)
{
    (void)fd;
    (void)offset;
    sim_file_enter("preadv");
    return transfer(iov, n, true);
}

ssize_t lea_os_pwritev(int fd, const struct iovec *iov, int n, int64_t offset)
{
    (void)fd;
    (void)offset;
    sim_file_enter("pwritev");
    return transfer(iov, n, false);
}

int lea_os_sync(int fd, bool data_only)
{
    (void)fd;
    (void)data_only;
    sim_file_enter("sync");
    return 0;
}
