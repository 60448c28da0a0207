/*
 * What only a wrong program can cause stops it, with both values. LEA_CHECK is always on,
 * LEA_ASSERT in checked builds.
 */
#ifndef LEA_BASE_CHECK_H
#define LEA_BASE_CHECK_H

#include "base/log.h"

#define LEA_CHECK(cond, ...)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            lea_fatal(__FILE__, __LINE__, #cond, __VA_ARGS__);                                     \
    } while (0)

#ifdef LEAT_CHECKED
#define LEA_ASSERT(cond) LEA_CHECK(cond, "assertion failed")
#else
#define LEA_ASSERT(cond) ((void)sizeof(cond))
#endif

#endif
