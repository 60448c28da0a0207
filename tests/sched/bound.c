/*
 * Coroutines that keep to their thread: they are on it, and nobody else, whatever they wait for;
 * what becomes of the thread.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BOUND 4
#define OTHERS 20
#define ROUNDS 60

struct world {
    atomic_long tid[BOUND]; /* whose thread; 0 nobody's */
    atomic_ulong wrong, ended, turns, asleep;
    atomic_bool stop;
    leat_mutex mutex;
    leat_chan *ch;
    unsigned long counter;
    int locked;
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

static void wait_somehow(struct world *w, uint64_t *seed)
{
    int fds[2];
    char c;

    switch (kit_random(seed) % 6) {
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
        if (leat_pipe(fds) < 0)
            break;
        count_wrong(w, leat_read(fds[0], &c, 1, leat_after(100 * LEAT_USEC)) == -ETIMEDOUT);
        count_wrong(w, leat_write(fds[1], "x", 1, LEAT_FOREVER) == 1);
        count_wrong(w, leat_read(fds[0], &c, 1, LEAT_FOREVER) == 1);
        leat_close(fds[0]);
        leat_close(fds[1]);
        break;
    case 4:
        leat_block_enter();
        sched_yield();
        leat_block_leave();
        break;
    default:
        leat_poll();
        break;
    }
}

static void bound(struct world *w, int i, bool unlocks)
{
    uint64_t seed = (uint64_t)i + 1;
    long mine;

    if (leat_lock_thread() != 0) {
        atomic_fetch_add(&w->wrong, 1);
        atomic_fetch_add(&w->ended, 1);
        return;
    }
    mine = here();
    atomic_store(&w->tid[i], mine);
    for (int n = 0; n < ROUNDS; n++) {
        bool nested = n % 3 == 0 && leat_lock_thread() == 0;

        wait_somehow(w, &seed);
        count_wrong(w, here() == mine);
        if (nested)
            leat_unlock_thread();
        count_wrong(w, here() == mine);
    }
    atomic_store(&w->tid[i], 0);
    if (unlocks) {
        leat_unlock_thread();
        wait_somehow(w, &seed);
    }
    atomic_fetch_add(&w->ended, 1);
}

static void unbound(struct world *w, int i)
{
    uint64_t seed = (uint64_t)i + 100;

    while (!atomic_load(&w->stop)) {
        long me = here();

        for (int k = 0; k < BOUND; k++)
            count_wrong(w, atomic_load(&w->tid[k]) != me);
        atomic_fetch_add(&w->turns, 1);
        wait_somehow(w, &seed);
        (void)leat_sleep(20 * LEAT_USEC);
    }
    atomic_fetch_add(&w->ended, 1);
}

static int crowd_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < OTHERS; i++)
        if (go(unbound, w, i) < 0)
            return 1;
    for (int i = 0; i < BOUND; i++)
        if (go(bound, w, i, i % 2 == 0) < 0)
            return 1;
    if (!kit_reach(&w->ended, BOUND, 3 * KIT_LONG))
        return 2;
    atomic_store(&w->stop, true);
    return kit_reach(&w->ended, BOUND + OTHERS, KIT_LONG) ? 0 : 3;
}

/* Goal: a bound coroutine is on its thread, and nobody else, whatever both wait for. */
Test(bound, keeps_to_its_thread, .timeout = 180)
{
    for (int i = 0; i < KIT_NR_PROCS; i++) {
        struct world w = {.stop = false};

        cr_assert(eq(int, kit_run(kit_procs[i], crowd_main, &w), 0),
                  "with %u processors: %lu ended", kit_procs[i],
                  (unsigned long)atomic_load(&w.ended));
        cr_expect(eq(ulong, atomic_load(&w.wrong), 0), "with %u processors", kit_procs[i]);
    }
}

/* --- the others go on beside one that computes --- */

static void burns(struct world *w)
{
    if (leat_lock_thread() != 0)
        atomic_fetch_add(&w->wrong, 1);
    while (!atomic_load(&w->stop))
        ;
    atomic_fetch_add(&w->ended, 1);
}

static int beside_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < BOUND; i++)
        if (go(burns, w) < 0)
            return 1;
    for (int i = 0; i < 20; i++)
        if (leat_sleep(LEAT_MSEC) != 0)
            return 2;
    atomic_store(&w->stop, true);
    if (leat_stats_run(&w->stats) != 0 || w->stats.retaken_hogs != 0) /* none was needed */
        return 4;
    return kit_reach(&w->ended, BOUND, KIT_LONG) ? 0 : 3;
}

/*
 * Goal: those that compute on a thread of their own take no processor from the others, whatever
 * their number.
 */
