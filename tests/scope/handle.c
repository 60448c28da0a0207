/*
 * What a handle promises, one thing at a time. Races: handle_race.c.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- results --- */

static int give_int(int v)
{
    leat_yield();
    return v;
}

static long give_long(long v)
{
    return v;
}

static unsigned char give_byte(void)
{
    return 200;
}

static void *give_pointer(void *p)
{
    return p;
}

static void give_nothing(void)
{
}

static double give_double(double v)
{
    return v;
}

static leat_result joined(leat_handle *h)
{
    leat_result r = 12345;

    return leat_join(h, &r, EACH_LONG) == 0 ? r : -99999;
}

static int results_main(void *arg)
{
    leat_handle *h;
    int mistakes = 0;

    mistakes += leat_go_join(&h, give_int, -7) != 0 || joined(h) != -7;
    mistakes += leat_go_join(&h, give_int, 7) != 0 || joined(h) != 7;
    mistakes += leat_go_join(&h, give_long, INTPTR_MIN) != 0 || joined(h) != INTPTR_MIN;
    mistakes += leat_go_join(&h, give_byte) != 0 || joined(h) != 200;
    mistakes += leat_go_join(&h, give_pointer, arg) != 0 || joined(h) != (leat_result)arg;
    mistakes += leat_go_join(&h, give_nothing) != 0 || joined(h) != 0;
    mistakes += leat_go_join(&h, give_double, 2.5) != 0 || joined(h) != 0;
    mistakes += leat_go_join(&h, give_int, 7) != 0 || leat_join(h, NULL, EACH_LONG) != 0;
    return mistakes;
}

/* Goal: integers and pointers arrive as they are; everything else is 0. */
Test(handle, results, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, results_main, &procs), 0));
}

/* --- waiting --- */

static int wait_for(leat_waitgroup *wg)
{
    return leat_wg_wait(wg, LEAT_FOREVER);
}

static int timeout_main(void *arg)
{
    leat_waitgroup wg = {0};
    leat_handle *h;
    leat_result r = 1;
    int64_t from = leat_now();

    (void)arg;
    leat_wg_add(&wg, 1);
    if (leat_go_join(&h, wait_for, &wg) != 0)
        return -1;
    if (leat_join(h, &r, LEAT_AT_ONCE) != -ETIMEDOUT ||
        leat_join(h, &r, leat_after(20 * LEAT_MSEC)) != -ETIMEDOUT)
        return -2;
    if (leat_now() - from < 20 * LEAT_MSEC || r != 1)
        return -3;
    leat_wg_done(&wg);
    leat_sleep(LEAT_MSEC);
    if (leat_join(h, &r, EACH_LONG) != 0) /* the handle was still good */
        return -4;
    if (leat_go_join(&h, give_int, 3) != 0)
        return -5;
    leat_sleep(20 * LEAT_MSEC);
    from = leat_now();
    while ((r = leat_join(h, &r, LEAT_AT_ONCE)) == -ETIMEDOUT && leat_now() - from < 15 * LEAT_SEC)
        leat_sleep(LEAT_MSEC);
    return (int)r; /* it has ended: no wait is needed, so the deadline does not matter */
}

/*
 * Goal: a deadline leaves the handle valid; a join that needs no wait succeeds whatever its
 * deadline.
 */
Test(handle, join_times_out, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, timeout_main, NULL), 0));
}

static int join_other(leat_handle *h)
{
    return leat_join(h, NULL, LEAT_FOREVER);
}

static int cancel_join_main(void *arg)
{
    leat_waitgroup wg = {0};
    leat_handle *target, *joiner;
    leat_result r = 1;

    (void)arg;
    leat_wg_add(&wg, 1);
    if (leat_go_join(&target, wait_for, &wg) != 0 || leat_go_join(&joiner, join_other, target) != 0)
        return -1;
    leat_sleep(LEAT_MSEC);
    leat_cancel(joiner);
    if (leat_join(joiner, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return -2;
    leat_wg_done(&wg);
    return leat_join(target, &r, EACH_LONG) == 0 ? (int)r : -3;
}

/* Goal: a cancelled join leaves the handle valid for somebody else. */
Test(handle, join_cancelled, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_join_main, NULL), 0));
}

