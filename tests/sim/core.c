/*
 * Virtual threads, the choices of a seed, and time.
 *
 * Always: exactly one virtual thread runs, sim.self; the others stand in sim_point(), sim_block()
 * or before their first step. Between two points nothing else happens, so the simulator's own state
 * needs no care. A virtual thread may stand on a coroutine's stack.
 */
#include "sim.h"

#include "ctx/ctx.h"
#include "sched/light.h"
#include "sched/membarrier.h"
#include "sched/solo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_NS 20
#define LATE_US 3000
#define EARLY_NS 1000000000 /* a timeout does not come earlier than that */
#define FAIR_STEPS 5000     /* PCT: nobody keeps those behind it from running for longer */
#define MAX_STEPS 400000

struct sim sim;
int sim_mutant;
struct sim_answers sim_log;

static struct lea_ctx driver;
static const char *failure;
static char failure_text[1024];

/*
 * The runtime's thread-locals: compiled into a section of their own, and swapped with the virtual
 * thread.
 */
extern unsigned char __start_sim_tls[] __attribute__((weak)),
    __stop_sim_tls[] __attribute__((weak));

/* --- chance --- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(uint64_t *state, unsigned n)
{
    return (unsigned)((next_random(state) >> 32) * n >> 32);
}

unsigned sim_shape(unsigned n)
{
    return n > 1 ? below(&sim.shape, n) : 0;
}

/* --- answers: recorded, or given again --- */

static const struct sim_answers *replay;
static size_t replay_at[SIM_THREADS]; /* into replay->a, which is looked through once per thread */

void sim_replay(const struct sim_answers *answers)
{
    replay = answers;
}

static unsigned answer_again(unsigned n)
{
    struct sim_thread *t = sim.self;
    size_t i = replay_at[t->id];

    while (i < replay->n && (replay->a[i].thread != t->id || replay->a[i].number < t->choices))
        i++;
    replay_at[t->id] = i;
    if (i < replay->n && replay->a[i].number == t->choices && replay->a[i].answer < n)
        return replay->a[i].answer;
    return 0;
}

static void answer_log(enum sim_choice what, unsigned answer)
{
    if (sim_log.n == sim_log.cap) {
        sim_log.cap = sim_log.cap ? 2 * sim_log.cap : 1024;
        sim_log.a = realloc(sim_log.a, sim_log.cap * sizeof(*sim_log.a));
        if (!sim_log.a)
            abort();
    }
    sim_log.a[sim_log.n++] =
        (struct sim_answer){sim.self->id, sim.self->choices, answer, (uint32_t)what};
}

/* --- exhaustive search: depth first over who runs next, with a bound on preemptions --- */

static struct branch {
    uint8_t answer, n;
    bool preempts; /* an answer other than 0 does */
} path[1 << 16];
static unsigned path_depth, path_given;

void sim_exhaust_reset(void)
{
    path_given = 0;
}

static unsigned exhaust(unsigned n, bool preempts)
{
    if (path_depth == sizeof(path) / sizeof(path[0]))
        return 0;
    if (path_depth >= path_given) {
        path[path_depth].answer = 0;
        path_given = path_depth + 1;
    }
    path[path_depth].n = (uint8_t)n;
    path[path_depth].preempts = preempts;
    return path[path_depth++].answer;
}

bool sim_exhaust_next(unsigned preemptions)
{
    unsigned used = 0;

    path_given = path_depth;
    for (unsigned i = 0; i < path_given; i++)
        used += path[i].preempts && path[i].answer;
    while (path_given > 0) {
        struct branch *b = &path[path_given - 1];

        used -= b->preempts && b->answer;
        if (b->answer + 1u < b->n && (!b->preempts || used < preemptions)) {
            b->answer++;
            return true;
        }
        path_given--;
    }
    return false;
}

/* --- who runs next --- */

static unsigned policy_thread(unsigned *id, unsigned n, bool self_runs, bool yields)
{
    unsigned best = 0;

    switch (sim.config.policy) {
    case SIM_POLICY_PCT:
        for (unsigned i = 1; i < n; i++)
            if (sim.thread[id[i]].priority > sim.thread[id[best]].priority)
                best = i;
        return best;
    case SIM_POLICY_ROUND:
        return self_runs && n > 1 && (sim.steps - sim.last_switch) >> sim.config.switch_shift ? 1
                                                                                              : 0;
    case SIM_POLICY_EXHAUST:
        return exhaust(n, self_runs && !yields);
    default:
        if (self_runs && next_random(&sim.random) & ((UINT64_C(1) << sim.config.switch_shift) - 1))
            return 0;
        return below(&sim.random, n);
    }
}

