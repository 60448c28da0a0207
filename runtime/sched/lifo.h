/*
 * The newest coroutines of one processor that have not begun: last in, first out, so that a parent
 * that waits for its children runs the one it spawned last, on warm caches, and fork-join goes
 * depth first: few stacks are alive at once.
 *
 * A bounded stack in a ring of slots. The owner pushes and pops at the top; when it is full, the
 * oldest falls out at the bottom (into the run queue). Thieves take the oldest. The owner moves the
 * oldest to the run queue when it has stood for a millisecond (find.c), so nobody starves.
 *
 * Always: only the owner fills a slot, and only an empty one or one that it empties by the same
 * CAS; anybody empties a slot by CAS. `depth` counts slots below `top` that were filled; thieves
 * leave holes.
 *
 * Ordering pair LIFO-FILL: the owner's release store (or CAS) to a slot  ->  a thief's acquire
 * load: the coroutine is complete.
 *
 * Keys:  (o) written by the owner, read by anybody   (c) changed by CAS, anybody
 */
#ifndef LEA_SCHED_LIFO_H
#define LEA_SCHED_LIFO_H

#include "base/delay.h"
#include "base/mutant.h"
#include "co/co.h"

#ifndef LEA_LIFO_CAP
#define LEA_LIFO_CAP 128u
#endif
#define LEA_LIFO_AGE_NS 1000000

_Static_assert((LEA_LIFO_CAP & (LEA_LIFO_CAP - 1)) == 0, "indices run on over 2^32");

struct lea_lifo {
    lea_u32 top;                 /* (o) next slot to fill, free running */
    lea_u32 depth;               /* (o) */
    lea_word slot[LEA_LIFO_CAP]; /* (c) struct lea_co *, or 0 */
};

/* Empty a slot that held `w`. `alone`: there are no thieves. */
static inline bool lea_lifo_empty_slot(lea_word *slot, uintptr_t w, bool alone)
{
    if (alone || LEA_MUTATED(LIFO_EMPTY_PLAIN)) {
        lea_word_store_rlx(slot, 0); /* relaxed: nobody else looks */
        return true;
    }
    return lea_word_cas(slot, w, 0);
}

/* Owner only. Returns the oldest if it had to make room, else NULL. */
static inline struct lea_co *lea_lifo_push(struct lea_lifo *l, struct lea_co *co, bool alone)
{
    /* relaxed: ours */
    uint32_t top = lea_u32_load_rlx(&l->top), depth = lea_u32_load_rlx(&l->depth);
    lea_word *slot = &l->slot[top % LEA_LIFO_CAP];
    uintptr_t old = lea_word_load_rlx(slot); /* relaxed: only we fill it */

    if (LEA_UNLIKELY(old != 0) && !lea_lifo_empty_slot(slot, old, alone))
        old = 0; /* stolen meanwhile */
    lea_delay_point(LIFO_FILL);
    if (LEA_MUTATED(LIFO_FILL_RELAXED))
        lea_word_store_rlx(slot, (uintptr_t)co);
    else
        lea_word_store_rel(slot, (uintptr_t)co); /* LIFO-FILL */
    lea_u32_store_rlx(&l->top, top + 1);         /* relaxed: says where to look, no more */
    if (depth < LEA_LIFO_CAP)
        /* relaxed: the same; whoever relies on it looks after a full fence */
        lea_u32_store_rlx(&l->depth, depth + 1);
    return (struct lea_co *)old;
}

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

/*
 * Anybody: the slot of the oldest, with what it holds; NULL when there is none. May be wrong at
 * once.
 */
lea_word *lea_lifo_oldest(struct lea_lifo *l, uintptr_t *held);

/* Anybody: are there two or more? The first one's wake-up may be owed, the others' is not. */
bool lea_lifo_several(struct lea_lifo *l);

#endif
