/*
 * Pairs of descriptors' records: FD-WAIT, FD-READY, FD-CLOSE, FD-FREE, FD-TAG. Threads wait through
 * the records as coroutines do, on real pipes and a real poller where the kernel is one side of the
 * pair.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "base/os.h"
#include "netpoll/event.h"
#include "race/kit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SPAN (300 * LEAT_MSEC)

static struct race_co co;
static struct lea_netpoll np;

static void edge(struct lea_fd *f, enum lea_fd_dir dir)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    lea_fd_ready(f, dir, LEA_WAKE_DONE, &list);
    race_ready(&list);
}

/* One wait for reading, as io/wait.c does it. 0: try again. */
static int wait_readable(struct lea_fd *f, uint32_t gen)
{
    uintptr_t ticket = lea_co_ticket(&co.co);

    if (lea_u32_load_acq(&f->gen) != gen)
        return -ECANCELED;
    if (lea_fd_wait_begin(f, LEA_FD_READ, &co.co, ticket)) {
        (void)race_park(&co, ticket, false);
        lea_fd_wait_end(f, LEA_FD_READ, &co.co);
    } else {
        (void)lea_co_claim(&co.co, ticket, LEA_WAKE_NONE);
    }
    return (lea_u32_load_acq(&f->use) & LEA_FD_USE_CLOSING) || lea_u32_load_acq(&f->gen) != gen
               ? -ECANCELED
               : 0;
}

/* --- FD-WAIT --- */

static struct lea_fd alone;
static struct lea_lock kernel; /* of the object: whoever looks takes it, and whoever changes it */
static uint32_t bytes;         /* that can be read */

static bool try_read(uint32_t wanted)
{
    bool ok;

    lea_lock_take(&kernel);
    ok = bytes >= wanted;
    lea_lock_drop(&kernel);
    return ok;
}

static void *wait_reader(void *arg)
{
    uint32_t taken = 0;

    while (race_next_round(30000, SPAN)) {
        taken += 3;
        for (;;) { /* a hang: an edge has met an old ticket, and nobody */
            (void)lea_fd_take_edge(&alone, LEA_FD_READ);
            if (try_read(taken))
                break;
            (void)wait_readable(&alone, 0);
        }
        race_meet();
    }
    return arg;
}

static void *wait_poller(void *arg)
{
    while (race_next_round(30000, SPAN)) {
        for (int i = 0; i < 3; i++) {
            lea_lock_take(&kernel);
            bytes++;
            lea_lock_drop(&kernel);
            edge(&alone, LEA_FD_READ);
            race_jitter();
        }
        race_meet();
    }
    return arg;
}

/*
 * Goal: an edge that finds a waiter finds the ticket of that very wait, through any number of
 * waits.
 */
Test(race_records, fd_wait, .timeout = 60)
{
    static void *(*const fn[])(void *) = {wait_reader, wait_poller};

    race_co_init(&co);
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
}

/* --- FD-READY --- */

static void *ready_reader(void *arg)
{
    while (race_next_round(30000, SPAN)) {
        if (race_random(2) || !lea_fd_take_edge(&alone, LEA_FD_READ))
            (void)wait_readable(&alone, 0);
        /* there was one edge: parked for, found latched, or taken */
        RACE_CHECK(lea_u32_load_rlx(&alone.seen) & LEA_FD_SEEN_RDHUP);
        race_meet();
        RACE_CHECK(lea_word_load_rlx(&alone.word[LEA_FD_READ]) == LEA_FD_EMPTY);
        lea_u32_store_rlx(&alone.seen, 0);
    }
    return arg;
}

static void *ready_poller(void *arg)
{
    struct lea_ready_list list;

    while (race_next_round(30000, SPAN)) {
        lea_ready_list_init(&list);
        lea_event(&np, lea_tag(0, 0), true, false, LEA_FD_SEEN_RDHUP, &list);
        race_ready(&list);
        race_meet();
    }
    return arg;
}

/* Goal: whoever takes an edge sees the hang-up that came with it. */
Test(race_records, fd_ready, .timeout = 60)
{
    static void *(*const fn[])(void *) = {ready_reader, ready_poller};

    race_co_init(&co);
    lea_word_store_rlx(&np.chunk[0], (uintptr_t)&alone);
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
}

/* --- FD-CLOSE, FD-FREE --- */

static struct {
    struct lea_fd *f;
    int fd, other;
    lea_u32 inside; /* the reader holds the direction */
} pipe_;

static void pipe_begin(void)
{
    struct lea_ready_list list;
    int fd[2];

    RACE_CHECK(pipe2(fd, O_NONBLOCK | O_CLOEXEC) == 0);
    lea_ready_list_init(&list);
    pipe_.fd = fd[0];
    pipe_.other = fd[1];
    pipe_.f = lea_fd_make(&np, fd[0]);
    RACE_CHECK(pipe_.f && lea_fd_adopt(&np, fd[0], LEA_FD_KIND_STREAM, 0, &list) == 0);
    RACE_CHECK(list.n == 0);
    lea_u32_store_rlx(&pipe_.inside, 0);
}

static void pipe_end(void)
{
    RACE_CHECK(fcntl(pipe_.fd, F_GETFD) == -1);
    RACE_CHECK(lea_u32_load_rlx(&pipe_.f->use) == 0);
    close(pipe_.other);
}

