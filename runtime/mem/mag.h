/*
 * mem/mag.h - magazines: free things remembered outside themselves, so that memory which went back
 * to the kernel is not touched again just to link it, and an object that ended keeps its last
 * content.
 *
 * A magazine holds up to LEA_MAG_CAP words; a list of them is a stack at its new end, and can be
 * taken from at its old end.
 *
 * Always: every magazine in a list holds something, and all but the newest are filled to the list's
 * limit. So words / limit + 1 magazines are enough for any number of words: whoever makes things
 * brings the magazines for them along, and giving a thing back cannot fail.
 *
 * No locking here: lists and stores belong to the structure that they are in.
 */
#ifndef LEA_MEM_MAG_H
#define LEA_MEM_MAG_H

#include <stddef.h>
#include <stdint.h>

#ifndef LEA_MAG_CAP
#define LEA_MAG_CAP 32u
#endif

struct lea_mag {
    struct lea_mag *newer, *older;
    uint32_t stamp; /* when its newest word came, in the user's measure */
    uint32_t n;     /* 1..limit while in a list */
    uintptr_t word[LEA_MAG_CAP];
};

/*
 * Memory for magazines: its head is written when it is added, the rest is touched magazine by
 * magazine.
 */
struct lea_mag_region {
    struct lea_mag_region *next;
    size_t nr, used;
    struct lea_mag mag[];
};

/* Empty magazines. Zero is a valid empty store. */
struct lea_mag_store {
    struct lea_mag *empty;          /* used before, linked by `older` */
    struct lea_mag_region *regions; /* with magazines that were never used; the first is cut from */
};

struct lea_mags {
    struct lea_mag *newest, *oldest;
    struct lea_mag_store *store; /* where empty magazines come from and go to */
    uint32_t limit;              /* words a magazine, 1..LEA_MAG_CAP */
    size_t nr_words;
};

/*
 * Bytes of a region that is enough for nr_words in a list with that limit, over and above what the
 * store has.
 */
static inline size_t lea_mag_region_bytes(size_t nr_words, uint32_t limit)
{
    return sizeof(struct lea_mag_region) +
           ((nr_words + limit - 1) / limit + 4) * sizeof(struct lea_mag);
}

/* @mem: zero or not, 8-byte aligned. Stays with the store until the store's user unmaps it. */
void lea_mag_store_add(struct lea_mag_store *store, void *mem, size_t bytes);

void lea_mags_init(struct lea_mags *l, struct lea_mag_store *store, uint32_t limit);

/* Push n words, the last one becomes the newest. */
void lea_mags_push(struct lea_mags *l, const uintptr_t *words, unsigned n, uint32_t stamp);

/* Pop up to n words; words[] gets the newest last. Returns how many. */
unsigned lea_mags_pop(struct lea_mags *l, uintptr_t *words, unsigned n);

/*
 * Take the words of the oldest magazine, LEA_MAG_CAP at most. Returns how many; 0 when the list is
 * empty.
 */
unsigned lea_mags_shift(struct lea_mags *l, uintptr_t *words);

#endif
