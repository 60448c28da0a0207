/*
 * What a channel promises beside the rules that it shares with Go's (rules.c): deadlines,
 * cancellation, plain threads, references, and what is told to a wrong program.
 */
#include "support/test.h"

#include "chan/chan.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- deadlines --- */

static int deadlines_main(void *arg)
{
    int *mistakes = arg;
    number_chan c;
    int64_t v = -7, from = leat_now();

    if (leat_chan_new(&c, 1) != 0)
        return -1;
    *mistakes += leat_chan_get(c, &v, leat_after(5 * LEAT_MSEC)) != -ETIMEDOUT ||
                 leat_now() - from < 5 * LEAT_MSEC;
    *mistakes += leat_chan_get(c, &v, LEAT_AT_ONCE) != -ETIMEDOUT;
    *mistakes += leat_chan_get(c, &v, leat_at(-1)) != -ETIMEDOUT;
    *mistakes += leat_chan_get(c, &v, leat_at(1)) != -ETIMEDOUT; /* long ago, and not at once */
    *mistakes += v != -7;
    *mistakes += leat_chan_put(c, 1, LEAT_AT_ONCE) != 0; /* no wait: whatever the deadline */
    from = leat_now();
    *mistakes += leat_chan_put(c, 2, leat_after(5 * LEAT_MSEC)) != -ETIMEDOUT ||
                 leat_now() - from < 5 * LEAT_MSEC;
    *mistakes += leat_chan_put(c, 2, leat_at(1)) != -ETIMEDOUT;
    *mistakes += leat_chan_len(c.chan) != 1;
    *mistakes += leat_chan_get(c, &v, leat_at(-1)) != 0 || v != 1;
    *mistakes +=
        kit_nr_waiting(c.chan, LEA_CHAN_DIR_SEND) + kit_nr_waiting(c.chan, LEA_CHAN_DIR_RECV) != 0;
    leat_chan_unref(c.chan);
    return 0;
}

Test(chan, keeps_deadlines, .timeout = 30)
{
    int mistakes = 0;

    cr_assert(eq(int, deadlines_main(&mistakes), 0)); /* a plain thread, without a run */
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, deadlines_main, &mistakes), 0));
    cr_assert(eq(int, mistakes, 0));
}

/* --- cancellation --- */

struct cancelled {
    number_chan full, empty;
    atomic_int mistakes;
};

static void wait_to_be_cancelled(struct cancelled *s, bool sends)
{
    int64_t v = 5;

    kit_count(&s->mistakes, (sends ? leat_chan_put(s->full, v, EACH_LONG)
                                   : leat_chan_get(s->empty, &v, EACH_LONG)) != -ECANCELED);
    /* from now on at once, even where it could succeed; a try does not wait, and works */
    kit_count(&s->mistakes, leat_chan_get(s->full, &v, LEAT_FOREVER) != -ECANCELED || v != 5);
    kit_count(&s->mistakes, leat_chan_put(s->empty, v, LEAT_AT_ONCE) != -ECANCELED);
    kit_count(&s->mistakes, leat_chan_get_try(s->empty, &v) != -EAGAIN);
}

static int cancel_main(void *arg)
{
    struct cancelled *s = arg;
    leat_handle *h[20];

    if (leat_chan_new(&s->full, 0) != 0 || leat_chan_new(&s->empty, 0) != 0)
        return -1;
    for (int i = 0; i < 20; i++)
        if (leat_go_join(&h[i], wait_to_be_cancelled, s, i % 2 == 0) != 0)
            return -2;
    kit_waiting(s->full.chan, LEA_CHAN_DIR_SEND, 10);
    kit_waiting(s->empty.chan, LEA_CHAN_DIR_RECV, 10);
    for (int i = 0; i < 20; i++)
        leat_cancel(h[i]);
    for (int i = 0; i < 20; i++)
        if (leat_join(h[i], NULL, EACH_LONG) != 0)
            return -3;
    kit_count(&s->mistakes, kit_nr_waiting(s->full.chan, LEA_CHAN_DIR_SEND) != 0);
    kit_count(&s->mistakes, kit_nr_waiting(s->empty.chan, LEA_CHAN_DIR_RECV) != 0);
    leat_chan_unref(s->full.chan);
    leat_chan_unref(s->empty.chan);
    return 0;
}

