/*
 * A process that forks in the middle of a run: the parent goes on, the child may exec or _exit, and
 * every call of leat there says that it is none.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS 20

struct world {
    atomic_ulong turns, ended;
    atomic_bool stop;
    int status[FORKS];
    leat_mutex mutex;
    leat_group group;
    leat_flight flight;
    leat_handle *handle;
};

static void nothing(void)
{
}

static int no_main(void *arg)
{
    return arg != NULL;
}

static leat_local key;

/* What belongs to a run, the parent's, which is none of the child's. */
static int child_calls_of_a_run(struct world *w)
{
    leat_case ends = leat_case_join(w->handle, NULL), fd = leat_case_fd(0, LEAT_POLLIN);
    leat_run_stats stats;
    leat_stats proc;
    leat_scope scope;

    if (leat_stats_run(&stats) != -ENOTSUP || leat_stats_proc(0, &proc) != -ENOTSUP)
        return 20;
    if (leat_dump(2) != -ENOTSUP)
        return 21;
    if (leat_group_go(&w->group, nothing) != -ENOTSUP)
        return 22;
    leat_group_cancel(&w->group);
    if (leat_group_wait(&w->group, LEAT_FOREVER) != -ENOTSUP ||
        leat_group_close(&w->group) != -ENOTSUP)
        return 23;
    if (leat_join(w->handle, NULL, LEAT_FOREVER) != -ENOTSUP)
        return 24;
    leat_cancel(w->handle);
    if (leat_scope_open(&scope, LEAT_FOREVER) != -ENOTSUP)
        return 25;
    if (leat_local_set(&key, w) != -ENOTSUP || leat_local_get(&key) != NULL)
        return 26;
    if (leat_flight_do(&w->flight, "key", 3, NULL, LEAT_FOREVER, nothing) != -ENOTSUP ||
        leat_flight_wait(&w->flight, LEAT_FOREVER) != -ENOTSUP)
        return 31;
    leat_flight_forget(&w->flight, "key", 3);
    if (leat_defer(free, NULL) != -ENOTSUP)
        return 27;
    if (leat_select(&ends, 1, LEAT_FOREVER) != 0 || ends.result != -ENOTSUP)
        return 28;
    if (leat_select(&fd, 1, LEAT_FOREVER) != 0 || fd.result != -ENOTSUP)
        return 29;
    return leat_attach_thread("child") == -ENOTSUP ? 0 : 30;
}

/* In the child. What was wrong, 0 nothing. */
static int child_calls(struct world *w)
{
    char c;
    int fds[2];

    if (go(nothing) != -ENOTSUP)
        return 1;
    if (leat_tcp_listen("127.0.0.1:0", NULL) != -ENOTSUP)
        return 2;
    if (leat_pipe(fds) != -ENOTSUP)
        return 3;
    if (pipe(fds) < 0 || leat_read(fds[0], &c, 1, LEAT_AT_ONCE) != -ENOTSUP)
        return 4;
    if (leat_tcp_dial("127.0.0.1:1", LEAT_AT_ONCE) != -ENOTSUP)
        return 5;
    if (leat_run(no_main, NULL) != -ENOTSUP)
        return 6;
    if (leat_self_id() != 0 || leat_cancelled() || leat_nr_procs() != 0)
        return 7;
    leat_yield();
    leat_poll();
    if (leat_sleep(LEAT_MSEC) != 0) /* as on any plain thread */
        return 8;
    return child_calls_of_a_run(w);
}

static int wait_for(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, WNOHANG) == 0)
        (void)leat_sleep(LEAT_MSEC);
    return status;
}

/* Calls of every kind go on meanwhile, and hold whatever locks they take. */
static void busy(struct world *w)
{
    while (!atomic_load(&w->stop)) {
        leat_mutex_lock(&w->mutex);
        leat_yield();
        leat_mutex_unlock(&w->mutex);
        (void)go(nothing);
        (void)leat_sleep(20 * LEAT_USEC);
        atomic_fetch_add(&w->turns, 1);
    }
    atomic_fetch_add(&w->ended, 1);
}

static leat_result waits_in_group(struct world *w)
{
    while (leat_sleep(LEAT_MSEC) == 0)
        if (atomic_load(&w->stop))
            return 7;
    return 8;
}

static void forks(struct world *w)
{
    char *const argv[] = {(char *)(uintptr_t) "true", NULL};

    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();

        if (pid == 0 && i % 4 == 3) {
            execvp("true", argv);
            _exit(99);
        }
        if (pid == 0)
            _exit(child_calls(w));
        w->status[i] = pid > 0 ? wait_for(pid) : -1;
        (void)leat_sleep(LEAT_MSEC);
    }
    atomic_fetch_add(&w->ended, 1);
}

static int forks_main(void *arg)
{
    struct world *w = arg;
    leat_result result = 0;
    unsigned long turns;

    leat_group_open(&w->group, 0);
    if (leat_group_go(&w->group, waits_in_group, w) < 0 ||
        leat_go_join(&w->handle, waits_in_group, w) < 0)
        return 1;
    for (int i = 0; i < 4; i++)
        if (go(busy, w) < 0)
            return 1;
    if (go(forks, w) < 0 || !kit_reach(&w->ended, 1, 3 * KIT_LONG))
        return 2;
    turns = atomic_load(&w->turns);
    if (!kit_reach(&w->turns, turns + 10, KIT_LONG)) /* they go on */
        return 3;
    atomic_store(&w->stop, true);
    if (leat_group_close(&w->group) != 0 || leat_join(w->handle, &result, LEAT_FOREVER) != 0 ||
        result != 7) /* nobody has cancelled it */
        return 5;
    return kit_reach(&w->ended, 5, KIT_LONG) ? 0 : 4;
}

Test(fork, child_of_a_run, .timeout = 120)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        struct world w = {.stop = false};

        cr_assert(eq(int, kit_run(procs, forks_main, &w), 0));
        for (int i = 0; i < FORKS; i++)
            cr_expect(kit_exited(w.status[i], 0), "child %d of %d: status %#x", i, FORKS,
                      (unsigned)w.status[i]);
    }
}

static int counts_main(void *arg)
{
    *(int *)arg = 5;
    return 0;
}

static int run_child(void *arg)
{
    int n = 0;

    (void)arg;
    return leat_run(counts_main, &n) == 0 && n == 5 ? 0 : 1;
}

/* Goal: a child that was forked between two runs may have runs of its own. */
Test(fork, child_between_runs, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int n = 0, status;

    cr_assert(eq(int, kit_run(2, counts_main, &n), 0));
    status = kit_child(run_child, NULL, 40000, text);
    cr_expect(kit_exited(status, 0), "status %d: %s", status, text);
    cr_assert(eq(int, kit_run(2, counts_main, &n), 0));
}
