/*
 * spawn - 1000 batches of 1000 coroutines that do nothing; each batch is waited for with a
 * waitgroup.
 */
#include "bench.h"

#include <leat/leat.h>

#define BATCHES 1000
#define BATCH 1000

static void nothing(leat_waitgroup *wg)
{
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    double spawns = (double)BATCHES * BATCH;
    struct bench_span span;

    (void)arg;
    bench_begin(&span);
    for (int b = 0; b < BATCHES; b++) {
        leat_waitgroup wg = {0};

        leat_wg_add(&wg, BATCH);
        for (int i = 0; i < BATCH; i++)
            bench_must(go(nothing, &wg) == 0, "go");
        bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    }
    bench_end(&span);
    bench_print_span("", &span, spawns, spawns, BENCH_NSEC, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
