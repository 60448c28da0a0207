/*
 * Power series as streams of their coefficients, each computed on demand by a coroutine, and put
 * together by coroutines: sums, products, derivatives, integrals, reciprocals, and series that are
 * defined by themselves. After the description in McIlroy's "Squinting at Power Series".
 *
 * A stream is asked for its next coefficient by who asks, and answers on that one's channel: so one
 * that two read from (split) serves both in the order in which they ask, and keeps what only one
 * has had.
 */
#include "support/test.h"

#include "conformance/kit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rat {
    int64_t num, den;
};

LEAT_CHAN_TYPE(rat_chan, struct rat);

/* One reader's view of a stream. */
struct stream {
    int_chan ask; /* who asks: shared by all readers of a split */
    rat_chan answer;
    int who;
};

#define STREAMS_MAX 4000

static struct {
    leat_group group;
    atomic_int mistakes, nr;
    leat_chan *made[2 * STREAMS_MAX]; /* all channels, until all coroutines have ended */
} s;

/* --- rationals --- */

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;

        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

static struct rat rat(int64_t num, int64_t den)
{
    int64_t g = gcd(num, den);

    if (den < 0)
        g = -g;
    return g ? (struct rat){num / g, den / g} : (struct rat){0, 1};
}

static struct rat add(struct rat a, struct rat b)
{
    int64_t g = gcd(a.den, b.den);

    return rat(a.num * (b.den / g) + b.num * (a.den / g), a.den / g * b.den);
}

static struct rat mul(struct rat a, struct rat b)
{
    int64_t g = gcd(a.num, b.den), h = gcd(b.num, a.den);

    if (!g || !h)
        return (struct rat){0, 1};
    return rat(a.num / g * (b.num / h), a.den / h * (b.den / g));
}

static const struct rat zero = {0, 1}, one = {1, 1};

/* --- streams --- */

static leat_chan *keep(leat_chan *ch)
{
    int i = atomic_fetch_add(&s.nr, 1);

    if (!ch || i >= 2 * STREAMS_MAX)
        abort();
    return s.made[i] = ch;
}

static struct stream stream_new(void)
{
    struct stream f = {.who = 0};

    f.ask.chan = keep(kit_chan(0).chan);
    if (leat_chan_new(&f.answer, 0) != 0)
        abort();
    keep(f.answer.chan);
    return f;
}

static bool get(struct stream f, struct rat *out)
{
    return kit_ok(&s.mistakes, leat_chan_put(f.ask, f.who, LEAT_FOREVER)) &&
           kit_ok(&s.mistakes, leat_chan_get(f.answer, out, LEAT_FOREVER));
}

static bool asked(struct stream f)
{
    return kit_ok(&s.mistakes, leat_chan_get(f.ask, NULL, LEAT_FOREVER));
}

static bool answer(struct stream f, struct rat c)
{
    return kit_ok(&s.mistakes, leat_chan_put(f.answer, c, LEAT_FOREVER));
}

#define SPAWN(...)                                                                                 \
    do {                                                                                           \
        if (leat_group_go(&s.group, __VA_ARGS__) != 0)                                             \
            atomic_fetch_add(&s.mistakes, 1);                                                      \
    } while (0)

/* What one reader has had and the other has not. */
#define AHEAD_MAX 64
#define FETCHED 2 /* beside the readers 0 and 1 */

struct split {
    struct stream from, out[2];
    int_chan want;
    rat_chan fetched;
};

static void do_fetch(struct split x)
{
    struct rat c;

    while (kit_ok(&s.mistakes, leat_chan_get(x.want, NULL, LEAT_FOREVER)) && get(x.from, &c) &&
           kit_ok(&s.mistakes, leat_chan_put(x.fetched, c, LEAT_FOREVER)) &&
           kit_ok(&s.mistakes, leat_chan_put(x.out[0].ask, FETCHED, LEAT_FOREVER)))
        ;
}

/*
 * Somebody else fetches, so that one reader has what is here while the other waits for the next: in
 * a series that is defined by itself the next one depends on that.
 */
