/*
 * Channels: making, closing, freeing, asking. Contract: include/leat/chan.h; what always holds:
 * chan.h.
 */
#include "chan/chan.h"

#include "base/mutant.h"
#include "mem/heap.h"
#include "sched/ready.h"
#include "sched/wrong.h"

#include <errno.h>

#define RING_MAX ((size_t)1 << 46) /* no process has so much */

/* --- closing --- */

/* *early: those that have not parked yet, linked by `next`; to be told after the unlock. */
static void claim_all(struct lea_waiters *waiters, struct lea_wakes *wakes,
                      struct lea_waiter **early)
{
    struct lea_waiter *w;

    while ((w = lea_waiters_pop(waiters))) {
        struct lea_woken one = {NULL, NULL, NULL};

        (void)lea_waiter_claim_one(w, LEA_WAKE_CLOSED, &one);
        if (one.co)
            lea_ready_list_add(&wakes->ready, one.co);
        if (one.thread) {
            one.thread->next = wakes->threads;
            wakes->threads = one.thread;
        }
        if (one.early) {
            w->next = *early;
            *early = w;
        }
    }
}

static void tell_all(struct lea_waiter *early)
{
    while (early) {
        struct lea_woken one = {NULL, NULL, early};

        early = early->next;
        lea_woken_deliver(&one, NULL, NULL);
    }
}

int leat_chan_close(leat_chan *c)
{
    struct lea_worker *m;
    struct lea_waiter *early = NULL;
    struct lea_wakes wakes;
    uintptr_t w;

    if (!c)
        return -EINVAL;
    m = lea_enter();
    lea_wakes_begin(&wakes, m);
    w = lea_chan_lock(c, m);
    if (!(w & LEA_CHAN_CLOSED)) {
        claim_all(&c->receivers, &wakes, &early);
        if (!LEA_MUTATED(CHAN_CLOSE_SENDERS))
            claim_all(&c->senders, &wakes, &early);
    }
    (void)lea_chan_unlock(c, w | LEA_CHAN_CLOSED);
    tell_all(early);
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return w & LEA_CHAN_CLOSED ? -EPIPE : 0;
}

/* --- making, freeing, asking --- */

/* Whole lines: blocks of such sizes begin with one, in jemalloc. */
static size_t chan_bytes(size_t elem_bytes, size_t capacity)
{
    return (sizeof(struct leat_chan) + elem_bytes * capacity + LEA_CACHELINE - 1) &
           ~(size_t)(LEA_CACHELINE - 1);
}

int leat_chan_make(leat_chan **out, size_t elem_bytes, size_t capacity)
{
    struct lea_worker *m;
    struct leat_chan *c;

    if (!out)
        return -EINVAL;
    *out = NULL;
    if (elem_bytes > LEAT_CHAN_ELEM_MAX)
        return -EINVAL;
    if (capacity >= UINT32_MAX || elem_bytes * capacity > RING_MAX)
        return -ENOMEM;
    m = lea_enter();
    c = lea_heap_alloc(chan_bytes(elem_bytes, capacity));
    if (LEA_LIKELY(c != NULL)) {
        memset(c, 0, sizeof(*c));
        c->elem_bytes = (uint32_t)elem_bytes;
        c->capacity = (uint32_t)capacity;
        c->small = lea_chan_is_small(elem_bytes);
        lea_u32_store_rlx(&c->refs, 1); /* relaxed: not shared yet */
        lea_word_store_rlx(&c->word,
                           LEA_CHAN_CHANGE |
                               (capacity ? LEA_CHAN_SEND : 0)); /* relaxed: as above; never 0 */
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    *out = c;
    return c ? 0 : -ENOMEM;
}

leat_chan *leat_chan_ref(leat_chan *c)
{
    if (c)
        (void)lea_u32_add(&c->refs, 1);
    return c;
}

void leat_chan_unref(leat_chan *c)
{
    struct lea_worker *m;
    uint32_t refs;

    if (!c)
        return;
    /* the last one sees what the others did before they let go */
    refs = lea_u32_add(&c->refs, (uint32_t)-1);
    LEA_RIGHT(refs != 0, "leat_chan_unref", "channel %p has no reference left", (void *)c);
    if (refs > 1)
        return;
    LEA_RIGHT(!(lea_word_load_acq(&c->word) & LEA_CHAN_LOCK) && !c->receivers.first &&
                  !c->senders.first,
              "leat_chan_unref",
              "this is the last reference to channel %p, and somebody still uses it", (void *)c);
    m = lea_enter();
    lea_heap_free(c, chan_bytes(c->elem_bytes, c->capacity));
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

size_t leat_chan_len(const leat_chan *c)
{
    return c ? lea_u32_load_rlx(&c->len) : 0; /* relaxed: a number of one moment */
}

size_t leat_chan_cap(const leat_chan *c)
{
    return c ? c->capacity : 0;
}

bool leat_chan_closed(const leat_chan *c)
{
    return c && (lea_word_load_acq(&c->word) & LEA_CHAN_CLOSED); /* CHAN */
}
