/*
 * The rules that channels share with Go's, a test for each, on 1, 2 and 4 processors. What is
 * leat's own (deadlines, cancellation, plain threads, references): chan.c. Races: race.c.
 */
#include "support/test.h"

#include "chan/chan.h"

#include "kit.h"

#include <errno.h>
#include <string.h>

/* --- 1: without capacity a send returns after its value was taken --- */

struct meeting {
    number_chan c;
    atomic_int taken, mistakes;
};

static void send_and_look(struct meeting *s, int64_t v)
{
    kit_count(&s->mistakes, leat_chan_put(s->c, v, EACH_LONG) != 0);
    kit_count(&s->mistakes, atomic_load(&s->taken) != v);
}

static int rendezvous_main(void *arg)
{
    struct meeting *s = arg;
    int64_t v;

    if (leat_chan_new(&s->c, 0) != 0)
        return -1;
    for (int64_t i = 1; i <= 100; i++) {
        leat_handle *h;

        if (leat_go_join(&h, send_and_look, s, i) != 0)
            return -2;
        kit_let_run(i % 3);
        atomic_store(&s->taken,
                     (int)i); /* before the receive: a send that is over early sees the old one */
        kit_count(&s->mistakes, leat_chan_get(s->c, &v, EACH_LONG) != 0 || v != i);
        kit_count(&s->mistakes, leat_join(h, NULL, EACH_LONG) != 0);
    }
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(chan_rules, a_send_without_capacity_waits_for_its_receiver, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct meeting s = {.taken = 0};

        cr_assert(eq(int, each_run(procs, rendezvous_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- 2, 11: with capacity n it is a queue of n; len and cap --- */

Test(chan_rules, with_capacity_it_is_a_queue, .timeout = 10)
{
    for (size_t cap = 1; cap <= 9; cap += 4) {
        number_chan c;
        int64_t v, next_in = 0, next_out = 0;

        cr_assert(eq(int, leat_chan_new(&c, cap), 0));
        cr_assert(eq(sz, leat_chan_cap(c.chan), cap));
        for (int turn = 0; turn < 5; turn++) { /* the ring wraps at every slot */
            for (size_t i = 0; i < cap; i++) {
                cr_assert(eq(sz, leat_chan_len(c.chan), i));
                cr_assert(eq(int, leat_chan_put_try(c, next_in++), 0));
            }
            cr_assert(eq(int, leat_chan_put_try(c, -1), -EAGAIN));
            cr_assert(eq(int, leat_chan_put(c, -1, LEAT_AT_ONCE), -ETIMEDOUT));
            for (size_t i = 0; i < cap; i++) {
                cr_assert(eq(int, leat_chan_get_try(c, &v), 0));
                cr_assert(eq(i64, v, next_out++));
            }
            cr_assert(eq(int, leat_chan_get_try(c, &v), -EAGAIN));
            cr_assert(eq(int, leat_chan_put_try(c, next_in++), 0)); /* one off */
            cr_assert(eq(int, leat_chan_get(c, &v, LEAT_AT_ONCE), 0));
            cr_assert(eq(i64, v, next_out++));
        }
        leat_chan_unref(c.chan);
    }
}

/*
 * --- 3, 4, 5: waiters are served in order; a value goes straight to one; a full ring keeps the
 * order ---
 */

#define CROWD 40

struct line {
    number_chan c;
    int64_t got[CROWD];
    atomic_int arrived, mistakes;
};

static void receive_as(struct line *s, int i)
{
    kit_count(&s->mistakes, leat_chan_get(s->c, &s->got[i], EACH_LONG) != 0);
}

static void send_as(struct line *s, int64_t i)
{
    kit_count(&s->mistakes, leat_chan_put(s->c, i, EACH_LONG) != 0);
    atomic_fetch_add(&s->arrived, 1);
}

static int receivers_in_order_main(void *arg)
{
    struct line *s = arg;
    leat_group group;

    if (leat_chan_new(&s->c, 4) != 0)
        return -1;
    leat_group_open(&group, 0);
    for (int i = 0; i < CROWD; i++) { /* each waits before the next one begins */
        if (leat_group_go(&group, receive_as, s, i) != 0)
            return -2;
        kit_waiting(s->c.chan, LEA_CHAN_DIR_RECV, (unsigned)i + 1);
    }
    for (int64_t i = 0; i < CROWD; i++) {
        kit_count(&s->mistakes, leat_chan_put_try(s->c, i) != 0);
        kit_count(&s->mistakes, leat_chan_len(s->c.chan) != 0); /* past the ring */
    }
    if (leat_group_wait(&group, EACH_LONG) != 0)
        return -3;
    for (int i = 0; i < CROWD; i++)
        kit_count(&s->mistakes, s->got[i] != i);
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(chan_rules, receivers_are_served_in_order, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        static struct line s;

        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, receivers_in_order_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

static int senders_in_order_main(void *arg)
{
    struct line *s = arg;
    leat_group group;
    int64_t v;

    if (leat_chan_new(&s->c, 4) != 0)
        return -1;
    leat_group_open(&group, 0);
    for (int64_t i = 0; i < CROWD; i++) {
        if (leat_group_go(&group, send_as, s, i) != 0)
            return -2;
        if (i < 4)
            kit_until(&s->arrived, (int)i + 1);
        else
            kit_waiting(s->c.chan, LEA_CHAN_DIR_SEND, (unsigned)i - 3);
    }
    for (int64_t i = 0; i < CROWD; i++) {
        size_t len = leat_chan_len(s->c.chan), all = (size_t)(CROWD - i);

        kit_count(
            &s->mistakes,
            len != (all < 4 ? all : 4)); /* the oldest of those who wait has come into the ring */
        kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != 0 || v != i);
    }
    if (leat_group_wait(&group, EACH_LONG) != 0)
        return -3;
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(chan_rules, senders_are_served_in_order_behind_a_full_ring, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        static struct line s;

        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, senders_in_order_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- 6, 8, 10: close; drains, then says so for ever; twice; range --- */

Test(chan_rules, a_closed_channel_drains_and_then_says_so, .timeout = 10)
{
    number_chan c;
    int64_t v = -7;

    cr_assert(eq(int, leat_chan_new(&c, 3), 0));
    cr_assert(eq(int, leat_chan_put_try(c, 1), 0));
    cr_assert(eq(int, leat_chan_put_try(c, 2), 0));
    cr_assert(not(leat_chan_closed(c.chan)));
    cr_assert(eq(int, leat_chan_close(c.chan), 0));
    cr_assert(leat_chan_closed(c.chan));
    cr_assert(eq(int, leat_chan_put(c, 3, LEAT_FOREVER), -EPIPE));
    cr_assert(eq(int, leat_chan_put_try(c, 3), -EPIPE));
    cr_assert(eq(int, leat_chan_close(c.chan), -EPIPE));
    cr_assert(eq(int, leat_chan_get(c, &v, LEAT_FOREVER), 0));
    cr_assert(eq(i64, v, 1));
    cr_assert(eq(int, leat_chan_get_try(c, &v), 0));
    cr_assert(eq(i64, v, 2));
    for (int i = 0; i < 3; i++) {
        cr_assert(eq(int, leat_chan_get(c, &v, LEAT_FOREVER), -EPIPE));
        cr_assert(eq(int, leat_chan_get(c, &v, LEAT_AT_ONCE), -EPIPE));
        cr_assert(eq(int, leat_chan_get_try(c, &v), -EPIPE));
        cr_assert(eq(int, leat_chan_put(c, 3, LEAT_FOREVER), -EPIPE));
    }
    cr_assert(eq(i64, v, 2)); /* touched by a success only */
    leat_chan_unref(c.chan);
    cr_assert(eq(int, leat_chan_close(NULL), -EINVAL));
}

static void produce(number_chan c, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (leat_chan_put(c, i, EACH_LONG) != 0)
            return;
    (void)leat_chan_close(c.chan);
    leat_chan_unref(c.chan);
}

static int range_main(void *arg)
{
    int *mistakes = arg;

    for (size_t cap = 0; cap <= 8; cap += 4) {
        int64_t v, n = 0;
        number_chan c;

        if (leat_chan_new(&c, cap) != 0)
            return -1;
        (void)leat_chan_ref(c.chan);
        if (go(produce, c, (int64_t)1000) != 0)
            return -2;
        while (leat_chan_get(c, &v, EACH_LONG) == 0)
            *mistakes += v != n++;
        *mistakes += n != 1000;
        leat_chan_unref(c.chan);
    }
    return 0;
}

Test(chan_rules, receives_until_it_is_closed, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        int mistakes = 0;

        cr_assert(eq(int, each_run(procs, range_main, &mistakes), 0));
        cr_assert(eq(int, mistakes, 0));
    }
}

/* --- 7: a close wakes all who wait --- */

struct closing {
    number_chan full, empty;
    atomic_int piped, mistakes;
};

static void wait_for_close(struct closing *s, bool sends)
{
    int64_t v = 42;
    int r;

    r = sends ? leat_chan_put(s->full, v, EACH_LONG) : leat_chan_get(s->empty, &v, EACH_LONG);
    atomic_fetch_add(r == -EPIPE ? &s->piped : &s->mistakes, 1);
    kit_count(&s->mistakes, v != 42);
}

static int closing_main(void *arg)
{
    struct closing *s = arg;
    leat_group group;
    int64_t v;

    if (leat_chan_new(&s->full, 2) != 0 || leat_chan_new(&s->empty, 2) != 0)
        return -1;
    kit_count(&s->mistakes,
              leat_chan_put_try(s->full, 1) != 0 || leat_chan_put_try(s->full, 2) != 0);
    leat_group_open(&group, 0);
    for (int i = 0; i < 100; i++)
        if (leat_group_go(&group, wait_for_close, s, i % 2 == 0) != 0)
            return -2;
    kit_waiting(s->full.chan, LEA_CHAN_DIR_SEND, 50);
    kit_waiting(s->empty.chan, LEA_CHAN_DIR_RECV, 50);
    kit_count(&s->mistakes,
              leat_chan_close(s->full.chan) != 0 || leat_chan_close(s->empty.chan) != 0);
    if (leat_group_wait(&group, EACH_LONG) != 0)
        return -3;
    for (int64_t i = 1; i <= 2; i++) /* what was there stays, what waited has not been sent */
        kit_count(&s->mistakes, leat_chan_get_try(s->full, &v) != 0 || v != i);
    kit_count(&s->mistakes, leat_chan_get_try(s->full, &v) != -EPIPE);
    leat_chan_unref(s->full.chan);
    leat_chan_unref(s->empty.chan);
    return 0;
}

Test(chan_rules, a_close_wakes_all_who_wait, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct closing s = {.piped = 0};

        cr_assert(eq(int, each_run(procs, closing_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
        cr_assert(eq(int, atomic_load(&s.piped), 100));
    }
}

/* --- 9: NULL waits for ever --- */

static int null_main(void *arg)
{
    int *mistakes = arg;
    number_chan none = {NULL};
    int64_t v;

    *mistakes += leat_chan_put(none, 1, leat_after(LEAT_MSEC)) != -ETIMEDOUT;
    *mistakes += leat_chan_get(none, &v, leat_after(LEAT_MSEC)) != -ETIMEDOUT;
    *mistakes += leat_chan_get(none, &v, LEAT_AT_ONCE) != -ETIMEDOUT;
    *mistakes += leat_chan_put_try(none, 1) != -EAGAIN;
    *mistakes += leat_chan_get_try(none, &v) != -EAGAIN;
    *mistakes += leat_chan_len(NULL) != 0 || leat_chan_cap(NULL) != 0 || leat_chan_closed(NULL);
    return 0;
}

static leat_result receive_from_none(void)
{
    int64_t v;

    return leat_chan_recv(NULL, &v, LEAT_FOREVER);
}

static int null_cancelled_main(void *arg)
{
    leat_handle *h;
    leat_result r;

    (void)arg;
    if (leat_go_join(&h, receive_from_none) != 0)
        return -1;
    (void)leat_sleep(LEAT_MSEC);
    leat_cancel(h);
    if (leat_join(h, &r, EACH_LONG) != 0)
        return -2;
    return r == -ECANCELED ? 0 : -3;
}

Test(chan_rules, null_waits_for_ever, .timeout = 30)
{
    int mistakes = 0;

    cr_assert(eq(int, null_main(&mistakes), 0)); /* a plain thread */
    for (EACH_PROCS(procs)) {
        cr_assert(eq(int, each_run(procs, null_main, &mistakes), 0));
        cr_assert(eq(int, each_run(procs, null_cancelled_main, NULL), 0));
    }
    cr_assert(eq(int, mistakes, 0));
}

/* --- 12: a try fails only if the channel was open and not ready at one instant --- */

struct sure {
    number_chan c;
    atomic_int mistakes;
};

static void try_surely(struct sure *s, leat_waitgroup *wg)
{
    int64_t v;

    /*
     * a value is there, until it is taken and the channel closed: at no instant is it open and
     * empty
     */
    kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) == -EAGAIN);
    leat_wg_done(wg);
}

static int sure_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, 2 * LEAT_SEC);
    struct sure *s = arg;
    unsigned seed = 3;

    while (each_next(&rounds)) {
        leat_waitgroup wg = {0};
        int64_t v;

        if (leat_chan_new(&s->c, 1) != 0 || leat_chan_put_try(s->c, 1) != 0)
            return -1;
        leat_wg_add(&wg, 1);
        if (go(try_surely, s, &wg) != 0)
            return -2;
        each_jitter(&seed);
        (void)leat_chan_close(s->c.chan);
        (void)leat_chan_get_try(s->c, &v);
        if (leat_wg_wait(&wg, EACH_LONG) != 0)
            return -3;
        leat_chan_unref(s->c.chan);
    }
    return 0;
}

Test(chan_rules, a_try_does_not_fail_while_ready_or_closed, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct sure s = {.mistakes = 0};

        cr_assert(eq(int, each_run(procs, sure_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* A peer that waits makes a try succeed. */
static int try_finds_peer_main(void *arg)
{
    struct meeting *s = arg;
    leat_handle *h;
    int64_t v = 0;

    if (leat_chan_new(&s->c, 0) != 0)
        return -1;
    kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != -EAGAIN);
    if (leat_go_join(&h, send_and_look, s, (int64_t)5) != 0)
        return -2;
    kit_waiting(s->c.chan, LEA_CHAN_DIR_SEND, 1);
    atomic_store(&s->taken, 5);
    kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != 0 || v != 5);
    if (leat_join(h, NULL, EACH_LONG) != 0)
        return -3;
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(chan_rules, a_try_finds_who_waits, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct meeting s = {.taken = 0};

        cr_assert(eq(int, each_run(procs, try_finds_peer_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}
