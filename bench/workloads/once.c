/*
 * once - 100 coroutines come to N functions (argument, default 1) that run once. To one, which has
 * run already, a million times each. To more, one after the other: who comes first runs it, and
 * lets the others come meanwhile.
 */
#include "bench.h"

#include <leat/leat.h>
#include <stdlib.h>

#define WORKERS 100
#define TIMES (100 * 1000 * 1000L / WORKERS)

static leat_once *once;
static long nr_once;
static long nr_runs; /* one at a time */

static void run(void *arg)
{
    (void)arg;
    if (nr_once > 1)
        leat_yield();
    nr_runs++;
}

static void again(leat_waitgroup *wg)
{
    for (long i = 0; i < TIMES; i++) {
        leat_once_do(once, run, NULL);
        __asm__ volatile("" : : : "memory"); /* each time anew */
    }
    leat_wg_done(wg);
}

static void each(leat_waitgroup *wg)
{
    for (long i = 0; i < nr_once; i++)
        leat_once_do(&once[i], run, NULL);
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    long calls = nr_once == 1 ? TIMES * WORKERS : nr_once * WORKERS;
    leat_waitgroup wg = {0};
    struct bench_span span;

    (void)arg;
    once = calloc((size_t)nr_once, sizeof *once);
    bench_must(once != NULL, "calloc");
    bench_begin(&span);
    leat_wg_add(&wg, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        bench_must((nr_once == 1 ? go(again, &wg) : go(each, &wg)) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(nr_runs == nr_once, "runs");
    bench_print_span("", &span, (double)calls, (double)calls, BENCH_NSEC, "ns");
    free(once);
    return 0;
}

int main(int argc, char **argv)
{
    nr_once = bench_arg(argc, argv, 1);
    bench_must(nr_once <= 10 * 1000 * 1000, "at most 10000000 functions");
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
