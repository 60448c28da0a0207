/*
 * Scenarios: conditions, semaphores, once, barriers and events, by plain threads beside coroutines,
 * with waiters that give up or are cancelled. Each against what it would do if one call came after
 * the other.
 *
 * The header's own loads do not pass the seam: the calls behind them, which do the same and more,
 * stand here for them.
 */
#include "kit.h"

#include "all.h"

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

#define PARTIES 5

struct shared {
    leat_mutex mutex;
    leat_cond cond;
    leat_sem sem;
    leat_once once;
    leat_barrier barrier;
    leat_event event;
    uint64_t value;
};

static struct {
    struct shared *x;
    unsigned nr, rounds, left, ended, taken, made, gave_up, inside, most, last;
    bool big_done;
    int64_t patience_ns;
    unsigned entered[PARTIES];
    bool away[PARTIES];
    leat_handle *handle[PARTIES];
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    s.rounds = 1 + sim_shape(3);
    s.patience_ns = 200 + (int64_t)sim_shape(60) * 500;
}

static void read_value(uint64_t goal)
{
    sim_touch(&s.x->value, 8, false, HERE);
    sim_check(s.x->value == goal, "the value is %llu, not %llu", (unsigned long long)s.x->value,
              (unsigned long long)goal);
}

static void write_value(uint64_t to)
{
    sim_touch(&s.x->value, 8, true, HERE);
    s.x->value = to;
}

static void user(unsigned i);
static void (*body)(unsigned i);

static void *user_thread(void *arg)
{
    user((unsigned)(uintptr_t)arg);
    return NULL;
}

static void user(unsigned i)
{
    body(i);
    s.ended++;
}

/* So many users, the last of them plain threads; one may be cancelled. */
static void crowd(unsigned n, unsigned threads, int cancelled)
{
    struct sim_thread *t[PARTIES];

    s.nr = n;
    for (unsigned i = 0; i < n; i++)
        if (i >= n - threads)
            t[i] = kit_thread(user_thread, (void *)(uintptr_t)i);
        else
            sim_check(leat_go_join(&s.handle[i], user, i) == 0, "no coroutine");
    if (cancelled >= 0 && (unsigned)cancelled < n - threads)
        leat_cancel(s.handle[cancelled]);
    kit_await(&s.ended, n, "users");
    for (unsigned i = 0; i < n; i++)
        if (i >= n - threads)
            kit_join(t[i]);
        else
            sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
}

/*
 * --- cond: what is made is taken; 0 and 1 take whatever it takes, 2 has little patience, the
 * others make ---
 */

static void take_one(bool patient)
{
    int r = 0;

    leat_mutex_lock(&s.x->mutex);
    while (r == 0 && s.x->value == 0)
        r = leat_cond_wait(&s.x->cond, &s.x->mutex,
                           patient ? LEAT_FOREVER : leat_after(s.patience_ns));
    sim_touch(&s.x->value, 8, true, HERE);
    if (r == 0) {
        s.x->value--;
        s.taken++;
    } else {
        sim_check(!patient && (r == -ETIMEDOUT || r == -ECANCELED), "waiting gave %d", r);
        s.gave_up++;
    }
    leat_mutex_unlock(&s.x->mutex);
}

static void cond_user(unsigned i)
{
    for (unsigned k = 0; k < s.rounds; k++) {
        if (i < 3) {
            take_one(i < 2);
            continue;
        }
        leat_mutex_lock(&s.x->mutex);
        sim_touch(&s.x->value, 8, true, HERE);
        s.x->value++;
        s.made++;
        if (k & 1)
            leat_cond_signal(&s.x->cond);
        leat_mutex_unlock(&s.x->mutex);
        if (!(k & 1))
            leat_cond_signal(&s.x->cond);
    }
    /* enough for all in the end, one by one */
    for (unsigned k = 0; i == 3 && k < s.rounds; k++) {
        leat_mutex_lock(&s.x->mutex);
        sim_touch(&s.x->value, 8, true, HERE);
        s.x->value++;
        s.made++;
        leat_mutex_unlock(&s.x->mutex);
        leat_cond_signal(&s.x->cond);
    }
}

