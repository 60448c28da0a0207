/*
 * Scenarios of sleeping and waking alone: submitters and sleepers around one struct lea_idle,
 * without coroutines that run.
 */
#include "kit.h"

#include "all.h"
#include "sched/find.h"
#include "sched/idle.h"
#include "sched/worker.h"

#include "base/os.h"

#include <fcntl.h>

#define MAX_SLEEPERS 2
#define NR_SUBMITTERS 2

static struct lea_runtime *rt;
static struct lea_worker *worker[MAX_SLEEPERS];
static unsigned nr_sleepers;
static unsigned taken, goal;
static bool long_turns, gathered; /* into the processor's own backlog */

static struct lea_inject *source(const struct lea_worker *m)
{
    return gathered ? &m->proc->over : &rt->inject;
}

/*
 * What a worker does when it has found nothing, until all that was submitted is taken: whoever
 * waits in vain hangs.
 */
static void *sleeper(void *arg)
{
    struct lea_worker *m = arg;
    struct lea_co *out[LEA_BATCH_CAP];
    struct lea_ready_list list;
    struct lea_batch *empty;

    while (lea_u32_load_acq(&rt->phase) != LEA_PHASE_STOP) {
        uint32_t n = lea_inject_len(source(m)) ? lea_inject_take(source(m), 1, out, &empty) : 0;

        if (!n) {
            lea_ready_list_init(&list);
            lea_idle_wait(m, &list);
            continue;
        }
        lea_search_end_found(m);
        taken += n;
        if (taken == goal)
            break;
        if (long_turns)
            (void)sim_block("a long turn", 0, sim.now_ns + 5000000);
    }
    lea_u32_store_rel(&rt->phase, LEA_PHASE_STOP);
    lea_fence_full();
    for (unsigned i = 0; i < nr_sleepers; i++)
        lea_worker_wake(rt, worker[i]);
    return NULL;
}

static void *submitter(void *arg)
{
    struct lea_co *co = arg;

    for (unsigned i = 0; i < goal / NR_SUBMITTERS; i++) {
        if (gathered) {
            lea_inject_push(&rt->proc[0]->over, &co[i]);
            lea_idle_given(rt, rt->proc[0], NULL);
        } else {
            lea_inject_push(&rt->inject, &co[i]);
            lea_idle_published(rt, NULL);
        }
    }
    return NULL;
}

static void runtime_make(unsigned n)
{
    nr_sleepers = n;
    gathered = false;
    long_turns = sim_shape(2);
    rt = sim_arena_alloc(sizeof(*rt), 64);
    rt->nr_procs = nr_sleepers;
    rt->proc = sim_arena_alloc(nr_sleepers * sizeof(*rt->proc), 64);
    sim_check(lea_slab_init(&rt->batches, sizeof(struct lea_batch), 0) == 0, "no slab");
    lea_inject_init(&rt->inject, &rt->batches);
    sim_check(lea_slab_alloc_bulk(&rt->batches, (void **)&rt->inject.spare, 1) == 1,
              "no batch"); /* saves steps */
    rt->inject.spare->from = rt->inject.spare->n = 0;
    rt->idle.watcher.value_ = nr_sleepers + 1; /* nobody sleeps in the poller */
    for (unsigned i = 0; i < nr_sleepers; i++) {
        struct lea_proc *p = rt->proc[i] = sim_arena_alloc(sizeof(*p), 64);
        struct lea_worker *m = worker[i] = sim_arena_alloc(sizeof(*m), 64);

        p->rt = m->rt = rt;
        p->index = i;
        p->worker = m;
        m->proc = p;
        m->id = i + 1;
        lea_timers_init(&p->timers);
        lea_inject_init(&p->over, &rt->batches);
    }
}

static void play(void)
{
    struct sim_thread *t[MAX_SLEEPERS + NR_SUBMITTERS];
    struct lea_co *co = sim_arena_alloc(8 * sizeof(*co), 64);

    taken = 0;
    for (unsigned i = 0; i < nr_sleepers; i++)
        t[i] = kit_thread(sleeper, worker[i]);
    for (unsigned i = 0; i < NR_SUBMITTERS; i++)
        t[nr_sleepers + i] = kit_thread(submitter, co + 4 * i);
    for (unsigned i = 0; i < nr_sleepers + NR_SUBMITTERS; i++)
        kit_join(t[i]);
    sim_check(taken == goal, "%u of %u were taken", taken, goal);
    lea_slab_destroy(&rt->batches);
}

void scenario_idle(void)
{
    runtime_make(2);
    goal = NR_SUBMITTERS * (1 + sim_shape(2));
    play();
}

static void *claimer(void *arg)
{
    (void)arg;
    (void)lea_u32_add(&rt->idle.nr_idle, (uint32_t)-1);
    return NULL;
}

