/*
 * Signals as events: to a waiting coroutine, kept in between, to several descriptors; handlers come
 * back; no handler touches a number that is somebody else's by now.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* To the process: whichever thread gets it, also under ThreadSanitizer (base/os_tsan.h). */
static void send_self(int signo)
{
    kill(getpid(), signo);
}

static int wait_one(int fd)
{
    return leat_signal_wait(fd, leat_after(60 * LEAT_SEC));
}

static int body_wait(void *arg)
{
    int spare = kit_spare(), fd = leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT)),
        other = leat_signal_open(LEAT_SIG(SIGINT));
    leat_handle *w;

    (void)arg;
    OK(fd >= 0 && other >= 0);
    close(spare);
    WANT(leat_adopt(fd), -EINVAL); /* its handlers would never be given back */
    WANT(leat_signal_wait(fd, LEAT_AT_ONCE), -ETIMEDOUT);
    SPAWN_WAITER(w, wait_one, fd);
    WANT(leat_signal_wait(fd, LEAT_FOREVER), -EBUSY);
    send_self(SIGTERM);
    WANT(kit_join(w), SIGTERM);
    /*
     * both see it; several are kept once each. By raise(): all of them have been handled when it
     * returns
     */
    for (int i = 0; i < 3; i++) {
        raise(SIGINT);
        raise(SIGTERM);
    }
    WANT(leat_signal_wait(fd, LEAT_AT_ONCE), SIGINT);
    WANT(leat_signal_wait(fd, LEAT_AT_ONCE), SIGTERM);
    WANT(leat_signal_wait(fd, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_signal_wait(other, LEAT_AT_ONCE), SIGINT);
    WANT(leat_signal_wait(other, LEAT_AT_ONCE), -ETIMEDOUT);
    SPAWN_WAITER(w, wait_one, fd);
    leat_cancel(w);
    WANT(kit_join(w), -ECANCELED);
    WANT(leat_close(fd), 0);
    WANT(leat_signal_wait(fd, LEAT_AT_ONCE), -EBADF);
    send_self(SIGINT); /* still ours */
    WANT(leat_signal_wait(other, leat_after(20 * LEAT_SEC)), SIGINT);
    WANT(leat_close(other), 0);
    return 0;
}

Test(io_signal, a_coroutine_waits, .timeout = 20)
{
    kit_run_all(body_wait);
}

static int body_refused(void *arg)
{
    int fd[64], n = 0, pipes[2], r;

    (void)arg;
    WANT(leat_signal_open(0), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGKILL)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGUSR1) | LEAT_SIG(SIGSTOP)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGSEGV)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGBUS)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGFPE)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGILL)), -EINVAL);
    WANT(leat_signal_open(LEAT_SIG(SIGUSR1) | LEAT_SIG(32)), -EINVAL); /* libc's own */
    WANT(leat_pipe(pipes), 0);
    WANT(leat_signal_wait(pipes[0], LEAT_AT_ONCE), -EINVAL);
    leat_close(pipes[0]);
    leat_close(pipes[1]);
    while (n < 64 && (fd[n] = leat_signal_open(LEAT_SIG(SIGUSR1))) >= 0)
        n++;
    WANT(n, 64);
    r = leat_signal_open(LEAT_SIG(SIGUSR1));
    WANT(r, -EMFILE);
    send_self(SIGUSR1);
    for (int i = 0; i < n; i++)
        WANT(leat_signal_wait(fd[i], leat_after(20 * LEAT_SEC)), SIGUSR1);
    for (int i = 0; i < n; i++)
        WANT(leat_close(fd[i]), 0);
    return 0;
}

Test(io_signal, what_is_refused, .timeout = 20)
{
    int before = kit_nr_fds();

    kit_run(1, body_refused, NULL);
    kit_run(2, body_refused, NULL);
    cr_expect(eq(int, kit_nr_fds(), before));
}

/* --- handlers come back --- */

static atomic_int seen_by_mine;

static void mine(int signo)
{
    (void)signo;
    atomic_fetch_add(&seen_by_mine, 1);
}

