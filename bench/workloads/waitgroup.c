/*
 * waitgroup - argument 2: two coroutines wait for each other in turn, a million times, by a
 * waitgroup each way. Any other N (default 100): N coroutines add to one waitgroup and take away
 * again, 10 million times in all, and nobody waits meanwhile.
 */
#include "bench.h"

#include <leat/leat.h>

#define COUNTS (10 * 1000 * 1000L)
#define ROUNDS (1000 * 1000L)

static leat_waitgroup a, b, end;

static void wait_for(leat_waitgroup *wg)
{
    bench_must(leat_wg_wait(wg, LEAT_FOREVER) == 0, "leat_wg_wait");
}

static void ping(void)
{
    for (long i = 0; i < ROUNDS; i++) {
        leat_wg_done(&a);
        wait_for(&b);
        leat_wg_add(&b, 1);
    }
    leat_wg_done(&end);
}

static void pong(void)
{
    for (long i = 0; i < ROUNDS; i++) {
        wait_for(&a);
        leat_wg_add(&a, 1);
        leat_wg_done(&b);
    }
    leat_wg_done(&end);
}

static void counter(long times)
{
    for (long i = 0; i < times; i++) {
        leat_wg_add(&a, 1);
        leat_wg_done(&a);
    }
    leat_wg_done(&end);
}

static int main_co(void *arg)
{
    long n = *(long *)arg, ops = n == 2 ? ROUNDS : COUNTS / n * n;
    struct bench_span span;

    bench_begin(&span);
    leat_wg_add(&end, (int)n);
    leat_wg_add(&a, 1);
    if (n == 2) {
        leat_wg_add(&b, 1);
        bench_must(go(ping) == 0 && go(pong) == 0, "go");
    } else {
        for (long i = 0; i < n; i++)
            bench_must(go(counter, COUNTS / n) == 0, "go");
    }
    wait_for(&end);
    bench_end(&span);
    bench_print_span("", &span, (double)ops, (double)ops, BENCH_NSEC, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, 100);

    bench_must(n <= 1000 * 1000, "at most 1000000 coroutines");
    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
