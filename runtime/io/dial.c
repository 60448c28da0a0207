/*
 * Connecting. A connect(2) under way is asked for its outcome by calling it again: EALREADY means
 * that the wake-up came too early, which SO_ERROR could not tell from success.
 *
 * A unix listener with a full backlog says EAGAIN, and no event tells of room: such a connect is
 * tried again by the clock.
 *
 * To dial, the addresses are tried beside each other, each a while after the one before it (RFC
 * 8305, Happy Eyeballs): the first connection that stands wins, and the others are closed. One
 * coroutine waits for all of them: its ticket is in the wait word of each, as in poll.c.
 */
#include "base/os.h"
#include "io/addr.h"
#include "io/own.h"
#include "io/resolve.h"
#include "io/wait.h"
#include "mem/heap.h"

#include <fcntl.h>
#include <leat/io.h>
#include <leat/net.h>
#include <netinet/tcp.h>
#include <string.h>

#define UNIX_RETRY_NS INT64_C(1000000)
#define UNIX_RETRY_MAX_NS INT64_C(20000000)
#define ATTEMPT_DELAY_NS INT64_C(250000000)
#define AT_ONCE 6

struct connect_call {
    const struct sockaddr *addr;
    socklen_t len;
    bool begun;
    bool full; /* the last EAGAIN was a full backlog */
};

static ssize_t connect_try(struct lea_io *io, void *arg, bool in_place)
{
    struct connect_call *c = arg;
    int r = lea_os_connect(io->fd, c->addr, c->len);

    (void)in_place;
    c->full = r == -EAGAIN;
    if (r == -EISCONN && c->begun)
        r = 0;
    if (r == -EINPROGRESS || r == -EALREADY) {
        c->begun = true;
        r = -EAGAIN;
    }
    return r;
}

/* With the direction held. */
static ssize_t connect_loop(struct lea_io *io, struct connect_call *c, int64_t until_ns)
{
    int64_t pause = UNIX_RETRY_NS;

    for (;;) {
        int64_t end = until_ns;
        ssize_t r;

        (void)lea_fd_take_edge(io->f, LEA_FD_WRITE);
        r = lea_io_try_once(io, connect_try, c, false);
        if (r != -EAGAIN)
            return r;
        if (c->full) {
            end = lea_os_now_ns() + pause;
            pause = pause * 2 < UNIX_RETRY_MAX_NS ? pause * 2 : UNIX_RETRY_MAX_NS;
        }
        r = lea_io_wait(io, LEA_FD_WRITE, LEA_REASON_CONNECT, end < until_ns ? end : until_ns);
        if (r < 0 && !(r == -ETIMEDOUT && c->full && lea_os_now_ns() < until_ns))
            return r;
    }
}

static bool non_blocking(const struct lea_io *io)
{
    int mode = io->owned ? O_NONBLOCK : lea_os_fcntl(io->fd, F_GETFL, 0);

    return mode < 0 || (mode & O_NONBLOCK); /* a bad descriptor: connect(2) says what is wrong */
}

int leat_connect(int fd, const struct sockaddr *addr, socklen_t addr_len, leat_deadline until)
{
    struct connect_call c = {.addr = addr, .len = addr_len};
    struct lea_io io;
    ssize_t r = lea_io_begin(&io, fd, LEA_FD_USE_WR);

    if (r < 0)
        return (int)r;
    r = non_blocking(&io) ? connect_loop(&io, &c, until.ns) : -EINVAL;
    lea_io_end(&io);
    return (int)r;
}

/* --- dialling --- */

/*
 * One connection that is being made. All of them wait with one ticket, so that the first event goes
 * on with the caller.
 */
struct attempt {
    struct lea_io io; /* its `m` does not count: see struct dial */
    struct connect_call call;
    int64_t again_ns, pause_ns; /* the listener's backlog is full: when to try again */
};

struct dial {
    struct lea_worker *m;
    int64_t until_ns;
    const struct lea_addr *addr;
    int nr_addr;
    int next;        /* the first that was not tried */
    int64_t next_ns; /* when it may be, while others are under way */
    int error;       /* of the last one that failed */
    int n;           /* attempts under way, the oldest first */
    struct attempt at[AT_ONCE];
};

/* A socket for an address. Outside a bracket. */
static int socket_for(const struct lea_addr *a)
{
    int family = a->sa.sa_family, one = 1, r = 0;
    int fd = lea_os_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return fd;
    if (family != AF_UNIX)
        r = lea_os_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (r < 0) {
        (void)lea_os_close(fd);
        return r;
    }
    return lea_own(fd, LEA_FD_KIND_SOCKET, lea_own_flags(family, SOCK_STREAM));
}

/* Outside a bracket. */
static void attempt_end(struct dial *d, int i, bool keep)
{
    struct lea_io *io = &d->at[i].io;
    int fd = io->fd;

    io->m = lea_enter();
    lea_io_end(io);
    if (!keep)
        (void)leat_close(fd);
    d->n--;
    memmove(&d->at[i], &d->at[i + 1], (size_t)(d->n - i) * sizeof(d->at[0]));
}

