/*
 * base/cxa.h - what C++ keeps per thread of the exceptions in hand, for programs that have C++ in
 * them.
 *
 * The C++ ABI (Itanium's, "Caught Exception Stack") has two words per thread: the exceptions whose
 * handlers have begun and not ended, and the number of those that are on their way. A catch block
 * that waits on another thread's stack of handlers, or that comes back on another thread, would end
 * somebody else's exception. So they go where the coroutine goes.
 *
 * The function that finds them is referred to weakly: a C program has none, and
 * pays for a test at each switch.
 */
#ifndef LEA_BASE_CXA_H
#define LEA_BASE_CXA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* struct __cxa_eh_globals, in the ABI's words caughtExceptions and uncaughtExceptions. */
struct lea_cxa {
    void *caught;
    unsigned int uncaught;
};

extern struct lea_cxa *__cxa_get_globals(void) __attribute__((weak));

/* The calling thread's, for as long as it lives; `none` without C++ in this program. */
static inline struct lea_cxa *lea_cxa_of_thread(struct lea_cxa *none)
{
    return __cxa_get_globals ? __cxa_get_globals() : none;
}

/* Within a handler, or while a stack is unwound. For every switch: one branch. */
static inline bool lea_cxa_busy(const struct lea_cxa *cxa)
{
    return ((uintptr_t)cxa->caught | cxa->uncaught) != 0;
}

/* The thread has none afterwards. */
static inline struct lea_cxa lea_cxa_take(struct lea_cxa *cxa)
{
    struct lea_cxa taken = *cxa;

    *cxa = (struct lea_cxa){NULL, 0};
    return taken;
}

/* What was taken from this thread or another one. */
static inline void lea_cxa_put(struct lea_cxa *cxa, struct lea_cxa taken)
{
    *cxa = taken;
}

#endif
