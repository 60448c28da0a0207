/*
 * Select among other things than channels: events, timers. What all selects promise: select.c.
 */
#include "support/test.h"

#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* On a plain thread, without a run, and in coroutines. */
static void everywhere(int (*fn)(void *))
{
    cr_assert(eq(int, fn(NULL), 0));
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, fn, NULL), 0));
}

/* --- events --- */

struct happens {
    number_chan c;
    leat_event first, second;
    atomic_int waits, chosen;
};

static void wait_for_event(struct happens *s)
{
    int64_t v;
    leat_case c[] = {leat_case_get(s->c, &v), leat_case_event(NULL), leat_case_event(&s->first),
                     leat_case_event(&s->second), leat_case_event(&s->second)};
    int r;

    atomic_store(&s->waits, 1);
    r = leat_select(c, 5, EACH_LONG);
    atomic_store(&s->chosen, r < 0 || c[r].result != 0 ? -1 : r == 4 ? 3 : r);
}

static void *wait_for_event_thread(void *arg)
{
    wait_for_event(arg);
    return NULL;
}

/*
 * Goal: whichever comes ends the wait, and the others are free of it. The waiter is a coroutine or
 * a thread; it may have got as far as it likes.
 */
static int events_main(void *arg)
{
    unsigned seed = 3;

    (void)arg;
    for (int i = 0; i < 3 * EACH_SLOW(60); i++) {
        struct happens s = {.waits = 0};
        bool thread = leat_self_id() == 0 || i % 10 == 9;
        leat_handle *h = NULL;
        pthread_t t;

        if (leat_chan_new(&s.c, 0) != 0)
            return -1;
        if (thread)
            pthread_create(&t, NULL, wait_for_event_thread, &s);
        else if (leat_go_join(&h, wait_for_event, &s) != 0)
            return -2;
        for (int k = i % 4; k > 0; k--)
            leat_yield();
        each_jitter(&seed);
        if (i % 3 == 0 && leat_chan_put(s.c, 1, EACH_LONG) != 0)
            return -3;
        if (i % 3 == 1)
            leat_event_set(&s.first);
        if (i % 3 == 2)
            leat_event_set(&s.second);
        if (thread)
            pthread_join(t, NULL);
        else if (leat_join(h, NULL, EACH_LONG) != 0)
            return -4;
        if (s.chosen != (i % 3 == 0 ? 0 : i % 3 + 1))
            return 1000 + i;
        leat_event_destroy(&s.first); /* nobody waits for it */
        leat_event_destroy(&s.second);
        leat_chan_unref(s.c.chan);
    }
    return 0;
}

Test(select_kinds, an_event_is_set, .timeout = 60)
{
    everywhere(events_main);
}

static int set_before_main(void *arg)
{
    leat_event e = {0}, never = {0};
    number_chan ch;
    int64_t v;

    (void)arg;
    if (leat_chan_new(&ch, 1) != 0)
        return -1;
    leat_case c[] = {leat_case_event(&never), leat_case_event(&e), leat_case_get(ch, &v)};

    if (leat_select_try(c, 3) != -EAGAIN || leat_select(c, 3, LEAT_AT_ONCE) != -ETIMEDOUT ||
        leat_select(c, 3, leat_after(LEAT_MSEC)) != -ETIMEDOUT)
        return -2;
    leat_event_set(&e);
    if (leat_select_try(c, 3) != 1 || leat_select(c, 3, LEAT_FOREVER) != 1 || c[1].result != 0)
        return -3;
    if (leat_chan_put_try(ch, 4) != 0 || leat_select_ordered(c + 1, 2, LEAT_FOREVER) != 0)
        return -4;
    leat_event_reset(&e);
    if (leat_select(c, 3, LEAT_FOREVER) != 2 || v != 4 || leat_select_try(c, 3) != -EAGAIN)
        return -5;
    leat_chan_unref(ch.chan);
    return 0;
}

Test(select_kinds, an_event_that_is_set_is_ready, .timeout = 30)
{
    everywhere(set_before_main);
}

/* --- timers --- */

/*
 * Goal: the earlier of two timers ends the wait, not before its time; the other one's tick is left
 * for later.
 */
static int timers_main(void *arg)
{
    leat_timer soon = {0}, later = {0}, idle = {0};
    int64_t from = leat_now();
    leat_case c[] = {leat_case_timer(&later), leat_case_timer(&soon), leat_case_timer(&idle),
                     leat_case_none()};

    (void)arg;
    if (leat_select_try(c, 4) != -EAGAIN || leat_select(c, 4, leat_after(LEAT_MSEC)) != -ETIMEDOUT)
        return -1;
    (void)leat_timer_start(&soon, leat_at(from + 4 * LEAT_MSEC));
    (void)leat_timer_start(&later, leat_at(from + 3600 * LEAT_SEC));
    if (leat_select(c, 4, EACH_LONG) != 1 || c[1].result != 0 ||
        leat_now() - from < 4 * LEAT_MSEC || leat_timer_try(&soon) != -EAGAIN)
        return -2;
    (void)leat_timer_start(&later, leat_at(1));
    (void)leat_timer_start(&soon, leat_at(1));
    if (leat_select_ordered(c, 4, EACH_LONG) != 0 || leat_select_ordered(c, 4, EACH_LONG) != 1 ||
        leat_select_try(c, 4) != -EAGAIN)
        return -3;
    (void)leat_timer_start_every(&soon, leat_after(0), LEAT_MSEC);
    for (int i = 0; i < 5; i++)
        if (leat_select(c, 4, EACH_LONG) != 1)
            return -4;
    return leat_timer_stop(&soon) ? 0 : -5;
}

