#include "kit.h"

#include "base/os.h"
#include "sched/retake.h"
#include "sched/sched.h"

struct start {
    int (*fn)(void *);
    void *arg;
    bool began;
};

static int watched_main(void *arg)
{
    struct start *s = arg;
    int r;

    s->began = true;
    sim_oracle_watch(lea_rt());
    r = s->fn(s->arg);
    sim_oracle_watch(NULL);
    return r;
}

static bool run(const leat_config *config, unsigned faults, int (*main_fn)(void *), void *arg)
{
    struct start s = {main_fn, arg, false};
    int r;

    sim.faults = faults;
    r = leat_run_with(config, watched_main, &s);
    sim.faults = 0;
    sim.refuse_thread = 0;
    sim_check(!strstr(sim_stderr, "still") || sim.late_ns > 100 * LEAT_MSEC,
              "left over at the end: %s", sim_stderr);
    sim_check(r == 0 || (!s.began && (r == -ENOMEM || r == -EMFILE || r == -EAGAIN)),
              "leat_run gave %d", r);
    return r == 0;
}

bool kit_run_may_fail(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg)
{
    leat_config config = {.procs = procs, .max_threads = 10, .shutdown_grace_ms = 2000};

    return run(&config, faults, main_fn, arg);
}

void kit_run_config(const leat_config *config, unsigned faults, int (*main_fn)(void *), void *arg)
{
    sim_check(run(config, faults, main_fn, arg), "leat_run did not start");
}

void kit_run_unwatched(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg)
{
    sim.refuse_thread = procs + 1; /* the workers come first, then the monitor */
    kit_run(procs, faults, main_fn, arg);
}

void kit_run(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg)
{
    sim_check(kit_run_may_fail(procs, faults, main_fn, arg), "leat_run did not start");
}

struct sim_thread *kit_thread(void *(*fn)(void *), void *arg)
{
    struct sim_thread *t;

    sim_memory_enter();
    t = sim_thread_new(fn, arg);
    sim_check(t, "too many threads for the simulator");
    return t;
}

void kit_join(struct sim_thread *t)
{
    lea_os_thread_join((pthread_t)(t->id + 1));
}

void kit_await(const unsigned *count, unsigned goal, const char *what)
{
    int64_t until = sim.now_ns - sim.late_ns + INT64_C(10000000000), nap = LEAT_MSEC / 8;

    while (*(const volatile unsigned *)count < goal) {
        sim_check(sim.now_ns - sim.late_ns < until, "%s: %u of %u after 10 s", what, *count, goal);
        (void)leat_sleep(nap);
        nap = nap < LEAT_SEC ? nap * 2 : nap; /* what hangs is soon known to */
    }
}

void kit_settle(void)
{
    sim_membarrier();
}

unsigned kit_procs(unsigned max)
{
    return 1 + sim_shape(max);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

void sim_warm_up(void)
{
    kit_run(1, 0, nothing, NULL);
}

void kit_burn(int64_t ns)
{
    (void)sim_compute("a computation", 0, sim.now_ns + ns);
}

void kit_block(int64_t ns)
{
    (void)sim_block("a call that nobody knows of", 0, sim.now_ns + ns);
}

void kit_slow(void (*wait)(void))
{
    sim.self->slow = wait;
}

struct sim_thread *kit_thread_called(const char *name)
{
    for (unsigned i = 0; i < sim.nr_threads; i++)
        if (!strcmp(sim.thread[i].name, name))
            return &sim.thread[i];
    return NULL;
}

static void stay(bool computes, int64_t until)
{
    if (computes)
        (void)sim_compute("the monitor's look", 0, until);
    else
        (void)sim_block("the monitor's look", 0, until);
}

/*
 * The processor that this thread had when it left the runtime is about to be taken, at the
 * monitor's next look.
 */
static bool next_look_takes(const struct lea_worker *m, int64_t look_ns, bool computes)
{
    const struct lea_stand *n = m->proc      ? &m->rt->monitor_stand[m->proc->index]
                                : m->bracket ? &m->rt->monitor_stand[m->bracket->index]
                                             : NULL;
    int64_t window = m->rt->config.retake_ns;

    if (!n || lea_proc_word_in(n->word, LEA_PROC_OWNED) != m->word || n->tick != m->tick.value_)
        return false;
    if (m->bracket)
        return look_ns - n->since_ns >= window / 10;
    return n->cpu_at_ns && look_ns - n->cpu_at_ns >= window / (n->asleep ? 20 : 10) &&
           (!computes || look_ns - n->since_ns >= window);
}

void kit_until_taken(bool computes, unsigned steps)
{
    const struct sim_thread *monitor = kit_thread_called("leat-monitor");
    const struct lea_worker *m = lea_self();
    int64_t give_up = sim.now_ns + 20 * LEAT_MSEC;

    while (monitor && m && sim.now_ns < give_up) {
        int64_t look_ns = monitor->until_ns;

        if (monitor->state != SIM_BLOCKED || look_ns == SIM_FOREVER) {
            stay(computes, sim.now_ns + 5 * LEAT_USEC);
        } else if (next_look_takes(m, look_ns, computes)) {
            stay(computes, look_ns + (int64_t)sim_shape(steps) * 20);
            return;
        } else {
            stay(computes, look_ns + 5 * LEAT_USEC);
        }
    }
}
