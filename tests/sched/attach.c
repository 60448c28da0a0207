/*
 * Threads of the program's that are attached to a run: what they may call there, what becomes of
 * them when it ends, and of it when they do.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 60

struct world {
    atomic_ulong wrong, ended, turns, attached, destroyed;
    atomic_bool stop;
    leat_mutex mutex;
    leat_event event;
    unsigned long counter;
    leat_chan *ch;
    unsigned grace_ms;
    int result[4];
    char text[8192];
    size_t used;
    leat_run_stats stats;
};

static long here(void)
{
    return syscall(SYS_gettid);
}

static void count_wrong(struct world *w, bool right)
{
    if (!right)
        atomic_fetch_add(&w->wrong, 1);
}

static pthread_t thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, arg) != 0)
        abort();
    return t;
}

/* A thread's end, waited for by a coroutine. */
static bool ends(pthread_t t)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += KIT_LONG / LEAT_SEC;
    return pthread_timedjoin_np(t, NULL, &at) == 0;
}

static bool is_closed(int fd)
{
    return leat_write(fd, "x", 1, LEAT_FOREVER) == -EPIPE;
}

/* --- what it may call --- */

static leat_result answers(int n)
{
    (void)leat_sleep(20 * LEAT_USEC);
    return n + 1;
}

static void calls_of_a_coroutine(struct world *w, uint64_t *seed)
{
    leat_result result = 0;
    leat_handle *h;
    int fds[2];
    char c;

    switch (kit_random(seed) % 7) {
    case 0:
        leat_yield();
        break;
    case 1:
        count_wrong(w, leat_sleep(50 * LEAT_USEC) == 0);
        break;
    case 2:
        leat_mutex_lock(&w->mutex);
        w->counter++;
        leat_yield();
        leat_mutex_unlock(&w->mutex);
        break;
    case 3:
        count_wrong(w, leat_pipe(fds) == 0);
        count_wrong(w, leat_read(fds[0], &c, 1, leat_after(100 * LEAT_USEC)) == -ETIMEDOUT);
        count_wrong(w, leat_write(fds[1], "x", 1, LEAT_FOREVER) == 1);
        count_wrong(w, leat_read(fds[0], &c, 1, LEAT_FOREVER) == 1);
        leat_close(fds[0]);
        count_wrong(w, is_closed(fds[1]));
        leat_close(fds[1]);
        break;
    case 4:
        count_wrong(w, leat_go_join(&h, answers, 4) == 0);
        {
            leat_case one = leat_case_join(h, &result); /* a plain thread gets -EPERM */

            count_wrong(w, leat_select(&one, 1, LEAT_FOREVER) == 0 && one.result == 0);
        }
        count_wrong(w, result == 5);
        break;
    case 5:
        count_wrong(w, leat_lock_thread() == 0);
        leat_yield();
        leat_unlock_thread();
        break;
    default:
        leat_block_enter();
        leat_block_leave();
        leat_poll();
        break;
    }
}

static void destroy(void *value)
{
    struct world *w = value;

    count_wrong(w, leat_sleep(LEAT_USEC) == 0); /* it is attached still */
    atomic_fetch_add(&w->destroyed, 1);
}

static leat_local world_key = {destroy};

static void *attaches_and_calls(void *arg)
{
    struct world *w = arg;
    uint64_t seed = (uint64_t)here();
    long mine = here();

    for (int round = 0; round < 3; round++) {
        uint64_t id;

        count_wrong(w, leat_self_id() == 0 && leat_join(NULL, NULL, LEAT_AT_ONCE) == -EINVAL);
        count_wrong(w, leat_attach_thread("worker") == 0);
        id = leat_self_id();
        count_wrong(w, id != 0 && strcmp(leat_self_name(), "worker") == 0);
        count_wrong(w, leat_local_get(&world_key) == NULL);
        count_wrong(w, leat_local_set(&world_key, w) == 0);
        for (int n = 0; n < ROUNDS; n++) {
            bool nested = n % 3 == 0;

            count_wrong(w, !nested || leat_attach_thread(NULL) == 0);
            calls_of_a_coroutine(w, &seed);
            count_wrong(w, here() == mine && leat_self_id() == id);
            if (nested)
                leat_detach_thread();
        }
        leat_detach_thread();
        leat_detach_thread(); /* one too many: nothing */
    }
    atomic_fetch_add(&w->ended, 1);
    return NULL;
}

