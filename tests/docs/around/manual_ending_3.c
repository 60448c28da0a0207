/* A server on a port of its own, one connection under way as the signal comes. */
#include <leat/leat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char address[32];
static int answered;
static volatile bool begun;

static void connection(int fd)
{
    char b;

    if (leat_read(fd, &b, 1, leat_after(20 * LEAT_SEC)) == 1) {
        begun = true;
        if (leat_sleep(50 * LEAT_MSEC) == 0)
            answered += leat_write(fd, &b, 1, leat_after(20 * LEAT_SEC)) == 1;
    }
    (void)leat_close(fd);
}

EXAMPLE

static int client(void)
{
    char b = 'x';
    int fd;

    while ((fd = leat_tcp_dial(address, leat_after(20 * LEAT_SEC))) == -ECONNREFUSED)
        (void)leat_sleep(LEAT_MSEC);
    if (fd < 0 || leat_write(fd, &b, 1, leat_after(20 * LEAT_SEC)) != 1)
        return -1;
    while (!begun)
        (void)leat_sleep(LEAT_MSEC);
    raise(SIGTERM);
    return leat_read(fd, &b, 1, leat_after(20 * LEAT_SEC)) == 1 ? 1 : -2;
}

static int example(void *arg)
{
    leat_handle *h;
    leat_result r = 0;
    int status, fd = leat_tcp_listen(arg, NULL); /* for a port that is free */

    snprintf(address, sizeof(address), "127.0.0.1:%d", leat_port(fd));
    if (fd < 0 || leat_close(fd) != 0)
        return 4;
    if (leat_go_join(&h, client) != 0)
        return 1;
    status = serve(address);
    if (leat_join(h, &r, leat_after(30 * LEAT_SEC)) != 0)
        return 2;
    return status == 0 && r == 1 && answered == 1 ? 0 : 3;
}

int main(void)
{
    return leat_run_with(&(leat_config){.procs = 1}, example, "127.0.0.1:0");
}
