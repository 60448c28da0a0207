/*
 * What a timer promises, one thing at a time. Races: timer_race.c.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>

#define HOUR (3600 * LEAT_SEC)

static bool in_list(const leat_timer *t)
{
    return t->word_[1] != 0;
}

/* Goal: a zero timer is not running, before any run. */
Test(timer, zero_does_not_run, .timeout = 10)
{
    leat_timer t = {0};
    int64_t from = leat_now();

    cr_assert(eq(int, leat_timer_try(&t), -EAGAIN));
    cr_assert(eq(int, leat_timer_wait(&t, LEAT_AT_ONCE), -ETIMEDOUT));
    cr_assert(eq(int, leat_timer_wait(&t, leat_after(20 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(ge(i64, leat_now() - from, 20 * LEAT_MSEC));
    cr_assert(eq(int, leat_timer_stop(&t), false));
    for (size_t i = 0; i < 2; i++)
        cr_assert(eq(u64, t.word_[i], 0)); /* nobody is left behind */
}

static int once_main(void *arg)
{
    leat_timer t = {0};
    int64_t from = leat_now();

    (void)arg;
    if (leat_timer_start(&t, leat_at(from + 20 * LEAT_MSEC)) || leat_timer_wait(&t, EACH_LONG) != 0)
        return 1;
    if (leat_now() < from + 20 * LEAT_MSEC)
        return 2;
    if (leat_timer_try(&t) != -EAGAIN || leat_timer_wait(&t, LEAT_AT_ONCE) != -ETIMEDOUT ||
        leat_timer_stop(&t))
        return 3;
    /* a tick that is due is taken, whatever the deadline */
    (void)leat_timer_start(&t, leat_at(leat_now()));
    if (leat_timer_wait(&t, LEAT_AT_ONCE) != 0)
        return 4;
    (void)leat_timer_start(&t, leat_at(leat_now()));
    return leat_timer_try(&t) == 0 && !in_list(&t) ? 0 : 5;
}

/* Goal: one tick, not early, for coroutines and plain threads. */
Test(timer, ticks_once, .timeout = 20)
{
    cr_assert(eq(int, once_main(NULL), 0));
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, once_main, NULL), 0));
}

static int range_main(void *arg)
{
    leat_timer t = {0};
    int64_t past[] = {INT64_MIN, -1, 0, 1};

    (void)arg;
    for (int i = 0; i < 4; i++) {
        (void)leat_timer_start(&t, leat_at(past[i]));
        if (leat_timer_wait(&t, LEAT_AT_ONCE) != 0 || leat_timer_try(&t) != -EAGAIN)
            return 1 + i;
        /*
         * a period that is none; one beyond the clock's range; one that brings every tick to one
         * place
         */
        (void)leat_timer_start_every(&t, leat_at(past[i]), i % 2 ? -LEAT_SEC : 0);
        if (leat_timer_try(&t) != 0 || leat_timer_stop(&t))
            return 11 + i;
        (void)leat_timer_start_every(&t, leat_at(past[i]), INT64_MAX);
        if (leat_timer_try(&t) != 0 || leat_timer_try(&t) != -EAGAIN || !leat_timer_stop(&t))
            return 21 + i;
        (void)leat_timer_start_every(&t, leat_at(past[i]), 1);
        if (leat_timer_try(&t) != 0 || leat_timer_wait(&t, EACH_LONG) != 0 || !leat_timer_stop(&t))
            return 31 + i;
    }
    for (int i = 0; i < 2; i++) {
        (void)leat_timer_start_every(&t, leat_at(INT64_MAX - i), LEAT_SEC);
        if (leat_timer_wait(&t, leat_after(2 * LEAT_MSEC)) != -ETIMEDOUT || !leat_timer_stop(&t))
            return 41 + i;
    }
    (void)leat_timer_start(&t, LEAT_FOREVER);
    if (leat_timer_wait(&t, leat_after(2 * LEAT_MSEC)) != -ETIMEDOUT ||
        leat_timer_try(&t) != -EAGAIN)
        return 51;
    return leat_timer_start(&t, leat_after(INT64_MAX)) && leat_timer_stop(&t) && !in_list(&t) ? 0
                                                                                              : 52;
}

/* Goal: past, negative, far and overflowing times saturate (FAULTS: 24). */
Test(timer, ends_of_the_range, .timeout = 20)
{
    cr_assert(eq(int, range_main(NULL), 0));
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, range_main, NULL), 0));
}

