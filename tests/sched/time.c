/*
 * Sleeping, seen from outside: never too short, odd spans, many at once. What the heap does by
 * itself: timers.c.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct naps {
    unsigned long n;
    int64_t span_max_ns;
    atomic_ulong done, early, failed, late;
    bool reached;
};

static void napper(struct naps *s, int64_t span)
{
    int64_t begin = leat_now();
    int r = leat_sleep(span);
    int64_t took = leat_now() - begin;

    atomic_fetch_add(&s->failed, r != 0);
    atomic_fetch_add(&s->early, took < span);
    atomic_fetch_add(&s->late, took > span + KIT_LONG / 2);
    atomic_fetch_add(&s->done, 1);
}

static int naps_main(void *arg)
{
    struct naps *s = arg;
    uint64_t seed = 42;

    for (unsigned long i = 0; i < s->n; i++)
        if (go(napper, s, (int64_t)(kit_random(&seed) % (uint64_t)s->span_max_ns) + 1) < 0)
            return -1;
    s->reached = kit_reach(&s->done, s->n, KIT_LONG);
    return 0;
}

static void check_naps(unsigned procs, unsigned long n, int64_t span_max)
{
    struct naps s = {.n = n, .span_max_ns = span_max};

    cr_assert(eq(int, kit_run(procs, naps_main, &s), 0));
    cr_assert(s.reached, "%lu of %lu awake", atomic_load(&s.done), n);
    cr_expect(eq(u64, atomic_load(&s.early), 0));
    cr_expect(eq(u64, atomic_load(&s.failed), 0));
    cr_expect(eq(u64, atomic_load(&s.late), 0));
}

/* Goal: no sleep is shorter than asked for, and each ends; spans of nanoseconds to 20 ms. */
Test(sleep, never_early, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        check_naps(kit_procs[p], 300, 20 * LEAT_MSEC);
        check_naps(kit_procs[p], 300, 5 * LEAT_USEC);
    }
}

/* Goal: a hundred thousand sleepers at once all wake. */
Test(sleep, a_hundred_thousand, .timeout = 60)
{
    check_naps(1, KIT_VALGRIND ? 1000 : KIT_SANITIZED ? 3000 : 100000, 50 * LEAT_MSEC);
    check_naps(2, KIT_VALGRIND ? 1000 : KIT_SANITIZED ? 3000 : 100000, 50 * LEAT_MSEC);
}

/* --- odd spans --- */

#define NR_ODD 8

struct odd {
    int r[NR_ODD];
    int64_t took;
    atomic_ulong began, cancelled, ended;
    bool reached;
};

/* Sleeps that end with the run only. */
static void for_ever(struct odd *o, leat_deadline until)
{
    atomic_fetch_add(&o->began, 1);
    atomic_fetch_add(&o->cancelled, leat_sleep_until(until) == -ECANCELED);
    atomic_fetch_add(&o->ended, 1);
}

static int odd_main(void *arg)
{
    struct odd *o = arg;
    int64_t begin = leat_now();

    o->r[0] = leat_sleep(0);
    o->r[1] = leat_sleep(-1);
    o->r[2] = leat_sleep(INT64_MIN);
    o->r[3] = leat_sleep_until(LEAT_AT_ONCE);
    o->r[4] = leat_sleep_until(leat_at(-5));
    o->r[5] = leat_sleep_until(leat_at(INT64_MIN));
    o->r[6] = leat_sleep_until(leat_at(begin));
    o->r[7] = leat_sleep_until(leat_at(1));
    o->took = leat_now() - begin;
    (void)go(for_ever, o, LEAT_FOREVER);
    (void)go(for_ever, o, leat_at(INT64_MAX - 1));
    (void)go(for_ever, o, leat_after(INT64_MAX));
    (void)go(for_ever, o, leat_after(INT64_MAX / 2));
    (void)go(for_ever, o, leat_after(3600 * LEAT_SEC));
    o->reached = kit_reach(&o->began, 5, KIT_LONG);
    (void)leat_sleep(5 * LEAT_MSEC);
    return (int)atomic_load(&o->ended);
}

/*
 * Goal: a deadline that has passed, however far back, returns at once; one beyond the clock's range
 * never passes, and is cancelled.
 */
Test(sleep, odd_spans, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct odd o = {.took = -1};

        cr_assert(eq(int, kit_run(kit_procs[p], odd_main, &o), 0));
        cr_assert(o.reached);
        for (int i = 0; i < NR_ODD; i++)
            cr_expect(eq(int, o.r[i], 0), "call %d", i);
        cr_expect(lt(i64, o.took, KIT_LONG / 2));
        cr_expect(eq(u64, atomic_load(&o.ended), 5));
        cr_expect(eq(u64, atomic_load(&o.cancelled), 5));
    }
}

