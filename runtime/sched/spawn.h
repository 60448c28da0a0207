/*
 * sched/spawn.h - birth and death of coroutines.
 *
 * Spawners hand out free coroutines, each with the right to be alive; they move between a spawner
 * and the runtime in batches, so that a spawn takes no lock. A processor's spawner is its owner's;
 * the one for threads outside is under the runtime's lock.
 */
#ifndef LEA_SCHED_SPAWN_H
#define LEA_SCHED_SPAWN_H

#include "sched/runtime.h"
#include "sched/sched.h"

void lea_spawner_init(struct lea_runtime *rt, struct lea_spawner *s, uint64_t first_id);

/* The coroutine has ended and nobody stands on its stack: its stack and its memory go back. */
void lea_spawn_free(struct lea_worker *m, struct lea_co *g);

/* The same of one without a stack, by a thread without a processor. */
void lea_spawn_free_outside(struct lea_runtime *rt, struct lea_co *g);

void lea_spawner_shrink(struct lea_runtime *rt, struct lea_spawner *s, bool locked);

/*
 * As lea_spawn_free(), for the usual case: no stack of its own any more, nothing out of the
 * ordinary.
 */
static inline void lea_spawn_free_bare(struct lea_worker *m, struct lea_co *g)
{
    struct lea_proc *p = m->proc;
    struct lea_spawner *s = &p->spawner;

    if (LEA_UNLIKELY(p->trace || g->stack_class != m->rt->stack_class ||
                     lea_u32_load_rlx(&m->rt->phase) !=
                         LEA_PHASE_RUN)) { /* relaxed: as in lea_spawn_free */
        lea_spawn_free(m, g);
        return;
    }
    lea_word_store_rlx(&g->id, 0);          /* relaxed: for reports */
    lea_u32_store_rlx(&g->state, LEA_FREE); /* relaxed: for reports */
    lea_count(p, LEA_COUNT_ENDED, 1);
    g->link = s->free;
    s->free = g;
    if (LEA_UNLIKELY(++s->nr_free > s->keep))
        lea_spawner_shrink(m->rt, s, false);
}

#endif
