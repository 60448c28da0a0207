/*
 * Waitgroups under races: on the waiter's stack and reused at once, and with deadline, cancellation
 * and the last done at the same instant.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define PATTERN 0xa5

static void done_only(leat_waitgroup *wg)
{
    leat_wg_done(wg);
}

static bool untouched(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != PATTERN)
            return false;
    return true;
}

/* A waitgroup in memory of the waiter, which is something else as soon as the wait is over. */
static int one_round(unsigned char *memory, unsigned *seed)
{
    leat_waitgroup *wg = (leat_waitgroup *)(void *)memory;
    bool ok;

    memset(memory, 0, sizeof(*wg));
    leat_wg_add(wg, 2);
    if (go(done_only, wg) != 0 || go(done_only, wg) != 0)
        return -1;
    each_jitter(seed);
    if (leat_wg_wait(wg, LEAT_FOREVER) != 0)
        return -2;
    memset(memory, PATTERN, sizeof(*wg));
    each_jitter(seed);
    ok = untouched(memory, sizeof(*wg));
    return ok ? 0 : 1;
}

static int reuse_main(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, 3 * LEAT_SEC);
    unsigned seed = 1;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds)) {
        _Alignas(8) unsigned char memory[sizeof(leat_waitgroup)];

        r = one_round(memory, &seed);
    }
    return r;
}

/*
 * Goal: the last done touches nothing once a waiter may have returned. Method: 100 000 waitgroups
 * on one spot of a stack.
 */
Test(waitgroup_race, on_the_stack_of_the_waiter, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, reuse_main, NULL), 0));
}

/* --- the same with plain threads on both sides --- */

struct relay {
    _Atomic(leat_waitgroup *) offer; /* to take one from */
    atomic_bool stop;
};

static void *relay_thread(void *arg)
{
    struct relay *s = arg;
    unsigned seed = 7;

    while (!atomic_load(&s->stop)) {
        leat_waitgroup *wg = atomic_exchange(&s->offer, NULL);

        if (!wg) {
            sched_yield();
            continue;
        }
        each_jitter(&seed);
        leat_wg_done(wg);
    }
    return NULL;
}

static int relay_rounds(struct relay *s, struct each_rounds rounds)
{
    unsigned seed = 3;

    while (each_next(&rounds)) {
        leat_waitgroup wg = {0};

        leat_wg_add(&wg, 1);
        atomic_store(&s->offer, &wg);
        each_jitter(&seed);
        if (leat_wg_wait(&wg, EACH_LONG) != 0)
            return -1;
        memset(&wg, PATTERN, sizeof(wg));
        each_jitter(&seed);
        if (!untouched((unsigned char *)&wg, sizeof(wg)))
            return 1;
    }
    return 0;
}

static int relay_main(void *arg)
{
    return relay_rounds(arg, each_rounds(20000, LEAT_SEC));
}

/* Goal: as above, when plain threads take the last, or wait. */
Test(waitgroup_race, with_plain_threads, .timeout = 60)
{
    struct relay s = {.stop = false};
    pthread_t t;

    cr_assert(eq(int, pthread_create(&t, NULL, relay_thread, &s), 0));
    cr_expect(eq(int, relay_rounds(&s, each_rounds(20000, LEAT_SEC)), 0));
    for (EACH_PROCS(procs))
        cr_expect(eq(int, each_run(procs, relay_main, &s), 0));
    atomic_store(&s.stop, true);
    pthread_join(t, NULL);
}

/* --- deadline against the last done --- */

static void done_after(leat_waitgroup *wg, int64_t span_ns)
{
    for (int64_t until = leat_now() + span_ns; leat_now() < until;)
        ;
    leat_wg_done(wg);
}

struct score {
    long done, timeout;
};

