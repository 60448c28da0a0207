/*
 * proxy - a TCP proxy: what comes from a client goes to a server, and back. Two coroutines for each
 * connection; the bytes do not pass through the program.
 *
 *   proxy ADDRESS SERVER      proxy :8080 127.0.0.1:80, say; SIGTERM or SIGINT ends it
 */
#include <leat/leat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct proxy {
    const char *address, *server;
    int listener;
    leat_group connections;
};

/* One direction, until its end, which is passed on: the other direction may go on after that. */
static int pass(int to, int from)
{
    int err = leat_relay(to, from, LEAT_RELAY_ALL, NULL, LEAT_FOREVER);

    if (err == 0)
        shutdown(to, SHUT_WR);
    return err;
}

static void connection(const struct proxy *p, int client)
{
    int server = leat_tcp_dial(p->server, leat_after(10 * LEAT_SEC));
    leat_group directions;

    if (server >= 0) {
        leat_group_open(&directions, 0);
        /* an error of the one, a reset say, cancels the other */
        if (leat_group_go(&directions, pass, server, client) != 0 ||
            leat_group_go(&directions, pass, client, server) != 0)
            leat_group_cancel(&directions);
        leat_group_close(&directions);
        leat_close(server);
    } else if (server != -ECANCELED) {
        fprintf(stderr, "proxy: %s: %s\n", p->server,
                server == -ENOENT ? "there is no such host" : strerror(-server));
    }
    leat_close(client);
}

/* Until cancelled. Other errors pass; leat_accept() has waited a little by then. */
static void accept_connections(struct proxy *p)
{
    int fd;

    while ((fd = leat_accept(p->listener, NULL, NULL, LEAT_FOREVER)) != -ECANCELED) {
        if (fd < 0)
            fprintf(stderr, "proxy: accept: %s\n", strerror(-fd));
        else if (leat_group_go(&p->connections, connection, p, fd) != 0)
            leat_close(fd);
    }
}

static int serve(void *arg)
{
    struct proxy *p = arg;
    int signals = leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT)), err = signals;

    p->listener = leat_tcp_listen(p->address, NULL);
    if (err < 0 || p->listener < 0) {
        fprintf(stderr, "proxy: cannot listen on %s: %s\n", p->address,
                p->listener == -EINVAL
                    ? "accepted: host:port ([v6]:port), host numeric, localhost or none"
                    : strerror(-(p->listener < 0 ? p->listener : err)));
        return 1;
    }
    leat_group_open(&p->connections, 0);
    err = leat_group_go(&p->connections, accept_connections, p);
    if (err == 0) {
        printf("listening on port %d\n", leat_port(p->listener));
        fflush(stdout);
        err = leat_signal_wait(signals, LEAT_FOREVER);
    }
    leat_group_cancel(&p->connections); /* whoever waits gets -ECANCELED, and ends */
    leat_group_close(&p->connections);
    leat_close(p->listener);
    return err < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct proxy p;
    int status;

    if (argc != 3) {
        fprintf(stderr, "proxy: two addresses, where to listen and of the server\n");
        return 2;
    }
    p.address = argv[1];
    p.server = argv[2];
    status = leat_run(serve, &p);
    return status < 0 ? 1 : status;
}