static int cond_main(void *arg)
{
    (void)arg;
    body = cond_user;
    crowd(5, sim_shape(3), sim_shape(2) ? 2 : -1);
    sim_check(s.made == s.taken + s.x->value, "%u made, %u taken, %llu left", s.made, s.taken,
              (unsigned long long)s.x->value);
    sim_check(s.x->cond.word_[0] == 0 && s.x->cond.word_[1] == 0, "somebody is still in the list");
    leat_cond_destroy(&s.x->cond);
    leat_mutex_destroy(&s.x->mutex);
    return 0;
}

void scenario_cond(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, cond_main, NULL);
}

/*
 * --- one signal: 0 gives up as it comes, or hands it on; 1 stands behind it and waits for good; 2
 * gives it ---
 */

static void cond_one_user(unsigned i)
{
    int r;

    if (i == 2) {
        while (s.inside < 2)
            (void)leat_sleep(200);
        (void)leat_sleep(s.rounds * 100);
        leat_mutex_lock(&s.x->mutex); /* both are in the list, or 0 has left it */
        leat_cond_signal(&s.x->cond);
        leat_mutex_unlock(&s.x->mutex);
        return;
    }
    while (i == 1 && !*(const volatile unsigned *)&s.inside)
        (void)leat_sleep(50);
    leat_mutex_lock(&s.x->mutex);
    s.inside++;
    r = leat_cond_wait(&s.x->cond, &s.x->mutex, i == 1 ? LEAT_FOREVER : leat_after(s.patience_ns));
    sim_check(r == 0 || (i == 0 && r == -ETIMEDOUT), "waiting gave %d", r);
    if (i == 0 && r == 0)
        leat_cond_signal(&s.x->cond);
    leat_mutex_unlock(&s.x->mutex);
}

static int cond_one_main(void *arg)
{
    (void)arg;
    body = cond_one_user;
    s.patience_ns = 300 + (int64_t)sim_shape(10) * 50;
    crowd(3, sim_shape(3), -1);
    leat_cond_destroy(&s.x->cond);
    return 0;
}

void scenario_cond_one(void)
{
    reset();
    kit_run(kit_procs(2), 0, cond_one_main, NULL);
}

/* --- semaphore: never more in use than there are, none lost --- */

static void in_use(unsigned n)
{
    s.inside += n;
    sim_check(s.inside <= s.most, "%u permits are in use, of %u", s.inside, s.most);
    sim_point();
    s.inside -= n;
    leat_sem_release(&s.x->sem, n);
}

static void sem_user(unsigned i)
{
    for (unsigned k = 0; k < s.rounds; k++) {
        unsigned n = 1 + (i + k) % s.most;
        int r = i % 3 == 0   ? leat_sem_acquire(&s.x->sem, n, LEAT_FOREVER)
                : i % 3 == 1 ? leat_sem_acquire(&s.x->sem, n, leat_after(s.patience_ns))
                             : leat_sem_try(&s.x->sem, n);

        if (r == 0)
            in_use(n);
        else
            sim_check(i % 3 == 1   ? r == -ETIMEDOUT
                      : i % 3 == 2 ? r == -EAGAIN
                                   : r == -ECANCELED,
                      "acquiring gave %d", r);
    }
}

static void sem_check(void)
{
    sim_check(s.x->sem.word_[0] == (uint64_t)s.most << LEAT_SEM_SHIFT_ && s.x->sem.word_[1] == 0,
              "the free semaphore says %#llx", (unsigned long long)s.x->sem.word_[0]);
}

static int sem_main(void *arg)
{
    (void)arg;
    body = sem_user;
    s.most = 1 + sim_shape(3);
    leat_sem_release(&s.x->sem, s.most);
    crowd(3 + sim_shape(3), sim_shape(3), sim_shape(2) ? 0 : -1);
    sem_check();
    return 0;
}

