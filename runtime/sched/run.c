/*
 * Beginning and end of a run: leat_run(), and the root that finds the runtime.
 *
 * Beginning: everything is made before any worker passes the gate, so that the number of processors
 * is settled (fewer threads than asked for mean fewer processors). The caller's thread waits; only
 * when no thread at all can be had does it become the one worker.
 *
 * End: phase ENDING (no more spawns), everybody is cancelled, a bounded wait; phase STOP, workers
 * leave their loops; what is left is named. A thread that is still in user code then keeps the
 * runtime's memory, and sleeps at its next entry.
 *
 * Ordering pair ROOT (law 3): a plain thread adds to users, fence, reads rt; the end clears rt,
 * fence, waits for users to be 0.
 *
 * For the pair ATTACH-END see attach.c.
 */
#include "sched/run.h"
#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "co/report.h"
#include "mem/heap.h"
#include "sched/attach.h"
#include "sched/chaos.h"
#include "sched/dump.h"
#include "sched/idle.h"
#include "sched/light.h"
#include "sched/loop.h"
#include "sched/membarrier.h"
#include "sched/monitor.h"
#include "sched/overflow.h"
#include "sched/solo.h"
#include "sched/spawn.h"
#include "sched/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define SWEEP_NS 10000000
#define LEAVE_NS 150000000 /* a busy machine may take so long to let the threads leave */
#define REPORT_MAX 20

/*
 * Finds the run that is under way. The other writable statics are lea_solo and lea_light (solo.h,
 * light.h), which threads without a run look at too.
 */
static struct {
    lea_word rt;    /* struct lea_runtime *; 0 none */
    lea_u32 users;  /* plain threads that hold it */
    lea_u32 active; /* 1: leat_run is under way */
    lea_u32 forked; /* 1: this is a child, forked in the middle of a run of its parent's */
    lea_u32
        /*
         * 1: threads of earlier runs are still in user code, and may use what belonged to their
         * workers
         */
        left;
} root;

struct lea_runtime *lea_rt(void)
{
    struct lea_worker *m = lea_self();

    return m ? m->rt : (struct lea_runtime *)lea_word_load_acq(&root.rt);
}

struct lea_runtime *lea_rt_hold(void)
{
    struct lea_runtime *rt;

    (void)lea_u32_add(&root.users, 1);
    if (!LEA_MUTATED(ROOT_FENCE))
        lea_fence_after_rmw(); /* ROOT */
    lea_delay_point(ROOT);
    rt = (struct lea_runtime *)lea_word_load_acq(&root.rt);
    if (!rt)
        lea_rt_drop();
    return rt;
}

void lea_rt_keep(void)
{
    (void)lea_u32_add(&root.users, 1); /* ATTACH-END */
}

int lea_outside(int usual)
{
    return lea_u32_load_acq(&root.forked) ? -ENOTSUP : usual;
}

/*
 * In a child, on the one thread that it has. Nothing of the run is there but memory, and the
 * poller's descriptor, which is the parent's: so there is no run. Locks are as they were in the
 * parent at that instant; nobody comes to one any more that belongs to the run.
 */
static void in_child(void)
{
    lea_solo_forked();
    lea_light_forked();
    if (!lea_u32_load_acq(&root.active))
        return;
    lea_u32_store_rel(&root.forked, 1);
    lea_word_store_rel(&root.rt, 0);
    lea_self_set(NULL);
    lea_self_slot_set(0);
    lea_self_blocking_set(NULL);
}

void lea_rt_drop(void)
{
    if (lea_u32_add(&root.users, (uint32_t)-1) == 1 && !lea_word_load_acq(&root.rt))
        lea_os_futex_wake(&root.users, 1);
}

static void users_wait(void)
{
    uint32_t n;

    while ((n = lea_u32_load_acq(&root.users))) /* ATTACH-END */
        lea_os_futex_wait(&root.users, n, lea_os_now_ns() + SWEEP_NS);
}

static void root_clear(void)
{
    lea_word_store_rel(&root.rt, 0);
    lea_fence_full(); /* ROOT */
    lea_delay_point(ROOT);
    users_wait();
}

/* --- the main coroutine --- */

struct main_args {
    int (*fn)(void *);
    void *arg;
};

static leat_result main_run(void *args)
{
    struct main_args *a = args;

    return a->fn(a->arg);
}

static const struct leat_site_ main_site = {
    .run = main_run, .file = "leat_run", .fn = "main", .line = 0};

