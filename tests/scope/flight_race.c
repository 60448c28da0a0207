/*
 * Single-flight under races: callers with and without deadlines, cancelled ones, plain threads;
 * keys that begin as they end.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define KEYS 3
#define CALLERS 12
#define PATTERN 0xa5

struct key {
    atomic_int inside, number; /* executions: under way, begun */
};

struct race {
    leat_flight f;
    struct key key[KEYS];
    leat_waitgroup wg;
    atomic_int mistakes;
    atomic_long served, given_up;
    struct each_rounds rounds;
};

static leat_result execute(struct race *r, int k, unsigned seed)
{
    struct key *key = &r->key[k];
    int number = atomic_fetch_add(&key->number, 1) + 1;

    if (atomic_fetch_add(&key->inside, 1) != 0)
        atomic_fetch_add(&r->mistakes, 1);
    if (seed & 1024)
        leat_yield();
    if ((seed & 0x1800) == 0)
        (void)leat_sleep(20 * LEAT_USEC);
    each_jitter(&seed);
    atomic_fetch_sub(&key->inside, 1);
    return number;
}

static void call_once(struct race *r, unsigned *seed)
{
    int k = (int)(*seed >> 16) % KEYS, before = atomic_load(&r->key[k].number), err;
    bool hurries = (*seed & 0x30000) == 0;
    leat_result got = -1;

    each_jitter(seed);
    err = leat_flight_do(&r->f, &k, sizeof(k), &got,
                         hurries ? leat_after((*seed >> 28) * LEAT_USEC) : EACH_LONG, execute, r, k,
                         *seed);
    if (err == 0) {
        /*
         * that execution had not ended when we came: it is the last one of those that had begun, or
         * a later one
         */
        if (got < before || got < 1 || got > atomic_load(&r->key[k].number))
            atomic_fetch_add(&r->mistakes, 1);
        atomic_fetch_add(&r->served, 1);
    } else {
        if (err != -ECANCELED && !(hurries && err == -ETIMEDOUT))
            atomic_fetch_add(&r->mistakes, 1);
        atomic_fetch_add(&r->given_up, 1);
    }
}

static void call_often(struct race *r, unsigned seed)
{
    struct each_rounds rounds = r->rounds;

    while (each_next(&rounds) && !leat_cancelled())
        call_once(r, &seed);
    leat_wg_done(&r->wg);
}

static void *call_thread(void *arg)
{
    call_often(arg, 77);
    return NULL;
}

static int race_main(void *arg)
{
    struct race *r = arg;
    leat_handle *h[CALLERS];
    pthread_t thread;
    int err = 0;

    r->rounds = each_rounds(4000, LEAT_SEC / 2);
    leat_wg_add(&r->wg, CALLERS + 1);
    pthread_create(&thread, NULL, call_thread, r);
    for (unsigned i = 0; i < CALLERS; i++)
        if (leat_go_join(&h[i], call_often, r, 1000 * i + 1) != 0)
            return -1;
    leat_sleep(20 * LEAT_MSEC);
    for (int i = 0; i < 3; i++)
        leat_cancel(h[i]);
    if (leat_wg_wait(&r->wg, EACH_LONG) != 0)
        return -2;
    for (int i = 0; i < CALLERS; i++)
        if (leat_join(h[i], NULL, EACH_LONG) != 0)
            err = -3;
    pthread_join(thread, NULL);
    if (leat_flight_wait(&r->f, EACH_LONG) != 0)
        err = -4;
    memset(&r->f, PATTERN, sizeof(r->f)); /* nobody is left who would look */
    leat_sleep(LEAT_MSEC);
    for (size_t i = 0; i < sizeof(r->f); i++)
        if (((unsigned char *)&r->f)[i] != PATTERN)
            return -5;
    return err;
}

/*
 * Goal: one execution of a key at a time, each caller gets one that it came in time for, and
 * nothing is left behind.
 */
Test(flight_race, one_at_a_time, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        static struct race r;

        memset(&r, 0, sizeof(r));
        cr_assert(eq(int, each_run(procs, race_main, &r), 0));
        cr_assert(eq(int, r.mistakes, 0));
        cr_assert(gt(long, r.served, 0));
    }
}
