/*
 * The driver: many seeds in several processes, and what to do with one that fails: minimise it,
 * print it, run it again.
 *
 * A seed says everything: policy, memory model, faults, and every choice. Children run seeds one
 * after the other, and end at the first that fails, or crashes; the parent hears about it through
 * shared memory.
 */
#include "sim.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- a seed's machine --- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct sim_config sim_config_of(const struct options *o, uint64_t seed)
{
    uint64_t r = mix(seed + 1);
    struct sim_config c = {.seed = seed};
    unsigned policy = (unsigned)(r & 15);

    c.policy = policy < 7 ? SIM_POLICY_RANDOM : policy < 13 ? SIM_POLICY_PCT : SIM_POLICY_ROUND;
    c.memory = r >> 4 & 1 ? SIM_MEMORY_WEAK : SIM_MEMORY_X86;
    c.membarrier = (r >> 5 & 3) != 0;
    c.depth = c.policy == SIM_POLICY_PCT ? 2 + (unsigned)(r >> 8) % 4 : 0; /* d - 1 changes */
    c.switch_shift = (unsigned)(r >> 16) % 7;
    c.buffer_percent = r >> 24 & 1 ? 0 : (r >> 60 & 3) == 0 ? 99 : (unsigned)(r >> 25) % 90;
    c.fault_permille = (r >> 33 & 3) ? 0 : 1 + (unsigned)(r >> 35) % 60;
    c.time_permille = (r >> 42 & 3) ? 0 : 1 + (unsigned)(r >> 44) % 8;
    if (o->policy >= 0)
        c.policy = (enum sim_policy)o->policy;
    if (o->memory >= 0)
        c.memory = (enum sim_memory)o->memory;
    if (c.policy == SIM_POLICY_EXHAUST) {
        c.buffer_percent = c.fault_permille = c.time_permille = 0;
        c.depth = 0;
    }
    return c;
}

static const char *const policy_names[] = {"random", "pct", "round", "exhaust"};
static const char *const memory_names[] = {"x86", "weak"};

void sim_config_print(const struct sim_config *c)
{
    printf("policy %s", policy_names[c->policy]);
    if (c->policy == SIM_POLICY_PCT)
        printf("(%u)", c->depth + 1);
    else if (c->policy != SIM_POLICY_EXHAUST)
        printf("(1/%u)", 1u << c->switch_shift);
    printf(", memory %s, %u %% of stores held back, faults %u/1000, early timeouts %u/1000%s\n",
           memory_names[c->memory], c->buffer_percent, c->fault_permille, c->time_permille,
           c->membarrier ? "" : ", no membarrier");
}

/* --- children --- */

struct child {
    const struct sim_scenario *scenario;
    uint64_t seed; /* that it is at */
    uint64_t done, steps;
    bool failed;
    char why[1024];
    char text[2048]; /* what the runtime wrote to stderr */
};

static struct child *child; /* shared; [options.jobs] */
static pid_t pid[MAX_JOBS];

static void quiet_death(int signo)
{
    if (sim.tracing) {
        printf("signal %d\n", signo);
        sim_trace_print(200);
        fflush(stdout);
    }
    signal(signo, SIG_DFL);
    raise(signo);
}

static void child_setup(void)
{
    static char altstack[64 << 10];
    stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
    struct sigaction sa = {.sa_handler = quiet_death, .sa_flags = SA_ONSTACK};
    struct rlimit none = {0, 0};

    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    sigaction(SIGTRAP, &sa, NULL);
    setrlimit(RLIMIT_CORE, &none);
}

/* Of CPU time: the machine may be busy with others. */
static void hang_after(time_t limit)
{
    struct itimerval t = {.it_value.tv_sec = limit};

    setitimer(ITIMER_PROF, &t, NULL);
}

/* Every jobs-th seed of every scenario in turn. */
static void child_main(const struct options *o, struct child *me, unsigned index, uint64_t from,
                       uint64_t to)
{
    child_setup();
    for (uint64_t k = from; k < to; k++) {
        struct sim_config config;
        const char *why;

        if (k % o->jobs != index)
            continue;
        me->scenario = o->chosen[k % o->nr_chosen];
        me->seed = k;
        config = sim_config_of(o, k);
        hang_after(30);
        why = sim_run(&config, me->scenario->run);
        me->done++;
        me->steps += sim.steps;
        if (why) {
            me->failed = true;
            snprintf(me->why, sizeof(me->why), "%s", why);
            snprintf(me->text, sizeof(me->text), "%.2000s", sim_stderr);
            _exit(1);
        }
    }
    _exit(0);
}