static void main_ended(struct lea_end_hook *hook, struct lea_co *co, leat_result result)
{
    struct lea_runtime *rt = lea_container(hook, struct lea_runtime, main_hook);

    (void)co;
    rt->main_result = (int)result;
    lea_u32_store_rel(&rt->main_done, 1);
    lea_os_futex_wake(&rt->main_done, 1);
}

/* --- threads --- */

/* How many processors there are is known now: as many as workers could be had. */
static void settle_procs(struct lea_runtime *rt, uint32_t n)
{
    rt->nr_procs = n;
    rt->alone = n == 1;
    rt->light = !lea_u32_load_acq(&root.left) && !rt->fenced;
    if (lea_u32_load_acq(&root.left)) /* nobody touches what those may think is theirs */
        rt->own_slots = 0;
    else if (n > LEA_OWN_SLOTS || rt->fenced)
        rt->all_slots = true;
    else
        rt->own_slots = LEA_OWN_SLOTS;
    for (uint32_t i = 0; i < n; i++) {
        lea_spawner_init(rt, &rt->proc[i]->spawner, i + 1);
        rt->proc[i]->alone = rt->alone;
        for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
            rt->proc[i]->ring[c].alone = rt->alone;
    }
}

/*
 * Returns: 0; -ENOMEM. *own: the worker that the calling thread must become, NULL when there are
 * threads enough.
 */
static int threads_start(struct lea_runtime *rt, struct lea_worker **own)
{
    bool only = lea_os_nr_threads() == 1;
    uint32_t n = 0;

    *own = NULL;
    rt->fenced = lea_os_membarrier_register() < 0 || lea_os_membarrier() < 0;
    if (rt->fenced)
        lea_log_info("the system has no membarrier: every call passes a fence");
    else
        lea_u32_store_rel(&lea_membarrier_known.found, 1);
    while (n < rt->config.nr_procs && lea_worker_start(rt, rt->proc[n]))
        n++;
    if (n == 0) {
        lea_lock_take(&rt->lock);
        *own = lea_worker_new_locked(rt, rt->proc[0]);
        lea_lock_drop(&rt->lock);
        if (!*own)
            return -ENOMEM;
        rt->lone = true;
        n = 1;
    }
    settle_procs(rt, n);
    /* what threads of earlier runs take for their processor is none */
    lea_solo_run_begins(rt->alone && !rt->fenced && !lea_chaos(rt) && !lea_u32_load_acq(&root.left),
                        only);
    lea_word_store_rel(&root.rt, (uintptr_t)rt);
    if (lea_monitor_start(rt) < 0) {
        lea_log_warn(
            "the monitor's thread cannot be had: a turn that never ends will not be noticed");
        for (uint32_t i = 0; i < n; i++)
            rt->proc[i]->unwatched = true;
    }
    lea_u32_store_rel(&rt->gate, 1);
    lea_os_futex_wake(&rt->gate, INT32_MAX);
    return 0;
}

/* --- the end --- */

static void cancel_one(void *obj, void *arg)
{
    struct lea_co *g = obj;

    /* who is between FREE and READY comes next time; relaxed: constant from before it was READY */
    if (lea_u32_load_acq(&g->state) != LEA_FREE &&
        (!(lea_word_load_rlx(&g->wait) & LEA_WAIT_SHELTER) || LEA_MUTATED(SHELTER_SWEPT))) {
        lea_solo_heed();
        (void)lea_co_cancel(g, arg);
    }
}

/* Again and again: a spawn that had begun before ENDING may come late. */
void lea_run_cancel_all(struct lea_runtime *rt)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    lea_slab_each(&rt->cos, cancel_one, &list);
    lea_ready_list_all(rt, NULL, &list);
}

struct leftovers {
    uint64_t n;
};

static void name_leftover(void *obj, void *arg)
{
    struct lea_co *g = obj;
    struct leftovers *l = arg;
    char text[LEA_CO_TEXT_BYTES];
    struct lea_co_look look;

    if (!lea_co_look(g, &look)) /* nobody changes them any more: a free one */
        return;
    (void)lea_co_claim(g, lea_co_ticket(g),
                       LEA_WAKE_CLOSED); /* nobody readies it into a later run */
    if (l->n++ >= REPORT_MAX)
        return;
    lea_log_warn("  %s", lea_co_text(text, sizeof(text), &look));
}

