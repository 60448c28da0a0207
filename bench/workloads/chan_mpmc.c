/*
 * chan_mpmc - 4 producers and 4 consumers at one channel of capacity 128, 8 million numbers: what
 * an item costs, sent and received. The consumers add the numbers up.
 */
#include "bench.h"

#include <leat/leat.h>

#define PRODUCERS 4
#define CONSUMERS 4
#define CAPACITY 128
#define ITEMS (8 * 1000 * 1000L)
#define WARM_UP 8000L

LEAT_CHAN_TYPE(number_chan, int64_t);

static void produce(number_chan c, int64_t from, int64_t n, leat_waitgroup *wg)
{
    for (int64_t i = 0; i < n; i++)
        bench_must(leat_chan_put(c, from + i, LEAT_FOREVER) == 0, "leat_chan_put");
    leat_wg_done(wg);
}

static void consume(number_chan c, int64_t *sum, leat_waitgroup *wg)
{
    int64_t s = 0, v;

    while (leat_chan_get(c, &v, LEAT_FOREVER) == 0)
        s += v;
    *sum = s;
    leat_wg_done(wg);
}

static void pass(int64_t n)
{
    leat_waitgroup sending = {0}, receiving = {0};
    int64_t sums[CONSUMERS], sum = 0, each = n / PRODUCERS;
    number_chan c;

    bench_must(leat_chan_new(&c, CAPACITY) == 0, "leat_chan_new");
    leat_wg_add(&sending, PRODUCERS);
    leat_wg_add(&receiving, CONSUMERS);
    for (int i = 0; i < CONSUMERS; i++)
        bench_must(go(consume, c, &sums[i], &receiving) == 0, "go");
    for (int64_t i = 0; i < PRODUCERS; i++)
        bench_must(go(produce, c, i * each, each, &sending) == 0, "go");
    bench_must(leat_wg_wait(&sending, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_must(leat_chan_close(c.chan) == 0, "leat_chan_close");
    bench_must(leat_wg_wait(&receiving, LEAT_FOREVER) == 0, "leat_wg_wait");
    for (int i = 0; i < CONSUMERS; i++)
        sum += sums[i];
    bench_must(sum == n * (n - 1) / 2, "the items do not add up");
    leat_chan_unref(c.chan);
}

static int main_co(void *arg)
{
    struct bench_span span;

    (void)arg;
    pass(WARM_UP);
    bench_begin(&span);
    pass(ITEMS);
    bench_end(&span);
    bench_print_span("", &span, ITEMS, ITEMS, BENCH_NSEC, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
