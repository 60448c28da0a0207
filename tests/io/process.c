/*
 * Child processes: how they begin, what they read and write, how they end, and that nothing of them
 * is left.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG leat_after(60 * LEAT_SEC)
#define CROWD 24

#define SH(text) ((const char *const[]){"/bin/sh", "-c", (text), NULL})

/* A child of this process, running or a zombie, is a leftover. */
static void no_children(void)
{
    siginfo_t info;

    WANT(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    WANT(errno, ECHILD);
}

static void ends_with(const char *const argv[], int code, int signo)
{
    leat_exit end = {-2, -2, true};

    WANT(leat_process_run(argv, NULL, &end, LONG), 0);
    WANT(end.code, code);
    WANT(end.signo, signo);
    WANT(end.core, false);
}

static int body_ends(void *arg)
{
    (void)arg;
    ends_with((const char *const[]){"true", NULL}, 0, 0);
    ends_with((const char *const[]){"false", NULL}, 1, 0);
    ends_with(SH("exit 255"), 255, 0);
    ends_with(SH("kill -KILL $$"), -1, SIGKILL);
    /* workers block it, children do not */
    ends_with(SH("kill -PIPE $$"), -1, SIGPIPE);
    no_children();
    return 0;
}

/* Goal: exit codes, signals and the search in PATH come out as the shell says. */
Test(io_process, ends, .timeout = 60)
{
    kit_run_all(body_ends);
}

/* All that comes, up to its end. */
static long read_text(int fd, char *text, size_t size)
{
    ssize_t n = leat_read_full(fd, text, size - 1, LONG);

    if (n >= 0)
        text[n] = '\0';
    return n;
}

static void prints(const char *const argv[], leat_process_opts opts, const char *expected)
{
    leat_process p;
    leat_exit end;
    char text[256] = "";

    opts.out = LEAT_CHILD_PIPE;
    if (!OK(leat_process_start(&p, argv, &opts) == 0))
        return;
    OK(p.pid > 0);
    OK(read_text(p.out, text, sizeof(text)) >= 0);
    if (!OK(strcmp(text, expected) == 0))
        fprintf(stderr, "printed: %s\n", text);
    WANT(leat_process_wait(&p, &end, LONG), 0);
    WANT(leat_process_wait(&p, NULL, LEAT_AT_ONCE), 0); /* again, and without a wait */
    WANT(leat_process_kill(&p, SIGTERM), -ESRCH);
    leat_process_close(&p);
    leat_process_close(&p);
    WANT(leat_process_wait(&p, &end, LONG), -EBADF);
    WANT(leat_process_kill(&p, SIGTERM), -EBADF);
}

static int body_streams(void *arg)
{
    const char *const env[] = {"LEAT_TEST_WORD=word", "PATH=/usr/bin:/bin", NULL};
    int before = kit_nr_fds();

    (void)arg;
    prints((const char *const[]){"echo", "a", "b c", NULL}, (leat_process_opts){0}, "a b c\n");
    prints(SH("echo $LEAT_TEST_WORD"), (leat_process_opts){.env = env}, "word\n");
    prints(SH("pwd"), (leat_process_opts){.dir = "/usr"}, "/usr\n");
    prints(SH("echo out; echo err >&2"), (leat_process_opts){.err = LEAT_CHILD_OUT}, "out\nerr\n");
    prints(SH("cat; echo end"), (leat_process_opts){.in = LEAT_CHILD_NULL}, "end\n");
    prints(SH("echo gone >&2; echo here"), (leat_process_opts){.err = LEAT_CHILD_NULL}, "here\n");
    WANT(kit_nr_fds(), before);
    no_children();
    return 0;
}

/* Goal: environment, directory, and each way to settle a standard descriptor. */
Test(io_process, streams, .timeout = 60)
{
    kit_run_all(body_streams);
}

static int body_given(void *arg)
{
    leat_process p;
    leat_exit end;
    char text[64];
    int fd[2], copy;

    (void)arg;
    /* any number, those of other standard descriptors among them: out and err change places */
    if (!OK(pipe2(fd, O_CLOEXEC) == 0) || !OK((copy = fcntl(2, F_DUPFD_CLOEXEC, 10)) >= 0))
        return 0;
    OK(dup3(fd[1], 2, O_CLOEXEC) == 2);
    WANT(leat_process_start(&p, SH("echo out"), &(leat_process_opts){.out = 2, .err = 1}), 0);
    OK(dup2(copy, 2) == 2);
    close(copy);
    close(fd[1]);
    WANT(leat_process_wait(&p, &end, LONG), 0);
    leat_process_close(&p);
    WANT(read_text(fd[0], text, sizeof(text)), 4);
    close(fd[0]);
    return 0;
}

/*
 * Goal: a descriptor of the caller goes where it is told to, though its number stands for something
 * else in the child.
 */
Test(io_process, given_descriptors, .timeout = 60)
{
    kit_run_all(body_given);
}

static long feed(int fd)
{
    char piece[1000];
    long sent = 0;

    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 500; i++) {
        ssize_t n = leat_write_all(fd, piece, sizeof(piece), LONG);

        if (n < 0)
            return n;
        sent += n;
    }
    return leat_close(fd) == 0 ? sent : -1;
}

