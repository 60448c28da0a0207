/*
 * sched/wrong.h - what only a wrong program can cause, noticed in a public call: the message names
 * the call and who made it, and the program stops. (LEA_CHECK is for what the runtime expects of
 * itself.)
 */
#ifndef LEA_SCHED_WRONG_H
#define LEA_SCHED_WRONG_H

#include "base/atomic.h"

void lea_wrong(const char *call, const char *fmt, ...)
    __attribute__((noreturn, cold, format(printf, 2, 3)));

/* `call` and the rest only where the condition does not hold. */
#define LEA_RIGHT(cond, call, ...)                                                                 \
    do {                                                                                           \
        if (LEA_UNLIKELY(!(cond)))                                                                 \
            lea_wrong(call, __VA_ARGS__);                                                          \
    } while (0)

#endif
