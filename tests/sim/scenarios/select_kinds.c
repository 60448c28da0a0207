/*
 * Scenarios: select among other things than channels: events, timers, scopes, descriptors, the ends
 * of coroutines. None of what happens is missed, and none is seen twice.
 */
#include "kit.h"

#include "all.h"
#include "chan/chan.h"

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

LEAT_CHAN_TYPE(number_chan, uint64_t);

static struct {
    number_chan c;
    int64_t patience_ns;
} s;

/* --- a channel, an event and a timer --- */

static struct {
    leat_event event;
    leat_timer timer;
    unsigned started, ticks, values, ended;
} k;

/* Takes values and ticks until it has happened. */
static void watch_kinds(void)
{
    leat_case c[3];
    uint64_t v;
    int r;

    do {
        c[0] = leat_case_get(s.c, &v);
        c[1] = leat_case_timer(&k.timer);
        c[2] = leat_case_event(&k.event);
        r = sim_shape(2) ? leat_select(c, 3, LEAT_FOREVER)
                         : leat_select_ordered(c, 3, LEAT_FOREVER);
        sim_check(r >= 0 && c[r].result == 0, "a select gave %d", r);
        k.values += r == 0;
        k.ticks += r == 1;
    } while (r != 2);
    k.ended++;
}

static void *watch_kinds_thread(void *arg)
{
    (void)arg;
    watch_kinds();
    return NULL;
}

static int select_kinds_main(void *arg)
{
    unsigned n = 1 + sim_shape(2), sent = 0;
    bool thread = sim_shape(2);
    struct sim_thread *t = thread ? kit_thread(watch_kinds_thread, NULL) : NULL;

    (void)arg;
    for (unsigned i = thread; i < n; i++)
        sim_check(go(watch_kinds) == 0, "no coroutine");
    for (unsigned i = 1 + sim_shape(3); i > 0; i--) {
        bool taken = true;

        (void)leat_timer_start(&k.timer, leat_after(3600 * LEAT_SEC));
        sent += leat_chan_put(s.c, i, leat_after((int64_t)sim_shape(4) * 10000)) == 0;
        (void)leat_timer_start(&k.timer, leat_after((int64_t)sim_shape(3) * 5000));
        if (sim_shape(2)) {
            k.started++;
            kit_await(&k.ticks, k.started, "ticks"); /* in time: the first start is far away */
        } else {
            taken = !leat_timer_stop(&k.timer);
            k.started += taken;
        }
    }
    leat_event_set(&k.event);
    kit_await(&k.ended, n, "those who watch");
    if (t)
        kit_join(t);
    kit_settle();
    sim_check(k.ticks == k.started && k.values + leat_chan_len(s.c.chan) == sent,
              "%u of %u ticks, %u of %u values", k.ticks, k.started, k.values, sent);
    leat_event_destroy(&k.event);
    return 0;
}

void scenario_select_kinds(void)
{
    memset(&s, 0, sizeof(s));
    memset(&k, 0, sizeof(k));
    sim_check(leat_chan_new(&s.c, sim_shape(2)) == 0, "no channel");
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, select_kinds_main, NULL);
    leat_chan_unref(s.c.chan);
}

/* --- a channel, a pipe and the end of a coroutine --- */

static struct {
    int fd[2];
    unsigned ended;
    bool closes;
} o;

static void write_some(unsigned n)
{
    ssize_t r;

    for (unsigned i = 0; i < n; i++) {
        (void)leat_sleep((int64_t)(i * 3000));
        r = leat_write(o.fd[1], "x", 1, LEAT_FOREVER);
        sim_check(r == 1 || (o.closes && r == -EPIPE), "writing a byte gave %zd", r);
    }
    o.ended++;
}

static leat_result send_some(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sim_check(leat_chan_put(s.c, i, LEAT_FOREVER) == 0, "a value cannot be sent");
    return 40 + (leat_result)n;
}

static void close_reader(void)
{
    sim_check(leat_close(o.fd[0]) == 0, "the pipe cannot be closed");
    o.ended++;
}

