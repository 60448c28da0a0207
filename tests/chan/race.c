/*
 * Channels under races: many senders and receivers of both kinds, with deadlines, cancellations and
 * closes at the same instant. Each value that was sent is received once, or still there; values of
 * one sender come in their order.
 */
#include "support/test.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- all that was sent is received, once --- */

#define SENDERS 6
#define RECEIVERS 6
#define EACH 1500

struct traffic {
    number_chan c;
    atomic_uchar seen[SENDERS][EACH];
    atomic_int sent, received, mistakes;
    bool impatient; /* deadlines that pass now and then */
};

static leat_deadline patience(const struct traffic *s, unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    if (!s->impatient || *seed >> 30)
        return EACH_LONG;
    return leat_after((int64_t)(*seed >> 18 & 0xfff) * 10);
}

static void send_all(struct traffic *s, int64_t who)
{
    unsigned seed = (unsigned)who + 1;

    for (int64_t i = 0; i < EACH; i++) {
        int r;

        do
            r = leat_chan_put(s->c, who * EACH + i, patience(s, &seed));
        while (r == -ETIMEDOUT);
        if (r != 0)
            return;
        atomic_fetch_add(&s->sent, 1);
    }
}

static void receive_all(struct traffic *s, unsigned who)
{
    int64_t last[SENDERS];
    unsigned seed = who + 77;

    memset(last, -1, sizeof(last));
    for (;;) {
        int64_t v = -5;
        int r = leat_chan_get(s->c, &v, patience(s, &seed));

        if (r == -ETIMEDOUT) {
            kit_count(&s->mistakes, v != -5);
            continue;
        }
        if (r != 0) {
            kit_count(&s->mistakes, r != -EPIPE);
            return;
        }
        if (v < 0 || v >= SENDERS * EACH ||
            atomic_fetch_add(&s->seen[v / EACH][v % EACH], 1) != 0 || last[v / EACH] >= v % EACH) {
            kit_count(&s->mistakes, true);
            return;
        }
        last[v / EACH] = v % EACH;
        atomic_fetch_add(&s->received, 1);
    }
}

static void *send_thread(void *arg)
{
    send_all(arg, 0);
    return NULL;
}

static void *receive_thread(void *arg)
{
    receive_all(arg, 0);
    return NULL;
}

static int traffic_main(void *arg)
{
    struct traffic *s = arg;
    leat_group senders, receivers;
    pthread_t thread[2];

    leat_group_open(&senders, 0);
    leat_group_open(&receivers, 0);
    pthread_create(&thread[0], NULL, send_thread, s);
    pthread_create(&thread[1], NULL, receive_thread, s);
    for (unsigned i = 1; i < RECEIVERS; i++)
        if (leat_group_go(&receivers, receive_all, s, i) != 0)
            return -1;
    for (int64_t i = 1; i < SENDERS; i++)
        if (leat_group_go(&senders, send_all, s, i) != 0)
            return -1;
    if (leat_group_wait(&senders, EACH_LONG) != 0)
        return -2;
    pthread_join(thread[0], NULL);
    if (leat_chan_close(s->c.chan) != 0 || leat_group_wait(&receivers, EACH_LONG) != 0)
        return -3;
    pthread_join(thread[1], NULL);
    return 0;
}

