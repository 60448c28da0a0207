/*
 * What a select promises: which case is chosen, that only that one takes effect, deadlines,
 * cancellation, plain threads. Races: select_race.c.
 */
#include "support/test.h"

#include "chan/chan.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Nobody is left in the lists of a channel. */
static bool is_left(leat_chan *c)
{
    return kit_nr_waiting(c, LEA_CHAN_DIR_SEND) + kit_nr_waiting(c, LEA_CHAN_DIR_RECV) == 0;
}

/* Both on a plain thread, without a run, and in coroutines: the same. */
static void everywhere(int (*fn)(void *))
{
    cr_assert(eq(int, fn(NULL), 0));
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, fn, NULL), 0));
}

/* --- without waiting --- */

/* Goal: one case is ready, each kind in turn, and that one is chosen and takes effect. */
static int ready_main(void *arg)
{
    number_chan room, full, closed, drained;
    int64_t v = -1, out = 7, unused = -2;

    (void)arg;
    if (leat_chan_new(&room, 1) != 0 || leat_chan_new(&full, 2) != 0 ||
        leat_chan_new(&closed, 2) != 0 || leat_chan_new(&drained, 2) != 0)
        return -1;
    if (leat_chan_put_try(full, 1) != 0 || leat_chan_put_try(full, 2) != 0 ||
        leat_chan_put_try(drained, 3) != 0 || leat_chan_close(closed.chan) != 0 ||
        leat_chan_close(drained.chan) != 0)
        return -2;
    for (int how = 0; how < 4; how++) {
        leat_case c[] = {leat_case_recv(NULL, &unused), leat_case_get(room, &unused),
                         leat_case_put(full, &out), leat_case_none(), leat_case_none()};
        int r;

        c[4] = how == 0   ? leat_case_get(full, &v)
               : how == 1 ? leat_case_put(room, &out)
               : how == 2 ? leat_case_put(closed, &out)
                          : leat_case_get(drained, &v);
        v = -1;
        r = leat_select(c, 5, LEAT_FOREVER);
        if (r != 4 || c[4].result != (how == 2 ? -EPIPE : 0) ||
            v != (how == 0   ? 1
                  : how == 3 ? 3
                             : -1))
            return 10 + how;
        if (how == 0 && leat_chan_put_try(full, 8) != 0)
            return 20;
        if (how == 1 && (leat_chan_get_try(room, &v) != 0 || v != 7))
            return 21;
        if (how == 3) { /* it is closed, and empty now */
            v = -1;
            if (leat_select_try(c, 5) != 4 || c[4].result != -EPIPE || v != -1)
                return 22;
        }
    }
    if (unused != -2 || leat_chan_len(full.chan) != 2 || leat_chan_len(room.chan) != 0)
        return 3;
    leat_chan_unref(room.chan);
    leat_chan_unref(full.chan);
    leat_chan_unref(closed.chan);
    leat_chan_unref(drained.chan);
    return 0;
}

Test(select, chooses_the_one_that_is_ready, .timeout = 30)
{
    everywhere(ready_main);
}

/*
 * Goal: with nothing ready a try says -EAGAIN and a deadline -ETIMEDOUT, whatever kind of nothing
 * it is; nobody stays in a list.
 */
static int nothing_main(void *arg)
{
    number_chan a, b;
    int64_t v = -1, out = 1, from;

    (void)arg;
    if (leat_chan_new(&a, 0) != 0 || leat_chan_new(&b, 1) != 0)
        return -1;
    for (size_t n = 0; n <= 6; n++) {
        leat_case c[] = {leat_case_none(),     leat_case_send(NULL, &out),
                         leat_case_get(a, &v), leat_case_put(a, &out),
                         leat_case_get(b, &v), leat_case_get(a, NULL)};

        if (leat_select_try(c, n) != -EAGAIN || leat_select_ordered_try(c, n) != -EAGAIN)
            return -2;
        if (leat_select(c, n, LEAT_AT_ONCE) != -ETIMEDOUT ||
            leat_select(c, n, leat_at(-1)) != -ETIMEDOUT ||
            leat_select_ordered(c, n, leat_at(1)) != -ETIMEDOUT)
            return -3;
        from = leat_now();
        if (leat_select(c, n, leat_after(2 * LEAT_MSEC)) != -ETIMEDOUT ||
            leat_now() - from < 2 * LEAT_MSEC)
            return -4;
        if (v != -1 || !is_left(a.chan) || !is_left(b.chan))
            return -5;
    }
    if (leat_select(NULL, 0, leat_after(LEAT_MSEC)) != -ETIMEDOUT ||
        leat_select_try(NULL, 0) != -EAGAIN)
        return -6;
    leat_chan_unref(a.chan);
    leat_chan_unref(b.chan);
    return 0;
}

