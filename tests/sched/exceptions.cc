/*
 * tests/sched/exceptions.cc - C++ exceptions belong to the coroutine: it waits within catch blocks
 * and in destructors while an exception passes, others throw and catch meanwhile, and it comes back
 * elsewhere.
 */
#include <leat/leat.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>

#include <sys/syscall.h>
#include <unistd.h>

namespace
{

constexpr int coroutines = 24, rounds = 60;

std::atomic<int> wrong, moved, handled;

void check(bool ok, const char *text)
{
    if (!ok && wrong++ == 0)
        std::printf("not true: %s\n", text);
}
#define CHECK(cond) check(cond, #cond)

void wait(int n)
{
    if (n % 3 == 0)
        (void)!leat_sleep((n % 7) * 10 * LEAT_USEC);
    else
        leat_yield();
}

/* Whoever passes through here is on its way to a handler. */
struct slow_to_go {
    int n;
    ~slow_to_go()
    {
        CHECK(std::uncaught_exceptions() == 1);
        wait(n);
        CHECK(std::uncaught_exceptions() == 1);
    }
};

void inner(int n)
{
    try {
        slow_to_go s{n};
        throw std::string(static_cast<size_t>(n % 50 + 1), 'x');
    } catch (const std::string &text) {
        wait(n + 1);
        CHECK(text.size() == static_cast<size_t>(n % 50 + 1));
    }
}

void outer(int value)
{
    long before = syscall(SYS_gettid); /* std::this_thread::get_id() may be kept by the compiler */

    try {
        throw value;
    } catch (int v) {
        std::exception_ptr held = std::current_exception();

        wait(v);
        inner(v + 1);
        try {
            throw;
        } catch (int again) {
            wait(v + 2);
            CHECK(again == value);
        }
        CHECK(std::current_exception() == held);
        handled++;
    }
    CHECK(std::current_exception() == nullptr);
    CHECK(std::uncaught_exceptions() == 0);
    if (syscall(SYS_gettid) != before)
        moved++;
}

int one(int id)
{
    for (int i = 0; i < rounds; i++)
        outer(id * 1000 + i);
    return 0;
}

int main_coroutine(void *)
{
    leat_group g;

    leat_group_open(&g, 0);
    for (int i = 0; i < coroutines; i++)
        CHECK(leat_group_go(&g, one, i) == 0);
    return leat_group_wait(&g, LEAT_FOREVER);
}

/* The runs themselves are started from within a handler, which finds its exception again. */
void runs()
{
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        leat_config config = {};

        config.procs = procs;
        config.pin = "off";
        try {
            throw procs;
        } catch (unsigned v) {
            CHECK(leat_run_with(&config, main_coroutine, nullptr) == 0);
            try {
                throw;
            } catch (unsigned again) {
                CHECK(again == v);
            }
        }
    }
}

} // namespace

int main()
{
    runs();
    CHECK(handled == 3 * coroutines * rounds);
    std::printf("%d handled, %d of them on two threads\n", handled.load(), moved.load());
    return wrong ? 1 : 0;
}