/* Until all bytes (or the close), all values and the end have been seen. */
static int select_outside_main(void *arg)
{
    unsigned bytes = sim_shape(4), values = sim_shape(3), got = 0, read = 0;
    bool closes = o.closes = sim_shape(4) == 0, ended = false, closed = false;
    leat_result result = 0;
    leat_handle *h;

    (void)arg;
    sim_check(leat_pipe(o.fd) == 0, "no pipe");
    sim_check(leat_go_join(&h, send_some, values) == 0 && go(write_some, bytes) == 0,
              "no coroutine");
    if (closes)
        sim_check(go(close_reader) == 0, "no coroutine");
    while (!ended || got < values || (closes ? !closed : read < bytes)) {
        uint64_t v;
        char byte;
        leat_case c[] = {closed ? leat_case_none() : leat_case_fd(o.fd[0], LEAT_POLLIN),
                         leat_case_get(s.c, &v),
                         ended ? leat_case_none() : leat_case_join(h, &result)};
        int r = sim_shape(2) ? leat_select(c, 3, LEAT_FOREVER)
                             : leat_select_ordered(c, 3, LEAT_FOREVER);

        sim_check(r >= 0, "a select gave %d", r);
        if (r == 0 && c[0].result == LEAT_POLLIN) {
            ssize_t n = leat_read(o.fd[0], &byte, 1, LEAT_AT_ONCE);

            sim_check(n == 1 || (closes && n == -EBADF), "reading what is there gave %zd", n);
            read += n == 1;
        } else if (r == 0) {
            sim_check(closes && (c[0].result == -ECANCELED || c[0].result == -EBADF),
                      "a descriptor gave %d", c[0].result);
            closed = true;
        } else {
            sim_check(c[r].result == 0, "case %d gave %d", r, c[r].result);
            got += r == 1;
            ended |= r == 2;
        }
    }
    sim_check(result == 40 + (leat_result)values, "the result is %ld", (long)result);
    kit_await(&o.ended, 1u + closes, "those at the pipe");
    sim_check(leat_close(o.fd[1]) == 0 && (closes || leat_close(o.fd[0]) == 0),
              "the pipe cannot be closed");
    return 0;
}

void scenario_select_outside(void)
{
    memset(&s, 0, sizeof(s));
    memset(&o, 0, sizeof(o));
    sim_check(leat_chan_new(&s.c, sim_shape(2)) == 0, "no channel");
    kit_run(kit_procs(3),
            sim_shape(2) ? SLOW_WORLD | SIM_FAULT_LATE_EVENT | SIM_FAULT_DOUBLE_EVENT : 0,
            select_outside_main, NULL);
    leat_chan_unref(s.c.chan);
}

/* --- a channel and the cancellation of another coroutine's scope --- */

static struct {
    leat_scope scope;
    leat_event open, release;
    unsigned values, ended;
} w;

static leat_result hold_scope(int64_t span_ns)
{
    leat_shield shield;

    sim_check(leat_scope_open(&w.scope, span_ns ? leat_after(span_ns) : LEAT_FOREVER) == 0,
              "no scope");
    leat_event_set(&w.open);
    leat_shield_begin(&shield);
    sim_check(leat_event_wait(&w.release, LEAT_FOREVER) == 0, "a shielded wait failed");
    leat_shield_end(&shield);
    return leat_scope_close(&w.scope);
}

static void watch_scope(void)
{
    uint64_t v;
    int r;

    sim_check(leat_event_wait(&w.open, LEAT_FOREVER) == 0, "a wait failed");
    do {
        leat_case c[] = {leat_case_scope(&w.scope), leat_case_get(s.c, &v)};

        r = sim_shape(2) ? leat_select(c, 2, LEAT_FOREVER)
                         : leat_select(c, 2, leat_after(s.patience_ns));
        sim_check(r == -ETIMEDOUT || (r >= 0 && c[r].result == 0), "a select gave %d", r);
        w.values += r == 1;
    } while (r != 0);
    w.ended++;
}

static void *watch_scope_thread(void *arg)
{
    (void)arg;
    watch_scope();
    return NULL;
}

static int select_scope_main(void *arg)
{
    int64_t span_ns = (int64_t)sim_shape(3) * 20000;
    unsigned n = 1 + sim_shape(2), sent = 0;
    bool thread = sim_shape(2);
    struct sim_thread *t = thread ? kit_thread(watch_scope_thread, NULL) : NULL;
    leat_handle *h;
    leat_result cause;

    (void)arg;
    sim_check(leat_go_join(&h, hold_scope, span_ns) == 0, "no coroutine");
    for (unsigned i = thread; i < n; i++)
        sim_check(go(watch_scope) == 0, "no coroutine");
    for (unsigned i = sim_shape(3); i > 0; i--)
        sent += leat_chan_put(s.c, i, leat_after(10000)) == 0;
    if (!span_ns) {
        sim_check(leat_event_wait(&w.open, LEAT_FOREVER) == 0, "a wait failed");
        leat_scope_cancel(&w.scope, -7);
    }
    kit_await(&w.ended, n, "those who watch");
    leat_event_set(&w.release);
    sim_check(leat_join(h, &cause, LEAT_FOREVER) == 0 && cause == (span_ns ? -ETIMEDOUT : -7),
              "the scope was cancelled for %ld", (long)cause);
    if (t)
        kit_join(t);
    kit_settle();
    sim_check(w.values + leat_chan_len(s.c.chan) == sent, "%u of %u values", w.values, sent);
    return 0;
}

void scenario_select_scope(void)
{
    memset(&s, 0, sizeof(s));
    memset(&w, 0, sizeof(w));
    s.patience_ns = (int64_t)(1 + sim_shape(20)) * 2000;
    sim_check(leat_chan_new(&s.c, sim_shape(2)) == 0, "no channel");
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, select_scope_main, NULL);
    leat_chan_unref(s.c.chan);
}
