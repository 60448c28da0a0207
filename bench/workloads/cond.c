/*
 * cond - two coroutines wait for each other in turn, a million times, by one mutex and a condition
 * each way.
 */
#include "bench.h"

#include <leat/leat.h>

#define ROUNDS (1000 * 1000L)

static struct {
    leat_mutex mutex;
    leat_cond changed[2];
    int turn;
    long count;
} s;

static void player(int me, leat_waitgroup *wg)
{
    leat_mutex_lock(&s.mutex);
    for (long i = 0; i < ROUNDS; i++) {
        while (s.turn != me)
            bench_must(leat_cond_wait(&s.changed[me], &s.mutex, LEAT_FOREVER) == 0,
                       "leat_cond_wait");
        s.count++;
        s.turn = 1 - me;
        leat_cond_signal(&s.changed[1 - me]);
    }
    leat_mutex_unlock(&s.mutex);
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    leat_waitgroup wg = {0};
    struct bench_span span;

    (void)arg;
    bench_begin(&span);
    leat_wg_add(&wg, 2);
    for (int i = 0; i < 2; i++)
        bench_must(go(player, i, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_must(s.count == 2 * ROUNDS, "count");
    bench_print_span("", &span, (double)ROUNDS, (double)ROUNDS, BENCH_NSEC, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
