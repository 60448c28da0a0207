/*
 * netpoll/netpoll.h - readiness of descriptors, remembered per direction.
 *
 * One poller for all processors, edge-triggered, behind a driver of six calls. A descriptor number
 * has one record for the length of a run (type-stable, in a table by number); its generation grows
 * at each close, so that a late event of an old descriptor of ours is dropped.
 *
 * Per direction one wait word:
 *   EMPTY          nothing known
 *   READY          an edge came; latched until somebody takes it, before (never after) trying the
 *                  call again
 *   a coroutine    it waits; the coroutine's fd_ticket names its wait
 *
 * Only the coroutine that holds the direction (bits of `use`) moves EMPTY -> itself, READY -> EMPTY
 * and itself -> EMPTY; anybody moves
 * EMPTY -> READY and a coroutine -> READY, and the latter then claims the wait. A claim that fails
 * loses nothing: READY stays.
 *
 * `use` says who is inside: RD and WR are held for the length of a call (a second caller gets
 * -EBUSY), POLL counts those inside that hold no direction,
 * CLOSING is set by leat_close(). The directions go with the number, not with what it stands for:
 * whoever uses one that was closed behind our back and reused gets -EBUSY while the former user is
 * still inside. After an adoption that is a moment, until that one has been woken and has run; else
 * until its wait ends. A poll takes the directions it waits for. Whoever leaves last with CLOSING
 * set frees the number: while that is inside close(2) GIVING is set, callers come in (the number
 * may be a new descriptor already), and closes wait.
 *
 * Ordering pairs.
 *  FD-WAIT   CAS to the coroutine in lea_fd_wait_begin  ->  CAS to READY in lea_fd_ready: fd_ticket
 *            is readable. The claim is ordered by co.h. The ticket lies in the coroutine, not here:
 *            a late claimer that reads it after the wait has ended then finds one of the same
 *            coroutine, for a descriptor again. Waiters for descriptors bear being woken too early;
 *            others (a mutex') would not.
 *  FD-READY  what has come is there, then READY read or set in lea_fd_ready  |  the edge is taken,
 *            then the try. So an edge that finds the one before it still latched is not lost: the
 *            try that follows sees what it stands for. The order on the waiter's side is that of
 *            the lock under which the kernel looks; poll(2) takes none: a fence. The hang-up bits
 *            stored before the CAS are seen with it.
 *  FD-CLOSE  CAS that sets CLOSING in `use`, then reading the wait words  |  CAS of the word to the
 *            coroutine, full fence, then reading `use`. (law 3) One of the two sees the other: no
 *            waiter sleeps on a closed descriptor.
 *  FD-FREE   close(2), then CAS of the word to READY in lea_fd_free  |  a caller that came in after
 *            `use` was cleared, and whose try still met the old descriptor: CAS of the word to the
 *            coroutine. On one word: either that finds READY and tries again, or it is found and
 *            woken.
 *  FD-TAG    gen in lea_fd_adopt, then a call of the driver with the new tag  |  a call of the
 *            driver with the old tag, then reading gen. The poller orders the two calls: a caller
 *            that puts an old tag over a new one sees that gen has grown, and mends it.
 */
#ifndef LEA_NETPOLL_NETPOLL_H
#define LEA_NETPOLL_NETPOLL_H

#include "base/delay.h"
#include "base/lock.h"
#include "base/mutant.h"
#include "co/co.h"
#include "netpoll/ring.h"

#include <errno.h>

enum lea_fd_dir { LEA_FD_READ, LEA_FD_WRITE };

#define LEA_FD_EMPTY ((uintptr_t)0)
#define LEA_FD_READY ((uintptr_t)1)

/* Bits of lea_fd.use */
#define LEA_FD_USE_RD 1u
#define LEA_FD_USE_WR 2u
#define LEA_FD_USE_POLL 4u /* unit of the count of pollers */
#define LEA_FD_USE_POLL_MASK 0x0ffffffcu
#define LEA_FD_USE_GIVING 0x20000000u /* the number is being given back */
#define LEA_FD_USE_OWNED 0x40000000u  /* leat closes it, and it is non-blocking */
#define LEA_FD_USE_CLOSING 0x80000000u