static void fork_child(const struct options *o, unsigned i, uint64_t from, uint64_t to)
{
    fflush(stdout);
    child[i].failed = false;
    pid[i] = fork();
    if (pid[i] == 0)
        child_main(o, &child[i], i, from, to);
}

static void death_note(struct child *c, int status)
{
    c->failed = true;
    if (WIFSIGNALED(status))
        snprintf(c->why, sizeof(c->why),
                 WTERMSIG(status) == SIGPROF ? "hang: it does not end within 30 s"
                                             : "crash: signal %d",
                 WTERMSIG(status));
    else
        snprintf(c->why, sizeof(c->why), "the child ended with status %d", WEXITSTATUS(status));
}

/* Runs seeds [from, to). At a failure `found` is called; it says whether to go on. */
void sim_sweep(const struct options *o, uint64_t from, uint64_t to,
               bool (*found)(const struct options *, const struct sim_failure *, void *), void *arg,
               struct sim_sum *sum)
{
    unsigned alive = 0;
    bool go_on = true;

    for (unsigned i = 0; i < o->jobs; i++) {
        child[i].done = child[i].steps = 0;
        fork_child(o, i, from, to);
        alive++;
    }
    while (alive) {
        int status;
        pid_t ended = wait(&status);

        for (unsigned i = 0; i < o->jobs; i++) {
            struct child *c = &child[i];
            struct sim_failure f;

            if (pid[i] != ended)
                continue;
            pid[i] = 0;
            alive--;
            if (status == 0 || !go_on)
                continue;
            if (!c->failed)
                death_note(c, status);
            f = (struct sim_failure){c->scenario, c->seed, c->why, c->text};
            go_on = found(o, &f, arg);
            if (go_on && c->seed + 1 < to) {
                fork_child(o, i, c->seed + 1, to);
                alive++;
            }
            for (unsigned k = 0; k < o->jobs && !go_on; k++)
                if (pid[k])
                    kill(pid[k], SIGKILL);
        }
    }
    for (unsigned i = 0; i < o->jobs; i++) {
        sum->seeds += child[i].done;
        sum->steps += child[i].steps;
    }
}

/* --- one seed, and fewer answers --- */

#define MAX_ANSWERS (1u << 18)

struct attempt {
    bool failed, finished;
    char why[1024], text[4096];
    size_t n;
    uint64_t steps;
    struct sim_answer answer[MAX_ANSWERS];
};

static struct attempt *attempt; /* shared */

/* Runs a seed in a child, by policy or by given answers. True: failed. */
static bool try_config(const struct options *o, struct sim_config config,
                       const struct sim_failure *f, const struct sim_answers *answers, bool tracing)
{
    int status;
    pid_t one;

    attempt->failed = attempt->finished = false;
    attempt->n = 0;
    fflush(stdout);
    one = fork();
    if (one == 0) {
        const char *why;

        child_setup();
        hang_after(20);
        sim_replay(answers);
        sim.tracing = tracing;
        why = sim_run(&config, f->scenario->run);
        attempt->failed = why != NULL;
        snprintf(attempt->why, sizeof(attempt->why), "%s", why ? why : "");
        snprintf(attempt->text, sizeof(attempt->text), "%.4000s", sim_stderr);
        attempt->n = sim_log.n < MAX_ANSWERS ? sim_log.n : MAX_ANSWERS;
        attempt->steps = sim.steps;
        memcpy(attempt->answer, sim_log.a, attempt->n * sizeof(*sim_log.a));
        attempt->finished = true;
        if (tracing)
            sim_trace_print(o->lines);
        fflush(stdout);
        _exit(0);
    }
    waitpid(one, &status, 0);
    if (!attempt->finished) {
        attempt->failed = true;
        snprintf(attempt->why, sizeof(attempt->why), "crash: status %#x", (unsigned)status);
    }
    return attempt->failed;
}

