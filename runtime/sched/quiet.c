/*
 * The deadlock check. What a deadlock is, and why one look is enough: quiet.h. What is looked at is
 * read with acquire, so that the last two reads, of the pair MONITOR, come last.
 *
 * Ordering pairs.
 *  QUIET-END    a worker: its coroutine is FREE, ends_without + 1, fence, reads monitor.asleep  |
 *               monitor: asleep = 1, fence, reads ends_without.
 */
#include "sched/quiet.h"

#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "co/report.h"
#include "sched/monitor.h"

#define QUIET_NS 20000000 /* so long has nothing run before it looks */
/* until it looks again, when only threads outside could help: they may be about to end */
#define SPAN_MIN_NS 5000000
#define SPAN_MAX_NS INT64_C(40000000000)

enum says {
    SAYS_NO,      /* until something moves */
    SAYS_MOVED,   /* something has moved meanwhile */
    SAYS_THREADS, /* there are threads that may call in */
    SAYS_DEADLOCK,
};

static bool all_idle(const struct lea_runtime *rt)
{
    return lea_u32_load_acq(&rt->idle.nr_idle) == rt->nr_procs;
}

static uintptr_t turns_of_all(const struct lea_runtime *rt)
{
    uintptr_t sum = 0;

    for (uint32_t i = 0; i < rt->nr_procs; i++)
        sum += lea_word_load_acq(&rt->proc[i]->count[LEA_COUNT_RUN]);
    return sum;
}

/* --- what is looked at --- */

/* The threads of the run, with leat_run's caller. */
static uint32_t threads_own(struct lea_runtime *rt)
{
    uint32_t n;

    lea_lock_take(&rt->lock);
    n = rt->nr_workers - rt->nr_gone;
    lea_lock_drop(&rt->lock);
    n += rt->lone ? 1 : 2; /* the monitor; the caller, unless it is the worker */
    /* idle: who waits for one that works is not waiting inside */
    return n + lea_blocking_nr_threads(&rt->blocking);
}

/* Is there a thread that is neither the run's nor leat_run's caller? */
static bool threads_outside(struct lea_runtime *rt)
{
    uint32_t own;
    int n;

    if (rt->config.threads_stay_out || LEA_MUTATED(QUIET_THREADS))
        return false;
    own = threads_own(rt);
    n = lea_os_nr_threads();
    /* what the ring has done may have left a thread of the kernel's behind, which calls nobody */
    if (n > (int)own && lea_u32_load_acq(&rt->netpoll.ring.state) == LEA_RING_OPEN)
        n = lea_os_nr_threads_ours();
    /* not known, too: then better no report than a false one */
    if (n != (int)own)
        return true;
    /* one of ours may have left in between, and another one been counted for it */
    return threads_own(rt) != own;
}

/* One that could go on by itself, or by what comes from outside. */
static bool may_go_on(void *obj, void *arg)
{
    struct lea_co_look look;

    (void)arg;
    if (!lea_co_look(obj, &look))
        /* its life changes at this moment */
        return lea_word_load_acq(&((struct lea_co *)obj)->id) != 0;
    if (look.state != LEA_WAITING || !look.parked || !lea_reason_inside(look.reason))
        return true;
    return look.until_ns != INT64_MAX && !LEA_MUTATED(QUIET_DEADLINES);
}

/* asleep is 1, and fenced. */
static enum says look_at_all(struct lea_runtime *rt)
{
    enum says says = SAYS_DEADLOCK;

    if (!all_idle(rt))
        return SAYS_MOVED;
    if (lea_u32_load_acq(&rt->phase) != LEA_PHASE_RUN || lea_u32_load_acq(&rt->main_done))
        says = SAYS_NO;
    else if (threads_outside(rt))
        says = SAYS_THREADS;
    else if (lea_slab_any(&rt->cos, may_go_on, NULL))
        says = SAYS_NO;
    lea_delay_point(MONITOR);
    /* MONITOR */
    if (LEA_MUTATED(QUIET_ONE_LOOK) || (all_idle(rt) && lea_u32_load_acq(&rt->monitor.asleep)))
        return says;
    return SAYS_MOVED;
}

/* --- when --- */

static bool moved(const struct lea_runtime *rt, const struct lea_quiet *q)
{
    /* QUIET-END */
    return !all_idle(rt) || q->turns != turns_of_all(rt) ||
           q->ends_without != lea_u32_load_acq(&rt->monitor.ends_without);
}

static void begin_anew(const struct lea_runtime *rt, struct lea_quiet *q, int64_t now_ns)
{
    q->turns = turns_of_all(rt);
    q->ends_without = lea_u32_load_acq(&rt->monitor.ends_without);
    q->since_ns = now_ns;
    q->again_ns = now_ns + QUIET_NS;
    q->span_ns = SPAN_MIN_NS;
}

static void again_later(struct lea_quiet *q, int64_t now_ns)
{
    q->again_ns = q->span_ns > SPAN_MAX_NS ? INT64_MAX : now_ns + q->span_ns;
    q->span_ns *= 2;
}

void lea_quiet_look(struct lea_runtime *rt, struct lea_quiet *q, int64_t now_ns)
{
    enum says says;

    if (moved(rt, q)) {
        begin_anew(rt, q, now_ns);
        return;
    }
    if (now_ns < q->again_ns)
        return;
    lea_u32_store_rlx(&rt->monitor.asleep, 1); /* relaxed: the fence orders it */
    lea_fence_full();                          /* MONITOR */
    says = look_at_all(rt);
    lea_u32_store_rel(&rt->monitor.asleep, 0);
    switch (says) {
    case SAYS_MOVED:
        break; /* the next look finds out what */
    case SAYS_THREADS:
        again_later(q, now_ns);
        break;
    case SAYS_DEADLOCK:
        q->again_ns = INT64_MAX;
        if (rt->config.on_deadlock)
            rt->config.on_deadlock(rt->config.deadlock_arg);
        else
            rt->report_deadlock(rt);
        break;
    case SAYS_NO:
        q->again_ns = INT64_MAX;
        break;
    }
}

int64_t lea_quiet_sleep_until(struct lea_runtime *rt, const struct lea_quiet *q, int64_t now_ns)
{
    return moved(rt, q) || q->again_ns <= now_ns ? 0 : q->again_ns;
}

void lea_quiet_end_without(struct lea_runtime *rt)
{
    if (LEA_MUTATED(QUIET_END))
        return;
    (void)lea_u32_add(&rt->monitor.ends_without, 1); /* QUIET-END */
    lea_monitor_kick(rt);
}
