/*
 * cancel - 100 000 coroutines of a group that wait for something that never comes, and are
 * cancelled all at once.
 *
 * wall is from the cancellation to the end of the last; start, what it takes to have them all wait.
 */
#include "bench.h"

#include <errno.h>
#include <leat/leat.h>
#include <stdatomic.h>

#define DEFAULT_WAITERS 100000L

struct shared {
    leat_waitgroup never, waiting;
    atomic_long cancelled;
};

static void waiter(struct shared *s)
{
    leat_wg_done(&s->waiting);
    if (leat_wg_wait(&s->never, LEAT_FOREVER) == -ECANCELED)
        atomic_fetch_add_explicit(&s->cancelled, 1, memory_order_relaxed);
}

static int main_co(void *arg)
{
    long n = *(long *)arg;
    struct bench_span start, span;
    static struct shared s;
    leat_group group;

    leat_wg_add(&s.never, 1);
    leat_wg_add(&s.waiting, (int)n);
    leat_group_open(&group, 0);
    bench_begin(&start);
    for (long i = 0; i < n; i++)
        bench_must(leat_group_go(&group, waiter, &s) == 0, "leat_group_go");
    bench_must(leat_wg_wait(&s.waiting, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&start);
    leat_sleep(20 * LEAT_MSEC); /* the last ones park */
    bench_begin(&span);
    leat_group_cancel(&group);
    bench_must(leat_group_wait(&group, LEAT_FOREVER) == 0, "leat_group_wait");
    bench_end(&span);
    bench_must(s.cancelled == n, "every one is cancelled");
    bench_print_span("", &span, 1, (double)n, BENCH_MSEC, "ms");
    bench_print("start", (double)start.wall_ns / BENCH_MSEC, "ms");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, DEFAULT_WAITERS);

    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
