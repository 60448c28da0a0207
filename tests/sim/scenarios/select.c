/*
 * Scenarios: select, by plain threads alone and under the whole scheduler, beside plain sends and
 * receives, deadlines, cancellation and closes. The oracle is a queue for each channel: what was
 * sent to it is received once, of one sender in order, or still there; only the chosen case has
 * taken or given a value.
 */
#include "kit.h"

#include "all.h"
#include "chan/chan.h"

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

#define CHANS 2
#define PARTIES 6
#define VALUES 3
#define CASES 4

LEAT_CHAN_TYPE(number_chan, uint64_t);

static struct {
    number_chan c[CHANS];
    unsigned rounds, ended, closed[CHANS];
    unsigned sent[PARTIES][VALUES], got[PARTIES][VALUES]; /* by who sent it */
    unsigned nr_sent[CHANS], nr_got[CHANS];
    uint64_t data[PARTIES][VALUES]; /* written before the send, read after the receive; watched */
    uint64_t (*watched)[VALUES];
    int64_t patience_ns;
    leat_handle *handle[PARTIES];
} s;

/* What one party has been through. */
struct party {
    unsigned who, next; /* its next value */
    int last[CHANS][PARTIES];
    leat_case c[CASES]; /* between two selects nobody writes to them */
    unsigned nr_cases;
};

/* A select is over: what it has left in the rooms of its cases is not to change. */
static void rooms_are_left(struct party *p, unsigned n)
{
    p->nr_cases = n;
    for (unsigned i = 0; i < n; i++)
        memset(p->c[i].room_, 0x5a, sizeof(p->c[i].room_));
}

static void check_rooms(const struct party *p)
{
    for (unsigned i = 0; i < p->nr_cases; i++)
        for (size_t k = 0; k < sizeof(p->c[i].room_); k++)
            sim_check(((const volatile unsigned char *)p->c[i].room_)[k] == 0x5a,
                      "a case was written to after its select");
}

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.watched = sim_arena_alloc(sizeof(s.data), 64);
    s.rounds = 1 + sim_shape(VALUES - 1);
    s.patience_ns = (int64_t)(1 + sim_shape(30)) * 2000;
    for (unsigned k = 0; k < CHANS; k++)
        sim_check(leat_chan_new(&s.c[k], sim_shape(3) / 2) == 0, "no channel");
}

static struct party party_of(unsigned who)
{
    struct party p = {.who = who};

    memset(p.last, -1, sizeof(p.last));
    return p;
}

static void note_sent(struct party *p, unsigned k)
{
    s.sent[p->who][p->next]++;
    s.nr_sent[k]++;
    p->next++;
}

static void note_got(struct party *p, unsigned k, uint64_t v)
{
    unsigned who = (unsigned)(v >> 8), i = (unsigned)(v & 255);

    sim_check(who < PARTIES && i < VALUES, "a value that nobody has sent: %#llx",
              (unsigned long long)v);
    sim_touch(&s.watched[who][i], 8, false, HERE);
    sim_check(s.got[who][i]++ == 0, "value %u of %u came twice", i, who);
    sim_check(p->last[k][who] < (int)i, "value %u of %u came after value %d", i, who,
              p->last[k][who]);
    p->last[k][who] = (int)i;
    s.nr_got[k]++;
}

/* how 0: whatever it takes; 1: a try; 2: until a deadline. */
static int run_select(leat_case *c, unsigned n, unsigned how)
{
    bool ordered = sim_shape(2);

    if (how == 1)
        return ordered ? leat_select_ordered_try(c, n) : leat_select_try(c, n);
    if (how == 2)
        return leat_select(c, n, leat_after(s.patience_ns));
    return ordered ? leat_select_ordered(c, n, LEAT_FOREVER) : leat_select(c, n, LEAT_FOREVER);
}

/*
 * Bits of @cases: sends to each channel, then receives from each. Returns what the select has
 * returned, or -EPIPE.
 */
