/*
 * The program of a kernel that refuses, see program.h.
 */
#include "support/test.h"

#include "sched/program.h"

#include <sys/socket.h>

#define NR_SPAWNS 2000ul
#define NR_NAPS 100ul
#define NR_ECHOES 50

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

void program_nap(struct program *p, int64_t span)
{
    int64_t begin = leat_now();

    if (leat_sleep(span) == 0)
        atomic_fetch_add(&p->slept, 1);
    atomic_fetch_add(&p->early, leat_now() - begin < span);
}

static void echo(struct program *p, int fd)
{
    char b;

    while (leat_read(fd, &b, 1, LEAT_FOREVER) == 1)
        if (leat_write(fd, &b, 1, LEAT_FOREVER) == 1)
            atomic_fetch_add(&p->echoed, 1);
    (void)leat_close(fd);
}

static void use_stack(struct program *p)
{
    volatile char room[20000];

    for (size_t i = 0; i < sizeof(room); i += 1000)
        room[i] = (char)i;
    atomic_fetch_add(&p->deep, room[1000] == (char)1000);
}

static int program_main(void *arg)
{
    struct program *p = arg;
    int fds[2];

    p->nr_procs = leat_nr_procs();
    for (unsigned long i = 0; i < NR_SPAWNS; i++)
        (void)go(count_up, &p->ran);
    for (unsigned long i = 0; i < NR_NAPS; i++)
        (void)go(program_nap, p, (int64_t)i * 50 * LEAT_USEC + 1);
    for (int i = 0; i < 10; i++)
        (void)go(use_stack, p);
    if (leat_socketpair(SOCK_STREAM, fds) < 0)
        return -1;
    (void)go(echo, p, fds[1]);
    for (int i = 0; i < NR_ECHOES; i++) {
        char b = (char)i;

        if (leat_write(fds[0], &b, 1, LEAT_FOREVER) != 1 ||
            leat_read(fds[0], &b, 1, LEAT_FOREVER) != 1 || b != (char)i)
            return -2;
        leat_yield();
    }
    (void)leat_close(fds[0]);
    p->reached = kit_reach(&p->ran, NR_SPAWNS, KIT_LONG) &&
                 kit_reach(&p->slept, NR_NAPS, KIT_LONG) && kit_reach(&p->deep, 10, KIT_LONG);
    return 42;
}

int program_run(struct program *p)
{
    p->value = kit_run(p->procs, program_main, p);
    return 0;
}

void program_check(struct program *p, int (*body)(void *), char text[KIT_TEXT_BYTES])
{
    int status = kit_child(body, p, 40000, text);

    if (p->no_seccomp)
        cr_skip("no seccomp here");
    cr_assert(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(int, p->value, 42));
    cr_expect(p->reached);
    cr_expect(eq(u64, atomic_load(&p->ran), NR_SPAWNS));
    cr_expect(eq(u64, atomic_load(&p->slept), NR_NAPS));
    cr_expect(eq(u64, atomic_load(&p->early), 0));
    cr_expect(eq(u64, atomic_load(&p->echoed), NR_ECHOES));
    cr_expect(eq(uint, p->nr_procs, p->want_procs), "%s", text);
}
