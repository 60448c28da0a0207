/*
 * Wrong programs: NULL where a group or a handle belongs, groups that are not open, handles that
 * were given back. A call with a result says -EINVAL; else the program stops, and the message names
 * the call and who made it. Method: each in a child whose stderr is read.
 */
#include "support/test.h"
#include "support/waits.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int nothing(void)
{
    return 0;
}

static void ignore(int result)
{
    (void)result;
}

static int wait_for(leat_waitgroup *wg)
{
    return leat_wg_wait(wg, LEAT_FOREVER);
}

/* --- NULL where there is a result --- */

static int null_main(void *arg)
{
    leat_group *no_group = arg;
    leat_handle *no_handle = arg, **no_place = arg;
    leat_attr attr = {0};
    leat_result r = 7;
    int mistakes = 0;

    mistakes += leat_group_go(no_group, nothing) != -EINVAL;
    mistakes += leat_group_go_attr(no_group, &attr, nothing) != -EINVAL;
    mistakes += leat_go_join(no_place, nothing) != -EINVAL;
    mistakes += leat_go_join_attr(no_place, &attr, nothing) != -EINVAL;
    mistakes += leat_group_wait(no_group, LEAT_FOREVER) != -EINVAL;
    mistakes += leat_group_close(no_group) != -EINVAL;
    mistakes += leat_join(no_handle, &r, LEAT_FOREVER) != -EINVAL || r != 7;
    return mistakes;
}

/* Goal: NULL is refused by every call that can say so, on a plain thread too. */
Test(wrong, null_is_refused, .timeout = 20)
{
    cr_assert(eq(int, kit_run(2, null_main, NULL), 0));
    cr_assert(eq(int, null_main(NULL), 0));
}

/* --- what stops the program --- */

struct wrong {
    void (*fn)(void);
    bool by_thread;
    unsigned procs; /* 0: two */
    uint64_t *id;   /* of who was wrong: shared with the test */
};

static void wrong_run(struct wrong *w)
{
    *w->id = leat_self_id();
    if (!w->by_thread)
        (void)waits_await(1); /* the main coroutine's wait is not taken for another's */
    w->fn();
}

static void *wrong_thread(void *arg)
{
    wrong_run(arg);
    return NULL;
}

static int wrong_main(void *arg)
{
    struct wrong *w = arg;
    leat_attr attr = {.name = "clumsy"};
    pthread_t t;

    if (!w->by_thread)
        (void)leat_go_attr(&attr, wrong_run, w);
    else if (pthread_create(&t, NULL, wrong_thread, w))
        return -1;
    (void)leat_sleep(KIT_LONG);
    return 0;
}

static int wrong_body(void *arg)
{
    const struct wrong *w = arg;

    return kit_run(w->procs ? w->procs : 2, wrong_main, arg);
}

static void expect_stopped(struct wrong w, const char *call, const char *what)
{
    char text[KIT_TEXT_BYTES], who[96];
    int status;

    w.id = kit_shared(sizeof(*w.id));
    status = kit_child(wrong_body, &w, 30000, text);
    if (w.by_thread)
        snprintf(who, sizeof(who), "leat: %s, called by a plain thread: ", call);
    else
        snprintf(who, sizeof(who), "leat: %s, called by coroutine %lu \"clumsy\", spawned at ",
                 call, (unsigned long)*w.id);
    cr_expect(ne(int, status, -1), "%s: it went on: %s", call, text);
    cr_expect(eq(int, status & 0x7f, SIGABRT), "%s: status %d", call, status);
    cr_expect(eq(uint, kit_occurs(text, who), 1), "%s in: %s", who, text);
    cr_expect(eq(uint, kit_occurs(text, what), 1), "%s in: %s", what, text);
    if (!w.by_thread)
        cr_expect(eq(uint, kit_occurs(text, "wrong.c:"), 1), "%s", text);
}

static void *volatile null; /* volatile: a compiler that sees NULL has its own opinion */

static void open_null(void)
{
    leat_group_open(null, 0);
}

static void cancel_null_group(void)
{
    leat_group_cancel(null);
}

static void detach_null(void)
{
    leat_detach(null);
}

static void cancel_null(void)
{
    leat_cancel(null);
}

/* Goal: NULL stops the program where there is no result to tell. */
Test(wrong, null_stops_the_program, .timeout = 60)
{
    static const struct {
        void (*fn)(void);
        const char *call, *what;
    } calls[] = {
        {open_null, "leat_group_open", "the group is NULL"},
        {cancel_null_group, "leat_group_cancel", "the group is NULL"},
        {detach_null, "leat_detach", "the handle is NULL"},
        {cancel_null, "leat_cancel", "the handle is NULL"},
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        expect_stopped((struct wrong){.fn = calls[i].fn}, calls[i].call, calls[i].what);
        expect_stopped((struct wrong){.fn = calls[i].fn, .by_thread = true}, calls[i].call,
                       calls[i].what);
    }
}

