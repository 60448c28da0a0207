/*
 * Pairs of sleeping and waking: IDLE-LOOK, IDLE-GATHER, IDLE-SLEEP, MONITOR, TICK. The runtime's
 * own functions around a struct lea_runtime that is made by hand: workers that sleep and look, and
 * no coroutine that runs, so that nothing makes up for a wake-up that was lost.
 */
#include "support/test.h"

#include "base/os.h"
#include "race/kit.h"
#include "sched/bracket.h"
#include "sched/find.h"
#include "sched/idle.h"
#include "sched/monitor.h"
#include "sched/ready.h"

#include <stdlib.h>
#include <string.h>

#define SPAN (500 * LEAT_MSEC)
#define PROCS 2u

static struct lea_runtime *rt;
static struct lea_proc *proc[PROCS];
static struct lea_worker *worker[PROCS];

static void *zeroed(size_t bytes)
{
    void *p =
        aligned_alloc(LEA_CACHELINE, (bytes + LEA_CACHELINE - 1) / LEA_CACHELINE * LEA_CACHELINE);

    memset(p, 0, bytes);
    return p;
}

static void runtime_make(void)
{
    rt = zeroed(sizeof(*rt));
    rt->nr_procs = PROCS;
    rt->proc = proc;
    rt->worker = worker;
    rt->nr_workers = PROCS;
    rt->config.slice_ns = INT64_MAX;
    lea_u32_store_rlx(&rt->main_done, 1); /* relaxed: no threads yet. Nobody looks for deadlocks */
    cr_assert(eq(int, lea_slab_init(&rt->batches, sizeof(struct lea_batch), 0), 0));
    cr_assert(eq(int, lea_stack_pool_init(&rt->stacks, 0), 0));
    cr_assert(eq(int, lea_netpoll_open(&rt->netpoll), 0));
    lea_inject_init(&rt->inject, &rt->batches);
    lea_lock_init(&rt->lock, LEA_RANK_SCHED);
    for (uint32_t i = 0; i < PROCS; i++) {
        struct lea_proc *p = proc[i] = zeroed(sizeof(*p));
        struct lea_worker *m = worker[i] = zeroed(sizeof(*m));

        p->rt = m->rt = rt;
        p->index = i;
        p->worker = m;
        m->proc = p;
        m->id = i + 1;
        lea_word_store_rlx(&p->owner, lea_proc_word(1, m->id, LEA_PROC_OWNED));
        lea_timers_init(&p->timers);
        lea_inject_init(&p->over, &rt->batches);
    }
}

static void runtime_free(void)
{
    for (uint32_t i = 0; i < PROCS; i++) {
        free(proc[i]);
        free(worker[i]);
    }
    lea_netpoll_close(&rt->netpoll);
    lea_stack_pool_destroy(&rt->stacks);
    lea_slab_destroy(&rt->batches);
    free(rt);
}

static void all_stop(void)
{
    lea_u32_store_rel(&rt->phase, LEA_PHASE_STOP);
    lea_fence_full();
    for (uint32_t i = 0; i < PROCS; i++)
        lea_worker_wake(rt, worker[i]);
}

/* --- IDLE-LOOK --- */

#define ITEMS 32u

static struct lea_co item[2][ITEMS];
static lea_u32 submitted[2], taken;
static bool gathered; /* to the sleeper of that number, into its backlog */

/* What a worker does when it has found nothing. */
static void *look_sleeper(void *arg)
{
    struct lea_worker *m = worker[race_self()];
    struct lea_inject *from = gathered ? &m->proc->over : &rt->inject;
    struct lea_co *out[LEA_BATCH_CAP];
    struct lea_ready_list list;
    struct lea_batch *empty;

    while (lea_u32_load_acq(&rt->phase) != LEA_PHASE_STOP) {
        uint32_t n = lea_inject_len(from) ? lea_inject_take(from, 1, out, &empty) : 0;

        if (n) {
            lea_search_end_found(m);
            (void)lea_u32_add(&taken, n);
            continue;
        }
        lea_ready_list_init(&list);
        lea_idle_wait(m, &list);
        RACE_CHECK(list.n == 0);
    }
    return arg;
}

/*
 * Submits a few, waits until all are taken and everybody falls asleep, and again: a hang is a lost
 * wake-up.
 */
