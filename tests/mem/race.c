/*
 * Real threads that take stacks and objects here and give them back there.
 */
#include "support/test.h"

#include "base/os.h"
#include "mem/slab.h"
#include "mem/stack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define BOXES 256u
#define TURNS 200000u

static struct lea_stack_pool pool;
static struct lea_slab slab;
static lea_word box[BOXES];
static lea_u32 errors, running;
static unsigned cls;

struct racer {
    pthread_t thread;
    struct lea_stack_cache cache;
    unsigned seed;
};

/* Marks the whole first page of a stack as `id`'s. */
static void stack_claim(struct lea_stack *s, uintptr_t id)
{
    uintptr_t *top = lea_stack_high(s);

    s->owner = (void *)id;
    top[-1] = id;
    top[-200] = id;
}

static void stack_check(const struct lea_stack *s)
{
    const uintptr_t *top = (const uintptr_t *)s;

    if (top[-1] != (uintptr_t)s->owner || top[-200] != (uintptr_t)s->owner || s->cls != cls)
        lea_u32_add(&errors, 1);
}

/*
 * Takes a stack and leaves it in a box; what lay there belongs to another thread, and is put back
 * here.
 */
static void *race_stacks(void *arg)
{
    struct racer *r = arg;

    for (unsigned i = 0; i < TURNS; i++) {
        struct lea_stack_cache *cache = rand_r(&r->seed) % 16 ? &r->cache : NULL;
        struct lea_stack *s = lea_stack_get(&pool, cache, cls);
        unsigned at = (unsigned)rand_r(&r->seed) % BOXES;

        if (!s) {
            lea_u32_add(&errors, 1);
            break;
        }
        stack_claim(s, (uintptr_t)r + i);
        s = (struct lea_stack *)lea_word_swap(&box[at], (uintptr_t)s);
        if (s) {
            stack_check(s);
            lea_stack_put(&pool, cache, s, s->cls);
        }
        if (rand_r(&r->seed) % 4096 == 0)
            lea_stack_cache_flush(&pool, &r->cache);
    }
    lea_u32_add(&running, 0u - 1);
    return NULL;
}

/* Time flies for this one: idle is what has not been used between two looks. */
static void *race_trim(void *arg)
{
    int64_t now = 0;

    while (lea_u32_load_acq(&running) > 0) {
        (void)lea_stack_trim(&pool, now += LEA_STACK_EPOCH_NS);
        lea_os_thread_yield();
    }
    return arg;
}

/*
 * Goal: no stack is in two hands, none is lost, and the number made has a bound although threads
 * put back what others took.
 */
Test(race, stacks_taken_here_put_back_there, .timeout = 60)
{
    static struct racer racer[THREADS];
    struct lea_stack_stats stats;
    pthread_t trimmer;
    size_t bound = 0;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    cr_assert(eq(int, lea_stack_class(&pool, 0, &cls), 0));
    lea_u32_store_rlx(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        racer[i].seed = i + 1;
        lea_stack_cache_init(&pool, &racer[i].cache);
    }
    cr_assert(eq(int, lea_stack_reserve(&pool, cls, BOXES + THREADS), 0));
    for (int i = 0; i < THREADS; i++)
        cr_assert(eq(int, pthread_create(&racer[i].thread, NULL, race_stacks, &racer[i]), 0));
    cr_assert(eq(int, pthread_create(&trimmer, NULL, race_trim, NULL), 0));
    for (int i = 0; i < THREADS; i++)
        pthread_join(racer[i].thread, NULL);
    pthread_join(trimmer, NULL);

    cr_expect(eq(u32, lea_u32_load_rlx(&errors), 0));
    for (unsigned i = 0; i < BOXES; i++) {
        struct lea_stack *s = (struct lea_stack *)lea_word_load_acq(&box[i]);

        bound += s != NULL;
        if (s)
            lea_stack_put(&pool, NULL, s, s->cls);
    }
    for (int i = 0; i < THREADS; i++)
        lea_stack_cache_destroy(&pool, &racer[i].cache);
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(sz, stats.hot + stats.cold, stats.made), "stacks were lost");
    cr_expect(le(sz, stats.made, BOXES + THREADS + THREADS * LEA_STACK_RACK_CAP + 256),
              "the trim may hold 256");
    cr_expect(le(sz, bound, BOXES));
    lea_stack_pool_destroy(&pool);
}

