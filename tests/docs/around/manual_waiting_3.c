/* Readers, writers and who tries a route, at once. */
#include <leat/leat.h>

static int routes[4];

static int reach(int route, leat_deadline until)
{
    (void)until;
    leat_yield();
    return route < 0 ? -1 : 0;
}

EXAMPLE

static int use(int host)
{
    for (int i = 1; i <= 100; i++)
        if (set_route(host, i, LEAT_FOREVER) != 0 || try_route(host, LEAT_FOREVER) != 0)
            return -1;
    return 0;
}

static int main_co(void *arg)
{
    leat_group users;
    int err = 0;

    (void)arg;
    leat_group_open(&users, 0);
    for (int i = 0; i < 20; i++)
        err |= leat_group_go(&users, use, i % 4);
    if (leat_group_close(&users) != 0 || err != 0)
        return 1;
    return route_of(0) == 100 && route_of(3) == 100 ? 0 : 2;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
