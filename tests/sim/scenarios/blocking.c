/*
 * Scenarios: calls that hang, on threads of the pool.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define CALLERS_MAX 6
#define HERE __builtin_return_address(0)

static struct {
    leat_waitgroup over; /* no bound in time: clocks jump to where idle threads leave */
    unsigned running, most;
    unsigned ran[CALLERS_MAX], rounds;
    bool sleeps;
} s;

/* On a thread of the pool. The argument lies on the caller's stack. */
static leat_result job(void *arg)
{
    unsigned *value = arg;

    sim_touch(value, sizeof(*value), true, HERE);
    s.running++;
    s.most = s.running > s.most ? s.running : s.most;
    if (s.sleeps)
        (void)lea_os_sleep_until(sim.now_ns + 200 * LEAT_USEC);
    s.running--;
    sim_touch(value, sizeof(*value), true, HERE);
    *value += 1;
    return (leat_result)*value;
}

static void caller(unsigned i, int64_t span_ns)
{
    for (unsigned n = 0; n < s.rounds; n++) {
        unsigned value = 41;
        leat_result r = 0;
        int err = leat_blocking(job, &value, &r, span_ns ? leat_after(span_ns) : LEAT_FOREVER);

        sim_touch(&value, sizeof(value), true, HERE);
        sim_check(err == 0 || err == -EAGAIN || (span_ns && err == -ETIMEDOUT) || err == -ECANCELED,
                  "a blocking call gave %d", err);
        sim_check(err == 0 ? value == 42 && r == 42 : value == 41, "after %d the value is %u", err,
                  value);
        s.ran[i] += err == 0;
        if (span_ns)
            (void)leat_sleep(span_ns);
    }
    leat_wg_done(&s.over);
}

static void begin(void)
{
    memset(&s, 0, sizeof(s));
    s.sleeps = sim_shape(2);
    s.rounds = 1 + sim_shape(3);
}

static int blocking_main(void *arg)
{
    unsigned n = 1 + sim_shape(CALLERS_MAX);
    bool deadlines = sim_shape(2);

    (void)arg;
    leat_wg_add(&s.over, (int)n);
    for (unsigned i = 0; i < n; i++)
        sim_check(go(caller, i, deadlines ? (int64_t)(50 + 60 * i) * LEAT_USEC : (int64_t)0) == 0,
                  "no coroutine");
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    for (unsigned i = 0; !deadlines && i < n; i++)
        sim_check(s.ran[i] == s.rounds, "caller %u ran %u of %u", i, s.ran[i], s.rounds);
    return 0;
}

void scenario_blocking(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 1 + sim_shape(3),
                          .shutdown_grace_ms = 100000};

    begin();
    kit_run_config(&config, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD,
                   blocking_main, NULL);
    sim_check(s.most <= config.blocking_threads, "%u jobs at once on %u threads", s.most,
              config.blocking_threads);
}

/* --- jobs that wait for each other --- */

/* Ends when all of them have begun. */
static leat_result meet(void *arg)
{
    const unsigned *all = arg;

    s.running++;
    while (*(volatile unsigned *)&s.running < *all)
        (void)lea_os_sleep_until(sim.now_ns + 10 * LEAT_USEC);
    return 0;
}

static void meeter(unsigned *all)
{
    sim_check(leat_blocking(meet, all, NULL, LEAT_FOREVER) == 0, "a job did not run");
    leat_wg_done(&s.over);
}

static int meet_main(void *arg)
{
    unsigned *all = arg;

    leat_wg_add(&s.over, (int)*all);
    for (unsigned i = 0; i < *all; i++)
        sim_check(go(meeter, all) == 0, "no coroutine");
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    return 0;
}

void scenario_blocking_meet(void)
{
    unsigned all = 2 + sim_shape(3);
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = all,
                          .shutdown_grace_ms = 100000};

    begin();
    kit_run_config(&config, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD, meet_main,
                   &all);
}

/* --- cancelled, queued and begun --- */

static long cancelled_caller(unsigned *value)
{
    return leat_blocking(job, value, NULL, LEAT_FOREVER);
}

static int cancel_main(void *arg)
{
    unsigned value[3] = {0};
    leat_handle *h[3];

    (void)arg;
    for (int i = 0; i < 3; i++)
        sim_check(leat_go_join(&h[i], cancelled_caller, &value[i]) == 0, "no coroutine");
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(300) * LEAT_USEC);
    for (int i = 0; i < 3; i++)
        leat_cancel(h[i]);
    for (int i = 0; i < 3; i++) {
        leat_result r;

        sim_check(leat_join(h[i], &r, LEAT_FOREVER) == 0, "no join");
        sim_touch(&value[i], sizeof(value[i]), false, HERE);
        sim_check((r == 0 && value[i] == 1) || (r == -ECANCELED && value[i] == 0),
                  "cancelled: %lld, and the job ran %u times", (long long)r, value[i]);
    }
    return 0;
}

void scenario_blocking_cancel(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 1,
                          .shutdown_grace_ms = 100000};

    begin();
    kit_run_config(&config, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD,
                   cancel_main, NULL);
}

