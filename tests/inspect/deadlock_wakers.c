/*
 * Who counts as somebody that may yet wake a coroutine, so that there is no deadlock, and who does
 * not. Each run in a child of its own: the report ends the process.
 */
#include "support/test.h"

#include "inspect/deadlock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * --- no deadlock: each source of a wake-up. Each waits ten times as long as it takes to report one
 * ---
 */

#define LATE (300 * LEAT_MSEC)

static void *thread_wakes(void *arg)
{
    (void)arg;
    usleep(LATE / 1000);
    leat_wg_done(&never);
    return NULL;
}

static int thread_main(void *arg)
{
    pthread_t t;

    (void)arg;
    leat_wg_add(&never, 1);
    if (pthread_create(&t, NULL, thread_wakes, NULL))
        return 3;
    waits_never();
    pthread_join(t, NULL);
    return 0;
}

/*
 * Calls on a file that io_uring makes, where there is one: a thread that the kernel begins for them
 * is there for good.
 */
static bool ring_is_used(void)
{
    char path[] = "/tmp/leat-deadlock-XXXXXX";
    int fd = mkstemp(path);
    bool done = fd >= 0 && unlink(path) == 0;

    for (int i = 0; done && i < 5; i++)
        done =
            leat_pwrite(fd, "data", 4, i, LEAT_FOREVER) == 4 && leat_fsync(fd, LEAT_FOREVER) == 0;
    (void)leat_close(fd);
    return done;
}

/* They are not to be taken for the program's, nor the program's for them. */
static int ring_main(void *arg)
{
    return ring_is_used() ? thread_main(arg) : 3;
}

static leat_result nothing(void *arg)
{
    (void)arg;
    return 0;
}

/*
 * Threads of the pool stay for a while: they are not to be taken for the program's, nor the
 * program's for them.
 */
static int pool_main(void *arg)
{
    if (leat_blocking(nothing, NULL, NULL, LEAT_FOREVER))
        return 3;
    return thread_main(arg);
}

static void sleeps(void)
{
    (void)leat_sleep(LATE);
    leat_wg_done(&never);
}

static void computes(void)
{
    kit_burn(LATE);
    leat_wg_done(&never);
}

static void blocks(void)
{
    usleep(LATE / 1000);
    leat_wg_done(&never);
}

static int fds[2];

static void reads(void)
{
    char b;

    if (leat_read(fds[0], &b, 1, LEAT_FOREVER) == 1)
        leat_wg_done(&never);
}

/* From another process. */
static int reads_main(void *arg)
{
    pid_t child;

    (void)arg;
    if (leat_pipe(fds) < 0)
        return 3;
    child = fork();
    if (child == 0) {
        usleep(LATE / 1000);
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
    }
    leat_wg_add(&never, 1);
    (void)go(reads);
    waits_never();
    waitpid(child, NULL, 0);
    return 0;
}

static void selects_to_read(void)
{
    leat_case c[] = {leat_case_event(NULL), leat_case_fd(fds[0], LEAT_POLLIN)};

    if (leat_select(c, 2, LEAT_FOREVER) == 1)
        leat_wg_done(&never);
}

static int selects_to_read_main(void *arg)
{
    pid_t child;

    (void)arg;
    if (leat_pipe(fds) < 0)
        return 3;
    child = fork();
    if (child == 0) {
        usleep(LATE / 1000);
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
    }
    leat_wg_add(&never, 1);
    (void)go(selects_to_read);
    waits_never();
    waitpid(child, NULL, 0);
    return 0;
}

static int selects_timer_main(void *arg)
{
    leat_timer timer = {0};
    leat_event event = {0};
    leat_case c[] = {leat_case_event(&event), leat_case_timer(&timer)};

    (void)arg;
    (void)leat_timer_start(&timer, leat_after(LATE));
    return leat_select(c, 2, LEAT_FOREVER) == 1 ? 0 : 3;
}

static void signalled(int fd)
{
    if (leat_signal_wait(fd, LEAT_FOREVER) == SIGUSR2)
        leat_wg_done(&never);
}

static int signal_main(void *arg)
{
    int fd = leat_signal_open(LEAT_SIG(SIGUSR2));
    pid_t child, self = getpid();

    (void)arg;
    if (fd < 0)
        return 3;
    child = fork();
    if (child == 0) {
        usleep(LATE / 1000);
        _exit(kill(self, SIGUSR2));
    }
    leat_wg_add(&never, 1);
    (void)go(signalled, fd);
    waits_never();
    waitpid(child, NULL, 0);
    return 0;
}

static int deadline_main(void *arg)
{
    (void)arg;
    leat_wg_add(&never, 1);
    return leat_wg_wait(&never, leat_after(LATE)) == -ETIMEDOUT ? 0 : 3;
}

