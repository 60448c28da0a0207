/*
 * Channels: sending and receiving, by the plain calls. Contract: include/leat/chan.h; the word,
 * what always holds, and the steps under the lock: chan.h. Making, closing and freeing: life.c.
 */
#include "chan/chan.h"

#include "base/mutant.h"
#include "sched/park.h"
#include "sched/ready.h"
#include "sched/wrong.h"

#include <errno.h>

#define INLINE __attribute__((always_inline)) static inline
#define NOINLINE __attribute__((noinline))

uintptr_t lea_chan_lock_slow(struct leat_chan *c)
{
    unsigned round = 0;

    for (;;) {
        uintptr_t w = lea_word_load_rlx(&c->word); /* relaxed: the CAS decides */

        if (!(w & LEA_CHAN_LOCK) && lea_word_cas(&c->word, w, w | LEA_CHAN_LOCK)) /* CHAN */
            return w;
        lea_relax(&round);
    }
}

static struct lea_waiters *list_of(struct leat_chan *c, enum lea_chan_dir dir)
{
    return dir == LEA_CHAN_DIR_SEND ? &c->senders : &c->receivers;
}

/* A wait in the list has ended. By deadline or cancellation: then the list has to be left. */
static int wait_over(struct leat_chan *c, enum lea_chan_dir dir, struct lea_waiter *waiter,
                     enum lea_wake code, const struct lea_worker *m)
{
    uintptr_t w;

    if (LEA_LIKELY(code == LEA_WAKE_DONE || code == LEA_WAKE_CLOSED)) {
        if (waiter->co)
            lea_waiter_told(waiter);
        return code == LEA_WAKE_DONE ? 0 : -EPIPE;
    }
    w = lea_chan_lock(c, m);
    if (waiter->queued && !LEA_MUTATED(CHAN_WAITER_KEPT))
        lea_waiters_del(list_of(c, dir), waiter);
    (void)lea_chan_unlock(c, w);
    return lea_wake_errno(code);
}

/* The same, and leaves the bracket. */
static NOINLINE int wait_ended(struct leat_chan *c, enum lea_chan_dir dir,
                               struct lea_waiter *waiter, enum lea_wake code, struct lea_worker *m)
{
    int r = wait_over(c, dir, waiter, code, m);

    lea_leave(m);
    return r;
}

/* Ends what lock() began. */
INLINE void unlock(struct leat_chan *c, uintptr_t w, uintptr_t next, bool solo)
{
    lea_chan_unlock_to(c, w, next);
    if (solo)
        lea_solo_end();
}

/* The word behind `w`, when somebody has got into the line. */
INLINE uintptr_t wait_word(uintptr_t w, enum lea_chan_dir dir)
{
    return (w | (dir == LEA_CHAN_DIR_SEND ? LEA_CHAN_RECV : LEA_CHAN_SEND)) + LEA_CHAN_CHANGE;
}

/*
 * The channel is locked, and the attempt of a coroutine has to wait. Unlocks it, and leaves the
 * bracket. Without a deadline nobody ends the wait but who finds it in the list, and cancellation:
 * all of them heed, so that it may be ended in a solo section (`mark`).
 */
INLINE int wait_dir(struct leat_chan *c, void *elem, struct lea_worker *m, int64_t until_ns,
                    uintptr_t w, enum lea_chan_dir dir, bool solo)
{
    struct lea_chan_waiter me;
    enum lea_wake code;
    int r = 0;

    if (LEA_UNLIKELY(until_ns <= 0)) {
        unlock(c, w, lea_chan_next(c, w), solo);
        lea_leave(m);
        return -ETIMEDOUT;
    }
    lea_waiter_begin_co(&me.waiter, m->co);
    lea_waiter_begin_served(&me.waiter);
    lea_co_waits_for(m->co, c);
    me.waiter.mark = until_ns == INT64_MAX;
    me.elem = elem;
    lea_waiters_push_back(list_of(c, dir), &me.waiter);
    /* without LOCK nobody has left a list on the way here */
    unlock(c, w, solo ? wait_word(w, dir) : lea_chan_next(c, w), solo);
    code = LEA_LIKELY(until_ns == INT64_MAX)
               ? lea_park_listed(&m, lea_chan_reason(dir), me.waiter.ticket)
               : lea_park_until(&m, lea_chan_reason(dir), me.waiter.ticket, until_ns, false);
    if (LEA_LIKELY(code == LEA_WAKE_DONE))
        lea_waiter_told(&me.waiter);
    else
        r = wait_over(c, dir, &me.waiter, code, m);
    lea_leave(m);
    return r;
}

