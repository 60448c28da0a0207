/*
 * Solo sections: when a run has them, what ends them, and that nothing which coroutines do among
 * themselves does.
 */
#include "support/test.h"

#include "sched/kit.h"

#include "base/os.h"
#include "sched/sched.h"
#include "sched/solo.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLERS 4
#define ROUNDS 200

struct world {
    leat_mutex mutex;
    leat_waitgroup wg;
    leat_chan *chan;
    uint64_t sections;
    bool at_first, at_last;
    int failed; /* the line of what went wrong; 0 nothing */
    int (*between)(struct world *w);
};

#define MUST(w, cond) ((cond) ? (void)0 : (void)((w)->failed = __LINE__))

static bool possible(void)
{
    return lea_os_membarrier_register() == 0 && lea_os_membarrier() == 0;
}

static void calls(struct world *w)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t v = 1;

        leat_mutex_lock(&w->mutex);
        w->sections++;
        if (i % 50 == 0)
            leat_yield(); /* and others wait for it */
        leat_mutex_unlock(&w->mutex);
        MUST(w, leat_chan_send(w->chan, &v, LEAT_FOREVER) == 0);
        MUST(w, leat_chan_recv(w->chan, &v, leat_after(KIT_LONG)) == 0 && v == 1);
        if (leat_mutex_try(&w->mutex) == 0)
            leat_mutex_unlock(&w->mutex);
    }
    leat_wg_done(&w->wg);
}

static int solo_main(void *arg)
{
    struct world *w = arg;

    w->at_first = lea_solo_may();
    MUST(w, leat_chan_make(&w->chan, sizeof(uint64_t), CALLERS / 2) == 0);
    leat_wg_add(&w->wg, CALLERS);
    for (int i = 0; i < CALLERS; i++)
        MUST(w, go(calls, w) == 0);
    if (w->between)
        MUST(w, w->between(w) == 0);
    MUST(w, leat_wg_wait(&w->wg, LEAT_FOREVER) == 0);
    leat_chan_unref(w->chan);
    w->at_last = lea_solo_may();
    return 0;
}

static void check(const struct world *w)
{
    cr_expect(eq(int, w->failed, 0), "line %d", w->failed);
    cr_expect(w->sections >= (uint64_t)CALLERS * ROUNDS);
}

/* --- what does not end them --- */

static leat_result waits_for_ever(leat_chan *c)
{
    uint64_t v;

    return leat_chan_recv(c, &v, LEAT_FOREVER);
}

static void cancels(leat_scope *scope)
{
    leat_scope_cancel(scope, -ECANCELED);
}

static leat_result blocks(void *arg)
{
    (void)arg;
    usleep(1000);
    return 5;
}

/* Cancels whoever waits in a channel, in every way. */
static int ends_waits(struct world *w)
{
    leat_handle *handle;
    leat_group group;
    leat_scope scope;
    leat_chan *c;
    leat_result r = 0;
    uint64_t v;

    MUST(w, leat_chan_make(&c, sizeof(uint64_t), 0) == 0);
    MUST(w, leat_go_join(&handle, waits_for_ever, c) == 0);
    leat_yield();
    leat_cancel(handle);
    MUST(w, leat_join(handle, &r, LEAT_FOREVER) == 0 && r == -ECANCELED);
    MUST(w, leat_go_join(&handle, waits_for_ever, c) == 0);
    leat_yield();
    v = 1;
    MUST(w, leat_chan_send(c, &v, LEAT_FOREVER) == 0);
    MUST(w, leat_join(handle, &r, LEAT_FOREVER) == 0 && r == 0);
    leat_group_open(&group, 0);
    MUST(w, leat_group_go(&group, waits_for_ever, c) == 0);
    leat_yield();
    leat_group_cancel(&group);
    MUST(w, leat_group_wait(&group, LEAT_FOREVER) == 0);
    (void)leat_group_close(&group);
    /* no deadline: the monitor ends that where a turn goes on, and ends solo sections for it */
    MUST(w, leat_scope_open(&scope, LEAT_FOREVER) == 0);
    MUST(w, go(cancels, &scope) == 0);
    MUST(w, leat_chan_recv(c, &v, LEAT_FOREVER) == -ECANCELED);
    (void)leat_scope_close(&scope);
    MUST(w, leat_chan_recv(c, &v, leat_after(LEAT_MSEC)) == -ETIMEDOUT);
    MUST(w, leat_blocking(blocks, NULL, &r, LEAT_FOREVER) == 0 && r == 5);
    leat_chan_unref(c);
    return 0;
}

/*
 * Goal: a run with one processor has them; nothing ends them that coroutines do among themselves,
 * waits, timers, cancellation and jobs of the pool included.
 */
Test(solo, stays_among_coroutines, .timeout = 120)
{
    struct world w = {.between = ends_waits};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no solo sections");
    cr_assert(eq(int, kit_run_alone(solo_main, &w), 0));
    check(&w);
    cr_expect(w.at_first);
    cr_expect(w.at_last);
}

