/*
 * Several processors: all work gets done wherever it was made, and the counters add up.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <stdlib.h>
#include <string.h>

/* --- a tree of spawns --- */

#define TREE_DEPTH 12
#define TREE_SIZE ((1ul << (TREE_DEPTH + 1)) - 1)

struct tree {
    atomic_ulong nodes;
    leat_run_stats stats;
    leat_stats *proc;
    unsigned procs;
    bool reached;
};

static void node(struct tree *t, int depth)
{
    for (int i = 0; i < 2 && depth > 0; i++)
        (void)go(node, t, depth - 1);
    if (depth % 3 == 0)
        leat_yield();
    if (depth % 5 == 4)
        (void)leat_sleep(100 * LEAT_USEC);
    atomic_fetch_add(&t->nodes, 1);
}

static int tree_main(void *arg)
{
    struct tree *t = arg;
    int64_t until = leat_now() + 2 * KIT_LONG;

    (void)go(node, t, TREE_DEPTH);
    t->reached = kit_reach(&t->nodes, TREE_SIZE, KIT_LONG);
    t->procs = leat_nr_procs();
    do /* the last ones end */
        (void)leat_sleep(20 * LEAT_MSEC);
    while (leat_stats_run(&t->stats) == 0 &&
           (t->stats.sum.ended < TREE_SIZE || t->stats.alive > 1) && leat_now() < until);
    for (unsigned i = 0; i < t->procs; i++)
        if (leat_stats_proc(i, &t->proc[i]) < 0)
            return -1;
    return leat_stats_proc(t->procs, &t->proc[0]) < 0 ? 0 : -2;
}

