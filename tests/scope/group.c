/*
 * What a group promises, one thing at a time. Races: group_race.c.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* A wait that only cancellation ends. */
static int sleep_cancelled(atomic_int *cancelled)
{
    int r = leat_sleep_until(LEAT_FOREVER);

    if (r == -ECANCELED)
        atomic_fetch_add(cancelled, 1);
    return r;
}

/* --- all end --- */

#define MEMBERS 100

static int write_value(int *value, int v)
{
    if (v % 3)
        leat_yield();
    *value = v;
    return v; /* positive results mean nothing to a group */
}

static int all_main(void *arg)
{
    static int value[MEMBERS];
    leat_group g;
    int mistakes = 0;

    (void)arg;
    memset(value, 0, sizeof(value));
    leat_group_open(&g, 0);
    for (int i = 0; i < MEMBERS; i++)
        if (leat_group_go(&g, write_value, &value[i], i) != 0)
            return -1;
    if (leat_group_wait(&g, EACH_LONG) != 0)
        return -2;
    for (int i = 0; i < MEMBERS; i++)
        mistakes += value[i] != i;
    leat_group_open(&g, 0); /* again; and with nobody in it */
    return leat_group_wait(&g, LEAT_AT_ONCE) == 0 ? mistakes : -3;
}

/* Goal: the wait ends when all have, and shows what they wrote. */
Test(group, waits_for_all, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, all_main, NULL), 0));
}

/* --- the first error --- */

struct errors {
    atomic_int cancelled;
    int result[2];
};

static int fail_with(int error)
{
    leat_sleep(LEAT_MSEC);
    return error;
}

static int errors_main(void *arg)
{
    struct errors *s = arg;
    leat_group g;

    leat_group_open(&g, 0);
    for (int i = 0; i < MEMBERS; i++)
        if (leat_group_go(&g, sleep_cancelled, &s->cancelled) != 0)
            return -1;
    if (leat_group_go(&g, fail_with, -EIO) != 0)
        return -2;
    s->result[0] = leat_group_wait(&g, EACH_LONG);

    /* who fails because it was cancelled by hand has not failed; any other way it has */
    leat_group_open(&g, 0);
    if (leat_group_go(&g, sleep_cancelled, &s->cancelled) != 0 ||
        leat_group_go(&g, fail_with, -ENOSPC) != 0)
        return -3;
    leat_group_cancel(&g);
    s->result[1] = leat_group_wait(&g, EACH_LONG);
    return 0;
}

/*
 * Goal: the first negative result is the group's, and cancels the others, whose -ECANCELED then is
 * none.
 */
Test(group, first_error_cancels_the_rest, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct errors s = {0};

        cr_assert(eq(int, each_run(procs, errors_main, &s), 0));
        cr_assert(eq(int, s.result[0], -EIO));
        cr_assert(eq(int, s.result[1], -ENOSPC));
        cr_assert(eq(int, s.cancelled, MEMBERS + 1));
    }
}

static int own_cancel_main(void *arg)
{
    leat_group g;

    (void)arg;
    leat_group_open(&g, 0);
    if (leat_group_go(&g, fail_with, -ECANCELED) != 0)
        return -1;
    return leat_group_wait(&g, EACH_LONG) == -ECANCELED ? 0 : 1;
}

/*
 * Goal: a member's own -ECANCELED is an error like any other while nobody has cancelled the group.
 */
Test(group, a_members_own_cancellation_is_an_error, .timeout = 20)
{
    cr_assert(eq(int, each_run(2, own_cancel_main, NULL), 0));
}

/* --- cancel --- */

static int never_runs(int *touched)
{
    *touched = 1;
    return 0;
}

