/*
 * Scenarios: descriptors under the whole scheduler. The kernel's buffers hold 64 bytes.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#include <fcntl.h>
#include <sys/socket.h>

#define LATE_WORLD                                                                                 \
    (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_EVENT | SIM_FAULT_DOUBLE_EVENT |         \
     SIM_FAULT_LATE_THREAD)

static struct {
    int fd[2];
    unsigned bytes; /* each way */
    unsigned ended; /* coroutines */
    unsigned actors;
    int64_t at_ns;
    leat_deadline until;
    ssize_t result;
    leat_handle *reader;
    int listener, port_made;
    unsigned refused, served;
    unsigned rand;
} s;

static void end(void)
{
    s.ended++;
}

/* Not sim_shape(): what a coroutine does must not depend on who asks first. */
static unsigned piece(unsigned *rand, unsigned most)
{
    *rand = *rand * 1103515245u + 12345u;
    return 1 + (*rand >> 16) % most;
}

static unsigned char content(unsigned salt, unsigned i)
{
    return (unsigned char)(salt + i * 7);
}

/* --- many bytes through small buffers --- */

static void send_all(int fd, unsigned salt, unsigned rand)
{
    unsigned char buf[100];

    for (unsigned at = 0; at < s.bytes;) {
        unsigned n = piece(&rand, sizeof(buf));
        ssize_t r;

        n = n < s.bytes - at ? n : s.bytes - at;
        for (unsigned i = 0; i < n; i++)
            buf[i] = content(salt, at + i);
        r = n % 2 ? leat_write_all(fd, buf, n, LEAT_FOREVER) : leat_write(fd, buf, n, LEAT_FOREVER);
        sim_check(r > 0 && r <= (ssize_t)n, "writing %u bytes gave %zd", n, r);
        at += (unsigned)r;
    }
    end();
}

static void receive_all(int fd, unsigned salt, unsigned rand, bool to_end)
{
    unsigned char buf[100];
    unsigned at = 0;

    while (at < s.bytes || to_end) {
        unsigned n = piece(&rand, sizeof(buf));
        ssize_t r = leat_read(fd, buf, to_end || n < s.bytes - at ? n : s.bytes - at,
                              n % 3 ? LEAT_FOREVER : leat_after(200 * LEAT_USEC));

        if (r == -ETIMEDOUT)
            continue;
        sim_check(r >= 0 && r <= (ssize_t)n, "reading %u bytes gave %zd", n, r);
        if (r == 0)
            break;
        for (unsigned i = 0; i < r; i++)
            sim_check(buf[i] == content(salt, at + i), "byte %u is %u, it was %u", at + i, buf[i],
                      content(salt, at + i));
        at += (unsigned)r;
    }
    sim_check(at == s.bytes, "%u of %u bytes came", at, s.bytes);
    end();
}

/* leat's own, an adopted one, or one of the program's that blocks. */
static bool open_pair(unsigned how)
{
    int r = how == 0   ? leat_pipe(s.fd)
            : how == 1 ? leat_socketpair(SOCK_STREAM, s.fd)
            : how == 4 ? lea_os_socketpair(AF_UNIX, SOCK_STREAM, 0, s.fd)
                       : lea_os_pipe2(s.fd, how == 3 ? O_NONBLOCK : 0);

    sim_check(r == 0, "no pair: %d", r);
    if (how == 2 || (how == 4 && sim_shape(2)))
        for (int i = 0; i < 2; i++)
            sim_check(leat_adopt(s.fd[i]) == 0, "a descriptor cannot be adopted");
    return how == 1 || how == 4;
}

static int stream_main(void *arg)
{
    unsigned how = sim_shape(5), duplex = open_pair(how) && sim_shape(2);

    (void)arg;
    s.bytes = 1 + sim_shape(300);
    go(send_all, s.fd[1], 3, sim_shape(1000));
    if (duplex) {
        go(receive_all, s.fd[0], 3, sim_shape(1000), false);
        go(send_all, s.fd[0], 90, sim_shape(1000));
        go(receive_all, s.fd[1], 90, sim_shape(1000), false);
        kit_await(&s.ended, 4, "streams");
        sim_check(leat_close(s.fd[1]) == 0, "the second end cannot be closed");
    } else {
        go(receive_all, s.fd[0], 3, sim_shape(1000), true);
        kit_await(&s.ended, 1, "streams");
        sim_check(how >= 3 && sim_shape(2) ? lea_os_close(s.fd[1]) == 0 : leat_close(s.fd[1]) == 0,
                  "the writer's end cannot be closed");
        kit_await(&s.ended, 2, "streams");
    }
    sim_check(leat_close(s.fd[0]) == 0, "the first end cannot be closed");
    return 0;
}

