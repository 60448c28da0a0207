/*
 * yield - N coroutines, all of them always runnable, yield in turn: the price of going once through
 * the scheduler.
 *
 * 10 million yields in total, whatever N is (argument, default 2), after a first pass that creates
 * the stacks.
 */
#include "bench.h"

#include <leat/leat.h>

#define YIELDS (10 * 1000 * 1000L)
#define WARM_UP 10L

static void yielder(long times, leat_waitgroup *wg)
{
    for (long i = 0; i < times; i++)
        leat_yield();
    leat_wg_done(wg);
}

static void pass(long n, long times)
{
    leat_waitgroup wg = {0};

    leat_wg_add(&wg, (int)n);
    for (long i = 0; i < n; i++)
        bench_must(go(yielder, times, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
}

static int main_co(void *arg)
{
    long n = *(long *)arg;
    double yields = (double)(YIELDS / n * n);
    struct bench_span span;

    pass(n, WARM_UP);
    bench_begin(&span);
    pass(n, YIELDS / n);
    bench_end(&span);
    bench_print_span("", &span, yields, yields, BENCH_NSEC, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, 2);

    bench_must(n <= 1000 * 1000, "at most 1000000 coroutines");
    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