static int select_once(struct party *p, unsigned cases, unsigned how)
{
    uint64_t in[CASES], out = (uint64_t)p->who << 8 | p->next;
    leat_case *c = p->c;
    bool sends[CASES];
    unsigned of[CASES], n = 0;
    int r;

    check_rooms(p);
    if (p->next < VALUES)
        sim_touch(&s.watched[p->who][p->next], 8, true, HERE);
    for (unsigned i = 0; i < 2 * CHANS; i++) {
        if (!(cases & 1u << i) || (i < CHANS && p->next >= s.rounds))
            continue;
        of[n] = i % CHANS;
        sends[n] = i < CHANS;
        in[n] = UINT64_MAX;
        c[n] = sends[n] ? leat_case_put(s.c[of[n]], &out) : leat_case_get(s.c[of[n]], &in[n]);
        n++;
    }
    r = run_select(c, n, how);
    rooms_are_left(p, n);
    for (unsigned i = 0; i < n; i++)
        sim_check((in[i] != UINT64_MAX) == (r == (int)i && !sends[i] && c[i].result == 0),
                  "case %u has a value, and %d was chosen", i, r);
    if (r < 0) {
        sim_check(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED, "a select gave %d", r);
        return r;
    }
    sim_check((unsigned)r < n, "a select gave %d", r);
    if (c[r].result != 0) {
        sim_check(c[r].result == -EPIPE && s.closed[of[r]], "a case gave %d", c[r].result);
        return -EPIPE;
    }
    if (sends[r])
        note_sent(p, of[r]);
    else
        note_got(p, of[r], in[r]);
    return r;
}

/* Sends all of its own, and may take what comes meanwhile. */
static void exchange(unsigned who, unsigned cases, unsigned how)
{
    struct party p = party_of(who);

    for (unsigned i = 0; i < 4 * VALUES && p.next < s.rounds; i++)
        if (select_once(&p, cases, how) < 0)
            break;
    leat_yield();
    check_rooms(&p);
    s.ended++;
}

/* Takes whatever comes, until there is no more to come. */
static void drain(unsigned who, unsigned cases, unsigned how)
{
    struct party p = party_of(who);

    while (select_once(&p, cases, how) >= 0)
        ;
    s.ended++;
}

static void close_both(void)
{
    for (unsigned k = 0; k < CHANS; k++) {
        s.closed[k] = 1;
        sim_check(leat_chan_close(s.c[k].chan) == 0, "closing failed");
    }
}

/* What is still there, and then the sums. Nobody else is left. */
static void check_end(void)
{
    struct party p = party_of(0);

    kit_settle();
    for (unsigned k = 0; k < CHANS; k++) {
        uint64_t v;

        sim_check(!s.c[k].chan->senders.first && !s.c[k].chan->receivers.first,
                  "somebody is still in a list at the end");
        sim_check(leat_chan_len(s.c[k].chan) == s.nr_sent[k] - s.nr_got[k],
                  "%u sent, %u received, %zu left", s.nr_sent[k], s.nr_got[k],
                  leat_chan_len(s.c[k].chan));
        while (leat_chan_get_try(s.c[k], &v) == 0)
            note_got(&p, k, v);
        leat_chan_unref(s.c[k].chan);
    }
    for (unsigned who = 0; who < PARTIES; who++)
        for (unsigned i = 0; i < VALUES; i++)
            sim_check(s.sent[who][i] == s.got[who][i],
                      "value %u of %u: sent %u times, received %u times", i, who, s.sent[who][i],
                      s.got[who][i]);
}

#define SENDS 3u
#define RECEIVES 12u
#define ALL 15u

static void *exchange_thread(void *arg)
{
    exchange((unsigned)(uintptr_t)arg & 15, (unsigned)(uintptr_t)arg >> 4 & 15,
             (unsigned)(uintptr_t)arg >> 8);
    return NULL;
}

static void *drain_thread(void *arg)
{
    drain((unsigned)(uintptr_t)arg & 15, RECEIVES, (unsigned)(uintptr_t)arg >> 8);
    return NULL;
}

static void *as_arg(unsigned who, unsigned cases, unsigned how)
{
    return (void *)(uintptr_t)(who | cases << 4 | how << 8);
}

static unsigned some_cases(void)
{
    return sim_shape(2) ? ALL : 1 + sim_shape(ALL);
}

void scenario_select_threads(void)
{
    struct sim_thread *t[3];
    unsigned n = 2 + sim_shape(2);

    reset();
    for (unsigned i = 0; i + 1 < n; i++)
        t[i] = kit_thread(exchange_thread, as_arg(i, SENDS | some_cases(), i ? sim_shape(3) : 0));
    t[n - 1] = kit_thread(drain_thread, as_arg(n - 1, RECEIVES, sim_shape(2) * 2));
    if (sim_shape(2))
        kit_burn((int64_t)sim_shape(50) * 1000);
    close_both();
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
    check_end();
}

/* --- under the scheduler --- */

/* Plain calls on one of the channels. */
static void plain(unsigned who, unsigned k, bool sends)
{
    struct party p = party_of(who);
    uint64_t v;

    while (!sends && leat_chan_get(s.c[k], &v, LEAT_FOREVER) == 0)
        note_got(&p, k, v);
    while (sends && p.next < s.rounds) {
        sim_touch(&s.watched[who][p.next], 8, true, HERE);
        if (leat_chan_put(s.c[k], (uint64_t)who << 8 | p.next, LEAT_FOREVER) != 0)
            break;
        note_sent(&p, k);
    }
    s.ended++;
}

