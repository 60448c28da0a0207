/*
 * Sleeping, searching and waking. Invariants and ordering pairs: idle.h.
 */
#include "sched/idle.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/chaos.h"
#include "sched/find.h"
#include "sched/monitor.h"

bool lea_idle_claim_proc(struct lea_runtime *rt, struct lea_proc *p)
{
    lea_word *mask = &rt->idle.mask[p->index / 64];
    uintptr_t bit = (uintptr_t)1 << (p->index % 64);

    for (;;) {
        uintptr_t w = lea_word_load_rlx(mask); /* relaxed: the CAS decides */

        if (!(w & bit))
            return false;
        if (LEA_MUTATED(IDLE_CLAIM_PLAIN))
            lea_word_and(mask, ~bit);
        if (LEA_MUTATED(IDLE_CLAIM_PLAIN) || lea_word_cas(mask, w, w & ~bit)) {
            (void)lea_u32_add(&rt->idle.nr_idle, (uint32_t)-1);
            lea_monitor_kick(rt);
            return true;
        }
    }
}

struct lea_proc *lea_idle_claim(struct lea_runtime *rt)
{
    uint32_t watching = lea_u32_load_rlx(&rt->idle.watcher) - 1; /* relaxed: a preference only */

    if (lea_chaos(rt))
        return lea_chaos_claim(rt);
    /*
     * the watcher last: waking it costs two more system calls, and somebody else would have to
     * watch
     */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < rt->nr_procs; i += 64) {
            uintptr_t w = lea_word_load_acq(&rt->idle.mask[i / 64]);

            while (w) {
                uint32_t index = i + (uint32_t)__builtin_ctzl(w);

                w &= w - 1;
                if (pass == 0 && index == watching)
                    continue;
                if (lea_idle_claim_proc(rt, rt->proc[index]))
                    return rt->proc[index];
            }
        }
    }
    return NULL;
}

void lea_worker_wake(struct lea_runtime *rt, struct lea_worker *m)
{
    lea_delay_point(IDLE_SLEEP);
    switch (lea_u32_swap(&m->sleep, LEA_SLEEP_TOKEN)) { /* IDLE-SLEEP */
    case LEA_SLEEP_FUTEX:
        lea_os_futex_wake(&m->sleep, 1);
        break;
    case LEA_SLEEP_POLL:
        lea_netpoll_wake(&rt->netpoll);
        break;
    default:
        break; /* it is on its way to sleep, and finds the token */
    }
}

static bool wake_if_idle(struct lea_runtime *rt, struct lea_proc *p)
{
    if (!lea_idle_claim_proc(rt, p))
        return false;
    lea_worker_wake(rt, p->worker);
    return true;
}

void lea_idle_timer_added(struct lea_runtime *rt, struct lea_proc *p)
{
    lea_fence_full(); /* IDLE-TIMER */
    (void)wake_if_idle(rt, p);
}

void lea_idle_given(struct lea_runtime *rt, struct lea_proc *p, struct lea_proc *by)
{
    if (!LEA_MUTATED(GATHER_NO_FENCE))
        lea_fence_full(); /* IDLE-GATHER */
    if (wake_if_idle(rt, p) && by)
        lea_count(by, LEA_COUNT_WAKES, 1);
}

/* By the mask: the count may be behind while a claimer is on its way. */
static bool anybody_idle(const struct lea_runtime *rt)
{
    for (uint32_t i = 0; i < rt->nr_procs; i += 64)
        if (lea_word_load_acq(&rt->idle.mask[i / 64]))
            return true;
    return false;
}

void lea_idle_wake_one(struct lea_runtime *rt, struct lea_proc *p)
{
    for (;;) {
        struct lea_proc *idle;

        if (!lea_u32_cas(&rt->idle.nr_searching, 0, 1))
            return;
        idle = lea_idle_claim(rt);
        if (idle) {
            idle->worker->searching = true;
            if (p)
                lea_count(p, LEA_COUNT_WAKES, 1);
            lea_worker_wake(rt, idle->worker);
            return;
        }
        (void)lea_u32_add(&rt->idle.nr_searching, (uint32_t)-1);
        /* IDLE-LOOK: somebody may have relied on our search, which does not take place */
        lea_fence_full();
        if (LEA_MUTATED(IDLE_CLAIM_FAILED_FENCE) || !anybody_idle(rt))
            return;
    }
}

bool lea_search_begin(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;

    if (m->searching)
        return true;
    /* relaxed: a bound that may be off by one for an instant */
    if (2 * lea_u32_load_rlx(&rt->idle.nr_searching) >=
        rt->nr_procs - lea_u32_load_rlx(&rt->idle.nr_idle))
        return false;
    (void)lea_u32_add(&rt->idle.nr_searching, 1);
    m->searching = true;
    return true;
}

