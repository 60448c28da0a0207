/*
 * base/delay.h - random delays at named points, so that races which need a thread to be held up for
 * long at one place come up in tests.
 *
 * Compiled to nothing unless the build has LEAT_DELAYS (LEAT_CHECKED brings it); there, nothing
 * happens unless the environment variable
 * LEA_DELAY_SEED gives a seed other than 0, or LEAT_CHAOS does for a run. A point stands between
 * the two halves of an ordering pair, and is named after it.
 *
 * Always: a short delay is no fence (it would hide the one that is missing); a point may stand
 * anywhere, also under a lock of threads. With real threads a seed does not give the same run
 * again, only the same habit.
 */
#ifndef LEA_BASE_DELAY_H
#define LEA_BASE_DELAY_H

#include <stdint.h>

#ifdef LEAT_DELAYS
void lea_delay(const char *name);
#define lea_delay_point(name) lea_delay(#name)
void lea_delay_from(uint64_t seed); /* 0: none, or that of LEA_DELAY_SEED */
#else
#define lea_delay_point(name) ((void)0)
#define lea_delay_from(seed) ((void)(seed))
#endif

#endif
