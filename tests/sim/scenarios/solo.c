/*
 * Scenarios: solo sections (sched/solo.h) in a run with one processor, and whoever comes to what it
 * shares without one: plain threads, two at once, and one that cancels. Each against what would
 * come of one call after the other.
 */
#include "kit.h"

#include "all.h"
#include "sched/sched.h"
#include "sched/solo.h"

#define HERE __builtin_return_address(0)

#define COS 2
#define THREADS 2

LEAT_CHAN_TYPE(number_chan, uint64_t);

struct shared {
    leat_mutex mutex;
    leat_waitgroup wg;
    uint64_t value;
};

static struct {
    struct shared *x;
    number_chan c, other;
    leat_handle *handle[COS];
    unsigned rounds, ended, sent, got;
    bool tries;
    int64_t nap_ns;
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    s.rounds = 1 + sim_shape(3);
    s.tries = sim_shape(2);
    s.nap_ns = (int64_t)sim_shape(40) * 50;
}

static void add_one(void)
{
    if (!s.tries || leat_mutex_try(&s.x->mutex) != 0)
        leat_mutex_lock(&s.x->mutex);
    sim_touch(&s.x->value, 8, true, HERE);
    s.x->value++;
    leat_mutex_unlock(&s.x->mutex);
    leat_wg_done(&s.x->wg);
}

static void co_adds(void)
{
    for (unsigned i = 0; i < s.rounds; i++)
        add_one();
    s.ended++;
}

static void *thread_adds(void *arg)
{
    if (s.nap_ns)
        (void)leat_sleep(s.nap_ns);
    for (unsigned i = 0; i < s.rounds; i++)
        add_one();
    s.ended++;
    return arg;
}

static int adds_main(void *arg)
{
    struct sim_thread *t[THREADS];
    uint64_t sum = (uint64_t)(COS + THREADS) * s.rounds;

    sim_check(lea_solo_may() == !lea_rt()->fenced, "solo sections %s",
              lea_rt()->fenced ? "without membarrier" : "are off");
    leat_wg_add(&s.x->wg, (int)sum);
    for (unsigned i = 0; i < THREADS; i++)
        t[i] = kit_thread(thread_adds, NULL);
    for (unsigned i = 0; i < COS; i++)
        sim_check(go(co_adds) == 0, "no coroutine");
    sim_check(leat_wg_wait(&s.x->wg, LEAT_FOREVER) == 0, "the wait failed");
    kit_await(&s.ended, COS + THREADS, "users");
    for (unsigned i = 0; i < THREADS; i++)
        kit_join(t[i]);
    sim_check(!lea_solo_may(), "plain threads were there, and solo sections go on");
    sim_touch(&s.x->value, 8, false, HERE);
    sim_check(s.x->value == sum, "%llu sections of %llu count", (unsigned long long)s.x->value,
              (unsigned long long)sum);
    leat_mutex_destroy(&s.x->mutex);
    leat_wg_destroy(&s.x->wg);
    (void)arg;
    return 0;
}

void scenario_solo(void)
{
    reset();
    kit_run(1, 0, adds_main, NULL);
}

/* --- sections back to back, and one thread that comes --- */

static void section(void)
{
    leat_mutex_lock(&s.x->mutex);
    sim_touch(&s.x->value, 8, true, HERE);
    s.x->value++;
    leat_mutex_unlock(&s.x->mutex);
}

static void *comes_once(void *arg)
{
    section();
    s.ended++;
    return arg;
}

static int lock_main(void *arg)
{
    struct sim_thread *t = kit_thread(comes_once, NULL);
    unsigned n = 0;

    for (; n < 12 || (n < 200 && !*(const volatile unsigned *)&s.ended); n++)
        section();
    kit_await(&s.ended, 1, "threads");
    kit_join(t);
    sim_touch(&s.x->value, 8, false, HERE);
    sim_check(s.x->value == n + 1, "%llu sections of %u count", (unsigned long long)s.x->value,
              n + 1);
    (void)arg;
    return 0;
}

void scenario_solo_lock(void)
{
    reset();
    kit_run(1, 0, lock_main, NULL);
}

/* --- a loop of solo sections --- */

static void adds_until_told(void)
{
    while (!*(const volatile unsigned *)&s.ended) {
        leat_wg_add(&s.x->wg, 1);
        kit_burn(200 * LEAT_USEC);
        leat_wg_done(&s.x->wg);
    }
    s.got++;
}

static int hog_main(void *arg)
{
    (void)arg;
    sim_check(go(adds_until_told) == 0, "no coroutine");
    leat_yield();
    s.ended++; /* here at all */
    kit_await(&s.got, 1, "hogs");
    return 0;
}

void scenario_solo_hog(void)
{
    reset();
    kit_run(1, 0, hog_main, NULL);
}

/* --- a channel --- */

static void send_some(void)
{
    for (unsigned i = 0; i < s.rounds; i++) {
        sim_check(leat_chan_put(s.c, (uint64_t)1, LEAT_FOREVER) == 0, "a send failed");
        s.sent++;
    }
    s.ended++;
}

static void *thread_sends(void *arg)
{
    if (s.nap_ns)
        (void)leat_sleep(s.nap_ns);
    send_some();
    return arg;
}

static void receive_all(unsigned n)
{
    for (uint64_t v = 0; s.got < n; v = 0) {
        int r = leat_chan_get(s.c, &v, s.tries ? leat_after(LEAT_MSEC) : LEAT_FOREVER);

        sim_check(r == 0 || (s.tries && r == -ETIMEDOUT), "a receive gave %d", r);
        sim_check(v == (r == 0), "the value is %llu", (unsigned long long)v);
        s.got += r == 0;
    }
}

