/*
 * chan_sync - two coroutines, two channels without capacity: one sends a number and waits for the
 * answer, the other one answers. What a rendezvous there and back costs.
 */
#include "bench.h"

#include <leat/leat.h>

#define ROUNDS (3 * 1000 * 1000L)
#define WARM_UP 1000L

LEAT_CHAN_TYPE(number_chan, int64_t);

static void answer(number_chan there, number_chan back)
{
    int64_t v;

    while (leat_chan_get(there, &v, LEAT_FOREVER) == 0)
        bench_must(leat_chan_put(back, v + 1, LEAT_FOREVER) == 0, "leat_chan_put");
    bench_must(leat_chan_close(back.chan) == 0, "leat_chan_close");
}

static void ask(int64_t n, number_chan there, number_chan back)
{
    int64_t v;

    for (int64_t i = 0; i < n; i++) {
        bench_must(leat_chan_put(there, i, LEAT_FOREVER) == 0, "leat_chan_put");
        bench_must(leat_chan_get(back, &v, LEAT_FOREVER) == 0 && v == i + 1, "a wrong answer");
    }
}

static int main_co(void *arg)
{
    number_chan there, back;
    struct bench_span span;
    int64_t v;

    (void)arg;
    bench_must(leat_chan_new(&there, 0) == 0, "leat_chan_new");
    bench_must(leat_chan_new(&back, 0) == 0, "leat_chan_new");
    bench_must(go(answer, there, back) == 0, "go");
    ask(WARM_UP, there, back);
    bench_begin(&span);
    ask(ROUNDS, there, back);
    bench_end(&span);
    bench_must(leat_chan_close(there.chan) == 0, "leat_chan_close");
    bench_must(leat_chan_get(back, &v, LEAT_FOREVER) != 0, "the other side has not closed");
    leat_chan_unref(there.chan);
    leat_chan_unref(back.chan);
    bench_print_span("", &span, ROUNDS, ROUNDS, BENCH_NSEC, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
