/*
 * select - among 2 channels, or 8.
 *
 * free: one coroutine takes a number from whichever of its own channels, of capacity 1, has it, and
 * puts it into the next one: nobody waits.
 * contended: 4 coroutines send to any of the channels, without capacity, and 4 receive from any;
 * what a number costs, sent and received.
 */
#include "bench.h"

#include <leat/leat.h>

#define CHANS_MAX 8
#define TURNS (4 * 1000 * 1000L)
#define SENDERS 4
#define RECEIVERS 4
#define EACH (250 * 1000L)
#define WARM_UP 1000L

LEAT_CHAN_TYPE(number_chan, int64_t);

static struct {
    long chans;
    number_chan c[CHANS_MAX];
} s;

static void open_all(size_t capacity)
{
    for (long i = 0; i < s.chans; i++)
        bench_must(leat_chan_new(&s.c[i], capacity) == 0, "leat_chan_new");
}

static void close_all(void)
{
    for (long i = 0; i < s.chans; i++)
        leat_chan_unref(s.c[i].chan);
}

/* A case of each kind for the same variable. */
static int take_any(int64_t *v)
{
    if (s.chans == 2) {
        leat_case c[] = {leat_case_get(s.c[0], v), leat_case_get(s.c[1], v)};

        return leat_select(c, 2, LEAT_FOREVER);
    }
    leat_case c[] = {leat_case_get(s.c[0], v), leat_case_get(s.c[1], v), leat_case_get(s.c[2], v),
                     leat_case_get(s.c[3], v), leat_case_get(s.c[4], v), leat_case_get(s.c[5], v),
                     leat_case_get(s.c[6], v), leat_case_get(s.c[7], v)};

    return leat_select(c, 8, LEAT_FOREVER);
}

static int give_any(const int64_t *v)
{
    if (s.chans == 2) {
        leat_case c[] = {leat_case_put(s.c[0], v), leat_case_put(s.c[1], v)};

        return leat_select(c, 2, LEAT_FOREVER);
    }
    leat_case c[] = {leat_case_put(s.c[0], v), leat_case_put(s.c[1], v), leat_case_put(s.c[2], v),
                     leat_case_put(s.c[3], v), leat_case_put(s.c[4], v), leat_case_put(s.c[5], v),
                     leat_case_put(s.c[6], v), leat_case_put(s.c[7], v)};

    return leat_select(c, 8, LEAT_FOREVER);
}

static void go_round(int64_t turns)
{
    int64_t v = 0;

    open_all(1);
    bench_must(leat_chan_put(s.c[0], v, LEAT_FOREVER) == 0, "leat_chan_put");
    for (int64_t i = 0; i < turns; i++) {
        int r = take_any(&v);

        bench_must(r == (int)(i % s.chans) && v == i, "a wrong number");
        bench_must(leat_chan_put(s.c[(i + 1) % s.chans], v + 1, LEAT_FOREVER) == 0,
                   "leat_chan_put");
    }
    close_all();
}

static void produce(int64_t from, int64_t n, leat_waitgroup *wg)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t v = from + i;

        bench_must(give_any(&v) >= 0, "leat_select");
    }
    leat_wg_done(wg);
}

static void consume(int64_t n, int64_t *sum, leat_waitgroup *wg)
{
    int64_t all = 0, v = 0;

    for (int64_t i = 0; i < n; i++) {
        bench_must(take_any(&v) >= 0, "leat_select");
        all += v;
    }
    *sum = all;
    leat_wg_done(wg);
}

static void pass(int64_t each)
{
    int64_t sums[RECEIVERS], sum = 0, n = each * SENDERS;
    leat_waitgroup wg = {0};

    open_all(0);
    leat_wg_add(&wg, SENDERS + RECEIVERS);
    for (int i = 0; i < RECEIVERS; i++)
        bench_must(go(consume, n / RECEIVERS, &sums[i], &wg) == 0, "go");
    for (int64_t i = 0; i < SENDERS; i++)
        bench_must(go(produce, i * each, each, &wg) == 0, "go");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    for (int i = 0; i < RECEIVERS; i++)
        sum += sums[i];
    bench_must(sum == n * (n - 1) / 2, "the numbers do not add up");
    close_all();
}

static int main_co(void *arg)
{
    struct bench_span span;

    (void)arg;
    go_round(WARM_UP);
    bench_begin(&span);
    go_round(TURNS);
    bench_end(&span);
    bench_print_span("free_", &span, TURNS, TURNS, BENCH_NSEC, "ns");
    pass(WARM_UP);
    bench_begin(&span);
    pass(EACH);
    bench_end(&span);
    bench_print_span("contended_", &span, EACH * SENDERS, EACH * SENDERS, BENCH_NSEC, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    s.chans = bench_arg(argc, argv, 2);
    bench_must(s.chans == 2 || s.chans == 8, "2 channels, or 8");
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
