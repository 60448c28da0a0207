/*
 * blockcall - what it costs to announce a call that does not block: leat_block_enter() and
 * leat_block_leave() around getpid(2).
 *
 * bare: the system call alone. announced: with the bracket. over: the difference. The smallest of
 * several runs each, which what else the machine does disturbs least.
 */
#include "bench.h"

#include <leat/leat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS (200 * 1000L)
#define RUNS 20

static double run(int announced)
{
    struct bench_span span;

    bench_begin(&span);
    for (long i = 0; i < CALLS; i++) {
        if (announced)
            leat_block_enter();
        (void)syscall(SYS_getpid);
        if (announced)
            leat_block_leave();
    }
    bench_end(&span);
    return (double)span.wall_ns / (double)CALLS;
}

static int main_co(void *arg)
{
    double least[2] = {1e9, 1e9};

    (void)arg;
    for (int i = 0; i < RUNS; i++) {
        for (int announced = 0; announced < 2; announced++) {
            double ns = run(announced);

            least[announced] = ns < least[announced] ? ns : least[announced];
        }
    }
    bench_print("bare", least[0], "ns");
    bench_print("announced", least[1], "ns");
    bench_print("over", least[1] - least[0], "ns");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
