/*
 * The seam to shared memory in the simulator: the same names and contracts as
 * runtime/base/atomic.h, every one a choice point. The semantics are in memory.c. What the real
 * header says about each operation holds here.
 */
#ifndef LEA_BASE_ATOMIC_H
#define LEA_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define LEA_CACHELINE 64

typedef struct lea_word {
    uintptr_t value_;
} lea_word;

typedef struct lea_u32 {
    unsigned int value_;
} lea_u32;

uintptr_t lea_word_load_rlx(const lea_word *w);
uintptr_t lea_word_load_acq(const lea_word *w);
void lea_word_store_rlx(lea_word *w, uintptr_t v);
void lea_word_store_rel(lea_word *w, uintptr_t v);
bool lea_word_cas(lea_word *w, uintptr_t expect, uintptr_t v);
uintptr_t lea_word_add(lea_word *w, uintptr_t v);
void lea_word_or(lea_word *w, uintptr_t bits);
void lea_word_and(lea_word *w, uintptr_t bits);
uintptr_t lea_word_swap(lea_word *w, uintptr_t v);

uint32_t lea_u32_load_rlx(const lea_u32 *w);
uint32_t lea_u32_load_acq(const lea_u32 *w);
void lea_u32_store_rlx(lea_u32 *w, uint32_t v);
void lea_u32_store_rel(lea_u32 *w, uint32_t v);
bool lea_u32_cas(lea_u32 *w, uint32_t expect, uint32_t v);
uint32_t lea_u32_add(lea_u32 *w, uint32_t v);
uint32_t lea_u32_swap(lea_u32 *w, uint32_t v);

void lea_fence_full(void);
void lea_fence_after_rmw(void);
void lea_fence_before_look(void);
void lea_pause(void);

static inline void lea_barrier(void)
{
    __asm__ __volatile__("" : : : "memory");
}

static inline void lea_prefetch(const void *addr)
{
    (void)addr;
}

/* A statistic with one writer: nobody decides anything by it, so it is no choice point. */
void lea_word_count(lea_word *w, uintptr_t n);

#define LEA_LIKELY(x) __builtin_expect(!!(x), 1)
#define LEA_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
