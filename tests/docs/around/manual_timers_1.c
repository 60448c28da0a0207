/* A second goes by before the first tick. The second report is the last: it cancels the loop. */
#include <leat/leat.h>

static int reports;
static leat_handle *loop;

static void report(void)
{
    if (++reports == 2)
        leat_cancel(loop);
}

static void example(void)
{
EXAMPLE
}

static int run(void *arg)
{
    (void)arg;
    if (leat_go_join(&loop, example) != 0 || leat_join(loop, NULL, LEAT_FOREVER) != 0)
        return 1;
    return reports == 2 ? 0 : 2;
}

int main(void)
{
    return leat_run(run, NULL);
}