static int cancel_main(void *arg)
{
    atomic_int cancelled = 0;
    leat_group g;
    int touched = 0;

    (void)arg;
    leat_group_open(&g, 0);
    for (int i = 0; i < MEMBERS; i++)
        if (leat_group_go(&g, sleep_cancelled, &cancelled) != 0)
            return -1;
    leat_sleep(LEAT_MSEC);
    leat_group_cancel(&g);
    if (leat_group_go(&g, never_runs, &touched) != -ECANCELED)
        return -2;
    if (leat_group_wait(&g, EACH_LONG) != 0 || touched)
        return -3;
    return cancelled == MEMBERS ? 0 : 1;
}

/* Goal: cancelling asks all members, and nobody gets in afterwards. */
Test(group, cancelled, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

static int many_main(void *arg)
{
    long n = *(long *)arg;
    atomic_int cancelled = 0;
    leat_group g;

    leat_group_open(&g, 0);
    for (long i = 0; i < n; i++)
        if (leat_group_go(&g, sleep_cancelled, &cancelled) != 0)
            return -1;
    leat_sleep(LEAT_MSEC);
    leat_group_cancel(&g);
    if (leat_group_wait(&g, EACH_LONG) != 0)
        return -2;
    return cancelled == n ? 0 : 1;
}

/* Goal: 100 000 members go all the same. */
Test(group, cancels_very_many, .timeout = 100)
{
    long n = EACH_VALGRIND ? 500 : EACH_SANITIZED ? 2000 : 100000;

    cr_assert(eq(int, each_run(1, many_main, &n), 0));
    cr_assert(eq(int, each_run(2, many_main, &n), 0));
}

/* --- the limit --- */

struct crowd {
    leat_mutex m;
    int inside, most, done;
};

static int be_inside(struct crowd *s, int i)
{
    leat_mutex_lock(&s->m);
    if (++s->inside > s->most)
        s->most = s->inside;
    leat_mutex_unlock(&s->m);
    if (i % 4)
        leat_yield();
    leat_mutex_lock(&s->m);
    s->inside--;
    s->done++;
    leat_mutex_unlock(&s->m);
    return 0;
}

static int limit_main(void *arg)
{
    struct crowd *s = arg;
    leat_group g;

    leat_group_open(&g, 3);
    for (int i = 0; i < 500; i++)
        if (leat_group_go(&g, be_inside, s, i) != 0)
            return -1;
    return leat_group_wait(&g, EACH_LONG);
}

/* Goal: never more than the limit are alive; the spawner waits. */
Test(group, keeps_the_limit, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct crowd s = {0};

        cr_assert(eq(int, each_run(procs, limit_main, &s), 0));
        cr_assert(eq(int, s.done, 500));
        cr_assert(le(int, s.most, 3));
    }
}

static leat_result spawn_one(leat_group *g, atomic_int *cancelled)
{
    return leat_group_go(g, sleep_cancelled, cancelled);
}

static int full_main(void *arg)
{
    atomic_int cancelled = 0;
    leat_handle *h[2];
    leat_result r[2] = {1, 1};
    leat_group g;

    (void)arg;
    leat_group_open(&g, 1);
    if (leat_group_go(&g, sleep_cancelled, &cancelled) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (leat_go_join(&h[i], spawn_one, &g, &cancelled) != 0)
            return -2;
    leat_sleep(LEAT_MSEC);
    leat_cancel(h[0]); /* the spawner */
    if (leat_join(h[0], &r[0], EACH_LONG) != 0 || r[0] != -ECANCELED)
        return -3;
    leat_group_cancel(&g);
    if (leat_join(h[1], &r[1], EACH_LONG) != 0 || r[1] != -ECANCELED)
        return -4;
    if (leat_group_wait(&g, EACH_LONG) != 0)
        return -5;
    return cancelled == 1 ? 0 : 1;
}

/* Goal: a spawner that waits for room goes on when it is cancelled, and when the group is. */
Test(group, cancels_waiting_spawners, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, full_main, NULL), 0));
}

/* --- owners that give up --- */

