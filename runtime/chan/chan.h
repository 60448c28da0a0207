/*
 * chan/chan.h - the inside of a channel, and the steps that are made under its lock: shared by the
 * plain calls (chan.c) and by the cases of a select (case.c).
 *
 * One word is the lock and says what would succeed:
 *   bit  0  LOCK    everything but the word and the references is the holder's
 *   bit  1  RECV    there is an element, or somebody waits to send one
 *   bit  2  SEND    there is room, or somebody waits for an element; set for ever once CLOSED
 *   bit  3  CLOSED  set once
 *   bits 4..        a count of changes
 * To lock is to set LOCK by CAS; to unlock is one store of the next word. An operation is therefore
 * one locked instruction, counts from its unlock on, and what the word says is so at the instant
 * when it is read, whoever has the LOCK: a try that has to fail, and what a closed channel answers
 * for ever, are one load. The count tells a select that nothing has happened between two loads.
 * The plain calls do the same in a solo section (sched/solo.h) without LOCK, and without a locked
 * instruction; whoever sets LOCK is the one processor's holder then, or has heeded.
 *
 * Always, while nobody holds the LOCK:
 *  - who waits in `receivers` and has not been claimed or given up yet finds len == 0 and nobody in
 *    `senders` (but itself, in a select); who waits in `senders`: len == capacity and nobody in
 *    `receivers`, likewise; nobody waits when CLOSED;
 *  - the elements are in slots head, head + 1, … modulo capacity, the oldest first, and older than
 *    those of `senders`, oldest first too.
 *
 * Handing over: whoever holds the LOCK takes the oldest waiter off its list, claims it (co.h), and
 * copies between the two frames, still under the LOCK. A claimed waiter goes on after the LOCK was
 * dropped, when it is made ready, woken or told (waiter.h, struct lea_woken); one that has ended
 * its wait otherwise takes the LOCK to leave the list. So frames last as long as they are copied
 * from and to, and `out` is written by a success only. Neither side of a hand-over touches the
 * channel after its unlock, so either may free it: whoever has received the last value, say. (A
 * select may not be on the other side then: it looks at all its channels again.)
 *
 * Ordering pair CHAN: the unlocking store -> the CAS that locks, or the acquire load that sees it.
 *
 * Keys: (k) constant   (L) under the LOCK   (c) by CAS, anybody
 */
#ifndef LEA_CHAN_CHAN_H
#define LEA_CHAN_CHAN_H

#include "base/check.h"
#include "base/lock.h"
#include "sched/solo.h"
#include "sched/waiter.h"

#include <leat/chan.h>
#include <string.h>

#define LEA_CHAN_LOCK ((uintptr_t)1)
#define LEA_CHAN_RECV ((uintptr_t)2)
#define LEA_CHAN_SEND ((uintptr_t)4)
#define LEA_CHAN_CLOSED ((uintptr_t)8)
#define LEA_CHAN_CHANGE ((uintptr_t)16)

struct leat_chan {
    lea_word word;                /* (c) see above */
    uint32_t elem_bytes;          /* (k) */
    uint32_t capacity;            /* (k) */
    lea_u32 len;                  /* (L) elements in the ring; read by anybody */
    uint32_t head;                /* (L) slot of the oldest one */
    struct lea_waiters receivers; /* (L) struct lea_chan_waiter */
    struct lea_waiters senders;   /* (L) */
    lea_u32 refs;                 /* (c) */
    bool small; /* (k) an element is copied by a move or two: 0, 4, 8 or 16 bytes */
    uint32_t unused[4];
    unsigned char ring[]; /* (L) of `capacity` slots */
};
_Static_assert(sizeof(struct leat_chan) == LEA_CACHELINE,
               "all but the elements on one line, when the block begins with one");

/* Who waits in a channel, and from or to where its element goes; NULL: nowhere. */
struct lea_chan_waiter {
    struct lea_waiter waiter;
    void *elem;
};

enum lea_chan_dir { LEA_CHAN_DIR_RECV, LEA_CHAN_DIR_SEND };

/* What a wait in this direction is called. */
static inline enum lea_reason lea_chan_reason(enum lea_chan_dir dir)
{
    return dir == LEA_CHAN_DIR_SEND ? LEA_REASON_SEND : LEA_REASON_RECEIVE;
}

/* Somebody else has it, or has been faster. */
uintptr_t lea_chan_lock_slow(struct leat_chan *c);