unsigned sim_choose(enum sim_choice what, unsigned n)
{
    unsigned answer = 0;

    if (n < 2)
        return 0;
    sim.self->choices++;
    if (replay) {
        answer = answer_again(n);
    } else if (sim.config.policy != SIM_POLICY_EXHAUST) {
        switch (what) {
        case SIM_CHOOSE_BUFFER:
        case SIM_CHOOSE_DRAIN:
        case SIM_CHOOSE_STALE:
            if (below(&sim.random, 100) < sim.config.buffer_percent)
                answer = n == 2 ? 1 : below(&sim.random, n);
            break;
        case SIM_CHOOSE_TIME:
            answer = below(&sim.random, 1000) < sim.config.time_permille;
            break;
        case SIM_CHOOSE_FAULT:
            answer = below(&sim.random, 1000) < sim.config.fault_permille
                         ? 1 + below(&sim.random, n - 1)
                         : 0;
            break;
        default:
            answer = below(&sim.random, n);
        }
    }
    if (answer)
        answer_log(what, answer);
    return answer;
}

bool sim_fault(enum sim_fault fault)
{
    return sim.faulty && (sim.faults & fault) && sim_choose(SIM_CHOOSE_FAULT, 2);
}

static bool runs(const struct sim_thread *t)
{
    return t->state == SIM_RUNNABLE && t->late_until_ns <= sim.now_ns;
}

static void switch_to(struct sim_thread *t)
{
    struct sim_thread *from = sim.self;
    size_t bytes = (size_t)(__stop_sim_tls - __start_sim_tls);

    if (t == from)
        return;
    sim.last_switch = sim.steps;
    memcpy(from->tls, __start_sim_tls, bytes);
    memcpy(__start_sim_tls, t->tls, bytes);
    sim.self = t;
    (void)lea_ctx_switch((struct lea_ctx *)&from->sp, (struct lea_ctx *)&t->sp, NULL);
}

/*
 * The clock moves on to the next timeout, because nobody can run, or because the seed says so.
 * False: there is none.
 */
static bool time_jump(bool rest)
{
    int64_t first = SIM_FOREVER;

    for (unsigned i = 0; i < sim.nr_threads; i++) {
        const struct sim_thread *t = &sim.thread[i];
        int64_t at = t->state == SIM_BLOCKED    ? t->until_ns
                     : t->state == SIM_RUNNABLE ? t->late_until_ns
                                                : SIM_FOREVER;

        if (at < first && at > sim.now_ns)
            first = at;
    }
    if (first == SIM_FOREVER || (!rest && first - sim.now_ns > EARLY_NS))
        return false;
    if (rest)
        sim_oracle_rest(first - sim.now_ns);
    else /* as if nobody who could run had been scheduled */
        sim.late_ns += first - sim.now_ns;
    sim.now_ns = first;
    return true;
}

/* Somebody only waits for others, and those are late: the first of them comes. */
static void late_end(void)
{
    int64_t first = SIM_FOREVER;

    for (unsigned i = 0; i < sim.nr_threads; i++)
        if (sim.thread[i].state == SIM_RUNNABLE && !runs(&sim.thread[i]) &&
            sim.thread[i].late_until_ns < first)
            first = sim.thread[i].late_until_ns;
    if (first != SIM_FOREVER)
        sim.now_ns = first;
}

static void timeouts(void)
{
    for (unsigned i = 0; i < sim.nr_threads; i++)
        if (sim.thread[i].state == SIM_BLOCKED && sim.thread[i].until_ns <= sim.now_ns)
            sim_unblock(&sim.thread[i], -ETIMEDOUT);
}

static const char *who_waits(void)
{
    static char text[512];
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < sim.nr_threads && used < sizeof(text) - 64; i++)
        if (sim.thread[i].state == SIM_BLOCKED)
            used += (size_t)snprintf(text + used, sizeof(text) - used, " %s(%u) in %s",
                                     sim.thread[i].name, i, sim.thread[i].what);
    return text;
}

/* Everybody has ended: back to the driver. */
static void finish(void)
{
    static struct lea_ctx gone;

    for (unsigned i = 0; i < sim.nr_threads; i++)
        sim_check(sim.thread[i].state == SIM_ENDED,
                  "hang: nobody can run any more, and no timeout is near:%s", who_waits());
    (void)lea_ctx_switch(&gone, &driver, NULL);
    abort();
}

