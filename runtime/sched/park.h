/*
 * sched/park.h - the usual exchange of a run with one processor, in a solo section (solo.h): who
 * waits has handed the other side what it needs, and that one is in the next slot. Its parking is
 * some stores in the section that has put it into a list, and a switch.
 *
 * Why no commit: whoever ends the wait after the section makes the coroutine ready, and nobody but
 * this processor can run it, after the switch (as in park.c).
 * Why no second look at the wait word: only cancellation ends a wait that is in no list yet, and
 * who cancels from elsewhere has heeded. What was not cancelled before the section is not within.
 */
#ifndef LEA_SCHED_PARK_H
#define LEA_SCHED_PARK_H

#include "sched/loop.h"
#include "sched/solo.h"

/*
 * Whom lea_find_local() would take from the next slot; it is taken. NULL: it would look elsewhere
 * too, or has to do more; nothing has changed. While nobody waits in a ring or on the stack of new
 * ones, turns from `next` have no price.
 */
static inline struct lea_co *lea_park_solo_next(struct lea_proc *p)
{
    struct lea_co *next = (struct lea_co *)lea_word_load_rlx(&p->next); /* relaxed: ours */

    if (LEA_UNLIKELY(!next || !next->stack || p->ring_mask || p->turns_left <= 1 || p->trace ||
                     lea_u32_load_rlx(&p->lifo.depth))) /* relaxed: ours */
        return NULL;
    p->turns_left--;
    lea_word_store_rlx(&p->next, 0); /* relaxed: nobody else looks */
    return next;
}

/*
 * The wait of the running coroutine `g`, not shielded, begins, and has parked as far as its
 * claimers are concerned: `next` counts as the running one, for reports too. Returns its ticket.
 * After the end of the section lea_park_solo() follows at once.
 */
static inline uintptr_t lea_park_solo_arm(struct lea_worker *m, struct lea_proc *p,
                                          struct lea_co *g, struct lea_co *next,
                                          enum lea_reason reason, const void *object)
{
    uintptr_t w;

    if (LEA_MUTATED(SOLO_ARM_OUTSIDE))
        lea_solo_end();
    w = lea_word_load_rlx(&g->wait); /* relaxed: nobody else changes it now */
    LEA_ASSERT(!(w & LEA_WAIT_CANCEL) && p->alone);
    if (!LEA_MUTATED(SOLO_TWO_PLACES))
        m->co = next; /* not in two places when it is made ready */
    lea_co_waits_for(g, object);
    lea_u32_store_rlx(&g->state, lea_state_waiting(reason, 0));
    lea_word_store_rlx(&g->wait, w | LEA_WAIT_PARKED); /* both relaxed: SOLO publishes them */
    lea_count(p, LEA_COUNT_PARKED, 1);
    return lea_wait_seq(w);
}

/* Switches to `next`. Returns how the wait has ended. */
static inline enum lea_wake lea_park_solo(struct lea_worker **m, struct lea_co *g,
                                          struct lea_co *next)
{
    LEA_ASSERT(lea_lock_none_held());
    *m = lea_loop_switch(*m, g, next);
    return lea_co_wake_code((*m)->co); /* less to keep over the switch than `g` */
}

#endif
