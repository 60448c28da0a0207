/*
 * Counters for the public: include/leat/stats.h. Only watches.
 */
#include "sched/sched.h"

#include <errno.h>
#include <leat/stats.h>
#include <string.h>

_Static_assert(offsetof(leat_stats, slices) == LEA_COUNT_SLICES * sizeof(uint64_t),
               "enum lea_count follows struct leat_stats");

/*
 * The counters of one processor, in the order of the public struct, and the length of its queues.
 */
static void proc_read(struct lea_proc *p, leat_stats *out)
{
    uint64_t *field = &out->run;

    for (unsigned i = 0; i < LEA_NR_COUNTS; i++)
        field[i] = lea_word_load_rlx(&p->count[i]); /* relaxed: statistics */
    out->queued = lea_word_load_rlx(&p->next) != 0; /* relaxed: statistics */
    for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
        out->queued += lea_runq_len(&p->ring[c]);
    /* relaxed: statistics */
    out->queued +=
        lea_u32_load_rlx(&p->lifo.depth) + lea_inject_len(&p->lifo_over) + lea_inject_len(&p->over);
}

static void stats_add(leat_stats *sum, const leat_stats *one)
{
    uint64_t *s = &sum->run;
    const uint64_t *o = &one->run;

    for (unsigned i = 0; i < sizeof(*sum) / sizeof(*s); i++)
        s[i] += o[i];
}

static void run_read(struct lea_runtime *rt, leat_run_stats *out)
{
    struct lea_stack_stats stacks;

    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        leat_stats one;

        proc_read(rt->proc[i], &one);
        stats_add(&out->sum, &one);
    }
    lea_stack_stats(&rt->stacks, &stacks);
    out->alive = lea_alive(rt);
    out->inject_queued = lea_inject_len(&rt->inject);
    out->stacks_made = stacks.made;
    lea_lock_take(&rt->lock);
    out->sum.spawned += rt->outside_spawned;
    out->sum.ended += rt->outside_ended;
    out->threads = rt->nr_workers - rt->nr_gone + rt->monitor.started;
    lea_lock_drop(&rt->lock);
    lea_lock_take(&rt->blocking.lock);
    /* relaxed: under the lock */
    out->blocking_threads = lea_u32_load_rlx(&rt->blocking.nr_threads);
    out->blocking_queued = rt->blocking.nr_queued;
    out->blocking_jobs = rt->blocking.nr_jobs;
    lea_lock_drop(&rt->blocking.lock);
    /* relaxed: statistics */
    out->sum.timers += lea_word_load_rlx(&rt->monitor.timers);
    out->sum.events += lea_word_load_rlx(&rt->monitor.events);
    out->monitor_looks = lea_word_load_rlx(&rt->monitor.looks); /* relaxed: statistics */
    out->retaken_hogs = lea_word_load_rlx(&rt->monitor.retaken[LEA_TAKE_HOG]);
    out->retaken_blocked = lea_word_load_rlx(&rt->monitor.retaken[LEA_TAKE_BLOCKED]);
    out->retaken_brackets = lea_word_load_rlx(&rt->monitor.retaken[LEA_TAKE_BRACKET]);
    out->hogs = lea_word_load_rlx(&rt->monitor.hogs);
    out->long_sections = lea_word_load_rlx(&rt->monitor.long_sections);
    out->procs = rt->nr_procs;
}

int leat_stats_run(leat_run_stats *out)
{
    struct lea_worker *m = lea_enter();
    struct lea_runtime *rt;

    if (m) {
        run_read(m->rt, out);
        lea_leave(m);
        return 0;
    }
    rt = lea_rt_hold();
    if (!rt)
        return lea_outside(-ESHUTDOWN);
    run_read(rt, out);
    lea_rt_drop();
    return 0;
}

int leat_stats_proc(unsigned index, leat_stats *out)
{
    struct lea_runtime *rt = lea_rt_hold();
    int r = -EINVAL;

    if (!rt)
        return lea_outside(-ESHUTDOWN);
    if (index < rt->nr_procs) {
        proc_read(rt->proc[index], out);
        r = 0;
    }
    lea_rt_drop();
    return r;
}
