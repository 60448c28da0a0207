/*
 * Pairs of the run queues: RUNQ-FILL, RUNQ-REUSE, LIFO-FILL, LIFO-SHED. One owner, three thieves.
 */
#include "support/test.h"

#include "race/kit.h"
#include "sched/lifo.h"
#include "sched/runq.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS 160u /* more than the stack of new ones takes */
#define TURNS 3000000
#define SPAN (300 * LEAT_MSEC)

struct item {
    struct lea_co co;
    uint64_t stamp; /* plain: written before it is put in, read by whoever takes it */
    lea_u32 inside; /* 1: in a queue */
};

static struct queues {
    struct lea_runq ring[RACE_THREADS]; /* the owner's is the first */
    struct lea_lifo lifo;
    struct item item[ITEMS];
    lea_u32 stop;
    lea_u32 taken;
    uint64_t put, last[RACE_THREADS];
} * q;

static void fixture(void)
{
    size_t bytes = (sizeof(*q) + LEA_CACHELINE - 1) / LEA_CACHELINE * LEA_CACHELINE;

    q = aligned_alloc(LEA_CACHELINE, bytes);
    memset(q, 0, bytes);
    for (unsigned i = 0; i < RACE_THREADS; i++) { /* the counters wrap soon */
        lea_u32_store_rlx(&q->ring[i].head, 0u - 1000 * i);
        lea_u32_store_rlx(&q->ring[i].tail, 0u - 1000 * i);
    }
}

/* An item that is in no queue; NULL: all are. */
static struct item *item_next(void)
{
    struct item *it = &q->item[q->put % ITEMS];

    if (lea_u32_load_acq(&it->inside))
        return NULL;
    lea_u32_store_rlx(&it->inside, 1); /* relaxed: the queue publishes it */
    it->stamp = ++q->put;
    return it;
}

/* @in_order: whoever takes finds them in the order in which they were put. */
static void item_took(struct lea_co *co, bool in_order)
{
    struct item *it = (struct item *)(void *)co;

    RACE_CHECK(it >= q->item && it < q->item + ITEMS);
    RACE_CHECK(it->stamp != 0 && (it->stamp - 1) % ITEMS == (uint64_t)(it - q->item));
    RACE_CHECK(!in_order || it->stamp > q->last[race_self()]);
    q->last[race_self()] = it->stamp;
    RACE_CHECK(lea_u32_cas(&it->inside, 1, 0)); /* it came out once */
    (void)lea_u32_add(&q->taken, 1);
}

static void end_of_owner(void)
{
    while (lea_u32_load_acq(&q->taken) != (uint32_t)q->put) {
        struct lea_co *co = lea_runq_pop(&q->ring[0]);

        if (!co)
            co = lea_lifo_pop(&q->lifo, false);
        if (co)
            item_took(co, false);
    }
    lea_u32_store_rel(&q->stop, 1);
}

/* --- RUNQ-FILL --- */

static void *fill_owner(void *arg)
{
    struct each_rounds rounds = each_rounds(TURNS, SPAN);
    struct lea_co *co;

    (void)arg;
    while (each_next(&rounds)) {
        struct item *it = item_next();

        if (it && !lea_runq_push(&q->ring[0], &it->co)) {
            lea_u32_store_rlx(&it->inside, 0); /* relaxed: nobody has seen it */
            q->put--;
            it = NULL;
        }
        if ((!it || race_random(4) == 0) && (co = lea_runq_pop(&q->ring[0])))
            item_took(co, true);
    }
    end_of_owner();
    return NULL;
}

static void *ring_thief(void *arg)
{
    struct lea_runq *own = &q->ring[race_self()];
    struct lea_co *co;

    (void)arg;
    while (!lea_u32_load_acq(&q->stop)) {
        (void)lea_runq_steal(own, &q->ring[0]);
        while ((co = lea_runq_pop(own)))
            item_took(co, true);
        race_jitter();
    }
    return NULL;
}

/*
 * Goal: what is behind a slot is complete when a thief has it, and comes out in the order in which
 * it was put in.
 */
Test(race_queues, runq_fill, .timeout = 60)
{
    static void *(*const fn[])(void *) = {fill_owner, ring_thief, ring_thief, ring_thief};

    fixture();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    cr_expect(gt(u64, q->put, 0));
    free(q);
}

/* --- RUNQ-REUSE --- */

/*
 * Fills the ring as soon as there is room, by all ways: so slots are refilled that late thieves
 * still read.
 */
