/*
 * Scenarios: look-ups of names, on threads of the pool, with callers that give up, are cancelled,
 * or are left by the end of the run.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define NAMES 4
#define CALLERS_MAX 6
#define HERE __builtin_return_address(0)

static struct {
    unsigned inside[NAMES], all_inside, most;
    unsigned ended;
    int64_t work_ns;
    leat_handle *handle[CALLERS_MAX];
} s;

/* Name number k, "a" and so on, has k addresses; none for "a". */
static int answer(const char *host, union lea_os_address *out, int max)
{
    unsigned k = (unsigned)(host[0] - 'a');

    sim_check(k < NAMES && host[1] == '\0', "a look-up of \"%s\"", host);
    sim_check(s.inside[k]++ == 0, "two look-ups of one name at once");
    s.all_inside++;
    s.most = s.all_inside > s.most ? s.all_inside : s.most;
    if (s.work_ns)
        (void)lea_os_sleep_until(sim.now_ns + s.work_ns);
    for (unsigned i = 0; i < k && (int)i < max; i++) {
        sim_touch(&out[i], sizeof(out[i]), true, HERE);
        out[i].v4.sin_family = AF_INET;
        out[i].v4.sin_addr.s_addr = 100 * k + i;
    }
    s.inside[k]--;
    s.all_inside--;
    return k ? (int)k : -ENOENT;
}

static void caller(unsigned k, int64_t patience_ns, unsigned rounds)
{
    char name[2] = {(char)('a' + k), '\0'};

    for (unsigned i = 0; i < rounds; i++) {
        leat_address out[NAMES];
        int n = leat_resolve(name, 80, out, NAMES,
                             patience_ns < 0 ? LEAT_FOREVER : leat_after(patience_ns));

        if (n >= 0 || n == -ENOENT) {
            sim_check(n == (k ? (int)k : -ENOENT), "name %u has %d addresses", k, n);
            for (int a = 0; a < n; a++)
                sim_check(out[a].v4.sin_addr.s_addr == 100 * k + (unsigned)a,
                          "name %u has address %u", k, out[a].v4.sin_addr.s_addr);
        } else {
            sim_check((n == -ETIMEDOUT && patience_ns >= 0) || n == -ECANCELED || n == -EAGAIN,
                      "a look-up gave %d", n);
        }
    }
    s.ended++;
}

/* Something else that the pool has to do. */
static leat_result job(void *arg)
{
    (void)arg;
    (void)lea_os_sleep_until(sim.now_ns + 20 * LEAT_USEC);
    return 0;
}

static int resolve_main(void *arg)
{
    unsigned n = 1 + sim_shape(CALLERS_MAX - 1), cancel = sim_shape(3), wait = *(bool *)arg;

    for (unsigned i = 0; i < n; i++)
        sim_check(leat_go_join(&s.handle[i], caller, sim_shape(NAMES),
                               sim_shape(2) ? (int64_t)-1 : (int64_t)sim_shape(60) * 1000,
                               1 + sim_shape(3)) == 0,
                  "no coroutine");
    if (sim_shape(2))
        sim_check(leat_blocking(job, NULL, NULL, LEAT_FOREVER) <= 0, "a job");
    if (cancel) {
        (void)leat_sleep((int64_t)sim_shape(40) * 1000);
        leat_cancel(s.handle[sim_shape(n)]);
    }
    if (wait)
        kit_await(&s.ended, n, "those who ask");
    for (unsigned i = 0; i < n; i++) {
        if (wait)
            sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
        else
            leat_detach(s.handle[i]);
    }
    return 0;
}

static void scenario(bool wait, unsigned faults)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 1 + sim_shape(4),
                          .shutdown_grace_ms = 100000};

    memset(&s, 0, sizeof(s));
    sim_resolve = answer;
    s.work_ns = sim_shape(2) ? (int64_t)sim_shape(80) * 1000 : 0;
    kit_run_config(&config, faults, resolve_main, &wait);
    sim_check(s.most <= (config.blocking_threads > 1 ? config.blocking_threads / 2 : 1),
              "%u look-ups at once on %u threads", s.most, config.blocking_threads);
}

void scenario_resolve(void)
{
    scenario(true, sim_shape(2) ? SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD : 0);
}

void scenario_resolve_end(void)
{
    scenario(false, SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD);
}

void scenario_resolve_refused(void)
{
    scenario(true, SIM_FAULT_THREAD);
}
