/*
 * Coroutines that begin later (leat_attr.start): not before their time, and not at all where they
 * were cancelled before it.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define HOUR (3600 * LEAT_SEC)

static leat_result time_of(atomic_int *begun)
{
    atomic_fetch_add(begun, 1);
    return (leat_result)leat_now();
}

static bool in_time(leat_deadline start, atomic_int *begun)
{
    leat_attr attr = {.start = start, .name = "late"};
    leat_handle *h;
    leat_result at = 0;

    return leat_go_join_attr(&h, &attr, time_of, begun) == 0 && leat_join(h, &at, EACH_LONG) == 0 &&
           at >= start.ns;
}

static int times_main(void *arg)
{
    atomic_int *begun = arg;

    for (int64_t ms = 0; ms < 10; ms += 3)
        if (!in_time(leat_after(ms * LEAT_MSEC), begun) ||
            !in_time(leat_after(ms * LEAT_USEC), begun))
            return 1;
    if (!in_time(leat_at(-LEAT_SEC), begun) || !in_time(leat_at(INT64_MIN), begun) ||
        !in_time(leat_at(1), begun) || !in_time(LEAT_AT_ONCE, begun))
        return 2;
    return *begun == 12 ? 0 : 3;
}

static void *times_thread(void *arg)
{
    return (void *)(intptr_t)times_main(arg);
}

static int times_outside_main(void *arg)
{
    pthread_t thread;
    void *r;

    pthread_create(&thread, NULL, times_thread, arg);
    for (int i = 0; i < 5; i++)
        (void)leat_sleep(LEAT_MSEC);
    pthread_join(thread, &r);
    return (int)(intptr_t)r;
}

/* Goal: it runs once, and not before its time. From coroutines, and from plain threads. */
Test(late, begins_in_time, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        atomic_int begun = 0;

        cr_assert(eq(int, each_run(procs, times_main, &begun), 0));
        begun = 0;
        if (procs > 1) /* the main coroutine waits for the thread */
            cr_assert(eq(int, each_run(procs, times_outside_main, &begun), 0));
    }
}

/* --- cancelled before --- */

static void count(atomic_int *begun)
{
    atomic_fetch_add(begun, 1);
}

static int stopped(atomic_int *begun, leat_deadline start)
{
    leat_attr attr = {.start = start};
    leat_result r = 1;
    leat_handle *h;

    if (leat_go_join_attr(&h, &attr, count, begun) != 0)
        return -1;
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    return (int)r;
}

static void *stopped_thread(void *arg)
{
    return (void *)(intptr_t)(stopped(arg, leat_after(HOUR)) == -ECANCELED);
}

static int stopped_main(void *arg)
{
    leat_attr attr = {.start = leat_after(HOUR)}, never = {.start = LEAT_FOREVER};
    pthread_t thread;
    leat_group group;
    void *ok;

    if (stopped(arg, leat_after(HOUR)) != -ECANCELED ||
        stopped(arg, leat_after(INT64_MAX)) != -ECANCELED ||
        stopped(arg, leat_at(INT64_MAX - 1)) != -ECANCELED)
        return 1;
    if (leat_nr_procs() > 1) { /* else nobody runs while we wait for the thread */
        pthread_create(&thread, NULL, stopped_thread, arg);
        pthread_join(thread, &ok);
        if (!ok)
            return 2;
    }
    /*
     * members count while they have not begun; their end is no error when the group was cancelled
     */
    leat_group_open(&group, 0);
    for (int i = 0; i < 10; i++)
        if (leat_group_go_attr(&group, i % 2 ? &attr : &never, count, arg) != 0)
            return 3;
    if (leat_group_wait(&group, leat_after(2 * LEAT_MSEC)) != -ETIMEDOUT)
        return 4;
    leat_group_cancel(&group);
    return leat_group_wait(&group, EACH_LONG) == 0 ? 0 : 5;
}

/* Goal: where it is cancelled before its time it ends at once, and its function is never called. */
Test(late, cancelled_before_it_has_begun, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        atomic_int begun = 0;

        cr_assert(eq(int, each_run(procs, stopped_main, &begun), 0));
        cr_assert(eq(int, begun, 0));
    }
}

static int leave_main(void *arg)
{
    leat_attr attr = {.start = leat_after(HOUR)};

    for (int i = 0; i < 100; i++)
        if (leat_go_attr(&attr, count, arg) != 0)
            return 1;
    return 0;
}

/* Goal: the end of a run does not wait for those that are to begin some time. */
Test(late, run_ends_before_it_begins, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        atomic_int begun = 0;
        int64_t from = leat_now();

        cr_assert(eq(int, each_run(procs, leave_main, &begun), 0));
        cr_assert(lt(i64, leat_now() - from, EACH_GRACE_MS * LEAT_MSEC));
        cr_assert(eq(int, begun, 0));
    }
}

/* --- races --- */

static int race_round(unsigned *seed, long *begun)
{
    int64_t at = leat_now() + 10 * LEAT_USEC;
    leat_attr attr = {.start = leat_at(at)};
    atomic_int n = 0;
    leat_result r = 1;
    leat_handle *h;

    if (leat_go_join_attr(&h, &attr, count, &n) != 0)
        return -1;
    while (leat_now() < at - 5 * LEAT_USEC)
        leat_yield();
    each_jitter(seed);
    if (*seed & 256)
        leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    *begun += n;
    return n == 1 ? r != 0 : r != -ECANCELED;
}

static int race_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 1;
    long begun = 0;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = race_round(&seed, &begun);
    return r ? r : begun ? 0 : 2;
}

/*
 * Goal: its time and its cancellation at one instant: it runs, or it does not, and its result says
 * which.
 */
Test(late, cancelled_as_it_begins, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, race_main, NULL), 0));
}

/* --- memory --- */

#define MANY 50000

static long resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (f) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int many_main(void *arg)
{
    leat_attr attr = {.start = leat_after(HOUR)};
    long before = resident_bytes();
    leat_group group;

    leat_group_open(&group, 0);
    for (int i = 0; i < MANY; i++)
        if (leat_group_go_attr(&group, &attr, count, (atomic_int *)arg) != 0)
            return 1;
    /* far less than a page of stack for each */
    if (!EACH_SANITIZED && resident_bytes() - before > MANY * 1024L)
        return 2;
    leat_group_cancel(&group);
    return leat_group_wait(&group, EACH_LONG) == 0 ? 0 : 3;
}

/* Goal: until it begins it takes no stack. */
Test(late, takes_no_stack_before, .timeout = 60)
{
    atomic_int begun = 0;

    cr_assert(eq(int, each_run(2, many_main, &begun), 0));
    cr_assert(eq(int, begun, 0));
}
