/*
 * Scenarios of processors that are taken away from workers in user code. Windows are short, so that
 * it happens often.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"
#include "sched/sched.h"

#include <sys/socket.h>

#define RETAKE_US 400u
#define WINDOW_NS ((int64_t)RETAKE_US * LEAT_USEC)

static struct {
    unsigned spawned, ran, done, goal, rounds;
    unsigned in_mutex, owed;
    leat_mutex mutex;
    int fd[2];
    bool stop;
    int64_t worst_ns;
    leat_run_stats stats;
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.fd[0] = s.fd[1] = -1;
}

static void one(void)
{
    s.ran++;
}

/* Somebody who waits, so that there is a reason to take the processor. */
static void spawn_one(void)
{
    if (go(one) == 0)
        s.spawned++;
}

/*
 * In user code, as long as it takes to be suspected, and then until the very moment; or for any
 * time.
 */
static void outside(void)
{
    bool computes = sim_shape(2);
    int64_t ns = (int64_t)(1 + sim_shape(8)) * WINDOW_NS / 4;

    if (computes)
        kit_burn(ns);
    else
        kit_block(ns);
    if (sim_shape(4))
        kit_until_taken(computes, 100);
}

static void exclusive(void)
{
    leat_mutex_lock(&s.mutex);
    sim_check(s.in_mutex++ == 0, "two in the mutex");
    if (sim_shape(3) == 0)
        outside();
    s.in_mutex--;
    leat_mutex_unlock(&s.mutex);
}

/* A call of every kind: that never parks, that may, that does, that makes a system call. */
static void call(void)
{
    char c = 'x';

    switch (sim_shape(8)) {
    case 0:
        spawn_one();
        break;
    case 1:
        leat_set_name("hog");
        break;
    case 2:
        leat_yield();
        break;
    case 3:
        (void)leat_sleep((int64_t)sim_shape(4) * WINDOW_NS / 3);
        break;
    case 4:
        exclusive();
        break;
    case 5:
        (void)leat_sleep(0);
        break;
    case 6:
        if (leat_write(s.fd[1], &c, 1, leat_after(WINDOW_NS)) == 1)
            s.owed++;
        break;
    default:
        if (s.owed) {
            s.owed--;
            if (leat_read(s.fd[0], &c, 1, leat_after(LEAT_SEC)) != 1)
                s.owed++;
        }
        break;
    }
}

static void hog(void)
{
    for (unsigned i = 0; i < s.rounds; i++) {
        if (sim_shape(3))
            spawn_one();
        outside();
        call();
    }
    s.done++;
}

static void open_fds(void)
{
    sim_check(leat_pipe(s.fd) == 0, "no pipe");
}

static void close_fds(void)
{
    (void)leat_close(s.fd[0]);
    (void)leat_close(s.fd[1]);
}

static int retake_main(void *arg)
{
    (void)arg;
    open_fds();
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(hog) == 0, "go failed");
    kit_await(&s.done, s.goal, "hogs");
    kit_await(&s.ran, s.spawned, "those who waited");
    close_fds();
    return 0;
}

static leat_config config_of(unsigned procs)
{
    return (leat_config){.procs = procs,
                         .max_threads = 10,
                         .retake_us = (int)RETAKE_US,
                         .slice_us = 2000,
                         .shutdown_grace_ms = 2000};
}

static void retake(unsigned procs, unsigned faults)
{
    leat_config config = config_of(procs);

    reset();
    s.goal = 1 + sim_shape(4);
    s.rounds = 1 + sim_shape(5);
    kit_run_config(&config, faults, retake_main, NULL);
}

void scenario_retake(void)
{
    retake(1 + sim_shape(3), 0);
}

void scenario_retake_faults(void)
{
    retake(1 + sim_shape(3),
           SIM_FAULT_THREAD | SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD);
}

/* --- two workers, one processor --- */

