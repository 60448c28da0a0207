/*
 * leat_echo - the echo server of the benchmark as blocking code, a coroutine per connection.
 *
 * Usage: leat_echo ADDRESS. Ends by SIGTERM, and then prints what the runtime did per message.
 */
#include <leat/leat.h>
#include <signal.h>
#include <stdio.h>

#define BUFFER_BYTES 1024

static leat_mutex total_lock;
static uint64_t total; /* messages of connections that have ended; under total_lock */

static void serve(int fd)
{
    char buf[BUFFER_BYTES];
    uint64_t messages = 0;
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof buf, LEAT_FOREVER)) > 0) {
        if (leat_write_all(fd, buf, (size_t)n, LEAT_FOREVER) < 0)
            break;
        messages++;
    }
    leat_close(fd);
    leat_mutex_lock(&total_lock);
    total += messages;
    leat_mutex_unlock(&total_lock);
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = leat_accept(listener, NULL, NULL, LEAT_FOREVER)) >= 0) {
        if (go(serve, fd) < 0)
            leat_close(fd);
    }
}

static void print_per_message(const char *metric, uint64_t count, uint64_t messages)
{
    printf("%s %.6g 1/op\n", metric, (double)count / (double)messages);
}

static void report(void)
{
    leat_run_stats stats;
    uint64_t messages;

    leat_mutex_lock(&total_lock);
    messages = total;
    leat_mutex_unlock(&total_lock);
    if (messages == 0 || leat_stats_run(&stats) < 0)
        return;
    print_per_message("wakes", stats.sum.wakes, messages);
    print_per_message("parks", stats.sum.parked, messages);
    print_per_message("polls", stats.sum.polls, messages);
}

static int main_co(void *arg)
{
    int term = leat_signal_open(LEAT_SIG(SIGTERM) | LEAT_SIG(SIGINT));
    int listener = leat_tcp_listen(arg, NULL);

    if (term < 0 || listener < 0) {
        fprintf(stderr, "leat_echo: cannot listen on %s: error %d\n", (char *)arg,
                listener < 0 ? -listener : -term);
        return 1;
    }
    if (go(accept_all, listener) < 0)
        return 1;
    if (leat_signal_wait(term, LEAT_FOREVER) < 0)
        return 1;
    leat_close(listener);
    report();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS\n", argv[0]);
        return 2;
    }
    return leat_run(main_co, argv[1]);
}
