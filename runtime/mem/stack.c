/*
 * Stacks: where their address space comes from, and the way from a cache over the depot to a slot
 * that was never used. Layout and
 * invariants: stack.h. How memory goes back: stack_trim.c.
 *
 * Why stacks in use <= reserved is enough: a slot is cut from an extent only while the depot is
 * empty, and then every other slot is in use or in a cache; address space is mapped for all that is
 * reserved plus all that the caches can hold.
 *
 * Colours: with all tops at the same offset in their pages, switching between 1000 stacks costs 27
 * ns for seven cache lines each; with 16 offsets 64 bytes apart 11 ns, and neither more colours nor
 * a wider step is better. Colour and header leave 3 KiB of the first page.
 *
 * Ordering pairs.
 *  STACK-EXTENT  release of nr_extents in extent_add  ->  acquire in lea_stack_is_guard: the
 *                extent's fields are complete.
 */
#include "mem/stack.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_NOHUGEPAGE
#define MADV_NOHUGEPAGE 15
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define NR_COLOURS 16u
#define COLOUR_STEP 64u

#define DEFAULT_BYTES ((size_t)64 << 10)
#define EXTENT_BYTES_MIN ((size_t)64 << 20)
#define EXTENT_BYTES_MAX ((size_t)64 << 30) /* as long as more is not asked for at once */
#define ADDRESS_BITS 47u

/*
 * Slots of a class that go between cache and depot at a time: not more than 8 MiB of address space.
 */
#define BATCH_SHIFT 23u
#define RACK_CAP_LIMITED 8u /* where guards are few, caches must not sit on them */
/* with so many batches for each cache, what waits in their last ones weighs little */
#define POPULATE_FROM (64u * LEA_GUARD_BATCH)

static struct lea_stack *stack_of_slot(uintptr_t slot, unsigned cls)
{
    uintptr_t colour = slot >> (LEA_STACK_MIN_SHIFT + cls) & (NR_COLOURS - 1);

    return (struct lea_stack *)(slot + lea_stack_class_bytes(cls) - colour * COLOUR_STEP) - 1;
}

static void stack_head(const struct lea_stack_pool *pool, uintptr_t word, unsigned cls)
{
    uintptr_t slot = word & ~(lea_stack_class_bytes(cls) - 1);

    *(struct lea_stack *)(word & ~LEA_STACK_MARKS) =
        (struct lea_stack){.low = (char *)slot + pool->guards.bytes, .cls = cls};
}

static uint32_t class_batch(unsigned cls)
{
    size_t n = ((size_t)1 << BATCH_SHIFT) / lea_stack_class_bytes(cls);

    return n < 1 ? 1 : n > LEA_MAG_CAP ? LEA_MAG_CAP : (uint32_t)n;
}

static uint32_t rack_cap(const struct lea_stack_pool *pool, unsigned cls)
{
    uint32_t cap = 2 * class_batch(cls);

    if (cls >= LEA_STACK_RACKS)
        return 0;
    return lea_guards_limited(&pool->guards) && cap > RACK_CAP_LIMITED ? RACK_CAP_LIMITED : cap;
}

static struct lea_stack_rack *rack_of(struct lea_stack_cache *cache, unsigned cls)
{
    return cache && cls < LEA_STACK_RACKS && cache->rack[cls].cap > 0 ? &cache->rack[cls] : NULL;
}

/* --- the pool as a whole --- */

int lea_stack_pool_init(struct lea_stack_pool *pool, size_t default_bytes)
{
    unsigned cls;
    int r;

    memset(pool, 0, sizeof(*pool));
    lea_lock_init(&pool->lock, LEA_RANK_MEM);
    r = lea_guards_init(&pool->guards);
    if (r < 0)
        return r;
    for (unsigned c = 0; c < LEA_STACK_CLASSES; c++) {
        lea_mags_init(&pool->depot[c].hot, &pool->store, class_batch(c));
        lea_mags_init(&pool->depot[c].cold, &pool->store, class_batch(c));
    }
    r = lea_stack_class(pool, default_bytes ? default_bytes : DEFAULT_BYTES, &cls);
    pool->default_cls = cls;
    return r;
}

