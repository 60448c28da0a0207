/*
 * select_try - a select that does not wait, among two channels that nobody sends to.
 */
#include "bench.h"

#include <errno.h>
#include <leat/leat.h>

#define TRIES (30 * 1000 * 1000L)
#define WARM_UP 1000L

LEAT_CHAN_TYPE(number_chan, int64_t);

static void try_often(long n, number_chan a, number_chan b)
{
    int64_t v = 0;

    for (long i = 0; i < n; i++) {
        leat_case c[] = {leat_case_get(a, &v), leat_case_get(b, &v)};

        bench_must(leat_select_try(c, 2) == -EAGAIN, "there is something");
    }
}

static int main_co(void *arg)
{
    struct bench_span span;
    number_chan a = {0}, b = {0};

    (void)arg;
    bench_must(leat_chan_new(&a, 0) == 0 && leat_chan_new(&b, 1) == 0, "leat_chan_new");
    try_often(WARM_UP, a, b);
    bench_begin(&span);
    try_often(TRIES, a, b);
    bench_end(&span);
    leat_chan_unref(a.chan);
    leat_chan_unref(b.chan);
    bench_print_span("", &span, TRIES, TRIES, BENCH_NSEC, "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
