/*
 * Values of coroutines and of processors.
 */
#include "support/test.h"

#include "support/waits.h"
#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static atomic_int destroyed;

static void count(void *value)
{
    atomic_fetch_add(&destroyed, *(int *)value);
    free(value);
}

static int *number(int n)
{
    int *p = malloc(sizeof(*p));

    if (p)
        *p = n;
    return p;
}

static const leat_local keys[40] = {{count}, {count}, {count}, {count},
                                    {count}, {count}, {count}, {count}};
static leat_proc_local slot_key = {count};

static int uses(int n, bool exits)
{
    int bad = 0;

    for (int i = 0; i < 40; i++) {
        bad += leat_local_get(&keys[i]) != NULL;
        bad += leat_local_set(&keys[i], i < 8 ? (void *)number(n) : (void *)&keys[i]) != 0;
        if (i % 7 == 0)
            leat_yield();
    }
    for (int i = 0; i < 40; i++)
        bad += i < 8 ? *(int *)leat_local_get(&keys[i]) != n : leat_local_get(&keys[i]) != &keys[i];
    free(leat_local_get(&keys[3]));
    bad += leat_local_set(&keys[3], NULL) != 0 || leat_local_get(&keys[3]) != NULL;
    if (exits)
        leat_exit_self(bad);
    return bad;
}

static int uses_main(void *arg)
{
    leat_group g;

    (void)arg;
    leat_group_open(&g, 0);
    for (int i = 0; i < 100; i++)
        if (leat_group_go(&g, uses, i, i % 2 != 0) != 0)
            return -1;
    return leat_group_wait(&g, EACH_LONG);
}

/*
 * Goal: each coroutine has its own, and all are destroyed once, at its end by return and by exit.
 */
Test(locals, of_coroutines, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        destroyed = 0;
        cr_assert(eq(int, each_run(procs, uses_main, NULL), 0));
        cr_assert(eq(int, destroyed, 7 * 99 * 50));
    }
}

static const leat_local chain_keys[2];
static atomic_int chained;

static void chain(void *value)
{
    /* waits, and sets another one */
    if (leat_sleep(10 * LEAT_USEC) == 0 && atomic_fetch_add(&chained, 1) < 5)
        (void)!leat_local_set(&chain_keys[0], value);
}

static const leat_local chain_keys[2] = {{chain}, {NULL}};

static void chains(void)
{
    (void)!leat_local_set(&chain_keys[0], &chained);
}

static int chain_main(void *arg)
{
    leat_handle *h;

    (void)arg;
    if (leat_go_join(&h, chains) != 0)
        return -1;
    leat_cancel(h);
    return leat_join(h, NULL, EACH_LONG);
}

/* Goal: destructors may wait, shielded, and set values, which are destroyed too. */
Test(locals, destructors_set_values, .timeout = 20)
{
    chained = 0;
    cr_assert(eq(int, each_run(2, chain_main, NULL), 0));
    cr_assert(eq(int, chained, 6));
}

static leat_mutex held;

static void left_over(void)
{
    (void)!leat_local_set(&keys[0], number(5));
    leat_mutex_lock(&held);
}

static int left_main(void *arg)
{
    uint64_t before;

    (void)arg;
    leat_mutex_lock(&held);
    before = waits_begun();
    return go(left_over) == 0 && waits_await(before + 1) ? 0 : -1;
}

/* Goal: values of one that is left over are destroyed at the end of the run. */
Test(locals, of_one_that_is_left_over, .timeout = 20)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20};

    destroyed = 0;
    held = (leat_mutex){{0}};
    cr_assert(eq(int, leat_run_with(&config, left_main, NULL), 0));
    cr_assert(eq(int, destroyed, 5));
}

static int taker(atomic_int *made)
{
    for (int i = 0; i < 200; i++) {
        int *p = leat_proc_take(&slot_key);

        if (!p) {
            p = number(1);
            atomic_fetch_add(made, 1);
        }
        *p += 1; /* nobody else has it */
        if (i % 5 == 0)
            leat_yield();
        *p -= 1;
        p = leat_proc_give(&slot_key, p);
        if (p)
            count(p);
        if (leat_proc_index() > leat_nr_procs())
            return -1;
    }
    return 0;
}

static void *taker_thread(void *made)
{
    return (void *)(intptr_t)taker(made);
}

static int taker_main(void *arg)
{
    pthread_t t;
    leat_group g;
    void *r = NULL;
    int bad;

    leat_group_open(&g, 0);
    if (pthread_create(&t, NULL, taker_thread, arg) != 0)
        return -1;
    for (int i = 0; i < 20; i++)
        if (leat_group_go(&g, taker, (atomic_int *)arg) != 0)
            return -2;
    bad = leat_group_wait(&g, EACH_LONG);
    pthread_join(t, &r);
    return bad + (r != NULL);
}

/* Goal: what was taken from a slot is the taker's alone; what is in one at the end is destroyed. */
Test(locals, of_processors, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        atomic_int made = 0;

        destroyed = 0;
        cr_assert(eq(int, each_run(procs, taker_main, &made), 0));
        cr_assert(gt(int, made, 0));
        cr_assert(eq(int, destroyed, made));
    }
}

/* Goal: without a run, and on a plain thread, there are no values. */
Test(locals, plain_threads, .timeout = 5)
{
    int n = 0;

    cr_assert(eq(ptr, leat_local_get(&keys[0]), NULL));
    cr_assert(eq(int, leat_local_set(&keys[0], &n), -EPERM));
    cr_assert(eq(int, leat_local_set(NULL, &n), -EINVAL));
    cr_assert(eq(ptr, leat_proc_take(&slot_key), NULL));
    cr_assert(eq(ptr, leat_proc_give(&slot_key, &n), &n));
    cr_assert(eq(uint, leat_proc_index(), 0));
}