static void leave(uint32_t how)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    if (lea_fd_leave(pipe_.f, how))
        (void)lea_fd_free(&np, pipe_.f, pipe_.fd, &list);
    race_ready(&list);
}

/* A read of what has no data, and never will. */
static int read_nothing(void)
{
    uint32_t gen = lea_u32_load_acq(&pipe_.f->gen);
    int r = 0;

    while (r == 0) {
        char c;

        (void)lea_fd_take_edge(pipe_.f, LEA_FD_READ);
        r = read(pipe_.fd, &c, 1) < 0 ? -errno : 1;
        if (r == -EAGAIN)
            r = wait_readable(pipe_.f, gen);
    }
    return r;
}

static void *close_reader(void *arg)
{
    for (;;) {
        if (race_self() == 0)
            pipe_begin();
        if (!race_next_round(20000, SPAN))
            break;
        RACE_CHECK(lea_fd_enter(pipe_.f, LEA_FD_USE_RD) == 0);
        lea_u32_store_rel(&pipe_.inside, 1);
        RACE_CHECK(read_nothing() == -ECANCELED);
        leave(LEA_FD_USE_RD);
        race_meet();
        pipe_end();
    }
    close(pipe_.fd);
    close(pipe_.other);
    return arg;
}

static void *close_closer(void *arg)
{
    struct lea_ready_list list;

    while (race_next_round(20000, SPAN)) {
        race_await(&pipe_.inside, 1); /* it is before its try, behind it, or waits */
        race_jitter();
        lea_ready_list_init(&list);
        RACE_CHECK(lea_fd_close(&np, pipe_.fd, &list) == 0);
        race_ready(&list);
        race_meet();
    }
    return arg;
}

/*
 * Goal: nobody sleeps on a descriptor that is closed meanwhile, and its number is given back by the
 * last one out.
 */
Test(race_records, fd_close, .timeout = 60)
{
    static void *(*const fn[])(void *) = {close_reader, close_closer};

    race_co_init(&co);
    cr_assert(eq(int, lea_netpoll_open(&np), 0));
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    lea_netpoll_close(&np);
}

/*
 * Comes in again and again, until the number is gone: also between the record's release and
 * close(2).
 */
static void *free_reader(void *arg)
{
    for (;;) {
        int r = 0;

        pipe_begin();
        if (!race_next_round(20000, SPAN))
            break;
        while (r != -EBADF) {
            if (lea_fd_enter(pipe_.f, LEA_FD_USE_RD) < 0)
                continue; /* it is being closed */
            lea_u32_store_rel(&pipe_.inside, 1);
            r = read_nothing();
            RACE_CHECK(r == -ECANCELED || r == -EBADF);
            leave(LEA_FD_USE_RD);
        }
        race_meet();
        pipe_end();
    }
    close(pipe_.fd);
    close(pipe_.other);
    return arg;
}

/*
 * Goal: who came in when the record was free already, and met the old descriptor, is woken when
 * that is gone.
 */
Test(race_records, fd_free, .timeout = 60)
{
    static void *(*const fn[])(void *) = {free_reader, close_closer};

    race_co_init(&co);
    cr_assert(eq(int, lea_netpoll_open(&np), 0));
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    lea_netpoll_close(&np);
}

/* --- FD-TAG --- */

static void *tag_armer(void *arg)
{
    for (;;) {
        struct lea_ready_list list;

        pipe_begin();
        if (!race_next_round(5000, SPAN))
            break;
        RACE_CHECK(lea_fd_arm(&np, pipe_.f, pipe_.fd) == 0);
        race_meet();
        /* whoever called the poller last, it knows the descriptor by its present name */
        lea_ready_list_init(&list);
        (void)lea_fd_take_edge(pipe_.f, LEA_FD_READ);
        RACE_CHECK(write(pipe_.other, "t", 1) == 1);
        (void)lea_netpoll_poll(&np, 0, 8, &list);
        RACE_CHECK(lea_word_load_rlx(&pipe_.f->word[LEA_FD_READ]) == LEA_FD_READY);
        RACE_CHECK(lea_fd_close(&np, pipe_.fd, &list) == 0);
        RACE_CHECK(list.n == 0);
        pipe_end();
    }
    close(pipe_.fd);
    close(pipe_.other);
    return arg;
}

static void *tag_adopter(void *arg)
{
    struct lea_ready_list list;

    while (race_next_round(5000, SPAN)) {
        lea_ready_list_init(&list);
        RACE_CHECK(lea_fd_adopt(&np, pipe_.fd, LEA_FD_KIND_STREAM, 0, &list) == 0);
        RACE_CHECK(lea_fd_arm(&np, pipe_.f, pipe_.fd) == 0);
        RACE_CHECK(list.n == 0);
        race_meet();
    }
    return arg;
}

/*
 * Goal: a call that tells the poller the name of an owner that is gone mends it, so that the new
 * owner is heard.
 */
Test(race_records, fd_tag, .timeout = 60)
{
    static void *(*const fn[])(void *) = {tag_armer, tag_adopter};

    cr_assert(eq(int, lea_netpoll_open(&np), 0));
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    lea_netpoll_close(&np);
}