static int body_filter(void *arg)
{
    leat_process p;
    leat_handle *feeder;
    char buf[4096];
    ssize_t n;
    long got = 0;

    (void)arg;
    WANT(leat_process_start(&p, (const char *const[]){"cat", NULL},
                            &(leat_process_opts){.in = LEAT_CHILD_PIPE, .out = LEAT_CHILD_PIPE}),
         0);
    SPAWN(feeder, feed, p.in);
    while ((n = leat_read(p.out, buf, sizeof(buf), LONG)) > 0)
        got += n;
    WANT(n, 0);
    WANT(kit_join(feeder), 500000);
    WANT(got, 500000);
    p.in = -1;
    WANT(leat_process_wait(&p, NULL, LONG), 0);
    leat_process_close(&p);
    no_children();
    return 0;
}

/* Goal: more than the pipes hold goes through a filter, written and read at the same time. */
Test(io_process, filter, .timeout = 60)
{
    kit_run_all(body_filter);
}

static int body_deadline(void *arg)
{
    leat_process p;
    leat_exit end = {0};

    (void)arg;
    WANT(leat_process_start(&p, (const char *const[]){"sleep", "1000", NULL}, NULL), 0);
    WANT(leat_process_wait(&p, &end, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_process_wait(&p, &end, leat_after(5 * MS)), -ETIMEDOUT);
    WANT(leat_process_kill(&p, 0), 0);
    WANT(leat_process_kill(&p, 4000), -EINVAL);
    WANT(leat_process_kill(&p, SIGTERM), 0);
    WANT(leat_process_wait(&p, &end, LONG), 0);
    WANT(end.signo, SIGTERM);
    leat_process_close(&p);
    /* closed while it runs: ended */
    WANT(leat_process_start(&p, (const char *const[]){"sleep", "1000", NULL}, NULL), 0);
    leat_process_close(&p);
    WANT(leat_process_run((const char *const[]){"sleep", "1000", NULL}, NULL, &end,
                          leat_after(5 * MS)),
         -ETIMEDOUT);
    no_children();
    return 0;
}

/* Goal: a deadline ends the wait, not the child; a signal and a close end the child. */
Test(io_process, deadline_and_kill, .timeout = 60)
{
    kit_run_all(body_deadline);
}

static long wait_cancelled(leat_process *p)
{
    return leat_process_wait(p, NULL, LEAT_FOREVER);
}

static long run_cancelled(void)
{
    return leat_process_run((const char *const[]){"sleep", "1000", NULL}, NULL, NULL, LEAT_FOREVER);
}

static int body_cancel(void *arg)
{
    leat_process p;
    leat_exit end = {0};
    leat_handle *h;

    (void)arg;
    WANT(leat_process_start(&p, (const char *const[]){"sleep", "1000", NULL},
                            &(leat_process_opts){.kill_signal = SIGUSR1}),
         0);
    SPAWN_WAITER(h, wait_cancelled, &p);
    WANT(leat_process_wait(&p, NULL, LEAT_AT_ONCE), -EBUSY);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT(leat_process_wait(&p, &end, LONG), 0);
    WANT(end.signo, SIGUSR1);
    leat_process_close(&p);

    WANT(leat_process_start(&p, (const char *const[]){"sleep", "1000", NULL},
                            &(leat_process_opts){.kill_signal = -1}),
         0);
    SPAWN(h, wait_cancelled, &p);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT(leat_process_wait(&p, NULL, LEAT_AT_ONCE), -ETIMEDOUT);
    leat_process_close(&p);

    /* the close in a cancelled coroutine waits all the same */
    SPAWN(h, run_cancelled);
    leat_sleep(2 * MS);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    no_children();
    return 0;
}

/* Goal: cancelling whoever waits passes the signal on, and leaves nothing behind. */
Test(io_process, cancel, .timeout = 60)
{
    kit_run_all(body_cancel);
}

static int body_group(void *arg)
{
    leat_process p;
    char text[64];

    (void)arg;
    /* the grandchild holds the pipe open */
    WANT(leat_process_start(&p, SH("sleep 1000 & echo on; wait"),
                            &(leat_process_opts){.out = LEAT_CHILD_PIPE, .own_group = true}),
         0);
    WANT(leat_read_full(p.out, text, 3, LONG), 3);
    WANT(leat_process_kill(&p, SIGKILL), 0);
    WANT(read_text(p.out, text, sizeof(text)), 0);
    WANT(leat_process_wait(&p, NULL, LONG), 0);
    leat_process_close(&p);
    no_children();
    return 0;
}

/* Goal: with a group of its own a signal reaches what the child has started. */
Test(io_process, group, .timeout = 60)
{
    kit_run_all(body_group);
}

static int body_refused(void *arg)
{
    static const char *const none[] = {NULL}, *const empty[] = {"", NULL},
                             *const there[] = {"true", NULL};
    static const char *const missing[] = {"/no/such/program", NULL}, *const nowhere[] = {
                                                                         "leat-no-such-program",
                                                                         NULL};
    static const char *const plain[] = {"/etc/passwd", NULL};
    int before = kit_nr_fds();
    leat_process p;

    (void)arg;
    WANT(leat_process_start(&p, NULL, NULL), -EINVAL);
    WANT(leat_process_start(&p, none, NULL), -EINVAL);
    WANT(leat_process_start(&p, empty, NULL), -EINVAL);
    WANT(leat_process_start(&p, missing, NULL), -ENOENT);
    leat_process_close(&p);
    WANT(leat_process_start(&p, nowhere, NULL), -ENOENT);
    WANT(leat_process_start(&p, plain, NULL), -EACCES);
    WANT(leat_process_start(&p, there, &(leat_process_opts){.dir = "/no/such/directory"}), -ENOENT);
    WANT(leat_process_start(&p, there, &(leat_process_opts){.in = -4}), -EINVAL);
    WANT(leat_process_start(&p, there, &(leat_process_opts){.out = LEAT_CHILD_OUT}), -EINVAL);
    WANT(leat_process_start(&p, there, &(leat_process_opts){.out = 100000}), -EBADF);
    WANT(leat_process_start(&p, there, &(leat_process_opts){.kill_signal = 4000}), -EINVAL);
    WANT(leat_process_run(there, &(leat_process_opts){.out = LEAT_CHILD_PIPE}, NULL, LONG),
         -EINVAL);
    WANT(kit_nr_fds(), before);
    no_children();
    return 0;
}

/* Goal: what cannot be started is told, and leaves nothing behind. */
Test(io_process, refused, .timeout = 60)
{
    kit_run_all(body_refused);
}

static int body_emfile(void *arg)
{
    struct rlimit old, few;
    int before = kit_nr_fds(), failed = 0;
    leat_process p;

    (void)arg;
    getrlimit(RLIMIT_NOFILE, &old);
    for (rlim_t n = (rlim_t)before; n < (rlim_t)before + 14; n++) {
        int r;

        few = old;
        few.rlim_cur = n;
        setrlimit(RLIMIT_NOFILE, &few);
        r = leat_process_start(&p, (const char *const[]){"sleep", "1000", NULL},
                               &(leat_process_opts){.in = LEAT_CHILD_PIPE,
                                                    .out = LEAT_CHILD_PIPE,
                                                    .err = LEAT_CHILD_PIPE});
        setrlimit(RLIMIT_NOFILE, &old);
        failed += r == -EMFILE;
        OK(r == 0 || r == -EMFILE);
        leat_process_close(&p);
        WANT(kit_nr_fds(), before);
        no_children();
    }
    WANT_IN(failed, 1, 13);
    return 0;
}

/*
 * Goal: no descriptors at each step of a start: -EMFILE, and neither a child nor a descriptor is
 * left.
 */
Test(io_process, descriptors_run_out, .timeout = 60)
{
    kit_run_all(body_emfile);
}

static long one_of_many(int i)
{
    char word[16];
    leat_exit end = {0};
    const char *argv[] = {"/bin/sh", "-c", "exit $0", word, NULL};
    int r;

    snprintf(word, sizeof(word), "%d", i);
    r = leat_process_run(argv, NULL, &end, LONG);
    return r < 0 ? r : end.code == i ? 0 : 1;
}

static int body_crowd(void *arg)
{
    leat_handle *h[CROWD];

    (void)arg;
    for (int i = 0; i < CROWD; i++)
        SPAWN(h[i], one_of_many, i);
    for (int i = 0; i < CROWD; i++)
        WANT(kit_join(h[i]), 0);
    no_children();
    return 0;
}

/* Goal: many at once, from all processors; each gets its own end. */
Test(io_process, crowd, .timeout = 120)
{
    kit_run_all(body_crowd);
}

/*
 * Goal: without a run there are no children, and a plain thread does not begin what it may not wait
 * for.
 */
Test(io_process, no_run, .timeout = 10)
{
    leat_process p;

    cr_expect(
        eq(int, leat_process_start(&p, (const char *const[]){"true", NULL}, NULL), -ESHUTDOWN));
    cr_expect(
        eq(int, leat_process_run((const char *const[]){"true", NULL}, NULL, NULL, LONG), -EPERM));
}