static void beside(struct world *w, int i)
{
    uint64_t seed = (uint64_t)i + 1;

    while (!atomic_load(&w->stop)) {
        count_wrong(w, leat_attach_thread("none") == 0); /* a coroutine: nothing */
        calls_of_a_coroutine(w, &seed);
        leat_detach_thread();
        count_wrong(w, leat_self_id() != 0 && leat_self_name()[0] == '\0');
        (void)leat_sleep(20 * LEAT_USEC);
    }
    atomic_fetch_add(&w->turns, 1);
}

static int calls_main(void *arg)
{
    struct world *w = arg;
    pthread_t t[THREADS];
    bool all;

    for (int i = 0; i < THREADS; i++)
        t[i] = thread(attaches_and_calls, w);
    for (int i = 0; i < THREADS; i++)
        if (go(beside, w, i) < 0)
            return 1;
    all = kit_reach(&w->ended, THREADS, 3 * KIT_LONG);
    atomic_store(&w->stop, true);
    for (int i = 0; i < THREADS; i++)
        all = ends(t[i]) && all;
    if (leat_stats_run(&w->stats) < 0)
        return 2;
    return all && kit_reach(&w->turns, THREADS, KIT_LONG) ? 0 : 3;
}

/* Goal: an attached thread calls whatever a coroutine may, on its own stack, again and again. */
Test(attach, calls_of_coroutines, .timeout = 180)
{
    for (int i = 0; i < KIT_NR_PROCS; i++) {
        struct world w = {.stop = false};

        cr_assert(eq(int, kit_run(kit_procs[i], calls_main, &w), 0), "with %u processors: %lu",
                  kit_procs[i], (unsigned long)atomic_load(&w.ended));
        cr_expect(eq(ulong, atomic_load(&w.wrong), 0), "with %u processors", kit_procs[i]);
        cr_expect(eq(ulong, atomic_load(&w.destroyed), 3 * THREADS));
    }
}

/* --- without a run, and where it may not --- */

static leat_result job(void *arg)
{
    (void)arg;
    return leat_attach_thread("job");
}

static int refused_main(void *arg)
{
    struct world *w = arg;
    leat_result r = 0;

    w->result[0] = leat_blocking(job, NULL, &r, LEAT_FOREVER);
    w->result[1] = (int)r;
    return 0;
}

Test(attach, where_it_may_not, .timeout = 60)
{
    struct world w = {.stop = false};

    cr_expect(eq(int, leat_attach_thread("early"), -ESHUTDOWN));
    leat_detach_thread();
    cr_assert(eq(int, kit_run(2, refused_main, &w), 0));
    cr_expect(eq(int, w.result[0], 0));
    cr_expect(eq(int, w.result[1], -EPERM));
    cr_expect(eq(int, leat_attach_thread("late"), -ESHUTDOWN));
}

/* --- limits --- */

static void *attaches_and_stays(void *arg)
{
    struct world *w = arg;
    int r = leat_attach_thread(NULL);

    if (r == -EAGAIN)
        atomic_fetch_add(&w->ended, 1);
    else if (r == 0)
        atomic_fetch_add(&w->attached, 1);
    else
        atomic_fetch_add(&w->wrong, 1);
    while (!atomic_load(&w->stop))
        usleep(1000);
    leat_detach_thread();
    return NULL;
}

