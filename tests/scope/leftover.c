/*
 * Plain threads and coroutines that are left over when their run ends: joins of those, and values
 * for them.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define NR_JOINERS 4

struct leftover {
    leat_mutex locked; /* for ever */
    leat_handle *h[NR_JOINERS];
    pthread_t thread[NR_JOINERS];
    atomic_int next, joining, begun;
    int result[NR_JOINERS];
};

static void waits_for_ever(struct leftover *l)
{
    atomic_fetch_add(&l->begun, 1);
    leat_mutex_lock(&l->locked);
    leat_mutex_unlock(&l->locked);
}

static void *joiner(void *arg)
{
    struct leftover *l = arg;
    int i = atomic_fetch_add(&l->next, 1);
    /* one with a deadline that passes while the run ends, the others without */
    leat_deadline until = i == 0 ? leat_after(150 * LEAT_MSEC) : LEAT_FOREVER;

    atomic_fetch_add(&l->joining, 1);
    l->result[i] = leat_join(l->h[i], NULL, until);
    return NULL;
}

static int leftover_main(void *arg)
{
    struct leftover *l = arg;

    leat_mutex_lock(&l->locked);
    for (int i = 0; i < NR_JOINERS; i++)
        if (leat_go_join(&l->h[i], waits_for_ever, l) != 0)
            return -1;
    for (int i = 0; i < NR_JOINERS; i++)
        pthread_create(&l->thread[i], NULL, joiner, l);
    while (atomic_load(&l->joining) < NR_JOINERS)
        leat_sleep(LEAT_MSEC);
    leat_sleep(50 * LEAT_MSEC);
    return 0;
}

/*
 * Goal: a plain thread that joins without a deadline comes back from a run that ends without the
 * coroutine, and knows that from what it gets; the next run is as any other.
 */
Test(leftover, a_thread_that_joins_comes_back, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        leat_config config = {.procs = procs, .shutdown_grace_ms = 100};
        static struct leftover l; /* the leftovers have its address */

        memset(&l, 0, sizeof(l));
        cr_assert(eq(int, leat_run_with(&config, leftover_main, &l), 0));
        for (int i = 0; i < NR_JOINERS; i++)
            pthread_join(l.thread[i], NULL);
        for (int i = 0; i < NR_JOINERS; i++)
            cr_expect(l.result[i] == -ESHUTDOWN || (i == 0 && l.result[i] == -ETIMEDOUT), "%d: %d",
                      i, l.result[i]);
    }
}

/* --- groups and single-flight --- */

#define NR_WAITERS 3

struct waits {
    struct leftover l;
    leat_flight flight;
    pthread_t thread[NR_WAITERS];
    atomic_int waiting;
    int group[2], full[2], flown[2], again;
};

static void *waits_for_group(void *arg)
{
    struct waits *w = arg;
    leat_group g;

    leat_group_open(&g, 0);
    w->group[0] = leat_group_go(&g, waits_for_ever, &w->l);
    atomic_fetch_add(&w->waiting, 1);
    if (w->group[0] == 0)
        w->group[0] = leat_group_wait(&g, LEAT_FOREVER);
    w->group[1] = leat_group_close(&g);
    return NULL;
}

static void *waits_for_a_place(void *arg)
{
    struct waits *w = arg;
    leat_group g;

    leat_group_open(&g, 1);
    w->full[0] = leat_group_go(&g, waits_for_ever, &w->l);
    atomic_fetch_add(&w->waiting, 1);
    if (w->full[0] == 0)
        w->full[0] = leat_group_go(&g, waits_for_ever, &w->l);
    w->full[1] = leat_group_wait(&g, LEAT_FOREVER);
    return NULL;
}

static void *waits_for_a_flight(void *arg)
{
    struct waits *w = arg;

    atomic_fetch_add(&w->waiting, 1);
    w->flown[0] = leat_flight_do(&w->flight, "key", 3, NULL, LEAT_FOREVER, waits_for_ever, &w->l);
    w->flown[1] = leat_flight_wait(&w->flight, LEAT_FOREVER);
    return NULL;
}

static int waits_main(void *arg)
{
    static void *(*const fn[NR_WAITERS])(void *) = {waits_for_group, waits_for_a_place,
                                                    waits_for_a_flight};
    struct waits *w = arg;

    leat_mutex_lock(&w->l.locked);
    for (int i = 0; i < NR_WAITERS; i++)
        if (pthread_create(&w->thread[i], NULL, fn[i], w) != 0)
            return -1;
    while (atomic_load(&w->waiting) < NR_WAITERS || atomic_load(&w->l.begun) < NR_WAITERS)
        (void)leat_sleep(LEAT_MSEC);
    (void)leat_sleep(50 * LEAT_MSEC);
    return 0;
}

