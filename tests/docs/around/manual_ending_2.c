/* Nobody answers: the scope's deadline, made shorter, ends that. */
#include <leat/leat.h>

#include <errno.h>

#define leat_after(span) leat_after((span) / 100)

static int answer(int fd)
{
    (void)fd;
    return leat_sleep_until(LEAT_FOREVER);
}

static int example(void *arg)
{
    int fd = -1;

    (void)arg;
EXAMPLE
return err == -ETIMEDOUT && leat_sleep(LEAT_MSEC) == 0 ? 0 : 1;
}

int main(void)
{
    return leat_run(example, NULL);
}
