/*
 * See kit.h.
 */
#define _GNU_SOURCE
#include "sched/kit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const unsigned kit_procs[KIT_NR_PROCS] = {1, 2, 4, 64};

int kit_run(unsigned procs, int (*fn)(void *), void *arg)
{
    /* the grace ends with the last coroutine, however long a busy machine takes for that */
    leat_config config = {.procs = procs, .shutdown_grace_ms = KIT_LONG / LEAT_MSEC};

    return leat_run_with(&config, fn, arg);
}

int kit_run_alone(int (*fn)(void *), void *arg)
{
    leat_config config = {.procs = 1,
                          .retake_us = -1,
                          .slice_us = 10000000,
                          .shutdown_grace_ms = KIT_LONG / LEAT_MSEC};

    return leat_run_with(&config, fn, arg);
}

bool kit_reach(atomic_ulong *count, unsigned long goal, int64_t span_ns)
{
    int64_t until = leat_now() + span_ns;

    while (atomic_load(count) < goal) {
        if (leat_now() > until)
            return false;
        if (leat_sleep(500 * LEAT_USEC) < 0)
            return atomic_load(count) >= goal;
    }
    return true;
}

void kit_no_chaos(void)
{
    unsetenv("LEAT_CHAOS");
}

void kit_burn(int64_t span_ns)
{
    struct timespec t;
    int64_t until = 0, now;

    do {
        clock_gettime(CLOCK_MONOTONIC, &t);
        now = t.tv_sec * LEAT_SEC + t.tv_nsec;
        if (!until)
            until = now + span_ns;
    } while (now < until);
}

uint64_t kit_random(uint64_t *state)
{
    uint64_t x = *state ? *state : UINT64_C(0x9e3779b97f4a7c15);

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static long entries(const char *path)
{
    DIR *dir = opendir(path);
    long n = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static long lines(const char *path)
{
    FILE *f = fopen(path, "re");
    long n = 0;
    int c;

    if (!f)
        return -1;
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static long status_field(const char *field)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long value = -1;

    if (!f)
        return -1;
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, field, strlen(field)))
            value = atol(line + strlen(field));
    fclose(f);
    return value;
}

static void task_name(const char *task, char name[16])
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task);
    f = fopen(path, "re");
    name[0] = '\0';
    if (f && !fgets(name, 16, f))
        name[0] = '\0';
    if (f)
        fclose(f);
}

/*
 * The first thread, and those with names of their own: leat's have one, the one or two of
 * ThreadSanitizer's do not.
 */
static long named_tasks(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    char first[16], name[16];
    long n = 1;

    if (!dir)
        return -1;
    snprintf(name, sizeof(name), "%d", (int)getpid());
    task_name(name, first);
    while ((e = readdir(dir))) {
        task_name(e->d_name, name);
        n += e->d_name[0] != '.' && name[0] && strcmp(name, first) != 0;
    }
    closedir(dir);
    return n;
}

struct kit_census kit_census_take(void)
{
    struct kit_census c;

    c.fds = entries("/proc/self/fd") - 1; /* the directory itself */
    c.tasks = KIT_TSAN ? named_tasks() : entries("/proc/self/task");
    c.maps = lines("/proc/self/maps");
    c.vm_kib = status_field("VmSize:");
    c.rss_kib = status_field("VmRSS:");
    return c;
}

struct kit_census kit_census_settled(long tasks)
{
    struct kit_census c = kit_census_take();

    for (int i = 0; c.tasks > tasks && i < 500; i++) {
        usleep(10000);
        c = kit_census_take();
    }
    return c;
}

void *kit_shared(size_t bytes)
{
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (m == MAP_FAILED)
        abort();
    return m;
}

struct kit_child kit_child_begin(int (*body)(void *), void *arg)
{
    struct kit_child c = {.err_fd = memfd_create("stderr", MFD_CLOEXEC)};
    struct rlimit none = {0, 0};

    if (c.err_fd < 0)
        abort();
    fflush(NULL);
    c.pid = fork();
    if (c.pid < 0)
        abort();
    if (c.pid > 0)
        return c;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL); /* the runners and the sanitizers have handlers of their own */
    signal(SIGBUS, SIG_DFL);
    dup2(c.err_fd, 2);
    _exit(body(arg));
}

int kit_child_end(struct kit_child *child, int timeout_ms, char text[KIT_TEXT_BYTES])
{
    int64_t until = leat_now() + KIT_PATIENCE * timeout_ms * LEAT_MSEC;
    int status = -1;
    ssize_t n;
    pid_t got;

    while ((got = waitpid(child->pid, &status, WNOHANG)) == 0 && leat_now() < until)
        usleep(2000);
    if (got == 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &status, 0);
        status = -1;
    }
    n = pread(child->err_fd, text, KIT_TEXT_BYTES - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(child->err_fd);
    if (strstr(text, "Sanitizer"))
        fputs(text, stderr);
    return status;
}

int kit_child(int (*body)(void *), void *arg, int timeout_ms, char text[KIT_TEXT_BYTES])
{
    struct kit_child c = kit_child_begin(body, arg);

    return kit_child_end(&c, timeout_ms, text);
}

bool kit_exited(int status, int code)
{
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

unsigned kit_occurs(const char *text, const char *words)
{
    unsigned n = 0;

    while ((text = strstr(text, words))) {
        text += strlen(words);
        n++;
    }
    return n;
}

unsigned kit_said(const char *words)
{
    char text[KIT_TEXT_BYTES];
    ssize_t n = pread(2, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return kit_occurs(text, words);
}
