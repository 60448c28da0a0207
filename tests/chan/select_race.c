/*
 * Selects under races: each value that was sent is received once, or still there, whoever meets
 * whom, and whatever else ends the wait.
 */
#include "support/test.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- all by select: senders and receivers at several channels, some in both directions --- */

#define CHANS 3
#define PARTIES 6
#define EACH 700

struct traffic {
    number_chan c[CHANS];
    atomic_uchar seen[PARTIES][EACH];
    atomic_int sent, received, senders, mistakes;
    bool impatient;
};

static leat_deadline patience(const struct traffic *s, unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    if (!s->impatient || *seed >> 30)
        return EACH_LONG;
    return leat_after((int64_t)(*seed >> 18 & 0xfff) * 10);
}

static void note(struct traffic *s, int64_t v)
{
    kit_count(&s->mistakes, v < 0 || v >= PARTIES * EACH ||
                                atomic_fetch_add(&s->seen[v / EACH][v % EACH], 1) != 0);
    atomic_fetch_add(&s->received, 1);
}

/* Sends all of its own, and takes what comes meanwhile. The last sender closes. */
static void exchange(struct traffic *s, int64_t who)
{
    unsigned seed = (unsigned)who + 1;

    for (int64_t i = 0; i < EACH;) {
        int64_t in[CHANS] = {-5, -5, -5}, out = who * EACH + i;
        leat_case c[2 * CHANS];
        int r;

        for (int k = 0; k < CHANS; k++) {
            c[k] = leat_case_put(s->c[k], &out);
            c[CHANS + k] = who % 2 ? leat_case_get(s->c[k], &in[k]) : leat_case_none();
        }
        r = leat_select(c, 2 * CHANS, patience(s, &seed));
        if (r >= 0 && r < CHANS) {
            kit_count(&s->mistakes, c[r].result != 0);
            atomic_fetch_add(&s->sent, 1);
            i++;
        } else if (r >= 0) {
            kit_count(&s->mistakes, c[r].result != 0);
            note(s, in[r - CHANS]);
        } else {
            kit_count(&s->mistakes, r != -ETIMEDOUT);
        }
        for (int k = 0; k < CHANS; k++)
            kit_count(&s->mistakes, (in[k] != -5) != (r == CHANS + k));
    }
    if (atomic_fetch_sub(&s->senders, 1) == 1)
        for (int k = 0; k < CHANS; k++)
            kit_count(&s->mistakes, leat_chan_close(s->c[k].chan) != 0);
}

static void receive(struct traffic *s, int64_t who)
{
    unsigned seed = (unsigned)who + 99;
    leat_case c[CHANS];
    int64_t in = -5;
    int closed = 0;

    for (int k = 0; k < CHANS; k++)
        c[k] = leat_case_get(s->c[k], &in);
    while (closed < CHANS) {
        int r = who % 2 ? leat_select_ordered(c, CHANS, patience(s, &seed))
                        : leat_select(c, CHANS, patience(s, &seed));

        if (r >= 0 && c[r].result == 0) {
            note(s, in);
        } else if (r >= 0) {
            kit_count(&s->mistakes, c[r].result != -EPIPE);
            c[r] = leat_case_none();
            closed++;
        } else {
            kit_count(&s->mistakes, r != -ETIMEDOUT || in != -5);
        }
        in = -5;
    }
}

static void *exchange_thread(void *arg)
{
    exchange(arg, 0);
    return NULL;
}

static void *receive_thread(void *arg)
{
    receive(arg, 0);
    return NULL;
}

static int traffic_main(void *arg)
{
    struct traffic *s = arg;
    pthread_t thread[2];
    leat_group group;

    leat_group_open(&group, 0);
    pthread_create(&thread[0], NULL, exchange_thread, s);
    pthread_create(&thread[1], NULL, receive_thread, s);
    for (int64_t i = 1; i < PARTIES; i++)
        if (leat_group_go(&group, exchange, s, i) != 0)
            return -1;
    for (int64_t i = 1; i < 3; i++)
        if (leat_group_go(&group, receive, s, i) != 0)
            return -1;
    if (leat_group_wait(&group, EACH_LONG) != 0)
        return -2;
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    return 0;
}

