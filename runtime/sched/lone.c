/*
 * A run without threads of its own: the system refused even the first one, so the caller's thread
 * is the one worker. What leat_run's caller would do at the end of the run, the main coroutine does
 * itself.
 */
#include "base/os.h"
#include "sched/run.h"
#include "sched/worker.h"

#define SWEEP_NS 10000000

void lea_lone_run(struct lea_worker *m)
{
    struct lea_cpuset cpus;
    struct lea_cxa *cxa = lea_cxa_of_thread(&m->no_cxa);
    /* the run may have been started from within a catch block */
    struct lea_cxa handling = lea_cxa_take(cxa);
    sigset_t mask;
    bool had_cpus = lea_cpuset_get_affinity(&cpus) == 0;

    lea_os_sigmask(SIG_BLOCK, NULL, &mask);
    lea_worker_main(m);
    lea_os_sigmask(SIG_SETMASK, &mask, NULL);
    lea_cxa_put(cxa, handling);
    if (had_cpus)
        (void)lea_cpuset_set_affinity(0, &cpus);
}

void lea_lone_end(struct lea_runtime *rt)
{
    int64_t until = lea_os_now_ns() + rt->config.shutdown_grace_ns;
    struct lea_worker *m = lea_enter();

    lea_u32_store_rel(&rt->phase, LEA_PHASE_ENDING);
    while (lea_alive(rt) > 1 && lea_os_now_ns() < until) {
        lea_run_cancel_all(rt);
        (void)lea_park_until(&m, LEA_REASON_SLEEP, lea_co_ticket(m->co), lea_os_now_ns() + SWEEP_NS,
                             true);
    }
    lea_u32_store_rel(&rt->phase, LEA_PHASE_STOP);
    /* who does not end leaves at its next call, for a solo section too */
    lea_request_add(m, LEA_REQUEST_SLICE | LEA_REQUEST_TAKE);
    lea_leave(m);
}
