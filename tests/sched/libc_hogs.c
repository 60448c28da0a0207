/*
 * Coroutines that compute inside of libc, and hold its locks now and then: their processor is taken
 * there too, and whoever needs one of those locks, the runtime itself included, has it soon.
 * (tests/sched/retake.c is for those that compute in their own code.)
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOGS 2
#define NR_TICKS 20
#define ONE_SLOT 64

struct world {
    atomic_bool over;
    atomic_ulong ticks, done, rounds, wrong;
    FILE *file;
    leat_run_stats stats;
};

/*
 * Small and large blocks: from the thread's own cache, from an arena under its lock, from the
 * kernel.
 */
static void allocates(struct world *w)
{
    void *slot[ONE_SLOT] = {NULL};
    uint64_t seed = 1;

    while (!atomic_load(&w->over)) {
        uint64_t r = kit_random(&seed);
        size_t bytes = r % 97 == 0 ? 300000 : 16 + r / 128 % 5000;
        unsigned i = (unsigned)(r >> 40) % ONE_SLOT;

        free(slot[i]);
        slot[i] = malloc(bytes);
        if (slot[i])
            memset(slot[i], 1, bytes < 64 ? bytes : 64);
        atomic_fetch_add(&w->rounds, 1);
    }
    for (unsigned i = 0; i < ONE_SLOT; i++)
        free(slot[i]);
    atomic_fetch_add(&w->done, 1);
}

/* One stream for all: its lock is held while it formats. */
static void prints(struct world *w)
{
    for (unsigned long n = 0; !atomic_load(&w->over); n++) {
        if (fprintf(w->file, "%lu %s %g\n", n, "a line that is long enough to be of some use",
                    (double)n / 7) < 0)
            atomic_fetch_add(&w->wrong, 1);
        if (n % 1000 == 0)
            rewind(w->file);
        atomic_fetch_add(&w->rounds, 1);
    }
    atomic_fetch_add(&w->done, 1);
}

/* Uses the same locks, and the runtime's own allocations. */
static void ticker(struct world *w)
{
    for (int i = 0; i < NR_TICKS; i++) {
        void *block = malloc(100000);

        if (w->file && fprintf(w->file, "tick %d\n", i) < 0)
            atomic_fetch_add(&w->wrong, 1);
        free(block);
        leat_set_name("ticker");
        if (leat_sleep(LEAT_MSEC) != 0)
            atomic_fetch_add(&w->wrong, 1);
        atomic_fetch_add(&w->ticks, 1);
    }
}

static void (*hog_fn)(struct world *);

static int beside_main(void *arg)
{
    struct world *w = arg;
    bool reached;

    for (int i = 0; i < HOGS; i++)
        if (go(hog_fn, w) != 0)
            return 1;
    if (go(ticker, w) != 0)
        return 1;
    reached = kit_reach(&w->ticks, NR_TICKS, KIT_LONG);
    (void)leat_stats_run(&w->stats);
    atomic_store(&w->over, true);
    return reached && kit_reach(&w->done, HOGS, KIT_LONG) ? 0 : 2;
}

static void beside(void (*fn)(struct world *), bool file)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        leat_config config = {.procs = procs, .shutdown_grace_ms = 20000};
        struct world w = {.file = file ? tmpfile() : NULL};

        hog_fn = fn;
        cr_assert(eq(int, !file || w.file != NULL, 1));
        cr_assert(eq(int, leat_run_with(&config, beside_main, &w), 0), "%u processors: %lu ticks",
                  procs, (unsigned long)atomic_load(&w.ticks));
        cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
        cr_expect(gt(ulong, atomic_load(&w.rounds), 0));
        cr_expect(ge(u64, w.stats.retaken_hogs + w.stats.retaken_blocked, 1), "%u processors",
                  procs);
        if (w.file)
            fclose(w.file);
    }
}

/* Goal: the others run beside coroutines that do nothing but allocate. */
Test(libc_hogs, malloc_loop, .timeout = 120)
{
    beside(allocates, false);
}

/* Goal: the same for a stream of stdio that all share. */
Test(libc_hogs, stdio, .timeout = 120)
{
    beside(prints, true);
}