Test(select, with_nothing_ready_waits_out_its_deadline, .timeout = 60)
{
    everywhere(nothing_main);
}

/* --- which of several --- */

#define DRAWS 20000
#define READY 4

/* Go's bound: within 10 sigma of an even share. */
static bool is_even(int64_t n, int64_t of, int64_t ways)
{
    int64_t off = n * ways - of;

    return off * off <= 100 * of * (ways - 1);
}

/* Goal: those that are ready are drawn evenly, wherever they stand among those that are not. */
static int draw_main(void *arg)
{
    int64_t drawn[8] = {0};
    number_chan empty, closed;

    (void)arg;
    if (leat_chan_new(&empty, 0) != 0 || leat_chan_new(&closed, 0) != 0 ||
        leat_chan_close(closed.chan) != 0)
        return -1;
    for (int i = 0; i < EACH_SLOW(DRAWS); i++) {
        leat_case c[] = {leat_case_get(closed, NULL),
                         leat_case_get(closed, NULL),
                         leat_case_get(empty, NULL),
                         leat_case_none(),
                         leat_case_get(empty, NULL),
                         leat_case_get(closed, NULL),
                         leat_case_none(),
                         leat_case_get(closed, NULL)};
        int r = i % 2 ? leat_select(c, 8, LEAT_FOREVER) : leat_select_try(c, 8);

        if (r < 0 || c[r].result != -EPIPE)
            return -2;
        drawn[r]++;
        if (leat_select_ordered(c + 2, 6, LEAT_FOREVER) != 3 ||
            leat_select_ordered_try(c + 1, 7) != 0)
            return -3;
    }
    for (int i = 0; i < 8; i++)
        if (i == 0 || i == 1 || i == 5 || i == 7 ? !is_even(drawn[i], EACH_SLOW(DRAWS), READY)
                                                 : drawn[i] != 0)
            return 10 + i;
    leat_chan_unref(empty.chan);
    leat_chan_unref(closed.chan);
    return 0;
}

Test(select, draws_evenly_or_takes_the_first, .timeout = 60)
{
    everywhere(draw_main);
}

/* --- waiting --- */

#define CHANS 5

struct waits {
    number_chan c[CHANS];
    size_t capacity;
    atomic_int mistakes, chosen, result;
    int64_t got;
    bool sends, ordered;
};

/* Waits at all of them, by some twice. */
static void wait_for_any(struct waits *s)
{
    leat_case c[2 * CHANS];
    int64_t v = -1, out = 77;
    int r;

    for (int i = 0; i < CHANS; i++) {
        c[i] = s->sends ? leat_case_put(s->c[i], &out) : leat_case_get(s->c[i], &v);
        c[CHANS + i] = i % 2 ? leat_case_none() : c[i];
    }
    r = s->ordered ? leat_select_ordered(c, 2 * CHANS, EACH_LONG)
                   : leat_select(c, 2 * CHANS, EACH_LONG);
    s->got = v;
    atomic_store(&s->result, r < 0 ? r : c[r].result);
    atomic_store(&s->chosen, r < 0 ? r : r % CHANS);
}

static void *wait_for_any_thread(void *arg)
{
    wait_for_any(arg);
    return NULL;
}

static void wait_until_it_waits(struct waits *s)
{
    for (int i = 0; i < CHANS; i++)
        kit_waiting(s->c[i].chan, s->sends ? LEA_CHAN_DIR_SEND : LEA_CHAN_DIR_RECV, i % 2 ? 1 : 2);
}

