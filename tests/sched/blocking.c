/*
 * Calls that hang, on threads of the pool: nobody else waits for them, and nothing of them is left.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MANY 200

struct world {
    atomic_ulong begun, ended, ticks, failed;
    atomic_bool release, stop;
    int order[64];
    atomic_ulong nr_order;
    int results[8];
    leat_run_stats stats;
    long tid;
    bool cancelled;
    leat_result result;
};

static leat_result hang_until_released(void *arg)
{
    struct world *w = arg;
    struct timespec nap = {0, 1000000};

    atomic_fetch_add(&w->begun, 1);
    while (!atomic_load(&w->release))
        nanosleep(&nap, NULL);
    atomic_fetch_add(&w->ended, 1);
    return 7;
}

static void call_hanging(struct world *w)
{
    leat_result r = 0;

    if (leat_blocking(hang_until_released, w, &r, LEAT_FOREVER) != 0 || r != 7)
        atomic_fetch_add(&w->failed, 1);
}

static void tick(struct world *w)
{
    while (!atomic_load(&w->stop) && leat_sleep(LEAT_MSEC) == 0)
        atomic_fetch_add(&w->ticks, 1);
}

static int hang_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < 8; i++)
        if (go(call_hanging, w) < 0)
            return 1;
    if (go(tick, w) < 0)
        return 1;
    if (!kit_reach(&w->begun, 8, KIT_LONG) || !kit_reach(&w->ticks, 5, KIT_LONG))
        return 2;
    (void)leat_stats_run(&w->stats);
    atomic_store(&w->release, true);
    if (!kit_reach(&w->ended, 8, KIT_LONG))
        return 3;
    atomic_store(&w->stop, true);
    return 0;
}

/*
 * Goal: eight calls hang at once, on threads of their own, and the others have their turns
 * meanwhile.
 */
Test(blocking, others_go_on, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct world w = {0};

        cr_assert(eq(int, kit_run(kit_procs[p], hang_main, &w), 0));
        cr_expect(eq(u64, atomic_load(&w.failed), 0));
        cr_expect(eq(u64, w.stats.blocking_threads, 8));
        cr_expect(eq(u64, w.stats.blocking_queued, 0));
    }
}

static leat_result note_order(void *arg)
{
    int *slot = arg;

    return *slot;
}

struct ordered {
    struct world *w;
    int number;
};

static leat_result take_number(void *arg)
{
    struct ordered *o = arg;

    o->w->order[atomic_fetch_add(&o->w->nr_order, 1)] = o->number;
    return o->number;
}

static void call_ordered(struct world *w, int number)
{
    struct ordered o = {w, number};
    leat_result r = -1;

    if (leat_blocking(take_number, &o, &r, LEAT_FOREVER) != 0 || r != number)
        atomic_fetch_add(&w->failed, 1);
    atomic_fetch_add(&w->ended, 1);
}

static void await_queued(unsigned n)
{
    leat_run_stats stats;
    int64_t until = leat_now() + KIT_LONG;

    do
        (void)leat_sleep(LEAT_MSEC);
    while (leat_stats_run(&stats) == 0 && stats.blocking_queued != n && leat_now() < until);
}

static long call_with_deadline(struct world *w, int64_t span)
{
    return leat_blocking(hang_until_released, w, NULL, leat_after(span));
}

static int queue_main(void *arg)
{
    struct world *w = arg;
    leat_handle *late, *cancelled;
    leat_result r;

    if (go(call_hanging, w) < 0 || !kit_reach(&w->begun, 1, KIT_LONG))
        return 1;
    for (int i = 0; i < 16; i++) { /* one after the other, so that there is an order */
        if (go(call_ordered, w, i) < 0)
            return 2;
        await_queued((unsigned)i + 1);
    }
    /* taken back while they are queued */
    if (leat_go_join(&late, call_with_deadline, w, 5 * LEAT_MSEC) < 0 ||
        leat_go_join(&cancelled, call_with_deadline, w, KIT_LONG) < 0)
        return 3;
    if (leat_join(late, &r, LEAT_FOREVER) < 0)
        return 4;
    w->results[0] = (int)r;
    await_queued(17);
    leat_cancel(cancelled);
    if (leat_join(cancelled, &r, LEAT_FOREVER) < 0)
        return 5;
    w->results[1] = (int)r;
    w->results[2] = leat_blocking(hang_until_released, w, NULL, LEAT_AT_ONCE);
    (void)leat_stats_run(&w->stats);
    atomic_store(&w->release, true);
    if (!kit_reach(&w->ended, 17, KIT_LONG))
        return 6;
    return 0;
}

