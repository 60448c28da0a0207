/*
 * Descriptors: who may be inside, wrong ones, closing and cancelling under a waiter, and what
 * becomes of them at the end of a run.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static const leat_deadline soon = {0};

/* --- who may be inside --- */

static int body_busy(void *arg)
{
    int fd[2];
    char c;
    leat_handle *reader, *poller;

    (void)arg;
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    SPAWN_WAITER(reader, kit_read_byte, fd[0]);
    WANT(leat_read(fd[0], &c, 1, LEAT_FOREVER), -EBUSY);
    WANT(leat_poll_fd(fd[0], LEAT_POLLIN, LEAT_FOREVER), -EBUSY);
    WANT(leat_poll_fd(fd[0], LEAT_POLLIN | LEAT_POLLOUT, LEAT_FOREVER), -EBUSY);
    WANT(leat_poll_fd(fd[0], LEAT_POLLOUT, LEAT_FOREVER), LEAT_POLLOUT);
    WANT(leat_write(fd[0], "w", 1, soon), 1);
    WANT(leat_write(fd[1], "r", 1, soon), 1);
    WANT(kit_join(reader), 'r');
    SPAWN_WAITER(poller, leat_poll_fd, fd[0], LEAT_POLLIN, leat_after(60 * LEAT_SEC));
    WANT(leat_read(fd[0], &c, 1, LEAT_FOREVER), -EBUSY);
    WANT(leat_write(fd[1], "r", 1, soon), 1);
    WANT(kit_join(poller), LEAT_POLLIN);
    WANT(kit_read_byte(fd[0]), 'r');
    leat_close(fd[0]);
    leat_close(fd[1]);
    return 0;
}

/* Goal: fault 11, the second reader gets -EBUSY, and a writer beside a reader works. */
Test(io_descriptors, second_reader_is_refused, .timeout = 20)
{
    kit_run_all(body_busy);
}