Test(bound, others_go_on_beside_it, .timeout = 120)
{
    leat_config config = {.procs = 1, .retake_us = 10000000, .shutdown_grace_ms = 20000};
    struct world w = {.stop = false};

    kit_no_chaos();
    cr_assert(eq(int, leat_run_with(&config, beside_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

/* --- ends --- */

static void names_thread(struct world *w)
{
    w->locked = leat_lock_thread();
    pthread_setname_np(pthread_self(), "mine");
    atomic_fetch_add(&w->ended, 1);
}

static void looks_at_name(struct world *w)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof(name));
    count_wrong(w, strcmp(name, "mine") != 0);
    atomic_fetch_add(&w->turns, 1);
}

static int ending_main(void *arg)
{
    struct world *w = arg;

    for (unsigned long round = 1; round <= 20; round++) {
        if (go(names_thread, w) < 0 || !kit_reach(&w->ended, round, KIT_LONG) || w->locked != 0)
            return 1;
        for (int i = 0; i < 10; i++)
            if (go(looks_at_name, w) < 0)
                return 2;
        if (!kit_reach(&w->turns, 10 * round, KIT_LONG))
            return 3;
    }
    return 0;
}

/* Goal: nobody inherits what a bound coroutine did to its thread, which ends with it. */
Test(bound, its_end_takes_the_thread_along, .timeout = 120)
{
    struct world w = {.stop = false};

    cr_assert(eq(int, kit_run(2, ending_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

static void waits_bound(struct world *w)
{
    count_wrong(w, leat_lock_thread() == 0);
    atomic_fetch_add(&w->asleep, 1);
    if (leat_sleep(3600 * LEAT_SEC) == -ECANCELED)
        atomic_fetch_add(&w->ended, 1);
}

static int cancelled_main(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < BOUND; i++)
        if (go(waits_bound, w) < 0)
            return 1;
    return kit_reach(&w->asleep, BOUND, KIT_LONG) ? 0 : 2;
}

/* Goal: the end of a run ends those that wait on a thread of their own. */
Test(bound, the_end_of_a_run, .timeout = 60)
{
    struct world w = {.stop = false};

    cr_assert(eq(int, kit_run(2, cancelled_main, &w), 0));
    cr_expect(eq(ulong, atomic_load(&w.ended), BOUND));
    cr_expect(eq(ulong, atomic_load(&w.wrong), 0));
}

/* --- limits, and wrong uses --- */

static int refused_main(void *arg)
{
    struct world *w = arg;

    w->locked = leat_lock_thread();
    if (w->locked == 0)
        leat_unlock_thread();
    return leat_sleep(LEAT_MSEC);
}

/* Goal: where no further thread may be had the lock says so, and nothing has changed. */
Test(bound, no_thread_for_the_others, .timeout = 60)
{
    leat_config config = {.procs = 1, .max_threads = 2, .shutdown_grace_ms = 20000};
    struct world w = {.stop = false};

    cr_assert(eq(int, leat_run_with(&config, refused_main, &w), 0));
    cr_expect(eq(int, w.locked, -EAGAIN));
    /* a plain thread has nothing to lock */
    cr_expect(eq(int, leat_lock_thread(), 0));
    leat_unlock_thread();
}

static int wrong_main(void *arg)
{
    leat_unlock_thread();
    return arg != NULL;
}

static int wrong_child(void *arg)
{
    return kit_run(1, wrong_main, arg);
}

Test(bound, unlock_without_a_lock, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(wrong_child, NULL, 40000, text);

    cr_expect(ne(int, status, 0));
    cr_expect(ne(ptr, strstr(text, "leat_unlock_thread"), NULL), "%s", text);
}

/* --- reports --- */

static void to_text(void *arg, const char *line)
{
    struct world *w = arg;
    size_t room = sizeof(w->text) - w->used;
    int n = snprintf(w->text + w->used, room, "%s\n", line);

    w->used += (size_t)n < room ? (size_t)n : room - 1;
}

static int dumped_main(void *arg)
{
    struct world *w = arg;

    if (go(waits_bound, w) < 0 || !kit_reach(&w->asleep, 1, KIT_LONG))
        return 1;
    return leat_dump_to(to_text, w) < 0;
}

Test(bound, dumps_name_the_thread, .timeout = 60)
{
    static struct world w;

    cr_assert(eq(int, kit_run(2, dumped_main, &w), 0));
    cr_expect(ne(ptr, strstr(w.text, ", keeps to thread "), NULL), "%s", w.text);
}

static int stuck_main(void *arg)
{
    leat_event never = {0};

    if (leat_lock_thread() != 0)
        return 3;
    (void)arg;
    return leat_event_wait(&never, LEAT_FOREVER);
}

static int stuck_child(void *arg)
{
    /* an emulator and ThreadSanitizer have threads of their own */
    leat_config config = {.procs = 2, .threads_stay_out = true, .shutdown_grace_ms = 20000};

    return leat_run_with(&config, stuck_main, arg);
}

/* Goal: one that waits for ever on a thread of its own is a deadlock like any other. */
Test(bound, deadlock, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_child, NULL, 40000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
    cr_expect(ne(ptr, strstr(text, "keeps to thread"), NULL), "%s", text);
}

/* --- nice values --- */

static int nice_main(void *arg)
{
    int *seen = arg;

    for (int i = 0; i < 2; i++) {
        errno = 0;
        seen[i] = getpriority(PRIO_PROCESS, (id_t)here());
        if (i == 0 && leat_lock_thread() != 0)
            return 1;
    }
    return 0;
}

/* Goal: LEAT_NICE is that of every worker, one of its own too, and of no other thread. */
Test(bound, nice_value_of_workers, .timeout = 60)
{
    int before = getpriority(PRIO_PROCESS, 0), seen[2] = {100, 100};
    leat_config config = {.procs = 2, .nice = 19, .shutdown_grace_ms = 20000};

    cr_assert(eq(int, leat_run_with(&config, nice_main, seen), 0));
    cr_expect(eq(int, seen[0], 19));
    cr_expect(eq(int, seen[1], 19));
    cr_expect(eq(int, getpriority(PRIO_PROCESS, 0), before));
}
