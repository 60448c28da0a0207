/*
 * leat_run: its value, its refusals, and what it leaves behind.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int give_arg(void *arg)
{
    return *(int *)arg;
}

/*
 * Goal: leat_run gives the value of its main coroutine, again and again, whatever the number of
 * processors.
 */
Test(run, gives_the_value_of_main, .timeout = 60)
{
    for (int i = 0; i < KIT_NR_PROCS; i++)
        for (int v = -2; v < 3; v++)
            cr_assert(eq(int, kit_run(kit_procs[i], give_arg, &v), v));
}

/* Goal: no function is a refusal that changes nothing. */
Test(run, refuses_a_null_function, .timeout = 60)
{
    int v = 7;

    cr_assert(eq(int, leat_run(NULL, NULL), -EINVAL));
    cr_assert(eq(int, leat_run_with(NULL, NULL, &v), -EINVAL));
    cr_assert(eq(int, leat_run(give_arg, &v), 7));
}

static void *run_on_thread(void *arg)
{
    return (void *)(intptr_t)kit_run(2, give_arg, arg);
}

/* Goal: any thread may start a run, one after the other. */
Test(run, starts_from_any_thread, .timeout = 60)
{
    for (int v = 1; v <= 5; v++) {
        pthread_t t;
        void *value;

        cr_assert(eq(int, pthread_create(&t, NULL, run_on_thread, &v), 0));
        pthread_join(t, &value);
        cr_assert(eq(int, (int)(intptr_t)value, v));
        cr_assert(eq(int, kit_run(2, give_arg, &v), v));
    }
}

struct nested {
    int v;
    int inside, beside;
};

static void *run_beside(void *arg)
{
    struct nested *n = arg;

    n->beside = leat_run(give_arg, &n->v);
    return NULL;
}

static int nested_main(void *arg)
{
    struct nested *n = arg;
    pthread_t t;

    n->inside = leat_run(give_arg, &n->v);
    if (pthread_create(&t, NULL, run_beside, n))
        return -1;
    pthread_join(t, NULL);
    return n->v;
}

/*
 * Goal: one run at a time: a second one gets -EBUSY, from a coroutine and from a plain thread, and
 * the first goes on.
 */
Test(run, refuses_a_second_one, .timeout = 60)
{
    struct nested n = {.v = 5};

    cr_assert(eq(int, kit_run(2, nested_main, &n), 5));
    cr_assert(eq(int, n.inside, -EBUSY));
    cr_assert(eq(int, n.beside, -EBUSY));
}

struct crowd {
    atomic_ulong ran;
    unsigned procs;
    bool reached;
};

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;

    c->procs = leat_nr_procs();
    for (int i = 0; i < 5000; i++)
        if (go(count_up, &c->ran) < 0)
            return -1;
    c->reached = kit_reach(&c->ran, 5000, KIT_LONG);
    return 0;
}

/* Goal: the largest number of processors works, on any machine, and ends. */
Test(run, works_with_1024_processors, .timeout = 60)
{
    struct crowd c = {0};

    cr_assert(eq(int, kit_run(1024, crowd_main, &c), 0));
    cr_assert(eq(uint, c.procs, 1024));
    cr_assert(c.reached, "%lu of 5000 ran", atomic_load(&c.ran));
}

static int nr_procs_main(void *arg)
{
    *(unsigned *)arg = leat_nr_procs();
    return 0;
}

/* Goal: the environment overrides the program, and has the same ranges. */
Test(run, environment_overrides_the_config, .timeout = 60)
{
    leat_config config = {.procs = 1};
    unsigned procs = 0;

    setenv("LEAT_PROCS", "3", 1);
    cr_assert(eq(int, leat_run_with(&config, nr_procs_main, &procs), 0));
    cr_assert(eq(uint, procs, 3));
    setenv("LEAT_PROCS", "1025", 1);
    cr_assert(eq(int, leat_run_with(&config, nr_procs_main, &procs), -EINVAL));
    unsetenv("LEAT_PROCS");
    cr_assert(eq(int, leat_run_with(&config, nr_procs_main, &procs), 0));
    cr_assert(eq(uint, procs, 1));
}

