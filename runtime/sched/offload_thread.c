/*
 * The threads of the pool for calls that hang: what they take, how they come and go. Invariants:
 * offload.h.
 */
#include "sched/offload_thread.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "mem/heap.h"
#include "sched/worker.h"

#include <errno.h>
#include <signal.h>

#define STACK_BYTES ((size_t)8 << 20)
#define IDLE_NS INT64_C(5000000000)

bool lea_blocking_cancelled(void)
{
    struct lea_blocking_thread *t = lea_self_blocking();

    return t && t->job && lea_u32_load_acq(&t->job->cancelled);
}

/* The next one becomes the thread's job or task. False: there is none. */
static bool take_locked(struct lea_blocking *pool, struct lea_blocking_thread *t)
{
    struct lea_blocking_item *item;

    if (pool->stop || lea_list_empty(&pool->jobs))
        return false;
    item = lea_container(pool->jobs.next, struct lea_blocking_item, node);
    lea_offload_del_locked(pool, item);
    if (item->task) {
        t->task = lea_task_of(item);
        pool->nr_tasks++;
    } else {
        t->job = lea_job_of(item);
        t->job->state = LEA_JOB_BEGUN;
    }
    return true;
}

static void task_end(struct lea_blocking_thread *t, int error)
{
    struct lea_blocking *pool = &t->rt->blocking;
    struct lea_blocking_task *task = t->task;

    t->task = NULL;
    task->end(task, error);
    lea_lock_take(&pool->lock);
    pool->nr_jobs++;
    pool->nr_tasks--;
    lea_lock_drop(&pool->lock);
}

struct lea_blocking_task *lea_offload_tasks_take_locked(struct lea_blocking *pool)
{
    struct lea_blocking_task *first = NULL;
    struct lea_node *n = pool->jobs.next;

    while (n != &pool->jobs) {
        struct lea_blocking_item *item = lea_container(n, struct lea_blocking_item, node);

        n = n->next;
        if (!item->task)
            continue;
        lea_offload_del_locked(pool, item);
        item->node.next = first ? &first->item.node : NULL;
        first = lea_task_of(item);
    }
    return first;
}

void lea_offload_tasks_give_up(struct lea_blocking_task *first, int error)
{
    while (first) {
        struct lea_blocking_task *task = first;
        struct lea_node *next = task->item.node.next;

        first = next ? lea_task_of(lea_container(next, struct lea_blocking_item, node)) : NULL;
        task->end(task, error);
    }
}

/* Whoever waits for it goes on. The job is not ours from here on. */
static void job_end(struct lea_blocking_thread *t, leat_result result, enum lea_job_state state)
{
    struct lea_blocking *pool = &t->rt->blocking;
    struct lea_job *j = t->job;
    struct lea_ready_list ready;
    bool brief = lea_os_now_ns() - t->begun_ns < LEA_LOOKOUT_NS;

    lea_ready_list_init(&ready);
    lea_lock_take(&pool->lock);
    /* relaxed: under the lock */
    lea_u32_store_rlx(&pool->brief, lea_offload_learn(lea_u32_load_rlx(&pool->brief), brief));
    t->job = NULL;
    pool->nr_jobs++;
    j->result = result;
    j->state = state;
    (void)lea_co_claim_to(j->co, j->ticket, LEA_WAKE_DONE, &ready);
    lea_lock_drop(&pool->lock);
    lea_ready_list_all(t->rt, NULL, &ready);
}

/*
 * The pool's lock is held. The caller drops it, and then touches neither the pool nor the thread's
 * struct.
 */
static void leave_locked(struct lea_blocking_thread *t, struct lea_blocking_thread **join)
{
    struct lea_blocking *pool = &t->rt->blocking;

    lea_list_del(&t->all);
    if (t->let_go) {
        *join = NULL;
    } else {
        *join = pool->gone;
        pool->gone = t;
    }
    lea_u32_store_rlx(&pool->nr_threads,
                      lea_offload_nr_threads(pool) - 1); /* relaxed: under the lock */
    (void)lea_u32_add(&t->rt->ended, 1); /* leat_run's caller counts the threads, under the lock */
    lea_os_futex_wake(&t->rt->ended, 1);
}

static void thread_free(struct lea_blocking_thread *t)
{
    lea_heap_free(t, sizeof(*t));
}

static void join_gone(struct lea_blocking_thread *t)
{
    if (!t)
        return;
    lea_os_thread_join(t->thread);
    thread_free(t);
}

/* Every way out of the pool. Who leaves joins who left before: at most one stack is kept. */
static void leave(struct lea_blocking_thread *t)
{
    struct lea_blocking *pool = &t->rt->blocking;
    struct lea_blocking_thread *before;
    bool let_go;

    leave_locked(t, &before);
    let_go = t->let_go;
    lea_lock_drop(&pool->lock);
    join_gone(before);
    if (let_go)
        thread_free(t);
}

/* A CPU is left over beside the processors that are busy. */
static bool cpu_left(const struct lea_runtime *rt)
{
    /* relaxed: a hint */
    return rt->nr_procs - lea_u32_load_rlx(&rt->idle.nr_idle) < rt->config.cpus.nr_usable;
}

