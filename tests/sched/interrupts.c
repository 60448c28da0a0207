/*
 * Signals while the runtime runs: EINTR never surfaces, handlers run on whatever thread and only
 * notify.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

struct storm {
    unsigned procs;
    atomic_ulong done, early, wrong, spawned, ran;
    atomic_bool over;
    atomic_ulong signals, plain_wrong;
    int value;
    bool reached, joined;
};

/* A handler has no argument; written before the first signal. */
static struct storm *storm;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&storm->signals, 1);
}

static void handler_set(int signo)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal; /* without SA_RESTART */
    sigaction(signo, &sa, NULL);
}

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

/* Everything that may be interrupted, and whatever it says but success is wrong. */
static void works(struct storm *s, uint64_t seed)
{
    for (int i = 0; i < 200; i++) {
        int64_t span = (int64_t)(kit_random(&seed) % 3000) * LEAT_USEC, begin = leat_now();

        atomic_fetch_add(&s->wrong, leat_sleep(span) != 0);
        atomic_fetch_add(&s->early, leat_now() - begin < span);
        if (go(count_up, &s->ran) == 0)
            atomic_fetch_add(&s->spawned, 1);
        else
            atomic_fetch_add(&s->wrong, 1);
        leat_yield();
    }
    atomic_fetch_add(&s->done, 1);
}

static void pipe_reader(struct storm *s, int fd)
{
    char b[64];

    for (;;) {
        ssize_t n = leat_read(fd, b, sizeof(b), leat_after(KIT_LONG));

        atomic_fetch_add(&s->wrong, n < 0);
        if (n <= 0)
            break;
    }
    (void)leat_close(fd);
    atomic_fetch_add(&s->done, 1);
}

static void pipe_writer(struct storm *s, int fd)
{
    for (int i = 0; i < 300; i++) {
        atomic_fetch_add(&s->wrong, leat_write_all(fd, "abcdefgh", 8, LEAT_FOREVER) != 8);
        (void)leat_sleep(LEAT_MSEC / 2);
    }
    (void)leat_close(fd);
    atomic_fetch_add(&s->done, 1);
}

static void *plain_thread(void *arg)
{
    struct storm *s = arg;

    while (!atomic_load(&s->over)) {
        int64_t begin = leat_now();
        int r = leat_sleep(3 * LEAT_MSEC);

        atomic_fetch_add(&s->plain_wrong, r != 0 || leat_now() - begin < 3 * LEAT_MSEC);
    }
    return NULL;
}

#define NR_WORKS 20

static int storm_main(void *arg)
{
    struct storm *s = arg;
    pthread_t t;
    int fds[2];

    if (leat_pipe(fds) < 0 || pthread_create(&t, NULL, plain_thread, s))
        return -1;
    (void)go(pipe_reader, s, fds[0]);
    (void)go(pipe_writer, s, fds[1]);
    for (uint64_t i = 1; i <= NR_WORKS; i++)
        (void)go(works, s, i);
    s->reached = kit_reach(&s->done, NR_WORKS + 2, KIT_LONG);
    atomic_store(&s->over, true);
    pthread_join(t, NULL);
    return 42;
}

static int timer_body(void *arg)
{
    struct itimerval every_ms = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};

    storm = arg;
    handler_set(SIGALRM);
    setitimer(ITIMER_REAL, &every_ms, NULL);
    /*
     * several runs, for their beginnings and ends; a quick machine needs more of them for a storm
     */
    for (int i = 0; i < 3 || atomic_load(&storm->signals) < 50; i++) {
        atomic_store(&storm->done, 0);
        atomic_store(&storm->over, false);
        if (kit_run(storm->procs, storm_main, storm) != 42)
            return 1;
        if (atomic_load(&storm->wrong) || !storm->reached)
            break;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    return 0;
}

static void check_storm(int (*body)(void *), unsigned procs)
{
    struct storm *s = kit_shared(sizeof(*s));
    char text[KIT_TEXT_BYTES];
    int status;

    s->procs = procs;
    status = kit_child(body, s, 50000, text);
    cr_assert(kit_exited(status, 0), "%u processors, status %d: %s", procs, status, text);
    cr_expect(s->reached);
    cr_expect(ge(u64, atomic_load(&s->signals), 50));
    cr_expect(eq(u64, atomic_load(&s->wrong), 0));
    cr_expect(eq(u64, atomic_load(&s->early), 0));
    cr_expect(eq(u64, atomic_load(&s->plain_wrong), 0));
    cr_expect(eq(u64, atomic_load(&s->ran), atomic_load(&s->spawned)));
    cr_expect(eq(str, text, ""));
}

/*
 * Goal: a timer signal a thousand times a second, handled without SA_RESTART, changes nothing: no
 * error, no early end, nothing lost.
 */
Test(interrupts, a_thousand_a_second, .timeout = 60)
{
    check_storm(timer_body, 1);
    check_storm(timer_body, 2);
}

/* Goal: the same with more threads than processors. */
Test(interrupts, a_thousand_a_second_on_64, .timeout = 60)
{
    check_storm(timer_body, 64);
}

/* Sends a signal to each thread of the process, one after the other, again and again. */
static void *sender(void *arg)
{
    struct storm *s = arg;
    int own = (int)syscall(SYS_gettid);

    while (!atomic_load(&s->over)) {
        DIR *dir = opendir("/proc/self/task");
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
            int tid = atoi(e->d_name);

            if (tid > 0 && tid != own)
                (void)syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
        }
        if (dir)
            closedir(dir);
        usleep(500);
    }
    return NULL;
}

static int each_thread_main(void *arg)
{
    struct storm *s = arg;
    pthread_t t;
    int r;

    if (pthread_create(&t, NULL, sender, s))
        return -1;
    r = storm_main(s);
    pthread_join(t, NULL);
    return r;
}

static int each_thread_body(void *arg)
{
    storm = arg;
    handler_set(SIGUSR1);
    do { /* the sender may come to a turn only now and then */
        atomic_store(&storm->done, 0);
        atomic_store(&storm->over, false);
        if (kit_run(storm->procs, each_thread_main, storm) != 42)
            return 1;
    } while (storm->reached && atomic_load(&storm->signals) < 50);
    return 0;
}

/*
 * Goal: a handler may run on any thread of the runtime, at any time. Method: every thread gets the
 * signal in turn.
 */
Test(interrupts, on_every_thread, .timeout = 60)
{
    check_storm(each_thread_body, 1);
    check_storm(each_thread_body, 4);
}
