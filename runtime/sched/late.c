/*
 * Coroutines that begin later (leat_attr.start).
 *
 * Such a one waits, like any other that sleeps, before it has begun: with a ticket, a deadline in a
 * timer heap, and without a stack. Whoever ends the wait makes it ready, and its first turn binds a
 * stack as for every new one (loop.c), and looks how the wait has ended.
 *
 * It is parked by whoever spawns it, in the order of every park: the timer is armed first, then the
 * wait is published (lea_co_arm), and after that the spawner has no business with it. The heap is
 * that of the spawner's processor. Without one, or without memory for an entry, it begins at once,
 * and its first turn does the waiting.
 */
#include "base/mutant.h"
#include "sched/sched.h"

void lea_ready_at(struct lea_runtime *rt, struct lea_worker *m, struct lea_co *g, int64_t at_ns)
{
    struct lea_proc *p = m ? m->proc : NULL;
    uintptr_t ticket = lea_co_ticket(g);

    g->late = 1;
    lea_word_store_rlx(&g->until_ns,
                       (uintptr_t)at_ns); /* relaxed: the queue or the timer's lock publishes it */
    if (p && (at_ns == INT64_MAX || lea_timer_arm(&p->timers, g, ticket, at_ns) == 0)) {
        /* relaxed: lea_co_arm() publishes it */
        lea_u32_store_rlx(&g->state, lea_state_waiting(LEA_REASON_START, 0));
        if (lea_co_arm(g, ticket, false) || LEA_MUTATED(LATE_ARM_IGNORED))
            return;
    }
    lea_ready(rt, m, g);
}

__attribute__((noinline)) bool lea_late_begins(struct lea_worker **m)
{
    struct lea_co *g = (*m)->co;
    int64_t at_ns = (int64_t)lea_word_load_rlx(&g->until_ns); /* relaxed: nobody has waited since */

    g->late = 0;
    if (lea_co_wake_code(g) == LEA_WAKE_NONE && !lea_co_cancelled(g))
        (void)lea_park_until(m, LEA_REASON_START, lea_co_ticket(g), at_ns, false);
    if (!lea_co_cancelled(g) || LEA_MUTATED(LATE_BEGINS_CANCELLED))
        return true;
    if (lea_co_site(g)->drop) {
        lea_leave(*m);
        lea_co_site(g)->drop(g->args);
        *m = lea_enter();
    }
    return false;
}