void lea_search_end_found(struct lea_worker *m)
{
    if (!m->searching)
        return;
    m->searching = false;
    (void)lea_u32_add(&m->rt->idle.nr_searching, (uint32_t)-1);
    if (LEA_MUTATED(IDLE_NO_SUCCESSOR))
        return;
    /* IDLE-LOOK: submitters were held back meanwhile, look for what they have left */
    lea_fence_after_rmw();
    /* relaxed: the fence orders it */
    if (lea_u32_load_rlx(&m->rt->idle.nr_idle) && lea_find_anything(m->rt))
        lea_idle_wake_one(m->rt, m->proc);
}

/*
 * Past the end of the run a token may be the end's, which comes before the claimer's: that one may
 * not have written yet whose the processor is. Then neither the processor nor m->proc is ours to
 * look at.
 */
static bool run_over(const struct lea_worker *m)
{
    return lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP && !LEA_MUTATED(IDLE_END_TOKEN);
}

static void idle_announce(struct lea_worker *m, struct lea_proc *p)
{
    struct lea_idle *idle = &m->rt->idle;
    bool searched = m->searching;

    /* a token that is there already would pass for the claimer's, who may not have written yet */
    LEA_ASSERT(lea_u32_load_acq(&m->sleep) != LEA_SLEEP_TOKEN || run_over(m));
    m->searching = false; /* with the bit set it belongs to whoever claims us */
    lea_word_or(&idle->mask[p->index / 64], (uintptr_t)1 << (p->index % 64));
    (void)lea_u32_add(&idle->nr_idle, 1);
    if (searched && !LEA_MUTATED(IDLE_SEARCHER_KEPT))
        (void)lea_u32_add(&idle->nr_searching, (uint32_t)-1);
    if (!LEA_MUTATED(IDLE_SLEEP_FENCE))
        lea_fence_full(); /* IDLE-LOOK, IDLE-TIMER, IDLE-GATHER, MONITOR */
}

void lea_token_await(struct lea_worker *m)
{
    for (int i = 0; lea_u32_load_acq(&m->sleep) != LEA_SLEEP_TOKEN; i++) {
        if (i < 100)
            lea_pause();
        else
            lea_os_thread_yield();
    }
    lea_token_take(m);
}

/*
 * After a sleep, or in place of one: be busy again. The claimer may have kept the processor: then
 * m->proc is NULL. True: nobody has claimed us, so `searching` is ours to read.
 */
static bool idle_leave(struct lea_worker *m, struct lea_proc *p)
{
    if (lea_idle_claim_proc(m->rt, p)) {
        if (LEA_LIKELY(m->proc == p) || LEA_MUTATED(IDLE_OTHERS_BIT)) {
            /* the token of the run's end comes without a claim */
            (void)lea_u32_cas(&m->sleep, LEA_SLEEP_TOKEN, LEA_SLEEP_AWAKE);
            return true;
        }
        /*
         * it was taken from us, and is idle again in other hands: that was their bit. They get a
         * token for it, ours is there
         */
        lea_worker_wake(m->rt, p->worker);
    }
    lea_token_await(m);
    if (!run_over(m) && m->proc == p)
        lea_count(p, LEA_COUNT_WOKEN, 1);
    return false;
}

/*
 * Earliest time at which the watcher should look: its own timers, and those of processors that are
 * not asleep themselves.
 */
static int64_t watch_until(struct lea_runtime *rt, struct lea_proc *own)
{
    int64_t first = lea_timers_first_ns(&own->timers);

    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        int64_t t;

        if (lea_proc_idle(rt->proc[i])) /* a hint: the monitor looks too */
            continue;
        t = lea_timers_first_ns(&rt->proc[i]->timers);
        if (t < first - LEA_TURNS_NS) /* so long they are left to their owner */
            first = t + LEA_TURNS_NS;
    }
    return first;
}

/*
 * A sleep costs some microseconds. Where timers come faster than that, those of the next
 * LEA_COALESCE_NS are served together: a worker that has only just woken sleeps for a little longer
 * than to the very next one. A lone timer is not made late by it.
 */
static int64_t coalesce(int64_t woke_ns, int64_t until)
{
    return until < woke_ns + LEA_COALESCE_NS ? woke_ns + LEA_COALESCE_NS : until;
}

