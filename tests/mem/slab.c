#include "support/test.h"

#include "mem/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define OBJECT_BYTES 360u
#define MANY 100000u

static void *objects[MANY];

/* Goal: fresh objects are zero, aligned and apart. */
Test(slab, fresh_objects_are_zero, .timeout = 20)
{
    struct lea_slab s;
    static unsigned char zero[OBJECT_BYTES];

    cr_assert(eq(int, lea_slab_init(&s, OBJECT_BYTES, 128), 0));
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, objects, MANY), MANY));
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(eq(uptr, (uintptr_t)objects[i] % 128, 0));
        cr_assert(eq(int, memcmp(objects[i], zero, OBJECT_BYTES), 0),
                  "object %u is not zero, or lies over another", i);
        memset(objects[i], 0xff, OBJECT_BYTES);
    }
    lea_slab_destroy(&s);
}

/* Goal: what is mapped is the objects and little else. */
Test(slab, wastes_little, .timeout = 20)
{
    struct lea_slab s;
    size_t payload = (size_t)MANY * 384; /* a multiple of the cache line */

    cr_assert(eq(int, lea_slab_init(&s, OBJECT_BYTES, 0), 0));
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, objects, MANY), MANY));
    /* the last chunk, 4 MiB, may be empty but for one object */
    cr_expect(lt(sz, lea_word_load_rlx(&s.nr_bytes), payload + payload / 30 + ((size_t)4 << 20)));
    cr_expect(eq(sz, lea_word_load_rlx(&s.nr_made), MANY));
    lea_slab_destroy(&s);
}

/* Goal: used objects come before fresh ones, and keep what their last owner wrote. */
Test(slab, reuses_with_content, .timeout = 5)
{
    struct lea_slab s;
    void *again[3];
    unsigned found = 0;

    cr_assert(eq(int, lea_slab_init(&s, 64, 0), 0));
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, objects, 100), 100));
    for (int i = 0; i < 3; i++)
        memset(objects[i * 30], 'a' + i, 64);
    lea_slab_free_bulk(&s, (void *[]){objects[0], objects[30], objects[60]}, 3);
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, again, 3), 3));
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            found += again[i] == objects[k * 30] && *(char *)again[i] == 'a' + k &&
                     ((char *)again[i])[63] == 'a' + k;
    }
    cr_expect(eq(u32, found, 3));
    cr_expect(eq(sz, lea_word_load_rlx(&s.nr_made), 100));
    lea_slab_destroy(&s);
}

static void count_one(void *obj, void *arg)
{
    size_t *count = arg;

    ++*(unsigned char *)obj;
    ++*count;
}

/* Goal: each visits every object once, free ones too. */
Test(slab, each_visits_all, .timeout = 10)
{
    struct lea_slab s;
    size_t visited = 0;

    cr_assert(eq(int, lea_slab_init(&s, 192, 0), 0));
    lea_slab_each(&s, count_one, &visited);
    cr_expect(eq(sz, visited, 0));
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, objects, 5000), 5000));
    lea_slab_free_bulk(&s, objects + 1000, 3000);
    lea_slab_each(&s, count_one, &visited);
    cr_expect(eq(sz, visited, 5000));
    for (unsigned i = 0; i < 5000; i++)
        cr_assert(eq(int, *(unsigned char *)objects[i], 1), "object %u", i);
    lea_slab_destroy(&s);
}

/* Goal: without memory it gives what it has, and goes on when there is some again. */
Test(slab, survives_a_refusal, .timeout = 10)
{
    struct lea_slab s;
    struct rlimit old, none;
    unsigned got;

    cr_assert(eq(int, lea_slab_init(&s, 4096, 0), 0));
    cr_assert(eq(u32, lea_slab_alloc_bulk(&s, objects, 10), 10));
    getrlimit(RLIMIT_AS, &old);
    none = (struct rlimit){.rlim_cur = (rlim_t)1 << 20, .rlim_max = old.rlim_max};
    cr_assert(eq(int, setrlimit(RLIMIT_AS, &none), 0));
    got = lea_slab_alloc_bulk(&s, objects + 10, 10000);
    setrlimit(RLIMIT_AS, &old);
    if (got == 10000)
        cr_skip_test("RLIMIT_AS has no effect here");
    cr_expect(lt(u32, got, 100));
    cr_expect(eq(u32, lea_slab_alloc_bulk(&s, objects + 10 + got, 10000), 10000));
    lea_slab_destroy(&s);
}

Test(slab, refuses_senseless_sizes, .timeout = 5)
{
    struct lea_slab s;

    cr_expect(eq(int, lea_slab_init(&s, 0, 0), -EINVAL));
    cr_expect(eq(int, lea_slab_init(&s, 64, 96), -EINVAL));
    cr_expect(eq(int, lea_slab_init(&s, 64, 65536), -EINVAL));
    cr_expect(eq(int, lea_slab_init(&s, (size_t)1 << 40, 0), -EINVAL));
}
