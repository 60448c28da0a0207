/*
 * Scenarios: threads of the program's that are attached to a run, beside coroutines, its end, and
 * the deadlock report.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define THREADS_MAX 3
#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

static struct {
    leat_mutex mutex;
    leat_event event;
    leat_chan *ch;
    leat_waitgroup never;
    unsigned counter, ended, attached, destroyed, reported;
    bool in, stuck, over;
} s;

static bool waited(int r)
{
    return r == 0 || r == -ETIMEDOUT || r == -ECANCELED;
}

static leat_result answers(int n)
{
    leat_yield();
    return n + 1;
}

static void wait_somehow(void)
{
    leat_result result = 0;
    leat_handle *h;
    int r;

    switch (sim_shape(7)) {
    case 0:
        leat_yield();
        break;
    case 1:
        sim_check(waited(leat_sleep((int64_t)sim_shape(30) * 1000)), "a sleep");
        break;
    case 2:
        leat_mutex_lock(&s.mutex);
        sim_check(!s.in, "two hold the mutex");
        s.in = true;
        s.counter++;
        if (sim_shape(2))
            leat_yield();
        s.in = false;
        leat_mutex_unlock(&s.mutex);
        break;
    case 3:
        sim_check(waited(leat_event_wait(&s.event, leat_after((int64_t)sim_shape(50) * 1000))),
                  "an event");
        break;
    case 4:
        leat_event_set(&s.event);
        break;
    case 5:
        r = leat_go_join(&h, answers, 4);
        if (r == 0) {
            r = leat_join(h, &result, LEAT_FOREVER);
            if (r == -ECANCELED)
                leat_detach(h);
            else
                sim_check(r == 0 && (result == 5 || result == -ECANCELED), "a join gave %d", r);
        }
        break;
    default:
        r = leat_chan_send(s.ch, &s.counter, leat_after((int64_t)sim_shape(20) * 1000));
        sim_check(waited(r), "a send gave %d", r);
        r = leat_chan_recv(s.ch, NULL, leat_after((int64_t)sim_shape(20) * 1000));
        sim_check(waited(r), "a receive gave %d", r);
        break;
    }
}

static void destroy(void *value)
{
    (void)value;
    leat_yield();
    s.destroyed++;
}

static leat_local key = {destroy};

/* One that is attached for a while, so often; the last time it may end like that. */
static void *outsider(void *arg)
{
    unsigned rounds = 1 + sim_shape(4), forgets = sim_shape(3) == 0;
    bool must = arg != NULL;

    for (unsigned n = 0; n < rounds; n++) {
        const struct sim_thread *self = sim.self;
        int r = leat_attach_thread(n ? "outsider" : NULL);

        sim_check(r == 0 || r == -EAGAIN || r == -ENOMEM || (!must && r == -ESHUTDOWN),
                  "attaching gave %d", r);
        if (r == -ESHUTDOWN && s.over)
            break;
        if (r < 0) {
            (void)lea_os_sleep_until(sim.now_ns + 1000);
            continue;
        }
        s.attached++;
        sim_check(leat_self_id() != 0, "an attached thread is no coroutine");
        if (sim_shape(2) && leat_local_set(&key, &s) != 0)
            s.destroyed++; /* no memory */
        for (unsigned k = sim_shape(5); k > 0; k--)
            wait_somehow();
        sim_check(sim.self == self, "an attached thread is on another one");
        if (forgets && n + 1 == rounds)
            break;
        leat_detach_thread();
        sim_check(leat_self_id() == 0, "a thread is still attached");
    }
    s.ended++;
    return NULL;
}

static void insider(unsigned rounds)
{
    for (unsigned n = 0; n < rounds; n++)
        wait_somehow();
    s.ended++;
}

static struct sim_thread *outsiders[THREADS_MAX];

static int attach_main(void *arg)
{
    unsigned nr = 1 + sim_shape(THREADS_MAX), others = sim_shape(3);

    (void)arg;
    for (unsigned i = 0; i < nr; i++)
        outsiders[i] = kit_thread(outsider, &s);
    for (unsigned i = 0; i < others; i++)
        sim_check(go(insider, 1 + sim_shape(8)) == 0, "no coroutine");
    kit_await(&s.ended, nr + others, "threads and coroutines");
    for (unsigned i = 0; i < nr; i++)
        kit_join(outsiders[i]);
    return 0;
}

static leat_config config_of(unsigned threads)
{
    return (leat_config){.procs = kit_procs(2),
                         .slice_us = 100,
                         .max_threads = 4 + sim_shape(threads),
                         .shutdown_grace_ms = 100000};
}

static void begin(void)
{
    memset(&s, 0, sizeof(s));
    sim_check(leat_chan_make(&s.ch, sizeof(s.counter), sim_shape(2)) == 0, "no channel");
}

