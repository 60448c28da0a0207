/*
 * Theft from a ring, and the overflow of a full one. Invariants and ordering pairs: runq.h.
 */
#include "sched/runq.h"

#include "base/delay.h"

#include <string.h>

_Static_assert(sizeof(lea_word) == sizeof(struct lea_co *),
               "an owner without thieves copies slots as they are");

/*
 * How many of `n` slots from `at` on lie one after the other: batches are moved in two pieces at
 * most, with nothing to compute for each.
 */
static uint32_t to_the_end(uint32_t at, uint32_t n)
{
    uint32_t room = LEA_RUNQ_CAP - at % LEA_RUNQ_CAP;

    return n < room ? n : room;
}

uint32_t lea_runq_steal(struct lea_runq *own, struct lea_runq *victim)
{
    uint32_t own_tail = lea_u32_load_rlx(&own->tail); /* relaxed: we are its only writer */

    for (;;) {
        uint32_t head = lea_u32_load_acq(&victim->head);
        uint32_t n = lea_u32_load_acq(&victim->tail) - head;                      /* RUNQ-FILL */
        uint32_t room = LEA_RUNQ_CAP - (own_tail - lea_u32_load_acq(&own->head)); /* RUNQ-REUSE */

        n -= n / 2;
        if (n == 0)
            return 0;
        if (n > LEA_RUNQ_CAP / 2 + 1) /* head and tail are of different instants */
            continue;
        if (n > room)
            n = room;
        if (n == 0)
            return 0;
        for (uint32_t i = 0; i < n; i++) {
            /*
             * relaxed: may be torn by a refill, but then the CAS below fails; our slots are
             * published by our tail
             */
            uintptr_t co = lea_word_load_rlx(&victim->slot[(head + i) % LEA_RUNQ_CAP]);

            lea_word_store_rlx(&own->slot[(own_tail + i) % LEA_RUNQ_CAP], co);
        }
        lea_delay_point(RUNQ_REUSE);
        if (LEA_MUTATED(RUNQ_STEAL_PLAIN))
            lea_u32_store_rel(&victim->head, head + n);
        else if (!lea_u32_cas(&victim->head, head, head + n)) /* RUNQ-REUSE */
            continue;
        lea_u32_store_rel(&own->tail, own_tail + n); /* RUNQ-FILL */
        return n;
    }
}

uint32_t lea_runq_take_half(struct lea_runq *q, struct lea_co **out)
{
    uint32_t head = lea_u32_load_rlx(&q->head);           /* relaxed: the CAS decides */
    uint32_t n = (lea_u32_load_rlx(&q->tail) - head) / 2; /* relaxed: we are its only writer */

    if (LEA_MUTATED(RUNQ_HALF_PLAIN))
        lea_u32_store_rel(&q->head, head + n);
    else if (n == 0 || !lea_u32_cas(&q->head, head, head + n))
        return 0;
    /* relaxed: our own writes, and nobody but us writes slots */
    for (uint32_t done = 0; done < n;) {
        const lea_word *from = &q->slot[(head + done) % LEA_RUNQ_CAP];
        uint32_t piece = to_the_end(head + done, n - done);

        if (q->alone)
            memcpy(out + done, from, piece * sizeof(*from));
        else
            for (uint32_t i = 0; i < piece; i++)
                /* relaxed: as above */
                out[done + i] = (struct lea_co *)lea_word_load_rlx(&from[i]);
        done += piece;
    }
    return n;
}

uint32_t lea_runq_push_many(struct lea_runq *q, struct lea_co *const *co, uint32_t n)
{
    /* relaxed: we are its only writer */
    uint32_t tail = lea_u32_load_rlx(&q->tail);
    uint32_t room = LEA_RUNQ_CAP - (tail - lea_u32_load_acq(&q->head)); /* RUNQ-REUSE */

    if (n > room)
        n = room;
    /* relaxed: the tail publishes them */
    for (uint32_t done = 0; done < n;) {
        lea_word *to = &q->slot[(tail + done) % LEA_RUNQ_CAP];
        uint32_t piece = to_the_end(tail + done, n - done);

        if (q->alone)
            memcpy(to, co + done, piece * sizeof(*to));
        else
            for (uint32_t i = 0; i < piece; i++)
                lea_word_store_rlx(&to[i], (uintptr_t)co[done + i]); /* relaxed: as above */
        done += piece;
    }
    lea_u32_store_rel(&q->tail, tail + n); /* RUNQ-FILL */
    return n;
}