void lea_stack_pool_destroy(struct lea_stack_pool *pool)
{
    uint32_t n = lea_u32_load_rlx(&pool->nr_extents); /* relaxed: nobody else is here any more */

    for (uint32_t i = 0; i < n; i++) {
        struct lea_stack_extent *e = &pool->extent[i];

        (void)lea_os_unmap((void *)e->base, e->nr * lea_stack_class_bytes(e->cls));
        (void)lea_os_unmap(e->mags, e->mags_bytes);
    }
    memset(pool, 0, sizeof(*pool));
}

int lea_stack_class(const struct lea_stack_pool *pool, size_t bytes, unsigned *cls)
{
    unsigned c = 0;

    *cls = pool->default_cls;
    if (bytes == 0)
        return 0;
    if (bytes < LEA_STACK_ASK_MIN || bytes > (size_t)1 << LEA_STACK_MAX_SHIFT)
        return -EINVAL;
    while (lea_stack_class_bytes(c) < bytes || lea_stack_class_bytes(c) < 2 * pool->guards.bytes)
        c++;
    *cls = c;
    return 0;
}

bool lea_stack_is_guard(const struct lea_stack_pool *pool, const void *addr,
                        struct lea_stack **stack)
{
    uint32_t n = lea_u32_load_acq(&pool->nr_extents); /* STACK-EXTENT */

    for (uint32_t i = 0; i < n; i++) {
        const struct lea_stack_extent *e = &pool->extent[i];
        uintptr_t at = (uintptr_t)addr - e->base;
        size_t slot = lea_stack_class_bytes(e->cls);

        if (at >= e->nr * slot)
            continue;
        if ((at & (slot - 1)) >= pool->guards.bytes)
            return false;
        *stack = stack_of_slot(e->base + (at & ~(slot - 1)), e->cls);
        return true;
    }
    return false;
}

void lea_stack_stats(struct lea_stack_pool *pool, struct lea_stack_stats *out)
{
    *out = (struct lea_stack_stats){
        .trimmed = lea_word_load_rlx(&pool->nr_trimmed)}; /* relaxed: a statistic */
    lea_lock_take(&pool->lock);
    for (unsigned c = 0; c < LEA_STACK_CLASSES; c++) {
        const struct lea_stack_depot *d = &pool->depot[c];

        out->reserved += d->reserved;
        out->made += d->cut;
        out->hot += d->hot.nr_words;
        out->cold += d->cold.nr_words;
        out->mapped_bytes += d->mapped * lea_stack_class_bytes(c);
    }
    lea_lock_drop(&pool->lock);
}

/* --- address space --- */

/* Mapped at a multiple of `align`, a power of two. 0: refused. */
static uintptr_t map_aligned(size_t bytes, size_t align, size_t page)
{
    size_t extra = align - page;
    uintptr_t raw = (uintptr_t)lea_os_map(bytes + extra, PROT_READ | PROT_WRITE);
    uintptr_t base = (raw + align - 1) & ~(align - 1);

    if (!raw)
        return 0;
    if (base > raw)
        (void)lea_os_unmap((void *)raw, base - raw);
    if (raw + extra > base)
        (void)lea_os_unmap((void *)(base + bytes), raw + extra - base);
    return base;
}

/* As many slots as one can get, `wanted` at most and `need` at least. */
static int extent_map(const struct lea_stack_pool *pool, struct lea_stack_extent *e, size_t need,
                      size_t wanted)
{
    size_t slot = lea_stack_class_bytes(e->cls);

    for (e->nr = wanted;; e->nr = e->nr / 2 > need ? e->nr / 2 : need) {
        e->base = map_aligned(e->nr * slot, slot, pool->guards.page_bytes);
        if (e->base)
            break;
        if (e->nr == need)
            return -ENOMEM;
    }
    e->mags_bytes = lea_mag_region_bytes(e->nr, class_batch(e->cls));
    e->mags = lea_os_map(e->mags_bytes, PROT_READ | PROT_WRITE);
    if (!e->mags) {
        (void)lea_os_unmap((void *)e->base, e->nr * slot);
        return -ENOMEM;
    }
    /* A kernel without huge pages says no, and needs no telling. */
    (void)lea_os_madvise((void *)e->base, e->nr * slot, MADV_NOHUGEPAGE);
    return 0;
}

