/*
 * sched/overflow.h - the report of a coroutine that has used up its stack.
 *
 * A fault inside a guard is reported on the worker's alternate signal stack with the coroutine's
 * id, name, spawn site and stack size, and ends the process with the signal's default action. Any
 * other fault goes to whoever handled the signal before.
 */
#ifndef LEA_SCHED_OVERFLOW_H
#define LEA_SCHED_OVERFLOW_H

#include "sched/runtime.h"

void lea_overflow_begin(struct lea_runtime *rt); /* once per run */
void lea_overflow_end(struct lea_runtime *rt);
void lea_overflow_thread_begin(struct lea_worker *m);
void lea_overflow_thread_end(struct lea_worker *m);

#endif
