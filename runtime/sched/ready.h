/*
 * sched/ready.h - making coroutines ready on the caller's own processor.
 *
 * A coroutine that is readied goes into the next slot, if it is at least as urgent as whoever
 * readies it, and the former one to the ring's tail. One that is new goes onto the stack of new
 * ones by the same rule (lifo.h). Low ones always go to their ring: they would overtake. Into an
 * empty slot or stack it only owes a wake-up: the usual exchange parks at once and takes it. The
 * debt is paid when a second one is readied, by a searcher, or at the monitor's next look. Without
 * a monitor nobody would pay it for an owner whose turn goes on: then every one is woken for at
 * once.
 */
#ifndef LEA_SCHED_READY_H
#define LEA_SCHED_READY_H

#include "base/check.h"
#include "sched/find.h"
#include "sched/fresh.h"
#include "sched/gather.h"
#include "sched/idle.h"
#include "sched/sched.h"

/* Owner only: put into the slot, return who was there. */
static inline struct lea_co *lea_next_put(struct lea_proc *p, struct lea_co *g)
{
    uintptr_t old = lea_word_load_rlx(&p->next); /* relaxed: only we fill it */

    if (old == 0 || p->alone) {
        /*
         * thieves take the slot with a CAS from what they read: nobody but us changes it from empty
         */
        lea_word_store_rel(&p->next, (uintptr_t)g);
        return (struct lea_co *)old;
    }
    if (lea_word_cas(&p->next, old, (uintptr_t)g))
        return (struct lea_co *)old;
    lea_word_store_rel(&p->next, (uintptr_t)g); /* stolen meanwhile */
    return NULL;
}

/* Owner only. `by`: the class of whoever readies it. */
static inline void lea_ready_local(struct lea_proc *p, struct lea_co *g, unsigned by)
{
    if (!p->alone)
        lea_gather_note(p, g);
    lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue publishes it */
    if (g->prio_class <= by && g->prio_class != LEA_CLASS_LOW) {
        g = lea_next_put(p, g);
        if (!g) {
            if (LEA_UNLIKELY(p->unwatched))
                lea_idle_published(p->rt, p);
            return;
        }
    }
    lea_ring_push(p, g);
    if (!p->alone)
        lea_idle_published_local(p->rt, p);
}

/* As lea_ready(), for one that was claimed and had parked. */
static inline void lea_ready_parked(struct lea_worker *m, struct lea_co *g)
{
    struct lea_proc *p = m->proc;

    if (LEA_UNLIKELY(!p || p->trace)) {
        lea_ready(m->rt, m, g);
        return;
    }
    lea_count(p, LEA_COUNT_READIED, 1);
    lea_ready_local(p, g, m->co->prio_class);
}

/*
 * As lea_ready_parked(), by the only processor, where that is one store into an empty next slot.
 * False: it is more; nothing has changed.
 */
static inline bool lea_ready_alone(struct lea_worker *m, struct lea_co *g)
{
    struct lea_proc *p = m->proc;

    if (LEA_UNLIKELY(lea_word_load_rlx(&p->next) || p->trace || /* relaxed: ours */
                     g->prio_class > m->co->prio_class || g->prio_class == LEA_CLASS_LOW))
        return false;
    LEA_ASSERT(p->alone);
    lea_u32_store_rlx(&g->state, LEA_READY); /* both relaxed: nobody else takes it */
    lea_word_store_rlx(&p->next, (uintptr_t)g);
    lea_count(p, LEA_COUNT_READIED, 1);
    return true;
}

/* Owner only: as lea_ready_local(), for one that has not begun. */
static inline void lea_ready_new(struct lea_proc *p, struct lea_co *g, unsigned by)
{
    lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue publishes it */
    if (LEA_LIKELY(g->prio_class <= by && g->prio_class != LEA_CLASS_LOW)) {
        bool first = lea_u32_load_rlx(&p->lifo.depth) == 0; /* relaxed: ours */

        if (LEA_UNLIKELY(lea_lifo_full(&p->lifo)))
            lea_fresh_sink(p);
        lea_lifo_push(&p->lifo, g);
        if (first && LEA_LIKELY(!p->unwatched))
            return;
    } else {
        lea_ring_push(p, g);
    }
    if (!p->alone)
        lea_idle_published_local(p->rt, p);
}

/*
 * Owner only: a batch goes to the rings, with one wake-up at the end. @may_owe: which it only owes
 * if all that waits here is brief.
 */
void lea_ready_local_list(struct lea_proc *p, struct lea_ready_list *list, bool may_owe);

#endif
