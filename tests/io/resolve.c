/*
 * Names: leat_resolve(), and leat_tcp_dial() with names. The system's resolver is replaced by this
 * program's own getaddrinfo(), which waits where a test wants it to. So nothing here needs a
 * network, nor depends on how the machine is set up.
 */
#define _GNU_SOURCE
#include "io/kit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- the system's resolver --- */

static atomic_int asked;     /* calls of getaddrinfo(), ever */
static atomic_int inside;    /* now */
static atomic_int most;      /* at once */
static atomic_int gate;      /* names that begin with "slow" wait until it is 1 */
static atomic_int out_there; /* lists that were not given back */

static struct addrinfo *one(int family, const char *text)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in6));
    void *addr = a + 1;

    a->ai_family = family;
    a->ai_socktype = SOCK_STREAM;
    a->ai_addr = addr;
    if (family == AF_INET) {
        struct sockaddr_in *in = addr;

        a->ai_addrlen = sizeof(*in);
        in->sin_family = AF_INET;
        inet_pton(AF_INET, text, &in->sin_addr);
    } else {
        struct sockaddr_in6 *in6 = addr;

        a->ai_addrlen = sizeof(*in6);
        in6->sin6_family = AF_INET6;
        inet_pton(AF_INET6, text, &in6->sin6_addr);
    }
    return a;
}

/*
 * "NAME": 127.0.0.1; "many": 40 addresses; "mixed": two of IPv6, then two of IPv4; "none", "later",
 * "broken": errors.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **res)
{
    static const char *const mixed[] = {"2001:db8::1", "2001:db8::2", "127.0.0.1", "127.0.0.2"};
    struct addrinfo **end = res;
    int now = atomic_fetch_add(&inside, 1) + 1, r = 0;

    (void)service;
    (void)hints;
    atomic_fetch_add(&asked, 1);
    for (int seen = atomic_load(&most);
         now > seen && !atomic_compare_exchange_weak(&most, &seen, now);)
        ;
    while (!strncmp(node, "slow", 4) && !atomic_load(&gate))
        usleep(200);
    *res = NULL;
    if (!strcmp(node, "none"))
        r = EAI_NONAME;
    else if (!strcmp(node, "later"))
        r = EAI_AGAIN;
    else if (!strcmp(node, "broken"))
        r = EAI_FAIL;
    if (!strcmp(node, "dying")) {
        atomic_fetch_sub(&inside, 1);
        pthread_exit(NULL);
    }
    for (int i = 0; r == 0 && i < (!strcmp(node, "many")    ? 40
                                   : !strcmp(node, "mixed") ? 4
                                                            : 1);
         i++) {
        *end = !strcmp(node, "mixed") ? one(i < 2 ? AF_INET6 : AF_INET, mixed[i])
                                      : one(AF_INET, "127.0.0.1");
        end = &(*end)->ai_next;
    }
    if (r == 0)
        atomic_fetch_add(&out_there, 1);
    atomic_fetch_sub(&inside, 1);
    return r;
}

void freeaddrinfo(struct addrinfo *res)
{
    atomic_fetch_sub(&out_there, 1);
    while (res) {
        struct addrinfo *next = res->ai_next;

        free(res);
        res = next;
    }
}

static void begin(void)
{
    atomic_store(&asked, 0);
    atomic_store(&most, 0);
    atomic_store(&gate, 0);
}

/* --- answers --- */

