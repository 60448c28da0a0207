/*
 * Scenarios of the scheduler: who runs, where, and that nobody is forgotten.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

static void count(unsigned *n)
{
    (*n)++;
}

/* --- spawning --- */

static int spawn_main(void *arg)
{
    unsigned n = 0, goal = 1 + sim_shape(12);

    (void)arg;
    for (unsigned i = 0; i < goal; i++)
        sim_check(go(count, &n) == 0, "go failed");
    kit_await(&n, goal, "coroutines");
    return 0;
}

void scenario_spawn(void)
{
    kit_run(kit_procs(3), 0, spawn_main, NULL);
}

static void tree(unsigned *n, unsigned depth)
{
    for (unsigned i = 0; depth && i < 2; i++)
        sim_check(go(tree, n, depth - 1) == 0, "go failed");
    if (sim_shape(3) == 0)
        leat_yield();
    (*n)++;
}

static int tree_main(void *arg)
{
    unsigned n = 0;

    (void)arg;
    tree(&n, 3);
    kit_await(&n, 15, "nodes");
    return 0;
}

void scenario_tree(void)
{
    kit_run(kit_procs(3), SIM_FAULT_INTR | SIM_FAULT_SPURIOUS, tree_main, NULL);
}

/* --- turns --- */

struct turns {
    unsigned ended, rounds;
};

static void yielder(struct turns *t)
{
    for (unsigned i = 0; i < t->rounds; i++)
        leat_yield();
    t->ended++;
}

static int yield_main(void *arg)
{
    unsigned n = 2 + sim_shape(6);
    struct turns t = {0, 1 + sim_shape(10)};

    (void)arg;
    for (unsigned i = 0; i < n; i++)
        sim_check(go(yielder, &t) == 0, "go failed");
    kit_await(&t.ended, n, "yielders");
    return 0;
}

void scenario_yield(void)
{
    kit_run(kit_procs(3), SIM_FAULT_LATE_THREAD, yield_main, NULL);
}

static leat_event gate;

static void waits_at_gate(struct turns *t)
{
    t->rounds++;
    sim_check(leat_event_wait(&gate, LEAT_FOREVER) == 0, "the wait failed");
    t->ended++;
}

/* More at once than the stack of new ones holds, and more than a ring: into the lists behind. */
static int overflow_main(void *arg)
{
    struct turns t = {0, 0};
    unsigned n = LEA_RUNQ_CAP + 44;

    (void)arg;
    for (unsigned i = 0; i < n; i++)
        sim_check(go(waits_at_gate, &t) == 0, "go failed");
    kit_await(&t.rounds, n, "begun");
    leat_event_set(&gate);
    kit_await(&t.ended, n, "through the gate");
    return 0;
}

void scenario_overflow(void)
{
    if (sim_shape(16)) { /* it is long: now and then */
        scenario_spawn();
    } else {
        memset(&gate, 0, sizeof(gate));
        kit_run(kit_procs(2), 0, overflow_main, NULL);
    }
}

/* --- priorities --- */

struct classes {
    unsigned high, low, stop, ended;
};

static void busy_high(struct classes *c)
{
    while (!c->stop) {
        c->high++;
        leat_yield();
    }
    c->ended++;
}

static void rare_low(struct classes *c)
{
    for (int i = 0; i < 3; i++) {
        c->low++;
        leat_yield();
    }
}

static int priorities_main(void *arg)
{
    leat_attr high = {.priority = 1}, low = {.priority = -1};
    struct classes c = {0};

    (void)arg;
    sim_check(leat_go_attr(&low, rare_low, &c) == 0, "go failed");
    for (int i = 0; i < 2; i++)
        sim_check(leat_go_attr(&high, busy_high, &c) == 0, "go failed");
    while (c.low < 3) {
        sim_check(c.high < 2000, "the low class starves: %u turns of the high one, %u of the low",
                  c.high, c.low);
        leat_yield();
    }
    c.stop = 1;
    kit_await(&c.ended, 2, "the high class");
    return 0;
}

void scenario_priorities(void)
{
    kit_run(1, 0, priorities_main, NULL);
}

/* --- processors that change hands --- */

struct hands {
    unsigned done, ran, spawned;
};

static void giver(struct hands *h)
{
    for (unsigned i = 0; i < 3; i++) {
        if (go(count, &h->ran) == 0)
            h->spawned++;
        kit_burn((1 + sim_shape(4)) * LEAT_MSEC);
        leat_set_name("giver"); /* a call that never parks: here it gives its processor up */
        kit_burn((int64_t)sim_shape(3) * 100 * LEAT_USEC);
        if (i == 2 && sim_shape(2))
            break; /* ends without a processor */
        (void)leat_sleep((int64_t)sim_shape(5) * 300 * LEAT_USEC);
    }
    h->done++;
}

