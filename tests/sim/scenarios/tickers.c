/*
 * Scenarios: timers and tickers as objects, by plain threads alone and under the whole scheduler.
 * Books are kept of what was started, taken and prevented. The timer lies in memory that is
 * watched.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

/* As for sleepers: the monitor's longest pause, and some. */
#define LATE_NS 13000000

static struct {
    leat_timer *t;
    unsigned started, prevented, taken, gave_up, ended;
    int64_t at, period_ns, rest_ns;
    leat_handle *handle[4];
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.t = sim_arena_alloc(sizeof(*s.t), 64);
}

/* --- last touch --- */

static void *start_thread(void *arg)
{
    (void)leat_timer_start(s.t, leat_at((int64_t)(uintptr_t)arg));
    return NULL;
}

static void *free_thread(void *arg)
{
    int r = leat_timer_wait(s.t, LEAT_FOREVER);

    (void)arg;
    sim_check(r == 0, "waiting gave %d", r);
    sim_arena_free(s.t, sizeof(*s.t));
    return NULL;
}

void scenario_tick_free(void)
{
    struct sim_thread *t[2];
    int64_t at = sim_shape(2) ? 0 : sim.now_ns + 300;

    reset();
    if (sim_shape(2))
        (void)leat_timer_start(s.t, LEAT_FOREVER);
    t[0] = kit_thread(free_thread, NULL);
    t[1] = kit_thread(start_thread, (void *)(uintptr_t)at);
    kit_join(t[0]);
    kit_join(t[1]);
}

/* --- taken or prevented --- */

static void start_at(int64_t at)
{
    s.prevented += leat_timer_start(s.t, leat_at(at));
    s.started++;
}

static void stop(void)
{
    s.prevented += leat_timer_stop(s.t);
}

/* patience < 0: for ever */
static void wait_once(int64_t patience_ns)
{
    int64_t until = sim.now_ns + patience_ns;
    int r = leat_timer_wait(s.t, patience_ns < 0 ? LEAT_FOREVER : leat_at(until));

    if (r == 0)
        s.taken++;
    else
        s.gave_up++;
    sim_check(r == 0 || (r == -ETIMEDOUT && patience_ns >= 0 && sim.now_ns >= until) ||
                  r == -ECANCELED,
              "waiting gave %d", r);
    sim_check(patience_ns < 0 || sim.now_ns - until < LATE_NS || sim.config.time_permille ||
                  sim.late_ns,
              "given up %lld us late", (long long)(sim.now_ns - until) / 1000);
    s.ended++;
}

static void *wait_thread(void *arg)
{
    wait_once((int64_t)(intptr_t)arg);
    return NULL;
}

/* Starts, puts off, brings forward, stops. */
static void play(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        switch (sim_shape(4)) {
        case 0:
            start_at(sim.now_ns - 5);
            break;
        case 1:
            start_at(sim.now_ns + sim_shape(10) * 100);
            break;
        case 2:
            start_at(sim.now_ns + LEAT_SEC);
            break;
        default:
            stop();
        }
        if (sim_shape(3) == 0)
            (void)lea_os_sleep_until(sim.now_ns + sim_shape(10) * 100);
        sim_point();
    }
}

static void books(unsigned waiters)
{
    sim_check(s.taken + s.prevented == s.started, "%u taken and %u prevented of %u ticks", s.taken,
              s.prevented, s.started);
    sim_check(s.ended == waiters, "%u of %u have ended", s.ended, waiters);
    sim_check(leat_timer_try(s.t) == -EAGAIN, "a tick is left over");
    sim_check(s.t->word_[1] == 0, "somebody is still in the list at the end");
}

void scenario_tick_threads(void)
{
    struct sim_thread *t[2];
    unsigned n = 1 + sim_shape(2);

    reset();
    for (unsigned i = 0; i < n; i++)
        t[i] = kit_thread(wait_thread,
                          (void *)(intptr_t)(sim_shape(2) ? -1 : (int)sim_shape(8) * 200));
    play(1 + sim_shape(3));
    while (*(volatile unsigned *)&s.ended <
           n) { /* a tick for each, at once: nobody may sleep through it */
        int64_t at = sim.now_ns + sim_shape(3) * 100;
        unsigned ended = s.ended;

        start_at(at);
        while (*(volatile unsigned *)&s.ended == ended) {
            (void)lea_os_sleep_until(sim.now_ns + 5000);
            sim_check(sim.now_ns - at < LEAT_MSEC || sim.late_ns, "a tick was slept through");
        }
    }
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
    stop();
    books(n);
}

static int once_main(void *arg)
{
    unsigned n = 1 + sim_shape(4), threads = sim_shape(2), cancel = sim_shape(2);
    struct sim_thread *t = NULL;

    (void)arg;
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_go_join(&s.handle[i], wait_once,
                               sim_shape(2) ? (int64_t)-1 : (int64_t)sim_shape(40) * 5000) == 0,
                  "no coroutine");
    if (threads)
        t = kit_thread(wait_thread, (void *)(intptr_t)(sim_shape(2) ? -1 : 20000));
    for (unsigned i = 0; i < 1 + sim_shape(4); i++) {
        play(1 + sim_shape(2));
        (void)leat_sleep((int64_t)sim_shape(20) * 5000);
    }
    if (cancel)
        leat_cancel(s.handle[sim_shape(n)]);
    for (int64_t until = sim.now_ns + 10 * LEAT_SEC;
         *(volatile unsigned *)&s.ended < n + threads;) {
        start_at(sim.now_ns + (int64_t)sim_shape(3) * 100);
        (void)leat_sleep(LEAT_MSEC);
        sim_check(sim.now_ns < until, "%u of %u have taken a tick", s.ended, n + threads);
    }
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    if (t)
        kit_join(t);
    stop();
    books(n + threads);
    return 0;
}