void scenario_stream(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(3), sim_shape(2) ? LATE_WORLD | SIM_FAULT_SHORT : 0, stream_main, NULL);
}

/* --- everything that may end a read, at the same instant --- */

enum { DATA = 1, CLOSE = 2, CANCEL = 4, DEADLINE = 8 };

static void ends_act(int what)
{
    (void)leat_sleep_until(leat_at(s.at_ns));
    if (what == DATA)
        s.result = leat_write(s.fd[1], "data", 4, LEAT_FOREVER);
    else if (what == CLOSE)
        sim_check(leat_close(s.fd[0]) == 0, "it cannot be closed");
    else
        leat_cancel(s.reader);
    end();
}

static leat_result ends_reader(void)
{
    char buf[8];
    ssize_t r = leat_read(s.fd[0], buf, sizeof(buf), s.until);

    sim_check(r != 4 || !memcmp(buf, "data", 4), "other data came");
    if (r == -ETIMEDOUT)
        sim_check(sim.now_ns >= s.until.ns, "the deadline came early");
    return (leat_result)r;
}

static void ends_check(unsigned actions, leat_result r)
{
    char buf[8];
    ssize_t more;

    if (actions & DATA)
        sim_check(s.result == 4 || (s.result == -EPIPE && actions & CLOSE), "the write gave %zd",
                  s.result);
    sim_check((r == 4 && (actions & DATA)) || (r == -ECANCELED && (actions & (CLOSE | CANCEL))) ||
                  (r == -ETIMEDOUT && (actions & DEADLINE)) || (r == -EBADF && (actions & CLOSE)),
              "the read gave %lld, actions were %#x", (long long)r, actions);
    more = leat_read(s.fd[0], buf, sizeof(buf), LEAT_AT_ONCE);
    if (actions & CLOSE)
        sim_check(more == -EBADF, "reading a closed descriptor gave %zd", more);
    else if (actions & DATA && r != 4)
        sim_check(more == 4, "the data that came late is not there: %zd", more);
    else
        sim_check(more == -ETIMEDOUT, "reading more gave %zd", more);
    if (!(actions & CLOSE))
        sim_check(leat_close(s.fd[0]) == 0, "it cannot be closed at the end");
    sim_check(leat_close(s.fd[0]) == -EBADF, "it can be closed twice");
    sim_check(leat_close(s.fd[1]) == 0, "the other end cannot be closed");
}

static int ends_main(void *arg)
{
    unsigned actions = 1 + sim_shape(15);
    leat_result r;

    (void)arg;
    sim_check((sim_shape(2) ? leat_pipe(s.fd) : leat_socketpair(SOCK_STREAM, s.fd)) == 0,
              "no pair");
    s.at_ns = leat_now() + (int64_t)sim_shape(30) * 1000;
    s.until = actions & DEADLINE ? leat_at(s.at_ns) : LEAT_FOREVER;
    sim_check(leat_go_join(&s.reader, ends_reader) == 0, "no reader");
    for (int what = DATA; what <= CANCEL; what *= 2)
        if (actions & (unsigned)what) {
            go(ends_act, what);
            s.actors++;
        }
    kit_await(&s.ended, s.actors, "those who end the read");
    sim_check(leat_join(s.reader, &r, LEAT_FOREVER) == 0, "a join failed");
    ends_check(actions, r);
    return 0;
}

void scenario_read_ends(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1 + sim_shape(3), sim_shape(2) ? LATE_WORLD : 0, ends_main, NULL);
}

/* --- waiting for both directions --- */

static void both_waiter(void)
{
    s.result = leat_poll_fd(s.fd[0], LEAT_POLLIN | LEAT_POLLOUT, s.until);
    end();
}

static void both_act(bool drain)
{
    char buf[64];

    (void)leat_sleep_until(leat_at(s.at_ns));
    if (drain)
        sim_check(leat_read_full(s.fd[1], buf, 64, LEAT_FOREVER) == 64,
                  "what was sent is not there");
    else
        sim_check(leat_write(s.fd[1], "x", 1, LEAT_FOREVER) == 1, "the write was short");
    end();
}

static int both_main(void *arg)
{
    static const char full[64];
    unsigned actions = 1 + sim_shape(3);

    (void)arg;
    (void)open_pair(sim_shape(2) ? 1 : 4);
    sim_check(leat_write_all(s.fd[0], full, sizeof(full), LEAT_FOREVER) == 64,
              "no room for 64 bytes");
    s.at_ns = leat_now() + (int64_t)sim_shape(30) * 1000;
    s.until = sim_shape(2) ? leat_at(s.at_ns) : LEAT_FOREVER;
    go(both_waiter);
    for (unsigned i = 0; i < 2; i++)
        if (actions >> i & 1) {
            go(both_act, i == 1);
            s.actors++;
        }
    kit_await(&s.ended, 1 + s.actors, "both directions");
    sim_check(s.result == -ETIMEDOUT
                  ? s.until.ns != INT64_MAX
                  : s.result > 0 && !(s.result & ~(actions & 1 ? LEAT_POLLIN : 0) &
                                      ~(actions & 2 ? LEAT_POLLOUT : 0)),
              "polling gave %zd, actions were %#x", s.result, actions);
    sim_check(leat_close(s.fd[0]) == 0 && leat_close(s.fd[1]) == 0, "closing failed");
    return 0;
}