static leat_group group;

static void go_unopened(void)
{
    (void)leat_group_go(&group, nothing);
}

static void cancel_unopened(void)
{
    leat_group_cancel(&group);
}

static void wait_unopened(void)
{
    ignore(leat_group_wait(&group, LEAT_AT_ONCE));
}

static void close_unopened(void)
{
    (void)leat_group_close(&group);
}

static void go_ended(void)
{
    leat_group_open(&group, 0);
    if (leat_group_wait(&group, LEAT_FOREVER) == 0)
        (void)leat_group_go(&group, nothing);
}

static void wait_ended(void)
{
    leat_group_open(&group, 0);
    if (leat_group_wait(&group, LEAT_FOREVER) == 0)
        ignore(leat_group_wait(&group, LEAT_FOREVER));
}

static void wait_here(void)
{
    ignore(leat_group_wait(&group, LEAT_FOREVER));
}

static void wait_twice(void)
{
    static leat_waitgroup never;
    uint64_t before = waits_begun();

    leat_wg_add(&never, 1);
    leat_group_open(&group, 0);
    (void)leat_group_go(&group, wait_for, &never);
    (void)go(wait_here);
    if (waits_await(before + 2))
        ignore(leat_group_wait(&group, LEAT_FOREVER));
}

/* Goal: a group that is not open, or no longer, or waited for by two, stops the program. */
Test(wrong, groups, .timeout = 60)
{
    kit_no_chaos(); /* which of two waits for one group is the second one is an order */
    expect_stopped((struct wrong){.fn = go_unopened}, "leat_group_go", "is not open");
    expect_stopped((struct wrong){.fn = cancel_unopened}, "leat_group_cancel", "is not open");
    expect_stopped((struct wrong){.fn = wait_unopened}, "leat_group_wait", "is not open");
    expect_stopped((struct wrong){.fn = close_unopened}, "leat_group_close", "is not open");
    expect_stopped((struct wrong){.fn = wait_unopened, .by_thread = true}, "leat_group_wait",
                   "is not open");
    expect_stopped((struct wrong){.fn = go_ended}, "leat_group_go", "has ended already");
    expect_stopped((struct wrong){.fn = wait_ended}, "leat_group_wait", "has ended already");
    expect_stopped((struct wrong){.fn = wait_twice}, "leat_group_wait", "somebody else waits");
}

/*
 * A handle that a join has given back; `others`: as many were made since, so that its memory is
 * somebody else's.
 */
static leat_handle *stale(unsigned others)
{
    static leat_waitgroup never;
    leat_handle *h = NULL, *other;

    leat_wg_add(&never, 1);
    if (leat_go_join(&h, nothing) != 0 || leat_join(h, NULL, LEAT_FOREVER) != 0)
        return NULL;
    for (unsigned i = 0; i < others; i++)
        (void)leat_go_join(&other, wait_for, &never);
    return h;
}

static void join_stale(void)
{
    ignore(leat_join(stale(0), NULL, leat_after(LEAT_SEC)));
}

static void join_stale_reused(void)
{
    ignore(leat_join(stale(1000), NULL, leat_after(LEAT_SEC)));
}

static void detach_stale(void)
{
    leat_detach(stale(0));
}

static void detach_stale_reused(void)
{
    leat_detach(stale(1000));
}

static void cancel_stale_reused(void)
{
    leat_cancel(stale(1000));
}

static void join_detached(void)
{
    leat_handle *h;
    leat_run_stats stats;

    if (leat_go_join(&h, nothing) == 0) {
        leat_detach(h);
        do
            (void)leat_sleep(LEAT_MSEC);
        while (leat_stats_run(&stats) == 0 && stats.sum.ended == 0);
        ignore(leat_join(h, NULL, leat_after(LEAT_SEC)));
    }
}

static leat_handle *shared_handle;

static void join_here(void)
{
    ignore(leat_join(shared_handle, NULL, LEAT_FOREVER));
}

static void join_twice(void)
{
    static leat_waitgroup never;
    uint64_t before = waits_begun();

    leat_wg_add(&never, 1);
    if (leat_go_join(&shared_handle, wait_for, &never) != 0)
        return;
    (void)go(join_here);
    if (waits_await(before + 2))
        ignore(leat_join(shared_handle, NULL, LEAT_FOREVER));
}

/* Goal: a handle that was given back is told from the one that has its memory now. */
Test(wrong, handles, .timeout = 60)
{
    expect_stopped((struct wrong){.fn = join_stale}, "leat_join", "was given back before");
    expect_stopped((struct wrong){.fn = join_stale_reused}, "leat_join", "was given back before");
    expect_stopped((struct wrong){.fn = join_stale_reused, .by_thread = true}, "leat_join",
                   "was given back before");
    expect_stopped((struct wrong){.fn = detach_stale}, "leat_detach", "was given back before");
    expect_stopped((struct wrong){.fn = detach_stale_reused}, "leat_detach",
                   "was given back before");
    expect_stopped((struct wrong){.fn = cancel_stale_reused}, "leat_cancel",
                   "was given back before");
    expect_stopped((struct wrong){.fn = join_detached}, "leat_join", "was given back before");
    expect_stopped((struct wrong){.fn = join_twice}, "leat_join",
                   "joined by somebody else at the same time");
}