static int limit_main(void *arg)
{
    struct world *w = arg;
    pthread_t t[8];
    bool all = true;

    for (unsigned long i = 0; i < 8; i++) {
        t[i] = thread(attaches_and_stays, w);
        while (atomic_load(&w->ended) + atomic_load(&w->attached) + atomic_load(&w->wrong) <= i)
            (void)leat_sleep(LEAT_MSEC);
    }
    if (leat_stats_run(&w->stats) < 0)
        return 1;
    atomic_store(&w->stop, true);
    for (int i = 0; i < 8; i++)
        all = ends(t[i]) && all;
    atomic_store(&w->stop, false);
    t[0] = thread(attaches_and_stays, w); /* there is room again */
    if (!kit_reach(&w->attached, (unsigned long)w->result[0] + 1, KIT_LONG))
        return 2;
    atomic_store(&w->stop, true);
    return all && ends(t[0]) ? 0 : 3;
}

/* Goal: attached threads count among LEAT_MAX_THREADS, and among the coroutines. */
Test(attach, limits, .timeout = 60)
{
    leat_config few_threads = {
        .procs = 1, .max_threads = 5, .retake_us = -1, .shutdown_grace_ms = 20000};
    leat_config few_coroutines = {.procs = 1, .max_coroutines = 4, .shutdown_grace_ms = 20000};
    struct world w = {.result = {3}};

    cr_assert(eq(int, leat_run_with(&few_threads, limit_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.attached), 3 + 1)); /* a worker, the monitor, three */
    cr_expect(eq(ulong, atomic_load(&w.ended), 5));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
    cr_expect(eq(u64, w.stats.threads, 5));
    w = (struct world){.result = {3}};
    cr_assert(eq(int, leat_run_with(&few_coroutines, limit_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.attached), 3 + 1)); /* the main coroutine, three */
    cr_expect(eq(ulong, atomic_load(&w.ended), 5));
    cr_expect(eq(u64, w.stats.alive, 4));
}

/* --- ends --- */

static void *waits_for_long(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("sleeper") == 0);
    atomic_fetch_add(&w->attached, 1);
    count_wrong(w, leat_sleep(3600 * LEAT_SEC) == -ECANCELED);
    count_wrong(w, leat_cancelled() && go(answers, 1) == -ESHUTDOWN);
    leat_detach_thread();
    count_wrong(w, leat_self_id() == 0);
    atomic_fetch_add(&w->ended, 1);
    return NULL;
}

static pthread_t left[THREADS];

static int cancelled_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < THREADS; i++)
        left[i] = thread(waits_for_long, w);
    return kit_reach(&w->attached, THREADS, KIT_LONG) ? 0 : 1;
}

/* Goal: the end of a run cancels those that are attached, and waits for them. */
Test(attach, the_end_of_a_run, .timeout = 120)
{
    for (int round = 0; round < 5; round++) {
        struct world w = {.stop = false};

        cr_assert(eq(int, kit_run(2, cancelled_main, &w), 0));
        for (int i = 0; i < THREADS; i++)
            cr_assert(ends(left[i]));
        cr_expect(eq(ulong, atomic_load(&w.ended), THREADS));
        cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
    }
}

static void *comes_and_goes(void *arg)
{
    struct world *w = arg;
    uint64_t seed = (uint64_t)here();

    while (!atomic_load(&w->stop)) {
        int r = leat_attach_thread("guest");

        if (r == 0) {
            atomic_fetch_add(&w->turns, 1);
            if (kit_random(&seed) % 4 == 0)
                kit_burn((int64_t)(kit_random(&seed) % 200) * LEAT_USEC);
            leat_detach_thread();
        } else {
            count_wrong(w, r == -ESHUTDOWN);
        }
    }
    return NULL;
}

static int short_main(void *arg)
{
    struct world *w = arg;

    return kit_reach(&w->turns, atomic_load(&w->turns) + 3, KIT_LONG) ? 0 : 1;
}

