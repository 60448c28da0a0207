/*
 * The report on a coroutine that computes says where it is.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 10 /* on a busy machine the thread that is asked may not get to answer in time */
#define FUNCTION_BYTES 512

static atomic_int stop;
static atomic_ulong ended;

/* In which nothing is called. */
__attribute__((noinline)) static int inner(void)
{
    int n = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        n++;
    return n;
}

static int (*volatile inner_ptr)(void) = inner;

static void hog(void)
{
    atomic_store(&stop, inner_ptr() ? 1 : 2);
    atomic_fetch_add(&ended, 1);
}

static int hog_main(void *arg)
{
    leat_run_stats stats = {0};
    int64_t end = leat_now() + KIT_LONG;

    (void)arg;
    /* who looks blocked for a moment loses its processor, and is none: another one */
    for (unsigned long n = 1; !stats.hogs && leat_now() < end; n++) {
        int64_t again = leat_now() + KIT_LONG / 4;

        atomic_store(&stop, 0);
        if (go(hog) < 0)
            return 1;
        /* its report comes right after it was counted, or the next look of the monitor does */
        while (leat_stats_run(&stats) == 0 && stats.hogs == 0 && leat_now() < again)
            (void)leat_sleep(LEAT_MSEC);
        (void)leat_sleep(60 * LEAT_MSEC);
        atomic_store(&stop, 1);
        if (!kit_reach(&ended, n, KIT_LONG))
            return 3;
    }
    return stats.hogs ? 0 : 2;
}

static int hog_child(void *arg)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};

    return leat_run_with(&config, hog_main, arg);
}

/* The first address of the report, 0 none. */
static uintptr_t first_address(const char *text)
{
    const char *at = strstr(text, "  at 0x");

    return at ? (uintptr_t)strtoull(at + 5, NULL, 16) : 0;
}

/*
 * Goal: the innermost address is in the function that computes. A child is forked, so that its
 * addresses are ours.
 */
Test(where, a_report_says_where, .timeout = 240)
{
    char text[KIT_TEXT_BYTES] = "";
    uintptr_t at = 0;

    if (KIT_TSAN) /* it holds signals back until libc is called */
        cr_skip_test("ThreadSanitizer");
    kit_no_chaos();
    for (int i = 0; i < TRIES && !at; i++) {
        int status = kit_child(hog_child, NULL, 60000, text);

        if (kit_exited(status, 2)) /* nobody had the CPU time of a hog */
            continue;
        cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
        at = first_address(text);
    }
    cr_assert(ne(ptr, strstr(text, "has computed for"), NULL), "%s", text);
    cr_assert(at >= (uintptr_t)inner && at < (uintptr_t)inner + FUNCTION_BYTES, "%p: %s",
              (void *)(uintptr_t)inner, text);
    cr_expect(ne(ptr, strstr(text, "sched_where"), NULL), "%s", text);
}

static volatile sig_atomic_t urgent;

static void on_urgent(int signo)
{
    (void)signo;
    urgent = 1;
}

static int none_main(void *arg)
{
    (void)arg;
    return 0;
}

static int own_main(void *arg)
{
    int r = hog_main(arg);

    raise(SIGURG);
    return r ? r : urgent ? 0 : 3;
}

static int own_child(void *arg)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 20000};
    struct sigaction now;

    signal(SIGURG, on_urgent);
    if (leat_run_with(&config, own_main, arg) != 0)
        return 1;
    return sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == on_urgent ? 0 : 2;
}

/*
 * Goal: a program that handles the signal itself keeps it, and is not sent any; one that does not
 * finds it as it was.
 */
Test(where, the_signal_of_the_program, .timeout = 120)
{
    char text[KIT_TEXT_BYTES];
    struct sigaction before, after;
    int status;

    sigaction(SIGURG, NULL, &before);
    cr_assert(eq(int, kit_run(2, none_main, NULL), 0));
    sigaction(SIGURG, NULL, &after);
    cr_expect(eq(int, before.sa_handler == after.sa_handler, 1));
    kit_no_chaos();
    status = kit_child(own_child, NULL, 60000, text);
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(ptr, strstr(text, "  at 0x"), NULL), "%s", text);
}
