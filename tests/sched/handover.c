/*
 * Processors that change hands all the time: given away at the end of a slice, taken back from
 * idleness, while their sleepers wake by themselves. Whatever the order, no processor is lost and
 * nobody waits for ever.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>
#include <string.h>

struct hands {
    atomic_ulong rounds, ran, done, spawned;
    unsigned long goal;
    int64_t until_ns;
    leat_run_stats stats;
    bool reached;
};

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

/*
 * Somebody waits while it computes on: at its next call, which never parks, the processor goes to
 * another worker. That one finds nothing more to do, and sleeps with it. The call that parks takes
 * it back, and leaves it idle at once.
 */
static void giver(struct hands *h, uint64_t seed)
{
    while (atomic_load(&h->rounds) < h->goal && leat_now() < h->until_ns) {
        if (go(count_up, &h->ran) == 0)
            atomic_fetch_add(&h->spawned, 1);
        /* the monitor looks every 1 to 8 ms */
        kit_burn((int64_t)(1000 + kit_random(&seed) % 9000) * LEAT_USEC);
        leat_set_name("giver");
        kit_burn((int64_t)(kit_random(&seed) % 500) * LEAT_USEC);
        (void)leat_sleep((int64_t)(kit_random(&seed) % 2000) * LEAT_USEC);
        atomic_fetch_add(&h->rounds, 1);
    }
    atomic_fetch_add(&h->done, 1);
}

#define NR_GIVERS 2

static int hands_main(void *arg)
{
    struct hands *h = arg;

    for (uint64_t i = 1; i <= NR_GIVERS; i++)
        (void)go(giver, h, i);
    h->reached = kit_reach(&h->done, NR_GIVERS, KIT_LONG) &&
                 kit_reach(&h->ran, atomic_load(&h->spawned), KIT_LONG);
    (void)leat_stats_run(&h->stats);
    return 0;
}

static struct hands hands_run(unsigned procs)
{
    struct hands h = {.goal = 8000, .until_ns = leat_now() + 2 * LEAT_SEC};
    leat_config config = {.procs = procs, .slice_us = 100, .shutdown_grace_ms = 20000};

    cr_assert(eq(int, leat_run_with(&config, hands_main, &h), 0));
    cr_assert(h.reached, "%u processors: %lu rounds, %lu of %d done", procs, atomic_load(&h.rounds),
              atomic_load(&h.done), NR_GIVERS);
    cr_expect(eq(u64, atomic_load(&h.ran), atomic_load(&h.spawned)));
    return h;
}

/*
 * Goal: a worker whose processor was taken while it slept, and has fallen idle again in other hands
 * before it woke, does not believe that it is still its own: else the other one's wake-up is lost.
 * Method: random computing and sleeping around short slices. Where the monitor comes too late to
 * end a slice, nothing was tried: once more.
 */
Test(handover, no_processor_is_lost, .timeout = 60)
{
    for (int p = 0; p < 3; p++) {
        uint64_t slices = 0;

        for (int i = 0; i < 5 && !slices; i++)
            slices = hands_run(kit_procs[p]).stats.sum.slices;
        cr_expect(ge(u64, slices, 1));
    }
}
