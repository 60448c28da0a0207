/*
 * Races with real threads: the ends of a wait against each other, closing and reuse of numbers
 * under traffic, interruptions.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

/* --- the ends of a wait, all pairs --- */

enum { READY = 1, TIMEOUT = 2, CANCEL = 4, CLOSE = 8 };

struct round {
    int ends;
    int fd[2];
    int64_t until;
    uint64_t random;
    _Atomic int64_t start; /* all begin at this instant */
    atomic_int woken;
    atomic_int result;
    leat_handle *waiter;
};

static void wait_start(struct round *r)
{
    while (leat_now() < atomic_load(&r->start))
        leat_yield();
}

static long round_wait(struct round *r)
{
    char c = 0;
    uint64_t random = r->random;
    ssize_t n;

    wait_start(r);
    kit_dawdle(&random, 20);
    n = leat_read(r->fd[0], &c, 1, r->until ? leat_at(r->until) : LEAT_FOREVER);
    atomic_store(&r->result, (int)n);
    atomic_fetch_add(&r->woken, 1);
    return 0;
}

static long round_act(struct round *r, int what)
{
    uint64_t random = r->random * 31 + (uint64_t)what;

    wait_start(r);
    kit_dawdle(&random, 40);
    if (what == READY) {
        ssize_t n = leat_write(r->fd[1], "r", 1, LEAT_AT_ONCE);

        OK(n == 1 || (n == -EPIPE && (r->ends & CLOSE)));
    } else if (what == CANCEL)
        leat_cancel(r->waiter);
    else
        WANT(leat_close(r->fd[0]), 0);
    return 0;
}

static void play(int ends, uint64_t *random)
{
    struct round r;
    leat_handle *actor[3];
    int n = 0, result, spare = kit_spare();
    char c;

    memset(&r, 0, sizeof(r));
    r.ends = ends;
    r.random = kit_random(random);
    if (!OK((kit_random(random) % 2 ? leat_pipe(r.fd) : leat_socketpair(SOCK_STREAM, r.fd)) == 0))
        return;
    close(spare);
    if (r.fd[0] < spare) { /* the monitor's file had the lowest number just now */
        leat_close(r.fd[0]);
        leat_close(r.fd[1]);
        return;
    }
    atomic_store(&r.start, leat_now() + 20 * LEAT_USEC);
    r.until =
        ends & TIMEOUT ? atomic_load(&r.start) + (int64_t)(kit_random(random) % 50) * LEAT_USEC : 0;
    SPAWN(r.waiter, round_wait, &r);
    for (int what = READY; what <= CLOSE; what *= 2)
        if (what != TIMEOUT && (ends & what))
            SPAWN(actor[n++], round_act, &r, what);
    while (n > 0)
        kit_join(actor[--n]);
    /* after the actors: one of them may still be about to cancel it */
    WANT(kit_join(r.waiter), 0);
    /* exactly one end, and one that was on offer */
    WANT(atomic_load(&r.woken), 1);
    result = atomic_load(&r.result);
    OK(result == 1 || result == -ETIMEDOUT || result == -ECANCELED || result == -EBADF);
    OK(result != 1 || (ends & READY));
    OK(result != -ETIMEDOUT || (ends & TIMEOUT));
    OK(result != -ECANCELED || (ends & (CANCEL | CLOSE)));
    OK(result != -EBADF || (ends & CLOSE));
    if (!(ends & CLOSE)) {
        /* what was written is there, once */
        WANT(leat_read(r.fd[0], &c, 1, LEAT_AT_ONCE),
             (ends & READY) && result != 1 ? 1 : -ETIMEDOUT);
        WANT(leat_close(r.fd[0]), 0);
    }
    OK(kit_is_closed(r.fd[0]));
    WANT(leat_close(r.fd[1]), 0);
}

static int body_ends(void *arg)
{
    static const int ends[] = {CLOSE,
                               READY | TIMEOUT,
                               READY | CANCEL,
                               READY | CLOSE,
                               TIMEOUT | CANCEL,
                               TIMEOUT | CLOSE,
                               CANCEL | CLOSE,
                               READY | TIMEOUT | CANCEL | CLOSE};
    uint64_t random = 88172645463325252u + leat_nr_procs();
    int64_t end = leat_now() + 2 * LEAT_SEC;

    (void)arg;
    for (int i = 0; i < 2000 && leat_now() < end; i++)
        for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++)
            play(ends[k], &random);
    return 0;
}