Test(chan, waiters_are_cancelled_and_unlinked, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        struct cancelled s = {.mistakes = 0};

        cr_assert(eq(int, each_run(procs, cancel_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- plain threads --- */

#define ITEMS 1000

struct threads {
    number_chan there, back;
    int64_t sum;
    atomic_int mistakes;
};

static void *echo_thread(void *arg)
{
    struct threads *s = arg;
    int64_t v;

    while (leat_chan_get(s->there, &v, EACH_LONG) == 0) {
        s->sum += v;
        kit_count(&s->mistakes, leat_chan_put(s->back, v * 2, EACH_LONG) != 0);
    }
    kit_count(&s->mistakes, leat_chan_close(s->back.chan) != 0);
    return NULL;
}

static void ask(struct threads *s, int64_t from, int64_t n)
{
    int64_t v;

    for (int64_t i = from; i < from + n; i++)
        kit_count(&s->mistakes, leat_chan_put(s->there, i, EACH_LONG) != 0 ||
                                    leat_chan_get(s->back, &v, EACH_LONG) != 0 || v != 2 * i);
}

static int ask_main(void *arg)
{
    ask(arg, 0, ITEMS);
    return 0;
}

/*
 * @run: the asking side are coroutines, in two runs one after the other; else the test's own
 * thread, with no run at all.
 */
static void talk_to_thread(struct threads *s, size_t cap, unsigned procs)
{
    pthread_t thread;
    int64_t v, n = procs ? 2 : 1;

    memset(s, 0, sizeof(*s));
    cr_assert(leat_chan_new(&s->there, cap) == 0 && leat_chan_new(&s->back, cap) == 0);
    pthread_create(&thread, NULL, echo_thread, s);
    if (procs) {
        cr_assert(eq(int, each_run(procs, ask_main, s), 0));
        cr_assert(eq(int, each_run(procs, ask_main, s), 0));
    } else {
        ask(s, 0, ITEMS);
    }
    cr_assert(eq(int, leat_chan_close(s->there.chan), 0));
    cr_assert(eq(int, leat_chan_get(s->back, &v, EACH_LONG), -EPIPE));
    pthread_join(thread, NULL);
    cr_assert(eq(int, atomic_load(&s->mistakes), 0));
    cr_assert(eq(i64, s->sum, n * ITEMS * (ITEMS - 1) / 2));
    leat_chan_unref(s->there.chan);
    leat_chan_unref(s->back.chan);
}

Test(chan, threads_talk_without_a_run, .timeout = 60)
{
    static struct threads s;

    talk_to_thread(&s, 0, 0);
    talk_to_thread(&s, 3, 0);
}

Test(chan, threads_and_coroutines_of_two_runs_talk, .timeout = 60)
{
    static struct threads s;

    for (EACH_PROCS(procs)) {
        talk_to_thread(&s, 0, procs);
        talk_to_thread(&s, 3, procs);
    }
}

/* --- references --- */

static void hold(number_chan c, atomic_int *mistakes)
{
    int64_t v;

    kit_count(mistakes, leat_chan_get(c, &v, EACH_LONG) != 0 || v != 3);
    leat_chan_unref(c.chan);
}

static int refs_main(void *arg)
{
    atomic_int *mistakes = arg;
    number_chan c;
    leat_group group;

    if (leat_chan_new(&c, 0) != 0)
        return -1;
    leat_group_open(&group, 0);
    for (int i = 0; i < 50; i++) {
        kit_count(mistakes, leat_chan_ref(c.chan) != c.chan);
        if (leat_group_go(&group, hold, c, mistakes) != 0)
            return -2;
    }
    for (int i = 0; i < 50; i++)
        kit_count(mistakes, leat_chan_put(c, 3, EACH_LONG) != 0);
    leat_chan_unref(c.chan); /* whoever is last frees it */
    return leat_group_wait(&group, EACH_LONG);
}

Test(chan, the_last_reference_frees, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        atomic_int mistakes = 0;

        cr_assert(eq(int, each_run(procs, refs_main, &mistakes), 0));
        cr_assert(eq(int, atomic_load(&mistakes), 0));
    }
    cr_assert(eq(ptr, leat_chan_ref(NULL), NULL));
    leat_chan_unref(NULL);
}

/* Elements that nobody received go with it. */
Test(chan, is_freed_with_what_is_in_it, .timeout = 10)
{
    number_chan c;

    cr_assert(eq(int, leat_chan_new(&c, 100), 0));
    for (int64_t i = 0; i < 50; i++)
        cr_assert(eq(int, leat_chan_put_try(c, i), 0));
    leat_chan_unref(c.chan);
}

/* --- typed forms --- */

struct pair {
    short a;
    double b;
};

LEAT_CHAN_TYPE(pair_chan, struct pair);
LEAT_CHAN_TYPE(text_chan, const char *);
LEAT_CHAN_TYPE(byte_chan, unsigned char);

Test(chan, typed_forms_convert_and_evaluate_once, .timeout = 10)
{
    pair_chan pairs = {0};
    text_chan texts = {0};
    byte_chan bytes = {0}, same[1];
    struct pair p = {0, 0};
    const char *text = NULL;
    unsigned char b = 0;
    int calls = 0;

    cr_assert(leat_chan_new(&pairs, 2) == 0 && leat_chan_new(&texts, 2) == 0 &&
              leat_chan_new(&bytes, 2) == 0);
    cr_assert(eq(int, leat_chan_put(pairs, ((struct pair){3, 4.5}), LEAT_FOREVER), 0));
    cr_assert(eq(int, leat_chan_get(pairs, &p, LEAT_FOREVER), 0));
    cr_assert(p.a == 3 && p.b == 4.5);
    cr_assert(eq(int, leat_chan_put_try(texts, "words"), 0));
    cr_assert(eq(int, leat_chan_put_try(texts, NULL), 0));
    cr_assert(eq(int, leat_chan_get_try(texts, &text), 0));
    cr_assert(eq(str, (char *)(uintptr_t)text, "words"));
    cr_assert(eq(int, leat_chan_get_try(texts, &text), 0));
    cr_assert(eq(ptr, (void *)(uintptr_t)text, NULL));
    same[0] = bytes;
    cr_assert(eq(int, leat_chan_put(same[calls++], (unsigned char)(300 + calls), LEAT_FOREVER), 0));
    cr_assert(eq(int, calls, 1));
    calls = 0;
    cr_assert(eq(int, leat_chan_get(same[calls++], &b, LEAT_FOREVER), 0));
    cr_assert(eq(int, calls, 1));
    cr_assert(eq(int, leat_chan_put_try(bytes, 7), 0));
    cr_assert(eq(int, leat_chan_get(bytes, NULL, LEAT_FOREVER), 0)); /* dropped */
    cr_assert(eq(int, leat_chan_get_try(bytes, &b), -EAGAIN));
    leat_chan_unref(pairs.chan);
    leat_chan_unref(texts.chan);
    leat_chan_unref(bytes.chan);
}

/* --- what only a wrong program can do --- */

Test(chan, refuses_elements_of_another_size, .timeout = 10, .signal = SIGABRT)
{
    byte_chan bytes;
    number_chan numbers;

    if (leat_chan_new(&bytes, 2) != 0)
        return;
    numbers.chan = bytes.chan;
    (void)leat_chan_put_try(numbers, 5);
}

Test(chan, refuses_room_of_another_size, .timeout = 10, .signal = SIGABRT)
{
    byte_chan bytes;
    number_chan numbers;
    int64_t v;

    if (leat_chan_new(&bytes, 2) != 0)
        return;
    numbers.chan = bytes.chan;
    (void)leat_chan_get(numbers, &v, LEAT_AT_ONCE);
}

static void receive_one(number_chan c)
{
    int64_t v;

    (void)leat_chan_get(c, &v, LEAT_FOREVER);
}

static int free_under_waiter_main(void *arg)
{
    number_chan c;

    (void)arg;
    if (leat_chan_new(&c, 0) != 0 || go(receive_one, c) != 0)
        return -1;
    kit_waiting(c.chan, LEA_CHAN_DIR_RECV, 1);
    leat_chan_unref(c.chan);
    return 0;
}

Test(chan, refuses_to_be_freed_under_a_waiter, .timeout = 10, .signal = SIGABRT)
{
    (void)each_run(1, free_under_waiter_main, NULL);
}

/* --- a coroutine that never waits --- */

struct greedy {
    number_chan c;
    atomic_int others, stop;
};

static void take_turns(struct greedy *s)
{
    while (!atomic_load(&s->stop)) {
        atomic_fetch_add(&s->others, 1);
        leat_yield();
    }
}

static int greedy_main(void *arg)
{
    struct greedy *s = arg;
    int64_t v, until = leat_now() + 45 * LEAT_SEC;

    if (leat_chan_new(&s->c, 1) != 0 || go(take_turns, s) != 0)
        return -1;
    while (atomic_load(&s->others) <
           3) { /* sends and receives that all succeed at once: the slice ends them */
        if (leat_chan_put(s->c, 1, LEAT_FOREVER) != 0 || leat_chan_get(s->c, &v, LEAT_FOREVER) != 0)
            return -2;
        if (leat_now() > until)
            return -3;
    }
    atomic_store(&s->stop, 1);
    leat_chan_unref(s->c.chan);
    return 0;
}

Test(chan, a_loop_of_sends_lets_others_run, .timeout = 60)
{
    struct greedy s = {.others = 0};

    /* one thread at a time: the monitor is always late there, and ends no slice */
    if (EACH_VALGRIND)
        return;
    cr_assert(eq(int, each_run(1, greedy_main, &s), 0));
}