static int deadline_round(struct score *s, int64_t span_ns)
{
    leat_waitgroup wg = {0};
    int r;

    leat_wg_add(&wg, 1);
    if (go(done_after, &wg, span_ns) != 0)
        return -1;
    r = leat_wg_wait(&wg, leat_after(span_ns));
    if (r == -ETIMEDOUT) {
        s->timeout++;
        r = leat_wg_wait(&wg, LEAT_FOREVER); /* nobody else knows when the memory may go */
    } else {
        s->done++;
    }
    memset(&wg, PATTERN, sizeof(wg));
    return r;
}

static int deadline_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);

    while (each_next(&rounds)) {
        int r = deadline_round(arg, (rounds.left % 8) * 5 * LEAT_USEC);

        if (r != 0)
            return r;
    }
    return 0;
}

/* Goal: whichever comes first, the waiter runs once, and the waitgroup is whole afterwards. */
Test(waitgroup_race, deadline_and_done_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct score s = {0};

        cr_assert(eq(int, each_run(procs, deadline_main, &s), 0));
        cr_assert(gt(long, s.done + s.timeout, 0));
    }
}

static int thread_deadline_round(struct relay *s, struct score *score, int64_t span_ns)
{
    leat_waitgroup wg = {0};
    int r;

    leat_wg_add(&wg, 1);
    atomic_store(&s->offer, &wg);
    r = leat_wg_wait(&wg, leat_after(span_ns));
    if (r == -ETIMEDOUT) {
        score->timeout++;
        r = leat_wg_wait(&wg, LEAT_FOREVER);
    } else {
        score->done++;
    }
    memset(&wg, PATTERN, sizeof(wg));
    return r;
}

/* Goal: as above on plain threads: a wait that gave up is not written to afterwards. */
Test(waitgroup_race, deadline_and_done_at_once_on_threads, .timeout = 60)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    struct score score = {0};
    struct relay s = {.stop = false};
    pthread_t t;
    int r = 0;

    cr_assert(eq(int, pthread_create(&t, NULL, relay_thread, &s), 0));
    while (r == 0 && each_next(&rounds))
        r = thread_deadline_round(&s, &score, (rounds.left % 16) * 10 * LEAT_USEC);
    atomic_store(&s.stop, true);
    pthread_join(t, NULL);
    cr_assert(eq(int, r, 0));
}

/* --- cancellation against the last done, with others that wait --- */

static leat_result wait_plainly(leat_waitgroup *wg, leat_waitgroup *out)
{
    int r = leat_wg_wait(wg, LEAT_FOREVER);

    leat_wg_done(out);
    return r;
}

static void cancel_after(leat_handle *h, unsigned seed, leat_waitgroup *out)
{
    each_jitter(&seed);
    leat_cancel(h);
    leat_wg_done(out);
}

static int cancel_round(unsigned *seed)
{
    leat_waitgroup wg = {0}, out = {0};
    leat_handle *victim, *other;
    leat_result a = 1, b = 1;

    leat_wg_add(&wg, 1);
    leat_wg_add(&out, 3);
    if (leat_go_join(&victim, wait_plainly, &wg, &out) != 0 ||
        leat_go_join(&other, wait_plainly, &wg, &out) != 0)
        return -1;
    if (*seed & 1)
        leat_yield();
    if (go(cancel_after, victim, *seed, &out) != 0)
        return -2;
    each_jitter(seed);
    if (*seed & 2)
        leat_yield();
    leat_wg_done(&wg);
    if (leat_wg_wait(&out, EACH_LONG) != 0)
        return -3;
    if (leat_join(victim, &a, EACH_LONG) != 0 || leat_join(other, &b, EACH_LONG) != 0)
        return -4;
    return b == 0 && (a == 0 || a == -ECANCELED) && leat_wg_wait(&wg, LEAT_AT_ONCE) == 0 ? 0 : 1;
}

static int cancel_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, LEAT_SEC);
    unsigned seed = 5;
    int r = 0;

    (void)arg;
    while (r == 0 && each_next(&rounds))
        r = cancel_round(&seed);
    return r;
}

/* Goal: cancellation or the last done wins; whoever else waits goes on in any case. */
Test(waitgroup_race, cancel_and_done_at_once, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, cancel_main, NULL), 0));
}