/* In a bracket, as a constructor of C++ is that go() calls, or an allocator of the program's. */
static int calls_inside(struct world *w)
{
    struct lea_worker *m = lea_enter();
    leat_mutex mutex = {0};
    leat_waitgroup wg = {0};

    leat_mutex_lock(&mutex);
    MUST(w, leat_mutex_try(&mutex) == -EAGAIN);
    leat_mutex_unlock(&mutex);
    MUST(w, leat_mutex_try(&mutex) == 0);
    leat_mutex_unlock(&mutex);
    leat_wg_add(&wg, 2);
    leat_wg_done(&wg);
    leat_wg_done(&wg);
    leat_block_enter();
    MUST(w, m->proc != NULL);
    leat_block_leave();
    MUST(w, lea_u32_load_rlx(&m->tick) & 1); /* relaxed: our own */
    lea_leave(m);
    return 0;
}

/* Goal: calls out of user code that the runtime has called leave its bracket as it is. */
Test(solo, nests_in_no_bracket, .timeout = 120)
{
    struct world w = {.between = calls_inside};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no solo sections");
    cr_assert(eq(int, kit_run_alone(solo_main, &w), 0));
    check(&w);
    cr_expect(w.at_first);
    cr_expect(w.at_last);
}

/* --- what does --- */

static void *locks(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        leat_mutex_lock(&w->mutex);
        w->sections++;
        leat_mutex_unlock(&w->mutex);
    }
    return NULL;
}

static void *adds(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        leat_wg_add(&w->wg, 1);
        leat_wg_done(&w->wg);
    }
    return NULL;
}

static void *sends(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t v = 1;

        MUST(w, leat_chan_send(w->chan, &v, LEAT_FOREVER) == 0);
        MUST(w, leat_chan_recv(w->chan, &v, LEAT_FOREVER) == 0 && v == 1);
    }
    return NULL;
}

static void *tries(void *arg)
{
    struct world *w = arg;

    while (leat_mutex_try(&w->mutex) != 0)
        usleep(10);
    w->sections++;
    leat_mutex_unlock(&w->mutex);
    return NULL;
}

static void *(*body)(void *arg);

static int beside_a_thread(struct world *w)
{
    pthread_t t;

    MUST(w, pthread_create(&t, NULL, body, w) == 0);
    (void)leat_sleep(LEAT_MSEC);
    MUST(w, leat_wg_wait(&w->wg, LEAT_FOREVER) == 0);
    return pthread_join(t, NULL);
}

/*
 * Goal: a plain thread at a mutex, a waitgroup or a channel of the run ends them, and nothing is
 * lost at that.
 */
Test(solo, ends_by_a_thread, .timeout = 120)
{
    static void *(*const bodies[])(void *) = {locks, adds, sends, tries};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no solo sections");
    for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct world w = {.between = beside_a_thread};
        bool only = lea_os_nr_threads() == 1;

        body = bodies[i];
        cr_assert(eq(int, kit_run_alone(solo_main, &w), 0));
        check(&w);
        cr_expect(w.at_first || (i > 0 && !only), "body %u", i); /* each run begins anew */
        cr_expect(not(w.at_last), "body %u", i);
    }
}

/* --- beginnings and ends --- */

static int nothing_main(void *arg)
{
    *(bool *)arg = lea_solo_may();
    return 0;
}

static void *waits_for_the_end(void *arg)
{
    leat_mutex_lock(arg);
    leat_mutex_unlock(arg);
    return NULL;
}

/*
 * Goal: a mutex that was used before the run, by its only thread, does not keep it from solo
 * sections; one that another thread may be in the middle of does, and so do two processors.
 */
Test(solo, begins_alone, .timeout = 120)
{
    static leat_mutex before;
    bool on = false, only;
    pthread_t t;

    if (!possible())
        cr_skip("there is no membarrier here, and so are no solo sections");
    leat_mutex_lock(&before);
    only = lea_os_nr_threads() == 1;
    cr_assert(eq(int, kit_run_alone(nothing_main, &on), 0));
    cr_expect(on == only); /* a sanitizer has threads of its own */
    cr_assert(eq(int, kit_run(2, nothing_main, &on), 0));
    cr_expect(not(on));
    cr_assert(eq(int, pthread_create(&t, NULL, waits_for_the_end, &before), 0));
    cr_assert(eq(int, kit_run_alone(nothing_main, &on), 0));
    cr_expect(not(on));
    leat_mutex_unlock(&before);
    cr_assert(eq(int, pthread_join(t, NULL), 0));
}

/* A child has a thread, and no run. */
static int forks(struct world *w)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        leat_mutex own = {0};
        leat_waitgroup wg = {0};

        leat_mutex_lock(&own);
        leat_mutex_unlock(&own);
        leat_wg_add(&wg, 1);
        leat_wg_done(&wg);
        _exit(lea_solo_may() ? 1 : 0);
    }
    MUST(w, pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}

/* Goal: a child that was forked in the middle of such a run has no solo sections; its parent has. */
Test(solo, not_in_a_child, .timeout = 120)
{
    struct world w = {.between = forks};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no solo sections");
    cr_assert(eq(int, kit_run_alone(solo_main, &w), 0));
    check(&w);
    cr_expect(w.at_first);
    cr_expect(w.at_last);
}
