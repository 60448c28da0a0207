/*
 * Coroutines that compute without a call, or block their thread: whoever waits for their processor
 * runs all the same.
 *
 * Without the taking of processors each of these would stand still: on one processor nobody but the
 * hog would ever run.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_TICKS 20

struct beside {
    atomic_bool over;
    atomic_ulong ticks, done;
    unsigned hogs;
    int64_t span_ns;     /* of computing, at most; 0: longer than anybody waits for them */
    unsigned long taken; /* so many processors at least, before they are let go */
    int fds[2];
    unsigned long done_before, most_threads;
    leat_run_stats stats;
    bool reached;
};

static void ticker(struct beside *b)
{
    for (int i = 0; i < NR_TICKS; i++) {
        (void)leat_sleep(LEAT_MSEC);
        atomic_fetch_add(&b->ticks, 1);
    }
}

/* No call, until the others have run. */
static void compute(struct beside *b)
{
    int64_t until = leat_now() + (b->span_ns ? b->span_ns : 3 * KIT_LONG);

    while (!atomic_load(&b->over) && leat_now() < until)
        ;
    atomic_fetch_add(&b->done, 1);
}

static void block(struct beside *b)
{
    char c;

    while (read(b->fds[0], &c, 1) < 0 && errno == EINTR)
        ;
    atomic_fetch_add(&b->done, 1);
}

static void block_announced(struct beside *b)
{
    char c;
    ssize_t n;
    int error;

    leat_block_enter();
    leat_block_enter();
    do {
        errno = 0;
        n = read(b->fds[0], &c, 1);
    } while (n < 0 && errno == EINTR);
    leat_block_leave();
    (void)read(-1, &c, 1);
    leat_block_leave();
    error = errno;
    if (n == 1 && error == EBADF)
        atomic_fetch_add(&b->done, 1);
}

static void (*beside_fn)(struct beside *);

/* The last of the hogs may not have been run, or stood still for long enough, by the last tick. */
static bool all_taken(struct beside *b)
{
    int64_t until = leat_now() + KIT_LONG;

    do {
        (void)leat_stats_run(&b->stats);
        if (b->stats.retaken_hogs + b->stats.retaken_blocked + b->stats.retaken_brackets >=
            b->taken)
            return true;
    } while (leat_sleep(LEAT_MSEC) == 0 && leat_now() < until);
    return false;
}

/* The hogs begin first. Once the ticker has run they are let go. */
static int beside_main(void *arg)
{
    struct beside *b = arg;

    for (unsigned i = 0; i < b->hogs; i++)
        if (go(beside_fn, b) != 0)
            return 1;
    if (go(ticker, b) != 0)
        return 1;
    b->reached = kit_reach(&b->ticks, NR_TICKS, KIT_LONG) && all_taken(b);
    b->done_before = atomic_load(&b->done);
    (void)leat_stats_run(&b->stats);
    b->most_threads = b->stats.threads;
    atomic_store(&b->over, true);
    for (unsigned i = 0; i < b->hogs; i++)
        if (write(b->fds[1], "x", 1) != 1)
            return 1;
    b->reached = b->reached && kit_reach(&b->done, b->hogs, KIT_LONG);
    return 0;
}

static struct beside beside_run(const leat_config *config, void (*fn)(struct beside *),
                                unsigned hogs, unsigned long taken)
{
    struct beside b = {.hogs = hogs, .taken = taken};

    beside_fn = fn;
    cr_assert(eq(int, pipe(b.fds), 0));
    cr_assert(eq(int, leat_run_with(config, beside_main, &b), 0));
    close(b.fds[0]);
    close(b.fds[1]);
    cr_expect(b.reached,
              "%lu of %d ticks, %lu of %u hogs ended; taken from: %lu that computed, %lu blocked, "
              "%lu in brackets",
              atomic_load(&b.ticks), NR_TICKS, atomic_load(&b.done), hogs,
              (unsigned long)b.stats.retaken_hogs, (unsigned long)b.stats.retaken_blocked,
              (unsigned long)b.stats.retaken_brackets);
    cr_expect(eq(u64, b.done_before, 0));
    return b;
}

/* Goal: as many hogs as processors compute, and a sleeper wakes up beside them. */
Test(retake, hogs, .timeout = 60)
{
    for (int p = 0; p < 2; p++) {
        leat_config config = {.procs = kit_procs[p], .shutdown_grace_ms = 20000};
        struct beside b = beside_run(&config, compute, kit_procs[p], 1);
        /* sanitizers and emulators have locks of their own, and who waits there looks blocked */
        uint64_t blocked = KIT_SANITIZED || LEAT_TEST_EMULATED ? b.stats.retaken_blocked : 0;

        cr_expect(ge(u64, b.stats.retaken_hogs + blocked, 1));
    }
}

