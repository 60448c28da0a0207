/*
 * sched/extra.h - the life of extras, and the way into them. What is under which lock: co/extra.h.
 */
#ifndef LEA_SCHED_EXTRA_H
#define LEA_SCHED_EXTRA_H

#include "co/extra.h"
#include "sched/runtime.h"

struct lea_extra *lea_extra_make(struct lea_runtime *rt, struct lea_proc *p, struct lea_co *co);

/*
 * Of a coroutine that has not begun, or the running one's. @p: the caller's processor, NULL none.
 * NULL: no memory.
 */
static inline struct lea_extra *lea_extra_get(struct lea_runtime *rt, struct lea_proc *p,
                                              struct lea_co *co)
{
    if (LEA_LIKELY(lea_word_load_rlx(&co->wait) & LEA_WAIT_EXTRA)) /* relaxed: its own */
        return co->extra;
    return lea_extra_make(rt, p, co);
}

/*
 * The end of a coroutine that has one: nobody looks into it any more afterwards. Not on anybody's
 * list by now.
 */
void lea_extra_end(struct lea_co *co);

/* Of coroutines whose memory goes back to the slab, n of them. */
void lea_extra_free_all(struct lea_runtime *rt, void **cos, unsigned n);

void lea_extra_name(struct lea_extra *x, const char *name);

uintptr_t lea_extra_enter_slow(struct lea_co *co);

/* The running coroutine goes in. Returns its wait word, as it is now. */
static inline uintptr_t lea_extra_enter(struct lea_co *co)
{
    uintptr_t w;

    lea_u32_store_rlx(&co->extra->busy, 1); /* relaxed: the fence orders it */
    if (!LEA_MUTATED(EXTRA_BUSY_FENCE))
        lea_fence_full(); /* EXTRA-BUSY */
    lea_delay_point(EXTRA_BUSY);
    w = lea_word_load_acq(&co->wait); /* EXTRA-BUSY */
    return LEA_LIKELY(!(w & LEA_WAIT_LOCK)) ? w : lea_extra_enter_slow(co);
}

static inline void lea_extra_leave(struct lea_co *co)
{
    lea_u32_store_rel(&co->extra->busy, 0); /* EXTRA-BUSY */
}

/*
 * Anybody, on whose behalf ever: the coroutine itself may, but not while it is inside. False: it
 * has no extra, or has ended.
 */
bool lea_extra_lock(struct lea_co *co);
void lea_extra_unlock(struct lea_co *co);

/* Under LOCK, or where the coroutine cannot end: it cannot until the pin is taken back. */
static inline void lea_extra_pin(struct lea_co *co)
{
    (void)lea_u32_add(&co->extra->pins, 1);
}

static inline void lea_extra_unpin(struct lea_co *co)
{
    (void)lea_u32_add(&co->extra->pins, (uint32_t)-1);
}

#endif
