/*
 * A process that the kernel throttles, for it has used up the CPU quota of its cgroup: its threads
 * stand still in the middle of whatever they do, and nobody's processor is taken for that.
 *
 * Needs a cgroup with a quota, which root can make where the cpu controller is there, as version 1
 * or 2; skipped elsewhere. What does not need one: sched_retake_moments/after_sigstop, and
 * retake_late in the simulator.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THROTTLED 12 /* so often, at least */
#define TURN_NS 200000

struct shared {
    atomic_bool stop;
    atomic_ulong turns, retakes;
};

static char group[128];

static bool put(const char *name, const char *text)
{
    char path[256];
    int fd, n;

    snprintf(path, sizeof(path), "%s/%s", group, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = (int)write(fd, text, strlen(text));
    close(fd);
    return n == (int)strlen(text);
}

/* How often the group has been throttled; -1: its files do not say. */
static long times_throttled(void)
{
    char path[256], text[1024] = "";
    const char *at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/cpu.stat", group);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    at = n > 0 ? strstr(text, "nr_throttled ") : NULL;
    return at ? strtol(at + strlen("nr_throttled "), NULL, 10) : -1;
}

/* A fifth of one CPU, for two processors. */
static bool group_make(void)
{
    snprintf(group, sizeof(group), "/sys/fs/cgroup/cpu/leat-test-%d", (int)getpid());
    if (mkdir(group, 0755) == 0) {
        if (put("cpu.cfs_period_us", "100000") && put("cpu.cfs_quota_us", "20000") &&
            times_throttled() >= 0)
            return true;
        rmdir(group);
    }
    snprintf(group, sizeof(group), "/sys/fs/cgroup/leat-test-%d", (int)getpid());
    if (mkdir(group, 0755) == 0) {
        if (put("cpu.max", "20000 100000") && times_throttled() >= 0)
            return true;
        rmdir(group);
    }
    return false;
}

/* So much of a CPU, in user code. */
static void burn_cpu(void)
{
    struct timespec t;
    int64_t until = 0, now;

    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        now = t.tv_sec * LEAT_SEC + t.tv_nsec;
        if (!until)
            until = now + TURN_NS;
    } while (now < until);
}

/* Somebody always waits for its processor. */
static void turns(struct shared *s)
{
    while (!atomic_load(&s->stop)) {
        burn_cpu();
        atomic_fetch_add(&s->turns, 1);
        leat_yield();
    }
}

static int throttled_main(void *arg)
{
    struct shared *s = arg;
    leat_run_stats stats;

    for (int i = 0; i < 6; i++)
        if (go(turns, s) < 0)
            return 1;
    turns(s);
    if (leat_stats_run(&stats) < 0)
        return 2;
    atomic_store(&s->retakes, stats.retaken_hogs + stats.retaken_blocked + stats.hogs);
    return 0;
}

static int throttled_body(void *arg)
{
    kit_no_chaos(); /* which holds threads up, asleep */
    return kit_run(2, throttled_main, arg);
}

/* Goal: the kernel takes the CPUs away for 80 ms, again and again, and no processor is retaken. */
Test(throttled, by_a_quota, .timeout = 120)
{
    struct shared *s = kit_shared(sizeof(*s));
    int64_t until = leat_now() + KIT_LONG;
    char text[KIT_TEXT_BYTES], pid[16];
    struct kit_child child;
    bool joined;
    long times = 0;
    int status;

    if (KIT_SANITIZED)
        cr_skip_test("sanitizers have locks of their own, and who waits there looks blocked");
    if (!group_make())
        cr_skip_test("no cgroup with a CPU quota can be made here");
    child = kit_child_begin(throttled_body, s);
    while (atomic_load(&s->turns) < 20 && leat_now() < until)
        usleep(1000);
    snprintf(pid, sizeof(pid), "%d", (int)child.pid);
    joined = put("cgroup.procs", pid);
    while (joined && times < THROTTLED && leat_now() < until) {
        usleep(20000);
        times = times_throttled();
    }
    atomic_store(&s->stop, true);
    status = kit_child_end(&child, 60000, text);
    rmdir(group);
    if (times < THROTTLED)
        cr_skip_test("the quota is not enforced here, or the machine is too busy for that");
    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(eq(ulong, atomic_load(&s->retakes), 0), "throttled %ld times, %lu turns: %s", times,
              (unsigned long)atomic_load(&s->turns), text);
}
