/*
 * Threads of the program's that are attached to a run: what becomes of them when it ends, of it
 * when they do, and of what they put off until then.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/attach.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static leat_local world_key = {destroy};

/* --- ends --- */

static void *waits_for_long(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("sleeper") == 0);
    atomic_fetch_add(&w->attached, 1);
    count_wrong(w, leat_sleep(3600 * LEAT_SEC) == -ECANCELED);
    count_wrong(w, leat_cancelled() && go(answers, 1) == -ESHUTDOWN);
    leat_detach_thread();
    count_wrong(w, leat_self_id() == 0);
    atomic_fetch_add(&w->ended, 1);
    return NULL;
}

static pthread_t left[THREADS];

static int cancelled_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < THREADS; i++)
        left[i] = thread(waits_for_long, w);
    return kit_reach(&w->attached, THREADS, KIT_LONG) ? 0 : 1;
}

/* Goal: the end of a run cancels those that are attached, and waits for them. */
Test(attach_ends, the_end_of_a_run, .timeout = 120)
{
    for (int round = 0; round < 5; round++) {
        struct world w = {.stop = false};

        cr_assert(eq(int, kit_run(2, cancelled_main, &w), 0));
        for (int i = 0; i < THREADS; i++)
            cr_assert(ends(left[i]));
        cr_expect(eq(ulong, atomic_load(&w.ended), THREADS));
        cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
    }
}

static void *comes_and_goes(void *arg)
{
    struct world *w = arg;
    uint64_t seed = (uint64_t)here();

    while (!atomic_load(&w->stop)) {
        int r = leat_attach_thread("guest");

        if (r == 0) {
            atomic_fetch_add(&w->turns, 1);
            if (kit_random(&seed) % 4 == 0)
                kit_burn((int64_t)(kit_random(&seed) % 200) * LEAT_USEC);
            leat_detach_thread();
        } else {
            count_wrong(w, r == -ESHUTDOWN);
        }
    }
    return NULL;
}

static int short_main(void *arg)
{
    struct world *w = arg;

    return kit_reach(&w->turns, atomic_load(&w->turns) + 3, KIT_LONG) ? 0 : 1;
}

