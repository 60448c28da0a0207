/*
 * Handles under races: end, join, deadline, cancellation and detach at the same instant.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>

static int end_soon(unsigned seed)
{
    each_jitter(&seed);
    if (seed & 1)
        leat_yield();
    if (seed & 2)
        return leat_sleep((seed >> 16 & 31) * LEAT_USEC);
    return 0;
}

static int round_of_all(unsigned *seed)
{
    leat_handle *h;
    leat_result r = 1;
    int j;

    if (leat_go_join(&h, end_soon, *seed) != 0)
        return -1;
    each_jitter(seed);
    if (*seed >> 12 & 1)
        leat_cancel(h);
    if (*seed >> 13 & 1) {
        leat_detach(h);
        return 0;
    }
    j = leat_join(h, &r, leat_after((*seed >> 16 & 31) * LEAT_USEC));
    if (j == -ETIMEDOUT) {
        if (*seed >> 14 & 1) {
            leat_detach(h);
            return 0;
        }
        j = leat_join(h, &r, EACH_LONG);
    }
    return j == 0 && (r == 0 || r == -ECANCELED) ? 0 : 1;
}

static int all_main(void *arg)
{
    struct each_rounds rounds = each_rounds(30000, LEAT_SEC);
    unsigned seed = 17;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = round_of_all(&seed);
    return r;
}

/* Goal: the handle is freed once, by whoever is last, and the result is the coroutine's. */
Test(handle_race, join_cancel_detach_and_end_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, all_main, NULL), 0));
}

/* --- from plain threads --- */

struct outside {
    leat_waitgroup up, down;
    int result;
};

static int stay_main(void *arg)
{
    struct outside *s = arg;

    leat_wg_done(&s->up);
    return leat_wg_wait(&s->down, EACH_LONG);
}

static void *all_thread(void *arg)
{
    struct each_rounds rounds = each_rounds(5000, LEAT_SEC);
    struct outside *s = arg;
    unsigned seed = 23;

    if (leat_wg_wait(&s->up, EACH_LONG) == 0)
        while (s->result == 0 && each_next(&rounds))
            s->result = round_of_all(&seed);
    leat_wg_done(&s->down);
    return NULL;
}

/* Goal: the same from a plain thread. */
Test(handle_race, from_a_plain_thread, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct outside s = {0};
        pthread_t t;

        leat_wg_add(&s.up, 1);
        leat_wg_add(&s.down, 1);
        cr_assert(eq(int, pthread_create(&t, NULL, all_thread, &s), 0));
        cr_expect(eq(int, each_run(procs, stay_main, &s), 0));
        pthread_join(t, NULL);
        cr_assert(eq(int, s.result, 0));
    }
}

/* --- the joiner is cancelled as the coroutine ends --- */

static int join_it(leat_handle *h)
{
    return leat_join(h, NULL, LEAT_FOREVER);
}

static int joiner_round(unsigned *seed)
{
    leat_handle *target, *joiner;
    leat_result r = 1;

    if (leat_go_join(&target, end_soon, *seed & ~2u) != 0 ||
        leat_go_join(&joiner, join_it, target) != 0)
        return -1;
    if (*seed >> 11 & 1)
        leat_yield();
    each_jitter(seed);
    leat_cancel(joiner);
    if (leat_join(joiner, &r, EACH_LONG) != 0)
        return -2;
    if (r == -ECANCELED) /* the handle is still good */
        return leat_join(target, NULL, EACH_LONG);
    return (int)r;
}

static int joiner_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 29;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = joiner_round(&seed);
    return r;
}

/* Goal: either the join took the handle or it did not; never both. */
Test(handle_race, joiner_cancelled_as_the_coroutine_ends, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, joiner_main, NULL), 0));
}
