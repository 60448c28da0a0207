/*
 * Scopes, shields, deferred clean-up and leat_exit_self(), one thing at a time.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define MEMBERS 20

struct counts {
    atomic_int cancelled, other, begun;
};

/* Waits for ever in one of several ways, and counts how that ended. */
static int wait_cancelled(struct counts *c, int how)
{
    static leat_mutex held;
    leat_waitgroup never = {{0}};
    int r;

    leat_wg_add(&never, 1);
    switch (how % 3) {
    case 0:
        r = leat_sleep_until(LEAT_FOREVER);
        break;
    case 1:
        r = leat_wg_wait(&never, LEAT_FOREVER);
        break;
    default:
        (void)!leat_mutex_try(&held);
        r = leat_mutex_lock_until(&held, LEAT_FOREVER);
    }
    atomic_fetch_add(r == -ECANCELED ? &c->cancelled : &c->other, 1);
    return 0;
}

/* --- cancel --- */

static int cancel_main(void *arg)
{
    struct counts c = {0};
    leat_scope outer, scope;
    leat_group in, out;
    int bad = 0;

    (void)arg;
    leat_group_open(&out, 0);
    bad += leat_scope_open(&outer, LEAT_FOREVER) != 0;
    bad += leat_scope_open(&scope, LEAT_FOREVER) != 0;
    leat_group_open(&in, 0);
    for (int i = 0; i < MEMBERS; i++)
        bad += leat_group_go(&in, wait_cancelled, &c, i) != 0;
    bad += leat_sleep(LEAT_MSEC) != 0;
    leat_scope_cancel(&scope, -EPIPE);
    leat_scope_cancel(&scope, -EIO); /* too late */
    bad += !leat_cancelled() || leat_cause() != -EPIPE || leat_scope_cause(&scope) != -EPIPE;
    bad += leat_sleep(0) != -ECANCELED;
    bad += leat_group_go(&in, wait_cancelled, &c, 0) != -ECANCELED;
    bad += leat_group_go(&out, wait_cancelled, &c, 0) != 0;
    bad += leat_scope_close(&scope) != -EPIPE;
    bad += c.cancelled != MEMBERS || c.other;
    bad += leat_group_close(&in) != 0;
    bad += leat_cancelled() || leat_cause() != 0 || leat_sleep(LEAT_MSEC) != 0;
    bad += leat_scope_close(&outer) != 0;
    leat_group_cancel(&out);
    bad += leat_group_close(&out) != 0 || c.cancelled != MEMBERS + 1;
    return bad;
}

/* Goal: a scope cancels its coroutine and the groups inside, while it is open, and nothing else. */
Test(scopes, cancel, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}

static void *cancel_thread(void *scope)
{
    leat_scope_cancel(scope, 7);
    return NULL;
}

static int thread_main(void *arg)
{
    leat_scope outer, scope;
    pthread_t t;
    int bad = 0;

    (void)arg;
    bad += leat_scope_open(&outer, LEAT_FOREVER) != 0;
    bad += leat_scope_open(&scope, LEAT_FOREVER) != 0;
    bad += pthread_create(&t, NULL, cancel_thread, &outer) != 0;
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED;
    pthread_join(t, NULL);
    bad += leat_scope_cause(&scope) != 0;
    bad += leat_scope_close(&scope) != 7; /* by what is around it */
    bad += !leat_cancelled();
    bad += leat_scope_close(&outer) != 7;
    bad += leat_cancelled();
    return bad;
}

/*
 * Goal: a plain thread cancels an outer scope; the wait in the inner one ends, and the cause is the
 * program's own.
 */
Test(scopes, cancelled_by_a_thread, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, thread_main, NULL), 0));
}

/* --- a tree --- */

struct tree {
    struct counts c;
    atomic_int bad, inside;
};

static int branch(struct tree *t, int depth)
{
    leat_scope scope;
    leat_group group;

    atomic_fetch_add(&t->inside, 1);
    if (leat_scope_open(&scope, leat_after(100 * LEAT_SEC)) != 0)
        return atomic_fetch_add(&t->bad, 1);
    leat_group_open(&group, 0);
    for (int i = 0; i < 2; i++)
        if (depth > 0 && leat_group_go(&group, branch, t, depth - 1) != 0)
            atomic_fetch_add(&t->bad, 1);
    /* not by its own wait: it stays in user code until all below were told */
    while (!leat_cancelled())
        leat_yield();
    if (leat_cause() != -EINTR)
        atomic_fetch_add(&t->bad, 1);
    if (leat_group_close(&group) != 0 || leat_scope_close(&scope) != -EINTR)
        atomic_fetch_add(&t->bad, 1);
    return 0;
}

static int tree_main(void *arg)
{
    struct tree *t = arg;
    leat_scope scope;
    leat_group group;
    int bad = 0;

    bad += leat_scope_open(&scope, LEAT_FOREVER) != 0;
    leat_group_open(&group, 0);
    bad += leat_group_go(&group, branch, t, 4) != 0;
    while (t->inside < 31)
        (void)leat_sleep(LEAT_MSEC);
    leat_scope_cancel(&scope, -EINTR);
    bad += leat_group_close(&group) != 0;
    bad += leat_scope_close(&scope) != -EINTR;
    return bad + t->bad;
}

