/*
 * rwmutex - 100 coroutines look at what a rwmutex protects, 20 million times in all; every N-th
 * time (argument, default 10000) they change it.
 */
#include "bench.h"

#include <leat/leat.h>

#define WORKERS 100
#define TIMES (20 * 1000 * 1000L / WORKERS)

static struct {
    leat_rwmutex rw;
    long a, b; /* always the same */
} s;

static void worker(long every, leat_waitgroup *wg)
{
    long left = every;
    bool equal = true;

    for (long i = 0; i < TIMES; i++) {
        if (--left == 0) {
            left = every;
            leat_rwmutex_lock(&s.rw);
            s.a++;
            s.b++;
            leat_rwmutex_unlock(&s.rw);
        } else {
            leat_rwmutex_rlock(&s.rw);
            equal &= s.a == s.b;
            leat_rwmutex_runlock(&s.rw);
        }
    }
    bench_must(equal, "a == b");
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    long every = *(long *)arg;
    leat_waitgroup wg = {0};
    struct bench_span span;

    bench_begin(&span);
    leat_wg_add(&wg, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        bench_must(go(worker, every, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(s.a == TIMES / every * WORKERS, "changes");
    bench_print_span("", &span, (double)(TIMES * WORKERS), (double)(TIMES * WORKERS), BENCH_NSEC,
                     "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long every = bench_arg(argc, argv, 10000);

    return leat_run(main_co, &every) == 0 ? 0 : 1;
}
