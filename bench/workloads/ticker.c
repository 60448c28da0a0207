/*
 * ticker.c - see ticker.h.
 */
#include "ticker.h"

#include "bench.h"

#include <leat/leat.h>
#include <stdlib.h>

#define PERIOD_NS LEAT_MSEC

void ticker_run(struct ticker *t, int64_t span_ns)
{
    int64_t begun = leat_now();
    int64_t before = begun;

    t->nr = 0;
    while (before - begun < span_ns && t->nr < TICKER_MAX) {
        int64_t now;

        bench_must(leat_sleep(PERIOD_NS) == 0, "leat_sleep");
        now = leat_now();
        t->late_ns[t->nr] = now - before - PERIOD_NS;
        t->at_ns[t->nr++] = now - begun;
        before = leat_now();
    }
}

static void print_sorted(int64_t *ns, int nr, const char *metric, int permille)
{
    int i = nr * permille / 1000;

    qsort(ns, (size_t)nr, sizeof ns[0], bench_compare);
    bench_print(metric, (double)ns[i < nr ? i : nr - 1] / BENCH_MSEC, "ms");
}

void ticker_print(struct ticker *t, int64_t after_ns)
{
    static int64_t later[TICKER_MAX];
    int nr_later = 0;

    bench_must(t->nr > 0, "no tick");
    for (int i = 0; i < t->nr; i++) {
        if (t->at_ns[i] > after_ns)
            later[nr_later++] = t->late_ns[i];
    }
    print_sorted(t->late_ns, t->nr, "late_p50", 500);
    print_sorted(t->late_ns, t->nr, "late_p99", 990);
    print_sorted(t->late_ns, t->nr, "late_max", 1000);
    if (nr_later)
        print_sorted(later, nr_later, "later_p99", 990);
}