/*
 * Bits of lea_fd.seen. Above them stands the generation that has seen it: a late event of an older
 * one adds nothing.
 */
/* the peer has ended its direction, or the descriptor is broken: reading will not block */
#define LEA_FD_SEEN_RDHUP 1u
#define LEA_FD_SEEN_HUP 2u /* writing will not block, and will fail */
/* a TCP peer sends urgent data: reads end short at its mark, with more behind it */
#define LEA_FD_SEEN_URGENT 4u

#define LEA_FD_SEEN_ANY 7u
#define LEA_FD_SEEN_BITS 3

/* What a descriptor of this generation begins with. */
static inline uint32_t lea_fd_seen_none(uint32_t gen)
{
    return gen << LEA_FD_SEEN_BITS;
}

/* What an owned descriptor is. UNKNOWN: not owned. */
enum lea_fd_kind {
    LEA_FD_KIND_UNKNOWN,
    LEA_FD_KIND_SOCKET,
    LEA_FD_KIND_STREAM,
    LEA_FD_KIND_SIGNAL
};

enum lea_fd_flag {
    /* a short read or write means that the next one would have to wait: TCP, and pipes of ours */
    LEA_FD_SHORT_IS_DRAINED = 1,
    LEA_FD_MADE = 2, /* leat opened it: closed by the end of the run */
};

/*
 * Keys: (r)/(w) the holder of that direction   (c) by CAS, anybody   (k) set while OWNED is being
 * set, constant until close
 *
 * What is (r), (w) or (k) is read and written relaxed: who adopts a number writes it beside those
 * who are still inside for the former owner, and they bear any value. Others see it by their CAS of
 * `use`.
 */
struct lea_fd {
    _Alignas(LEA_CACHELINE) lea_u32 use; /* (c) */
    /* grows at each close, by the closer, who is alone then, and at each adoption */
    lea_u32 gen;
    lea_word word[2]; /* (c) by direction */
    lea_u32 seen;     /* (c) bits sticky until close, and whose they are */
    /*
     * generation + 1 that the poller knows, 0 none; of one that is not owned, knew when we last
     * asked
     */
    lea_u32 armed;
    /* (r)(w) the last call came back short: the next one will most likely have to wait */
    lea_u32 drained[2];
    lea_u32 kind;  /* (k) enum lea_fd_kind */
    lea_u32 flags; /* (k) enum lea_fd_flag */
    /* (r)(w) not owned: what the last call found it to be. Numbers are reused: each call checks */
    lea_u32 guess[2];
    /* (r) accept: consecutive times that descriptors ran out */
    lea_u32 backoff;
};

_Static_assert(sizeof(struct lea_fd) == LEA_CACHELINE, "an event touches one line of it");

struct lea_netpoll;

/*
 * What a system's readiness interface must do for us. Results are 0/positive or a negative errno.
 */
struct lea_netpoll_driver {
    const char *name;
    int (*open)(struct lea_netpoll *np);
    void (*close)(struct lea_netpoll *np);
    /*
     * Watch both directions of fd, edge-triggered; events carry `tag`. -EPERM: always ready (a
     * file). One that is watched already is left as it is, or with `renew` gets the new tag.
     */
    int (*add)(struct lea_netpoll *np, int fd, uint64_t tag, bool renew);
    /*
     * fd is about to be closed: no wait that is under way keeps it open afterwards. It may be
     * unknown.
     */
    void (*del)(struct lea_netpoll *np, int fd);
    /*
     * Collect up to `max` events; timeout_ns < 0 waits for ever, 0 not at all. Calls lea_event()
     * for each. Their number, or -EINTR.
     */
    int (*wait)(struct lea_netpoll *np, int64_t timeout_ns, uint32_t max,
                struct lea_ready_list *out);
    /* End a wait that is under way, or the next one. Any thread. */
    void (*wake)(struct lea_netpoll *np);
};

#ifndef LEA_FD_CHUNK
#define LEA_FD_CHUNK 1024u
#endif
#define LEA_FD_CHUNKS 4096u /* numbers up to 4 Mi */

