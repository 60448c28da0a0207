/*
 * hog - as many coroutines as processors compute without a call for 200 ms; another one wakes every
 * millisecond beside them.
 *
 * How late it wakes is the figure: worst, and 99 % of those after the first 20 ms, when the runtime
 * has had time to take a processor back.
 */
#include "bench.h"
#include "ticker.h"

#include <leat/leat.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SPAN_NS (200 * LEAT_MSEC)
#define FIRST_NS (20 * LEAT_MSEC)

static struct ticker ticker;
static atomic_int over;

static void hog(leat_waitgroup *wg)
{
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        ;
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    int nr = *(int *)arg;
    leat_waitgroup wg = {0};

    leat_wg_add(&wg, nr);
    for (int i = 0; i < nr; i++)
        bench_must(go(hog, &wg) == 0, "go");
    ticker_run(&ticker, SPAN_NS);
    atomic_store(&over, 1);
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    ticker_print(&ticker, FIRST_NS);
    return 0;
}

int main(void)
{
    const char *procs = getenv("LEAT_PROCS");
    int nr = procs ? atoi(procs) : 0;

    bench_must(nr >= 1, "LEAT_PROCS must be set");
    return leat_run(main_co, &nr) == 0 ? 0 : 1;
}