/* False when the table is full, or when others have mapped enough meanwhile (then *r is 0). */
static bool extent_add(struct lea_stack_pool *pool, const struct lea_stack_extent *e,
                       size_t mapped_before, int *r)
{
    struct lea_stack_depot *d = &pool->depot[e->cls];
    uint32_t n;

    lea_lock_take(&pool->lock);
    n = lea_u32_load_rlx(&pool->nr_extents); /* relaxed: under the lock */
    *r = d->mapped == mapped_before && n == LEA_STACK_EXTENTS ? -ENOMEM : 0;
    if (d->mapped != mapped_before || n == LEA_STACK_EXTENTS) {
        lea_lock_drop(&pool->lock);
        return false;
    }
    pool->extent[n] = *e;
    lea_mag_store_add(&pool->store, e->mags, e->mags_bytes);
    d->mapped += e->nr;
    lea_delay_point(STACK_EXTENT);
    lea_u32_store_rel(&pool->nr_extents, n + 1); /* STACK-EXTENT */
    lea_lock_drop(&pool->lock);
    return true;
}

/*
 * Maps `need` slots or more, without the lock, as calls to the kernel may wait. 0 also when another
 * thread changed the pool: look again.
 */
static int pool_grow(struct lea_stack_pool *pool, unsigned cls, size_t need, size_t mapped)
{
    struct lea_stack_extent e = {.cls = cls};
    size_t slot = lea_stack_class_bytes(cls);
    /* doubles the class */
    size_t wanted = mapped > EXTENT_BYTES_MIN / slot ? mapped : EXTENT_BYTES_MIN / slot;
    int r;

    if (need > ((size_t)1 << ADDRESS_BITS) / slot)
        return -ENOMEM;
    if (wanted > EXTENT_BYTES_MAX / slot)
        wanted = EXTENT_BYTES_MAX / slot;
    r = extent_map(pool, &e, need, wanted > need ? wanted : need);
    if (r < 0)
        return r;
    if (!extent_add(pool, &e, mapped, &r)) {
        (void)lea_os_unmap((void *)e.base, e.nr * slot);
        (void)lea_os_unmap(e.mags, e.mags_bytes);
    }
    return r;
}

/* Slots of a class that may exist when `n` more are reserved. */
static size_t class_bound_locked(const struct lea_stack_pool *pool, unsigned cls, size_t n)
{
    const struct lea_stack_depot *d = &pool->depot[cls];
    size_t bound = d->reserved + n;

    if (bound > 0)
        bound += (size_t)pool->nr_caches * rack_cap(pool, cls);
    return bound > d->cut ? bound : d->cut;
}

static bool guards_suffice_locked(const struct lea_stack_pool *pool, unsigned cls, size_t n)
{
    size_t sum = 0;

    if (!lea_guards_limited(&pool->guards))
        return true;
    for (unsigned c = 0; c < LEA_STACK_CLASSES; c++)
        sum += class_bound_locked(pool, c, c == cls ? n : 0);
    return sum <= lea_guards_max(&pool->guards);
}

int lea_stack_reserve(struct lea_stack_pool *pool, unsigned cls, size_t n)
{
    struct lea_stack_depot *d = &pool->depot[cls];

    LEA_CHECK(cls < LEA_STACK_CLASSES, "class %u", cls);
    if (n > (size_t)1 << ADDRESS_BITS)
        return -ENOMEM;
    for (;;) {
        size_t bound, mapped;
        int r;

        lea_lock_take(&pool->lock);
        if (!guards_suffice_locked(pool, cls, n)) {
            lea_lock_drop(&pool->lock);
            lea_guards_tell(&pool->guards);
            return -ENOMEM;
        }
        bound = class_bound_locked(pool, cls, n);
        mapped = d->mapped;
        if (bound <= mapped)
            d->reserved += n;
        lea_lock_drop(&pool->lock);
        if (bound <= mapped)
            return 0;
        r = pool_grow(pool, cls, bound - mapped, mapped);
        if (r < 0)
            return r;
    }
}

void lea_stack_unreserve(struct lea_stack_pool *pool, unsigned cls, size_t n)
{
    struct lea_stack_depot *d = &pool->depot[cls];

    lea_lock_take(&pool->lock);
    LEA_CHECK(d->reserved >= n, "%zu stacks returned of %zu reserved", n, d->reserved);
    d->reserved -= n;
    lea_lock_drop(&pool->lock);
}

/* --- the depot --- */

