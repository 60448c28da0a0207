/*
 * Many at once, and the bottom side of the stack of new coroutines. Invariants and ordering pairs:
 * lifo.h.
 */
#include "sched/lifo.h"

void lea_lifo_push_many(struct lea_lifo *l, struct lea_co *const *co, uint32_t n)
{
    uint32_t top = lea_u32_load_rlx(&l->top) + n; /* relaxed: ours */

    for (uint32_t i = 0; i < n; i++)
        lea_word_store_rel(&l->slot[(top - 1 - i) % LEA_LIFO_CAP],
                           (uintptr_t)co[i]); /* LIFO-FILL */
    lea_u32_store_rlx(&l->top, top);          /* relaxed: says where to look, no more */
    /* relaxed: the same; whoever relies on it looks after a full fence */
    lea_u32_store_rlx(&l->depth, lea_u32_load_rlx(&l->depth) + n);
}

uint32_t lea_lifo_shed(struct lea_lifo *l, bool alone, struct lea_co **out)
{
    uint32_t depth = lea_u32_load_rlx(&l->depth), bottom; /* relaxed: ours */
    uint32_t n = 0, half = LEA_LIFO_CAP / 2;
    bool plain = alone;

    if (!alone) {
        lea_u32_store_rlx(&l->shedding, 1); /* relaxed: LIFO-SHED */
        lea_delay_point(LIFO_SHED);
        if (!LEA_MUTATED(LIFO_SHED_FENCE))
            lea_fence_full();                       /* LIFO-SHED */
        plain = lea_u32_load_acq(&l->thieves) == 0; /* LIFO-SHED */
    }
    bottom = lea_u32_load_rlx(&l->top) - depth; /* relaxed: ours */
    for (uint32_t i = 0; i < half; i++) {
        lea_word *slot = &l->slot[(bottom + i) % LEA_LIFO_CAP];
        uintptr_t w = lea_word_load_rlx(slot); /* relaxed: only we fill it */

        if (w && lea_lifo_empty_slot(slot, w, plain))
            out[n++] = (struct lea_co *)w;
    }
    lea_u32_store_rlx(&l->depth, depth - half); /* relaxed: says where to look, no more */
    if (!alone)
        lea_u32_store_rel(&l->shedding, 0); /* LIFO-SHED */
    return n;
}

bool lea_lifo_steal(struct lea_lifo *l, lea_word *slot, uintptr_t held)
{
    bool taken;

    (void)lea_u32_add(&l->thieves, 1);
    lea_fence_after_rmw(); /* LIFO-SHED */
    lea_delay_point(LIFO_SHED);
    taken = (!lea_u32_load_acq(&l->shedding) || LEA_MUTATED(LIFO_SHED_BLIND)) && /* LIFO-SHED */
            lea_word_cas(slot, held, 0);
    (void)lea_u32_add(&l->thieves, (uint32_t)-1);
    return taken;
}

lea_word *lea_lifo_oldest(struct lea_lifo *l, uintptr_t *held)
{
    uint32_t depth = lea_u32_load_acq(&l->depth), top = lea_u32_load_acq(&l->top);

    for (uint32_t i = depth; i > 0; i--) {
        lea_word *slot = &l->slot[(top - i) % LEA_LIFO_CAP];

        *held = lea_word_load_acq(slot); /* LIFO-FILL */
        if (*held)
            return slot;
    }
    return NULL;
}

bool lea_lifo_several(struct lea_lifo *l)
{
    uint32_t depth = lea_u32_load_acq(&l->depth), top = lea_u32_load_acq(&l->top), n = 0;

    for (uint32_t i = depth; i > 0 && n < 2; i--)
        n += lea_word_load_acq(&l->slot[(top - i) % LEA_LIFO_CAP]) != 0;
    return n >= 2;
}
