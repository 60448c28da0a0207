/*
 * Scenarios: mutexes and waitgroups, by plain threads alone and under the whole scheduler. What
 * they protect lies in memory that is watched.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

/* What the mutex protects, and the mutex: gone when the last user has left. */
struct shared {
    leat_mutex mutex;
    leat_waitgroup wg;
    uint64_t inside, count;
    uint64_t item[8];
};

static struct {
    struct shared *x;
    unsigned rounds, locked, gave_up, ended, left;
    bool holds; /* for a while */
    int64_t patience_ns;
    leat_handle *handle[4];
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    s.rounds = 1 + sim_shape(2);
}

/* --- mutex --- */

static void section(void)
{
    sim_touch(&s.x->inside, 8, true, HERE);
    sim_check(s.x->inside++ == 0, "two are inside");
    sim_touch(&s.x->count, 8, false, HERE);
    if (s.holds)
        (void)leat_sleep(s.x->count % 3 ? 2 * LEAT_USEC : 1500 * LEAT_USEC);
    sim_point();
    sim_touch(&s.x->count, 8, true, HERE);
    s.x->count++;
    s.x->inside--;
    s.locked++;
}

/* how 0: takes it whatever it takes; 1: tries; 2: until a deadline. */
static void lock_once(unsigned how)
{
    int r = 0;

    if (how == 0)
        leat_mutex_lock(&s.x->mutex);
    else if (how == 1)
        r = leat_mutex_try(&s.x->mutex);
    else
        r = leat_mutex_lock_until(&s.x->mutex, leat_after(s.patience_ns));
    if (r == 0) {
        section();
        leat_mutex_unlock(&s.x->mutex);
    } else {
        sim_check((how == 1 && r == -EAGAIN) || (how == 2 && (r == -ETIMEDOUT || r == -ECANCELED)),
                  "locking gave %d", r);
        s.gave_up++;
    }
}

static void *lock_thread(void *arg)
{
    for (unsigned i = 0; i < s.rounds; i++)
        lock_once((unsigned)(uintptr_t)arg);
    return NULL;
}

static void lock_check(unsigned goal)
{
    sim_check(s.locked + s.gave_up == goal && s.x->count == s.locked,
              "%u sections, %u given up, of %u", s.locked, s.gave_up, goal);
    sim_check(leat_mutex_try(&s.x->mutex) == 0, "the mutex is not free at the end");
    leat_mutex_unlock(&s.x->mutex);
    sim_memory_enter(); /* that may be a plain store */
    sim_check(s.x->mutex.word_[0] == 0, "the free mutex says %#llx",
              (unsigned long long)s.x->mutex.word_[0]);
    sim_check(s.x->mutex.word_[2] == 0, "somebody is still in the list of the free mutex");
}

void scenario_mutex_threads(void)
{
    struct sim_thread *t[3];
    unsigned n = 2 + sim_shape(2), how = sim_shape(3);

    reset();
    s.patience_ns = 200 + (int64_t)sim_shape(40) * 100;
    for (unsigned i = 0; i < n; i++)
        t[i] = kit_thread(lock_thread, (void *)(uintptr_t)(i == 2 ? how : 0));
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
    lock_check(n * s.rounds);
}

static void lock_coroutine(unsigned how)
{
    for (unsigned i = 0; i < s.rounds; i++)
        lock_once(how);
    s.ended++;
}

static int mutex_main(void *arg)
{
    unsigned n = 2 + sim_shape(3), threads = sim_shape(3), cancel = sim_shape(3);
    struct sim_thread *t[2];

    (void)arg;
    s.holds = sim_shape(2);
    s.patience_ns = (int64_t)(1 + sim_shape(30)) * 100000;
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_go_join(&s.handle[i % 4], lock_coroutine,
                               i % 4 == 3 ? 1
                               : i % 2    ? 2
                                          : 0) == 0,
                  "no coroutine");
    for (unsigned i = 0; i < threads; i++)
        t[i] = kit_thread(lock_thread, (void *)(uintptr_t)(2 * i));
    if (cancel)
        leat_cancel(s.handle[cancel % n]);
    kit_await(&s.ended, n, "those who lock");
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    while (s.locked + s.gave_up < (n + threads) * s.rounds)
        (void)leat_sleep(LEAT_MSEC);
    for (unsigned i = 0; i < threads; i++)
        kit_join(t[i]);
    lock_check((n + threads) * s.rounds);
    return 0;
}