static bool try_once(const struct options *o, const struct sim_failure *f,
                     const struct sim_answers *answers, bool tracing)
{
    return try_config(o, sim_config_of(o, f->seed), f, answers, tracing);
}

bool sim_try(const struct options *o, const struct sim_scenario *scenario, uint64_t seed,
             char why[1024])
{
    struct sim_failure f = {scenario, seed, "", ""};
    struct sim_config config = sim_config_of(o, seed);
    bool failed;

    config.fault_permille = config.time_permille = 0;
    failed = try_config(o, config, &f, NULL, false);
    snprintf(why, 1024, "%s", attempt->why);
    return failed;
}

bool sim_fails(const struct options *o, const struct sim_scenario *scenario, uint64_t seed,
               char why[1024])
{
    struct sim_failure f = {scenario, seed, "", ""};
    bool failed = try_once(o, &f, NULL, false);

    snprintf(why, 1024, "%s", attempt->why);
    return failed;
}

/* The same failure, as far as words can tell: up to the first digit or colon. */
static bool same_kind(const char *a, const char *b)
{
    size_t n = strcspn(a, ":0123456789");

    return strncmp(a, b, n) == 0;
}

static bool still_fails(const struct options *o, const struct sim_failure *f,
                        const struct sim_answers *answers)
{
    return try_once(o, f, answers, false) && same_kind(f->why, attempt->why);
}

/* Drops answers, halves first, as long as it fails. */
static void minimise(const struct options *o, const struct sim_failure *f, struct sim_answers *a)
{
    unsigned tries = 0;

    for (size_t chunk = a->n; chunk > 0 && tries<600; chunk = chunk> 1 ? (chunk + 1) / 2 : 0) {
        for (size_t at = 0; at < a->n && tries < 600;) {
            size_t k = at + chunk < a->n ? chunk : a->n - at;
            struct sim_answers less = {malloc((a->n + 1) * sizeof(*a->a)), a->n - k, a->n};

            memcpy(less.a, a->a, at * sizeof(*a->a));
            memcpy(less.a + at, a->a + at + k, (a->n - at - k) * sizeof(*a->a));
            tries++;
            if (still_fails(o, f, &less)) {
                free(a->a);
                *a = less;
            } else {
                free(less.a);
                at += k;
            }
        }
    }
}

/* Everything about one seed that fails. */
void sim_explain(const struct options *o, const struct sim_failure *found)
{
    struct sim_failure f = *found;
    struct sim_config config = sim_config_of(o, f.seed);
    struct sim_answers all = {0};
    static char why[1024];

    printf("\nscenario %s, seed %llu: ", f.scenario->name, (unsigned long long)f.seed);
    sim_config_print(&config);
    printf("FAILED: %s\n", f.why);
    if (!try_once(o, &f, NULL, false)) {
        printf("it does not fail again: the simulator is not deterministic here\n");
        return;
    }
    snprintf(why, sizeof(why), "%s", attempt->why);
    f.why = why;
    if (attempt->finished && o->minimise) {
        all.n = attempt->n;
        all.a = malloc((all.n + 1) * sizeof(*all.a));
        memcpy(all.a, attempt->answer, all.n * sizeof(*all.a));
        if (still_fails(o, &f, &all)) {
            size_t before = all.n;

            minimise(o, &f, &all);
            printf("minimised: %zu of %zu choices are needed\n", all.n, before);
        }
    }
    if (o->lines) {
        printf("the last %u events:\n", o->lines);
        (void)try_once(o, &f, all.n || all.a ? &all : NULL, true);
        printf("FAILED: %s\n", attempt->why);
        if (attempt->text[0])
            printf("stderr: %s", attempt->text);
    }
    printf("run again: tests/sim/replay %s:%llu%s%s\n", f.scenario->name,
           (unsigned long long)f.seed, sim_mutant ? " --mutant " : "",
           sim_mutant ? sim_mutant_name(sim_mutant) : "");
    free(all.a);
}

/* --- words --- */

static bool first_failure(const struct options *o, const struct sim_failure *f, void *arg)
{
    unsigned *n = arg;

    sim_explain(o, f);
    return ++*n < o->failures;
}