/*
 * Goal: ticks that were missed are dropped, and the grid stays. Method: hours, so that the time
 * that the test takes does not matter.
 */
Test(timer, drops_what_was_missed, .timeout = 10)
{
    leat_timer t = {0};

    (void)leat_timer_start_every(&t, leat_at(leat_now() - HOUR / 6), HOUR / 100);
    cr_assert(eq(int, leat_timer_try(&t), 0));
    cr_assert(eq(int, leat_timer_try(&t), -EAGAIN));
    cr_assert(eq(int, leat_timer_wait(&t, leat_after(2 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(eq(int, leat_timer_stop(&t), true));
}

/* Goal: neither a stop nor a new start leaves a tick of the time before. */
Test(timer, has_no_stale_ticks, .timeout = 10)
{
    leat_timer t = {0};

    for (int i = 0; i < 4; i++) {
        if (i % 2)
            (void)leat_timer_start_every(&t, LEAT_AT_ONCE, 1);
        else
            (void)leat_timer_start(&t, LEAT_AT_ONCE);
        if (i < 2)
            cr_assert(eq(int, leat_timer_stop(&t), true));
        else
            cr_assert(eq(int, leat_timer_start(&t, leat_after(HOUR)), true));
        cr_assert(eq(int, leat_timer_try(&t), -EAGAIN));
        cr_assert(eq(int, leat_timer_wait(&t, LEAT_AT_ONCE), -ETIMEDOUT));
        cr_assert(eq(int, leat_timer_stop(&t), i >= 2));
    }
}

/* --- what those who wait learn --- */

static leat_result wait_result(leat_timer *t, leat_waitgroup *up)
{
    leat_wg_done(up);
    return leat_timer_wait(t, EACH_LONG);
}

static void *wait_thread(void *arg)
{
    return (void *)(intptr_t)leat_timer_wait(arg, EACH_LONG);
}

static int earlier_main(void *arg)
{
    leat_timer t = {0};
    leat_waitgroup up = {0};
    leat_result r[2] = {1, 1};
    leat_handle *h;
    pthread_t thread;
    void *of_thread;

    (void)arg;
    for (int64_t round = 0; round < 4; round++) {
        if (round % 2)
            (void)leat_timer_start(&t, leat_after(HOUR));
        leat_wg_add(&up, 1);
        if (leat_go_join(&h, wait_result, &t, &up) != 0 ||
            pthread_create(&thread, NULL, wait_thread, &t) != 0)
            return 1;
        if (leat_wg_wait(&up, EACH_LONG) != 0)
            return 2;
        leat_sleep(round / 2 * LEAT_MSEC);
        (void)leat_timer_start_every(&t, leat_after(LEAT_USEC), LEAT_MSEC);
        if (leat_join(h, &r[0], EACH_LONG) != 0)
            return 3;
        pthread_join(thread, &of_thread);
        if (r[0] != 0 || of_thread != NULL)
            return 4;
        (void)leat_timer_stop(&t);
    }
    return in_list(&t) ? 5 : 0;
}

/*
 * Goal: who waits goes on when the timer is started, or started for an earlier time; coroutine and
 * plain thread on one timer.
 */
Test(timer, earlier_start_is_noticed, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, earlier_main, NULL), 0));
}

static int later_main(void *arg)
{
    leat_timer t = {0};
    leat_waitgroup up = {0};
    leat_result r = 1;
    leat_handle *h;
    int64_t later;
    bool moved;

    (void)arg;
    leat_wg_add(&up, 1);
    (void)leat_timer_start(&t, leat_after(2 * LEAT_MSEC));
    if (leat_go_join(&h, wait_result, &t, &up) != 0 || leat_wg_wait(&up, EACH_LONG) != 0)
        return 1;
    later = leat_now() + 20 * LEAT_MSEC;
    moved = leat_timer_start(
        &t, leat_at(later)); /* on a busy machine the first tick was taken before */
    if (leat_join(h, &r, EACH_LONG) != 0 || r != 0)
        return 2;
    return moved && leat_now() < later ? 3 : 0;
}

/* Goal: who waits for a timer that is put off waits for the later time. */
Test(timer, later_start_is_noticed, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, later_main, NULL), 0));
}