/* Goal: fault 12. */
Test(io_race, exactly_one_end_wins, .timeout = 60)
{
    kit_run_all(body_ends);
}

/* --- the same, from threads outside --- */

static atomic_bool outside_over;
static _Atomic int outside_fd = -1;

/* Takes a number and closes it, or writes to it, while the coroutines go on. */
static void *outsider(void *arg)
{
    uint64_t random = 1 + (uint64_t)(uintptr_t)arg;

    while (!atomic_load(&outside_over)) {
        int fd = atomic_exchange(&outside_fd, -1);

        if (fd >= 0) {
            kit_dawdle(&random, 30);
            WANT(leat_close(fd), 0);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static int body_outside(void *arg)
{
    int64_t now = leat_now(), end = now + 500 * MS, latest = now + 100 * LEAT_SEC;
    pthread_t thread[2];
    int rounds = 0;

    (void)arg;
    atomic_store(&outside_over, false);
    pthread_create(&thread[0], NULL, outsider, (void *)1);
    pthread_create(&thread[1], NULL, outsider, (void *)2);
    for (; now < end || (rounds <= 20 && now < latest); now = leat_now()) {
        int fd[2], spare = kit_spare();
        char c;
        ssize_t n;

        WANT(leat_pipe(fd), 0);
        close(spare);
        if (fd[0] < spare) { /* the monitor's file had the lowest number just now */
            leat_close(fd[0]);
            leat_close(fd[1]);
            continue;
        }
        atomic_store(&outside_fd, fd[0]);
        n = leat_read(fd[0], &c, 1, LEAT_FOREVER);
        OK(n == -ECANCELED || n == -EBADF);
        WANT(leat_close(fd[1]), 0);
        rounds++;
    }
    atomic_store(&outside_over, true);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    OK(rounds > 20);
    return 0;
}

Test(io_race, threads_close_under_waiters, .timeout = 60)
{
    kit_run_all(body_outside);
}

/* --- numbers are reused under traffic --- */

#define LANES 6

static int lane(int64_t end, int own)
{
    uint64_t random = 77 + (uint64_t)own;
    int rounds = 0;

    do {
        int fd[2];
        unsigned char out[3] = {(unsigned char)own, (unsigned char)rounds, 0x5a}, in[3] = {0};
        leat_deadline until = leat_after(100 * LEAT_SEC);

        WANT(kit_random(&random) % 2 ? leat_pipe(fd) : leat_socketpair(SOCK_STREAM, fd), 0);
        for (int i = 0; i < 3; i++) {
            leat_handle *w;

            SPAWN(w, leat_read_full, fd[0], in, sizeof(in), until);
            kit_dawdle(&random, 20);
            WANT(leat_write_all(fd[1], out, sizeof(out), until), sizeof(out));
            WANT(kit_join(w), sizeof(in));
            WANT(memcmp(in, out, sizeof(in)), 0); /* else an event or a byte of another lane */
        }
        leat_close(fd[0]);
        leat_close(fd[1]);
        rounds++;
    } while (leat_now() < end);
    return rounds;
}

static int body_lanes(void *arg)
{
    int64_t end = leat_now() + 600 * MS;
    leat_handle *w[LANES];

    (void)arg;
    for (int i = 0; i < LANES; i++)
        SPAWN(w[i], lane, end, i);
    for (int i = 0; i < LANES; i++)
        OK(kit_join(w[i]) > 0);
    return 0;
}

/*
 * Goal: fault 10, no event of a dead descriptor reaches the next owner of its number, and no waiter
 * is forgotten.
 */
Test(io_race, numbers_are_reused, .timeout = 60)
{
    kit_run_all(body_lanes);
}

/* --- closing what the poller looks at --- */

/* The other end hears of the close, though nobody ends the poller's sleep. */
static bool hears(int fd)
{
    int64_t until = leat_now() + 10 * LEAT_SEC;
    ssize_t n;

    while ((n = leat_write(fd, "x", 1, LEAT_AT_ONCE)) != -EPIPE && leat_now() < until)
        if (!OK(n == 1 || n == -ETIMEDOUT))
            break;
    return n == -EPIPE;
}

static int body_heard(void *arg)
{
    uint64_t random = 88172645463325252u + leat_nr_procs();
    int64_t end = leat_now() + 3 * LEAT_SEC;
    bool heard = true;

    (void)arg;
    while (heard && leat_now() < end) {
        int fd[2];
        char c;

        if (!OK(leat_pipe(fd) == 0))
            break;
        WANT(leat_read(fd[0], &c, 1, leat_after(LEAT_USEC)), -ETIMEDOUT); /* it is known now */
        WANT(leat_write(fd[1], "x", 1, LEAT_FOREVER), 1);
        for (uint64_t n = kit_random(&random) % 20000; n > 0; n--)
            __asm__ __volatile__("");
        WANT(leat_read(fd[0], &c, 1, LEAT_FOREVER), 1);
        WANT(leat_close(fd[0]), 0);
        heard = OK(hears(fd[1]));
        leat_close(fd[1]);
    }
    return 0;
}

/*
 * Goal: a descriptor is closed when leat_close() returns, also where another worker sleeps in the
 * poller, and was just told of what is gone again. Linux keeps it open otherwise until that sleep
 * ends.
 */
Test(io_race, a_close_is_heard_beside_the_poller, .timeout = 60)
{
    kit_run(2, body_heard, NULL);
    kit_run(4, body_heard, NULL);
}

/* --- interruptions --- */

static atomic_ulong ticks;

static void on_tick(int signo)
{
    (void)signo;
    atomic_fetch_add(&ticks, 1);
}

static int echo_back(int fd)
{
    char c[64];
    ssize_t n;

    while ((n = leat_read(fd, c, sizeof(c), leat_after(20 * LEAT_SEC))) > 0)
        WANT(leat_write_all(fd, c, (size_t)n, leat_after(20 * LEAT_SEC)), n);
    leat_close(fd);
    return (int)n;
}

static int body_interrupted(void *arg)
{
    int64_t end = leat_now() + 400 * MS;
    char address[32], c[64];
    int listener = kit_listen(address, NULL), plain[2], own[2];
    int file = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    (void)arg;
    OK(pipe(plain) == 0);
    WANT(leat_pipe(own), 0);
    while (leat_now() < end) {
        int fd = leat_tcp_dial(address, leat_after(20 * LEAT_SEC)),
            got = leat_accept(listener, NULL, NULL, leat_after(20 * LEAT_SEC));
        leat_handle *w;

        OK(fd >= 0 && got >= 0);
        SPAWN(w, echo_back, got);
        for (int i = 0; i < 5; i++) {
            WANT(leat_write(fd, "hello", 5, LEAT_FOREVER), 5);
            WANT(leat_read_full(fd, c, 5, LEAT_FOREVER), 5);
            WANT(leat_read(fd, c, 1, leat_after(MS / 2)), -ETIMEDOUT);
            WANT(leat_read(plain[0], c, 1, leat_after(MS / 2)), -ETIMEDOUT);
            WANT(leat_write(plain[1], "p", 1, LEAT_FOREVER), 1);
            WANT(leat_poll_fd(plain[0], LEAT_POLLIN, LEAT_FOREVER), LEAT_POLLIN);
            WANT(leat_read(plain[0], c, 1, LEAT_FOREVER), 1);
            WANT(leat_read(file, c, sizeof(c), LEAT_FOREVER), sizeof(c));
            WANT(leat_poll_fd(own[0], LEAT_POLLIN, leat_after(MS / 2)), -ETIMEDOUT);
            WANT(leat_accept(listener, NULL, NULL, leat_after(MS / 2)), -ETIMEDOUT);
            WANT(leat_sleep(MS / 2), 0);
        }
        leat_close(fd);
        WANT(kit_join(w), 0);
    }
    leat_close(own[0]);
    leat_close(own[1]);
    leat_close(listener);
    close(file);
    close(plain[0]);
    close(plain[1]);
    return 0;
}

/*
 * Goal: fault 6, EINTR never surfaces. Method: a timer signal every millisecond, without
 * SA_RESTART, on whichever thread; 100 at least.
 */
Test(io_race, interruptions_never_surface, .timeout = 60)
{
    struct sigaction on = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK};
    struct itimerval every = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};

    sigaction(SIGALRM, &on, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    do
        kit_run_all(body_interrupted);
    while (atomic_load(&ticks) <= 100);
    setitimer(ITIMER_REAL, &off, NULL);
}
