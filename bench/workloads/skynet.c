/*
 * skynet - a tree of coroutines, each with 10 children down to a million leaves. A leaf sends its
 * number, a parent the sum of what its children have sent, over a channel without capacity that
 * each parent makes for its children.
 */
#include "bench.h"

#include <leat/leat.h>

#define LEAVES (1000 * 1000L)
#define CHILDREN 10
#define NODES 1111111

LEAT_CHAN_TYPE(number_chan, int64_t);

static void skynet(number_chan up, int64_t number, int64_t size)
{
    int64_t sum = number;

    if (size > 1) {
        number_chan c;

        bench_must(leat_chan_new(&c, 0) == 0, "leat_chan_new");
        for (int64_t i = 0; i < CHILDREN; i++)
            bench_must(go(skynet, c, number + i * (size / CHILDREN), size / CHILDREN) == 0, "go");
        sum = 0;
        for (int i = 0; i < CHILDREN; i++) {
            int64_t v = 0;

            bench_must(leat_chan_get(c, &v, LEAT_FOREVER) == 0, "leat_chan_get");
            sum += v;
        }
        leat_chan_unref(c.chan);
    }
    bench_must(leat_chan_put(up, sum, LEAT_FOREVER) == 0, "leat_chan_put");
}

static int main_co(void *arg)
{
    struct bench_span span;
    number_chan c;
    int64_t sum = 0;

    (void)arg;
    bench_begin(&span);
    bench_must(leat_chan_new(&c, 0) == 0, "leat_chan_new");
    bench_must(go(skynet, c, (int64_t)0, (int64_t)LEAVES) == 0, "go");
    bench_must(leat_chan_get(c, &sum, LEAT_FOREVER) == 0, "leat_chan_get");
    leat_chan_unref(c.chan);
    bench_end(&span);
    bench_must(sum == LEAVES * (LEAVES - 1) / 2, "the leaves do not add up");
    bench_print_span("", &span, 1, NODES, BENCH_MSEC, "ms");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
