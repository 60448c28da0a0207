/*
 * What single-flight promises, one thing at a time. Races: flight_race.c.
 */
#include "support/test.h"
#include "support/waits.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CALLERS 50

struct work {
    leat_flight f;
    leat_waitgroup gate, up;
    atomic_int begun, cancelled;
};

static leat_result produce(struct work *w, leat_result value)
{
    atomic_fetch_add(&w->begun, 1);
    if (leat_wg_wait(&w->gate, EACH_LONG) != 0)
        atomic_fetch_add(&w->cancelled, 1);
    return value;
}

static leat_result call(struct work *w, const char *key, leat_result value, int64_t patience_ns)
{
    leat_result r = -1;
    int err;

    leat_wg_done(&w->up);
    err = leat_flight_do(&w->f, key, strlen(key), &r,
                         patience_ns ? leat_after(patience_ns) : EACH_LONG, produce, w, value);
    return err ? err : r;
}

static int many_main(void *arg)
{
    struct work *w = arg;
    leat_handle *h[CALLERS];
    leat_result first = -1, r;

    leat_wg_add(&w->gate, 1);
    leat_wg_add(&w->up, CALLERS);
    for (int i = 0; i < CALLERS; i++)
        if (leat_go_join(&h[i], call, w, "key", 100 + i, 0) != 0)
            return 1;
    if (leat_wg_wait(&w->up, EACH_LONG) != 0)
        return 2;
    leat_sleep(5 * LEAT_MSEC); /* so that most of them have called */
    leat_wg_done(&w->gate);
    for (int i = 0; i < CALLERS; i++) {
        if (leat_join(h[i], &r, EACH_LONG) != 0 || r < 100)
            return 3;
        if (i == 0)
            first = r;
        if (w->begun == 1 && r != first)
            return 4;
    }
    return leat_flight_wait(&w->f, LEAT_AT_ONCE);
}

/* Goal: one execution for all who come while it is under way. */
Test(flight, one_execution_serves_all, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct work w = {.begun = 0};

        cr_assert(eq(int, each_run(procs, many_main, &w), 0));
        cr_assert(ge(int, w.begun, 1));
        cr_assert(lt(int, w.begun,
                     CALLERS)); /* on a busy machine some may come after the end of the first */
        cr_assert(eq(int, w.cancelled, 0));
    }
}

static int keys_main(void *arg)
{
    struct work *w = arg;
    unsigned char key[200];
    leat_result r;

    memset(key, 7, sizeof(key));
    /* equal but for the length, or for the last byte; the empty one is a key too */
    for (size_t n = 0; n < sizeof(key); n++) {
        if (leat_flight_do(&w->f, key, n, &r, LEAT_AT_ONCE, produce, w, (leat_result)n) !=
            -ETIMEDOUT)
            return 1;
        key[n]++;
        if (leat_flight_do(&w->f, key, n + 1, NULL, LEAT_AT_ONCE, produce, w, (leat_result)n) !=
            -ETIMEDOUT)
            return 2;
        key[n]--;
    }
    return 0;
}

static int keys_held_main(void *arg)
{
    struct work *w = arg;
    leat_result r = 0;
    int err;

    leat_wg_add(&w->gate, 1);
    err = keys_main(arg);
    leat_wg_done(&w->gate);
    if (err)
        return err;
    if (leat_flight_wait(&w->f, EACH_LONG) != 0 || w->begun != 400)
        return 11;
    return leat_flight_do(&w->f, NULL, 0, &r, EACH_LONG, produce, w, (leat_result)-5) == 0 &&
                   r == -5
               ? 0
               : 12;
}

/* Goal: each key has its own; a result is passed on whatever it is. */
Test(flight, keys_are_compared_whole, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct work w = {.begun = 0};

        cr_assert(eq(int, each_run(procs, keys_held_main, &w), 0));
        cr_assert(eq(int, w.begun, 401));
    }
}

static int give_up_main(void *arg)
{
    struct work *w = arg;
    leat_handle *first, *second;
    leat_result r = 1;

    leat_wg_add(&w->gate, 1);
    leat_wg_add(&w->up, 2);
    if (leat_flight_do(&w->f, "k", 1, &r, LEAT_AT_ONCE, produce, w, (leat_result)7) != -ETIMEDOUT ||
        r != 1)
        return 1;
    if (leat_go_join(&first, call, w, "k", 8, LEAT_MSEC) != 0 ||
        leat_go_join(&second, call, w, "k", 9, 0) != 0)
        return 2;
    if (leat_join(first, &r, EACH_LONG) != 0 || r != -ETIMEDOUT)
        return 3;
    if (leat_wg_wait(&w->up, EACH_LONG) != 0)
        return 4;
    leat_cancel(second);
    if (leat_join(second, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 5;
    leat_wg_add(&w->up, 1);
    if (leat_go_join(&first, call, w, "k", 10, 0) != 0 || leat_wg_wait(&w->up, EACH_LONG) != 0)
        return 6;
    leat_sleep(2 * LEAT_MSEC);
    leat_wg_done(&w->gate);
    if (leat_join(first, &r, EACH_LONG) != 0 || (r != 7 && r != 10))
        return 7;
    return leat_flight_wait(&w->f, EACH_LONG);
}

/*
 * Goal: neither the deadline nor the cancellation of a caller ends what is under way, of the first
 * one either.
 */
Test(flight, outlives_its_callers, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct work w = {.begun = 0};

        cr_assert(eq(int, each_run(procs, give_up_main, &w), 0));
        cr_assert(eq(int, w.cancelled, 0));
    }
}

static int forget_main(void *arg)
{
    struct work *w = arg;
    leat_handle *h;
    leat_result r = 1;

    leat_wg_add(&w->gate, 1);
    leat_wg_add(&w->up, 1);
    if (leat_go_join(&h, call, w, "k", 1, 0) != 0)
        return 1;
    while (!w->begun)
        leat_sleep(100 * LEAT_USEC);
    leat_flight_forget(&w->f, "other", 5);
    leat_flight_forget(&w->f, "k", 1);
    leat_flight_forget(&w->f, "k", 1);
    if (leat_flight_do(&w->f, "k", 1, &r, LEAT_AT_ONCE, produce, w, (leat_result)2) != -ETIMEDOUT)
        return 2;
    if (leat_flight_wait(&w->f, leat_after(LEAT_MSEC)) != -ETIMEDOUT)
        return 3;
    leat_wg_done(&w->gate);
    if (leat_join(h, &r, EACH_LONG) != 0 || r != 1)
        return 4;
    if (leat_flight_wait(&w->f, EACH_LONG) != 0 || w->begun != 2)
        return 5;
    return 0;
}

/* Goal: after a forget the next call begins anew, and those before get the result of theirs. */
Test(flight, forgets, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct work w = {.begun = 0};

        cr_assert(eq(int, each_run(procs, forget_main, &w), 0));
    }
}