/*
 * Goal: a trace that could not be written in the end is refused at the start: the main coroutine
 * does not begin.
 */
Test(run, refuses_a_trace_that_cannot_be_written, .timeout = 60)
{
    unsigned procs = 0;

    setenv("LEAT_TRACE", "/nonexistent/trace", 1);
    cr_assert(eq(int, leat_run(nr_procs_main, &procs), -EINVAL));
    cr_assert(eq(uint, procs, 0));
    unsetenv("LEAT_TRACE");
}

/* Goal: outside of a run the questions have answers. */
Test(run, plain_threads_may_ask, .timeout = 60)
{
    leat_run_stats stats;

    cr_assert(eq(uint, leat_nr_procs(), 0));
    cr_assert(eq(u64, leat_self_id(), 0));
    cr_assert(eq(str, (char *)leat_self_name(), ""));
    cr_assert(not(leat_cancelled()));
    cr_assert(eq(int, leat_stats_run(&stats), -ESHUTDOWN));
    leat_set_name("nobody");
    leat_yield();
    cr_assert(eq(str, (char *)leat_self_name(), ""));
}

/* --- what a run leaves behind --- */

static void nap(atomic_ulong *n)
{
    (void)leat_sleep(LEAT_MSEC);
    atomic_fetch_add(n, 1);
}

static int busy_main(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 200; i++)
        if (go(nap, &c->ran) < 0)
            return -1;
    c->reached =
        kit_reach(&c->ran, 100, KIT_LONG); /* the others are still at it when the run ends */
    return 0;
}

static bool busy_runs(int n)
{
    for (int i = 0; i < n; i++) {
        struct crowd c = {0};

        if (kit_run(4, busy_main, &c) != 0 || !c.reached)
            return false;
    }
    return true;
}

/*
 * Goal: a run gives back threads, descriptors and memory. Method: after some runs, so that libc's
 * and the allocator's own caches are there, count before and after 50 more; a leak of one mapping
 * or of one stack reservation a run shows. libc keeps to one arena: it reserves 64 MiB for each,
 * and makes another when threads happen to allocate at the same time.
 */
Test(run, leaves_nothing_behind, .timeout = 60)
{
    struct kit_census before, after;
    long tasks = kit_census_take().tasks;

    (void)mallopt(M_ARENA_MAX, 1);
    cr_assert(busy_runs(20));
    before = kit_census_settled(tasks);
    cr_assert(busy_runs(50));
    after = kit_census_settled(before.tasks);
    cr_expect(eq(long, after.fds, before.fds));
    cr_expect(eq(long, after.tasks, before.tasks));
#if !KIT_TSAN /* its own maps of the address space grow with what was ever mapped */
    cr_expect(le(long, after.maps, before.maps + 25));
    cr_expect(le(long, after.vm_kib, before.vm_kib + (KIT_SANITIZED ? 512 : 32) * 1024));
#endif
#if !KIT_SANITIZED
    cr_expect(le(long, after.rss_kib, before.rss_kib + 8 * 1024));
#endif
}

struct thread_state {
    sigset_t mask;
    cpu_set_t cpus;
    stack_t altstack;
    struct sigaction segv, bus;
    char name[16];
};

static struct thread_state thread_state(void)
{
    struct thread_state s;

    memset(&s, 0, sizeof(s));
    pthread_sigmask(SIG_SETMASK, NULL, &s.mask);
    sched_getaffinity(0, sizeof(s.cpus), &s.cpus);
    sigaltstack(NULL, &s.altstack);
    sigaction(SIGSEGV, NULL, &s.segv);
    sigaction(SIGBUS, NULL, &s.bus);
    pthread_getname_np(pthread_self(), s.name, sizeof(s.name));
    return s;
}

