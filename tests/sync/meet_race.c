/*
 * Conditions, semaphores, once, barriers and events under races: coroutines beside plain threads,
 * deadlines and cancellation against the wake, memory that goes with the last waiter.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define USERS 12
#define THREADS 2

/* So many coroutines and plain threads do the same; each counts its mistakes. */
struct crowd {
    void (*body)(struct crowd *c, unsigned i);
    leat_waitgroup wg;
    atomic_long mistakes;
    atomic_bool stop;
    leat_mutex m;
    leat_cond full, empty;
    leat_sem sem;
    leat_barrier b;
    long items, made, taken; /* under m */
    atomic_long in_use;
    atomic_long rounds[USERS];
    long plain[USERS]; /* by the barrier's order only */
};

#define BUFFER 3
#define PERMITS 5

static void crowd_user(struct crowd *c, unsigned i)
{
    c->body(c, i);
    leat_wg_done(&c->wg);
}

struct crowd_thread {
    struct crowd *c;
    unsigned i;
};

static void *crowd_thread(void *arg)
{
    struct crowd_thread *t = arg;

    crowd_user(t->c, t->i);
    return NULL;
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;

    for (unsigned i = THREADS; i < USERS; i++)
        if (go(crowd_user, c, i) != 0)
            return -1;
    return leat_wg_wait(&c->wg, EACH_LONG);
}

static void crowd_run(struct crowd *c, unsigned procs, void (*body)(struct crowd *, unsigned))
{
    struct crowd_thread t[THREADS];
    pthread_t thread[THREADS];

    c->body = body;
    leat_wg_add(&c->wg, USERS);
    for (unsigned i = 0; i < THREADS; i++) {
        t[i] = (struct crowd_thread){c, i};
        cr_assert(eq(int, pthread_create(&thread[i], NULL, crowd_thread, &t[i]), 0));
    }
    cr_expect(eq(int, each_run(procs, crowd_main, c), 0));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    cr_assert(eq(long, c->mistakes, 0));
}

/* --- cond: a bounded buffer --- */

static bool cond_until(struct crowd *c, leat_cond *cond, bool impatient, unsigned *seed)
{
    int r;

    each_jitter(seed);
    r = leat_cond_wait(cond, &c->m,
                       impatient ? leat_after((*seed >> 16) % 30 * LEAT_USEC) : EACH_LONG);
    if (r != 0 && !(impatient && r == -ETIMEDOUT))
        c->mistakes++;
    return r == 0;
}

/* As many make as take, and as many times: those who have patience all come to their end. */
static void cond_body(struct crowd *c, unsigned i)
{
    unsigned seed = i;

    for (int k = 0; k < (EACH_SANITIZED ? 100 : 1000); k++) {
        bool makes = i & 1, impatient = i % 3 == 0;

        leat_mutex_lock(&c->m);
        while (makes ? c->items == BUFFER : c->items == 0)
            (void)cond_until(c, makes ? &c->empty : &c->full, impatient, &seed);
        c->items += makes ? 1 : -1;
        c->made += makes;
        c->taken += !makes;
        if (k & 1)
            leat_cond_signal(makes ? &c->full : &c->empty);
        leat_mutex_unlock(&c->m);
        if (!(k & 1))
            leat_cond_signal(makes ? &c->full : &c->empty);
    }
}

/* Goal: no signal is lost, though some give up as they are signalled. */
Test(meet_race, bounded_buffer, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct crowd c = {0};

        crowd_run(&c, procs, cond_body);
        cr_assert(eq(long, c.made, c.taken));
        cr_assert(eq(long, c.items, 0));
        leat_cond_destroy(&c.full);
        leat_cond_destroy(&c.empty);
    }
}

/* --- semaphore --- */

static void sem_body(struct crowd *c, unsigned i)
{
    unsigned seed = i;

    for (int k = 0; k < (EACH_SANITIZED ? 100 : 1000); k++) {
        unsigned n = 1 + (seed >> 8) % PERMITS;
        int r;

        each_jitter(&seed);
        r = i % 3 == 0   ? leat_sem_acquire(&c->sem, n, leat_after((seed >> 16) % 30 * LEAT_USEC))
            : i % 3 == 1 ? leat_sem_acquire(&c->sem, n, EACH_LONG)
                         : leat_sem_try(&c->sem, n);
        if (r != 0) {
            c->mistakes += r != (i % 3 == 0 ? -ETIMEDOUT : i % 3 == 1 ? 0 : -EAGAIN);
            continue;
        }
        c->mistakes += atomic_fetch_add(&c->in_use, n) + n > PERMITS;
        if (k % 8 == 0)
            leat_yield();
        atomic_fetch_sub(&c->in_use, n);
        leat_sem_release(&c->sem, n);
    }
}

/* Goal: never more in use than there are; all are there at the end. */
Test(meet_race, permits, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct crowd c = {.sem = LEAT_SEM(PERMITS)};

        crowd_run(&c, procs, sem_body);
        cr_assert(eq(int, leat_sem_try(&c.sem, PERMITS), 0));
        leat_sem_destroy(&c.sem);
    }
}