static leat_result answers(void)
{
    return 7;
}

static int again_main(void *arg)
{
    struct waits *w = arg;
    leat_result r = 0;

    w->again = leat_flight_do(&w->flight, "key", 3, &r, EACH_LONG, answers);
    return (int)r;
}

/*
 * Goal: a plain thread's wait for a group, for a place in one, or for a function under way, ends
 * with a run that leaves the coroutine over; in the next run the function is called again.
 */
Test(leftover, a_thread_that_waits_comes_back, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        leat_config config = {.procs = procs, .shutdown_grace_ms = 100};
        static struct waits w; /* the leftovers have its address */

        memset(&w, 0, sizeof(w));
        cr_assert(eq(int, leat_run_with(&config, waits_main, &w), 0));
        for (int i = 0; i < NR_WAITERS; i++)
            pthread_join(w.thread[i], NULL);
        for (int i = 0; i < 2; i++) {
            cr_expect(eq(int, w.group[i], -ESHUTDOWN));
            cr_expect(eq(int, w.full[i], -ESHUTDOWN));
            cr_expect(eq(int, w.flown[i], -ESHUTDOWN));
        }
        cr_expect(eq(int, leat_run_with(&config, again_main, &w), 7));
        cr_expect(eq(int, w.again, 0));
    }
}

/* --- channels --- */

/* Coroutines that take no notice of the end of their run, each in another wait of a channel. */
struct deaf {
    leat_chan *received, *sent, *selected;
    atomic_int waiting;
    atomic_bool busy;
    pthread_t thread;
    int result[3];
};

static void receives(struct deaf *d)
{
    leat_shield shield;

    leat_shield_begin(&shield);
    atomic_fetch_add(&d->waiting, 1);
    (void)!leat_chan_recv(d->received, NULL, LEAT_FOREVER);
}

static void sends(struct deaf *d)
{
    leat_shield shield;
    int v = 1;

    leat_shield_begin(&shield);
    atomic_fetch_add(&d->waiting, 1);
    (void)!leat_chan_send(d->sent, &v, LEAT_FOREVER);
}

static void selects(struct deaf *d)
{
    leat_case c = leat_case_recv(d->selected, NULL);
    leat_shield shield;

    leat_shield_begin(&shield);
    atomic_fetch_add(&d->waiting, 1);
    (void)!leat_select(&c, 1, LEAT_FOREVER);
}

/* The end of the run waits for this one's thread, when it has let go of plain threads. */
static void stays_in_user_code(struct deaf *d)
{
    atomic_store(&d->busy, true);
    usleep(100000);
}

/* As soon as the run is over for it. */
static void *uses_channels(void *arg)
{
    struct deaf *d = arg;
    int v = 2;

    while (leat_nr_procs())
        usleep(100);
    d->result[0] = leat_chan_send_try(d->received, &v);
    d->result[1] = leat_chan_recv_try(d->sent, &v);
    d->result[2] = leat_chan_send_try(d->selected, &v);
    return NULL;
}

static int deaf_main(void *arg)
{
    struct deaf *d = arg;

    if (pthread_create(&d->thread, NULL, uses_channels, d))
        return -1;
    (void)go(receives, d);
    (void)go(sends, d);
    (void)go(selects, d);
    while (atomic_load(&d->waiting) < 3)
        (void)leat_sleep(LEAT_MSEC);
    (void)leat_sleep(10 * LEAT_MSEC);
    (void)go(stays_in_user_code, d);
    while (!atomic_load(&d->busy))
        (void)leat_sleep(LEAT_MSEC);
    return 0;
}

/*
 * Goal: a thread that meets a leftover in a channel, while the run ends and has not claimed its
 * waits yet, wakes nobody, and goes on.
 */
Test(leftover, a_thread_that_meets_one_in_a_channel, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        leat_config config = {.procs = procs, .shutdown_grace_ms = 1};
        static struct deaf d; /* the leftovers have its address */

        memset(&d, 0, sizeof(d));
        cr_assert(leat_chan_make(&d.received, sizeof(int), 0) == 0 &&
                  leat_chan_make(&d.sent, sizeof(int), 0) == 0 &&
                  leat_chan_make(&d.selected, sizeof(int), 0) == 0);
        cr_assert(eq(int, leat_run_with(&config, deaf_main, &d), 0));
        pthread_join(d.thread, NULL);
        for (int i = 0; i < 3; i++)
            cr_expect(d.result[i] == 0 || d.result[i] == -EAGAIN, "%d: %d", i, d.result[i]);
    }
}