/*
 * Goal: more hogs than may compute without a processor (4 each) are left alone, and no more threads
 * are made for them.
 */
Test(retake, hogs_beyond_the_bound, .timeout = 60)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};
    struct beside b = {.hogs = 24, .span_ns = 300 * LEAT_MSEC};

    beside_fn = compute;
    cr_assert(eq(int, pipe(b.fds), 0));
    cr_assert(eq(int, leat_run_with(&config, beside_main, &b), 0));
    close(b.fds[0]);
    close(b.fds[1]);
    /* the monitor, a spare one or two, and those that looked blocked while memory was slow */
    cr_expect(le(u64, b.most_threads, 1 + 4 + 3 + 8));
}

/* Goal: threads that block in a call which nobody announced. */
Test(retake, blocked, .timeout = 60)
{
    for (int p = 0; p < 2; p++) {
        leat_config config = {.procs = kit_procs[p], .shutdown_grace_ms = 20000};
        struct beside b = beside_run(&config, block, 8, 8 - kit_procs[p]);

        /* who is held up before it is there is another kind */
        cr_expect(ge(u64, b.stats.retaken_blocked, 3));
    }
}

/* Goal: 64 of them, and the others go on. */
Test(retake, sixty_four_blocked, .timeout = 60)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20000};
    struct beside b = beside_run(&config, block, 64, 0);

    cr_expect(le(u64, b.most_threads, 64 + 2 + 4 + 8)); /* whose own wait was taken for one */
}

/* Goal: the same for those who say so, nested, and errno of the call is there afterwards. */
Test(retake, announced, .timeout = 60)
{
    for (int p = 0; p < 2; p++) {
        /* who has had its slice gives its processor away itself */
        leat_config config = {
            .procs = kit_procs[p], .slice_us = 10000000, .shutdown_grace_ms = 20000};
        struct beside b = beside_run(&config, block_announced, 8, 8 - kit_procs[p]);

        cr_expect(ge(u64, b.stats.retaken_brackets, 3));
    }
    leat_block_enter(); /* a plain thread: nothing */
    leat_block_leave();
    leat_block_leave();
}

/* --- loops that compute --- */

static void compute_politely(struct beside *b)
{
    int64_t until = leat_now() + 3 * KIT_LONG;

    while (!atomic_load(&b->over) && leat_now() < until)
        leat_poll();
    atomic_fetch_add(&b->done, 1);
}

/*
 * Goal: leat_poll() lets the others run where nobody else would: processors are not taken, slices
 * are short.
 */
Test(retake, polite_loops, .timeout = 60)
{
    for (int p = 0; p < 2; p++) {
        leat_config config = {
            .procs = kit_procs[p], .retake_us = -1, .slice_us = 1000, .shutdown_grace_ms = 20000};
        struct beside b = beside_run(&config, compute_politely, kit_procs[p], 0);

        cr_expect(eq(u64, b.stats.retaken_hogs + b.stats.retaken_blocked, 0));
    }
    leat_poll(); /* a plain thread: nothing */
}

/* Goal: and before the slice ends, by the request that comes ahead of a retake. */
Test(retake, polite_loops_are_asked_first, .timeout = 60)
{
    leat_config config = {
        .procs = 1, .retake_us = 20000, .slice_us = 10000000, .shutdown_grace_ms = 20000};
    struct beside b = beside_run(&config, compute_politely, 1, 0);

    cr_expect(ge(u64, b.stats.sum.yielded, 1));
}

static int long_hog(void *arg)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};
    struct beside b = {.hogs = 3, .span_ns = 2 * LEAT_SEC};
    int64_t begin = leat_now();
    bool failed;

    beside_fn = compute;
    failed = pipe(b.fds) || leat_run_with(&config, beside_main, &b) || !b.reached;
    *(int64_t *)arg = leat_now() - begin;
    return failed;
}

static void named_compute(struct beside *b)
{
    leat_set_name("hog");
    compute(b);
}

/*
 * Until one was reported: how long that takes depends on what else the machine does, and who looks
 * blocked for a moment loses its processor without a word.
 */
static int told_main(void *arg)
{
    struct beside *b = arg;
    int64_t until = leat_now() + KIT_LONG;

    for (unsigned long n = 1; !atomic_load(&b->over) && leat_now() < until; n++) {
        if (go(named_compute, b) != 0)
            return 1;
        while (atomic_load(&b->done) < n) { /* somebody who waits */
            if (kit_said("without a call"))
                atomic_store(&b->over, true);
            (void)leat_sleep(LEAT_MSEC);
        }
    }
    (void)leat_stats_run(&b->stats);
    return b->stats.hogs >= 1 ? 0 : 2;
}