/* --- plain threads --- */

struct outside {
    leat_waitgroup up, down;
    int sum;
};

static int stay(struct outside *s)
{
    leat_wg_done(&s->up);
    return leat_wg_wait(&s->down, EACH_LONG);
}

static int stay_main(void *arg)
{
    return stay(arg);
}

static void *run_thread(void *arg)
{
    return (void *)(intptr_t)each_run(2, stay_main, arg);
}

static int add_later(leat_waitgroup *gate, int a, int b)
{
    return leat_wg_wait(gate, EACH_LONG) == 0 ? a + b : -1;
}

/* Goal: a plain thread spawns, joins, cancels and detaches while a run is under way. */
Test(handle, used_by_plain_threads, .timeout = 20)
{
    struct outside s = {0};
    leat_waitgroup never = {0}, gate = {0};
    leat_handle *h;
    leat_result r = 0;
    pthread_t t;
    void *value;

    leat_wg_add(&s.up, 1);
    leat_wg_add(&s.down, 1);
    leat_wg_add(&never, 1);
    leat_wg_add(&gate, 1);
    cr_assert(eq(int, pthread_create(&t, NULL, run_thread, &s), 0));
    cr_assert(eq(int, leat_wg_wait(&s.up, EACH_LONG), 0));

    cr_expect(eq(int, leat_go_join(&h, add_later, &gate, 20, 22), 0));
    cr_expect(eq(int, leat_join(h, &r, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_wg_done(&gate);
    cr_expect(eq(int, leat_join(h, &r, EACH_LONG), 0));
    cr_expect(eq(long, r, 42));

    cr_expect(eq(int, leat_go_join(&h, wait_for, &never), 0));
    cr_expect(eq(int, leat_join(h, &r, leat_after(10 * LEAT_MSEC)), -ETIMEDOUT));
    leat_cancel(h);
    cr_expect(eq(int, leat_join(h, &r, EACH_LONG), 0));
    cr_expect(eq(long, r, -ECANCELED));

    cr_expect(eq(int, leat_go_join(&h, give_int, 3), 0));
    leat_detach(h);

    leat_wg_done(&s.down);
    pthread_join(t, &value);
    cr_assert(eq(int, (int)(intptr_t)value, 0));
}

struct over {
    leat_waitgroup up;
    leat_handle *h;
    leat_result result;
    int joined;
};

static int sleep_on(void)
{
    return leat_sleep_until(LEAT_FOREVER);
}

static void *join_over_the_end(void *arg)
{
    struct over *s = arg;

    leat_wg_done(&s->up);
    s->joined = leat_join(s->h, &s->result, EACH_LONG);
    return NULL;
}

static int over_main(void *arg)
{
    struct over *s = arg;
    pthread_t *t = (pthread_t *)s->result;

    s->result = 1;
    leat_wg_add(&s->up, 1);
    if (leat_go_join(&s->h, sleep_on) != 0 || pthread_create(t, NULL, join_over_the_end, s) != 0)
        return -1;
    if (leat_wg_wait(&s->up, EACH_LONG) != 0)
        return -2;
    return leat_sleep(5 * LEAT_MSEC); /* it waits now */
}

/*
 * Goal: a plain thread that waits while the run ends gets the result of the cancelled coroutine,
 * and the run its memory. On a busy machine one may come too late to wait.
 */
Test(handle, joined_over_the_end_of_the_run, .timeout = 40)
{
    for (EACH_PROCS(procs)) {
        int late = 0;

        for (int i = 0; i < 20; i++) {
            pthread_t t;
            struct over s = {.result = (leat_result)&t};

            cr_assert(eq(int, each_run(procs, over_main, &s), 0));
            pthread_join(t, NULL);
            if (s.joined == -ESHUTDOWN) {
                late++;
                continue;
            }
            cr_assert(eq(int, s.joined, 0));
            cr_assert(eq(long, s.result, -ECANCELED));
        }
        cr_expect(lt(int, late, 20));
    }
}

static int leave_handle(void *arg)
{
    return leat_go_join((leat_handle **)arg, give_int, 3);
}

/* Goal: a handle that outlives its run is worth nothing, and does no harm. */
Test(handle, of_a_run_that_is_over, .timeout = 20)
{
    leat_handle *h = NULL;

    cr_assert(eq(int, each_run(2, leave_handle, &h), 0));
    cr_assert(eq(int, leat_join(h, NULL, EACH_LONG), -ESHUTDOWN));
    leat_cancel(h);
    leat_detach(h);
}

/* --- cancel --- */

static int is_cancelled(void)
{
    leat_yield();
    return leat_cancelled();
}

static int cancel_main(void *arg)
{
    leat_waitgroup never = {0};
    leat_handle *h, *later[50];
    leat_result r = 1;

    (void)arg;
    leat_wg_add(&never, 1);
    if (leat_go_join(&h, wait_for, &never) != 0)
        return -1;
    leat_cancel(h);
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return -2;

    /* one that has ended: whoever lives in its memory now is not meant */
    if (leat_go_join(&h, give_int, 1) != 0)
        return -3;
    leat_sleep(5 * LEAT_MSEC);
    for (int i = 0; i < 50; i++)
        if (leat_go_join(&later[i], is_cancelled) != 0)
            return -4;
    leat_cancel(h);
    for (int i = 0; i < 50; i++)
        if (leat_join(later[i], &r, EACH_LONG) != 0 || r != 0)
            return -5;
    return leat_join(h, &r, EACH_LONG) == 0 && r == 1 ? 0 : 1;
}

/* Goal: cancelling asks the one coroutine, once for all; after its end nothing happens. */
Test(handle, cancel, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

/* --- detach --- */

static void count_end(leat_waitgroup *wg)
{
    leat_wg_done(wg);
}

static int detach_main(void *arg)
{
    leat_waitgroup wg = {0};
    leat_handle *h;

    (void)arg;
    for (int i = 0; i < 2000; i++) {
        leat_wg_add(&wg, 1);
        if (leat_go_join(&h, count_end, &wg) != 0)
            return -1;
        if (i % 2)
            leat_yield(); /* often after its end */
        if (i % 3 == 0)
            leat_cancel(h);
        leat_detach(h);
    }
    return leat_wg_wait(&wg, EACH_LONG);
}

/* Goal: a handle may be given up before and after the end. */
Test(handle, detach, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, detach_main, NULL), 0));
}

/* --- misuse --- */

static int twice_main(void *arg)
{
    leat_waitgroup never = {0};
    leat_handle *target, *joiner;

    (void)arg;
    leat_wg_add(&never, 1);
    if (leat_go_join(&target, wait_for, &never) != 0 ||
        leat_go_join(&joiner, join_other, target) != 0)
        return -1;
    leat_sleep(5 * LEAT_MSEC);
    return leat_join(target, NULL, EACH_LONG);
}

/* Goal: two joins at once stop the program. */
Test(handle, refuses_a_second_join, .timeout = 20, .signal = SIGABRT)
{
    each_run(1, twice_main, NULL);
}

struct self {
    leat_handle *h;
    leat_waitgroup set;
};

static int join_self(struct self *s)
{
    if (leat_wg_wait(&s->set, EACH_LONG) != 0)
        return -1;
    return leat_join(s->h, NULL, leat_after(LEAT_SEC));
}

static int self_main(void *arg)
{
    struct self s = {0};

    (void)arg;
    leat_wg_add(&s.set, 1);
    if (leat_go_join(&s.h, join_self, &s) != 0)
        return -1;
    leat_wg_done(&s.set);
    return leat_sleep(5 * LEAT_SEC);
}

/* Goal: nobody waits for its own end. */
Test(handle, refuses_to_join_itself, .timeout = 20, .signal = SIGABRT)
{
    each_run(1, self_main, NULL);
}
