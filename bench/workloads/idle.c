/*
 * idle - a server in which nothing happens: a thousand coroutines wait for each other, one for the
 * standard input. bench/run looks at it from outside, and closes that.
 */
#include "bench.h"

#include <leat/leat.h>

#define WAITERS 1000

static void waiter(leat_waitgroup *begin, leat_waitgroup *end)
{
    bench_must(leat_wg_wait(begin, LEAT_FOREVER) == 0, "leat_wg_wait");
    leat_wg_done(end);
}

static int main_co(void *arg)
{
    leat_waitgroup begin = {0}, end = {0};
    char c;

    (void)arg;
    leat_wg_add(&begin, 1);
    leat_wg_add(&end, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        bench_must(go(waiter, &begin, &end) == 0, "go");
    bench_must(leat_read(0, &c, 1, LEAT_FOREVER) == 0, "leat_read");
    leat_wg_done(&begin);
    bench_must(leat_wg_wait(&end, LEAT_FOREVER) == 0, "leat_wg_wait");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
