/*
 * tree - an unbalanced tree, a coroutine per node: the root has 2000 children, every other node 8
 * with p = 0.124, else none.
 *
 * Each node computes 20 dependent splitmix64 steps from its state (none can be left out by a
 * compiler), and the result says whether it has children. A parent waits for its children and adds
 * up their counts. The root's children start from SEED, SEED + 1, …, those of another node from its
 * result, its result + 1, …; with this seed the tree has 265 305 nodes, root included.
 *
 * "sequential" is the same walk by plain recursion.
 */
#include "bench.h"

#include <leat/leat.h>

#define SEED 101003
#define ROOT_CHILDREN 2000
#define CHILDREN 8
#define STEPS 20
#define CHANCE 0x1fbe76c8b4395800u /* 0.124 of 2^64 */
#define NODES 265305

static uint64_t work(uint64_t state)
{
    for (int i = 0; i < STEPS; i++)
        state = bench_splitmix(state);
    return state;
}

static void node(uint64_t state, uint32_t *count, leat_waitgroup *done)
{
    uint64_t result = work(state);
    uint32_t sum = 1;

    if (result < CHANCE) {
        uint32_t counts[CHILDREN];
        leat_waitgroup wg = {0};

        leat_wg_add(&wg, CHILDREN);
        for (unsigned i = 0; i < CHILDREN; i++)
            bench_must(go(node, result + i, &counts[i], &wg) == 0, "go");
        bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
        for (unsigned i = 0; i < CHILDREN; i++)
            sum += counts[i];
    }
    *count = sum;
    leat_wg_done(done);
}

static void root(uint32_t *count, leat_waitgroup *done)
{
    uint32_t counts[ROOT_CHILDREN];
    leat_waitgroup wg = {0};
    uint32_t sum = 1;

    leat_wg_add(&wg, ROOT_CHILDREN);
    for (unsigned i = 0; i < ROOT_CHILDREN; i++)
        bench_must(go(node, (uint64_t)SEED + i, &counts[i], &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    for (unsigned i = 0; i < ROOT_CHILDREN; i++)
        sum += counts[i];
    *count = sum;
    leat_wg_done(done);
}

static uint32_t walk(uint64_t state)
{
    uint64_t result = work(state);
    uint32_t sum = 1;

    if (result < CHANCE) {
        for (unsigned i = 0; i < CHILDREN; i++)
            sum += walk(result + i);
    }
    return sum;
}

static uint32_t walk_all(void)
{
    uint32_t sum = 1;

    for (unsigned i = 0; i < ROOT_CHILDREN; i++)
        sum += walk((uint64_t)SEED + i);
    return sum;
}

static int main_co(void *arg)
{
    leat_waitgroup wg = {0};
    struct bench_span span;
    uint32_t count = 0;

    (void)arg;
    bench_begin(&span);
    leat_wg_add(&wg, 1);
    bench_must(go(root, &count, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(count == NODES, "the tree has the wrong size");
    bench_print_span("", &span, 1, NODES, BENCH_MSEC, "ms");
    return 0;
}

/*
 * On the thread's own stack, after the run: the tree can be deeper than a coroutine's stack holds
 * by plain recursion.
 */
static void sequential(void)
{
    struct bench_span span;
    uint32_t count;

    bench_begin(&span);
    count = walk_all();
    bench_end(&span);
    bench_must(count == NODES, "the tree has the wrong size");
    bench_print("sequential", (double)span.wall_ns / BENCH_MSEC, "ms");
}

int main(void)
{
    if (leat_run(main_co, 0) != 0)
        return 1;
    sequential();
    return 0;
}
