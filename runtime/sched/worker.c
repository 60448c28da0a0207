/*
 * Threads and hand-overs. See worker.h.
 */
#include "sched/worker.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "mem/heap.h"
#include "sched/bound.h"
#include "sched/bracket.h"
#include "sched/chaos.h"
#include "sched/idle.h"
#include "sched/light.h"
#include "sched/loop.h"
#include "sched/overflow.h"
#include "sched/quiet.h"
#include "sched/self.h"
#include "sched/wrong.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define WORKER_STACK_BYTES ((size_t)256 << 10)
/* a spare worker leaves after that, but for as many as processors */
#define SPARE_KEEP_NS INT64_C(10000000000)
#define SLICE_NS 100000 /* of a thread with a processor: a hog beside it does not make it late */
#define BURNING_PER_PROC 4u

void lea_proc_assign(struct lea_proc *p, struct lea_worker *m)
{
    /* relaxed: only the owner changes owner and count in this state */
    uintptr_t count = lea_proc_word_count(lea_word_load_rlx(&p->owner));

    p->worker = m;
    m->proc = p;
    m->word = lea_proc_word(count + 1, m->id, LEA_PROC_OWNED);
    lea_word_store_rel(&p->owner, m->word); /* RETAKE: nobody acts on a word of an older count */
}

/* --- where a thread may run, and for how long --- */

/* The CPU that belongs to the processor, when workers are pinned. */
static void pin(struct lea_worker *m)
{
    const struct lea_config *c = &m->rt->config;
    struct lea_cpuset one = {{0}};
    int cpu;

    if (!c->pinned || !m->proc)
        return;
    cpu = c->pin_cpu[m->proc->index];
    if (m->pinned_cpu == cpu)
        return;
    lea_cpuset_add(&one, (unsigned)cpu);
    if (lea_cpuset_set_affinity(0, &one) < 0) {
        lea_log_info("CPU %d may not be used any more: worker %u is not pinned", cpu, m->id);
        /* it may be on one CPU: of its former processor, or of who started it */
        (void)lea_cpuset_set_affinity(0, &c->cpus.allowed);
    }
    m->pinned_cpu = cpu;
}

void lea_worker_spread(const struct lea_runtime *rt, int tid)
{
    if (rt->config.pinned)
        (void)lea_cpuset_set_affinity(tid, &rt->config.cpus.allowed);
    lea_os_slice_set(tid, 0);
}

bool lea_burning_room(const struct lea_runtime *rt)
{
    /* relaxed: a bound that may be off by a few */
    return lea_u32_load_rlx(&rt->nr_burning) < BURNING_PER_PROC * rt->nr_procs;
}

void lea_worker_loosen(struct lea_worker *m)
{
    if (!m->spread)
        lea_worker_spread(m->rt, 0);
    m->spread = true;
    m->pinned_cpu = -1;
}

void lea_worker_burns(struct lea_worker *m)
{
    if (!m->burning)
        (void)lea_u32_add(&m->rt->nr_burning, 1);
    m->burning = true;
    lea_worker_loosen(m);
}

/*
 * Not without a processor in user code any more. Does not look at m->proc, which others may be
 * about to set.
 */
static void calm(struct lea_worker *m)
{
    if (m->burning)
        (void)lea_u32_add(&m->rt->nr_burning, (uint32_t)-1);
    m->burning = false;
    if (m->spread) {
        lea_os_slice_set(0, SLICE_NS);
        m->pinned_cpu = -1;
    }
    m->spread = false;
}

void lea_worker_unwatched(struct lea_worker *m)
{
    if (m->burning)
        (void)lea_u32_add(&m->rt->nr_burning, (uint32_t)-1);
    m->burning = false;
    lea_worker_loosen(m);
}

void lea_worker_settle(struct lea_worker *m)
{
    calm(m);
    pin(m);
}

/* --- threads --- */

static uint32_t threads_locked(const struct lea_runtime *rt)
{
    /* the monitor, and the pool; relaxed: one more or less at the same instant */
    return rt->nr_workers - rt->nr_gone + 1 + lea_u32_load_rlx(&rt->blocking.nr_threads);
}

static struct lea_worker *pop(struct lea_worker **list)
{
    struct lea_worker *m = *list;

    if (m)
        *list = m->spare_next;
    return m;
}

static void push(struct lea_worker **list, struct lea_worker *m, enum lea_worker_place place)
{
    m->place = place;
    m->spare_next = *list;
    *list = m;
}

/*
 * Threads that have left, and are not joined yet, keep their structs: then those may be what there
 * is not enough of.
 */