static int body_answers(void *arg)
{
    leat_address a[50];
    char longest[300];

    (void)arg;
    WANT(leat_resolve("192.0.2.7", 80, a, 50, LEAT_AT_ONCE), 1);
    WANT(a[0].any.sa_family, AF_INET);
    WANT(ntohl(a[0].v4.sin_addr.s_addr), 0xc0000207);
    WANT(ntohs(a[0].v4.sin_port), 80);
    WANT(leat_address_bytes(&a[0]), sizeof(struct sockaddr_in));
    WANT(leat_resolve("fe80::1%2", 65535, a, 50, LEAT_AT_ONCE), 1);
    WANT(a[0].any.sa_family, AF_INET6);
    WANT(a[0].v6.sin6_scope_id, 2);
    WANT(ntohs(a[0].v6.sin6_port), 65535);
    WANT(leat_address_bytes(&a[0]), sizeof(struct sockaddr_in6));
    WANT(leat_resolve("[fe80::1%2]", 1, a, 50, LEAT_AT_ONCE), 1); /* as leat_tcp_dial() has it */
    WANT(a[0].any.sa_family, AF_INET6);
    WANT(a[0].v6.sin6_scope_id, 2);
    WANT(leat_resolve("[::1]", 1, a, 50, LEAT_AT_ONCE), 1);
    WANT(memcmp(&a[0].v6.sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback)), 0);
    WANT(leat_resolve("localhost", 1, a, 50, LEAT_AT_ONCE), 2);
    WANT(a[1].v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    WANT(leat_resolve("localhost", 1, a, 1, LEAT_AT_ONCE), 1);
    WANT(a[0].any.sa_family, AF_INET6);
    WANT(atomic_load(&asked), 0);

    WANT(leat_resolve("host", 80, a, 50, LEAT_FOREVER), 1);
    WANT(a[0].v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    WANT(ntohs(a[0].v4.sin_port), 80);
    WANT(leat_resolve("mixed", 81, a, 3, LEAT_FOREVER), 3);
    WANT(a[0].any.sa_family, AF_INET6);
    WANT(ntohs(a[1].v6.sin6_port), 81);
    WANT(a[2].any.sa_family, AF_INET);
    WANT(leat_resolve("many", 80, a, 50, LEAT_FOREVER), 32);
    WANT(leat_resolve("none", 80, a, 50, LEAT_FOREVER), -ENOENT);
    WANT(leat_resolve("later", 80, a, 50, LEAT_FOREVER), -EAGAIN);
    WANT(leat_resolve("broken", 80, a, 50, LEAT_FOREVER), -EIO);
    WANT(atomic_load(&asked), 6);

    WANT(leat_resolve("host", 80, a, 50, LEAT_AT_ONCE), -ETIMEDOUT);
    WANT(leat_resolve("", 80, a, 50, LEAT_FOREVER), -EINVAL);
    WANT(leat_resolve(NULL, 80, a, 50, LEAT_FOREVER), -EINVAL);
    WANT(leat_resolve("host", 80, a, 0, LEAT_FOREVER), -EINVAL);
    memset(longest, 'a', sizeof(longest));
    longest[256] = '\0';
    WANT(leat_resolve(longest, 80, a, 50, LEAT_FOREVER), -EINVAL);
    longest[255] = '\0';
    WANT(leat_resolve(longest, 80, a, 50, LEAT_FOREVER), 1);
    WANT(atomic_load(&asked), 7);
    return 0;
}

Test(io_resolve, answers, .timeout = 60)
{
    leat_address a;

    for (unsigned procs = 1; procs <= 2; procs++) {
        begin();
        kit_run(procs, body_answers, NULL);
        cr_assert(eq(int, atomic_load(&out_there), 0));
    }
    /* a plain thread asks for itself */
    cr_assert(eq(int, leat_resolve("host", 80, &a, 1, LEAT_AT_ONCE), 1));
    cr_assert(eq(int, leat_resolve("none", 80, &a, 1, LEAT_FOREVER), -ENOENT));
}

/* --- one look-up for all, deadlines, cancellation --- */

static long ask(const char *name, int64_t span_ns)
{
    leat_address a;

    return leat_resolve(name, 1, &a, 1, span_ns ? leat_after(span_ns) : LEAT_FOREVER);
}

static void await(atomic_int *what, int goal)
{
    while (atomic_load(what) < goal)
        (void)leat_sleep(MS);
}

#define CALLERS 50

static int body_shared(void *arg)
{
    leat_handle *h[CALLERS], *other, *gone;

    (void)arg;
    /* the one that begins it leaves it to the others */
    SPAWN_WAITER(gone, ask, (const char *)"slow", (int64_t)0);
    await(&asked, 1);
    for (int i = 0; i < CALLERS; i++)
        SPAWN_WAITER(h[i], ask, (const char *)"slow", (int64_t)0);
    leat_cancel(gone);
    WANT(kit_join(gone), -ECANCELED);
    WANT(ask("slow", 10 * MS), -ETIMEDOUT);
    SPAWN(other, ask, (const char *)"other", (int64_t)0);
    WANT(kit_join(other), 1);
    WANT(atomic_load(&asked), 2);
    atomic_store(&gate, 1);
    for (int i = 0; i < CALLERS; i++)
        WANT(kit_join(h[i]), 1);
    WANT(atomic_load(&asked), 2);
    /* nothing is remembered */
    WANT(ask("slow", 0), 1);
    WANT(atomic_load(&asked), 3);
    return 0;
}

Test(io_resolve, one_look_up_for_all, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        begin();
        kit_run(procs, body_shared, NULL);
    }
}