#ifdef LEAT_CHECKED
/* Stands for every channel in the table of ranks: one at a time is held. */
static const struct lea_lock lea_chan_rank = LEA_LOCK_INIT(LEA_RANK_SYNC);
#define lea_chan_rank_enter() lea_lock_rank_enter(&lea_chan_rank)
#define lea_chan_rank_leave() lea_lock_rank_leave(&lea_chan_rank)
#else
#define lea_chan_rank_enter() ((void)0)
#define lea_chan_rank_leave() ((void)0)
#endif

/*
 * Nobody has it: *w is the word before, for the unlock. @m: the worker in its bracket, NULL on a
 * plain thread.
 */
static inline bool lea_chan_lock_try(struct leat_chan *c, const struct lea_worker *m, uintptr_t *w)
{
    lea_solo_heed_by(m);
    *w = lea_word_load_rlx(&c->word); /* relaxed: the CAS decides */
    if (LEA_MUTATED(CHAN_LOCK_PLAIN) && !(*w & LEA_CHAN_LOCK)) {
        lea_word_store_rel(&c->word, *w | LEA_CHAN_LOCK);
        return true;
    }
    if (LEA_UNLIKELY((*w & LEA_CHAN_LOCK) ||
                     !lea_word_cas(&c->word, *w, *w | LEA_CHAN_LOCK))) /* CHAN */
        return false;
    lea_chan_rank_enter();
    return true;
}

/* Returns the word before, for the unlock. @m: as above. */
static inline uintptr_t lea_chan_lock(struct leat_chan *c, const struct lea_worker *m)
{
    uintptr_t w;

    return LEA_LIKELY(lea_chan_lock_try(c, m, &w)) ? w : lea_chan_lock_slow(c);
}

/* In a solo section, which stands for LOCK. Returns the word. */
static inline uintptr_t lea_chan_solo_lock(const struct leat_chan *c)
{
    uintptr_t w = lea_word_load_acq(&c->word); /* CHAN */

    LEA_ASSERT(!(w & LEA_CHAN_LOCK));
    lea_chan_rank_enter();
    return w;
}

/* From a solo section to LOCK: what follows is not done in one. @w: as the lock has returned it. */
static inline void lea_chan_solo_keep(struct leat_chan *c, uintptr_t w)
{
    lea_word_store_rlx(&c->word, w | LEA_CHAN_LOCK); /* relaxed: SOLO publishes it */
    lea_solo_end();
}

/*
 * What the word is to say, by what the channel holds now. @w: what the lock has returned, with
 * CLOSED added by a close.
 */
static inline uintptr_t lea_chan_next(const struct leat_chan *c, uintptr_t w)
{
    uint32_t len = lea_u32_load_rlx(&c->len); /* relaxed: ours */
    uintptr_t next = (w & ~(LEA_CHAN_RECV | LEA_CHAN_SEND)) + LEA_CHAN_CHANGE;

    if (len || c->senders.first)
        next |= LEA_CHAN_RECV;
    if (len < c->capacity || c->receivers.first || (w & LEA_CHAN_CLOSED))
        next |= LEA_CHAN_SEND;
    return next;
}

/* @next: lea_chan_next(), worked out by who knows what has changed. */
static inline void lea_chan_unlock_to(struct leat_chan *c, uintptr_t w, uintptr_t next)
{
    LEA_ASSERT(next == lea_chan_next(c, w));
    (void)w;
    lea_chan_rank_leave();
    lea_word_store_rel(&c->word, next); /* CHAN */
}

/* Returns the word now. */
static inline uintptr_t lea_chan_unlock(struct leat_chan *c, uintptr_t w)
{
    uintptr_t next = lea_chan_next(c, w);

    lea_chan_unlock_to(c, w, next);
    return next;
}

static inline void lea_chan_copy(void *to, const void *from, uint32_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
}

static inline bool lea_chan_is_small(size_t bytes)
{
    return bytes == 0 || bytes == 4 || bytes == 8 || bytes == 16;
}

/*
 * Of a small element: no call, so that the usual way through an operation need not keep anything
 * for one.
 */
static inline void lea_chan_copy_small(void *to, const void *from, uint32_t bytes)
{
    uint64_t half
        [2]; /* two moves of general registers: the switch keeps the unit for larger ones busy */

    if (LEA_LIKELY(bytes == 8)) {
        memcpy(to, from, 8);
    } else if (bytes == 4) {
        memcpy(to, from, 4);
    } else if (bytes == 16) {
        memcpy(&half[0], from, 8);
        memcpy(&half[1], (const char *)from + 8, 8);
        memcpy(to, &half[0], 8);
        memcpy((char *)to + 8, &half[1], 8);
    }
}