/* --- what it refuses --- */

static leat_result (*const no_function)(struct work *, leat_result);

static int wrong_main(void *arg)
{
    struct work *w = arg;

    if (leat_flight_do((leat_flight *)NULL, "k", 1, NULL, EACH_LONG, produce, w, (leat_result)1) !=
        -EINVAL)
        return 1;
    if (leat_flight_do(&w->f, NULL, 1, NULL, EACH_LONG, produce, w, (leat_result)1) != -EINVAL)
        return 2;
    if (leat_flight_do(&w->f, "k", 1, NULL, EACH_LONG, no_function, w, (leat_result)1) != -EINVAL)
        return 3;
    return leat_flight_wait(NULL, LEAT_FOREVER) == -EINVAL && !w->begun ? 0 : 4;
}

Test(flight, refuses_null, .timeout = 20)
{
    struct work w = {.begun = 0};

    cr_assert(eq(int, each_run(1, wrong_main, &w), 0));
}

static int full_main(void *arg)
{
    struct work *w = arg;
    leat_result r = 1;
    int n = 0;

    leat_wg_add(&w->gate, 1);
    while (go(produce, w, 0) == 0)
        n++;
    for (int i = 0; i < 3; i++)
        if (leat_flight_do(&w->f, "k", 1, &r, EACH_LONG, produce, w, (leat_result)1) != -EAGAIN ||
            r != 1)
            return 1;
    leat_wg_done(&w->gate);
    while (w->begun < n)
        leat_yield();
    while (leat_flight_do(&w->f, "k", 1, &r, EACH_LONG, produce, w, (leat_result)2) == -EAGAIN)
        leat_yield();
    return r == 2 ? 0 : 2;
}

/* Goal: what cannot begin is an error, and leaves nothing under way. */
Test(flight, cannot_begin, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        leat_config config = {.procs = procs, .max_coroutines = 20};
        struct work w = {.begun = 0};

        cr_assert(eq(int, leat_run_with(&config, full_main, &w), 0));
    }
}

/* --- plain threads, ends of runs --- */

static void *call_thread(void *arg)
{
    return (void *)call(arg, "key", 5, 0);
}

static int threads_main(void *arg)
{
    struct work *w = arg;
    pthread_t thread[3];
    int wrong = 0;
    void *r;

    leat_wg_add(&w->gate, 1);
    leat_wg_add(&w->up, 3);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, call_thread, w);
    if (leat_wg_wait(&w->up, EACH_LONG) != 0)
        return 1;
    leat_sleep(2 * LEAT_MSEC);
    leat_wg_done(&w->gate);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], &r);
        wrong += r != (void *)5;
    }
    return wrong;
}

/* Goal: plain threads call too. Outside of a run there is nobody to execute it. */
Test(flight, used_by_plain_threads, .timeout = 30)
{
    static struct work w;

    for (unsigned procs = 2; procs <= 4; procs *= 2) {
        memset(&w, 0, sizeof(w));
        cr_assert(eq(int, each_run(procs, threads_main, &w), 0));
    }
    cr_assert(eq(int, leat_flight_do(&w.f, "k", 1, NULL, LEAT_FOREVER, produce, &w, (leat_result)1),
                 -ESHUTDOWN));
    cr_assert(eq(int, leat_flight_wait(&w.f, LEAT_FOREVER), 0));
}

static void call_for_ever(struct work *w, atomic_int *result)
{
    atomic_store(result,
                 leat_flight_do(&w->f, "k", 1, NULL, LEAT_FOREVER, produce, w, (leat_result)1));
}

struct stuck {
    struct work w;
    atomic_int result[10];
};

static int stuck_main(void *arg)
{
    struct stuck *s = arg;
    uint64_t before = waits_begun();

    leat_wg_add(&s->w.gate, 1);
    for (int i = 0; i < 10; i++)
        if (go(call_for_ever, &s->w, &s->result[i]) != 0)
            return -1;
    /* and the function: who calls as the run ends may be told that there is none */
    return waits_await(before + 10 + 1) ? 0 : -2;
}

/* Goal: the end of a run ends callers and functions; the flight serves again. */
Test(flight, run_ends_with_callers, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct stuck s = {.result = {0}};

        cr_assert(eq(int, each_run(procs, stuck_main, &s), 0));
        for (int i = 0; i < 10; i++) /* the function may have ended first */
            cr_assert(s.result[i] == -ECANCELED || s.result[i] == 0);
        cr_assert(eq(int, s.w.cancelled, s.w.begun));
        cr_assert(eq(int, leat_flight_wait(&s.w.f, LEAT_AT_ONCE), 0));
    }
}
