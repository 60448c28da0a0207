/* All lines are written, though the channel is given up before. */
#include <leat/leat.h>

LEAT_CHAN_TYPE(number_chan, int);

static int written, sum;

static void write_line(int line)
{
    leat_yield();
    sum += line;
    written++;
}

EXAMPLE

static int main_co(void *arg)
{
    number_chan lines;

    (void)arg;
    if (start_log(&lines) != 0)
        return 1;
    for (int i = 1; i <= 10; i++)
        if (leat_chan_put(lines, i, LEAT_FOREVER) != 0)
            return 2;
    stop_log(lines);
    while (written < 10)
        if (leat_sleep(LEAT_MSEC) != 0)
            return 3;
    return sum == 55 ? 0 : 4;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