static void hot_mask_update_locked(struct lea_stack_pool *pool, unsigned cls)
{
    /* relaxed: a hint for the trim, written under the lock */
    uint32_t mask = lea_u32_load_rlx(&pool->hot_mask);
    uint32_t now = pool->depot[cls].hot.nr_words > 0 ? mask | 1u << cls : mask & ~(1u << cls);

    if (now != mask)
        lea_u32_store_rlx(&pool->hot_mask, now);
}

/* Slots that were never used, lowest address last. */
static unsigned depot_cut_locked(struct lea_stack_pool *pool, unsigned cls, uintptr_t *words,
                                 unsigned n)
{
    struct lea_stack_depot *d = &pool->depot[cls];
    uint32_t nr_extents = lea_u32_load_rlx(&pool->nr_extents); /* relaxed: under the lock */
    struct lea_stack_extent *e;

    if (n > LEA_GUARD_BATCH)
        n = LEA_GUARD_BATCH;
    if (lea_guards_limited(&pool->guards))
        n = 1;
    for (;; d->extent++) {
        if (d->extent == nr_extents)
            return 0;
        e = &pool->extent[d->extent];
        if (e->cls == cls && e->cut < e->nr)
            break;
    }
    if (n > e->nr - e->cut)
        n = (unsigned)(e->nr - e->cut);
    for (unsigned i = 0; i < n; i++) {
        uintptr_t slot = e->base + (e->cut + n - 1 - i) * lea_stack_class_bytes(cls);

        words[i] = (uintptr_t)stack_of_slot(slot, cls) | LEA_STACK_COLD | LEA_STACK_BARE;
    }
    e->cut += n;
    d->cut += n;
    return n;
}

/*
 * Fresh slots that have their guards get the page that is touched first, all in one call: 1.3 µs
 * each, where a fault takes 1.7. Then they are hot. What cannot be had so comes by the touch; where
 * only some could be had, all count as cold.
 */
static void slots_populate(struct lea_stack_pool *pool, unsigned cls, uintptr_t *words, unsigned n)
{
    struct iovec range[LEA_GUARD_BATCH];
    size_t page = pool->guards.page_bytes, bytes = lea_stack_class_bytes(cls);
    int r;

    if (lea_u32_load_rlx(&pool->by_touch)) /* relaxed: a hint */
        return;
    for (unsigned i = 0; i < n; i++)
        range[i] = (struct iovec){(void *)((words[i] | (bytes - 1)) + 1 - page), page};
    r = lea_os_madvise_many(range, (int)n, MADV_POPULATE_WRITE);
    if (r < 0 && r != -EAGAIN && r != -ENOMEM && r != -EINTR)
        lea_u32_store_rlx(&pool->by_touch, 1); /* relaxed: a hint */
    for (unsigned i = 0; r == 0 && i < n; i++) {
        stack_head(pool, words[i], cls);
        words[i] &= ~LEA_STACK_MARKS;
    }
}

static unsigned depot_take(struct lea_stack_pool *pool, unsigned cls, uintptr_t *words, unsigned n)
{
    struct lea_stack_depot *d = &pool->depot[cls];
    void *guard[LEA_GUARD_BATCH];
    bool fresh = false, many;
    unsigned got;

    lea_lock_take(&pool->lock);
    got = lea_mags_pop(&d->hot, words, n);
    if (got > 0) {
        hot_mask_update_locked(pool, cls);
    } else {
        got = lea_mags_pop(&d->cold, words, n);
        fresh = got == 0;
        if (fresh)
            got = depot_cut_locked(pool, cls, words, n);
    }
    many = d->cut > (size_t)POPULATE_FROM * (pool->nr_caches ? pool->nr_caches : 1);
    lea_lock_drop(&pool->lock);

    if (!fresh || got < 2)
        return got;
    for (unsigned i = 0; i < got; i++)
        guard[i] = (void *)(words[i] & ~(lea_stack_class_bytes(cls) - 1));
    if (lea_guard_install_many(&pool->guards, guard, got)) {
        for (unsigned i = 0; i < got; i++)
            words[i] &= ~LEA_STACK_BARE;
        if (many)
            slots_populate(pool, cls, words, got);
    }
    return got;
}