/* Wait until `done` says so, or the time is up. Woken by everybody who ends. */
static bool wait_ended(struct lea_runtime *rt, bool (*done)(struct lea_runtime *), int64_t until_ns,
                       bool sweep)
{
    for (;;) {
        uint32_t seen = lea_u32_load_acq(&rt->ended);
        int64_t now, next;

        if (done(rt))
            return true;
        now = lea_os_now_ns();
        if (now >= until_ns)
            return false;
        if (sweep)
            lea_run_cancel_all(rt);
        next = now + SWEEP_NS < until_ns ? now + SWEEP_NS : until_ns;
        (void)lea_os_futex_wait(&rt->ended, seen, next);
    }
}

static bool none_alive(struct lea_runtime *rt)
{
    return lea_alive(rt) == 0;
}

/* But for threads that may be left behind. */
static bool others_gone(struct lea_runtime *rt)
{
    bool gone;

    lea_lock_take(&rt->lock);
    gone = rt->nr_gone == rt->nr_workers;
    lea_lock_drop(&rt->lock);
    return gone && lea_blocking_nr_threads(&rt->blocking) == lea_blocking_nr_tasks(&rt->blocking);
}

static bool all_gone(struct lea_runtime *rt)
{
    return others_gone(rt) && lea_blocking_nr_threads(&rt->blocking) == 0;
}

static void workers_stop(struct lea_runtime *rt)
{
    lea_u32_store_rel(&rt->phase, LEA_PHASE_STOP);
    lea_fence_full();         /* IDLE-LOOK: a worker that is about to sleep looks at the phase */
    lea_lock_take(&rt->lock); /* a worker may just be starting another */
    for (uint32_t i = 0; i < rt->nr_workers; i++) {
        lea_request_add(rt->worker[i], LEA_REQUEST_SLICE | LEA_REQUEST_TAKE);
        lea_worker_wake(rt, rt->worker[i]);
    }
    lea_lock_drop(&rt->lock);
}

static void trace_dump(struct lea_runtime *rt)
{
    int fd;

    if (!rt->config.trace_path[0])
        return;
    fd = lea_os_open(rt->config.trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        lea_log_error("LEAT_TRACE=%s: the file could be written at the start of the run, and "
                      "cannot be at its end (errno %d)",
                      rt->config.trace_path, -fd);
        return;
    }
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        if (rt->proc[i]->trace)
            lea_trace_write(rt->proc[i]->trace, fd, i);
    lea_os_close(fd);
}

static void threads_end(struct lea_runtime *rt, bool own_worker)
{
    uint32_t n;

    lea_lock_take(&rt->lock);
    /* nobody starts another one any more: STOP was seen, or will be at the next entry */
    n = rt->nr_workers;
    rt->end_joins =
        true; /* a worker that is left over ends later, and would join those that are joined or
                 detached here */
    for (const struct lea_worker *m = rt->spare; m; m = m->spare_next)
        /* or a processor could be given to a thread that is no more */
        LEA_ASSERT(m->place == LEA_PLACE_SPARE);
    lea_lock_drop(&rt->lock);
    for (uint32_t i = own_worker ? 1 : 0; i < n; i++) {
        enum lea_worker_place place;

        lea_lock_take(&rt->lock);
        place = rt->worker[i]->place;
        lea_lock_drop(&rt->lock);
        if (place == LEA_PLACE_GONE)
            lea_os_thread_join(rt->worker[i]->thread);
        else if (place != LEA_PLACE_UNUSED && place != LEA_PLACE_JOINED &&
                 place != LEA_PLACE_ATTACHED)
            lea_os_thread_detach(rt->worker[i]->thread);
    }
}

/*
 * When nobody registers any more: plain threads are out since root_clear(), and a coroutine that is
 * left over sleeps at its next entry.
 */
static void call_at_end(struct lea_runtime *rt)
{
    for (unsigned i = 0; i < LEA_NR_AT_END; i++) {
        lea_at_end call = (lea_at_end)lea_word_load_acq(&rt->at_end[i]);

        if (call)
            call(rt);
    }
}