void scenario_tick_once(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, once_main, NULL);
}

/* --- one that goes on --- */

/* Ticks that have come since the start. */
static unsigned ticks(void)
{
    return sim.now_ns < s.at ? 0 : 1 + (unsigned)((sim.now_ns - s.at) / s.period_ns);
}

static void take_ticks(unsigned n)
{
    unsigned before = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned begun = ticks();
        int r = leat_timer_wait(s.t, LEAT_FOREVER);

        sim_check(r == 0, "waiting for a ticker gave %d", r);
        s.taken++;
        sim_check(i == 0 || ticks() > before, "a second tick within the period of the one before");
        before = begun;
        sim_check(s.taken <= ticks(), "%u ticks taken of %u", s.taken, ticks());
        if (s.rest_ns && i % 2)
            (void)leat_sleep(s.rest_ns);
    }
    s.ended++;
}

static void *take_thread(void *arg)
{
    take_ticks((unsigned)(uintptr_t)arg);
    return NULL;
}

static int ticker_main(void *arg)
{
    unsigned n = 1 + sim_shape(3), each = 1 + sim_shape(4), threads = sim_shape(2);
    struct sim_thread *t = NULL;

    (void)arg;
    s.period_ns = (int64_t)(1 + sim_shape(40)) * 5000;
    s.rest_ns = (int64_t)sim_shape(3) * 40000;
    s.at = sim.now_ns + (int64_t)sim_shape(3) * 20000 - 20000;
    for (unsigned i = 0; i < n; i++)
        sim_check(go(take_ticks, each) == 0, "no coroutine");
    if (threads)
        t = kit_thread(take_thread, (void *)(uintptr_t)each);
    (void)leat_timer_start_every(s.t, leat_at(s.at), s.period_ns);
    kit_await(&s.ended, n + threads, "those who take ticks");
    if (t)
        kit_join(t);
    sim_check(leat_timer_stop(s.t), "the ticker has stopped by itself");
    sim_check(leat_timer_try(s.t) == -EAGAIN, "a tick after the stop");
    sim_check(s.t->word_[1] == 0, "somebody is still in the list at the end");
    return 0;
}

void scenario_ticker(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, ticker_main, NULL);
}

/* --- coroutines that begin later --- */

#define LATE_MAX 6

static struct {
    int64_t at[LATE_MAX];
    bool begun[LATE_MAX], forbidden[LATE_MAX];
    leat_handle *handle[LATE_MAX];
    unsigned nr_begun;
} l;

static void late(unsigned i)
{
    sim_check(!l.forbidden[i], "it begins, and was cancelled before its time");
    sim_check(sim.now_ns >= l.at[i], "%lld ns too early", (long long)(l.at[i] - sim.now_ns));
    sim_check(sim.now_ns - l.at[i] < LATE_NS || sim.config.time_permille || sim.late_ns,
              "%lld us late", (long long)(sim.now_ns - l.at[i]) / 1000);
    sim_check(!l.begun[i], "it begins a second time");
    l.begun[i] = true;
    l.nr_begun++;
}

static void late_go(unsigned i)
{
    leat_attr attr = {.start = leat_at(l.at[i] = sim.now_ns + (int64_t)sim_shape(50) * 2000)};

    sim_check(leat_go_join_attr(&l.handle[i], &attr, late, i) == 0, "no coroutine");
}

static void *late_thread(void *arg)
{
    late_go((unsigned)(uintptr_t)arg);
    return NULL;
}

static void late_cancel(unsigned i)
{
    leat_cancel(l.handle[i]);
    if (!l.begun[i] && sim.now_ns < l.at[i])
        l.forbidden[i] = true;
}

static void *late_cancel_thread(void *arg)
{
    late_cancel((unsigned)(uintptr_t)arg);
    return NULL;
}

static int late_main(void *arg)
{
    unsigned n = 1 + sim_shape(LATE_MAX - 1), outside = sim_shape(2), cancels = sim_shape(3);
    struct sim_thread *t = NULL;

    (void)arg;
    for (unsigned i = 0; i < n; i++)
        if (i + outside < n)
            late_go(i);
        else
            t = kit_thread(late_thread, (void *)(uintptr_t)i);
    if (t)
        kit_join(t);
    t = NULL;
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(50) * 2000);
    for (unsigned i = 0; i < cancels && i < n; i++)
        if (i % 2)
            t = kit_thread(late_cancel_thread, (void *)(uintptr_t)i);
        else
            late_cancel(i);
    for (unsigned i = 0; i < n; i++) {
        leat_result r = 1;

        if (t && i == 1)
            kit_join(t);
        sim_check(leat_join(l.handle[i], &r, LEAT_FOREVER) == 0, "it does not end");
        sim_check(r == (l.begun[i] ? 0 : -ECANCELED), "its result is %lld", (long long)r);
        sim_check(l.begun[i] || i < cancels, "it has not begun, and nobody has cancelled it");
    }
    return 0;
}

void scenario_late(void)
{
    memset(&l, 0, sizeof(l));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, late_main, NULL);
}
