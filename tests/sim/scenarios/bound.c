/*
 * Scenarios: coroutines that keep to their thread, beside others that must stay off it.
 */
#include "kit.h"

#include "all.h"

#define BOUND_MAX 3
#define FREE_MAX 4

static struct {
    const struct sim_thread *of[BOUND_MAX]; /* whose thread it is; NULL nobody's */
    leat_mutex mutex;
    leat_waitgroup turn;
    leat_event event;
    unsigned ended, counter;
    leat_handle *handle[BOUND_MAX];
} s;

static void wait_somehow(void)
{
    switch (sim_shape(5)) {
    case 0:
        leat_yield();
        break;
    case 1:
        (void)leat_sleep((int64_t)sim_shape(30) * 1000);
        break;
    case 2:
        leat_mutex_lock(&s.mutex);
        s.counter++;
        if (sim_shape(2))
            leat_yield();
        leat_mutex_unlock(&s.mutex);
        break;
    case 3:
        sim_check(leat_event_wait(&s.event, leat_after((int64_t)sim_shape(50) * 1000)) <= 0,
                  "an event");
        break;
    default:
        leat_block_enter();
        sim_point();
        leat_block_leave();
        break;
    }
}

static void bound(unsigned i, unsigned rounds, bool ends_bound)
{
    int r = leat_lock_thread();

    sim_check(r == 0 || r == -EAGAIN || r == -ENOMEM, "a lock of the thread gave %d", r);
    if (r == 0) {
        s.of[i] = sim.self;
        for (unsigned n = 0; n < rounds; n++) {
            bool nested = sim_shape(2) && leat_lock_thread() == 0;

            wait_somehow();
            sim_check(s.of[i] == sim.self, "a bound coroutine is on another thread");
            if (nested)
                leat_unlock_thread();
        }
        s.of[i] = NULL;
        if (!ends_bound) {
            leat_unlock_thread();
            wait_somehow();
        }
    }
    s.ended++;
}

static void unbound(unsigned rounds)
{
    for (unsigned n = 0; n < rounds; n++) {
        for (unsigned i = 0; i < BOUND_MAX; i++)
            sim_check(s.of[i] != sim.self, "somebody runs on the thread of a bound one");
        if (sim_shape(4) == 0)
            leat_event_set(&s.event);
        else
            wait_somehow();
    }
    s.ended++;
}

/*
 * From a thread outside, which spawns in the memory of those that have ended without a processor.
 */
static void *come_later(void *arg)
{
    for (unsigned i = 0; i < BOUND_MAX; i++)
        sim_check(go(unbound, 2u) == 0, "no coroutine");
    return arg;
}

static int bound_main(void *arg)
{
    unsigned nr = 1 + sim_shape(BOUND_MAX), others = sim_shape(FREE_MAX);
    bool wait = *(bool *)arg;

    for (unsigned i = 0; i < nr; i++)
        sim_check(leat_go_join(&s.handle[i], bound, i, 1 + sim_shape(5), sim_shape(2)) == 0,
                  "no coroutine");
    for (unsigned i = 0; i < others; i++)
        sim_check(go(unbound, 1 + sim_shape(8)) == 0, "no coroutine");
    if (sim_shape(3) == 0)
        leat_cancel(s.handle[sim_shape(nr)]);
    if (wait)
        kit_await(&s.ended, nr + others, "bound coroutines and others");
    for (unsigned i = 0; i < nr; i++) {
        if (wait)
            sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
        else
            leat_detach(s.handle[i]);
    }
    if (wait)
        kit_join(kit_thread(come_later, NULL));
    if (wait)
        kit_await(&s.ended, nr + others + BOUND_MAX, "who came later");
    return 0;
}

static void scenario(bool wait, unsigned faults)
{
    leat_config config = {
        .procs = kit_procs(2), .max_threads = 4 + sim_shape(6), .shutdown_grace_ms = 100000};

    memset(&s, 0, sizeof(s));
    kit_run_config(&config, faults, bound_main, &wait);
}

void scenario_bound(void)
{
    scenario(true, sim_shape(2) ? SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD : 0);
}

void scenario_bound_end(void)
{
    scenario(false, SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD);
}
