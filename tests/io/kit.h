/*
 * io/kit.h - what the tests of io/ share. A coroutine never asserts: it notes the first thing that
 * went wrong with
 * WANT and its kin, and kit_run_all() looks at the note on the test's own thread.
 */
#ifndef LEAT_TESTS_IO_KIT_H
#define LEAT_TESTS_IO_KIT_H

#include "support/test.h"
#include "support/waits.h"

#include <errno.h>
#include <leat/leat.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KIT_SANITIZED 1
#endif
#endif
#ifndef KIT_SANITIZED
#define KIT_SANITIZED 0
#endif

#define MS LEAT_MSEC

/*
 * Note the first failure: text and both values. Any thread, any coroutine. Returns whether it
 * holds.
 */
bool kit_want(const char *file, int line, const char *text, long actual, long expected);
bool kit_want_in(const char *file, int line, const char *text, long actual, long low, long high);

#define WANT(actual, expected)                                                                     \
    kit_want(__FILE__, __LINE__, #actual, (long)(actual), (long)(expected))
#define WANT_IN(actual, low, high)                                                                 \
    kit_want_in(__FILE__, __LINE__, #actual, (long)(actual), (long)(low), (long)(high))
#define OK(condition) kit_want(__FILE__, __LINE__, #condition, (condition) ? 1 : 0, 1)

/* One run with so many processors; asserts that nothing was noted. Test's own thread. */
void kit_run(unsigned procs, int (*body)(void *), void *arg);

/* As kit_run(), with a configuration. */
void kit_run_config(const leat_config *config, int (*body)(void *), void *arg);

/* Runs with 1, 2 and 4 processors. */
void kit_run_all(int (*body)(void *));

/* As go_join and join, without a way to fail. */
#define SPAWN(handle, ...) OK(leat_go_join(&(handle), __VA_ARGS__) == 0)
long kit_join(leat_handle *handle);

/*
 * As SPAWN, and back when it has begun to wait: support/waits.h. Nobody else may begin to
 * meanwhile.
 */
#define SPAWN_WAITER(handle, ...)                                                                  \
    do {                                                                                           \
        uint64_t waits_ = waits_begun();                                                           \
                                                                                                   \
        SPAWN(handle, __VA_ARGS__);                                                                \
        OK(waits_await(waits_ + 1));                                                               \
    } while (0)

/* A connected pair of TCP sockets: out[0] dialled, out[1] accepted. */
bool kit_tcp_pair(int out[2]);

/* A listener on 127.0.0.1, and the text to dial it. */
int kit_listen(char address[32], const leat_listen_opts *opts);

/* Reads one byte: it, the error, or 1000 at the end. */
int kit_read_byte(int fd);

int64_t kit_ms_since(int64_t start_ns);

/* The number of open descriptors of this process, without those that the runtime holds for a moment. */
int kit_nr_fds(void);

/*
 * A descriptor that the caller closes when it has opened others: a number below theirs is free then,
 * which is what the monitor's file gets. So a number of theirs that was closed stays nobody's.
 */
int kit_spare(void);

/* The number is nobody's, or was so for a moment. */
bool kit_is_closed(int fd);

/* xorshift */
uint64_t kit_random(uint64_t *state);

/* Run for a random time, at most max_us: with a yield, a sleep or a spin. */
void kit_dawdle(uint64_t *state, unsigned max_us);

/* Refuse a system call with an errno, in this process and for good. */
bool kit_refuse(long nr, int error);

#endif
