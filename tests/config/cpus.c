/*
 * CPU sets, their text form, and how many CPUs we may use.
 */
#include "support/test.h"

#include "base/cpus.h"
#include "base/os.h"

#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct lea_cpuset set_of(const char *list)
{
    struct lea_cpuset set;
    const char *why = NULL;

    if (lea_cpuset_parse(&set, list, &why))
        cr_fatal("the list \"%s\": %s", list, why);
    return set;
}

/* --- text --- */

static void expect_reformatted(const char *list, const char *formatted)
{
    struct lea_cpuset set = set_of(list);
    char buf[128];

    cr_expect(eq(str, (char *)lea_cpuset_format(&set, buf, sizeof(buf)), (char *)formatted));
}

Test(cpuset, lists_that_parse, .timeout = 60)
{
    struct lea_cpuset set = set_of("0-3,8,10-11");

    cr_expect(eq(uint, lea_cpuset_count(&set), 7));
    cr_expect(lea_cpuset_has(&set, 3) && lea_cpuset_has(&set, 8) && lea_cpuset_has(&set, 11));
    cr_expect(not(lea_cpuset_has(&set, 4)));
    cr_expect(not(lea_cpuset_has(&set, LEA_CPUSET_MAX)));
    expect_reformatted("0", "0");
    expect_reformatted("0-0", "0");
    expect_reformatted("5,4,3", "3-5");
    expect_reformatted("0-3,2-6,6", "0-6");
    expect_reformatted("63-64,127,4095", "63-64,127,4095");
    expect_reformatted("007", "7");
    set = set_of("0-4095");
    cr_expect(eq(uint, lea_cpuset_count(&set), 4096));
    expect_reformatted("0-4095", "0-4095");
}

static void expect_refused(const char *list, const char *expected)
{
    struct lea_cpuset set = set_of("1");
    const char *why = NULL;

    cr_expect(eq(int, lea_cpuset_parse(&set, list, &why), -EINVAL), "\"%s\"", list);
    cr_assert(ne(ptr, (void *)why, NULL), "\"%s\"", list);
    cr_expect(eq(str, (char *)why, (char *)expected), "\"%s\"", list);
    cr_expect(eq(uint, lea_cpuset_count(&set), 0), "\"%s\"", list);
}

Test(cpuset, lists_that_do_not, .timeout = 60)
{
    expect_refused("", "it is empty");
    expect_refused("x", "a CPU number is missing");
    expect_refused(" 1", "a CPU number is missing");
    expect_refused("-3", "a CPU number is missing");
    expect_refused("1,", "a CPU number is missing");
    expect_refused(",1", "a CPU number is missing");
    expect_refused("1,,2", "a CPU number is missing");
    expect_refused("1-", "a range has no end");
    expect_refused("1-x", "a range has no end");
    expect_refused("3-1", "a range runs backwards");
    expect_refused("1-2-3", "only digits, '-' and ',' may stand in it");
    expect_refused("1 2", "only digits, '-' and ',' may stand in it");
    expect_refused("0x1", "only digits, '-' and ',' may stand in it");
    expect_refused("4096", "CPU numbers end at 4095");
    expect_refused("0-4096", "CPU numbers end at 4095");
    expect_refused("99999999999999999999999", "CPU numbers end at 4095");
}

/*
 * Goal: a set that does not fit is cut at a comma and says so, at every size from the smallest on.
 */
Test(cpuset, format_never_overflows, .timeout = 60)
{
    struct lea_cpuset set = set_of("0,2,4,6,8,10,12,14,1000-1001,4095");
    struct lea_cpuset none = {{0}};
    const char *whole = "0,2,4,6,8,10,12,14,1000-1001,4095";
    char buf[64];

    for (size_t size = 8; size < sizeof(buf); size++) {
        memset(buf, '#', sizeof(buf));
        lea_cpuset_format(&set, buf, size);
        cr_expect(lt(sz, strnlen(buf, sizeof(buf)), size));
        cr_expect(eq(chr, buf[size], '#'));
        if (size > strlen(whole)) {
            cr_expect(eq(str, buf, (char *)whole));
        } else {
            cr_assert(ge(sz, strlen(buf), 5));
            cr_expect(eq(str, buf + strlen(buf) - 4, (char *)",..."), "size %zu: %s", size, buf);
            cr_expect(eq(int, strncmp(buf, whole, strlen(buf) - 3), 0), "size %zu: %s", size, buf);
        }
    }
    cr_expect(eq(str, (char *)lea_cpuset_format(&none, buf, sizeof(buf)), (char *)"none"));
}

Test(cpuset, next_and_subset, .timeout = 60)
{
    struct lea_cpuset set = set_of("3,64,4095");
    struct lea_cpuset part = set_of("64");
    struct lea_cpuset other = set_of("64-65");

    cr_expect(eq(int, lea_cpuset_next(&set, 0), 3));
    cr_expect(eq(int, lea_cpuset_next(&set, 3), 3));
    cr_expect(eq(int, lea_cpuset_next(&set, 4), 64));
    cr_expect(eq(int, lea_cpuset_next(&set, 65), 4095));
    cr_expect(eq(int, lea_cpuset_next(&set, 4096), -1));
    cr_expect(lea_cpuset_subset(&part, &set));
    cr_expect(not(lea_cpuset_subset(&other, &set)));
    cr_expect(not(lea_cpuset_subset(&set, &part)));
}

/* --- judgement --- */

static const char *root;