void scenario_poll_both(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1 + sim_shape(3), sim_shape(2) ? LATE_WORLD : 0, both_main, NULL);
}

/* --- a number closed behind our back, and used again --- */

/* Polls the number, whatever it stands for, until it reads the new one's byte. */
static void foreign_poller(void)
{
    for (;;) {
        int r = leat_poll_fd(s.fd[0], LEAT_POLLIN, s.until);
        char b = 0;

        sim_check(r > 0 || r == -EBADF || r == -ETIMEDOUT || r == -ECANCELED, "polling gave %d", r);
        sim_check(leat_now() < s.at_ns || sim.config.time_permille,
                  "the new descriptor's byte is not seen");
        if (r > 0 && lea_os_read(s.fd[0], &b, 1) == 1 && b == 'n')
            break;
        s.until = leat_after(50 * LEAT_USEC);
        (void)leat_sleep(LEAT_USEC);
    }
    end();
}

static void write_one(int fd, const char *byte)
{
    ssize_t r;

    do
        r = lea_os_write(fd, byte, 1);
    while (r == -EINTR);
    sim_check(r == 1, "writing one byte gave %zd", r);
}

static int foreign_main(void *arg)
{
    int other[2], old_writer;
    unsigned how = sim_shape(3);

    (void)arg;
    sim_check(lea_os_pipe2(s.fd, O_NONBLOCK) == 0, "no pipe");
    s.at_ns = leat_now() + LEAT_SEC;
    s.until = leat_after((int64_t)(1 + sim_shape(40)) * 1000);
    go(foreign_poller);
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(40) * 1000);
    old_writer = s.fd[1];
    if (how == 1)
        write_one(old_writer, "o");
    sim_check(lea_os_close(s.fd[0]) == 0, "closing failed");
    if (how == 2)
        leat_yield();
    sim_check(lea_os_pipe2(other, O_NONBLOCK) == 0 && other[0] == s.fd[0],
              "the number is not used again");
    lea_os_close(old_writer);
    write_one(other[1], "n");
    kit_await(&s.ended, 1, "the poller");
    lea_os_close(other[0]);
    lea_os_close(other[1]);
    return 0;
}

void scenario_foreign_reuse(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1 + sim_shape(2), sim_shape(2) ? LATE_WORLD : 0, foreign_main, NULL);
}

/* --- a number that is handed over again, while somebody waits on it --- */

static void adopt_reader(void)
{
    char b;

    s.result = leat_read(s.fd[0], &b, 1, LEAT_FOREVER);
    end();
}

static int adopt_main(void *arg)
{
    bool closed = sim_shape(2);
    int copy, r;
    char b;

    (void)arg;
    sim_check(leat_pipe(s.fd) == 0, "no pipe");
    copy =
        lea_os_fcntl(s.fd[0], F_DUPFD, 20); /* the file lives on, and the poller's interest in it */
    go(adopt_reader);
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(30) * 1000);
    if (closed) { /* closed as it should be: its number comes back as an old one's copy */
        sim_check(leat_close(s.fd[0]) == 0, "closing failed");
        kit_await(&s.ended, 1, "the reader");
        sim_check(s.result == -ECANCELED || s.result == -EBADF, "the reader got %zd", s.result);
        sim_check(lea_os_fcntl(copy, F_DUPFD, s.fd[0]) == s.fd[0], "the number is not free");
    }
    r = leat_adopt(s.fd[0]);
    sim_check(r == 0, "handing over again gave %d", r);
    s.at_ns = leat_now() + (int64_t)sim_shape(30) * 1000;
    go(ends_act, DATA);
    do
        r = (int)leat_read(s.fd[0], &b, 1, LEAT_FOREVER);
    while (r == -EBUSY && leat_sleep(LEAT_USEC) == 0 && !s.ended);
    if (r == 1)
        r = (int)leat_read(s.fd[0], &b, 1, LEAT_FOREVER);
    sim_check(r == 1 || (s.ended && !closed), "the new owner's read gave %d", r);
    kit_await(&s.ended, 2, "reader and writer");
    sim_check(leat_close(s.fd[0]) == 0 && leat_close(s.fd[1]) == 0 && lea_os_close(copy) == 0,
              "closing failed");
    return 0;
}

