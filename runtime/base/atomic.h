/*
 * The seam to shared memory: the only file that names an atomic operation.
 *
 * Shared words have types of their own, so that a plain access does not compile. Orders are in the
 * names: rlx (no order), acq, rel; cas and add are acquire-release. On x86-64 they are full fences
 * as well, on aarch64 they are not: where a write must be seen before a later read (law 3, "is
 * somebody asleep?"), say lea_fence_full() in so many words.
 *
 * lea_barrier() only stops the compiler. It is enough between a thread and a signal handler on it,
 * and on the worker's side of the membarrier protocol (sched/bracket.h).
 */
#ifndef LEA_BASE_ATOMIC_H
#define LEA_BASE_ATOMIC_H

#include <atomic_ops.h>
#include <stdbool.h>
#include <stdint.h>

#define LEA_CACHELINE 64

typedef struct lea_word {
    AO_t value_;
} lea_word;

typedef struct lea_u32 {
    unsigned int value_;
} lea_u32;

static inline uintptr_t lea_word_load_rlx(const lea_word *w)
{
    return AO_load(&w->value_);
}

static inline uintptr_t lea_word_load_acq(const lea_word *w)
{
    return AO_load_acquire(&w->value_);
}

static inline void lea_word_store_rlx(lea_word *w, uintptr_t v)
{
    AO_store(&w->value_, v);
}

static inline void lea_word_store_rel(lea_word *w, uintptr_t v)
{
    AO_store_release(&w->value_, v);
}

static inline bool lea_word_cas(lea_word *w, uintptr_t expect, uintptr_t v)
{
    return AO_compare_and_swap_full(&w->value_, expect, v) != 0;
}

/* Returns the value before. */
static inline uintptr_t lea_word_add(lea_word *w, uintptr_t v)
{
    return AO_fetch_and_add_full(&w->value_, v);
}

static inline void lea_word_or(lea_word *w, uintptr_t bits)
{
    AO_or_full(&w->value_, bits);
}

static inline void lea_word_and(lea_word *w, uintptr_t bits)
{
    AO_and_full(&w->value_, bits);
}

/* Returns the value before. */
static inline uintptr_t lea_word_swap(lea_word *w, uintptr_t v)
{
    uintptr_t old = lea_word_load_rlx(w);

    while (!lea_word_cas(w, old, v))
        old = lea_word_load_rlx(w);
    return old;
}

static inline uint32_t lea_u32_load_rlx(const lea_u32 *w)
{
    return AO_int_load(&w->value_);
}

static inline uint32_t lea_u32_load_acq(const lea_u32 *w)
{
    return AO_int_load_acquire(&w->value_);
}

static inline void lea_u32_store_rlx(lea_u32 *w, uint32_t v)
{
    AO_int_store(&w->value_, v);
}

static inline void lea_u32_store_rel(lea_u32 *w, uint32_t v)
{
    AO_int_store_release(&w->value_, v);
}

static inline bool lea_u32_cas(lea_u32 *w, uint32_t expect, uint32_t v)
{
    return AO_int_compare_and_swap_full(&w->value_, expect, v) != 0;
}

/* Returns the value before. */
static inline uint32_t lea_u32_add(lea_u32 *w, uint32_t v)
{
    return AO_int_fetch_and_add_full(&w->value_, v);
}

/* Returns the value before. */
static inline uint32_t lea_u32_swap(lea_u32 *w, uint32_t v)
{
    uint32_t old = lea_u32_load_rlx(w);

    while (!lea_u32_cas(w, old, v))
        old = lea_u32_load_rlx(w);
    return old;
}

/* What one thread wrote before it is seen by all before what it reads after. */
static inline void lea_fence_full(void)
{
#if defined(__x86_64__)
    /*
     * a locked operation on the stack: 2 ns; the mfence that clang makes of AO_nop_full costs 17 ns
     */
    __asm__ __volatile__("lock; addl $0,-4(%%rsp)" : : : "memory", "cc");
#else
    AO_nop_full();
#endif
}

/*
 * As lea_fence_full(), right after a cas, an add or a swap by the same thread, which on x86-64 are
 * full fences themselves.
 */
static inline void lea_fence_after_rmw(void)
{
#if !defined(__x86_64__)
    AO_nop_full();
#endif
}

/*
 * What this thread wrote before is seen by all before a system call that follows looks at an object
 * without its lock (poll). A call that looks under the lock needs none: whoever changes the object
 * takes that lock after us. On x86-64 the kernel's hold on the descriptor is a locked operation; on
 * aarch64 it orders nothing.
 */
static inline void lea_fence_before_look(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("" : : : "memory");
#else
    AO_nop_full();
#endif
}

static inline void lea_barrier(void)
{
    __asm__ __volatile__("" : : : "memory");
}

/* In a loop that waits for another thread. */
static inline void lea_pause(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("pause" : : : "memory");
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" : : : "memory");
#else
    lea_barrier();
#endif
}

/* Bring a cache line that will be read soon. Any address will do. */
static inline void lea_prefetch(const void *addr)
{
    __builtin_prefetch(addr, 1);
    /* gcc takes a function that only fetches for one without effect, and drops the calls to it */
    __asm__ volatile("");
}

/* A counter that one thread adds to and others read. */
static inline void lea_word_count(lea_word *w, uintptr_t n)
{
    lea_word_store_rlx(w, lea_word_load_rlx(w) + n); /* relaxed: a statistic, one writer */
}

#define LEA_LIKELY(x) __builtin_expect(!!(x), 1)
#define LEA_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