struct lea_netpoll {
    const struct lea_netpoll_driver *driver;
    int epfd, wakefd;
    /* 1: wakefd has been written, or is about to be, and no blocking wait has read it yet */
    lea_u32 wake_pending;
    /* descriptors that were ever given to the driver: 0 means that polling is pointless */
    lea_word nr_armed;
    /* when somebody last looked, for the busy processors and the monitor */
    lea_word last_poll_ns;
    struct lea_ring ring;          /* calls on files */
    struct lea_lock lock;          /* growth of the table */
    lea_u32 nr_chunks;             /* none is there from this one on; written under the lock */
    lea_word chunk[LEA_FD_CHUNKS]; /* struct lea_fd [LEA_FD_CHUNK], or 0 */
};

/* In place of a descriptor's (event.h), for what is not one of the table */
#define LEA_WAKE_TAG UINT64_MAX
#define LEA_RING_TAG (UINT64_MAX - 1)

int lea_netpoll_open(struct lea_netpoll *np);
void lea_netpoll_close(struct lea_netpoll *np);

struct lea_fd *lea_fd_make(struct lea_netpoll *np, int fd);

/* The record of a number, if it has been made. Any thread. */
static inline struct lea_fd *lea_fd_find(const struct lea_netpoll *np, int fd)
{
    uint32_t n = (uint32_t)fd; /* a negative one is beyond the table */
    uintptr_t chunk;

    if (LEA_UNLIKELY(n >= LEA_FD_CHUNK * LEA_FD_CHUNKS))
        return NULL;
    chunk = lea_word_load_acq(&np->chunk[n / LEA_FD_CHUNK]);
    return LEA_LIKELY(chunk != 0) ? (struct lea_fd *)chunk + n % LEA_FD_CHUNK : NULL;
}

/*
 * The record of a number, made at first use. NULL: negative, beyond the table, or no memory. Any
 * thread.
 */
static inline struct lea_fd *lea_fd_get(struct lea_netpoll *np, int fd)
{
    struct lea_fd *f = lea_fd_find(np, fd);

    return LEA_LIKELY(f != NULL) ? f : lea_fd_make(np, fd);
}

#ifndef LEA_POLL_MAX
#define LEA_POLL_MAX 256u
#endif

/*
 * Collect what is ready, up to `max` (1..LEA_POLL_MAX) descriptors. Any thread, but only one may
 * wait (timeout != 0) at a time.
 */
int lea_netpoll_poll(struct lea_netpoll *np, int64_t timeout_ns, uint32_t max,
                     struct lea_ready_list *out);
void lea_netpoll_wake(struct lea_netpoll *np);

/*
 * An owned descriptor that the poller knows already costs two loads. Returns: 0; -EPERM always
 * ready; -ENOMEM, -ENOSPC, -EBADF.
 */
int lea_fd_arm(struct lea_netpoll *np, struct lea_fd *f, int fd);

/*
 * Begin to use one or both directions (LEA_FD_USE_RD, _WR), or none (LEA_FD_USE_POLL). Returns: 0;
 * -EBUSY; -EBADF it is being closed.
 */
static inline int lea_fd_enter(struct lea_fd *f, uint32_t how)
{
    for (;;) {
        uint32_t u = lea_u32_load_rlx(&f->use); /* relaxed: the CAS decides */

        if (LEA_UNLIKELY(u & LEA_FD_USE_CLOSING))
            return -EBADF;
        if (LEA_UNLIKELY(how != LEA_FD_USE_POLL && (u & how)))
            return -EBUSY;
        if (LEA_LIKELY(lea_u32_cas(&f->use, u, u + how)))
            return 0;
    }
}

/* End it. True for the last one out of a closing descriptor: lea_fd_free() is due. */
static inline bool lea_fd_leave(struct lea_fd *f, uint32_t how)
{
    uint32_t u = lea_u32_add(&f->use, 0u - how) - how;

    return LEA_UNLIKELY((u & LEA_FD_USE_CLOSING) &&
                        !(u & ~(LEA_FD_USE_CLOSING | LEA_FD_USE_OWNED)));
}

/* For reports: which number a record is for, if it is one of ours at all; else -1. Any thread. */
int lea_fd_number(const struct lea_netpoll *np, uintptr_t record);

/*
 * Give the number back. Whoever came in meanwhile goes to `out`, to try again. Returns what
 * close(2) says.
 */
