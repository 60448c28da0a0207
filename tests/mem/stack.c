#include "support/test.h"

#include "mem/stack.h"
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MANY 20000u

static struct lea_stack_pool pool;
static struct lea_stack_cache cache;
static struct lea_stack *stacks[MANY];

static unsigned pool_open(size_t bytes, size_t nr)
{
    unsigned cls = 99;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    lea_stack_cache_init(&pool, &cache);
    cr_assert(eq(int, lea_stack_class(&pool, bytes, &cls), 0));
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, nr), 0));
    return cls;
}

static void pool_close(void)
{
    lea_stack_cache_destroy(&pool, &cache);
    lea_stack_pool_destroy(&pool);
}

static size_t usable(struct lea_stack *s)
{
    return (size_t)((char *)lea_stack_high(s) - (char *)lea_stack_low(s));
}

/* Goal: sizes become classes as stack.h says; what is out of range is refused. */
Test(stack, sizes_become_classes, .timeout = 5)
{
    static const struct {
        size_t asked, slot;
    } good[] = {{0, 64 * KIB},
                {16 * KIB, 32 * KIB},
                {32 * KIB, 32 * KIB},
                {32 * KIB + 1, 64 * KIB},
                {64 * KIB, 64 * KIB},
                {100000, 128 * KIB},
                {1024 * KIB, 1024 * KIB},
                {8192 * KIB + 1, 16384 * KIB},
                {KIB * KIB, KIB * KIB},
                {KIB * KIB - 1, KIB * KIB},
                {KIB * KIB * KIB, KIB * KIB * KIB}};
    static const size_t bad[] = {1, 4096, 16 * KIB - 1, KIB * KIB * KIB + 1, SIZE_MAX};
    unsigned cls;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    if (pool.guards.page_bytes != 4096)
        cr_skip_test("the table is for pages of 4 KiB");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(eq(int, lea_stack_class(&pool, good[i].asked, &cls), 0), "%zu", good[i].asked);
        cr_expect(eq(sz, lea_stack_class_bytes(cls), good[i].slot), "%zu", good[i].asked);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(eq(int, lea_stack_class(&pool, bad[i], &cls), -EINVAL), "%zu", bad[i]);
    lea_stack_pool_destroy(&pool);
    cr_expect(eq(int, lea_stack_pool_init(&pool, 1000), -EINVAL));
    cr_expect(eq(int, lea_stack_pool_init(&pool, (size_t)2 << 30), -EINVAL));
}

/* Goal: all bytes between the bounds can be used, and none of a neighbour's changes. */
Test(stack, bounds_are_usable, .timeout = 20)
{
    enum { NR = 40 };
    unsigned cls = pool_open(0, NR);

    for (int i = 0; i < NR; i++) {
        stacks[i] = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, stacks[i], NULL));
        cr_expect(eq(uptr, (uintptr_t)lea_stack_high(stacks[i]) % 64, 0));
        cr_expect(ge(sz, usable(stacks[i]),
                     lea_stack_slot_bytes(stacks[i]) - pool.guards.bytes - 2 * KIB));
        stacks[i]->owner = &stacks[i];
        memset(lea_stack_low(stacks[i]), i + 1, usable(stacks[i]));
    }
    for (int i = 0; i < NR; i++) {
        const unsigned char *low = lea_stack_low(stacks[i]);

        cr_expect(eq(ptr, stacks[i]->owner, &stacks[i]));
        cr_expect(eq(int, low[0], i + 1));
        cr_expect(eq(int, memcmp(low, low + 1, usable(stacks[i]) - 1), 0),
                  "stack %d was written to", i);
        lea_stack_put(&pool, &cache, stacks[i], stacks[i]->cls);
    }
    pool_close();
}

/* Goal: the stack that was put back last comes next. */
Test(stack, hot_ones_first, .timeout = 5)
{
    unsigned cls = pool_open(0, 100);

    for (int i = 0; i < 100; i++)
        stacks[i] = lea_stack_get(&pool, &cache, cls);
    for (int i = 0; i < 100; i++)
        lea_stack_put(&pool, &cache, stacks[i], stacks[i]->cls);
    for (int i = 99; i >= 36; i--)
        cr_expect(eq(ptr, lea_stack_get(&pool, &cache, cls), stacks[i]));
    pool_close();
}