static int select_main(void *arg)
{
    unsigned n = 0, threads = sim_shape(2), cancel = sim_shape(4), others = sim_shape(3);
    struct sim_thread *t = NULL;

    (void)arg;
    for (unsigned i = 1 + sim_shape(3); i > 0; i--, n++)
        sim_check(leat_go_join(&s.handle[n], exchange, n, some_cases(),
                               sim_shape(4) ? 0u : 1 + sim_shape(2)) == 0,
                  "no coroutine");
    if (others)
        sim_check(leat_go_join(&s.handle[n], plain, n, sim_shape(CHANS), others == 1) == 0 && ++n,
                  "no coroutine");
    sim_check(leat_go_join(&s.handle[n], drain, n, RECEIVES, sim_shape(4) ? 0u : 2u) == 0 && ++n,
              "no coroutine");
    if (threads)
        t = sim_shape(2) ? kit_thread(exchange_thread, as_arg(PARTIES - 1, some_cases(), 0))
                         : kit_thread(drain_thread, as_arg(PARTIES - 1, RECEIVES, 0));
    if (cancel)
        leat_cancel(s.handle[cancel % n]);
    (void)leat_sleep((int64_t)sim_shape(20) * 5000);
    close_both();
    kit_await(&s.ended, n + threads, "those who select");
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    if (t)
        kit_join(t);
    check_end();
    return 0;
}

void scenario_select(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, select_main, NULL);
}

/* --- two and three that could each be either side: they meet, without anybody else --- */

static void meet(unsigned who, unsigned k)
{
    struct party p = party_of(who);
    unsigned cases = k < CHANS ? 1u << k | 1u << (2 * CHANS - 1 - k) : k == CHANS ? 5u : ALL;

    sim_check(select_once(&p, cases, 0) >= 0, "a meeting failed");
    leat_yield();
    check_rooms(&p);
    s.ended++;
}

static void *meet_thread(void *arg)
{
    meet((unsigned)(uintptr_t)arg & 15, (unsigned)(uintptr_t)arg >> 4);
    return NULL;
}

static int select_meet_main(void *arg)
{
    struct sim_thread *t = NULL;
    unsigned k = sim_shape(3), pairs = k && sim_shape(2) ? 2 : 1, n;

    (void)arg;
    n = 2 * pairs;
    for (unsigned i = 0; i < n; i++) {
        unsigned how = k ? CHANS - 1 + k : i % 2; /* crosswise; one channel both ways; all */

        if (i == 0 && sim_shape(3) == 0)
            t = kit_thread(meet_thread, (void *)(uintptr_t)(i | how << 4));
        else
            sim_check(leat_go_join(&s.handle[i], meet, i, how) == 0, "no coroutine");
    }
    kit_await(&s.ended, n, "those who meet");
    for (unsigned i = t ? 1 : 0; i < n; i++)
        sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
    if (t)
        kit_join(t);
    check_end();
    return 0;
}

void scenario_select_meet(void)
{
    reset();
    for (unsigned k = 0; k < CHANS; k++) {
        leat_chan_unref(s.c[k].chan);
        sim_check(leat_chan_new(&s.c[k], 0) == 0, "no channel");
    }
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, select_meet_main, NULL);
}

/* --- a try, beside a value that goes from one channel to the other --- */

static void *try_surely(void *arg)
{
    uint64_t v;
    leat_case c[] = {leat_case_get(s.c[0], &v), leat_case_get(s.c[1], &v)};

    (void)arg;
    sim_check(leat_select_try(c, 2) >= 0, "a try failed, and there was always a value");
    return NULL;
}

void scenario_select_try(void)
{
    struct sim_thread *t;
    uint64_t v;

    memset(&s, 0, sizeof(s));
    sim_check(leat_chan_new(&s.c[0], 2) == 0 && leat_chan_new(&s.c[1], 2) == 0, "no channel");
    sim_check(leat_chan_put_try(s.c[1], 1) == 0, "no room");
    t = kit_thread(try_surely, NULL);
    /* after the other's look at the first, and before that at the second */
    sim_check(leat_chan_put_try(s.c[0], 2) == 0, "no room");
    (void)leat_chan_get_try(s.c[1], &v);
    kit_join(t);
    leat_chan_unref(s.c[0].chan);
    leat_chan_unref(s.c[1].chan);
}
