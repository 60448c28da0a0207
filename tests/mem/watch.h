/*
 * What the kernel says of this process' memory, and whether an address may be touched.
 */
#ifndef LEAT_TESTS_MEM_WATCH_H
#define LEAT_TESTS_MEM_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A sanitizer's own memory blurs the figures, and it catches faults. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCH_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCH_SANITIZED 1
#endif
#endif
#ifndef WATCH_SANITIZED
#define WATCH_SANITIZED 0
#endif

size_t watch_maps(void);                               /* lines of /proc/self/maps */
size_t watch_resident(const void *addr, size_t bytes); /* resident bytes in a page-aligned range */
/* of the map's VmFlags in /proc/self/smaps, "nh" say */
bool watch_has_flag(const void *addr, const char *flag);
bool watch_faults(volatile char *addr); /* does a write to it fault? */
/* from now on, MADV_GUARD_INSTALL fails so; skips the test if that cannot be had */
void watch_refuse_markers(int error);

#endif