static int give_up_main(void *arg)
{
    leat_timer t = {0};
    leat_waitgroup up = {0};
    leat_result r = 1;
    leat_handle *h;
    int64_t from = leat_now();

    (void)arg;
    (void)leat_timer_start(&t, leat_after(HOUR));
    if (leat_timer_wait(&t, leat_after(5 * LEAT_MSEC)) != -ETIMEDOUT ||
        leat_now() - from < 5 * LEAT_MSEC)
        return 1;
    leat_wg_add(&up, 1);
    if (leat_go_join(&h, wait_result, &t, &up) != 0 || leat_wg_wait(&up, EACH_LONG) != 0)
        return 2;
    leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 3;
    /* the tick is there for others */
    (void)leat_timer_start(&t, LEAT_AT_ONCE);
    return leat_timer_try(&t) == 0 && !in_list(&t) ? 0 : 4;
}

static leat_result refused(leat_timer *t)
{
    while (!leat_cancelled())
        leat_yield();
    return leat_timer_wait(t, LEAT_FOREVER);
}

static int refused_main(void *arg)
{
    leat_timer t = {0};
    leat_result r = 1;
    leat_handle *h;

    (void)arg;
    (void)leat_timer_start(&t, LEAT_AT_ONCE);
    if (leat_go_join(&h, refused, &t) != 0)
        return 1;
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 2;
    return leat_timer_try(&t) == 0 ? 0 : 3;
}

/*
 * Goal: a wait ends by its deadline and by cancellation, leaves nothing in the list, and takes no
 * tick (FAULTS: 29).
 */
Test(timer, waits_are_given_up, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        cr_assert(eq(int, each_run(procs, give_up_main, NULL), 0));
        cr_assert(eq(int, each_run(procs, refused_main, NULL), 0));
    }
}

/* --- many for one ticker --- */

#define TAKERS 8

struct shared {
    leat_timer t;
    leat_waitgroup wg;
    atomic_long taken;
    atomic_int mistakes;
};

static void take_ticks(struct shared *s, int n)
{
    for (int i = 0; i < n; i++) {
        if (leat_timer_wait(&s->t, EACH_LONG) != 0)
            atomic_fetch_add(&s->mistakes, 1);
        atomic_fetch_add(&s->taken, 1);
    }
    leat_wg_done(&s->wg);
}

static void *take_thread(void *arg)
{
    take_ticks(arg, 3);
    return NULL;
}

static int shared_main(void *arg)
{
    struct shared *s = arg;
    const int64_t period = 200 * LEAT_USEC;
    int64_t from = leat_now();
    pthread_t thread;

    leat_wg_add(&s->wg, TAKERS + 1);
    for (int i = 0; i < TAKERS; i++)
        if (go(take_ticks, s, 5) != 0)
            return 1;
    pthread_create(&thread, NULL, take_thread, s);
    (void)leat_timer_start_every(&s->t, leat_at(from), period);
    if (leat_wg_wait(&s->wg, EACH_LONG) != 0)
        return 2;
    pthread_join(thread, NULL);
    /* every tick was taken by one: no more than there were */
    if (s->taken != 5 * TAKERS + 3 || s->taken > (leat_now() - from) / period + 1)
        return 3;
    return s->mistakes || in_list(&s->t) ? 4 : 0;
}

/* Goal: each tick of a ticker is taken by one of those who wait, and nobody starves. */
Test(timer, many_take_ticks_of_one, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct shared s = {0};

        cr_assert(eq(int, each_run(procs, shared_main, &s), 0));
    }
}

/* --- the end of the run --- */

static void wait_for_ever(leat_timer *t, atomic_int *result)
{
    atomic_store(result, leat_timer_wait(t, LEAT_FOREVER));
}

struct stuck {
    leat_timer t[2];
    atomic_int result[10];
};

static int stuck_main(void *arg)
{
    struct stuck *s = arg;

    (void)leat_timer_start(&s->t[1], leat_after(HOUR));
    for (int i = 0; i < 10; i++)
        if (go(wait_for_ever, &s->t[i % 2], &s->result[i]) != 0)
            return -1;
    leat_sleep(LEAT_MSEC);
    return 0;
}

/* Goal: the end of a run cancels whoever waits; the timer stays as it is. */
Test(timer, run_ends_with_waiters, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct stuck s = {0};

        cr_assert(eq(int, each_run(procs, stuck_main, &s), 0));
        for (int i = 0; i < 10; i++)
            cr_assert(eq(int, s.result[i], -ECANCELED));
        cr_assert(eq(int, in_list(&s.t[0]) || in_list(&s.t[1]), 0));
        cr_assert(eq(int, leat_timer_stop(&s.t[1]), true));
    }
}
