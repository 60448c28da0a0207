/*
 * mem/stack.h - stacks: address space cut into slots, each with a guard at its low end, pooled
 * while hot and trimmed when idle.
 *
 *        slot (a power of two, aligned to its size)
 *   low |  guard  |            usable bytes  ...           <- sp | colour gap | struct lea_stack |
 *          high page ends here
 *
 * Sizes: a stack size, as LEAT_STACK and a spawn attribute give it, counts the address space of the
 * slot, guard included. It is rounded up to a power of two, 32 KiB at least, 1 GiB at most; the
 * guard takes 16 KiB (or one page where pages are larger) of it. So the default of 64 KiB leaves 48
 * KiB to the coroutine.
 *
 * Always:
 *  - The header lies in the page that a coroutine touches first, so a parked coroutine costs one
 *    resident page.
 *  - A stack that lea_stack_get() returned has its guard. Guards are never taken away:
 *    MADV_DONTNEED keeps them.
 *  - A free stack is one word in a magazine. The low bits of that word tell what is known of its
 *    pages: COLD (none is resident, the header is lost), BARE (no guard yet). Nobody reads the
 *    header of a free stack.
 *  - Stacks in use <= reserved, and address space is mapped for what is reserved and for what idle
 *    caches may hold on top.
 *
 * Who may call: a cache belongs to one processor and is touched only by who holds that; a NULL
 * cache means the caller has no processor. All else is safe from any thread.
 */
#ifndef LEA_MEM_STACK_H
#define LEA_MEM_STACK_H

#include "base/atomic.h"
#include "base/lock.h"
#include "mem/guard.h"
#include "mem/mag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEA_STACK_MIN_SHIFT 15u /* 32 KiB, class 0 */
#define LEA_STACK_MAX_SHIFT 30u /* 1 GiB */
#define LEA_STACK_CLASSES (LEA_STACK_MAX_SHIFT - LEA_STACK_MIN_SHIFT + 1u)
#define LEA_STACK_ASK_MIN ((size_t)16 << 10) /* least size that may be asked for */

/* Classes with racks in the caches: slots up to 8 MiB. Larger ones go straight to the depot. */
#define LEA_STACK_RACKS 9u
#define LEA_STACK_RACK_CAP (2u * LEA_MAG_CAP)

#define LEA_STACK_EXTENTS 256u

/* Marks in the word of a free stack: its page need not be there; nor its guard. */
#define LEA_STACK_COLD ((uintptr_t)1)
#define LEA_STACK_BARE ((uintptr_t)2)
#define LEA_STACK_MARKS ((uintptr_t)3)

/* The header. From get to put it belongs to the stack's user. */
struct lea_stack {
    _Alignas(LEA_CACHELINE) struct lea_stack *next; /* user's: a list */
    /* user's: whose stack it is, for the overflow report */
    void *owner;
    void *low; /* lowest usable byte, right above the guard */
    uint32_t cls;
    uint32_t unused;
};

/* Of one class. */
struct lea_stack_rack {
    uint32_t n, cap; /* cap 0: not initialised, or not cached */
    uintptr_t word[LEA_STACK_RACK_CAP];
};

/* Of one processor. */
struct lea_stack_cache {
    struct lea_stack_rack rack[LEA_STACK_RACKS];
};

/* One mapping of slots. */
struct lea_stack_extent {
    uintptr_t base; /* (k) of slot 0 */
    size_t nr;      /* (k) slots */
    size_t cut;     /* (L) slots ever handed out: [0, cut) */
    void *mags;     /* (k) region of magazines for that many words */
    size_t mags_bytes;
    uint32_t cls; /* (k) */
};

/* Keys: (k) constant after init   (L) under the lock */
struct lea_stack_depot {
    struct lea_mags hot;  /* (L) pages resident; stamped with the epoch */
    struct lea_mags cold; /* (L) COLD or BARE */
    size_t reserved;      /* (L) */
    size_t mapped;        /* (L) slots */
    size_t cut;           /* (L) slots ever handed out */
    uint32_t extent;      /* (L) where to look for slots that were never handed out */
};

