/*
 * inspect/deadlock.h - what the tests of the deadlock check share: runs in a child, and a wait that
 * has no end unless somebody, or the callback, ends it.
 */
#ifndef LEAT_TESTS_INSPECT_DEADLOCK_H
#define LEAT_TESTS_INSPECT_DEADLOCK_H

#include "sched/kit.h"

/*
 * ThreadSanitizer has a thread of its own, which the runtime takes for the program's; sanitizers'
 * parents may leave others.
 */
static inline leat_config config_of(unsigned procs)
{
    return (leat_config){.procs = procs, .threads_stay_out = KIT_TSAN, .shutdown_grace_ms = 20000};
}

/* A run that gets stuck, or does not: stuck_body(), in the child. */
struct stuck {
    unsigned procs;
    int (*main)(void *);
    atomic_ulong *reports; /* shared */
    bool calls_back;
};

static leat_waitgroup never; /* until somebody calls leat_wg_done() */

static inline void on_deadlock(void *arg)
{
    atomic_fetch_add((atomic_ulong *)arg, 1);
    leat_wg_done(&never);
}

static inline int stuck_body(void *arg)
{
    struct stuck *s = arg;
    leat_config config = config_of(s->procs);

    if (s->calls_back) {
        config.on_deadlock = on_deadlock;
        config.deadlock_arg = s->reports;
    }
    return leat_run_with(&config, s->main, s);
}

static inline void waits_never(void)
{
    (void)!leat_wg_wait(&never, LEAT_FOREVER);
}

#endif