static void watch(struct lea_worker *m, struct lea_proc *p, int64_t woke_ns,
                  struct lea_ready_list *out)
{
    struct lea_runtime *rt = m->rt;
    int64_t until = coalesce(woke_ns, watch_until(rt, p)), timeout = -1;

    if (until != INT64_MAX) {
        timeout = until - lea_os_now_ns();
        if (timeout < 0)
            timeout = 0;
    }
    lea_delay_point(IDLE_SLEEP);
    if (!lea_u32_cas(&m->sleep, LEA_SLEEP_AWAKE, LEA_SLEEP_POLL)) /* IDLE-SLEEP */
        return;
    (void)lea_netpoll_poll(&rt->netpoll, timeout, LEA_POLL_MAX, out);
    (void)lea_u32_cas(&m->sleep, LEA_SLEEP_POLL,
                      LEA_SLEEP_AWAKE); /* IDLE-SLEEP: fails on a token */
}

bool lea_worker_sleep(struct lea_worker *m, int64_t until_ns)
{
    if (LEA_MUTATED(IDLE_SLEEP_PLAIN))
        lea_u32_store_rel(&m->sleep, LEA_SLEEP_FUTEX);
    if (LEA_MUTATED(IDLE_SLEEP_PLAIN) ||
        lea_u32_cas(&m->sleep, LEA_SLEEP_AWAKE, LEA_SLEEP_FUTEX)) { /* IDLE-SLEEP */
        int r;

        do
            r = lea_os_futex_wait(&m->sleep, LEA_SLEEP_FUTEX, until_ns);
        while (r != -ETIMEDOUT && lea_u32_load_acq(&m->sleep) == LEA_SLEEP_FUTEX);
        if (lea_u32_cas(&m->sleep, LEA_SLEEP_FUTEX,
                        LEA_SLEEP_AWAKE)) /* IDLE-SLEEP: fails on a token */
            return false;
    }
    return lea_u32_load_acq(&m->sleep) == LEA_SLEEP_TOKEN;
}

/*
 * The last look has found something. Search for it, however many others do: those may be threads
 * that have not been scheduled yet, and to announce and look again until they are would be a spin.
 */
static void search_on(struct lea_worker *m)
{
    (void)lea_u32_add(&m->rt->idle.nr_searching, 1);
    m->searching = true; /* idle_announce() has cleared it */
}

/* Has another processor given this one its coroutines? */
static bool given(const struct lea_proc *p)
{
    return lea_inject_len(&p->over) && !LEA_MUTATED(GATHER_NO_LAST_LOOK);
}

void lea_idle_wait(struct lea_worker *m, struct lea_ready_list *out)
{
    struct lea_runtime *rt = m->rt;
    struct lea_proc *p = m->proc;
    int64_t woke_ns = p->woke_ns; /* read now: once announced, the processor may change hands */
    bool watched = false, slept, unclaimed;

    if (p->trace)
        lea_trace_put(p->trace, LEA_EVENT_SLEEP, m->id, 0);
    idle_announce(m, p);
    lea_delay_point(IDLE_LOOK);
    /* IDLE-LOOK, IDLE-GATHER */
    slept = LEA_MUTATED(IDLE_NO_LAST_LOOK) || !(given(p) || lea_find_anything(rt));
    if (slept) {
        watched = lea_u32_cas(&rt->idle.watcher, 0, p->index + 1);
        if (watched) {
            watch(m, p, woke_ns, out);
            lea_u32_store_rel(&rt->idle.watcher, 0);
        } else {
            (void)lea_worker_sleep(m, coalesce(woke_ns, lea_timers_first_ns(&p->timers)));
        }
    }
    unclaimed = idle_leave(m, p);
    if (!unclaimed && run_over(m))
        return;
    if (m->proc != p) {
        /*
         * IDLE-LOOK: what we saw was left to our search perhaps, and we cannot take it. Nor can we
         * watch any more: who fell asleep while we did left that to us.
         */
        if (!slept || (watched && !LEA_MUTATED(IDLE_WATCHER_LOST)))
            lea_idle_published(rt, NULL);
        return;
    }
    if (slept)
        p->woke_ns = lea_os_now_ns();
    else if (unclaimed)
        search_on(m);
    lea_count(p, LEA_COUNT_SLEPT, slept);
    if (watched) {
        /* relaxed: a hint, as the looks in passing */
        lea_word_store_rlx(&rt->netpoll.last_poll_ns, (uintptr_t)p->woke_ns);
        lea_count(p, LEA_COUNT_POLLS, 1);
    }
    lea_count(p, LEA_COUNT_EVENTS, out->n);
    if (p->trace)
        lea_trace_put(p->trace, LEA_EVENT_WAKE, m->id, 0);
}