/*
 * Of the operations that follow, all functions that are no part of their callers have the same
 * parameters in the same order: then a call costs a jump.
 */
static NOINLINE int wait_send(struct leat_chan *c, void *elem, struct lea_worker *m,
                              int64_t until_ns, uintptr_t w)
{
    return wait_dir(c, elem, m, until_ns, w, LEA_CHAN_DIR_SEND, false);
}

static NOINLINE int wait_recv(struct leat_chan *c, void *elem, struct lea_worker *m,
                              int64_t until_ns, uintptr_t w)
{
    return wait_dir(c, elem, m, until_ns, w, LEA_CHAN_DIR_RECV, false);
}

/* In a solo section, which is left. */
static NOINLINE int wait_solo(struct leat_chan *c, void *elem, struct lea_worker *m,
                              int64_t until_ns, uintptr_t w, enum lea_chan_dir dir)
{
    return wait_dir(c, elem, m, until_ns, w, dir, true);
}

/*
 * The same, and the other side is next: all in one section. Nobody can claim the waiter before it
 * has parked, so there is nothing that it would have to be told.
 */
INLINE int wait_next(struct leat_chan *c, void *elem, struct lea_worker *m, int64_t until_ns,
                     uintptr_t w, enum lea_chan_dir dir)
{
    struct lea_proc *p = m->proc;
    struct lea_co *g = m->co, *next = NULL;
    struct lea_chan_waiter me;
    enum lea_wake code;

    if (LEA_LIKELY(until_ns == INT64_MAX))
        next = lea_park_solo_next(p);
    if (LEA_UNLIKELY(!next))
        return wait_solo(c, elem, m, until_ns, w, dir);
    lea_waiters_link(list_of(c, dir), &me.waiter);
    me.elem = elem;
    lea_waiter_begin_solo(&me.waiter, g, lea_park_solo_arm(m, p, g, next, lea_chan_reason(dir), c));
    unlock(c, w, wait_word(w, dir), true);
    code = lea_park_solo(&m, g, next);
    if (LEA_UNLIKELY(code != LEA_WAKE_DONE))
        return wait_ended(c, dir, &me.waiter, code, m);
    lea_leave(m);
    return 0;
}

static NOINLINE int wait_send_solo(struct leat_chan *c, void *elem, struct lea_worker *m,
                                   int64_t until_ns, uintptr_t w)
{
    return wait_next(c, elem, m, until_ns, w, LEA_CHAN_DIR_SEND);
}

static NOINLINE int wait_recv_solo(struct leat_chan *c, void *elem, struct lea_worker *m,
                                   int64_t until_ns, uintptr_t w)
{
    return wait_next(c, elem, m, until_ns, w, LEA_CHAN_DIR_RECV);
}

/*
 * Whatever there is to be seen to, by a coroutine in a bracket, which is left. @w: 0, or the
 * channel is locked, and this was its word.
 */
static NOINLINE int all_cases(struct leat_chan *c, void *elem, struct lea_worker *m,
                              int64_t until_ns, uintptr_t w, enum lea_chan_dir dir)
{
    struct lea_woken woken = {NULL, NULL, NULL};
    int r;

    if (!w) {
        if (lea_asked(m))
            m = lea_request_obey_park(m);
        if (lea_co_cancelled(m->co)) {
            lea_leave(m);
            return -ECANCELED;
        }
        w = lea_chan_lock(c, m);
    }
    r = lea_chan_try_locked(c, w, dir, elem, &woken);
    if (r == -EAGAIN)
        return dir == LEA_CHAN_DIR_SEND ? wait_send(c, elem, m, until_ns, w)
                                        : wait_recv(c, elem, m, until_ns, w);
    (void)lea_chan_unlock(c, w);
    lea_woken_deliver(&woken, m, m->rt);
    lea_leave(m);
    return r;
}

