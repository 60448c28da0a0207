/*
 * LEAT_CHAOS: the same seed gives the same order, another seed another one; a failure names the
 * seed; nothing is lost.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NR 12
#define STEPS 6

struct order {
    int64_t burn_ns; /* each step takes */
    unsigned n;
    unsigned char who[NR * STEPS];
    leat_waitgroup wg;
};

static void stepper(struct order *o, int i)
{
    for (int s = 0; s < STEPS; s++) {
        o->who[o->n++] = (unsigned char)i;
        if (o->burn_ns)
            kit_burn(o->burn_ns);
        leat_yield();
    }
    leat_wg_done(&o->wg);
}

static int order_main(void *arg)
{
    struct order *o = arg;

    leat_wg_add(&o->wg, NR);
    for (int i = 0; i < NR; i++)
        if (go(stepper, o, i) < 0)
            return 3;
    return leat_wg_wait(&o->wg, LEAT_FOREVER);
}

static struct order order_of(uint64_t seed, int64_t burn_ns)
{
    /* who is held up on a busy machine keeps its processor: another worker is another order */
    leat_config config = {.procs = 1, .chaos = seed, .slice_us = 10000000, .retake_us = -1};
    struct order o = {.burn_ns = burn_ns};

    unsetenv("LEAT_CHAOS"); /* which would override the seeds that are compared here */
    cr_assert(eq(int, leat_run_with(&config, order_main, &o), 0));
    cr_assert(eq(uint, o.n, NR * STEPS));
    return o;
}

/*
 * Goal: with one processor a seed is one order, also where turns are so long that the monitor asks
 * for a look around; and seeds differ.
 */
Test(chaos, a_seed_is_an_order, .timeout = 60)
{
    unsigned differ = 0;
    struct order off = order_of(0, 0);

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct order a = order_of(seed, 0), b = order_of(seed, 0);
        struct order slow = order_of(seed, LEAT_MSEC);

        cr_expect(zero(int, memcmp(a.who, b.who, sizeof(a.who))), "seed %lu", (unsigned long)seed);
        cr_expect(zero(int, memcmp(a.who, slow.who, sizeof(a.who))), "seed %lu, slow",
                  (unsigned long)seed);
        differ += memcmp(a.who, off.who, sizeof(a.who)) != 0;
    }
    cr_expect(ge(uint, differ, 4), "%u of 5 seeds give another order than none", differ);
}

/* --- many, on many processors: nobody is lost --- */

struct crowd {
    leat_mutex mutex;
    unsigned long count;
    atomic_ulong done;
};

static void counts(struct crowd *c, int depth)
{
    for (int i = 0; i < 3; i++) {
        leat_mutex_lock(&c->mutex);
        c->count++;
        if (i == depth % 3)
            leat_yield();
        leat_mutex_unlock(&c->mutex);
        (void)leat_sleep(i == 1 ? 20 * LEAT_USEC : 0);
    }
    atomic_fetch_add(&c->done, 1);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 200; i++)
        if (go(counts, c, i) < 0)
            return 3;
    return kit_reach(&c->done, 200, KIT_LONG) && c->count == 600 ? 0 : 4;
}

Test(chaos, nobody_is_lost, .timeout = 120)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        leat_config config = {
            .procs = kit_procs[p], .chaos = 7 + (uint64_t)p, .shutdown_grace_ms = 20000};
        struct crowd c = {.count = 0};

        cr_expect(eq(int, leat_run_with(&config, crowd_main, &c), 0), "%u processors",
                  kit_procs[p]);
    }
}

/* --- failures --- */

enum how { ABORTS, OVERFLOWS, DEADLOCKS, WRONG };

static int deep(volatile char *below)
{
    volatile char here[2000];

    here[0] = below[0] + 1;
    return here[0] ? deep(here) + here[1] : 0;
}

static int fails_main(void *arg)
{
    leat_waitgroup wg = {0};
    volatile char c = 1;

    switch (*(enum how *)arg) {
    case ABORTS:
        abort();
    case OVERFLOWS:
        return deep(&c);
    case DEADLOCKS:
        leat_wg_add(&wg, 1);
        return leat_wg_wait(&wg, LEAT_FOREVER);
    case WRONG:
        leat_wg_done(&wg);
        break;
    }
    return 0;
}

static int fails_body(void *arg)
{
    leat_config config = {.procs = 2, .threads_stay_out = true};

    setenv("LEAT_CHAOS", "4711", 1);
    signal(SIGABRT, SIG_DFL); /* the runners have handlers of their own */
    return leat_run_with(&config, fails_main, arg);
}

/* Goal: whatever ends the program, the seed is named, once. */
Test(chaos, failures_name_the_seed, .timeout = 120)
{
    static const struct {
        enum how how;
        int signo; /* 0: exit status 2 */
    } ends[] = {{ABORTS, SIGABRT}, {OVERFLOWS, SIGSEGV}, {DEADLOCKS, 0}, {WRONG, SIGABRT}};

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        enum how how = ends[i].how;
        char text[KIT_TEXT_BYTES];
        int status = kit_child(fails_body, &how, 60000, text);

        if (ends[i].signo)
            cr_expect(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == ends[i].signo,
                      "%u: status %d: %s", i, status, text);
        else
            cr_expect(kit_exited(status, 2), "%u: status %d: %s", i, status, text);
        cr_expect(eq(uint, kit_occurs(text, "leat: LEAT_CHAOS=4711 was in force\n"), 1), "%u: %s",
                  i, text);
    }
}