/* 0: connected; -EAGAIN: not yet; else its error. In a bracket. */
static int attempt_try(struct dial *d, struct attempt *at)
{
    int r;

    at->io.m = d->m;
    (void)lea_fd_take_edge(at->io.f, LEA_FD_WRITE);
    r = (int)lea_io_try_once(&at->io, connect_try, &at->call, false);
    if (r == -EAGAIN && at->call.full) {
        at->again_ns = lea_os_now_ns() + at->pause_ns;
        at->pause_ns = at->pause_ns * 2 < UNIX_RETRY_MAX_NS ? at->pause_ns * 2 : UNIX_RETRY_MAX_NS;
    } else {
        at->again_ns = INT64_MAX;
    }
    return r;
}

/*
 * The next address. Its socket, if it is connected at once; -EAGAIN under way; else its error.
 * Outside a bracket.
 */
static int attempt_begin(struct dial *d)
{
    const struct lea_addr *a = &d->addr[d->next++];
    struct attempt *at = &d->at[d->n];
    int fd = socket_for(a), r;

    if (fd < 0)
        return fd;
    r = lea_io_begin(&at->io, fd, LEA_FD_USE_WR);
    if (r < 0) {
        (void)leat_close(fd);
        return r;
    }
    at->call = (struct connect_call){.addr = &a->sa, .len = a->len};
    at->pause_ns = UNIX_RETRY_NS;
    d->m = at->io.m;
    d->n++;
    r = attempt_try(d, at);
    lea_leave(d->m);
    if (r == -EAGAIN)
        return r;
    attempt_end(d, d->n - 1, r == 0);
    return r == 0 ? fd : r;
}

/*
 * When the next address may be tried beside those under way (RFC 8305), or earlier where all are to
 * have their share of the time that is left.
 */
static int64_t next_ns(const struct dial *d)
{
    int64_t now = lea_os_now_ns(), span = ATTEMPT_DELAY_NS;

    if (d->until_ns != INT64_MAX && d->next < d->nr_addr) {
        int64_t share = (d->until_ns - now) / (d->nr_addr - d->next + 1);

        span = share < span ? share : span;
    }
    return now + span;
}

/* Park until something happens to one of them, or it is time for something else. In a bracket. */
static int wait_any(struct dial *d, int64_t until_ns)
{
    struct lea_co *g = d->m->co;
    uintptr_t ticket = lea_co_ticket(g);
    enum lea_wake code = LEA_WAKE_DONE;
    int n = 0;

    while (n < d->n && lea_fd_wait_begin(d->at[n].io.f, LEA_FD_WRITE, g, ticket))
        n++;
    if (n == d->n)
        code = lea_park_until(&d->m, LEA_REASON_CONNECT, ticket, until_ns, false);
    else
        /* somebody may have seen the ticket: it must never name another wait */
        (void)lea_co_claim(g, ticket, LEA_WAKE_NONE);
    while (n-- > 0)
        lea_fd_wait_end(d->at[n].io.f, LEA_FD_WRITE, g);
    return code == LEA_WAKE_CANCEL ? -ECANCELED : 0;
}

