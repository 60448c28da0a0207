#include "support/test.h"

#include "mem/stack.h"
#include "watch.h"

#include <string.h>

#define NR 3000u
#define MS ((int64_t)1000000)

static struct lea_stack_pool pool;
static struct lea_stack_cache cache;
static struct lea_stack *stacks[NR];
static unsigned cls;

static void pool_open(void)
{
    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    lea_stack_cache_init(&pool, &cache);
    cr_assert(eq(int, lea_stack_class(&pool, 0, &cls), 0));
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, NR), 0));
}

static void get_all(void)
{
    for (unsigned i = 0; i < NR; i++) {
        stacks[i] = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, stacks[i], NULL));
        memset((char *)lea_stack_high(stacks[i]) - 6000, 1, 6000); /* two pages */
    }
}

static void put_all(void)
{
    for (unsigned i = 0; i < NR; i++)
        lea_stack_put(&pool, &cache, stacks[i], stacks[i]->cls);
}

/* Pages; 0 where guards are maps of their own: an emulator's mincore is not at home there. */
static size_t resident(void)
{
    size_t bytes = 0;

    if (lea_guards_limited(&pool.guards))
        return 0;
    for (unsigned i = 0; i < NR; i++)
        bytes += watch_resident((void *)((uintptr_t)stacks[i] & ~(uintptr_t)65535), 65536);
    return bytes / pool.guards.page_bytes;
}

/*
 * Goal: what nobody needs for two seconds goes back, guards stay, and the stacks can be used again.
 * Method: the clock is an argument.
 */
Test(trim, idle_memory_goes_back, .timeout = 30)
{
    int64_t now = 1000 * MS, next = 0;
    struct lea_stack_stats stats;
    size_t before;

    pool_open();
    cr_expect(eq(i64, lea_stack_trim(&pool, now), INT64_MAX), "nothing to give back");
    get_all();
    put_all();
    before = resident();
    if (!lea_guards_limited(&pool.guards))
        cr_expect(ge(sz, before, 2 * NR));
    for (int i = 0; i < 8; i++, now += 500 * MS) {
        do
            next = lea_stack_trim(&pool, now);
        while (next <= now);
    }
    cr_expect(eq(i64, next, INT64_MAX));
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.hot, 0));
    cr_expect(ge(sz, stats.trimmed, NR - LEA_STACK_RACK_CAP));
    cr_expect(le(sz, resident(), 2 * LEA_STACK_RACK_CAP),
              "only the processor's cache may stay resident");

    for (unsigned i = 0; i < NR; i += 97)
        cr_expect(watch_faults((char *)((uintptr_t)stacks[i] & ~(uintptr_t)65535)),
                  "stack %u has lost its guard", i);
    get_all();
    lea_stack_stats(&pool, &stats);
    cr_expect(le(sz, stats.made, NR + LEA_STACK_RACK_CAP));
    for (unsigned i = 0; i < NR; i++) {
        cr_assert(eq(u32, stacks[i]->cls, cls));
        cr_assert(eq(ptr, lea_stack_low(stacks[i]),
                     (char *)((uintptr_t)stacks[i] & ~(uintptr_t)65535) + pool.guards.bytes));
    }
    lea_stack_pool_destroy(&pool);
}

/* Goal: stacks that are used again within a second are never given back. */
Test(trim, busy_memory_stays, .timeout = 30)
{
    int64_t now = 5000 * MS;
    struct lea_stack_stats stats;

    pool_open();
    for (int round = 0; round < 10; round++) {
        get_all();
        (void)lea_stack_trim(&pool, now += 10 * MS);
        put_all();
        for (int i = 0; i < 10; i++)
            (void)lea_stack_trim(&pool, now += 100 * MS);
    }
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.trimmed, 0));
    lea_stack_pool_destroy(&pool);
}

/*
 * Goal: of stacks used in turns of different depth only those stay that the deep turns needed
 * lately.
 */
Test(trim, the_unneeded_part_goes_back, .timeout = 30)
{
    int64_t now = 5000 * MS;
    struct lea_stack_stats stats;

    pool_open();
    get_all();
    put_all();
    for (int i = 0; i < 40; i++) {
        for (unsigned k = 0; k < NR / 3; k++)
            stacks[k] = lea_stack_get(&pool, &cache, cls);
        for (unsigned k = 0; k < NR / 3; k++)
            lea_stack_put(&pool, &cache, stacks[k], stacks[k]->cls);
        (void)lea_stack_trim(&pool, now += 100 * MS);
    }
    lea_stack_stats(&pool, &stats);
    cr_expect(ge(sz, stats.trimmed, NR / 2));
    cr_expect(ge(sz, stats.hot, NR / 3 - 2 * LEA_STACK_RACK_CAP));
    lea_stack_pool_destroy(&pool);
}

/* Goal: after a long sleep of the caller the first look does not take fresh stacks for old ones. */
Test(trim, a_late_look_takes_nothing, .timeout = 30)
{
    struct lea_stack_stats stats;

    pool_open();
    (void)lea_stack_trim(&pool, 1000 * MS);
    get_all();
    put_all();
    cr_expect(gt(i64, lea_stack_trim(&pool, 3600 * 1000 * MS), 3600 * 1000 * MS));
    cr_expect(gt(i64, lea_stack_trim(&pool, 3600 * 1000 * MS + 500 * MS), 3600 * 1000 * MS));
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.trimmed, 0));
    lea_stack_pool_destroy(&pool);
}
