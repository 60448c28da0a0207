/*
 * Records of descriptors: waiting for a direction, readiness, closing. States, invariants and
 * ordering pairs: netpoll.h.
 */
#include "netpoll/event.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES (LEA_FD_CHUNK * sizeof(struct lea_fd))

/* About 1 µs: close(2) is over by then, unless it lingers. */
#define GIVEN_PAUSES 40
#define GIVEN_SLEEP_NS 50000

int lea_netpoll_open(struct lea_netpoll *np)
{
    int r;

    memset(np, 0, sizeof(*np));
    lea_lock_init(&np->lock, LEA_RANK_FD);
    np->ring.lock.rank = LEA_RANK_RING; /* the rest of a lock is zero */
    np->driver = &lea_netpoll_epoll;
    r = np->driver->open(np);
    if (r < 0)
        /* nothing to close: its descriptors were never set, or are closed again */
        np->driver = NULL;
    return r;
}

void lea_netpoll_close(struct lea_netpoll *np)
{
    lea_ring_close(np);
    np->driver->close(np);
    for (uint32_t i = lea_u32_load_rlx(&np->nr_chunks); i-- > 0;) {
        /* relaxed: the run is over, we are alone */
        void *chunk = (void *)lea_word_load_rlx(&np->chunk[i]);

        if (chunk)
            (void)lea_os_unmap(chunk, CHUNK_BYTES);
    }
}

/* Make the chunk. */
static struct lea_fd *chunk_make(struct lea_netpoll *np, uint32_t index)
{
    struct lea_fd *chunk;

    lea_lock_take(&np->lock);
    chunk = (struct lea_fd *)lea_word_load_acq(&np->chunk[index]);
    if (!chunk) {
        chunk = lea_os_map(CHUNK_BYTES, PROT_READ | PROT_WRITE);
        if (chunk) {
            if (index >= lea_u32_load_rlx(&np->nr_chunks)) /* relaxed: the lock orders it */
                lea_u32_store_rlx(&np->nr_chunks, index + 1);
            /* the zeroes are visible before the chunk is */
            lea_word_store_rel(&np->chunk[index], (uintptr_t)chunk);
        }
    }
    lea_lock_drop(&np->lock);
    return chunk;
}

struct lea_fd *lea_fd_make(struct lea_netpoll *np, int fd)
{
    uint32_t n = (uint32_t)fd;

    if (n >= LEA_FD_CHUNK * LEA_FD_CHUNKS || !chunk_make(np, n / LEA_FD_CHUNK))
        return NULL;
    return lea_fd_find(np, fd);
}

int lea_fd_number(const struct lea_netpoll *np, uintptr_t record)
{
    uint32_t n = lea_u32_load_acq(&np->nr_chunks);

    for (uint32_t i = 0; i < n; i++) {
        uintptr_t chunk = lea_word_load_acq(&np->chunk[i]);

        if (chunk && record - chunk < CHUNK_BYTES)
            return (int)(i * LEA_FD_CHUNK + (record - chunk) / sizeof(struct lea_fd));
    }
    return -1;
}

int lea_netpoll_poll(struct lea_netpoll *np, int64_t timeout_ns, uint32_t max,
                     struct lea_ready_list *out)
{
    int n = np->driver->wait(np, timeout_ns, max, out);

    return n < 0 ? 0 : n;
}

void lea_netpoll_wake(struct lea_netpoll *np)
{
    np->driver->wake(np);
}

int lea_fd_arm(struct lea_netpoll *np, struct lea_fd *f, int fd)
{
    uint32_t gen = lea_u32_load_acq(&f->gen);
    bool owned = (lea_u32_load_rlx(&f->use) & LEA_FD_USE_OWNED) != 0;
    /*
     * What another generation left behind (the file lives on under another number, and came back to
     * this one) carries a dead tag.
     */
    bool renew = lea_u32_load_acq(&f->armed) != gen + 1;
    int r;

    if (owned && !renew)
        return 0;
    if (lea_word_load_rlx(&np->nr_armed) == 0)
        (void)lea_word_add(&np->nr_armed, 1);
    for (;;) {
        uint32_t now;

        lea_delay_point(FD_TAG);
        r = np->driver->add(np, fd, lea_tag(fd, gen), renew);
        now = lea_u32_load_acq(&f->gen); /* FD-TAG */
        if (LEA_LIKELY(now == gen))
            break;
        gen = now;
        renew = true;
    }
    if (r == 0) /* late perhaps, with a generation that has just ended: the next call arms again */
        lea_u32_store_rel(&f->armed, gen + 1);
    return r;
}

/* A new generation begins: nothing is known of the descriptor. */
static void forget(struct lea_fd *f, enum lea_fd_kind kind, uint8_t flags)
{
    /* relaxed read: nobody else changes it now. FD-TAG */
    uint32_t gen = lea_u32_load_rlx(&f->gen) + 1;

    lea_u32_store_rel(&f->gen, gen);
    lea_u32_store_rlx(&f->seen, lea_fd_seen_none(gen));
    for (int dir = LEA_FD_READ; dir <= LEA_FD_WRITE; dir++) {
        lea_u32_store_rlx(&f->drained[dir], 0);
        lea_u32_store_rlx(&f->guess[dir], 0);
    }
    lea_u32_store_rlx(&f->backoff, 0);
    lea_u32_store_rlx(&f->kind, (uint32_t)kind);
    lea_u32_store_rlx(&f->flags, flags);
}

