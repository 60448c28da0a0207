/*
 * mem/heap.h - bytes for the runtime's own long-lived objects: tables, groups, names. Not for the
 * path of a single operation.
 *
 * They come from jemalloc's extended interface where the program has it (weak references; an arena
 * of the runtime's own, without the calling thread's cache, so that a worker without a processor
 * leaves nothing behind), else from malloc. -DLEAT_NO_JEMALLOC leaves the former out.
 *
 * The size comes back at the free, so sizes need not be stored. Any thread; the caller is in the
 * runtime (odd tick), not in user code.
 */
#ifndef LEA_MEM_HEAP_H
#define LEA_MEM_HEAP_H

#include <stddef.h>

/* 16-byte aligned. NULL when there is no memory. @bytes > 0. */
void *lea_heap_alloc(size_t bytes) __attribute__((malloc, warn_unused_result));
void *lea_heap_zalloc(size_t bytes) __attribute__((malloc, warn_unused_result));

/* @bytes as asked for at the allocation. NULL is nothing to do. */
void lea_heap_free(void *ptr, size_t bytes);

/*
 * Pages of zeroes, as from lea_os_map(), for what holds pointers to the heap or to a coroutine's
 * arguments: the leak checker of AddressSanitizer searches them when a program ends in the middle
 * of a run. NULL when there is no memory.
 */
void *lea_heap_map(size_t bytes);
void lea_heap_unmap(void *addr, size_t bytes);

#endif