static void setup(void)
{
    root = tree_make();
    tree_write("/sys/devices/system/cpu/online", "0-3\n");
    tree_write("/proc/self/mountinfo", "30 20 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
}

TestSuite(cpus, .init = setup, .fini = tree_remove, .timeout = 60);

static struct lea_cpus look_for(const char *affinity, const char *quota)
{
    struct lea_cpuset allowed = set_of(affinity);
    struct lea_cpus cpus;

    tree_write("/proc/self/cgroup", "0::/\n");
    tree_write("/sys/fs/cgroup/cpu.max", quota);
    memset(&cpus, 0xff, sizeof(cpus));
    lea_cpus_look_for(&cpus, root, &allowed);
    return cpus;
}

Test(cpus, affinity_and_quota_whichever_is_less)
{
    cr_expect(eq(uint, look_for("0-3", "max 100000\n").nr_usable, 4));
    cr_expect(eq(uint, look_for("1,3", "max 100000\n").nr_usable, 2));
    cr_expect(eq(uint, look_for("0-3", "50000 100000\n").nr_usable, 1));
    cr_expect(eq(uint, look_for("0-3", "150000 100000\n").nr_usable, 2));
    cr_expect(eq(uint, look_for("2", "800000 100000\n").nr_usable, 1));
    cr_expect(eq(uint, look_for("0-3", "800000 100000\n").nr_usable, 4));
    cr_expect(eq(uint, look_for("0-3", "150000 100000\n").nr_allowed, 4));
    cr_expect(eq(uint, look_for("0-3", "150000 100000\n").quota, 2));
    cr_expect(eq(uint, look_for("1500-2599", "max 100000\n").nr_usable, 1100),
              "beyond libc's 1024");
}

Test(cpus, whole_machine)
{
    cr_expect(look_for("0-3", "max 100000\n").whole_machine);
    cr_expect(look_for("0-7", "max 100000\n").whole_machine, "more than are online");
    cr_expect(look_for("0-3", "400000 100000\n").whole_machine, "a quota that limits nothing");
    cr_expect(not(look_for("0-2", "max 100000\n").whole_machine));
    cr_expect(not(look_for("0-3", "300000 100000\n").whole_machine));
    tree_write("/sys/devices/system/cpu/online", "nonsense\n");
    cr_expect(not(look_for("0-3", "max 100000\n").whole_machine), "unknown is no");
}

/* Goal: where the affinity cannot be read, the online CPUs stand in, and at the worst one CPU. */
Test(cpus, unknown_affinity)
{
    struct lea_cpuset unknown = {{0}};
    struct lea_cpus cpus;

    lea_cpus_look_for(&cpus, root, &unknown);
    cr_expect(eq(uint, cpus.nr_usable, 4));
    tree_write("/sys/devices/system/cpu/online", "");
    lea_cpus_look_for(&cpus, root, &unknown);
    cr_expect(eq(uint, cpus.nr_usable, 1));
    cr_expect(lea_cpuset_has(&cpus.allowed, 0));
    cr_expect(not(cpus.whole_machine));
}

/*
 * Goal: a narrowed affinity is seen by the next look. Method: the real mask of this thread; needs
 * two CPUs to narrow anything.
 */
Test(cpus, affinity_narrowed_at_run_time)
{
    struct lea_cpuset before, one = {{0}}, after;
    struct lea_cpus cpus;

    cr_assert(eq(int, lea_cpuset_get_affinity(&before), 0));
    lea_cpus_look(&cpus, root);
    cr_expect(eq(uint, cpus.nr_allowed, lea_cpuset_count(&before)));
    lea_cpuset_add(&one, (unsigned)lea_cpuset_next(&before, 0));
    cr_assert(eq(int, lea_cpuset_set_affinity(0, &one), 0));
    cr_assert(eq(int, lea_cpuset_get_affinity(&after), 0));
    cr_expect(eq(int, memcmp(&after, &one, sizeof(one)), 0));
    lea_cpus_look(&cpus, root);
    cr_expect(eq(uint, cpus.nr_allowed, 1));
    cr_expect(eq(uint, cpus.nr_usable, 1));
    cr_expect(eq(uint, lea_cpus_usable(), 1));
    cr_assert(eq(int, lea_cpuset_set_affinity(0, &before), 0));
    lea_cpus_look(&cpus, root);
    cr_expect(eq(uint, cpus.nr_allowed, lea_cpuset_count(&before)));
}

Test(cpus, affinity_to_nothing_is_refused)
{
    struct lea_cpuset none = {{0}};

    cr_expect(eq(int, lea_cpuset_set_affinity(0, &none), -EINVAL));
}

/* Of the calling thread, as it begins. */
static void *begins(void *arg)
{
    struct lea_cpuset *may = arg;

    (void)lea_cpuset_get_affinity(may);
    return NULL;
}

/*
 * Goal: a thread that is to run on one CPU is there from its beginning; where it may not, it runs
 * all the same.
 */
Test(cpus, a_thread_begins_where_it_is_told)
{
    struct lea_cpuset before, may = {{0}};
    pthread_t thread;

    cr_assert(eq(int, lea_cpuset_get_affinity(&before), 0));
    for (int cpu = -1; (cpu = lea_cpuset_next(&before, (unsigned)(cpu + 1))) >= 0;) {
        struct lea_cpuset one = {{0}};

        lea_cpuset_add(&one, (unsigned)cpu);
        cr_assert(eq(int, lea_os_thread_start(&thread, begins, &may, 1 << 17, cpu), 0));
        lea_os_thread_join(thread);
        cr_expect(eq(int, memcmp(&may, &one, sizeof(one)), 0), "CPU %d", cpu);
    }
    cr_assert(eq(int, lea_os_thread_start(&thread, begins, &may, 1 << 17, LEA_CPUSET_MAX - 1), 0));
    lea_os_thread_join(thread);
    cr_expect(eq(int, memcmp(&may, &before, sizeof(may)), 0));
}
