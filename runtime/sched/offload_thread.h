/*
 * sched/offload_thread.h - the pool's own: its threads, and what they take from its queue. For
 * offload.c and offload_thread.c; the invariants are in offload.h.
 */
#ifndef LEA_SCHED_OFFLOAD_THREAD_H
#define LEA_SCHED_OFFLOAD_THREAD_H

#include "sched/offload.h"
#include "sched/sched.h"

#include <pthread.h>

/* The word of a thread in `idle`; GIVEN: it is not there any more. */
enum lea_lookout { LEA_LOOKOUT_ASLEEP, LEA_LOOKOUT_GIVEN, LEA_LOOKOUT_AWAKE };

#define LEA_LEARNT_MAX 8u

enum lea_job_state { LEA_JOB_QUEUED, LEA_JOB_BEGUN, LEA_JOB_DONE, LEA_JOB_DIED };

/* Keys: (P) under the pool's lock   (k) constant */
struct lea_job {
    struct lea_blocking_item item; /* (P) */
    leat_result (*fn)(void *);     /* (k) */
    void *arg;                     /* (k) */
    leat_result result;            /* (P) */
    struct lea_co *co;             /* (k) */
    uintptr_t ticket;              /* (P) of the wait that is under way, or about to begin */
    lea_u32 cancelled;             /* 1: asked to end while it runs */
    enum lea_job_state state;      /* (P) */
};

/* Keys: (P) under the pool's lock   (o) its own */
struct lea_blocking_thread {
    struct lea_runtime *rt;
    pthread_t thread;
    struct lea_node all;
    struct lea_node idle;           /* (P) */
    lea_u32 wake;                   /* futex: enum lea_lookout; changed under the lock */
    int64_t begun_ns;               /* (o) when its job began */
    int64_t idle_ns;                /* (P) since when it is in `idle` */
    bool let_go;                    /* (P) the run is over: nobody joins it */
    struct lea_job *job;            /* (o) under way */
    struct lea_blocking_task *task; /* (o) likewise; one of the two at most */
    leat_result result;             /* (o) of it */
};

static inline uint32_t lea_offload_nr_threads(const struct lea_blocking *pool)
{
    return lea_u32_load_rlx(&pool->nr_threads); /* relaxed: under the lock */
}

/* Those that take jobs, or will. */
static inline uint32_t lea_offload_nr_serving(const struct lea_blocking *pool)
{
    return lea_offload_nr_threads(pool) - pool->nr_dying;
}

/* One step of what was learnt. */
static inline uint32_t lea_offload_learn(uint32_t learnt, bool yes)
{
    return yes ? learnt + (learnt < LEA_LEARNT_MAX) : learnt - (learnt > 0);
}

static inline bool lea_offload_learnt(uint32_t learnt)
{
    return learnt >= LEA_LEARNT_MAX / 2;
}

static inline void lea_offload_waiting_locked(struct lea_blocking *pool, uint32_t n)
{
    /* relaxed: written under the lock, and a hint for others */
    lea_u32_store_rlx(&pool->nr_waiting, lea_u32_load_rlx(&pool->nr_waiting) + n);
}

static inline void lea_offload_add_locked(struct lea_blocking *pool, struct lea_blocking_item *item)
{
    item->queued = true;
    lea_list_push_back(&pool->jobs, &item->node);
    pool->nr_queued++;
}

static inline void lea_offload_del_locked(struct lea_blocking *pool, struct lea_blocking_item *item)
{
    item->queued = false;
    lea_list_del(&item->node);
    pool->nr_queued--;
}

static inline struct lea_job *lea_job_of(struct lea_blocking_item *item)
{
    return lea_container(item, struct lea_job, item);
}

static inline struct lea_blocking_task *lea_task_of(struct lea_blocking_item *item)
{
    return lea_container(item, struct lea_blocking_task, item);
}

/*
 * The lock is held, and a job was queued, or there is no thread. *wake: an idle one to be woken
 * when the lock is dropped. False: there is no thread at all, and none can be had now.
 */
bool lea_offload_attend_locked(struct lea_runtime *rt, lea_u32 **wake);

/* All tasks of the queue, which are given up: chained by their nodes. */
struct lea_blocking_task *lea_offload_tasks_take_locked(struct lea_blocking *pool);

/* Ends them. No lock held. */
void lea_offload_tasks_give_up(struct lea_blocking_task *first, int error);

#endif
