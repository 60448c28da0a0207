/*
 * Random choices in place of good ones. See chaos.h.
 */
#include "sched/chaos.h"

#include "base/delay.h"
#include "base/log.h"
#include "base/os.h"
#include "sched/idle.h"
#include "sched/loop.h"

#include <inttypes.h>
#include <string.h>

/* Chances, one in so many. */
#define YIELD 4u
#define MIGRATE 8u
#define GIVE 16u
#define DELAY 32u
#define SLEEP 16u        /* of the delays */
#define SHUFFLE_TURNS 3u /* at most so many turns later again */
#define AWAY 8u          /* of those that are shuffled */

#define SPINS_MAX 200u
#define SLEEP_NS_MAX 60000u
#define SHUFFLED_MAX 8u
#define WORKERS_FROM 0x10000u /* seeds of workers, behind those of processors */

/* --- the seed --- */

void lea_chaos_note(const struct lea_runtime *rt)
{
    if (rt && lea_chaos(rt))
        lea_log_error("LEAT_CHAOS=%" PRIu64 " was in force", rt->config.chaos);
}

/* Whoever handled it before the run gets it. */
static void on_abort(int signo)
{
    struct lea_runtime *rt = lea_rt_hold();
    struct sigaction before;

    memset(&before, 0, sizeof(before)); /* the default: the end */
    if (rt) {
        lea_chaos_note(rt);
        before = rt->before_abort;
        lea_rt_drop();
    }
    (void)lea_os_sigaction(signo, &before, NULL); /* abort() raises it again */
    if (!(before.sa_flags & SA_SIGINFO) && before.sa_handler != SIG_DFL &&
        before.sa_handler != SIG_IGN)
        before.sa_handler(signo);
}

void lea_chaos_begin(struct lea_runtime *rt)
{
    struct sigaction on;

    if (!lea_chaos(rt))
        return;
    memset(&on, 0, sizeof(on));
    on.sa_handler = on_abort;
    on.sa_flags = SA_ONSTACK;
    (void)lea_os_sigaction(SIGABRT, &on, &rt->before_abort);
    lea_delay_from(rt->config.chaos);
}

void lea_chaos_end(struct lea_runtime *rt)
{
    struct sigaction now;

    if (!lea_chaos(rt))
        return;
    lea_delay_from(0);
    if (lea_os_sigaction(SIGABRT, NULL, &now) == 0 && now.sa_handler == on_abort)
        (void)lea_os_sigaction(SIGABRT, &rt->before_abort, NULL);
}

void lea_chaos_proc(struct lea_proc *p)
{
    if (!lea_chaos(p->rt))
        return;
    lea_rand_seed(&p->chaos, p->rt->config.chaos + p->index);
    lea_rand_seed(&p->rand, p->rt->config.chaos + p->index);
    p->turns_left = 1;
}

void lea_chaos_worker(struct lea_worker *m)
{
    if (!lea_chaos(m->rt))
        return;
    lea_rand_seed(&m->chaos, m->rt->config.chaos + WORKERS_FROM + m->id);
    lea_request_add(m, LEA_REQUEST_CHAOS);
}

static bool once_in(struct lea_rand *r, uint32_t n)
{
    return lea_rand_below(r, n) == 0;
}

/* --- entries --- */

uint32_t lea_chaos_enter(struct lea_worker *m)
{
    struct lea_rand *r = &m->chaos;

    if (once_in(r, DELAY)) {
        if (once_in(r, SLEEP))
            (void)lea_os_sleep_until(lea_os_now_ns() + lea_rand_below(r, SLEEP_NS_MAX));
        else
            for (uint32_t i = lea_rand_below(r, SPINS_MAX); i > 0; i--)
                lea_pause();
    }
    /* with one processor nobody runs beside it: a seed is an order */
    return once_in(r, GIVE) && !m->rt->alone ? LEA_REQUEST_SLICE : 0;
}

/* Commit of who goes elsewhere: to those who have time, or back here. */
static bool away_commit(struct lea_worker *m, struct lea_co *g, void *arg)
{
    (void)arg;
    lea_inject_push(&m->rt->inject, g);
    lea_idle_published(m->rt, NULL);
    return true;
}

struct lea_worker *lea_chaos_park(struct lea_worker *m)
{
    struct lea_co *g = m->co;

    if (LEA_UNLIKELY(!m->proc) || lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP)
        return m;
    if (once_in(&m->chaos, YIELD))
        return lea_yield(m);
    if (!once_in(&m->chaos, MIGRATE))
        return m;
    lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue's lock publishes it */
    return lea_loop_leave(m, g, lea_loop_next(m, m->proc), away_commit, NULL);
}

/* --- who is next --- */

void lea_chaos_turn(struct lea_proc *p)
{
    struct lea_runq *ring = &p->ring[LEA_CLASS_NORMAL];
    struct lea_rand *r = &p->chaos;
    struct lea_co *g;
    uint32_t n;

    p->turns_left = 1 + lea_rand_below(r, SHUFFLE_TURNS);
    if (once_in(r, 2) && (g = lea_next_take(p)))
        lea_ring_push(p, g);
    if (once_in(r, 2) && (g = lea_lifo_pop(&p->lifo, p->alone)))
        lea_ring_push(p, g);
    n = lea_runq_len(ring);
    for (n = lea_rand_below(r, n < SHUFFLED_MAX ? n + 1 : SHUFFLED_MAX);
         n > 0 && (g = lea_runq_pop(ring)); n--) {
        if (once_in(r, AWAY))
            lea_inject_push(&p->rt->inject, g);
        else
            lea_ring_push(p, g);
    }
    lea_idle_published(p->rt, p);
}

struct lea_proc *lea_chaos_claim(struct lea_runtime *rt)
{
    struct lea_rand r;
    uint32_t start;

    lea_rand_seed(&r, rt->config.chaos + lea_word_add(&rt->chaos_wakes, 1));
    start = lea_rand_below(&r, rt->nr_procs);
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        if (lea_idle_claim_proc(rt, rt->proc[(start + i) % rt->nr_procs]))
            return rt->proc[(start + i) % rt->nr_procs];
    return NULL;
}
