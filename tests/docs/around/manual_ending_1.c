/* One of the parts never comes: after the deadline it is cancelled. The deadline of 10 s is made shorter,
   and is long enough for the others on a busy machine. */
#include <leat/leat.h>

#include <errno.h>
#include <stdio.h>

#define leat_after(span) leat_after((span) / 4)

struct part {
    int64_t span;
    int ended;
};

static int fetch(struct part *part)
{
    int r = leat_sleep(part->span);

    part->ended = r == 0 ? 1 : r;
    return r;
}

static int example(void *arg)
{
    struct part part[3] = {{1, 0}, {LEAT_MSEC, 0}, {3600 * LEAT_SEC, 0}};
    int n = 3;

    (void)arg;
EXAMPLE
return err == -ETIMEDOUT && part[0].ended == 1 && part[1].ended == 1 && part[2].ended == -ECANCELED ? 0 : 1;
}

int main(void)
{
    return leat_run(example, NULL);
}
