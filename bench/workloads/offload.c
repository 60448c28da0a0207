/*
 * offload - the round trip of a function that does nothing through the pool: leat_blocking() from
 * one coroutine, 20 000 times.
 *
 * Go's: to a goroutine that is locked to its thread, and back, over two channels.
 */
#include "bench.h"

#include <leat/leat.h>
#include <stdlib.h>

#define TRIPS 20000
#define WARM_UP 100

static int64_t took_ns[TRIPS];

static leat_result nothing(void *arg)
{
    return (leat_result)arg + 1;
}

static int main_co(void *arg)
{
    struct bench_span span;
    leat_result result = 0;

    (void)arg;
    for (int i = -WARM_UP; i < TRIPS; i++) {
        int64_t begun;

        if (i == 0)
            bench_begin(&span);
        begun = leat_now();
        bench_must(leat_blocking(nothing, (void *)1, &result, LEAT_FOREVER) == 0 && result == 2,
                   "leat_blocking");
        if (i >= 0)
            took_ns[i] = leat_now() - begun;
    }
    bench_end(&span);
    bench_print("wall", (double)span.wall_ns / TRIPS / 1e3, "us");
    bench_print("cpu", (double)span.cpu_ns / TRIPS / 1e3, "us");
    qsort(took_ns, TRIPS, sizeof took_ns[0], bench_compare);
    bench_print("p50", (double)took_ns[TRIPS / 2] / 1e3, "us");
    bench_print("p99", (double)took_ns[TRIPS / 100 * 99] / 1e3, "us");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
