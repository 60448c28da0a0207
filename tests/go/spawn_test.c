/*
 * tests/go/spawn_test.c - go() and its forms on the real runtime: what arrives, what comes back,
 * and every error that go.h names. What the macros make of their arguments is the business of
 * args.c; here they only have to survive the journey.
 *
 * Each test runs a main coroutine that fills a struct seen; the asserts are on the test's own
 * thread.
 */
#include "support/test.h"

#include <leat/leat.h>
#include <pthread.h>
#include <string.h>

enum { NR_MANY = 20000 };

struct big {
    char c[1000];
};

struct seen {
    int rc[16];
    leat_result value[16];
    long sum;
    char text[64];
    unsigned char slot[NR_MANY];
};
static struct seen seen;

static int run_with(const leat_config *config, int (*fn)(void *))
{
    memset(&seen, 0, sizeof(seen));
    return leat_run_with(config, fn, &seen);
}

/* With a grace that is long enough for a busy machine. */
static int run(int (*fn)(void *))
{
    leat_config config = {.shutdown_grace_ms = 20000};

    return run_with(&config, fn);
}

static void nothing(void)
{
}
static int add(int a, int b)
{
    return a + b;
}
static const char *text_of(struct seen *s, const char *text)
{
    return strcpy(s->text, text);
}
static double half(double d)
{
    return d / 2;
}
static void store(long *where, long value)
{
    *where = value;
}
static long sum_of_eight(char a, short b, int c, long d, float e, double f, const int *g,
                         unsigned char h)
{
    return a + b + c + d + (long)e + (long)f + *g + h;
}
static int sum_of_big(struct big b, const char *tail)
{
    int sum = 0;

    for (size_t i = 0; i < sizeof(b.c); i++)
        sum += b.c[i];
    return sum + (int)strlen(tail);
}

/* ---- Results through a handle. */

static int joins(void *arg)
{
    struct seen *s = arg;
    const int seven = 7;
    struct big big;
    leat_handle *h[7];

    memset(big.c, 1, sizeof(big.c));
    s->rc[0] = leat_go_join(&h[0], add, 40, 2);
    s->rc[1] = leat_go_join(&h[1], text_of, s, "text");
    s->rc[2] = leat_go_join(&h[2], half, 5);
    s->rc[3] = leat_go_join(&h[3], nothing);
    s->rc[4] = leat_go_join(&h[4], sum_of_eight, 1, 2, 3, 4, 5, 6, &seven, 8);
    s->rc[5] = leat_go_join(&h[5], sum_of_big, big, "12345");
    s->rc[6] = leat_go_join_attr(&h[6], NULL, add, -5, 1);
    memset(big.c, 2, sizeof(big.c)); /* it has been copied */
    for (int i = 0; i < 7; i++) {
        s->value[i] = -99;
        s->rc[i] = s->rc[i] ? s->rc[i] : leat_join(h[i], &s->value[i], LEAT_FOREVER);
    }
    return 3;
}

Test(go_spawn, results_come_back, .timeout = 60)
{
    cr_assert(eq(int, run(joins), 3));
    for (int i = 0; i < 7; i++)
        cr_expect(eq(int, seen.rc[i], 0), "spawn %d", i);
    cr_expect(eq(long, seen.value[0], 42));
    cr_expect(eq(ptr, (void *)seen.value[1], seen.text));
    cr_expect(eq(str, seen.text, (char *)"text"));
    cr_expect(eq(long, seen.value[2], 0));
    cr_expect(eq(long, seen.value[3], 0));
    cr_expect(eq(long, seen.value[4], 36));
    cr_expect(eq(long, seen.value[5], 1005));
    cr_expect(eq(long, seen.value[6], -4));
}

/* ---- Plain go, many of them, from coroutines that spawn in turn. */

static void mark(unsigned char *slot, leat_waitgroup *wg)
{
    ++*slot;
    leat_wg_done(wg);
}

