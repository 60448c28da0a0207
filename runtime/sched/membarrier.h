/*
 * sched/membarrier.h - a full fence on every thread of the process, also where the system has begun
 * to refuse it (a filter that the program has installed meanwhile).
 *
 * For those who rely on membarrier since a run found it. Who can do without it asks base/os.h.
 */
#ifndef LEA_SCHED_MEMBARRIER_H
#define LEA_SCHED_MEMBARRIER_H

#include "base/atomic.h"

extern struct lea_membarrier_known {
    lea_u32 found;   /* 1: some run of this process had it. Until then nobody relies on it */
    lea_u32 refused; /* 1: not any more. Who can do without from then on does */
} lea_membarrier_known __attribute__((visibility("hidden")));

/*
 * All threads have passed a full fence when it returns, or might as well have: then it has taken
 * 10 ms, and the first such time a line was logged. The caller's own is passed in any case. A call
 * to the kernel; never parks.
 */
void lea_membarrier(void);

#endif
