/*
 * The bottom side of the stack of new coroutines. Invariants and the ordering pair: lifo.h.
 */
#include "sched/lifo.h"

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
