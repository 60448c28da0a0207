/*
 * leat/base.h - what every other public header leans on: export marks, call marks, handles.
 *
 * Conventions that hold for the whole library:
 *  - A result is 0 or positive, or a negative errno value. errno itself is left alone.
 *  - A call marked LEAT_MAY_PARK may suspend the calling coroutine and resume it on another thread:
 *    do not keep errno or the address of a thread-local across it. Called from a plain thread it
 *    returns -EPERM, unless its comment says otherwise.
 *  - Blocking calls that can fail take an absolute deadline last (leat_flight_do() before the
 *    function; leat_sleep(), and a spawn into a group at its limit, have none). A call that needs
 *    no wait succeeds whatever its deadline.
 */
#ifndef LEAT_BASE_H
#define LEAT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define LEAT_BEGIN_DECLS extern "C" {
#define LEAT_END_DECLS }
#else
#define LEAT_BEGIN_DECLS
#define LEAT_END_DECLS
#endif

#define LEAT_API __attribute__((visibility("default")))
#define LEAT_MUST_CHECK __attribute__((warn_unused_result))
/* May suspend the caller, and may come back on another thread. A mark for readers and checkers. */
#define LEAT_MAY_PARK

/* Result of a coroutine's function, as leat_join() reports it: an integer or a pointer. */
typedef intptr_t leat_result;

/* Opaque: see leat/scope.h */
typedef struct leat_group leat_group;

#endif
