/*
 * sched/dump.h - LEAT_DUMP_SIGNAL: a signal makes the monitor write what every coroutine does. The
 * handler only notes it.
 *
 * Ordering pair DUMP (law 3): the handler stores monitor.dump, fence, reads monitor.asleep; the
 * monitor stores asleep, fence, reads dump. Between its looks it sleeps for some milliseconds only,
 * and finds the note then.
 */
#ifndef LEA_SCHED_DUMP_H
#define LEA_SCHED_DUMP_H

#include "sched/runtime.h"

/* Before the first thread of the run begins; after the monitor has ended. */
void lea_dump_begin(struct lea_runtime *rt);
void lea_dump_end(struct lea_runtime *rt);

/* The monitor, at each look: write a dump if one was asked for. */
void lea_dump_look(struct lea_runtime *rt);

/* The monitor is about to sleep, asleep is 1 and fenced: was one asked for? */
static inline bool lea_dump_asked(const struct lea_runtime *rt)
{
    return lea_u32_load_acq(&rt->monitor.dump) != 0; /* DUMP */
}

#endif
