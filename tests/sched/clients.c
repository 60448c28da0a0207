/*
 * Client libraries of others that know blocking sockets only: libcurl. Its calls hold the thread,
 * and must not hold up anybody else.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CURL_STACK ((size_t)256 << 10)
#define CLIENTS 6
#define PARTS 3
#define PART_BYTES 64 /* of the body */
#define BODY_BYTES (PARTS * PART_BYTES)
#define TICKS 10 /* before each part */

struct fetching {
    size_t stack_bytes;
    char url[64];
    atomic_ulong ticks, served, fetched, wrong;
    atomic_ulong early; /* transfers that ended before the ticker had ticked for them */
    char error[CURL_ERROR_SIZE + 16];
    atomic_flag error_taken;
};

struct body {
    size_t bytes;
    char text[BODY_BYTES];
};

/* --- who goes on --- */

static void ticks(struct fetching *f)
{
    while (leat_sleep(LEAT_MSEC) == 0)
        atomic_fetch_add(&f->ticks, 1);
}

/* --- the server, which is slow: each part waits for the ticker --- */

static bool read_request(int fd)
{
    char text[4096];
    size_t n = 0;

    while (n < sizeof(text) - 1) {
        ssize_t more = leat_read(fd, text + n, sizeof(text) - 1 - n, leat_after(KIT_LONG));

        if (more <= 0)
            return false;
        n += (size_t)more;
        text[n] = '\0';
        if (strstr(text, "\r\n\r\n"))
            return true;
    }
    return false;
}

static bool answer(struct fetching *f, int fd)
{
    char text[256];
    int n =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BODY_BYTES);

    if (leat_write_all(fd, text, (size_t)n, leat_after(KIT_LONG)) != n)
        return false;
    for (int i = 0; i < PARTS; i++) {
        if (!kit_reach(&f->ticks, atomic_load(&f->ticks) + TICKS, KIT_LONG))
            return false;
        memset(text, 'a' + i, PART_BYTES);
        if (leat_write_all(fd, text, PART_BYTES, leat_after(KIT_LONG)) != PART_BYTES)
            return false;
    }
    return true;
}

static void serves(struct fetching *f, int fd)
{
    if (!read_request(fd) || !answer(f, fd))
        atomic_fetch_add(&f->wrong, 1);
    leat_close(fd);
    atomic_fetch_add(&f->served, 1);
}

static void accepts(struct fetching *f, int listener)
{
    int fd;

    while ((fd = leat_accept(listener, NULL, NULL, LEAT_FOREVER)) >= 0)
        if (go(serves, f, fd) < 0)
            leat_close(fd);
}

/* --- the clients --- */

static size_t takes(char *data, size_t size, size_t n, void *arg)
{
    struct body *b = arg;

    if (size * n > sizeof(b->text) - b->bytes)
        return 0;
    memcpy(b->text + b->bytes, data, size * n);
    b->bytes += size * n;
    return size * n;
}

static CURLcode fetch(const char *url, struct body *b, char *error)
{
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_FAILED_INIT;

    if (!curl)
        return code;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, takes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, b);
    code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code;
}

static bool is_right(const struct body *b)
{
    if (b->bytes != BODY_BYTES)
        return false;
    for (int i = 0; i < BODY_BYTES; i++)
        if (b->text[i] != 'a' + i / PART_BYTES)
            return false;
    return true;
}

static void fetches(struct fetching *f)
{
    unsigned long before = atomic_load(&f->ticks);
    char error[CURL_ERROR_SIZE] = "";
    struct body b = {.bytes = 0};
    CURLcode code = fetch(f->url, &b, error);

    if (atomic_load(&f->ticks) < before + PARTS * TICKS)
        atomic_fetch_add(&f->early, 1);
    if (code != CURLE_OK || !is_right(&b)) {
        atomic_fetch_add(&f->wrong, 1);
        if (!atomic_flag_test_and_set(&f->error_taken))
            snprintf(f->error, sizeof(f->error), "%d: %s", (int)code, error);
    }
    atomic_fetch_add(&f->fetched, 1);
}

static int fetching_main(void *arg)
{
    struct fetching *f = arg;
    leat_attr attr = {.name = "curl", .stack_bytes = f->stack_bytes};
    int listener = leat_tcp_listen("127.0.0.1:0", NULL);

    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d/", leat_port(listener));
    if (listener < 0 || go(ticks, f) < 0 || go(accepts, f, listener) < 0)
        return 1;
    for (int i = 0; i < CLIENTS; i++)
        if (leat_go_attr(&attr, fetches, f) < 0)
            return 2;
    return kit_reach(&f->fetched, CLIENTS, 6 * KIT_LONG) && kit_reach(&f->served, CLIENTS, KIT_LONG)
               ? 0
               : 3;
}

static void all_fetched(unsigned procs, size_t stack_bytes)
{
    struct fetching f = {.stack_bytes = stack_bytes, .error_taken = ATOMIC_FLAG_INIT};

    cr_expect(eq(int, kit_run(procs, fetching_main, &f), 0), "with %u processors", procs);
    cr_expect(eq(ulong, atomic_load(&f.wrong), 0), "with %u processors: curl says %s", procs,
              f.error);
    cr_expect(eq(ulong, atomic_load(&f.early), 0));
}

/* Goal: more transfers by a library that blocks its thread than processors, and the server that they
 * wait for, and a ticker that the server waits for, go on beside them. */
Test(clients, curl, .timeout = 180)
{
    cr_assert(eq(int, curl_global_init(CURL_GLOBAL_ALL), 0));
    all_fetched(1, CURL_STACK);
    all_fetched(2, CURL_STACK);
    curl_global_cleanup();
}

/* Goal: the stack that coroutines have by default is enough for a request without TLS. */
Test(clients, curl_on_the_default_stack, .timeout = 180)
{
    cr_assert(eq(int, curl_global_init(CURL_GLOBAL_ALL), 0));
    all_fetched(2, 64 << 10);
    curl_global_cleanup();
}
