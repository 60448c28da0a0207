/*
 * once - 100 coroutines come to functions that run once. To one function (argument 1, the default),
 * which has run already, a million times each; or to so many, one after the other: who comes first
 * runs it, and lets the others come meanwhile.
 */
#include "bench.h"

#include <leat/leat.h>
#include <stdlib.h>

#define WORKERS 100
#define TIMES (100 * 1000 * 1000L / WORKERS)

static leat_once *once;
static long runs; /* one at a time */

static void run(void *arg)
{
    if (*(long *)arg > 1)
        leat_yield();
    runs++;
}

static void again(long *objects, leat_waitgroup *wg)
{
    for (long i = 0; i < TIMES; i++) {
        leat_once_do(once, run, objects);
        __asm__ volatile("" : : : "memory"); /* each time anew */
    }
    leat_wg_done(wg);
}

static void each(long *objects, leat_waitgroup *wg)
{
    for (long i = 0; i < *objects; i++)
        leat_once_do(&once[i], run, objects);
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    long *objects = arg, calls = *objects == 1 ? TIMES * WORKERS : *objects * WORKERS;
    leat_waitgroup wg = {0};
    struct bench_span span;

    once = calloc((size_t)*objects, sizeof *once);
    bench_must(once != NULL, "calloc");
    bench_begin(&span);
    leat_wg_add(&wg, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        bench_must((*objects == 1 ? go(again, objects, &wg) : go(each, objects, &wg)) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(runs == *objects, "runs");
    bench_print_span("", &span, (double)calls, (double)calls, BENCH_NSEC, "ns");
    free(once);
    return 0;
}

int main(int argc, char **argv)
{
    long objects = bench_arg(argc, argv, 1);

    bench_must(objects <= 10 * 1000 * 1000, "at most 10000000 functions");
    return leat_run(main_co, &objects) == 0 ? 0 : 1;
}
