/*
 * Scenarios of runs in which nobody can go on: those are reported, once and soon, in every
 * schedule; others never are. (That nothing is reported is checked in every scenario: the report
 * ends the process, and that is a failure here.)
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)
#define SOON_NS (60 * LEAT_MSEC)

static struct {
    leat_waitgroup never, begun;
    leat_mutex mutex[2];
    leat_handle *handle[3];
    unsigned reported, told, ended, n; /* told: the callback is over */
    int64_t stuck_ns;                  /* since when nobody can go on */
    int64_t thread_ns; /* so long lasts a thread that does nothing; 0 there is none */
    leat_group group;
} s;

/*
 * Whoever stands still for others to see: the kernel does not schedule the other workers for a
 * while.
 */
static void hold_others_up(void)
{
    int64_t ns = (int64_t)sim_shape(60) * LEAT_MSEC;

    for (unsigned i = 0; i < sim.nr_threads; i++) {
        struct sim_thread *t = &sim.thread[i];

        if (t == sim.self || strncmp(t->name, "leat-", 5) || !strcmp(t->name, "leat-monitor") ||
            sim_shape(2))
            continue;
        t->late_until_ns = sim.now_ns + ns;
        sim.late_ns += ns;
    }
}

/* --- a deadlock --- */

/* On the monitor's thread. Ends what it finds, so that the run can end. */
static void on_deadlock(void *arg)
{
    int64_t until = s.stuck_ns + SOON_NS + 2 * s.thread_ns + sim.late_ns;

    (void)arg;
    sim_check(s.ended == 0, "reported, and %u had gone on", s.ended);
    sim_check(s.n == 3, "reported before all of them waited");
    sim_check(sim.config.time_permille || sim.now_ns < until, "reported %lld us late",
              (long long)(sim.now_ns - until) / 1000);
    s.reported++;
    for (unsigned i = 0; i < 3; i++)
        if (s.handle[i])
            leat_cancel(s.handle[i]);
    leat_wg_done(&s.never);
    s.told++;
}

/* The last one to come: from here on nobody can go on. */
static void arrived(void)
{
    if (++s.n < 3)
        return;
    s.stuck_ns = sim.now_ns;
    hold_others_up();
}

static void prelude(void)
{
    switch (sim_shape(5)) {
    case 0:
        (void)leat_sleep((int64_t)sim_shape(40) * LEAT_MSEC);
        break;
    case 1:
        kit_burn((int64_t)sim_shape(4) * LEAT_MSEC);
        leat_set_name("without a processor"); /* never parks: may give the processor up */
        break;
    case 2:
        leat_yield();
        break;
    case 3: /* until its end */
        sim_check(leat_lock_thread() <= 0, "a lock of the thread");
        break;
    default:
        break;
    }
}

static void crosswise(unsigned i)
{
    int r;

    leat_mutex_lock(&s.mutex[i]);
    leat_wg_done(&s.begun);
    r = leat_wg_wait(&s.begun, LEAT_FOREVER);
    sim_check(r == 0, "the other one has not come: %d", r);
    prelude();
    arrived();
    if (leat_mutex_lock_until(&s.mutex[1 - i], LEAT_FOREVER) == 0)
        leat_mutex_unlock(&s.mutex[1 - i]);
    leat_mutex_unlock(&s.mutex[i]);
    s.ended++;
}

static void joins(unsigned i)
{
    leat_wg_done(&s.begun);
    sim_check(leat_wg_wait(&s.begun, LEAT_FOREVER) == 0, "not all have come");
    prelude();
    arrived();
    (void)i;
    sim_check(leat_wg_wait(&s.never, LEAT_FOREVER) != -ETIMEDOUT, "nobody has set a deadline");
    s.ended++;
}

static leat_result in_group(void)
{
    joins(0);
    return 0;
}

static void *thread_that_ends(void *arg)
{
    (void)arg;
    (void)lea_os_sleep_until(sim.now_ns + s.thread_ns);
    return NULL;
}