static int hands_main(void *arg)
{
    struct hands h = {0};

    (void)arg;
    for (int i = 0; i < 2; i++)
        sim_check(go(giver, &h) == 0, "go failed");
    kit_await(&h.done, 2, "givers");
    kit_await(&h.ran, h.spawned, "their coroutines");
    return 0;
}

static void handover(unsigned faults)
{
    leat_config config = {.procs = 1 + sim_shape(3), .slice_us = 100, .max_threads = 8};

    kit_run_config(&config, faults, hands_main, NULL);
}

void scenario_handover(void)
{
    handover(0);
}

void scenario_handover_faults(void)
{
    handover(SIM_FAULT_THREAD | SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD);
}

/* --- idle processors --- */

struct pulses {
    unsigned n, goal;
};

static void *pulse_thread(void *arg)
{
    struct pulses *p = arg;

    for (unsigned i = 0; i < p->goal; i++) {
        sim_check(go(count, &p->n) == 0, "go from outside failed");
        if (sim_shape(2))
            (void)lea_os_sleep_until(sim.now_ns + (int64_t)sim_shape(400) * 1000);
    }
    return NULL;
}

/* Work comes from outside while processors fall asleep: submit against idle. */
static int pulse_main(void *arg)
{
    struct pulses p[2] = {{0, 1 + sim_shape(5)}, {0, 1 + sim_shape(5)}};
    struct sim_thread *t[2];

    (void)arg;
    for (int i = 0; i < 2; i++)
        t[i] = kit_thread(pulse_thread, &p[i]);
    for (int i = 0; i < 2; i++)
        kit_await(&p[i].n, p[i].goal, "pulses");
    for (int i = 0; i < 2; i++)
        kit_join(t[i]);
    return 0;
}

void scenario_pulse(void)
{
    kit_run(kit_procs(3), SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD, pulse_main,
            NULL);
}

static void fan(unsigned *n, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        sim_check(go(count, n) == 0, "go failed");
    kit_burn((int64_t)sim_shape(20) * 10 * LEAT_USEC);
    (*n)++;
}

/* Bursts of long turns, then sleep: searchers find work, give up, wake successors. */
static int burst_main(void *arg)
{
    unsigned n = 0, goal = 0;

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        unsigned fans = 1 + sim_shape(3), width = sim_shape(4);

        for (unsigned k = 0; k < fans; k++)
            sim_check(go(fan, &n, width) == 0, "go failed");
        goal += fans * (width + 1);
        if (sim_shape(2))
            kit_burn(300 * LEAT_USEC);
        kit_await(&n, goal, "the burst");
    }
    return 0;
}

void scenario_burst(void)
{
    kit_run(2 + sim_shape(3), SIM_FAULT_LATE_THREAD, burst_main, NULL);
}

static void long_turn(unsigned *n)
{
    kit_burn(200 * LEAT_USEC);
    (*n)++;
}

/*
 * Turns are long, and nobody makes up for a wake-up that was lost: whoever is ready must be run by
 * whoever is idle.
 */
static int unwatched_main(void *arg)
{
    unsigned n = 0, goal = 0;

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        unsigned width = 1 + sim_shape(4);

        for (unsigned k = 0; k < width; k++)
            sim_check(go(long_turn, &n) == 0, "go failed");
        goal += width;
        kit_burn((int64_t)sim_shape(4) * LEAT_MSEC);
        if (sim_shape(3) == 0)
            leat_yield();
        else
            kit_await(&n, goal, "long turns");
    }
    kit_await(&n, goal, "long turns");
    return 0;
}

void scenario_unwatched(void)
{
    kit_run_unwatched(2 + sim_shape(3), 0, unwatched_main, NULL);
}

static int unwatched_pulse_main(void *arg)
{
    struct sim_thread *t[2];
    struct pulses p[2] = {{0, 1 + sim_shape(5)}, {0, 1 + sim_shape(5)}};

    (void)arg;
    for (int i = 0; i < 2; i++)
        t[i] = kit_thread(pulse_thread, &p[i]);
    kit_burn((int64_t)sim_shape(30) * LEAT_MSEC); /* what comes meanwhile is for the others */
    for (int i = 0; i < 2; i++)
        kit_await(&p[i].n, p[i].goal, "pulses");
    for (int i = 0; i < 2; i++)
        kit_join(t[i]);
    return 0;
}