static int chan_main(void *arg)
{
    struct sim_thread *t[THREADS];
    unsigned n = (COS + THREADS) * s.rounds;

    (void)arg;
    for (unsigned i = 0; i < THREADS; i++)
        t[i] = kit_thread(thread_sends, NULL);
    for (unsigned i = 0; i < COS; i++)
        sim_check(go(send_some) == 0, "no coroutine");
    receive_all(n);
    kit_await(&s.ended, COS + THREADS, "senders");
    for (unsigned i = 0; i < THREADS; i++)
        kit_join(t[i]);
    kit_settle();
    sim_check(s.sent == n && leat_chan_len(s.c.chan) == 0, "%u sent, %zu left", s.sent,
              leat_chan_len(s.c.chan));
    leat_chan_unref(s.c.chan);
    return 0;
}

void scenario_solo_chan(void)
{
    reset();
    sim_check(leat_chan_new(&s.c, sim_shape(3)) == 0, "no channel");
    kit_run(1, 0, chan_main, NULL);
}

/* --- by selects, among two channels --- */

static int select_one(uint64_t *v, bool sends)
{
    leat_deadline until = s.tries ? leat_after(LEAT_MSEC) : LEAT_FOREVER;

    if (sends) {
        leat_case c[] = {leat_case_put(s.c, v), leat_case_put(s.other, v)};

        return leat_select(c, 2, until);
    }
    leat_case c[] = {leat_case_get(s.c, v), leat_case_get(s.other, v)};

    return leat_select(c, 2, until);
}

static void select_sends(void)
{
    uint64_t v = 1;

    for (unsigned i = 0; i < s.rounds;) {
        int r = select_one(&v, true);

        sim_check(r >= 0 || (s.tries && r == -ETIMEDOUT), "a select gave %d", r);
        i += r >= 0;
        s.sent += r >= 0;
    }
    s.ended++;
}

static void *thread_selects(void *arg)
{
    if (s.nap_ns)
        (void)leat_sleep(s.nap_ns);
    select_sends();
    return arg;
}

static void select_receives(void)
{
    for (uint64_t v = 0; s.got < (COS + 1) * s.rounds; v = 0) {
        int r = select_one(&v, false);

        if (r == -ECANCELED)
            break;
        sim_check(r >= 0 || (s.tries && r == -ETIMEDOUT), "a select gave %d", r);
        sim_check(v == (r >= 0), "the value is %llu", (unsigned long long)v);
        s.got += r >= 0;
    }
}

static int select_main(void *arg)
{
    struct sim_thread *t = kit_thread(thread_selects, NULL);

    (void)arg;
    for (unsigned i = 0; i < COS; i++)
        sim_check(leat_go_join(&s.handle[i], select_receives) == 0, "no coroutine");
    for (unsigned i = 0; i < COS; i++)
        sim_check(go(select_sends) == 0, "no coroutine");
    kit_await(&s.ended, COS + 1, "senders");
    for (unsigned i = 0; i < COS; i++)
        leat_cancel(s.handle[i]);
    for (unsigned i = 0; i < COS; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    kit_join(t);
    kit_settle();
    sim_check(s.sent == s.got + leat_chan_len(s.c.chan) + leat_chan_len(s.other.chan),
              "%u sent, %u received", s.sent, s.got);
    leat_chan_unref(s.c.chan);
    leat_chan_unref(s.other.chan);
    return 0;
}

void scenario_solo_select(void)
{
    reset();
    sim_check(leat_chan_new(&s.c, 0) == 0 && leat_chan_new(&s.other, sim_shape(2)) == 0,
              "no channel");
    kit_run(1, 0, select_main, NULL);
}

/* --- one that is cancelled from outside while others send to it --- */

static void receive_until_cancelled(void)
{
    uint64_t v;
    int r;

    while ((r = leat_chan_get(s.c, &v, LEAT_FOREVER)) == 0)
        s.got++;
    sim_check(r == -ECANCELED, "a receive gave %d", r);
    s.ended++;
}

static void send_while_it_receives(void)
{
    while (!*(const volatile unsigned *)&s.ended)
        if (leat_chan_put_try(s.c, (uint64_t)1) == 0 ||
            leat_chan_put(s.c, (uint64_t)1, leat_after(LEAT_MSEC)) == 0)
            s.sent++;
}

static void *thread_cancels(void *arg)
{
    if (s.nap_ns)
        (void)leat_sleep(s.nap_ns);
    leat_cancel(s.handle[0]);
    return arg;
}

static int cancel_main(void *arg)
{
    struct sim_thread *t;

    (void)arg;
    sim_check(leat_go_join(&s.handle[0], receive_until_cancelled) == 0, "no coroutine");
    sim_check(leat_go_join(&s.handle[1], send_while_it_receives) == 0, "no coroutine");
    t = kit_thread(thread_cancels, NULL);
    kit_await(&s.ended, 1, "receivers");
    for (unsigned i = 0; i < COS; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    kit_join(t);
    kit_settle();
    sim_check(s.sent == s.got + leat_chan_len(s.c.chan), "%u sent, %u received", s.sent, s.got);
    leat_chan_unref(s.c.chan);
    return 0;
}

void scenario_solo_cancel(void)
{
    reset();
    sim_check(leat_chan_new(&s.c, sim_shape(2)) == 0, "no channel");
    kit_run(1, 0, cancel_main, NULL);
}
