/*
 * What a worker does at its entry when the monitor has asked for something, or when it has no
 * processor. See bracket.h; for the taking of processors, retake.h.
 */
#include "base/check.h"
#include "base/mutant.h"
#include "sched/chaos.h"
#include "sched/loop.h"
#include "sched/retake.h"
#include "sched/worker.h"

/* Does anybody wait for this processor? */
static bool others_wait(struct lea_proc *p)
{
    /* relaxed: our own */
    return lea_word_load_rlx(&p->next) || lea_u32_load_rlx(&p->lifo.depth) ||
           lea_inject_len(&p->rt->inject) || lea_proc_backlog(p);
}

/*
 * The run is over, but this thread was still in user code. Without threads of its own (lone.c) the
 * main coroutine still comes to its end.
 */
static bool run_stopped(struct lea_worker *m)
{
    if (LEA_LIKELY(lea_u32_load_acq(&m->rt->phase) != LEA_PHASE_STOP))
        return false;
    if (!m->rt->lone || m->co->end_hook != &m->rt->main_hook)
        return true;
    lea_request_add(m, LEA_REQUEST_SLICE); /* for whoever this thread runs next */
    return false;
}

/* Commit of a coroutine that nobody will run again. */
static bool stay_commit(struct lea_worker *m, struct lea_co *g, void *arg)
{
    (void)m;
    (void)g;
    (void)arg;
    return true;
}

/*
 * The processor looks at the other sources of work before its next turn. With LEAT_CHAOS it does so
 * every few turns anyway, and shuffles then: the monitor's clock must have no say in when.
 */
static void look_soon(struct lea_proc *p)
{
    if (!lea_chaos(p->rt))
        p->turns_left = 1;
}

/*
 * Take bits off the request word; FENCE stays. Returns those that were set. What the monitor noted
 * with TAKE becomes ours.
 */
static uint32_t take_bits(struct lea_worker *m, uint32_t bits)
{
    uint32_t r;

    if (m->rt->fenced && !LEA_MUTATED(RETAKE_ENTRY_FENCE))
        /* TICK: the tick was stored before, request and owner word are read after */
        lea_fence_full();
    do {
        r = lea_u32_load_rlx(&m->request); /* relaxed: the CAS decides, or there is nothing */
        if (!(r & bits))
            return 0;
    } while (!lea_u32_cas(&m->request, r, r & ~bits));
    m->spread |= (r & LEA_REQUEST_SPREAD) != 0;
    m->burning |= (r & LEA_REQUEST_BURNING) != 0;
    return r & bits;
}

/*
 * A call in the middle of leat_block_enter() and leave(), or of nothing: that bracket is over, also
 * one that had no processor to step aside from. Its coroutine may come back to this thread, and
 * would take its next one for nested in it.
 */
static void bracket_over(struct lea_worker *m)
{
    if (!m->proc)
        m->bracket_depth = 0;
}

#define TAKE_BITS (LEA_REQUEST_TAKE | LEA_REQUEST_SPREAD | LEA_REQUEST_BURNING)
#define ALL_BITS (LEA_REQUEST_SLICE | LEA_REQUEST_LOOK | LEA_REQUEST_POLL | TAKE_BITS)

/* As take_bits(); CHAOS stays, and brings some of its own. */
static uint32_t take_all(struct lea_worker *m)
{
    uint32_t r = take_bits(m, ALL_BITS);

    return lea_chaos(m->rt) ? r | lea_chaos_enter(m) : r;
}

void lea_request_obey(struct lea_worker *m)
{
    uint32_t r = take_all(m);

    bracket_over(m);
    if (r & LEA_REQUEST_TAKE)
        lea_retake_answer(m);
    if (run_stopped(m)) {
        if (m->rt->lone) /* this thread is leat_run's caller, which wants to go on */
            (void)lea_loop_leave(m, m->co, NULL, stay_commit, NULL);
        lea_worker_sleep_for_ever(); /* it may not be moved off this stack */
    }
    if (!m->proc) {
        if (!m->bound && !lea_proc_reacquire(m))
            lea_worker_burns(m);
    } else if ((r & LEA_REQUEST_SLICE) && others_wait(m->proc) && lea_burning_room(m->rt)) {
        lea_count(m->proc, LEA_COUNT_SLICES, 1);
        if (lea_proc_give(m))
            lea_worker_burns(m);
    } else if (r & LEA_REQUEST_LOOK) {
        look_soon(m->proc);
    }
}

static struct lea_worker *obey_park(struct lea_worker *m)
{
    uint32_t r = take_all(m);

    bracket_over(m);
    if (r & LEA_REQUEST_TAKE)
        lea_retake_answer(m);
    if (run_stopped(m)) /* the thread leaves, the coroutine stays where it is */
        return lea_loop_leave(m, m->co, NULL, stay_commit, NULL);
    if (m->bound)
        return m; /* without one, as always */
    if (!m->proc && !lea_proc_reacquire(m))
        return lea_yield(m);
    if ((r & LEA_REQUEST_SLICE) && others_wait(m->proc)) {
        lea_count(m->proc, LEA_COUNT_SLICES, 1);
        look_soon(m->proc);
        return lea_yield(m);
    }
    if (r & LEA_REQUEST_LOOK)
        look_soon(m->proc);
    return m;
}

struct lea_worker *lea_request_obey_park(struct lea_worker *m)
{
    m = obey_park(m);
    return lea_chaos(m->rt) ? lea_chaos_park(m) : m;
}

void lea_request_obey_syscall(struct lea_worker *m)
{
    if (take_bits(m, TAKE_BITS) & LEA_REQUEST_TAKE)
        lea_retake_answer(m);
    if (!m->proc && !m->bound)
        (void)lea_proc_reacquire(m);
}

void lea_request_poll(void)
{
    uint32_t asked = lea_u32_load_rlx(&lea_self()->request); /* relaxed: a hint */
    struct lea_worker *m = lea_enter_park();

    if ((asked & LEA_REQUEST_POLL) && !m->bound && others_wait(m->proc))
        m = lea_yield(m);
    lea_leave(m);
}
