/*
 * Is the memory what it says? Two or three threads and two words, over many seeds: some outcomes
 * must come up, others never.
 */
#include "driver.h"

#include "scenarios/kit.h"

#include "base/os.h"

#include <stdio.h>
#include <string.h>

#define SEEDS 3000

static struct {
    lea_u32 x, y;
    uint32_t a, b; /* what was read */
} * l;

static bool odd; /* the outcome that no order of the steps explains */

static void play(void *(*first)(void *), void *(*second)(void *))
{
    struct sim_thread *t[2];

    l = sim_arena_alloc(sizeof(*l), 64);
    t[0] = kit_thread(first, NULL);
    t[1] = kit_thread(second, NULL);
    kit_join(t[0]);
    kit_join(t[1]);
}

/* The end of a thread waits for its stores. */
static void linger(void)
{
    for (int i = 0; i < 8; i++)
        sim_point();
}

#define THREAD(name, ...)                                                                          \
    static void *name(void *arg)                                                                   \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
        linger();                                                                                  \
        return arg;                                                                                \
    }
#define BOTH(name, first, second, outcome)                                                         \
    static void name(void)                                                                         \
    {                                                                                              \
        play(first, second);                                                                       \
        odd = (outcome);                                                                           \
    }

/* Write one's own, read the other's. */
THREAD(sb_1, lea_u32_store_rlx(&l->x, 1); l->a = lea_u32_load_acq(&l->y))
THREAD(sb_2, lea_u32_store_rlx(&l->y, 1); l->b = lea_u32_load_acq(&l->x))
BOTH(sb, sb_1, sb_2, !l->a && !l->b)
THREAD(sb_rel_1, lea_u32_store_rel(&l->x, 1); l->a = lea_u32_load_acq(&l->y))
THREAD(sb_rel_2, lea_u32_store_rel(&l->y, 1); l->b = lea_u32_load_acq(&l->x))
BOTH(sb_rel, sb_rel_1, sb_rel_2, !l->a && !l->b)
THREAD(sb_fence_1, lea_u32_store_rlx(&l->x, 1); lea_fence_full(); l->a = lea_u32_load_rlx(&l->y))
THREAD(sb_fence_2, lea_u32_store_rlx(&l->y, 1); lea_fence_full(); l->b = lea_u32_load_rlx(&l->x))
BOTH(sb_fence, sb_fence_1, sb_fence_2, !l->a && !l->b)
BOTH(sb_fence_one, sb_fence_1, sb_2, !l->a && !l->b)
THREAD(sb_rmw_1, (void)lea_u32_add(&l->x, 1); l->a = lea_u32_load_rlx(&l->y))
THREAD(sb_rmw_2, (void)lea_u32_add(&l->y, 1); l->b = lea_u32_load_rlx(&l->x))
BOTH(sb_rmw, sb_rmw_1, sb_rmw_2, !l->a && !l->b)
THREAD(sb_after_1, (void)lea_u32_add(&l->x, 1); lea_fence_after_rmw();
       l->a = lea_u32_load_rlx(&l->y))
THREAD(sb_after_2, (void)lea_u32_add(&l->y, 1); lea_fence_after_rmw();
       l->b = lea_u32_load_rlx(&l->x))
BOTH(sb_after, sb_after_1, sb_after_2, !l->a && !l->b)
THREAD(sb_barrier_1, lea_u32_store_rlx(&l->x, 1); lea_barrier(); l->a = lea_u32_load_rlx(&l->y))
THREAD(sb_barrier_2, lea_u32_store_rlx(&l->y, 1); (void)lea_os_membarrier();
       l->b = lea_u32_load_rlx(&l->x))
BOTH(sb_barrier, sb_barrier_1, sb_barrier_2, !l->a && !l->b)

/* Write a message, then the flag; read the flag, then the message. */
THREAD(mp_1, lea_u32_store_rlx(&l->x, 1); lea_u32_store_rlx(&l->y, 1))
THREAD(mp_rel_1, lea_u32_store_rlx(&l->x, 1); lea_u32_store_rel(&l->y, 1))
THREAD(mp_2, l->a = lea_u32_load_rlx(&l->y); l->b = lea_u32_load_rlx(&l->x))
THREAD(mp_acq_2, l->a = lea_u32_load_acq(&l->y); l->b = lea_u32_load_rlx(&l->x))
BOTH(mp, mp_1, mp_acq_2, l->a && !l->b)
BOTH(mp_rel, mp_rel_1, mp_2, l->a && !l->b)
BOTH(mp_both, mp_rel_1, mp_acq_2, l->a && !l->b)

/* One word never goes back. */
THREAD(co_1, lea_u32_store_rlx(&l->x, 1); lea_u32_store_rlx(&l->x, 2))
THREAD(co_2, l->a = lea_u32_load_rlx(&l->x); l->b = lea_u32_load_rlx(&l->x))
BOTH(co, co_1, co_2, l->a > l->b)

/* An addition is not lost. */
THREAD(add, (void)lea_u32_add(&l->x, 1))
BOTH(adds, add, add, lea_u32_load_acq(&l->x) != 2)

enum verdict { NEVER, SOMETIMES };

static const struct litmus {
    const char *name;
    void (*run)(void);
    enum verdict x86, weak;
    bool membarrier; /* only where there is one */
} table[] = {
    {"sb", sb, SOMETIMES, SOMETIMES, false},
    {"sb_rel", sb_rel, SOMETIMES, SOMETIMES, false},
    {"sb_fence", sb_fence, NEVER, NEVER, false},
    {"sb_fence_one", sb_fence_one, SOMETIMES, SOMETIMES, false},
    {"sb_rmw", sb_rmw, NEVER, SOMETIMES, false},
    {"sb_after", sb_after, NEVER, NEVER, false},
    {"sb_barrier", sb_barrier, NEVER, NEVER, true},
    {"mp", mp, NEVER, SOMETIMES, false},
    {"mp_rel", mp_rel, NEVER, SOMETIMES, false},
    {"mp_both", mp_both, NEVER, NEVER, false},
    {"co", co, NEVER, NEVER, false},
    {"adds", adds, NEVER, NEVER, false},
};

static unsigned count_odd(const struct options *o, const struct litmus *t, enum sim_memory memory)
{
    unsigned n = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_config config = sim_config_of(o, seed);

        config.memory = memory;
        config.fault_permille = 0;
        if (t->membarrier && !config.membarrier)
            continue;
        odd = false;
        if (sim_run(&config, t->run))
            return SEEDS; /* it may not fail otherwise */
        n += odd;
    }
    return n;
}

unsigned sim_litmus_all(const struct options *o)
{
    static const char *const memories[] = {"x86", "weak"};
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (int memory = SIM_MEMORY_X86; memory <= SIM_MEMORY_WEAK; memory++) {
            unsigned n = count_odd(o, &table[i], (enum sim_memory)memory);
            enum verdict wanted = memory == SIM_MEMORY_X86 ? table[i].x86 : table[i].weak;

            if (n < SEEDS && (wanted == SOMETIMES) == (n > 0))
                continue;
            wrong++;
            printf("memory %s, %s: the odd outcome in %u of %u seeds, and not %s\n",
                   memories[memory], table[i].name, n, SEEDS,
                   wanted == NEVER ? "never" : "sometimes");
        }
    }
    return wrong;
}
