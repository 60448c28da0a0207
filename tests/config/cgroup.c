/*
 * The CPU quota of our cgroups, on made-up trees of version 1, version 2 and both.
 */
#include "support/test.h"

#include "base/cgroup.h"

#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V2_MOUNT "30 20 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT                                                                                   \
    "31 20 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define NOISE                                                                                      \
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"                                      \
    "22 21 0:5 / /proc rw - proc proc rw\n"                                                        \
    "32 20 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                            \
    "33 20 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"

static const char *root;

static void setup(void)
{
    root = tree_make();
}

TestSuite(cgroup, .init = setup, .fini = tree_remove, .timeout = 60);

static void place(const char *cgroup, const char *mounts)
{
    tree_write("/proc/self/cgroup", cgroup);
    tree_write("/proc/self/mountinfo", mounts);
}

/* One version 2 cgroup with this cpu.max, and nothing else. */
static unsigned cpus_for_max(const char *max)
{
    place("0::/app\n", NOISE V2_MOUNT);
    tree_write("/sys/fs/cgroup/app/cpu.max", max);
    return lea_cgroup_cpus(root);
}

/* One version 1 cgroup with this quota and period. */
static unsigned cpus_for_cfs(const char *quota, const char *period)
{
    place("3:cpuset:/\n2:cpu,cpuacct:/app\n1:name=systemd:/app\n", NOISE V1_MOUNT);
    tree_write("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", quota);
    tree_write("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", period);
    return lea_cgroup_cpus(root);
}

/* Goal: a quota counts in whole CPUs, rounded up; everything that is no quota counts as none. */
Test(cgroup, v2_values)
{
    cr_expect(eq(uint, cpus_for_max("50000 100000\n"), 1));
    cr_expect(eq(uint, cpus_for_max("100000 100000\n"), 1));
    cr_expect(eq(uint, cpus_for_max("100001 100000\n"), 2));
    cr_expect(eq(uint, cpus_for_max("150000 100000\n"), 2));
    cr_expect(eq(uint, cpus_for_max("12800000 100000\n"), 128));
    cr_expect(eq(uint, cpus_for_max("max 100000\n"), 0));
    cr_expect(eq(uint, cpus_for_max("max\n"), 0));
    cr_expect(eq(uint, cpus_for_max(""), 0));
    cr_expect(eq(uint, cpus_for_max("50000\n"), 0));
    cr_expect(eq(uint, cpus_for_max("50000 0\n"), 0));
    cr_expect(eq(uint, cpus_for_max("0 100000\n"), 0));
    cr_expect(eq(uint, cpus_for_max("-5 100000\n"), 0));
    cr_expect(eq(uint, cpus_for_max("50000 100000x\n"), 0));
    cr_expect(eq(uint, cpus_for_max("99999999999999999999999 100000\n"), 0));
    cr_expect(eq(uint, cpus_for_max("18446744073709551615 1\n"), UINT32_MAX));
}

Test(cgroup, v1_values)
{
    cr_expect(eq(uint, cpus_for_cfs("50000\n", "100000\n"), 1));
    cr_expect(eq(uint, cpus_for_cfs("150000\n", "100000\n"), 2));
    cr_expect(eq(uint, cpus_for_cfs("30000\n", "10000\n"), 3));
    cr_expect(eq(uint, cpus_for_cfs("-1\n", "100000\n"), 0));
    cr_expect(eq(uint, cpus_for_cfs("50000\n", "0\n"), 0));
    cr_expect(eq(uint, cpus_for_cfs("abc\n", "100000\n"), 0));
    cr_expect(eq(uint, cpus_for_cfs("50000\n", ""), 0));
}