/*
 * Goal: what the members of the groups inside have opened is told too, all the way down, with the
 * same cause.
 */
Test(scopes, a_tree_of_groups, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        struct tree t = {0};

        cr_assert(eq(int, each_run(procs, tree_main, &t), 0));
    }
}

/* --- deadlines --- */

static int deadline_main(void *arg)
{
    struct counts c = {0};
    leat_scope outer, scope;
    leat_group group;
    int bad = 0, r;

    (void)arg;
    bad += leat_scope_open(&outer, leat_after(600 * LEAT_SEC)) != 0;
    bad += leat_scope_open(&scope, leat_after(5 * LEAT_MSEC)) != 0;
    leat_group_open(&group, 0);
    r = leat_group_go(&group, wait_cancelled, &c, 1);
    bad += r != 0 && r != -ECANCELED; /* held up for so long that the deadline has passed */
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED;
    bad += leat_cause() != -ETIMEDOUT;
    bad += leat_scope_close(&scope) != -ETIMEDOUT;
    bad += c.cancelled != (r == 0);
    bad += leat_scope_open(&scope, leat_after(5 * LEAT_MSEC)) != 0;
    while (!leat_cancelled()) /* never waits */
        ;
    bad += leat_scope_close(&scope) != -ETIMEDOUT;
    bad += leat_scope_open(&scope, LEAT_AT_ONCE) != 0;
    bad += leat_sleep(0) != -ECANCELED;
    bad += leat_scope_close(&scope) != -ETIMEDOUT;
    for (int i = 0; i < 1000; i++) {
        bad += leat_scope_open(&scope, leat_after(LEAT_SEC * (60 + i % 50))) != 0;
        bad += leat_scope_close(&scope) != 0;
    }
    /* the inner one's comes first, then the outer one's */
    bad += leat_scope_close(&outer) != 0;
    bad += leat_scope_open(&outer, leat_after(20 * LEAT_MSEC)) != 0;
    bad += leat_scope_open(&scope, leat_after(5 * LEAT_MSEC)) != 0;
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED;
    bad += leat_scope_close(&scope) != -ETIMEDOUT;
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED;
    bad += leat_scope_close(&outer) != -ETIMEDOUT;
    return bad;
}

/*
 * Goal: a deadline cancels a scope and what is inside, also one that never waits; the outer one's
 * is not forgotten meanwhile.
 */
Test(scopes, deadlines, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, deadline_main, NULL), 0));
}

/* --- shields --- */

static leat_result shielded(struct counts *c)
{
    leat_group before, under;
    leat_shield shield, again;
    leat_scope scope;
    int bad = 0;

    leat_group_open(&before, 0);
    bad += leat_group_go(&before, wait_cancelled, c, 0) != 0;
    c->begun = 1;
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED;
    leat_shield_begin(&shield);
    bad += leat_cancelled() || leat_sleep(LEAT_MSEC) != 0;
    leat_group_open(&under, 0);
    bad += leat_group_go(&under, leat_sleep, LEAT_MSEC) != 0; /* not born cancelled */
    bad += leat_group_wait(&under, LEAT_FOREVER) != 0;
    bad += leat_scope_open(&scope, leat_after(LEAT_MSEC)) != 0;
    bad += leat_sleep_until(LEAT_FOREVER) != -ECANCELED; /* the scope's own deadline works */
    leat_shield_begin(&again);
    bad += leat_sleep(0) != 0;
    leat_shield_end(&again);
    bad += leat_scope_close(&scope) != -ETIMEDOUT;
    bad += leat_sleep(0) != 0;
    leat_shield_end(&shield);
    bad += !leat_cancelled();
    bad += leat_group_close(&before) != 0;
    return bad;
}

static int shield_main(void *arg)
{
    struct counts c = {0};
    leat_result bad = 1;
    leat_handle *h;
    leat_shield shield;

    (void)arg;
    if (leat_go_join(&h, shielded, &c) != 0)
        return -1;
    while (!c.begun)
        leat_yield();
    leat_cancel(h);
    leat_shield_begin(&shield); /* of one that has no extra yet */
    leat_shield_end(&shield);
    if (leat_join(h, &bad, EACH_LONG) != 0)
        return -2;
    return (int)bad + (c.cancelled != 1);
}

/* Goal: a shield hides what comes from outside of it, and nothing else. */
Test(scopes, shields, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, shield_main, NULL), 0));
}

/* --- clean-up --- */

struct log {
    char text[16];
    int n, bad;
};

static struct log the_log;

static void note(void *what)
{
    the_log.bad += leat_sleep(10 * LEAT_USEC) != 0; /* shielded */
    the_log.text[the_log.n++] = (char)(intptr_t)what;
}

static void note_and_defer(void *what)
{
    note(what);
    the_log.bad += leat_defer(note, (void *)'z') != 0;
}

