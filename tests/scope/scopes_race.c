/*
 * Scopes, shields and clean-up under races: cancelled by a plain thread and by a deadline as they
 * are opened and closed, as their waits end, and as the coroutine ends.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>

#define MEMBERS 3

/* --- a scope that is cancelled whenever it is open, by a plain thread --- */

struct target {
    leat_mutex m;
    leat_scope *open; /* under m: it stays open while somebody cancels it */
    atomic_bool stop;
    atomic_int cancels;
    int mistakes;
};

static void *cancels_thread(void *arg)
{
    struct target *t = arg;
    unsigned seed = 7;

    while (!t->stop) {
        each_jitter(&seed);
        leat_mutex_lock(&t->m);
        if (t->open) {
            leat_scope_cancel(t->open, -EPIPE);
            t->open = NULL;
            t->cancels++;
        }
        leat_mutex_unlock(&t->m);
        if (seed >> 30 == 0)
            (void)leat_sleep(LEAT_USEC);
    }
    return NULL;
}

static void publish(struct target *t, leat_scope *scope)
{
    leat_mutex_lock(&t->m);
    t->open = scope;
    leat_mutex_unlock(&t->m);
}

static int waits(unsigned seed, atomic_int *cancelled)
{
    int r = leat_sleep_until(seed & 1 ? leat_after((seed >> 16) % 20 * LEAT_USEC) : LEAT_FOREVER);

    if (r == -ECANCELED)
        atomic_fetch_add(cancelled, 1);
    return r == 0 || r == -ECANCELED ? 0 : -EIO;
}

/*
 * Some members wait for ever: without the deadline, the thread and the last resort here the close
 * would.
 */
static int scope_round(struct target *t, unsigned *seed)
{
    atomic_int cancelled = 0;
    leat_scope scope;
    leat_group g;
    leat_result why;
    bool timed = *seed >> 20 & 1;
    int bad = 0;

    if (leat_scope_open(&scope, timed ? leat_after((*seed >> 8) % 30 * LEAT_USEC) : LEAT_FOREVER) !=
        0)
        return -1;
    publish(t, &scope);
    leat_group_open(&g, 0);
    for (int i = 0; i < MEMBERS; i++) {
        int r = leat_group_go(&g, waits, *seed >> i, &cancelled);

        bad += r != 0 && r != -ECANCELED;
        each_jitter(seed);
    }
    if (*seed & 0x40000)
        bad += leat_sleep(LEAT_USEC) == -ETIMEDOUT;
    publish(t, NULL);
    if (!timed)
        leat_scope_cancel(&scope, -EIO);
    why = leat_scope_close(&scope);
    /* a deadline that has not passed may leave nobody to be cancelled */
    bad += why != -EPIPE && (timed ? why != -ETIMEDOUT && why != 0 : why != -EIO);
    bad += cancelled && !why;
    bad += leat_group_close(&g) != 0;
    bad += leat_cancelled() || leat_cause() != 0 || leat_sleep(0) != 0;
    return bad;
}

static int scope_main(void *arg)
{
    struct each_rounds rounds = each_rounds(4000, LEAT_SEC / 2);
    struct target *t = arg;
    unsigned seed = 3;

    while (t->mistakes == 0 && each_next(&rounds))
        t->mistakes += scope_round(t, &seed);
    return 0;
}

/*
 * Goal: whoever cancels a scope, and whenever: all inside ends, the cause is one that was given,
 * and nothing is left of it after the close.
 */
Test(scopes_race, cancel_deadline_and_close_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct target t = {0};
        pthread_t thread;

        cr_assert(eq(int, pthread_create(&thread, NULL, cancels_thread, &t), 0));
        cr_expect(eq(int, each_run(procs, scope_main, &t), 0));
        t.stop = true;
        pthread_join(thread, NULL);
        cr_assert(eq(int, t.mistakes, 0));
    }
}

/* --- a coroutine that is cancelled while it begins and ends shields --- */

struct shielded {
    atomic_bool told; /* leat_cancel() has returned */
    atomic_int mistakes;
};

static leat_result shields(struct shielded *s, unsigned seed)
{
    for (int i = 0; i < 20; i++) {
        bool told;
        leat_shield shield;
        int r;

        leat_shield_begin(&shield);
        each_jitter(&seed);
        s->mistakes += leat_cancelled();
        if (seed & 0x10000)
            s->mistakes += leat_sleep((seed >> 20) % 8 * LEAT_USEC) != 0;
        leat_shield_end(&shield);
        told = s->told;
        r = leat_sleep(0);
        s->mistakes += r != 0 && r != -ECANCELED;
        s->mistakes += told && r == 0;
    }
    return leat_cancelled();
}

static int shield_round(unsigned *seed)
{
    struct shielded s = {0};
    leat_handle *h;
    leat_result r = 0;

    if (leat_go_join(&h, shields, &s, *seed) != 0)
        return -1;
    each_jitter(seed);
    if (*seed & 0x10000)
        leat_yield();
    leat_cancel(h);
    s.told = true;
    if (leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    return s.mistakes;
}

static int shield_main(void *arg)
{
    struct each_rounds rounds = each_rounds(4000, LEAT_SEC / 3);
    unsigned seed = 11;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = shield_round(&seed);
    return r;
}

/* Goal: nothing shows within a shield, and all that came shows behind it. */
Test(scopes_race, cancelled_between_shields, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, shield_main, NULL), 0));
}

/* --- clean-up of one that is cancelled as it ends --- */

struct cleaned {
    int done, mistakes; /* no atomics: the join orders them */
    int value[3];
};

static struct cleaned *volatile cleaned; /* one at a time */

static void clean(void *arg)
{
    int i = (int)(intptr_t)arg;

    cleaned->mistakes += cleaned->done != i; /* the youngest first */
    cleaned->mistakes += leat_cancelled() || leat_sleep(i * LEAT_USEC) != 0;
    cleaned->value[i]++;
    cleaned->done++;
}

static leat_result ends(unsigned seed)
{
    for (int i = 2; i >= 0; i--)
        if (leat_defer(clean, (void *)(intptr_t)i) != 0)
            return -ENOMEM;
    each_jitter(&seed);
    if (seed & 0x10000)
        (void)leat_sleep((seed >> 20) % 8 * LEAT_USEC);
    if (seed & 0x20000)
        leat_exit_self(7);
    return 7;
}

static int clean_round(unsigned *seed)
{
    struct cleaned c = {0};
    leat_handle *h;
    leat_result r = 0;

    cleaned = &c;
    if (leat_go_join(&h, ends, *seed) != 0)
        return -1;
    each_jitter(seed);
    if (*seed & 0x40000)
        leat_yield();
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    if (r != 7 || c.done != 3 || c.mistakes)
        return 1;
    return c.value[0] == 1 && c.value[1] == 1 && c.value[2] == 1 ? 0 : 2;
}

static int clean_main(void *arg)
{
    struct each_rounds rounds = each_rounds(4000, LEAT_SEC / 3);
    unsigned seed = 17;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = clean_round(&seed);
    return r;
}

/*
 * Goal: what was deferred runs once, in its order and shielded, and before the join returns,
 * whenever the coroutine is cancelled.
 */
Test(scopes_race, cancelled_as_it_cleans_up, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, clean_main, NULL), 0));
}