int lea_fd_adopt(struct lea_netpoll *np, int fd, enum lea_fd_kind kind, uint8_t flags,
                 struct lea_ready_list *out)
{
    struct lea_fd *f = lea_fd_get(np, fd);
    uint32_t u;

    if (!f)
        return fd < 0 ? -EBADF : -ENOMEM;
    u = lea_u32_load_acq(&f->use);
    forget(f, kind, flags);
    /*
     * The words are EMPTY, or READY from the former one, which costs a try in vain. They are not
     * set
     * back: after the CAS somebody may be inside already, and in a word.
     */
    if (LEA_LIKELY(!(u & ~(LEA_FD_USE_OWNED | LEA_FD_USE_GIVING)) &&
                   lea_u32_cas(&f->use, u, u | LEA_FD_USE_OWNED)))
        return 0;
    /* somebody is inside who does not know that the number has changed hands */
    do {
        u = lea_u32_load_rlx(&f->use); /* relaxed: the CAS decides */
        if (u & LEA_FD_USE_CLOSING)
            return -EBADF; /* the program closes it at the same time */
    } while (!lea_u32_cas(&f->use, u, u | LEA_FD_USE_OWNED));
    lea_fd_ready(f, LEA_FD_READ, LEA_WAKE_CLOSED, out);
    lea_fd_ready(f, LEA_FD_WRITE, LEA_WAKE_CLOSED, out);
    return 0;
}

/*
 * Nobody is inside any more, and nobody gets in: forget the descriptor, then give the number back.
 * In this order, since after close(2) the number may be another thread's new descriptor. Between
 * the two somebody may come in and find the old one still open: woken afterwards, in vain perhaps.
 * Another close would find it open too, and close(2) a number that is a stranger's by then: GIVING
 * keeps it out until ours is over.
 *
 * The poller lets go of it first: whoever waits there may have it in hand, and then it stayed open.
 */
int lea_fd_free(struct lea_netpoll *np, struct lea_fd *f, int fd, struct lea_ready_list *out)
{
    int r;

    if (lea_u32_load_acq(&f->armed) == lea_u32_load_acq(&f->gen) + 1 &&
        !LEA_MUTATED(FD_CLOSED_HELD))
        np->driver->del(np, fd);
    forget(f, LEA_FD_KIND_UNKNOWN, 0);
    lea_word_store_rlx(&f->word[LEA_FD_READ], LEA_FD_EMPTY); /* relaxed: published by `use` */
    lea_word_store_rlx(&f->word[LEA_FD_WRITE], LEA_FD_EMPTY);
    lea_u32_store_rel(&f->use, LEA_MUTATED(FD_CLOSED_TWICE) ? 0 : LEA_FD_USE_GIVING);
    lea_delay_point(FD_FREE);
    r = lea_os_close(fd);
    if (!LEA_MUTATED(FD_CLOSED_TWICE))
        (void)lea_u32_add(&f->use, 0u - LEA_FD_USE_GIVING);
    lea_fd_ready(f, LEA_FD_READ, LEA_WAKE_DONE, out); /* FD-FREE */
    lea_fd_ready(f, LEA_FD_WRITE, LEA_WAKE_DONE, out);
    return r;
}

/* Somebody else is inside close(2) for this number: a system call, so no spinning for long. */
static void await_given(struct lea_fd *f)
{
    for (int i = 0; lea_u32_load_acq(&f->use) & LEA_FD_USE_GIVING; i++) {
        if (i < GIVEN_PAUSES)
            lea_pause();
        else
            (void)lea_os_sleep_until(lea_os_now_ns() + GIVEN_SLEEP_NS);
    }
}

int lea_fd_close(struct lea_netpoll *np, int fd, struct lea_ready_list *out)
{
    struct lea_fd *f = lea_fd_get(np, fd);
    uint32_t u;

    if (!f)
        return -EBADF;
    do {
        await_given(f);
        u = lea_u32_load_rlx(&f->use) & ~LEA_FD_USE_GIVING; /* relaxed: the CAS decides */
        if (u & LEA_FD_USE_CLOSING)
            return -EBADF;
        /* our own use keeps the number until the waiters have been told */
    } while (!lea_u32_cas(&f->use, u, (u | LEA_FD_USE_CLOSING) + LEA_FD_USE_POLL)); /* FD-CLOSE */
    if (!(u & LEA_FD_USE_OWNED) && lea_os_fcntl(fd, F_GETFD, 0) < 0) {
        (void)lea_u32_add(&f->use, 0u - LEA_FD_USE_CLOSING);
        /* somebody else closes it, who has seen that it is open */
        if (lea_fd_leave(f, LEA_FD_USE_POLL))
            (void)lea_fd_free(np, f, fd, out);
        return -EBADF;
    }
    lea_delay_point(FD_CLOSE);
    if (!LEA_MUTATED(FD_CLOSE_FENCE))
        lea_fence_full(); /* FD-CLOSE */
    lea_fd_ready(f, LEA_FD_READ, LEA_WAKE_CLOSED, out);
    lea_fd_ready(f, LEA_FD_WRITE, LEA_WAKE_CLOSED, out);
    return lea_fd_leave(f, LEA_FD_USE_POLL) ? lea_fd_free(np, f, fd, out) : 0;
}