/*
 * Goal: the caller's thread is as before: signals, affinity, alternate stack, handlers, name. errno
 * as well.
 */
Test(run, leaves_the_thread_alone, .timeout = 60)
{
    struct thread_state before = thread_state(), after;
    struct crowd c = {0};

    errno = 4711;
    cr_assert(eq(int, kit_run(2, busy_main, &c), 0));
    cr_expect(eq(int, errno, 4711));
    after = thread_state();
    for (int signo = 1; signo < 65; signo++)
        cr_expect(eq(int, sigismember(&after.mask, signo), sigismember(&before.mask, signo)),
                  "signal %d", signo);
    cr_expect(ne(int, CPU_EQUAL(&after.cpus, &before.cpus), 0));
    cr_expect(eq(ptr, after.altstack.ss_sp, before.altstack.ss_sp));
    cr_expect(eq(int, after.altstack.ss_flags, before.altstack.ss_flags));
    cr_expect(eq(ptr, (void *)after.segv.sa_sigaction, (void *)before.segv.sa_sigaction));
    cr_expect(eq(ptr, (void *)after.bus.sa_sigaction, (void *)before.bus.sa_sigaction));
    cr_expect(eq(str, after.name, before.name));
}

/* --- a run that cannot start --- */

struct refused {
    int resource;
    rlim_t room; /* above what is in use; for descriptors the number itself */
    int first, second, again;
    struct kit_census before, after;
};

static int refused_body(void *arg)
{
    struct refused *r = arg;
    struct rlimit was, tight;
    int v = 9;

    r->again = kit_run(2, give_arg, &v); /* libc's caches are there from now on */
    r->before = kit_census_settled(1);
    getrlimit(r->resource, &was);
    tight = was;
    tight.rlim_cur = r->resource == RLIMIT_AS ? (rlim_t)r->before.vm_kib * 1024 + r->room : r->room;
    setrlimit(r->resource, &tight);
    r->first = kit_run(2, give_arg, &v);
    r->second = kit_run(2, give_arg, &v);
    setrlimit(r->resource, &was);
    r->after = kit_census_settled(r->before.tasks);
    r->again = kit_run(2, give_arg, &v);
    return 0;
}

static void check_refused(struct refused *r, int error, const char *why)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(refused_body, r, 20000, text);

    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, r->first, error));
    cr_expect(eq(int, r->second, error));
    cr_expect(eq(int, r->again, 9));
    cr_expect(ge(uint, kit_occurs(text, "leat: "), 2), "%s", text);
    cr_expect(ge(uint, kit_occurs(text, why), 2), "%s", text);
    cr_expect(eq(long, r->after.fds, r->before.fds));
    cr_expect(eq(long, r->after.tasks, r->before.tasks));
    cr_expect(le(long, r->after.maps, r->before.maps + 4));
    cr_expect(le(long, r->after.vm_kib, r->before.vm_kib + 1024));
}

/*
 * Goal: without a descriptor the run does not start, says why, leaves nothing, and starts when
 * there are some again.
 */
Test(run, without_descriptors_says_so, .timeout = 60)
{
    struct refused *r = kit_shared(sizeof(*r));

    r->resource = RLIMIT_NOFILE;
    r->room = 3;
    check_refused(r, -EMFILE, "descriptor");
}

/*
 * Goal: the same without memory. Method: address space for a few pages only; not under sanitizers,
 * which need some for themselves.
 */
Test(run, without_memory_says_so, .timeout = 60)
{
#if KIT_SANITIZED
    cr_skip("sanitizers need address space");
#else
    struct refused *r = kit_shared(sizeof(*r));

    r->resource = RLIMIT_AS;
    r->room = 64 * 1024;
    check_refused(r, -ENOMEM, "memory");
#endif
}
