/*
 * tests/go/same.h - what the programs in C share. SAME(fn, args) is the heart: the coroutine must
 * see what an ordinary call fn(args) sees.
 */
#ifndef LEAT_TESTS_GO_SAME_H
#define LEAT_TESTS_GO_SAME_H

#include "fake.h"

#include <string.h>

/* What the functions of a program have seen, as bytes: each writes its arguments here. */
static unsigned char seen[2048], expected[2048];
static size_t nr_seen;

static inline void see(const void *bytes, size_t n)
{
    memcpy(seen + nr_seen, bytes, n);
    nr_seen += n;
}
#define SEE(x) see(&(x), sizeof(x))

static inline size_t call_ended(void)
{
    size_t n = nr_seen;

    memcpy(expected, seen, n);
    nr_seen = 0;
    memset(seen, 0, sizeof(seen));
    return n;
}

/* The ordinary call first, then the spawn: the same bytes must be seen. */
#define SAME(fn, ...)                                                                              \
    do {                                                                                           \
        size_t n_;                                                                                 \
        int rc_;                                                                                   \
        nr_seen = 0;                                                                               \
        (void)(fn)(__VA_ARGS__);                                                                   \
        n_ = call_ended();                                                                         \
        rc_ = go(fn, __VA_ARGS__);                                                                 \
        CHECK(rc_ == 0);                                                                           \
        CHECK(nr_seen == 0); /* not before its time */                                             \
        (void)fake_run();                                                                          \
        CHECK(n_ > 0 && nr_seen == n_ && memcmp(seen, expected, n_) == 0);                         \
    } while (0)

/* Some types of arguments and results. */
enum colour { RED, GREEN = 7, BLUE = -3 };
struct s1 {
    char c;
};
struct s3 {
    char c[3];
};
struct s24 {
    long a, b, c;
};
union u8 {
    double d;
    uint64_t u;
};
typedef float v4 __attribute__((vector_size(16)));

static inline struct s24 make_s24(long a)
{
    return (struct s24){a, a + 1, a + 2};
}

#endif
