/*
 * What a waitgroup promises, one thing at a time. Races: waitgroup_race.c.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

/* Goal: a zero waitgroup is ready, before any run, whatever the deadline. */
Test(waitgroup, zero_has_nothing_to_wait_for, .timeout = 10)
{
    leat_waitgroup wg = {0};

    cr_assert(eq(int, leat_wg_wait(&wg, LEAT_FOREVER), 0));
    cr_assert(eq(int, leat_wg_wait(&wg, LEAT_AT_ONCE), 0));
    leat_wg_add(&wg, 3);
    cr_assert(eq(int, leat_wg_wait(&wg, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_wg_done(&wg);
    leat_wg_add(&wg, -2);
    cr_assert(eq(int, leat_wg_wait(&wg, LEAT_AT_ONCE), 0));
    leat_wg_add(&wg, 0);
    cr_assert(eq(int, leat_wg_wait(&wg, leat_at(-1)), 0));
}

/* Goal: a plain thread's deadline is kept, and never early. */
Test(waitgroup, thread_times_out, .timeout = 10)
{
    leat_waitgroup wg = {0};
    int64_t from = leat_now();

    leat_wg_add(&wg, 1);
    cr_assert(eq(int, leat_wg_wait(&wg, leat_after(20 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(ge(i64, leat_now() - from, 20 * LEAT_MSEC));
    cr_assert(eq(int, leat_wg_wait(&wg, leat_at(-1)), -ETIMEDOUT));
}

/* Goal: a count below zero stops the program. */
Test(waitgroup, refuses_a_negative_count, .timeout = 10, .signal = SIGABRT)
{
    leat_waitgroup wg = {0};

    leat_wg_add(&wg, 1);
    leat_wg_done(&wg);
    leat_wg_done(&wg);
}

Test(waitgroup, refuses_a_negative_add, .timeout = 10, .signal = SIGABRT)
{
    leat_waitgroup wg = {0};

    leat_wg_add(&wg, 1);
    leat_wg_add(&wg, -2);
}

Test(waitgroup, refuses_a_count_out_of_range, .timeout = 10, .signal = SIGABRT)
{
    leat_waitgroup wg = {0};

    leat_wg_add(&wg, INT_MAX);
    leat_wg_add(&wg, 1);
}

/* --- results of many --- */

#define MANY 1000

struct many {
    leat_waitgroup wg;
    unsigned char written[MANY];
    int mistakes;
};

static void write_one(struct many *s, int i)
{
    if (i % 7 == 0)
        leat_yield();
    s->written[i]++;
    leat_wg_done(&s->wg);
}

static int many_main(void *arg)
{
    struct many *s = arg;

    for (int round = 1; round <= 20; round++) {
        leat_wg_add(&s->wg, MANY);
        for (int i = 0; i < MANY; i++)
            if (go(write_one, s, i) != 0)
                return -1;
        if (leat_wg_wait(&s->wg, EACH_LONG) != 0)
            return -2;
        for (int i = 0; i < MANY; i++)
            s->mistakes += s->written[i] != round;
    }
    return 0;
}

/*
 * Goal: what was written before each done is visible after the wait, and the waitgroup serves
 * again.
 */
Test(waitgroup, shows_what_was_written, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        static struct many s;

        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, many_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}

/* --- many waiters, of both kinds --- */

#define WAITERS 100
#define THREADS 4

struct crowd {
    leat_waitgroup gate, ready, through;
    int value;
    atomic_int mistakes;
};

static void wait_at_gate(struct crowd *s)
{
    leat_wg_done(&s->ready);
    if (leat_wg_wait(&s->gate, EACH_LONG) != 0 || s->value != 42)
        atomic_fetch_add(&s->mistakes, 1);
    leat_wg_done(&s->through);
}

static void *thread_at_gate(void *arg)
{
    wait_at_gate(arg);
    return NULL;
}

static int crowd_main(void *arg)
{
    struct crowd *s = arg;
    pthread_t thread[THREADS];

    leat_wg_add(&s->gate, 1);
    leat_wg_add(&s->ready, WAITERS + THREADS);
    leat_wg_add(&s->through, WAITERS + THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, thread_at_gate, s);
    for (int i = 0; i < WAITERS; i++)
        if (go(wait_at_gate, s) != 0)
            return -1;
    if (leat_wg_wait(&s->ready, EACH_LONG) != 0)
        return -2;
    leat_sleep(2 * LEAT_MSEC); /* so that most of them have parked */
    s->value = 42;
    leat_wg_done(&s->gate);
    if (leat_wg_wait(&s->through, EACH_LONG) != 0)
        return -3;
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

/* Goal: at zero all go on, coroutines and plain threads. */
Test(waitgroup, lets_all_waiters_go, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct crowd s = {0};

        cr_assert(eq(int, each_run(procs, crowd_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}

/* --- the ends of a wait that are no success --- */

static int timeout_main(void *arg)
{
    leat_waitgroup wg = {0};
    int64_t from = leat_now();

    (void)arg;
    leat_wg_add(&wg, 1);
    if (leat_wg_wait(&wg, LEAT_AT_ONCE) != -ETIMEDOUT ||
        leat_wg_wait(&wg, leat_at(-5)) != -ETIMEDOUT)
        return 1;
    if (leat_wg_wait(&wg, leat_after(20 * LEAT_MSEC)) != -ETIMEDOUT)
        return 2;
    if (leat_now() - from < 20 * LEAT_MSEC)
        return 3;
    leat_wg_done(&wg);
    return leat_wg_wait(&wg, LEAT_AT_ONCE) == 0 ? 0 : 4;
}

/* Goal: a coroutine's deadline is kept, never early, and leaves nothing behind. */
Test(waitgroup, coroutine_times_out, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, timeout_main, NULL), 0));
}

static leat_result wait_result(leat_waitgroup *wg, leat_waitgroup *idle)
{
    int first = leat_wg_wait(wg, LEAT_FOREVER);

    /* cancelled from now on: refused on entry, though there is nothing to wait for */
    return first == -ECANCELED && leat_wg_wait(idle, LEAT_FOREVER) == -ECANCELED &&
           leat_wg_wait(wg, LEAT_AT_ONCE) == -ECANCELED;
}

static int cancel_main(void *arg)
{
    leat_waitgroup wg = {0}, idle = {0};
    leat_handle *h;
    leat_result ok = 0;

    (void)arg;
    leat_wg_add(&wg, 1);
    if (leat_go_join(&h, wait_result, &wg, &idle) != 0)
        return 1;
    leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    if (leat_join(h, &ok, EACH_LONG) != 0)
        return 2;
    leat_wg_done(&wg);
    return ok == 1 && leat_wg_wait(&wg, LEAT_AT_ONCE) == 0 ? 0 : 3;
}

/* Goal: a cancelled coroutine stops waiting, and is refused on entry. */
Test(waitgroup, cancelled, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

static void wait_for_ever(leat_waitgroup *wg, atomic_int *result)
{
    atomic_store(result, leat_wg_wait(wg, LEAT_FOREVER));
}

struct stuck {
    leat_waitgroup wg;
    atomic_int result[10];
};

static int stuck_main(void *arg)
{
    struct stuck *s = arg;

    leat_wg_add(&s->wg, 1);
    for (int i = 0; i < 10; i++)
        if (go(wait_for_ever, &s->wg, &s->result[i]) != 0)
            return -1;
    leat_sleep(LEAT_MSEC);
    return 0;
}

/* Goal: the end of a run cancels whoever waits. */
Test(waitgroup, run_ends_with_waiters, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct stuck s = {0};
        int64_t from = leat_now();

        cr_assert(eq(int, each_run(procs, stuck_main, &s), 0));
        cr_assert(lt(i64, leat_now() - from, EACH_GRACE_MS * LEAT_MSEC));
        for (int i = 0; i < 10; i++)
            cr_assert(eq(int, s.result[i], -ECANCELED));
    }
}