static void mark_range(struct seen *s, int from, int to, leat_waitgroup *wg)
{
    if (to - from > 16) {
        int middle = from + (to - from) / 2;

        leat_wg_add(wg, 2);
        if (go(mark_range, s, from, middle, wg) || go(mark_range, s, middle, to, wg))
            s->rc[0] = -1;
    } else {
        for (int i = from; i < to; i++) {
            leat_wg_add(wg, 1);
            if (go(mark, &s->slot[i], wg))
                s->rc[0] = -1;
        }
    }
    leat_wg_done(wg);
}

static int many(void *arg)
{
    leat_waitgroup wg = {.word_ = {0}};

    leat_wg_add(&wg, 1);
    mark_range(arg, 0, NR_MANY, &wg);
    return leat_wg_wait(&wg, LEAT_FOREVER);
}

Test(go_spawn, each_runs_once, .timeout = 60)
{
    cr_assert(eq(int, run(many), 0));
    cr_expect(eq(int, seen.rc[0], 0));
    for (int i = 0; i < NR_MANY; i++)
        if (seen.slot[i] != 1)
            cr_fatal("coroutine %d ran %d times", i, seen.slot[i]);
}

/* ---- Groups. */

static int until_cancelled(struct seen *s)
{
    s->value[0] = leat_sleep(3600 * LEAT_SEC);
    return 0;
}

static int groups(void *arg)
{
    struct seen *s = arg;
    leat_attr attr = {.name = "member"};
    leat_group g;
    long a = 0, b = 0;

    leat_group_open(&g, 0);
    s->rc[0] = leat_group_go(&g, store, &a, 11);
    s->rc[1] = leat_group_go_attr(&g, &attr, store, &b, 31);
    s->rc[2] = leat_group_wait(&g, LEAT_FOREVER);
    s->sum = a + b;

    leat_group_open(&g, 0);
    s->rc[3] = leat_group_go(&g, until_cancelled, s);
    s->rc[4] = leat_group_go(&g, add, -7, 0); /* the first error cancels the rest */
    s->rc[5] = leat_group_wait(&g, LEAT_FOREVER);

    leat_group_open(&g, 0);
    leat_group_cancel(&g);
    s->rc[6] = leat_group_go(&g, nothing);
    s->rc[7] = leat_group_close(&g);
    return 0;
}

Test(go_spawn, members_and_their_errors, .timeout = 60)
{
    cr_assert(eq(int, run(groups), 0));
    for (int i = 0; i < 5; i++)
        cr_expect(eq(int, seen.rc[i], 0), "step %d", i);
    cr_expect(eq(long, seen.sum, 42));
    cr_expect(eq(int, seen.rc[5], -7));
    cr_expect(eq(long, seen.value[0], -ECANCELED));
    cr_expect(eq(int, seen.rc[6], -ECANCELED));
    cr_expect(eq(int, seen.rc[7], 0));
}

/* ---- A limit holds the spawner back. */

static leat_mutex alive_lock;
static int alive, alive_most;

/* The first one at least until there is a second: the spawner may be held up for longer. */
static void alive_for_a_while(void)
{
    int64_t until = leat_now() + 60 * LEAT_SEC;
    bool alone;

    leat_mutex_lock(&alive_lock);
    alive_most = ++alive > alive_most ? alive : alive_most;
    do {
        leat_mutex_unlock(&alive_lock);
        (void)leat_sleep(LEAT_MSEC);
        leat_mutex_lock(&alive_lock);
        alone = alive_most < 2;
    } while (alone && leat_now() < until);
    alive--;
    leat_mutex_unlock(&alive_lock);
}

static int limited(void *arg)
{
    struct seen *s = arg;
    leat_group g;

    leat_group_open(&g, 3);
    for (int i = 0; i < 20; i++)
        s->rc[0] |= leat_group_go(&g, alive_for_a_while);
    return leat_group_wait(&g, LEAT_FOREVER);
}

Test(go_spawn, limit_parks_the_spawner, .timeout = 60)
{
    alive = alive_most = 0;
    cr_assert(eq(int, run(limited), 0));
    cr_expect(eq(int, seen.rc[0], 0));
    cr_expect(ge(int, alive_most, 2));
    cr_expect(le(int, alive_most, 3));
    cr_expect(eq(int, alive, 0));
}