static void *reuse_owner(void *arg)
{
    struct each_rounds rounds = each_rounds(TURNS, SPAN);
    struct lea_co *out[LEA_RUNQ_CAP / 2];
    struct item *it;

    (void)arg;
    while (each_next(&rounds)) {
        uint32_t n = 0;

        while ((it = item_next()) && lea_runq_push(&q->ring[0], &it->co))
            ;
        if (it)
            n = lea_runq_take_half(&q->ring[0], out);
        for (uint32_t i = 0; i < n; i++)
            if (i > 0 || lea_runq_push_many(&q->ring[0], &out[0], 1) == 0)
                item_took(out[i], false);
        if (!it)
            continue;
        while (!lea_runq_push(&q->ring[0], &it->co)) {
            struct lea_co *co = lea_runq_pop(&q->ring[0]);

            if (co)
                item_took(co, false);
        }
    }
    end_of_owner();
    return NULL;
}

/* Steals into a ring that is never emptied: also its own slots are refilled beside late thieves. */
static void *reuse_thief(void *arg)
{
    struct lea_runq *own = &q->ring[race_self()], *other = &q->ring[race_self() % 3 + 1];
    struct lea_co *co;

    (void)arg;
    while (!lea_u32_load_acq(&q->stop)) {
        (void)lea_runq_steal(own, race_random(2) ? other : &q->ring[0]);
        if (race_random(2) && (co = lea_runq_pop(own)))
            item_took(co, false);
        race_jitter();
    }
    return NULL;
}

/*
 * Goal: a slot that is refilled while a late thief reads it gives that one nothing: each item comes
 * out once.
 */
Test(race_queues, runq_reuse, .timeout = 60)
{
    static void *(*const fn[])(void *) = {reuse_owner, reuse_thief, reuse_thief, reuse_thief};

    fixture();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    cr_expect(gt(u64, q->put, 0));
    free(q);
}

/* --- LIFO-FILL --- */

static void lifo_sheds(void)
{
    struct lea_co *old[LEA_LIFO_CAP / 2];
    uint32_t n = lea_lifo_shed(&q->lifo, false, old);

    for (uint32_t i = 0; i < n; i++)
        item_took(old[i], false);
}

static void *lifo_owner(void *arg)
{
    struct each_rounds rounds = each_rounds(TURNS, SPAN);
    struct lea_co *co;

    (void)arg;
    while (each_next(&rounds)) {
        struct item *it;

        for (uint32_t k = race_random(4); k > 0 && (it = item_next()); k--) {
            if (lea_lifo_full(&q->lifo))
                lifo_sheds();
            lea_lifo_push(&q->lifo, &it->co);
        }
        if (race_random(2) && (co = lea_lifo_pop(&q->lifo, false)))
            item_took(co, false);
    }
    end_of_owner();
    return NULL;
}

static void *lifo_thief(void *arg)
{
    (void)arg;
    while (!lea_u32_load_acq(&q->stop)) {
        uintptr_t w = 0;
        lea_word *slot = lea_lifo_oldest(&q->lifo, &w);

        if (slot && w && lea_lifo_steal(&q->lifo, slot, w))
            item_took((struct lea_co *)w, false);
        race_jitter();
    }
    return NULL;
}

/* Goal: a new coroutine is complete when a thief has it, and nobody else has it then. */
Test(race_queues, lifo_fill, .timeout = 60)
{
    static void *(*const fn[])(void *) = {lifo_owner, lifo_thief, lifo_thief, lifo_thief};

    fixture();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    cr_expect(gt(u64, q->put, 0));
    free(q);
}

/* --- LIFO-SHED --- */

static void *shed_owner(void *arg)
{
    struct each_rounds rounds = each_rounds(TURNS / 64, SPAN);

    (void)arg;
    while (each_next(&rounds)) {
        struct item *it;

        while (!lea_lifo_full(&q->lifo) && (it = item_next()))
            lea_lifo_push(&q->lifo, &it->co);
        if (lea_lifo_full(&q->lifo))
            lifo_sheds();
    }
    end_of_owner();
    return NULL;
}

/* Goal: what a full stack sheds comes out once, beside thieves that want the same. */
Test(race_queues, lifo_shed, .timeout = 60)
{
    static void *(*const fn[])(void *) = {shed_owner, lifo_thief, lifo_thief, lifo_thief};

    fixture();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    cr_expect(gt(u64, q->put, 0));
    free(q);
}