static int body_handlers(void *arg)
{
    int fd = leat_signal_open(LEAT_SIG(SIGUSR1)), left;

    (void)arg;
    raise(SIGUSR1);
    WANT(leat_signal_wait(fd, leat_after(20 * LEAT_SEC)), SIGUSR1);
    WANT(atomic_load(&seen_by_mine), 0);
    WANT(leat_close(fd), 0);
    raise(SIGUSR1);
    WANT(atomic_load(&seen_by_mine), 1);
    left = leat_signal_open(LEAT_SIG(SIGUSR1));
    OK(left >= 0);
    raise(SIGUSR1);
    WANT(atomic_load(&seen_by_mine), 1);
    return 0; /* the end of the run gives the handler back */
}

Test(io_signal, handlers_come_back, .timeout = 20)
{
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        int before = kit_nr_fds();

        signal(SIGUSR1, mine);
        atomic_store(&seen_by_mine, 0);
        kit_run(procs, body_handlers, NULL);
        raise(SIGUSR1);
        cr_expect(eq(int, atomic_load(&seen_by_mine), 2));
        cr_expect(eq(int, kit_nr_fds(), before));
    }
}

static int body_own_handler(void *arg)
{
    int fd = leat_signal_open(LEAT_SIG(SIGUSR1));

    (void)arg;
    signal(SIGUSR1, mine); /* the program changes its mind: that stays */
    WANT(leat_close(fd), 0);
    raise(SIGUSR1);
    WANT(atomic_load(&seen_by_mine), 1);
    return 0;
}

Test(io_signal, a_later_handler_stays, .timeout = 20)
{
    kit_run(2, body_own_handler, NULL);
}

/* --- a forked child --- */

static int body_fork(void *arg)
{
    int fd = leat_signal_open(LEAT_SIG(SIGUSR1)), status = 0;
    pid_t child = fork();

    (void)arg;
    if (child == 0) {
        raise(SIGUSR1);
        _exit(7);
    }
    OK(child > 0);
    OK(waitpid(child, &status, 0) == child);
    WANT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
    WANT(leat_signal_wait(fd, leat_after(5 * MS)), -ETIMEDOUT); /* it was the child's, not ours */
    WANT(leat_close(fd), 0);
    return 0;
}

Test(io_signal, a_childs_signal_is_not_ours, .timeout = 20)
{
    kit_run(1, body_fork, NULL);
}

/* --- the race between a handler and closing --- */

/* --- a run ends while a plain thread opens --- */

static atomic_bool opener_over;
static atomic_uint refusals;

static void *opener(void *arg)
{
    (void)arg;
    while (!atomic_load(&opener_over)) {
        int fd = leat_signal_open(LEAT_SIG(SIGUSR2));

        if (fd >= 0)
            leat_close(fd); /* the run's end may have closed it */
        else
            atomic_fetch_add(&refusals, 1);
    }
    return NULL;
}

static int short_main(void *arg)
{
    uint64_t *random = arg;

    leat_sleep((int64_t)(kit_random(random) % 300) * LEAT_USEC);
    return 0;
}

/*
 * Goal: after a run no handler of ours is left, though a plain thread was just opening; and what
 * such a descriptor had for a number is left alone by later signals.
 */
Test(io_signal, an_opening_at_the_end_leaves_nothing, .timeout = 60)
{
    int64_t end = leat_now() + (KIT_SANITIZED ? 2000 : 1000) * MS;
    uint64_t random = 4711;
    pthread_t thread;
    int fds;

    signal(SIGUSR2, mine);
    atomic_store(&opener_over, false);
    fds = kit_nr_fds();
    pthread_create(&thread, NULL, opener, NULL);
    for (unsigned n = 0; leat_now() < end; n++) {
        struct sigaction now;
        unsigned seen;

        kit_run(2, short_main, &random);
        seen = atomic_load(&refusals);
        while (atomic_load(&refusals) - seen <
               2) /* it is outside, or in a call that came after the run */
            sched_yield();
        sigaction(SIGUSR2, NULL, &now);
        cr_assert(now.sa_handler == mine, "a handler is left after run %u", n);
    }
    atomic_store(&opener_over, true);
    pthread_join(thread, NULL);
    cr_expect(eq(int, kit_nr_fds(), fds));
}