/* The first ones of a run, all at once: one of them makes what the others use. */
static int body_first(void *arg)
{
    leat_handle *h[8];
    static const char *const names[] = {"one", "two"};

    (void)arg;
    for (int i = 0; i < 8; i++)
        SPAWN(h[i], ask, names[i % 2], (int64_t)0);
    for (int i = 0; i < 8; i++)
        WANT(kit_join(h[i]), 1);
    return 0;
}

Test(io_resolve, first_of_a_run, .timeout = 60)
{
    begin();
    for (int i = 0; i < 20; i++)
        kit_run(4, body_first, NULL);
}

/* Two look-ups at a time, of four threads: the others have their turn, or are taken back. */
static int body_bounded(void *arg)
{
    leat_handle *h[6];
    static const char *const names[] = {"slow1", "slow2", "slow3", "slow4", "slow5", "slow6"};

    (void)arg;
    for (int i = 0; i < 6; i++)
        SPAWN_WAITER(h[i], ask, names[i], (int64_t)0);
    await(&asked, 2);
    leat_cancel(h[5]);
    WANT(kit_join(h[5]), -ECANCELED);
    WANT(atomic_load(&asked), 2);
    atomic_store(&gate, 1);
    for (int i = 0; i < 5; i++)
        WANT(kit_join(h[i]), 1);
    WANT(atomic_load(&asked), 5);
    WANT_IN(atomic_load(&most), 1, 2);
    return 0;
}

Test(io_resolve, no_more_than_half_of_the_pool, .timeout = 60)
{
    leat_config config = {.procs = 2, .blocking_threads = 4, .shutdown_grace_ms = 20000};

    begin();
    kit_run_config(&config, body_bounded, NULL);
}

/* --- the end of a run does not wait for an answer --- */

static int body_left(void *arg)
{
    leat_handle *h;

    (void)arg;
    SPAWN(h, ask, (const char *)"slow", (int64_t)0);
    await(&asked, 1);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    return 0;
}

static int body_host(void *arg)
{
    (void)arg;
    WANT(ask("host", 0), 1);
    return 0;
}

Test(io_resolve, left_behind, .timeout = 60)
{
    leat_config config = {.procs = 1, .shutdown_grace_ms = 50000};

    begin();
    kit_run_config(&config, body_left, NULL); /* would take 50 s */
    cr_assert(eq(int, atomic_load(&inside), 1));
    /* another run beside it */
    kit_run_config(&config, body_host, NULL);
    atomic_store(&gate, 1);
    while (atomic_load(&inside))
        usleep(1000);
}

static int body_dying(void *arg)
{
    (void)arg;
    WANT(ask("dying", 0), -EOWNERDEAD);
    WANT(ask("host", 0), 1);
    return 0;
}

Test(io_resolve, a_thread_that_dies, .timeout = 60)
{
    begin();
    kit_run(2, body_dying, NULL);
}

/* --- dialling --- */

#define BACKLOG 1 /* then the kernel takes two */

static int dial(const char *format, int port, int other, int64_t span_ns)
{
    char text[100];

    snprintf(text, sizeof(text), format, port, other);
    return leat_tcp_dial(text, span_ns ? leat_after(span_ns) : LEAT_FOREVER);
}

/* One whose backlog is full: further connections hang. `held` keeps it full. Its port. */
static int full_listener(int *listener, int held[BACKLOG + 1])
{
    char address[32];
    int port;

    *listener = kit_listen(address, &(leat_listen_opts){.backlog = BACKLOG});
    port = leat_port(*listener);
    for (int i = 0; i <= BACKLOG; i++)
        OK((held[i] = leat_tcp_dial(address, leat_after(20 * LEAT_SEC))) >= 0);
    return port;
}

static bool connected_to(int fd, int port)
{
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    bool same = fd >= 0 && getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
                ntohs(peer.sin_port) == port;

    WANT(leat_close(fd), 0);
    return same;
}