static void leave(leat_result result, leat_group *g)
{
    bool before = leat_cancelled(); /* or at any moment from now on */
    int r;

    leat_group_open(g, 0);
    r = leat_group_go(g, leat_sleep_until, LEAT_FOREVER);
    the_log.bad += r == 0 ? before : r != -ECANCELED || !leat_cancelled();
    leat_exit_self(result);
}

static leat_result deep(int depth, leat_result result, leat_group *g)
{
    volatile char frame[64] = {0}; /* some depth */

    if (depth > 0)
        return deep(depth - 1, result, g) + frame[0] + 1;
    if (frame[0] == 0) /* else the compiler sees that it never comes back, and warns */
        leave(result, g);
    return 0;
}

static leat_result cleans_up(bool exits)
{
    leat_group g;
    leat_scope scope;

    the_log.bad += leat_defer(note, (void *)'a') != 0;
    the_log.bad += leat_defer(note_and_defer, (void *)'b') != 0;
    the_log.bad += leat_defer(note, (void *)'x') != 0;
    for (int i = 0; i < 20; i++) {
        the_log.bad += leat_defer(note, (void *)(intptr_t)('c' + i)) != 0;
        if (i >= 3)
            the_log.bad += !leat_undefer(note, (void *)(intptr_t)('c' + i));
    }
    the_log.bad += !leat_undefer(note, (void *)'x') || leat_undefer(note, (void *)'x');
    if (exits) {
        the_log.bad += leat_scope_open(&scope, leat_after(100 * LEAT_SEC)) != 0;
        return deep(10, 42, &g);
    }
    return 42;
}

static int cleanup_main(void *arg)
{
    int bad = 0;

    (void)arg;
    for (int i = 0; i < 4; i++) {
        leat_result r = 0;
        leat_handle *h;

        memset(&the_log, 0, sizeof(the_log));
        bad += leat_go_join(&h, cleans_up, i % 2 != 0) != 0;
        if (i >= 2)
            leat_cancel(h);
        bad += leat_join(h, &r, EACH_LONG) != 0 || r != 42;
        bad += the_log.bad;
        for (int k = 0; k < 6; k++)
            bad += the_log.text[k] != "edcbza"[k];
    }
    leat_exit_self(bad);
}

/*
 * Goal: clean-up runs at the end, by return or by exit, the youngest first, under a shield; and the
 * main coroutine may exit too.
 */
Test(scopes, clean_up, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cleanup_main, NULL), 0));
}

static void exits_at_once(atomic_int *n)
{
    atomic_fetch_add(n, 1);
    leat_exit_self(0);
}

static int exits_main(void *arg)
{
    atomic_int n = 0;
    leat_group g;

    (void)arg;
    leat_group_open(&g, 100);
    for (int i = 0; i < 5000; i++)
        if (leat_group_go(&g, exits_at_once, &n) != 0)
            return -1;
    return leat_group_wait(&g, EACH_LONG) == 0 && n == 5000 ? 0 : 1;
}

/* Goal: stacks of those who left by exit are as good as others. */
Test(scopes, many_exit, .timeout = 30)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, exits_main, NULL), 0));
}

/* --- who works for a clean-up at the end of the run --- */

static atomic_int saved, saving;

static int save(void)
{
    if (leat_sleep(20 * LEAT_MSEC) == 0)
        atomic_fetch_add(&saved, 1);
    return 0;
}

static void save_all(void *arg)
{
    leat_group g;

    (void)arg;
    leat_group_open(&g, 0);
    for (int i = 0; i < 3; i++)
        (void)leat_group_go(&g, save);
    atomic_store(&saving, 1);
    (void)leat_group_close(&g);
}

static int saver(void)
{
    if (leat_defer(save_all, NULL) != 0)
        return -1;
    return leat_sleep_until(LEAT_FOREVER);
}

static int saver_main(void *arg)
{
    leat_handle *h;

    (void)arg;
    if (leat_go_join(&h, saver) != 0)
        return -1;
    (void)leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    while (!atomic_load(&saving)) /* from now on spawns are refused */
        (void)leat_sleep(100 * LEAT_USEC);
    leat_detach(h);
    return 0;
}

/* Goal: the end of a run leaves those alone whom a clean-up has spawned. */
Test(scopes, the_end_of_a_run_spares_clean_up, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        saved = saving = 0;
        cr_assert(eq(int, each_run(procs, saver_main, NULL), 0));
        cr_assert(eq(int, saved, 3));
    }
}

/* --- refusals --- */

/* Goal: a plain thread is told that it has no scopes; shields do nothing there. */
Test(scopes, plain_threads, .timeout = 5)
{
    leat_scope scope;
    leat_shield shield;

    cr_assert(eq(int, leat_scope_open(&scope, LEAT_FOREVER), -EPERM));
    cr_assert(eq(int, leat_scope_open(NULL, LEAT_FOREVER), -EINVAL));
    cr_assert(eq(int, leat_defer(note, NULL), -EPERM));
    cr_assert(eq(int, leat_defer(NULL, NULL), -EINVAL));
    cr_assert(not(leat_undefer(note, NULL)));
    cr_assert(zero(iptr, leat_cause()));
    leat_shield_begin(&shield);
    leat_shield_end(&shield);
}
