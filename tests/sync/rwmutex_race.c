/*
 * A rwmutex under races: readers and writers, coroutines and plain threads, deadlines and
 * cancellation against the unlock.
 */
#include "support/test.h"

#include "base/os.h"
#include "sync/each.h"
#include "sync/rwmutex.h"

#include <errno.h>
#include <pthread.h>

#define COROUTINES 16
#define THREADS 2
#define STRAYS 6

struct pair {
    leat_rwmutex rw;
    leat_waitgroup wg;
    long a, b; /* under rw, no atomics: always the same */
    atomic_long mistakes, written, gave_up;
    long rounds;
    unsigned write_every;
    bool impatient;
};

static void read_once(struct pair *s, bool yields)
{
    long a = s->a;

    if (yields)
        leat_yield();
    s->mistakes += a != s->b || a != s->a;
    leat_rwmutex_runlock(&s->rw);
}

static void write_once(struct pair *s, bool yields)
{
    s->a++;
    if (yields)
        leat_yield();
    s->b++;
    s->written++;
    leat_rwmutex_unlock(&s->rw);
}

static void use_once(struct pair *s, unsigned seed)
{
    bool writes = (seed >> 8) % s->write_every == 0, yields = (seed >> 20) % 8 == 0;
    leat_deadline until = s->impatient ? leat_after((seed >> 12) % 30 * LEAT_USEC) : LEAT_FOREVER;
    unsigned how = (seed >> 24) % 8;
    int r = 0;

    if (how == 0)
        r = writes ? leat_rwmutex_try(&s->rw) : leat_rwmutex_rtry(&s->rw);
    else if (how < 4)
        r = writes ? leat_rwmutex_lock_until(&s->rw, until)
                   : leat_rwmutex_rlock_until(&s->rw, until);
    else if (writes)
        leat_rwmutex_lock(&s->rw);
    else
        leat_rwmutex_rlock(&s->rw);
    if (r != 0) {
        s->gave_up++;
        s->mistakes += r != (how == 0 ? -EAGAIN : -ETIMEDOUT);
    } else if (writes) {
        write_once(s, yields);
    } else {
        read_once(s, yields);
    }
}

static void use_many(struct pair *s, unsigned seed)
{
    struct each_rounds rounds = each_rounds(s->rounds, LEAT_SEC / 3);

    while (each_next(&rounds)) {
        each_jitter(&seed);
        use_once(s, seed);
    }
    leat_wg_done(&s->wg);
}

static void *use_thread(void *arg)
{
    use_many(arg, 77);
    return NULL;
}

static int use_main(void *arg)
{
    struct pair *s = arg;

    for (unsigned i = 0; i < COROUTINES; i++)
        if (go(use_many, s, i) != 0)
            return -1;
    return leat_wg_wait(&s->wg, EACH_LONG);
}

static void race(struct pair *s, unsigned procs)
{
    pthread_t thread[THREADS];

    leat_wg_add(&s->wg, COROUTINES + THREADS);
    for (int i = 0; i < THREADS; i++)
        cr_assert(eq(int, pthread_create(&thread[i], NULL, use_thread, s), 0));
    cr_expect(eq(int, each_run(procs, use_main, s), 0));
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    cr_assert(eq(long, s->mistakes, 0));
    cr_assert(eq(long, s->a, s->written));
    leat_rwmutex_destroy(&s->rw);
    cr_assert(eq(int, leat_rwmutex_try(&s->rw), 0));
    leat_rwmutex_unlock(&s->rw);
}

/*
 * Goal: nobody beside a writer; readers see all of a write or nothing. RW-READ, RW-LEAVE and
 * RW-WRITE without bias: there are too many writers.
 */
Test(rwmutex_race, readers_and_writers, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct pair s = {.rounds = 5000, .write_every = 4};

        race(&s, procs);
    }
}

/* Goal: the same where readers pass no fence most of the time, and a writer makes up for it. */
Test(rwmutex_race, mostly_readers, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct pair s = {.rounds = 50000, .write_every = 2000};

        race(&s, procs);
    }
}

/*
 * Each writer pretends that many before it have found the readers gone by a look, so that who
 * leaves passes no fence. One reader in 100 parks inside, so that a writer parks for it.
 */
static void use_quickly(struct pair *s, unsigned seed)
{
    struct each_rounds rounds = each_rounds(s->rounds, LEAT_SEC / 3);

    while (each_next(&rounds)) {
        each_jitter(&seed);
        if ((seed >> 8) % s->write_every == 0) {
            leat_rwmutex_lock(&s->rw);
            /* relaxed: as the lock itself does it */
            lea_word_store_rlx(&lea_rw_inner(&s->rw)->quick, LEA_RW_QUICK_WRITES);
            write_once(s, false);
        } else {
            leat_rwmutex_rlock(&s->rw);
            read_once(s, (seed >> 12) % 100 == 0);
        }
    }
    leat_wg_done(&s->wg);
}