static void spawner_of_calls(void)
{
    for (unsigned i = 0; i < s.rounds; i++) {
        spawn_one();
        kit_until_taken(sim_shape(2), 80);
        for (unsigned k = 1 + sim_shape(3); k > 0; k--) { /* calls that keep what they have */
            spawn_one();
            if (sim_shape(2))
                leat_set_name(sim_shape(2) ? "one" : NULL);
        }
    }
    s.done++;
}

static int moment_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(spawner_of_calls) == 0, "go failed");
    kit_await(&s.done, s.goal, "hogs");
    kit_await(&s.ran, s.spawned, "those who waited");
    return 0;
}

void scenario_retake_moment(void)
{
    leat_config config = config_of(1);

    reset();
    s.goal = 1 + sim_shape(2);
    s.rounds = 2 + sim_shape(5);
    kit_run_config(&config, 0, moment_main, NULL);
}

/* --- stepping aside --- */

static void steps_aside(void)
{
    for (unsigned i = 0; i < s.rounds; i++) {
        unsigned depth = 1 + sim_shape(2);

        spawn_one();
        for (unsigned k = 0; k < depth; k++)
            leat_block_enter();
        kit_block((int64_t)sim_shape(4) * WINDOW_NS / 16);
        if (sim_shape(4))
            kit_until_taken(false, 80);
        if (sim_shape(5) == 0)
            spawn_one(); /* ends the bracket early */
        for (unsigned k = 0; k < depth; k++)
            leat_block_leave();
        call();
    }
    s.done++;
}

static int bracket_main(void *arg)
{
    (void)arg;
    open_fds();
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(steps_aside) == 0, "go failed");
    kit_await(&s.done, s.goal, "who steps aside");
    kit_await(&s.ran, s.spawned, "those who waited");
    close_fds();
    return 0;
}

void scenario_retake_bracket(void)
{
    leat_config config = config_of(1 + sim_shape(2));

    reset();
    s.goal = 1 + sim_shape(3);
    s.rounds = 2 + sim_shape(5);
    kit_run_config(&config, sim_shape(2) ? SIM_FAULT_LATE_THREAD : 0, bracket_main, NULL);
}

/* --- system calls that take long --- */

/* For system calls that are made for a coroutine, not for the runtime's own. */
static void slow_call(void)
{
    const struct lea_worker *m = lea_self();

    if (!m || (m->tick.value_ & 1))
        return;
    if (sim_shape(4))
        kit_until_taken(false, 400);
    else
        kit_block((int64_t)(1 + sim_shape(8)) * WINDOW_NS / 4);
}

static void slow_reader(void)
{
    char c;

    for (unsigned i = 0; i < s.rounds; i++) {
        spawn_one();
        kit_slow(slow_call);
        if (sim_shape(4)) { /* mostly nothing comes, and the deadline ends it */
            int64_t until = sim.now_ns + 3 * WINDOW_NS, late = sim.late_ns;
            ssize_t r = leat_read(s.fd[0], &c, 1, leat_at(until));

            sim_check(r == -ETIMEDOUT || r == 1 || r == -EBUSY, "a read gave %zd", r);
            if (r == -ETIMEDOUT && sim.config.time_permille == 0)
                sim_check(sim.now_ns - until - (sim.late_ns - late) < 60 * LEAT_MSEC,
                          "a deadline came %lld us late", (long long)(sim.now_ns - until) / 1000);
        } else {
            ssize_t r = leat_write(s.fd[1], "x", 1, leat_after(WINDOW_NS));

            sim_check(r == -ETIMEDOUT || r == 1 || r == -EBUSY, "a write gave %zd", r);
        }
        if (sim_shape(2))
            outside();
    }
    s.done++;
}

static int slow_main(void *arg)
{
    (void)arg;
    open_fds();
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(slow_reader) == 0, "go failed");
    kit_await(&s.done, s.goal, "readers");
    kit_await(&s.ran, s.spawned, "those who waited");
    close_fds();
    return 0;
}

