/*
 * tests/go/args.cc - what go() does with its arguments in C++17, against the runtime of fake.h. Run
 * by matrix.
 */
#include "fake.h"

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

namespace
{

/* Counts its living copies, and says how it was made. */
struct counted {
    static int alive, copies, moves;
    int value;
    explicit counted(int v) : value(v)
    {
        alive++;
    }
    counted(const counted &o) : value(o.value)
    {
        alive++, copies++;
    }
    counted(counted &&o) noexcept : value(o.value)
    {
        alive++, moves++, o.value = -1;
    }
    counted &operator=(const counted &) = delete;
    ~counted()
    {
        alive--;
    }
};
int counted::alive, counted::copies, counted::moves;

double seen_double;
const void *seen_ptr;
std::string seen_text;

template <class R> leat_result result(R rc)
{
    CHECK(rc == 0);
    return fake_run();
}

/* ---- Functions with known parameters. */

int add(int a, int b)
{
    return a + b;
}
int add_noexcept(int a, long b) noexcept
{
    return a + static_cast<int>(b);
}
void nothing()
{
}
void take_double(double d)
{
    seen_double = d;
}
void take_ptr(const char *p)
{
    seen_ptr = p;
}
void take_fn(void (*f)(int), std::nullptr_t)
{
    seen_ptr = reinterpret_cast<const void *>(f);
}
int take_bits(unsigned a, bool b)
{
    return static_cast<int>(a) * 2 + b;
}
int take_text(std::string s)
{
    return static_cast<int>(s.size());
}
int take_text_ref(const std::string &s, const char *more)
{
    seen_text = s;
    seen_ptr = more;
    return static_cast<int>(s.size());
}
int take_owner(std::unique_ptr<int> p)
{
    return *p;
}
int take_rvalue(std::unique_ptr<int> &&p)
{
    return *std::unique_ptr<int>(std::move(p));
}
void take_int_ref(int &x)
{
    x++;
}
void take_text_lref(std::string &s)
{
    s += "!";
}
int take_const_int_ref(const int &x, const long &y)
{
    return x + static_cast<int>(y);
}
int take_counted(counted c)
{
    return c.value;
}
int take_counted_ref(const counted &c, int)
{
    return c.value;
}
int eight(int a, long b, double c, char d, const char *e, float f, std::string g, bool h)
{
    int sum = a + static_cast<int>(b) + static_cast<int>(c) + d + (e != nullptr);

    return sum + static_cast<int>(f) + static_cast<int>(g.size()) + h;
}
struct kb {
    char c[1000];
};
int take_kb(kb k)
{
    return k.c[999];
}

struct base {
    virtual ~base() = default;
    virtual int who() const
    {
        return 1;
    }
};
struct derived : base {
    int who() const override
    {
        return 2;
    }
};
int take_base(const base &b)
{
    return b.who();
}

void known()
{
    int x = 5;
    std::string text = "text";
    struct {
        unsigned a : 3;
        bool b : 1;
    } bits = {5, true};
    int (*fp)(int, int) = add;

    CHECK(result(go(add, 1, 2)) == 3);
    CHECK(result(go(&add, 1, 2)) == 3);
    CHECK(result(go(*fp, 1, 'a' - 'b')) == 0);
    CHECK(result(go(fp, 2.0f > 1, 2)) == 3);
    CHECK(result(go(add_noexcept, 1, 2)) == 3);
    CHECK(result(go(nothing)) == 0);
    CHECK(result(go(take_double, 3)) == 0 && seen_double == 3.0);
    seen_ptr = &x;
    CHECK(result(go(take_ptr, 0)) == 0 && seen_ptr == nullptr);
    seen_ptr = &x;
    CHECK(result(go(take_ptr, NULL)) == 0 && seen_ptr == nullptr);
    seen_ptr = &x;
    CHECK(result(go(take_fn, 0, nullptr)) == 0 && seen_ptr == nullptr);
    CHECK(result(go(take_bits, bits.a, bits.b)) == 11);
    CHECK(result(go(take_text, "abc")) == 3);
    CHECK(result(go(take_text, {})) == 0);
    CHECK(result(go(take_text, text)) == 4 && text == "text");
    CHECK(result(go(take_text, std::move(text))) == 4);
    text = "again";
    CHECK(result(go(take_text_ref, text, nullptr)) == 5 && seen_text == "again");
    CHECK(result(go(take_text_ref, "chars", 0)) == 5 && seen_ptr == nullptr);
    CHECK(result(go(take_owner, std::make_unique<int>(6))) == 6);
    CHECK(result(go(take_rvalue, std::make_unique<int>(7))) == 7);
    CHECK(result(go(take_int_ref, std::ref(x))) == 0 && x == 6);
    CHECK(result(go(take_text_lref, std::ref(text))) == 0 && text == "again!");
    CHECK(result(go(take_const_int_ref, x, 4)) == 10);
    CHECK(result(go(take_base, derived())) == 2);
    CHECK(result(go(eight, 1, 2, 3, '\4', "e", 6, "1234567", true)) == 25);
    kb k;
    memset(k.c, 9, sizeof(k.c));
    CHECK(result(go(take_kb, k)) == 9);
    CHECK(result(go(strlen, "four")) == 4);
    CHECK(result(go(snprintf, static_cast<char *>(nullptr), 0u, "%d", 1234)) == 4);
}

/* ---- Objects that can be called. */

struct functor {
    int base_value;
    int operator()(int a, const char *p) const
    {
        return base_value + a + (p == nullptr);
    }
};
struct overloaded {
    int operator()(int) const
    {
        return 1;
    }
    int operator()(const char *) const
    {
        return 2;
    }
};
struct only_rvalue {
    int operator()() &&
    {
        return 3;
    }
};
struct methods {
    int k;
    int plus(int a) const noexcept
    {
        return k + a;
    }
    void set(int a)
    {
        k = a;
    }
};

void objects()
{
    int x = 1, y = 2;
    auto owner = std::make_unique<int>(8);
    functor f{10};
    methods m{20};
    std::function<int(int)> fn = [](int a) { return a; };

    CHECK(result(go([] { return 4; })) == 4);
    CHECK(result(go([x, y](int a) { return x + y + a; }, 3)) == 6);
    CHECK(result(go([&x, &y] { return x = y; })) == 2 && x == 2);
    CHECK(result(go([=](char *p, void (*q)()) mutable { return x + y + (!p && !q); }, 0,
                    nullptr)) == 5);
    CHECK(result(go([](auto a, auto b) { return static_cast<int>(sizeof(a) + sizeof(b)); }, 1,
                    2.0)) == 12);
    CHECK(
        result(go([o = std::move(owner)](std::string s) { return *o + static_cast<int>(s.size()); },
                  "ab")) == 10);
    CHECK(result(go(f, 1, 0)) == 12);
    CHECK(result(go(functor{3}, 1, "x")) == 4);
    CHECK(result(go(overloaded(), 1)) == 1);
    CHECK(result(go(overloaded(), "1")) == 2);
    CHECK(result(go(only_rvalue())) == 3);
    CHECK(result(go(&methods::plus, &m, 2)) == 22);
    CHECK(result(go(&methods::plus, m, 3)) == 23);
    CHECK(result(go(&methods::set, &m, 5)) == 0 && m.k == 5);
    CHECK(result(go(&methods::set, std::ref(m), 6)) == 0 && m.k == 6);
    CHECK(result(go(fn, 7)) == 7);
    CHECK(result(go(std::move(fn), 8)) == 8);
}

/* ---- Life times: everything made is destroyed, once, whatever becomes of the spawn. */

void lifetimes()
{
    counted c(3);

    /* a parameter may live to the end of its full expression: look after that */
    leat_result r = result(go(take_counted, c));
    CHECK(r == 3 && counted::alive == 1 && counted::copies == 1 && c.value == 3);
    r = result(go(take_counted, counted(4)));
    CHECK(r == 4 && counted::alive == 1 && counted::copies == 1);
    r = result(go(take_counted_ref, c, 0));
    CHECK(r == 3 && counted::alive == 1 && counted::copies == 2);
    r = result(go([c](int) { return c.value; }, 1));
    CHECK(r == 3 && counted::alive == 1 && counted::copies == 3);
    CHECK(fake_last.site->move && fake_last.site->drop);

    r = go(take_counted, c);
    CHECK(r == 0 && counted::alive == 2);
    fake_drop();
    CHECK(counted::alive == 1);

    fake_rc = -EAGAIN;
    r = go(take_counted, c);
    CHECK(r == -EAGAIN && counted::alive == 1);
    r = go([c](auto) {}, c);
    CHECK(r == -EAGAIN && counted::alive == 1);
    fake_rc = 0;

    /* bytes are bytes */
    CHECK(go(add, 1, 2) == 0 && !fake_last.site->move && !fake_last.site->drop &&
          fake_last.bytes == 16);
    CHECK(go([&c] { return c.value; }) == 0 && !fake_last.site->move && fake_last.bytes == 8);
    CHECK(go(functor{1}, 2, nullptr) == 0 && !fake_last.site->move && fake_last.bytes % 8 == 0);
    fake_run();
}

/* ---- NULL, results, forms, places. */

enum class colour : signed char { red = -2 };

void rest()
{
    int (*none)(int) = nullptr;
    int (methods::*no_method)(int) const noexcept = nullptr;
    std::function<void()> empty;
    methods m{1};
    unsigned before = fake_nr_spawns;

    CHECK(go(none, 1) == -EINVAL && go(no_method, &m, 1) == -EINVAL && go(empty) == -EINVAL);
    CHECK(fake_nr_spawns == before);

    CHECK(result(go([] { return colour::red; })) == -2);
    CHECK(result(go([] { return true; })) == 1);
    CHECK(result(go([]() -> const void * { return &seen_ptr; })) ==
          reinterpret_cast<leat_result>(&seen_ptr));
    CHECK(result(go([] { return 2.5; })) == 0);
    CHECK(result(go([] { return std::string("x"); })) == 0);
    CHECK(result(go([] { return nullptr; })) == 0);

    leat_attr attr{};
    leat_group group;
    leat_handle *handle;
    CHECK(leat_go(nothing) == 0 && fake_last.plain);
    CHECK(leat_go_attr(&attr, nothing) == 0 && fake_last.attr == &attr && !fake_last.group &&
          !fake_last.handle);
    CHECK(leat_go_attr(nullptr, nothing) == 0 && !fake_last.attr && !fake_last.plain);
    CHECK(leat_group_go(&group, add, 1, 2) == 0 && fake_last.group == &group && !fake_last.attr);
    CHECK(leat_group_go_attr(&group, &attr, nothing) == 0 && fake_last.group == &group &&
          fake_last.attr == &attr);
    CHECK(leat_go_join(&handle, [&] { return group.word_[0]; }) == 0 &&
          fake_last.handle == &handle);
    CHECK(leat_go_join_attr(&handle, &attr, nothing) == 0 && fake_last.handle == &handle &&
          fake_last.attr == &attr);
    fake_drop();

    const leat_site_ *first = nullptr;
    unsigned line = 0;
    for (int i = 0; i < 2; i++) {
        line = __LINE__ + 1;
        CHECK(go(add, i, 2) == 0);
        CHECK(!first || first == fake_last.site);
        first = fake_last.site;
    }
    CHECK(!strcmp(first->file, __FILE__) && first->line == line && !strcmp(first->fn, "add"));
    CHECK(go(add, 0, 2) == 0 && first != fake_last.site);
    CHECK(go([&](int a, int b) { return a + b; }, 1, 2) == 0);
    CHECK(strncmp(fake_last.site->fn, "[&](int a, int b)", 17) == 0);
    go(nothing);
    if (before)
        go(nothing);
    else
        go(add, go(nothing), 1);
    fake_run();
}

template <class T> int in_a_template(T value)
{
    return go([](T v) { return static_cast<int>(sizeof(v)); }, value);
}

const int at_start = go(nothing);

} // namespace

int main()
{
    fake_run();
    CHECK(at_start == 0);
    known();
    objects();
    lifetimes();
    rest();
    CHECK(result(in_a_template('c')) == 1 && result(in_a_template(1.0)) == 8);
    return fake_report();
}
