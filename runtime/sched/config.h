/*
 * sched/config.h - the settings of one run, settled: defaults, then the program's leat_config, then
 * the environment on top.
 *
 * Always, after a return of 0: every number is in its range and final; nobody reads leat_config or
 * the environment after this. Read only by the time the first worker starts.
 */
#ifndef LEA_SCHED_CONFIG_H
#define LEA_SCHED_CONFIG_H

#include <leat/run.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpus.h"
#include "base/log.h"
#include "netpoll/ring.h"

#define LEA_PROCS_MAX 1024u
#define LEA_STACK_BYTES_MIN ((size_t)16 << 10)
#define LEA_STACK_BYTES_MAX ((size_t)1 << 30)
#define LEA_TRACE_PATH_MAX 1024

/* The poller's driver. */
enum lea_config_netpoll { LEA_CONFIG_NETPOLL_EPOLL };

struct lea_config {
    unsigned nr_procs;         /* 1..LEA_PROCS_MAX */
    unsigned max_threads;      /* > nr_procs: all workers and the monitor */
    unsigned blocking_threads; /* >= 1: most of the pool */
    uint64_t max_coroutines;   /* >= 1 */
    size_t stack_bytes;        /* LEA_STACK_BYTES_MIN..MAX as asked for; mem rounds up to pages */
    int64_t spin_ns;           /* upper bound of the learnt spin; 0 never spins */
    int64_t slice_ns;          /* > 0 */
    int64_t retake_ns;         /* 0: processors are never taken away */
    int64_t shutdown_grace_ns; /* > 0 */
    int64_t schedtrace_ns;     /* span between two lines of scheduler state on stderr; 0 none */
    void (*on_deadlock)(void *arg); /* NULL: a report, and the end of the process */
    void *deadlock_arg;
    bool threads_stay_out;           /* no thread of the program's wakes coroutines */
    int nice;                        /* -20..19; 0 leave the workers' nice value alone */
    uint64_t chaos;                  /* seed of LEAT_CHAOS; 0 off */
    int dump_signal;                 /* LEAT_DUMP_SIGNAL; 0 none */
    enum lea_log_level log;          /* LEAT_LOG, in force already */
    enum lea_config_netpoll netpoll; /* LEAT_NETPOLL */
    enum lea_ring_choice file_io;    /* LEAT_FILE_IO */
    bool pinned;                     /* pin the worker that holds processor i to CPU pin_cpu[i] */
    uint16_t pin_cpu
        /* [0, nr_procs) valid when pinned; CPUs may repeat when the user's list is shorter */
        [LEA_PROCS_MAX];
    struct lea_cpus
        cpus; /* what the choice was made from; .allowed is the mask to widen a pinned worker to */
    char trace_path[LEA_TRACE_PATH_MAX]; /* where the trace goes; "" no trace */
};

/*
 * Settle the settings of a run. @user may be NULL.
 *
 * Each bad value gets a line on stderr that names the variable or the field, the value and what is
 * accepted. A field is checked even where a variable overrides it: a program's mistake does not
 * hide behind the environment. An unknown LEAT_* variable gets a warning that lists the known ones.
 * A program that runs with raised privileges (setuid) ignores the environment.
 * Processors: as asked for, else the usable CPUs, but no more than a CPU list names or max_threads
 * leaves beside the monitor.
 * Pinning: a CPU list is taken in ascending order, and over again when there are more processors;
 * "auto" pins when the whole machine is ours and there are as many processors as CPUs.
 * Trace: the file is made, or emptied.
 *
 * Plain thread only. Sets the log level. Returns: 0; -EINVAL after the messages, and then *out is
 * of no use.
 */
int lea_config_resolve(struct lea_config *out, const leat_config *user);

/*
 * As lea_config_resolve(), with a given environment ("NAME=value", NULL at the end) and given CPUs:
 * for tests.
 */
int lea_config_resolve_from(struct lea_config *out, const leat_config *user, char *const *env,
                            const struct lea_cpus *cpus);

#endif