/* One per runtime. Keys: as above   (r) written under the lock, read by anybody */
struct lea_stack_pool {
    struct lea_lock lock;
    uint32_t default_cls; /* (k) */
    uint32_t nr_caches;   /* (L) */
    lea_u32 hot_mask;     /* (r) bit per class: its depot has hot stacks */
    lea_u32 by_touch;     /* 1: the kernel does not bring pages to several stacks in one call */
    /*
     * (L) grows by one when the pool is looked at LEA_STACK_EPOCH_NS or more after the last time it
     * did
     */
    uint32_t epoch;
    int64_t epoch_ns;    /* (L) when it last grew */
    lea_u32 nr_extents;  /* (r) */
    lea_word nr_trimmed; /* (r) stacks whose memory went back to the kernel */
    struct lea_guards guards;
    struct lea_mag_store store; /* (L) */
    struct lea_stack_depot depot[LEA_STACK_CLASSES];
    struct lea_stack_extent extent[LEA_STACK_EXTENTS]; /* (r) */
};

/*
 * What nobody needed for 3 to 4 epochs goes back: after 1.5 to 2 s when looked at twice a second,
 * never before 1.2 s.
 */
#define LEA_STACK_EPOCH_NS ((int64_t)400000000)
#define LEA_STACK_IDLE_EPOCHS 4u

/*
 * Maps nothing yet, but finds out how guards can be made here. Returns: 0; -EINVAL @default_bytes
 * is out of range; -ENOMEM.
 */
int lea_stack_pool_init(struct lea_stack_pool *pool, size_t default_bytes);

/* Unmaps everything, whoever still holds stacks. The pool may be initialised again. */
void lea_stack_pool_destroy(struct lea_stack_pool *pool);

/*
 * Before its first use, and at its end: what the cache holds goes to the depot. The owner may flush
 * at any time, say before a long idleness.
 */
void lea_stack_cache_init(struct lea_stack_pool *pool, struct lea_stack_cache *cache);
void lea_stack_cache_flush(struct lea_stack_pool *pool, struct lea_stack_cache *cache);
void lea_stack_cache_destroy(struct lea_stack_pool *pool, struct lea_stack_cache *cache);

/* Size to class. @bytes: 0 for the default, else 16 KiB to 1 GiB. Returns: 0; -EINVAL. */
int lea_stack_class(const struct lea_stack_pool *pool, size_t bytes, unsigned *cls);

/*
 * Count n stacks more (fewer) that may be in use at once; asked for in batches. Returns: 0; -ENOMEM
 * the address space is used up or, where guards need maps of their own, vm.max_map_count is near
 * (one message says so). Nothing is counted then.
 */
int lea_stack_reserve(struct lea_stack_pool *pool, unsigned cls, size_t n);
void lea_stack_unreserve(struct lea_stack_pool *pool, unsigned cls, size_t n);

struct lea_stack *lea_stack_get_slow(struct lea_stack_pool *pool, struct lea_stack_cache *cache,
                                     unsigned cls);
void lea_stack_put_slow(struct lea_stack_pool *pool, struct lea_stack_cache *cache,
                        struct lea_stack *stack);

/*
 * A stack of a class, one of those that the caller has reserved. Hot ones first. `next` and `owner`
 * are undefined.
 * NULL only if memory for the guard could not be had: the caller tries again later.
 */
static inline struct lea_stack *lea_stack_get(struct lea_stack_pool *pool,
                                              struct lea_stack_cache *cache, unsigned cls)
{
    if (LEA_LIKELY(cache && cls < LEA_STACK_RACKS)) {
        struct lea_stack_rack *r = &cache->rack[cls];
        uintptr_t w = r->n ? r->word[r->n - 1] : LEA_STACK_COLD;

        if (LEA_LIKELY(!(w & LEA_STACK_MARKS))) {
            r->n--;
            return (struct lea_stack *)w;
        }
    }
    return lea_stack_get_slow(pool, cache, cls);
}

