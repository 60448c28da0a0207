/*
 * sched/self.h - the thread-local itself, for functions that are as short as a call of lea_self().
 *
 * Only for a function that is never inlined and from which no switch can be reached: compilers keep
 * the address of a thread-local over a switch (tests/tls looks at all of them).
 */
#ifndef LEA_SCHED_SELF_H
#define LEA_SCHED_SELF_H

#include "sched/bracket.h"

/*
 * Where in each rwmutex the calling thread's own slot is, in bytes; 0: it has none
 * (sync/rwmutex.c).
 */
extern _Thread_local uintptr_t lea_self_slot __attribute__((visibility("hidden")));

/* The value of that for the worker with this id. */
#define LEA_OWN_SLOT(id) ((4u + (id)) * LEA_CACHELINE)

void lea_self_slot_set(uintptr_t offset);

struct lea_light_slot;

/* The calling thread's word in light.h; NULL: it has none. */
extern _Thread_local struct lea_light_slot *lea_self_light __attribute__((visibility("hidden")));

void lea_self_light_set(struct lea_light_slot *slot);

/*
 * A number that is the calling thread's own among the few that run at the same time, most likely.
 */
uintptr_t lea_self_number(void);

#endif