static void wait_as_main(unsigned how)
{
    int r;

    switch (how) {
    case 0:
        r = leat_wg_wait(&s.never, LEAT_FOREVER);
        break;
    case 1:
        r = leat_join(s.handle[0], NULL, LEAT_FOREVER);
        sim_check(r == 0, "joining gave %d", r);
        s.handle[0] = NULL;
        break;
    default:
        r = leat_group_wait(&s.group, LEAT_FOREVER);
        break;
    }
    sim_check(r == 0, "waiting gave %d", r);
}

static int deadlock_main(void *arg)
{
    unsigned how = sim_shape(3), crossed = sim_shape(2);
    struct sim_thread *t = NULL;

    (void)arg;
    leat_group_open(&s.group, 0);
    leat_wg_add(&s.never, 1);
    leat_wg_add(&s.begun, 2);
    if (sim_shape(3) == 0) {
        s.thread_ns = (int64_t)(1 + sim_shape(300)) * LEAT_MSEC;
        t = kit_thread(thread_that_ends, NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (i == 1 && how == 2 && !crossed)
            sim_check(leat_group_go(&s.group, in_group) == 0, "no coroutine");
        else
            sim_check(leat_go_join(&s.handle[i], crossed ? crosswise : joins, i) == 0,
                      "no coroutine");
    }
    if (how == 2 && crossed)
        how = 0;
    prelude();
    arrived();
    wait_as_main(how);
    kit_await(&s.told, 1, "the end of the report");
    sim_check(s.reported == 1, "reported %u times", s.reported);
    for (unsigned i = 0; i < 2; i++)
        if (s.handle[i])
            sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    sim_check(leat_group_close(&s.group) == 0, "the group has failed");
    if (t)
        kit_join(t);
    return 0;
}

void scenario_deadlock(void)
{
    leat_config config = {
        .procs = kit_procs(3), .slice_us = 100, .max_threads = 8, .on_deadlock = on_deadlock};

    memset(&s, 0, sizeof(s));
    kit_run_config(&config, sim_shape(2) ? SLOW_WORLD : 0, deadlock_main, NULL);
    sim_check(s.reported == 1, "the deadlock was reported %u times", s.reported);
}

/* --- no deadlock: each source of a wake-up in turn --- */

static int64_t long_ns(void)
{
    return (int64_t)(10 + sim_shape(200)) * LEAT_MSEC;
}

static void *waker_thread(void *arg)
{
    (void)lea_os_sleep_until(sim.now_ns + long_ns());
    leat_wg_done(arg);
    return NULL;
}

static void sleeps(leat_waitgroup *wg)
{
    (void)leat_sleep(long_ns());
    leat_wg_done(wg);
}

static void computes(leat_waitgroup *wg)
{
    kit_burn(long_ns());
    leat_wg_done(wg);
}

/* Gives its processor up when somebody waits for it, and computes on. */
static void computes_without(leat_waitgroup *wg)
{
    kit_burn(5 * LEAT_MSEC);
    leat_set_name("without a processor");
    kit_burn(long_ns());
    leat_wg_done(wg);
}

static void gives_up(leat_waitgroup *wg)
{
    leat_waitgroup own = {0};

    leat_wg_add(&own, 1);
    sim_check(leat_wg_wait(&own, leat_after(long_ns())) == -ETIMEDOUT,
              "nobody was to end this wait");
    leat_wg_done(wg);
}

static int pair[2];

static void reads(leat_waitgroup *wg)
{
    char b;

    sim_check(leat_read(pair[0], &b, 1, LEAT_FOREVER) == 1, "nothing was read");
    leat_wg_done(wg);
}

static void *writer_thread(void *arg)
{
    (void)arg;
    (void)lea_os_sleep_until(sim.now_ns + long_ns());
    sim_check(lea_os_write(pair[1], "x", 1) == 1, "nothing was written");
    return NULL;
}

static void waits_for(leat_waitgroup *wg)
{
    sim_check(leat_wg_wait(wg, LEAT_FOREVER) == 0, "the wait failed");
    s.ended++;
}

static void nothing(void)
{
}

static int no_deadlock_main(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 2; round++) {
        unsigned source = sim_shape(6);
        struct sim_thread *t = NULL;
        leat_waitgroup wg = {0};

        s.ended = 0;
        leat_wg_add(&wg, 1);
        for (unsigned i = 0; i < 2; i++)
            sim_check(go(waits_for, &wg) == 0, "no coroutine");
        switch (source) {
        case 0:
            t = kit_thread(waker_thread, &wg);
            break;
        case 1:
            sim_check(go(sleeps, &wg) == 0, "no coroutine");
            break;
        case 2:
            sim_check(go(computes, &wg) == 0, "no coroutine");
            break;
        case 3:
            sim_check(go(computes_without, &wg) == 0, "no coroutine");
            (void)leat_sleep(LEAT_MSEC / 2);
            sim_check(go(nothing) == 0, "no coroutine"); /* somebody waits, behind it perhaps */
            break;
        case 4:
            sim_check(go(gives_up, &wg) == 0, "no coroutine");
            break;
        default:
            sim_check(leat_pipe(pair) == 0, "no pipe");
            sim_check(go(reads, &wg) == 0, "no coroutine");
            t = kit_thread(writer_thread, NULL);
            break;
        }
        sim_check(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "the wait failed");
        kit_await(&s.ended, 2, "those who waited");
        if (t)
            kit_join(t);
        for (unsigned i = 0; source == 5 && i < 2; i++)
            (void)leat_close(pair[i]);
    }
    return 0;
}

