/*
 * support/test.h - one vocabulary for tests, two runners behind it.
 *
 * Criterion 2.4 with its new-style asserts; or, with LEAT_TEST_PLAIN, the small runner in plain.c,
 * which starts where Criterion cannot (ThreadSanitizer, qemu-user). The plain side understands this
 * subset and nothing else:
 *
 *   Test(suite, name, .timeout =, .signal =, .exit_code =, .init =, .fini =, .disabled =,
 *   .description =)
 *   TestSuite(suite, the same fields)                 values for its tests that set none themselves
 *   cr_assert(condition [, format, …])                ends the test when false      cr_expect: goes
 *   on
 *   cr_fatal([format, …])   cr_fail([format, …])      ends the test; goes on
 *   cr_skip([format, …])    cr_skip_test(…)           ends the test, not as a failure
 * A condition is a C expression, or eq ne lt le gt ge (tag, actual, expected), zero(tag, value),
 * not(condition); the tags are those of Criterion's integers, sz, ptr, str, flt, dbl, chr. It
 * begins with a name: Criterion pastes its first token, so not(x), not !x.
 *
 * Assert only on the thread that the runner gave the test, never inside a coroutine: a failing
 * cr_assert() leaves by longjmp or exit.
 */
#ifndef LEAT_TESTS_TEST_H
#define LEAT_TESTS_TEST_H

#ifndef LEAT_TEST_PLAIN

#include <signal.h>
#include <stdint.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#else

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_data {
    double timeout; /* seconds; 0: the runner's default */
    int signal;     /* the test is to die by this signal */
    int exit_code;  /* the test is to exit with this status */
    void (*init)(void);
    void (*fini)(void);
    bool disabled;
    const char *description;
};

struct lt_test {
    const char *suite;
    const char *name; /* NULL: the suite's own values */
    const char *file;
    int line;
    void (*run)(void);
    struct lt_data data;
    struct lt_test *next; /* the runner's */
};

void lt_register(struct lt_test *test);

/* Reports a false condition. With @fatal it ends the test, and does not return. */
void lt_check(bool ok, bool fatal, const char *file, int line, const char *text, const char *fmt,
              ...) __attribute__((format(printf, 6, 7)));
