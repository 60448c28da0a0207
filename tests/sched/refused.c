/*
 * A kernel that refuses threads, at the start of a run and later. Seccomp plays the kernel, in a
 * child.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/program.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

/* --- threads --- */

static int no_threads_body(void *arg)
{
    struct program *p = arg;

    if (!kit_refuse_threads_after((unsigned)p->threads_allowed)) {
        p->no_seccomp = true;
        return 0;
    }
    return program_run(p);
}

/*
 * Goal: not a single thread is to be had: the run works all the same on the caller's thread, with
 * one processor. Method: the first thread is refused, and each later one.
 */
Test(refused, every_thread, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];

    p->procs = 4;
    p->want_procs = 1;
    program_check(p, no_threads_body, text);
    cr_expect(ge(uint, kit_occurs(text, "thread"), 1), "%s", text);
}

static int no_threads_twice_body(void *arg)
{
    struct program *p = arg;
    sigset_t before, after;
    struct kit_census first, second;

    if (!kit_refuse_threads_after(0)) {
        p->no_seccomp = true;
        return 0;
    }
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    (void)program_run(p);
    first = kit_census_take();
    for (int i = 0; i < 5; i++) {
        memset(p, 0, sizeof(*p));
        p->procs = 4;
        p->want_procs = 1;
        (void)program_run(p);
    }
    second = kit_census_take();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    return memcmp(&before, &after, 8)             ? 3
           : first.fds != second.fds              ? 4
           : second.vm_kib > first.vm_kib + 32768 ? 5
                                                  : 0;
}

/* Goal: such a run may be had again, and leaves the caller's thread as it was. */
Test(refused, every_thread_again_and_again, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];

    p->procs = 4;
    p->want_procs = 1;
    program_check(p, no_threads_twice_body, text);
}

/* Main returns with others alive: it has to end them itself. */
static int lone_end_main(void *arg)
{
    struct program *p = arg;

    for (unsigned long i = 0; i < 100; i++)
        (void)go(program_nap, p, 3600 * LEAT_SEC);
    (void)leat_sleep(5 * LEAT_MSEC);
    return 42;
}

static int lone_end_body(void *arg)
{
    /* far more than a busy machine needs to let all of them end */
    leat_config config = {.procs = 2, .shutdown_grace_ms = 2 * (KIT_LONG / LEAT_MSEC)};
    struct program *p = arg;
    int64_t begin = leat_now();

    if (!kit_refuse_threads_after(0)) {
        p->no_seccomp = true;
        return 0;
    }
    p->value = leat_run_with(&config, lone_end_main, p);
    return leat_now() - begin > KIT_LONG ? 3 : 0;
}

