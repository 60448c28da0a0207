/*
 * Everything at once on 64 processors, many more than there are CPUs: whoever holds a processor may
 * stand still for a long time in the middle of anything. With delays at named points
 * (runtime/base/delay.h) this is the race test of all ordering pairs together.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS (KIT_SANITIZED || KIT_VALGRIND ? 4 : 30)

enum {
    PROCS = 64,
    PAIRS = 24, /* that pass a byte to and fro through two pipes */
    PASSES = 40,
    TREES = 8,
    DEPTH = 7,
    NAPPERS = 100,
    JOINED = 60,
    CANCELLED = 40,
    LOCKERS = 40,
};

struct crowd {
    atomic_ulong bytes, nodes, naps, cancelled, wrong;
    leat_mutex mutex;
    unsigned long locked; /* under the mutex */
    unsigned long joined;
};

#define WRONG_UNLESS(c, cond)                                                                      \
    do {                                                                                           \
        if (!(cond))                                                                               \
            atomic_fetch_add(&(c)->wrong, 1);                                                      \
    } while (0)

static void player(struct crowd *c, int in, int out, bool first)
{
    char byte = 0;

    for (int i = 0; i < PASSES; i++) {
        if (first)
            WRONG_UNLESS(c, leat_write_all(out, "x", 1, leat_after(KIT_LONG)) == 1);
        WRONG_UNLESS(c, leat_read_full(in, &byte, 1, leat_after(KIT_LONG)) == 1);
        if (!first)
            WRONG_UNLESS(c, leat_write_all(out, "y", 1, leat_after(KIT_LONG)) == 1);
        atomic_fetch_add(&c->bytes, 1);
    }
    WRONG_UNLESS(c, leat_close(in) == 0 && leat_close(out) == 0);
}

static void node(struct crowd *c, leat_group *group, int depth)
{
    for (int i = 0; i < 2 && depth > 0; i++)
        WRONG_UNLESS(c, leat_group_go(group, node, c, group, depth - 1) == 0);
    if (depth % 3 == 1)
        leat_yield();
    atomic_fetch_add(&c->nodes, 1);
}

static void napper(struct crowd *c, int n)
{
    int64_t span = (n * 37 % 20) * 100 * LEAT_USEC, from = leat_now();

    WRONG_UNLESS(c, leat_sleep(span) == 0);
    WRONG_UNLESS(c, leat_now() - from >= span);
    atomic_fetch_add(&c->naps, 1);
}

static int squared(int n)
{
    if (n % 2)
        leat_yield();
    return n * n;
}

static void waits_for_ever(struct crowd *c)
{
    WRONG_UNLESS(c, leat_sleep(KIT_LONG * 100) == -ECANCELED);
    atomic_fetch_add(&c->cancelled, 1);
}

static void locker(struct crowd *c)
{
    for (int i = 0; i < 20; i++) {
        leat_mutex_lock(&c->mutex);
        c->locked++;
        leat_mutex_unlock(&c->mutex);
        if (i % 4 == 0)
            leat_yield();
    }
}

static void pairs_begin(struct crowd *c, leat_group *group)
{
    for (int i = 0; i < PAIRS; i++) {
        int a[2], b[2];

        WRONG_UNLESS(c, leat_pipe(a) == 0 && leat_pipe(b) == 0);
        WRONG_UNLESS(c, leat_group_go(group, player, c, a[0], b[1], true) == 0);
        WRONG_UNLESS(c, leat_group_go(group, player, c, b[0], a[1], false) == 0);
    }
}

/* Handles, whose coroutines end before, while and after they are joined */
static void join_all(struct crowd *c)
{
    leat_handle *handle[JOINED];

    for (int i = 0; i < JOINED; i++)
        WRONG_UNLESS(c, leat_go_join(&handle[i], squared, i) == 0);
    for (int i = 0; i < JOINED; i++) {
        leat_result result = -1;

        WRONG_UNLESS(c,
                     leat_join(handle[i], &result, leat_after(KIT_LONG)) == 0 && result == i * i);
        c->joined++;
    }
}

static void round_run(struct crowd *c)
{
    leat_group group, doomed;

    leat_group_open(&group, 0);
    leat_group_open(&doomed, 0);
    pairs_begin(c, &group);
    for (int i = 0; i < CANCELLED; i++)
        WRONG_UNLESS(c, leat_group_go(&doomed, waits_for_ever, c) == 0);
    for (int i = 0; i < TREES; i++)
        WRONG_UNLESS(c, leat_group_go(&group, node, c, &group, DEPTH) == 0);
    for (int i = 0; i < NAPPERS; i++)
        WRONG_UNLESS(c, leat_group_go(&group, napper, c, i) == 0);
    for (int i = 0; i < LOCKERS; i++)
        WRONG_UNLESS(c, leat_group_go(&group, locker, c) == 0);
    join_all(c);
    leat_group_cancel(&doomed);
    WRONG_UNLESS(c, leat_group_wait(&doomed, leat_after(KIT_LONG)) == 0);
    WRONG_UNLESS(c, leat_group_wait(&group, leat_after(KIT_LONG)) == 0);
}

static int crowd_main(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        round_run(arg);
    return 0;
}

/*
 * Goal: nothing is lost, done twice or left waiting. Method: every kind of wait at once, counted; a
 * lost wake-up ends at a deadline.
 */
Test(crowd, nothing_is_lost, .timeout = 110)
{
    struct crowd c = {0};
    const char *seed = getenv("LEA_DELAY_SEED");

    if (seed)
        fprintf(stderr, "LEA_DELAY_SEED=%s\n", seed);
    cr_assert(eq(int, kit_run(PROCS, crowd_main, &c), 0));
    cr_expect(eq(ulong, c.wrong, 0));
    cr_expect(eq(ulong, c.bytes, 2ul * ROUNDS * PAIRS * PASSES));
    cr_expect(eq(ulong, c.nodes, (unsigned long)ROUNDS * TREES * ((2u << DEPTH) - 1)));
    cr_expect(eq(ulong, c.naps, (unsigned long)ROUNDS * NAPPERS));
    cr_expect(eq(ulong, c.cancelled, (unsigned long)ROUNDS * CANCELLED));
    cr_expect(eq(ulong, c.locked, 20ul * ROUNDS * LOCKERS));
    cr_expect(eq(ulong, c.joined, (unsigned long)ROUNDS * JOINED));
}