static int sweep_all(const struct options *o)
{
    struct sim_sum sum = {0};
    unsigned failures = 0;
    double begin = seconds();

    if (o->hours > 0) {
        for (uint64_t from = o->from; seconds() - begin < o->hours * 3600 && failures < o->failures;
             from += 10000) {
            sim_sweep(o, from, from + 10000, first_failure, &failures, &sum);
            printf("%.2f h: %llu seeds, %u failures\n", (seconds() - begin) / 3600,
                   (unsigned long long)sum.seeds, failures);
            fflush(stdout);
        }
    } else {
        sim_sweep(o, o->from, o->from + o->seeds, first_failure, &failures, &sum);
    }
    printf("%llu seeds of %u scenarios in %.1f s, %llu steps each, %u failures\n",
           (unsigned long long)sum.seeds, o->nr_chosen, seconds() - begin,
           (unsigned long long)(sum.seeds ? sum.steps / sum.seeds : 0), failures);
    if (o->sum)
        printf("sum of steps: %llu\n", (unsigned long long)sum.steps);
    return failures ? 1 : 0;
}

static bool exhaust_one(const struct options *o, const struct sim_scenario *s)
{
    struct sim_config config = sim_config_of(o, o->from);
    uint64_t n = 0;
    const char *why = NULL;
    double begin = seconds();

    config.policy = SIM_POLICY_EXHAUST;
    sim_exhaust_reset();
    do {
        why = sim_run(&config, s->run);
        n++;
    } while (!why && sim_exhaust_next(s->exhaust) && n < o->seeds);
    printf("%-24s %llu schedules with at most %u preemptions in %.1f s%s%s%s\n", s->name,
           (unsigned long long)n, s->exhaust, seconds() - begin,
           n == o->seeds ? " (cut short)" : " (all)", why ? ", FAILED: " : "", why ? why : "");
    fflush(stdout);
    return why == NULL;
}

/* Scenarios in parallel: each process takes the next one that nobody has begun. */
static int exhaust_all(const struct options *o)
{
    unsigned *begun = (unsigned *)&child[0].done;
    int status, failed = 0;

    *begun = 0;
    fflush(stdout);
    for (unsigned k = 0; k < o->jobs; k++) {
        if (fork())
            continue;
        child_setup();
        for (unsigned i; (i = __atomic_fetch_add(begun, 1, __ATOMIC_RELAXED)) < o->nr_chosen;)
            failed |= o->chosen[i]->exhaust && !exhaust_one(o, o->chosen[i]);
        _exit(failed);
    }
    while (wait(&status) > 0) {
        if (WIFSIGNALED(status))
            printf("crash: signal %d\n", WTERMSIG(status));
        failed |= status != 0;
    }
    return failed;
}

/*
 * What outlives a run (the arena of the heap) comes into being: every seed finds the same, in
 * whatever process.
 */
static void warm_up(const struct options *o)
{
    struct sim_config config = sim_config_of(o, 0);
    int mutant = sim_mutant;

    sim_mutant = 0;
    config.fault_permille = 0;
    (void)sim_run(&config, sim_warm_up);
    sim_mutant = mutant;
}

int main(int argc, char **argv)
{
    struct options o;

    sim_options(&o, argc, argv);
    sim_race_init();
    child = mmap(NULL, o.jobs * sizeof(*child), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    attempt = mmap(NULL, sizeof(*attempt), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (child == MAP_FAILED || attempt == MAP_FAILED) {
        perror("sim");
        return 2;
    }
    warm_up(&o);
    if (o.replay) {
        struct sim_failure f = {o.chosen[0], o.from, "", ""};
        struct sim_config config = sim_config_of(&o, f.seed);

        if (!o.inside) {
            if (!try_once(&o, &f, NULL, false)) {
                printf("%s:%llu passes\n", f.scenario->name, (unsigned long long)f.seed);
                return 0;
            }
            f.why = strdup(attempt->why);
            sim_explain(&o, &f);
            return 1;
        }
        f.why = sim_run(&config, f.scenario->run); /* in this very process, for a debugger */
        printf("%s\n", f.why ? f.why : "passes");
        return f.why ? 1 : 0;
    }
    if (o.oracles)
        return sim_violations_all(&o);
    if (o.mutants)
        return sim_mutants_all(&o);
    if (o.policy == SIM_POLICY_EXHAUST)
        return exhaust_all(&o);
    return sweep_all(&o);
}
