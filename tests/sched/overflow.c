/*
 * A stack that overflows: the process dies with a message that names the coroutine. Faults of other
 * origin are none of our business.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct fault {
    unsigned procs;
    int (*main)(void *);
    int line;
    size_t stack_bytes;
    const char *name;
    uint64_t id;
    atomic_ulong began, handled;
    atomic_bool intact; /* the neighbours', looked at while the other one dies */
    atomic_ulong looks;
};

static int fault_body(void *arg)
{
    struct fault *f = arg;

    return kit_run(f->procs, f->main, f);
}

/* --- overflows --- */

__attribute__((noinline)) static unsigned deeper(volatile unsigned char *above, unsigned depth)
{
    volatile unsigned char room[256];

    room[0] = (unsigned char)depth;
    room[255] = above[0];
    if (depth == 0)
        return room[255];
    return deeper(room, depth - 1) + room[0];
}

static void overflows(struct fault *f)
{
    volatile unsigned char top = 1;

    f->id = leat_self_id();
    atomic_fetch_add(&f->began, 1);
    (void)deeper(&top, 100000000);
    atomic_fetch_add(&f->handled, 1); /* never */
}

static int overflow_main(void *arg)
{
    struct fault *f = arg;
    leat_attr attr = {.name = f->name, .stack_bytes = f->stack_bytes};

    f->line = __LINE__ + 1;
    (void)leat_go_attr(&attr, overflows, f);
    (void)leat_sleep(KIT_LONG);
    return 0;
}

static int dies(struct fault *f, char text[KIT_TEXT_BYTES])
{
    return kit_child(fault_body, f, 30000, text);
}

static void check_overflow(const struct fault *f, int status, const char *text, const char *fn,
                           const char *size)
{
    char want[64];

    cr_expect(ne(int, status, -1), "it went on: %s", text);
    cr_expect(not(kit_exited(status, 0)), "status %d", status);
    cr_expect(eq(u64, atomic_load(&f->handled), 0));
    cr_expect(ge(uint, kit_occurs(text, "stack overflow"), 1), "%s", text);
    snprintf(want, sizeof(want), "coroutine %lu", (unsigned long)f->id);
    cr_expect(ge(uint, kit_occurs(text, want), 1), "%s in: %s", want, text);
    snprintf(want, sizeof(want), "overflow.c:%d", f->line);
    cr_expect(ge(uint, kit_occurs(text, want), 1), "%s in: %s", want, text);
    cr_expect(ge(uint, kit_occurs(text, fn), 1), "%s", text);
    cr_expect(ge(uint, kit_occurs(text, size), 1), "%s", text);
    if (f->name)
        cr_expect(ge(uint, kit_occurs(text, f->name), 1), "%s", text);
}

/*
 * Goal: a recursion without end is reported with id, name, spawn site and stack size, and ends the
 * process.
 */
Test(overflow, is_reported, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct fault *f = kit_shared(sizeof(*f));
        char text[KIT_TEXT_BYTES];
        int status;

        *f = (struct fault){.procs = kit_procs[p], .main = overflow_main, .name = "the deep one"};
        status = dies(f, text);
        check_overflow(f, status, text, "overflows", "65536");
    }
}

/* Goal: the same for one with a size of its own, and without a name. */
Test(overflow, size_is_that_of_the_spawn, .timeout = 60)
{
    struct fault *f = kit_shared(sizeof(*f));
    char text[KIT_TEXT_BYTES];
    int status;

    *f = (struct fault){.procs = 2, .main = overflow_main, .stack_bytes = 1 << 20};
    status = dies(f, text);
    check_overflow(f, status, text, "overflows", "1048576");
}

static int main_overflows(void *arg)
{
    overflows(arg);
    return 0;
}

/*
 * Goal: for the main coroutine, which no spawn could have given more, the message names the setting
 * of the run.
 */
Test(overflow, of_the_main_coroutine_names_the_setting, .timeout = 60)
{
    struct fault *f = kit_shared(sizeof(*f));
    char text[KIT_TEXT_BYTES];
    int status;

    *f = (struct fault){.procs = 2, .main = main_overflows};
    status = dies(f, text);
    cr_expect(ne(int, status, -1), "it went on: %s", text);
    cr_expect(not(kit_exited(status, 0)), "status %d", status);
    cr_expect(eq(uint, kit_occurs(text, "stack overflow in the main coroutine"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "leat_config.stack_bytes or LEAT_STACK"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "65536"), 1), "%s", text);
}

/* Jumps over a page or two before it touches anything: 15 KiB below what it has touched so far. */
__attribute__((noinline)) static unsigned jumps(unsigned depth)
{
    volatile unsigned char room[15 * 1024];

    room[0] = (unsigned char)depth; /* the low end first */
    if (depth == 0)
        return 0;
    return jumps(depth - 1) + room[0];
}

static void jumps_far(struct fault *f)
{
    f->id = leat_self_id();
    (void)jumps(100000);
    atomic_fetch_add(&f->handled, 1);
}

/* Fills its stack with a pattern, and looks at it all the time. */
static void neighbour(struct fault *f)
{
    volatile unsigned char room[16 * 1024];

    for (size_t i = 0; i < sizeof(room); i++)
        room[i] = (unsigned char)(i * 13);
    atomic_fetch_add(&f->began, 1);
    for (;;) {
        bool intact = true;

        for (size_t i = 0; i < sizeof(room); i++)
            intact &= room[i] == (unsigned char)(i * 13);
        if (!intact)
            atomic_store(&f->intact, false);
        atomic_fetch_add(&f->looks, 1);
        leat_yield();
    }
}

