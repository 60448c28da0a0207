/*
 * Threads of the program's that are attached to a run: what they may call there, how many there may
 * be, and what becomes of their signals and of a fork.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/attach.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 60

static leat_local world_key = {destroy};

static bool is_closed(int fd)
{
    return leat_write(fd, "x", 1, LEAT_FOREVER) == -EPIPE;
}

/* --- what it may call --- */

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
