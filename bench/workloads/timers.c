/*
 * timers - 100 000 coroutines each sleep once, a random 1 to 100 ms; twice in one process.
 *
 * The first round pays for fresh stacks, the second one runs on used ones. Wall time is from the
 * first spawn to the last end (100 ms at the very least); a coroutine is late by what it slept
 * longer than it asked for, from its own call on.
 */
#include "bench.h"

#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

#define SLEEPERS 100000
#define MIN_NS (1 * LEAT_MSEC)
#define MAX_NS (100 * LEAT_MSEC)

static int64_t late_ns[SLEEPERS];

static void sleeper(uint32_t index, uint64_t seed, leat_waitgroup *wg)
{
    int64_t span =
        MIN_NS + (int64_t)(bench_splitmix(seed + index) % (uint64_t)(MAX_NS - MIN_NS + 1));
    int64_t begun = leat_now();

    bench_must(leat_sleep(span) == 0, "leat_sleep");
    late_ns[index] = leat_now() - begun - span;
    leat_wg_done(wg);
}

static void print_late(const char *prefix, const char *name, int permille)
{
    char metric[64];

    snprintf(metric, sizeof metric, "%s%s", prefix, name);
    bench_print(metric, (double)late_ns[(int64_t)SLEEPERS * permille / 1000] / BENCH_MSEC, "ms");
}

static void one_round(const char *prefix, uint64_t seed)
{
    leat_waitgroup wg = {0};
    struct bench_span span;

    bench_begin(&span);
    leat_wg_add(&wg, SLEEPERS);
    for (uint32_t i = 0; i < SLEEPERS; i++)
        bench_must(go(sleeper, i, seed, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);

    qsort(late_ns, SLEEPERS, sizeof late_ns[0], bench_compare);
    bench_must(late_ns[0] >= 0, "a sleep ended too early");
    bench_print_span(prefix, &span, 1, SLEEPERS, BENCH_MSEC, "ms");
    print_late(prefix, "late_p50", 500);
    print_late(prefix, "late_p99", 990);
}

static int main_co(void *arg)
{
    (void)arg;
    one_round("first_", 1);
    one_round("second_", 1 + SLEEPERS);
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
