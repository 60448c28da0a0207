/*
 * mem/slab.h - objects of one size whose memory keeps its type: coroutines, descriptor records.
 *
 * Always:
 *  - An address that was handed out once holds an object of this slab until the slab is destroyed:
 *    a late reader meets an old object, never something else. Nothing inside a free object is
 *    written here; its content is what its last owner left.
 *  - An object that is handed out for the first time is zero.
 *  - Objects begin at multiples of the alignment (a cache line at least), so two of them never
 *    share a line.
 *
 * All calls but init and destroy may come from any thread at any time. They are meant for batches:
 * one lock, some dozens of objects.
 */
#ifndef LEA_MEM_SLAB_H
#define LEA_MEM_SLAB_H

#include "base/atomic.h"
#include "base/lock.h"
#include "mem/mag.h"

#include <stddef.h>

struct lea_slab_chunk;

/*
 * Keys: (L) under the lock   (k) constant after init   (r) written under the lock, read by anybody
 */
struct lea_slab {
    struct lea_lock lock;
    size_t stride;              /* (k) bytes from one object to the next */
    size_t align;               /* (k) */
    size_t chunk_bytes;         /* (L) of the next chunk */
    struct lea_mag_store store; /* (L) each chunk brings the magazines for its own objects */
    struct lea_mags free;       /* (L) objects given back */
    /* (r) struct lea_slab_chunk *, newest first; objects are cut from the first */
    lea_word chunks;
    lea_word nr_made;  /* (r) objects ever handed out */
    lea_word nr_bytes; /* (r) mapped */
};

/* Maps nothing yet. @align: 0, or a power of two up to a page. Returns: 0; -EINVAL. */
int lea_slab_init(struct lea_slab *s, size_t object_bytes, size_t align);

/*
 * Up to @n objects into out[]. Returns how many: fewer than @n only when the system refuses memory.
 * Objects used before come first.
 */
unsigned lea_slab_alloc_bulk(struct lea_slab *s, void **out, unsigned n);

/* Never fails. */
void lea_slab_free_bulk(struct lea_slab *s, void **objs, unsigned n);

/*
 * Calls fn for every object that was ever handed out, free ones too, without a lock: fn must find
 * out from the object itself what it is. Objects that are handed out for the first time meanwhile
 * may be missed.
 */
void lea_slab_each(struct lea_slab *s, void (*fn)(void *obj, void *arg), void *arg);

/* As lea_slab_each(), until fn says true. Returns whether it did. */
bool lea_slab_any(struct lea_slab *s, bool (*fn)(void *obj, void *arg), void *arg);

/*
 * Is there an object of this slab at the address? Of those handed out for the first time meanwhile
 * it may know nothing yet.
 */
bool lea_slab_has(const struct lea_slab *s, uintptr_t addr);

/* Gives all memory back, whoever still holds objects. The slab may be initialised again. */
void lea_slab_destroy(struct lea_slab *s);

#endif