static int body_names(void *arg)
{
    char address[32];
    int listener = kit_listen(address, NULL), port = leat_port(listener), closed;
    leat_handle *h;

    (void)arg;
    OK(connected_to(dial("host:%d", port, 0, 0), port));
    OK(connected_to(dial("none:%d,host:%d", port, port, 0), port));
    /* two of IPv6 that nobody answers at, or that cannot be reached at all, before it */
    OK(connected_to(dial("mixed:%d", port, 0, 0), port));
    WANT(dial("none:%d", port, 0, 0), -ENOENT);
    WANT(dial("later:%d,none:%d", port, port, 0), -ENOENT);
    WANT(dial("slow:%d", port, 0, 10 * MS), -ETIMEDOUT);
    SPAWN_WAITER(h, dial, (const char *)"slow:%d", port, 0, (int64_t)0);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT(dial("1.2.3:%d", port, 0, 0), -EINVAL);
    WANT(dial("ho st:%d", port, 0, 0), -EINVAL);
    WANT(dial("host:x%d", port, 0, 0), -EINVAL);
    closed = kit_listen(address, NULL);
    port = leat_port(closed);
    WANT(leat_close(closed), 0);
    WANT(dial("host:%d,many:%d", port, port, 0), -ECONNREFUSED);
    WANT(leat_close(listener), 0);
    return 0;
}

Test(io_resolve, dial_by_name, .timeout = 60)
{
    for (unsigned procs = 1; procs <= 2; procs++) {
        begin();
        kit_run(procs, body_names, NULL);
        atomic_store(&gate, 1);
        while (atomic_load(&inside))
            usleep(1000);
    }
}

/*
 * The first address hangs: the second one is tried beside it after a quarter of a second, and
 * nothing is left of the first.
 */
static int body_eyeballs(void *arg)
{
    char address[32];
    int held[BACKLOG + 1], hung, listener = kit_listen(address, NULL), good = leat_port(listener);
    int full = full_listener(&hung, held), nr = kit_nr_fds();
    int64_t start = leat_now();
    leat_handle *h;

    (void)arg;
    OK(connected_to(dial("127.0.0.1:%d,127.0.0.1:%d", full, good, 0), good));
    WANT_IN(kit_ms_since(start), 240, 30000);
    WANT(kit_nr_fds(), nr);
    OK(connected_to(dial("127.0.0.1:%d,127.0.0.1:%d", good, full, 0), good));
    WANT(dial("127.0.0.1:%d,127.0.0.1:%d", full, full, 20 * MS), -ETIMEDOUT);
    SPAWN_WAITER(h, dial, (const char *)"127.0.0.1:%d,127.0.0.1:%d", full, full, (int64_t)0);
    leat_cancel(h);
    WANT(kit_join(h), -ECANCELED);
    WANT(kit_nr_fds(), nr);
    for (int i = 0; i <= BACKLOG; i++)
        leat_close(held[i]);
    leat_close(hung);
    leat_close(listener);
    return 0;
}

Test(io_resolve, first_address_hangs, .timeout = 60)
{
    kit_run(1, body_eyeballs, NULL);
    kit_run(2, body_eyeballs, NULL);
}

/* Both hang; the one that was tried first answers when the other has been begun as well. */
static int body_late_winner(void *arg)
{
    static const char *const path[] = {"@leat-test-late-0-%d", "@leat-test-late-1-%d"};
    int listener[2], held[2][2], fd;
    char name[2][64], text[160];
    leat_handle *h;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof(name[i]), path[i], (int)getpid());
        OK((listener[i] = leat_unix_listen(name[i], &(leat_listen_opts){.backlog = 1})) >= 0);
        for (int k = 0; k < 2; k++)
            OK((held[i][k] = leat_unix_dial(name[i], leat_after(20 * LEAT_SEC))) >= 0);
    }
    snprintf(text, sizeof(text), "unix:%s,unix:%s", name[0], name[1]);
    SPAWN(h, leat_tcp_dial, (const char *)text, LEAT_FOREVER);
    WANT(leat_sleep(300 * MS), 0);
    WANT(leat_close(leat_accept(listener[0], NULL, NULL, LEAT_FOREVER)), 0);
    fd = (int)kit_join(h);
    OK(fd >= 0);
    /* it is the next but one in the first one's queue */
    WANT(leat_close(leat_accept(listener[0], NULL, NULL, LEAT_FOREVER)), 0);
    WANT(leat_close(leat_accept(listener[0], NULL, NULL, LEAT_FOREVER)), 0);
    WANT(leat_close(fd), 0);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++)
            leat_close(held[i][k]);
        leat_close(listener[i]);
    }
    return 0;
}

Test(io_resolve, late_answer, .timeout = 60)
{
    kit_run(2, body_late_winner, NULL);
}
