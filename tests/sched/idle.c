/*
 * A run in which nothing is to be done does nothing: no thread of it is scheduled. And it wakes
 * when there is something.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct idle {
    unsigned procs;
    int to_child[2];
    atomic_ulong asleep, woken, timed;
    atomic_ulong wanted; /* rounds */
    atomic_bool in_time;
    int value;
};

static void sleeps(struct idle *s)
{
    atomic_fetch_add(&s->asleep, 1);
    (void)leat_sleep(3600 * LEAT_SEC);
}

static void awake(struct idle *s)
{
    atomic_fetch_add(&s->woken, 1);
}

/* Spawns one for each byte that the parent writes. */
static void *spawner(void *arg)
{
    struct idle *s = arg;
    char b;

    while (read(s->to_child[0], &b, 1) == 1 && b == 'w')
        (void)go(awake, s);
    return NULL;
}

static int idle_main(void *arg)
{
    struct idle *s = arg;
    pthread_t t;

    for (int i = 0; i < 100; i++)
        (void)go(sleeps, s);
    if (pthread_create(&t, NULL, spawner, s))
        return -1;
    while (atomic_load(&s->asleep) < 100)
        leat_yield();
    atomic_fetch_add(&s->asleep, 1);
    (void)leat_sleep(3600 * LEAT_SEC); /* the parent kills us */
    return 0;
}

static int idle_body(void *arg)
{
    struct idle *s = arg;

    close(s->to_child[1]);
    return kit_run(s->procs, idle_main, s);
}

/*
 * Voluntary and other context switches of all threads of the runtime in another process. Its own
 * thread is leat_run's caller.
 */
static long switches(pid_t pid)
{
    char path[64];
    DIR *dir;
    struct dirent *e;
    long sum = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        char line[256], name[512];
        bool ours = atoi(e->d_name) == (int)pid;
        FILE *f;

        snprintf(name, sizeof(name), "%s/%s/status", path, e->d_name);
        f = e->d_name[0] == '.' ? NULL : fopen(name, "re");
        while (f && fgets(line, sizeof(line), f)) {
            char *number = strstr(line, "ctxt_switches:");

            if (!strncmp(line, "Name:\tleat-", 11)) /* a sanitizer has threads of its own */
                ours = true;
            if (ours && number)
                sum += atol(number + strlen("ctxt_switches:"));
        }
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
    return sum;
}

static bool until_count(atomic_ulong *count, unsigned long goal)
{
    for (int i = 0; i < 20000 && atomic_load(count) < goal; i++)
        usleep(1000);
    return atomic_load(count) >= goal;
}

/*
 * Does it fall silent? True: a window of 300 ms without a single context switch, within the time.
 * Not asked under ThreadSanitizer, where a sleep without end is looked at every 20 ms
 * (base/os_linux.c): the sanitizer delivers a signal in a call of libc only.
 */
static bool falls_silent(pid_t pid, int64_t within)
{
    int64_t until = leat_now() + within;
    long before = switches(pid);

    if (KIT_TSAN)
        return true;
    while (leat_now() < until) {
        long after;

        usleep(300000);
        after = switches(pid);
        if (after == before)
            return true;
        before = after;
    }
    return false;
}

/*
 * Goal: when everybody sleeps for long, a run makes no context switch at all, neither its workers
 * nor its monitor; a spawn from outside wakes it at once, and then it falls silent again. Method: a
 * child is watched through /proc. How long the monitor takes to wind down (idle stacks go back
 * first) is not what is asserted: only that there comes a window of 300 ms without a switch.
 */
Test(idle, makes_no_context_switch, .timeout = 150)
{
    static const unsigned procs[] = {1, 2, 8};

    for (int p = 0; p < 3; p++) {
        struct idle *s = kit_shared(sizeof(*s));
        char text[KIT_TEXT_BYTES];
        struct kit_child c;
        bool slept, silent, again = true;

        s->procs = procs[p];
        cr_assert(eq(int, pipe(s->to_child), 0));
        c = kit_child_begin(idle_body, s);
        slept = until_count(&s->asleep, 101);
        silent = slept && falls_silent(c.pid, KIT_LONG);
        for (unsigned long i = 1; i <= 3 && silent && again; i++) {
            again = write(s->to_child[1], "w", 1) == 1 && until_count(&s->woken, i);
            if (i == 3)
                again = again && falls_silent(c.pid, KIT_LONG);
        }
        (void)kit_child_end(&c, 0, text);
        close(s->to_child[0]);
        close(s->to_child[1]);
        cr_assert(slept, "%u processors: %s", procs[p], text);
        cr_expect(silent, "%u processors", procs[p]);
        cr_expect(again, "%u processors: woken %lu times of 3, or not silent again", procs[p],
                  atomic_load(&s->woken));
        cr_expect(eq(str, text, ""));
    }
}

/* --- wakes up --- */

static void nap(struct idle *s)
{
    (void)leat_sleep(LEAT_MSEC);
    atomic_fetch_add(&s->timed, 1);
}

static int rounds_main(void *arg)
{
    struct idle *s = arg;

    for (unsigned long i = 0; i < 30; i++) {
        (void)leat_sleep((int64_t)(i % 4) * 30 *
                         LEAT_MSEC); /* some long enough that the monitor goes to sleep */
        for (int j = 0; j < 10; j++)
            (void)go(nap, s);
        if (!kit_reach(&s->timed, 10 * (i + 1), KIT_LONG))
            return -1;
    }
    return 42;
}

/* Goal: after idleness of any length timers fire and spawns run, again and again. */
Test(idle, wakes_for_timers, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct idle s = {.procs = kit_procs[p]};

        cr_expect(eq(int, kit_run(kit_procs[p], rounds_main, &s), 42));
    }
}
