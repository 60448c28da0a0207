/*
 * Type-stable objects, cut from chunks that are mapped as needed and stay until the end.
 * Invariants: slab.h.
 *
 *   chunk | struct lea_slab_chunk | object | object | ...                       |     and apart |
 *   magazines for just as many objects |
 *
 * Apart, since they are touched only when objects come back: in huge pages they would be resident
 * from the start, 8 bytes for each object.
 *
 * Ordering pairs.
 *  SLAB-CHUNK  release of slab.chunks in slab_grow  ->  acquire in lea_slab_each: the chunk's head
 *              is complete.
 */
#include "mem/slab.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/os.h"
#include "mem/heap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)4 << 20)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define ALIGN_MAX ((size_t)4096)
#define BATCH LEA_MAG_CAP

/* Keys: (k) constant   (L) written under the slab's lock, read by anybody */
struct lea_slab_chunk {
    struct lea_slab_chunk *next; /* (k) older */
    size_t bytes;                /* (k) of the mapping */
    char *first;                 /* (k) object */
    size_t nr;                   /* (k) objects */
    void *mags;                  /* (k) region of magazines */
    size_t mags_bytes;           /* (k) */
    lea_word cut;                /* (L) objects handed out so far: [0, cut) */
};

static size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

int lea_slab_init(struct lea_slab *s, size_t object_bytes, size_t align)
{
    if (align < LEA_CACHELINE)
        align = LEA_CACHELINE;
    if (object_bytes == 0 || object_bytes > CHUNK_BYTES_MAX / 8 || (align & (align - 1)) != 0 ||
        align > ALIGN_MAX)
        return -EINVAL;
    memset(s, 0, sizeof(*s));
    lea_lock_init(&s->lock, LEA_RANK_MEM);
    lea_mags_init(&s->free, &s->store, LEA_MAG_CAP);
    s->align = align;
    s->stride = align_up(object_bytes, align);
    s->chunk_bytes = CHUNK_BYTES_MIN;
    while (s->chunk_bytes < 8 * s->stride)
        s->chunk_bytes *= 2;
    return 0;
}

static struct lea_slab_chunk *chunk_newest(const struct lea_slab *s)
{
    return (struct lea_slab_chunk *)lea_word_load_acq(&s->chunks); /* SLAB-CHUNK */
}

static size_t chunk_left(const struct lea_slab_chunk *c)
{
    return c ? c->nr - lea_word_load_rlx(&c->cut) : 0; /* relaxed: under the lock */
}

/*
 * Maps a chunk, without the lock: a call to the kernel may wait. False when there is no memory. It
 * is written to only when it is known to be the slab's: who was too slow gives it back, and another
 * thread may have the same addresses at once.
 */
static bool slab_grow(struct lea_slab *s, size_t bytes)
{
    size_t head = align_up(sizeof(struct lea_slab_chunk), s->align),
           nr = (bytes - head) / s->stride;
    size_t mags_bytes = lea_mag_region_bytes(nr, LEA_MAG_CAP);
    struct lea_slab_chunk *c = lea_heap_map(bytes);
    void *mags = c ? lea_os_map(mags_bytes, PROT_READ | PROT_WRITE) : NULL;

    if (!mags) {
        if (c)
            lea_heap_unmap(c, bytes);
        return false;
    }
    if (bytes >= HUGE_PAGE_BYTES)
        /* objects are visited at random: a miss of the TLB each, else */
        (void)lea_os_madvise(c, bytes, MADV_HUGEPAGE);

    lea_lock_take(&s->lock);
    if (s->free.nr_words > 0 || chunk_left(chunk_newest(s)) > 0) {
        /* another thread was quicker: a chunk is cut to its end before the next one comes */
        lea_lock_drop(&s->lock);
        lea_heap_unmap(c, bytes);
        (void)lea_os_unmap(mags, mags_bytes);
        return true;
    }
    c->bytes = bytes;
    c->nr = nr;
    c->first = (char *)c + head;
    c->mags = mags;
    c->mags_bytes = mags_bytes;
    c->next = chunk_newest(s);
    lea_mag_store_add(&s->store, mags, mags_bytes);
    lea_delay_point(SLAB_CHUNK);
    lea_word_store_rel(&s->chunks, (uintptr_t)c); /* SLAB-CHUNK */
    lea_word_count(&s->nr_bytes, bytes + mags_bytes);
    if (s->chunk_bytes < CHUNK_BYTES_MAX)
        s->chunk_bytes *= 2;
    lea_lock_drop(&s->lock);
    return true;
}