/* By a plain thread. */
static NOINLINE int of_thread(struct leat_chan *c, enum lea_chan_dir dir, void *elem,
                              int64_t until_ns)
{
    struct lea_runtime *rt = lea_rt_hold();
    struct lea_woken woken = {NULL, NULL, NULL};
    struct lea_chan_waiter me;
    struct lea_worker *m = NULL;
    uintptr_t w = lea_chan_lock(c, NULL);
    int r = lea_chan_try_locked(c, w, dir, elem, &woken);
    bool waits = r == -EAGAIN && until_ns > 0;

    if (waits) {
        lea_waiter_begin(&me.waiter, NULL);
        me.elem = elem;
        lea_waiters_push_back(list_of(c, dir), &me.waiter);
    }
    (void)lea_chan_unlock(c, w);
    lea_woken_deliver(&woken, NULL, rt);
    if (rt)
        lea_rt_drop();
    if (waits)
        r = wait_over(c, dir, &me.waiter,
                      lea_waiter_wait(&me.waiter, &m, lea_chan_reason(dir), until_ns, false), m);
    return r;
}

/* By a plain thread, or of a channel that is NULL: nobody else uses that one. */
static NOINLINE int odd_wait(struct leat_chan *c, enum lea_chan_dir dir, void *elem,
                             int64_t until_ns)
{
    struct lea_worker *m = lea_enter_park();
    struct lea_waiter waiter;
    int r;

    if (c) {
        r = of_thread(c, dir, elem, until_ns);
        return r == -EAGAIN ? -ETIMEDOUT : r;
    }
    if (m && lea_co_cancelled(m->co)) {
        r = -ECANCELED;
    } else {
        lea_waiter_begin(&waiter, m);
        r = lea_wake_errno(lea_waiter_wait(&waiter, &m, lea_chan_reason(dir), until_ns, false));
    }
    if (m)
        lea_leave(m);
    return r;
}

/*
 * The usual way of a coroutine: nothing keeps it from going on, nobody has the channel, the element
 * is small, and who waits on the other side has parked. It makes no call that would come back here,
 * so it keeps little; for everything else there is all_cases(). This is worth a quarter of a
 * rendezvous. There are two of each: with LOCK, and in a solo section, without locked instructions.
 */
INLINE bool usual(const struct lea_worker *m, const struct leat_chan *c)
{
    return LEA_LIKELY(!lea_asked(m) && !lea_co_cancelled(m->co) && c->small);
}

INLINE bool lock(struct leat_chan *c, const struct lea_worker *m, uintptr_t *w, bool solo)
{
    if (!solo)
        return lea_chan_lock_try(c, m, w);
    if (!lea_solo_begin())
        return false;
    *w = lea_chan_solo_lock(c);
    return true;
}

/* Locked, and not the usual way. */
INLINE int unusual(struct leat_chan *c, void *elem, struct lea_worker *m, int64_t until_ns,
                   uintptr_t w, enum lea_chan_dir dir, bool solo)
{
    if (solo)
        lea_chan_solo_keep(c, w);
    return all_cases(c, elem, m, until_ns, w, dir);
}

/* Is the first of those who wait claimed, and off the list? False: that is not the usual way. */
INLINE bool claim_first(struct lea_waiters *list, struct lea_waiter *first, bool solo)
{
    if (solo ? !lea_co_claim_parked_solo(first->co, first->ticket, LEA_WAKE_DONE)
             : !first->co || !lea_co_claim_parked(first->co, first->ticket, LEA_WAKE_DONE))
        return false;
    lea_waiter_tell(first);
    lea_waiters_drop(list, first);
    return true;
}