static int told_child(void *arg)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};
    struct beside b = {.span_ns = 4 * LEAT_SEC};

    (void)arg;
    return leat_run_with(&config, told_main, &b);
}

/*
 * Goal: a hog is named on stderr once, with the place where it was spawned; several within a second
 * are not all.
 */
Test(retake, hogs_are_reported, .timeout = 120)
{
    int64_t *took = kit_shared(sizeof(*took));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(told_child, NULL, 40000, text);

    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(eq(uint, kit_occurs(text, "without a call"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "\"hog\", spawned at "), 1), "%s", text);
    status = kit_child(long_hog, took, 60000, text);
    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(le(uint, kit_occurs(text, "without a call"), 2 + *took / LEAT_SEC), "%s", text);
}

/* --- misuse and what comes in between --- */

struct inside {
    atomic_ulong ran;
    unsigned long spawned;
};

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

static void between(struct inside *in)
{
    leat_block_leave();
    for (int i = 0; i < 1000; i++) {
        leat_block_enter();
        if (go(count_up, &in->ran) == 0)
            in->spawned++;
        if (i % 10 == 0)
            (void)leat_sleep(0);
        if (i % 100 == 0)
            leat_yield();
        if (i % 7)
            leat_block_leave();
    }
}

static int between_main(void *arg)
{
    struct inside *in = arg;

    between(in);
    return kit_reach(&in->ran, in->spawned, KIT_LONG) ? 0 : 1;
}

/* Goal: calls of leat within a bracket, yields too, and brackets without an end do no harm. */
Test(retake, calls_within_a_bracket, .timeout = 60)
{
    for (int p = 0; p < 3; p++) {
        struct inside in = {.spawned = 0};

        cr_assert(eq(int, kit_run(kit_procs[p], between_main, &in), 0));
        cr_expect(eq(u64, atomic_load(&in.ran), 1000));
    }
}

static void let_go(struct beside *b)
{
    (void)leat_sleep(LEAT_MSEC);
    if (write(b->fds[1], "x", 1) == 1)
        atomic_fetch_add(&b->ticks, 1);
}

/*
 * Again until it has got a processor at the unlock: who has just been given that may still be
 * looking for work.
 */
static int aside_again_main(void *arg)
{
    struct beside *b = arg;
    int64_t until = leat_now() + KIT_LONG;

    do {
        if (leat_lock_thread() != 0) /* whoever is bound has no processor */
            return 1;
        leat_block_enter();
        leat_unlock_thread();
        if (go(let_go, b) != 0)
            return 2;
        block_announced(b);
        (void)leat_stats_run(&b->stats);
    } while (!b->stats.retaken_brackets && leat_now() < until);
    return 0;
}

/*
 * Goal: who has called leat_block_enter() without a processor, and not come to its end on that
 * thread, steps aside the next time as if nothing had been.
 */
Test(retake, aside_again_after_a_bracket_without_a_processor, .timeout = 60)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};
    struct beside b = {.hogs = 0};

    cr_assert(eq(int, pipe(b.fds), 0));
    cr_assert(eq(int, leat_run_with(&config, aside_again_main, &b), 0));
    close(b.fds[0]);
    close(b.fds[1]);
    cr_expect(ge(u64, b.stats.retaken_brackets, 1), "after %lu rounds", atomic_load(&b.ticks));
}

/* --- limits --- */

static int few_threads(void *arg)
{
    leat_config config = {.procs = 1, .max_threads = 3, .shutdown_grace_ms = 20000};
    struct beside b = {.hogs = 6};

    (void)arg;
    beside_fn = block;
    if (pipe(b.fds) != 0)
        return 2;
    for (unsigned i = 0; i < b.hogs;
         i++) /* what the third thread cannot take away has to end by itself */
        if (write(b.fds[1], "x", 1) != 1)
            return 3;
    if (leat_run_with(&config, beside_main, &b) != 0)
        return 4;
    return b.reached && b.most_threads <= 3 ? 0 : 5;
}

/* Goal: at LEAT_MAX_THREADS nothing aborts, and all goes on with what there is. */
Test(retake, no_thread_is_left, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    int status = kit_child(few_threads, NULL, 40000, text);

    cr_expect(kit_exited(status, 0), "status %#x: %s", (unsigned)status, text);
    cr_expect(le(uint, kit_occurs(text, "no further thread"), 1), "%s", text);
}
