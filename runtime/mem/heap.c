/*
 * Bytes for the runtime's own long-lived objects: jemalloc's extended interface where the program
 * has it, else malloc.
 *
 * Always: within a process the choice never changes, as it depends on what the program was linked
 * with. The arena belongs to the process and outlives a run, as objects of one run may be given
 * back in the next: hence the one writable static.
 *
 * Ordering pairs.
 *  none: the arena's number is data by itself; jemalloc orders its own.
 */
#include "mem/heap.h"

#include "base/atomic.h"
#include "base/os.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEA_HEAP_LSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LEA_HEAP_LSAN 1
#endif
#ifdef LEA_HEAP_LSAN
#include <sanitizer/lsan_interface.h>
#endif

#ifndef LEAT_NO_JEMALLOC

/* As in <jemalloc/jemalloc.h>, which need not be installed where leat is built. */
extern void *mallocx(size_t bytes, int flags) __attribute__((weak));
extern void sdallocx(void *ptr, size_t bytes, int flags) __attribute__((weak));
extern int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes)
    __attribute__((weak));

#define X_ZERO 0x40
#define X_TCACHE_NONE (1 << 8)
#define X_ARENA(a) ((int)(((a) + 1) << 20))

/* 0 not asked yet; NO_ARENA none to be had; else the arena's number + 1. */
static lea_u32 heap_arena;
#define NO_ARENA UINT32_MAX
#define ARENA_MAX 2000u /* the flags of a call have room for that many */

static bool have_jemalloc(void)
{
    return mallocx && sdallocx && mallctl;
}

static uint32_t arena_make(void)
{
    unsigned a = 0;
    size_t bytes = sizeof(a);

    if (mallctl("arenas.create", &a, &bytes, NULL, 0) != 0 || a > ARENA_MAX)
        return NO_ARENA;
    return a + 1;
}

/* Two threads may both make one at first use; the later one's stays empty. */
static int heap_flags(void)
{
    uint32_t a = lea_u32_load_rlx(&heap_arena); /* relaxed: see "Ordering pairs" */

    if (a == 0) {
        a = arena_make();
        if (!lea_u32_cas(&heap_arena, 0, a))
            a = lea_u32_load_rlx(&heap_arena); /* relaxed: as above */
    }
    return X_TCACHE_NONE | (a == NO_ARENA ? 0 : X_ARENA(a - 1));
}

void *lea_heap_alloc(size_t bytes)
{
    return have_jemalloc() ? mallocx(bytes, heap_flags()) : malloc(bytes);
}

void *lea_heap_zalloc(size_t bytes)
{
    return have_jemalloc() ? mallocx(bytes, heap_flags() | X_ZERO) : calloc(1, bytes);
}

void lea_heap_free(void *ptr, size_t bytes)
{
    if (!ptr)
        return;
    if (have_jemalloc())
        sdallocx(ptr, bytes, X_TCACHE_NONE);
    else
        free(ptr);
}

#else

void *lea_heap_alloc(size_t bytes)
{
    return malloc(bytes);
}

void *lea_heap_zalloc(size_t bytes)
{
    return calloc(1, bytes);
}

void lea_heap_free(void *ptr, size_t bytes)
{
    (void)bytes;
    free(ptr);
}

#endif

void *lea_heap_map(size_t bytes)
{
    void *addr = lea_os_map(bytes, PROT_READ | PROT_WRITE);

#ifdef LEA_HEAP_LSAN
    if (addr)
        __lsan_register_root_region(addr, bytes);
#endif
    return addr;
}

void lea_heap_unmap(void *addr, size_t bytes)
{
#ifdef LEA_HEAP_LSAN
    __lsan_unregister_root_region(addr, bytes);
#endif
    (void)lea_os_unmap(addr, bytes);
}
