/*
 * Making and unmaking the state of a run (runtime.h): its settings, its memory, its poller, its
 * processors. Nothing runs before or after.
 */
#include "sched/runtime.h"

#include "base/os.h"
#include "co/extra.h"
#include "mem/heap.h"
#include "sched/chaos.h"
#include "sched/loop.h"
#include "sched/run.h"
#include "sched/spawn.h"

#include <errno.h>

static struct lea_proc *proc_new(struct lea_runtime *rt, uint32_t index)
{
    struct lea_proc *p = lea_heap_map(sizeof(*p));

    if (!p)
        return NULL;
    p->rt = rt;
    p->index = index;
    p->turns_left = p->turns_batch = LEA_TURNS_MAX;
    p->new_price = LEA_IN_ROW_NEW;
    p->turn_check_ns = rt->start_ns;
    p->spin_ns = rt->config.spin_ns / 2;
    lea_u32_store_rlx(&p->turn_ns, LEA_FIRST_TURN_NS); /* relaxed: before the gate */
    lea_rand_seed(&p->rand, rt->seed + index);
    lea_chaos_proc(p);
    lea_stack_cache_init(&rt->stacks, &p->stacks);
    lea_timers_init(&p->timers);
    lea_inject_init(&p->over, &rt->batches);
    lea_inject_init(&p->lifo_over, &rt->batches);
    if (rt->config.trace_path[0])
        p->trace = lea_trace_new();
    return p;
}

static void proc_free(struct lea_proc *p)
{
    lea_stack_cache_destroy(&p->rt->stacks, &p->stacks);
    lea_timers_destroy(&p->timers);
    if (p->trace)
        lea_trace_free(p->trace);
    lea_heap_unmap(p, sizeof(*p));
}

void lea_runtime_free(struct lea_runtime *rt, bool keep)
{
    for (uint32_t i = 0; rt->proc && i < rt->nr_made_procs; i++)
        if (rt->proc[i])
            proc_free(rt->proc[i]);
    for (uint32_t i = 0; rt->worker && i < rt->nr_workers; i++)
        lea_heap_unmap(rt->worker[i], sizeof(struct lea_worker));
    lea_heap_free(rt->proc, rt->config.nr_procs * sizeof(*rt->proc));
    lea_heap_free(rt->worker, rt->config.max_threads * sizeof(*rt->worker));
    if (rt->netpoll.driver)
        lea_netpoll_close(&rt->netpoll);
    if (!keep) {
        lea_slab_destroy(&rt->cos);
        lea_slab_destroy(&rt->extras);
    }
    lea_slab_destroy(&rt->handles);
    lea_slab_destroy(&rt->batches);
    if (!keep)
        lea_stack_pool_destroy(&rt->stacks);
    lea_heap_unmap(rt, sizeof(*rt));
}

static int runtime_fill(struct lea_runtime *rt)
{
    int r = lea_stack_pool_init(&rt->stacks, rt->config.stack_bytes);

    if (r < 0)
        return r;
    r = lea_stack_class(&rt->stacks, rt->config.stack_bytes, &rt->stack_class);
    if (r == 0)
        lea_log_info("stacks of %zu bytes, a guard of %zu at their low end included",
                     lea_stack_class_bytes(rt->stack_class), rt->stacks.guards.bytes);
    if (r == 0)
        r = lea_slab_init(&rt->cos, sizeof(struct lea_co), _Alignof(struct lea_co));
    if (r == 0)
        r = lea_slab_init(&rt->extras, sizeof(struct lea_extra), 0);
    if (r == 0)
        r = lea_slab_init(&rt->handles, LEA_HANDLE_BYTES, 0);
    if (r == 0)
        r = lea_slab_init(&rt->batches, sizeof(struct lea_batch), 0);
    if (r == 0)
        r = lea_netpoll_open(&rt->netpoll);
    if (r == 0)
        r = lea_ring_choose(&rt->netpoll, rt->config.file_io);
    if (r < 0)
        return r;
    lea_inject_init(&rt->inject, &rt->batches);
    lea_blocking_init(&rt->blocking, rt->config.blocking_threads, rt->config.spin_ns,
                      rt->config.cpus.nr_usable);
    rt->proc = lea_heap_zalloc(rt->config.nr_procs * sizeof(*rt->proc));
    rt->worker = lea_heap_zalloc(rt->config.max_threads * sizeof(*rt->worker));
    if (!rt->proc || !rt->worker)
        return -ENOMEM;
    for (uint32_t i = 0; i < rt->config.nr_procs; i++) {
        rt->proc[i] = proc_new(rt, i);
        if (!rt->proc[i])
            return -ENOMEM;
        rt->nr_made_procs = i + 1;
    }
    return 0;
}

const char *lea_refused(int error)
{
    switch (error) {
    case -ENOMEM:
        return "memory";
    case -EMFILE:
    case -ENFILE:
        return "a descriptor";
    default:
        return "what it needs";
    }
}

int lea_runtime_new(struct lea_runtime **out, const leat_config *user)
{
    struct lea_runtime *rt = lea_heap_map(sizeof(*rt));
    int r;

    if (!rt)
        return -ENOMEM;
    r = lea_config_resolve(&rt->config, user);
    if (r < 0) {
        lea_heap_unmap(rt, sizeof(*rt));
        return r;
    }
    lea_log_set_level((enum lea_log_level)rt->config.log);
    lea_lock_init(&rt->lock, LEA_RANK_SCHED);
    lea_list_init(&rt->outside_waits);
    rt->start_ns = lea_os_now_ns();
    rt->seed = lea_os_random();
    rt->begin = lea_loop_begin;
    rt->report_deadlock = lea_report_deadlock;
    rt->report_dump = lea_report_dump;
    r = runtime_fill(rt);
    if (r < 0) {
        lea_log_error("the runtime cannot start: the system refuses %s (errno %d)", lea_refused(r),
                      -r);
        lea_runtime_free(rt, false);
        return r;
    }
    *out = rt;
    return 0;
}
