/*
 * Groups under races: on the owner's stack and reused at once, spawns from plain threads, and an
 * error, a cancellation and a deadline at the same instant.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define PATTERN 0xa5

static bool untouched(const void *memory, size_t n)
{
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < n; i++)
        if (bytes[i] != PATTERN)
            return false;
    return true;
}

static int end_soon(unsigned seed)
{
    each_jitter(&seed);
    if (seed & 1)
        leat_yield();
    return 0;
}

static int reuse_main(void *arg)
{
    struct each_rounds rounds = each_rounds(50000, 2 * LEAT_SEC);
    unsigned seed = 1;

    (void)arg;
    while (each_next(&rounds)) {
        leat_group g;

        leat_group_open(&g, seed >> 16 & 1);
        for (int i = 0; i < 2; i++) {
            each_jitter(&seed);
            if (leat_group_go(&g, end_soon, seed) != 0)
                return -1;
        }
        if (leat_group_wait(&g, EACH_LONG) != 0)
            return -2;
        memset(&g, PATTERN, sizeof(g));
        each_jitter(&seed);
        if (!untouched(&g, sizeof(g)))
            return 1;
    }
    return 0;
}

/* Goal: the last member touches nothing once the owner may have returned. */
Test(group_race, on_the_stack_of_the_owner, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, reuse_main, NULL), 0));
}

/* --- plain threads spawn --- */

#define THREADS 4
#define SPAWNS 500

struct outside {
    leat_group *group;
    leat_waitgroup opened, finished;
    leat_mutex m;
    int ended; /* under m */
    atomic_int refused;
    unsigned limit;
};

static int count_end(struct outside *s)
{
    leat_mutex_lock(&s->m);
    s->ended++;
    leat_mutex_unlock(&s->m);
    return 0;
}

static void *spawn_from_thread(void *arg)
{
    struct outside *s = arg;

    if (leat_wg_wait(&s->opened, EACH_LONG) != 0)
        return NULL;
    for (int i = 0; i < SPAWNS; i++)
        if (leat_group_go(s->group, count_end, s) != 0)
            atomic_fetch_add(&s->refused, 1);
    leat_wg_done(&s->finished);
    return NULL;
}

/* A member that keeps the group from ending while the threads may still come. */
static int stay(struct outside *s)
{
    return leat_wg_wait(&s->finished, EACH_LONG);
}

static int outside_main(void *arg)
{
    struct outside *s = arg;
    leat_group g;

    leat_group_open(&g, s->limit);
    if (leat_group_go(&g, stay, s) != 0)
        return -1;
    s->group = &g;
    leat_wg_done(&s->opened);
    return leat_group_wait(&g, EACH_LONG);
}

/* Goal: plain threads spawn into a group; at its limit they wait too. */
Test(group_race, spawned_by_plain_threads, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        for (unsigned limit = 0; limit <= 5; limit += 5) {
            struct outside s = {.limit = limit};
            pthread_t thread[THREADS];

            leat_wg_add(&s.opened, 1);
            leat_wg_add(&s.finished, THREADS);
            for (int i = 0; i < THREADS; i++)
                cr_assert(eq(int, pthread_create(&thread[i], NULL, spawn_from_thread, &s), 0));
            cr_expect(eq(int, each_run(procs, outside_main, &s), 0));
            for (int i = 0; i < THREADS; i++)
                pthread_join(thread[i], NULL);
            cr_assert(eq(int, s.refused, 0));
            cr_assert(eq(int, s.ended, THREADS *SPAWNS));
        }
    }
}

/* --- everything at once --- */

struct storm {
    atomic_long errors, cancels, timeouts;
};

static int member(unsigned seed)
{
    each_jitter(&seed);
    switch (seed >> 8 & 7) {
    case 0:
        return -EIO;
    case 1:
        return -ENOSPC;
    case 2:
        return leat_sleep((seed >> 16 & 31) * LEAT_USEC);
    case 3:
        leat_yield();
        return 0;
    default:
        return leat_sleep_until(LEAT_FOREVER);
    }
}

/* A member itself, so that the group is open. */
static int cancel_soon(leat_group *g, unsigned seed)
{
    each_jitter(&seed);
    if (seed & 1)
        leat_yield();
    leat_group_cancel(g);
    return 0;
}

static int storm_round(struct storm *s, unsigned *seed)
{
    leat_group g;
    int r;

    leat_group_open(&g, *seed >> 20 & 7);
    if (leat_group_go(&g, cancel_soon, &g, *seed) != 0) /* so every round ends */
        return -1;
    for (int i = 0; i < 8; i++) {
        each_jitter(seed);
        r = leat_group_go(&g, member, *seed);
        if (r != 0 && r != -ECANCELED)
            return -2;
    }
    r = leat_group_wait(&g, leat_after((*seed >> 16 & 31) * LEAT_USEC));
    if (r == -ETIMEDOUT) {
        atomic_fetch_add(&s->timeouts, 1);
        r = leat_group_close(&g);
    }
    if (r == 0)
        atomic_fetch_add(&s->cancels, 1);
    else
        atomic_fetch_add(&s->errors, 1);
    return r == 0 || r == -EIO || r == -ENOSPC ? 0 : 1;
}

static int storm_main(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, LEAT_SEC);
    unsigned seed = 21;
    int r = 0;

    while (r == 0 && each_next(&rounds))
        r = storm_round(arg, &seed);
    return r;
}

/*
 * Goal: error, cancellation, deadline and limit at the same instant: the group ends, with one of
 * the results that it may have.
 */
Test(group_race, error_cancel_and_deadline_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct storm s = {0};

        cr_assert(eq(int, each_run(procs, storm_main, &s), 0));
        cr_assert(gt(long, s.errors + s.cancels, 0));
    }
}

/* --- the owner is cancelled as its last member ends --- */

static leat_result own_one(unsigned seed)
{
    leat_group g;
    int r;

    leat_group_open(&g, 0);
    r = leat_group_go(&g, end_soon, seed);
    if (r == 0)
        r = leat_group_wait(&g, LEAT_FOREVER);
    if (r == -ECANCELED)
        r = leat_group_close(&g);
    memset(&g, PATTERN, sizeof(g));
    return r;
}

static int owner_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 9;

    (void)arg;
    while (each_next(&rounds)) {
        leat_handle *h;
        leat_result r = 1;

        each_jitter(&seed);
        if (leat_go_join(&h, own_one, seed) != 0)
            return -1;
        if (seed & 2)
            leat_yield();
        each_jitter(&seed);
        leat_cancel(h);
        if (leat_join(h, &r, EACH_LONG) != 0 || r != 0)
            return 1;
    }
    return 0;
}

/* Goal: cancelled or woken, the owner's wait is over once, and the group is whole. */
Test(group_race, owner_cancelled_as_the_last_member_ends, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, owner_main, NULL), 0));
}
