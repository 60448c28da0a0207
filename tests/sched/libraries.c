/*
 * Libraries of others in a coroutine: one with thread-locals that is loaded in the middle of a run,
 * and OpenSSL, on a stack of the size that the manual gives for code that one has not written.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef WITH_OPENSSL
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#endif

#define FOREIGN_STACK ((size_t)256 << 10)

/* --- static thread-local storage --- */

struct loading {
    int (*next)(int);
    atomic_ulong wrong, ended, loaded;
    char error[256];
};

static void loads(struct loading *l, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library)
        *(void **)&l->next = dlsym(library, "leat_test_next");
    if (!l->next)
        snprintf(l->error, sizeof(l->error), "%s", dlerror());
    atomic_store(&l->loaded, 1);
}

/* The library's variable is the thread's: between two calls that may park it is one's own. */
static void uses(struct loading *l)
{
    for (int i = 0; i < 200; i++) {
        int first = l->next(0);

        for (int k = 1; k <= 10; k++)
            if (l->next(0) != first + k)
                atomic_fetch_add(&l->wrong, 1);
        leat_yield();
    }
    atomic_fetch_add(&l->ended, 1);
}

static int loading_main(void *arg)
{
    struct loading *l = arg;
    leat_attr attr = {.name = "loads", .stack_bytes = FOREIGN_STACK};

    if (leat_go_attr(&attr, loads, l, TLS_LIBRARY) < 0 || !kit_reach(&l->loaded, 1, KIT_LONG) ||
        !l->next)
        return 1;
    for (int i = 0; i < 8; i++)
        if (go(uses, l) < 0)
            return 2;
    return kit_reach(&l->ended, 8, KIT_LONG) ? 0 : 3;
}

/* Goal: a library with static thread-local storage may be loaded by a coroutine, and works on all
 * workers, which were there before it. */
Test(libraries, loaded_in_a_run, .timeout = 60)
{
    for (int i = 0; i < KIT_NR_PROCS; i++) {
        struct loading l = {.wrong = 0};

        cr_assert(eq(int, kit_run(kit_procs[i], loading_main, &l), 0), "%s", l.error);
        cr_expect(eq(ulong, atomic_load(&l.wrong), 0));
    }
}

/* --- OpenSSL --- */

#ifdef WITH_OPENSSL

#define CLIENTS 8
#define ROUNDS 20

struct tls {
    SSL_CTX *server, *client;
    atomic_ulong served, asked, wrong;
    size_t stack_bytes;
};

/* What the one side has to say goes out, what comes is given to it. 0; or the end. */
static int carry(SSL *ssl, int fd, int why)
{
    leat_deadline until = leat_after(KIT_LONG);
    char buf[2048];
    ssize_t n;

    while ((n = BIO_read(SSL_get_wbio(ssl), buf, sizeof(buf))) > 0)
        if (leat_write_all(fd, buf, (size_t)n, until) != n)
            return -1;
    if (why != SSL_ERROR_WANT_READ)
        return why == SSL_ERROR_NONE || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    n = leat_read(fd, buf, sizeof(buf), until);
    return n > 0 && BIO_write(SSL_get_rbio(ssl), buf, (int)n) == n ? 0 : -1;
}

static SSL *session(SSL_CTX *context, bool client)
{
    SSL *ssl = SSL_new(context);

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    return ssl;
}

/* One call of the library's, again until it is done. */
static int done(SSL *ssl, int fd, int (*call)(SSL *ssl, void *arg), void *arg)
{
    for (;;) {
        int r = call(ssl, arg), why = SSL_get_error(ssl, r);

        if (carry(ssl, fd, why) < 0)
            return -1;
        if (why == SSL_ERROR_NONE)
            return r;
    }
}

static int handshake(SSL *ssl, void *arg)
{
    (void)arg;
    return SSL_do_handshake(ssl);
}

