/*
 * The end of a run with others alive: they are cancelled, waited for, named if they stay, and never
 * run again.
 */
#include "support/test.h"

#include "sched/kit.h"
#include "support/waits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- those that obey --- */

#define NR_SLEEPERS 100

struct end {
    atomic_ulong began, cancelled, ended, asked, spawned, refused;
    bool reached;
};

static void sleeper(struct end *e, int kind)
{
    int r = -ECANCELED;

    atomic_fetch_add(&e->began, 1);
    switch (kind % 4) {
    case 0:
        r = leat_sleep_until(LEAT_FOREVER);
        break;
    case 1:
        r = leat_sleep(3600 * LEAT_SEC);
        break;
    case 2: {
        leat_waitgroup never = {.word_ = {0}};

        leat_wg_add(&never, 1);
        r = leat_wg_wait(&never, LEAT_FOREVER);
        break;
    }
    default:
        while (!leat_cancelled())
            leat_yield();
        break;
    }
    atomic_fetch_add(&e->cancelled, r == -ECANCELED);
    /* it stays so: the next one says it too, though it could succeed at once */
    atomic_fetch_add(&e->asked, leat_cancelled() && leat_sleep(1) == -ECANCELED &&
                                    leat_sleep(0) == -ECANCELED);
    atomic_fetch_add(&e->ended, 1);
}

static int end_main(void *arg)
{
    struct end *e = arg;

    for (int i = 0; i < NR_SLEEPERS; i++)
        (void)go(sleeper, e, i);
    e->reached = kit_reach(&e->began, NR_SLEEPERS, KIT_LONG);
    return 17;
}

static int end_body(void *arg)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct end *e = &((struct end *)arg)[p];

        if (kit_run(kit_procs[p], end_main, e) != 17)
            return 1;
        if (atomic_load(&e->ended) != NR_SLEEPERS) /* before leat_run came back */
            return 2;
    }
    return 0;
}

/*
 * Goal: main returns while a hundred sleep, wait or yield: each gets -ECANCELED, now and from every
 * later call, all have ended when leat_run comes back with main's value, and nothing is reported.
 */
Test(shutdown, the_others_are_cancelled, .timeout = 60)
{
    struct end *e = kit_shared(KIT_NR_PROCS * sizeof(*e));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(end_body, e, 50000, text);

    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        cr_expect(e[p].reached);
        cr_expect(eq(u64, atomic_load(&e[p].cancelled), NR_SLEEPERS));
        cr_expect(eq(u64, atomic_load(&e[p].asked), NR_SLEEPERS));
    }
    cr_expect(eq(str, text, ""));
}

static void noop(void)
{
}

/* Woken by the end, tries to begin others. */
static void late_spawner(struct end *e)
{
    atomic_fetch_add(&e->began, 1);
    (void)leat_sleep_until(LEAT_FOREVER);
    for (int i = 0; i < 100; i++) {
        int r = go(noop);

        atomic_fetch_add(r == 0 ? &e->spawned : &e->refused, r == 0 || r == -ESHUTDOWN);
    }
    atomic_fetch_add(&e->ended, 1);
}

static int late_main(void *arg)
{
    struct end *e = arg;

    for (int i = 0; i < 10; i++)
        (void)go(late_spawner, e);
    return kit_reach(&e->began, 10, KIT_LONG) ? 0 : -1;
}

/* Goal: while the run ends, nobody can begin anything any more. */
Test(shutdown, no_spawns_while_it_ends, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct end e = {.began = 0};

        cr_assert(eq(int, kit_run(kit_procs[p], late_main, &e), 0));
        cr_expect(eq(u64, atomic_load(&e.ended), 10));
        cr_expect(eq(u64, atomic_load(&e.spawned), 0));
        cr_expect(eq(u64, atomic_load(&e.refused), 1000));
    }
}

/* --- those that do not --- */

struct leftover {
    unsigned procs, spawn_line, grace_ms;
    atomic_ulong began, user_done, went_on, steps;
    atomic_bool over; /* leat_run has come back, and works again */
    int value, again[3];
    bool sound; /* its stack, after the end of the run */
    unsigned long steps_then, steps_later;
    int64_t took_ns;
};

/*
 * In user code until the run is over, with its stack in use; its next call is the last thing it
 * does.
 */
