/*
 * mem/guard.h - the guard at the low end of a stack, made in one of two ways.
 *
 *  markers   madvise(MADV_GUARD_INSTALL), Linux 6.13: page table entries only, no map (VMA); any
 *            number of them
 *  protect   mprotect(PROT_NONE), on older kernels, under a filter that refuses the former, and on
 *            locked memory: each guard splits a map in two, so their number is bounded by
 *            vm.max_map_count, of which 1/8 stays free for the program
 *
 * Always: it begins with markers if the kernel has them, changes to protect at the first refusal,
 * and never back.
 */
#ifndef LEA_MEM_GUARD_H
#define LEA_MEM_GUARD_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>

#define LEA_GUARD_BYTES_MIN ((size_t)16 << 10) /* a big local array must not jump over it */
#ifndef LEA_GUARD_BATCH
#define LEA_GUARD_BATCH 16u
#endif

/* Keys: (k) constant after init   (a) by anybody */
struct lea_guards {
    size_t bytes;       /* (k) of one guard */
    size_t page_bytes;  /* (k) */
    lea_u32 by_protect; /* (a) 0 or 1, only ever set */
    lea_u32 one_by_one; /* (a) 1: the kernel takes no batches */
    /* (a) how many guards the maps are enough for; of meaning once by_protect is set */
    lea_word protectable;
    lea_word nr_marked; /* (a) guards made of markers */
    lea_u32 told;       /* (a) 1: the message about vm.max_map_count is out */
};

/* Finds out what the kernel can do. Returns: 0; -ENOMEM. */
int lea_guards_init(struct lea_guards *g);

/* Make the guard at addr. Returns: 0; -ENOMEM, try again later. */
int lea_guard_install(struct lea_guards *g, void *addr);

/*
 * Make n <= LEA_GUARD_BATCH of them in one call. False: some may be missing, install them one by
 * one.
 */
bool lea_guard_install_many(struct lea_guards *g, void *const *addr, unsigned n);

static inline bool lea_guards_limited(const struct lea_guards *g)
{
    return lea_u32_load_acq(&g->by_protect) != 0; /* GUARD-MODE */
}

/* How many guards there may be by then. Only while limited. */
size_t lea_guards_max(const struct lea_guards *g);

/* Says once that the maps are used up, and what to do. */
void lea_guards_tell(struct lea_guards *g);

#endif