/*
 * Goal: with one thread jobs wait, visibly, in their order; deadline and cancellation take them
 * out, and they do not run.
 */
Test(blocking, queue_of_one_thread, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        leat_config config = {
            .procs = kit_procs[p], .blocking_threads = 1, .shutdown_grace_ms = 20000};
        struct world w = {0};

        cr_assert(eq(int, leat_run_with(&config, queue_main, &w), 0));
        cr_expect(eq(int, w.results[0], -ETIMEDOUT));
        cr_expect(eq(int, w.results[1], -ECANCELED));
        cr_expect(eq(int, w.results[2], -ETIMEDOUT));
        cr_expect(eq(u64, w.stats.blocking_threads, 1));
        cr_expect(eq(u64, w.stats.blocking_queued, 16));
        cr_expect(
            eq(u64, atomic_load(&w.begun), 1)); /* the two that were taken back have not run */
        cr_expect(eq(u64, atomic_load(&w.failed), 0));
        for (int i = 0; i < 16; i++)
            cr_expect(eq(int, w.order[i], i));
    }
}

static leat_result run_until_cancelled(void *arg)
{
    struct world *w = arg;
    struct timespec nap = {0, 1000000};

    atomic_fetch_add(&w->begun, 1);
    while (!leat_cancelled())
        nanosleep(&nap, NULL);
    w->cancelled = true;
    return 9;
}

static long call_until_cancelled(struct world *w, int64_t span)
{
    leat_result r = 0;
    int err = leat_blocking(run_until_cancelled, w, &r, leat_after(span));

    return err < 0 ? err : (long)r;
}

static int begun_main(void *arg)
{
    struct world *w = arg;
    leat_handle *h;
    leat_result r = 0;

    if (leat_go_join(&h, call_until_cancelled, w, KIT_LONG) < 0 ||
        !kit_reach(&w->begun, 1, KIT_LONG))
        return 1;
    leat_cancel(h);
    if (leat_join(h, &r, LEAT_FOREVER) < 0)
        return 2;
    w->results[0] = (int)r;
    w->results[1] = w->cancelled;
    w->cancelled = false;
    if (leat_go_join(&h, call_until_cancelled, w, 50 * LEAT_MSEC) < 0 ||
        leat_join(h, &r, LEAT_FOREVER) < 0)
        return 3;
    /* a thread that comes late begins nothing */
    w->results[2] = (int)r == 9 ? w->cancelled : r == -ETIMEDOUT;
    return 0;
}

/*
 * Goal: a job that has begun is waited for; it learns that it was cancelled, or that the time is
 * over.
 */
Test(blocking, begun_is_waited_for, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct world w = {0};

        cr_assert(eq(int, kit_run(kit_procs[p], begun_main, &w), 0));
        cr_expect(eq(int, w.results[0], 9));
        cr_expect(eq(int, w.results[1], 1));
        cr_expect(eq(int, w.results[2], 1));
    }
}

static leat_result inside(void *arg)
{
    struct world *w = arg;
    char b;

    w->tid = syscall(SYS_gettid);
    w->results[0] = (int)leat_read(0, &b, 1, LEAT_FOREVER);
    w->results[1] = go(call_ordered, w, 3);
    w->results[2] = (int)leat_self_id();
    return leat_sleep(LEAT_MSEC);
}

static int inside_main(void *arg)
{
    struct world *w = arg;

    w->results[3] = leat_blocking(inside, w, &w->result, LEAT_FOREVER);
    w->results[4] = leat_blocking(NULL, w, NULL, LEAT_FOREVER);
    w->results[5] = w->tid != syscall(SYS_gettid);
    return kit_reach(&w->ended, 1, KIT_LONG) ? 0 : 1;
}

/*
 * Goal: a job is on a plain thread: it cannot park, and can spawn, which may come back to the pool.
 */
Test(blocking, inside_a_job, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct world w = {.result = -1};

        cr_assert(eq(int, kit_run(kit_procs[p], inside_main, &w), 0));
        cr_expect(eq(int, w.results[0], -EPERM));
        cr_expect(eq(int, w.results[1], 0));
        cr_expect(eq(int, w.results[2], 0));
        cr_expect(eq(int, w.results[3], 0));
        cr_expect(eq(int, w.results[4], -EINVAL));
        cr_expect(eq(int, w.results[5], 1));
        cr_expect(eq(i64, w.result, 0));
    }
}

/* Goal: a plain thread, with or without a run, runs the function itself. */
Test(blocking, plain_thread, .timeout = 60)
{
    int number = 5;
    leat_result r = 0;

    cr_expect(eq(int, leat_blocking(note_order, &number, &r, LEAT_AT_ONCE), 0));
    cr_expect(eq(i64, r, 5));
}