/* The main coroutine has ended. */
static void run_end(struct lea_runtime *rt, bool own_worker)
{
    struct leftovers left = {0};
    int64_t grace = rt->config.shutdown_grace_ns;
    bool all_ended, clean, behind;

    lea_u32_store_rel(&rt->phase, LEA_PHASE_ENDING);
    all_ended =
        own_worker ? none_alive(rt) : wait_ended(rt, none_alive, lea_os_now_ns() + grace, true);
    root_clear();
    lea_monitor_stop(rt);
    workers_stop(rt);
    lea_blocking_stop(&rt->blocking);
    behind =
        wait_ended(rt, others_gone, lea_os_now_ns() + (grace > LEAVE_NS ? grace : LEAVE_NS), false);
    clean = behind && wait_ended(rt, all_gone, lea_os_now_ns() + LEAVE_NS, false);
    if (!LEA_MUTATED(ATTACH_END_EARLY))
        users_wait(); /* ATTACH-END */
    threads_end(rt, own_worker);
    if (behind) {
        lea_solo_run_ended();
        if (!lea_u32_load_acq(&root.left)) /* by a run before: its threads unlock on */
            lea_light_run_ended();
    } else {
        lea_solo_heed(); /* who is left may be in the middle of a section */
    }
    lea_blocking_end(&rt->blocking);
    call_at_end(rt);
    lea_chaos_end(rt);
    lea_where_end(rt);
    lea_dump_end(rt);
    lea_overflow_end(rt);
    if (!all_ended &&
        lea_alive(rt)) { /* now, when nobody changes them any more but who is in user code */
        uint64_t n = lea_alive(rt);

        lea_log_warn("%" PRIu64 " coroutine%s still alive %" PRId64 " ms after %s cancelled:", n,
                     n == 1 ? " is" : "s are", grace / 1000000, n == 1 ? "it was" : "they were");
        lea_slab_each(&rt->cos, name_leftover, &left);
    }
    if (clean) {
        trace_dump(rt);
        lea_runtime_free(rt, left.n != 0);
    } else if (behind) {
        lea_log_info("a look-up of a name has no answer yet, and keeps the memory of this run");
    } else {
        uint32_t n;

        lea_u32_store_rel(&root.left, 1);
        lea_lock_take(&rt->lock);
        n = rt->nr_workers - rt->nr_gone;
        lea_lock_drop(&rt->lock);
        n += lea_blocking_nr_threads(&rt->blocking);
        lea_log_warn("%u thread%s still in user code, and keep%s the memory of this run", n,
                     n == 1 ? " is" : "s are", n == 1 ? "s" : "");
    }
}

static int run(struct lea_runtime *rt, int (*fn)(void *), void *arg)
{
    struct main_args args = {fn, arg};
    struct lea_spawn what = {
        .site = &main_site, .args = &args, .bytes = sizeof(args), .prio_class = LEA_CLASS_NORMAL};
    struct lea_worker *own = NULL;
    struct lea_co *g;
    int r;

    rt->nr_procs = rt->config.nr_procs;
    lea_spawner_init(rt, &rt->outside, 0);
    rt->main_hook.ended = main_ended;
    what.hook = &rt->main_hook;
    r = lea_spawn(rt, NULL, &what, &g);
    if (r == 0) {
        lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue's lock publishes it */
        lea_inject_push(&rt->inject, g);
        lea_overflow_begin(rt);
        lea_dump_begin(rt);
        lea_where_begin(rt);
        lea_chaos_begin(rt);
        r = threads_start(rt, &own);
        if (r < 0) {
            lea_chaos_end(rt);
            lea_where_end(rt);
            lea_dump_end(rt);
            lea_overflow_end(rt);
        }
    }
    if (r < 0) {
        lea_log_error("the main coroutine cannot begin: the system refuses %s (errno %d)",
                      lea_refused(r), -r);
        lea_runtime_free(rt, false);
        return r;
    }
    if (own)
        lea_lone_run(own);
    while (!lea_u32_load_acq(&rt->main_done))
        lea_os_futex_wait(&rt->main_done, 0, INT64_MAX);
    r = rt->main_result;
    run_end(rt, own != NULL);
    return r;
}

int leat_run_with(const leat_config *config, int (*fn)(void *), void *arg)
{
    struct lea_runtime *rt;
    int r;

    if (!fn) {
        lea_log_error("leat_run: the function is NULL, it must be the main coroutine's");
        return -EINVAL;
    }
    if (lea_self() || !lea_u32_cas(&root.active, 0, 1))
        return lea_outside(-EBUSY);
    lea_os_at_fork(in_child);
    lea_os_at_thread_end(lea_attach_thread_ended);
    r = lea_runtime_new(&rt, config);
    if (r == 0)
        r = run(rt, fn, arg);
    lea_u32_store_rel(&root.active, 0);
    return r;
}

int leat_run(int (*fn)(void *), void *arg)
{
    return leat_run_with(NULL, fn, arg);
}