/* Goal: whichever channel somebody comes to, or closes, ends the wait, for all cases. */
static int end_by_each(struct waits *s, bool thread)
{
    for (int i = 0; i < 2 * CHANS; i++) {
        int64_t v = -1;
        leat_handle *h = NULL;
        pthread_t t;

        for (int k = 0; k < CHANS; k++)
            if (leat_chan_new(&s->c[k], s->sends ? 0 : s->capacity) != 0)
                return -1;
        if (thread)
            pthread_create(&t, NULL, wait_for_any_thread, s);
        else if (leat_go_join(&h, wait_for_any, s) != 0)
            return -2;
        wait_until_it_waits(s);
        if (i >= CHANS)
            kit_count(&s->mistakes, leat_chan_close(s->c[i % CHANS].chan) != 0);
        else if (s->sends)
            kit_count(&s->mistakes, leat_chan_get_try(s->c[i], &v) != 0 || v != 77);
        else
            kit_count(&s->mistakes, leat_chan_put_try(s->c[i], 50 + i) != 0);
        if (thread)
            pthread_join(t, NULL);
        else if (leat_join(h, NULL, EACH_LONG) != 0)
            return -3;
        kit_count(&s->mistakes, s->chosen != i % CHANS || s->result != (i < CHANS ? 0 : -EPIPE) ||
                                    s->got != (s->sends || i >= CHANS ? -1 : 50 + i));
        for (int k = 0; k < CHANS; k++) {
            kit_count(&s->mistakes, !is_left(s->c[k].chan) || leat_chan_len(s->c[k].chan) != 0);
            leat_chan_unref(s->c[k].chan);
        }
    }
    return 0;
}

static int waits_main(void *arg)
{
    struct waits *s = arg;
    int r = 0;

    for (int how = 0; how < 16 && r == 0; how++) {
        s->sends = how & 1;
        s->ordered = how & 2;
        s->capacity = how & 4 ? 3 : 0;
        r = end_by_each(s, how & 8);
    }
    return r;
}

