/*
 * support/plain.c - a test runner that needs nothing but fork: for ThreadSanitizer and qemu-user,
 * where Criterion cannot start.
 *
 * Each test runs in a child of its own, which the runner kills when its time is up. One line per
 * test, in the order of the files, and a closing line that counts. A failed check exits the child,
 * so it must be on the thread that runs the test.
 *
 *   program [--list] [--filter SUITE[/NAME]] [--skip SUITE/NAME] [--no-fork] [--timeout SECONDS]
 *   [--patience N] [--jobs N]
 *
 * --skip may be given several times; --patience multiplies all times, for slow machines; --jobs
 * runs so many tests at once.
 */
#include "support/test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FAILED = 101, EXIT_SKIPPED = 102, DEFAULT_TIMEOUT = 60, MAX_JOBS = 8, MAX_SKIPS = 16 };

struct job {
    const struct lt_test *test;
    double start;
    pid_t pid;
};

static struct {
    struct lt_test *first;
    struct lt_test **last;
    bool failed;      /* in the child: a check was false */
    char values[512]; /* in the child: what the latest false comparison saw */
    const char *filter;
    const char *skip[MAX_SKIPS];
    int nr_skips;
    double timeout, patience;
    bool no_fork;
    struct job job[MAX_JOBS]; /* running: [0, nr_jobs) */
    int nr_jobs, max_jobs;
    int nr_passed, nr_failed, nr_skipped;
} runner = {.last = &runner.first, .timeout = DEFAULT_TIMEOUT, .patience = 1, .max_jobs = 1};

void lt_register(struct lt_test *test)
{
    if (!runner.last)
        runner.last = &runner.first;
    *runner.last = test;
    runner.last = &test->next;
}

void lt_check(bool ok, bool fatal, const char *file, int line, const char *text, const char *fmt,
              ...)
{
    if (ok) {
        runner.values[0] = '\0';
        return;
    }
    fmt++; /* the "x" of the macros */
    fprintf(stderr, "%s:%d: %s", file, line, text ? text : "failed");
    if (runner.values[0])
        fprintf(stderr, "  [%s]", runner.values);
    if (fmt[0]) {
        va_list args;

        fputs("  ", stderr);
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);
    }
    fputc('\n', stderr);
    runner.values[0] = '\0';
    runner.failed = true;
    if (fatal)
        exit(EXIT_FAILED);
}

void lt_skip(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: skipped: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt + 1, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_SKIPPED);
}

#define LT_RESULT(op, a, b)                                                                        \
    ((op) == LT_EQ   ? (a) == (b)                                                                  \
     : (op) == LT_NE ? (a) != (b)                                                                  \
     : (op) == LT_LT ? (a) < (b)                                                                   \
     : (op) == LT_LE ? (a) <= (b)                                                                  \
     : (op) == LT_GT ? (a) > (b)                                                                   \
                     : (a) >= (b))
#define LT_REMEMBER(...) snprintf(runner.values, sizeof(runner.values), __VA_ARGS__)

bool lt_cmp_signed(enum lt_op op, intmax_t actual, intmax_t expected)
{
    LT_REMEMBER("%jd, %jd", actual, expected);
    return LT_RESULT(op, actual, expected);
}

bool lt_cmp_unsigned(enum lt_op op, uintmax_t actual, uintmax_t expected)
{
    LT_REMEMBER("%ju, %ju", actual, expected);
    return LT_RESULT(op, actual, expected);
}

bool lt_cmp_double(enum lt_op op, double actual, double expected)
{
    LT_REMEMBER("%.17g, %.17g", actual, expected);
    return op == LT_EQ   ? !(actual < expected) && !(actual > expected)
           : op == LT_NE ? actual < expected || actual > expected
                         : LT_RESULT(op, actual, expected);
}

bool lt_cmp_ptr(enum lt_op op, const volatile void *actual, const volatile void *expected)
{
    uintptr_t a = (uintptr_t)actual, b = (uintptr_t)expected;

    LT_REMEMBER("%#jx, %#jx", (uintmax_t)a, (uintmax_t)b);
    return LT_RESULT(op, a, b);
}

bool lt_cmp_str(enum lt_op op, const char *actual, const char *expected)
{
    int order;

    LT_REMEMBER("\"%.200s\", \"%.200s\"", actual ? actual : "(null)",
                expected ? expected : "(null)");
    if (!actual || !expected)
        return op == LT_EQ ? actual == expected : op == LT_NE && actual != expected;
    order = strcmp(actual, expected);
    return LT_RESULT(op, order, 0);
}

/* The values of its suite for what the test leaves open. */
static struct lt_data test_data(const struct lt_test *test)
{
    struct lt_data data = test->data;

    for (const struct lt_test *suite = runner.first; suite; suite = suite->next) {
        if (suite->name || strcmp(suite->suite, test->suite) != 0)
            continue;
        if (data.timeout <= 0)
            data.timeout = suite->data.timeout;
        if (!data.signal)
            data.signal = suite->data.signal;
        if (!data.exit_code)
            data.exit_code = suite->data.exit_code;
        if (!data.init)
            data.init = suite->data.init;
        if (!data.fini)
            data.fini = suite->data.fini;
        data.disabled |= suite->data.disabled;
    }
    if (data.timeout <= 0 || data.timeout > runner.timeout)
        data.timeout = runner.timeout;
    data.timeout *= runner.patience;
    return data;
}

static void test_body(const struct lt_test *test, const struct lt_data *data)
{
    if (data->init)
        data->init();
    test->run();
    if (data->fini)
        data->fini();
}

static double seconds_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void verdict(const struct lt_test *test, const char *word, int *count, double seconds,
                    const char *why)
{
    ++*count;
    printf("[%s] %s/%s (%.3f s)%s\n", word, test->suite, test->name, seconds, why);
    fflush(stdout);
}