void scenario_sem(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, sem_main, NULL);
}

/* --- semaphore: what two processors share is gathered on one of them --- */

static void gather_user(unsigned i)
{
    (void)i;
    for (unsigned k = 0; k < 30; k++) {
        sim_check(leat_sem_acquire(&s.x->sem, 1, LEAT_FOREVER) == 0, "not acquired");
        leat_yield();
        leat_sem_release(&s.x->sem, 1);
    }
}

static int gather_main(void *arg)
{
    (void)arg;
    body = gather_user;
    s.most = 2 + sim_shape(2);
    leat_sem_release(&s.x->sem, s.most);
    crowd(4 + sim_shape(2), 0, -1);
    sem_check();
    return 0;
}

void scenario_gather(void)
{
    reset();
    kit_run(2 + sim_shape(2), 0, gather_main, NULL);
}

/* 0 asks for all and waits; 1 asks for one, seen to be behind it; 2 gives back one by one. */
static void sem_order_user(unsigned i)
{
    if (i == 0) {
        int r = leat_sem_acquire(&s.x->sem, s.most,
                                 s.rounds == 1 ? leat_after(s.patience_ns) : LEAT_FOREVER);

        s.big_done = true;
        if (r == 0)
            leat_sem_release(&s.x->sem, s.most);
        else
            s.gave_up++;
    } else if (i == 1) {
        while (!*(const volatile uint64_t *)&s.x->sem.word_[1] && !s.big_done)
            (void)leat_sleep(500);
        if (leat_sem_acquire(&s.x->sem, 1, LEAT_FOREVER) == 0) {
            sim_check(s.big_done || s.rounds == 1, "overtaken by one that asked for less");
            leat_sem_release(&s.x->sem, 1);
        }
    } else {
        for (unsigned k = 0; k + (s.rounds == 1) < s.most; k++)
            leat_sem_release(&s.x->sem, 1);
        while (s.rounds == 1 && !s.gave_up && !s.big_done)
            (void)leat_sleep(1000);
    }
}

static int sem_order_main(void *arg)
{
    (void)arg;
    body = sem_order_user;
    s.most = 2 + sim_shape(2);
    crowd(3, sim_shape(2), -1);
    s.most -= s.rounds == 1; /* one was never given */
    sem_check();
    return 0;
}

void scenario_sem_order(void)
{
    reset();
    kit_run(kit_procs(2), 0, sem_order_main, NULL);
}

/* --- once --- */

static void fill(void *arg)
{
    (void)arg;
    sim_check(s.inside++ == 0, "it runs twice");
    if (s.rounds > 1)
        (void)leat_sleep(s.rounds * 500);
    for (unsigned k = 1 + sim_shape(60); k > 0; k--)
        sim_point();
    write_value(7);
}

static void once_user(unsigned i)
{
    int r = 0;

    if (i % 3 == 0)
        leat_once_do_slow_(&s.x->once, fill, NULL);
    else if (i % 3 == 1)
        r = leat_once_do_until(&s.x->once, fill, NULL, leat_after(s.patience_ns));
    else
        r = leat_once_try(&s.x->once, fill, NULL);
    if (r == 0)
        read_value(7);
    else
        sim_check(i % 3 == 1 ? r == -ETIMEDOUT || r == -ECANCELED : r == -EAGAIN, "once gave %d",
                  r);
}

static int once_main(void *arg)
{
    (void)arg;
    body = once_user;
    crowd(2 + sim_shape(4), sim_shape(3), sim_shape(2) ? 1 : -1);
    sim_check(s.x->once.word_[0] == LEAT_ONCE_DONE_ && s.x->once.word_[1] == 0, "not done");
    return 0;
}

void scenario_once(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, once_main, NULL);
}

static void *once_thread(void *arg)
{
    leat_once *once = arg;

    leat_once_do_slow_(once, fill, NULL);
    return NULL;
}