/*
 * Goal: 16 neighbours begin at 16 different offsets, and all leave most of the first page to the
 * coroutine.
 */
Test(stack, are_coloured, .timeout = 5)
{
    unsigned cls = pool_open(0, 16);
    uint64_t seen = 0;

    for (int i = 0; i < 16; i++) {
        struct lea_stack *s = lea_stack_get(&pool, &cache, cls);
        size_t in_page = (uintptr_t)lea_stack_high(s) & 4095;

        cr_expect(ge(sz, in_page, 3072 - 64), "%zu bytes of the first page", in_page);
        seen |= (uint64_t)1 << in_page / 64;
    }
    cr_expect(eq(int, __builtin_popcountll(seen), 16));
    pool_close();
}

/*
 * Goal: a cache has a bound, what is beyond is there for others; a flush gives the rest. Callers
 * without a processor find it too.
 */
Test(stack, caches_are_bounded, .timeout = 10)
{
    unsigned cls = pool_open(0, 1000);
    struct lea_stack_stats stats;

    for (int i = 0; i < 1000; i++)
        stacks[i] = lea_stack_get(&pool, i & 1 ? NULL : &cache, cls);
    for (int i = 0; i < 1000; i++)
        lea_stack_put(&pool, i % 3 ? NULL : &cache, stacks[i], stacks[i]->cls);
    lea_stack_stats(&pool, &stats);
    cr_expect(ge(sz, stats.hot + stats.cold, stats.made - LEA_STACK_RACK_CAP));
    cr_expect(le(sz, stats.made, 1000 + LEA_STACK_RACK_CAP));
    lea_stack_cache_flush(&pool, &cache);
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.hot + stats.cold, stats.made));
    for (int i = 0; i < 1000; i++)
        cr_assert(ne(ptr, lea_stack_get(&pool, NULL, cls), NULL));
    lea_stack_stats(&pool, &stats);
    cr_expect(le(sz, stats.made, 1000 + LEA_STACK_RACK_CAP));
    pool_close();
}

/* Goal: classes do not mix, up to the largest. */
Test(stack, classes_are_apart, .timeout = 10)
{
    static const size_t size[] = {32 * KIB,   64 * KIB,    256 * KIB,
                                  8192 * KIB, 16384 * KIB, KIB * KIB * KIB};
    enum { NR = sizeof(size) / sizeof(size[0]) };
    struct lea_stack *s[NR][3];

    pool_open(0, 0);
    for (int i = 0; i < NR; i++) {
        unsigned cls;

        cr_assert(eq(int, lea_stack_class(&pool, size[i], &cls), 0));
        if (lea_stack_reserve(&pool, cls, 3) < 0)
            cr_skip_test("no address space for three stacks of %zu bytes", size[i]);
        for (int k = 0; k < 3; k++) {
            s[i][k] = lea_stack_get(&pool, &cache, cls);
            cr_assert(ne(ptr, s[i][k], NULL));
            cr_expect(eq(u32, s[i][k]->cls, cls));
            cr_expect(ge(sz, usable(s[i][k]), size[i] - pool.guards.bytes - 2 * KIB));
            *((char *)lea_stack_high(s[i][k]) - 1) = 1;
            *(char *)lea_stack_low(s[i][k]) = 1;
        }
    }
    for (int i = 0; i < NR; i++) {
        unsigned cls = s[i][0]->cls;

        for (int k = 0; k < 3; k++)
            lea_stack_put(&pool, &cache, s[i][k], s[i][k]->cls);
        for (int k = 0; k < 3; k++)
            cr_expect(eq(u32, lea_stack_get(&pool, &cache, cls)->cls, cls));
    }
    pool_close();
}

/*
 * Goal: a parked coroutine's stack costs one page; a million can be counted on a kernel with its
 * usual number of maps.
 */
