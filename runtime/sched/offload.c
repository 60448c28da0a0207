/*
 * The pool of threads for calls that hang: jobs, for which coroutines wait, and tasks. Invariants:
 * offload.h.
 */
#include "sched/offload.h"

#include "base/mutant.h"
#include "base/os.h"
#include "sched/offload_thread.h"

#include <errno.h>
#include <leat/blocking.h>

/* Threads are refused: so often, and for so long in all, somebody tries again. */
#define RETRY_NS INT64_C(10000000)
#define RETRIES 100

void lea_blocking_init(struct lea_blocking *pool, uint32_t max_threads, int64_t spin_ns,
                       unsigned cpus)
{
    lea_lock_init(&pool->lock, LEA_RANK_POOL);
    lea_list_init(&pool->jobs);
    lea_list_init(&pool->idle);
    lea_list_init(&pool->threads);
    pool->max_threads = max_threads;
    /* on one CPU whoever looks out keeps away whom it looks out for */
    if (cpus > 1)
        pool->lookout_ns = spin_ns < LEA_LOOKOUT_NS ? spin_ns : LEA_LOOKOUT_NS;
    pool->soon = LEA_LEARNT_MAX;
    lea_u32_store_rlx(&pool->brief, LEA_LEARNT_MAX); /* relaxed: before the gate */
}

bool lea_blocking_look_out(struct lea_runtime *rt, struct lea_proc *p)
{
    const struct lea_blocking *pool = &rt->blocking;
    int64_t now, until;

    /* relaxed: hints all; a coroutine that waits has counted itself on this very thread */
    if (LEA_LIKELY(!lea_u32_load_rlx(&pool->nr_waiting)) || !p->alone || !pool->lookout_ns ||
        lea_word_load_rlx(&rt->netpoll.nr_armed) ||
        !lea_offload_learnt(lea_u32_load_rlx(&pool->brief)))
        return false;
    now = lea_os_now_ns();
    until = now + pool->lookout_ns;
    do {
        if (lea_inject_len(&rt->inject))
            return true;
        /* relaxed: looked at again before sleep */
        if (lea_u32_load_rlx(&rt->phase) == LEA_PHASE_STOP ||
            lea_timers_first_ns(&p->timers) <= now)
            return true;
        lea_pause();
        now = lea_os_now_ns();
    } while (now < until);
    return false;
}

/* --- waiting for a job --- */

/* Wait once. Returns how the wait ended; *again: no thread can be had, it is a pause for a try. */
static enum lea_wake wait_once(struct lea_worker **m, struct lea_job *j, int64_t until_ns,
                               bool attend, bool *again)
{
    struct lea_runtime *rt = (*m)->rt;
    lea_u32 *wake = NULL;
    uintptr_t ticket;
    bool begun, asked;

    *again = attend && !lea_offload_attend_locked(rt, &wake);
    begun = j->state == LEA_JOB_BEGUN;
    asked = lea_u32_load_rlx(&j->cancelled); /* relaxed: our own; then only its end is waited for */
    ticket = lea_co_ticket(j->co);
    if (!begun || !LEA_MUTATED(BLOCKING_TICKET))
        j->ticket = ticket;
    if (*again) {
        int64_t pause_ns = lea_os_now_ns() + RETRY_NS;

        until_ns = pause_ns < until_ns ? pause_ns : until_ns;
    }
    lea_lock_drop(&rt->blocking.lock);
    if (wake)
        lea_os_futex_wake(wake, 1);
    return lea_park_until(m, LEA_REASON_BLOCKING, ticket, asked ? INT64_MAX : until_ns, asked);
}

static void take_back_locked(struct lea_blocking *pool, struct lea_job *j)
{
    if (j->item.queued)
        lea_offload_del_locked(pool, &j->item);
}

/*
 * The wait has ended otherwise than by the job's end. The lock is held. Returns: 1 go on waiting;
 * else the result.
 */
