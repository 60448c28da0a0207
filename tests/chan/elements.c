/*
 * What a channel does with its elements: of all sizes, ordered with what was written before and
 * after, and to oneself. The rest of the rules that channels share with Go's: rules.c.
 */
#include "support/test.h"

#include "kit.h"

#include <errno.h>
#include <string.h>

/* --- 13, 16: sizes of elements --- */

static unsigned char pattern(size_t i, unsigned turn)
{
    return (unsigned char)(i * 7 + turn);
}

static bool holds_pattern(const unsigned char *b, size_t n, unsigned turn)
{
    for (size_t i = 0; i < n; i++)
        if (b[i] != pattern(i, turn))
            return false;
    return b[n] == 0xee; /* and nothing behind it */
}

static unsigned char in[LEAT_CHAN_ELEM_MAX + 1], out[LEAT_CHAN_ELEM_MAX + 1];

static void send_bytes(leat_chan *c, atomic_int *mistakes)
{
    kit_count(mistakes, leat_chan_send(c, in, EACH_LONG) != 0);
}

/* From frame to frame, and through the ring. */
static int bytes_main(void *arg)
{
    static const size_t sizes[] = {
        0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 100, 4096, LEAT_CHAN_ELEM_MAX};
    atomic_int *mistakes = arg;

    for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        size_t n = sizes[k];

        for (unsigned turn = 0; turn < 8; turn++) {
            leat_chan *c;
            leat_handle *h;

            if (leat_chan_make(&c, n, turn % 4) != 0)
                return -1;
            for (size_t i = 0; i < n; i++)
                in[i] = pattern(i, turn);
            memset(out, 0xee, n + 1);
            if (leat_go_join(&h, send_bytes, c, mistakes) != 0)
                return -2;
            kit_let_run(turn / 4);
            kit_count(mistakes,
                      leat_chan_recv(c, out, EACH_LONG) != 0 || !holds_pattern(out, n, turn));
            if (leat_join(h, NULL, EACH_LONG) != 0)
                return -3;
            for (unsigned i = 0; i < turn % 4; i++)
                kit_count(mistakes, leat_chan_send_try(c, in) != 0);
            for (unsigned i = 0; i < turn % 4; i++)
                kit_count(mistakes, leat_chan_recv_try(c, i % 2 ? NULL : out) != 0 ||
                                        !holds_pattern(out, n, turn));
            leat_chan_unref(c);
        }
    }
    return 0;
}

Test(chan_elements, elements_of_all_sizes, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        atomic_int mistakes = 0;

        cr_assert(eq(int, each_run(procs, bytes_main, &mistakes), 0));
        cr_assert(eq(int, atomic_load(&mistakes), 0));
    }
}

Test(chan_elements, elements_of_no_size_are_counted, .timeout = 10)
{
    leat_chan *c;

    cr_assert(eq(int, leat_chan_make(&c, 0, 1000000000), 0)); /* no memory for them */
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, leat_chan_send(c, NULL, LEAT_AT_ONCE), 0));
    cr_assert(eq(sz, leat_chan_len(c), 3));
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, leat_chan_recv_try(c, NULL), 0));
    cr_assert(eq(int, leat_chan_recv_try(c, NULL), -EAGAIN));
    leat_chan_unref(c);
}

Test(chan_elements, refuses_what_is_too_large, .timeout = 10)
{
    leat_chan *c = (leat_chan *)(void *)&c;

    cr_assert(eq(int, leat_chan_make(&c, LEAT_CHAN_ELEM_MAX + 1, 1), -EINVAL));
    cr_assert(eq(ptr, c, NULL));
    cr_assert(eq(int, leat_chan_make(NULL, 8, 1), -EINVAL));
    cr_assert(eq(int, leat_chan_make(&c, 8, SIZE_MAX / 2), -ENOMEM));
    cr_assert(eq(int, leat_chan_make(&c, 8, SIZE_MAX / 8), -ENOMEM));
    cr_assert(eq(int, leat_chan_make(&c, 65536, UINT32_MAX - 1), -ENOMEM));
    cr_assert(eq(ptr, c, NULL));
}