void scenario_no_deadlock(void)
{
    leat_config config = {.procs = kit_procs(2), .slice_us = 100, .max_threads = 8};

    memset(&s, 0, sizeof(s));
    kit_run_config(&config, sim_shape(2) ? SLOW_WORLD : 0, no_deadlock_main, NULL);
}

/* --- no deadlock, though everybody waits whenever one looks at him --- */

static leat_waitgroup baton[4];
static unsigned relay_rounds;

/* One sleeps, the others wait for the one before them. */
static void runner(unsigned i, unsigned n)
{
    for (unsigned round = 0; round < relay_rounds; round++) {
        sim_check(leat_wg_wait(&baton[i], LEAT_FOREVER) == 0, "the wait failed");
        leat_wg_add(&baton[i], 1);
        if (sim_shape(4))
            (void)leat_sleep(19 * LEAT_MSEC + (int64_t)sim_shape(600) * 10 * LEAT_USEC);
        leat_wg_done(&baton[(i + 1) % n]);
    }
    s.ended++;
}

static int relay_main(void *arg)
{
    unsigned n = 2 + sim_shape(3);

    (void)arg;
    relay_rounds = 2;
    leat_group_open(&s.group, 0);
    for (unsigned i = 1; i < n; i++)
        leat_wg_add(&baton[i], 1);
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_group_go(&s.group, runner, i, n) == 0, "no coroutine");
    sim_check(leat_group_wait(&s.group, LEAT_FOREVER) == 0, "the group has failed");
    sim_check(s.ended == n, "%u of %u have run", s.ended, n);
    return 0;
}

void scenario_relay(void)
{
    memset(&s, 0, sizeof(s));
    memset(baton, 0, sizeof(baton));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, relay_main, NULL);
}

/* --- the end of a run, while the others wait for each other --- */

static void waits_cancelled(leat_waitgroup *wg)
{
    sim_check(leat_wg_wait(wg, LEAT_FOREVER) == -ECANCELED, "the wait was to be cancelled");
    (void)leat_sleep((int64_t)sim_shape(40) * LEAT_MSEC);
}

static int stuck_end_main(void *arg)
{
    (void)arg;
    leat_wg_add(&s.never, 1);
    for (unsigned i = 0; i < 2; i++)
        sim_check(go(waits_cancelled, &s.never) == 0, "no coroutine");
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(40) * LEAT_MSEC);
    else
        kit_burn((int64_t)sim_shape(40) * LEAT_MSEC);
    return 0;
}

void scenario_stuck_end(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(2), sim_shape(2) ? SLOW_WORLD : 0, stuck_end_main, NULL);
}