static unsigned slab_cut_locked(struct lea_slab *s, void **out, unsigned n)
{
    struct lea_slab_chunk *c = chunk_newest(s);
    size_t left = chunk_left(c);
    size_t cut;

    if (left == 0)
        return 0;
    if (n > left)
        n = (unsigned)left;
    cut = lea_word_load_rlx(&c->cut); /* relaxed: we hold the lock */
    for (unsigned i = 0; i < n; i++)
        out[i] = c->first + (cut + i) * s->stride;
    /* relaxed: readers find zero or what the new owners publish themselves */
    lea_word_store_rlx(&c->cut, cut + n);
    lea_word_count(&s->nr_made, n);
    return n;
}

unsigned lea_slab_alloc_bulk(struct lea_slab *s, void **out, unsigned n)
{
    unsigned got = 0;

    for (;;) {
        uintptr_t word[BATCH];
        unsigned k = n - got < BATCH ? n - got : BATCH;
        unsigned popped;
        size_t chunk_bytes;

        lea_lock_take(&s->lock);
        popped = lea_mags_pop(&s->free, word, k);
        if (popped == 0)
            got += slab_cut_locked(s, out + got, n - got);
        chunk_bytes = s->chunk_bytes;
        lea_lock_drop(&s->lock);

        for (unsigned i = 0; i < popped; i++)
            out[got++] = (void *)word[i];
        if (got == n || (popped == 0 && !slab_grow(s, chunk_bytes)))
            return got;
    }
}

void lea_slab_free_bulk(struct lea_slab *s, void **objs, unsigned n)
{
    while (n > 0) {
        uintptr_t word[BATCH];
        unsigned k = n < BATCH ? n : BATCH;

        for (unsigned i = 0; i < k; i++)
            word[i] = (uintptr_t)objs[i];
        lea_lock_take(&s->lock);
        lea_mags_push(&s->free, word, k, 0);
        lea_lock_drop(&s->lock);
        objs += k;
        n -= k;
    }
}

void lea_slab_each(struct lea_slab *s, void (*fn)(void *obj, void *arg), void *arg)
{
    for (struct lea_slab_chunk *c = chunk_newest(s); c; c = c->next) {
        size_t cut = lea_word_load_rlx(&c->cut); /* relaxed: the objects speak for themselves */

        for (size_t i = 0; i < cut; i++)
            fn(c->first + i * s->stride, arg);
    }
}

bool lea_slab_any(struct lea_slab *s, bool (*fn)(void *obj, void *arg), void *arg)
{
    for (struct lea_slab_chunk *c = chunk_newest(s); c; c = c->next) {
        size_t cut = lea_word_load_rlx(&c->cut); /* relaxed: the objects speak for themselves */

        for (size_t i = 0; i < cut; i++)
            if (fn(c->first + i * s->stride, arg))
                return true;
    }
    return false;
}

bool lea_slab_has(const struct lea_slab *s, uintptr_t addr)
{
    for (const struct lea_slab_chunk *c = chunk_newest(s); c; c = c->next) {
        uintptr_t offset = addr - (uintptr_t)c->first;

        if (offset < lea_word_load_rlx(&c->cut) * s->stride) /* relaxed: as above */
            return offset % s->stride == 0;
    }
    return false;
}

void lea_slab_destroy(struct lea_slab *s)
{
    struct lea_slab_chunk *c = chunk_newest(s);

    while (c) {
        struct lea_slab_chunk *next = c->next;

        (void)lea_os_unmap(c->mags, c->mags_bytes);
        lea_heap_unmap(c, c->bytes);
        c = next;
    }
    memset(s, 0, sizeof(*s));
}