/*
 * Fetch the top of the stack that the next get will most likely return: where its first frames will
 * be. A prefetch waits until its address is translated, which is half of a visit to a cold stack
 * (290 ns): so every fourth call asks for a line of each of the four after it, whose translations
 * go on side by side (185 ns). Stacks without memory have none.
 */
#define LEA_STACK_AHEAD 4u

static inline void lea_stack_prefetch(const struct lea_stack_cache *cache, unsigned cls)
{
    const struct lea_stack_rack *r = &cache->rack[cls < LEA_STACK_RACKS ? cls : 0];
    uintptr_t next = r->n ? r->word[r->n - 1] : LEA_STACK_COLD;

    if (r->n % LEA_STACK_AHEAD == LEA_STACK_AHEAD - 1) /* as a refill leaves it */
        for (uint32_t i = 2; i < 2 + LEA_STACK_AHEAD && i <= r->n; i++)
            if (!(r->word[r->n - i] & LEA_STACK_MARKS))
                lea_prefetch((const char *)r->word[r->n - i] - LEA_CACHELINE);
    if (!(next & LEA_STACK_MARKS))
        for (int line = 1; line < 9; line++)
            lea_prefetch((const char *)next - line * LEA_CACHELINE);
}

/*
 * Back to the pool. Nobody stands on it any more, and the sanitizers have been told (ctx). Never
 * fails. @cls: its class, from the caller, who has it at hand: after a long wait the header is a
 * cache miss.
 */
static inline void lea_stack_put(struct lea_stack_pool *pool, struct lea_stack_cache *cache,
                                 struct lea_stack *stack, unsigned cls)
{
    if (LEA_LIKELY(cache && cls < LEA_STACK_RACKS)) {
        struct lea_stack_rack *r = &cache->rack[cls];

        if (LEA_LIKELY(r->n < r->cap)) {
            r->word[r->n++] = (uintptr_t)stack;
            return;
        }
    }
    lea_stack_put_slow(pool, cache, stack);
}

/*
 * Give back the memory of stacks that nobody needed for 1 to 2 s. About twice a second, by one
 * thread at a time or by several. With nothing to do it costs a load; else it works for about 2 ms
 * at most, and needs 12 KiB of stack. Returns when a further call would find work: @now_ns or a
 * little later when this one did not finish, INT64_MAX when nothing is left to give back (until
 * stacks are put again), so that the caller may go to sleep.
 */
int64_t lea_stack_trim(struct lea_stack_pool *pool, int64_t now_ns);

/*
 * Bounds of what the coroutine may use: [low, high). high is aligned to 64 bytes and differs from
 * stack to stack (colour).
 */
static inline void *lea_stack_low(const struct lea_stack *stack)
{
    return stack->low;
}

static inline void *lea_stack_high(struct lea_stack *stack)
{
    return stack;
}

/* Address space of a slot, guard included: the size that a user asked for, rounded up. */
static inline size_t lea_stack_class_bytes(unsigned cls)
{
    return (size_t)1 << (LEA_STACK_MIN_SHIFT + cls);
}

static inline size_t lea_stack_slot_bytes(const struct lea_stack *stack)
{
    return lea_stack_class_bytes(stack->cls);
}

/* Is the address inside the guard of some stack? That stack then. Async-signal-safe. */
bool lea_stack_is_guard(const struct lea_stack_pool *pool, const void *addr,
                        struct lea_stack **stack);

/* For statistics: readings of different instants. */
struct lea_stack_stats {
    size_t reserved; /* now */
    size_t made;     /* slots ever handed out */
    size_t hot;      /* now: free in the depot, memory resident */
    size_t cold;     /* now: free in the depot, memory given back or never touched */
    size_t trimmed;  /* stacks whose memory went back, ever */
    size_t mapped_bytes;
};
void lea_stack_stats(struct lea_stack_pool *pool, struct lea_stack_stats *out);

#endif