Test(select, a_wait_ends_by_any_of_its_cases, .timeout = 60)
{
    static struct waits s;

    for (EACH_PROCS(procs)) {
        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, waits_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* Threads alone, without a run. */
Test(select, a_wait_of_a_thread_without_a_run, .timeout = 60)
{
    static struct waits s;

    for (int sends = 0; sends < 2; sends++) {
        memset(&s, 0, sizeof(s));
        s.sends = sends;
        cr_assert(eq(int, end_by_each(&s, true), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- it does not meet itself --- */

struct selves {
    number_chan c, other;
    atomic_int mistakes, ended;
};

static void both_ways(struct selves *s)
{
    int64_t v = -1, out = 5;
    leat_case c[] = {leat_case_put(s->c, &out), leat_case_get(s->c, &v), leat_case_put(s->c, &out),
                     leat_case_get(s->c, &v)};
    int r = leat_select(c, 4, EACH_LONG);

    kit_count(&s->mistakes, r < 0 || c[r].result != 0 || v != (r % 2 ? 6 : -1));
    atomic_fetch_add(&s->ended, 1);
}

static void *both_ways_thread(void *arg)
{
    both_ways(arg);
    return NULL;
}

static int self_main(void *arg)
{
    struct selves *s = arg;
    int64_t v = -1;

    if (leat_chan_new(&s->c, 0) != 0)
        return -1;
    for (int how = 0; how < 4; how++) { /* somebody comes to receive, or to send */
        pthread_t t;
        leat_handle *h = NULL;

        s->ended = 0;
        if (how & 2)
            pthread_create(&t, NULL, both_ways_thread, s);
        else if (leat_go_join(&h, both_ways, s) != 0)
            return -2;
        kit_waiting(s->c.chan, LEA_CHAN_DIR_RECV, 2);
        kit_waiting(s->c.chan, LEA_CHAN_DIR_SEND, 2);
        kit_let_run(5);
        kit_count(&s->mistakes, s->ended != 0);
        if (how & 1)
            kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != 0 || v != 5);
        else
            kit_count(&s->mistakes, leat_chan_put_try(s->c, 6) != 0);
        if (how & 2)
            pthread_join(t, NULL);
        else if (leat_join(h, NULL, EACH_LONG) != 0)
            return -3;
        kit_count(&s->mistakes, !is_left(s->c.chan));
        kit_count(&s->mistakes, leat_chan_get_try(s->c, &v) != -EAGAIN);
        kit_count(&s->mistakes, leat_chan_put_try(s->c, v) != -EAGAIN);
    }
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(select, does_not_meet_itself, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct selves s = {.mistakes = 0};

        cr_assert(eq(int, each_run(procs, self_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

static void both_ways_with_6(struct selves *s)
{
    int64_t v = -1, out = 6;
    leat_case c[] = {leat_case_get(s->c, &v), leat_case_put(s->c, &out)};
    int r = leat_select(c, 2, EACH_LONG);

    kit_count(&s->mistakes, r < 0 || c[r].result != 0 || v != (r == 0 ? 5 : -1));
    atomic_fetch_add(&s->ended, 1);
}

/*
 * Goal: two selects that could both send and receive on one channel meet each other: one sends, one
 * receives.
 */
static int two_main(void *arg)
{
    struct selves *s = arg;
    leat_group group;

    if (leat_chan_new(&s->c, 0) != 0)
        return -1;
    for (int i = 0; i < EACH_SLOW(500); i++) {
        leat_group_open(&group, 0);
        if (leat_group_go(&group, both_ways, s) != 0 ||
            leat_group_go(&group, both_ways_with_6, s) != 0)
            return -2;
        if (leat_group_close(&group) != 0)
            return -3;
    }
    kit_count(&s->mistakes, !is_left(s->c.chan) || s->ended != 2 * EACH_SLOW(500));
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(select, two_of_them_meet, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct selves s = {.mistakes = 0};

        cr_assert(eq(int, each_run(procs, two_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- cancellation --- */

static void be_cancelled(struct waits *s)
{
    int64_t v = -1;
    leat_case ready = leat_case_get(s->c[0], &v);

    wait_for_any(s);
    kit_count(&s->mistakes, s->chosen != -ECANCELED || s->got != -1);
    /* at once from now on, even where it could succeed; a try does not wait, and works */
    kit_count(&s->mistakes, leat_chan_put_try(s->c[0], 9) != 0);
    kit_count(&s->mistakes, leat_select(&ready, 1, LEAT_FOREVER) != -ECANCELED || v != -1);
    kit_count(&s->mistakes, leat_select_try(&ready, 1) != 0 || v != 9);
    kit_count(&s->mistakes, leat_select(NULL, 0, LEAT_FOREVER) != -ECANCELED);
}

static int cancelled_main(void *arg)
{
    struct waits *s = arg;
    leat_handle *h;

    for (int i = 0; i < CHANS; i++)
        if (leat_chan_new(&s->c[i], 1) != 0)
            return -1;
    if (leat_go_join(&h, be_cancelled, s) != 0)
        return -2;
    wait_until_it_waits(s);
    leat_cancel(h);
    if (leat_join(h, NULL, EACH_LONG) != 0)
        return -3;
    for (int i = 0; i < CHANS; i++) {
        kit_count(&s->mistakes, !is_left(s->c[i].chan));
        leat_chan_unref(s->c[i].chan);
    }
    return 0;
}

Test(select, is_cancelled_and_unlinked, .timeout = 30)
{
    static struct waits s;

    for (EACH_PROCS(procs)) {
        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, cancelled_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- many --- */

#define MANY 300

struct many {
    number_chan c[MANY];
    atomic_int mistakes;
};

static void wait_for_many(struct many *s)
{
    static leat_case c[MANY];
    int64_t v = -1;
    int r;

    for (int i = 0; i < MANY; i++)
        c[i] = leat_case_get(s->c[i], &v);
    r = leat_select(c, MANY, EACH_LONG);
    kit_count(&s->mistakes, r != MANY - 2 || c[r].result != 0 || v != 11);
}

static int many_main(void *arg)
{
    struct many *s = arg;
    leat_handle *h;

    for (int i = 0; i < MANY; i++)
        if (leat_chan_new(&s->c[i], 0) != 0)
            return -1;
    if (leat_go_join(&h, wait_for_many, s) != 0 ||
        leat_chan_put(s->c[MANY - 2], 11, EACH_LONG) != 0 || leat_join(h, NULL, EACH_LONG) != 0)
        return -2;
    for (int i = 0; i < MANY; i++) {
        kit_count(&s->mistakes, !is_left(s->c[i].chan));
        leat_chan_unref(s->c[i].chan);
    }
    return 0;
}

Test(select, has_as_many_cases_as_one_likes, .timeout = 30)
{
    static struct many s;

    for (EACH_PROCS(procs)) {
        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, many_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- what only a wrong program can do --- */

LEAT_CHAN_TYPE(byte_chan, unsigned char);

static void of_another_size(bool waits)
{
    byte_chan bytes;
    number_chan numbers;
    int64_t v;
    leat_case c;

    if (leat_chan_new(&bytes, 2) != 0)
        return;
    numbers.chan = bytes.chan;
    if (!waits && leat_chan_put_try(bytes, 1) != 0)
        return;
    c = leat_case_get(numbers, &v);
    cr_assert(eq(int, leat_select(&c, 1, leat_after(LEAT_MSEC)), -ETIMEDOUT));
}

Test(select, refuses_room_of_another_size, .timeout = 10, .signal = SIGABRT)
{
    of_another_size(false);
}

Test(select, refuses_to_wait_with_room_of_another_size, .timeout = 10, .signal = SIGABRT)
{
    of_another_size(true);
}