/* --- 14: what happens before what --- */

struct order {
    number_chan c;
    leat_chan *slots; /* capacity 2, as a semaphore: the k-th receive before the (k + 2)-th send */
    int64_t data[64]; /* plain memory: ThreadSanitizer looks on */
    int64_t inside;
    atomic_int mistakes;
};

static void write_then_send(struct order *s)
{
    for (int64_t i = 0; i < 64; i++) {
        s->data[i] = i + 1;
        kit_count(&s->mistakes, leat_chan_put(s->c, i, EACH_LONG) != 0);
    }
    s->data[0] = -1;
    (void)leat_chan_close(s->c.chan);
}

static int visible_main(void *arg)
{
    struct order *s = arg;
    leat_handle *h;
    int64_t v;

    if (leat_chan_new(&s->c, 8) != 0 || leat_go_join(&h, write_then_send, s) != 0)
        return -1;
    for (int64_t i = 0; leat_chan_get(s->c, &v, EACH_LONG) == 0; i++)
        kit_count(&s->mistakes, v != i || (i > 0 && s->data[v] != v + 1));
    kit_count(&s->mistakes, s->data[0] != -1); /* before the close */
    if (leat_join(h, NULL, EACH_LONG) != 0)
        return -2;
    leat_chan_unref(s->c.chan);
    return 0;
}

static void enter_and_leave(struct order *s, int turns)
{
    for (int i = 0; i < turns; i++) {
        kit_count(&s->mistakes, leat_chan_send(s->slots, NULL, EACH_LONG) != 0);
        s->inside++;
        kit_let_run(i % 2);
        s->inside--;
        kit_count(&s->mistakes, leat_chan_recv(s->slots, NULL, EACH_LONG) != 0);
    }
}

static int lock_by_channel_main(void *arg)
{
    struct order *s = arg;
    leat_group group;

    if (leat_chan_make(&s->slots, 0, 1) != 0)
        return -1;
    leat_group_open(&group, 0);
    for (int i = 0; i < 4; i++)
        if (leat_group_go(&group, enter_and_leave, s, 200) != 0)
            return -2;
    if (leat_group_wait(&group, EACH_LONG) != 0)
        return -3;
    kit_count(&s->mistakes, s->inside != 0);
    leat_chan_unref(s->slots);
    return 0;
}

Test(chan_elements, orders_memory, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        static struct order s;

        memset(&s, 0, sizeof(s));
        cr_assert(eq(int, each_run(procs, visible_main, &s), 0));
        cr_assert(eq(int, each_run(procs, lock_by_channel_main, &s), 0));
        cr_assert(eq(int, atomic_load(&s.mistakes), 0));
    }
}

/* --- 15: to oneself through the ring only --- */

static int to_oneself_main(void *arg)
{
    int *mistakes = arg;
    number_chan c;
    int64_t v = 0;

    if (leat_chan_new(&c, 1) != 0)
        return -1;
    *mistakes += leat_chan_put(c, 9, LEAT_FOREVER) != 0;
    *mistakes += leat_chan_get(c, &v, LEAT_FOREVER) != 0 || v != 9;
    leat_chan_unref(c.chan);
    if (leat_chan_new(&c, 0) != 0)
        return -1;
    *mistakes += leat_chan_put(c, 9, leat_after(LEAT_MSEC)) != -ETIMEDOUT;
    *mistakes += leat_chan_get_try(c, &v) != -EAGAIN; /* nothing is left of it */
    leat_chan_unref(c.chan);
    return 0;
}

Test(chan_elements, one_meets_oneself_through_the_ring_only, .timeout = 30)
{
    for (EACH_PROCS(procs)) {
        int mistakes = 0;

        cr_assert(eq(int, each_run(procs, to_oneself_main, &mistakes), 0));
        cr_assert(eq(int, mistakes, 0));
    }
}
