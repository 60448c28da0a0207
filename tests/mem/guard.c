#include "support/test.h"

#include "mem/stack.h"
#include "watch.h"

#include <errno.h>
#include <string.h>

#define NR 50

static struct lea_stack_pool pool;
static struct lea_stack *stacks[NR];

static void get_all(void)
{
    unsigned cls;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    cr_assert(eq(int, lea_stack_class(&pool, 0, &cls), 0));
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, NR), 0));
    for (int i = 0; i < NR; i++) {
        stacks[i] = lea_stack_get(&pool, NULL, cls);
        cr_assert(ne(ptr, stacks[i], NULL));
        stacks[i]->owner = &stacks[i];
    }
}

static void expect_guards(void)
{
    for (int i = 0; i < NR; i++) {
        char *low = lea_stack_low(stacks[i]);

        cr_expect(ge(sz, pool.guards.bytes, 16384));
        cr_expect(not(watch_faults(low)), "stack %d", i);
        for (size_t k = 1; k <= pool.guards.bytes; k += 1000)
            cr_assert(watch_faults(low - k), "stack %d has no guard %zu bytes below its end", i, k);
        cr_assert(watch_faults(low - pool.guards.bytes), "stack %d", i);
    }
}

/*
 * Goal: every stack has 16 KiB or more below it that cannot be touched, and its own lowest byte
 * can.
 */
Test(guard, every_stack_has_one, .timeout = 20)
{
    get_all();
    expect_guards();
    lea_stack_pool_destroy(&pool);
}

/* Goal: the same where the kernel has no guard markers (or a filter hides them), by mprotect. */
Test(guard, by_mprotect_without_markers, .timeout = 20)
{
    watch_refuse_markers(EINVAL);
    get_all();
    cr_expect(lea_guards_limited(&pool.guards));
    expect_guards();
    lea_stack_pool_destroy(&pool);
}

Test(guard, by_mprotect_under_a_filter_that_says_enosys, .timeout = 20)
{
    watch_refuse_markers(ENOSYS);
    get_all();
    cr_expect(lea_guards_limited(&pool.guards));
    expect_guards();
    lea_stack_pool_destroy(&pool);
}

/*
 * Goal: markers refused in mid-run, as on memory that the program has locked: the next guards come
 * from mprotect.
 */
Test(guard, changes_over_in_mid_run, .timeout = 20)
{
    struct lea_stack_cache cache;
    struct lea_stack *first, *s;
    unsigned cls;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    if (lea_guards_limited(&pool.guards))
        cr_skip_test("no guard markers from the start");
    lea_stack_cache_init(&pool, &cache);
    cr_assert(eq(int, lea_stack_class(&pool, 0, &cls), 0));
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, 1000), 0));
    first = lea_stack_get(&pool, &cache, cls);
    watch_refuse_markers(EINVAL);
    for (int i = 0; i < 200; i++) {
        s = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, s, NULL));
        cr_assert(watch_faults((char *)lea_stack_low(s) - 1), "stack %d", i);
    }
    cr_expect(lea_guards_limited(&pool.guards));
    cr_expect(watch_faults((char *)lea_stack_low(first) - 1));
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 1000), 0));
    lea_stack_pool_destroy(&pool);
}

/* Goal: an address in a guard names its stack, any other address none. */
Test(guard, addresses_name_their_stack, .timeout = 10)
{
    struct lea_stack *found;
    int local;

    get_all();
    for (int i = 0; i < NR; i++) {
        char *low = lea_stack_low(stacks[i]);

        found = NULL;
        cr_assert(lea_stack_is_guard(&pool, low - 1, &found));
        cr_expect(eq(ptr, found, stacks[i]));
        cr_expect(eq(ptr, found->owner, &stacks[i]));
        cr_assert(lea_stack_is_guard(&pool, low - pool.guards.bytes, &found));
        cr_expect(eq(ptr, found, stacks[i]));
        cr_expect(not(lea_stack_is_guard(&pool, low, &found)));
        cr_expect(not(lea_stack_is_guard(&pool, (char *)lea_stack_high(stacks[i]) - 1, &found)));
    }
    cr_expect(not(lea_stack_is_guard(&pool, NULL, &found)));
    cr_expect(not(lea_stack_is_guard(&pool, &local, &found)));
    lea_stack_pool_destroy(&pool);
}

/* Goal: what runs off a stack ends the process if nobody listens. */
#if !WATCH_SANITIZED
Test(guard, a_touch_is_fatal, .timeout = 10, .signal = SIGSEGV)
{
    get_all();
    ((volatile char *)lea_stack_low(stacks[7]))[-1] = 1;
}
#endif
