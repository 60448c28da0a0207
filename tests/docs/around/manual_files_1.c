#include <fcntl.h>
#include <leat/leat.h>
#include <string.h>

EXAMPLE

static int try_it(void *arg)
{
    char buf[4096];
    ssize_t n = load("/proc/self/comm", buf, sizeof(buf));

    (void)arg;
    return n > 0 && buf[n - 1] == '\n' && load("/nowhere/leat", buf, 1) < 0 ? 0 : 1;
}

int main(void)
{
    return leat_run(try_it, NULL);
}
