/*
 * Scenarios: channels, by plain threads alone and under the whole scheduler. The oracle is a queue:
 * what was sent and what was received must be what one would have done, with nothing lost, doubled
 * or out of order.
 */
#include "kit.h"

#include "all.h"
#include "chan/chan.h"

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

#define PARTIES 6
#define VALUES 4

LEAT_CHAN_TYPE(number_chan, uint64_t);

static struct {
    number_chan c;
    unsigned senders, receivers, rounds, ended, cancelled, closed;
    unsigned sent[PARTIES][VALUES], got[PARTIES][VALUES]; /* by who sent it */
    unsigned nr_sent, nr_got;
    uint64_t data[PARTIES][VALUES]; /* written before the send, read after the receive; watched */
    uint64_t (*watched)[VALUES];
    int64_t patience_ns;
    leat_handle *handle[PARTIES];
} s;

static void reset(size_t cap)
{
    memset(&s, 0, sizeof(s));
    s.watched = sim_arena_alloc(sizeof(s.data), 64);
    s.rounds = 1 + sim_shape(VALUES - 1);
    s.patience_ns = (int64_t)(1 + sim_shape(30)) * 2000;
    sim_check(leat_chan_new(&s.c, cap) == 0, "no channel");
}

static uint64_t value_of(unsigned who, unsigned i)
{
    return (uint64_t)who << 8 | i;
}

static void check_failure(int r, bool may_pipe)
{
    sim_check(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED || (r == -EPIPE && may_pipe),
              "an attempt gave %d", r);
}

/* how 0: whatever it takes; 1: tries; 2: until a deadline. */
static int send_once(unsigned who, unsigned i, unsigned how)
{
    int r;

    sim_touch(&s.watched[who][i], 8, true, HERE);
    if (how == 1)
        r = leat_chan_put_try(s.c, value_of(who, i));
    else
        r = leat_chan_put(s.c, value_of(who, i), how ? leat_after(s.patience_ns) : LEAT_FOREVER);
    if (r == 0) {
        s.sent[who][i]++;
        s.nr_sent++;
    } else {
        check_failure(r, s.closed);
    }
    return r;
}

/* @last: of each sender, the youngest value that this receiver has had. */
static int receive_once(int *last, unsigned how)
{
    uint64_t v = UINT64_MAX;
    int r;

    if (how == 1)
        r = leat_chan_get_try(s.c, &v);
    else
        r = leat_chan_get(s.c, &v, how ? leat_after(s.patience_ns) : LEAT_FOREVER);
    if (r == 0) {
        unsigned who = (unsigned)(v >> 8), i = (unsigned)(v & 255);

        sim_check(who < PARTIES && i < VALUES, "a value that nobody has sent: %#llx",
                  (unsigned long long)v);
        sim_touch(&s.watched[who][i], 8, false, HERE);
        sim_check(s.got[who][i]++ == 0, "value %u of %u came twice", i, who);
        sim_check(last[who] < (int)i, "value %u of %u came after value %d", i, who, last[who]);
        last[who] = (int)i;
        s.nr_got++;
    } else {
        sim_check(v == UINT64_MAX, "a failure has written a value");
        check_failure(r, s.closed);
    }
    return r;
}

static void send_all(unsigned who, unsigned how)
{
    for (unsigned i = 0; i < s.rounds; i++)
        (void)send_once(who, i, how);
    s.ended++;
}

static void receive_some(unsigned how)
{
    int last[PARTIES] = {-1, -1, -1, -1, -1, -1};

    while (receive_once(last, how) == 0)
        ;
    s.ended++;
}

/* What is still there, and then the sums. Nobody else is left. */
static void check_end(void)
{
    int last[PARTIES] = {-1, -1, -1, -1, -1, -1};

    kit_settle();
    sim_check(!s.c.chan->senders.first && !s.c.chan->receivers.first,
              "somebody is still in a list at the end");
    sim_check(leat_chan_len(s.c.chan) == s.nr_sent - s.nr_got, "%u sent, %u received, %zu left",
              s.nr_sent, s.nr_got, leat_chan_len(s.c.chan));
    while (receive_once(last, 1) == 0)
        ;
    for (unsigned who = 0; who < PARTIES; who++)
        for (unsigned i = 0; i < VALUES; i++)
            sim_check(s.sent[who][i] == s.got[who][i],
                      "value %u of %u: sent %u times, received %u times", i, who, s.sent[who][i],
                      s.got[who][i]);
    leat_chan_unref(s.c.chan);
}

static void *send_thread(void *arg)
{
    send_all((unsigned)(uintptr_t)arg & 255, (unsigned)(uintptr_t)arg >> 8);
    return NULL;
}

static void *receive_thread(void *arg)
{
    receive_some((unsigned)(uintptr_t)arg);
    return NULL;
}

static void close_it(void)
{
    s.closed = 1;
    sim_check(leat_chan_close(s.c.chan) == 0, "closing failed");
}