static int jump_main(void *arg)
{
    struct fault *f = arg;

    for (int i = 0; i < 20; i++)
        (void)go(neighbour, f);
    (void)kit_reach(&f->began, 20, KIT_LONG);
    (void)kit_reach(&f->looks, 20, KIT_LONG);
    f->line = __LINE__ + 1;
    (void)go(jumps_far, f);
    (void)leat_sleep(KIT_LONG);
    return 0;
}

/*
 * Goal: a big local array does not jump over the guard: it is reported as any other, and no
 * neighbour has been written to. Method: frames of 15 KiB, touched at their low end, between
 * coroutines that look at their stacks.
 */
Test(overflow, big_arrays_meet_the_guard, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct fault *f = kit_shared(sizeof(*f));
        char text[KIT_TEXT_BYTES];
        int status;

        *f = (struct fault){.procs = kit_procs[p], .main = jump_main};
        atomic_store(&f->intact, true);
        status = dies(f, text);
        check_overflow(f, status, text, "jumps_far", "65536");
        cr_expect(atomic_load(&f->intact));
        cr_expect(ge(u64, atomic_load(&f->looks), 20));
    }
}

/* --- faults that are not ours --- */

#define WILD_PAGE 4096u

static void *forbidden_page(void)
{
    return mmap(NULL, WILD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void writes_wild(struct fault *f)
{
    atomic_fetch_add(&f->began, 1);
    *(volatile int *)forbidden_page() = 1;
}

static int wild_main(void *arg)
{
    (void)go(writes_wild, (struct fault *)arg);
    (void)leat_sleep(KIT_LONG);
    return 0;
}

static void *wild_thread(void *arg)
{
    writes_wild(arg);
    return NULL;
}

static int wild_thread_main(void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, wild_thread, arg))
        return -1;
    (void)leat_sleep(KIT_LONG);
    return 0;
}

/*
 * Goal: a wild pointer in a coroutine or in another thread is the default action: death by SIGSEGV,
 * without a word about stacks.
 */
Test(overflow, other_faults_are_not_ours, .timeout = 60)
{
    static int (*const mains[])(void *) = {wild_main, wild_thread_main};

    for (int i = 0; i < 2; i++) {
        struct fault *f = kit_shared(sizeof(*f));
        char text[KIT_TEXT_BYTES];
        int status;

        *f = (struct fault){.procs = 2, .main = mains[i]};
        status = dies(f, text);
        cr_expect(eq(u64, atomic_load(&f->began), 1));
        cr_assert(ne(int, status, -1));
        cr_expect(eq(int, status & 0x7f, SIGSEGV), "status %d", status);
        cr_expect(eq(uint, kit_occurs(text, "overflow"), 0), "%s", text);
    }
}

static struct fault *handler_fault;

static void on_segv(int signo)
{
    atomic_fetch_add(&handler_fault->handled, (unsigned long)signo);
    _exit(77);
}

static void on_segv_info(int signo, siginfo_t *info, void *context)
{
    atomic_fetch_add(&handler_fault->handled,
                     (unsigned long)signo + 1000 * (info->si_addr != NULL && context != NULL));
    _exit(78);
}

static int plain_handler_body(void *arg)
{
    handler_fault = arg;
    signal(SIGSEGV, on_segv);
    return fault_body(arg);
}

static int info_handler_body(void *arg)
{
    struct sigaction sa;

    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = on_segv_info;
    sa.sa_flags = SA_SIGINFO;
    handler_fault = arg;
    sigaction(SIGSEGV, &sa, NULL);
    return fault_body(arg);
}

/*
 * Goal: the program's own handler, of either kind, from before the run, gets faults that are not an
 * overflow.
 */
Test(overflow, handlers_of_the_program_are_called, .timeout = 60)
{
    struct fault *f = kit_shared(2 * sizeof(*f));
    char text[KIT_TEXT_BYTES];
    int status;

    f[0] = f[1] = (struct fault){.procs = 2, .main = wild_main};
    status = kit_child(plain_handler_body, &f[0], 30000, text);
    cr_expect(kit_exited(status, 77), "status %d: %s", status, text);
    cr_expect(eq(u64, atomic_load(&f[0].handled), SIGSEGV));
    status = kit_child(info_handler_body, &f[1], 30000, text);
    cr_expect(kit_exited(status, 78), "status %d: %s", status, text);
    cr_expect(eq(u64, atomic_load(&f[1].handled), SIGSEGV + 1000));
}

static int handler_stays_body(void *arg)
{
    struct sigaction now;

    handler_fault = arg;
    signal(SIGSEGV, on_segv);
    for (int i = 0; i < 3; i++) {
        leat_config config = {.procs = 2};

        (void)leat_run_with(&config, handler_fault->main, arg);
        sigaction(SIGSEGV, NULL, &now);
        if (now.sa_handler != on_segv)
            return 1;
    }
    return 0;
}

static int nothing_main(void *arg)
{
    (void)arg;
    return 0;
}

/* Goal: after the run the program's handler is in place again. */
Test(overflow, handlers_come_back, .timeout = 60)
{
    struct fault *f = kit_shared(sizeof(*f));
    char text[KIT_TEXT_BYTES];
    int status;

    *f = (struct fault){.procs = 2, .main = nothing_main};
    status = kit_child(handler_stays_body, f, 20000, text);
    cr_expect(kit_exited(status, 0), "status %d: %s", status, text);
}
