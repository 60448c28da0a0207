/*
 * Programs about select: one value offered to four channels at once arrives at one of them, whoever
 * is ready is taken evenly, and everybody at four channels, by plain calls and by select, comes to
 * an end.
 */
#include "support/test.h"

#include "conformance/kit.h"

#include <errno.h>
#include <string.h>

#define CHANS 4

/* --- doubly racing selects: both of two cases must never run --- */

#define OFFERED 3000

struct offers {
    int_chan c[CHANS], out;
    atomic_int mistakes;
    int n;
};

static void offer(struct offers *s)
{
    for (int i = 0; i < s->n; i++) {
        leat_case c[CHANS];
        int r;

        for (int k = 0; k < CHANS; k++)
            c[k] = leat_case_put(s->c[k], &i);
        r = leat_select(c, CHANS, EACH_LONG);
        if (r < 0 || c[r].result != 0)
            atomic_fetch_add(&s->mistakes, 1);
    }
    for (int k = 0; k < CHANS; k++)
        (void)leat_chan_close(s->c[k].chan);
}

static void forward(struct offers *s, int k)
{
    int i, r;

    while ((r = leat_chan_get(s->c[k], &i, EACH_LONG)) == 0)
        if (leat_chan_put(s->out, i, EACH_LONG) != 0)
            atomic_fetch_add(&s->mistakes, 1);
    if (r != -EPIPE || leat_chan_put(s->out, -1, EACH_LONG) != 0)
        atomic_fetch_add(&s->mistakes, 1);
}

static int offers_main(void *arg)
{
    static bool seen[OFFERED];
    struct offers *s = arg;
    int i, all = 0;

    memset(seen, 0, sizeof(seen));
    s->out = kit_chan(0);
    for (int k = 0; k < CHANS; k++)
        s->c[k] = kit_chan(0);
    for (int k = 0; k < CHANS; k++)
        if (go(forward, s, k) != 0)
            return 1;
    if (go(offer, s) != 0)
        return 2;
    for (int open = CHANS; open > 0;) {
        if (leat_chan_get(s->out, &i, EACH_LONG) != 0)
            return 3;
        if (i < 0) {
            open--;
            continue;
        }
        if (seen[i])
            return 4;
        seen[i] = true;
        all++;
    }
    for (int k = 0; k < CHANS; k++)
        leat_chan_unref(s->c[k].chan);
    leat_chan_unref(s->out.chan);
    return all == s->n ? 0 : 5;
}