static void do_split(struct split x)
{
    struct rat queue[AHEAD_MAX];
    unsigned had[2] = {0, 0}, n = 0;
    bool waits[2] = {false, false};
    int who;

    while (kit_ok(&s.mistakes, leat_chan_get(x.out[0].ask, &who, LEAT_FOREVER))) {
        if (who == FETCHED) {
            if (!kit_ok(&s.mistakes,
                        leat_chan_get(x.fetched, &queue[n++ % AHEAD_MAX], LEAT_FOREVER)))
                return;
        } else if (had[who] == n) {
            if (!waits[1 - who] && !kit_ok(&s.mistakes, leat_chan_put(x.want, 1, LEAT_FOREVER)))
                return;
            if (n - had[1 - who] >= AHEAD_MAX)
                abort();
            waits[who] = true;
        } else {
            waits[who] = true;
        }
        for (int i = 0; i < 2; i++) {
            if (!waits[i] || had[i] == n)
                continue;
            waits[i] = false;
            if (!answer(x.out[i], queue[had[i]++ % AHEAD_MAX]))
                return;
        }
    }
}

static rat_chan rats(size_t capacity)
{
    rat_chan ch;

    if (leat_chan_new(&ch, capacity) != 0)
        abort();
    keep(ch.chan);
    return ch;
}

static void split(struct stream f, struct stream out[2])
{
    struct split x = {.from = f, .fetched = rats(1)};

    x.want.chan = keep(kit_chan(1).chan);
    x.out[0] = stream_new();
    x.out[1] = (struct stream){x.out[0].ask, rats(0), 1};
    memcpy(out, x.out, sizeof(x.out));
    SPAWN(do_fetch, x);
    SPAWN(do_split, x);
}

static void do_constants(struct stream out, struct rat first, struct rat rest)
{
    while (asked(out) && answer(out, first))
        first = rest;
}

/* first + rest x + rest x^2 + ... */
static struct stream constants(struct rat first, struct rat rest)
{
    struct stream out = stream_new();

    SPAWN(do_constants, out, first, rest);
    return out;
}

static void do_sum(struct stream out, struct stream f, struct stream g)
{
    struct rat a, b;

    while (asked(out) && get(f, &a) && get(g, &b) && answer(out, add(a, b)))
        ;
}

static struct stream sum(struct stream f, struct stream g)
{
    struct stream out = stream_new();

    SPAWN(do_sum, out, f, g);
    return out;
}

static void do_scale(struct stream out, struct stream f, struct rat c)
{
    struct rat a;

    while (asked(out) && get(f, &a) && answer(out, mul(a, c)))
        ;
}

static struct stream scale(struct stream f, struct rat c)
{
    struct stream out = stream_new();

    SPAWN(do_scale, out, f, c);
    return out;
}

/* c + x f: `first` comes before all of f. */
static void do_before(struct stream out, struct stream f, struct rat first)
{
    if (!asked(out) || !answer(out, first))
        return;
    while (asked(out) && get(f, &first) && answer(out, first))
        ;
}

static struct stream before(struct stream f, struct rat first)
{
    struct stream out = stream_new();

    SPAWN(do_before, out, f, first);
    return out;
}

/* (a + x F)(b + x G) = ab + x (a G + b F + x F G) */
static void do_product(struct stream out, struct stream f, struct stream g);

static struct stream product(struct stream f, struct stream g)
{
    struct stream out = stream_new();

    SPAWN(do_product, out, f, g);
    return out;
}

static void do_product(struct stream out, struct stream f, struct stream g)
{
    struct stream ff[2], gg[2], rest;
    struct rat a, b;

    if (!asked(out) || !get(f, &a) || !get(g, &b) || !answer(out, mul(a, b)))
        return;
    if (!asked(out))
        return;
    split(f, ff);
    split(g, gg);
    rest = sum(sum(scale(gg[0], a), scale(ff[0], b)), before(product(ff[1], gg[1]), zero));
    do {
        if (!get(rest, &a) || !answer(out, a))
            return;
    } while (asked(out));
}

static void do_integral(struct stream out, struct stream f, struct rat c)
{
    struct rat a;

    if (!asked(out) || !answer(out, c))
        return;
    for (int64_t n = 1; asked(out) && get(f, &a) && answer(out, mul(a, rat(1, n))); n++)
        ;
}

static struct stream integral(struct stream f, struct rat c)
{
    struct stream out = stream_new();

    SPAWN(do_integral, out, f, c);
    return out;
}

