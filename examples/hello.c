#include <leat/leat.h>
#include <stdio.h>

static void greet(const char *who, int times)
{
    for (int i = 0; i < times && leat_sleep(100 * LEAT_MSEC) == 0; i++)
        printf("hello, %s\n", who);
}

static int hello(void *name)
{
    leat_group greeters;
    int err;

    leat_group_open(&greeters, 0);
    err = leat_group_go(&greeters, greet, "world", 3);
    if (err == 0)
        err = leat_group_go(&greeters, greet, name, 2);
    if (leat_group_wait(&greeters, LEAT_FOREVER) < 0 || err != 0)
        return 1;
    return 0;
}

int main(void)
{
    return leat_run(hello, "leat") != 0;
}
