/*
 * The local ring: order, wrap, theft, overflow by hand; then an owner and thieves at once.
 */
#include "support/test.h"

#include "sched/runq.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NR_CO 1024

struct fixture {
    struct lea_runq own, victim;
    struct lea_co *co;
};

static struct fixture *fixture_new(uint32_t start)
{
    struct fixture *f = aligned_alloc(LEA_CACHELINE, (sizeof(*f) + 63) / 64 * 64);

    memset(f, 0, sizeof(*f));
    f->co = aligned_alloc(LEA_CACHELINE, NR_CO * sizeof(struct lea_co));
    memset(f->co, 0, NR_CO * sizeof(struct lea_co));
    lea_u32_store_rlx(&f->own.head, start);
    lea_u32_store_rlx(&f->own.tail, start);
    lea_u32_store_rlx(&f->victim.head, start);
    lea_u32_store_rlx(&f->victim.tail, start);
    return f;
}

static void fixture_free(struct fixture *f)
{
    free(f->co);
    free(f);
}

/* Goal: first in, first out, also where the free-running indices wrap. */
Test(runq, keeps_order_over_the_wrap, .timeout = 60)
{
    struct fixture *f = fixture_new(UINT32_MAX - 3);

    for (int i = 0; i < 8; i++)
        cr_assert(lea_runq_push(&f->own, &f->co[i]));
    cr_assert(eq(u32, lea_runq_len(&f->own), 8));
    for (int i = 0; i < 8; i++)
        cr_assert(eq(ptr, lea_runq_pop(&f->own), &f->co[i]));
    cr_assert(eq(ptr, lea_runq_pop(&f->own), NULL));
    fixture_free(f);
}

/* Goal: a full ring refuses, and gives up its older half. */
Test(runq, overflow_takes_the_older_half, .timeout = 60)
{
    struct fixture *f = fixture_new(7);
    struct lea_co *half[LEA_RUNQ_CAP / 2];

    for (uint32_t i = 0; i < LEA_RUNQ_CAP; i++)
        cr_assert(lea_runq_push(&f->own, &f->co[i]));
    cr_assert(not(lea_runq_push(&f->own, &f->co[LEA_RUNQ_CAP])));
    cr_assert(eq(u32, lea_runq_take_half(&f->own, half), LEA_RUNQ_CAP / 2));
    cr_assert(eq(ptr, half[0], &f->co[0]));
    cr_assert(eq(u32, lea_runq_push_many(&f->own, half, 3), 3));
    cr_assert(eq(ptr, lea_runq_pop(&f->own), &f->co[LEA_RUNQ_CAP / 2]));
    fixture_free(f);
}

/*
 * Goal: a steal takes the older half, rounded up. Method: no threads; both queues are driven by
 * hand.
 */
Test(runq, steal_takes_the_older_half, .timeout = 60)
{
    struct fixture *f = fixture_new(250);

    for (int i = 0; i < 5; i++)
        cr_assert(lea_runq_push(&f->victim, &f->co[i]));
    cr_assert(eq(u32, lea_runq_steal(&f->own, &f->victim), 3));
    cr_assert(eq(ptr, lea_runq_pop(&f->own), &f->co[0]));
    cr_assert(eq(ptr, lea_runq_pop(&f->victim), &f->co[3]));
    cr_assert(eq(u32, lea_runq_steal(&f->own, &f->victim), 1));
    cr_assert(eq(u32, lea_runq_steal(&f->own, &f->victim), 0));
    fixture_free(f);
}

/* Goal: a thief takes no more than its own ring has room for. */
Test(runq, steal_respects_the_room, .timeout = 60)
{
    struct fixture *f = fixture_new(0);
    uint32_t fill = LEA_RUNQ_CAP - 2;

    for (uint32_t i = 0; i < fill; i++)
        cr_assert(lea_runq_push(&f->own, &f->co[i]));
    for (uint32_t i = 0; i < 100; i++)
        cr_assert(lea_runq_push(&f->victim, &f->co[fill + i]));
    cr_assert(eq(u32, lea_runq_steal(&f->own, &f->victim), 2));
    fixture_free(f);
}

struct race {
    struct fixture *f;
    lea_u32 seen[NR_CO]; /* how often each was taken and not put back */
    lea_u32 stop;
    uint64_t stolen;
};

static void *thief(void *arg)
{
    struct race *r = arg;
    struct lea_runq *own = aligned_alloc(LEA_CACHELINE, (sizeof(*own) + 63) / 64 * 64);
    struct lea_co *g;
    uint64_t stolen = 0;

    memset(own, 0, sizeof(*own));
    while (!lea_u32_load_acq(&r->stop)) {
        lea_runq_steal(own, &r->f->victim);
        while ((g = lea_runq_pop(own))) {
            (void)lea_u32_add(&r->seen[g - r->f->co], 1);
            stolen++;
        }
    }
    (void)__atomic_fetch_add(&r->stolen, stolen, __ATOMIC_RELAXED);
    free(own);
    return NULL;
}

/*
 * Goal: every coroutine is taken exactly once, whoever takes it. Method: one owner pushes and pops
 * all of them again and again, three thieves steal; each round must account for every one. Pairs
 * RUNQ-FILL and RUNQ-REUSE.
 */
Test(runq, owner_and_thieves_take_each_once, .timeout = 60)
{
    struct race *r = calloc(1, sizeof(*r));
    pthread_t t[3];
    uint64_t owner = 0, pushed = 0;

    r->f = fixture_new(UINT32_MAX - 100000);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, thief, r);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < NR_CO; i++) {
            struct lea_co *g;

            while (!lea_runq_push(&r->f->victim, &r->f->co[i]))
                if ((g = lea_runq_pop(&r->f->victim))) {
                    (void)lea_u32_add(&r->seen[g - r->f->co], 1);
                    owner++;
                }
            pushed++;
            if (i % 3 == 0 && (g = lea_runq_pop(&r->f->victim))) {
                (void)lea_u32_add(&r->seen[g - r->f->co], 1);
                owner++;
            }
        }
        for (struct lea_co *g; (g = lea_runq_pop(&r->f->victim)); owner++)
            (void)lea_u32_add(&r->seen[g - r->f->co], 1);
        for (int i = 0; i < NR_CO; i++)
            while (lea_u32_load_acq(&r->seen[i]) != (uint32_t)round + 1)
                cr_assert(le(u32, lea_u32_load_acq(&r->seen[i]), (uint32_t)round + 1));
    }
    lea_u32_store_rel(&r->stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    cr_assert(eq(u64, owner + r->stolen, pushed));
    fixture_free(r->f);
    free(r);
}
