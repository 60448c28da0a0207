/*
 * A coroutine that calls often and never waits (its calls always succeed at once) gets no more than
 * its slice when others wait at its processor, and can be cancelled. One processor, so that nobody
 * else could help.
 *
 * What one processor does in solo sections (a free mutex, a waitgroup, a try) is more than computing
 * and less than a call: nothing is obeyed there but the monitor's second request.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define NR_TICKS (KIT_VALGRIND ? 3 : 20)

struct slice {
    void (*hog)(struct slice *);
    atomic_ulong ticks, calls, spawned, ran, hogs_done;
    atomic_bool over;
    int fd;
    leat_run_stats stats;
    bool reached, cancelled;
};

static void ticker(struct slice *s)
{
    for (int i = 0; i < NR_TICKS; i++) {
        atomic_fetch_add(&s->ticks, 1);
        leat_yield();
    }
}

static bool goes_on(struct slice *s)
{
    atomic_fetch_add(&s->calls, 1);
    if (leat_cancelled()) {
        s->cancelled = true;
        return false;
    }
    return !atomic_load(&s->over);
}

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

/* Spawns as long as it may: at the limit it goes on asking. Never parks. */
static void hog_go(struct slice *s)
{
    while (goes_on(s))
        if (go(count_up, &s->ran) == 0)
            atomic_fetch_add(&s->spawned, 1);
}

/* A wait that is over already. */
static void hog_sleep(struct slice *s)
{
    while (goes_on(s))
        (void)leat_sleep(0);
}

static void hog_write(struct slice *s)
{
    char c[16] = "";

    while (goes_on(s))
        if (leat_write(s->fd, c, sizeof(c), LEAT_FOREVER) < 0)
            break;
}

/* Calls that never park. */
static void hog_name(struct slice *s)
{
    while (goes_on(s))
        leat_set_name("busy");
}

/* --- solo sections, where there is membarrier; computing otherwise --- */

static void hog_lock(struct slice *s)
{
    leat_mutex mutex = {0};

    while (goes_on(s)) {
        leat_mutex_lock(&mutex);
        leat_mutex_unlock(&mutex);
    }
}

static void hog_wg(struct slice *s)
{
    leat_waitgroup wg = {0};

    while (goes_on(s)) {
        leat_wg_add(&wg, 1);
        leat_wg_done(&wg);
    }
}

static void hog_chan_try(struct slice *s)
{
    leat_chan *c;
    char v = 0;

    if (leat_chan_make(&c, 1, 1) != 0)
        return;
    while (goes_on(s))
        if (leat_chan_send_try(c, &v) != 0 || leat_chan_recv_try(c, &v) != 0)
            break;
    leat_chan_unref(c);
}

static void holds_for_a_turn(leat_mutex *mutex, atomic_bool *held)
{
    leat_mutex_lock(mutex);
    atomic_store(held, true);
    leat_yield();
    leat_mutex_unlock(mutex);
}

/* Spins for what another one holds, who waits for its turn. */
static void hog_try(struct slice *s)
{
    leat_mutex mutex = {0};

    while (goes_on(s)) {
        atomic_bool held = false;

        if (go(holds_for_a_turn, &mutex, &held) < 0)
            continue; /* the run ends */
        while (!atomic_load(&held))
            leat_yield();
        while (leat_mutex_try(&mutex) != 0)
            ;
        leat_mutex_unlock(&mutex);
    }
}

static void hog_run(struct slice *s)
{
    s->hog(s);
    atomic_fetch_add(&s->hogs_done, 1);
}

static int slice_main(void *arg)
{
    struct slice *s = arg;

    (void)go(hog_run, s);
    (void)go(ticker, s);
    /* our own timer has to get through too */
    s->reached = kit_reach(&s->ticks, NR_TICKS, KIT_LONG);
    (void)leat_stats_run(&s->stats);
    return 0; /* the hog goes on: the end of the run has to reach it */
}

static struct slice share(void (*hog)(struct slice *), int fd)
{
    leat_config config = {
        .procs = 1, .slice_us = 2000, .max_coroutines = 1000, .shutdown_grace_ms = 20000};
    struct slice s = {.hog = hog, .fd = fd};

    kit_no_chaos(); /* it lets others in before a slice is over, and slices are counted */
    cr_assert(eq(int, leat_run_with(&config, slice_main, &s), 0));
    cr_expect(s.reached, "%lu of %d turns beside %lu calls", atomic_load(&s.ticks), NR_TICKS,
              atomic_load(&s.calls));
    cr_expect(s.cancelled);
    cr_expect(eq(u64, atomic_load(&s.hogs_done), 1));
    return s;
}