static NOINLINE int ready_and_leave_all(struct lea_worker *m, struct lea_co *co)
{
    lea_ready_parked(m, co);
    lea_leave(m);
    return 0;
}

/* @solo: a section has just ended. */
INLINE int ready_and_leave(struct lea_worker *m, struct lea_co *co, bool solo)
{
    if (!solo || LEA_UNLIKELY(!lea_ready_alone(m, co)))
        return ready_and_leave_all(m, co);
    lea_leave(m);
    return 0;
}

/* Somebody waits for an element. */
INLINE int send_to_receiver(struct leat_chan *c, void *from, struct lea_worker *m, int64_t until_ns,
                            uintptr_t w, bool solo)
{
    struct lea_waiter *first = lea_waiters_first(&c->receivers);
    void *to = lea_container(first, struct lea_chan_waiter, waiter)->elem;
    struct lea_co *co = first->co;
    uintptr_t next;

    if (LEA_UNLIKELY(!claim_first(&c->receivers, first, solo)))
        return unusual(c, from, m, until_ns, w, LEA_CHAN_DIR_SEND, solo);
    next = w + LEA_CHAN_CHANGE;
    if (!c->receivers.first && lea_u32_load_rlx(&c->len) == c->capacity) /* relaxed: ours */
        next &= ~LEA_CHAN_SEND;
    if (LEA_LIKELY(to != NULL))
        lea_chan_copy_small(to, from, c->elem_bytes);
    unlock(c, w, next, solo);
    return ready_and_leave(m, co, solo);
}

static NOINLINE int send_to_receiver_locked(struct leat_chan *c, void *from, struct lea_worker *m,
                                            int64_t until_ns, uintptr_t w)
{
    return send_to_receiver(c, from, m, until_ns, w, false);
}

static NOINLINE int send_to_receiver_solo(struct leat_chan *c, void *from, struct lea_worker *m,
                                          int64_t until_ns, uintptr_t w)
{
    if (LEA_LIKELY(lea_waiters_first(&c->receivers)->mark))
        return send_to_receiver(c, from, m, until_ns, w, true);
    lea_chan_solo_keep(c, w);
    return send_to_receiver_locked(c, from, m, until_ns, w);
}

INLINE int send_usual(struct leat_chan *c, void *from, struct lea_worker *m, int64_t until_ns,
                      bool solo)
{
    uintptr_t w = 0, next;
    uint32_t len;

    lea_tick(m);
    if (LEA_UNLIKELY(!usual(m, c) || !lock(c, m, &w, solo)))
        return all_cases(c, from, m, until_ns, 0, LEA_CHAN_DIR_SEND);
    if (LEA_UNLIKELY(w & LEA_CHAN_CLOSED))
        return unusual(c, from, m, until_ns, w, LEA_CHAN_DIR_SEND, solo);
    if (c->receivers.first && !(LEA_MUTATED(CHAN_PAST_RING) && c->capacity))
        return solo ? send_to_receiver_solo(c, from, m, until_ns, w)
                    : send_to_receiver_locked(c, from, m, until_ns, w);
    len = lea_u32_load_rlx(&c->len); /* relaxed: ours */
    if (len == c->capacity)
        return solo ? wait_send_solo(c, from, m, until_ns, w) : wait_send(c, from, m, until_ns, w);
    lea_chan_copy_small(lea_chan_tail(c, len), from, c->elem_bytes);
    lea_u32_store_rlx(&c->len, len + 1); /* relaxed: CHAN publishes it */
    next = (w | LEA_CHAN_RECV) + LEA_CHAN_CHANGE;
    if (len + 1 == c->capacity)
        next &= ~LEA_CHAN_SEND;
    unlock(c, w, next, solo);
    lea_leave(m);
    return 0;
}

static NOINLINE int send_locked(struct leat_chan *c, void *from, struct lea_worker *m,
                                int64_t until_ns)
{
    return send_usual(c, from, m, until_ns, false);
}

static NOINLINE int send_solo(struct leat_chan *c, void *from, struct lea_worker *m,
                              int64_t until_ns)
{
    return send_usual(c, from, m, until_ns, true);
}

