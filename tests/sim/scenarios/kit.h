/*
 * scenarios/kit.h - what scenarios share: a run with so many processors, plain threads, counts that
 * coroutines reach.
 */
#ifndef LEAT_TESTS_SIM_KIT_H
#define LEAT_TESTS_SIM_KIT_H

#include "oracle.h"
#include "sim.h"

#include <leat/leat.h>

#include <errno.h>
#include <string.h>

/*
 * Runs main_fn(arg) as the main coroutine, with the oracles looking; the result must be 0. Faults:
 * enum sim_fault, from the start on.
 */
void kit_run(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg);

/*
 * As kit_run(); a start that fails with one of these errors is fine (memory, descriptors, threads
 * refused). False: it did.
 */
bool kit_run_may_fail(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg);

/* As kit_run(), with a configuration. */
void kit_run_config(const leat_config *config, unsigned faults, int (*main_fn)(void *), void *arg);

/*
 * As kit_run(), and the system refuses the monitor's thread: nobody makes up for a wake-up that was
 * lost.
 */
void kit_run_unwatched(unsigned procs, unsigned faults, int (*main_fn)(void *), void *arg);

/* A plain thread of the program's. */
struct sim_thread *kit_thread(void *(*fn)(void *), void *arg);
void kit_join(struct sim_thread *t);

/* Wait for a count by naps, in a coroutine; fails the seed after 10 virtual seconds. */
void kit_await(const unsigned *count, unsigned goal, const char *what);

/*
 * All that was stored is in memory: for a look at the end, after counts that pass no buffer.
 */
void kit_settle(void);

/* Computes on a CPU of its own: time passes, the others go on, and the runtime is not called. */
void kit_burn(int64_t ns);

/*
 * The answer of the system's resolver, as lea_os_resolve(); NULL, as every seed begins: there is no
 * name.
 */
union lea_os_address;
extern int (*sim_resolve)(const char *host, union lea_os_address *out, int max);

/* Blocks its thread in a system call that the runtime does not know of. */
void kit_block(int64_t ns);

/* The calling thread's next read or write waits for that, in the kernel. */
void kit_slow(void (*wait)(void));

/*
 * Stays in user code, computing or blocked, until the monitor is in the middle of taking the
 * processor, or has been for a little while.
 */
void kit_until_taken(bool computes, unsigned steps);

struct sim_thread *kit_thread_called(const char *name);

/* So many processors as the seed likes: 1 to max. */
unsigned kit_procs(unsigned max);

#endif