static void traffic(size_t cap, bool impatient)
{
    for (EACH_PROCS(procs)) {
        static struct traffic s;

        memset(&s, 0, sizeof(s));
        s.impatient = impatient;
        s.senders = PARTIES;
        for (size_t k = 0; k < CHANS; k++)
            cr_assert(eq(int, leat_chan_new(&s.c[k], cap * k), 0));
        cr_assert(eq(int, each_run(procs, traffic_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
        cr_assert(eq(int, atomic_load(&s.sent), PARTIES *EACH));
        cr_assert(eq(int, atomic_load(&s.received), PARTIES *EACH));
        for (size_t k = 0; k < CHANS; k++)
            leat_chan_unref(s.c[k].chan);
    }
}

Test(select_race, all_is_received_once_without_capacity, .timeout = 100)
{
    traffic(0, false);
}

Test(select_race, all_is_received_once_with_capacity, .timeout = 100)
{
    traffic(1, false);
}

Test(select_race, all_is_received_once_beside_deadlines, .timeout = 100)
{
    traffic(0, true);
    traffic(2, true);
}

/*
 * --- value, close, cancellation and deadline at one instant, at different cases of one select ---
 */

struct ends {
    number_chan a, b;
    atomic_int mistakes;
    unsigned seed;
};

static leat_result select_for(struct ends *s, int64_t span_ns)
{
    int64_t v = -1, w = -1, out = 3;
    leat_case c[] = {leat_case_get(s->a, &v), leat_case_get(s->b, &w), leat_case_put(s->b, &out)};
    int r = leat_select(c, 3, leat_after(span_ns));

    kit_count(&s->mistakes, (r == 0 && c[0].result == 0) != (v == 8));
    kit_count(&s->mistakes, (r == 1 && c[1].result == 0) != (w == 9));
    return r >= 0 && c[r].result == -EPIPE ? -EPIPE : r;
}

static void close_it(number_chan c)
{
    (void)leat_chan_close(c.chan);
}

static void cancel_it(leat_handle *h)
{
    leat_cancel(h);
}

/* Whoever wins, each value is with the one who took it, or was not sent. */
static int one_end(struct ends *s)
{
    int64_t v = -1;
    leat_handle *h, *by[2];
    leat_result r;
    int sent, sent_b, got_b;

    if (leat_chan_new(&s->a, 0) != 0 || leat_chan_new(&s->b, 0) != 0 ||
        leat_go_join(&h, select_for, s, (int64_t)(s->seed >> 20)) != 0 ||
        leat_go_join(&by[0], close_it, s->a) != 0 || leat_go_join(&by[1], cancel_it, h) != 0)
        return -1;
    each_jitter(&s->seed);
    sent = leat_chan_put_try(s->a, 8);
    sent_b = leat_chan_put_try(s->b, 9);
    got_b = leat_chan_get_try(s->b, &v);
    if (leat_join(by[0], NULL, EACH_LONG) != 0 || leat_join(by[1], NULL, EACH_LONG) != 0 ||
        leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    kit_count(&s->mistakes, r < 0 && r != -EPIPE && r != -ECANCELED && r != -ETIMEDOUT);
    kit_count(&s->mistakes, (sent == 0) != (r == 0));
    kit_count(&s->mistakes, (sent_b == 0) != (r == 1));
    kit_count(&s->mistakes, (got_b == 0) != (r == 2) || (got_b == 0) != (v == 3));
    kit_count(&s->mistakes, leat_chan_get_try(s->a, &v) != -EPIPE);
    kit_count(&s->mistakes, leat_chan_get_try(s->b, &v) != -EAGAIN);
    leat_chan_unref(s->a.chan);
    leat_chan_unref(s->b.chan);
    return 0;
}

static int ends_main(void *arg)
{
    struct each_rounds rounds = each_rounds(10000, LEAT_SEC / 3);
    struct ends *s = arg;
    int r = 0;

    while (r == 0 && each_next(&rounds))
        r = one_end(s);
    return r;
}

Test(select_race, exactly_one_ends_a_wait, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct ends s = {.seed = 5};

        cr_assert(eq(int, each_run(procs, ends_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- a try fails only where at one instant nothing was ready --- */

struct never_empty {
    number_chan a, b;
    atomic_int stop, mistakes;
};

/*
 * A value more, and then one less: so there is one in the channels, always, but for the one that
 * the test has in its hand.
 */
static void *go_round(void *arg)
{
    struct never_empty *s = arg;
    number_chan c[2] = {s->a, s->b};
    int64_t v;

    for (unsigned i = 0; !atomic_load(&s->stop); i++) {
        unsigned from = i;

        kit_count(&s->mistakes, leat_chan_put_try(c[(i + 1) % 2], 1) != 0);
        while (leat_chan_get_try(c[from % 2], &v) != 0)
            from++;
    }
    return NULL;
}

Test(select_race, a_try_finds_what_is_always_somewhere, .timeout = 60)
{
    struct each_rounds rounds = each_rounds(300000, LEAT_SEC / 2);
    struct never_empty s = {.stop = 0};
    pthread_t thread;

    cr_assert(leat_chan_new(&s.a, 4) == 0 && leat_chan_new(&s.b, 4) == 0);
    cr_assert(eq(int, leat_chan_put_try(s.a, 1), 0));
    pthread_create(&thread, NULL, go_round, &s);
    while (each_next(&rounds)) {
        int64_t v;
        leat_case c[] = {leat_case_get(s.a, &v), leat_case_get(s.b, &v)};
        int r = leat_select_try(c, 2);

        kit_count(&s.mistakes, r < 0 || leat_chan_put_try(r == 0 ? s.a : s.b, 1) != 0);
    }
    atomic_store(&s.stop, 1);
    pthread_join(thread, NULL);
    cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    leat_chan_unref(s.a.chan);
    leat_chan_unref(s.b.chan);
}