INLINE int send_any(struct leat_chan *c, const void *elem, int64_t until_ns)
{
    struct lea_worker *m = lea_self();
    void *from = (void *)(uintptr_t)elem;

    if (LEA_UNLIKELY(!c || !m))
        return odd_wait(c, LEA_CHAN_DIR_SEND, from, until_ns);
    return LEA_LIKELY(lea_solo_is_on()) ? send_solo(c, from, m, until_ns)
                                        : send_locked(c, from, m, until_ns);
}

int leat_chan_send(leat_chan *c, const void *elem, leat_deadline until)
{
    return send_any(c, elem, until.ns);
}

/* Somebody waits to send. @len: elements in the ring; when there are any, it is full. */
INLINE int recv_from_sender(struct leat_chan *c, void *out, struct lea_worker *m, int64_t until_ns,
                            uintptr_t w, uint32_t len, bool solo)
{
    struct lea_waiter *first = lea_waiters_first(&c->senders);
    const void *from = lea_container(first, struct lea_chan_waiter, waiter)->elem;
    struct lea_co *co = first->co;
    uintptr_t next;

    if (LEA_UNLIKELY(!claim_first(&c->senders, first, solo)))
        return unusual(c, out, m, until_ns, w, LEA_CHAN_DIR_RECV, solo);
    next = w + LEA_CHAN_CHANGE;
    if (len) { /* its oldest element goes out, and the sender's comes in */
        if (LEA_LIKELY(out != NULL))
            lea_chan_copy_small(out, lea_chan_slot(c, c->head), c->elem_bytes);
        lea_chan_head_on(c);
        lea_chan_copy_small(lea_chan_tail(c, len - 1), from, c->elem_bytes);
    } else {
        if (!c->senders.first)
            next &= ~LEA_CHAN_RECV;
        if (LEA_LIKELY(out != NULL))
            lea_chan_copy_small(out, from, c->elem_bytes);
    }
    unlock(c, w, next, solo);
    return ready_and_leave(m, co, solo);
}

static NOINLINE int recv_from_sender_locked(struct leat_chan *c, void *out, struct lea_worker *m,
                                            int64_t until_ns, uintptr_t w)
{
    /* relaxed: ours */
    return recv_from_sender(c, out, m, until_ns, w, lea_u32_load_rlx(&c->len), false);
}

static NOINLINE int recv_through_ring_solo(struct leat_chan *c, void *out, struct lea_worker *m,
                                           int64_t until_ns, uintptr_t w)
{
    /* relaxed: ours */
    return recv_from_sender(c, out, m, until_ns, w, lea_u32_load_rlx(&c->len), true);
}

static NOINLINE int recv_from_sender_solo(struct leat_chan *c, void *out, struct lea_worker *m,
                                          int64_t until_ns, uintptr_t w)
{
    if (LEA_UNLIKELY(!lea_waiters_first(&c->senders)->mark)) {
        lea_chan_solo_keep(c, w);
        return recv_from_sender_locked(c, out, m, until_ns, w);
    }
    if (lea_u32_load_rlx(&c->len)) /* relaxed: ours */
        return recv_through_ring_solo(c, out, m, until_ns, w);
    return recv_from_sender(c, out, m, until_ns, w, 0, true);
}

