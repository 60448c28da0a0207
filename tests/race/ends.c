/*
 * Pairs of ends and beginnings: ROOT, WG-DONE, HANDLE-END, HANDLE-JOIN, HANDLE-TELL,
 * OUTSIDE-TELL. As a program has them, from the public headers.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define SPAN (300 * LEAT_MSEC)
#define SLOTS 8

/* --- ROOT --- */

static struct {
    atomic_ulong accepted, ran, wrong;
    atomic_bool over;
} root;

static void count_up(void)
{
    atomic_fetch_add(&root.ran, 1);
}

static void *spawner(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    while (!atomic_load(&root.over)) {
        int r = go(count_up);

        if (r == 0)
            atomic_fetch_add(&root.accepted, 1);
        else if (r != -ESHUTDOWN && r != -ENOMEM) /* many wait, and there are no more stacks */
            atomic_fetch_add(&root.wrong, 1);
        each_jitter(&seed);
        if (EACH_VALGRIND)
            usleep(50); /* one thread runs at a time there, and the run has to come to its end */
    }
    return NULL;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/*
 * Goal: a thread that finds the run keeps it until it has let go, and what was accepted runs before
 * leat_run() returns.
 */
Test(race_ends, root, .timeout = 60)
{
    struct each_rounds rounds = each_rounds(EACH_VALGRIND ? 500 : 2000, 2 * SPAN);
    unsigned long before = 0, n = 0;
    pthread_t t[2];

    for (uintptr_t i = 0; i < 2; i++)
        cr_assert(eq(int, pthread_create(&t[i], NULL, spawner, (void *)(i + 1)), 0));
    while (each_next(&rounds)) {
        cr_assert(eq(int, each_run(1 + (unsigned)(n++ & 1), nothing, NULL), 0));
        cr_assert(ge(ulong, atomic_load(&root.ran), before));
        before = atomic_load(&root.ran);
    }
    atomic_store(&root.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    cr_expect(eq(ulong, root.wrong, 0));
    cr_expect(eq(ulong, root.ran, root.accepted));
    cr_expect(gt(ulong, n, 1));
}

/* --- WG-DONE --- */

struct crew {
    leat_waitgroup wg;
    long slot[SLOTS]; /* plain: written before the done, read after the wait */
};

static void work(struct crew *c, int i, long round)
{
    c->slot[i] = round;
    leat_wg_done(&c->wg);
}

static int crew_main(void *arg)
{
    struct each_rounds rounds = each_rounds(5000, SPAN);
    struct crew c = {.slot = {0}};
    unsigned seed = 3;
    long round = 0, wrong = 0;

    (void)arg;
    while (each_next(&rounds)) {
        round++;
        leat_wg_add(&c.wg, SLOTS);
        for (int i = 0; i < SLOTS; i++)
            if (go(work, &c, i, round) != 0)
                return -1;
        each_jitter(&seed);
        if (leat_wg_wait(&c.wg, LEAT_FOREVER) != 0)
            return -2;
        for (int i = 0; i < SLOTS; i++)
            wrong += c.slot[i] != round;
    }
    return (int)wrong;
}

/* Goal: whoever has waited sees what all have done. */
Test(race_ends, wg_done, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, crew_main, NULL), 0));
}

/* --- HANDLE-END --- */

struct letter {
    long text; /* plain: written by the coroutine, read by whoever joined it */
};

static long write_letter(struct letter *l, long text, unsigned seed)
{
    each_jitter(&seed);
    l->text = text;
    return text;
}

static int end_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, SPAN);
    unsigned seed = 5;
    long round = 0;

    (void)arg;
    while (each_next(&rounds)) {
        struct letter l = {0};
        leat_result result = 0;
        leat_handle *h;

        if (leat_go_join(&h, write_letter, &l, ++round, seed) != 0)
            return -1;
        each_jitter(&seed);
        if (leat_join(h, &result, LEAT_FOREVER) != 0)
            return -2;
        if (result != round || l.text != round)
            return 1;
    }
    return 0;
}

/* Goal: whoever has joined sees the result, and what the coroutine wrote. */
Test(race_ends, handle_end, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, end_main, NULL), 0));
}

/* --- HANDLE-JOIN --- */

static int ends_after(unsigned seed)
{
    each_jitter(&seed);
    if (seed & 1)
        leat_yield();
    return 7;
}

static int joins_for(leat_handle *h, int64_t span_ns)
{
    leat_result result = 0;
    int r = leat_join(h, &result, leat_after(span_ns));

    return r == 0 ? (int)result : r;
}

/*
 * Joiners take turns at one handle, and give up: its end wakes the one whose turn it is, or finds
 * none.
 */