static struct slice slice_run(void (*hog)(struct slice *), int fd)
{
    struct slice s = share(hog, fd);

    cr_expect(ge(u64, s.stats.sum.slices, 1));
    return s;
}

/*
 * Goal: a loop of go(), which never parks, gives its processor up: the others run, so do those that
 * it spawned, and cancel reaches it.
 */
Test(slice, loop_of_go, .timeout = 60)
{
    struct slice s = slice_run(hog_go, -1);

    cr_expect(gt(u64, atomic_load(&s.ran), 0));
    cr_expect(eq(u64, atomic_load(&s.ran), atomic_load(&s.spawned)));
}

/* Goal: a loop of calls that may park and never have to: the next one yields. */
Test(slice, loop_of_waits_that_are_over, .timeout = 60)
{
    (void)slice_run(hog_sleep, -1);
}

/*
 * Goal: a loop of calls that never park: the processor is given away, and the coroutine goes on
 * without.
 */
Test(slice, loop_of_calls_that_never_park, .timeout = 60)
{
    (void)slice_run(hog_name, -1);
}

static void *drain(void *arg)
{
    char b[65536];

    while (read(*(int *)arg, b, sizeof(b)) > 0)
        ;
    return NULL;
}

/*
 * Goal: a loop of writes to a peer that is faster. Method: a plain thread empties the pipe; now and
 * then a write may have to wait.
 */
Test(slice, loop_of_writes, .timeout = 60)
{
    int fds[2];
    pthread_t t;

    cr_assert(eq(int, pipe(fds), 0));
    cr_assert(eq(int, pthread_create(&t, NULL, drain, &fds[0]), 0));
    {
        leat_config config = {.procs = 1, .slice_us = 2000, .shutdown_grace_ms = 20000};
        struct slice s = {.hog = hog_write, .fd = fds[1]};

        cr_assert(eq(int, leat_run_with(&config, slice_main, &s), 0));
        cr_expect(s.reached);
        cr_expect(eq(u64, atomic_load(&s.hogs_done), 1));
    }
    close(fds[1]);
    pthread_join(t, NULL);
    close(fds[0]);
}

/* --- several at once --- */

struct several {
    struct slice s[4];
    atomic_ulong ticks;
    bool reached;
};

static void ticks_many(struct several *v)
{
    for (int i = 0; i < NR_TICKS; i++) {
        atomic_fetch_add(&v->ticks, 1);
        leat_yield();
    }
}

static int several_main(void *arg)
{
    struct several *v = arg;

    for (int i = 0; i < 4; i++)
        (void)go(hog_run, &v->s[i]);
    for (int i = 0; i < 10; i++)
        (void)go(ticks_many, v);
    v->reached = kit_reach(&v->ticks, 10 * NR_TICKS, KIT_LONG);
    return 0;
}

/*
 * Goal: four hogs of different kinds on one and on two processors do not lock ten others out, and
 * all end with the run.
 */
Test(slice, several_hogs, .timeout = 60)
{
    for (int p = 0; p < 3; p++) {
        leat_config config = {.procs = kit_procs[p],
                              .slice_us = 2000,
                              .max_coroutines = 1000,
                              .shutdown_grace_ms = 20000};
        struct several v = {
            .s = {{.hog = hog_go}, {.hog = hog_sleep}, {.hog = hog_sleep}, {.hog = hog_name}}};

        cr_assert(eq(int, leat_run_with(&config, several_main, &v), 0));
        cr_expect(v.reached, "%lu of %d turns", atomic_load(&v.ticks), 10 * NR_TICKS);
        for (int i = 0; i < 4; i++)
            cr_expect(eq(u64, atomic_load(&v.s[i].hogs_done), 1), "hog %d", i);
    }
}

/*
 * Goal: loops of calls that are solo sections let others in, whether those calls may park or not,
 * and one that spins for a mutex lets its holder in.
 */
Test(slice, loop_of_locks, .timeout = 60)
{
    (void)share(hog_lock, -1);
}

Test(slice, loop_of_a_waitgroup, .timeout = 60)
{
    (void)share(hog_wg, -1);
}

Test(slice, loop_of_tries_in_a_channel, .timeout = 60)
{
    (void)share(hog_chan_try, -1);
}

Test(slice, loop_of_tries_of_a_held_mutex, .timeout = 60)
{
    (void)share(hog_try, -1);
}