static void judge(const struct lt_test *test, const struct lt_data *data, int status,
                  double seconds)
{
    char why[96] = "";
    bool ok;

    if (status == -1) {
        snprintf(why, sizeof(why), ": no end within %.1f s", data->timeout);
        ok = false;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
        verdict(test, "SKIP", &runner.nr_skipped, seconds, "");
        return;
    } else if (WIFSIGNALED(status)) {
        snprintf(why, sizeof(why), ": died by signal %d", WTERMSIG(status));
        ok = WTERMSIG(status) == data->signal;
    } else {
        snprintf(why, sizeof(why), ": exit status %d%s", WEXITSTATUS(status),
                 data->signal ? ", expected a signal" : "");
        ok = WEXITSTATUS(status) == data->exit_code && !data->signal;
    }
    verdict(test, ok ? "PASS" : "FAIL", ok ? &runner.nr_passed : &runner.nr_failed, seconds,
            ok ? "" : why);
}

/* Waits until one of the jobs has ended, or its time was up, and judges it. */
static void job_await(void)
{
    struct timespec pause = {.tv_nsec = 200000};

    for (;;) {
        for (int i = 0; i < runner.nr_jobs; i++) {
            struct job j = runner.job[i];
            struct lt_data data = test_data(j.test);
            int status = -1;
            pid_t got = waitpid(j.pid, &status, WNOHANG);

            if (got == 0 && seconds_now() > j.start + data.timeout) {
                kill(-j.pid, SIGKILL);
                kill(j.pid, SIGKILL);
                waitpid(j.pid, &status, 0);
                status = -1;
            } else if (got == 0 || (got < 0 && errno == EINTR)) {
                continue;
            }
            runner.job[i] = runner.job[--runner.nr_jobs];
            judge(j.test, &data, status, seconds_now() - j.start);
            return;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 10000000)
            pause.tv_nsec *= 2;
    }
}

/*
 * Memcheck cannot extend the first thread's stack for a signal's frame once it knows of others: so
 * that there is enough of it.
 */
static void stack_extend(void)
{
    volatile char room[256 << 10];

    for (size_t i = 0; i < sizeof(room); i += 1024)
        room[i] = 0;
}

static void run_test(const struct lt_test *test)
{
    struct lt_data data = test_data(test);
    struct job *j = &runner.job[runner.nr_jobs];

    if (data.disabled) {
        verdict(test, "SKIP", &runner.nr_skipped, 0, ": disabled");
        return;
    }
    fflush(NULL);
    *j = (struct job){.test = test, .start = seconds_now()};
    if (runner.no_fork) {
        runner.failed = false;
        test_body(test, &data);
        judge(test, &data, (runner.failed ? EXIT_FAILED : 0) << 8, seconds_now() - j->start);
        return;
    }
    j->pid = fork();
    if (j->pid == 0) {
        setpgid(0, 0);
        stack_extend();
        test_body(test, &data);
        exit(runner.failed ? EXIT_FAILED : 0);
    }
    if (j->pid < 0) {
        verdict(test, "FAIL", &runner.nr_failed, 0, ": fork failed");
        return;
    }
    if (++runner.nr_jobs == runner.max_jobs)
        job_await();
}

static bool skipped(const struct lt_test *test)
{
    char name[256];

    snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
    for (int i = 0; i < runner.nr_skips; i++)
        if (!strcmp(runner.skip[i], name))
            return true;
    return false;
}

static bool selected(const struct lt_test *test)
{
    size_t len;

    if (!test->name || skipped(test))
        return false;
    if (!runner.filter)
        return true;
    len = strlen(test->suite);
    if (strncmp(runner.filter, test->suite, len) != 0)
        return false;
    return !runner.filter[len] ||
           (runner.filter[len] == '/' && !strcmp(runner.filter + len + 1, test->name));
}

int main(int argc, char **argv)
{
    bool list = false;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--list"))
            list = true;
        else if (!strcmp(argv[i], "--no-fork"))
            runner.no_fork = true;
        else if (!strcmp(argv[i], "--filter") && i + 1 < argc)
            runner.filter = argv[++i];
        else if (!strcmp(argv[i], "--timeout") && i + 1 < argc)
            runner.timeout = atof(argv[++i]);
        else if (!strcmp(argv[i], "--patience") && i + 1 < argc)
            runner.patience = atof(argv[++i]);
        else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
            runner.max_jobs = atoi(argv[++i]) < 2        ? 1
                              : atoi(argv[i]) < MAX_JOBS ? atoi(argv[i])
                                                         : MAX_JOBS;
        else if (!strcmp(argv[i], "--skip") && i + 1 < argc && runner.nr_skips < MAX_SKIPS)
            runner.skip[runner.nr_skips++] = argv[++i];
        else {
            fprintf(stderr,
                    "usage: %s [--list] [--filter SUITE[/NAME]] [--skip SUITE/NAME] [--no-fork] "
                    "[--timeout SECONDS] [--patience N] [--jobs N]\n",
                    argv[0]);
            return 2;
        }
    }
    for (const struct lt_test *test = runner.first; test; test = test->next) {
        if (!selected(test))
            continue;
        if (list)
            printf("%s/%s\n", test->suite, test->name);
        else
            run_test(test);
    }
    while (runner.nr_jobs)
        job_await();
    if (list)
        return 0;
    printf("%d passed, %d failed", runner.nr_passed, runner.nr_failed);
    if (runner.nr_skipped)
        printf(", %d skipped", runner.nr_skipped);
    printf("\n");
    return runner.nr_failed || !(runner.nr_passed + runner.nr_skipped);
}