/* ---- Settings. */

static void name_into(char *text)
{
    strcpy(text, leat_self_name());
}

static __attribute__((noinline)) int deep(volatile char *above, int kib)
{
    volatile char here[1024];

    here[0] = (char)(above[0] + 1);
    return kib == 0 ? here[0] : deep(here, kib - 1) + here[0] * 0;
}

static int needs_stack(int kib)
{
    volatile char first = 0;

    return deep(&first, kib) != 0;
}

static int settings(void *arg)
{
    static char name[] = "a name of far more than thirty-one bytes";
    struct seen *s = arg;
    leat_attr attr = {.name = name, .priority = LEAT_PRIO_HIGH};
    leat_handle *h;

    s->rc[0] = leat_go_join_attr(&h, &attr, name_into, s->text);
    name[0] = '?'; /* it has been copied */
    s->rc[0] = s->rc[0] ? s->rc[0] : leat_join(h, NULL, LEAT_FOREVER);

    attr = (leat_attr){.stack_bytes = 2 << 20, .priority = LEAT_PRIO_LOW};
    s->rc[1] = leat_go_join_attr(&h, &attr, needs_stack, 1024);
    s->rc[1] = s->rc[1] ? s->rc[1] : leat_join(h, &s->value[1], LEAT_FOREVER);

    s->rc[2] = leat_go_attr(&(leat_attr){.stack_bytes = 1}, nothing);
    s->rc[3] = leat_go_attr(&(leat_attr){.stack_bytes = (size_t)1 << 40}, nothing);
    s->rc[4] = leat_go_attr(&(leat_attr){.priority = 2}, nothing);
    s->rc[5] = leat_go_attr(&(leat_attr){.priority = -2}, nothing);
    s->rc[6] = leat_go_attr(&(leat_attr){.stack_bytes = 16 << 10}, nothing);
    return 0;
}

Test(go_spawn, settings_are_honoured, .timeout = 60)
{
    cr_assert(eq(int, run(settings), 0));
    cr_expect(eq(int, seen.rc[0], 0));
    cr_expect(eq(str, seen.text, (char *)"a name of far more than thirty-"));
    cr_expect(eq(int, seen.rc[1], 0));
    cr_expect(eq(long, seen.value[1], 1));
    for (int i = 2; i < 6; i++)
        cr_expect(eq(int, seen.rc[i], -EINVAL), "setting %d", i);
    cr_expect(eq(int, seen.rc[6], 0));
}

/* ---- Errors (FAULTS rows 13, 21, 31). */

static int null_functions(void *arg)
{
    void (*none)(void) = NULL;
    int (*none_either)(int, int) = NULL;
    struct seen *s = arg;
    leat_handle *h = NULL;
    leat_group g;

    s->rc[0] = go(none);
    s->rc[1] = leat_go_join(&h, none_either, 1, 2);
    leat_group_open(&g, 1);
    s->rc[2] = leat_group_go(&g, none);
    s->rc[3] = leat_group_wait(&g, LEAT_FOREVER); /* nobody was counted */
    return h == NULL ? 0 : 1;
}

Test(go_spawn, null_function_is_refused, .timeout = 60)
{
    cr_assert(eq(int, run(null_functions), 0));
    for (int i = 0; i < 3; i++)
        cr_expect(eq(int, seen.rc[i], -EINVAL), "form %d", i);
    cr_expect(eq(int, seen.rc[3], 0));
}

Test(go_spawn, without_a_run, .timeout = 60)
{
    leat_handle *h = NULL;

    cr_expect(eq(int, go(nothing), -ESHUTDOWN));
    cr_assert(eq(int, run(joins), 3));
    cr_expect(eq(int, go(add, 1, 2), -ESHUTDOWN));
    cr_expect(eq(int, leat_go_attr(NULL, nothing), -ESHUTDOWN));
    cr_expect(eq(int, leat_go_join(&h, add, 1, 2), -ESHUTDOWN));
    cr_expect(eq(ptr, h, NULL));
}

