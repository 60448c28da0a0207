/*
 * tests/go/spawn_test.cc - go() from C++ on the real runtime: moved arguments arrive whole, and all
 * that is made is destroyed.
 */
#include <leat/leat.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace
{

std::atomic<int> alive;

struct counted {
    std::unique_ptr<int> value;
    explicit counted(int v) : value(new int(v))
    {
        alive++;
    }
    counted(counted &&o) noexcept : value(std::move(o.value))
    {
        alive++;
    }
    ~counted()
    {
        alive--;
    }
};

struct page {
    char c[900];
};

int value_of(counted c, const std::string &text)
{
    leat_yield();
    return *c.value + static_cast<int>(text.size());
}

int failed;

void check(bool ok, const char *text)
{
    if (!ok) {
        failed++;
        std::printf("not true: %s\n", text);
    }
}
#define CHECK(cond) check(cond, #cond)

leat_result joined(leat_handle *h)
{
    leat_result r = -1;
    return leat_join(h, &r, LEAT_FOREVER) == 0 ? r : -1;
}

int main_coroutine(void *)
{
    leat_handle *h = nullptr;
    leat_group g;
    std::atomic<long> sum{0};
    std::string text = "text";

    CHECK(leat_go_join(&h, value_of, counted(30), text) == 0 && joined(h) == 34);
    CHECK(leat_go_join(
              &h, [c = counted(5)](std::string s) { return *c.value + static_cast<int>(s.size()); },
              "chars") == 0);
    CHECK(joined(h) == 10);

    page p{};
    p.c[899] = 7;
    CHECK(leat_go_join(&h, [p] { return p.c[899]; }) == 0 && joined(h) == 7);
    CHECK(leat_go_join(&h, [p, c = counted(1)] { return p.c[899] + *c.value; }) == 0 &&
          joined(h) == 8);

    leat_group_open(&g, 0);
    for (int i = 1; i <= 1000; i++)
        CHECK(leat_group_go(
                  &g, [&sum](int n, std::unique_ptr<int> q) { sum += n + *q; }, i,
                  std::make_unique<int>(1)) == 0);
    CHECK(leat_group_wait(&g, LEAT_FOREVER) == 0);
    CHECK(sum == 1000 * 1001 / 2 + 1000);

    /* one that a cancelled group refuses leaves nothing behind */
    leat_group_open(&g, 0);
    leat_group_cancel(&g);
    CHECK(leat_group_go(&g, value_of, counted(1), "x") == -ECANCELED);
    CHECK(leat_group_close(&g) == 0);

    /*
     * cancelled before their time: never called, and destroyed; some have room in the coroutine,
     * some do not
     */
    leat_attr later{};
    later.start = leat_after(3600 * LEAT_SEC);
    leat_group_open(&g, 0);
    CHECK(leat_group_go_attr(&g, &later, [c = counted(1)] {
              (void)c;
              std::abort();
          }) == 0);
    CHECK(leat_group_go_attr(&g, &later, [p, c = counted(1)] {
              (void)p, (void)c;
              std::abort();
          }) == 0);
    leat_group_cancel(&g);
    CHECK(leat_group_close(&g) == 0);
    CHECK(alive == 0);

    /* single-flight: the arguments of whoever comes second are left to it */
    leat_flight f{};
    leat_result r = 0;
    CHECK(leat_flight_do(&f, "key", 3, &r, LEAT_FOREVER, value_of, counted(30), text) == 0 &&
          r == 34);
    leat_event go_on{};
    CHECK(leat_flight_do(&f, "key", 3, &r, LEAT_AT_ONCE, [c = counted(5), &go_on] {
              return leat_event_wait(&go_on, LEAT_FOREVER) + *c.value;
          }) == -ETIMEDOUT);
    leat_event_set(&go_on);
    CHECK(leat_flight_do(&f, "key", 3, &r, LEAT_FOREVER, [c = counted(6)] { return *c.value; }) ==
              0 &&
          (r == 5 || r == 6));
    CHECK(leat_flight_wait(&f, LEAT_FOREVER) == 0 && alive == 0);

    /* left to the end of the run: cancelled there, but not cut short */
    CHECK(go([c = counted(2)] {
              while (leat_sleep(LEAT_SEC) == 0) {
              }
          }) == 0);
    return 5;
}

} // namespace

int main()
{
    leat_config config{};

    config.shutdown_grace_ms = 20000; /* a busy machine */
    CHECK(go(value_of, counted(1), "x") == -ESHUTDOWN);
    CHECK(leat_run_with(&config, main_coroutine, nullptr) == 5);
    CHECK(alive == 0);
    std::printf("%s\n", failed ? "failed" : "passed");
    return failed != 0;
}
