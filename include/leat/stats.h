/*
 * leat/stats.h - what the runtime counts. Counters only grow during a run; a reading is not a
 * snapshot of one instant.
 */
#ifndef LEAT_STATS_H
#define LEAT_STATS_H

#include <leat/base.h>

LEAT_BEGIN_DECLS

/* Of one processor, or the sum over all. */
typedef struct leat_stats {
    uint64_t run;     /* turns: a coroutine was switched to */
    uint64_t spawned; /* coroutines begun here */
    uint64_t ended;   /* coroutines ended here */
    uint64_t parked;  /* waits that suspended a coroutine */
    uint64_t readied; /* coroutines made ready by code that ran here */
    uint64_t yielded; /* voluntary and slice yields */
    uint64_t stolen;  /* coroutines taken from other processors' queues */
    uint64_t steals;  /* successful thefts */
    /* coroutines moved from a full ring, or a full stack of new ones, to a backlog */
    uint64_t overflowed;
    /* coroutines taken from the inject queue or a backlog; also what another processor gave */
    uint64_t injected;
    uint64_t woken;   /* times this processor's worker was woken from sleep */
    uint64_t wakes;   /* wake-ups sent to other workers */
    uint64_t slept;   /* times its worker went to sleep */
    uint64_t spun_ns; /* time spent looking for work before sleep */
    uint64_t polls;   /* looks at the poller, blocking ones included */
    uint64_t events;  /* coroutines made ready by the poller */
    uint64_t timers;  /* deadlines that fired */
    uint64_t slices;  /* slices ended by the monitor's request */
    uint64_t queued;  /* now: ready coroutines in its queues */
} leat_stats;

/* Of the whole run. */
typedef struct leat_run_stats {
    leat_stats sum;           /* over all processors, and threads outside */
    uint64_t alive;           /* now: coroutines that have not ended */
    uint64_t inject_queued;   /* now: ready coroutines in the inject queue */
    uint64_t stacks_made;     /* stacks ever touched for the first time */
    uint64_t threads;         /* now: threads of the runtime */
    uint64_t monitor_looks;   /* rounds of the monitor */
    uint64_t retaken_hogs;    /* processors taken from coroutines that computed without a call */
    uint64_t retaken_blocked; /* from coroutines that blocked their thread, unannounced */
    /* from coroutines between leat_block_enter() and leat_block_leave() */
    uint64_t retaken_brackets;
    /*
     * coroutines that computed for 100 ms without a call while others waited; each is reported, or
     * counted in a report
     */
    uint64_t hogs;
    /*
     * times a thread stayed within the runtime for longer than LEAT_RETAKE_US: the kernel did not
     * run it
     */
    uint64_t long_sections;
    uint64_t blocking_threads; /* now: threads of leat_blocking()'s pool, not among `threads` */
    uint64_t blocking_queued;  /* now: its jobs that have not begun */
    uint64_t blocking_jobs;    /* its jobs that have ended */
    unsigned procs;
} leat_run_stats;

/**
 * leat_stats_run - read the counters of the whole run. Anywhere; never parks. Returns: 0;
 * -ESHUTDOWN no run is under way; -ENOTSUP in a child that was forked in the middle of one.
 */
LEAT_API int leat_stats_run(leat_run_stats *out);

/**
 * leat_stats_proc - read one processor's counters. @index: 0..leat_nr_procs()-1. Returns: 0;
 * -EINVAL; -ESHUTDOWN, -ENOTSUP as above. Never parks.
 */
LEAT_API int leat_stats_proc(unsigned index, leat_stats *out);

LEAT_END_DECLS

#endif