Test(stack, cost_one_page_and_no_map, .timeout = 60)
{
    size_t maps = watch_maps();
    unsigned cls = pool_open(0, MANY);
    struct lea_stack_stats stats;
    size_t resident = 0;

    if (lea_guards_limited(&pool.guards))
        cr_skip_test("this kernel has no guard markers");
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, 1000000), 0));
    for (unsigned i = 0; i < MANY; i++) {
        stacks[i] = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, stacks[i], NULL));
        /* what a parked coroutine has on its stack */
        memset((char *)lea_stack_high(stacks[i]) - 2048, 1, 2048);
    }
    cr_expect(lt(sz, watch_maps(), maps + 30));
    for (unsigned i = 0; i < MANY; i += 100) {
        size_t slot = lea_stack_slot_bytes(stacks[i]);

        resident += watch_resident((void *)((uintptr_t)stacks[i] & ~(slot - 1)), slot);
    }
    cr_expect(eq(sz, resident, MANY / 100 * pool.guards.page_bytes));
    lea_stack_stats(&pool, &stats);
    cr_expect(ge(sz, stats.mapped_bytes, (MANY + 1000000) * 64 * KIB));
    pool_close();
    if (!WATCH_SANITIZED)
        cr_expect(le(sz, watch_maps(), maps + 2));
}

/*
 * Goal: where there are many stacks, fresh ones come with the page that is touched first, and that
 * one only; the first ones come without.
 */
Test(stack, fresh_ones_of_many_have_their_page, .timeout = 20)
{
    unsigned cls = pool_open(0, 4000);
    const struct lea_stack_rack *rack = &cache.rack[cls];
    const size_t slot = lea_stack_class_bytes(cls);

    stacks[0] = lea_stack_get(&pool, &cache, cls);
    /* relaxed: nobody else is here */
    if (lea_guards_limited(&pool.guards) || lea_u32_load_rlx(&pool.guards.one_by_one))
        cr_skip_test("this kernel takes no guards for several stacks at once");
    cr_assert(gt(u32, rack->n, 1));
    cr_expect(eq(sz, watch_resident((void *)(rack->word[0] & ~(slot - 1)), slot), 0));
    for (unsigned i = 1; i < 4000; i++) {
        stacks[i] = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, stacks[i], NULL));
        cr_expect(eq(ptr, stacks[i]->low,
                     (char *)((uintptr_t)stacks[i] & ~(slot - 1)) + pool.guards.bytes));
        cr_expect(eq(u32, stacks[i]->cls, cls));
    }
    if (lea_u32_load_rlx(&pool.by_touch)) /* relaxed: as above */
        cr_skip_test("this kernel brings no pages to several stacks at once");
    while (rack->n == 0)
        cr_assert(ne(ptr, lea_stack_get(&pool, &cache, cls), NULL));
    for (unsigned i = 0; i < rack->n; i++) {
        cr_expect(eq(uptr, rack->word[i] & LEA_STACK_MARKS, 0));
        cr_expect(eq(sz, watch_resident((void *)(rack->word[i] & ~(slot - 1)), slot),
                     pool.guards.page_bytes));
    }
    pool_close();
}

/*
 * Goal: huge pages never back a stack, whatever the system's setting: one would cost 32 stacks'
 * worth of memory.
 */
Test(stack, no_huge_pages, .timeout = 5)
{
    unsigned cls = pool_open(0, 1);
    struct lea_stack *s = lea_stack_get(&pool, &cache, cls);

    if (lea_guards_limited(&pool.guards))
        cr_skip_test("the advice may be an emulator's, which does nothing");
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        cr_skip_test("no huge pages here");
    cr_expect(watch_has_flag(s, "nh"));
    pool_close();
}

/* Goal: nothing of a pool is left after its end, and it can begin again. */
Test(stack, begins_again, .timeout = 20)
{
    for (int turn = 0; turn < 5; turn++) {
        size_t maps = watch_maps();
        unsigned cls = pool_open(128 * KIB, 100);

        for (int i = 0; i < 100; i++)
            *(char *)lea_stack_low(lea_stack_get(&pool, &cache, cls)) = 1;
        lea_stack_unreserve(&pool, cls, 100);
        pool_close();
        if (!WATCH_SANITIZED)
            cr_expect(le(sz, watch_maps(), maps + 1));
    }
}