Test(select_kinds, the_first_timer_ticks, .timeout = 30)
{
    everywhere(timers_main);
}

struct started {
    leat_timer t, far;
    leat_event stop;
    atomic_int ticks;
};

static void count_ticks(struct started *s)
{
    leat_case c[] = {leat_case_event(&s->stop), leat_case_timer(&s->t), leat_case_timer(&s->far)};
    int r;

    while ((r = leat_select_ordered(c, 3, EACH_LONG)) == 1)
        atomic_fetch_add(&s->ticks, 1);
    if (r != 0)
        atomic_store(&s->ticks, -1000);
}

static void *count_ticks_thread(void *arg)
{
    count_ticks(arg);
    return NULL;
}

/* Goal: who waits learns of a start, and of an earlier one; a tick that was stopped is not seen. */
static int started_main(void *arg)
{
    struct started s = {.ticks = 0};
    leat_handle *h = NULL;
    pthread_t t;
    int started = 0;

    (void)arg;
    (void)leat_timer_start(&s.far, leat_after(3600 * LEAT_SEC));
    if (leat_self_id() == 0)
        pthread_create(&t, NULL, count_ticks_thread, &s);
    else if (leat_go_join(&h, count_ticks, &s) != 0)
        return -1;
    for (int i = 0; i < 20; i++) {
        bool taken;

        (void)leat_timer_start(&s.t, leat_after(3600 * LEAT_SEC));
        leat_yield();
        (void)leat_timer_start(&s.t, leat_after(i % 3 * 50 * LEAT_USEC));
        if (i % 2) {
            taken = !leat_timer_stop(&s.t);
            started += taken;
        } else {
            kit_until(&s.ticks, ++started);
        }
    }
    leat_event_set(&s.stop);
    if (h ? leat_join(h, NULL, EACH_LONG) != 0 : pthread_join(t, NULL) != 0)
        return -2;
    return s.ticks == started ? 0 : -3;
}

Test(select_kinds, a_timer_is_started_and_stopped, .timeout = 60)
{
    everywhere(started_main);
}

/* --- scopes --- */

struct watched {
    leat_scope scope;
    leat_event open, release;
    number_chan c;
    atomic_int seen, mistakes;
};

static leat_result hold_scope(struct watched *s, leat_deadline until)
{
    leat_shield shield;

    if (leat_scope_open(&s->scope, until) != 0)
        return 1;
    leat_event_set(&s->open);
    leat_shield_begin(&shield);
    kit_count(&s->mistakes, leat_event_wait(&s->release, EACH_LONG) != 0);
    leat_shield_end(&shield);
    return leat_scope_close(&s->scope);
}

static void watch_scope(struct watched *s)
{
    int64_t v;
    leat_case c[] = {leat_case_get(s->c, &v), leat_case_scope(NULL), leat_case_scope(&s->scope)};

    kit_count(&s->mistakes, leat_event_wait(&s->open, EACH_LONG) != 0);
    kit_count(&s->mistakes, leat_select(c, 3, EACH_LONG) != 2 || c[2].result != 0);
    kit_count(&s->mistakes, leat_select_try(c, 3) != 2); /* it stays so */
    atomic_fetch_add(&s->seen, 1);
}

static void *watch_scope_thread(void *arg)
{
    watch_scope(arg);
    return NULL;
}

/*
 * Goal: coroutines and threads learn that another coroutine's scope was cancelled, or that its
 * deadline has passed.
 */
static int scopes_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH_SLOW(40); i++) {
        struct watched s = {.seen = 0};
        bool by_deadline = i % 2;
        int64_t v;
        leat_case c[] = {leat_case_scope(&s.scope), leat_case_get(s.c, &v)};
        leat_handle *h;
        leat_result cause;
        pthread_t thread;

        if (leat_chan_new(&s.c, 0) != 0 || go(watch_scope, &s) != 0 ||
            leat_go_join(&h, hold_scope, &s,
                         by_deadline ? leat_after(LEAT_MSEC / 5) : leat_after(3600 * LEAT_SEC)) !=
                0)
            return 1;
        pthread_create(&thread, NULL, watch_scope_thread, &s);
        if (leat_event_wait(&s.open, EACH_LONG) != 0)
            return 2;
        if (!by_deadline && (leat_select_try(c, 1) != -EAGAIN ||
                             leat_select(c, 1, leat_after(LEAT_USEC * 50)) != -ETIMEDOUT))
            return 3;
        kit_let_run(i % 5);
        if (!by_deadline)
            leat_scope_cancel(&s.scope, 0);
        if (leat_select(c, 1, EACH_LONG) != 0)
            return 4;
        pthread_join(thread, NULL);
        kit_until(&s.seen, 2);
        leat_event_set(&s.release);
        if (leat_join(h, &cause, EACH_LONG) != 0 ||
            cause != (by_deadline ? -ETIMEDOUT : -ECANCELED) || s.mistakes)
            return 5;
        leat_chan_unref(s.c.chan);
    }
    return 0;
}

Test(select_kinds, a_scope_is_cancelled, .timeout = 60)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, scopes_main, NULL), 0));
}