void scenario_retake_slow(void)
{
    leat_config config = config_of(1 + sim_shape(3));

    reset();
    s.goal = 1 + sim_shape(3);
    s.rounds = 1 + sim_shape(5);
    kit_run_config(&config, 0, slow_main, NULL);
}

/* --- the end of the run --- */

static void endless(void)
{
    while (!leat_cancelled()) {
        spawn_one();
        outside();
        if (sim_shape(2))
            call();
    }
    s.done++;
}

static int end_main(void *arg)
{
    (void)arg;
    open_fds();
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(endless) == 0, "go failed");
    for (unsigned i = sim_shape(6); i > 0; i--) {
        outside();
        leat_yield();
    }
    close_fds();
    return 0;
}

void scenario_retake_end(void)
{
    leat_config config = config_of(1 + sim_shape(3));

    reset();
    s.goal = 1 + sim_shape(3);
    kit_run_config(&config, sim_shape(2) ? SIM_FAULT_LATE_THREAD : 0, end_main, NULL);
    sim_check(s.done == s.goal, "%u of %u hogs ended", s.done, s.goal);
}

/* --- spare workers --- */

/* The time at which some spare worker has waited for long enough. */
static int64_t spare_until(void)
{
    int64_t first = 0;

    for (unsigned i = 0; i < sim.nr_threads; i++) {
        const struct sim_thread *t = &sim.thread[i];

        if (t->state == SIM_BLOCKED && !strncmp(t->name, "leat-", 5) &&
            t->until_ns != SIM_FOREVER && t->until_ns > sim.now_ns + 4 * LEAT_SEC &&
            (!first || t->until_ns < first))
            first = t->until_ns;
    }
    return first;
}

static void blocker(void)
{
    kit_block(3 * LEAT_MSEC);
    s.done++;
}

static void blockers(unsigned n)
{
    s.goal += n;
    for (unsigned i = 0; i < n; i++)
        sim_check(go(blocker) == 0, "go failed");
}

/*
 * Some are taken, so that there are spare ones; then, as those have waited for long, others are
 * taken.
 */
static int spares_main(void *arg)
{
    (void)arg;
    blockers(5);
    kit_await(&s.done, s.goal, "who blocks");
    for (unsigned i = 0; i < 2; i++) {
        int64_t until = spare_until();

        if (!until)
            break;
        (void)leat_sleep_until(leat_at(until - LEAT_MSEC - (int64_t)sim_shape(500) * LEAT_USEC));
        blockers(5);
        kit_await(&s.done, s.goal, "who blocks");
    }
    return 0;
}

/* Some have left, and their threads are not all joined yet: there is room for as many new ones. */
static int left_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        int64_t until;

        blockers(6);
        kit_await(&s.done, s.goal, "who blocks");
        until = spare_until();
        if (until)
            (void)leat_sleep_until(leat_at(until + (int64_t)sim_shape(200) * 20 * LEAT_USEC));
    }
    return 0;
}

void scenario_retake_left(void)
{
    leat_config config = config_of(1);

    config.retake_us = 20;
    config.max_threads = 4 + sim_shape(4);
    reset();
    kit_run_config(&config, sim_shape(2) ? SIM_FAULT_LATE_THREAD : 0, left_main, NULL);
}

void scenario_retake_spares(void)
{
    leat_config config = config_of(1);

    config.retake_us = 20;
    reset();
    kit_run_config(&config, 0, spares_main, NULL);
}

/* --- a process that was stopped --- */

/* As SIGSTOP and SIGCONT: nobody runs for a second. */
static void stop_all(void)
{
    for (unsigned i = 0; i < sim.nr_threads; i++) {
        struct sim_thread *t = &sim.thread[i];

        t->late_until_ns = sim.now_ns + LEAT_SEC;
        if (t->state == SIM_BLOCKED && t->computes) { /* goes on where it was */
            t->until_ns += LEAT_SEC;
            t->blocked_ns += LEAT_SEC;
        }
    }
    sim.late_ns += LEAT_SEC;
}

