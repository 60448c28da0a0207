/*
 * The rare side of pools: batches from and to the slab. See pool.h.
 */
#include "mem/pool.h"

static void link_in(struct lea_pool *pool, void *obj)
{
    *(void **)obj = pool->first;
    pool->first = obj;
    pool->n++;
}

__attribute__((noinline)) void *lea_pool_refill(struct lea_pool *pool, struct lea_slab *slab)
{
    void *objs[LEA_POOL_BATCH];
    unsigned n = lea_slab_alloc_bulk(slab, objs, pool ? LEA_POOL_BATCH : 1);

    for (unsigned i = 1; i < n; i++)
        link_in(pool, objs[i]);
    return n ? objs[0] : NULL;
}

__attribute__((noinline)) void lea_pool_spill(struct lea_pool *pool, struct lea_slab *slab,
                                              void *obj)
{
    void *objs[2 * LEA_POOL_BATCH];
    unsigned n = 0;

    objs[n++] = obj;
    while (pool && n < 2 * LEA_POOL_BATCH) {
        objs[n++] = pool->first;
        pool->first = *(void **)pool->first;
        pool->n--;
    }
    lea_slab_free_bulk(slab, objs, n);
}