static void schedule(bool yields)
{
    for (;;) {
        unsigned id[SIM_THREADS], n = 0;
        bool self_runs = runs(sim.self);

        timeouts();
        for (unsigned i = 0; i < sim.nr_threads; i++) {
            unsigned k = (sim.self->id + i) % sim.nr_threads;

            if (runs(&sim.thread[k]))
                id[n++] = k;
        }
        if (n == 1 && yields && self_runs)
            late_end();
        if (n > 0) {
            unsigned answer = 0;

            if (n > 1) {
                if (yields && self_runs &&
                    sim.config.policy != SIM_POLICY_PCT) { /* the others first */
                    memmove(id, id + 1, (n - 1) * sizeof(*id));
                    id[n - 1] = sim.self->id;
                }
                sim.self->choices++;
                answer = replay ? answer_again(n) : policy_thread(id, n, self_runs, yields);
                if (answer)
                    answer_log(SIM_CHOOSE_THREAD, answer);
            }
            switch_to(&sim.thread[id[answer]]);
            return;
        }
        for (unsigned i = 0; i < sim.nr_threads; i++)
            sim_drain(&sim.thread[i]);
        if (!time_jump(true))
            finish();
    }
}

/* The kernel does not run this thread for a while. */
static void late(struct sim_thread *t)
{
    int64_t ns = (int64_t)sim_choose(SIM_CHOOSE_ORDER, LATE_US) * 1000;

    t->late_until_ns = sim.now_ns + ns;
    sim.late_ns += ns;
}

static void step(void)
{
    sim.steps++;
    sim.now_ns += STEP_NS;
    sim.self->cpu_ns += STEP_NS;
    if (sim.steps > sim.max_steps)
        sim_fail("no progress: %llu steps", (unsigned long long)sim.steps);
    for (unsigned i = 0; i < sim.config.depth; i++)
        if (sim.change_at[i] == sim.steps)
            sim.self->priority = --sim.lowest;
    if (++sim.self->ran % FAIR_STEPS == 0)
        sim.self->priority = --sim.lowest;
    if (sim.nr_buffered)
        sim_drain_some();
    if (sim.config.time_permille && sim_choose(SIM_CHOOSE_TIME, 2))
        (void)time_jump(false);
    if (!(sim.steps & 63) && sim_fault(SIM_FAULT_LATE_THREAD))
        late(sim.self);
    sim_oracle_step();
}

void sim_point(void)
{
    if (sim.over)
        return;
    step();
    schedule(false);
}

void sim_yield(void)
{
    step();
    sim.self->priority = --sim.lowest;
    schedule(true);
}

void sim_advance(int64_t ns)
{
    sim.now_ns += ns;
}

static int block(bool computes, const char *what, uintptr_t key, int64_t until_ns)
{
    struct sim_thread *t = sim.self;

    t->computes = computes;
    t->blocked_ns = sim.now_ns;
    t->what = what;
    t->key = key;
    t->until_ns = until_ns;
    t->state = SIM_BLOCKED;
    schedule(false);
    t->load_from = sim.steps; /* as sim_memory_enter(), on the way out of the kernel */
    return t->result;
}

int sim_block(const char *what, uintptr_t key, int64_t until_ns)
{
    return block(false, what, key, until_ns);
}

int sim_compute(const char *what, uintptr_t key, int64_t until_ns)
{
    return block(true, what, key, until_ns);
}

void sim_unblock(struct sim_thread *t, int result)
{
    if (t->computes)
        t->cpu_ns += sim.now_ns - t->blocked_ns;
    t->state = SIM_RUNNABLE;
    t->result = result;
    t->key = 0;
}

unsigned sim_wake(uintptr_t key, unsigned n, int result)
{
    unsigned woken = 0;

    for (unsigned i = 0; i < sim.nr_threads && woken < n; i++) {
        if (sim.thread[i].state == SIM_BLOCKED && sim.thread[i].key == key) {
            sim_unblock(&sim.thread[i], result);
            woken++;
        }
    }
    return woken;
}

/* --- beginning and end --- */

static void thread_begin(void *arg)
{
    (void)arg;
    (void)sim.self->fn(sim.self->arg);
    if (sim.self->at_end)
        sim_thread_ended(sim.self->at_end);
    sim_thread_exit();
}

void sim_thread_exit(void)
{
    sim_drain(sim.self);
    sim.self->state = SIM_ENDED;
    (void)sim_wake((uintptr_t)sim.self, SIM_THREADS, 0);
    schedule(false);
    abort();
}

struct sim_thread *sim_thread_new(void *(*fn)(void *), void *arg)
{
    struct sim_thread *t;
    unsigned id = sim.nr_threads;