static atomic_bool storm_over;
static pthread_t target[2];

static void *idle_thread(void *arg)
{
    (void)arg;
    while (!atomic_load(&storm_over))
        sched_yield();
    return NULL;
}

static void *storm_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&storm_over); i++) {
        pthread_kill(target[i & 1], SIGUSR1);
        if (i % 64 == 0)
            usleep(50);
    }
    return NULL;
}

static int body_storm(void *arg)
{
    int64_t now = leat_now(), end = now + (KIT_SANITIZED ? 1000 : 600) * MS,
            latest = now + 20 * LEAT_SEC;
    unsigned rounds = 0, caught = 0, reused = 0;

    (void)arg;
    for (; now < end || ((rounds <= 50 || caught <= 10 || reused <= 10) && now < latest);
         now = leat_now()) {
        int fd = leat_signal_open(LEAT_SIG(SIGUSR1)), ends[2];
        char buf[64];

        if (rounds % 2) {
            int r = leat_signal_wait(fd, leat_after(50 * MS));

            caught += r == SIGUSR1;
        }
        leat_close(fd);
        WANT(leat_pipe(ends), 0);
        /* free at once, unless a handler was just writing to it */
        reused += ends[0] == fd || ends[1] == fd;
        /* the eventfd's number is a pipe's now: nobody may have written to it */
        WANT(leat_read(ends[0], buf, sizeof(buf),
                       rounds % 8 == 0 ? leat_after(MS / 5) : LEAT_AT_ONCE),
             -ETIMEDOUT);
        leat_close(ends[1]);
        leat_close(ends[0]);
        rounds++;
    }
    OK(rounds > 50);
    OK(caught > 10);
    OK(reused > 10);
    return 0;
}

/*
 * Goal: fault 17. Method: threads that the runtime does not know take a storm of signals while
 * descriptors are opened and closed.
 */
Test(io_signal, handlers_leave_reused_numbers_alone, .timeout = 60)
{
    pthread_t storm;

    signal(SIGUSR1, mine);
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        atomic_store(&storm_over, false);
        pthread_create(&target[0], NULL, idle_thread, NULL);
        pthread_create(&target[1], NULL, idle_thread, NULL);
        pthread_create(&storm, NULL, storm_thread, NULL);
        kit_run(procs, body_storm, NULL);
        atomic_store(&storm_over, true);
        pthread_join(storm, NULL);
        pthread_join(target[0], NULL);
        pthread_join(target[1], NULL);
    }
}

/* --- as values of a channel --- */

static int take(leat_signal_chan ch, int64_t span_ns)
{
    int signo = 0, r = leat_chan_get(ch, &signo, span_ns ? leat_after(span_ns) : LEAT_AT_ONCE);

    return r < 0 ? r : signo;
}

/*
 * Room for one: the others are kept, each once, and whatever came and was not taken is told at the
 * end.
 */
