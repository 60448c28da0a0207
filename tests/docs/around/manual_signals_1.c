/* Jobs and signals, one after the other: what has come is waited for before the next. */
#include <leat/leat.h>

#include <signal.h>

LEAT_CHAN_TYPE(number_chan, int);

static leat_sem done;
static int sum, settings_read;

static void work_on(int job)
{
    sum += job;
    leat_sem_release(&done, 1);
}

static void read_settings(void)
{
    settings_read++;
    leat_sem_release(&done, 1);
}

EXAMPLE

static int main_co(void *arg)
{
    number_chan jobs;
    leat_handle *h;
    leat_result result;

    (void)arg;
    if (leat_chan_new(&jobs, 0) != 0 || leat_go_join(&h, work_until_told, jobs) != 0)
        return 1;
    for (int i = 1; i <= 3; i++)
        if (leat_chan_put(jobs, i, LEAT_FOREVER) != 0 || leat_sem_acquire(&done, 1, LEAT_FOREVER) != 0)
            return 2;
    raise(SIGHUP); /* they are taken over by now */
    if (leat_sem_acquire(&done, 1, LEAT_FOREVER) != 0)
        return 3;
    raise(SIGTERM);
    if (leat_join(h, &result, LEAT_FOREVER) != 0 || result != 0)
        return 4;
    leat_chan_unref(jobs.chan);
    return sum == 6 && settings_read == 1 ? 0 : 5;
}

int main(void)
{
    return leat_run(main_co, NULL);
}
