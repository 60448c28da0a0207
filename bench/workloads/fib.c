/*
 * fib - fib(32): the n-1 branch is a coroutine until n < 10, the n-2 branch is an ordinary call:
 * 75 024 spawns and joins.
 *
 * "sequential" is the same sum by plain recursion: the compiler's part, which no runtime can make
 * smaller.
 */
#include "bench.h"

#include <leat/leat.h>

#define N 32
#define CUT 10
#define RESULT 2178309
#define SPAWNS 75024

static long fib_plain(int n)
{
    return n < 2 ? n : fib_plain(n - 1) + fib_plain(n - 2);
}

static long fib(int n)
{
    leat_handle *handle;
    leat_result left;
    long right;

    if (n < CUT)
        return fib_plain(n);
    bench_must(leat_go_join(&handle, fib, n - 1) == 0, "leat_go_join");
    right = fib(n - 2);
    bench_must(leat_join(handle, &left, LEAT_FOREVER) == 0, "leat_join");
    return (long)left + right;
}

static int main_co(void *arg)
{
    volatile int n = N; /* or the compiler knows the sum */
    struct bench_span span;
    long result;

    (void)arg;
    bench_begin(&span);
    result = fib(n);
    bench_end(&span);
    bench_must(result == RESULT, "fib(32) is wrong");
    bench_print_span("", &span, 1, SPAWNS, BENCH_MSEC, "ms");

    bench_begin(&span);
    result = fib_plain(n);
    bench_end(&span);
    bench_must(result == RESULT, "fib(32) is wrong");
    bench_print("sequential", (double)span.wall_ns / BENCH_MSEC, "ms");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