static void *stopper(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        (void)lea_os_sleep_until(sim.now_ns + (int64_t)sim_shape(60) * 10 * LEAT_USEC);
        stop_all();
        sim_point();
    }
    s.stop = true;
    return NULL;
}

/* Short turns only. */
static int late_main(void *arg)
{
    struct sim_thread *t = kit_thread(stopper, NULL);

    (void)arg;
    while (!s.stop) {
        spawn_one();
        kit_burn(20 * LEAT_USEC);
        leat_yield();
    }
    kit_join(t);
    kit_await(&s.ran, s.spawned, "those who waited");
    (void)leat_stats_run(&s.stats);
    sim_check(s.stats.retaken_hogs + s.stats.retaken_blocked == 0 || sim.config.time_permille,
              "%llu processors were taken though nobody stayed outside for long",
              (unsigned long long)(s.stats.retaken_hogs + s.stats.retaken_blocked));
    return 0;
}

void scenario_retake_late(void)
{
    leat_config config = config_of(1 + sim_shape(2));

    config.retake_us = 2000;
    sim.no_cpu_clock = sim_shape(2);
    reset();
    kit_run_config(&config, 0, late_main, NULL);
}

/* --- how soon --- */

static void hog_once(bool computes)
{
    if (computes)
        kit_burn(100 * LEAT_MSEC);
    else
        kit_block(100 * LEAT_MSEC);
    s.done++;
}

static int soon_main(void *arg)
{
    bool computes = sim_shape(2);

    (void)arg;
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(hog_once, computes) == 0, "go failed");
    for (unsigned i = 0; i < 30; i++) {
        int64_t until = sim.now_ns + LEAT_MSEC;

        (void)leat_sleep_until(leat_at(until));
        if (sim.now_ns - until > s.worst_ns)
            s.worst_ns = sim.now_ns - until;
    }
    if (sim.config.time_permille == 0)
        sim_check(s.worst_ns < 10 * LEAT_MSEC, "a sleeper woke %lld us late behind %u that %s",
                  (long long)s.worst_ns / 1000, s.goal, computes ? "compute" : "block");
    kit_await(&s.done, s.goal, "hogs");
    return 0;
}

void scenario_retake_soon(void)
{
    leat_config config = config_of(1 + sim_shape(2));

    config.retake_us = 2000;
    config.slice_us = 10000;
    reset();
    s.goal = 1 + sim_shape(2) * config.procs;
    kit_run_config(&config, 0, soon_main, NULL);
}

/* --- one after the other --- */

/*
 * Whoever takes over a processor blocks it too, until all have. A period of the monitor is a
 * millisecond at least.
 */
static void row_one(void)
{
    leat_yield(); /* it has begun: a sleeper is in turn with those that have not */
    hog_once(false);
}

static int row_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < s.goal; i++)
        sim_check(go(row_one) == 0, "go failed");
    leat_yield();
    for (unsigned i = 0; i < 10; i++) {
        int64_t until = sim.now_ns + LEAT_MSEC;

        (void)leat_sleep_until(leat_at(until));
        if (sim.now_ns - until > s.worst_ns)
            s.worst_ns = sim.now_ns - until;
    }
    if (sim.config.time_permille == 0)
        sim_check(s.worst_ns < 6 * LEAT_MSEC, "a sleeper woke %lld us late behind %u that block",
                  (long long)s.worst_ns / 1000, s.goal);
    kit_await(&s.done, s.goal, "who blocks");
    return 0;
}

void scenario_retake_row(void)
{
    leat_config config = config_of(1 + sim_shape(2));

    config.max_threads = 16;
    config.retake_us = 2000;
    config.slice_us = 10000;
    reset();
    s.goal = (4 + sim_shape(3)) * config.procs;
    kit_run_config(&config, 0, row_main, NULL);
}