/*
 * A claimer has cleared the last bit and has not counted it yet: a submitter that looks for
 * somebody to wake finds nobody.
 */
void scenario_idle_claimed(void)
{
    struct sim_thread *t;

    runtime_make(1);
    rt->idle.nr_idle.value_ = 1;
    goal = NR_SUBMITTERS;
    t = kit_thread(claimer, NULL);
    play();
    kit_join(t);
}

/* Its turns are small: nobody else looks at what was given to it. */
void scenario_idle_given(void)
{
    runtime_make(1);
    gathered = true;
    goal = NR_SUBMITTERS * (1 + sim_shape(2));
    play();
}

/* --- a processor that is taken from its sleeper --- */

static struct lea_fd *pipe_end;

static void end_of_run(void)
{
    lea_u32_store_rel(&rt->phase, LEA_PHASE_STOP);
    lea_fence_full();
    for (unsigned i = 0; i < MAX_SLEEPERS; i++)
        lea_worker_wake(rt, worker[i]);
}

static bool over(void)
{
    return lea_u32_load_acq(&rt->phase) == LEA_PHASE_STOP;
}

/*
 * As lea_find_wait() with nothing to find, until the pipe is readable. Who sees that ends the run,
 * with a processor or without.
 */
static void *waits(void *arg)
{
    struct lea_worker *m = arg;
    struct lea_ready_list list;

    while (!over()) {
        if (pipe_end && lea_word_load_acq(&pipe_end->word[LEA_FD_READ]) == LEA_FD_READY) {
            end_of_run();
            break;
        }
        if (!m->proc)
            break;
        lea_ready_list_init(&list);
        lea_idle_wait(m, &list);
        if (!over() && m->proc)
            m->proc->turn_check_ns = 0;
    }
    return NULL;
}

/* Another worker takes the processor, uses it for a moment, and sleeps with it. */
static void *takes(void *arg)
{
    struct lea_worker *m = arg;

    for (int i = 0; i < 20 && !over(); i++) {
        if (lea_proc_reacquire(m)) {
            m->proc->turn_check_ns = 1;
            return waits(m);
        }
        lea_os_thread_yield();
    }
    return NULL;
}

static void *writes(void *arg)
{
    int fd = *(int *)arg;

    if (sim_shape(4)) /* when all sleep */
        (void)lea_os_sleep_until(lea_os_now_ns() + 10000000);
    sim_check(lea_os_write(fd, "x", 1) == 1, "the pipe is full");
    return NULL;
}

/* One processor, its worker, and one without. */
static void two_workers(void)
{
    struct lea_worker *m = sim_arena_alloc(sizeof(*m), 64);

    runtime_make(1);
    m->rt = rt;
    m->id = 2;
    worker[1] = m;
    lea_proc_assign(rt->proc[0], worker[0]);
}

static void watcher_round(void)
{
    struct lea_ready_list list;
    struct sim_thread *t[3];
    int fds[2];

    two_workers();
    rt->idle.watcher.value_ = 0;
    sim_check(lea_netpoll_open(&rt->netpoll) == 0, "no poller");
    sim_check(lea_os_pipe2(fds, O_NONBLOCK) == 0, "no pipe");
    lea_ready_list_init(&list);
    sim_check(lea_fd_adopt(&rt->netpoll, fds[0], LEA_FD_KIND_STREAM, LEA_FD_MADE, &list) == 0,
              "no record");
    pipe_end = lea_fd_get(&rt->netpoll, fds[0]);
    sim_check(lea_fd_arm(&rt->netpoll, pipe_end, fds[0]) == 0, "the poller does not know it");
    t[0] = kit_thread(waits, worker[0]);
    t[1] = kit_thread(takes, worker[1]);
    t[2] = kit_thread(writes, &fds[1]);
    for (int i = 0; i < 3; i++)
        kit_join(t[i]);
    sim_check(over(), "nobody has seen the byte");
    lea_os_close(fds[0]);
    lea_os_close(fds[1]);
    lea_netpoll_close(&rt->netpoll);
    lea_slab_destroy(&rt->batches);
}

void scenario_idle_watcher(void)
{
    /* the taker must fall asleep before the one that it has woken comes to its turn */
    for (int i = 0; i < 6; i++)
        watcher_round();
}

void scenario_idle_ended(void)
{
    struct sim_thread *t[2];

    two_workers();
    pipe_end = NULL;
    t[0] = kit_thread(waits, worker[0]);
    t[1] = kit_thread(takes, worker[1]);
    end_of_run();
    for (int i = 0; i < 2; i++)
        kit_join(t[i]);
    lea_slab_destroy(&rt->batches);
}