/* Goal: detachments at every moment of a run's end, whose memory goes away behind them. */
Test(attach_ends, across_the_ends_of_runs, .timeout = 120)
{
    struct world w = {.stop = false};
    pthread_t t[THREADS];

    for (int i = 0; i < THREADS; i++)
        t[i] = thread(comes_and_goes, &w);
    for (int round = 0; round < 60; round++)
        cr_assert(eq(int, kit_run(1 + (unsigned)round % 2, short_main, &w), 0));
    atomic_store(&w.stop, true);
    for (int i = 0; i < THREADS; i++)
        cr_expect(ends(t[i]));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

static void *stays_beyond(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("stayer") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    atomic_fetch_add(&w->attached, 1);
    while (!atomic_load(&w->stop))
        usleep(1000);
    count_wrong(w, leat_attach_thread("nested") == -ESHUTDOWN);
    leat_detach_thread();
    /* a plain thread again, and then one of the next run */
    while (leat_attach_thread("again") == -ESHUTDOWN)
        usleep(1000);
    count_wrong(w, leat_self_id() != 0 && leat_sleep(LEAT_MSEC) == 0);
    leat_detach_thread();
    atomic_fetch_add(&w->ended, 1);
    return NULL;
}

static int beyond_main(void *arg)
{
    struct world *w = arg;

    left[0] = thread(stays_beyond, w);
    return kit_reach(&w->attached, 1, KIT_LONG) ? 0 : 1;
}

static int next_main(void *arg)
{
    struct world *w = arg;

    atomic_store(&w->stop, true);
    return kit_reach(&w->ended, 1, KIT_LONG) ? 0 : 1;
}

static int beyond_child(void *arg)
{
    struct world *w = arg;
    leat_config config = {.procs = 2, .shutdown_grace_ms = w->grace_ms};
    int r = leat_run_with(&config, beyond_main, w);

    if (r == 0)
        r = kit_run(2, next_main, w);
    return r == 0 && ends(left[0]) && atomic_load(&w->wrong) == 0 && atomic_load(&w->destroyed) == 0
               ? 0
               : 1;
}

/*
 * Goal: one that is still attached when the time is up is named, and may be detached later; another
 * run is none of its business until it is attached there.
 */
Test(attach_ends, beyond_the_end_of_a_run, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = -1;

    /* the workers have to leave within the grace. A busy machine may need a longer one */
    for (unsigned grace_ms = 20; grace_ms < 10000; grace_ms *= 4) {
        struct world w = {.grace_ms = grace_ms};

        status = kit_child(beyond_child, &w, 40000, text);
        if (kit_occurs(text, "1 thread is still"))
            break;
    }
    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(ne(ptr, strstr(text, "\"stayer\", attached (coroutine "), NULL), "%s", text);
    cr_expect(ne(ptr, strstr(text, "1 thread is still in user code"), NULL), "%s", text);
}

static void *ends_attached(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("short") == 0);
    count_wrong(w, leat_attach_thread("short") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    atomic_fetch_add(&w->attached, 1);
    if (atomic_load(&w->attached) % 2)
        pthread_exit(NULL);
    return NULL;
}

static int forgets_main(void *arg)
{
    struct world *w = arg;

    for (unsigned long i = 1; i <= 20; i++) {
        if (!ends(thread(ends_attached, w)))
            return 1;
        if (leat_stats_run(&w->stats) < 0 || w->stats.alive != 1)
            return 2;
    }
    return 0;
}

/* Goal: a thread that ends is detached by that, with its clean-up. */
Test(attach_ends, ends_without_detaching, .timeout = 60)
{
    struct world w = {.stop = false};

    cr_assert(eq(int, kit_run(2, forgets_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.destroyed), 20));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

/* --- clean-up --- */

/* What a library does that needs to be attached, wherever it is called. */
static void has_a_pair(void *arg)
{
    if (leat_attach_thread("nested") == 0) {
        count_wrong(arg, leat_sleep(LEAT_USEC) == 0);
        leat_detach_thread();
    }
    atomic_fetch_add(&((struct world *)arg)->ended, 1);
}

static void *cleans_up(void *arg)
{
    if (leat_attach_thread("cleans up") < 0)
        return arg;
    if (leat_defer(has_a_pair, arg) == 0)
        leat_detach_thread();
    return arg;
}

static int clean_up_main(void *arg)
{
    return ends(thread(cleans_up, arg)) ? 0 : 1;
}

/* Goal: pairs within the clean-up of a detaching thread nest, as everywhere. */
Test(attach_ends, pairs_in_its_clean_up, .timeout = 60)
{
    struct world w = {0};

    cr_assert(eq(int, kit_run(1, clean_up_main, &w), 0));
    cr_expect(eq(u64, atomic_load(&w.ended), 1));
    cr_expect(eq(u64, atomic_load(&w.wrong), 0));
}

/* Outlasts the grace, and calls nothing. */
static void cleans_up_for_long(void *arg)
{
    struct world *w = arg;

    atomic_fetch_add(&w->attached, 1);
    while (!atomic_load(&w->stop))
        usleep(1000);
}

static void *ends_beyond(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("ends late") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    count_wrong(w, leat_defer(has_a_pair, w) == 0);
    count_wrong(w, leat_defer(cleans_up_for_long, w) == 0);
    if (w->result[0])
        leat_detach_thread();
    atomic_fetch_add(&w->turns, 1);
    return NULL;
}

static int ends_beyond_main(void *arg)
{
    struct world *w = arg;

    left[0] = thread(ends_beyond, w);
    return kit_reach(&w->attached, 1, KIT_LONG) ? 0 : 1;
}

static int ends_beyond_child(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20};
    struct world *w = arg;
    int r = leat_run_with(&config, ends_beyond_main, w);

    atomic_store(&w->stop, true);
    if (r != 0 || !ends(left[0]))
        return 1;
    return atomic_load(&w->wrong) || atomic_load(&w->ended) || atomic_load(&w->destroyed) ? 2 : 0;
}

/*
 * Goal: a clean-up that a run's end has overtaken does not hold its thread for ever: what is put
 * off still is not done any more. By a detachment, and by the end of the thread.
 */
Test(attach_ends, clean_up_beyond_the_end_of_a_run, .timeout = 120)
{
    for (int detaches = 0; detaches < 2; detaches++) {
        char text[KIT_TEXT_BYTES];
        struct world w = {.result = {detaches}};
        int status = kit_child(ends_beyond_child, &w, 40000, text);

        cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    }
}