static int reads(SSL *ssl, void *arg)
{
    return SSL_read(ssl, arg, 64);
}

static int writes(SSL *ssl, void *arg)
{
    return SSL_write(ssl, arg, 64);
}

static void serves(struct tls *t, int fd)
{
    SSL *ssl = session(t->server, false);
    char text[64];
    bool right = done(ssl, fd, handshake, NULL) == 1;

    for (int i = 0; right && i < ROUNDS; i++)
        right = done(ssl, fd, reads, text) == 64 && done(ssl, fd, writes, text) == 64;
    if (!right)
        atomic_fetch_add(&t->wrong, 1);
    SSL_free(ssl);
    leat_close(fd);
    atomic_fetch_add(&t->served, 1);
}

static void asks(struct tls *t, int fd)
{
    SSL *ssl = session(t->client, true);
    char sent[64], text[64];
    bool right = done(ssl, fd, handshake, NULL) == 1;

    for (int i = 0; right && i < ROUNDS; i++) {
        memset(sent, 'a' + i, sizeof(sent));
        right = done(ssl, fd, writes, sent) == 64 && done(ssl, fd, reads, text) == 64 &&
                memcmp(sent, text, sizeof(text)) == 0;
    }
    if (!right)
        atomic_fetch_add(&t->wrong, 1);
    SSL_free(ssl);
    leat_close(fd);
    atomic_fetch_add(&t->asked, 1);
}

/* A certificate that has signed itself. */
static bool contexts(struct tls *t)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool right;

    t->server = SSL_CTX_new(TLS_server_method());
    t->client = SSL_CTX_new(TLS_client_method());
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    right = key && t->server && t->client && X509_set_pubkey(cert, key) &&
            X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(t->server, cert) &&
            SSL_CTX_use_PrivateKey(t->server, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return right;
}

static int tls_main(void *arg)
{
    struct tls *t = arg;
    leat_attr attr = {.name = "TLS", .stack_bytes = t->stack_bytes};

    for (int i = 0; i < CLIENTS; i++) {
        int fds[2];

        if (leat_socketpair(SOCK_STREAM, fds) < 0 || leat_go_attr(&attr, serves, t, fds[0]) < 0 ||
            leat_go_attr(&attr, asks, t, fds[1]) < 0)
            return 1;
    }
    return kit_reach(&t->asked, CLIENTS, 3 * KIT_LONG) &&
                   kit_reach(&t->served, CLIENTS, KIT_LONG) && atomic_load(&t->wrong) == 0
               ? 0
               : 2;
}

static int tls_child(void *arg)
{
    return kit_run(2, tls_main, arg);
}

/* Goal: handshakes and records of many connections, client and server, on stacks of 256 KiB. */
Test(libraries, openssl, .timeout = 120)
{
    struct tls t = {.stack_bytes = FOREIGN_STACK};

    cr_assert(contexts(&t));
    for (int i = 0; i < KIT_NR_PROCS; i++) {
        atomic_store(&t.asked, 0);
        atomic_store(&t.served, 0);
        cr_expect(eq(int, kit_run(kit_procs[i], tls_main, &t), 0), "with %u processors",
                  kit_procs[i]);
    }
    SSL_CTX_free(t.server);
    SSL_CTX_free(t.client);
}

/* Goal: on the smallest stack it works, or says that the stack has overflowed; nothing else. */
Test(libraries, openssl_on_too_small_a_stack, .timeout = 120)
{
    struct tls t = {.stack_bytes = 16 << 10};
    char text[KIT_TEXT_BYTES];
    int status;

    cr_assert(contexts(&t));
    status = kit_child(tls_child, &t, 60000, text);
    cr_expect(kit_exited(status, 0) || strstr(text, "stack overflow in coroutine "),
              "status %#x: %s", (unsigned)status, text);
    SSL_CTX_free(t.server);
    SSL_CTX_free(t.client);
}

#endif