static void *look_submitter(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, SPAN);
    unsigned self = race_self() - PROCS;
    uint32_t sum = 0;

    while (each_next(&rounds)) {
        for (uint32_t k = 1 + race_random(3); k > 0; k--) {
            struct lea_co *co = &item[self][sum++ % ITEMS];

            if (gathered) {
                lea_inject_push(&proc[self]->over, co);
                lea_idle_given(rt, proc[self], NULL);
            } else {
                lea_inject_push(&rt->inject, co);
                lea_idle_published(rt, NULL);
            }
        }
        lea_u32_store_rel(&submitted[self], sum);
        lea_fence_full(); /* one of the two sees the other's last sum */
        for (unsigned looks = 0;
             (int32_t)(lea_u32_load_acq(&taken) - lea_u32_load_acq(&submitted[0]) -
                       lea_u32_load_acq(&submitted[1])) < 0;
             looks++)
            if (looks > 100)
                lea_os_thread_yield();
        race_jitter();
    }
    if (lea_u32_add(&rt->ended, 1) + 1 == 2)
        all_stop();
    return arg;
}

/*
 * Goal: a submitter sees the sleeper, or the sleeper what was submitted; nobody sleeps beside work.
 */
Test(race_idle, idle_look, .timeout = 60)
{
    static void *(*const fn[])(void *) = {look_sleeper, look_sleeper, look_submitter,
                                          look_submitter};

    runtime_make();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    cr_expect(eq(u32, lea_u32_load_rlx(&rt->inject.n), 0));
    runtime_free();
}

/*
 * Goal: IDLE-GATHER: who is given coroutines sees them, or is seen asleep. Its turns are small, so
 * that nobody else cares for them.
 */
Test(race_idle, idle_gather, .timeout = 60)
{
    static void *(*const fn[])(void *) = {look_sleeper, look_sleeper, look_submitter,
                                          look_submitter};

    gathered = true;
    runtime_make();
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
    for (uint32_t i = 0; i < PROCS; i++)
        cr_expect(eq(u32, lea_inject_len(&proc[i]->over), 0));
    runtime_free();
}

/* --- IDLE-SLEEP --- */

static lea_u32 woken; /* tokens that the sleeper has had */

static void *sleep_sleeper(void *arg)
{
    struct lea_worker *m = worker[0];
    struct lea_ready_list list;

    while (lea_u32_load_acq(&rt->phase) != LEA_PHASE_STOP) {
        if (race_random(2)) { /* in the poller, or on the word when that is taken */
            uintptr_t before = lea_word_load_rlx(&proc[0]->count[LEA_COUNT_WOKEN]);

            /* relaxed: ours alone here */
            lea_u32_store_rlx(&rt->idle.watcher, race_random(2) ? 0 : PROCS + 1);
            lea_ready_list_init(&list);
            lea_idle_wait(m, &list);
            if (lea_word_load_rlx(&proc[0]->count[LEA_COUNT_WOKEN]) == before)
                continue; /* nobody has claimed it */
            lea_search_end_found(m);
        } else { /* as a spare one: whoever has it in a list hands it a token */
            lea_u32_store_rel(&rt->ended, 1);
            while (!lea_worker_sleep(m, INT64_MAX))
                ;
            lea_token_take(m);
            if (lea_u32_load_acq(&rt->ended)) /* it was not taken: the end */
                continue;
        }
        (void)lea_u32_add(&woken, 1);
    }
    lea_search_end_found(m); /* its last look may have seen the end, and gone on searching */
    return arg;
}

static void *sleep_waker(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, SPAN);
    uint32_t tokens = 0;

    while (each_next(&rounds)) {
        unsigned round = 0;

        for (;; round++) {
            if (lea_idle_claim_proc(rt, proc[0])) {
                (void)lea_u32_add(&rt->idle.nr_searching, 1);
                worker[0]->searching = true;
                break;
            }
            if (lea_u32_cas(&rt->ended, 1, 0))
                break;
            if (round > 100)
                lea_os_thread_yield();
        }
        race_jitter();
        lea_worker_wake(rt, worker[0]);
        race_await(&woken, ++tokens); /* a hang: the token was lost */
    }
    all_stop();
    return arg;
}

/*
 * Goal: a token that comes before, while or after its worker falls asleep ends that sleep, on the
 * word and in the poller.
 */
Test(race_idle, idle_sleep, .timeout = 60)
{
    static void *(*const fn[])(void *) = {sleep_sleeper, sleep_waker};

    runtime_make();
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    cr_expect(eq(u32, lea_u32_load_rlx(&rt->idle.nr_idle), 0));
    cr_expect(eq(u32, lea_u32_load_rlx(&rt->idle.nr_searching), 0));
    runtime_free();
}

/* --- MONITOR --- */

