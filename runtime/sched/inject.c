/*
 * The inject queue. Invariants: inject.h.
 */
#include "sched/inject.h"

#include <string.h>

/* Every 5th batch prefers the middle class, every 21st the lowest: 16 : 4 : 1, as the rings. */
#define NORMAL_TURN 5u
#define LOW_TURN 21u

_Static_assert(NORMAL_TURN % LEA_NR_INJECT && LOW_TURN % LEA_NR_INJECT,
               "each class's turn comes to each of its lists");

void lea_inject_init(struct lea_inject *q, struct lea_slab *batches)
{
    memset(q, 0, sizeof(*q));
    q->batches = batches;
    lea_lock_init(&q->lock, LEA_RANK_INJECT);
    for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
        lea_ready_list_init(&q->class_list[c]);
}

static void append_batch_locked(struct lea_batches *list, struct lea_batch *batch)
{
    batch->next = NULL;
    if (list->first)
        list->last->next = batch;
    else
        list->first = batch;
    list->last = batch;
}

static struct lea_batches *list_of(struct lea_inject *q, const struct lea_co *co)
{
    /* of a bound one nobody knows here (bound.h) */
    return &q->list[co->prio_class][co->stack || co->bound ? LEA_INJECT_BEGUN : LEA_INJECT_NEW];
}

static void count_locked(struct lea_inject *q, uint32_t n)
{
    /* relaxed read: written under the lock only */
    lea_u32_store_rel(&q->n, lea_u32_load_rlx(&q->n) + n);
}

/* To the end of the last batch. False: there is no room, and no spare batch. */
static bool append_locked(struct lea_inject *q, struct lea_co *co)
{
    struct lea_batches *list = list_of(q, co);
    struct lea_batch *b = list->first ? list->last : NULL;

    if (!b || b->n == LEA_BATCH_CAP) {
        b = q->spare;
        if (!b)
            return false;
        q->spare = NULL;
        b->from = b->n = 0;
        append_batch_locked(list, b);
    }
    b->co[b->n++] = co;
    count_locked(q, 1);
    return true;
}

/* Another spare batch, if memory allows: without the lock meanwhile, as the kernel may be asked. */
static void spare_get(struct lea_inject *q)
{
    void *fresh = NULL;

    lea_lock_drop(&q->lock);
    (void)lea_slab_alloc_bulk(q->batches, &fresh, 1);
    lea_lock_take(&q->lock);
    if (!q->spare)
        q->spare = fresh;
    else if (fresh)
        lea_slab_free_bulk(q->batches, &fresh, 1);
}

void lea_inject_push_list(struct lea_inject *q, struct lea_ready_list *list)
{
    struct lea_co *co;

    lea_lock_take(&q->lock);
    while ((co = lea_ready_list_take(list))) {
        if (LEA_LIKELY(append_locked(q, co)))
            continue;
        spare_get(q);
        if (append_locked(q, co))
            continue;
        lea_ready_list_add(&q->class_list[co->prio_class], co);
        count_locked(q, 1);
    }
    lea_lock_drop(&q->lock);
}

void lea_inject_push(struct lea_inject *q, struct lea_co *co)
{
    struct lea_ready_list one;

    lea_ready_list_init(&one);
    lea_ready_list_add(&one, co);
    lea_inject_push_list(q, &one);
}

struct lea_batch *lea_inject_push_batch(struct lea_inject *q, unsigned prio_class,
                                        struct lea_batch *batch)
{
    struct lea_batches *list = &q->list[prio_class][LEA_INJECT_BEGUN];
    uint32_t n = batch->n - batch->from;
    struct lea_batch *last;

    lea_lock_take(&q->lock);
    last = list->first ? list->last : NULL;
    if (last && last->n + n <= LEA_BATCH_CAP) {
        memcpy(last->co + last->n, batch->co + batch->from, n * sizeof(*batch->co));
        last->n += n;
    } else {
        append_batch_locked(list, batch);
        batch = NULL;
    }
    count_locked(q, n);
    lea_lock_drop(&q->lock);
    return batch;
}

/* From the oldest batch of a list. */
static uint32_t take_batch_locked(struct lea_inject *q, struct lea_batches *list, uint32_t max,
                                  struct lea_co **out, struct lea_batch **empty)
{
    struct lea_batch *b = list->first;
    uint32_t n;

    if (!b)
        return 0;
    n = b->n - b->from < max ? b->n - b->from : max;
    memcpy(out, b->co + b->from, n * sizeof(*out));
    b->from += n;
    if (b->from == b->n) {
        list->first = b->next;
        if (q->spare)
            *empty = b;
        else
            q->spare = b;
    }
    return n;
}

static uint32_t take_class_locked(struct lea_inject *q, unsigned c, uint32_t max,
                                  struct lea_co **out, struct lea_batch **empty)
{
    /* in turn; where one list is empty, the other has both turns */
    unsigned first = q->takes % LEA_NR_INJECT;
    uint32_t n = take_batch_locked(q, &q->list[c][first], max, out, empty);

    if (!n)
        n = take_batch_locked(q, &q->list[c][LEA_NR_INJECT - 1 - first], max, out, empty);
    while (n < max && q->class_list[c].first)
        out[n++] = lea_ready_list_take(&q->class_list[c]);
    return n;
}

uint32_t lea_inject_take(struct lea_inject *q, uint32_t max, struct lea_co **out,
                         struct lea_batch **empty)
{
    uint32_t taken = 0;
    unsigned first;

    *empty = NULL;
    lea_lock_take(&q->lock);
    q->takes++;
    first = q->takes % LOW_TURN == 0      ? LEA_CLASS_LOW
            : q->takes % NORMAL_TURN == 0 ? LEA_CLASS_NORMAL
                                          : LEA_CLASS_HIGH;
    for (unsigned i = 0; i < LEA_NR_CLASSES && taken == 0; i++)
        taken = take_class_locked(q, (first + i) % LEA_NR_CLASSES, max, out, empty);
    /* relaxed read: written under the lock only */
    lea_u32_store_rel(&q->n, lea_u32_load_rlx(&q->n) - taken);
    lea_lock_drop(&q->lock);
    return taken;
}