void scenario_adopt_again(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(1 + sim_shape(2), sim_shape(2) ? LATE_WORLD : 0, adopt_main, NULL);
}

/* --- closing what the poller may have in hand --- */

/*
 * An edge of the reader's end, whose byte is gone before the poller looks: it has nothing to report
 * then, and may sleep on with the file in hand.
 */
static void held_reader(void)
{
    ssize_t n;
    char b;

    n = leat_read(s.fd[0], &b, 1, s.until); /* now the poller knows it */
    (void)leat_sleep_until(leat_at(s.at_ns));
    if (n == -ETIMEDOUT)
        n = leat_read(s.fd[0], &b, 1, LEAT_FOREVER);
    sim_check(n == 1, "the read gave %zd", n);
    sim_check(leat_close(s.fd[0]) == 0, "the reader's end cannot be closed");
    end();
}

static int held_main(void *arg)
{
    ssize_t n;

    (void)arg;
    sim_check(leat_pipe(s.fd) == 0, "no pipe");
    s.until = leat_after(1 + (int64_t)sim_shape(20) * 1000);
    s.at_ns = s.until.ns + 100000;
    go(held_reader);
    (void)leat_sleep_until(leat_at(s.at_ns));
    while ((n = leat_write(s.fd[1], "x", 1, LEAT_FOREVER)) == 1)
        continue;
    sim_check(n == -EPIPE, "the write gave %zd", n);
    kit_await(&s.ended, 1, "the reader");
    sim_check(leat_close(s.fd[1]) == 0, "the writer's end cannot be closed");
    return 0;
}

void scenario_close_held(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(2 + sim_shape(3), SIM_FAULT_HELD_FILE | (sim_shape(2) ? LATE_WORLD : 0), held_main,
            NULL);
}

/* --- connections --- */

static void serve(int fd)
{
    char buf[16];
    ssize_t n;

    while ((n = leat_read(fd, buf, sizeof(buf), LEAT_FOREVER)) > 0)
        sim_check(leat_write_all(fd, buf, (size_t)n, LEAT_FOREVER) == n, "the echo was short");
    sim_check(n == 0, "the connection ended with %zd", n);
    sim_check(leat_close(fd) == 0, "a connection cannot be closed");
    s.served++;
    end();
}

static void accept_all(unsigned goal)
{
    for (unsigned n = 0; n < goal;) {
        int fd = leat_accept(s.listener, NULL, NULL, LEAT_FOREVER);

        if (fd == -EMFILE) {
            s.refused++;
            continue;
        }
        sim_check(fd >= 0, "accepting gave %d", fd);
        sim_check(go(serve, fd) == 0, "no coroutine for a connection");
        n++;
    }
    end();
}

static void client(unsigned salt)
{
    char out[12], in[12];
    int fd;

    do
        fd = leat_tcp_dial("127.0.0.1:80", LEAT_FOREVER);
    while (fd == -EMFILE);
    sim_check(fd >= 0, "dialling gave %d", fd);
    memset(out, (int)('a' + salt), sizeof(out));
    sim_check(leat_write_all(fd, out, sizeof(out), LEAT_FOREVER) == sizeof(out),
              "the write was short");
    if (salt % 2) /* half-closed: the answer comes all the same, then the end */
        sim_check(leat_shutdown(fd, SHUT_WR) == 0, "half-closing failed");
    sim_check(leat_read_full(fd, in, sizeof(in), LEAT_FOREVER) == sizeof(in),
              "the answer was short");
    sim_check(!memcmp(in, out, sizeof(in)), "somebody else's answer came");
    if (salt % 2)
        sim_check(leat_read(fd, in, sizeof(in), LEAT_FOREVER) == 0, "no end after the answer");
    sim_check(leat_close(fd) == 0, "a client's connection cannot be closed");
    end();
}

static int tcp_main(void *arg)
{
    unsigned clients = 1 + sim_shape(3);
    int64_t begin = leat_now();

    (void)arg;
    do
        s.listener = leat_tcp_listen("127.0.0.1:80", NULL);
    while (s.listener == -EMFILE);
    sim_check(s.listener >= 0, "no listener: %d", s.listener);
    go(accept_all, clients);
    for (unsigned i = 0; i < clients; i++)
        go(client, i);
    kit_await(&s.ended, 1 + 2 * clients, "connections");
    sim_check(s.refused == 0 || leat_now() - begin >= 4 * LEAT_MSEC,
              "an accept without descriptors is not held");
    sim_check(leat_close(s.listener) == 0, "the listener cannot be closed");
    return 0;
}

void scenario_connections(void)
{
    memset(&s, 0, sizeof(s));
    (void)kit_run_may_fail(1 + sim_shape(3), sim_shape(2) ? LATE_WORLD | SIM_FAULT_DESCRIPTOR : 0,
                           tcp_main, NULL);
}