static struct lea_co owed; /* its wake-up is owed, and only the monitor pays */

/* Its processor is idle by turns, and has an owed one each time it is not. */
static void *monitor_toggler(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, 2 * SPAN);
    struct lea_proc *p = proc[0];
    uint32_t sum = 0;

    while (each_next(&rounds)) {
        lea_word_or(&rt->idle.mask[0], 1);
        (void)lea_u32_add(&rt->idle.nr_idle, 1);
        lea_fence_full(); /* as idle_announce() */
        /*
         * the monitor falls asleep for good meanwhile, in a build that does not let it wait for
         * long
         */
        (void)lea_os_sleep_until(lea_os_now_ns() + (int64_t)race_random(1500000));
        if (!lea_idle_claim_proc(rt, p)) { /* the monitor was late, and has woken us */
            lea_token_await(worker[0]);
            lea_search_end_found(worker[0]);
        }
        RACE_CHECK(lea_next_put(p, &owed) == NULL);
        sum++;
        /* a hang: the monitor sleeps beside a busy processor */
        while (lea_u32_load_acq(&taken) != sum)
            (void)lea_os_futex_wait(&taken, sum - 1, INT64_MAX);
    }
    all_stop();
    return arg;
}

static void *monitor_sleeper(void *arg)
{
    struct lea_ready_list list;

    while (lea_u32_load_acq(&rt->phase) != LEA_PHASE_STOP) {
        uintptr_t w;

        lea_ready_list_init(&list);
        lea_idle_wait(worker[1], &list);
        if (lea_u32_load_acq(&rt->phase) == LEA_PHASE_STOP)
            break; /* a late monitor may be about to wake it */
        lea_search_end_found(worker[1]);
        w = lea_word_load_acq(&proc[0]->next);
        if (w && lea_word_cas(&proc[0]->next, w, 0)) {
            RACE_CHECK(w == (uintptr_t)&owed);
            (void)lea_u32_add(&taken, 1);
            (void)lea_os_futex_wake(&taken, 1);
        }
    }
    return arg;
}

/* Goal: a processor that leaves idleness as the monitor falls asleep is watched all the same. */
Test(race_idle, monitor, .timeout = 60)
{
    static void *(*const fn[])(void *) = {monitor_toggler, monitor_sleeper};

    runtime_make();
    cr_assert(eq(int, lea_monitor_start(rt), 0));
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    lea_monitor_stop(rt);
    cr_expect(gt(u32, lea_u32_load_rlx(&taken), 0));
    runtime_free();
}

/* --- TICK --- */

#define BRACKETS 20000u

static uint32_t inside[BRACKETS]; /* plain: written within the bracket of that number */
static uint32_t brackets;         /* how many write */

static void *tick_worker(void *arg)
{
    struct lea_worker *m = worker[0];

    lea_self_set(m);
    for (uint32_t i = 0; i < brackets; i++) {
        RACE_CHECK(lea_enter() == m);
        inside[i] = i + 1;
        lea_leave(m);
        race_jitter();
    }
    while (lea_u32_load_acq(&m->request)) { /* the last one, too */
        (void)lea_enter();
        lea_leave(m);
    }
    lea_u32_store_rel(&rt->ended, 1);
    while (!lea_u32_load_acq(&rt->gate)) {
        (void)lea_enter();
        lea_leave(m);
    }
    return arg;
}

static void *tick_watcher(void *arg)
{
    const struct lea_worker *m = worker[0];
    uint32_t sum = 0;

    do {
        uint32_t tick = lea_u32_load_acq(&m->tick);

        /* so many brackets are over, whether it is in the next one or not */
        if (tick >= 2 && tick / 2 <= brackets)
            RACE_CHECK(inside[tick / 2 - 1] == tick / 2);
        sum += lea_u32_cas(&worker[0]->request, 0, LEA_REQUEST_LOOK);
        /* a hang: an entry has not seen it */
        for (unsigned looks = 0; lea_u32_load_acq(&m->request); looks++)
            if (looks > 100)
                lea_os_thread_yield();
    } while (!lea_u32_load_acq(&rt->ended));
    lea_u32_store_rel(&rt->gate, 1);
    RACE_CHECK(sum > 0);
    return arg;
}

/*
 * Goal: what was done in a bracket is seen by whoever sees its end, and a request is met at the
 * next entry.
 */
Test(race_idle, tick, .timeout = 60)
{
    static void *(*const fn[])(void *) = {tick_worker, tick_watcher};

    brackets = EACH_SLOW(BRACKETS);
    runtime_make();
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    runtime_free();
}
