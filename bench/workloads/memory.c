/*
 * memory - N coroutines (argument, default 100 000) parked at once: resident bytes of each.
 *
 * "rss" is what the process' resident memory grew by per coroutine; "pagetables" what the kernel's
 * page tables for it grew by, which resident memory does not count. "start" is the time until all
 * are parked, "wake" the time from the gate's opening until all have ended.
 */
#include "bench.h"

#include <leat/leat.h>
#include <stdio.h>

static leat_waitgroup arrived;
static leat_waitgroup gate;
static leat_waitgroup ended;

/* A line "NAME:  N kB" of a file in /proc/self. */
static double proc_bytes(const char *path, const char *format)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen(path, "r");

    bench_must(file != NULL, path);
    while (kib < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, format, &kib) != 1)
            kib = -1;
    }
    fclose(file);
    bench_must(kib >= 0, format);
    return (double)kib * 1024;
}

/* The roll-up walks the pages: exact, where VmRSS may lag behind. */
static double resident(void)
{
    return proc_bytes("/proc/self/smaps_rollup", "Rss: %ld kB");
}

static double page_tables(void)
{
    return proc_bytes("/proc/self/status", "VmPTE: %ld kB");
}

static void sleeper(void)
{
    leat_wg_done(&arrived);
    bench_must(leat_wg_wait(&gate, LEAT_FOREVER) == 0, "leat_wg_wait");
    leat_wg_done(&ended);
}

static int main_co(void *arg)
{
    long n = *(long *)arg;
    double rss = resident();
    double tables = page_tables();
    struct bench_span span;

    leat_wg_add(&gate, 1);
    leat_wg_add(&arrived, (int)n);
    leat_wg_add(&ended, (int)n);

    bench_begin(&span);
    for (long i = 0; i < n; i++)
        bench_must(go(sleeper) == 0, "go");
    bench_must(leat_wg_wait(&arrived, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    leat_sleep(20 * LEAT_MSEC); /* the last ones are on their way to the gate */

    bench_print("rss", (resident() - rss) / (double)n, "B");
    bench_print("pagetables", (page_tables() - tables) / (double)n, "B");
    bench_print_span("start_", &span, 1, (double)n, BENCH_MSEC, "ms");

    bench_begin(&span);
    leat_wg_done(&gate);
    bench_must(leat_wg_wait(&ended, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    bench_print_span("wake_", &span, 1, (double)n, BENCH_MSEC, "ms");
    return 0;
}

int main(int argc, char **argv)
{
    long n = bench_arg(argc, argv, 100 * 1000);

    bench_must(n <= 100 * 1000 * 1000, "at most 100000000 coroutines");
    return leat_run(main_co, &n) == 0 ? 0 : 1;
}
