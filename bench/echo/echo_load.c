/*
 * echo_load - closed-loop load for an echo server: N connections, each sends 64 bytes, waits for
 * all of them to come back, sends again.
 *
 * One thread, one epoll, meant for a CPU of its own. After a warm-up it counts for a fixed time,
 * and reads the server's CPU clock at both ends of that time. A latency is from just before the
 * write to just after the read that brought the last byte; being a closed loop, it says how long a
 * client waits under full load, not under a given rate. What comes back is compared with what was
 * sent.
 *
 * Prints: requests (1/s), p50, p99, p999, max (us), cpu (the server's us per request), busy (share
 * of its wall time that the server used a CPU).
 */
#define _GNU_SOURCE
#include "address.h"
#include "histogram.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define EVENTS 256
#define NSEC 1000000000.0

struct connection {
    int fd;
    uint32_t got;    /* bytes of the echo so far */
    int64_t sent_ns; /* when its request went out */
    uint64_t serial; /* first bytes of the request, a different one each time */
};

struct options {
    struct sockaddr_in server;
    long connections;
    double warm_up_s;
    double duration_s;
    int cpu;       /* -1: anywhere */
    pid_t pid[64]; /* whose CPU time counts as the server's */
    int nr_pid;
};

static struct histogram latency;
static char reply[MESSAGE_BYTES * 2]; /* twice, so that a server that sends too much is noticed */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void fail(const char *what)
{
    fprintf(stderr, "echo_load: %s\n", what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) < 0)
        die("clock_gettime");
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t server_cpu_ns(const struct options *opt)
{
    int64_t sum = 0;
    clockid_t clock;

    for (int i = 0; i < opt->nr_pid; i++) {
        if (clock_getcpuclockid(opt->pid[i], &clock) != 0)
            fail("the server's process is gone");
        sum += clock_ns(clock);
    }
    return sum;
}

static void fill(char *message, const struct connection *c)
{
    memset(message, (int)('a' + c->serial % 26), MESSAGE_BYTES);
    memcpy(message, &c->serial, sizeof c->serial);
}

static void request(struct connection *c, int64_t now)
{
    char message[MESSAGE_BYTES];
    ssize_t n;

    c->serial++;
    c->got = 0;
    c->sent_ns = now;
    fill(message, c);
    n = write(c->fd, message, sizeof message);
    if (n != (ssize_t)sizeof message)
        die("write");
}

/* Takes what has come back. True when the echo is complete (and right). */
static int answer(struct connection *c)
{
    char message[MESSAGE_BYTES];
    ssize_t n = read(c->fd, reply, sizeof reply);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        die("read");
    if (n == 0)
        fail("the server closed a connection");
    fill(message, c);
    if (c->got + (size_t)n > sizeof message || memcmp(message + c->got, reply, (size_t)n) != 0)
        fail("what came back is not what was sent");
    c->got += (uint32_t)n;
    return c->got == sizeof message;
}

static void open_connections(const struct options *opt, struct connection *c, int epoll)
{
    int one = 1;

    for (long i = 0; i < opt->connections; i++) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = &c[i]};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
            die("socket");
        if (connect(fd, (const struct sockaddr *)&opt->server, sizeof opt->server) < 0)
            die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
            die("epoll_ctl");
        c[i].fd = fd;
        c[i].serial = (uint64_t)i << 32;
    }
}

/*
 * Runs the closed loop until the time has come; answers counted (and timed when `timed`). Requests
 * stay in flight between two calls.
 */
static uint64_t loop(int epoll, int64_t until_ns, int timed)
{
    struct epoll_event events[EVENTS];
    uint64_t answers = 0;
    int64_t now = clock_ns(CLOCK_MONOTONIC);

    while (now < until_ns) {
        int n = epoll_wait(epoll, events, EVENTS, 5000);

        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        if (n == 0)
            fail("no answer for 5 seconds");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            if (!answer(c))
                continue;
            now = clock_ns(CLOCK_MONOTONIC);
            if (timed)
                histogram_add(&latency, (uint64_t)(now - c->sent_ns));
            answers++;
            request(c, now);
        }
    }
    return answers;
}

static void print_us(const char *metric, double part)
{
    printf("%s %.6g us\n", metric, (double)histogram_at(&latency, part) / 1000);
}

static void measure(const struct options *opt)
{
    struct connection *c = calloc((size_t)opt->connections, sizeof *c);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t begun;
    int64_t cpu;
    int64_t wall;
    uint64_t answers;

    if (c == NULL || epoll < 0)
        die("echo_load");
    open_connections(opt, c, epoll);
    for (long i = 0; i < opt->connections; i++)
        request(&c[i], clock_ns(CLOCK_MONOTONIC));
    loop(epoll, clock_ns(CLOCK_MONOTONIC) + (int64_t)(opt->warm_up_s * NSEC), 0);

    cpu = server_cpu_ns(opt);
    begun = clock_ns(CLOCK_MONOTONIC);
    answers = loop(epoll, begun + (int64_t)(opt->duration_s * NSEC), 1);
    wall = clock_ns(CLOCK_MONOTONIC) - begun;
    cpu = server_cpu_ns(opt) - cpu;
    if (answers == 0)
        fail("no answer at all");

    printf("requests %.6g 1/s\n", (double)answers / ((double)wall / NSEC));
    print_us("p50", 0.5);
    print_us("p99", 0.99);
    print_us("p999", 0.999);
    printf("max %.6g us\n", (double)latency.max / 1000);
    if (opt->nr_pid > 0) {
        printf("cpu %.6g us\n", (double)cpu / 1000 / (double)answers);
        printf("busy %.4g 1\n", (double)cpu / (double)wall);
    }
    free(c);
}

static void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s --server HOST:PORT [--connections N] [--warm-up SECONDS] [--duration "
            "SECONDS] [--cpu CPU] [--pid PID]...\n",
            name);
    exit(2);
}

static void parse(int argc, char **argv, struct options *opt)
{
    static const struct option names[] = {
        {"server", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'n'},
        {"warm-up", required_argument, NULL, 'w'},
        {"duration", required_argument, NULL, 'd'},
        {"cpu", required_argument, NULL, 'c'},
        {"pid", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int have_server = 0;
    int ch;

    while ((ch = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (ch) {
        case 's':
            have_server = address_parse(optarg, &opt->server) == 0;
            break;
        case 'n':
            opt->connections = atol(optarg);
            break;
        case 'w':
            opt->warm_up_s = atof(optarg);
            break;
        case 'd':
            opt->duration_s = atof(optarg);
            break;
        case 'c':
            opt->cpu = atoi(optarg);
            break;
        case 'p':
            if (opt->nr_pid == (int)(sizeof opt->pid / sizeof opt->pid[0]))
                usage(argv[0]);
            opt->pid[opt->nr_pid++] = atoi(optarg);
            break;
        default:
            usage(argv[0]);
        }
    }
    if (optind != argc || !have_server || opt->connections < 1 || opt->warm_up_s < 0 ||
        opt->duration_s <= 0)
        usage(argv[0]);
}

static void pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        die("sched_setaffinity");
}

int main(int argc, char **argv)
{
    struct options opt = {.connections = 100, .warm_up_s = 0.5, .duration_s = 2, .cpu = -1};

    parse(argc, argv, &opt);
    pin(opt.cpu);
    measure(&opt);
    return 0;
}
