/*
 * The newest coroutines of one processor that have not begun: last in, first out, so that a parent
 * that waits for its children runs the one it spawned last, on warm caches, and fork-join goes
 * depth first: few stacks are alive at once.
 *
 * A bounded stack in a ring of slots. The owner pushes and pops at the top, and sheds the older
 * half at the bottom when it is full. Thieves take the oldest. Where those go that were shed, and
 * how the oldest come to their turn all the same: fresh.h.
 *
 * Always: only the owner fills a slot, and only an empty one; anybody empties a slot by CAS, and
 * the owner, while it sheds, by plain stores unless there is a thief. `depth` counts slots below
 * `top` that were filled, all others are empty; thieves leave holes.
 *
 * Ordering pairs.
 *  LIFO-FILL  the owner's release store to a slot  ->  a thief's acquire load: the coroutine is
 *             complete.
 *  LIFO-SHED  (law 3) the owner sets `shedding`, fence, reads `thieves`; a thief counts itself
 *             there, fence, reads `shedding`: the owner takes by CAS, or the thief takes nothing.
 *             And the release that clears `shedding` -> a thief's acquire of it: the slots are
 *             empty.
 *
 * Keys:  (o) written by the owner, read by anybody   (c) changed by CAS, anybody, but as said above
 */
#ifndef LEA_SCHED_LIFO_H
#define LEA_SCHED_LIFO_H

#include "base/delay.h"
#include "base/mutant.h"
#include "co/co.h"

#ifndef LEA_LIFO_CAP
#define LEA_LIFO_CAP 128u
#endif

_Static_assert((LEA_LIFO_CAP & (LEA_LIFO_CAP - 1)) == 0, "indices run on over 2^32");

struct lea_lifo {
    lea_u32 top;                 /* (o) next slot to fill, free running */
    lea_u32 depth;               /* (o) */
    lea_u32 shedding;            /* (o) 1: thieves keep off */
    lea_u32 thieves;             /* that are about to empty a slot; they add themselves */
    lea_word slot[LEA_LIFO_CAP]; /* (c) struct lea_co *, or 0 */
};

/* Empty a slot that held `w`. @plain: nobody else takes from it (no other processor, LIFO-SHED). */
static inline bool lea_lifo_empty_slot(lea_word *slot, uintptr_t w, bool plain)
{
    if (plain || LEA_MUTATED(LIFO_EMPTY_PLAIN)) {
        lea_word_store_rlx(slot, 0); /* relaxed: who reads it meanwhile takes nothing */
        return true;
    }
    return lea_word_cas(slot, w, 0);
}

/* Owner only. */
static inline bool lea_lifo_full(const struct lea_lifo *l)
{
    return lea_u32_load_rlx(&l->depth) == LEA_LIFO_CAP; /* relaxed: ours */
}

/* Owner only; not into a full one. */
static inline void lea_lifo_push(struct lea_lifo *l, struct lea_co *co)
{
    uint32_t top = lea_u32_load_rlx(&l->top); /* relaxed: ours */
    lea_word *slot = &l->slot[top % LEA_LIFO_CAP];

    lea_delay_point(LIFO_FILL);
    if (LEA_MUTATED(LIFO_FILL_RELAXED))
        lea_word_store_rlx(slot, (uintptr_t)co);
    else
        lea_word_store_rel(slot, (uintptr_t)co); /* LIFO-FILL */
    lea_u32_store_rlx(&l->top, top + 1);         /* relaxed: says where to look, no more */
    /* relaxed: the same; whoever relies on it looks after a full fence */
    lea_u32_store_rlx(&l->depth, lea_u32_load_rlx(&l->depth) + 1);
}

/* Owner only, there is room: co[n - 1] first, so that co[0] stands on top. */
void lea_lifo_push_many(struct lea_lifo *l, struct lea_co *const *co, uint32_t n);

/* Owner only. The newest, or NULL. */
static inline struct lea_co *lea_lifo_pop(struct lea_lifo *l, bool alone)
{
    uint32_t depth = lea_u32_load_rlx(&l->depth); /* relaxed: ours */

    while (depth > 0) {
        uint32_t top = lea_u32_load_rlx(&l->top) - 1; /* relaxed: ours */
        lea_word *slot = &l->slot[top % LEA_LIFO_CAP];
        uintptr_t w = lea_word_load_rlx(slot); /* relaxed: only we fill it */

        lea_u32_store_rlx(&l->top, top);       /* relaxed: says where to look, no more */
        lea_u32_store_rlx(&l->depth, --depth); /* relaxed: the same */
        if (w && lea_lifo_empty_slot(slot, w, alone))
            return (struct lea_co *)w;
    }
    return NULL;
}

/* Owner only: who comes next, as a hint; NULL: nobody, or a hole. */
static inline const struct lea_co *lea_lifo_peek(const struct lea_lifo *l)
{
    /* relaxed: a hint */
    return (const struct lea_co *)lea_word_load_rlx(
        &l->slot[(lea_u32_load_rlx(&l->top) - 1) % LEA_LIFO_CAP]);
}

/*
 * Owner only, it is full: takes the older half out of it into out[LEA_LIFO_CAP / 2], the oldest
 * first. Returns how many, which may be 0 where thieves were faster; it has room now.
 */
uint32_t lea_lifo_shed(struct lea_lifo *l, bool alone, struct lea_co **out);

/*
 * Anybody: the slot of the oldest, with what it holds; NULL when there is none. May be wrong at
 * once.
 */
lea_word *lea_lifo_oldest(struct lea_lifo *l, uintptr_t *held);

/*
 * Anybody but the owner: take what a slot held a while ago. False: somebody was faster, or the
 * owner sheds.
 */
bool lea_lifo_steal(struct lea_lifo *l, lea_word *slot, uintptr_t held);

/* Anybody: are there two or more? The first one's wake-up may be owed, the others' is not. */
bool lea_lifo_several(struct lea_lifo *l);

#endif