Test(cgroup, missing_files_are_no_limit)
{
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "no proc at all");
    tree_write("/proc/self/cgroup", "0::/app\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "no mountinfo");
    tree_write("/proc/self/mountinfo", NOISE V2_MOUNT);
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "no cgroup file system");
    tree_write("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 1), "our directory gone, an ancestor there");
    tree_write("/proc/self/cgroup", "0::/app (deleted)\n");
    tree_write("/sys/fs/cgroup/app/cpu.max", "50000 100000\n");
    tree_write("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 1), "the kernel's mark is not part of the name");
}

/* Goal: every ancestor counts, wherever the tightest one stands. */
Test(cgroup, v2_ancestors)
{
    place("0::/a/b/c\n", NOISE V2_MOUNT);
    tree_write("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    tree_write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    tree_write("/sys/fs/cgroup/a/cpu.max", "600000 100000\n");
    tree_write("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
    tree_write("/sys/fs/cgroup/a/b/other/cpu.max", "100000 100000\n");
    tree_write("/sys/fs/cpu.max", "100000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 6),
              "a grandparent, and no sibling, and nothing above the mount");
    tree_write("/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3), "a parent");
    tree_write("/sys/fs/cgroup/a/b/c/cpu.max", "20000 10000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2), "ours");
    tree_write("/sys/fs/cgroup/cpu.max", "90000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 1), "the mount point itself");
}

Test(cgroup, v1_ancestors)
{
    place("2:cpuacct,cpu:/a/b\n0::/\n", NOISE V1_MOUNT);
    tree_write("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "220000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3));
}

/*
 * Goal: controllers whose names only begin like cpu say nothing, neither where we are nor where to
 * look.
 */
Test(cgroup, v1_controllers_by_whole_name)
{
    place("9:cpu,cpuacct:/right\n8:cpuset:/wrong\n7:cpuacct:/wrong\n6:name=cpu:/wrong\n",
          NOISE V1_MOUNT "35 20 0:33 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/right/cpu.cfs_quota_us", "400000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/right/cpu.cfs_period_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/wrong/cpu.cfs_quota_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/wrong/cpu.cfs_period_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpuset/right/cpu.cfs_quota_us", "200000\n");
    tree_write("/sys/fs/cgroup/cpuset/right/cpu.cfs_period_us", "100000\n");
    tree_write("/sys/fs/cgroup/cpuacct/right/cpu.cfs_quota_us", "300000\n");
    tree_write("/sys/fs/cgroup/cpuacct/right/cpu.cfs_period_us", "100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 4));
}

/* Goal: on a hybrid system each version is read at its own path, and the tighter one decides. */
Test(cgroup, hybrid)
{
    place("2:cpu,cpuacct:/one\n1:name=systemd:/two\n0::/two\n",
          NOISE V1_MOUNT "34 20 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    tree_write("/sys/fs/cgroup/unified/two/cgroup.procs", "1\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0));
    tree_write("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "300000\n");
    tree_write("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us", "100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3));
    tree_write("/sys/fs/cgroup/unified/two/cpu.max", "500000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3));
    tree_write("/sys/fs/cgroup/unified/two/cpu.max", "200000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2));
    tree_write("/sys/fs/cgroup/unified/one/cpu.max", "100000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2), "version 1's path has no meaning in version 2");
}

/*
 * Goal: the mount table is believed: escapes in a mount point, optional fields, an unusual place.
 */
Test(cgroup, mount_point_with_escapes)
{
    place("0::/a:b\n",
          NOISE "30 20 0:27 / /my\\040cg\\134roups\\011x rw shared:1 master:2 - cgroup2 none rw\n");
    tree_write("/my cg\\roups\tx/a:b/cpu.max", "400000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 4));
}

/*
 * Goal: a mount that shows only a part of the hierarchy (a container without a cgroup namespace) is
 * read from there.
 */
Test(cgroup, mount_of_a_subtree)
{
    place("0::/docker/id/in\n",
          NOISE "30 20 0:27 /docker/id /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_write("/sys/fs/cgroup/in/cpu.max", "max 100000\n");
    tree_write("/sys/fs/cgroup/cpu.max", "700000 100000\n");
    tree_write("/sys/fs/cgroup/docker/id/in/cpu.max", "100000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 7));
    tree_write("/proc/self/cgroup", "0::/docker/id\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 7), "the top of the mount is ours");
    tree_write("/proc/self/cgroup", "0::/docker/id2\n");
    tree_write("/sys/fs/cgroup2/cpu.max", "100000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "not below it, though its name begins alike");
    tree_write("/proc/self/cgroup", "0::/docker\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "above it");
    tree_write("/proc/self/cgroup", "0::/docker/id/in\n");
    tree_write("/proc/self/mountinfo",
               "30 20 0:27 /docker/id /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
               "31 20 0:27 / /all\\040of\\040it rw - cgroup2 cgroup2 rw\n");
    tree_write("/all of it/docker/cpu.max", "200000 100000\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2), "a second mount shows more ancestors");
}

/*
 * Goal: paths outside of the cgroup namespace are followed as far as they have names, and no
 * further.
 */
Test(cgroup, outside_of_the_namespace)
{
    tree_write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    tree_write("/sys/fs/cgroup/x/cpu.max", "200000 100000\n");
    place("0::/x\n", "30 20 0:27 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3),
              "our names begin below one that is unknown; the top is an ancestor");
    place("0::/../x\n", "30 20 0:27 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2), "both from the same directory");
    place("0::/../x\n", "30 20 0:27 /../x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 3), "the top is ours");
    place("0::/../x\n", V2_MOUNT);
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "a neighbour's mount");
    place("0::/x\n", "30 20 0:27 /../y /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 0), "a neighbour of the namespace");
}

/* Goal: lines longer than any buffer, and torn ones, neither hide the others nor do harm. */
Test(cgroup, long_and_torn_lines)
{
    size_t size = 40000;
    char *text = calloc(1, size + 1000);

    cr_assert(ne(ptr, text, NULL));
    strcpy(text, "40 20 0:40 / /merged rw - overlay overlay rw,lowerdir=");
    memset(text + strlen(text), 'l', size - 54);
    strcpy(text + size, "\n\n-\n1 2 3\n41 20 0:41 relative cgroup2 rw - cgroup2 cgroup2 rw\n42 20 "
                        "0:42 / /x rw\n" V2_MOUNT);
    place("garbage\n0\n:\n::\n0:cpu\n0::relative\n0::/app", text);
    tree_write("/sys/fs/cgroup/app/cpu.max", "200000 100000");
    cr_expect(eq(uint, lea_cgroup_cpus(root), 2));
    free(text);
}
