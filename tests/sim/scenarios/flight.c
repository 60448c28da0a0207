/*
 * Scenario: single-flight, with callers that give up or are cancelled, plain threads. The flight
 * lies in memory that is watched, and goes when nothing is under way.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define KEYS 2
#define MAX 5

static struct {
    leat_flight *f;
    unsigned inside[KEYS], begun[KEYS], ended;
    int64_t work_ns;
    leat_handle *handle[MAX];
} s;

static leat_result execute(unsigned k)
{
    unsigned number = ++s.begun[k];

    sim_check(s.inside[k]++ == 0, "two executions of one key");
    sim_point();
    if (s.work_ns)
        sim_check(leat_sleep(s.work_ns) == 0, "an execution was cancelled");
    s.inside[k]--;
    return number;
}

static void call(unsigned k, int64_t patience_ns, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned before = s.begun[k];
        leat_result r = -1;
        int err =
            leat_flight_do(s.f, &k, sizeof(k), &r,
                           patience_ns < 0 ? LEAT_FOREVER : leat_after(patience_ns), execute, k);

        if (err == 0)
            sim_check(r >= 1 && r >= before && r <= s.begun[k],
                      "result %lld: %u had begun before, %u now", (long long)r, before, s.begun[k]);
        else
            sim_check((err == -ETIMEDOUT && patience_ns >= 0) || err == -ECANCELED,
                      "a call gave %d", err);
    }
    s.ended++;
}

static void *call_thread(void *arg)
{
    call((unsigned)(uintptr_t)arg % KEYS, (uintptr_t)arg & 2 ? 20000 : -1, 1);
    return NULL;
}

static int flight_main(void *arg)
{
    unsigned n = 1 + sim_shape(MAX - 1), threads = sim_shape(3), cancel = sim_shape(2);
    struct sim_thread *t[2];

    (void)arg;
    s.work_ns = sim_shape(2) ? (int64_t)sim_shape(40) * 1000 : 0;
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_go_join(&s.handle[i], call, sim_shape(KEYS),
                               sim_shape(2) ? (int64_t)-1 : (int64_t)sim_shape(30) * 1000,
                               1 + sim_shape(3)) == 0,
                  "no coroutine");
    for (unsigned i = 0; i < threads; i++)
        t[i] = kit_thread(call_thread, (void *)(uintptr_t)sim_shape(4));
    if (cancel) {
        (void)leat_sleep((int64_t)sim_shape(20) * 1000);
        leat_cancel(s.handle[sim_shape(n)]);
    }
    kit_await(&s.ended, n + threads, "those who call");
    for (unsigned i = 0; i < threads; i++)
        kit_join(t[i]);
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    sim_check(leat_flight_wait(s.f, LEAT_FOREVER) == 0, "waiting for the rest failed");
    for (unsigned k = 0; k < KEYS; k++)
        sim_check(!s.inside[k], "an execution is under way after the wait");
    sim_arena_free(s.f, sizeof(*s.f));
    return 0;
}

void scenario_flight(void)
{
    memset(&s, 0, sizeof(s));
    s.f = sim_arena_alloc(sizeof(*s.f), 64);
    kit_run(kit_procs(3),
            sim_shape(2) ? SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD : 0,
            flight_main, NULL);
}