Test(select, a_value_arrives_once, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        static struct offers s;

        s = (struct offers){.n = KIT_LESS(OFFERED)};
        cr_assert(eq(int, each_run(procs, offers_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}

/* --- fairness: two that always have something, among cases that never have --- */

#define TRIALS 10000

struct fair {
    int_chan c[2], out[2], never;
    leat_group group;
    atomic_int mistakes;
};

static void always(struct fair *s, int k)
{
    while (kit_ok(&s->mistakes, leat_chan_put(s->c[k], k, LEAT_FOREVER)))
        ;
}

/* Takes from either, and passes on by a select too. */
static void choose(struct fair *s)
{
    for (;;) {
        int v, way[2] = {0, 1};
        leat_case in[] = {leat_case_get(s->never, &v), leat_case_get(s->c[0], &v),
                          leat_case_get(s->c[1], &v), leat_case_get(s->never, NULL)};
        leat_case out[] = {leat_case_put(s->out[0], &way[0]), leat_case_get(s->never, NULL),
                           leat_case_put(s->out[1], &way[1])};
        int r = leat_select(in, 4, LEAT_FOREVER);

        if (!kit_ok(&s->mistakes, r < 0 ? r : 0))
            return;
        if (r != v + 1)
            atomic_fetch_add(&s->mistakes, 1);
        out[v == 0 ? 2 : 0] = leat_case_none();
        r = leat_select(out, 3, LEAT_FOREVER);
        if (!kit_ok(&s->mistakes, r < 0 ? r : 0))
            return;
        if (r != 2 * v)
            atomic_fetch_add(&s->mistakes, 1);
    }
}

/* Within 10 sigma of one half. */
static bool is_fair(int64_t n, int64_t of)
{
    int64_t off = 2 * n - of;

    return off * off <= 100 * of;
}

static int fair_main(void *arg)
{
    struct fair *s = arg;
    int64_t n[2] = {0, 0};
    int r = 0;

    for (int k = 0; k < 2; k++) {
        s->c[k] = kit_chan(KIT_LESS(TRIALS) + 1); /* so much that neither runs dry */
        s->out[k] = kit_chan(0);
    }
    s->never = kit_chan(0);
    for (int k = 0; k < 2; k++) /* there from the beginning, whoever runs first */
        for (int i = 0; i <= KIT_LESS(TRIALS); i++)
            if (leat_chan_put_try(s->c[k], k) != 0)
                return 1;
    leat_group_open(&s->group, 0);
    if (leat_group_go(&s->group, always, s, 0) != 0 ||
        leat_group_go(&s->group, always, s, 1) != 0 || leat_group_go(&s->group, choose, s) != 0)
        return 2;
    for (int i = 0; r == 0 && i < KIT_LESS(TRIALS); i++) {
        int v;
        leat_case c[] = {leat_case_get(s->out[0], &v), leat_case_get(s->out[1], &v)};

        if (leat_select(c, 2, EACH_LONG) < 0)
            r = 3;
        else
            n[v]++;
    }
    leat_group_cancel(&s->group);
    if (leat_group_close(&s->group) != 0)
        r = 4;
    for (int k = 0; k < 2; k++) {
        leat_chan_unref(s->c[k].chan);
        leat_chan_unref(s->out[k].chan);
    }
    leat_chan_unref(s->never.chan);
    return r != 0 ? r : is_fair(n[0], n[0] + n[1]) ? 0 : 5;
}

Test(select, is_fair, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        static struct fair s;

        s = (struct fair){.mistakes = 0};
        cr_assert(eq(int, each_run(procs, fair_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}

/* --- stress: 10 coroutines at four channels --- */

#define ROUNDS 100000

struct stress {
    int_chan c[CHANS];
    leat_waitgroup wg;
    atomic_int mistakes, sum;
    int n;
};

static void send_plainly(struct stress *s, int k)
{
    for (int i = 0; i < s->n; i++) {
        leat_yield();
        if (leat_chan_put(s->c[k], 1, EACH_LONG) != 0)
            atomic_fetch_add(&s->mistakes, 1);
    }
    leat_wg_done(&s->wg);
}

static void receive_plainly(struct stress *s, int k)
{
    for (int i = 0; i < s->n; i++) {
        int v = 0;

        leat_yield();
        if (leat_chan_get(s->c[k], &v, EACH_LONG) != 0)
            atomic_fetch_add(&s->mistakes, 1);
        atomic_fetch_add(&s->sum, v);
    }
    leat_wg_done(&s->wg);
}

/* As many at each channel as the plain one; a channel that has had its share is left out. */
static void by_select(struct stress *s, bool sends)
{
    int left[CHANS], one = 1, v = 0;
    leat_case c[CHANS];

    for (int k = 0; k < CHANS; k++) {
        left[k] = s->n;
        c[k] = sends ? leat_case_put(s->c[k], &one) : leat_case_get(s->c[k], &v);
    }
    for (int i = 0; i < CHANS * s->n; i++) {
        int r = leat_select(c, CHANS, EACH_LONG);

        if (r < 0 || c[r].result != 0) {
            atomic_fetch_add(&s->mistakes, 1);
            break;
        }
        if (--left[r] == 0)
            c[r] = leat_case_none();
        atomic_fetch_add(&s->sum, v);
    }
    leat_wg_done(&s->wg);
}

static int stress_main(void *arg)
{
    struct stress *s = arg;

    for (int k = 0; k < CHANS; k++)
        s->c[k] = kit_chan(0);
    leat_wg_add(&s->wg, 2 * CHANS + 2);
    for (int k = 0; k < CHANS; k++)
        if (go(send_plainly, s, k) != 0 || go(receive_plainly, s, k) != 0)
            return 1;
    if (go(by_select, s, true) != 0 || go(by_select, s, false) != 0)
        return 2;
    if (leat_wg_wait(&s->wg, leat_after((EACH_VALGRIND ? 150 : 80) * LEAT_SEC)) != 0)
        return 3;
    for (int k = 0; k < CHANS; k++)
        leat_chan_unref(s->c[k].chan);
    return s->sum == 2 * CHANS * s->n ? 0 : 4;
}

Test(select, stress, .timeout = 100)
{
    for (EACH_PROCS(procs)) {
        static struct stress s;

        memset(&s, 0, sizeof(s));
        s.n = KIT_LESS(ROUNDS);
        cr_assert(eq(int, each_run(procs, stress_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}