static int body_notify(void *arg)
{
    uint64_t all = LEAT_SIG(SIGUSR1) | LEAT_SIG(SIGUSR2) | LEAT_SIG(SIGTERM), seen = 0;
    leat_notify *n = NULL, *other = NULL;
    leat_signal_chan ch, wide;

    (void)arg;
    if (!OK(leat_chan_new(&ch, 1) == 0 && leat_chan_new(&wide, 16) == 0))
        return 0;
    WANT(leat_signal_notify(NULL, ch, all), -EINVAL);
    WANT(leat_signal_notify(&n, (leat_signal_chan){0}, all), -EINVAL);
    WANT(leat_signal_notify(&n, ch, LEAT_SIG(SIGKILL)), -EINVAL);
    WANT(leat_signal_stop(NULL), 0);
    WANT(leat_signal_notify(&n, ch, all), 0);
    WANT(leat_signal_notify(&other, wide, LEAT_SIG(SIGUSR1)), 0);
    for (int round = 0; round < 3; round++) {
        raise(SIGUSR1);
        raise(SIGUSR2);
        raise(SIGTERM);
    }
    /* each at least once; how often each came before it was taken is not known */
    while (seen != all && OK(true)) {
        int signo = take(ch, 60 * LEAT_SEC);

        if (!OK(signo > 0))
            return 0;
        seen |= LEAT_SIG(signo);
    }
    WANT(take(wide, 60 * LEAT_SEC), SIGUSR1);
    WANT(leat_signal_stop(other) & ~LEAT_SIG(SIGUSR1), 0);
    (void)leat_signal_stop(n);
    while (take(ch, 0) > 0)
        ;
    while (take(wide, 0) > 0)
        ;

    /* stopped while the channel is full: two that came, one that is in the channel */
    WANT(leat_signal_notify(&n, ch, all), 0);
    raise(SIGTERM);
    while (leat_chan_len(ch.chan) == 0)
        leat_sleep(MS);
    raise(SIGUSR2);
    raise(SIGUSR1);
    WANT(leat_signal_stop(n), LEAT_SIG(SIGUSR1) | LEAT_SIG(SIGUSR2));
    WANT(take(ch, 0), SIGTERM);
    WANT(take(ch, 0), -ETIMEDOUT);

    /* closed */
    WANT(leat_signal_notify(&n, ch, all), 0);
    WANT(leat_chan_close(ch.chan), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    WANT(leat_signal_stop(n), LEAT_SIG(SIGUSR1) | LEAT_SIG(SIGUSR2));
    leat_chan_unref(ch.chan);
    leat_chan_unref(wide.chan);
    return 0;
}

Test(io_signal, into_a_channel, .timeout = 60)
{
    struct sigaction sa, after;

    /* whatever is not taken over would end the process; afterwards it is as before */
    sigaction(SIGUSR1, NULL, &sa);
    kit_run_all(body_notify);
    sigaction(SIGUSR1, NULL, &after);
    cr_assert(eq(int, sa.sa_handler == after.sa_handler, 1));
}

static long stop_it(leat_notify *n)
{
    while (!leat_cancelled())
        (void)leat_sleep(MS);
    return (long)leat_signal_stop(n);
}

/* A cancelled coroutine stops it like any other, and nothing is sent afterwards. */
static int body_stop_cancelled(void *arg)
{
    leat_signal_chan ch;
    leat_notify *n = NULL;
    leat_handle *h;

    (void)arg;
    if (!OK(leat_chan_new(&ch, 0) == 0))
        return 0;
    WANT(leat_signal_notify(&n, ch, LEAT_SIG(SIGUSR1)), 0);
    raise(SIGUSR1);
    SPAWN(h, stop_it, n);
    leat_cancel(h);
    WANT(kit_join(h), LEAT_SIG(SIGUSR1));
    WANT(take(ch, 0), -ETIMEDOUT);
    leat_chan_unref(ch.chan);
    return 0;
}

Test(io_signal, stopped_by_a_cancelled_one, .timeout = 60)
{
    kit_run_all(body_stop_cancelled);
}

static leat_notify *kept;

static int body_keep(void *arg)
{
    leat_signal_chan ch;

    (void)arg;
    return leat_chan_new(&ch, 0) != 0 || leat_signal_notify(&kept, ch, LEAT_SIG(SIGUSR1)) != 0;
}

/* Goal: whoever stops it after its run is told so. */
Test(io_signal, stopped_after_its_run, .timeout = 60)
{
    char text[1024] = "";
    size_t len = 0;
    ssize_t n;
    int fds[2], status = 0;
    pid_t pid;

    cr_assert(eq(int, pipe(fds), 0));
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        if (leat_run(body_keep, NULL) == 0)
            (void)leat_signal_stop(kept);
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    cr_assert(eq(int, waitpid(pid, &status, 0), pid));
    cr_expect(eq(int, WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGABRT), "%s", text);
    cr_expect(
        ne(ptr, strstr(text, "leat: leat_signal_stop, called by a plain thread: notify 0x"), NULL),
        "%s", text);
}
