/*
 * Timers under races: every tick is either taken or prevented, never both; on the waiter's stack
 * and reused at once.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define HOUR (3600 * LEAT_SEC)
#define PATTERN 0xa5

/* --- taken or prevented --- */

struct account {
    leat_timer t;
    leat_waitgroup wg;
    atomic_long taken;
    atomic_bool stop;
    long prevented, started, mistakes;
};

static void take(struct account *a, bool tries)
{
    unsigned seed = 9;

    while (!atomic_load(&a->stop)) {
        int r = tries ? leat_timer_try(&a->t) : leat_timer_wait(&a->t, leat_after(100 * LEAT_USEC));

        if (r == 0)
            atomic_fetch_add(&a->taken, 1);
        if (tries) {
            each_jitter(&seed);
            leat_yield();
        }
    }
    leat_wg_done(&a->wg);
}

static void *take_thread(void *arg)
{
    take(arg, false);
    return NULL;
}

/*
 * Starts it for now or soon, then puts an end to that in one of three ways: what those say must
 * agree with what was taken.
 */
static void start_and_stop(struct account *a)
{
    struct each_rounds rounds = each_rounds(100000, LEAT_SEC);
    unsigned seed = 11;
    bool prevented;

    while (each_next(&rounds)) {
        int64_t soon = (seed >> 20) % 4 * LEAT_USEC;

        (void)leat_timer_start(&a->t, leat_after(soon));
        a->started++;
        each_jitter(&seed);
        if ((seed >> 24) % 8 == 0)
            leat_yield();
        if (rounds.left % 3 == 0) {
            prevented = leat_timer_stop(&a->t);
        } else {
            prevented = rounds.left % 3 == 1 ? leat_timer_start(&a->t, leat_after(HOUR))
                                             : leat_timer_start(&a->t, LEAT_FOREVER);
            each_jitter(&seed);
            a->mistakes += !leat_timer_stop(&a->t); /* a tick of the earlier time, after all */
        }
        a->prevented += prevented;
    }
}

static int account_main(void *arg)
{
    struct account *a = arg;
    pthread_t thread;

    leat_wg_add(&a->wg, 4);
    if (go(take, a, true) != 0 || go(take, a, false) != 0 || go(take, a, false) != 0)
        return -1;
    pthread_create(&thread, NULL, take_thread, a);
    start_and_stop(a);
    atomic_store(&a->stop, true);
    if (leat_wg_wait(&a->wg, EACH_LONG) != 0)
        return -2;
    pthread_join(thread, NULL);
    return 0;
}

/*
 * Goal: stop and reset say whether they have prevented the tick, and none comes afterwards. Method:
 * books are kept on both sides.
 */
Test(timer_race, ticks_are_taken_or_prevented, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct account a = {.stop = false};

        cr_assert(eq(int, each_run(procs, account_main, &a), 0));
        cr_assert(gt(long, a.started, 0));
        cr_assert(eq(long, a.mistakes, 0));
        cr_assert(eq(long, a.taken + a.prevented, a.started));
        cr_assert(eq(u64, a.t.word_[1], 0));
    }
}

/* --- on the stack of the waiter --- */

static void start_now(leat_timer *t, unsigned seed)
{
    each_jitter(&seed);
    (void)leat_timer_start(t, LEAT_AT_ONCE);
}

static int stack_round(unsigned char *memory, unsigned *seed)
{
    leat_timer *t = (leat_timer *)(void *)memory;

    memset(memory, 0, sizeof(*t));
    if (*seed & 256)
        (void)leat_timer_start(t, leat_after(HOUR));
    if (go(start_now, t, *seed) != 0)
        return -1;
    each_jitter(seed);
    if (leat_timer_wait(t, EACH_LONG) != 0)
        return -2;
    memset(memory, PATTERN, sizeof(*t));
    each_jitter(seed);
    for (size_t i = 0; i < sizeof(*t); i++)
        if (memory[i] != PATTERN)
            return 1;
    return 0;
}

static int stack_main(void *arg)
{
    struct each_rounds rounds = each_rounds(50000, 2 * LEAT_SEC);
    unsigned seed = 1;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds)) {
        _Alignas(8) unsigned char memory[sizeof(leat_timer)];

        r = stack_round(memory, &seed);
    }
    return r;
}

/* Goal: a start touches nothing once its tick may have been taken. */
Test(timer_race, on_the_stack_of_the_waiter, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, stack_main, NULL), 0));
}

/* --- tick, deadline and cancellation at one instant --- */

static leat_result wait_until(leat_timer *t, int64_t at)
{
    return leat_timer_wait(t, leat_at(at));
}

static int instant_round(unsigned *seed)
{
    leat_timer t = {0};
    int64_t at = leat_now() + 30 * LEAT_USEC;
    leat_handle *h[2];
    leat_result r[2] = {1, 1};
    int taken;

    (void)leat_timer_start(&t, leat_at(at));
    for (int i = 0; i < 2; i++)
        if (leat_go_join(&h[i], wait_until, &t, at + i) != 0)
            return -1;
    while (leat_now() < at - 10 * LEAT_USEC)
        leat_yield();
    each_jitter(seed);
    leat_cancel(h[*seed >> 8 & 1]);
    for (int i = 0; i < 2; i++)
        if (leat_join(h[i], &r[i], EACH_LONG) != 0)
            return -2;
    taken = (r[0] == 0) + (r[1] == 0);
    for (int i = 0; i < 2; i++)
        if (r[i] != 0 && r[i] != -ETIMEDOUT && r[i] != -ECANCELED)
            return -3;
    while (leat_now() < at)
        ;
    /* whoever gave up left it */
    return taken + (leat_timer_try(&t) == 0) == 1 && t.word_[1] == 0 ? 0 : 1;
}

static int instant_main(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, LEAT_SEC);
    unsigned seed = 3;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = instant_round(&seed);
    return r;
}

/*
 * Goal: tick, deadline and cancellation in the same instant: the tick is taken by one, or is still
 * there (FAULTS: 12).
 */
Test(timer_race, tick_deadline_and_cancel_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, instant_main, NULL), 0));
}
