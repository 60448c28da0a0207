/*
 * mem/pool.h - small objects of one size for one owner: a free list on top of a slab that all
 * share. Taking and giving cost a few instructions; the slab's lock is taken once for some dozens
 * of objects.
 *
 * A pool belongs to one processor and is touched by who holds that. An object may be given to
 * another pool than it came from; both are bounded. Without a pool (NULL) the slab serves directly.
 * A free object's first word is overwritten, the rest keeps what it held.
 */
#ifndef LEA_MEM_POOL_H
#define LEA_MEM_POOL_H

#include "mem/slab.h"

#ifndef LEA_POOL_BATCH
#define LEA_POOL_BATCH 32u
#endif

struct lea_pool {
    void *first; /* linked by their first words */
    uint32_t n;
};

void *lea_pool_refill(struct lea_pool *pool, struct lea_slab *slab);
void lea_pool_spill(struct lea_pool *pool, struct lea_slab *slab, void *obj);

/* NULL: no memory. */
static inline void *lea_pool_get(struct lea_pool *pool, struct lea_slab *slab)
{
    void *obj = pool ? pool->first : NULL;

    if (LEA_UNLIKELY(!obj))
        return lea_pool_refill(pool, slab);
    pool->first = *(void **)obj;
    pool->n--;
    return obj;
}

static inline void lea_pool_put(struct lea_pool *pool, struct lea_slab *slab, void *obj)
{
    if (LEA_UNLIKELY(!pool || pool->n >= 4 * LEA_POOL_BATCH)) {
        lea_pool_spill(pool, slab, obj);
        return;
    }
    *(void **)obj = pool->first;
    pool->first = obj;
    pool->n++;
}

#endif