static int main_is_wrong(void *arg)
{
    (void)arg;
    wait_unopened();
    return 0;
}

static int main_is_wrong_body(void *arg)
{
    return kit_run(1, main_is_wrong, arg);
}

/* Goal: nobody spawned the main coroutine: it is called by its name. */
Test(wrong, the_main_coroutine, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(main_is_wrong_body, NULL, 30000, text);

    cr_expect(eq(int, status & 0x7f, SIGABRT), "status %d", status);
    cr_expect(
        eq(uint,
           kit_occurs(text, "leat: leat_group_wait, called by the main coroutine (coroutine "), 1),
        "%s", text);
}

/* --- ends that are none --- */

/*
 * Not under ThreadSanitizer: its own pthread_exit() stops a program that calls it on the stack of a
 * fiber.
 */
#if !KIT_TSAN

static void exits_thread(void)
{
    pthread_exit(NULL);
}

static void cancels_thread(void)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

/* Goal: who ends the thread under it is told so, before anything is lost. */
Test(wrong, the_thread_is_ended, .timeout = 60)
{
    expect_stopped((struct wrong){.fn = exits_thread},
                   "pthread_exit, or a cancellation of the thread",
                   "leat_exit_self() ends a coroutine");
    expect_stopped((struct wrong){.fn = cancels_thread},
                   "pthread_exit, or a cancellation of the thread",
                   "leat_exit_self() ends a coroutine");
}

/*
 * --- jumps to another coroutine's stack. Not under ThreadSanitizer either, which looks for the
 * buffer in the fiber that jumps ---
 */

static jmp_buf there;
static bool there_is_set;

static void no_clean_up(void *arg)
{
    (void)arg;
}

static void is_jumped_to(bool returns)
{
    (void)!leat_defer(no_clean_up, NULL);
    if (_setjmp(there) == 0) {
        there_is_set = true;
        (void)leat_sleep(KIT_LONG);
    } else if (!returns) {
        (void)leat_sleep(KIT_LONG);
    }
}

/* On one processor: when it runs again the other one is parked. */
static void jumps(bool returns)
{
    (void)go(is_jumped_to, returns);
    while (!*(volatile bool *)&there_is_set)
        leat_yield();
    _longjmp(there, 1);
}

static void jumps_and_parks(void)
{
    jumps(false);
}

static void jumps_and_returns(void)
{
    jumps(true);
}

/*
 * Goal: a longjmp out of the coroutine is told at the next call that may park, or at the end of
 * that function, and not when all is lost.
 */
Test(wrong, jumps_out_of_the_coroutine, .timeout = 60)
{
    expect_stopped((struct wrong){.fn = jumps_and_parks, .procs = 1}, "a call that may park",
                   "it does not stand on its own stack");
    expect_stopped((struct wrong){.fn = jumps_and_returns, .procs = 1},
                   "return from a coroutine's function", "it stands on the stack of coroutine");
}

#endif

static leat_scope left_open;

static void leaves_scope(void)
{
    (void)!leat_scope_open(&left_open, LEAT_FOREVER);
}

static void exits_in_clean_up(void *arg)
{
    (void)arg;
    leat_exit_self(0);
}

static void exits_twice(void)
{
    (void)!leat_defer(exits_in_clean_up, NULL);
}

static void closes_outer(void)
{
    leat_scope inner;

    (void)!leat_scope_open(&left_open, LEAT_FOREVER);
    (void)!leat_scope_open(&inner, LEAT_FOREVER);
    (void)leat_scope_close(&left_open);
}

static void ends_shields_crosswise(void)
{
    leat_scope scope; /* so that they are counted */
    leat_shield a, b;

    (void)!leat_scope_open(&scope, LEAT_FOREVER);
    leat_shield_begin(&a);
    leat_shield_begin(&b);
    leat_shield_end(&a);
}

/* Goal: scopes and shields end inside out, and before their coroutine does. */
Test(wrong, scopes_and_shields, .timeout = 60)
{
    expect_stopped((struct wrong){.fn = leaves_scope}, "return from a coroutine's function",
                   "is still open");
    expect_stopped((struct wrong){.fn = exits_twice}, "leat_exit_self", "this is its clean-up");
    expect_stopped((struct wrong){.fn = closes_outer}, "leat_scope_close",
                   "is not the innermost one");
    expect_stopped((struct wrong){.fn = ends_shields_crosswise}, "leat_shield_end",
                   "is not the innermost one");
}
