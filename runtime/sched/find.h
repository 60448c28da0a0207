/*
 * sched/find.h - the order of work sources.
 *
 * For a running processor: every 61st turn (sooner when turns are long: at least every 100 µs) its
 * due timers, the poller, the backlog, the list of those that sank (fresh.h) and the inject queue;
 * else `next`, at most 3 times in a row; else the stack of new ones, at most 16 in a row; else its
 * rings, 16 : 4 : 1 by class (after a row of `next` alone, in turn with that stack); else a batch
 * of the backlog, of those that sank, or of the inject queue. With nothing there, on the worker's
 * own stack: those sources at once, then theft, then sleep (idle.h). A processor that gives away
 * what is ready there (gather.h) does so at each turn, and looks at those sources 100 µs later at
 * most.
 *
 * A first turn may be as long as a hundred others, since its stack is fresh. So the stack is in
 * turn with the rings from when somebody there has waited for LEA_AGE_NS until nobody has, and the
 * backlog is empty; but not for a while where that has made new ones sink.
 */
#ifndef LEA_SCHED_FIND_H
#define LEA_SCHED_FIND_H

#include "base/mutant.h"
#include "sched/runtime.h"

#ifndef LEA_TURNS_MAX
#define LEA_TURNS_MAX 61u
#endif
#define LEA_TURNS_NS 100000
#define LEA_IN_ROW_MAX 16u
#define LEA_IN_ROW_NEXT 6u /* a turn from `next` counts so much, */
#define LEA_IN_ROW_NEW 1u  /* one from the stack of new ones so much, */
/* or, while somebody in the rings has waited for long, all that is left of a row */
#define LEA_IN_ROW_NEW_AGED (LEA_IN_ROW_OF_NEXT + 1)
#define LEA_IN_ROW_OF_NEXT (3 * LEA_IN_ROW_NEXT) /* what a row of `next` alone counts at its end */

/* Owner only, own stack or a coroutine's. The other sources are due, or it gives (gather.h). */
void lea_find_turn(struct lea_proc *p);

/* Owner only: several classes have work, or the rings have waited long enough. NULL: nothing. */
struct lea_co *lea_find_weighted(struct lea_proc *p);

/* Owner only, nothing is here: a batch of the own lists or the inject queue. */
struct lea_co *lea_find_inject(struct lea_proc *p);

/*
 * Owner of `p` only: out of a list, the inject queue, its own or another one's, into out[max]
 * (LEA_BATCH_CAP at most). Returns how many.
 */
uint32_t lea_find_take(struct lea_proc *p, struct lea_inject *q, uint32_t max, struct lea_co **out);

/*
 * Does anybody wait at this processor whose wake-up is not merely owed? Anybody; after a full
 * fence, or as a hint.
 */
bool lea_proc_backlog(struct lea_proc *p);

/*
 * Is all that waits there done by its owner sooner than by a worker that is woken for it? Then its
 * wake-up may be owed: the owner pays when that has changed, the monitor when the owner's turn goes
 * on.
 */
bool lea_proc_brief(struct lea_proc *p);

/* Is there work that an idle worker could take? After a full fence. */
bool lea_find_anything(struct lea_runtime *rt);

/* On the worker's own stack: wait for work. NULL: the worker has no processor, or the run ends. */
struct lea_co *lea_find_wait(struct lea_worker *m);

/* Of lea_ring_push() only: of another class than most; half of a full ring to the backlog. */
void lea_ring_push_urgent_or_low(struct lea_proc *p, struct lea_co *g);
void lea_ring_overflow(struct lea_proc *p, struct lea_co *g);

/*
 * Owner only: put a ready coroutine into its ring; half of a full ring goes to the backlog. No
 * wake-up.
 */
static inline void lea_ring_push(struct lea_proc *p, struct lea_co *g)
{
    if (LEA_UNLIKELY(g->prio_class != LEA_CLASS_NORMAL)) {
        lea_ring_push_urgent_or_low(p, g);
        return;
    }
    p->ring_mask |= 1u << LEA_CLASS_NORMAL;
    if (LEA_UNLIKELY(!lea_runq_push(&p->ring[LEA_CLASS_NORMAL], g)))
        lea_ring_overflow(p, g);
}

/* Owner only: take the next slot's coroutine. */
static inline struct lea_co *lea_next_take(struct lea_proc *p)
{
    uintptr_t w = lea_word_load_rlx(&p->next); /* relaxed: only we fill it */

    if (!w)
        return NULL;
    if (p->alone || LEA_MUTATED(NEXT_TAKE_PLAIN))
        lea_word_store_rlx(&p->next, 0); /* relaxed: nobody else looks */
    else if (!lea_word_cas(&p->next, w, 0))
        return NULL; /* stolen */
    return (struct lea_co *)w;
}

/*
 * Owner only, about to make a system call: fetch what the next turn touches first, and who has the
 * one after. What the kernel touches meanwhile drives older fetches out: lines that came with a
 * batch of some 100 events are gone when its last coroutine has its turn.
 * Not beside thieves, who may be running it by now.
 */
static inline void lea_find_prefetch(const struct lea_proc *p)
{
    const struct lea_runq *q = &p->ring[LEA_CLASS_NORMAL];
    const struct lea_co *g;
    uint32_t n;

    if (!p->alone)
        return;
    n = lea_runq_len(q);
    if (n > 1)
        lea_prefetch(lea_runq_peek(q, 1));
    if (n > 0) {
        g = lea_runq_peek(q, 0);
        lea_prefetch((const void *)lea_word_load_rlx(&g->object)); /* relaxed: a hint */
        lea_co_prefetch_frames(g);
    }
}

/* Owner only: whom to run now, NULL when nothing is here. */
__attribute__((always_inline)) static inline struct lea_co *lea_find_local(struct lea_proc *p)
{
    struct lea_co *g;

    if (LEA_UNLIKELY(--p->turns_left == 0))
        lea_find_turn(p);
    if (LEA_LIKELY(!(p->ring_mask & ~(1u << LEA_CLASS_NORMAL)) && p->in_row < LEA_IN_ROW_MAX)) {
        g = lea_next_take(p);
        if (g) {
            p->in_row += LEA_IN_ROW_NEXT;
            return g;
        }
        g = lea_lifo_pop(&p->lifo, p->alone);
        if (g) {
            p->in_row += p->new_price;
            return g;
        }
        p->in_row = 0;
        g = lea_runq_pop(&p->ring[LEA_CLASS_NORMAL]);
        if (LEA_LIKELY(g != NULL))
            return g;
        p->ring_mask = 0;
    } else {
        g = lea_find_weighted(p);
        if (LEA_LIKELY(g != NULL))
            return g;
    }
    return lea_inject_len(&p->over) || lea_inject_len(&p->lifo_over) ||
                   lea_inject_len(&p->rt->inject)
               ? lea_find_inject(p)
               : NULL;
}

#endif