static int quick_main(void *arg)
{
    struct pair *s = arg;

    leat_wg_add(&s->wg, COROUTINES);
    for (unsigned i = 0; i < COROUTINES; i++)
        if (go(use_quickly, s, i) != 0)
            return -1;
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/*
 * Goal: the same where who leaves passes no fence (RW-QUICK), and each writer that parks is woken.
 */
Test(rwmutex_race, a_write_now_and_then, .timeout = 60)
{
    if (lea_os_membarrier_register() < 0 || lea_os_membarrier() < 0)
        cr_skip("there is no membarrier here, and all who leave pass a fence");
    for (EACH_PROCS(procs)) {
        struct pair s = {.rounds = 50000, .write_every = 20};

        cr_expect(eq(int, each_run(procs, quick_main, &s), 0));
        cr_assert(eq(long, s.mistakes, 0));
        cr_assert(eq(long, s.a, s.written));
        leat_rwmutex_destroy(&s.rw);
    }
}

/* Goal: the same with more workers than have slots of their own. */
Test(rwmutex_race, many_processors, .timeout = 60)
{
    struct pair s = {.rounds = 3000, .write_every = 16};

    race(&s, 16);
}

/*
 * So many readings, or writings, in a row. Readers make no other call: the processor is taken from
 * them in the middle.
 */
static void stray_many(struct pair *s, unsigned seed)
{
    struct each_rounds rounds = each_rounds(s->rounds, LEAT_SEC);
    bool writes = seed & 1;

    while (each_next(&rounds)) {
        for (unsigned n = (seed >> 12) % 2048; n > 0; n--) {
            long a;

            if (writes) {
                leat_rwmutex_lock(&s->rw);
                s->a++;
                each_jitter(&seed);
                s->b++;
                s->written++;
                leat_rwmutex_unlock(&s->rw);
                continue;
            }
            if (leat_rwmutex_rtry(&s->rw) != 0) /* a wait would end its being there without */
                continue;
            a = s->a;
            each_jitter(&seed);
            s->mistakes += a != s->b || a != s->a;
            leat_rwmutex_runlock(&s->rw);
        }
        each_jitter(&seed);
    }
    leat_wg_done(&s->wg);
}

static int stray_main(void *arg)
{
    struct pair *s = arg;

    leat_wg_add(&s->wg, STRAYS);
    for (unsigned i = 0; i < STRAYS; i++)
        if (go(stray_many, s, i) != 0)
            return -1;
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/*
 * Goal: a writer that has the one processor sees readers that were let in beside it, by workers
 * from whom it was taken.
 */
Test(rwmutex_race, astray, .timeout = 120)
{
    leat_config config = {.procs = 1, .retake_us = 200, .shutdown_grace_ms = EACH_GRACE_MS};
    struct pair s = {.rounds = 2000};

    cr_assert(eq(int, leat_run_with(&config, stray_main, &s), 0));
    cr_assert(eq(long, s.mistakes, 0));
    cr_assert(eq(long, s.a, s.written));
    leat_rwmutex_destroy(&s.rw);
}

/* Goal: who gives up as it is let in has it or has it not: nobody is shut out at the end. */
Test(rwmutex_race, deadline_and_unlock_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct pair s = {.rounds = 5000, .write_every = 3, .impatient = true};

        race(&s, procs);
    }
}

/* --- cancellation --- */

static leat_result read_or_not(leat_rwmutex *rw)
{
    int r = leat_rwmutex_rlock_until(rw, LEAT_FOREVER);

    if (r == 0)
        leat_rwmutex_runlock(rw);
    return r;
}

static leat_result write_or_not(leat_rwmutex *rw)
{
    int r = leat_rwmutex_lock_until(rw, LEAT_FOREVER);

    if (r == 0)
        leat_rwmutex_unlock(rw);
    return r;
}

/*
 * Main has it, one way or the other; two wait to write, one to read; one of them is cancelled as
 * main lets go.
 */
static int cancel_round(unsigned *seed)
{
    leat_rwmutex rw = {0};
    leat_handle *h[3];
    leat_result r;
    bool writes = *seed & 0x10000;
    unsigned victim = (*seed >> 20) % 3;

    if (writes)
        leat_rwmutex_lock(&rw);
    else
        leat_rwmutex_rlock(&rw);
    for (unsigned i = 0; i < 3; i++)
        if ((i == 1 ? leat_go_join(&h[i], read_or_not, &rw)
                    : leat_go_join(&h[i], write_or_not, &rw)) != 0)
            return -1;
    leat_yield();
    each_jitter(seed);
    if (*seed & 0x20000)
        leat_cancel(h[victim]);
    if (writes)
        leat_rwmutex_unlock(&rw);
    else
        leat_rwmutex_runlock(&rw);
    if (!(*seed & 0x20000))
        leat_cancel(h[victim]);
    for (unsigned i = 0; i < 3; i++)
        if (leat_join(h[i], &r, EACH_LONG) != 0 || (r != 0 && (i != victim || r != -ECANCELED)))
            return 1;
    leat_rwmutex_destroy(&rw);
    return leat_rwmutex_try(&rw) == 0 ? 0 : 2;
}

static int cancel_main(void *arg)
{
    struct each_rounds rounds = each_rounds(5000, LEAT_SEC / 3);
    unsigned seed = 5;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = cancel_round(&seed);
    return r;
}

/* Goal: the lock is never lost, whoever of the waiters is cancelled as it is let in. */
Test(rwmutex_race, cancel_and_unlock_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}
