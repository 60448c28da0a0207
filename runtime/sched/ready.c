/*
 * Making coroutines ready, from anywhere. See ready.h, sched.h.
 */
#include "sched/ready.h"

#include "sched/sched.h"

void lea_ready_local_list(struct lea_proc *p, struct lea_ready_list *list, bool may_owe)
{
    uint32_t n = list->n;
    /* else most of them go to the backlog, and come back cold */
    bool soon = n <= LEA_RUNQ_CAP - lea_runq_len(&p->ring[LEA_CLASS_NORMAL]);
    struct lea_co *g;

    if (!n)
        return;
    lea_count(p, LEA_COUNT_READIED, n);
    while ((g = lea_ready_list_take(list))) {
        lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue publishes it */
        if (soon && g->stack)
            lea_co_prefetch_frames(g);
        lea_ring_push(p, g);
    }
    if (!p->alone && !(may_owe && lea_proc_brief(p)))
        lea_idle_published(p->rt, p);
}

static unsigned class_of_running(const struct lea_worker *m)
{
    return m->co ? m->co->prio_class : LEA_CLASS_LOW;
}

void lea_ready(struct lea_runtime *rt, struct lea_worker *m, struct lea_co *g)
{
    if (m && m->proc) {
        lea_count(m->proc, LEA_COUNT_READIED, 1);
        if (m->proc->trace)
            lea_trace_put(m->proc->trace, LEA_EVENT_READY, lea_co_id(g), 0);
        if (g->stack || g->bound) /* that one has begun, but its thread has its stack */
            lea_ready_local(m->proc, g, class_of_running(m));
        else
            lea_ready_new(m->proc, g, class_of_running(m));
        return;
    }
    lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue's lock publishes it */
    lea_inject_push(&rt->inject, g);
    lea_idle_published(rt, NULL);
}

void lea_ready_list_all(struct lea_runtime *rt, struct lea_worker *m, struct lea_ready_list *list)
{
    if (!list->n)
        return;
    if (m && m->proc) {
        /* one alone is the usual exchange: it inherits the slice */
        if (list->n == 1) {
            lea_ready(rt, m, lea_ready_list_take(list));
        } else {
            if (!m->proc->alone)
                for (struct lea_co *g = list->first; g; g = g->link)
                    lea_gather_note(m->proc, g);
            /* small work only owes if it is brief as well; one by one it owes anyway */
            lea_ready_local_list(m->proc, list, lea_proc_small(m->proc));
        }
        return;
    }
    for (struct lea_co *g = list->first; g; g = g->link)
        lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue's lock publishes it */
    lea_inject_push_list(&rt->inject, list);
    lea_idle_published(rt, NULL);
}