static int given_up_locked(struct lea_blocking *pool, struct lea_job *j, enum lea_wake code,
                           int64_t until_ns)
{
    bool over =
        code == LEA_WAKE_CANCEL || (code == LEA_WAKE_TIMEOUT && lea_os_now_ns() >= until_ns);

    if (!over)
        return 1;
    if (j->state == LEA_JOB_BEGUN && !LEA_MUTATED(BLOCKING_LEFT)) {
        lea_u32_store_rel(&j->cancelled, 1);
        return 1;
    }
    take_back_locked(pool, j);
    return lea_wake_errno(code);
}

int lea_blocking_run(struct lea_worker **m, leat_result (*fn)(void *), void *arg,
                     leat_result *result, int64_t until_ns)
{
    struct lea_runtime *rt = (*m)->rt;
    struct lea_blocking *pool = &rt->blocking;
    struct lea_job j = {.fn = fn, .arg = arg, .co = (*m)->co, .state = LEA_JOB_QUEUED};
    unsigned tries = 0;
    bool attend = true;
    int r = 1;

    if (LEA_UNLIKELY(lea_co_cancelled(j.co)))
        return -ECANCELED;
    if (until_ns <= 0)
        return -ETIMEDOUT;
    lea_lock_take(&pool->lock);
    lea_offload_waiting_locked(pool, 1);
    lea_offload_add_locked(pool, &j.item);
    while (r == 1) {
        bool again;
        enum lea_wake code = wait_once(m, &j, until_ns, attend, &again);

        lea_lock_take(&pool->lock);
        if (j.state == LEA_JOB_DONE || j.state == LEA_JOB_DIED)
            r = 0;
        else
            r = given_up_locked(pool, &j, code, until_ns);
        attend = j.state == LEA_JOB_QUEUED && lea_offload_nr_serving(pool) == 0;
        if (r == 1 && attend && again && ++tries > RETRIES) {
            take_back_locked(pool, &j);
            r = -EAGAIN;
        }
    }
    lea_offload_waiting_locked(pool, (uint32_t)-1);
    lea_lock_drop(&pool->lock);
    if (r == 0 && j.state == LEA_JOB_DIED)
        return -EOWNERDEAD;
    if (r == 0 && result)
        *result = j.result;
    return r;
}

/* --- tasks --- */

int lea_blocking_post(struct lea_runtime *rt, struct lea_blocking_task *task)
{
    struct lea_blocking *pool = &rt->blocking;
    lea_u32 *wake = NULL;
    int r = 0;

    lea_lock_take(&pool->lock);
    if (pool->stop) {
        r = -ESHUTDOWN;
    } else {
        task->item.task = true;
        lea_offload_add_locked(pool, &task->item);
        if (!lea_offload_attend_locked(rt, &wake)) {
            lea_offload_del_locked(pool, &task->item);
            r = -EAGAIN;
        }
    }
    lea_lock_drop(&pool->lock);
    if (wake)
        lea_os_futex_wake(wake, 1);
    return r;
}

bool lea_blocking_unpost(struct lea_blocking *pool, struct lea_blocking_task *task)
{
    bool queued;

    lea_lock_take(&pool->lock);
    queued = task->item.queued;
    if (queued)
        lea_offload_del_locked(pool, &task->item);
    lea_lock_drop(&pool->lock);
    return queued;
}

uint32_t lea_blocking_nr_tasks(struct lea_blocking *pool)
{
    uint32_t n;

    lea_lock_take(&pool->lock);
    n = pool->nr_tasks;
    lea_lock_drop(&pool->lock);
    return n;
}

uint32_t lea_blocking_nr_threads(struct lea_blocking *pool)
{
    uint32_t n;

    lea_lock_take(&pool->lock);
    n = lea_offload_nr_threads(pool);
    lea_lock_drop(&pool->lock);
    return n;
}

/* --- public --- */

int leat_blocking(leat_result (*fn)(void *), void *arg, leat_result *result, leat_deadline until)
{
    struct lea_worker *m;
    leat_result value;
    int r;

    if (!fn)
        return -EINVAL;
    m = lea_enter_park();
    if (!m) {
        value = fn(arg);
        if (result)
            *result = value;
        return 0;
    }
    r = lea_blocking_run(&m, fn, arg, result, until.ns);
    lea_leave(m);
    return r;
}
