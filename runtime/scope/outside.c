/*
 * Waits of plain threads for coroutines of a run. See outside.h.
 */
#include "scope/outside.h"

#include "base/delay.h"
#include "base/os.h"
#include "scope/scope.h"

/* Keys: (L) under the run's lock   (k) constant */
struct outside {
    struct lea_node node;      /* (L) */
    struct lea_waiter *waiter; /* (k) */
    uint64_t seed;             /* (k) of its run */
    lea_u32 told;              /* futex. 1: the end of the run has done with this */
};

struct lea_runtime *lea_outside_hold(uint64_t seed)
{
    struct lea_runtime *rt = lea_rt_hold();

    if (rt && rt->seed != seed) { /* the next one already */
        lea_rt_drop();
        return NULL;
    }
    return rt;
}

static bool begin(struct outside *o, struct lea_waiter *w)
{
    struct lea_runtime *rt = lea_rt_hold();

    if (!rt)
        return false;
    o->waiter = w;
    o->seed = rt->seed;
    lea_u32_store_rlx(&o->told, 0); /* relaxed: the lock publishes it */
    lea_scope_at_end(rt);           /* before it is in the list: it counts on that */
    lea_lock_take(&rt->lock);
    lea_list_push_back(&rt->outside_waits, &o->node);
    lea_lock_drop(&rt->lock);
    lea_rt_drop();
    return true;
}

/* Its wait has ended, in whatever way. */
static void end(struct outside *o)
{
    struct lea_runtime *rt = lea_outside_hold(o->seed);

    if (rt) {
        lea_lock_take(&rt->lock);
        lea_list_del(&o->node);
        lea_lock_drop(&rt->lock);
        lea_rt_drop();
        return;
    }
    while (!lea_u32_load_acq(&o->told)) /* OUTSIDE-TELL */
        (void)lea_os_futex_wait(&o->told, 0, INT64_MAX);
}

enum lea_wake lea_outside_wait_thread(struct lea_waiter *w, int64_t until_ns)
{
    struct lea_worker *none = NULL;
    struct outside o;
    bool in = begin(&o, w);
    /* without a run: claimed already, or by nobody any more */
    enum lea_wake code = lea_waiter_wait(w, &none, LEA_REASON_NONE, in ? until_ns : 0, false);

    if (in)
        end(&o);
    else if (code == LEA_WAKE_TIMEOUT)
        code = LEA_WAKE_CLOSED;
    return code;
}

void lea_outside_end(struct lea_runtime *rt)
{
    for (;;) {
        struct lea_wakes wakes = {.rt = NULL};
        struct outside *o = NULL;

        lea_lock_take(&rt->lock);
        if (!lea_list_empty(&rt->outside_waits)) {
            o = lea_container(rt->outside_waits.next, struct outside, node);
            lea_list_del(&o->node);
        }
        lea_lock_drop(&rt->lock);
        if (!o)
            return;
        if (lea_waiter_claim_thread(o->waiter, LEA_WAKE_CLOSED, &wakes))
            lea_wakes_threads(wakes.threads);
        lea_delay_point(OUTSIDE_TELL);
        /* OUTSIDE-TELL. From here on the thread's frame may be gone */
        lea_u32_store_rel(&o->told, 1);
        lea_os_futex_wake(&o->told, 1);
    }
}
