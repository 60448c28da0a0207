/*
 * sched/where.h - where a thread that computes is: asked by a signal, answered by its handler. For
 * the report on hogs.
 *
 * The monitor asks for one worker at a time. The handler, on the worker's alternate stack, notes
 * the program counter, and the return addresses that the frame pointers lead to: within the
 * coroutine's own stack, and upwards only, so that a chain that is none leads nowhere. Code that
 * was compiled without frame pointers ends it early.
 *
 * The signal is SIGURG, which does nothing by default, and which no program of this kind has
 * another use for. One that has its own handler for it keeps that, and reports have no addresses.
 *
 * States: IDLE -> ASKED by the monitor; ASKED -> FILLING by the handler of the worker that is
 * asked, by CAS; FILLING -> DONE by that;
 * ASKED -> IDLE by the monitor, which has waited long enough, by CAS; DONE -> IDLE by the monitor.
 *
 * Ordering pair WHERE: the release of ASKED -> its acquire in the handler: whom it is for; the
 * release of DONE -> its acquire in the monitor: the addresses.
 */
#ifndef LEA_SCHED_WHERE_H
#define LEA_SCHED_WHERE_H

#include "base/atomic.h"

#include <signal.h>

#define LEA_WHERE_MAX 16u

struct lea_runtime;
struct lea_worker;

struct lea_where {
    lea_u32 state;                /* above */
    const struct lea_worker *who; /* the monitor's while IDLE, constant while ASKED */
    unsigned n;                   /* the handler's while FILLING; the monitor's from DONE on */
    uintptr_t at[LEA_WHERE_MAX];
    bool on;                 /* (k) the handler is ours */
    struct sigaction before; /* (k) */
};

void lea_where_begin(struct lea_runtime *rt);
void lea_where_end(struct lea_runtime *rt);

/*
 * The monitor's. Writes lines to the log: where the worker is at this moment. Nothing when that is
 * not to be had.
 */
void lea_where_tell(struct lea_runtime *rt, const struct lea_worker *m);

#endif
