/*
 * Many coroutines and few channels: a chain of 10 000, many consumers, a barrier and a semaphore
 * made of channels, the order of those who wait.
 */
#include "support/test.h"

#include "conformance/kit.h"

#include <errno.h>
#include <string.h>

/* --- a chain --- */

#define LINKS 10000

struct chain {
    leat_waitgroup wg;
    atomic_int mistakes;
    int_chan link[LINKS + 1];
};

static void pass_on(struct chain *c, int i)
{
    int n = 0;

    if (leat_chan_get(c->link[i + 1], &n, EACH_LONG) != 0 ||
        leat_chan_put(c->link[i], n + 1, EACH_LONG) != 0)
        atomic_fetch_add(&c->mistakes, 1);
    leat_wg_done(&c->wg);
}

static int chain_main(void *arg)
{
    struct chain *c = arg;
    int n = 0;

    leat_wg_add(&c->wg, LINKS);
    for (int i = 0; i <= LINKS; i++)
        c->link[i] = kit_chan(0);
    for (int i = 0; i < LINKS; i++)
        if (go(pass_on, c, i) != 0)
            return 1;
    if (leat_chan_put(c->link[LINKS], 0, EACH_LONG) != 0 ||
        leat_chan_get(c->link[0], &n, EACH_LONG) != 0)
        return 2;
    if (leat_wg_wait(&c->wg, EACH_LONG) != 0)
        return 3;
    for (int i = 0; i <= LINKS; i++)
        leat_chan_unref(c->link[i].chan);
    return n == LINKS ? 0 : 4;
}

/* Goal: a value goes through 10 000 coroutines, and each adds one. */
Test(many, chain_of_ten_thousand, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        static struct chain c;

        memset(&c, 0, sizeof(c));
        cr_assert(eq(int, each_run(procs, chain_main, &c), 0));
        cr_assert(eq(int, c.mistakes, 0));
    }
}

/* --- many consumers --- */

#define CONSUMERS 23
#define VALUES 20000

struct consumers {
    int_chan in, out;
    leat_waitgroup wg;
    atomic_int mistakes;
    unsigned char seen[VALUES];
};

static void consume(struct consumers *c)
{
    int n, err;

    while ((err = leat_chan_get(c->in, &n, EACH_LONG)) == 0) {
        if (n % 5 == 0)
            leat_yield();
        if (leat_chan_put(c->out, n, EACH_LONG) != 0)
            atomic_fetch_add(&c->mistakes, 1);
    }
    atomic_fetch_add(&c->mistakes, err != -EPIPE);
    leat_wg_done(&c->wg);
}

static void produce(struct consumers *c, int values)
{
    for (int i = 0; i < values; i++)
        if (leat_chan_put(c->in, i, EACH_LONG) != 0)
            atomic_fetch_add(&c->mistakes, 1);
    (void)leat_chan_close(c->in.chan);
}

static void close_after(struct consumers *c)
{
    if (leat_wg_wait(&c->wg, EACH_LONG) != 0)
        atomic_fetch_add(&c->mistakes, 1);
    (void)leat_chan_close(c->out.chan);
}

static int consumers_of(struct consumers *c, size_t capacity, int values)
{
    int n, err, count = 0;

    memset(c->seen, 0, sizeof(c->seen));
    c->in = kit_chan(capacity);
    c->out = kit_chan(capacity);
    leat_wg_add(&c->wg, CONSUMERS);
    for (int i = 0; i < CONSUMERS; i++)
        if (go(consume, c) != 0)
            return 1;
    if (go(produce, c, values) != 0 || go(close_after, c) != 0)
        return 2;
    while ((err = leat_chan_get(c->out, &n, EACH_LONG)) == 0) {
        if (n < 0 || n >= values || c->seen[n]++)
            return 3;
        count++;
    }
    leat_chan_unref(c->in.chan);
    leat_chan_unref(c->out.chan);
    return err == -EPIPE && count == values ? 0 : 4;
}

static int consumers_main(void *arg)
{
    int r = 0;

    for (size_t capacity = 0; capacity <= 64 && r == 0; capacity = capacity * 4 + 1)
        r = consumers_of(arg, capacity, KIT_LESS(VALUES));
    return r;
}

/*
 * Goal: every value reaches one of many consumers, once; after the close what is there is taken,
 * and then all get to know.
 */
Test(many, consumers, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        static struct consumers c;

        memset(&c, 0, sizeof(c));
        cr_assert(eq(int, each_run(procs, consumers_main, &c), 0));
        cr_assert(eq(int, c.mistakes, 0));
    }
}

/* --- a barrier --- */

#define WORKERS 50
#define ROUNDS 200

struct barrier {
    int_chan arrive, leave;
    leat_waitgroup wg;
    atomic_int inside, mistakes;
    int round[WORKERS];
};

static void keeper(struct barrier *b, int rounds)
{
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < WORKERS; i++)
            if (leat_chan_get(b->arrive, NULL, EACH_LONG) != 0)
                atomic_fetch_add(&b->mistakes, 1);
        for (int i = 0; i < WORKERS; i++) /* all are here: nobody is a round ahead or behind */
            atomic_fetch_add(&b->mistakes, b->round[i] != r + 1);
        for (int i = 0; i < WORKERS; i++)
            if (leat_chan_put(b->leave, r, EACH_LONG) != 0)
                atomic_fetch_add(&b->mistakes, 1);
    }
    leat_wg_done(&b->wg);
}

