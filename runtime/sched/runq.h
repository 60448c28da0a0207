/*
 * Local run queue of one processor and one service class: a bounded ring with one owner and any
 * number of thieves.
 *
 * Always: head <= tail <= head + LEA_RUNQ_CAP (unsigned, free running); slots in [head, tail) hold
 * ready coroutines. A run with one processor has no thieves (`alone`): then the owner moves head
 * with plain stores, and copies slots as they are.
 *
 * Thought of, and not done: the owner takes by plain stores while no thief is near, and a thief
 * makes itself known by membarrier before it takes. That would save two processors 5 to 15 % of
 * their time where all they do is switching (measured by leaving the CAS out, here, in lifo.h and
 * for the next slot); but each theft would interrupt every CPU that runs the program, of which
 * there may be many, and thefts are many then.
 *
 * Ordering pairs.
 *  RUNQ-FILL   tail release in push  ->  tail acquire in steal: the slot and the coroutine behind
 *              it are complete.
 *  RUNQ-REUSE  head CAS release in steal  ->  head acquire in push: the thief has read a slot
 *              before it is refilled.
 *
 * Keys:  (o) written by the owner only   (c) changed by CAS, anybody   (k) constant after init
 */
#ifndef LEA_SCHED_RUNQ_H
#define LEA_SCHED_RUNQ_H

#include "base/delay.h"
#include "base/mutant.h"
#include "co/co.h"

#ifndef LEA_RUNQ_CAP
#define LEA_RUNQ_CAP 256u
#endif
#define LEA_RUNQ_COLD 64u /* each has some 300 bytes for its next turn */

_Static_assert((LEA_RUNQ_CAP & (LEA_RUNQ_CAP - 1)) == 0, "indices run on over 2^32");

struct lea_runq {
    _Alignas(LEA_CACHELINE) lea_u32 head; /* (c) next to run or to steal */
    bool alone;                           /* (k) */
    _Alignas(LEA_CACHELINE) lea_u32 tail; /* (o) next free slot; thieves read it */
    /* (o) struct lea_co *; a late thief may read a slot being reused */
    lea_word slot[LEA_RUNQ_CAP];
};

/* Owner only. False when full: the caller moves half to the backlog. */
static inline bool lea_runq_push(struct lea_runq *q, struct lea_co *co)
{
    uint32_t head = lea_u32_load_acq(&q->head); /* RUNQ-REUSE */
    uint32_t tail = lea_u32_load_rlx(&q->tail); /* relaxed: we are its only writer */

    if (LEA_UNLIKELY(tail - head == LEA_RUNQ_CAP))
        return false;
    if (LEA_MUTATED(RUNQ_TAIL_FIRST))
        lea_u32_store_rel(&q->tail, tail + 1);
    /*
     * relaxed: a thief that reads this slot with an old head loses its CAS and drops what it read
     */
    lea_word_store_rlx(&q->slot[tail % LEA_RUNQ_CAP], (uintptr_t)co);
    lea_delay_point(RUNQ_FILL);
    if (LEA_MUTATED(RUNQ_TAIL_RELAXED))
        lea_u32_store_rlx(&q->tail, tail + 1);
    else
        lea_u32_store_rel(&q->tail, tail + 1); /* RUNQ-FILL */
    return true;
}

/* Owner only. The oldest, or NULL. */
static inline struct lea_co *lea_runq_pop(struct lea_runq *q)
{
    for (;;) {
        /* relaxed: the slot is our own write, the CAS decides */
        uint32_t head = lea_u32_load_rlx(&q->head);
        struct lea_co *co;

        if (head == lea_u32_load_rlx(&q->tail)) /* relaxed: we are its only writer */
            return NULL;
        /* relaxed: our own write */
        co = (struct lea_co *)lea_word_load_rlx(&q->slot[head % LEA_RUNQ_CAP]);
        if (q->alone || LEA_MUTATED(RUNQ_POP_PLAIN)) {
            lea_u32_store_rlx(&q->head, head + 1); /* relaxed: nobody else looks */
            return co;
        }
        if (lea_u32_cas(&q->head, head, head + 1))
            return co;
    }
}

/* Owner only: who would be the n-th from now, as a hint; anything where the ring is shorter. */
static inline const struct lea_co *lea_runq_peek(const struct lea_runq *q, uint32_t n)
{
    /* relaxed: a hint */
    return (const struct lea_co *)lea_word_load_rlx(
        &q->slot[(lea_u32_load_rlx(&q->head) + n) % LEA_RUNQ_CAP]);
}

/*
 * Owner only: who comes next where so many wait that the caches nearest to us have lost it since
 * its last turn; else NULL.
 */
static inline const struct lea_co *lea_runq_peek_cold(const struct lea_runq *q)
{
    uint32_t head = lea_u32_load_rlx(&q->head); /* relaxed: a hint */

    if (lea_u32_load_rlx(&q->tail) - head < LEA_RUNQ_COLD) /* relaxed: the same */
        return NULL;
    return (const struct lea_co *)lea_word_load_rlx(&q->slot[head % LEA_RUNQ_CAP]);
}

/*
 * Anybody; a number of one instant, good for reports and for "is there anything?" after a full
 * fence.
 */
static inline uint32_t lea_runq_len(const struct lea_runq *q)
{
    uint32_t head = lea_u32_load_acq(&q->head);
    uint32_t n = lea_u32_load_acq(&q->tail) - head;

    return n > LEA_RUNQ_CAP ? LEA_RUNQ_CAP : n; /* head may have moved between the two reads */
}

/*
 * Thief: moves the older half (rounded up) of `victim` to the end of `own`, which the caller owns.
 * Returns how many.
 */
uint32_t lea_runq_steal(struct lea_runq *own, struct lea_runq *victim);

/*
 * Owner only, the ring is full: takes the older half out of it into out[LEA_RUNQ_CAP / 2]. Returns
 * 0 when thieves were faster.
 */
uint32_t lea_runq_take_half(struct lea_runq *q, struct lea_co **out);

/*
 * Owner only: moves the first of co[n] to the tail, as many as there is room for. Returns how many.
 */
uint32_t lea_runq_push_many(struct lea_runq *q, struct lea_co *const *co, uint32_t n);

#endif
