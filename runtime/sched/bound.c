/*
 * Coroutines that keep to their thread. Invariants and ordering: bound.h.
 */
#include "sched/bound.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "sched/extra.h"
#include "sched/idle.h"
#include "sched/loop.h"
#include "sched/quiet.h"
#include "sched/worker.h"
#include "sched/wrong.h"

#include <errno.h>
#include <leat/run.h>

void lea_bound_hand(struct lea_co *g)
{
    struct lea_worker *m = g->extra->bound;

    lea_u32_store_rlx(&g->state, LEA_RUNNING); /* relaxed: for reports */
    m->co = g;
    lea_delay_point(BOUND_GO);
    lea_u32_store_rel(&m->bound_go, 1); /* BOUND-GO */
    lea_delay_point(BOUND_GO);
    if (!LEA_MUTATED(BOUND_NOT_WOKEN))
        lea_worker_wake(m->rt, m);
}

/* False: the run stops. A hand-over comes with a token, which nobody may find later. */
static bool handed(struct lea_worker *m)
{
    bool token = false;

    while (!lea_u32_load_acq(&m->bound_go)) { /* BOUND-GO */
        if (lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP)
            return false;
        if (lea_worker_sleep(m, INT64_MAX)) {
            lea_token_take(m);
            token = true;
        }
    }
    if (!token && !LEA_MUTATED(BOUND_TOKEN_LEFT))
        lea_token_await(m);
    lea_u32_store_rlx(&m->bound_go,
                      0); /* relaxed: nobody hands it over again before it has left anew */
    return true;
}

void lea_bound_run(struct lea_worker *m)
{
    while (m->bound) {
        struct lea_co *g = m->bound;

        if (!LEA_MUTATED(BOUND_QUIET))
            lea_quiet_end_without(m->rt);
        if (!handed(m))
            return;
        LEA_ASSERT(m->co == g);
        g->stack = m->bound_stack;
        (void)lea_ctx_switch(&m->ctx, &g->ctx, m);
        lea_loop_land(m);
    }
}

struct lea_worker *lea_bound_wait(struct lea_worker *m)
{
    m->co = NULL;
    lea_loop_land(m);
    if (!LEA_MUTATED(ATTACH_QUIET))
        lea_quiet_end_without(m->rt);
    if (!handed(m))
        lea_worker_sleep_for_ever();
    return m;
}

void lea_bound_begin(struct lea_worker *m, struct lea_co *g)
{
    g->extra->bound = m;
    lea_u32_store_rlx(&g->extra->bound_tid, (uint32_t)lea_worker_tid(m)); /* relaxed: for reports */
    m->bound = g;
    m->bound_depth = 1;
    g->bound = 1;
}

void lea_bound_over(struct lea_worker *m, struct lea_co *g)
{
    g->bound = 0;
    lea_u32_store_rlx(&g->extra->bound_tid, 0); /* relaxed: for reports */
    m->bound = NULL;
    m->bound_depth = 0;
}

void lea_bound_end(struct lea_worker *m, struct lea_co *g)
{
    if (LEA_MUTATED(BOUND_ENDS_BOUND))
        return;
    lea_bound_over(m, g);
    m->leaves = true;
}

/* In a bracket. */
static int bind(struct lea_worker *m)
{
    struct lea_co *g = m->co;

    if (!lea_extra_get(m->rt, m->proc, g))
        return -ENOMEM;
    if (m->proc && !lea_proc_give(m))
        return -EAGAIN;
    lea_bound_begin(m, g);
    lea_worker_unwatched(m);
    return 0;
}

int leat_lock_thread(void)
{
    struct lea_worker *m = lea_enter();
    int r = 0;

    if (!m)
        return 0;
    if (m->bound)
        m->bound_depth++;
    else
        r = bind(m);
    lea_leave(m);
    return r;
}

void leat_unlock_thread(void)
{
    struct lea_worker *m = lea_enter();

    if (!m)
        return;
    LEA_RIGHT(m->bound && m->bound_depth > (m->attached != 0), "leat_unlock_thread",
              "the coroutine has not locked its thread");
    if (--m->bound_depth == 0) {
        lea_bound_over(m, m->co);
        if (!lea_proc_reacquire(m))
            lea_worker_burns(m);
    }
    lea_leave(m);
}
