/*
 * The end of a wrong program. See wrong.h. A coroutine's stack may be small: the message is put
 * together in 600 bytes.
 */
#include "sched/wrong.h"

#include "base/log.h"
#include "co/report.h"
#include "sched/sched.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WHAT_BYTES 240

void lea_wrong(const char *call, const char *fmt, ...)
{
    const struct lea_worker *m = lea_self();
    const struct lea_co *g = m ? m->co : NULL;
    char who[LEA_CO_WHO_BYTES] = "a plain thread", what[WHAT_BYTES];
    struct lea_co_look look;
    va_list args;

    if (g && lea_co_look(g, &look))
        (void)lea_co_who(who, sizeof(who), &look);
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    lea_log_error("%s, called by %s: %s", call, who, what);
    abort();
}