static int join_round(unsigned *seed)
{
    leat_handle *target, *joiner;
    leat_result got;

    if (leat_go_join(&target, ends_after, *seed) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        each_jitter(seed);
        if (leat_go_join(&joiner, joins_for, target, (int64_t)(*seed >> 16 & 15) * LEAT_USEC) != 0)
            return -2;
        if (leat_join(joiner, &got, EACH_LONG) != 0) /* a hang: it was not told */
            return -3;
        if (got == 7)
            return 0;
        if (got != -ETIMEDOUT)
            return 1;
    }
    return joins_for(target, 30 * LEAT_SEC) == 7 ? 0 : 2;
}

static int join_main(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, SPAN);
    unsigned seed = 7;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = join_round(&seed);
    return r;
}

/* Goal: the end of a coroutine finds the joiner that stands in its handle then, and no other. */
Test(race_ends, handle_join, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, join_main, NULL), 0));
}

/* --- HANDLE-TELL --- */

static struct {
    leat_waitgroup up, down;
    int result;
} tell;

static int tell_round(unsigned *seed, long round)
{
    struct letter l = {0};
    leat_result result = 0;
    leat_handle *h;
    int r;

    if (leat_go_join(&h, write_letter, &l, round, *seed) != 0)
        return -1;
    each_jitter(seed);
    r = leat_join(h, &result, leat_after((int64_t)(*seed >> 20) * 10));
    if (r == -ETIMEDOUT)
        r = leat_join(h, &result, EACH_LONG);
    if (r != 0)
        return r;
    r = result == round && l.text == round ? 0 : 1;
    memset(&l, 0xa5, sizeof(l));
    return r;
}

static void *tell_thread(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, SPAN);
    unsigned seed = 9;
    long round = 0;

    (void)arg;
    if (leat_wg_wait(&tell.up, EACH_LONG) == 0)
        while (tell.result == 0 && each_next(&rounds))
            tell.result = tell_round(&seed, ++round);
    leat_wg_done(&tell.down);
    return NULL;
}

static int tell_main(void *arg)
{
    (void)arg;
    leat_wg_done(&tell.up);
    return leat_wg_wait(&tell.down, EACH_LONG);
}

/* Goal: a plain thread that joins is told of the end, with the result and what came before it. */
Test(race_ends, handle_tell, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        pthread_t t;

        leat_wg_add(&tell.up, 1);
        leat_wg_add(&tell.down, 1);
        cr_assert(eq(int, pthread_create(&t, NULL, tell_thread, NULL), 0));
        cr_expect(eq(int, each_run(procs, tell_main, NULL), 0));
        pthread_join(t, NULL);
        cr_assert(eq(int, tell.result, 0));
    }
}

/* --- OUTSIDE-TELL --- */

static struct {
    atomic_bool over;
    atomic_ulong ended, refused;
    int wrong;
} outside;

static leat_result stays_a_while(unsigned seed)
{
    leat_result r = leat_sleep((int64_t)(seed >> 20) * 20);

    return r < 0 ? r : 0;
}

/* On a frame that is overwritten afterwards. */
static int outside_round(unsigned *seed)
{
    leat_group g;
    int r;

    leat_group_open(&g, 0);
    r = leat_group_go(&g, stays_a_while, *seed);
    if (r == -ESHUTDOWN) {
        atomic_fetch_add(&outside.refused, 1);
        r = 0;
    } else if (r == 0) {
        each_jitter(seed);
        r = leat_group_wait(&g, leat_after((int64_t)(*seed >> 20) * 20));
        if (r == -ETIMEDOUT)
            r = leat_group_wait(&g, LEAT_FOREVER);
        atomic_fetch_add(&outside.ended, 1);
    }
    memset(&g, 0xa5, sizeof(g));
    return r == -ECANCELED ? 0 : r; /* by the end of its run */
}

static void *outside_thread(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    while (!atomic_load(&outside.over)) {
        int r = outside_round(&seed);

        if (r != 0)
            outside.wrong = r;
    }
    return NULL;
}

static int outside_main(void *arg)
{
    return (int)leat_sleep((int64_t)(*(unsigned *)arg >> 20) * 30);
}

/*
 * Goal: a plain thread's wait for members goes on from the run in which it began to none: it is
 * ended by them, or told by the end of the run, which has done with its frame then.
 */
Test(race_ends, outside_tell, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct each_rounds rounds = each_rounds(EACH_VALGRIND ? 500 : 1000, SPAN);
        unsigned seed = procs;
        pthread_t t[2];

        atomic_store(&outside.over, false);
        for (uintptr_t i = 0; i < 2; i++)
            cr_assert(eq(int, pthread_create(&t[i], NULL, outside_thread, (void *)(i + 5)), 0));
        while (each_next(&rounds)) {
            each_jitter(&seed);
            cr_assert(eq(int, each_run(procs, outside_main, &seed), 0));
        }
        atomic_store(&outside.over, true);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        cr_expect(eq(int, outside.wrong, 0));
    }
}
