/*
 * sync/mutex.h - a mutex by somebody who is within the runtime already: for cond.c and rwmutex.c.
 */
#ifndef LEA_SYNC_MUTEX_H
#define LEA_SYNC_MUTEX_H

#include "sched/sched.h"

#include <leat/sync.h>

/* Stops the program unless it is locked. */
void lea_mutex_check_held(const leat_mutex *mutex, const char *call);

void lea_mutex_unlock(leat_mutex *mutex, struct lea_worker *m, const char *call);

/* As leat_mutex_lock(): whatever it takes, and not to be cancelled. */
void lea_mutex_lock(leat_mutex *mutex, struct lea_worker **m);

/* As leat_mutex_lock_until(), of a mutex that is a part of `object`: what reports say. */
enum lea_wake lea_mutex_lock_for(leat_mutex *mutex, struct lea_worker **m, int64_t until_ns,
                                 bool shielded, enum lea_reason reason, const void *object);

#endif