/* The oldest of them that still waits, claimed; NULL none. The channel is locked. */
static inline struct lea_chan_waiter *lea_chan_claim_locked(struct lea_waiters *waiters,
                                                            struct lea_woken *woken)
{
    struct lea_waiter *w;

    while ((w = lea_waiters_pop(waiters)))
        if (LEA_LIKELY(lea_waiter_claim_one(w, LEA_WAKE_DONE, woken)))
            return lea_container(w, struct lea_chan_waiter, waiter);
    return NULL;
}

static inline void *lea_chan_slot(struct leat_chan *c, uint32_t n)
{
    return c->ring + (size_t)n * c->elem_bytes;
}

/* The slot behind the youngest element, when there are `len`. */
static inline void *lea_chan_tail(struct leat_chan *c, uint32_t len)
{
    uint32_t left = c->capacity - c->head; /* slots up to the end of the ring */

    return lea_chan_slot(c, len < left ? c->head + len : len - left);
}

static inline void lea_chan_head_on(struct leat_chan *c)
{
    c->head = c->head + 1 == c->capacity ? 0 : c->head + 1;
}

/*
 * What is to be sent, if that need not wait. Returns: 0; -EPIPE; -EAGAIN. @w: the word before the
 * lock.
 */
static inline int lea_chan_send_locked(struct leat_chan *c, uintptr_t w, const void *elem,
                                       struct lea_woken *woken)
{
    uint32_t len = lea_u32_load_rlx(&c->len); /* relaxed: ours */
    struct lea_chan_waiter *peer;

    if (LEA_UNLIKELY(w & LEA_CHAN_CLOSED))
        return -EPIPE;
    if (c->receivers.first && !(LEA_MUTATED(CHAN_PAST_RING) && c->capacity) &&
        (peer = lea_chan_claim_locked(&c->receivers, woken))) {
        if (LEA_LIKELY(peer->elem != NULL))
            lea_chan_copy(peer->elem, elem, c->elem_bytes);
        return 0;
    }
    if (len == c->capacity)
        return -EAGAIN;
    lea_chan_copy(lea_chan_tail(c, len), elem, c->elem_bytes);
    lea_u32_store_rlx(&c->len, len + 1); /* relaxed: CHAN publishes it */
    return 0;
}

/*
 * The oldest element into @out (NULL: nowhere), if that need not wait. Returns: 0; -EPIPE; -EAGAIN.
 */
static inline int lea_chan_recv_locked(struct leat_chan *c, uintptr_t w, void *out,
                                       struct lea_woken *woken)
{
    uint32_t len = lea_u32_load_rlx(&c->len); /* relaxed: ours */
    struct lea_chan_waiter *peer = NULL;

    if (len) {
        if (LEA_LIKELY(out != NULL))
            lea_chan_copy(out, lea_chan_slot(c, c->head), c->elem_bytes);
        lea_chan_head_on(c);
        if (c->senders.first && !LEA_MUTATED(CHAN_REFILL) &&
            (peer = lea_chan_claim_locked(&c->senders, woken)))
            lea_chan_copy(lea_chan_tail(c, len - 1), peer->elem, c->elem_bytes);
        else
            lea_u32_store_rlx(&c->len, len - 1); /* relaxed: CHAN publishes it */
        return 0;
    }
    if (c->senders.first && (peer = lea_chan_claim_locked(&c->senders, woken))) {
        if (LEA_LIKELY(out != NULL))
            lea_chan_copy(out, peer->elem, c->elem_bytes);
        return 0;
    }
    return w & LEA_CHAN_CLOSED ? -EPIPE : -EAGAIN;
}

/* One of the two; @dir is a constant where it matters. */
static inline int lea_chan_try_locked(struct leat_chan *c, uintptr_t w, enum lea_chan_dir dir,
                                      void *elem, struct lea_woken *woken)
{
    return dir == LEA_CHAN_DIR_SEND ? lea_chan_send_locked(c, w, elem, woken)
                                    : lea_chan_recv_locked(c, w, elem, woken);
}

/*
 * What the word says about an attempt, whoever has the LOCK: that one's work counts from its unlock
 * on. Returns: -EPIPE or -EAGAIN, which is so at this instant; 0: it has to be tried.
 */
static inline int lea_chan_word_says(uintptr_t w, enum lea_chan_dir dir)
{
    if (dir == LEA_CHAN_DIR_SEND)
        return w & LEA_CHAN_CLOSED ? -EPIPE : w & LEA_CHAN_SEND ? 0 : -EAGAIN;
    return w & LEA_CHAN_RECV ? 0 : w & LEA_CHAN_CLOSED ? -EPIPE : -EAGAIN;
}

#endif