/* Who has waited for another one's run frees the object as soon as it returns. */
static int once_free_main(void *arg)
{
    unsigned yields = 0;
    bool began;

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        leat_once *once = sim_arena_alloc(sizeof(*once), 64);
        struct sim_thread *t = kit_thread(once_thread, once);

        s.inside = 0;
        while (!*(const volatile uint64_t *)&once->word_[0] && ++yields % 64)
            leat_yield();
        began = *(const volatile uint64_t *)&once->word_[0] != 0;
        if (!began) /* it has not even come */
            kit_join(t);
        leat_once_do_slow_(once, fill, NULL);
        sim_arena_free(once, sizeof(*once));
        if (began)
            kit_join(t);
    }
    return 0;
}

void scenario_once_free(void)
{
    reset();
    s.rounds = 1;
    kit_run(1, 0, once_free_main, NULL);
}

/* --- barrier: who returns has met all the others in this round --- */

static void barrier_user(unsigned i)
{
    for (unsigned k = 1; k <= s.rounds; k++) {
        int r = -ETIMEDOUT;

        s.entered[i] = k;
        while (r == -ETIMEDOUT) {
            s.away[i] = false;
            r = leat_barrier_wait(&s.x->barrier, s.nr,
                                  i % 2 ? leat_after(s.patience_ns) : LEAT_FOREVER);
            s.away[i] = r == -ETIMEDOUT;
            sim_point();
        }
        sim_check(r == 0 || r == 1, "meeting gave %d", r);
        s.last += (unsigned)r;
        for (unsigned j = 0; j < s.nr; j++)
            sim_check(s.entered[j] > k || (s.entered[j] == k && !s.away[j]),
                      "%u has not come to round %u", j, k);
    }
}

static int barrier_main(void *arg)
{
    (void)arg;
    body = barrier_user;
    crowd(1 + sim_shape(4), sim_shape(2), -1);
    sim_check(s.last == s.rounds, "%u came last in %u rounds", s.last, s.rounds);
    leat_barrier_destroy(&s.x->barrier);
    return 0;
}

void scenario_barrier(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, barrier_main, NULL);
}

/* --- event: 0 sets; the last of the others frees it at once --- */

static void event_user(unsigned i)
{
    int r;

    if (i == 0) {
        write_value(9);
        leat_event_set(&s.x->event);
        return;
    }
    r = i % 3 == 1 ? leat_event_wait(&s.x->event, leat_after(s.patience_ns)) : 0;
    sim_check(r == 0 || r == -ETIMEDOUT || r == -ECANCELED, "waiting gave %d", r);
    if (i % 3 == 2) {
        while (leat_event_wait(&s.x->event, LEAT_AT_ONCE) != 0)
            (void)leat_sleep(300);
    } else if (i % 3 == 0) {
        r = leat_event_wait(&s.x->event, LEAT_FOREVER);
        sim_check(r == 0, "waiting gave %d", r);
    }
    if (r == 0)
        read_value(9);
    /* one that has given up does not know whether it is set: it frees nothing */
    if (++s.left == s.nr - 1 && r == 0)
        sim_arena_free(s.x, sizeof(*s.x));
}

static int event_main(void *arg)
{
    (void)arg;
    body = event_user;
    crowd(2 + sim_shape(4), sim_shape(3), sim_shape(2) ? 1 : -1);
    return 0;
}

void scenario_event(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, event_main, NULL);
}

static void *set_thread(void *arg)
{
    leat_event_set(arg);
    return NULL;
}

/* A coroutine frees the event as soon as its wait returns. */
static int event_free_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        leat_event *e = sim_arena_alloc(sizeof(*e), 64);
        struct sim_thread *t = kit_thread(set_thread, e);

        sim_check(leat_event_wait(e, LEAT_FOREVER) == 0, "waiting failed");
        sim_arena_free(e, sizeof(*e));
        kit_join(t);
    }
    return 0;
}

void scenario_event_free(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1, 0, event_free_main, NULL);
}
