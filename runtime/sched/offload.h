/*
 * sched/offload.h - threads for calls that hang: a bounded pool with one queue. Contract:
 * include/leat/blocking.h.
 *
 * A job lies on the stack of the coroutine that waits for it, which does not leave before the job
 * is DONE or was taken back while QUEUED.
 *
 * Always, under the pool's lock:
 *  - a job is in `jobs` exactly while it is QUEUED;
 *  - while a job is QUEUED there is a thread that will look at the queue, or every waiter of a
 *    queued job tries again to get one (when threads are refused and the last one has left, all of
 *    them are woken for that);
 *  - who completes a job claims its waiter and never looks at the job again.
 *
 * A task is a job that lies on nobody's stack: it owns its memory, so nobody need wait for it, and
 * the end of a run leaves it behind. When threads are refused and the last one has left, tasks that
 * are QUEUED are given up. Whoever takes one out of the queue calls its end(), once.
 *
 * Threads are made under the lock: rarely, and so that nobody sees one that is only half there.
 *
 * Looking out. A round trip through two sleeps costs two wake-ups, many times what a short job
 * does. So one thread that has become idle stays awake for up to LEA_LOOKOUT_NS before it sleeps,
 * and so does the worker of a run's only processor when nothing but a job is to be waited for. Both
 * only where that has lately paid (jobs came as soon; they were as short), where LEAT_SPIN_US
 * allows it, and where a CPU is left over for it.
 *  - At most one thread looks out (`lookout`); it is in `idle` like those that sleep, and gets the
 *    next job before them. Its word says AWAKE, and it falls asleep, which others must know, under
 *    the lock: whoever gives it a job sees the word as it is, and wakes who sleeps.
 *  - The worker relies on nothing but the inject queue, and then goes to sleep as ever (idle.h).
 *
 * Ordering: the lock carries the job from the coroutine to the thread; the claim (WAIT-CLAIM) and
 * the lock carry its result back.
 */
#ifndef LEA_SCHED_OFFLOAD_H
#define LEA_SCHED_OFFLOAD_H

#include "base/list.h"
#include "base/lock.h"

#include <leat/base.h>

struct lea_proc;
struct lea_runtime;
struct lea_worker;
struct lea_blocking_thread;

#define LEA_LOOKOUT_NS INT64_C(20000)

/* What stands in the queue. */
struct lea_blocking_item {
    struct lea_node node;
    bool queued;
    bool task; /* (k) it is one, and not a job that a coroutine waits for */
};

struct lea_blocking_task {
    struct lea_blocking_item item;
    void (*run)(struct lea_blocking_task *task); /* on a thread of the pool */
    /*
     * the last that the pool has to do with it; no lock is held. 0: it has run; -EOWNERDEAD it
     * ended its thread; -EAGAIN, -ESHUTDOWN it will not run
     */
    void (*end)(struct lea_blocking_task *task, int error);
};

/* Keys: all under the lock, but for what is marked (k): constant from the start of the run on */
struct lea_blocking {
    struct lea_lock lock;
    uint32_t max_threads; /* (k) */
    lea_u32 nr_threads;   /* written under the lock, read by anybody */
    uint32_t nr_dying;    /* of those: ended by their job or task, they take no other */
    uint32_t nr_queued;
    uint32_t nr_tasks;       /* under way on threads */
    struct lea_node jobs;    /* struct lea_blocking_item, queued, oldest first */
    struct lea_node idle;    /* threads that sleep, the last one to fall asleep first */
    struct lea_node threads; /* all */
    /* one of `idle`: it is awake, and sees for itself that it gets a job; NULL none */
    struct lea_blocking_thread *lookout;
    int64_t lookout_ns; /* (k) how long it and the worker look out; 0 never */
    uint32_t soon;      /* learnt, 0..LEA_LEARNT_MAX: jobs come soon after a thread is idle */
    lea_u32 brief;      /* likewise: jobs are short; written under the lock, read by anybody */
    lea_u32 nr_waiting; /* coroutines that wait for jobs; likewise */
    struct lea_blocking_thread *gone; /* has left, and is to be joined */
    uint64_t nr_jobs;                 /* that ended, ever */
    bool stop;
    bool warned;
};

/* @spin_ns: bound of any look-out; @cpus: those that the run may use */
void lea_blocking_init(struct lea_blocking *pool, uint32_t max_threads, int64_t spin_ns,
                       unsigned cpus);

/*
 * The worker of the only processor has nothing to do, and is about to sleep: look out for the end
 * of a job. True: something has come.
 */
bool lea_blocking_look_out(struct lea_runtime *rt, struct lea_proc *p);

/*
 * In a bracket that may park: as leat_blocking(). *m: the worker afterwards.
 */
int lea_blocking_run(struct lea_worker **m, leat_result (*fn)(void *), void *arg,
                     leat_result *result, int64_t until_ns);

/*
 * Any thread that holds the run. Returns: 0, end() will be called, perhaps it has been; -EAGAIN,
 * -ESHUTDOWN: it will not.
 */
int lea_blocking_post(struct lea_runtime *rt, struct lea_blocking_task *task);

/* True: it had not begun, and end() will not be called. */
bool lea_blocking_unpost(struct lea_blocking *pool, struct lea_blocking_task *task);

/*
 * On a thread of the pool: was whoever waits for the job under way asked to end, or is the deadline
 * over?
 */
bool lea_blocking_cancelled(void);

/* The end of a run: no job begins any more, idle threads leave. */
void lea_blocking_stop(struct lea_blocking *pool);

/* Threads that have not left. Exact for who knows that none can come. */
uint32_t lea_blocking_nr_threads(struct lea_blocking *pool);

/* Of them, those inside a task. */
uint32_t lea_blocking_nr_tasks(struct lea_blocking *pool);

/*
 * After lea_blocking_stop(): those that have left are joined; those that are still inside a job are
 * let go, and keep the run's memory.
 */
void lea_blocking_end(struct lea_blocking *pool);

#endif
