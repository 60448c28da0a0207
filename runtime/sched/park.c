/*
 * Waiting and yielding. What is promised to whom: sched.h; the race between parking and waking:
 * co/co.h.
 */
#include "base/check.h"
#include "base/os.h"
#include "sched/bound.h"
#include "sched/idle.h"
#include "sched/loop.h"
#include "sched/solo.h"

#include <leat/run.h>

struct lea_worker *lea_park(struct lea_worker *m, enum lea_reason reason, lea_commit commit,
                            void *arg)
{
    struct lea_co *g = m->co, *next = NULL;
    struct lea_proc *p = m->proc;

    LEA_ASSERT(lea_lock_none_held());
    /* relaxed: the commit publishes it */
    lea_u32_store_rlx(&g->state, lea_state_waiting(reason, p ? 1 + p->index : 0));
    if (LEA_LIKELY(p != NULL)) {
        lea_count(p, LEA_COUNT_PARKED, 1);
        if (LEA_UNLIKELY(p->trace != NULL))
            lea_trace_put(p->trace, LEA_EVENT_PARK, lea_co_id(g), (uint32_t)reason);
        next = lea_loop_next(m, p);
    } else if (m->bound) {
        lea_bound_leaves(m, g);
    }
    return lea_loop_leave(m, g, next, commit, arg);
}

/* @listed: as lea_park_listed(). */
__attribute__((always_inline)) static inline struct lea_worker *park_ticket(
    struct lea_worker *m, enum lea_reason reason, uintptr_t ticket, bool shielded, bool listed)
{
    struct lea_co *g = m->co, *next;
    struct lea_proc *p = m->proc;
    bool armed;

    if (LEA_UNLIKELY(!p || !p->alone || p->trace))
        return lea_park(m, reason, lea_park_arm,
                        (void *)(ticket << LEA_WAIT_SEQ_SHIFT | (shielded ? LEA_WAIT_SHIELD : 0)));
    /*
     * Whoever ends this wait from now on makes it ready, and nobody but this processor can run it,
     * after the switch (as in yield()). So law 1 holds without a commit, which costs as much as the
     * switch.
     */
    LEA_ASSERT(lea_lock_none_held());
    /* relaxed: arming publishes it */
    lea_u32_store_rlx(&g->state, lea_state_waiting(reason, 1 + p->index));
    lea_count(p, LEA_COUNT_PARKED, 1);
    next = lea_loop_next(m, p);
    m->co = next; /* not in two places while it is made ready */
    if (listed && LEA_LIKELY(lea_solo_may() && lea_solo_begin())) {
        armed = lea_co_arm_solo(g, ticket);
        lea_solo_end();
    } else {
        armed = lea_co_arm(g, ticket, shielded);
    }
    if (LEA_UNLIKELY(!armed))
        lea_ready(m->rt, m, g);
    return lea_loop_switch(m, g, next);
}

struct lea_worker *lea_park_ticket(struct lea_worker *m, enum lea_reason reason, uintptr_t ticket,
                                   bool shielded)
{
    return park_ticket(m, reason, ticket, shielded, false);
}

enum lea_wake lea_park_listed(struct lea_worker **m, enum lea_reason reason, uintptr_t ticket)
{
    struct lea_co *g = (*m)->co;

    *m = park_ticket(*m, reason, ticket, false, true);
    return lea_co_wake_code(g);
}

bool lea_park_arm(struct lea_worker *m, struct lea_co *g, void *arg)
{
    uintptr_t ticket = (uintptr_t)arg >> LEA_WAIT_SEQ_SHIFT;

    (void)m;
    return lea_co_arm(g, ticket, ((uintptr_t)arg & LEA_WAIT_SHIELD) != 0);
}

/*
 * Without memory for a timer entry: look at the clock between turns. A wait may be slow, it may not
 * fail.
 */
static void wait_without_timer(struct lea_worker **m, uintptr_t ticket, int64_t until_ns,
                               bool shielded)
{
    struct lea_co *g = (*m)->co;

    while (lea_co_ticket(g) == ticket) {
        if (lea_os_now_ns() >= until_ns)
            (void)lea_co_claim(g, ticket, LEA_WAKE_TIMEOUT);
        else if (lea_co_cancelled(g) && !shielded)
            (void)lea_co_claim(g, ticket, LEA_WAKE_CANCEL);
        else
            *m = lea_yield(*m);
    }
}

bool lea_park_timer(struct lea_worker **m, uintptr_t ticket, int64_t until_ns, bool shielded)
{
    struct lea_co *g = (*m)->co;
    struct lea_proc *own = (*m)->proc, *p = own ? own : (*m)->last_proc;

    if (until_ns <= 0) { /* has always passed: no clock, no timer */
        (void)lea_co_claim(g, ticket, LEA_WAKE_TIMEOUT);
        return false;
    }
    if (LEA_UNLIKELY(lea_timer_arm(&p->timers, g, ticket, until_ns) < 0)) {
        wait_without_timer(m, ticket, until_ns, shielded);
        return false;
    }
    if (LEA_UNLIKELY(!own) && !LEA_MUTATED(TIMER_OTHERS_IDLE))
        lea_idle_timer_added((*m)->rt, p);
    return true;
}

/*
 * Commit of a yield: to the tail. Whoever runs now may have been readied with its wake-up owed, so
 * this one is not taken for known.
 */
static bool yield_commit(struct lea_worker *m, struct lea_co *g, void *arg)
{
    (void)arg;
    if (LEA_LIKELY(m->proc != NULL)) {
        lea_ring_push(m->proc, g);
        if (!m->proc->alone)
            lea_idle_published_local(m->rt, m->proc);
    } else {
        lea_inject_push(&m->rt->inject, g);
        lea_idle_published(m->rt, NULL);
    }
    return true;
}

__attribute__((always_inline)) static inline struct lea_worker *yield(struct lea_worker *m)
{
    struct lea_co *g = m->co, *next = NULL;
    struct lea_proc *p = m->proc;

    if (LEA_LIKELY(p != NULL)) {
        lea_count(p, LEA_COUNT_YIELDED, 1);
        next = lea_loop_next(m, p);
        if (!next)
            return m;
    } else if (m->bound) {
        lea_bound_leaves(m, g);
    }
    lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the ring or the commit publishes it */
    if (LEA_LIKELY(p && p->alone)) {
        /*
         * Nobody but the owner takes from this ring, and a processor does not change hands in the
         * middle of a bracket: the registers are saved before anybody looks. So law 1 holds without
         * a commit, which costs a fifth of the whole.
         */
        const struct lea_co *soon = lea_runq_peek_cold(&p->ring[LEA_CLASS_NORMAL]);

        /* else its turn begins with a wait for its stack pointer, and then one for its registers */
        if (soon)
            lea_co_prefetch_turn(soon);
        lea_ring_push(p, g);
        return lea_loop_switch(m, g, next);
    }
    return lea_loop_leave(m, g, next, yield_commit, NULL);
}

struct lea_worker *lea_yield(struct lea_worker *m)
{
    return yield(m);
}

void leat_yield(void)
{
    struct lea_worker *m = lea_enter_park();

    if (!m)
        lea_os_thread_yield();
    else
        lea_leave(yield(m));
}
