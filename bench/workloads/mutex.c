/*
 * mutex - N coroutines go through 10 million short sections of one mutex in all (argument, default
 * 100; 1: nobody else wants it).
 */
#include "bench.h"

#include <leat/leat.h>

#define SECTIONS (10 * 1000 * 1000L)

static struct {
    leat_mutex mutex;
    long count;
} s;

static void worker(long times, leat_waitgroup *wg)
{
    for (long i = 0; i < times; i++) {
        leat_mutex_lock(&s.mutex);
        s.count++;
        leat_mutex_unlock(&s.mutex);
    }
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    long n = *(long *)arg, ops = SECTIONS / n * n;
    leat_waitgroup wg = {0};
    struct bench_span span;

    bench_begin(&span);
    leat_wg_add(&wg, (int)n);
    for (long i = 0; i < n; i++)
        bench_must(go(worker, SECTIONS / n, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(s.count == ops, "count");
    bench_print_span("", &span, (double)ops, (double)ops, BENCH_NSEC, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, 100);

    bench_must(n <= 1000 * 1000, "at most 1000000 coroutines");
    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