/* --- idle threads leave, and work comes as they do --- */

static int idle_main(void *arg)
{
    (void)arg;
    for (unsigned n = 0; n < 3; n++) {
        unsigned value = 41;

        sim_check(leat_blocking(job, &value, NULL, LEAT_FOREVER) == 0 && value == 42,
                  "a job did not run");
        /* about when an idle thread leaves */
        (void)leat_sleep(5 * LEAT_SEC - 20 * LEAT_USEC + (int64_t)sim_shape(40) * LEAT_USEC);
    }
    return 0;
}

void scenario_blocking_idle(void)
{
    leat_config config = {
        .procs = 1, .max_threads = 10, .blocking_threads = 2, .shutdown_grace_ms = 100000};

    begin();
    s.sleeps = false;
    kit_run_config(&config, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS, idle_main, NULL);
}

/* --- threads and workers that look out before they sleep --- */

static leat_result quick(void *arg)
{
    unsigned *value = arg;

    sim_touch(value, sizeof(*value), true, HERE);
    if (s.sleeps)
        (void)lea_os_sleep_until(sim.now_ns + (int64_t)sim_shape(30) * LEAT_USEC);
    *value += 1;
    return 0;
}

/* The next job comes as the thread that has ended the last one ceases to look out, or about then. */
static void quick_caller(unsigned i)
{
    for (unsigned n = 0; n < s.rounds; n++) {
        unsigned value = 0;
        int err = leat_blocking(quick, &value, NULL, LEAT_FOREVER);

        sim_touch(&value, sizeof(value), false, HERE);
        sim_check(err == 0 && value == 1, "a job gave %d, and ran %u times", err, value);
        s.ran[i]++;
        if (sim_shape(4))
            kit_burn(18 * LEAT_USEC + (int64_t)sim_shape(100) * 40);
        else
            (void)leat_sleep((int64_t)sim_shape(40) * LEAT_USEC);
    }
    leat_wg_done(&s.over);
}

static int lookout_main(void *arg)
{
    unsigned n = 1 + sim_shape(2);

    (void)arg;
    leat_wg_add(&s.over, (int)n);
    for (unsigned i = 0; i < n; i++)
        sim_check(go(quick_caller, i) == 0, "no coroutine");
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    for (unsigned i = 0; i < n; i++)
        sim_check(s.ran[i] == s.rounds, "caller %u ran %u of %u", i, s.ran[i], s.rounds);
    return 0;
}

void scenario_blocking_lookout(void)
{
    leat_config config = {.procs = 1 + (sim_shape(4) == 0),
                          .max_threads = 10,
                          .blocking_threads = 1 + sim_shape(2),
                          .shutdown_grace_ms = 100000};

    begin();
    s.rounds = 2 + sim_shape(6);
    kit_run_config(&config, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS, lookout_main, NULL);
}

/* --- threads refused --- */

static int refused_main(void *arg)
{
    unsigned n = 1 + sim_shape(4);

    (void)arg;
    leat_wg_add(&s.over, (int)n);
    sim.faults |= SIM_FAULT_THREAD;
    for (unsigned i = 0; i < n; i++)
        while (go(caller, i, (int64_t)0) < 0)
            (void)leat_sleep(LEAT_MSEC);
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    return 0;
}

void scenario_blocking_refused(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 2,
                          .shutdown_grace_ms = 100000};

    begin();
    kit_run_config(&config, 0, refused_main, NULL);
}

/* --- threads refused, and jobs that run until they are asked to end --- */

static leat_result patient(void *arg)
{
    int64_t until_ns = *(const int64_t *)arg + LEAT_SEC;

    while (!leat_cancelled()) {
        sim_check(sim.now_ns < until_ns, "a job was not asked to end, a second after its time");
        (void)lea_os_sleep_until(sim.now_ns + LEAT_MSEC);
    }
    return 0;
}

/* The first ones find no thread, and wait for the next try, as a later one gets one. */
static void impatient(unsigned i)
{
    int64_t until_ns;
    int err;

    (void)leat_sleep((int64_t)i * (1 + sim_shape(8)) * LEAT_MSEC);
    until_ns = leat_now() + 30 * LEAT_MSEC;
    err = leat_blocking(patient, &until_ns, NULL, leat_at(until_ns));
    sim_check(err == 0 || err == -EAGAIN || err == -ETIMEDOUT, "a blocking call gave %d", err);
    leat_wg_done(&s.over);
}

static int asked_main(void *arg)
{
    unsigned n = 2 + sim_shape(3);

    (void)arg;
    leat_wg_add(&s.over, (int)n);
    sim.faults |= SIM_FAULT_THREAD;
    for (unsigned i = 0; i < n; i++)
        while (go(impatient, i) < 0)
            (void)leat_sleep(LEAT_MSEC);
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    return 0;
}

void scenario_blocking_asked(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 2,
                          .shutdown_grace_ms = 100000};

    begin();
    kit_run_config(&config, 0, asked_main, NULL);
}