/* Goal: detachments at every moment of a run's end, whose memory goes away behind them. */
Test(attach, across_the_ends_of_runs, .timeout = 120)
{
    struct world w = {.stop = false};
    pthread_t t[THREADS];

    for (int i = 0; i < THREADS; i++)
        t[i] = thread(comes_and_goes, &w);
    for (int round = 0; round < 60; round++)
        cr_assert(eq(int, kit_run(1 + (unsigned)round % 2, short_main, &w), 0));
    atomic_store(&w.stop, true);
    for (int i = 0; i < THREADS; i++)
        cr_expect(ends(t[i]));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

static void *stays_beyond(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("stayer") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    atomic_fetch_add(&w->attached, 1);
    while (!atomic_load(&w->stop))
        usleep(1000);
    count_wrong(w, leat_attach_thread("nested") == -ESHUTDOWN);
    leat_detach_thread();
    /* a plain thread again, and then one of the next run */
    while (leat_attach_thread("again") == -ESHUTDOWN)
        usleep(1000);
    count_wrong(w, leat_self_id() != 0 && leat_sleep(LEAT_MSEC) == 0);
    leat_detach_thread();
    atomic_fetch_add(&w->ended, 1);
    return NULL;
}

static int beyond_main(void *arg)
{
    struct world *w = arg;

    left[0] = thread(stays_beyond, w);
    return kit_reach(&w->attached, 1, KIT_LONG) ? 0 : 1;
}

static int next_main(void *arg)
{
    struct world *w = arg;

    atomic_store(&w->stop, true);
    return kit_reach(&w->ended, 1, KIT_LONG) ? 0 : 1;
}

static int beyond_child(void *arg)
{
    struct world *w = arg;
    leat_config config = {.procs = 2, .shutdown_grace_ms = w->grace_ms};
    int r = leat_run_with(&config, beyond_main, w);

    if (r == 0)
        r = kit_run(2, next_main, w);
    return r == 0 && ends(left[0]) && atomic_load(&w->wrong) == 0 && atomic_load(&w->destroyed) == 0
               ? 0
               : 1;
}

/*
 * Goal: one that is still attached when the time is up is named, and may be detached later; another
 * run is none of its business until it is attached there.
 */
Test(attach, beyond_the_end_of_a_run, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = -1;

    /* the workers have to leave within the grace. A busy machine may need a longer one */
    for (unsigned grace_ms = 20; grace_ms < 10000; grace_ms *= 4) {
        struct world w = {.grace_ms = grace_ms};

        status = kit_child(beyond_child, &w, 40000, text);
        if (kit_occurs(text, "1 thread is still"))
            break;
    }
    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(ne(ptr, strstr(text, "\"stayer\", attached (coroutine "), NULL), "%s", text);
    cr_expect(ne(ptr, strstr(text, "1 thread is still in user code"), NULL), "%s", text);
}

static void *ends_attached(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("short") == 0);
    count_wrong(w, leat_attach_thread("short") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    atomic_fetch_add(&w->attached, 1);
    if (atomic_load(&w->attached) % 2)
        pthread_exit(NULL);
    return NULL;
}

static int forgets_main(void *arg)
{
    struct world *w = arg;

    for (unsigned long i = 1; i <= 20; i++) {
        if (!ends(thread(ends_attached, w)))
            return 1;
        if (leat_stats_run(&w->stats) < 0 || w->stats.alive != 1)
            return 2;
    }
    return 0;
}

/* Goal: a thread that ends is detached by that, with its clean-up. */
Test(attach, ends_without_detaching, .timeout = 60)
{
    struct world w = {.stop = false};

    cr_assert(eq(int, kit_run(2, forgets_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.destroyed), 20));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

/* --- reports --- */

static void to_text(void *arg, const char *line)
{
    struct world *w = arg;
    size_t room = sizeof(w->text) - w->used;
    int n = snprintf(w->text + w->used, room, "%s\n", line);

    w->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void *waits_for_event(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("waiter") == 0);
    atomic_fetch_add(&w->attached, 1);
    count_wrong(w, leat_event_wait(&w->event, LEAT_FOREVER) == 0);
    leat_detach_thread();
    return NULL;
}

static int dumped_main(void *arg)
{
    struct world *w = arg;
    pthread_t t = thread(waits_for_event, w);

    if (!kit_reach(&w->attached, 1, KIT_LONG))
        return 1;
    for (int i = 0; i < 20000 && !strstr(w->text, "waiting, event"); i++) {
        w->used = 0;
        (void)leat_sleep(LEAT_MSEC);
        if (leat_dump_to(to_text, w) != 2)
            return 2;
    }
    leat_event_set(&w->event);
    return ends(t) ? 0 : 3;
}

Test(attach, dumps_name_it, .timeout = 60)
{
    static struct world w;

    cr_assert(eq(int, kit_run(2, dumped_main, &w), 0));
    cr_expect(ne(ptr, strstr(w.text, "thread "), NULL), "%s", w.text);
    cr_expect(ne(ptr, strstr(w.text, " \"waiter\", attached (coroutine "), NULL), "%s", w.text);
    cr_expect(ne(ptr, strstr(w.text, ": waiting, event "), NULL), "%s", w.text);
}

static int stuck_main(void *arg)
{
    struct world *w = arg;
    pthread_t t = thread(waits_for_event, w);

    if (!kit_reach(&w->attached, 1, KIT_LONG))
        return 3;
    if (leat_event_wait(&w->event, LEAT_FOREVER) < 0)
        return 6;
    return ends(t) ? 4 : 5;
}

static int stuck_child(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20000};

#ifdef __aarch64__
    config.threads_stay_out = true; /* an emulator has threads of its own */
#else
    config.threads_stay_out = KIT_TSAN; /* likewise */
#endif

    return leat_run_with(&config, stuck_main, arg);
}

/*
 * Goal: an attached thread that waits is part of a deadlock, where any other thread of the program
 * would keep it from being reported.
 */
Test(attach, deadlock, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    struct world w = {.stop = false};
    int status = kit_child(stuck_child, &w, 40000, text);

    cr_expect(kit_exited(status, 2), "status %#x: %s", (unsigned)status, text);
    cr_expect(ne(ptr, strstr(text, " \"waiter\", attached (coroutine "), NULL), "%s", text);
}

/* --- signals, and a fork --- */

static void *looks_at_sigpipe(void *arg)
{
    struct world *w = arg;
    sigset_t mask;
    int fds[2];

    for (int blocked = 0; blocked < 2; blocked++) {
        sigemptyset(&mask);
        sigaddset(&mask, SIGPIPE);
        pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &mask, NULL);
        count_wrong(w, leat_attach_thread(NULL) == 0);
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        count_wrong(w, sigismember(&mask, SIGPIPE));
        count_wrong(w, leat_pipe(fds) == 0);
        leat_close(fds[0]);
        count_wrong(w, is_closed(fds[1]));
        leat_close(fds[1]);
        leat_detach_thread();
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        count_wrong(w, sigismember(&mask, SIGPIPE) == blocked);
    }
    return NULL;
}