static void spawn_when_cancelled(struct seen *s)
{
    s->rc[1] = leat_sleep(3600 * LEAT_SEC);
    s->rc[2] = go(nothing);
}

static int ends_at_once(void *arg)
{
    struct seen *s = arg;

    s->rc[0] = go(spawn_when_cancelled, s);
    leat_yield();
    return 0;
}

Test(go_spawn, while_the_run_ends, .timeout = 60)
{
    cr_assert(eq(int, run(ends_at_once), 0));
    cr_expect(eq(int, seen.rc[0], 0));
    cr_expect(eq(int, seen.rc[1], -ECANCELED));
    cr_expect(eq(int, seen.rc[2], -ESHUTDOWN));
}

static void sleep_a_minute(void)
{
    (void)leat_sleep(3600 * LEAT_SEC);
}

static int beyond_the_most(void *arg)
{
    struct seen *s = arg;
    leat_group g;
    int rc, nr = 0;

    leat_group_open(&g, 0);
    while ((rc = leat_group_go(&g, sleep_a_minute)) == 0 && nr < 100000)
        nr++;
    s->rc[0] = rc;
    s->rc[1] = nr;
    s->rc[2] = go(nothing);
    leat_group_cancel(&g);
    (void)leat_group_close(&g);
    s->rc[3] = go(nothing); /* their places are free again */
    return 0;
}

Test(go_spawn, most_coroutines_alive, .timeout = 60)
{
    /*
     * one processor: each has free ones of its own, and the spawner may be on another one by its
     * next call
     */
    leat_config config = {.procs = 1,
                          .max_coroutines = 100,
                          .slice_us = 10000000,
                          .retake_us = -1,
                          .shutdown_grace_ms = 20000};

    cr_assert(eq(int, run_with(&config, beyond_the_most), 0));
    cr_expect(eq(int, seen.rc[0], -EAGAIN));
    cr_expect(le(int, seen.rc[1], 100));
    cr_expect(ge(int, seen.rc[1], 50));
    cr_expect(eq(int, seen.rc[2], -EAGAIN));
    cr_expect(eq(int, seen.rc[3], 0));
}

/* ---- From a plain thread. */

static void *spawn_from_thread(void *arg)
{
    struct seen *s = arg;
    static leat_waitgroup wg;
    leat_handle *h = NULL;

    leat_wg_add(&wg, 100);
    for (int i = 0; i < 100; i++)
        s->rc[0] |= go(mark, &s->slot[i], &wg);
    s->rc[1] = leat_wg_wait(&wg, leat_after(100 * LEAT_SEC));
    s->rc[2] = leat_go_join(&h, add, 20, 3);
    if (s->rc[2] == 0)
        s->rc[3] = leat_join(h, &s->value[0], leat_after(100 * LEAT_SEC));
    leat_wg_done((leat_waitgroup *)(uintptr_t)s->value[1]);
    return NULL;
}

static int beside_a_thread(void *arg)
{
    struct seen *s = arg;
    leat_waitgroup ended = {.word_ = {0}};
    pthread_t thread;
    int rc;

    leat_wg_add(&ended, 1);
    s->value[1] = (leat_result)&ended;
    if (pthread_create(&thread, NULL, spawn_from_thread, s))
        return -1;
    rc = leat_wg_wait(&ended, LEAT_FOREVER);
    pthread_join(thread, NULL);
    return rc;
}

Test(go_spawn, from_a_plain_thread, .timeout = 60)
{
    cr_assert(eq(int, run(beside_a_thread), 0));
    for (int i = 0; i < 4; i++)
        cr_expect(eq(int, seen.rc[i], 0), "step %d", i);
    cr_expect(eq(long, seen.value[0], 23));
    for (int i = 0; i < 100; i++)
        if (seen.slot[i] != 1)
            cr_fatal("coroutine %d ran %d times", i, seen.slot[i]);
}
