/*
 * epoll_echo - the same server as a bare epoll loop on one thread: the floor that a runtime is
 * measured against.
 *
 * Edge-triggered, one read per event: a read that did not fill the buffer has emptied the socket,
 * so nothing is lost and no read is made only to hear EAGAIN. --level is the same loop
 * level-triggered; between the two no difference beyond the noise was measured.
 *
 * Usage: epoll_echo ADDRESS [--level]. Ends by SIGTERM, and then prints how many messages a look at
 * epoll brought.
 */
#define _GNU_SOURCE
#include "address.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 1024
#define EVENTS 128

static volatile sig_atomic_t ending;
static uint32_t trigger = EPOLLET;
static uint64_t messages;
static uint64_t looks;

static void on_term(int signo)
{
    (void)signo;
    ending = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(const char *address)
{
    struct sockaddr_in addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (address_parse(address, &addr) < 0) {
        fprintf(stderr, "epoll_echo: %s is not HOST:PORT with a numeric IPv4 host\n", address);
        exit(2);
    }
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, SOMAXCONN) < 0)
        die("bind");
    return fd;
}

static void watch(int epoll, int fd, uint32_t how)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | how, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
    int one = 1;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, fd, trigger);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept4");
}

/*
 * False when the peer is gone. A full socket buffer cannot happen with a closed loop of 64 bytes;
 * waiting for it is enough.
 */
static int write_all(int fd, const char *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, buf, len);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};

            poll(&room, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return 0;
        } else if (n > 0) {
            buf += n;
            len -= (size_t)n;
        }
    }
    return 1;
}

/* With `hung` no further edge will come for the end: read until it shows. */
static void echo(int fd, int hung)
{
    char buf[BUFFER_BYTES];
    ssize_t n;

    do {
        n = read(fd, buf, sizeof buf);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || !write_all(fd, buf, (size_t)n)) {
            close(fd);
            return;
        }
        messages++;
    } while (hung || n == sizeof buf);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct sigaction on = {.sa_handler = on_term};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener;

    if (argc == 3 && strcmp(argv[2], "--level") == 0) {
        trigger = 0;
    } else if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS [--level]\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &on, NULL);
    listener = listen_on(argv[1]);
    watch(epoll, listener, 0);

    while (!ending) {
        int n = epoll_wait(epoll, events, EVENTS, -1);

        looks++;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                echo(events[i].data.fd,
                     (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
        }
    }
    if (messages > 0)
        printf("polls %.6g 1/op\n", (double)looks / (double)messages);
    return 0;
}
