/*
 * The moments at which processors are taken, or are not: while the process is stopped, and while
 * their workers come back, with every kind of call.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* --- the process is stopped --- */

struct stopped {
    atomic_bool over;
    atomic_ulong taken, turns;
};

static int short_turns(void *arg)
{
    struct stopped *s = arg;
    int64_t until = leat_now() + KIT_LONG;
    leat_run_stats stats;

    while (!atomic_load(&s->over) && leat_now() < until) {
        (void)leat_sleep(0);
        leat_yield();
        atomic_fetch_add(&s->turns, 1);
    }
    (void)leat_stats_run(&stats);
    atomic_store(&s->taken, stats.retaken_hogs + stats.retaken_blocked);
    return 0;
}

static void yielder(struct stopped *s)
{
    while (!atomic_load(&s->over))
        leat_yield();
}

static int stopped_main(void *arg)
{
    for (int i = 0; i < 6; i++)
        (void)go(yielder, arg);
    return short_turns(arg);
}

static int stopped_child(void *arg)
{
    return kit_run(2, stopped_main, arg);
}

/* Returns: how many were taken. */
static unsigned long stopped_run(void)
{
    struct stopped *s = kit_shared(sizeof(*s));
    struct kit_child child = kit_child_begin(stopped_child, s);
    struct timespec nap = {0, 30000000};
    char text[KIT_TEXT_BYTES];

    while (!atomic_load(&s->turns))
        nanosleep(&nap, NULL);
    for (int i = 0; i < 10; i++) {
        kill(child.pid, SIGSTOP);
        nanosleep(&nap, NULL);
        kill(child.pid, SIGCONT);
        nanosleep(&nap, NULL);
    }
    atomic_store(&s->over, true);
    cr_expect(kit_exited(kit_child_end(&child, 40000, text), 0), "%s", text);
    return atomic_load(&s->taken);
}

/*
 * Goal: a process that is stopped and goes on again has its processors where they were. On a busy
 * machine a worker may be held up besides, in a page fault or a lock of a sanitizer's: once more.
 */
Test(retake_moments, after_sigstop, .timeout = 60)
{
    unsigned long taken = stopped_run();

    for (int i = 0; i < 2 && taken > 3; i++)
        taken = stopped_run();
    cr_expect(le(u64, taken, 3), "%lu were taken", taken);
}

/* --- every moment --- */

#define NR_MIXED 6

struct mixed {
    atomic_ulong done, ran, spawned;
    leat_mutex mutex;
    unsigned long inside;
    atomic_bool broken;
    int fds[2];
    int64_t until_ns;
    leat_run_stats stats;
    bool reached;
};

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

static void mixed_call(struct mixed *x, uint64_t r)
{
    char c = 'x';

    switch (r % 6) {
    case 0:
        leat_mutex_lock(&x->mutex);
        if (x->inside++)
            atomic_store(&x->broken, true);
        kit_burn((int64_t)(r >> 8) % 150 * LEAT_USEC);
        x->inside--;
        leat_mutex_unlock(&x->mutex);
        break;
    case 1:
        leat_yield();
        break;
    case 2:
        (void)leat_sleep((int64_t)(r >> 8) % 300 * LEAT_USEC);
        break;
    case 3: /* nothing comes, or a byte of another one's; two at once get -EBUSY */
        if (leat_read(x->fds[0], &c, 1, leat_after((int64_t)(r >> 8) % 300 * LEAT_USEC)) == -EBADF)
            atomic_store(&x->broken, true);
        break;
    case 4:
        if (leat_write(x->fds[1], &c, 1, leat_after(LEAT_MSEC)) == -EBADF)
            atomic_store(&x->broken, true);
        break;
    default:
        leat_set_name("mixed");
        break;
    }
}

/*
 * Stays outside for about as long as it takes to lose the processor, computing, blocked or aside;
 * then calls, of every kind.
 */
static void mixed_one(struct mixed *x, uint64_t seed)
{
    while (leat_now() < x->until_ns) {
        uint64_t r = kit_random(&seed);
        int64_t ns = (int64_t)(r >> 16) % 400 * LEAT_USEC;
        struct timespec nap = {0, ns};

        if (go(count_up, &x->ran) == 0)
            atomic_fetch_add(&x->spawned, 1);
        if (r % 3 == 0)
            leat_block_enter();
        if (r % 3 == 1)
            kit_burn(ns);
        else
            nanosleep(&nap, NULL);
        if (r % 3 == 0)
            leat_block_leave();
        mixed_call(x, kit_random(&seed));
    }
    atomic_fetch_add(&x->done, 1);
}

static int mixed_main(void *arg)
{
    struct mixed *x = arg;

    if (leat_pipe(x->fds) != 0)
        return 1;
    for (uint64_t i = 1; i <= NR_MIXED; i++)
        if (go(mixed_one, x, i * 7919) != 0)
            return 2;
    x->reached = kit_reach(&x->done, NR_MIXED, KIT_LONG) &&
                 kit_reach(&x->ran, atomic_load(&x->spawned), KIT_LONG);
    (void)leat_stats_run(&x->stats);
    return leat_close(x->fds[0]) || leat_close(x->fds[1]);
}

/* Returns: how many were taken. */
static uint64_t mixed_run(unsigned procs)
{
    struct mixed x = {.until_ns = leat_now() + LEAT_SEC};
    leat_config config = {
        .procs = procs, .retake_us = 200, .slice_us = 1000, .shutdown_grace_ms = 20000};

    cr_assert(eq(int, leat_run_with(&config, mixed_main, &x), 0));
    cr_assert(x.reached, "%lu of %d done, %lu of %lu ran", atomic_load(&x.done), NR_MIXED,
              atomic_load(&x.ran), atomic_load(&x.spawned));
    cr_expect(not(atomic_load(&x.broken)));
    return x.stats.retaken_hogs + x.stats.retaken_blocked + x.stats.retaken_brackets;
}

/*
 * Goal: pairs RETAKE and IDLE-TIMER: processors are taken while their workers come back, with every
 * kind of call; nobody is lost. Where the monitor comes too late to take any, nothing was tried:
 * once more.
 */
Test(retake_moments, taken_at_every_moment, .timeout = 60)
{
    for (int p = 0; p < 3; p++) {
        uint64_t taken = 0;

        for (int i = 0; i < 5 && !taken; i++)
            taken = mixed_run(kit_procs[p]);
        cr_expect(ge(u64, taken, 1));
    }
}
