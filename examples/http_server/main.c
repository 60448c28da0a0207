/*
 * main.c - the command line, accepting connections, and the end in good order.
 */
#define _GNU_SOURCE
#include "http_server.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- The server ------------------------------------------------------------------------------- */

static void complain(const char *what, int error)
{
    fprintf(stderr, "http_server: %s: %s\n", what, strerror(-error));
}

/* Until cancelled. Errors may come in swarms: one line a second is enough of them. */
static void accept_connections(struct server *server)
{
    int64_t quiet_until_ns = 0;

    for (;;) {
        int fd = leat_accept(server->listener, NULL, NULL, LEAT_FOREVER);
        int err = fd < 0 ? fd : leat_group_go(&server->connections, serve_connection, server, fd);

        if (fd == -ECANCELED || fd == -EBADF)
            return;
        if (err == 0)
            continue;
        if (fd >= 0)
            leat_close(fd);
        if (leat_now() >= quiet_until_ns) {
            complain(fd < 0 ? "cannot accept" : "cannot start a coroutine", err);
            quiet_until_ns = leat_now() + LEAT_SEC;
        }
        leat_sleep(LEAT_MSEC); /* whatever fails at once must not make this loop spin */
    }
}

static void ask_connections_to_end(struct server *server)
{
    leat_mutex_lock(&server->lock);
    server->stopping = true;
    for (struct conn *c = server->first; c != NULL; c = c->next)
        conn_ask_to_end(c);
    leat_mutex_unlock(&server->lock);
}

static void announce(const struct server *server)
{
    const char *colon = strrchr(server->address, ':');
    int host_len = colon != NULL ? (int)(colon - server->address) : 0;

    printf("listening on http://%.*s:%d\n", host_len > 0 ? host_len : 9,
           host_len > 0 ? server->address : "localhost", leat_port(server->listener));
    fflush(stdout);
}

/* The main coroutine: start accepting, wait for the signal, end in good order. */
static int serve(void *arg)
{
    struct server *server = arg;
    leat_handle *acceptor;
    int signals = leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT));
    int err;

    if (signals < 0) {
        complain("cannot wait for signals", signals);
        return 1;
    }
    server->listener = leat_tcp_listen(server->address, NULL);
    if (server->listener < 0) {
        fprintf(stderr, "http_server: cannot listen on %s: %s\n", server->address,
                server->listener == -EINVAL
                    ? "accepted: host:port ([v6]:port), host numeric, localhost or none"
                    : strerror(-server->listener));
        return 1;
    }
    leat_group_open(&server->connections, 0);
    err = leat_go_join(&acceptor, accept_connections, server);
    if (err != 0) {
        complain("cannot start", err);
        return 1;
    }
    announce(server);
    err = leat_signal_wait(signals, LEAT_FOREVER);
    if (err < 0)
        complain("cannot wait for signals", err);

    leat_cancel(acceptor);
    err = leat_join(acceptor, NULL, LEAT_FOREVER);
    if (err != 0)
        complain("cannot end accepting", err);
    leat_close(server->listener);
    ask_connections_to_end(server);
    if (leat_group_wait(&server->connections, leat_after(server->grace_ns)) != 0) {
        leat_group_cancel(&server->connections);
        leat_group_close(&server->connections);
    }
    return 0;
}

/* --- The command line ------------------------------------------------------------------------- */

static const char usage[] =
    "usage: http_server [options]\n"
    "  --listen ADDRESS    host:port, [v6]:port or :port (default :8080; port 0 takes a free one)\n"
    "  --root DIR          serve the files below DIR (default: none)\n"
    "  --read-timeout SEC  for a request to arrive, and for a client to take an answer (default "
    "30)\n"
    "  --max-body BYTES    largest request body (default 1048576)\n"
    "  --max-header BYTES  largest request head (default 16384)\n"
    "  --grace SEC         for requests that run at SIGTERM or SIGINT (default 10)\n"
    "  --help              this text\n"
    "GET / answers a greeting, GET /stats the runtime's counters.\n";

static void __attribute__((noreturn))
bad_value(const char *option, const char *value, const char *accepted)
{
    fprintf(stderr, "http_server: --%s: '%s' is not %s\n", option, value, accepted);
    exit(2);
}

static int64_t seconds_ns(const char *option, const char *text, double least)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= least && value <= 1e6))
        bad_value(option, text, "a number of seconds");
    return (int64_t)(value * (double)LEAT_SEC);
}

static uint64_t bytes_of(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 || value < least ||
        value > most)
        bad_value(option, text, "an acceptable number of bytes");
    return value;
}

static int open_root(const char *dir)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), probe;

    if (fd < 0)
        bad_value("root", dir, strerror(errno));
    probe = open_beneath(fd, ".");
    if (probe < 0)
        bad_value("root", dir,
                  probe == -ENOSYS ? "served: openat2 is missing (Linux 5.6)" : strerror(-probe));
    close(probe);
    return fd;
}

static void parse_options(struct server *server, int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"root", required_argument, NULL, 'r'},
        {"read-timeout", required_argument, NULL, 't'},
        {"max-body", required_argument, NULL, 'b'},
        {"max-header", required_argument, NULL, 'H'},
        {"grace", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'l':
            server->address = optarg;
            break;
        case 'r':
            server->root = optarg;
            break;
        case 't':
            server->timeout_ns = seconds_ns("read-timeout", optarg, 0.001);
            break;
        case 'b':
            server->max_body = bytes_of("max-body", optarg, 0, UINT64_MAX);
            break;
        case 'H':
            server->max_header = bytes_of("max-header", optarg, 64, 16 << 20);
            break;
        case 'g':
            server->grace_ns = seconds_ns("grace", optarg, 0);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "http_server: '%s' is not an option\n%s", argv[optind], usage);
        exit(2);
    }
    if (server->root != NULL)
        server->root_fd = open_root(server->root);
}

int main(int argc, char **argv)
{
    struct server server = {
        .address = ":8080",
        .root_fd = -1,
        .timeout_ns = 30 * LEAT_SEC,
        .grace_ns = 10 * LEAT_SEC,
        .max_body = 1 << 20,
        .max_header = 16 << 10,
    };
    struct rlimit files;
    int status;

    parse_options(&server, argc, argv);
    http_parser_set_max_header_size((uint32_t)server.max_header);
    /* a connection is a descriptor: have as many as we may */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    status = leat_run(serve, &server);
    return status < 0 ? 1 : status;
}
