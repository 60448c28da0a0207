/*
 * once - 100 coroutines come to a function that has run already, 100 million times in all.
 */
#include "bench.h"

#include <leat/leat.h>

#define WORKERS 100
#define TIMES (100 * 1000 * 1000L / WORKERS)

static leat_once once;
static int runs;

static void run(void *arg)
{
    (void)arg;
    runs++;
}

static void worker(leat_waitgroup *wg)
{
    for (long i = 0; i < TIMES; i++) {
        leat_once_do(&once, run, NULL);
        __asm__ volatile("" : : : "memory"); /* each time anew */
    }
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    leat_waitgroup wg = {0};
    struct bench_span span;

    (void)arg;
    bench_begin(&span);
    leat_wg_add(&wg, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        bench_must(go(worker, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(runs == 1, "runs");
    bench_print_span("", &span, (double)(TIMES * WORKERS), (double)(TIMES * WORKERS), BENCH_NSEC,
                     "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
