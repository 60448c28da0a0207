/*
 * What a rwmutex promises, one thing at a time. Races: rwmutex_race.c.
 */
#include "support/test.h"
#include "support/waits.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>

/*
 * Goal: a zero one is free; a plain thread may use it before any run: many readers, or one writer.
 */
Test(rwmutex, zero_is_free, .timeout = 10)
{
    static leat_rwmutex rw;

    cr_assert(eq(int, leat_rwmutex_rtry(&rw), 0));
    leat_rwmutex_rlock(&rw);
    cr_assert(eq(int, leat_rwmutex_rlock_until(&rw, LEAT_AT_ONCE), 0));
    cr_assert(eq(int, leat_rwmutex_try(&rw), -EAGAIN));
    cr_assert(eq(int, leat_rwmutex_lock_until(&rw, LEAT_AT_ONCE), -ETIMEDOUT));
    for (int i = 0; i < 3; i++)
        leat_rwmutex_runlock(&rw);
    cr_assert(eq(int, leat_rwmutex_try(&rw), 0));
    cr_assert(eq(int, leat_rwmutex_try(&rw), -EAGAIN));
    cr_assert(eq(int, leat_rwmutex_rtry(&rw), -EAGAIN));
    cr_assert(eq(int, leat_rwmutex_rlock_until(&rw, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_rwmutex_unlock(&rw);
    leat_rwmutex_lock(&rw);
    leat_rwmutex_unlock(&rw);
    leat_rwmutex_rlock(&rw);
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_destroy(&rw);
}

/* Goal: a deadline is kept, never early, by plain threads too. */
Test(rwmutex, thread_times_out, .timeout = 20)
{
    leat_rwmutex rw = {0};
    int64_t from = leat_now();

    leat_rwmutex_lock(&rw);
    cr_assert(eq(int, leat_rwmutex_rlock_until(&rw, leat_after(10 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(eq(int, leat_rwmutex_lock_until(&rw, leat_after(10 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(ge(i64, leat_now() - from, 20 * LEAT_MSEC));
    leat_rwmutex_unlock(&rw);
    leat_rwmutex_rlock(&rw);
    cr_assert(eq(int, leat_rwmutex_lock_until(&rw, leat_after(10 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(eq(int, leat_rwmutex_rtry(&rw),
                 0)); /* the writer has given up: it shuts nobody out any more */
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_destroy(&rw);
}

/* --- coroutines --- */

static leat_result read_until(leat_rwmutex *rw, leat_deadline until)
{
    int r = leat_rwmutex_rlock_until(rw, until);

    if (r == 0)
        leat_rwmutex_runlock(rw);
    return r;
}

static leat_result write_until(leat_rwmutex *rw, leat_deadline until)
{
    int r = leat_rwmutex_lock_until(rw, until);

    if (r == 0)
        leat_rwmutex_unlock(rw);
    return r;
}

static int both_end(leat_rwmutex *rw, int64_t span_ns, int result)
{
    leat_handle *h[2];
    leat_result r[2];

    if (leat_go_join(&h[0], read_until, rw, leat_after(span_ns)) != 0)
        return 1;
    if (leat_go_join(&h[1], write_until, rw, leat_after(span_ns)) != 0)
        return 1;
    for (int i = 0; i < 2; i++)
        if (leat_join(h[i], &r[i], EACH_LONG) != 0)
            return 2;
    return r[0] == result && r[1] == result ? 0 : 3;
}

static int timeout_main(void *arg)
{
    leat_rwmutex rw = {0};
    int r;

    (void)arg;
    leat_rwmutex_lock(&rw);
    r = both_end(&rw, 10 * LEAT_MSEC, -ETIMEDOUT);
    leat_rwmutex_unlock(&rw);
    if (r == 0)
        r = both_end(&rw, 30 * LEAT_SEC, 0); /* one may be held up while it has the lock */
    leat_rwmutex_destroy(&rw);
    return r;
}

/* Goal: readers and writers give up at their deadlines, and leave nothing behind. */
Test(rwmutex, coroutines_time_out, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, timeout_main, NULL), 0));
}

/* Main reads; a writer waits; a reader comes behind it. Whoever is cancelled makes way. */
static int cancel_main(void *arg)
{
    leat_rwmutex rw = {0};
    leat_handle *writer, *reader;
    leat_result r = 0;
    uint64_t before = waits_begun();

    (void)arg;
    leat_rwmutex_rlock(&rw);
    if (leat_go_join(&writer, write_until, &rw, LEAT_FOREVER) != 0 || !waits_await(before + 1))
        return 1;
    if (leat_go_join(&reader, read_until, &rw, LEAT_FOREVER) != 0 || !waits_await(before + 2))
        return 2;
    if (leat_rwmutex_rtry(&rw) != -EAGAIN)
        return 3;
    leat_cancel(writer);
    if (leat_join(writer, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 4;
    if (leat_join(reader, &r, EACH_LONG) != 0 || r != 0)
        return 5;
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_lock(&rw);
    before = waits_begun();
    if (leat_go_join(&reader, read_until, &rw, LEAT_FOREVER) != 0 || !waits_await(before + 1))
        return 6;
    leat_cancel(reader);
    if (leat_join(reader, &r, EACH_LONG) != 0 || r != -ECANCELED)
        return 7;
    leat_rwmutex_unlock(&rw);
    leat_rwmutex_destroy(&rw);
    return 0;
}

/*
 * Goal: a cancelled writer wakes those that wait behind it; a cancelled reader is in no list any
 * more.
 */
Test(rwmutex, cancelled, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

static leat_result whatever_it_takes(leat_rwmutex *rw, int *value)
{
    leat_rwmutex_lock(rw);
    (*value)++;
    leat_rwmutex_unlock(rw);
    leat_rwmutex_rlock(rw);
    leat_rwmutex_runlock(rw);
    /* a free one is refused too, by the forms that can */
    return leat_cancelled() && leat_rwmutex_lock_until(rw, LEAT_FOREVER) == -ECANCELED &&
           leat_rwmutex_rlock_until(rw, LEAT_FOREVER) == -ECANCELED;
}

static int shielded_main(void *arg)
{
    leat_rwmutex rw = {0};
    leat_handle *h;
    leat_result r = 0;
    int value = 0;
    uint64_t before = waits_begun();

    (void)arg;
    leat_rwmutex_rlock(&rw);
    if (leat_go_join(&h, whatever_it_takes, &rw, &value) != 0 || !waits_await(before + 1))
        return 1;
    leat_cancel(h);
    leat_yield();
    if (value != 0)
        return 2;
    leat_rwmutex_runlock(&rw);
    return leat_join(h, &r, EACH_LONG) == 0 && r == 1 && value == 1 ? 0 : 3;
}

/* Goal: the plain forms cannot be cancelled, neither while they wait nor on entry. */
Test(rwmutex, plain_forms_are_shielded, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, shielded_main, NULL), 0));
}

/* --- order --- */

struct turns {
    leat_rwmutex rw;
    leat_waitgroup wg;
    char order[8];
    atomic_int n;
};

static void read_turn(struct turns *s)
{
    leat_rwmutex_rlock(&s->rw);
    s->order[atomic_fetch_add(&s->n, 1)] = 'r';
    leat_rwmutex_runlock(&s->rw);
    leat_wg_done(&s->wg);
}

static void write_turn(struct turns *s)
{
    leat_rwmutex_lock(&s->rw);
    s->order[atomic_fetch_add(&s->n, 1)] = 'w';
    leat_rwmutex_unlock(&s->rw);
    leat_wg_done(&s->wg);
}

static int turns_main(void *arg)
{
    struct turns *s = arg;
    uint64_t before = waits_begun(), waiting = 0;

    leat_wg_add(&s->wg, 5);
    leat_rwmutex_rlock(&s->rw);
    for (const char *c = "wrrwr"; *c; c++) {
        if ((*c == 'w' ? go(write_turn, s) : go(read_turn, s)) != 0)
            return 1;
        if (!waits_await(before + ++waiting))
            return 2;
    }
    if (leat_sleep(2 * LEAT_MSEC) != 0)
        return 3;
    leat_rwmutex_runlock(&s->rw);
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/*
 * Goal: who waits to write shuts out later readers; the end of its write lets all in that have
 * waited for 1 ms by then, before the next one writes.
 */
Test(rwmutex, turns, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct turns s = {0};

        cr_assert(eq(int, each_run(procs, turns_main, &s), 0));
        cr_assert(eq(str, s.order, "wrrrw"));
    }
}

static int overtake_main(void *arg)
{
    struct turns *s = arg;

    for (int i = 0; i < 1000; i++) {
        uint64_t before = waits_begun();
        bool overtaken;

        leat_wg_add(&s->wg, 1);
        s->n = 0;
        leat_rwmutex_lock(&s->rw);
        if (go(read_turn, s) != 0)
            return -1;
        if (!waits_await(before + 1))
            return -2;
        leat_rwmutex_unlock(&s->rw);
        overtaken = leat_rwmutex_try(&s->rw) == 0;
        if (overtaken)
            leat_rwmutex_unlock(&s->rw);
        if (leat_wg_wait(&s->wg, EACH_LONG) != 0)
            return -3;
        if (overtaken)
            return 1;
    }
    return 0;
}

/*
 * Goal: a reader that has only just come to wait does not hold the lock before it runs: the next
 * writer need not wait for a run queue full of them. (Unless it was a millisecond until the unlock,
 * each time.)
 */
Test(rwmutex, a_fresh_reader_in_a_run_queue_is_not_in_yet, .timeout = 60)
{
    struct turns s = {0};

    cr_assert(eq(int, each_run(1, overtake_main, &s), 1));
}

/* --- coroutines that move, and more workers than slots --- */

#define MOVERS 40

struct moves {
    leat_rwmutex rw;
    leat_waitgroup wg;
    atomic_int inside, most, mistakes;
};

static void move(struct moves *s)
{
    int n;

    leat_rwmutex_rlock(&s->rw);
    n = atomic_fetch_add(&s->inside, 1) + 1;
    for (int most = s->most; n > most && !atomic_compare_exchange_weak(&s->most, &most, n);)
        ;
    for (int i = 0; i < 10; i++)
        leat_yield();
    atomic_fetch_sub(&s->inside, 1);
    leat_rwmutex_runlock(&s->rw);
    leat_rwmutex_lock(&s->rw);
    s->mistakes += s->inside != 0;
    leat_rwmutex_unlock(&s->rw);
    leat_wg_done(&s->wg);
}

static int moves_main(void *arg)
{
    struct moves *s = arg;
    int r;

    leat_wg_add(&s->wg, MOVERS);
    for (int i = 0; i < MOVERS; i++)
        if (go(move, s) != 0)
            return -1;
    r = leat_wg_wait(&s->wg, EACH_LONG);
    leat_rwmutex_destroy(&s->rw);
    return r;
}

/*
 * Goal: readers that come back on another worker are counted right; with a few processors, and with
 * more than there are slots of one's own.
 */
Test(rwmutex, readers_move, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 16; procs *= 4) {
        struct moves s = {0};

        cr_assert(eq(int, each_run(procs, moves_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
        if (procs == 1)
            cr_expect(gt(int, s.most, 1));
    }
}

/* --- over runs and threads --- */

static int rlock_main(void *arg)
{
    leat_rwmutex_rlock(arg);
    return leat_rwmutex_try(arg) == -EAGAIN ? 0 : 1;
}

static int runlock_main(void *arg)
{
    leat_rwmutex_runlock(arg);
    return leat_rwmutex_try(arg);
}

/*
 * Goal: it belongs to no run: what one run has locked another one, of another size, gives back, or
 * a plain thread.
 */
Test(rwmutex, belongs_to_no_run, .timeout = 20)
{
    static leat_rwmutex rw;

    cr_assert(eq(int, each_run(2, rlock_main, &rw), 0));
    cr_assert(eq(int, each_run(1, runlock_main, &rw), 0));
    leat_rwmutex_unlock(&rw);
    cr_assert(eq(int, each_run(1, rlock_main, &rw), 0));
    cr_assert(eq(int, each_run(16, runlock_main, &rw), 0));
    leat_rwmutex_unlock(&rw);
    cr_assert(eq(int, each_run(16, rlock_main, &rw), 0));
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_destroy(&rw);
}