static void worker(struct barrier *b, int me, int rounds)
{
    for (int r = 0; r < rounds; r++) {
        int released = -1;

        if (me % 7 == r % 7)
            leat_yield();
        b->round[me]++;
        if (leat_chan_put(b->arrive, me, EACH_LONG) != 0 ||
            leat_chan_get(b->leave, &released, EACH_LONG) != 0 || released != r)
            atomic_fetch_add(&b->mistakes, 1);
    }
    leat_wg_done(&b->wg);
}

static int barrier_main(void *arg)
{
    struct barrier *b = arg;
    int rounds = KIT_LESS(ROUNDS), r;

    b->arrive = kit_chan(0);
    b->leave = kit_chan(0);
    leat_wg_add(&b->wg, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++)
        if (go(worker, b, i, rounds) != 0)
            return 1;
    if (go(keeper, b, rounds) != 0)
        return 2;
    r = leat_wg_wait(&b->wg, EACH_LONG);
    leat_chan_unref(b->arrive.chan);
    leat_chan_unref(b->leave.chan);
    return r;
}

/*
 * Goal: nobody passes a barrier of two unbuffered channels before all have come, and what each has
 * written is seen.
 */
Test(many, barrier_of_channels, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct barrier b = {.inside = 0};

        cr_assert(eq(int, each_run(procs, barrier_main, &b), 0));
        cr_assert(eq(int, b.mistakes, 0));
    }
}

/* --- a semaphore --- */

#define PLACES 5

struct semaphore {
    int_chan places;
    leat_waitgroup wg;
    int64_t until; /* of the wait for the others */
    atomic_int inside, most, mistakes;
};

static void enter_often(struct semaphore *x, int times, unsigned seed)
{
    for (int i = 0; i < times; i++) {
        int n;

        if (leat_chan_put(x->places, 0, EACH_LONG) != 0)
            atomic_fetch_add(&x->mistakes, 1);
        n = atomic_fetch_add(&x->inside, 1) + 1;
        atomic_fetch_add(&x->mistakes, n > PLACES);
        for (int most = atomic_load(&x->most);
             n > most && !atomic_compare_exchange_weak(&x->most, &most, n);)
            ;
        while (i == 0 && atomic_load(&x->most) < PLACES && leat_now() < x->until)
            leat_yield(); /* there is room for all of them: they come */
        each_jitter(&seed);
        if (seed & 512)
            leat_yield();
        atomic_fetch_sub(&x->inside, 1);
        if (leat_chan_get_try(x->places, NULL) != 0) /* it is ours: there is one */
            atomic_fetch_add(&x->mistakes, 1);
    }
    leat_wg_done(&x->wg);
}

static int semaphore_main(void *arg)
{
    struct semaphore *x = arg;
    int r;

    x->places = kit_chan(PLACES);
    x->until = leat_now() + 20 * LEAT_SEC;
    leat_wg_add(&x->wg, 20);
    for (unsigned i = 0; i < 20; i++)
        if (go(enter_often, x, KIT_LESS(2000), i) != 0)
            return 1;
    r = leat_wg_wait(&x->wg, EACH_LONG);
    leat_chan_unref(x->places.chan);
    return r;
}

/* Goal: a channel's capacity bounds who is inside, and is reached. */
Test(many, semaphore_of_a_channel, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct semaphore x = {.inside = 0};

        cr_assert(eq(int, each_run(procs, semaphore_main, &x), 0));
        cr_assert(eq(int, x.mistakes, 0));
        cr_assert(eq(int, x.most, PLACES));
    }
}

/* --- order --- */

struct fifo {
    int_chan ch;
    leat_waitgroup wg;
    atomic_int mistakes;
};

static void hand_over(int_chan mine, int_chan next, struct fifo *f, int i)
{
    /* my turn: the one before me has sent; so I send, and tell the next one */
    if (leat_chan_get(mine, NULL, EACH_LONG) != 0 || leat_chan_put(f->ch, i, EACH_LONG) != 0 ||
        leat_chan_put(next, 1, EACH_LONG) != 0)
        atomic_fetch_add(&f->mistakes, 1);
    leat_wg_done(&f->wg);
}

#define IN_LINE 200

static int fifo_main(void *arg)
{
    struct fifo *f = arg;
    int_chan turn[IN_LINE + 1];
    int n;

    f->ch = kit_chan(10);
    for (int i = 0; i <= IN_LINE; i++)
        turn[i] = kit_chan(1);
    leat_wg_add(&f->wg, IN_LINE);
    for (int i = IN_LINE - 1; i >= 0; i--)
        if (go(hand_over, turn[i], turn[i + 1], f, i) != 0)
            return 1;
    if (leat_chan_put(turn[0], 1, EACH_LONG) != 0)
        return 2;
    for (int i = 0; i < IN_LINE; i++)
        if (leat_chan_get(f->ch, &n, EACH_LONG) != 0 || n != i)
            return 3;
    if (leat_wg_wait(&f->wg, EACH_LONG) != 0)
        return 4;
    for (int i = 0; i <= IN_LINE; i++)
        leat_chan_unref(turn[i].chan);
    leat_chan_unref(f->ch.chan);
    return 0;
}

/* Goal: first in, first out, whoever sends. */
Test(many, in_order, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        struct fifo f = {.mistakes = 0};

        cr_assert(eq(int, each_run(procs, fifo_main, &f), 0));
        cr_assert(eq(int, f.mistakes, 0));
    }
}