void scenario_attach(void)
{
    leat_config config = config_of(6);

    begin();
    kit_run_config(&config, sim_shape(2) ? SLOW_WORLD : 0, attach_main, NULL);
    leat_chan_unref(s.ch);
}

/* --- the end of a run --- */

static int end_main(void *arg)
{
    unsigned rounds = sim_shape(4);

    (void)arg;
    for (unsigned i = 0; i < 2; i++)
        sim_check(go(insider, 1 + sim_shape(4)) == 0, "no coroutine");
    for (unsigned n = 0; n < rounds; n++)
        wait_somehow();
    return 0;
}

void scenario_attach_end(void)
{
    unsigned nr = 1 + sim_shape(THREADS_MAX), runs = 1 + sim_shape(2);

    begin();
    for (unsigned i = 0; i < nr; i++)
        outsiders[i] = kit_thread(outsider, NULL);
    for (unsigned i = 0; i < runs; i++) {
        leat_config config = config_of(6);

        kit_run_config(&config, SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD, end_main, NULL);
    }
    s.over = true;
    for (unsigned i = 0; i < nr; i++)
        kit_join(outsiders[i]);
    leat_chan_unref(s.ch);
}

/* Stays in user code until the run gives up waiting for it, or a little before or after that. */
static void *stays(void *arg)
{
    sim_check(leat_attach_thread("stays") == 0, "not attached");
    s.attached++;
    (void)lea_os_sleep_until(sim.now_ns + (int64_t)(1 + sim_shape(40)) * LEAT_MSEC / 10);
    leat_detach_thread();
    return arg;
}

static int late_main(void *arg)
{
    unsigned nr = *(unsigned *)arg;

    for (unsigned i = 0; i < nr; i++)
        outsiders[i] = kit_thread(stays, NULL);
    kit_await(&s.attached, nr, "threads");
    return 0;
}

void scenario_attach_late(void)
{
    leat_config config = {.procs = kit_procs(2), .max_threads = 8, .shutdown_grace_ms = 1};
    unsigned nr = 1 + sim_shape(2);

    memset(&s, 0, sizeof(s));
    sim_check(leat_run_with(&config, late_main, &nr) == 0, "leat_run failed");
    for (unsigned i = 0; i < nr; i++)
        kit_join(outsiders[i]);
    sim_check(!strstr(sim_stderr, "memory of this run"), "memory is left behind");
}

/* --- deadlocks --- */

static void on_deadlock(void *arg)
{
    (void)arg;
    sim_check(s.stuck, "reported, and a thread was still to come");
    s.stuck = false;
    s.reported++;
    leat_wg_done(&s.never);
}

/* Until the monitor looks: some time after something has moved, or again. */
static void nap(void)
{
    for (unsigned n = 1 + sim_shape(4); n > 0; n--) {
        const struct sim_thread *t = kit_thread_called("leat-monitor");
        int64_t at = sim.now_ns + 20 * LEAT_MSEC;

        if (t && t->state == SIM_BLOCKED && t->until_ns > sim.now_ns && t->until_ns < at)
            at = t->until_ns;
        (void)lea_os_sleep_until(at + (int64_t)sim_shape(3) * 100);
    }
    for (unsigned n = sim_shape(12); n > 0; n--)
        sim_point();
}

static void *comes_and_goes(void *arg)
{
    unsigned rounds = 1 + sim_shape(3);
    bool waits = *(bool *)arg;

    for (unsigned n = 0; n < rounds; n++) {
        nap();
        sim_check(leat_attach_thread("comes and goes") == 0, "not attached");
        if (sim_shape(2))
            nap();
        if (waits && n + 1 == rounds)
            break;
        leat_detach_thread();
    }
    if (waits) {
        s.stuck = true;
        sim_check(leat_wg_wait(&s.never, LEAT_FOREVER) == 0, "the wait failed");
        leat_detach_thread();
    } else {
        nap();
        leat_wg_done(&s.never);
    }
    s.ended++;
    return NULL;
}

static int stuck_main(void *arg)
{
    struct sim_thread *t = kit_thread(comes_and_goes, arg);

    leat_wg_add(&s.never, 1);
    sim_check(leat_wg_wait(&s.never, LEAT_FOREVER) == 0, "the wait failed");
    kit_await(&s.ended, 1, "the thread");
    kit_join(t);
    return 0;
}

void scenario_attach_stuck(void)
{
    leat_config config = {
        .procs = kit_procs(2), .slice_us = 100, .max_threads = 8, .on_deadlock = on_deadlock};
    bool waits = sim_shape(2);

    memset(&s, 0, sizeof(s));
    kit_run_config(&config, sim_shape(2) ? SLOW_WORLD : 0, stuck_main, &waits);
    sim_check(s.reported == (unsigned)waits, "reported %u times", s.reported);
}
