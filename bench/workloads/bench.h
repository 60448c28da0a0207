/*
 * bench.h - what every workload shares: a span of time with its costs, and the line format.
 *
 * A program prints its figures as lines "metric value unit" on stdout and nothing else there;
 * bench/run reads them. The programs of the peers print the same metrics, counted the same way:
 * wall and CPU time of the whole process between begin and end.
 */
#ifndef LEAT_BENCH_H
#define LEAT_BENCH_H

#include <stdint.h>

#define BENCH_MSEC 1e6
#define BENCH_NSEC 1.0

/* Set by begin, turned into differences by end. */
struct bench_span {
    int64_t wall_ns;
    int64_t cpu_ns;  /* user and system, all threads */
    uint64_t sleeps; /* voluntary context switches, all threads */
    uint64_t wakes;  /* wake-ups that the runtime sent; 0 outside of a run */
};

void bench_begin(struct bench_span *span);
void bench_end(struct bench_span *span);

/* One line. */
void bench_print(const char *metric, double value, const char *unit);

/*
 * The four lines of a span: PREFIXwall, PREFIXcpu, PREFIXwakes, PREFIXsleeps. Times are divided by
 * `per` (operations) and shown in `unit`, which is `unit_ns` long; the last two are always per
 * operation of `ops`.
 */
void bench_print_span(const char *prefix, const struct bench_span *span, double per, double ops,
                      double unit_ns, const char *unit);

/* Argument 1 as a number, or `otherwise` when there is none. Ends the program on anything else. */
long bench_arg(int argc, char **argv, long otherwise);

/*
 * Ends the program with the message unless it holds: a benchmark with a wrong result has no figure.
 */
void bench_must(int holds, const char *what);

/* splitmix64's finaliser on the next state: what the peers compute bit for bit as well. */
static inline uint64_t bench_splitmix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* For qsort() of int64_t. */
int bench_compare(const void *a, const void *b);

#endif