static int other_main(void *arg)
{
    void (*fn)(void) = *(void (**)(void))arg;

    leat_wg_add(&never, 1);
    (void)go(fn);
    waits_never();
    return 0;
}

static void (*other_fn)(void);

static int other_body(void *arg)
{
    leat_config config = config_of(2);

    (void)arg;
    return leat_run_with(&config, other_main, &other_fn);
}

static int ends_main(void *arg)
{
    (void)arg;
    leat_wg_add(&never, 1);
    (void)go(waits_never);
    (void)leat_sleep(LATE);
    return 0;
}

static void expect_none(int (*body)(void *), void *arg, const char *what)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(body, arg, 30000, text);

    cr_expect(kit_exited(status, 0), "%s: status %d: %s", what, status, text);
    cr_expect(eq(uint, kit_occurs(text, "deadlock"), 0), "%s: %s", what, text);
}

/* Goal: no false alarm. */
Test(deadlock_wakers, whoever_can_be_woken_is_not_reported, .timeout = 120)
{
    static const struct {
        int (*main)(void *);
        const char *what;
    } runs[] = {{thread_main, "a thread"},
                {pool_main, "a thread, beside one of the pool"},
                {ring_main, "a thread, beside one of the kernel's"},
                {reads_main, "a descriptor"},
                {selects_to_read_main, "a select of a descriptor"},
                {selects_timer_main, "a select of a timer"},
                {signal_main, "a signal"},
                {deadline_main, "a deadline"},
                {ends_main, "the run's end"}};
    static const struct {
        void (*fn)(void);
        const char *what;
    } others[] = {{sleeps, "a sleeper"}, {computes, "a busy worker"}, {blocks, "a blocked worker"}};

    for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        struct stuck s = {.procs = 2, .main = runs[i].main};

        if (KIT_TSAN &&
            (runs[i].main == thread_main || runs[i].main == pool_main || runs[i].main == ring_main))
            continue; /* threads_stay_out would be a lie */
        expect_none(stuck_body, &s, runs[i].what);
    }
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        other_fn = others[i].fn;
        expect_none(other_body, NULL, others[i].what);
    }
}

static int pool_stuck_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) { /* a busy machine may need long for it: once more */
        int64_t since;

        leat_wg_add(&never, 1);
        if (leat_blocking(nothing, NULL, NULL, LEAT_FOREVER))
            return 3;
        since = leat_now();
        waits_never();
        if (leat_now() - since < 4 * LEAT_SEC) /* a thread of the pool leaves after 5 s */
            return 7;
    }
    return 4;
}

/* Goal: a thread of the pool that has nothing to do does not put the report off until it leaves. */
Test(deadlock_wakers, idle_threads_of_the_pool_do_not_count, .timeout = 60)
{
    struct stuck s = {.procs = 2,
                      .main = pool_stuck_main,
                      .reports = kit_shared(sizeof(atomic_ulong)),
                      .calls_back = true};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);

    cr_expect(kit_exited(status, 7), "status %d: %s", status, text);
}

static int ring_stuck_main(void *arg)
{
    (void)arg;
    if (!ring_is_used())
        return 3;
    leat_wg_add(&never, 1);
    waits_never();
    return 4;
}

/* Goal: nor do those that the kernel has made to serve io_uring, one of which stays. */
Test(deadlock_wakers, threads_of_the_kernel_do_not_count, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        struct stuck s = {.procs = procs, .main = ring_stuck_main};
        char text[KIT_TEXT_BYTES];
        int status = kit_child(stuck_body, &s, 30000, text);

        cr_expect(kit_exited(status, 2), "%u processors: status %#x: %s", procs, (unsigned)status,
                  text);
    }
}

static void ends_bound(void)
{
    if (leat_lock_thread() == 0)
        usleep(LATE / 1000);
}

static int bound_ends_main(void *arg)
{
    (void)arg;
    leat_wg_add(&never, 1);
    (void)go(ends_bound);
    waits_never();
    return 0;
}

/*
 * Goal: the last coroutine that might have helped takes its thread along, without a turn of
 * anybody's: found all the same.
 */
Test(deadlock_wakers, after_the_last_one_has_ended_on_its_own_thread, .timeout = 60)
{
    struct stuck s = {.procs = 2, .main = bound_ends_main};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
}

static void *thread_ends(void *arg)
{
    (void)arg;
    usleep(LATE / 1000);
    return NULL;
}

static int thread_ends_main(void *arg)
{
    pthread_t t;

    (void)arg;
    leat_wg_add(&never, 1);
    if (pthread_create(&t, NULL, thread_ends, NULL))
        return 3;
    pthread_detach(t);
    waits_never();
    return 0;
}

/* Goal: a thread that might have helped, and ends without: found some time afterwards. */
Test(deadlock_wakers, after_the_last_thread_has_ended, .timeout = 60)
{
    struct stuck s = {.procs = 2, .main = thread_ends_main};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
}
