/* Three of four hosts are reached, also by one who is cancelled while it waits. */
#include <leat/leat.h>

static int reach(int host, leat_deadline until)
{
    (void)until;
    leat_yield();
    return host == 2 ? -1 : 0;
}

EXAMPLE

static int main_co(void *arg)
{
    leat_scope scope;
    int all, cancelled;

    (void)arg;
    all = count_reached(4, LEAT_FOREVER);
    if (leat_scope_open(&scope, LEAT_FOREVER) != 0)
        return 2;
    leat_scope_cancel(&scope, -ECANCELED);
    cancelled = count_reached(4, LEAT_FOREVER);
    leat_scope_close(&scope);
    return all == 3 && cancelled == 3 ? 0 : 1;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