/* Goal: leat_after() saturates at both ends. */
Test(sleep, deadlines_saturate, .timeout = 60)
{
    int64_t now = leat_now();

    cr_expect(eq(i64, leat_after(INT64_MAX).ns, INT64_MAX));
    cr_expect(eq(i64, leat_after(INT64_MAX - 1).ns, INT64_MAX));
    cr_expect(eq(i64, leat_after(0).ns, 0));
    cr_expect(eq(i64, leat_after(-1).ns, 0));
    cr_expect(eq(i64, leat_after(INT64_MIN).ns, 0));
    cr_expect(ge(i64, leat_after(LEAT_SEC).ns, now + LEAT_SEC));
    cr_expect(eq(i64, leat_at(-7).ns, -7));
}

/* Goal: the clock is CLOCK_MONOTONIC. */
Test(sleep, clock_is_monotonic, .timeout = 60)
{
    struct timespec t;
    int64_t before = leat_now(), kernel, last = before;

    clock_gettime(CLOCK_MONOTONIC, &t);
    kernel = t.tv_sec * LEAT_SEC + t.tv_nsec;
    cr_expect(ge(i64, kernel, before));
    cr_expect(ge(i64, leat_now(), kernel));
    for (int i = 0; i < 100000; i++) {
        int64_t now = leat_now();

        cr_assert(ge(i64, now, last));
        last = now;
    }
}

/*
 * Goal: a plain thread sleeps as nanosleep does: never early, at once for what has passed, whether
 * a run is under way or not.
 */
Test(sleep, plain_threads_too, .timeout = 60)
{
    int64_t begin = leat_now();

    cr_expect(eq(int, leat_sleep(3 * LEAT_MSEC), 0));
    cr_expect(ge(i64, leat_now() - begin, 3 * LEAT_MSEC));
    begin = leat_now();
    cr_expect(eq(int, leat_sleep(-5), 0));
    cr_expect(eq(int, leat_sleep(INT64_MIN), 0));
    cr_expect(eq(int, leat_sleep_until(leat_at(INT64_MIN)), 0));
    cr_expect(eq(int, leat_sleep_until(leat_at(begin)), 0));
    cr_expect(lt(i64, leat_now() - begin, KIT_LONG / 2));
}

/* --- timers of a processor that computes --- */

struct hogged {
    atomic_ulong woken;
    unsigned long woken_beside;
    unsigned long n;
};

static void short_nap(struct hogged *h)
{
    (void)leat_sleep(2 * LEAT_MSEC);
    atomic_fetch_add(&h->woken, 1);
}

static int hogged_main(void *arg)
{
    struct hogged *h = arg;
    int64_t until;

    for (unsigned long i = 0; i < h->n; i++)
        (void)go(short_nap, h);
    leat_yield(); /* they go to sleep here, and their timers are this processor's */
    until = leat_now() + KIT_LONG;
    while (atomic_load(&h->woken) < h->n && leat_now() < until)
        kit_burn(100 * LEAT_USEC);
    h->woken_beside = atomic_load(&h->woken);
    return 0;
}

/*
 * Goal: with another processor idle, timers of one whose coroutine computes on fire all the same.
 */
Test(sleep, beside_a_processor_that_computes, .timeout = 60)
{
    for (int p = 1; p < KIT_NR_PROCS; p++) {
        struct hogged h = {.n = 50};

        cr_assert(eq(int, kit_run(kit_procs[p], hogged_main, &h), 0));
        cr_expect(eq(u64, h.woken_beside, h.n));
    }
}

/* --- short waits that end before their deadlines --- */

struct reuse {
    leat_mutex lock;
    atomic_ulong rounds;
    bool reached;
    int error;
};

#define NR_REUSE 20000ul

static void locker(struct reuse *r)
{
    for (unsigned long i = 0; i < NR_REUSE; i++) {
        int e = leat_mutex_lock_until(&r->lock, leat_after(3600 * LEAT_SEC));

        if (e < 0) {
            r->error = e;
            break;
        }
        leat_yield(); /* the others queue up */
        leat_mutex_unlock(&r->lock);
        atomic_fetch_add(&r->rounds, 1);
    }
}

static int reuse_main(void *arg)
{
    struct reuse *r = arg;

    for (int i = 0; i < 4; i++)
        (void)go(locker, r);
    r->reached = kit_reach(&r->rounds, 4 * NR_REUSE, KIT_LONG);
    return 0;
}

/*
 * Goal: waits that end long before their deadlines cost no memory. Method: 80,000 waits with a
 * deadline an hour away; a heap entry for each would be 1.3 MB and doublings beside it. (Exactly
 * counted: timers.c.)
 */
Test(sleep, deadlines_that_do_not_fire, .timeout = 60)
{
    struct reuse r = {.error = 0};

    cr_assert(eq(int, kit_run(2, reuse_main, &r), 0));
    cr_assert(r.reached, "%lu", atomic_load(&r.rounds));
    cr_expect(eq(int, r.error, 0));
}