/* The poller knows all of them. In a bracket. */
static int arm_all(struct dial *d)
{
    for (int i = 0; i < d->n; i++) {
        int r;

        d->at[i].io.m = d->m;
        r = lea_io_arm(&d->at[i].io);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * Wait, for as long as there is nothing to do. Returns: 0; -ECANCELED, -ETIMEDOUT. Outside a
 * bracket.
 */
static int dial_wait(struct dial *d)
{
    int64_t until = d->until_ns;
    int r;

    if (until <= 0 || lea_os_now_ns() >= until)
        return -ETIMEDOUT;
    if (d->next < d->nr_addr && d->n < AT_ONCE && d->next_ns < until)
        until = d->next_ns;
    for (int i = 0; i < d->n; i++)
        until = d->at[i].again_ns < until ? d->at[i].again_ns : until;
    d->m = lea_enter_park();
    r = lea_co_cancelled(d->m->co) ? -ECANCELED : arm_all(d);
    if (r == 0)
        r = wait_any(d, until);
    lea_leave(d->m);
    return r;
}

/*
 * Which of them is connected? Those that have failed are ended. Its socket; -EAGAIN none. Outside a
 * bracket.
 */
static int dial_look(struct dial *d)
{
    for (int i = 0; i < d->n;) {
        int fd = d->at[i].io.fd, r;

        d->m = lea_enter();
        r = attempt_try(d, &d->at[i]);
        lea_leave(d->m);
        if (r == -EAGAIN) {
            i++;
            continue;
        }
        attempt_end(d, i, r == 0);
        if (r == 0)
            return fd;
        d->error = r;
        d->next_ns = 0; /* the next one need not wait */
    }
    return -EAGAIN;
}

/* Outside a bracket. A socket, or a negative errno. */
static int dial_all(struct dial *d)
{
    int r;

    for (;;) {
        while (d->next < d->nr_addr && d->n < AT_ONCE &&
               (d->n == 0 || lea_os_now_ns() >= d->next_ns)) {
            r = attempt_begin(d);
            if (r >= 0 || r == -ECANCELED || r == -ESHUTDOWN)
                return r;
            if (r == -EAGAIN)
                d->next_ns = next_ns(d);
            else
                d->error = r;
            if (r == -EMFILE || r == -ENFILE)
                d->next = d->nr_addr;
        }
        if (d->n == 0)
            return d->error;
        r = dial_wait(d);
        if (r < 0)
            return r;
        r = dial_look(d);
        if (r != -EAGAIN)
            return r;
    }
}

static int dial(const struct lea_addr *addr, int n, int64_t until_ns)
{
    struct dial d;
    int r;

    d.until_ns = until_ns;
    d.addr = addr;
    d.nr_addr = n;
    d.next = d.n = 0;
    d.error = -EINVAL;
    r = dial_all(&d);
    while (d.n > 0)
        attempt_end(&d, d.n - 1, false);
    return r;
}

/* --- addresses --- */

/* How many addresses the text may stand for; -EINVAL when a part of it is none. */
static int dial_count(const char *text)
{
    int n = 0;

    for (;;) {
        size_t len = strcspn(text, ","), name;
        struct lea_addr a[LEA_ADDR_MAX];
        int k = lea_addr_parse(text, len, true, a);

        if (k < 0 && lea_addr_name(text, len, &name) < 0)
            return -EINVAL;
        n += k < 0 ? LEA_OS_ADDRESSES : k;
        if (text[len] == '\0')
            return n;
        text += len + 1;
    }
}

/*
 * The families in turn, as RFC 8305 wants it: so that one that leads nowhere costs one delay only.
 */
static void interleave(const leat_address *in, int n, struct lea_addr *out)
{
    sa_family_t first = n > 0 ? in[0].any.sa_family : AF_UNSPEC;
    int from[2] = {0, 0}; /* where to look for the next one of the first family, and of the other */

    for (int i = 0; i < n; i++) {
        int which = i % 2;

        for (int tries = 0; tries < 2; tries++, which = !which) {
            while (from[which] < n && (in[from[which]].any.sa_family == first) == (which == 1))
                from[which]++;
            if (from[which] < n)
                break;
        }
        memset(&out[i], 0, sizeof(out[i]));
        memcpy(&out[i].in6, &in[from[which]], sizeof(in[0]));
        out[i].len = leat_address_bytes(&in[from[which]]);
        from[which]++;
    }
}

/* Fills `out`, looking names up. Returns how many; a negative errno when there are none. */
static int dial_fill(const char *text, struct lea_addr *out, int64_t until_ns)
{
    int n = 0, error = -EINVAL;

    for (;;) {
        size_t len = strcspn(text, ","), name;
        int k = lea_addr_parse(text, len, true, out + n);

        if (k < 0) {
            leat_address found[LEA_OS_ADDRESSES];
            long port = lea_addr_name(text, len, &name);

            k = lea_resolve(text, name, (uint16_t)port, found, LEA_OS_ADDRESSES, until_ns);
            if (k == -ECANCELED)
                return k;
            error = k < 0 ? k : error;
            interleave(found, k, out + n);
        }
        n += k > 0 ? k : 0;
        if (text[len] == '\0')
            return n > 0 ? n : error;
        text += len + 1;
    }
}

/* A coroutine's. */
static struct lea_addr *addr_new(int n)
{
    struct lea_worker *m = lea_enter();
    struct lea_addr *addr = lea_heap_alloc((size_t)n * sizeof(*addr));

    lea_leave(m);
    return addr;
}

static void addr_free(struct lea_addr *addr, int n)
{
    struct lea_worker *m = lea_enter();

    lea_heap_free(addr, (size_t)n * sizeof(*addr));
    lea_leave(m);
}

int leat_tcp_dial(const char *addresses, leat_deadline until)
{
    int n = addresses ? dial_count(addresses) : -EINVAL, k, r;
    struct lea_addr few[LEA_ADDR_MAX], *addr = few;

    if (n < 0)
        return n;
    if (!lea_self())
        return lea_outside(-EPERM);
    if (n > LEA_ADDR_MAX)
        addr = addr_new(n);
    if (!addr)
        return -ENOMEM;
    k = dial_fill(addresses, addr, until.ns);
    r = k < 0 ? k : dial(addr, k, until.ns);
    if (addr != few)
        addr_free(addr, n);
    return r;
}

int leat_unix_dial(const char *path, leat_deadline until)
{
    struct lea_addr a;
    int r = path ? lea_addr_unix(path, strlen(path), &a) : -EINVAL;

    if (r == 0 && !lea_self())
        r = lea_outside(-EPERM);
    return r < 0 ? r : dial(&a, 1, until.ns);
}
