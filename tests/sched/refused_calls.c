/*
 * A kernel that refuses system calls: those that it does not know, and a watch that it has no room
 * for. Seccomp plays the kernel, in a child.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/program.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define ADVICE_GUARD_INSTALL 102

static const struct kit_refusal old_kernel[] = {
    {SYS_epoll_pwait2, -1, 0, ENOSYS},
    {SYS_membarrier, -1, 0, ENOSYS},
    {SYS_sched_setattr, -1, 0, ENOSYS},
    {SYS_madvise, 2, ADVICE_GUARD_INSTALL, EINVAL},
};

static int lacks(struct program *p, const struct kit_refusal *list, unsigned n)
{
    if (!kit_refuse(list, n)) {
        p->no_seccomp = true;
        return 0;
    }
    return program_run(p);
}

static int lacks_pwait2(void *arg)
{
    return lacks(arg, &old_kernel[0], 1);
}

static int lacks_membarrier(void *arg)
{
    return lacks(arg, &old_kernel[1], 1);
}

static int lacks_slices(void *arg)
{
    return lacks(arg, &old_kernel[2], 1);
}

static int lacks_guards(void *arg)
{
    return lacks(arg, &old_kernel[3], 1);
}

static int lacks_everything(void *arg)
{
    return lacks(arg, old_kernel, 4);
}

/*
 * Goal: the same program gives the same results without epoll_pwait2, membarrier, sched_setattr,
 * guard markers, and without all of them.
 */
Test(refused_calls, system_calls_of_newer_kernels, .timeout = 60)
{
    static int (*const body[])(void *) = {lacks_pwait2, lacks_membarrier, lacks_slices,
                                          lacks_guards, lacks_everything};

    for (int i = 0; i < 5; i++) {
        struct program *p = kit_shared(sizeof(*p));
        char text[KIT_TEXT_BYTES];

        p->procs = p->want_procs = i % 2 ? 1 : 4;
        program_check(p, body[i], text);
        cr_expect(eq(u64, atomic_load(&p->deep), 10));
    }
}

static int no_guards_main(void *arg)
{
    struct program *p = arg;

    for (int i = 0; i < 200; i++) /* each its own guard: mprotect */
        (void)go(program_nap, p, 20 * LEAT_MSEC);
    return kit_reach(&p->slept, 200, KIT_LONG) ? 42 : -1;
}

static int no_guards_body(void *arg)
{
    struct program *p = arg;

    if (!kit_refuse(&old_kernel[3], 1)) {
        p->no_seccomp = true;
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        atomic_store(&p->slept, 0);
        p->value = kit_run(2, no_guards_main, p);
        if (p->value != 42)
            break;
    }
    return 0;
}

/* Goal: guards by mprotect serve many stacks, and are gone with each run. */
Test(refused_calls, guard_markers, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(no_guards_body, p, 40000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
    cr_expect(eq(u64, atomic_load(&p->slept), 200));
}

/* As many descriptors are watched as the system allows. */
static int watches_main(void *arg)
{
    static const struct kit_refusal no_watch = {SYS_epoll_ctl, -1, 0, ENOSPC};
    static const char *const argv[] = {"sleep", "1000", NULL};
    struct program *p = arg;
    leat_process child;
    siginfo_t info;

    if (leat_process_start(&child, argv, NULL) != 0)
        return 1;
    /* this thread: nobody takes the coroutine off it */
    if (!kit_refuse(&no_watch, 1)) {
        p->no_seccomp = true;
    } else if (leat_process_wait(&child, NULL, leat_after(KIT_LONG)) != -ENOSPC) {
        leat_process_close(&child);
        return 2;
    }
    leat_process_close(&child);
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD ? 42 : 3;
}

static int watches_body(void *arg)
{
    struct program *p = arg;

    p->value = kit_run_alone(watches_main, p);
    return 0;
}

/* Goal: a child whose end nobody can be told of is ended and its end taken all the same. */
Test(refused_calls, watching_a_child, .timeout = 60)
{
    struct program *p = kit_shared(sizeof(*p));
    char text[KIT_TEXT_BYTES];
    int status = kit_child(watches_body, p, 40000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
}