static int sigpipe_main(void *arg)
{
    return ends(thread(looks_at_sigpipe, arg)) ? 0 : 1;
}

/* Goal: no SIGPIPE, not afterwards either, and the thread's mask is as it was. */
Test(attach, sigpipe, .timeout = 60)
{
    struct world w = {.stop = false};

    cr_assert(eq(int, kit_run(2, sigpipe_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

static void *forks(void *arg)
{
    struct world *w = arg;
    pid_t pid;

    count_wrong(w, leat_attach_thread("parent") == 0);
    pid = fork();
    if (pid == 0) {
        bool right = leat_self_id() == 0 && leat_attach_thread("child") == -ENOTSUP;

        leat_detach_thread();
        _exit(right ? 0 : 1);
    }
    while (waitpid(pid, &w->result[0], WNOHANG) == 0)
        count_wrong(w, leat_sleep(LEAT_MSEC) == 0);
    leat_detach_thread();
    return NULL;
}

static int forks_main(void *arg)
{
    return ends(thread(forks, arg)) ? 0 : 1;
}

Test(attach, forks, .timeout = 60)
{
    struct world w = {.result = {-1}};

    cr_assert(eq(int, kit_run(2, forks_main, &w), 0));
    cr_expect(kit_exited(w.result[0], 0), "%#x", (unsigned)w.result[0]);
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

/* --- clean-up --- */

/* What a library does that needs to be attached, wherever it is called. */
static void has_a_pair(void *arg)
{
    if (leat_attach_thread("nested") == 0) {
        count_wrong(arg, leat_sleep(LEAT_USEC) == 0);
        leat_detach_thread();
    }
    atomic_fetch_add(&((struct world *)arg)->ended, 1);
}

static void *cleans_up(void *arg)
{
    if (leat_attach_thread("cleans up") < 0)
        return arg;
    if (leat_defer(has_a_pair, arg) == 0)
        leat_detach_thread();
    return arg;
}

static int clean_up_main(void *arg)
{
    return ends(thread(cleans_up, arg)) ? 0 : 1;
}

/* Goal: pairs within the clean-up of a detaching thread nest, as everywhere. */
Test(attach, pairs_in_its_clean_up, .timeout = 60)
{
    struct world w = {0};

    cr_assert(eq(int, kit_run(1, clean_up_main, &w), 0));
    cr_expect(eq(u64, atomic_load(&w.ended), 1));
    cr_expect(eq(u64, atomic_load(&w.wrong), 0));
}

/* Outlasts the grace, and calls nothing. */
static void cleans_up_for_long(void *arg)
{
    struct world *w = arg;

    atomic_fetch_add(&w->attached, 1);
    while (!atomic_load(&w->stop))
        usleep(1000);
}

static void *ends_beyond(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("ends late") == 0);
    count_wrong(w, leat_local_set(&world_key, w) == 0);
    count_wrong(w, leat_defer(has_a_pair, w) == 0);
    count_wrong(w, leat_defer(cleans_up_for_long, w) == 0);
    if (w->result[0])
        leat_detach_thread();
    atomic_fetch_add(&w->turns, 1);
    return NULL;
}

static int ends_beyond_main(void *arg)
{
    struct world *w = arg;

    left[0] = thread(ends_beyond, w);
    return kit_reach(&w->attached, 1, KIT_LONG) ? 0 : 1;
}

static int ends_beyond_child(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20};
    struct world *w = arg;
    int r = leat_run_with(&config, ends_beyond_main, w);

    atomic_store(&w->stop, true);
    if (r != 0 || !ends(left[0]))
        return 1;
    return atomic_load(&w->wrong) || atomic_load(&w->ended) || atomic_load(&w->destroyed) ? 2 : 0;
}

/*
 * Goal: a clean-up that a run's end has overtaken does not hold its thread for ever: what is put
 * off still is not done any more. By a detachment, and by the end of the thread.
 */
Test(attach, clean_up_beyond_the_end_of_a_run, .timeout = 120)
{
    for (int detaches = 0; detaches < 2; detaches++) {
        char text[KIT_TEXT_BYTES];
        struct world w = {.result = {detaches}};
        int status = kit_child(ends_beyond_child, &w, 40000, text);

        cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    }
}

/* --- wrong uses --- */

static int wrong_use;

static void detaches_again(void *arg)
{
    (void)arg;
    leat_detach_thread();
}

static void *uses_it_wrongly(void *arg)
{
    leat_scope scope;

    if (leat_attach_thread("wrong") < 0)
        return arg;
    switch (wrong_use) {
    case 0:
        leat_unlock_thread();
        break;
    case 1:
        leat_exit_self(0);
        break;
    case 2:
        if (leat_scope_open(&scope, LEAT_FOREVER) == 0)
            leat_detach_thread();
        break;
    default:
        if (leat_defer(detaches_again, NULL) == 0)
            leat_detach_thread();
        break;
    }
    return arg;
}

static int wrong_main(void *arg)
{
    (void)arg;
    return ends(thread(uses_it_wrongly, NULL)) ? 0 : 1;
}

static int wrong_child(void *arg)
{
    return kit_run(1, wrong_main, arg);
}

Test(attach, wrong_uses, .timeout = 120)
{
    static const char *const says[] = {"leat_unlock_thread, called by thread ",
                                       "leat_exit_self, called by thread ", "is still open",
                                       "leat_detach_thread, called by thread "};

    for (wrong_use = 0; wrong_use < 4; wrong_use++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(wrong_child, NULL, 40000, text);

        cr_expect(ne(int, status, 0));
        cr_expect(ne(ptr, strstr(text, says[wrong_use]), NULL), "%d: %s", wrong_use, text);
    }
}
