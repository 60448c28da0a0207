/*
 * Goal: the plain runner tells right from wrong. Method: 5 tests that must pass, 7 that must fail,
 * 2 that are skipped; CTest compares the closing line (CMakeLists.txt).
 */
#include "support/test.h"

#include <stdlib.h>
#include <unistd.h>

static int nr_inits;

static void init(void)
{
    nr_inits++;
}

TestSuite(right, .init = init);

Test(right, asserts, .timeout = 5)
{
    int x = 3;
    const char *text = "text";

    cr_assert(eq(int, x, 3));
    cr_assert(x == 3, "x is %d", x);
    cr_assert(not(eq(int, x, 4)));
    cr_assert(ne(u32, 1u, 2u));
    cr_assert(lt(i64, -1, 1));
    cr_assert(le(long, 1, 1));
    cr_expect(gt(u64, UINT64_MAX, 1));
    cr_expect(ge(sz, sizeof(x), 4));
    cr_expect(eq(ptr, &x, &x));
    cr_expect(eq(str, text, "text"));
    cr_expect(zero(int, x - 3));
}

Test(right, init_of_the_suite)
{
    cr_assert(eq(int, nr_inits, 1));
}

Test(right, signal, .signal = SIGABRT)
{
    abort();
}

Test(right, exit_code, .exit_code = 3)
{
    exit(3);
}

Test(right, child_of_its_own)
{
    cr_assert(eq(int, nr_inits, 1), "another test's init is seen");
}

Test(right, skips)
{
    cr_skip("not on %s", "this machine");
}

Test(right, is_disabled, .disabled = true)
{
    abort();
}

Test(wrong, expect_goes_on_and_fails)
{
    cr_expect(eq(int, 1, 2));
}

Test(wrong, assert_ends)
{
    cr_assert(eq(str, "a", "b"), "number %d", 7);
    abort();
}

Test(wrong, fatal)
{
    cr_fatal("always");
}

Test(wrong, dies)
{
    abort();
}

Test(wrong, no_signal, .signal = SIGSEGV)
{
}

Test(wrong, exits_early)
{
    exit(3);
}

Test(wrong, hangs, .timeout = 0.3)
{
    pause();
}
