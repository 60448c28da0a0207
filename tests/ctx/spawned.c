/*
 * spawned.c - a program for gdb to look at: a coroutine some calls deep, on the real runtime. Names
 * and the marked lines: spawned.py.
 */
#include <leat/leat.h>

static volatile int depth;
static leat_waitgroup done;

__attribute__((noinline)) static void spawned_leaf(void)
{
    depth = 3;
    leat_yield();
    depth = 4; /* after the yield */
}

__attribute__((noinline)) static void spawned_middle(void)
{
    depth = 2;
    spawned_leaf();
    depth = 5;
}

static void spawned_first(int number)
{
    depth = number;
    spawned_middle();
    leat_wg_done(&done);
}

static int spawned_main(void *arg)
{
    (void)arg;
    leat_wg_add(&done, 1);
    if (go(spawned_first, 1) < 0) /* spawned here */
        return 1;
    return leat_wg_wait(&done, LEAT_FOREVER);
}

int main(void)
{
    return leat_run(spawned_main, NULL);
}
