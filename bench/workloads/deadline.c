/*
 * deadline - what a deadline costs that never passes: two coroutines wait for each other in turn, a
 * million rounds each way.
 *
 * forever: without a deadline. fixed: with one that was made before. after: with a new one for each
 * wait, so with a reading of the clock; `clock` is the price of that alone. All per wait.
 */
#include "bench.h"

#include <leat/leat.h>

#define ROUNDS (1000 * 1000L)
#define WAITS ((double)(2 * ROUNDS))

enum kind { FOREVER, FIXED, AFTER };

struct side {
    leat_waitgroup turn;
};

static void take_turns(struct side *mine, struct side *other, enum kind kind, leat_waitgroup *wg)
{
    leat_deadline fixed = leat_after(1000 * LEAT_SEC);

    for (long i = 0; i < ROUNDS; i++) {
        leat_deadline until = kind == FOREVER ? LEAT_FOREVER
                              : kind == FIXED ? fixed
                                              : leat_after(1000 * LEAT_SEC);

        bench_must(leat_wg_wait(&mine->turn, until) == 0, "leat_wg_wait");
        leat_wg_add(&mine->turn, 1);
        leat_wg_done(&other->turn);
    }
    leat_wg_done(wg);
}

static double rounds(enum kind kind)
{
    struct side side[2] = {{{{0}}}, {{{0}}}};
    leat_waitgroup wg = {0};
    struct bench_span span;

    leat_wg_add(&wg, 2);
    leat_wg_add(&side[1].turn, 1);
    bench_begin(&span);
    bench_must(go(take_turns, &side[0], &side[1], kind, &wg) == 0, "go");
    bench_must(go(take_turns, &side[1], &side[0], kind, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    return (double)span.wall_ns / WAITS;
}

static int main_co(void *arg)
{
    volatile int64_t sink = 0;
    struct bench_span span;

    (void)arg;
    (void)rounds(FOREVER); /* warm */
    bench_print("forever", rounds(FOREVER), "ns");
    bench_print("fixed", rounds(FIXED), "ns");
    bench_print("after", rounds(AFTER), "ns");
    bench_begin(&span);
    for (long i = 0; i < ROUNDS; i++)
        sink = leat_now();
    bench_end(&span);
    (void)sink;
    bench_print("clock", (double)span.wall_ns / (double)ROUNDS, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
