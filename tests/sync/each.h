/*
 * sync/each.h - what the tests of sync and scope share: runs with 1, 2 and 4 processors, and a
 * bound for race tests.
 *
 * A coroutine never asserts: it counts mistakes, and the test looks at the count after the run.
 */
#ifndef LEAT_TESTS_SYNC_EACH_H
#define LEAT_TESTS_SYNC_EACH_H

#include <leat/leat.h>

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EACH_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EACH_SANITIZED 1
#endif
#endif
#ifndef EACH_SANITIZED
#define EACH_SANITIZED 0
#endif

/* Memcheck is slow too, and runs one thread at a time. */
#ifdef LEAT_VALGRIND
#include <valgrind/valgrind.h>
#define EACH_VALGRIND (RUNNING_ON_VALGRIND != 0)
#else
#define EACH_VALGRIND 0
#endif

/* By qemu-user: tests/CMakeLists.txt */
#ifndef LEAT_TEST_EMULATED
#define LEAT_TEST_EMULATED 0
#endif
#define EACH_EMULATED LEAT_TEST_EMULATED

/* So many rounds natively, a tenth in instrumented code, a fiftieth by memcheck. */
#define EACH_SLOW(n) (EACH_VALGRIND ? (n) / 50 : EACH_SANITIZED ? (n) / 10 : (n))

/* One processor is the exception; two are the machine's; four are more than it has. */
/*
 * So long only when somebody takes no notice of being cancelled: the grace ends with the last
 * coroutine.
 */
#define EACH_GRACE_MS (EACH_VALGRIND ? 100000 : 20000)

#define EACH_PROCS(procs)                                                                          \
    unsigned procs = 1;                                                                            \
    procs <= 4;                                                                                    \
    procs *= 2

static inline int each_run(unsigned procs, int (*fn)(void *), void *arg)
{
    leat_config config = {.procs = procs, .shutdown_grace_ms = EACH_GRACE_MS};

    return leat_run_with(&config, fn, arg);
}

/* Rounds of a race test: so many, or as many as fit into the span. Slow code goes through fewer. */
struct each_rounds {
    long left;
    int64_t until_ns;
};

static inline struct each_rounds each_rounds(long n, int64_t span_ns)
{
    return (struct each_rounds){EACH_SLOW(n), leat_now() + span_ns};
}

static inline bool each_next(struct each_rounds *r)
{
    return r->left-- > 0 && ((r->left & 15) != 0 || leat_now() < r->until_ns);
}

/* Burn some time in user code: from 0 to about a microsecond, another one each time. */
static inline void each_jitter(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    for (volatile unsigned i = *seed >> 23; i > 0; i--)
        ;
}

/* So long that only a hang takes longer. */
#define EACH_LONG leat_after((EACH_VALGRIND ? 150 : 60) * LEAT_SEC)

#endif
