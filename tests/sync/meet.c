/*
 * What conditions, semaphores, once, barriers and events promise, one thing at a time. Races:
 * meet_race.c.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- by a plain thread, before any run --- */

static void count_up(void *arg)
{
    (*(int *)arg)++;
}

/* Goal: zero is valid, and a plain thread may use each of them when there is no run. */
Test(meet, zero_is_valid, .timeout = 10)
{
    leat_mutex m = {0};
    leat_cond c = {0};
    leat_sem s = {0}, three = LEAT_SEM(3);
    leat_once o = {0};
    leat_barrier b = {0};
    leat_event e = {0};
    int64_t from = leat_now();
    int n = 0;

    leat_mutex_lock(&m);
    leat_cond_signal(&c);
    leat_cond_broadcast(&c);
    cr_assert(eq(int, leat_cond_wait(&c, &m, leat_after(20 * LEAT_MSEC)), -ETIMEDOUT));
    cr_assert(ge(i64, leat_now() - from, 20 * LEAT_MSEC));
    cr_assert(eq(int, leat_mutex_try(&m), -EAGAIN)); /* held again */
    leat_mutex_unlock(&m);
    cr_assert(eq(int, leat_sem_try(&s, 1), -EAGAIN));
    cr_assert(eq(int, leat_sem_acquire(&s, 1, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_sem_release(&s, 2);
    cr_assert(eq(int, leat_sem_acquire(&s, 2, LEAT_AT_ONCE), 0));
    cr_assert(eq(int, leat_sem_try(&three, 4), -EAGAIN));
    cr_assert(eq(int, leat_sem_try(&three, 3), 0));
    leat_once_do(&o, count_up, &n);
    leat_once_do(&o, count_up, &n);
    cr_assert(eq(int, leat_once_try(&o, count_up, &n), 0));
    cr_assert(eq(int, leat_once_do_until(&o, count_up, &n, LEAT_AT_ONCE), 0));
    cr_expect(eq(int, leat_once_try(&o, NULL, &n), -EINVAL));
    cr_expect(eq(int, leat_once_do_until(&o, NULL, &n, LEAT_AT_ONCE), -EINVAL));
    cr_assert(eq(int, n, 1));
    cr_assert(eq(int, leat_barrier_wait(&b, 1, LEAT_AT_ONCE), 1));
    cr_assert(eq(int, leat_barrier_wait(&b, 2, LEAT_AT_ONCE), -ETIMEDOUT));
    cr_assert(eq(int, leat_barrier_wait(&b, 3, LEAT_AT_ONCE), -ETIMEDOUT)); /* a new round */
    cr_assert(not(leat_event_is_set(&e)));
    cr_assert(eq(int, leat_event_wait(&e, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_event_set(&e);
    leat_event_set(&e);
    cr_assert(leat_event_is_set(&e));
    cr_assert(eq(int, leat_event_wait(&e, LEAT_AT_ONCE), 0));
    leat_event_reset(&e);
    cr_assert(eq(int, leat_event_wait(&e, LEAT_AT_ONCE), -ETIMEDOUT));
    leat_cond_destroy(&c);
    leat_sem_destroy(&s);
    leat_once_destroy(&o);
    leat_barrier_destroy(&b);
    leat_event_destroy(&e);
}

/* --- order --- */

#define LINE 6

struct line {
    leat_mutex m;
    leat_cond c;
    leat_sem s;
    leat_waitgroup wg;
    int order[LINE];
    atomic_int n;
};

/* Waits that have begun, of all processors. */
static uint64_t parked(void)
{
    leat_stats stats;
    uint64_t n = 0;

    for (unsigned i = 0; leat_stats_proc(i, &stats) == 0; i++)
        n += stats.parked;
    return n;
}

static void wait_in_line(struct line *s, int i)
{
    leat_mutex_lock(&s->m);
    if (leat_cond_wait(&s->c, &s->m, EACH_LONG) == 0)
        s->order[s->n++] = i;
    leat_mutex_unlock(&s->m);
    leat_wg_done(&s->wg);
}

/* Main never parks while they come: who does is the one that it has just spawned. */
static int cond_line_main(void *arg)
{
    struct line *s = arg;
    uint64_t before = parked();

    leat_wg_add(&s->wg, LINE);
    for (int i = 0; i < LINE; i++) {
        if (go(wait_in_line, s, i) != 0)
            return -1;
        while (parked() <= before + (uint64_t)i)
            leat_yield();
    }
    for (int i = 0; i < LINE; i++) {
        bool served = false;

        leat_cond_signal(&s->c);
        while (!served) {
            leat_yield();
            leat_mutex_lock(&s->m);
            served = s->n > i;
            leat_mutex_unlock(&s->m);
        }
    }
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/* Goal: each signal wakes one, the oldest. */
Test(meet, signals_in_order, .timeout = 40)
{
    for (EACH_PROCS(procs)) {
        struct line s = {0};

        cr_assert(eq(int, each_run(procs, cond_line_main, &s), 0));
        for (int i = 0; i < LINE; i++)
            cr_assert(eq(int, s.order[i], i));
    }
}

static void acquire_in_line(struct line *s, int i)
{
    if (leat_sem_acquire(&s->s, (unsigned)(LINE - i), EACH_LONG) == 0)
        s->order[s->n++] = i; /* one at a time: main gives out what is for one */
    leat_wg_done(&s->wg);
}

static int sem_line_main(void *arg)
{
    struct line *s = arg;
    uint64_t before = parked();

    leat_wg_add(&s->wg, LINE);
    for (int i = 0; i < LINE; i++) {
        if (go(acquire_in_line, s, i) != 0)
            return -1;
        while (parked() <= before + (uint64_t)i)
            leat_yield();
    }
    if (leat_sem_try(&s->s, 1) != -EAGAIN)
        return 1;
    for (int i = 0; i < LINE; i++)
        for (int k = 0; k < LINE - i; k++) {
            if (s->n != i)
                return 2; /* served before there was enough */
            leat_sem_release(&s->s, 1);
            if (k == LINE - i - 1)
                while (atomic_load(&s->n) == i)
                    leat_yield();
        }
    return leat_wg_wait(&s->wg, EACH_LONG);
}

/* Goal: who asks for many goes before those behind it who ask for few. */
Test(meet, permits_in_order, .timeout = 40)
{
    struct line s = {0};

    cr_assert(eq(int, each_run(1, sem_line_main, &s), 0));
    for (int i = 0; i < LINE; i++)
        cr_assert(eq(int, s.order[i], i));
}

/* --- the ends of a wait that are no success --- */

static struct all {
    leat_mutex m;
    leat_cond c;
    leat_sem s;
    leat_once o;
    leat_barrier b;
    leat_event e, go_on;
    atomic_int runs;
} all;

static void run_long(void *arg)
{
    (void)arg;
    all.runs++;
    (void)!leat_event_wait(&all.go_on, EACH_LONG);
}

static leat_result wait_how(int how, leat_deadline until)
{
    int r = 0;

    switch (how) {
    case 0:
        leat_mutex_lock(&all.m);
        r = leat_cond_wait(&all.c, &all.m, until);
        leat_mutex_unlock(&all.m);
        return r;
    case 1:
        return leat_sem_acquire(&all.s, 1, until);
    case 2:
        return leat_once_do_until(&all.o, run_long, NULL, until);
    case 3:
        return leat_barrier_wait(&all.b, 2, until);
    default:
        return leat_event_wait(&all.e, until);
    }
}

static void once_here(void)
{
    leat_once_do(&all.o, run_long, NULL);
}

static int ends_main(void *arg)
{
    leat_handle *h;
    leat_result r = 0;

    (void)arg;
    if (go(once_here) != 0)
        return -1;
    while (atomic_load(&all.runs) == 0)
        (void)leat_sleep(LEAT_MSEC);
    for (int how = 0; how < 5; how++) {
        int64_t from = leat_now();

        if (leat_go_join(&h, wait_how, how, leat_after(20 * LEAT_MSEC)) != 0 ||
            leat_join(h, &r, EACH_LONG) != 0 || r != -ETIMEDOUT ||
            leat_now() - from < 20 * LEAT_MSEC)
            return 10 + how;
        if (leat_go_join(&h, wait_how, how, LEAT_FOREVER) != 0)
            return 20 + how;
        (void)leat_sleep(5 * LEAT_MSEC);
        leat_cancel(h);
        if (leat_join(h, &r, EACH_LONG) != 0 || r != -ECANCELED)
            return 30 + how;
    }
    leat_event_set(&all.go_on);
    leat_once_do(&all.o, run_long, NULL);
    /* nobody is left in a list, and nothing is lost */
    leat_sem_release(&all.s, 1);
    if (leat_sem_try(&all.s, 1) != 0 || leat_mutex_try(&all.m) != 0 || all.runs != 1)
        return 1;
    leat_mutex_unlock(&all.m);
    leat_mutex_destroy(&all.m);
    leat_cond_destroy(&all.c);
    leat_sem_destroy(&all.s);
    leat_barrier_destroy(&all.b);
    leat_event_destroy(&all.e);
    leat_once_destroy(&all.o);
    return 0;
}

/*
 * Goal: deadlines are kept, never early; cancellation ends each wait; the mutex is held again; no
 * waiter stays in a list.
 */
Test(meet, deadline_and_cancel, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        memset(&all, 0, sizeof(all));
        cr_assert(eq(int, each_run(procs, ends_main, NULL), 0));
    }
}

static leat_result entry_refused(void)
{
    int mistakes = 0;

    while (!leat_cancelled())
        leat_yield();
    leat_sem_release(&all.s, 1);
    leat_event_set(&all.e);
    leat_mutex_lock(&all.m);
    mistakes += leat_cond_wait(&all.c, &all.m, LEAT_FOREVER) != -ECANCELED;
    leat_mutex_unlock(&all.m);
    mistakes += leat_sem_acquire(&all.s, 1, LEAT_FOREVER) != -ECANCELED;
    mistakes += leat_once_do_until(&all.o, run_long, NULL, LEAT_FOREVER) != -ECANCELED;
    mistakes += leat_barrier_wait(&all.b, 1, LEAT_FOREVER) != -ECANCELED;
    mistakes += leat_event_wait(&all.e, LEAT_FOREVER) != -ECANCELED;
    leat_once_do(&all.o, run_long, NULL); /* cannot be cancelled: run_long's own wait can */
    return mistakes + (all.runs != 1);
}

static int refused_main(void *arg)
{
    leat_handle *h;
    leat_result r = 1;

    (void)arg;
    if (leat_go_join(&h, entry_refused) != 0)
        return -1;
    leat_cancel(h);
    return leat_join(h, &r, EACH_LONG) == 0 ? (int)r : 1;
}

/*
 * Goal: a cancelled coroutine is refused on entry, though it could succeed at once; leat_once_do is
 * not.
 */
Test(meet, cancelled_before, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        memset(&all, 0, sizeof(all));
        cr_assert(eq(int, each_run(procs, refused_main, NULL), 0));
    }
}
