/*
 * Pairs of the lowest layers: LOCK, SLAB-CHUNK, STACK-EXTENT, GUARD-MODE.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "base/lock.h"
#include "base/os.h"
#include "mem/slab.h"
#include "mem/stack.h"
#include "race/kit.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPAN (300 * LEAT_MSEC)

/* --- LOCK --- */

static struct {
    struct lea_lock lock;
    bool inside; /* both plain: under the lock */
    uint64_t n;
    lea_u32 goal;
} locked;

static void *locker(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, SPAN);

    while (each_next(&rounds)) {
        if (race_random(4) || !lea_lock_try(&locked.lock))
            lea_lock_take(&locked.lock);
        RACE_CHECK(!locked.inside);
        locked.inside = true;
        locked.n++;
        if (race_random(64) == 0)
            lea_os_thread_yield(); /* so that others give up spinning */
        locked.inside = false;
        lea_lock_drop(&locked.lock);
        (void)lea_u32_add(&locked.goal, 1);
        race_jitter();
    }
    return arg;
}

/* Goal: one at a time, everybody sees what was done inside, and nobody sleeps for ever. */
Test(race_memory, lock, .timeout = 60)
{
    cr_assert(eq(uint, race_run_same(4, locker, NULL), 0));
    cr_assert(eq(u64, locked.n, lea_u32_load_rlx(&locked.goal)));
}

/* --- SLAB-CHUNK --- */

#define OBJECTS 150u
#define OBJECT_BYTES 2000u

static struct lea_slab slab;

static void *slab_cutter(void *arg)
{
    for (;;) {
        RACE_CHECK(lea_slab_init(&slab, OBJECT_BYTES, 0) == 0);
        if (!race_next_round(3000, SPAN))
            break;
        for (unsigned i = 0; i < OBJECTS / 5; i++) {
            void *obj[5];

            RACE_CHECK(lea_slab_alloc_bulk(&slab, obj, 5) == 5);
        }
        race_meet();
        lea_slab_destroy(&slab);
    }
    return arg;
}

static void count_zero(void *obj, void *arg)
{
    unsigned *n = arg;

    (*n)++;
    RACE_CHECK(*(const volatile unsigned char *)obj == 0);
}

static void *slab_walker(void *arg)
{
    while (race_next_round(3000, SPAN)) {
        unsigned before = 0;

        for (int i = 0; i < 20; i++) {
            unsigned n = 0;

            lea_slab_each(&slab, count_zero, &n);
            RACE_CHECK(n >= before && n <= OBJECTS);
            before = n;
        }
        race_meet();
    }
    return arg;
}

/* Goal: a walk over all objects finds each chunk complete, while chunks come. */
Test(race_memory, slab_chunk, .timeout = 60)
{
    static void *(*const fn[])(void *) = {slab_cutter, slab_walker, slab_walker};

    cr_assert(eq(uint, race_run(3, fn, NULL), 0));
}

/* --- STACK-EXTENT --- */

static struct lea_stack_pool pool;

static void *extent_maker(void *arg)
{
    for (;;) {
        RACE_CHECK(lea_stack_pool_init(&pool, 0) == 0);
        if (!race_next_round(2000, SPAN))
            break;
        for (unsigned cls = 0; cls < 8; cls++)
            RACE_CHECK(lea_stack_reserve(&pool, cls, 1) == 0);
        race_meet();
        lea_stack_pool_destroy(&pool);
    }
    return arg;
}

static void *extent_asker(void *arg)
{
    while (race_next_round(2000, SPAN)) {
        uint32_t n;

        do {
            struct lea_stack *stack;

            n = lea_u32_load_rlx(&pool.nr_extents); /* relaxed: it is the asking that acquires */
            RACE_CHECK(!lea_stack_is_guard(&pool, arg, &stack)); /* so all extents are looked at */
        } while (n < 8);
        race_meet();
    }
    return NULL;
}

/* Goal: the overflow report looks through extents that are complete, while others come. */
Test(race_memory, stack_extent, .timeout = 60)
{
    static void *(*const fn[])(void *) = {extent_maker, extent_asker, extent_asker};
    int here;

    cr_assert(eq(uint, race_run(3, fn, &here), 0));
}

/* --- GUARD-MODE --- */

static struct lea_guards guards;
static char *locked_page;

static void *guard_maker(void *arg)
{
    for (;;) {
        RACE_CHECK(lea_guards_init(&guards) == 0);
        if (!race_next_round(1000, SPAN))
            break;
        RACE_CHECK(lea_guard_install(&guards, locked_page) == 0);
        race_meet();
        RACE_CHECK(lea_guards_limited(&guards));
        (void)mprotect(locked_page, guards.bytes, PROT_READ | PROT_WRITE);
    }
    return arg;
}

static void *guard_counter(void *arg)
{
    while (race_next_round(1000, SPAN)) {
        unsigned round = 0;

        while (!lea_guards_limited(&guards))
            if (++round % 64 == 0)
                lea_os_thread_yield();
        RACE_CHECK(lea_guards_max(&guards) > 0);
        race_meet();
    }
    return arg;
}

/*
 * Goal: whoever finds that guards are limited knows how many there may be. Method: locked memory
 * takes no markers.
 */
Test(race_memory, guard_mode, .timeout = 60)
{
    static void *(*const fn[])(void *) = {guard_maker, guard_counter, guard_counter};

    cr_assert(eq(int, lea_guards_init(&guards), 0));
    if (lea_guards_limited(&guards))
        cr_skip_test("no markers here: guards are limited from the start");
    locked_page =
        mmap(NULL, guards.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(ne(ptr, locked_page, MAP_FAILED));
    if (syscall(SYS_mlock, locked_page, guards.bytes) != 0) /* sanitizers make nothing of mlock() */
        cr_skip_test("no memory may be locked");
    cr_assert(eq(uint, race_run(3, fn, NULL), 0));
    munmap(locked_page, guards.bytes);
}
