/*
 * echo - a TCP server that sends back what it gets, one coroutine per connection.
 *
 *   echo [ADDRESS]      default :7777; SIGTERM or SIGINT ends it
 */
#include <leat/leat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void echo(int fd)
{
    char buf[4096];
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof(buf), LEAT_FOREVER)) > 0)
        if (leat_write_all(fd, buf, (size_t)n, leat_after(30 * LEAT_SEC)) < 0)
            break;
    leat_close(fd);
}

/*
 * Until cancelled. Other errors pass (descriptors run out, say); leat_accept() has waited a little
 * by then.
 */
static void accept_connections(int listener, leat_group *group)
{
    int fd;

    while ((fd = leat_accept(listener, NULL, NULL, LEAT_FOREVER)) != -ECANCELED) {
        if (fd < 0)
            fprintf(stderr, "echo: accept: %s\n", strerror(-fd));
        else if (leat_group_go(group, echo, fd) != 0)
            leat_close(fd);
    }
}

static int serve(void *arg)
{
    const char *address = arg;
    int signals = leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT));
    int listener = leat_tcp_listen(address, NULL);
    leat_group group;
    int err;

    if (signals < 0 || listener < 0) {
        fprintf(stderr, "echo: cannot listen on %s: %s\n", address,
                listener == -EINVAL
                    ? "accepted: host:port ([v6]:port), host numeric, localhost or none"
                    : strerror(-(listener < 0 ? listener : signals)));
        return 1;
    }
    leat_group_open(&group, 0);
    err = leat_group_go(&group, accept_connections, listener, &group);
    if (err == 0) {
        printf("listening on port %d\n", leat_port(listener));
        fflush(stdout);
        err = leat_signal_wait(signals, LEAT_FOREVER);
    }
    leat_group_cancel(&group); /* whoever waits gets -ECANCELED, and ends */
    leat_group_close(&group);
    leat_close(listener);
    return err < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    int status = leat_run(serve, argc > 1 ? argv[1] : ":7777");

    return status < 0 ? 1 : status;
}
