/*
 * sem - N coroutines (argument, default 100) take a permit of a semaphore of 10 and give it back,
 * so many times in all. One alone: 10 million times, and it never waits. More: a million times, and
 * each yields while it has the permit.
 */
#include "bench.h"

#include <leat/leat.h>

#define PERMITS 10

static leat_sem sem = LEAT_SEM(PERMITS);

static void worker(long times, bool yields, leat_waitgroup *wg)
{
    for (long i = 0; i < times; i++) {
        bench_must(leat_sem_acquire(&sem, 1, LEAT_FOREVER) == 0, "leat_sem_acquire");
        if (yields)
            leat_yield();
        leat_sem_release(&sem, 1);
    }
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    long n = *(long *)arg, all = n == 1 ? 10 * 1000 * 1000L : 1000 * 1000L, ops = all / n * n;
    leat_waitgroup wg = {0};
    struct bench_span span;

    bench_begin(&span);
    leat_wg_add(&wg, (int)n);
    for (long i = 0; i < n; i++)
        bench_must(go(worker, all / n, n > 1, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(leat_sem_try(&sem, PERMITS) == 0, "permits");
    bench_print_span("", &span, (double)ops, (double)ops, BENCH_NSEC, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, 100);

    bench_must(n <= 1000 * 1000, "at most 1000000 coroutines");
    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