void scenario_mutex(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, mutex_main, NULL);
}

/* --- waitgroup --- */

static void do_item(unsigned i)
{
    sim_touch(&s.x->item[i], 8, true, HERE);
    s.x->item[i]++;
    leat_wg_done(&s.x->wg);
}

/* Who leaves last frees it: whoever returns from a wait may be that one. */
static void wait_all(unsigned items, uint64_t goal, bool frees)
{
    int r = leat_wg_wait(&s.x->wg, LEAT_FOREVER);

    sim_check(r == 0, "waiting gave %d", r);
    for (unsigned i = 0; i < items; i++) {
        sim_touch(&s.x->item[i], 8, false, HERE);
        sim_check(s.x->item[i] == goal, "item %u was done %llu times of %llu", i,
                  (unsigned long long)s.x->item[i], (unsigned long long)goal);
    }
    if (--s.left == 0 && frees)
        sim_arena_free(s.x, sizeof(*s.x));
}

static unsigned nr_items;

static void *done_thread(void *arg)
{
    do_item((unsigned)(uintptr_t)arg);
    return NULL;
}

static void *wait_thread(void *arg)
{
    (void)arg;
    wait_all(nr_items, 1, true);
    return NULL;
}

void scenario_waitgroup_threads(void)
{
    struct sim_thread *t[4];
    unsigned waiters;

    reset();
    nr_items = 1 + sim_shape(2);
    waiters = s.left = 1 + sim_shape(2);
    leat_wg_add(&s.x->wg, (int)nr_items);
    for (unsigned i = 0; i < waiters; i++)
        t[i] = kit_thread(wait_thread, NULL);
    for (unsigned i = 0; i < nr_items; i++)
        t[waiters + i] = kit_thread(done_thread, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < waiters + nr_items; i++)
        kit_join(t[i]);
    sim_check(s.left == 0, "%u waiters have not returned", s.left);
}

/* Gives up, then waits for good. */
static void wait_impatient(unsigned items, uint64_t goal, int64_t patience_ns)
{
    int r = leat_wg_wait(&s.x->wg, leat_after(patience_ns));

    sim_check(r == 0 || r == -ETIMEDOUT, "waiting gave %d", r);
    wait_all(items, goal, false);
}

static void *last_thread(void *arg)
{
    leat_wg_done(arg);
    return NULL;
}

/* A coroutine frees the waitgroup as soon as its wait returns. */
static int waitgroup_free_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        leat_waitgroup *wg = sim_arena_alloc(sizeof(*wg), 64);
        struct sim_thread *t;

        leat_wg_add(wg, 1);
        t = kit_thread(last_thread, wg);
        sim_check(leat_wg_wait(wg, LEAT_FOREVER) == 0, "waiting failed");
        sim_arena_free(wg, sizeof(*wg));
        kit_join(t);
    }
    return 0;
}

void scenario_waitgroup_free(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1, 0, waitgroup_free_main, NULL);
}

static int waitgroup_main(void *arg)
{
    struct sim_thread *t[2];
    unsigned items = 1 + sim_shape(5), threads = sim_shape(3);
    int64_t patience = (int64_t)sim_shape(50) * 500;

    (void)arg;
    threads = threads < items ? threads : items;
    for (uint64_t round = 1; round <= 1 + s.rounds; round++) {
        s.left = 2;
        leat_wg_add(&s.x->wg, (int)items);
        sim_check(leat_go_join(&s.handle[0], wait_impatient, items, round, patience) == 0,
                  "no coroutine");
        for (unsigned i = 0; i < items; i++)
            if (i < threads)
                t[i] = kit_thread(done_thread, (void *)(uintptr_t)i);
            else
                go(do_item, i);
        wait_all(items, round, false);
        for (unsigned i = 0; i < threads; i++)
            kit_join(t[i]);
        sim_check(leat_join(s.handle[0], NULL, LEAT_FOREVER) == 0, "a join failed");
    }
    sim_check(s.x->wg.word_[1] == 0, "somebody is still in the list at the end");
    return 0;
}

void scenario_waitgroup(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, waitgroup_main, NULL);
}
