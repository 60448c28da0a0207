/*
 * sched/membarrier.h - a full fence on every thread of the process, also where the system has begun
 * to refuse it (a filter that the program has installed meanwhile).
 *
 * For those who rely on membarrier since a run began that had it. Who can do without it asks
 * base/os.h.
 */
#ifndef LEA_SCHED_MEMBARRIER_H
#define LEA_SCHED_MEMBARRIER_H

#include "base/atomic.h"

/* 1: the system has refused it to somebody who relied on it. */
extern lea_u32 lea_membarrier_refused __attribute__((visibility("hidden")));

/*
 * All threads have passed a full fence when it returns, or might as well have: then it has taken
 * 10 ms, and the first such time a line was logged. A call to the kernel; never parks.
 */
void lea_membarrier(void);

#endif
