/*
 * sched/run.h - the body of a run, for run.c, runtime.c and lone.c.
 */
#ifndef LEA_SCHED_RUN_H
#define LEA_SCHED_RUN_H

#include "sched/sched.h"

/* All that a run needs but its threads. Returns: 0; an error, which was reported. */
int lea_runtime_new(struct lea_runtime **out, const leat_config *user);

/*
 * `keep`: coroutines are left over, and waiters on their stacks may still be in lists of the
 * program's.
 */
void lea_runtime_free(struct lea_runtime *rt, bool keep);

/* What the system refuses by this error, for messages. */
const char *lea_refused(int error);

/* Ask every living coroutine to end. Any thread. */
void lea_run_cancel_all(struct lea_runtime *rt);

/*
 * The calls upwards: reports that the monitor makes are in inspect/. Named here, since a linker
 * leaves out of a program what nobody names. The first does not come back.
 */
void lea_report_deadlock(struct lea_runtime *rt) __attribute__((noreturn));
void lea_report_dump(struct lea_runtime *rt);

/* No thread could be had: the calling thread is the one worker, until the run stops. */
void lea_lone_run(struct lea_worker *m);

/*
 * On the main coroutine of such a run, after its function has returned: what leat_run's caller does
 * otherwise.
 */
void lea_lone_end(struct lea_runtime *rt);

#endif