static void computes(struct leftover *l)
{
    unsigned char room[4096];
    volatile unsigned char *v = room;
    bool sound = true;

    for (size_t i = 0; i < sizeof(room); i++)
        v[i] = (unsigned char)(i * 7);
    atomic_fetch_add(&l->began, 1);
    for (int i = 0; i < 2000 && !atomic_load(&l->over); i++) {
        kit_burn(10 * LEAT_MSEC);
        for (size_t j = 0; j < sizeof(room); j++)
            sound &= v[j] == (unsigned char)(j * 7);
    }
    l->sound = sound;
    atomic_fetch_add(&l->user_done, 1);
    leat_yield();
    atomic_fetch_add(&l->went_on, 1);
}

static int computes_main(void *arg)
{
    struct leftover *l = arg;

    l->spawn_line = __LINE__ + 1;
    (void)go(computes, l);
    /* on another processor: this one does not come back while it computes */
    while (!atomic_load(&l->began))
        (void)leat_sleep(LEAT_MSEC);
    return 23;
}

static int small_main(void *arg)
{
    struct leftover *l = arg;
    atomic_ulong n = 0;

    (void)l;
    return kit_reach(&n, 0, KIT_LONG) && leat_sleep(LEAT_MSEC) == 0 ? 5 : -1;
}

static int leftover_body_of(struct leftover *l, int (*fn)(void *))
{
    leat_config config = {.procs = l->procs, .shutdown_grace_ms = 20};
    int64_t begin = leat_now();

    l->value = leat_run_with(&config, fn, l);
    l->took_ns = leat_now() - begin;
    for (int i = 0; i < 3; i++)
        l->again[i] = kit_run(l->procs, small_main, l);
    atomic_store(&l->over, true);
    for (int i = 0; i < 2000 && !atomic_load(&l->user_done); i++)
        usleep(10000);
    usleep(20000); /* would it go on, it would be by now */
    l->steps_then = atomic_load(&l->steps);
    usleep(100000);
    l->steps_later = atomic_load(&l->steps);
    return 0;
}

static int computes_body(void *arg)
{
    return leftover_body_of(arg, computes_main);
}

static void check_report(const struct leftover *l, const char *text, const char *fn)
{
    char site[64];

    snprintf(site, sizeof(site), "shutdown.c:%u", l->spawn_line);
    cr_expect(ge(uint, kit_occurs(text, site), 1), "no %s in: %s", site, text);
    cr_expect(ge(uint, kit_occurs(text, fn), 1), "%s", text);
    cr_expect(eq(int, l->value, 23));
    for (int i = 0; i < 3; i++)
        cr_expect(eq(int, l->again[i], 5));
}

/*
 * Goal: a coroutine that is in user code for longer than the grace is named with its spawn site;
 * leat_run comes back without it and works again meanwhile; it keeps its stack, and never comes out
 * of its next call.
 */
Test(shutdown, one_that_computes_on, .timeout = 60)
{
    for (int p = 1; p < KIT_NR_PROCS; p++) {
        struct leftover *l = kit_shared(sizeof(*l));
        char text[KIT_TEXT_BYTES];
        int status;

        l->procs = kit_procs[p];
        status = kit_child(computes_body, l, 50000, text);
        cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
        check_report(l, text, "computes");
        cr_expect(ge(uint, kit_occurs(text, "user code"), 1), "%s", text);
        cr_expect(eq(u64, atomic_load(&l->user_done), 1));
        cr_expect(l->sound);
        cr_expect(eq(u64, atomic_load(&l->went_on), 0));
        cr_expect(lt(i64, l->took_ns, KIT_LONG * 3 / 4));
    }
}

/* Takes no notice of being cancelled. */
static void ignores(struct leftover *l)
{
    atomic_fetch_add(&l->began, 1);
    for (;;) {
        (void)leat_sleep(100 * LEAT_USEC); /* -ECANCELED at once, from some time on */
        atomic_fetch_add(&l->steps, 1);
        atomic_store(&l->user_done, 1);
    }
}

static int ignores_main(void *arg)
{
    struct leftover *l = arg;

    l->spawn_line = __LINE__ + 1;
    (void)go(ignores, l);
    return kit_reach(&l->steps, 1, KIT_LONG) ? 23 : -1;
}

static int ignores_body(void *arg)
{
    return leftover_body_of(arg, ignores_main);
}

/*
 * Goal: one that ignores cancellation and goes on calling is named, and stopped at one of its
 * calls: its thread leaves. One processor, too.
 */
Test(shutdown, one_that_ignores_cancellation, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct leftover *l = kit_shared(sizeof(*l));
        char text[KIT_TEXT_BYTES];
        int status;

        l->procs = kit_procs[p];
        status = kit_child(ignores_body, l, 50000, text);
        cr_assert(kit_exited(status, 0), "%u processors, status %d: %s", l->procs, status, text);
        check_report(l, text, "ignores");
        cr_expect(gt(u64, l->steps_then, 0));
        /* a thread that has not run since may be about to count */
        cr_expect(le(u64, l->steps_later, l->steps_then + 1));
        cr_expect(lt(i64, l->took_ns, KIT_LONG * 3 / 4));
    }
}

