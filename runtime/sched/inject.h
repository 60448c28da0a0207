/*
 * A list of ready coroutines for everybody. One is the run's: the inject queue, of those that no
 * processor has; filled by threads without a processor, emptied in batches by every processor on
 * its 61st turn and before it looks elsewhere. And each processor has two: for what falls out of
 * its full rings, and what other processors give it (gather.h), which it empties as the other, and
 * for what sinks from its stack of new ones (fresh.h); thieves take from them when its rings give
 * nothing.
 *
 * Who has begun does not wait behind who has not: of each class there are two lists, first in,
 * first out, which are taken from in turn. A thread that has lost its processor may spawn a hundred
 * thousand, and whoever is woken without one meanwhile (by the monitor for a timer that is due, by
 * a thread outside) would come to its turn when the last of them has begun. (A new one whose
 * arguments lie on its stack, since they are large, passes for one that has begun.)
 *
 * One lock, batches only. `n` is written under the lock and read without it: after a full fence it
 * answers "is there anything?".
 */
#ifndef LEA_SCHED_INJECT_H
#define LEA_SCHED_INJECT_H

#include "base/lock.h"
#include "co/co.h"
#include "mem/slab.h"

/*
 * Coroutines in an array, so that moving them does not touch them: they have gone cold, or are warm
 * elsewhere. What falls out of a ring at once is one; single ones are gathered in the last. From
 * the run's slab, also through the processors' pools; belongs to the queue it is in.
 */
#ifndef LEA_BATCH_CAP
#define LEA_BATCH_CAP 128u
#endif

struct lea_batch {
    struct lea_batch *next;
    uint32_t from, n; /* [from, n) are still there */
    struct lea_co *co[LEA_BATCH_CAP];
};

struct lea_batches {
    struct lea_batch *first, *last; /* last: valid while first is not NULL */
};

/*
 * Those that come one by one or as a list stand in one of two. What comes as a whole batch, out of
 * a full ring or stack, is mixed or all new, and keeps its order in the first.
 */
enum lea_inject_list { LEA_INJECT_BEGUN, LEA_INJECT_NEW, LEA_NR_INJECT };

struct lea_inject {
    _Alignas(LEA_CACHELINE) struct lea_lock lock;
    lea_u32 n;                /* over all classes */
    uint32_t takes;           /* under the lock: batches taken; says whose turn it is */
    struct lea_slab *batches; /* (k) */
    /* under the lock */
    struct lea_batches list[LEA_NR_CLASSES][LEA_NR_INJECT];
    struct lea_batch *spare; /* under the lock: an empty one, or NULL */
    /* under the lock: while there is no memory for batches; served after them */
    struct lea_ready_list class_list[LEA_NR_CLASSES];
};

/* @batches: slab of struct lea_batch. */
void lea_inject_init(struct lea_inject *q, struct lea_slab *batches);

/* Append a list, which is left empty. Any thread. The caller then wakes a worker (idle.h). */
void lea_inject_push_list(struct lea_inject *q, struct lea_ready_list *list);
void lea_inject_push(struct lea_inject *q, struct lea_co *co);

/*
 * Append a batch of one class. Returns it when what it held has found room in the last one: it is
 * the caller's then; else NULL.
 */
struct lea_batch *lea_inject_push_batch(struct lea_inject *q, unsigned prio_class,
                                        struct lea_batch *batch);

/*
 * Take up to `max` (LEA_BATCH_CAP at most) into out[], all of one class: the most urgent, and of a
 * lower one now and then so that none starves; of those that have begun, and of new ones, in turn.
 * *empty: a batch that was emptied and is the caller's now, or NULL. Returns how many.
 */
uint32_t lea_inject_take(struct lea_inject *q, uint32_t max, struct lea_co **out,
                         struct lea_batch **empty);

static inline uint32_t lea_inject_len(const struct lea_inject *q)
{
    return lea_u32_load_acq(&q->n);
}

#endif