static void depot_give(struct lea_stack_pool *pool, unsigned cls, const uintptr_t *words,
                       unsigned n)
{
    struct lea_stack_depot *d = &pool->depot[cls];

    lea_lock_take(&pool->lock);
    for (unsigned i = 0, k; i < n; i += k) {
        bool cold = (words[i] & LEA_STACK_MARKS) != 0;

        for (k = 1; i + k < n && ((words[i + k] & LEA_STACK_MARKS) != 0) == cold; k++)
            ;
        lea_mags_push(cold ? &d->cold : &d->hot, words + i, k, pool->epoch);
    }
    hot_mask_update_locked(pool, cls);
    lea_lock_drop(&pool->lock);
}

/* --- one stack --- */

/* Makes a free stack what its user may expect. NULL: the guard could not be had. */
static struct lea_stack *stack_open(struct lea_stack_pool *pool, uintptr_t word, unsigned cls)
{
    struct lea_stack *s = (struct lea_stack *)(word & ~LEA_STACK_MARKS);
    char *slot = (char *)((uintptr_t)s & ~(lea_stack_class_bytes(cls) - 1));

    if ((word & LEA_STACK_BARE) && lea_guard_install(&pool->guards, slot) < 0)
        return NULL;
    if (word & LEA_STACK_MARKS)
        stack_head(pool, word, cls);
    return s;
}

struct lea_stack *lea_stack_get_slow(struct lea_stack_pool *pool, struct lea_stack_cache *cache,
                                     unsigned cls)
{
    struct lea_stack_rack *r = rack_of(cache, cls);
    struct lea_stack *s;
    uintptr_t word[LEA_MAG_CAP];
    unsigned n;

    LEA_CHECK(cls < LEA_STACK_CLASSES, "class %u", cls);
    if (r && r->n > 0) {
        word[0] = r->word[--r->n];
        n = 1;
    } else {
        n = depot_take(pool, cls, word, r ? r->cap / 2 : 1);
        if (n == 0)
            return NULL;
        if (r) {
            memcpy(r->word, word, (n - 1) * sizeof(*word));
            r->n = n - 1;
        }
    }
    s = stack_open(pool, word[n - 1], cls);
    if (!s && r)
        r->word[r->n++] = word[n - 1];
    else if (!s)
        depot_give(pool, cls, &word[n - 1], 1);
    return s;
}

/* The older half of a full rack goes to the depot, so that what is hot here stays here. */
void lea_stack_put_slow(struct lea_stack_pool *pool, struct lea_stack_cache *cache,
                        struct lea_stack *stack)
{
    unsigned cls = stack->cls;
    struct lea_stack_rack *r = rack_of(cache, cls);
    uintptr_t word = (uintptr_t)stack;
    unsigned half;

    LEA_CHECK(cls < LEA_STACK_CLASSES, "stack %p has class %u: its header was overwritten",
              (void *)stack, cls);
    if (!r) {
        depot_give(pool, cls, &word, 1);
        return;
    }
    half = r->n / 2;
    depot_give(pool, cls, r->word, half);
    r->n -= half;
    memmove(r->word, r->word + half, r->n * sizeof(*r->word));
    r->word[r->n++] = word;
}

/* --- a processor's cache --- */

void lea_stack_cache_init(struct lea_stack_pool *pool, struct lea_stack_cache *cache)
{
    for (unsigned c = 0; c < LEA_STACK_RACKS; c++) {
        cache->rack[c].n = 0;
        cache->rack[c].cap = rack_cap(pool, c);
    }
    lea_lock_take(&pool->lock);
    pool->nr_caches++;
    lea_lock_drop(&pool->lock);
}

void lea_stack_cache_flush(struct lea_stack_pool *pool, struct lea_stack_cache *cache)
{
    for (unsigned c = 0; c < LEA_STACK_RACKS; c++) {
        struct lea_stack_rack *r = &cache->rack[c];

        if (r->n > 0)
            depot_give(pool, c, r->word, r->n);
        r->n = 0;
    }
}

void lea_stack_cache_destroy(struct lea_stack_pool *pool, struct lea_stack_cache *cache)
{
    lea_stack_cache_flush(pool, cache);
    for (unsigned c = 0; c < LEA_STACK_RACKS; c++)
        cache->rack[c].cap = 0;
    lea_lock_take(&pool->lock);
    LEA_CHECK(pool->nr_caches > 0, "a cache too many is destroyed");
    pool->nr_caches--;
    lea_lock_drop(&pool->lock);
}
