/*
 * netpoll/ring.h - calls on files that the kernel makes by itself, and whose ends the poller hears
 * of. One ring for all processors.
 *
 * A call lies on the stack of the coroutine that waits for it, which does not leave before it is
 * `done`: until then the kernel uses the caller's memory. Deadline and cancellation ask the kernel
 * to end it early, and wait on.
 *
 * Always, under the ring's lock:
 *  - a call is in the ring from lea_ring_begin() until its end was taken out, which sets `done`;
 *  - there are at most LEA_RING_CALLS of them, each with one request to end it at most, so that
 *    there is room for all ends;
 *  - who takes an end out claims its waiter, and never looks at the call again.
 *
 * The ring's descriptor is in the poller with a tag of its own, edge-triggered: whoever gets its
 * event takes all ends out, for one that comes meanwhile makes an edge again. Calls are handed to
 * the kernel without the lock. One that it did not take (no memory) stays queued, and its waiter
 * tries again; so does any other one on the way.
 *
 * Ordering: the lock carries the result from who takes the end out to the waiter; the claim
 * (WAIT-CLAIM) wakes it.
 */
#ifndef LEA_NETPOLL_RING_H
#define LEA_NETPOLL_RING_H

#include "base/lock.h"
#include "base/os_ring.h"
#include "co/co.h"

#ifndef LEA_RING_CALLS
#define LEA_RING_CALLS 256u
#endif

struct lea_netpoll;

enum lea_ring_state { LEA_RING_UNKNOWN, LEA_RING_OPEN, LEA_RING_REFUSED };

/* Keys: (L) under the lock   (k) constant */
struct lea_ring {
    struct lea_lock lock;
    lea_u32 state;         /* written under the lock, read by anybody */
    struct lea_os_ring os; /* (k) once OPEN */
    uint32_t nr_calls;     /* (L) in the ring */
    bool off;              /* (k) not wanted */
};

/* Keys as above */
struct lea_ring_call {
    struct lea_co *co; /* (k) */
    uintptr_t ticket;  /* (L) of the wait that is under way, or about to begin */
    uint32_t at;       /* (L) its place in the queue */
    int result;        /* (L) */
    bool done;         /* (L) */
};

/*
 * Before it is used. LEA_RING_WANTED opens it, else that is done when it is needed first. Returns:
 * 0; the kernel's error, with a message.
 */
enum lea_ring_choice { LEA_RING_AUTO, LEA_RING_OFF, LEA_RING_WANTED };
int lea_ring_choose(struct lea_netpoll *np, enum lea_ring_choice choice);

/* Open it if that has not been tried yet. Returns: 0; the kernel's error, which stays. */
int lea_ring_open(struct lea_netpoll *np);
void lea_ring_close(struct lea_netpoll *np);

/* Queue a call. False: there is no ring, or no room in it. lea_ring_send() is due. */
bool lea_ring_begin(struct lea_netpoll *np, struct lea_ring_call *c, struct lea_os_ring_call *call);

/* Ask for its early end. lea_ring_send() is due. */
void lea_ring_cancel(struct lea_netpoll *np, struct lea_ring_call *c);

/* Hand over what is queued. A system call. */
void lea_ring_send(struct lea_netpoll *np);

/*
 * Before a wait: True, and then the wait with `ticket` may begin; *sent: it was handed over (else
 * the wait is to be short). False: it is done.
 */
bool lea_ring_wait_begin(struct lea_netpoll *np, struct lea_ring_call *c, uintptr_t ticket,
                         bool *sent);

/* For the poller: what has ended goes to `out`. */
void lea_ring_event(struct lea_netpoll *np, struct lea_ready_list *out);

#endif