INLINE int recv_usual(struct leat_chan *c, void *out, struct lea_worker *m, int64_t until_ns,
                      bool solo)
{
    uintptr_t w = 0, next;
    uint32_t len;

    lea_tick(m);
    if (LEA_UNLIKELY(!usual(m, c) || !lock(c, m, &w, solo)))
        return all_cases(c, out, m, until_ns, 0, LEA_CHAN_DIR_RECV);
    len = lea_u32_load_rlx(&c->len); /* relaxed: ours */
    if (c->senders.first && !(LEA_MUTATED(CHAN_REFILL) && len))
        return solo ? recv_from_sender_solo(c, out, m, until_ns, w)
                    : recv_from_sender_locked(c, out, m, until_ns, w);
    if (!len) {
        if (LEA_UNLIKELY(w & LEA_CHAN_CLOSED))
            return unusual(c, out, m, until_ns, w, LEA_CHAN_DIR_RECV, solo);
        return solo ? wait_recv_solo(c, out, m, until_ns, w) : wait_recv(c, out, m, until_ns, w);
    }
    if (LEA_LIKELY(out != NULL))
        lea_chan_copy_small(out, lea_chan_slot(c, c->head), c->elem_bytes);
    lea_chan_head_on(c);
    lea_u32_store_rlx(&c->len, len - 1); /* relaxed: CHAN publishes it */
    next = (w | LEA_CHAN_SEND) + LEA_CHAN_CHANGE;
    if (len == 1)
        next &= ~LEA_CHAN_RECV;
    unlock(c, w, next, solo);
    lea_leave(m);
    return 0;
}

static NOINLINE int recv_locked(struct leat_chan *c, void *out, struct lea_worker *m,
                                int64_t until_ns)
{
    return recv_usual(c, out, m, until_ns, false);
}

static NOINLINE int recv_solo(struct leat_chan *c, void *out, struct lea_worker *m,
                              int64_t until_ns)
{
    return recv_usual(c, out, m, until_ns, true);
}

INLINE int recv_any(struct leat_chan *c, void *out, int64_t until_ns)
{
    struct lea_worker *m = lea_self();

    if (LEA_UNLIKELY(!c || !m))
        return odd_wait(c, LEA_CHAN_DIR_RECV, out, until_ns);
    return LEA_LIKELY(lea_solo_is_on()) ? recv_solo(c, out, m, until_ns)
                                        : recv_locked(c, out, m, until_ns);
}

int leat_chan_recv(leat_chan *c, void *out, leat_deadline until)
{
    return recv_any(c, out, until.ns);
}

INLINE int at_once(struct leat_chan *c, enum lea_chan_dir dir, void *elem)
{
    struct lea_woken woken = {NULL, NULL, NULL};
    struct lea_worker *m;
    uintptr_t w;
    int r;

    if (LEA_UNLIKELY(!c))
        return -EAGAIN;
    r = lea_chan_word_says(lea_word_load_acq(&c->word), dir); /* CHAN */
    if (r < 0)
        return r;
    m = lea_solo_enter_any();
    if (LEA_UNLIKELY(!m))
        return of_thread(c, dir, elem, 0);
    w = lea_chan_lock(c, m);
    r = lea_chan_try_locked(c, w, dir, elem, &woken);
    (void)lea_chan_unlock(c, w);
    lea_woken_deliver(&woken, m, m->rt);
    lea_leave(m);
    return r;
}

INLINE void check_bytes(const struct leat_chan *c, size_t bytes, const char *call)
{
    LEA_RIGHT(!c || bytes == c->elem_bytes, call,
              "channel %p has elements of %u bytes, this one has %zu", (const void *)c,
              c->elem_bytes, bytes);
}

int leat_chan_send_try(leat_chan *c, const void *elem)
{
    return at_once(c, LEA_CHAN_DIR_SEND, (void *)(uintptr_t)elem);
}

int leat_chan_recv_try(leat_chan *c, void *out)
{
    return at_once(c, LEA_CHAN_DIR_RECV, out);
}

int leat_chan_put_(leat_chan *c, const void *elem, size_t bytes, leat_deadline until)
{
    check_bytes(c, bytes, "leat_chan_put");
    return send_any(c, elem, until.ns);
}

int leat_chan_get_(leat_chan *c, void *out, size_t bytes, leat_deadline until)
{
    check_bytes(c, bytes, "leat_chan_get");
    return recv_any(c, out, until.ns);
}

int leat_chan_put_try_(leat_chan *c, const void *elem, size_t bytes)
{
    check_bytes(c, bytes, "leat_chan_put_try");
    return leat_chan_send_try(c, elem);
}

int leat_chan_get_try_(leat_chan *c, void *out, size_t bytes)
{
    check_bytes(c, bytes, "leat_chan_get_try");
    return leat_chan_recv_try(c, out);
}