void scenario_chan_threads(void)
{
    struct sim_thread *t[4];
    unsigned senders = 1 + sim_shape(2), how = sim_shape(3);

    reset(sim_shape(3));
    for (unsigned i = 0; i < senders; i++)
        t[i] = kit_thread(send_thread, (void *)(uintptr_t)(i | (i ? how : 0) << 8));
    t[senders] = kit_thread(receive_thread, (void *)(uintptr_t)(sim_shape(2) * 2));
    if (sim_shape(2))
        kit_burn((int64_t)sim_shape(50) * 1000);
    close_it();
    for (unsigned i = 0; i <= senders; i++)
        kit_join(t[i]);
    check_end();
}

/* --- under the scheduler --- */

static int chan_main(void *arg)
{
    unsigned senders = 1 + sim_shape(3), receivers = 1 + sim_shape(3), threads = sim_shape(3),
             n = 0, cancel = sim_shape(4);
    struct sim_thread *t[2];

    (void)arg;
    for (unsigned i = 0; i < senders; i++)
        sim_check(leat_go_join(&s.handle[n++], send_all, i, sim_shape(4) ? 0u : 1 + sim_shape(2)) ==
                      0,
                  "no coroutine");
    for (unsigned i = 0; i < receivers; i++)
        sim_check(leat_go_join(&s.handle[n++], receive_some, sim_shape(4) ? 0u : 2u) == 0,
                  "no coroutine");
    for (unsigned i = 0; i < threads; i++)
        t[i] = i ? kit_thread(receive_thread, NULL)
                 : kit_thread(send_thread, (void *)(uintptr_t)(PARTIES - 1));
    if (cancel)
        leat_cancel(s.handle[cancel % n]);
    (void)leat_sleep((int64_t)sim_shape(20) * 5000);
    close_it();
    kit_await(&s.ended, n + threads, "those who send and receive");
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    for (unsigned i = 0; i < threads; i++)
        kit_join(t[i]);
    check_end();
    return 0;
}

void scenario_chan(void)
{
    reset(sim_shape(3));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, chan_main, NULL);
}

/* --- the receiver of the last value frees the channel --- */

static void send_last(number_chan c)
{
    sim_check(leat_chan_put(c, 7, LEAT_FOREVER) == 0, "sending failed");
}

static void *send_last_thread(void *arg)
{
    send_last((number_chan){arg});
    return NULL;
}

static int chan_free_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        struct sim_thread *t = NULL;
        leat_handle *h = NULL;
        number_chan c;
        uint64_t v = 0;

        sim_check(leat_chan_new(&c, sim_shape(2)) == 0, "no channel");
        if (sim_shape(2))
            t = kit_thread(send_last_thread, c.chan);
        else
            sim_check(leat_go_join(&h, send_last, c) == 0, "no coroutine");
        sim_check(leat_chan_get(c, &v, LEAT_FOREVER) == 0 && v == 7, "receiving failed");
        leat_chan_unref(c.chan);
        if (t)
            kit_join(t);
        else
            sim_check(leat_join(h, NULL, LEAT_FOREVER) == 0, "a join failed");
    }
    return 0;
}

void scenario_chan_free(void)
{
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, chan_free_main, NULL);
}

/* --- a try, beside a value that is taken after the close --- */

static void *try_surely(void *arg)
{
    number_chan c = {arg};
    uint64_t v;

    sim_check(leat_chan_get_try(c, &v) != -EAGAIN,
              "a try failed on a channel that was never open and empty");
    return NULL;
}

void scenario_chan_try(void)
{
    struct sim_thread *t;
    number_chan c;
    uint64_t v;

    sim_check(leat_chan_new(&c, 1) == 0 && leat_chan_put_try(c, 1) == 0, "no channel");
    t = kit_thread(try_surely, c.chan);
    sim_check(leat_chan_close(c.chan) == 0, "closing failed");
    (void)leat_chan_get_try(c, &v);
    kit_join(t);
    leat_chan_unref(c.chan);
}

/* --- a thread is on its way into a channel as a run begins --- */

/* Sends and receives at random, with some patience: one value is like another. */
static void meet(void)
{
    for (unsigned i = 0; i < s.rounds; i++) {
        leat_deadline until = leat_after(s.patience_ns);
        uint64_t v = 0;
        int r = sim_shape(2) ? leat_chan_put(s.c, 7, until) : leat_chan_get(s.c, &v, until);

        if (r)
            check_failure(r, false);
        else if (v)
            s.nr_got++;
        else
            s.nr_sent++;
    }
    s.ended++;
}

static void *meet_thread(void *arg)
{
    meet();
    return arg;
}

static int begin_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < s.senders; i++)
        sim_check(go(meet) == 0, "go failed");
    kit_await(&s.ended, s.ended + s.senders, "those who meet");
    return 0;
}

void scenario_chan_begin(void)
{
    struct sim_thread *t;

    reset(sim_shape(2));
    s.senders = 1 + sim_shape(2);
    t = kit_thread(meet_thread, NULL);
    for (unsigned i = 1 + sim_shape(2); i > 0; i--)
        kit_run(1 + sim_shape(2), 0, begin_main, NULL);
    kit_join(t);
    kit_settle();
    sim_check(leat_chan_len(s.c.chan) == s.nr_sent - s.nr_got, "%u sent, %u received", s.nr_sent,
              s.nr_got);
    leat_chan_unref(s.c.chan);
}
