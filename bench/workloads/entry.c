/*
 * entry - what stands around every public call: the entry to the runtime and the exit from it, when
 * nobody asks for anything.
 *
 * Prints ns for a pair. Under callgrind, bench/run divides the instructions of entry_pair() and
 * lea_self() by the count: the first one's own return and the loop's call are among them. Argument:
 * pairs, default 20 million.
 */
#include "bench.h"

#include "sched/bracket.h"

#include <leat/leat.h>

void entry_pair(void);

__attribute__((noinline)) void entry_pair(void)
{
    lea_leave(lea_enter());
}

static int main_co(void *arg)
{
    long pairs = *(long *)arg;
    struct bench_span span;

    bench_begin(&span);
    for (long i = 0; i < pairs; i++)
        entry_pair();
    bench_end(&span);
    bench_print("wall", (double)span.wall_ns / (double)pairs, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    long pairs = bench_arg(argc, argv, 20 * 1000 * 1000);

    return leat_run(main_co, &pairs) == 0 ? 0 : 1;
}