static void do_derivative(struct stream out, struct stream f)
{
    struct rat a;

    if (!asked(out) || !get(f, &a))
        return;
    for (int64_t n = 1; get(f, &a) && answer(out, mul(a, rat(n, 1))) && asked(out); n++)
        ;
}

static struct stream derivative(struct stream f)
{
    struct stream out = stream_new();

    SPAWN(do_derivative, out, f);
    return out;
}

static void do_copy(struct stream out, struct stream f)
{
    struct rat a;

    while (asked(out) && get(f, &a) && answer(out, a))
        ;
}

/* 1/f: f = a + x F, z = 1/a - 1/a x F z: a series that is defined by itself. */
static void do_reciprocal(struct stream out, struct stream f)
{
    struct stream zz[2], z = stream_new();
    struct rat a;

    if (!asked(out) || !get(f, &a))
        return;
    a = rat(a.den, a.num);
    if (!answer(out, a))
        return;
    split(z, zz);
    SPAWN(do_copy, z, before(scale(product(f, zz[0]), mul(a, rat(-1, 1))), a));
    if (!get(zz[1], &a)) /* it has been answered */
        return;
    while (asked(out) && get(zz[1], &a) && answer(out, a))
        ;
}

static struct stream reciprocal(struct stream f)
{
    struct stream out = stream_new();

    SPAWN(do_reciprocal, out, f);
    return out;
}

/* exp f = 1 + integral of (f' exp f), for f(0) = 0 */
static struct stream exponential(struct stream f)
{
    struct stream z = stream_new(), zz[2];

    split(z, zz);
    SPAWN(do_copy, z, integral(product(zz[0], derivative(f)), one));
    return zz[1];
}

/* f = integral of (1 + f^2): the tangent */
static struct stream tangent(void)
{
    struct stream z = stream_new(), zz[2], again[2];

    split(z, zz);
    split(zz[0], again);
    SPAWN(do_copy, z, integral(sum(constants(one, zero), product(again[0], again[1])), zero));
    return zz[1];
}

/* --- what must come out --- */

static bool comes(struct stream f, const struct rat *want, int n)
{
    for (int i = 0; i < n; i++) {
        struct rat c;

        if (!get(f, &c) || c.num != want[i].num || c.den != want[i].den)
            return false;
    }
    return true;
}

#define COMES(f, ...)                                                                              \
    comes(f, (const struct rat[]){__VA_ARGS__},                                                    \
          sizeof((const struct rat[]){__VA_ARGS__}) / sizeof(struct rat))

static int checks(void)
{
    struct stream geometric = constants(one, one), x = before(constants(one, zero), zero), two[2];

    if (!COMES(sum(constants(one, one), constants(zero, rat(1, 2))), {1, 1}, {3, 2}, {3, 2}))
        return 1;
    split(geometric, two);
    if (!COMES(product(two[0], two[1]), {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1},
               {8, 1}))
        return 2;
    if (!COMES(derivative(constants(one, one)), {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}))
        return 3;
    if (!COMES(integral(constants(one, one), zero), {0, 1}, {1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}))
        return 4;
    if (!COMES(reciprocal(constants(one, one)), {1, 1}, {-1, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}))
        return 5;
    if (!COMES(exponential(x), {1, 1}, {1, 1}, {1, 2}, {1, 6}, {1, 24}, {1, 120}, {1, 720}))
        return 6;
    if (!COMES(tangent(), {0, 1}, {1, 1}, {0, 1}, {1, 3}, {0, 1}, {2, 15}, {0, 1}, {17, 315}))
        return 7;
    return 0;
}

static int series_main(void *arg)
{
    int r;

    (void)arg;
    leat_group_open(&s.group, 0);
    r = checks();
    leat_group_cancel(&s.group);
    if (leat_group_close(&s.group) != 0)
        r = 8;
    for (int i = 0; i < s.nr; i++)
        leat_chan_unref(s.made[i]);
    return r;
}

/*
 * Goal: hundreds of coroutines that ask each other over unbuffered channels compute what they
 * should, to the last coefficient.
 */
Test(series, of_rationals, .timeout = 60)
{
    for (EACH_PROCS(procs)) {
        s.nr = 0;
        s.mistakes = 0;
        cr_assert(eq(int, each_run(procs, series_main, NULL), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}
