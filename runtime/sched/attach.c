/*
 * Threads of the program's that are attached to the run. Contract: include/leat/run.h.
 *
 * An attached thread is a worker without a processor, and bound to one coroutine, which stands for
 * it (bound.h). So all that is made for coroutines works there: waits for descriptors and joins,
 * cancellation, values, lines in reports. It parks where it stands.
 *
 * Always, for the deadlock report (quiet.h), which looks at the threads first and then at the
 * coroutines: the coroutine shows as running before the thread is counted as one of the run's, and
 * until it is not any more; the monitor is told in between.
 *
 * The end of a run cancels it as all others, and waits for the detachment, within its grace. Later
 * it is a thread that was left in user code: its next call sleeps for ever, but for
 * leat_detach_thread(), which frees it. The memory of that run stays, as it does for those.
 *
 * Ordering pair ATTACH-END: a thread that ceases to be attached adds to users (lea_rt_keep()), and
 * then is not counted any more, under the lock (lea_worker_release()); the end finds under the lock
 * that no thread is counted, and then waits for users to be 0, before the memory goes.
 */
#include "sched/attach.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/bound.h"
#include "sched/extra.h"
#include "sched/loop.h"
#include "sched/quiet.h"
#include "sched/spawn.h"
#include "sched/worker.h"
#include "sched/wrong.h"

#include <errno.h>
#include <leat/run.h>

/* --- SIGPIPE: a write to a closed peer is -EPIPE, and never a signal --- */

static void pipe_block(struct lea_worker *m)
{
    sigset_t pipe_set, before;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    lea_os_sigmask(SIG_BLOCK, &pipe_set, &before);
    m->attached_pipe = !sigismember(&before, SIGPIPE);
}

static void pipe_unblock(bool it_was)
{
    sigset_t pipe_set;

    if (!it_was)
        return;
    lea_os_sigpipe_take();
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    lea_os_sigmask(SIG_UNBLOCK, &pipe_set, NULL);
}

/* --- attaching --- */

/* Its coroutine, which runs from now on. */
static int begin(struct lea_runtime *rt, const char *name, struct lea_co **out)
{
    struct lea_spawn what = {
        .site = &lea_co_attached_site, .prio_class = LEA_CLASS_NORMAL, .name = name};
    int r = lea_spawn(rt, NULL, &what, out);

    if (r < 0)
        return r;
    if (!lea_extra_get(rt, NULL, *out)) {
        lea_spawn_free_outside(rt, *out);
        return -ENOMEM;
    }
    lea_u32_store_rel(&(*out)->state, LEA_RUNNING);
    return 0;
}

static void end(struct lea_runtime *rt, struct lea_co *g)
{
    lea_u32_store_rlx(&g->state, LEA_DEAD); /* relaxed: for reports */
    lea_extra_end(g);
    lea_spawn_free_outside(rt, g);
}

static int attach(struct lea_runtime *rt, const char *name)
{
    struct lea_worker *m = LEA_MUTATED(ATTACH_COUNTED_FIRST) ? lea_worker_adopt(rt) : NULL;
    struct lea_co *g;
    int r;

    lea_worker_reap(rt);
    r = begin(rt, name, &g);
    if (r < 0 && m)
        lea_worker_release(m);
    if (r < 0)
        return r;
    if (!m)
        m = lea_worker_adopt(rt);
    r = m ? lea_os_thread_end_ask(m) : -EAGAIN;
    if (r < 0) {
        if (m)
            lea_worker_release(m);
        end(rt, g);
        return r;
    }
    lea_bound_begin(m, g);
    m->co = g;
    m->attached = 1;
    pipe_block(m);
    lea_self_set(m);
    lea_leave(m);
    return 0;
}

int leat_attach_thread(const char *name)
{
    struct lea_worker *m = lea_self();
    struct lea_runtime *rt;
    int r;

    if (m) {
        /* left over by a run that has ended: each call but its detachment sleeps for ever */
        if (m->attached && lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP)
            return -ESHUTDOWN;
        m->attached += m->attached != 0; /* a coroutine needs none */
        return 0;
    }
    if (lea_self_blocking())
        return -EPERM;
    rt = lea_rt_hold();
    if (!rt)
        return lea_outside(-ESHUTDOWN);
    r = attach(rt, name);
    lea_rt_drop();
    return r;
}

/* --- detaching --- */

static void detach(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    struct lea_co *g = m->co;
    bool pipe = m->attached_pipe;

    /* what was put off until now may call leat, and would sleep for ever once the run is over */
    if (g->extra->at_end && lea_u32_load_acq(&rt->phase) != LEA_PHASE_STOP)
        g->extra->at_end(g);
    lea_tick(m);
    if (!LEA_MUTATED(ATTACH_UNKEPT))
        lea_rt_keep();
    lea_bound_over(m, g);
    m->co = NULL;
    m->attached = 0;
    lea_self_set(NULL);
    (void)lea_os_thread_end_ask(NULL);
    if (LEA_MUTATED(ATTACH_FREED_FIRST))
        end(rt, g);
    lea_worker_release(m); /* ATTACH-END */
    lea_quiet_end_without(rt);
    if (!LEA_MUTATED(ATTACH_FREED_FIRST))
        end(rt, g);
    if (!LEA_MUTATED(ATTACH_UNKEPT))
        lea_rt_drop();
    pipe_unblock(pipe);
}

void leat_detach_thread(void)
{
    struct lea_worker *m = lea_self();

    if (!m || !m->attached)
        return;
    if (m->attached > 1) {
        m->attached--;
        return;
    }
    LEA_RIGHT(!m->co->extra->ending, "leat_detach_thread",
              "the thread is being detached already, and this is its clean-up");
    detach(m);
}

void lea_attach_thread_ended(void *arg)
{
    struct lea_worker *m = lea_self();

    /* else: a child of the process, which has not made that thread */
    if (m && m == arg)
        detach(m);
}