static void *race_reserve(void *arg)
{
    struct racer *r = arg;

    for (unsigned i = 0; i < 300; i++) {
        size_t n = (size_t)(1 + rand_r(&r->seed) % 2000);
        unsigned c = (unsigned)rand_r(&r->seed) % 3;

        if (lea_stack_reserve(&pool, c, n) < 0)
            lea_u32_add(&errors, 1);
        else if (rand_r(&r->seed) % 4)
            lea_stack_unreserve(&pool, c, n);
        else
            r->cache.rack[c].n += (uint32_t)n; /* misused as a counter */
    }
    return NULL;
}

/* Goal: threads that make the pool grow at once neither lose a count nor fail. */
Test(race, reservations_add_up, .timeout = 60)
{
    static struct racer racer[THREADS];
    struct lea_stack_stats stats;
    size_t sum = 0;

    cr_assert(eq(int, lea_stack_pool_init(&pool, 0), 0));
    if (lea_guards_limited(&pool.guards))
        cr_skip_test("too few maps without guard markers");
    for (unsigned i = 0; i < THREADS; i++) {
        racer[i].seed = i + 1;
        cr_assert(eq(int, pthread_create(&racer[i].thread, NULL, race_reserve, &racer[i]), 0));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(racer[i].thread, NULL);
        for (int c = 0; c < 3; c++)
            sum += racer[i].cache.rack[c].n;
    }
    lea_stack_stats(&pool, &stats);
    cr_expect(eq(u32, lea_u32_load_rlx(&errors), 0));
    cr_expect(eq(sz, stats.reserved, sum));
    lea_stack_pool_destroy(&pool);
}

struct object {
    lea_word owner;
    uintptr_t data[11];
};

static void *race_slab(void *arg)
{
    struct racer *r = arg;

    for (unsigned i = 0; i < TURNS / 20; i++) {
        void *obj[100];
        unsigned n = 1 + (unsigned)rand_r(&r->seed) % 100, got = lea_slab_alloc_bulk(&slab, obj, n);

        if (got != n)
            lea_u32_add(&errors, 1);
        for (unsigned k = 0; k < got; k++) {
            struct object *o = obj[k];

            if (!lea_word_cas(&o->owner, 0, (uintptr_t)r))
                lea_u32_add(&errors, 1); /* in two hands */
            o->data[10]++;
        }
        for (unsigned k = 0; k < got; k++)
            lea_word_store_rel(&((struct object *)obj[k])->owner, 0);
        lea_slab_free_bulk(&slab, obj, got);
    }
    lea_u32_add(&running, 0u - 1);
    return NULL;
}

static void look_at(void *obj, void *arg)
{
    size_t *n = arg;

    *n += 1;
    if (lea_word_load_acq(&((struct object *)obj)->owner) == 1)
        lea_u32_add(&errors, 1);
}

/* Goal: an object has one owner at a time, and a walk over all of them may go on beside. */
Test(race, objects_have_one_owner, .timeout = 60)
{
    static struct racer racer[THREADS];
    size_t seen = 0;

    cr_assert(eq(int, lea_slab_init(&slab, sizeof(struct object), 0), 0));
    lea_u32_store_rlx(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        racer[i].seed = i + 1;
        cr_assert(eq(int, pthread_create(&racer[i].thread, NULL, race_slab, &racer[i]), 0));
    }
    while (lea_u32_load_acq(&running) > 0) {
        seen = 0;
        lea_slab_each(&slab, look_at, &seen);
        lea_os_thread_yield();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(racer[i].thread, NULL);
    cr_expect(eq(u32, lea_u32_load_rlx(&errors), 0));
    cr_expect(le(sz, seen, THREADS * 100));
    cr_expect(le(sz, lea_word_load_rlx(&slab.nr_made), THREADS * 100));
    lea_slab_destroy(&slab);
}
