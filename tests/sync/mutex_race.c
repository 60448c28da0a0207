/*
 * Mutexes under races: coroutines and plain threads on one, deadlines and cancellation against the
 * unlock, and memory that goes with the last holder.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define COROUTINES 50
#define THREADS 3

struct counter {
    leat_mutex m;
    leat_waitgroup wg;
    long value; /* under m, no atomic: a mutex that lets two in loses some, and TSan says so */
    bool inside;
    long mistakes;
    long rounds;
};

static void count_once(struct counter *s, bool yield)
{
    leat_mutex_lock(&s->m);
    s->mistakes += s->inside;
    s->inside = true;
    s->value++;
    if (yield)
        leat_yield();
    s->inside = false;
    leat_mutex_unlock(&s->m);
}

static void count_many(struct counter *s)
{
    for (long i = 0; i < s->rounds; i++)
        count_once(s, i % 16 == 0);
    leat_wg_done(&s->wg);
}

static void *count_thread(void *arg)
{
    struct counter *s = arg;

    for (long i = 0; i < s->rounds; i++)
        count_once(s, i % 64 == 0);
    return NULL;
}

static int count_main(void *arg)
{
    struct counter *s = arg;

    leat_wg_add(&s->wg, COROUTINES);
    for (int i = 0; i < COROUTINES; i++)
        if (go(count_many, s) != 0)
            return -1;
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/* Goal: one at a time, coroutines and plain threads alike; also when the holder parks. */
Test(mutex_race, coroutines_and_threads, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct counter s = {.rounds = EACH_SANITIZED ? 50 : 500};
        pthread_t thread[THREADS];

        for (int i = 0; i < THREADS; i++)
            cr_assert(eq(int, pthread_create(&thread[i], NULL, count_thread, &s), 0));
        cr_expect(eq(int, each_run(procs, count_main, &s), 0));
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
        cr_assert(eq(long, s.value, (COROUTINES + THREADS) * s.rounds));
        cr_assert(eq(long, s.mistakes, 0));
        cr_assert(eq(int, leat_mutex_try(&s.m), 0));
    }
}

/* --- deadlines against the unlock --- */

struct hurry {
    leat_mutex m;
    leat_waitgroup wg;
    long locked, value; /* locked: under m */
    atomic_long timeouts, others;
    int64_t until_ns;
};

static void hurry_many(struct hurry *s, unsigned seed)
{
    struct each_rounds rounds = each_rounds(2000, LEAT_SEC);

    while (each_next(&rounds)) {
        int r;

        each_jitter(&seed);
        r = leat_mutex_lock_until(&s->m, leat_after((seed >> 16) % 20 * LEAT_USEC));
        if (r == 0) {
            s->locked++;
            each_jitter(&seed);
            if (seed & 1)
                leat_yield();
            leat_mutex_unlock(&s->m);
        } else {
            atomic_fetch_add(r == -ETIMEDOUT ? &s->timeouts : &s->others, 1);
        }
    }
    leat_wg_done(&s->wg);
}

static void *hurry_thread(void *arg)
{
    hurry_many(arg, 99);
    return NULL;
}

static int hurry_main(void *arg)
{
    struct hurry *s = arg;

    for (unsigned i = 0; i < 10; i++)
        if (go(hurry_many, s, i) != 0)
            return -1;
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/*
 * Goal: a wait that gives up as it is woken passes the mutex on: it is free at the end, and nobody
 * hangs.
 */
Test(mutex_race, deadline_and_unlock_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct hurry s = {0};
        pthread_t t;

        leat_wg_add(&s.wg, 11);
        cr_assert(eq(int, pthread_create(&t, NULL, hurry_thread, &s), 0));
        cr_expect(eq(int, each_run(procs, hurry_main, &s), 0));
        pthread_join(t, NULL);
        cr_assert(eq(long, s.others, 0));
        cr_assert(gt(long, s.locked, 0));
        cr_assert(eq(int, leat_mutex_try(&s.m), 0));
        leat_mutex_unlock(&s.m);
        for (size_t i = 0; i < sizeof(s.m.word_) / sizeof(s.m.word_[0]); i++)
            cr_assert(eq(u64, s.m.word_[i], 0));
    }
}

/* --- cancellation against the unlock --- */

static leat_result lock_or_not(leat_mutex *m)
{
    int r = leat_mutex_lock_until(m, LEAT_FOREVER);

    if (r == 0)
        leat_mutex_unlock(m);
    return r;
}

static int cancel_round(unsigned *seed)
{
    leat_mutex m = {0};
    leat_handle *h[3];
    leat_result r;

    leat_mutex_lock(&m);
    for (int i = 0; i < 3; i++)
        if (leat_go_join(&h[i], lock_or_not, &m) != 0)
            return -1;
    leat_yield();
    each_jitter(seed);
    if (*seed & 1) {
        leat_mutex_unlock(&m);
        leat_cancel(h[0]);
    } else {
        leat_cancel(h[0]);
        leat_mutex_unlock(&m);
    }
    for (int i = 0; i < 3; i++)
        if (leat_join(h[i], &r, EACH_LONG) != 0 || (r != 0 && (i > 0 || r != -ECANCELED)))
            return 1;
    return leat_mutex_try(&m) == 0 ? 0 : 2;
}

static int cancel_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 5;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = cancel_round(&seed);
    return r;
}

/* Goal: the lock is never lost, whoever of the waiters is cancelled as it is woken. */
Test(mutex_race, cancel_and_unlock_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

/* --- the last holder frees --- */

struct shared {
    leat_mutex m;
    int refs;
};

static void put(struct shared *s, leat_waitgroup *wg, unsigned seed)
{
    bool last;

    each_jitter(&seed);
    leat_mutex_lock(&s->m);
    if (seed & 1)
        leat_yield();
    last = --s->refs == 0;
    leat_mutex_unlock(&s->m);
    if (last) {
        memset(s, 0xa5, sizeof(*s)); /* an unlock that looks again falls over its own word */
        free(s);
    }
    leat_wg_done(wg);
}

static int put_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 11;

    (void)arg;
    while (each_next(&rounds)) {
        struct shared *s = calloc(1, sizeof(*s));
        leat_waitgroup wg = {0};

        s->refs = 3;
        leat_wg_add(&wg, 3);
        for (int i = 0; i < 3; i++) {
            each_jitter(&seed);
            if (go(put, s, &wg, seed) != 0)
                return -1;
        }
        if (leat_wg_wait(&wg, EACH_LONG) != 0)
            return -2;
    }
    return 0;
}

/* Goal: the memory of a mutex may go with the last who held it. */
Test(mutex_race, freed_by_the_last_holder, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, put_main, NULL), 0));
}