/*
 * In `idle`, and awake for a while. True: it was given a job. The lock is held before and after.
 */
static bool look_out_locked(struct lea_blocking_thread *t)
{
    struct lea_blocking *pool = &t->rt->blocking;
    int64_t until = t->idle_ns + pool->lookout_ns;

    pool->lookout = t;
    lea_u32_store_rlx(&t->wake, LEA_LOOKOUT_AWAKE); /* relaxed: under the lock */
    lea_lock_drop(&pool->lock);
    while (lea_u32_load_acq(&t->wake) == LEA_LOOKOUT_AWAKE && lea_os_now_ns() < until &&
           cpu_left(t->rt))
        lea_pause();
    if (LEA_MUTATED(BLOCKING_LOOKOUT_STORE))
        lea_u32_store_rel(&t->wake, LEA_LOOKOUT_ASLEEP);
    lea_lock_take(&pool->lock);
    if (lea_u32_load_acq(&t->wake) == LEA_LOOKOUT_GIVEN)
        return true;
    if (!LEA_MUTATED(BLOCKING_LOOKOUT_KEPT))
        pool->lookout = NULL;
    lea_u32_store_rlx(&t->wake, LEA_LOOKOUT_ASLEEP); /* relaxed: under the lock */
    return false;
}

/*
 * False: for IDLE_NS there was nothing to do, and the thread is in no list any more. The lock is
 * held before and after.
 */
static bool idle_locked(struct lea_blocking_thread *t)
{
    struct lea_blocking *pool = &t->rt->blocking;
    bool taken = false, late = false;
    int64_t until;

    t->idle_ns = lea_os_now_ns();
    until = t->idle_ns + IDLE_NS;
    lea_u32_store_rlx(&t->wake, LEA_LOOKOUT_ASLEEP); /* relaxed: the lock publishes it */
    lea_list_push_front(&pool->idle, &t->idle);
    if (!pool->lookout && pool->lookout_ns && lea_offload_learnt(pool->soon))
        taken = look_out_locked(t);
    while (!taken && !late) {
        lea_lock_drop(&pool->lock);
        late = lea_os_futex_wait(&t->wake, LEA_LOOKOUT_ASLEEP, until) == -ETIMEDOUT;
        lea_lock_take(&pool->lock);
        taken = lea_u32_load_acq(&t->wake) == LEA_LOOKOUT_GIVEN;
    }
    if (LEA_MUTATED(BLOCKING_LATE) && late && taken)
        return false;
    if (!taken)
        lea_list_del(&t->idle);
    return taken;
}

/* --- growing --- */

static void *pool_thread(void *arg);

/* The lock is held. Returns: 0; -EAGAIN. */
static int grow_locked(struct lea_runtime *rt)
{
    struct lea_blocking *pool = &rt->blocking;
    struct lea_blocking_thread *t = lea_heap_zalloc(sizeof(*t));
    int r = -EAGAIN;
    bool full;

    if (!t)
        return r;
    t->rt = rt;
    lea_list_init(&t->idle);
    lea_lock_take(&rt->lock);
    full = rt->nr_workers - rt->nr_gone + 1 + lea_offload_nr_threads(pool) >=
           rt->config.max_threads; /* 1: the monitor */
    lea_lock_drop(&rt->lock);
    if (!full)
        r = lea_os_thread_start(&t->thread, pool_thread, t, STACK_BYTES, -1);
    if (r < 0) {
        if (!pool->warned)
            lea_log_warn("no further thread for leat_blocking, files and names can be had (%s, %u "
                         "so far): calls wait for one",
                         full ? "LEAT_MAX_THREADS" : "the system refuses",
                         lea_offload_nr_threads(pool));
        pool->warned = true;
        thread_free(t);
        return -EAGAIN;
    }
    lea_list_push_back(&pool->threads, &t->all);
    lea_u32_store_rlx(&pool->nr_threads,
                      lea_offload_nr_threads(pool) + 1); /* relaxed: under the lock */
    return 0;
}

/* One of those that are idle is to look at the queue. *wake: it sleeps. */
static void give_idle_locked(struct lea_blocking *pool, lea_u32 **wake)
{
    struct lea_blocking_thread *t =
        pool->lookout ? pool->lookout
                      : lea_container(pool->idle.next, struct lea_blocking_thread, idle);

    pool->soon = lea_offload_learn(pool->soon, lea_os_now_ns() - t->idle_ns < LEA_LOOKOUT_NS);
    pool->lookout = NULL;
    lea_list_del(&t->idle);
    if (lea_u32_load_rlx(&t->wake) == LEA_LOOKOUT_ASLEEP) /* relaxed: under the lock */
        *wake = &t->wake;
    lea_u32_store_rel(&t->wake, LEA_LOOKOUT_GIVEN);
}