/* Goal: a run without threads of its own cancels the others at its end, and waits for them. */
Test(refused, every_thread_and_an_end_with_sleepers, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(lone_end_body, p, 40000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
    cr_expect(eq(u64, atomic_load(&p->slept), 0));
    cr_expect(eq(u64, atomic_load(&p->early), 100)); /* all of them came back, cancelled */
    cr_expect(eq(uint, kit_occurs(text, "alive"), 0), "%s", text);
}

/*
 * Takes no notice of being cancelled. (It yields: without a monitor nobody ends the slice of one
 * that does not.)
 */
static void ignores(struct program *p)
{
    for (;;) {
        atomic_fetch_add(&p->slept, leat_sleep(LEAT_MSEC) == 0);
        leat_yield();
    }
}

/* Waits where it cannot be cancelled. */
static void waits_for_ever(leat_mutex *lock)
{
    leat_mutex_lock(lock);
}

static int lone_leftover_main(void *arg)
{
    static leat_mutex lock;

    leat_mutex_lock(&lock);
    (void)go(ignores, (struct program *)arg);
    (void)go(waits_for_ever, &lock);
    (void)leat_sleep(5 * LEAT_MSEC);
    return 42;
}

static int lone_leftover_body(void *arg)
{
    struct program *p = arg;
    leat_config config = {.procs = 2, .shutdown_grace_ms = 50};

    if (!kit_refuse_threads_after(0)) {
        p->no_seccomp = true;
        return 0;
    }
    p->value = leat_run_with(&config, lone_leftover_main, p);
    return 0;
}

/* Goal: such a run names those that stay, too, and ends. */
Test(refused, every_thread_and_an_end_with_leftovers, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(lone_leftover_body, p, 30000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
    cr_expect(eq(uint, kit_occurs(text, "2 coroutines are still alive"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "(ignores)"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "(waits_for_ever)"), 1), "%s", text);
}

/*
 * Goal: from the n-th thread on they are refused: the run has as many processors as threads could
 * be had, and says so once.
 */
Test(refused, threads_from_the_nth_on, .timeout = 60)
{
    for (unsigned long n = 1; n <= 5; n++) {
        struct program *p = kit_shared(sizeof(*p));
        char text[KIT_TEXT_BYTES];

        p->procs = 8;
        p->threads_allowed = n;
        p->want_procs = (unsigned)n;
        program_check(p, no_threads_body, text);
        cr_expect(eq(uint, kit_occurs(text, "further thread"), 1), "%s", text);
    }
}

/* Goal: the monitor's thread alone is refused: said once, and the run goes on. */
Test(refused, the_monitor, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];

    p->procs = p->want_procs = 2;
    p->threads_allowed = 2;
    program_check(p, no_threads_body, text);
    cr_expect(eq(uint, kit_occurs(text, "monitor"), 1), "%s", text);
}

/*
 * --- without a monitor nothing may be owed: the owner of the queue goes on, and never enters the
 * runtime again ---
 */

static void set(atomic_bool *done)
{
    atomic_store(done, true);
}

static void set_after(leat_waitgroup *wg, atomic_bool *done)
{
    if (leat_wg_wait(wg, LEAT_FOREVER) == 0)
        atomic_store(done, true);
}

/* Not a call in between: what waits is another worker's to run. */
static bool burn_until(atomic_bool *done)
{
    for (int i = 0; i < KIT_LONG / (5 * LEAT_MSEC) && !atomic_load(done); i++)
        kit_burn(5 * LEAT_MSEC);
    return atomic_load(done);
}

static int owes_new_main(void *arg)
{
    static atomic_bool done;

    (void)arg;
    (void)leat_sleep(20 * LEAT_MSEC); /* the other worker sleeps by now */
    (void)go(set, &done);
    return burn_until(&done) ? 42 : -1;
}

static int owes_next_main(void *arg)
{
    static atomic_bool done;
    leat_waitgroup wg = {0};

    (void)arg;
    leat_wg_add(&wg, 1);
    (void)go(set_after, &wg, &done);
    (void)leat_sleep(20 * LEAT_MSEC);
    leat_wg_done(&wg);
    return burn_until(&done) ? 42 : -1;
}

static void yields(atomic_bool *stop)
{
    while (!atomic_load(stop))
        leat_yield();
}

static int owes_small_main(void *arg)
{
    static atomic_bool stop, done[10];
    int left = 0;

    (void)arg;
    for (int i = 0; i < 10; i++)
        (void)go(yields, &stop);
    for (int i = 0; i < 100000; i++) /* short turns are all that this processor knows */
        leat_yield();
    atomic_store(&stop, true);
    (void)leat_sleep(20 * LEAT_MSEC);
    for (int i = 0; i < 10; i++)
        (void)go(set, &done[i]);
    for (int i = 0; i < 10; i++)
        left += !burn_until(&done[i]);
    return left ? -1 : 42;
}

static int owes_body(void *arg)
{
    static int (*const mains[])(void *) = {owes_new_main, owes_next_main, owes_small_main};
    struct program *p = arg;

    if (!kit_refuse_threads_after(2)) {
        p->no_seccomp = true;
        return 0;
    }
    p->value = kit_run(2, mains[p->again], NULL);
    return 0;
}

/*
 * Goal: the new one, the one readied and the backlog of a worker that stays in user code run all
 * the same.
 */
Test(refused, the_monitor_and_nothing_is_owed, .timeout = 120)
{
    for (int i = 0; i < 3; i++) {
        struct program *p = kit_shared(sizeof(*p));
        char text[KIT_TEXT_BYTES];
        int status;

        p->again = i;
        status = kit_child(owes_body, p, 40000, text);
        if (p->no_seccomp)
            cr_skip("no seccomp here");
        cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
        cr_expect(eq(int, p->value, 42), "%d: %s", i, text);
        cr_expect(eq(uint, kit_occurs(text, "monitor"), 1), "%s", text);
    }
}

/* A loop of go() wants to give its processor away, and no thread is to be had for it. */
static void loop_of_go(struct program *p)
{
    while (!leat_cancelled())
        (void)go(count_up, &p->ran);
}

static int give_main(void *arg)
{
    struct program *p = arg;

    (void)go(loop_of_go, p);
    p->reached = leat_sleep(20 * LEAT_MSEC) == 0 && kit_reach(&p->ran, 1, KIT_LONG);
    return 42;
}

static int give_body(void *arg)
{
    struct program *p = arg;
    leat_config config = {.procs = 2, .max_coroutines = 1000, .shutdown_grace_ms = 20000};

    if (!kit_refuse_threads_after(3)) {
        p->no_seccomp = true;
        return 0;
    }
    p->value = leat_run_with(&config, give_main, p);
    return 0;
}

/*
 * Goal: no thread for a hand-over in the middle of a run: it goes on as it is, says so once, and
 * nothing is lost.
 */
Test(refused, a_thread_for_a_hand_over, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(give_body, p, 40000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
    cr_expect(p->reached);
    cr_expect(gt(u64, atomic_load(&p->ran), 0));
    cr_expect(le(uint, kit_occurs(text, "further thread"), 1), "%s", text);
}