static bool full_locked(const struct lea_runtime *rt)
{
    return threads_locked(rt) >= rt->config.max_threads ||
           (!rt->unused && rt->nr_workers == rt->config.max_threads);
}

struct lea_worker *lea_worker_new_locked(struct lea_runtime *rt, struct lea_proc *p)
{
    struct lea_worker *m;

    if (full_locked(rt))
        return NULL;
    m = pop(&rt->unused);
    if (m) {
        rt->nr_gone--;
    } else {
        m = lea_heap_map(sizeof(*m));
        if (!m)
            return NULL;
        m->rt = rt;
        m->id = rt->nr_workers + 1;
        lea_u32_store_rlx(&m->tick, 1); /* relaxed: not shared yet */
        LEA_ASSERT(rt->nr_workers < rt->config.max_threads);
        rt->worker[rt->nr_workers++] = m;
    }
    m->place = LEA_PLACE_NONE;
    m->pinned_cpu = -1;
    m->born_without = p == NULL;
    m->leaves = false;
    m->bracket_depth = 0; /* the former one may have ended within a bracket */
    /* relaxed: the thread's start publishes them, or the owner word */
    lea_u32_store_rlx(&m->request, rt->fenced ? LEA_REQUEST_FENCE : 0);
    lea_u32_store_rlx(&m->sleep, LEA_SLEEP_AWAKE);
    lea_chaos_worker(m);
    if (p)
        lea_proc_assign(p, m);
    return m;
}

static void worker_setup(struct lea_worker *m)
{
    char name[16];
    sigset_t pipe_set;

    lea_self_set(m);
    lea_u32_store_rlx(&m->tid, (uint32_t)lea_os_gettid()); /* relaxed: lea_worker_tid() */
    snprintf(name, sizeof(name), "leat-%u", m->id);
    lea_os_thread_name(name);
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE); /* a write to a closed peer is -EPIPE, never a signal */
    lea_os_sigmask(SIG_BLOCK, &pipe_set, NULL);
    lea_os_timers_precise();
    lea_os_slice_set(0, SLICE_NS);
    if (m->rt->config.nice && lea_os_nice_set(lea_os_gettid(), m->rt->config.nice) < 0)
        lea_log_warn("LEAT_NICE=%d is refused by the system, worker %u keeps its nice value",
                     m->rt->config.nice, m->id);
    if (!m->born_without)
        pin(m);
    lea_overflow_thread_begin(m);
    lea_ctx_adopt(&m->ctx);
    m->cxa = lea_cxa_of_thread(&m->no_cxa);
}

static void spare_del_locked(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    struct lea_worker **at = &rt->spare;

    while (*at && *at != m)
        at = &(*at)->spare_next;
    if (*at) {
        *at = m->spare_next;
        rt->nr_spare--;
    }
    m->place = LEA_PLACE_NONE;
}

/* It has slept for long: may it leave? */
static bool spare_leaves(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    bool leaves = false;

    lea_lock_take(&rt->lock);
    if ((m->place == LEA_PLACE_SPARE && rt->nr_spare > rt->nr_procs) ||
        LEA_MUTATED(SPARE_LEAVES_HELD)) {
        spare_del_locked(m);
        leaves = true;
    }
    lea_lock_drop(&rt->lock);
    return leaves;
}

/* Has somebody handed it a processor? Under the lock, as that was. */
static bool handed(struct lea_worker *m)
{
    bool yes;

    lea_lock_take(&m->rt->lock);
    yes = m->place == LEA_PLACE_NONE;
    lea_lock_drop(&m->rt->lock);
    return yes;
}

/*
 * Wait on the spare list until a processor is handed over, or the run stops. False: it has waited
 * for long, and leaves.
 */
static bool spare_wait(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    int64_t keep_ns = SPARE_KEEP_NS;

    calm(m);
    lea_lock_take(&rt->lock);
    if (m->place == LEA_PLACE_NONE && !m->born_without) {
        push(&rt->spare, m, LEA_PLACE_SPARE);
        rt->nr_spare++;
    }
    m->born_without = false;
    lea_lock_drop(&rt->lock);
    lea_quiet_end_without(rt);
    for (;;) {
        if (lea_worker_sleep(m, keep_ns ? lea_os_now_ns() + keep_ns : INT64_MAX)) {
            lea_token_take(m);
            if (lea_u32_load_acq(&rt->phase) == LEA_PHASE_STOP || handed(m))
                break;
        } else if (spare_leaves(m)) {
            return false;
        } else {
            keep_ns = 0; /* one of those that stay: an idle process does not wake up */
        }
    }
    pin(m);
    return true;
}

