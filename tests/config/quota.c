/*
 * A quota of the real kernel, where this machine lets us set one (root, and a cgroup with a CPU
 * controller). The trees of files that cgroup.c makes up are the thorough test; this one shows that
 * they are like the real ones.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERIOD_US 100000

struct control {
    const char *mount;
    const char *quota_file;
    const char *format; /* of the quota in µs; the period is PERIOD_US by default */
};

static const struct control controls[] = {
    {"/sys/fs/cgroup", "cpu.max", "%d 100000"},
    {"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "%d"},
    {"/sys/fs/cgroup/cpu,cpuacct", "cpu.cfs_quota_us", "%d"},
};

struct group {
    char path[128];
    const struct control *control; /* NULL: none can be made */
};

static bool write_text(const char *dir, const char *file, const char *text)
{
    char path[192];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text);
}

static bool set_quota(const struct group *g, int quota_us)
{
    char text[32];

    snprintf(text, sizeof(text), g->control->format, quota_us);
    return write_text(g->path, g->control->quota_file, text);
}

static struct group make_group(void)
{
    struct group g;

    for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
        g.control = &controls[i];
        snprintf(g.path, sizeof(g.path), "%s/leat-test-%d", controls[i].mount, (int)getpid());
        if (mkdir(g.path, 0755) != 0)
            continue;
        if (set_quota(&g, PERIOD_US))
            return g;
        rmdir(g.path);
    }
    g.control = NULL;
    return g;
}

static int nr_procs_main(void *arg)
{
    (void)arg;
    return (int)leat_nr_procs();
}

/* 100 + processors; 99: the child may not go there. */
static int body(void *arg)
{
    const struct group *g = arg;
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (!write_text(g->path, "cgroup.procs", pid))
        return 99;
    return 100 + leat_run(nr_procs_main, NULL);
}

static int procs_under(struct group *g, int quota_us)
{
    char text[KIT_TEXT_BYTES];
    int status;

    if (!set_quota(g, quota_us))
        return -1;
    status = kit_child(body, g, 30000, text);
    return status < 0 || (status & 0x7f) ? -2 : (status >> 8) - 100;
}

/* The child's end may take the kernel a moment. */
static bool remove_group(const struct group *g)
{
    for (int i = 0; i < 500; i++) {
        if (rmdir(g->path) == 0)
            return true;
        usleep(10000);
    }
    return false;
}

/*
 * Goal: the processors of a process in a cgroup with a quota are that quota, rounded up, and no
 * more than there are without.
 */
Test(quota, of_the_kernel, .timeout = 120)
{
    int without = leat_run(nr_procs_main, NULL), half, one, one_and_a_half;
    struct group g = make_group();
    bool removed;

    if (!g.control)
        cr_skip("no cgroup with a CPU controller can be made here");
    half = procs_under(&g, PERIOD_US / 2);
    one = procs_under(&g, PERIOD_US);
    one_and_a_half = procs_under(&g, PERIOD_US * 3 / 2);
    removed = remove_group(&g);
    cr_expect(removed, "%s stays", g.path);
    if (half == -1)
        cr_skip("no process can be moved to %s", g.path);
    cr_expect(eq(int, half, 1));
    cr_expect(eq(int, one, 1));
    cr_expect(eq(int, one_and_a_half, without < 2 ? without : 2));
}
