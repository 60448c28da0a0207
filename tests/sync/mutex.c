/*
 * What a mutex promises, one thing at a time. Races: mutex_race.c.
 */
#include "support/test.h"
#include "support/waits.h"

#include "sync/each.h"

#include <errno.h>
#include <string.h>

/* Goal: a zero mutex is free; a plain thread may use it before any run. */
Test(mutex, zero_is_free, .timeout = 10)
{
    leat_mutex m = {0};
    int64_t from;

    cr_assert(eq(int, leat_mutex_try(&m), 0));
    cr_assert(eq(int, leat_mutex_try(&m), -EAGAIN));
    cr_assert(eq(int, leat_mutex_lock_until(&m, LEAT_AT_ONCE), -ETIMEDOUT));
    from = leat_now();
    cr_assert(eq(int, leat_mutex_lock_until(&m, leat_after(20 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(ge(i64, leat_now() - from, 20 * LEAT_MSEC));
    leat_mutex_unlock(&m);
    leat_mutex_lock(&m);
    leat_mutex_unlock(&m);
    cr_assert(eq(int, leat_mutex_lock_until(&m, LEAT_AT_ONCE), 0));
    leat_mutex_unlock(&m);
    for (size_t i = 0; i < sizeof(m.word_) / sizeof(m.word_[0]); i++)
        cr_assert(eq(u64, m.word_[i], 0)); /* nothing is left behind */
}

/* Goal: unlocking what is not locked stops the program. */
Test(mutex, refuses_an_unlock_too_many, .timeout = 10, .signal = SIGABRT)
{
    leat_mutex m = {0};

    leat_mutex_lock(&m);
    leat_mutex_unlock(&m);
    leat_mutex_unlock(&m);
}

/* --- order --- */

#define LINE 10

struct line {
    leat_mutex m;
    leat_waitgroup wg;
    int order[LINE], n;
};

static void stand_in_line(struct line *s, int i)
{
    leat_mutex_lock(&s->m);
    s->order[s->n++] = i;
    leat_mutex_unlock(&s->m);
    leat_wg_done(&s->wg);
}

/*
 * Main never parks meanwhile: who does is the one that it has just spawned, and stands in the list
 * by then.
 */
static int line_main(void *arg)
{
    struct line *s = arg;
    uint64_t before = waits_begun();

    leat_mutex_lock(&s->m);
    leat_wg_add(&s->wg, LINE);
    for (int i = 0; i < LINE; i++) {
        if (go(stand_in_line, s, i) != 0)
            return -1;
        if (!waits_await(before + (uint64_t)i + 1))
            return -2;
    }
    leat_mutex_unlock(&s->m);
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/* Goal: waiters are served in the order in which they came. */
Test(mutex, serves_in_order, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct line s = {0};

        cr_assert(eq(int, each_run(procs, line_main, &s), 0));
        for (int i = 0; i < LINE; i++)
            cr_assert(eq(int, s.order[i], i));
    }
}

/* --- starvation --- */

struct hog {
    leat_mutex m;
    leat_waitgroup wg;
    bool served; /* under m */
    int64_t waited_ns;
};

static void starve(struct hog *s)
{
    int64_t from = leat_now();

    leat_mutex_lock(&s->m);
    s->served = true;
    s->waited_ns = leat_now() - from;
    leat_mutex_unlock(&s->m);
    leat_wg_done(&s->wg);
}

/* Holds the mutex whenever anybody else runs on its processor. */
static int hog_main(void *arg)
{
    struct hog *s = arg;
    int64_t until;
    bool served = false;

    leat_mutex_lock(&s->m);
    leat_wg_add(&s->wg, 1);
    if (go(starve, s) != 0)
        return -1;
    until = leat_now() + 30 * LEAT_SEC;
    while (!served && leat_now() < until) {
        leat_yield();
        leat_mutex_unlock(&s->m);
        leat_mutex_lock(&s->m);
        served = s->served;
    }
    leat_mutex_unlock(&s->m);
    return served ? leat_wg_wait(&s->wg, EACH_LONG) : 1;
}

/*
 * Goal: a running coroutine that takes the mutex again and again overtakes a waiter for a moment
 * only.
 */
Test(mutex, hands_over_to_a_starving_waiter, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct hog s = {0};

        cr_assert(eq(int, each_run(procs, hog_main, &s), 0));
        /* in practice about 1 ms; the machine may be busy */
        cr_expect(lt(i64, s.waited_ns, 25 * LEAT_SEC));
    }
}

/* --- the ends of a wait that are no success --- */

static leat_result lock_within(leat_mutex *m, leat_deadline until)
{
    int r = leat_mutex_lock_until(m, until);

    if (r == 0)
        leat_mutex_unlock(m);
    return r;
}

static int timeout_main(void *arg)
{
    leat_mutex m = {0};
    leat_handle *h;
    leat_result r = 0;
    int64_t from;

    (void)arg;
    leat_mutex_lock(&m);
    from = leat_now();
    if (leat_go_join(&h, lock_within, &m, leat_after(20 * LEAT_MSEC)) != 0)
        return 1;
    if (leat_join(h, &r, EACH_LONG) != 0 || r != -ETIMEDOUT || leat_now() - from < 20 * LEAT_MSEC)
        return 2;
    if (leat_mutex_lock_until(&m, LEAT_AT_ONCE) != -ETIMEDOUT)
        return 3;
    leat_mutex_unlock(&m);
    for (size_t i = 0; i < sizeof(m.word_) / sizeof(m.word_[0]); i++)
        if (m.word_[i] != 0)
            return 4;
    return leat_mutex_lock_until(&m, LEAT_AT_ONCE) == 0 ? 0 : 5;
}

/* Goal: a coroutine's deadline is kept, never early, and no waiter stays in the list. */
Test(mutex, coroutine_times_out, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, timeout_main, NULL), 0));
}

