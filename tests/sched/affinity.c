/*
 * The CPUs that the process may use: how many processors there are by default, and what happens
 * when it changes under way.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cpus {
    leat_config config;
    unsigned nr_procs;
    bool narrowed;
    atomic_ulong done;
    bool before, after;
    int value;
};

/* The first CPU that we may use. */
static int first_cpu(cpu_set_t *one)
{
    cpu_set_t all;

    CPU_ZERO(one);
    if (sched_getaffinity(0, sizeof(all), &all))
        return -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, one);
            return i;
        }
    return -1;
}

/* As taskset -a -p does: every thread that there is. */
static bool narrow_all(void)
{
    cpu_set_t one;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    bool ok = dir && first_cpu(&one) >= 0;

    while (ok && (e = readdir(dir))) {
        int tid = atoi(e->d_name);

        if (tid > 0)
            ok &=
                sched_setaffinity(tid, sizeof(one), &one) == 0 || errno == ESRCH; /* it has left */
    }
    if (dir)
        closedir(dir);
    return ok;
}

static int ask_main(void *arg)
{
    struct cpus *c = arg;

    c->nr_procs = leat_nr_procs();
    return 42;
}

static int one_cpu_body(void *arg)
{
    struct cpus *c = arg;
    cpu_set_t one;

    if (first_cpu(&one) < 0 || sched_setaffinity(0, sizeof(one), &one))
        return 1;
    c->value = leat_run(ask_main, c);
    return 0;
}

/* Goal: a process that may use one CPU has one processor by default. */
Test(affinity, one_cpu_is_one_processor, .timeout = 60)
{
    struct cpus *c = kit_shared(sizeof(*c));
    char text[KIT_TEXT_BYTES];
    int status;

    unsetenv("LEAT_PROCS");
    unsetenv("LEAT_PIN");
    status = kit_child(one_cpu_body, c, 20000, text);
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, c->value, 42));
    cr_expect(eq(uint, c->nr_procs, 1));
}

static void work(struct cpus *c, uint64_t seed)
{
    for (int i = 0; i < 50; i++) {
        switch (kit_random(&seed) % 3) {
        case 0:
            kit_burn(20 * LEAT_USEC);
            break;
        case 1:
            (void)leat_sleep(200 * LEAT_USEC);
            break;
        default:
            leat_yield();
            break;
        }
    }
    atomic_fetch_add(&c->done, 1);
}

#define NR_WORKERS 200ul

static bool work_round(struct cpus *c)
{
    unsigned long goal = atomic_load(&c->done) + NR_WORKERS;

    for (uint64_t i = 1; i <= NR_WORKERS; i++)
        (void)go(work, c, i);
    return kit_reach(&c->done, goal, KIT_LONG);
}

/*
 * A loop of calls that never park: processors change hands, and the new holders want to be pinned.
 */
static void hand_overs(struct cpus *c)
{
    while (!leat_cancelled() && atomic_load(&c->done) < 3 * NR_WORKERS)
        leat_set_name("busy");
}

static int narrow_main(void *arg)
{
    struct cpus *c = arg;

    c->nr_procs = leat_nr_procs();
    c->before = work_round(c);
    c->narrowed = narrow_all();
    (void)go(hand_overs, c);
    c->after = work_round(c) && work_round(c);
    return 42;
}

static int narrow_body(void *arg)
{
    struct cpus *c = arg;

    c->value = leat_run_with(&c->config, narrow_main, c);
    return 0;
}

/*
 * Goal: the CPUs are taken away under way, all but one: the run goes on, pinned or not, with the
 * processors that it has.
 */
