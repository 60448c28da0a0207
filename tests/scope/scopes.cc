/*
 * Scopes, shields, groups and clean-up in C++: as objects that end with their block, by an
 * exception too, and with lambdas.
 */
#include <leat/leat.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace
{

std::atomic<int> wrong;

void check(bool ok, const char *text)
{
    if (!ok && wrong++ == 0)
        std::printf("not true: %s\n", text);
}
#define CHECK(cond) check(cond, #cond)

/* A scope that ends with its block. */
class scope
{
  public:
    explicit scope(leat_deadline until)
    {
        CHECK(leat_scope_open(&s, until) == 0);
    }
    ~scope()
    {
        why = leat_scope_close(&s);
    }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    void cancel(leat_result cause)
    {
        leat_scope_cancel(&s, cause);
    }
    static leat_result why; /* of the last one that ended */

  private:
    leat_scope s;
};
leat_result scope::why;

class shield
{
  public:
    shield()
    {
        leat_shield_begin(&s);
    }
    ~shield()
    {
        leat_shield_end(&s);
    }
    shield(const shield &) = delete;
    shield &operator=(const shield &) = delete;

  private:
    leat_shield s;
};

/* Waits in its destructor, shielded, while an exception passes. */
struct goodbye {
    bool *said;
    ~goodbye()
    {
        shield s;

        CHECK(leat_sleep(10 * LEAT_USEC) == 0);
        *said = true;
    }
};

void throws_out_of_a_cancelled_scope()
{
    bool said = false;

    try {
        scope s{LEAT_FOREVER};
        goodbye g{&said};

        s.cancel(-EPIPE);
        if (leat_sleep(LEAT_SEC) == -ECANCELED)
            throw std::to_string(leat_cause());
        CHECK(!"a wait in a cancelled scope");
    } catch (const std::string &cause) {
        CHECK(cause == std::to_string(-EPIPE));
    }
    CHECK(said);
    CHECK(scope::why == -EPIPE);
    CHECK(!leat_cancelled() && leat_sleep(0) == 0);
}

void deadline()
{
    {
        scope s{leat_after(LEAT_MSEC)};

        CHECK(leat_sleep_until(LEAT_FOREVER) == -ECANCELED);
        CHECK(leat_cause() == -ETIMEDOUT);
    }
    CHECK(scope::why == -ETIMEDOUT);
}

void group_of_lambdas()
{
    std::atomic<int> cancelled{0};
    auto text = std::make_unique<std::string>("moved along");
    leat_group g;

    leat_group_open(&g, 0);
    for (int i = 0; i < 8; i++)
        CHECK(leat_group_go(&g, [&cancelled] {
                  cancelled += leat_sleep_until(LEAT_FOREVER) == -ECANCELED;
                  return 0;
              }) == 0);
    CHECK(leat_group_go(
              &g, [text = std::move(text)] { return *text == "moved along" ? -EDOM : -EIO; }) == 0);
    CHECK(leat_group_wait(&g, LEAT_FOREVER) == -EDOM);
    CHECK(cancelled == 8);
}

int order; /* of what was deferred */

void deep(int depth)
{
    if (depth > 0)
        deep(depth - 1);
    else if (order == 0)
        leat_exit_self(42);
}

void clean_up()
{
    leat_handle *h = nullptr;
    leat_result r = 0;

    order = 0;
    CHECK(leat_go_join(&h, [] {
              CHECK(leat_defer([](void *) { CHECK(order++ == 1); }, nullptr) == 0);
              CHECK(leat_defer([](void *) { CHECK(leat_sleep(0) == 0 && order++ == 0); },
                               nullptr) == 0);
              deep(5);
          }) == 0);
    CHECK(leat_join(h, &r, LEAT_FOREVER) == 0);
    CHECK(r == 42 && order == 2);
}

void readers_and_a_writer()
{
    static leat_rwmutex rw;
    int value = 0;
    leat_group g;

    leat_group_open(&g, 0);
    for (int i = 0; i < 16; i++)
        CHECK(leat_group_go(&g, [i, &value] {
                  if (i % 4 == 0) {
                      leat_rwmutex_lock(&rw);
                      value++;
                      leat_rwmutex_unlock(&rw);
                  } else {
                      leat_rwmutex_rlock(&rw);
                      CHECK(value >= 0 && value <= 4);
                      leat_yield();
                      leat_rwmutex_runlock(&rw);
                  }
                  return 0;
              }) == 0);
    CHECK(leat_group_wait(&g, LEAT_FOREVER) == 0);
    CHECK(value == 4);
    leat_rwmutex_destroy(&rw);
}

int main_co(void *)
{
    for (int i = 0; i < 20; i++) {
        throws_out_of_a_cancelled_scope();
        deadline();
        group_of_lambdas();
        clean_up();
        readers_and_a_writer();
    }
    return wrong;
}

} // namespace

int main()
{
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        leat_config config = {};

        config.procs = procs;
        if (leat_run_with(&config, main_co, nullptr) != 0)
            return 1;
    }
    return 0;
}