/* --- barrier --- */

static void barrier_body(struct crowd *c, unsigned i)
{
    unsigned seed = i;

    for (long k = 1; k <= (EACH_SANITIZED ? 50 : 300); k++) {
        int64_t patience_ns;
        int r;

        each_jitter(&seed);
        patience_ns = (1 + (seed >> 16) % 50) * LEAT_USEC;
        c->plain[i] = k; /* no atomic: the barrier orders it, or TSan says so */
        c->rounds[i] = k;
        do {
            r = leat_barrier_wait(&c->b, USERS, i % 4 ? EACH_LONG : leat_after(patience_ns));
            patience_ns *= 2; /* all of them must be there at once */
        } while (i % 4 == 0 && r == -ETIMEDOUT);
        c->mistakes += r != 0 && r != 1;
        for (unsigned j = 0; j < USERS; j++)
            c->mistakes += c->plain[j] != k;
        r = leat_barrier_wait(&c->b, USERS, EACH_LONG);
        c->mistakes += r != 0 && r != 1;
    }
}

/* Goal: all meet, round after round, though some give up and come back. */
Test(meet_race, rounds, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct crowd c = {0};

        crowd_run(&c, procs, barrier_body);
        leat_barrier_destroy(&c.b);
    }
}

/* --- event and once: the last one frees --- */

struct shared {
    leat_event e;
    leat_once o;
    leat_waitgroup *wg;
    atomic_long *mistakes;
    atomic_int refs;
    int value;
};

static void put(struct shared *s)
{
    leat_waitgroup *wg = s->wg;

    if (atomic_fetch_sub(&s->refs, 1) == 1) {
        memset(s, 0xa5, sizeof(*s));
        free(s);
    }
    leat_wg_done(wg);
}

static void fill(void *arg)
{
    struct shared *s = arg;

    leat_yield();
    s->value++;
}

static void *set_it(void *arg)
{
    leat_event_set(&((struct shared *)arg)->e); /* holds no reference: not touched after that */
    return NULL;
}

static void wait_it(struct shared *s, unsigned seed)
{
    int r = 0;

    each_jitter(&seed);
    if (seed & 1)
        r = leat_event_wait(&s->e, leat_after(20 * LEAT_USEC));
    while (seed & 2 && !leat_event_is_set(&s->e))
        leat_yield();
    if (r == -ETIMEDOUT || !(seed & 3))
        r = leat_event_wait(&s->e, EACH_LONG);
    *s->mistakes += r != 0;
    leat_once_do(&s->o, fill, s);
    *s->mistakes += s->value != 1;
    put(s);
}

static int free_main(void *arg)
{
    struct each_rounds rounds = each_rounds(4000, LEAT_SEC);
    leat_waitgroup wg = {0};
    unsigned seed = 3;

    while (each_next(&rounds)) {
        struct shared *s = calloc(1, sizeof(*s));
        bool by_thread = rounds.left % 64 == 0;
        pthread_t t;

        if (!s)
            return -1;
        s->wg = &wg;
        s->mistakes = arg;
        s->refs = 3;
        leat_wg_add(&wg, 3);
        for (unsigned i = 0; i < 3; i++)
            if (go(wait_it, s, seed++) != 0)
                return -1;
        leat_yield();
        each_jitter(&seed);
        if (by_thread && pthread_create(&t, NULL, set_it, s) == 0)
            pthread_join(t, NULL);
        else
            set_it(s);
        if (leat_wg_wait(&wg, EACH_LONG) != 0)
            return 1;
    }
    return 0;
}

/* Goal: what has been set or run is not touched any more: the last of those who waited frees it. */
Test(meet_race, last_waiter_frees, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        atomic_long mistakes = 0;

        cr_assert(eq(int, each_run(procs, free_main, &mistakes), 0));
        cr_assert(eq(long, mistakes, 0));
    }
}

/* --- cancellation against the wake --- */

static leat_result acquire_or_not(leat_sem *s)
{
    int r = leat_sem_acquire(s, 2, LEAT_FOREVER);

    if (r == 0)
        leat_sem_release(s, 2);
    return r;
}

static int cancel_main(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, LEAT_SEC);
    unsigned seed = 5;

    (void)arg;
    while (each_next(&rounds)) {
        leat_sem s = LEAT_SEM(1);
        leat_handle *h[3];
        leat_result r;

        for (int i = 0; i < 3; i++)
            if (leat_go_join(&h[i], acquire_or_not, &s) != 0)
                return -1;
        leat_yield();
        each_jitter(&seed);
        if (seed & 1)
            leat_sem_release(&s, 1);
        leat_cancel(h[0]);
        if (!(seed & 1))
            leat_sem_release(&s, 1);
        for (int i = 0; i < 3; i++)
            if (leat_join(h[i], &r, EACH_LONG) != 0 || (r != 0 && (i > 0 || r != -ECANCELED)))
                return 1;
        if (leat_sem_try(&s, 2) != 0)
            return 2;
    }
    return 0;
}

/* Goal: no permit is lost when its waiter is cancelled as it is served. */
Test(meet_race, cancel_and_release_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}
