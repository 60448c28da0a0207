/*
 * What a spawn is refused: more coroutines than allowed, more memory than there is. It is told,
 * nothing leaks, and later ones work.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

struct limit {
    unsigned long max;
    int rounds;
    int error[8]; /* of the first refusal in each round */
    unsigned long accepted[8], ran[8];
    uint64_t alive[8]; /* as the counters say, at the limit */
    atomic_ulong ran_now;
    atomic_bool leave;
    bool all_ended;
};

static void stay(struct limit *l)
{
    while (!atomic_load(&l->leave) && leat_sleep(2 * LEAT_MSEC) == 0)
        ;
    atomic_fetch_add(&l->ran_now, 1);
}

/* Spawn until it is refused, let all of them end, and again. */
static int limit_main(void *arg)
{
    struct limit *l = arg;

    l->all_ended = true;
    for (int round = 0; round < l->rounds; round++) {
        leat_run_stats stats;
        int r = 0;

        atomic_store(&l->ran_now, 0);
        atomic_store(&l->leave, false);
        for (l->accepted[round] = 0; l->accepted[round] <= l->max; l->accepted[round]++) {
            r = go(stay, l);
            if (r < 0)
                break;
        }
        l->error[round] = r;
        (void)leat_stats_run(&stats);
        l->alive[round] = stats.alive;
        atomic_store(&l->leave, true);
        l->all_ended &= kit_reach(&l->ran_now, l->accepted[round], KIT_LONG);
        l->ran[round] = atomic_load(&l->ran_now);
    }
    return 0;
}

/*
 * Goal: past max_coroutines go gives -EAGAIN, never lets more live, and goes on when some have
 * ended. Processors hold a few free ones
 * back: so not all of a small number can be had at one place, but most.
 */
Test(limits, most_coroutines_alive, .timeout = 60)
{
    static const unsigned long max[] = {2, 16, 100, 3000};

    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < 4; i++) {
            struct limit l = {.max = max[i], .rounds = 4};
            leat_config config = {
                .procs = kit_procs[p], .max_coroutines = max[i], .shutdown_grace_ms = 20000};

            cr_assert(eq(int, leat_run_with(&config, limit_main, &l), 0));
            cr_assert(l.all_ended);
            for (int round = 0; round < l.rounds; round++) {
                cr_expect(eq(int, l.error[round], -EAGAIN));
                cr_expect(lt(u64, l.accepted[round], max[i])); /* main is one too */
                cr_expect(le(u64, l.alive[round], max[i]));
                cr_expect(ge(u64, l.accepted[round] + 1, max[i] / 2), "%lu procs %u round %d",
                          max[i], kit_procs[p], round);
                cr_expect(eq(u64, l.ran[round], l.accepted[round]));
            }
        }
    }
}

static int alone_main(void *arg)
{
    struct limit *l = arg;

    l->error[0] = go(stay, l);
    return 3;
}

/* Goal: a limit of one is the main coroutine. The variable overrides the program. */
Test(limits, one_alive_is_main, .timeout = 60)
{
    struct limit l = {.max = 1};
    leat_config config = {.procs = 2, .max_coroutines = 1000};

    setenv("LEAT_MAX_COROUTINES", "1", 1);
    cr_assert(eq(int, leat_run_with(&config, alone_main, &l), 3));
    unsetenv("LEAT_MAX_COROUTINES");
    cr_assert(eq(int, l.error[0], -EAGAIN));
}

/* --- no memory --- */

#define NR_CYCLES 4

struct scarce {
    struct limit l;
    int cycle_error[NR_CYCLES], after[NR_CYCLES];
    unsigned long accepted[NR_CYCLES];
    bool ended;
};

#if !KIT_SANITIZED

static atomic_ulong nr_there;

/* Keeps its worker until there is one for everybody. */
static void be_there(unsigned n)
{
    int64_t until = leat_now() + KIT_LONG;

    atomic_fetch_add(&nr_there, 1);
    while (atomic_load(&nr_there) < n && leat_now() < until)
        ;
}

/*
 * All threads have begun, and made their first allocation: jemalloc does not survive one without
 * memory.
 */
static bool all_have_begun(void)
{
    unsigned n = leat_nr_procs();

    atomic_store(&nr_there, 0);
    for (unsigned i = 0; i < n; i++)
        if (go(be_there, n) != 0)
            return false;
    return kit_reach(&nr_there, n, KIT_LONG);
}

/* Address space gets scarce, as many as possible begin, it is given back, and again. */
static int scarce_main(void *arg)
{
    struct scarce *s = arg;

    s->ended = true;
    if (!all_have_begun())
        return -1;
    for (int i = 0; i < NR_CYCLES; i++) {
        struct rlimit was, tight;
        int r;

        getrlimit(RLIMIT_AS, &was);
        tight = was;
        tight.rlim_cur = (rlim_t)kit_census_take().vm_kib * 1024 + (64 << 20);
        atomic_store(&s->l.ran_now, 0);
        atomic_store(&s->l.leave, false);
        setrlimit(RLIMIT_AS, &tight);
        for (s->accepted[i] = 0; (r = go(stay, &s->l)) == 0; s->accepted[i]++)
            ;
        s->cycle_error[i] = r;
        (void)leat_sleep(5 * LEAT_MSEC); /* they begin to run, still without memory */
        setrlimit(RLIMIT_AS, &was);
        atomic_store(&s->l.leave, true);
        s->ended &= kit_reach(&s->l.ran_now, s->accepted[i], KIT_LONG);
        s->after[i] = go(stay, &s->l);
        s->ended &= kit_reach(&s->l.ran_now, s->accepted[i] + 1, KIT_LONG);
    }
    return 0;
}

#endif

/*
 * Goal: when there is no memory for another stack, go says -ENOMEM; those that it accepted all run,
 * and memory that they gave back serves again: mappings do not grow from cycle to cycle. Method: a
 * limit on address space a little above what is in use.
 */
Test(limits, no_memory_for_a_stack, .timeout = 60)
{
#if KIT_SANITIZED
    cr_skip("sanitizers need address space");
#else
    for (int p = 0; p < 2; p++) {
        struct scarce s = {.ended = false};
        /* and none begins later */
        leat_config config = {.procs = kit_procs[p],
                              .max_coroutines = 1000000,
                              .slice_us = 10000000,
                              .retake_us = -1,
                              .shutdown_grace_ms = 20000};
        struct kit_census before, after;
        long tasks = kit_census_take().tasks;

        /* libc's own, for a thread that a busy machine has the run start, are 64 MiB each */
        (void)mallopt(M_ARENA_MAX, 1);
        cr_assert(eq(int, leat_run_with(&config, scarce_main, &s), 0));
        before = kit_census_settled(tasks);
        cr_assert(eq(int, leat_run_with(&config, scarce_main, &s), 0));
        after = kit_census_settled(before.tasks);
        cr_assert(s.ended);
        for (int i = 0; i < NR_CYCLES; i++) {
            cr_expect(eq(int, s.cycle_error[i], -ENOMEM));
            cr_expect(eq(int, s.after[i], 0));
        }
        /* the first cycle takes what it can; the later ones have that, and as much again */
        cr_expect(ge(u64, s.accepted[0], 50));
        cr_expect(ge(u64, s.accepted[1] + 64, s.accepted[0]));
        cr_expect(le(long, after.maps, before.maps + 8));
        cr_expect(le(long, after.vm_kib, before.vm_kib + 64 * 1024));
        cr_expect(eq(long, after.fds, before.fds));
    }
#endif
}
