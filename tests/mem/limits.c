#include "support/test.h"

#include "mem/stack.h"
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static struct lea_stack_pool pool;
static struct lea_stack_cache cache;
static struct lea_stack *stacks[2000];
static unsigned cls;

static void pool_open(void)
{
    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    lea_stack_cache_init(&pool, &cache);
    cr_assert(eq(int, lea_stack_class(&pool, 0, &cls), 0));
}

static size_t reserve_until_refused(size_t step, size_t max)
{
    size_t n = 0;

    while (n < max && lea_stack_reserve(&pool, cls, step) == 0)
        n += step;
    return n;
}

static size_t address_space_now(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/*
 * Goal: without address space a reservation says so and counts nothing; every stack that was
 * counted can be had; and it goes on after.
 */
Test(limits, address_space_runs_out, .timeout = 30)
{
    struct rlimit old, tight;
    struct lea_stack_stats stats;
    size_t n;

    if (WATCH_SANITIZED)
        cr_skip_test("a sanitizer needs all address space");
    pool_open();
    if (lea_guards_limited(&pool.guards))
        cr_skip_test("needs guard markers: maps run out first");
    getrlimit(RLIMIT_AS, &old);
    tight = (struct rlimit){.rlim_cur = address_space_now() + 100 * MIB, .rlim_max = old.rlim_max};
    cr_assert(eq(int, setrlimit(RLIMIT_AS, &tight), 0));
    n = reserve_until_refused(32, 2000);
    if (n >= 2000)
        cr_skip_test("RLIMIT_AS has no effect here");
    /* 100 MiB are 1600 slots: most of them must have been found, in ever smaller pieces */
    cr_expect(ge(sz, n, 1300), "%zu stacks", n);
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 1000000), -ENOMEM));
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.reserved, n));
    for (size_t i = 0; i < n; i++) {
        stacks[i] = lea_stack_get(&pool, &cache, cls);
        cr_assert(ne(ptr, stacks[i], NULL), "stack %zu of %zu", i, n);
    }
    /* what an idle processor's cache sits on, others need not wait for */
    for (size_t i = 0; i < LEA_STACK_RACK_CAP; i++)
        lea_stack_put(&pool, &cache, stacks[i], stacks[i]->cls);
    for (size_t i = 0; i < LEA_STACK_RACK_CAP; i++)
        cr_assert(ne(ptr, lea_stack_get(&pool, NULL, cls), NULL), "stack %zu is in another's cache",
                  i);
    setrlimit(RLIMIT_AS, &old);
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 10000), 0));
    lea_stack_pool_destroy(&pool);
}

Test(limits, senseless_counts, .timeout = 10)
{
    pool_open();
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, SIZE_MAX), -ENOMEM));
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, (size_t)1 << 46), -ENOMEM));
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 0), 0));
    cr_expect(eq(int, lea_stack_reserve(&pool, LEA_STACK_CLASSES - 1, (size_t)1 << 20), -ENOMEM));
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 10), 0));
    lea_stack_pool_destroy(&pool);
}

/* What the library writes to stderr while it is caught. */
static FILE *caught;
static int real_stderr;

static void stderr_catch(void)
{
    caught = tmpfile();
    cr_assert(ne(ptr, caught, NULL));
    real_stderr = dup(2);
    cr_assert(ge(int, dup2(fileno(caught), 2), 0));
}

static void stderr_release(char *text, size_t size)
{
    size_t n;

    dup2(real_stderr, 2);
    close(real_stderr);
    rewind(caught);
    n = fread(text, 1, size - 1, caught);
    text[n] = '\0';
    fclose(caught);
}

/*
 * Goal: without markers the number of stacks ends before the kernel's maps do, with one message
 * that names the sysctl.
 */
Test(limits, maps_run_out, .timeout = 60)
{
    enum { SAMPLE = 3000 };
    size_t maps = watch_maps(), n, max;
    char text[4096], *hit;

    watch_refuse_markers(EINVAL);
    pool_open();
    cr_assert(lea_guards_limited(&pool.guards));
    max = lea_guards_max(&pool.guards);
    if (max < SAMPLE || max > 1000000)
        cr_skip_test("vm.max_map_count is unusual: %zu stacks", max);
    stderr_catch();
    n = reserve_until_refused(100, 10000000);
    cr_expect(eq(int, lea_stack_reserve(&pool, cls, 1000), -ENOMEM));
    cr_expect(eq(int, lea_stack_reserve(&pool, cls + 3, 1000), -ENOMEM));
    stderr_release(text, sizeof(text));

    cr_expect(gt(sz, n, max - 200), "%zu of %zu", n, max);
    cr_expect(le(sz, n, max));
    hit = strstr(text, "vm.max_map_count");
    cr_assert(ne(ptr, hit, NULL));
    cr_expect(eq(ptr, strstr(hit + 1, "vm.max_map_count"), NULL), "said twice: %s", text);

    /* each guard splits a map in two; room comes back with what is given back */
    for (int i = 0; i < SAMPLE; i++)
        cr_assert(ne(ptr, lea_stack_get(&pool, &cache, cls), NULL));
    cr_expect(le(sz, watch_maps(), maps + 2 * SAMPLE + 100));
    lea_stack_unreserve(&pool, cls, n / 2);
    cr_expect(eq(int, lea_stack_reserve(&pool, cls + 3, 1000), 0));
    lea_stack_pool_destroy(&pool);
}

/*
 * Goal: should the kernel refuse a guard after all, the caller gets NULL and the stack is not lost.
 */
Test(limits, a_refused_guard_comes_later, .timeout = 60)
{
    struct lea_stack_stats stats;

    pool_open();
    if (lea_guards_limited(&pool.guards))
        cr_skip_test("needs guard markers");
    watch_refuse_markers(ENOMEM);
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, 8), 0));
    for (int i = 0; i < 100; i++)
        cr_assert(eq(ptr, lea_stack_get(&pool, i & 1 ? &cache : NULL, cls), NULL));
    lea_stack_cache_flush(&pool, &cache);
    lea_stack_stats(&pool, &stats);
    cr_expect(le(sz, stats.made, 64));
    cr_expect(eq(sz, stats.cold, stats.made));
    lea_stack_pool_destroy(&pool);
}
