/*
 * Scenarios of turns that do not end: whoever waits behind them runs elsewhere, whatever woke it.
 */
#include "kit.h"

#include "all.h"
#include "sched/sched.h"

struct hog {
    unsigned done;
    int64_t ran_ns;
};

static void note_time(struct hog *h)
{
    h->ran_ns = sim.now_ns;
    h->done++;
}

/* The turn does not end: whoever waits behind it runs all the same, and soon. */
static void compute_on(struct hog *h, const char *who)
{
    int64_t begin = sim.now_ns;

    kit_burn(40 * LEAT_MSEC);
    if (sim.config.time_permille == 0)
        sim_check(h->done && h->ran_ns - begin < 20 * LEAT_MSEC,
                  "a %s waited behind a hog, beside an idle processor", who);
    kit_await(&h->done, 1, who);
}

/* Readies one and computes on: it waits in the next slot, with its wake-up owed. */
static int hog_main(void *arg)
{
    struct hog h = {0};

    (void)arg;
    if (sim_shape(4) == 0)
        (void)leat_sleep(4 * LEAT_SEC); /* the monitor has gone to sleep for good by now */
    sim_check(go(note_time, &h) == 0, "go failed");
    compute_on(&h, "coroutine");
    return 0;
}

void scenario_hog(void)
{
    kit_run(2 + sim_shape(2), 0, hog_main, NULL);
}

static void hog_both(struct hog *h)
{
    sim_check(go(note_time, h) == 0, "go failed");
    kit_burn(40 * LEAT_MSEC);
}

static int64_t moment_end_ns;
static struct lea_runtime *moment_rt;

/* Waits for the very moment at which the monitor falls asleep for good. */
static void *moment_thread(void *arg)
{
    const struct sim_thread *monitor = kit_thread_called("leat-monitor");

    for (unsigned looks = 0; monitor && looks < 5000 && sim.now_ns < moment_end_ns; looks++) {
        if (monitor->until_ns == SIM_FOREVER ||
            (monitor->nr_buffered &&
             monitor->buffer[0].addr == (uintptr_t)&moment_rt->monitor.asleep))
            break;
        if (monitor->state == SIM_BLOCKED)
            (void)sim_block("the monitor's next look", 0, monitor->until_ns);
        else
            sim_yield();
    }
    sim_check(go(hog_both, arg) == 0, "go failed");
    return NULL;
}

/* A processor leaves idleness as the monitor goes to sleep: one of them sees the other. */
static int monitor_main(void *arg)
{
    struct hog h = {0};
    struct sim_thread *t;

    (void)arg;
    moment_rt = lea_rt();
    moment_end_ns = sim.now_ns + 3 * LEAT_SEC;
    t = kit_thread(moment_thread, &h);
    (void)leat_sleep(4 * LEAT_SEC);
    kit_join(t);
    kit_await(&h.done, 1, "who was behind the hog");
    return 0;
}

void scenario_monitor(void)
{
    kit_run(2, 0, monitor_main, NULL);
}

static void sleeper(struct hog *h)
{
    (void)leat_sleep(2 * LEAT_MSEC);
    note_time(h);
}

static leat_waitgroup *hog_wg;

static void waiter(struct hog *h)
{
    sim_check(leat_wg_wait(hog_wg, LEAT_FOREVER) == 0, "the wait failed");
    note_time(h);
}

/* The same for one that has begun already, and is readied again: it waits in the next slot. */
static int hog_next_main(void *arg)
{
    struct hog h = {0};
    leat_waitgroup wg = {0};

    (void)arg;
    hog_wg = &wg;
    leat_wg_add(&wg, 1);
    sim_check(go(waiter, &h) == 0, "go failed");
    (void)leat_sleep(sim_shape(2) ? LEAT_MSEC : 4 * LEAT_SEC);
    leat_wg_done(&wg);
    compute_on(&h, "coroutine");
    return 0;
}

void scenario_hog_next(void)
{
    kit_run(2, 0, hog_next_main, NULL);
}

/* Timers of a processor whose turn does not end fire elsewhere. */
static int hog_timer_main(void *arg)
{
    struct hog h = {0};

    (void)arg;
    sim_check(go(sleeper, &h) == 0, "go failed");
    leat_yield();
    (void)leat_sleep(LEAT_MSEC / 2);
    compute_on(&h, "timer");
    return 0;
}

void scenario_hog_timer(void)
{
    kit_run(2, 0, hog_timer_main, NULL);
}

static void shift(unsigned *ended)
{
    for (unsigned i = 0; i < 70; i++) /* a batch of turns is 61 by now */
        leat_yield();
    for (unsigned i = 0; i < 20; i++) {
        kit_burn(3 * LEAT_MSEC);
        leat_yield();
    }
    (*ended)++;
}

/*
 * Turns that are short, and then long: whoever sleeps meanwhile wakes up after some of them, not
 * after a whole batch.
 */
static int shift_main(void *arg)
{
    struct hog h = {0};
    unsigned ended = 0;
    int64_t begin;

    (void)arg;
    for (unsigned i = 0; i < 2; i++)
        sim_check(go(shift, &ended) == 0, "go failed");
    sim_check(go(sleeper, &h) == 0, "go failed");
    begin = sim.now_ns;
    kit_await(&ended, 2, "whose turns are long");
    if (sim.config.time_permille == 0)
        sim_check(h.done && h.ran_ns - begin < 40 * LEAT_MSEC,
                  "a timer waited for a batch of long turns");
    return 0;
}

void scenario_shift(void)
{
    kit_run(1, 0, shift_main, NULL);
}