void lt_skip(const char *file, int line, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* Compare; keep both values for the report of a false condition. */
enum lt_op { LT_EQ, LT_NE, LT_LT, LT_LE, LT_GT, LT_GE };
bool lt_cmp_signed(enum lt_op op, intmax_t actual, intmax_t expected);
bool lt_cmp_unsigned(enum lt_op op, uintmax_t actual, uintmax_t expected);
bool lt_cmp_double(enum lt_op op, double actual, double expected);
bool lt_cmp_ptr(enum lt_op op, const volatile void *actual, const volatile void *expected);
bool lt_cmp_str(enum lt_op op, const char *actual, const char *expected);

#define LT_REGISTER_(entry)                                                                        \
    __attribute__((constructor)) static void entry##_register(void)                                \
    {                                                                                              \
        lt_register(&entry);                                                                       \
    }                                                                                              \
    struct lt_swallow_semicolon_

#define Test(suite_, name_, ...)                                                                   \
    static void lt_##suite_##_##name_(void);                                                       \
    _Pragma("GCC diagnostic push")                                                                 \
        _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") static struct lt_test   \
            lt_entry_##suite_##_##name_ = {                                                        \
                #suite_, #name_, __FILE__, __LINE__, lt_##suite_##_##name_, {__VA_ARGS__}, NULL};  \
    _Pragma("GCC diagnostic pop") LT_REGISTER_(lt_entry_##suite_##_##name_);                       \
    static void lt_##suite_##_##name_(void)

#define TestSuite(suite_, ...)                                                                     \
    _Pragma("GCC diagnostic push")                                                                 \
        _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") static struct lt_test   \
            lt_suite_##suite_ = {#suite_, NULL, __FILE__, __LINE__, NULL, {__VA_ARGS__}, NULL};    \
    _Pragma("GCC diagnostic pop") LT_REGISTER_(lt_suite_##suite_)

/* "x" before the format: so none at all is one too, and not an empty one. The runner skips it. */
#define cr_assert(cond, ...) lt_check((cond), true, __FILE__, __LINE__, #cond, "x" __VA_ARGS__)
#define cr_expect(cond, ...) lt_check((cond), false, __FILE__, __LINE__, #cond, "x" __VA_ARGS__)
#define cr_fatal(...) lt_check(false, true, __FILE__, __LINE__, NULL, "x" __VA_ARGS__)
#define cr_fail(...) lt_check(false, false, __FILE__, __LINE__, NULL, "x" __VA_ARGS__)
#define cr_skip(...) lt_skip(__FILE__, __LINE__, "x" __VA_ARGS__)
#define cr_skip_test(...) lt_skip(__FILE__, __LINE__, "x" __VA_ARGS__)

#define eq(tag, a, b) LT_CMP_##tag(LT_EQ, a, b)
#define ne(tag, a, b) LT_CMP_##tag(LT_NE, a, b)
#define lt(tag, a, b) LT_CMP_##tag(LT_LT, a, b)
#define le(tag, a, b) LT_CMP_##tag(LT_LE, a, b)
#define gt(tag, a, b) LT_CMP_##tag(LT_GT, a, b)
#define ge(tag, a, b) LT_CMP_##tag(LT_GE, a, b)
#define zero(tag, a) LT_CMP_##tag(LT_EQ, a, 0)
#define not(cond) (!(cond))

#define LT_SIGNED_(type, op, a, b) lt_cmp_signed(op, (type)(a), (type)(b))
#define LT_UNSIGNED_(type, op, a, b) lt_cmp_unsigned(op, (type)(a), (type)(b))
#define LT_CMP_i8(op, a, b) LT_SIGNED_(int8_t, op, a, b)
#define LT_CMP_i16(op, a, b) LT_SIGNED_(int16_t, op, a, b)
#define LT_CMP_i32(op, a, b) LT_SIGNED_(int32_t, op, a, b)
#define LT_CMP_i64(op, a, b) LT_SIGNED_(int64_t, op, a, b)
#define LT_CMP_chr(op, a, b) LT_SIGNED_(char, op, a, b)
#define LT_CMP_int(op, a, b) LT_SIGNED_(int, op, a, b)
#define LT_CMP_long(op, a, b) LT_SIGNED_(long, op, a, b)
#define LT_CMP_llong(op, a, b) LT_SIGNED_(long long, op, a, b)
#define LT_CMP_iptr(op, a, b) LT_SIGNED_(intptr_t, op, a, b)
#define LT_CMP_u8(op, a, b) LT_UNSIGNED_(uint8_t, op, a, b)
#define LT_CMP_u16(op, a, b) LT_UNSIGNED_(uint16_t, op, a, b)
#define LT_CMP_u32(op, a, b) LT_UNSIGNED_(uint32_t, op, a, b)
#define LT_CMP_u64(op, a, b) LT_UNSIGNED_(uint64_t, op, a, b)
#define LT_CMP_uchr(op, a, b) LT_UNSIGNED_(unsigned char, op, a, b)
#define LT_CMP_uint(op, a, b) LT_UNSIGNED_(unsigned, op, a, b)
#define LT_CMP_ulong(op, a, b) LT_UNSIGNED_(unsigned long, op, a, b)
#define LT_CMP_ullong(op, a, b) LT_UNSIGNED_(unsigned long long, op, a, b)
#define LT_CMP_uptr(op, a, b) LT_UNSIGNED_(uintptr_t, op, a, b)
#define LT_CMP_sz(op, a, b) LT_UNSIGNED_(size_t, op, a, b)
#define LT_CMP_flt(op, a, b) lt_cmp_double(op, (float)(a), (float)(b))
#define LT_CMP_dbl(op, a, b) lt_cmp_double(op, (a), (b))
#define LT_CMP_ptr(op, a, b) lt_cmp_ptr(op, (const volatile void *)(a), (const volatile void *)(b))
#define LT_CMP_str(op, a, b) lt_cmp_str(op, (a), (b))

#endif
#endif
