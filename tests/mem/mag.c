#include "support/test.h"

#include "mem/mag.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT 4u
#define WORDS 40u

struct fixture {
    struct lea_mag_store store;
    struct lea_mags list;
    void *mem;
};

static struct fixture fixture_empty(void)
{
    struct fixture f = {.mem = NULL};
    size_t bytes = lea_mag_region_bytes(WORDS, LIMIT);

    f.mem = malloc(bytes);
    memset(f.mem, 0xee, bytes);
    lea_mag_store_add(&f.store, f.mem, bytes);
    return f;
}

static void push_range(struct lea_mags *l, uintptr_t first, unsigned n, uint32_t stamp)
{
    uintptr_t word[WORDS];

    for (unsigned i = 0; i < n; i++)
        word[i] = first + i;
    lea_mags_push(l, word, n, stamp);
}

/* Goal: words leave at the new end in the opposite order, across magazines. */
Test(mag, pops_the_newest_first, .timeout = 5)
{
    struct fixture f = fixture_empty();
    uintptr_t word[WORDS];

    lea_mags_init(&f.list, &f.store, LIMIT);
    push_range(&f.list, 100, 3, 0);
    push_range(&f.list, 103, 7, 0);
    cr_assert(eq(sz, f.list.nr_words, 10));
    cr_assert(eq(u32, lea_mags_pop(&f.list, word, 6), 6));
    for (unsigned i = 0; i < 6; i++)
        cr_expect(eq(uptr, word[i], 104 + i));
    cr_assert(eq(u32, lea_mags_pop(&f.list, word, WORDS), 4));
    cr_expect(eq(uptr, word[3], 103));
    cr_expect(eq(u32, lea_mags_pop(&f.list, word, 1), 0));
    cr_expect(eq(ptr, f.list.newest, NULL));
    cr_expect(eq(ptr, f.list.oldest, NULL));
    free(f.mem);
}

/* Goal: the old end gives whole magazines, oldest first, with the stamp of their last word. */
Test(mag, shifts_the_oldest, .timeout = 5)
{
    struct fixture f = fixture_empty();
    uintptr_t word[LEA_MAG_CAP];

    lea_mags_init(&f.list, &f.store, LIMIT);
    push_range(&f.list, 0, 3, 7);
    push_range(&f.list, 3, 3, 8);
    cr_expect(eq(u32, f.list.oldest->stamp, 8));
    cr_assert(eq(u32, lea_mags_shift(&f.list, word), 4));
    cr_expect(eq(uptr, word[0], 0));
    cr_expect(eq(uptr, word[3], 3));
    cr_assert(eq(u32, lea_mags_shift(&f.list, word), 2));
    cr_expect(eq(uptr, word[1], 5));
    cr_expect(eq(u32, lea_mags_shift(&f.list, word), 0));
    cr_expect(eq(sz, f.list.nr_words, 0));
    free(f.mem);
}

/*
 * Goal: a region for n words never runs dry, whatever the order of pushes, pops and shifts. Method:
 * two lists, n words in all, at random.
 */
Test(mag, a_region_is_enough_for_its_words, .timeout = 10)
{
    struct fixture f = fixture_empty();
    struct lea_mags cold;
    uintptr_t word[WORDS], sum = 0;
    unsigned out = WORDS, seed = 1;

    lea_mags_init(&f.list, &f.store, LIMIT);
    lea_mags_init(&cold, &f.store, LIMIT);
    push_range(&f.list, 0, WORDS, 0);
    for (int turn = 0; turn < 20000; turn++) {
        struct lea_mags *from = rand_r(&seed) & 1 ? &f.list : &cold,
                        *to = rand_r(&seed) & 1 ? &f.list : &cold;

        out = rand_r(&seed) & 3 ? lea_mags_pop(from, word, 1 + (unsigned)rand_r(&seed) % 9)
                                : lea_mags_shift(from, word);
        lea_mags_push(to, word, out, 0);
        cr_assert(eq(sz, f.list.nr_words + cold.nr_words, WORDS));
    }
    out = lea_mags_pop(&f.list, word, WORDS);
    out += lea_mags_pop(&cold, word + out, WORDS);
    for (unsigned i = 0; i < out; i++)
        sum += word[i];
    cr_assert(eq(u32, out, WORDS));
    cr_assert(eq(uptr, sum, WORDS * (WORDS - 1) / 2));
    free(f.mem);
}