void scenario_unwatched_pulse(void)
{
    kit_run_unwatched(2, SIM_FAULT_INTR | SIM_FAULT_SPURIOUS, unwatched_pulse_main, NULL);
}

struct storm {
    unsigned ran, spawned, ended;
};

static void storm_turn(struct storm *s)
{
    kit_burn((int64_t)sim_shape(3) * 400 * LEAT_USEC);
    s->ran++;
}

static void stormer(struct storm *s)
{
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = sim_shape(3); k > 0; k--) {
            sim_check(go(storm_turn, s) == 0, "go failed");
            s->spawned++;
        }
        if (sim_shape(2))
            (void)leat_sleep((int64_t)sim_shape(3) * LEAT_USEC);
        else
            leat_yield();
    }
    s->ended++;
}

/* Submitters, searchers and those who fall asleep, all at once. */
static int storm_main(void *arg)
{
    unsigned n = 2 + sim_shape(3);
    struct storm s = {0};

    (void)arg;
    for (unsigned i = 0; i < n; i++)
        sim_check(go(stormer, &s) == 0, "go failed");
    kit_await(&s.ended, n, "stormers");
    kit_await(&s.ran, s.spawned, "turns");
    return 0;
}

void scenario_unwatched_storm(void)
{
    kit_run_unwatched(3 + sim_shape(2), 0, storm_main, NULL);
}

/* --- what the system refuses --- */

void scenario_refused(void)
{
    (void)kit_run_may_fail(kit_procs(3), SIM_FAULT_THREAD | SIM_FAULT_DESCRIPTOR, spawn_main, NULL);
}

static int poor_main(void *arg)
{
    unsigned n = 0, goal = 0;

    (void)arg;
    for (unsigned i = 0; i < 12; i++) {
        int r = go(count, &n);

        sim_check(r == 0 || r == -ENOMEM, "go gave %d", r);
        goal += r == 0;
    }
    kit_await(&n, goal, "those that could be had");
    return 0;
}

void scenario_poor(void)
{
    (void)kit_run_may_fail(kit_procs(2), SIM_FAULT_MEMORY, poor_main, NULL);
}

/* --- stacks: born here, ended there --- */

static void nap(unsigned *n)
{
    (void)leat_sleep((int64_t)sim_shape(3) * 50 * LEAT_USEC);
    (*n)++;
}

static int stacks_main(void *arg)
{
    leat_attr large = {.stack_bytes =
                           4 << 20}; /* such ones are not cached: freed here, taken there */
    unsigned n = 0;

    (void)arg;
    for (unsigned i = 0; i < 10; i++) {
        sim_check(go(nap, &n) == 0, "go failed");
        if (i % 2 == 0)
            sim_check(leat_go_attr(&large, i % 4 ? nap : count, &n) == 0, "go failed");
    }
    kit_await(&n, 15, "naps");
    return 0;
}

void scenario_stacks(void)
{
    kit_run(kit_procs(3), 0, stacks_main, NULL);
}

/* --- beginning and end --- */

struct outside {
    unsigned began, ran, spawned, refused;
};

static void *outside_thread(void *arg)
{
    struct outside *o = arg;

    for (unsigned i = 0; i < 4; i++) {
        int r = go(count, &o->ran);

        sim_check(r == 0 || r == -ESHUTDOWN, "go from outside gave %d", r);
        o->spawned += r == 0;
        o->refused += r != 0;
        if (sim_shape(3) == 0)
            (void)lea_os_sleep_until(sim.now_ns + (int64_t)sim_shape(300) * 1000);
    }
    return NULL;
}

static int short_main(void *arg)
{
    (void)arg;
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(300) * LEAT_USEC);
    return 0;
}

/*
 * Threads of the program's own spawn while runs begin and end; what was accepted runs before
 * leat_run returns.
 */
void scenario_outside(void)
{
    struct outside o[2] = {{0}};
    struct sim_thread *t[2];
    unsigned procs = kit_procs(2);

    for (int i = 0; i < 2; i++)
        t[i] = kit_thread(outside_thread, &o[i]);
    kit_run(procs, 0, short_main, NULL);
    kit_run(procs, 0, short_main, NULL);
    for (int i = 0; i < 2; i++)
        kit_join(t[i]);
    for (int i = 0; i < 2; i++)
        sim_check(o[i].ran == o[i].spawned, "%u of %u coroutines from outside ran", o[i].ran,
                  o[i].spawned);
}
