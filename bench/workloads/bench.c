/*
 * bench.c - see bench.h.
 */
#include "bench.h"

#include <leat/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static uint64_t voluntary_switches(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_nvcsw;
}

static uint64_t wakes_sent(void)
{
    leat_run_stats stats;

    return leat_stats_run(&stats) == 0 ? stats.sum.wakes : 0;
}

void bench_begin(struct bench_span *span)
{
    span->wakes = wakes_sent();
    span->sleeps = voluntary_switches();
    span->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    span->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

void bench_end(struct bench_span *span)
{
    span->wall_ns = clock_ns(CLOCK_MONOTONIC) - span->wall_ns;
    span->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - span->cpu_ns;
    span->sleeps = voluntary_switches() - span->sleeps;
    span->wakes = wakes_sent() - span->wakes;
}

void bench_print(const char *metric, double value, const char *unit)
{
    printf("%s %.9g %s\n", metric, value, unit);
    fflush(stdout);
}

void bench_print_span(const char *prefix, const struct bench_span *span, double per, double ops,
                      double unit_ns, const char *unit)
{
    char name[64];

    snprintf(name, sizeof name, "%swall", prefix);
    bench_print(name, (double)span->wall_ns / unit_ns / per, unit);
    snprintf(name, sizeof name, "%scpu", prefix);
    bench_print(name, (double)span->cpu_ns / unit_ns / per, unit);
    snprintf(name, sizeof name, "%swakes", prefix);
    bench_print(name, (double)span->wakes / ops, "1/op");
    snprintf(name, sizeof name, "%ssleeps", prefix);
    bench_print(name, (double)span->sleeps / ops, "1/op");
}

long bench_arg(int argc, char **argv, long otherwise)
{
    char *end;
    long n;

    if (argc < 2)
        return otherwise;
    n = strtol(argv[1], &end, 10);
    if (argc > 2 || *argv[1] == '\0' || *end != '\0' || n < 1) {
        fprintf(stderr, "usage: %s [number, at least 1]\n", argv[0]);
        exit(2);
    }
    return n;
}

void bench_must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "benchmark failed: %s\n", what);
    exit(1);
}

int bench_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}