/* Its last touch of the run but for `ended`, which the end of the run waits for by joining it. */
static void worker_gone(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;

    lea_lock_take(&rt->lock);
    /* the run stops: who still gives a processor away must not find it there */
    if (m->place == LEA_PLACE_SPARE)
        spare_del_locked(m);
    push(&rt->gone, m, LEA_PLACE_GONE);
    rt->nr_gone++;
    lea_lock_drop(&rt->lock);
    (void)lea_u32_add(&rt->ended, 1);
    lea_os_futex_wake(&rt->ended, 1);
}

void lea_worker_main(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    bool waits = m->born_without, bound;

    worker_setup(m);
    for (;;) {
        if (!waits)
            lea_loop_run(m);
        waits = false;
        bound = m->bound != NULL;
        if (bound)
            lea_bound_run(m);
        if (lea_u32_load_acq(&rt->phase) == LEA_PHASE_STOP)
            break;
        if (m->leaves) {
            calm(m);
            lea_quiet_end_without(rt);
            break;
        }
        if (bound && m->proc) /* its coroutine has taken one at the unlock */
            continue;
        if (!spare_wait(m))
            break;
    }
    lea_ctx_release(&m->ctx);
    lea_overflow_thread_end(m);
    lea_self_set(NULL);
    lea_self_slot_set(0); /* what is called as it ends is as on a plain thread */
    lea_light_thread_end();
    lea_worker_reap(rt); /* so there is never more than one that nobody has joined, or a few */
    worker_gone(m);
}

struct lea_worker *lea_worker_adopt(struct lea_runtime *rt)
{
    struct lea_worker *m;

    lea_lock_take(&rt->lock);
    m = lea_worker_new_locked(rt, NULL);
    if (m)
        m->place = LEA_PLACE_ATTACHED;
    lea_lock_drop(&rt->lock);
    if (!m)
        return NULL;
    lea_u32_store_rlx(&m->tid, (uint32_t)lea_os_gettid()); /* relaxed: lea_worker_tid() */
    m->own_slot = 0;
    m->spread = true; /* where it runs, and how, is the program's affair */
    m->cxa = lea_cxa_of_thread(&m->no_cxa);
    m->last_proc = rt->proc[m->id % rt->nr_procs];
    return m;
}

void lea_worker_release(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;

    m->spread = false;
    lea_lock_take(&rt->lock);
    push(&rt->unused, m, LEA_PLACE_UNUSED);
    rt->nr_gone++;
    lea_lock_drop(&rt->lock);
}

static void worker_run(void *arg)
{
    lea_worker_main(arg);
}

/*
 * Only a wrong program's coroutine can do that: its processor would be lost, and whoever waits for
 * it wait for ever.
 */
static void worker_died(void *arg)
{
    (void)arg;
    lea_wrong("pthread_exit, or a cancellation of the thread",
              "a thread of the run would end; leat_exit_self() ends a coroutine");
}

static void *worker_thread(void *arg)
{
    struct lea_worker *m = arg;

    /*
     * jemalloc 5.3 crashes in a thread whose very first allocation finds no memory for an arena;
     * later ones give NULL. So: now
     */
    lea_heap_free(lea_heap_alloc(1), 1);
    /* nobody runs before all are there: the number of processors is settled by then */
    while (!lea_u32_load_acq(&m->rt->gate))
        lea_os_futex_wait(&m->rt->gate, 0, INT64_MAX);
    m->own_slot = m->id <= m->rt->own_slots ? LEA_OWN_SLOT(m->id) : 0;
    lea_self_slot_set(m->own_slot);
    if (m->rt->light)
        lea_light_thread_begin(m->id);
    lea_os_thread_guard(worker_run, worker_died, m);
    return NULL;
}

void lea_worker_reap(struct lea_runtime *rt)
{
    struct lea_worker *list, *m;

    lea_lock_take(&rt->lock);
    list = rt->end_joins ? NULL : rt->gone;
    if (list)
        rt->gone = NULL;
    for (m = list; m; m = m->spare_next)
        m->place = LEA_PLACE_JOINED;
    lea_lock_drop(&rt->lock);
    while ((m = pop(&list))) {
        lea_os_thread_join(m->thread);
        lea_lock_take(&rt->lock);
        push(&rt->unused, m, LEA_PLACE_UNUSED);
        lea_lock_drop(&rt->lock);
    }
}

static struct lea_worker *worker_start(struct lea_runtime *rt, struct lea_proc *p)
{
    int r, cpu = rt->config.pinned && p ? rt->config.pin_cpu[p->index] : -1;
    struct lea_worker *m;