    for (unsigned i = 0; i < sim.nr_threads && id == SIM_THREADS; i++)
        if (sim.thread[i].state == SIM_ENDED && (sim.thread[i].joined || sim.thread[i].detached))
            id = i;
    if (id == SIM_THREADS)
        return NULL;
    t = &sim.thread[id];
    if (id == sim.nr_threads) {
        memset(t, 0, sizeof(*t));
        sim.nr_threads++;
        for (unsigned i = 0; i < SIM_THREADS; i++)
            t->hb.at[i] = sim.clock_base;
    }
    t->id = id;
    t->fn = fn;
    t->arg = arg;
    t->state = SIM_RUNNABLE;
    t->joined = t->detached = false;
    t->at_end = NULL;
    t->late_until_ns = 0;
    t->ran = 0;
    t->cpu_ns = 0;
    t->slow = NULL;
    t->load_from = sim.steps;
    t->priority = 1000 + (int)below(&sim.random, 1000);
    t->stack = sim_thread_stack(id);
    memset(t->tls, 0, sizeof(t->tls));
    snprintf(t->name, sizeof(t->name), "thread-%u", id);
    if (sim.self) {
        sim_drain(sim.self);
        sim_vc_join(&t->hb, &sim.self->hb);
        sim.self->hb.at[sim.self->id]++;
    }
    t->hb.at[id]++;
    lea_ctx_make((struct lea_ctx *)&t->sp, t->stack, t->stack + SIM_STACK_BYTES, thread_begin);
    return t;
}

void sim_fail(const char *fmt, ...)
{
    static struct lea_ctx gone;
    va_list args;

    if (!failure) {
        va_start(args, fmt);
        vsnprintf(failure_text, sizeof(failure_text), fmt, args);
        va_end(args);
        failure = failure_text;
    }
    (void)lea_ctx_switch(&gone, &driver, NULL);
    abort();
}

void sim_abort(void) __attribute__((noreturn));

/* What abort() is in the runtime's files. */
void sim_abort(void)
{
    sim_fail("the runtime stopped the program");
}

static void (*scenario_run)(void);

static void *scenario_thread(void *arg)
{
    (void)arg;
    scenario_run();
    sim_os_check_end();
    return NULL;
}

/*
 * Highest clock that any seed has reached: the next one starts above, so that what is left in the
 * shadow is long past.
 */
static uint32_t clock_reached(void)
{
    uint32_t max = sim.clock_base;

    for (unsigned t = 0; t < sim.nr_threads; t++)
        for (unsigned i = 0; i < SIM_THREADS; i++)
            max = sim.thread[t].hb.at[i] > max ? sim.thread[t].hb.at[i] : max;
    return max + 1;
}

static void machine_reset(const struct sim_config *config)
{
    uint32_t base = clock_reached();
    bool tracing = sim.tracing;

    sim.config = *config;
    sim.nr_threads = 0;
    sim.self = NULL;
    sim.steps = sim.nr_buffered = sim.last_switch = 0;
    sim.max_steps = MAX_STEPS;
    sim.now_ns = 1000000000;
    sim.late_ns = 0;
    sim.random = config->seed ^ UINT64_C(0x5851f42d4c957f2d);
    sim.shape = config->seed;
    sim.faults = sim.refuse_thread = 0;
    sim.faulty = config->fault_permille > 0;
    sim.lowest = 0;
    sim.clock_base = base;
    sim.over = sim.quiet = sim.no_cpu_clock = false;
    sim.tracing = tracing;
    for (unsigned i = 0; i < sizeof(sim.change_at) / sizeof(sim.change_at[0]); i++)
        sim.change_at[i] = 1 + below(&sim.random, 64u << below(&sim.random, 9));
    memset(__start_sim_tls, 0, (size_t)(__stop_sim_tls - __start_sim_tls));
    memset(&lea_solo, 0, sizeof(lea_solo)); /* all as in a new process */
    memset(&lea_light, 0, sizeof(lea_light));
    memset(&lea_membarrier_known, 0, sizeof(lea_membarrier_known));
    memset(replay_at, 0, sizeof(replay_at));
    sim_log.n = 0;
    path_depth = 0;
    failure = NULL;
}

const char *sim_run(const struct sim_config *config, void (*fn)(void))
{
    machine_reset(config);
    sim_race_reset();
    sim_memory_reset();
    sim_os_reset();
    sim_oracle_reset();
    sim_trace_reset();
    scenario_run = fn;
    sim.self = sim_thread_new(scenario_thread, NULL);
    snprintf(sim.self->name, sizeof(sim.self->name), "main");
    (void)lea_ctx_switch(&driver, (struct lea_ctx *)&sim.self->sp, NULL);
    return failure;
}