static leat_result add_one(void *arg)
{
    atomic_fetch_add((atomic_ulong *)arg, 1);
    return 1;
}

static void call_often(struct world *w, int times)
{
    for (int i = 0; i < times; i++) {
        leat_result r = 0;

        if (leat_blocking(add_one, &w->begun, &r, LEAT_FOREVER) != 0 || r != 1)
            atomic_fetch_add(&w->failed, 1);
    }
    atomic_fetch_add(&w->ended, 1);
}

static int storm_main(void *arg)
{
    struct world *w = arg;
    unsigned n = KIT_SANITIZED || KIT_VALGRIND ? 20 : MANY;

    for (unsigned i = 0; i < n; i++)
        if (go(call_often, w, 50) < 0)
            return 1;
    if (!kit_reach(&w->ended, n, 2 * KIT_LONG))
        return 2;
    (void)leat_stats_run(&w->stats);
    return atomic_load(&w->begun) == n * 50 ? 0 : 3;
}

/*
 * Goal: many calls from many coroutines on few threads: each runs once, and the pool stays within
 * its bound.
 */
Test(blocking, storm, .timeout = 120)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        leat_config config = {
            .procs = kit_procs[p], .blocking_threads = 3, .shutdown_grace_ms = 20000};
        struct world w = {0};
        struct kit_census before = kit_census_take();

        cr_assert(eq(int, leat_run_with(&config, storm_main, &w), 0));
        cr_expect(eq(u64, atomic_load(&w.failed), 0));
        cr_expect(le(u64, w.stats.blocking_threads, 3));
        cr_expect(eq(long, kit_census_settled(before.tasks).tasks, before.tasks));
    }
}

static leat_result end_the_thread(void *arg)
{
    atomic_fetch_add((atomic_ulong *)arg, 1);
    pthread_exit(NULL);
}

static long call_ending(struct world *w)
{
    return leat_blocking(end_the_thread, &w->begun, NULL, LEAT_FOREVER);
}

static int died_main(void *arg)
{
    struct world *w = arg;
    leat_handle *h[6];

    for (int i = 0; i < 6; i++)
        if (leat_go_join(&h[i], call_ending, w) < 0)
            return 1;
    for (int i = 0; i < 6; i++) {
        leat_result r = 0;

        if (leat_join(h[i], &r, leat_after(KIT_LONG)) < 0)
            return 2;
        w->results[i] = (int)r;
    }
    return leat_blocking(add_one, &w->ended, NULL, LEAT_FOREVER);
}

static int died_child(void *arg)
{
    leat_config config = {
        .procs = *(unsigned *)arg, .blocking_threads = 1, .shutdown_grace_ms = 20000};
    struct world w = {0};

    if (leat_run_with(&config, died_main, &w) != 0)
        return 1;
    for (int i = 0; i < 6; i++)
        if (w.results[i] != -EOWNERDEAD)
            return 2;
    return atomic_load(&w.begun) == 6 && atomic_load(&w.ended) == 1 ? 0 : 3;
}

/*
 * Goal: a job that ends its thread is reported, to its caller too; those behind it get another
 * thread.
 */
Test(blocking, thread_that_dies, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(died_child, &procs, 40000, text);

        cr_expect(kit_exited(status, 0), "status %d: %s", status, text);
        cr_expect(eq(uint, kit_occurs(text, "ended its thread"), 6), "%s", text);
    }
}

#define NR_DEATHS 300

static int deaths_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < NR_DEATHS; i++) {
        if (leat_blocking(end_the_thread, &w->begun, NULL, LEAT_FOREVER) != -EOWNERDEAD)
            return 1;
        for (volatile int k = i * 20; k > 0; k--) /* come upon the dying one at every step */
            ;
        if (leat_blocking(add_one, &w->ended, NULL, leat_after(KIT_LONG)) != 0)
            return 2;
    }
    return 0;
}

static int deaths_child(void *arg)
{
    leat_config config = {
        .procs = *(unsigned *)arg, .blocking_threads = 1, .shutdown_grace_ms = 20000};
    struct world w = {0};
    int r = leat_run_with(&config, deaths_main, &w);

    return r ? r : atomic_load(&w.ended) == NR_DEATHS ? 0 : 3;
}

/* Goal: a job that is queued while the only thread dies is not left to it. */
Test(blocking, behind_a_thread_that_dies, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(deaths_child, &procs, 50000, text);

        cr_expect(kit_exited(status, 0), "%u processors: status %d", procs, status);
    }
}