int lea_fd_free(struct lea_netpoll *np, struct lea_fd *f, int fd, struct lea_ready_list *out);

/* Take a latched edge. Holder of the direction only. */
static inline bool lea_fd_take_edge(struct lea_fd *f, enum lea_fd_dir dir)
{
    if (lea_word_load_acq(&f->word[dir]) != LEA_FD_READY) /* FD-READY */
        return false;
    /* relaxed: only the holder leaves READY, and it holds the direction. FD-READY */
    lea_word_store_rlx(&f->word[dir], LEA_FD_EMPTY);
    return true;
}

/* Before a try that looks without the lock of what it looks at: poll(2). */
static inline void lea_fd_before_look(const struct lea_fd *f)
{
    (void)f;
    if (!LEA_MUTATED(FD_LOOK_FENCE))
        lea_fence_before_look(); /* FD-READY */
}

/* After the wait, however it ended: take the edge, or leave the word. */
static inline void lea_fd_wait_end(struct lea_fd *f, enum lea_fd_dir dir, struct lea_co *co)
{
    if (LEA_MUTATED(FD_WAIT_NOT_LEFT))
        return;
    if (!lea_fd_take_edge(f, dir) && !lea_word_cas(&f->word[dir], (uintptr_t)co, LEA_FD_EMPTY))
        (void)lea_fd_take_edge(f, dir); /* READY came in between */
}

/*
 * Prepare to wait for a direction: call with the direction held, before parking with `ticket`.
 * True: the coroutine is in the word. False: an edge had been latched (now taken), or the
 * descriptor is being closed: try again, and do not use the ticket for any other wait, somebody may
 * be about to claim it.
 */
static inline bool lea_fd_wait_begin(struct lea_fd *f, enum lea_fd_dir dir, struct lea_co *co,
                                     uintptr_t ticket)
{
    lea_co_waits_for(co, f);
    if (!LEA_MUTATED(FD_WAIT_TICKET))
        lea_word_store_rel(&co->fd_ticket, ticket);
    /* FD-WAIT, FD-FREE */
    if (LEA_UNLIKELY(!lea_word_cas(&f->word[dir], LEA_FD_EMPTY, (uintptr_t)co))) {
        (void)lea_fd_take_edge(f, dir);
        return false;
    }
    lea_delay_point(FD_CLOSE);
    lea_fence_after_rmw(); /* FD-CLOSE */
    if (LEA_UNLIKELY(lea_u32_load_acq(&f->use) & LEA_FD_USE_CLOSING)) {
        lea_fd_wait_end(f, dir, co);
        return false;
    }
    return true;
}

/* Latch an edge and end the wait of whoever is in the word. Any thread. */
static inline void lea_fd_ready(struct lea_fd *f, enum lea_fd_dir dir, enum lea_wake code,
                                struct lea_ready_list *out)
{
    uintptr_t w;

    do {
        w = lea_word_load_acq(&f->word[dir]);
        if (w == LEA_FD_READY || (LEA_MUTATED(FD_NOT_LATCHED) && w == LEA_FD_EMPTY))
            return;
    } while (LEA_UNLIKELY(!lea_word_cas(&f->word[dir], w, LEA_FD_READY))); /* FD-READY, FD-WAIT */
    if (w != LEA_FD_EMPTY) {
        struct lea_co *co = (struct lea_co *)w;

        lea_delay_point(FD_WAIT);
        (void)lea_co_claim_to(co, lea_word_load_acq(&co->fd_ticket), code, out); /* FD-WAIT */
    }
}

/*
 * Make the record of a non-blocking descriptor that leat has just opened or been given. Whoever
 * still is inside a call on a former owner of the number (closed behind our back) sees that the
 * generation has grown, and leaves; waiters go to `out`.
 */
int lea_fd_adopt(struct lea_netpoll *np, int fd, enum lea_fd_kind kind, uint8_t flags,
                 struct lea_ready_list *out);

/*
 * leat_close(): waiters go to `out`. Returns: 0, the number is free or will be when its last user
 * leaves; -EBADF; close(2)'s error.
 */
int lea_fd_close(struct lea_netpoll *np, int fd, struct lea_ready_list *out);

extern const struct lea_netpoll_driver lea_netpoll_epoll;

#endif