bool lea_offload_attend_locked(struct lea_runtime *rt, lea_u32 **wake)
{
    struct lea_blocking *pool = &rt->blocking;

    *wake = NULL;
    if (!lea_list_empty(&pool->idle)) {
        give_idle_locked(pool, wake);
        return true;
    }
    if (lea_offload_nr_serving(pool) < pool->max_threads &&
        !(LEA_MUTATED(BLOCKING_NOT_GROWN) && lea_offload_nr_threads(pool)))
        (void)grow_locked(rt);
    return lea_offload_nr_serving(pool) > 0;
}

/*
 * No thread is left for those who wait: they try to get one, each for itself. There are no tasks
 * any more.
 */
static void orphans_wake_locked(struct lea_blocking *pool, struct lea_ready_list *ready)
{
    for (struct lea_node *n = pool->jobs.next; n != &pool->jobs; n = n->next) {
        struct lea_job *j = lea_job_of(lea_container(n, struct lea_blocking_item, node));

        (void)lea_co_claim_to(j->co, j->ticket, LEA_WAKE_CLOSED, ready);
    }
}

/*
 * pthread_exit() in a job: whoever waits for it is told, and another thread takes the place of this
 * one if work is left.
 */
static void died(void *arg)
{
    struct lea_blocking_thread *t = arg;
    struct lea_blocking *pool = &t->rt->blocking;
    struct lea_runtime *rt = t->rt;
    struct lea_blocking_task *tasks = NULL;
    struct lea_ready_list ready;

    lea_log_warn("leat_blocking: the function ended its thread (pthread_exit, or it was cancelled) "
                 "instead of returning");
    lea_lock_take(&pool->lock);
    /* before anybody can queue a job because this one has ended, and count on the thread */
    pool->nr_dying++;
    lea_lock_drop(&pool->lock);
    if (t->task)
        task_end(t, -EOWNERDEAD);
    else
        job_end(t, 0, LEA_JOB_DIED);
    lea_ready_list_init(&ready);
    lea_lock_take(&pool->lock);
    /* whoever came since it began to die may have got that one already */
    if (!lea_list_empty(&pool->jobs) && !pool->stop &&
        lea_offload_nr_serving(pool) < pool->max_threads && grow_locked(rt) < 0 &&
        lea_offload_nr_serving(pool) == 0) {
        tasks = lea_offload_tasks_take_locked(pool);
        orphans_wake_locked(pool, &ready);
    }
    lea_lock_drop(&pool->lock);
    lea_ready_list_all(rt, NULL, &ready);
    lea_offload_tasks_give_up(tasks, -EAGAIN);
    lea_lock_take(&pool->lock);
    pool->nr_dying--;
    leave(t);
}

static void job_call(void *arg)
{
    struct lea_blocking_thread *t = arg;

    if (t->task)
        t->task->run(t->task);
    else
        t->result = t->job->fn(t->job->arg);
}

static void *pool_thread(void *arg)
{
    struct lea_blocking_thread *t = arg;
    struct lea_blocking *pool = &t->rt->blocking;
    sigset_t pipe_set;

    lea_heap_free(lea_heap_alloc(1), 1); /* worker_thread() says why */
    lea_os_thread_name("leat-blocking");
    lea_worker_spread(t->rt, 0); /* not on the one CPU of the worker that has begun it */
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    lea_os_sigmask(SIG_BLOCK, &pipe_set, NULL);
    lea_self_blocking_set(t);
    lea_lock_take(&pool->lock);
    for (;;) {
        if (take_locked(pool, t)) {
            lea_lock_drop(&pool->lock);
            t->begun_ns = lea_os_now_ns();
            lea_os_thread_guard(job_call, died, t);
            if (t->task)
                task_end(t, 0);
            else
                job_end(t, t->result, LEA_JOB_DONE);
            lea_lock_take(&pool->lock);
        } else if (pool->stop || !idle_locked(t)) {
            break;
        }
    }
    leave(t);
    return NULL;
}

/* --- the end of a run --- */

void lea_blocking_stop(struct lea_blocking *pool)
{
    struct lea_blocking_task *tasks;

    lea_lock_take(&pool->lock);
    pool->stop = true;
    pool->lookout = NULL;
    tasks = lea_offload_tasks_take_locked(pool);
    while (!lea_list_empty(&pool->idle)) {
        struct lea_blocking_thread *t =
            lea_container(pool->idle.next, struct lea_blocking_thread, idle);

        lea_list_del(&t->idle);
        lea_u32_store_rel(&t->wake, LEA_LOOKOUT_GIVEN);
        lea_os_futex_wake(&t->wake,
                          1); /* under the lock: it cannot leave, and the struct not go, before */
    }
    lea_lock_drop(&pool->lock);
    lea_offload_tasks_give_up(tasks, -ESHUTDOWN);
}

void lea_blocking_end(struct lea_blocking *pool)
{
    struct lea_blocking_thread *gone;

    lea_lock_take(&pool->lock);
    gone = pool->gone;
    pool->gone = NULL;
    for (struct lea_node *n = pool->threads.next; n != &pool->threads; n = n->next) {
        struct lea_blocking_thread *t = lea_container(n, struct lea_blocking_thread, all);

        t->let_go = true;
        lea_os_thread_detach(t->thread);
    }
    lea_lock_drop(&pool->lock);
    join_gone(gone);
}
