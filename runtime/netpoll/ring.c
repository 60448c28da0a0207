/*
 * The ring of calls on files. See ring.h.
 */
#include "netpoll/ring.h"

#include "base/log.h"
#include "base/mutant.h"
#include "base/os.h"
#include "netpoll/netpoll.h"

#define TAKEN_AT_ONCE 32u

int lea_ring_open(struct lea_netpoll *np)
{
    struct lea_ring *ring = &np->ring;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = LEA_RING_TAG};
    int r = 0;

    if (lea_u32_load_acq(&ring->state) == LEA_RING_OPEN)
        return 0;
    lea_lock_take(&ring->lock);
    if (lea_u32_load_rlx(&ring->state) == LEA_RING_UNKNOWN) { /* relaxed: under the lock */
        r = ring->off ? -ENOSYS : lea_os_ring_open(&ring->os, LEA_RING_CALLS);
        if (r == 0) {
            r = lea_os_epoll_ctl(np->epfd, EPOLL_CTL_ADD, ring->os.fd, &ev);
            if (r < 0) {
                lea_os_ring_close(&ring->os);
                ring->os.nr_calls = 0;
            }
        }
        if (r == 0)
            (void)lea_word_add(&np->nr_armed, 1);
        lea_u32_store_rel(&ring->state, r < 0 ? LEA_RING_REFUSED : LEA_RING_OPEN);
    }
    if (r == 0 && lea_u32_load_rlx(&ring->state) == LEA_RING_REFUSED)
        r = -ENOSYS;
    lea_lock_drop(&ring->lock);
    return r;
}

int lea_ring_choose(struct lea_netpoll *np, enum lea_ring_choice choice)
{
    int r;

    np->ring.off = choice == LEA_RING_OFF;
    if (choice != LEA_RING_WANTED)
        return 0;
    r = lea_ring_open(np);
    if (r < 0)
        lea_log_error("LEAT_FILE_IO is \"uring\", and io_uring cannot be used here (errno %d); "
                      "\"auto\" and \"pool\" do without",
                      -r);
    return r;
}

void lea_ring_close(struct lea_netpoll *np)
{
    if (np->ring.os.nr_calls)
        lea_os_ring_close(&np->ring.os);
}

bool lea_ring_begin(struct lea_netpoll *np, struct lea_ring_call *c, struct lea_os_ring_call *call)
{
    struct lea_ring *ring = &np->ring;
    bool room;

    if (lea_ring_open(np) < 0)
        return false;
    call->tag = (uintptr_t)c;
    lea_lock_take(&ring->lock);
    room = ring->nr_calls < LEA_RING_CALLS && lea_os_ring_put(&ring->os, call, &c->at);
    if (room)
        ring->nr_calls++;
    lea_lock_drop(&ring->lock);
    return room;
}

void lea_ring_cancel(struct lea_netpoll *np, struct lea_ring_call *c)
{
    struct lea_ring *ring = &np->ring;
    struct lea_os_ring_call call = {.op = LEA_OS_RING_CANCEL, .cancel = (uintptr_t)c};
    uint32_t at;

    lea_lock_take(&ring->lock);
    if (!c->done)
        (void)lea_os_ring_put(&ring->os, &call, &at); /* no room: it ends when it does */
    lea_lock_drop(&ring->lock);
}

void lea_ring_send(struct lea_netpoll *np)
{
    (void)lea_os_ring_submit(&np->ring.os);
}

bool lea_ring_wait_begin(struct lea_netpoll *np, struct lea_ring_call *c, uintptr_t ticket,
                         bool *sent)
{
    struct lea_ring *ring = &np->ring;
    bool wait;

    lea_lock_take(&ring->lock);
    wait = !c->done;
    *sent = lea_os_ring_sent(&ring->os, c->at);
    if (wait && !(LEA_MUTATED(RING_TICKET) && c->ticket))
        c->ticket = ticket;
    lea_lock_drop(&ring->lock);
    return wait;
}

/* One that only asked another one to end has no tag. */
static void end_locked(struct lea_ring *ring, const struct lea_os_ring_end *end,
                       struct lea_ready_list *out)
{
    struct lea_ring_call *c = (struct lea_ring_call *)(uintptr_t)end->tag;

    if (!c)
        return;
    ring->nr_calls--;
    c->result = end->result;
    c->done = true;
    if (c->ticket) /* else it has not begun to wait, and will not */
        (void)lea_co_claim_to(c->co, c->ticket, LEA_WAKE_DONE, out);
}

void lea_ring_event(struct lea_netpoll *np, struct lea_ready_list *out)
{
    struct lea_ring *ring = &np->ring;
    struct lea_os_ring_end end[TAKEN_AT_ONCE];
    unsigned n;

    lea_lock_take(&ring->lock);
    do {
        n = lea_os_ring_take(&ring->os, end, TAKEN_AT_ONCE);
        for (unsigned i = 0; i < n; i++)
            end_locked(ring, &end[i], out);
    } while (n > 0 && !LEA_MUTATED(RING_SOME_TAKEN));
    lea_lock_drop(&ring->lock);
}