/* Waits for a mutex that nobody gives back: that wait cannot be cancelled. */
static void waits_for_ever(struct leftover *l, leat_mutex *lock)
{
    leat_mutex_lock(lock);
    atomic_fetch_add(&l->went_on, 1);
}

static leat_mutex locked;

static int waits_main(void *arg)
{
    struct leftover *l = arg;
    leat_attr attr = {.name = "the patient one"};
    uint64_t before;

    leat_mutex_lock(&locked);
    before = waits_begun();
    l->spawn_line = __LINE__ + 1;
    (void)leat_go_attr(&attr, waits_for_ever, l, &locked);
    return waits_await(before + 1) ? 23 : -1;
}

#define NR_WAITS 4

static int waits_body(void *arg)
{
    struct leftover *l = arg;
    leat_config config = {.procs = l->procs, .shutdown_grace_ms = l->grace_ms};
    struct kit_census before, after;

    for (int i = 0; i < NR_WAITS; i++) {
        memset(&locked, 0, sizeof(locked));
        l->value = leat_run_with(&config, waits_main, l);
        if (i == 1)
            before = kit_census_settled(1);
    }
    after = kit_census_settled(1);
    for (int i = 0; i < 3; i++)
        l->again[i] = kit_run(l->procs, small_main, l);
    return after.tasks != before.tasks ? 10 : after.fds != before.fds ? 11 : 0;
}

/* The threads have to leave within the grace. A busy machine may need a longer one. */
static struct leftover *waits_run(unsigned procs, char text[KIT_TEXT_BYTES], int *status)
{
    struct leftover *l = kit_shared(sizeof(*l));

    for (l->grace_ms = 200; l->grace_ms < (KIT_VALGRIND ? 60000 : 10000); l->grace_ms *= 4) {
        *l = (struct leftover){.procs = procs, .grace_ms = l->grace_ms};
        *status = kit_child(waits_body, l, 50000, text);
        if (!kit_occurs(text, "user code"))
            break;
    }
    return l;
}

/*
 * Goal: one that waits where it cannot be cancelled is named with its name and its reason, and
 * given up with the run: no thread and no descriptor stays. (Its stack does: the waiter on it is
 * still in the mutex's list.)
 */
Test(shutdown, one_that_cannot_be_cancelled, .timeout = 150)
{
    for (int p = 0; p < KIT_NR_PROCS - KIT_VALGRIND; p++) { /* 64 take long in turns */
        char text[KIT_TEXT_BYTES], site[64];
        int status;
        struct leftover *l = waits_run(kit_procs[p], text, &status);

        cr_assert(kit_exited(status, 0), "%u processors, status %d: %s", l->procs, status, text);
        snprintf(site, sizeof(site), "shutdown.c:%u", l->spawn_line);
        cr_expect(eq(uint, kit_occurs(text, site), NR_WAITS), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "the patient one"), NR_WAITS), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "mutex"), NR_WAITS), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "user code"), 0), "%s", text);
        cr_expect(eq(u64, atomic_load(&l->went_on), 0));
        cr_expect(eq(int, l->value, 23));
        cr_expect(eq(int, l->again[2], 5));
    }
}

/* Goal: a coroutine that ends while the grace lasts is not a leftover: the run waits for it. */
static void ends_in_time(struct leftover *l)
{
    atomic_fetch_add(&l->began, 1);
    for (int i = 0; i < 2000 && !leat_cancelled(); i++)
        kit_burn(10 * LEAT_MSEC);
    kit_burn(50 * LEAT_MSEC); /* the end of the run has begun */
    l->sound = leat_cancelled();
    atomic_fetch_add(&l->went_on, 1);
}

static int in_time_main(void *arg)
{
    struct leftover *l = arg;

    (void)go(ends_in_time, l);
    while (!atomic_load(&l->began))
        (void)leat_sleep(LEAT_MSEC);
    return 3;
}

Test(shutdown, the_grace_is_waited_for, .timeout = 60)
{
    for (int p = 1; p < KIT_NR_PROCS; p++) {
        struct leftover l = {.procs = kit_procs[p]};
        leat_config config = {.procs = kit_procs[p], .shutdown_grace_ms = 20000};

        cr_assert(eq(int, leat_run_with(&config, in_time_main, &l), 3));
        cr_expect(eq(u64, atomic_load(&l.went_on), 1));
        cr_expect(l.sound);
    }
}