static int body_bad(void *arg)
{
    int fd[2], null, spare = kit_spare();
    char c = 0;

    (void)arg;
    WANT(leat_read(-1, &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_write(-1000, &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_read(INT32_MAX, &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_read(999, &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_write(999, &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_accept(999, NULL, NULL, LEAT_FOREVER), -EBADF);
    WANT(leat_poll_fd(999, LEAT_POLLIN, LEAT_FOREVER), -EBADF);
    WANT(leat_poll_fd(999, LEAT_POLLIN | LEAT_POLLOUT, LEAT_FOREVER), -EBADF);
    WANT(leat_poll_fd(0, 0, LEAT_FOREVER), -EINVAL);
    WANT(leat_signal_wait(999, LEAT_FOREVER), -EBADF);
    WANT(leat_close(-1), -EBADF);
    WANT(leat_close(999), -EBADF);
    WANT(leat_close(INT32_MAX), -EBADF);
    WANT(leat_adopt(-1), -EBADF);
    WANT(leat_adopt(999), -EBADF);
    WANT(leat_port(999), -EBADF);
    WANT(leat_shutdown(999, SHUT_WR), -EBADF);
    WANT(leat_pipe(fd), 0);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(spare);
    WANT(leat_close(fd[0]), 0);
    WANT(leat_close(fd[0]), -EBADF);
    WANT(leat_read(fd[0], &c, 1, LEAT_FOREVER), -EBADF);
    WANT(leat_close(fd[1]), 0);
    /* a plain descriptor is closed too, and its number is then nobody's */
    WANT(leat_close(null), 0);
    OK(kit_is_closed(null));
    WANT(leat_close(null), -EBADF);
    return 0;
}

/* Goal: fault 9. */
Test(io_descriptors, bad_descriptors, .timeout = 20)
{
    kit_run_all(body_bad);
}

Test(io_descriptors, plain_threads_and_no_run, .timeout = 20)
{
    int fd[2] = {-1, -1}, r;
    char c;

    r = (int)leat_read(0, &c, 1, LEAT_FOREVER);
    cr_expect(eq(int, r, -EPERM));
    r = (int)leat_write_all(1, "", 0, LEAT_FOREVER);
    cr_expect(eq(int, r, -EPERM));
    r = leat_poll_fd(0, LEAT_POLLIN, LEAT_FOREVER);
    cr_expect(eq(int, r, -EPERM));
    r = leat_accept(0, NULL, NULL, LEAT_FOREVER);
    cr_expect(eq(int, r, -EPERM));
    r = leat_tcp_dial("127.0.0.1:1", LEAT_FOREVER);
    cr_expect(eq(int, r, -EPERM));
    r = leat_pipe(fd);
    cr_expect(eq(int, r, -ESHUTDOWN));
    r = leat_tcp_listen("127.0.0.1:0", NULL);
    cr_expect(eq(int, r, -ESHUTDOWN));
    r = leat_signal_open(LEAT_SIG(SIGUSR1));
    cr_expect(eq(int, r, -ESHUTDOWN));
    cr_assert(eq(int, pipe(fd), 0));
    r = leat_adopt(fd[0]);
    cr_expect(eq(int, r, -ESHUTDOWN));
    r = leat_close(fd[0]);
    cr_expect(eq(int, r, 0));
    r = leat_close(fd[0]);
    cr_expect(eq(int, r, -EBADF));
    close(fd[1]);
}

/* --- closing and cancelling under a waiter --- */

static int poll_both(int fd)
{
    return leat_poll_fd(fd, LEAT_POLLIN | LEAT_POLLOUT, LEAT_FOREVER);
}

static int accept_one(int fd)
{
    return leat_accept(fd, NULL, NULL, LEAT_FOREVER);
}

static int signal_one(int fd)
{
    return leat_signal_wait(fd, LEAT_FOREVER);
}

static int fill(int fd)
{
    char buf[4096] = {0};
    ssize_t n;

    do
        n = leat_write_all(fd, buf, sizeof(buf), LEAT_FOREVER);
    while (n > 0);
    return (int)n;
}

/*
 * The number of a closed descriptor is not handed out while somebody is inside: the waiter waits.
 */
static void close_under(leat_handle *waiter, int fd)
{
    int other;

    WANT(leat_close(fd), 0);
    if (leat_nr_procs() == 1) { /* else the waiter may be out already */
        other = open("/dev/null", O_RDONLY | O_CLOEXEC);
        OK(other != fd);
        close(other);
        WANT(leat_close(fd), -EBADF);
        WANT(leat_write(fd, "x", 1, soon), -EBADF);
    }
    WANT(kit_join(waiter), -ECANCELED);
    OK(kit_is_closed(fd));
}

static int body_close(void *arg)
{
    char address[32];
    leat_handle *w, *v;
    int fd[2];

    (void)arg;
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    SPAWN_WAITER(w, kit_read_byte, fd[0]);
    close_under(w, fd[0]);
    leat_close(fd[1]);
    WANT(leat_pipe(fd), 0);
    SPAWN_WAITER(w, fill, fd[1]);
    close_under(w, fd[1]);
    leat_close(fd[0]);
    /* two at once */
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    SPAWN_WAITER(w, kit_read_byte, fd[0]);
    SPAWN_WAITER(v, fill, fd[0]);
    WANT(leat_close(fd[0]), 0);
    WANT(kit_join(v), -ECANCELED);
    WANT(kit_join(w), -ECANCELED);
    OK(kit_is_closed(fd[0]));
    leat_close(fd[1]);
    /* poll of both directions, neither of which is ready */
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    {
        static char big[65536]; /* not on a coroutine's stack */

        while (leat_write(fd[0], big, sizeof(big), LEAT_AT_ONCE) > 0)
            ;
    }
    SPAWN_WAITER(w, poll_both, fd[0]);
    close_under(w, fd[0]);
    leat_close(fd[1]);
    fd[0] = kit_listen(address, NULL);
    SPAWN_WAITER(w, accept_one, fd[0]);
    close_under(w, fd[0]);
    fd[0] = leat_signal_open(LEAT_SIG(SIGUSR2));
    SPAWN_WAITER(w, signal_one, fd[0]);
    close_under(w, fd[0]);
    /* a descriptor of others */
    if (OK(pipe(fd) == 0)) {
        SPAWN_WAITER(w, kit_read_byte, fd[0]);
        close_under(w, fd[0]);
        close(fd[1]);
    }
    return 0;
}

/* Goal: fault 8. */
Test(io_descriptors, close_wakes_waiters, .timeout = 20)
{
    kit_run_all(body_close);
}

static int read_twice(int fd)
{
    char c;
    int first = kit_read_byte(fd);

    /* cancelled is cancelled: also what could succeed at once */
    WANT(leat_read(fd, &c, 1, LEAT_FOREVER), -ECANCELED);
    WANT(leat_write(fd, "x", 1, LEAT_FOREVER), -ECANCELED);
    WANT(leat_poll_fd(fd, LEAT_POLLIN, LEAT_FOREVER), -ECANCELED);
    OK(leat_cancelled());
    return first;
}

/*
 * Cancelled as it begins, while it may be anywhere, and while it waits; what the reader got. It may
 * have looked for a cancellation before there was one, or be about to wait only, and then it reads:
 * the byte comes after the cancellation, but nothing keeps it from looking for the byte first.
 */
enum moment { BEGINS, SOMEWHERE, WAITS };

static int cancel_at(enum moment moment, const int fd[2])
{
    leat_handle *w;
    int first;

    if (moment == WAITS)
        SPAWN_WAITER(w, read_twice, fd[0]);
    else
        SPAWN(w, read_twice, fd[0]);
    if (moment == SOMEWHERE)
        leat_sleep(MS);
    leat_cancel(w);
    WANT(leat_write(fd[1], "x", 1, soon), 1);
    first = (int)kit_join(w);
    OK(first == -ECANCELED || first == 'x');
    if (first != 'x')
        WANT(kit_read_byte(fd[0]), 'x'); /* still usable, nothing was lost */
    return first;
}

static int body_cancel(void *arg)
{
    int fd[2], cancelled = 0;

    (void)arg;
    WANT(leat_socketpair(SOCK_STREAM, fd), 0);
    (void)cancel_at(BEGINS, fd);
    (void)cancel_at(SOMEWHERE, fd);
    /* who waits is cancelled, but for that moment */
    for (int i = 0; i < 20 && !cancelled; i++)
        cancelled = cancel_at(WAITS, fd) == -ECANCELED;
    OK(cancelled);
    leat_close(fd[0]);
    leat_close(fd[1]);
    return 0;
}

Test(io_descriptors, cancel_wakes_and_loses_nothing, .timeout = 20)
{
    kit_run_all(body_cancel);
}

/* --- one run after another --- */

static int kept[2], made;

static int body_first(void *arg)
{
    (void)arg;
    WANT(leat_adopt(kept[0]), 0);
    WANT(leat_adopt(kept[0]), 0);
    WANT(fcntl(kept[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    WANT(fcntl(kept[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    made = leat_tcp_listen("127.0.0.1:0", NULL);
    OK(made >= 0);
    WANT(leat_write(kept[1], "one", 3, LEAT_FOREVER), 3);
    WANT(kit_read_byte(kept[0]), 'o');
    return 0;
}

static int body_second(void *arg)
{
    leat_handle *w;

    (void)arg;
    OK(kit_is_closed(made));
    WANT(kit_read_byte(kept[0]), 'n');
    WANT(kit_read_byte(kept[0]), 'e');
    SPAWN_WAITER(w, kit_read_byte, kept[0]);
    WANT(leat_write(kept[1], "2", 1, LEAT_FOREVER), 1);
    WANT(kit_join(w), '2');
    return 0;
}

/*
 * Goal: what leat opened and nobody closed is closed by the end of the run; what was handed over
 * lives on, and works in the next run.
 */
Test(io_descriptors, descriptors_and_the_next_run, .timeout = 20)
{
    int before;

    cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM, 0, kept), 0));
    before = kit_nr_fds();
    kit_run(2, body_first, NULL);
    cr_expect(eq(int, kit_nr_fds(), before));
    kit_run(2, body_second, NULL);
    kit_run(1, body_first, NULL);
    cr_expect(eq(int, kit_nr_fds(), before));
}