static int timeout_main(void *arg)
{
    atomic_int cancelled = 0;
    leat_group g;
    int64_t from = leat_now();

    (void)arg;
    leat_group_open(&g, 0);
    if (leat_group_go(&g, sleep_cancelled, &cancelled) != 0)
        return -1;
    if (leat_group_wait(&g, leat_after(20 * LEAT_MSEC)) != -ETIMEDOUT ||
        leat_now() - from < 20 * LEAT_MSEC)
        return -2;
    if (leat_group_wait(&g, LEAT_AT_ONCE) != -ETIMEDOUT || cancelled)
        return -3;
    if (leat_group_go(&g, sleep_cancelled, &cancelled) != 0) /* still open */
        return -4;
    leat_group_cancel(&g);
    return leat_group_close(&g) == 0 && cancelled == 2 ? 0 : 1;
}

/* Goal: a deadline leaves the group as it is. */
Test(group, wait_times_out, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, timeout_main, NULL), 0));
}

struct nested {
    atomic_int cancelled, mistakes, levels;
};

static int nest(struct nested *s, int depth)
{
    leat_group g;
    int r;

    leat_group_open(&g, 0);
    for (int i = 0; i < 3; i++)
        if (leat_group_go(&g, sleep_cancelled, &s->cancelled) != 0)
            atomic_fetch_add(&s->mistakes, 1);
    if (depth > 0 && leat_group_go(&g, nest, s, depth - 1) != 0)
        atomic_fetch_add(&s->mistakes, 1);
    atomic_fetch_add(&s->levels, 1);
    if (depth % 2) {
        r = leat_group_wait(&g, LEAT_FOREVER);
        /* 0: cancelled with us, all were gone before we had our turn */
        if (r == -ECANCELED ? leat_group_go(&g, sleep_cancelled, &s->cancelled) != -ECANCELED
                            : r != 0 || !leat_cancelled())
            atomic_fetch_add(&s->mistakes, 1);
    }
    r = leat_group_close(&g);
    if (r != 0)
        atomic_fetch_add(&s->mistakes, 1);
    return leat_sleep(LEAT_SEC); /* cancelled: at once */
}

static int nested_main(void *arg)
{
    struct nested *s = arg;
    leat_group g;

    leat_group_open(&g, 0);
    if (leat_group_go(&g, nest, s, 4) != 0)
        return -1;
    while (s->levels < 5)
        leat_sleep(LEAT_MSEC);
    leat_group_cancel(&g);
    return leat_group_wait(&g, EACH_LONG);
}

/*
 * Goal: who is cancelled is so with the members of its own groups, on all levels; a wait that gives
 * -ECANCELED keeps the group open, close waits.
 */