struct crowd {
    atomic_ulong deaths, done;
    atomic_int running, most;
    atomic_bool wrong;
};

/* How many are at it at once. */
static leat_result be_one_of(void *arg)
{
    struct crowd *c = arg;
    int now = atomic_fetch_add(&c->running, 1) + 1, most = atomic_load(&c->most);

    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        ;
    usleep(50);
    atomic_fetch_sub(&c->running, 1);
    return 0;
}

static void by_turns(struct crowd *c, int which)
{
    for (int i = 0; i < (KIT_VALGRIND ? NR_DEATHS / 30 : NR_DEATHS / 3); i++) {
        bool dies = i % 4 == which % 4;
        int r = leat_blocking(dies ? end_the_thread : be_one_of,
                              dies ? (void *)&c->deaths : (void *)c, NULL, LEAT_FOREVER);

        if (r != (dies ? -EOWNERDEAD : 0))
            atomic_store(&c->wrong, true);
    }
    atomic_fetch_add(&c->done, 1);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 8; i++)
        if (go(by_turns, c, i) != 0)
            return 1;
    return kit_reach(&c->done, 8, 2 * KIT_LONG) ? 0 : 2;
}

static int crowd_child(void *arg)
{
    unsigned threads = *(unsigned *)arg;
    leat_config config = {.procs = 2, .blocking_threads = threads, .shutdown_grace_ms = 20000};
    struct crowd c = {.wrong = false};
    int r = leat_run_with(&config, crowd_main, &c);

    return r ? r : atomic_load(&c.wrong) ? 3 : atomic_load(&c.most) > (int)threads ? 4 : 0;
}

/* Goal: threads that die are replaced, each by one: the pool keeps its bound. */
Test(blocking, no_more_threads_than_have_died, .timeout = 60)
{
    for (unsigned threads = 1; threads <= 2; threads++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(crowd_child, &threads, 50000, text);

        cr_expect(kit_exited(status, 0), "%u threads: status %#x", threads, (unsigned)status);
    }
}

/* ThreadSanitizer and qemu-user have threads of their own, which might wake somebody. */
#if KIT_TSAN || defined(__aarch64__)
#define OTHER_THREADS true
#else
#define OTHER_THREADS false
#endif

static int deadlock_main(void *arg)
{
    struct world *w = arg;
    leat_waitgroup never = {0};

    if (leat_blocking(add_one, &w->begun, NULL, LEAT_FOREVER) != 0)
        return 1;
    leat_wg_add(&never, 1);
    return leat_wg_wait(&never, LEAT_FOREVER) == 0 ? 3 : 4;
}

static int deadlock_child(void *arg)
{
    leat_config config = {.threads_stay_out = OTHER_THREADS};
    struct world w = {0};

    (void)arg;
    return leat_run_with(&config, deadlock_main, &w);
}

/* Goal: idle threads of the pool do not hide a deadlock. */
Test(blocking, deadlock_beside_idle_threads, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(deadlock_child, NULL, 40000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
}

static int leftover_main(void *arg)
{
    struct world *w = arg;

    if (go(call_hanging, w) < 0)
        return 1;
    return kit_reach(&w->begun, 1, KIT_LONG) ? 0 : 2;
}

static int empty_main(void *arg)
{
    struct world *w = arg;

    atomic_store(&w->release, true); /* of the run before this one */
    return kit_reach(&w->ended, 1, KIT_LONG) ? leat_blocking(add_one, &w->ticks, NULL, LEAT_FOREVER)
                                             : 3;
}

static int leftover_child(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = *(unsigned *)arg};
    static struct world w; /* outlives the run, as the job does */

    if (leat_run_with(&config, leftover_main, &w) != 0)
        return 1;
    return leat_run_with(&config, empty_main, &w) == 0 && atomic_load(&w.ticks) == 1 ? 0 : 2;
}

/*
 * Goal: a job that does not end holds the end of the run up for the grace time, and is named; the
 * next run works, and the job ends in peace.
 */
Test(blocking, left_over_at_the_end, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = -1;

    /* the workers have to leave within the grace. A busy machine may need a longer one */
    for (unsigned grace_ms = 50; grace_ms < 10000; grace_ms *= 4) {
        status = kit_child(leftover_child, &grace_ms, 40000, text);
        if (kit_occurs(text, "1 thread is still"))
            break;
    }
    cr_expect(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(ne(ptr, strstr(text, "blocking call"), NULL), "%s", text);
    cr_expect(ne(ptr, strstr(text, "1 thread is still in user code"), NULL), "%s", text);
}