    lea_lock_take(&rt->lock);
    m = lea_worker_new_locked(rt, p);
    if (m && !p)
        m->place = LEA_PLACE_HELD;
    r = m ? lea_os_thread_start(&m->thread, worker_thread, m, WORKER_STACK_BYTES, cpu) : -EAGAIN;
    if (r < 0 && m) { /* the word may name it: it stays */
        m->proc = NULL;
        push(&rt->unused, m, LEA_PLACE_UNUSED);
        rt->nr_gone++;
    }
    if (r < 0 && !rt->thread_warned) {
        rt->thread_warned = true;
        lea_log_warn("no further thread can be had (%s, %u so far): going on with fewer",
                     m                 ? "the system refuses"
                     : full_locked(rt) ? "LEAT_MAX_THREADS"
                                       : "no memory",
                     rt->nr_workers - rt->nr_gone);
    }
    lea_lock_drop(&rt->lock);
    return r < 0 ? NULL : m;
}

struct lea_worker *lea_worker_start(struct lea_runtime *rt, struct lea_proc *p)
{
    lea_worker_reap(rt);
    return worker_start(rt, p);
}

/* --- hand-overs --- */

static struct lea_worker *spare_pop_locked(struct lea_runtime *rt)
{
    struct lea_worker *m = pop(&rt->spare);

    if (m) {
        rt->nr_spare--;
        m->place = LEA_PLACE_HELD;
    }
    return m;
}

struct lea_worker *lea_worker_hold(struct lea_runtime *rt)
{
    struct lea_worker *m;

    lea_lock_take(&rt->lock);
    m = spare_pop_locked(rt);
    lea_lock_drop(&rt->lock);
    if (!m) {
        lea_worker_reap(rt);
        m = worker_start(rt, NULL);
    }
    return m;
}

void lea_worker_unhold(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;

    lea_lock_take(&rt->lock);
    push(&rt->spare, m, LEA_PLACE_SPARE);
    rt->nr_spare++;
    lea_lock_drop(&rt->lock);
}

void lea_worker_hand(struct lea_worker *m, struct lea_proc *p)
{
    struct lea_runtime *rt = m->rt;

    lea_lock_take(&rt->lock);
    m->place = LEA_PLACE_NONE;
    lea_proc_assign(p, m);
    lea_lock_drop(&rt->lock);
    lea_worker_wake(rt, m);
}

bool lea_worker_keep_spares(struct lea_runtime *rt, uint32_t n)
{
    /* as many at most: when the run stops each leaves at once, and there never are enough */
    for (uint32_t i = 0; i < n; i++) {
        struct lea_worker *m;
        bool enough;

        lea_lock_take(&rt->lock);
        /* beyond the first one they leave a place, which the pool may need */
        enough =
            rt->nr_spare >= n || threads_locked(rt) + (rt->nr_spare > 0) >= rt->config.max_threads;
        lea_lock_drop(&rt->lock);
        if (enough)
            return true;
        m = lea_worker_start(rt, NULL);
        if (!m)
            return false;
        lea_worker_unhold(m);
    }
    return true;
}

bool lea_proc_give(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    struct lea_proc *p = m->proc;
    struct lea_worker *to;

    if (rt->lone) /* the one worker is leat_run's caller */
        return false;
    m->last_proc = p;
    lea_lock_take(&rt->lock);
    to = spare_pop_locked(rt);
    if (to) {
        to->place = LEA_PLACE_NONE;
        m->proc = NULL;
        lea_proc_assign(p, to);
    }
    lea_lock_drop(&rt->lock);
    if (to) {
        lea_worker_wake(rt, to);
        return true;
    }
    m->proc = NULL;
    if (lea_worker_start(rt, p))
        return true;
    lea_proc_assign(p, m);
    return false;
}

bool lea_proc_reacquire(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    struct lea_proc *p;
    struct lea_worker *sleeper;

    if (m->bracket && lea_bracket_end(m)) {
        lea_worker_settle(m); /* the monitor may have let it go before it stepped aside */
        return true;
    }
    p = m->last_proc;
    if (!lea_u32_load_acq(&rt->idle.nr_idle))
        return false;
    if (!p || !lea_idle_claim_proc(rt, p))
        p = lea_idle_claim(rt);
    if (!p)
        return false;
    sleeper = p->worker;
    sleeper->proc = NULL;
    sleeper->last_proc = p;
    lea_proc_assign(p, m);
    lea_worker_wake(rt, sleeper); /* it goes to the spare list */
    lea_worker_settle(m);
    return true;
}

void lea_worker_sleep_for_ever(void)
{
    lea_u32 never = {0};

    for (;;)
        lea_os_futex_wait(&never, 0, INT64_MAX);
}
