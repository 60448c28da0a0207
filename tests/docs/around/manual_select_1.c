#include <leat/leat.h>

LEAT_CHAN_TYPE(number_chan, int);

EXAMPLE

/* What goes in comes out, until it is told to stop. */
static int main_co(void *arg)
{
    number_chan in, out, quit;
    int n, sum = 0;

    (void)arg;
    if (leat_chan_new(&in, 0) != 0 || leat_chan_new(&out, 0) != 0 || leat_chan_new(&quit, 0) != 0 || go(relay, in, out, quit) != 0)
        return 1;
    for (int i = 1; i <= 10; i++) {
        if (leat_chan_put(in, i, LEAT_FOREVER) != 0 || leat_chan_get(out, &n, LEAT_FOREVER) != 0)
            return 2;
        sum += n;
    }
    return leat_chan_put(quit, 0, LEAT_FOREVER) == 0 && sum == 55 ? 0 : 3;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