Test(group, nested, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct nested s = {0};

        cr_assert(eq(int, each_run(procs, nested_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
        cr_assert(eq(int, s.cancelled, 15));
    }
}

static int owner_of_none(int *result)
{
    leat_group g;

    leat_group_open(&g, 0);
    (void)leat_sleep_until(LEAT_FOREVER);
    *result = leat_group_wait(&g, LEAT_FOREVER); /* nothing is alive: it ends the group, cancelled
                                                    or not */
    return 0;
}

static int none_main(void *arg)
{
    leat_handle *h;
    int result = 1;

    (void)arg;
    if (leat_go_join(&h, owner_of_none, &result) != 0)
        return -1;
    leat_cancel(h);
    return leat_join(h, NULL, EACH_LONG) == 0 ? result : -2;
}

/* Goal: a group that nobody is left in ends, also for a cancelled owner. */
Test(group, a_cancelled_owner_ends_an_empty_group, .timeout = 20)
{
    cr_assert(eq(int, each_run(2, none_main, NULL), 0));
}

/* --- the end of the run --- */

static leat_group abandoned; /* outlives the main coroutine, unlike its stack */

static int abandon_main(void *arg)
{
    leat_group_open(&abandoned, 0);
    for (int i = 0; i < MEMBERS; i++)
        if (leat_group_go(&abandoned, sleep_cancelled, (atomic_int *)arg) != 0)
            return -1;
    leat_sleep(LEAT_MSEC);
    return 0;
}

/* Goal: the end of a run cancels members of groups that nobody waits for. */
Test(group, run_ends_with_members, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        atomic_int cancelled = 0;
        int64_t from = leat_now();

        cr_assert(eq(int, each_run(procs, abandon_main, &cancelled), 0));
        cr_assert(eq(int, cancelled, MEMBERS));
        cr_assert(lt(i64, leat_now() - from, EACH_GRACE_MS * LEAT_MSEC));
    }
}

/* --- a plain thread owns it --- */

struct owner {
    atomic_int ran, cancelled;
    int mistakes;
    leat_waitgroup done;
};

static int count_one(atomic_int *n)
{
    atomic_fetch_add(n, 1);
    return 0;
}

static int fail_at_once(void)
{
    return -EDOM;
}

static void *owner_thread(void *arg)
{
    struct owner *o = arg;
    leat_group g;

    leat_group_open(&g, 2); /* at the limit the thread sleeps */
    for (int i = 0; i < MEMBERS; i++)
        o->mistakes += leat_group_go(&g, count_one, &o->ran) != 0;
    o->mistakes += leat_group_wait(&g, EACH_LONG) != 0 || o->ran != MEMBERS;

    leat_group_open(&g, 0);
    o->mistakes += leat_group_go(&g, sleep_cancelled, &o->cancelled) != 0;
    o->mistakes += leat_group_wait(&g, leat_after(5 * LEAT_MSEC)) != -ETIMEDOUT;
    o->mistakes += leat_group_go(&g, fail_at_once) != 0;
    o->mistakes += leat_group_wait(&g, EACH_LONG) != -EDOM || o->cancelled != 1;

    leat_group_open(&g, 0);
    o->mistakes += leat_group_go(&g, sleep_cancelled, &o->cancelled) != 0;
    leat_wg_done(&o->done); /* the run ends meanwhile */
    o->mistakes += leat_group_close(&g) > 0 || o->cancelled != 2;
    return NULL;
}

struct start {
    struct owner *owner;
    pthread_t *thread;
};

static int start_owner(void *arg)
{
    struct start *s = arg;

    if (pthread_create(s->thread, NULL, owner_thread, s->owner))
        return -1;
    return leat_wg_wait(&s->owner->done, EACH_LONG);
}

/*
 * Goal: a plain thread opens a group, spawns into it, waits with and without a deadline, and the
 * end of the run ends its members.
 */
Test(group, owned_by_a_plain_thread, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct owner o = {0};
        pthread_t t;
        int r;

        leat_wg_add(&o.done, 1);
        r = each_run(procs, start_owner, &(struct start){&o, &t});
        pthread_join(t, NULL);
        cr_assert(eq(int, r, 0));
        cr_assert(eq(int, o.mistakes, 0));
    }
}

/* --- misuse --- */

static int closed_main(void *arg)
{
    leat_group g;

    (void)arg;
    leat_group_open(&g, 0);
    if (leat_group_wait(&g, LEAT_FOREVER) != 0)
        return 1;
    return leat_group_wait(&g, LEAT_FOREVER);
}

/* Goal: a group that is not open stops the program. */
Test(group, refuses_a_closed_one, .timeout = 20, .signal = SIGABRT)
{
    each_run(1, closed_main, NULL);
}

static int unopened_main(void *arg)
{
    leat_group g;
    int touched;

    (void)arg;
    memset(&g, 0, sizeof(g));
    return leat_group_go(&g, never_runs, &touched);
}

Test(group, refuses_one_that_was_never_open, .timeout = 20, .signal = SIGABRT)
{
    each_run(1, unopened_main, NULL);
}