static void traffic(size_t cap, bool impatient)
{
    for (EACH_PROCS(procs)) {
        static struct traffic s;

        memset(&s, 0, sizeof(s));
        s.impatient = impatient;
        cr_assert(eq(int, leat_chan_new(&s.c, cap), 0));
        cr_assert(eq(int, each_run(procs, traffic_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
        cr_assert(eq(int, atomic_load(&s.sent), SENDERS *EACH));
        cr_assert(eq(int, atomic_load(&s.received), SENDERS *EACH));
        leat_chan_unref(s.c.chan);
    }
}

Test(chan_race, all_is_received_once_without_capacity, .timeout = 100)
{
    traffic(0, false);
}

Test(chan_race, all_is_received_once_with_one_slot, .timeout = 100)
{
    traffic(1, false);
}

Test(chan_race, all_is_received_once_with_many_slots, .timeout = 100)
{
    traffic(64, false);
}

Test(chan_race, all_is_received_once_beside_deadlines, .timeout = 100)
{
    traffic(0, true);
    traffic(2, true);
}

/* --- deadline, value, cancellation and close at one instant --- */

struct ends {
    number_chan c;
    atomic_int mistakes;
    int by[4]; /* how often it ended so */
    unsigned seed;
};

static leat_result receive_for(struct ends *s, int64_t span_ns)
{
    int64_t v = -1;
    int r = leat_chan_get(s->c, &v, leat_after(span_ns));

    kit_count(&s->mistakes, (r == 0) != (v == 8));
    return r;
}

static void close_it(number_chan c)
{
    (void)leat_chan_close(c.chan);
}

static void cancel_it(leat_handle *h)
{
    leat_cancel(h);
}

/*
 * One receiver, and three who end its wait. Whoever wins, the value is with the receiver, with its
 * sender, or in the ring.
 */
static int one_end(struct ends *s, size_t cap)
{
    leat_handle *receiver, *by[2];
    leat_result r;
    int64_t v;
    int sent;

    if (leat_chan_new(&s->c, cap) != 0 ||
        leat_go_join(&receiver, receive_for, s, (int64_t)(s->seed >> 20)) != 0 ||
        leat_go_join(&by[0], close_it, s->c) != 0 || leat_go_join(&by[1], cancel_it, receiver) != 0)
        return -1;
    each_jitter(&s->seed);
    sent = leat_chan_put_try(s->c, 8);
    if (leat_join(by[0], NULL, EACH_LONG) != 0 || leat_join(by[1], NULL, EACH_LONG) != 0 ||
        leat_join(receiver, &r, EACH_LONG) != 0)
        return -2;
    s->by[r == 0 ? 0 : r == -EPIPE ? 1 : r == -ECANCELED ? 2 : 3]++;
    kit_count(&s->mistakes, r != 0 && r != -EPIPE && r != -ECANCELED && r != -ETIMEDOUT);
    kit_count(&s->mistakes, r == 0 && sent != 0);
    if (sent == 0 && r != 0) /* then it is still in the ring */
        kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != 0 || v != 8);
    kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != -EPIPE);
    leat_chan_unref(s->c.chan);
    return 0;
}

static int ends_main(void *arg)
{
    struct each_rounds rounds = each_rounds(50000, 3 * LEAT_SEC);
    struct ends *s = arg;
    int r = 0;

    while (r == 0 && each_next(&rounds))
        r = one_end(s, rounds.left % 2);
    return r;
}

Test(chan_race, exactly_one_ends_a_wait, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        struct ends s = {.seed = 5};

        cr_assert(eq(int, each_run(procs, ends_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- the receiver of the last value frees the channel at once --- */

static void send_one(number_chan c, bool *piped)
{
    *piped = leat_chan_put(c, 1, LEAT_FOREVER) != 0;
}

static void *send_one_thread(void *arg)
{
    number_chan c = {arg};

    return (void *)(intptr_t)leat_chan_put(c, 1, LEAT_FOREVER);
}

static int owner_main(void *arg)
{
    struct each_rounds rounds = each_rounds(50000, 2 * LEAT_SEC);
    unsigned seed = 9;

    (void)arg;
    while (each_next(&rounds)) {
        number_chan c;
        bool piped = true;
        leat_handle *h;
        int64_t v;

        if (leat_chan_new(&c, rounds.left % 2) != 0 || leat_go_join(&h, send_one, c, &piped) != 0)
            return -1;
        each_jitter(&seed);
        if (leat_chan_get(c, &v, EACH_LONG) != 0 || v != 1)
            return -2;
        memset(c.chan, 0xa5,
               sizeof(void *)); /* whoever still unlocks it, or reads it, ends badly */
        memset(c.chan, 0, sizeof(void *));
        leat_chan_unref(c.chan);
        if (leat_join(h, NULL, EACH_LONG) != 0 || piped)
            return -3;
    }
    return 0;
}

Test(chan_race, a_receiver_frees_the_channel, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, owner_main, NULL), 0));
}

static int owner_beside_threads_main(void *arg)
{
    struct each_rounds rounds = each_rounds(2000, 2 * LEAT_SEC);

    (void)arg;
    while (each_next(&rounds)) {
        number_chan c;
        pthread_t thread;
        void *result;
        int64_t v;

        if (leat_chan_new(&c, 0) != 0)
            return -1;
        pthread_create(&thread, NULL, send_one_thread, c.chan);
        if (leat_chan_get(c, &v, EACH_LONG) != 0 || v != 1)
            return -2;
        leat_chan_unref(c.chan);
        pthread_join(thread, &result);
        if (result)
            return -3;
    }
    return 0;
}

Test(chan_race, a_receiver_frees_the_channel_of_a_thread, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, owner_beside_threads_main, NULL), 0));
}