static int cancel_main(void *arg)
{
    leat_mutex m = {0};
    leat_handle *h, *behind;
    leat_result r = 0;

    (void)arg;
    leat_mutex_lock(&m);
    if (leat_go_join(&h, lock_within, &m, LEAT_FOREVER) != 0)
        return 1;
    leat_sleep(LEAT_MSEC);
    if (leat_go_join(&behind, lock_within, &m, LEAT_FOREVER) != 0)
        return 2;
    leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 3;
    leat_mutex_unlock(&m);
    if (leat_join(behind, &r, EACH_LONG) != 0 || r != 0)
        return 4;
    return leat_mutex_try(&m) == 0 ? 0 : 5;
}

/* Goal: a waiter that is cancelled leaves the list, and the one behind it gets the mutex. */
Test(mutex, cancelled, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

static leat_result lock_whatever(leat_mutex *m, int *value)
{
    leat_mutex_lock(m);
    (*value)++;
    leat_mutex_unlock(m);
    /* a free mutex is refused too, by the form that can */
    return leat_cancelled() && leat_mutex_lock_until(m, LEAT_FOREVER) == -ECANCELED;
}

static int shielded_main(void *arg)
{
    leat_mutex m = {0};
    leat_handle *h;
    leat_result r = 0;
    int value = 0;

    (void)arg;
    leat_mutex_lock(&m);
    if (leat_go_join(&h, lock_whatever, &m, &value) != 0)
        return 1;
    leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    leat_sleep(LEAT_MSEC);
    if (value != 0)
        return 2;
    leat_mutex_unlock(&m);
    return leat_join(h, &r, EACH_LONG) == 0 && r == 1 && value == 1 ? 0 : 3;
}

/* Goal: leat_mutex_lock cannot be cancelled, neither while it waits nor on entry. */
Test(mutex, lock_is_shielded, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, shielded_main, NULL), 0));
}

struct held {
    leat_mutex m;
    atomic_int result;
};

static void wait_until_cancelled(struct held *s)
{
    atomic_store(&s->result, leat_mutex_lock_until(&s->m, LEAT_FOREVER));
}

static int held_main(void *arg)
{
    struct held *s = arg;

    leat_mutex_lock(&s->m);
    if (go(wait_until_cancelled, s) != 0)
        return -1;
    leat_sleep(LEAT_MSEC);
    return 0;
}

/* Goal: the end of a run cancels whoever waits; the mutex stays usable. */
Test(mutex, run_ends_with_a_waiter, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct held s = {0};

        cr_assert(eq(int, each_run(procs, held_main, &s), 0));
        cr_assert(eq(int, s.result, -ECANCELED));
        leat_mutex_unlock(&s.m);
        cr_assert(eq(int, leat_mutex_try(&s.m), 0));
    }
}
