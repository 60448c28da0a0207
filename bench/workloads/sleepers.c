/*
 * sleepers - 64 coroutines in a raw nanosleep(2) of a second, unannounced; another one wakes every
 * millisecond beside them.
 *
 * threads: the most that the process had meanwhile.
 */
#include "bench.h"
#include "ticker.h"

#include <leat/leat.h>
#include <stdio.h>
#include <time.h>

#define SLEEPERS 64
#define TURNS 10
#define SPAN_NS (100 * LEAT_MSEC)

static struct ticker ticker;

static void sleeper(leat_waitgroup *wg)
{
    struct timespec second = {1, 0};

    nanosleep(&second, NULL);
    leat_wg_done(wg);
}

static int threads_now(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    int nr = 0;

    bench_must(f != NULL, "/proc/self/status");
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Threads: %d", &nr) == 1)
            break;
    }
    fclose(f);
    return nr;
}

static int main_co(void *arg)
{
    static struct ticker part;
    leat_waitgroup wg = {0};
    int most = 0;

    (void)arg;
    leat_wg_add(&wg, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        bench_must(go(sleeper, &wg) == 0, "go");
    for (int turn = 0; turn < TURNS; turn++) {
        int nr;

        ticker_run(&part, SPAN_NS);
        for (int i = 0; i < part.nr && ticker.nr < TICKER_MAX; i++) {
            ticker.late_ns[ticker.nr] = part.late_ns[i];
            ticker.at_ns[ticker.nr++] = turn * SPAN_NS + part.at_ns[i];
        }
        nr = threads_now();
        most = nr > most ? nr : most;
    }
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    ticker_print(&ticker, SPAN_NS);
    bench_print("threads", most, "1");
    return 0;
}

int main(void)
{
    return leat_run(main_co, 0) == 0 ? 0 : 1;
}