Test(affinity, narrowed_under_way, .timeout = 60)
{
    static const char *const pins[] = {"off", "auto", NULL};

    unsetenv("LEAT_PIN"); /* it would override them */
    for (int i = 0; i < 3; i++) {
        struct cpus *c = kit_shared(sizeof(*c));
        char text[KIT_TEXT_BYTES];
        int status;

        c->config =
            (leat_config){.procs = 2, .slice_us = 1000, .pin = pins[i], .shutdown_grace_ms = 20000};
        status = kit_child(narrow_body, c, 50000, text);
        cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
        cr_expect(eq(int, c->value, 42));
        cr_expect(eq(uint, c->nr_procs, 2));
        cr_expect(c->before);
        cr_expect(c->narrowed);
        cr_expect(c->after);
        cr_expect(eq(str, text, ""));
    }
}

/* Goal: the same for workers that the user has pinned to two CPUs by name. */
Test(affinity, narrowed_under_a_pin_list, .timeout = 60)
{
    struct cpus *c = kit_shared(sizeof(*c));
    char text[KIT_TEXT_BYTES];
    cpu_set_t all;
    int status;

    unsetenv("LEAT_PIN");
    if (sched_getaffinity(0, sizeof(all), &all) || !CPU_ISSET(0, &all) || !CPU_ISSET(1, &all))
        cr_skip("CPUs 0 and 1 are not both ours");
    c->config =
        (leat_config){.procs = 2, .slice_us = 1000, .pin = "0-1", .shutdown_grace_ms = 20000};
    status = kit_child(narrow_body, c, 50000, text);
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, c->value, 42));
    cr_expect(c->narrowed);
    cr_expect(c->before);
    cr_expect(c->after);
}

struct free_ones {
    cpu_set_t before, pool;
    char child[256];
    int value;
};

static leat_result ask_cpus(void *arg)
{
    return sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

/* As the kernel writes it: a line of /proc. */
static bool ask_child(char text[256])
{
    static const char *const argv[] = {"grep", "Cpus_allowed:", "/proc/self/status", NULL};
    leat_process_opts opts = {.out = LEAT_CHILD_PIPE};
    leat_process p;
    ssize_t n;

    if (leat_process_start(&p, argv, &opts) != 0)
        return false;
    n = leat_read_full(p.out, text, 255, LEAT_FOREVER);
    leat_process_close(&p);
    return n > 0;
}

static int free_main(void *arg)
{
    struct free_ones *f = arg;
    leat_result r = -1;
    cpu_set_t own;

    if (leat_blocking(ask_cpus, &f->pool, &r, LEAT_FOREVER) != 0 || r < 0 || !ask_child(f->child))
        return 1;
    leat_yield();
    return sched_getaffinity(0, sizeof(own), &own) == 0 && CPU_COUNT(&own) == 1 ? 42 : 2;
}

static int free_body(void *arg)
{
    leat_config config = {.procs = 1, .retake_us = -1, .pin = "0"};
    struct free_ones *f = arg;

    f->value = leat_run_with(&config, free_main, f);
    return 0;
}

/*
 * Goal: a pinned worker keeps to its CPU, but not the threads of the pool and the child processes
 * that are begun on it.
 */
Test(affinity, pool_and_children_are_not_pinned, .timeout = 60)
{
    struct free_ones *f = kit_shared(sizeof(*f));
    char text[KIT_TEXT_BYTES], line[256], before[256] = "";
    FILE *status_file = fopen("/proc/self/status", "r");
    int status;

    unsetenv("LEAT_PIN");
    if (sched_getaffinity(0, sizeof(f->before), &f->before) || !CPU_ISSET(0, &f->before) ||
        CPU_COUNT(&f->before) < 2)
        cr_skip("CPU 0 is not ours, or the only one");
    while (status_file && fgets(line, sizeof(line), status_file))
        if (strncmp(line, "Cpus_allowed:", 13) == 0)
            strcpy(before, line);
    if (status_file)
        fclose(status_file);
    status = kit_child(free_body, f, 40000, text);
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, f->value, 42));
    cr_expect(eq(int, memcmp(&f->before, &f->pool, sizeof(f->pool)), 0));
    cr_expect(eq(str, f->child, before));
}