#define SUM_IS(field)                                                                              \
    do {                                                                                           \
        uint64_t sum_ = 0;                                                                         \
                                                                                                   \
        for (unsigned i_ = 0; i_ < t.procs; i_++)                                                  \
            sum_ += t.proc[i_].field;                                                              \
        cr_expect(ge(u64, s->field + 64, sum_), #field);                                           \
        cr_expect(le(u64, s->field, sum_ + 64), #field);                                           \
    } while (0)

/*
 * Goal: a tree of coroutines that spawn, yield and sleep is run to its last leaf, and then the
 * counters agree with each other: of what was begun all has ended but main, and the sum is that of
 * the processors (give or take main's own next turns).
 */
Test(stealing, all_gets_done_and_counters_add_up, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct tree t = {.nodes = 0};
        const leat_stats *s = &t.stats.sum;

        t.proc = calloc(kit_procs[p] + 1, sizeof(*t.proc));
        cr_assert(eq(int, kit_run(kit_procs[p], tree_main, &t), 0));
        cr_assert(t.reached, "%lu of %lu", atomic_load(&t.nodes), TREE_SIZE);
        cr_assert(eq(uint, t.procs, kit_procs[p]));
        cr_expect(eq(u64, s->spawned, TREE_SIZE + 1));
        cr_expect(eq(u64, s->ended, TREE_SIZE));
        cr_expect(eq(u64, t.stats.alive, 1));
        cr_expect(ge(u64, s->run, TREE_SIZE + 1));
        cr_expect(ge(u64, s->stolen + kit_procs[p], s->steals)); /* counted first */
        cr_expect(ge(u64, s->parked, 1ul << (TREE_DEPTH - 4)));
        cr_expect(ge(u64, s->timers + 1, 1ul << (TREE_DEPTH - 4)));
        if (kit_procs[p] == 1) {
            cr_expect(eq(u64, s->stolen, 0));
            cr_expect(eq(u64, s->wakes, 0));
        }
        SUM_IS(run);
        SUM_IS(parked);
        SUM_IS(yielded);
        SUM_IS(stolen);
        /* who ended on a worker without a processor is in the total only */
        cr_expect(ge(u64, t.stats.sum.ended + 64, TREE_SIZE));
        free(t.proc);
    }
}

/* --- a hog --- */

#define NR_STUCK 200

struct hog {
    atomic_ulong ran;
    unsigned long n;
    unsigned long ran_beside;
    leat_run_stats stats;
};

static void little_work(struct hog *h)
{
    kit_burn(20 * LEAT_USEC);
    atomic_fetch_add(&h->ran, 1);
}

/*
 * Spawns, and then computes on its processor without a call until the others have taken everything.
 */
static int hog_main(void *arg)
{
    struct hog *h = arg;
    int64_t until = leat_now() + KIT_LONG;

    for (unsigned long i = 0; i < h->n; i++)
        (void)go(little_work, h);
    while (atomic_load(&h->ran) < h->n && leat_now() < until)
        kit_burn(50 * LEAT_USEC);
    h->ran_beside = atomic_load(&h->ran);
    (void)leat_stats_run(&h->stats);
    return 0;
}

/*
 * Goal: what stands in the ring and in the next slot of a processor whose coroutine computes on is
 * taken by the others.
 */
Test(stealing, from_a_processor_that_computes, .timeout = 60)
{
    kit_no_chaos(); /* the hog would be sent away before it computes */
    for (int p = 1; p < KIT_NR_PROCS; p++) {
        struct hog h = {.n = NR_STUCK};
        /* else another worker may come to them, on that processor: a hog's, or at the end of a slice */
        leat_config config = {.procs = kit_procs[p], .retake_us = -1, .slice_us = 10000000};

        cr_assert(eq(int, leat_run_with(&config, hog_main, &h), 0));
        cr_expect(eq(u64, h.ran_beside, NR_STUCK));
        cr_expect(ge(u64, h.stats.sum.stolen + h.stats.sum.injected, NR_STUCK));
    }
}

/*
 * Goal: the same for a single one, which stands in the next slot and woke nobody: the debt is paid.
 */
Test(stealing, the_next_slot_too, .timeout = 60)
{
    for (int p = 1; p < KIT_NR_PROCS; p++) {
        for (int i = 0; i < (KIT_VALGRIND ? 3 : 20); i++) {
            struct hog h = {.n = 1};

            cr_assert(eq(int, kit_run(kit_procs[p], hog_main, &h), 0));
            cr_assert(eq(u64, h.ran_beside, 1));
        }
    }
}

/* --- many small exchanges --- */

#define NR_LANES 64

struct lanes {
    atomic_ulong done;
    atomic_ulong sum;
    bool reached;
};

/*
 * A lane is a line of coroutines, each readies the next: with yields they mix over all processors.
 */
static void lane(struct lanes *l, uint64_t seed, int left)
{
    atomic_fetch_add(&l->sum, 1);
    if (left == 0) {
        atomic_fetch_add(&l->done, 1);
        return;
    }
    (void)go(lane, l, kit_random(&seed), left - 1);
    switch (seed % 4) {
    case 0:
        leat_yield();
        break;
    case 1:
        kit_burn(LEAT_USEC);
        break;
    case 2:
        (void)leat_sleep((int64_t)(seed % 64) * LEAT_USEC);
        break;
    default:
        break;
    }
}

#define LANE_LENGTH 200

static int lanes_main(void *arg)
{
    struct lanes *l = arg;

    for (uint64_t i = 0; i < NR_LANES; i++)
        (void)go(lane, l, i + 1, LANE_LENGTH);
    l->reached = kit_reach(&l->done, NR_LANES, KIT_LONG);
    return 0;
}

/*
 * Goal: no coroutine is lost or run twice when everything is stolen to and fro. Method: lanes with
 * random pauses; each link counts once.
 */
Test(stealing, nothing_lost_or_doubled, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct lanes l = {.done = 0};

        cr_assert(eq(int, kit_run(kit_procs[p], lanes_main, &l), 0));
        cr_assert(l.reached, "%lu of %d lanes", atomic_load(&l.done), NR_LANES);
        cr_assert(eq(u64, atomic_load(&l.sum), NR_LANES * (LANE_LENGTH + 1)));
    }
}
