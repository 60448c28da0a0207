/*
 * tests/go/calls.c - what a call of go() may look like in C, and what it is worth: how many
 * arguments, the forms of fn, results, evaluation, sites and places. Against the runtime of fake.h,
 * compiled and run by matrix as args.c is.
 */
#include "same.h"

#include <assert.h>
#include <complex.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* ---- 0 to 8 arguments, and mixed ones that fill the box with holes. */

static void n0(void)
{
    see("0", 2);
}
static void n1(int a)
{
    SEE(a);
}
static void n2(int a, double b)
{
    SEE(a);
    SEE(b);
}
static void n3(char a, long b, float c)
{
    SEE(a);
    SEE(b);
    SEE(c);
}
static void n4(_Bool a, const char *b, short c, double d)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
}
static void n5(struct s3 a, long b, struct s1 c, v4 d, char e)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
    SEE(e);
}
static void n6(float a, float b, float c, float d, float e, float f)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
    SEE(e);
    SEE(f);
}
static void n7(int a, int b, int c, int d, int e, int f, int g)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
    SEE(e);
    SEE(f);
    SEE(g);
}
static void n8(long a, double b, char *c, int d, float e, struct s24 f, char g, long h)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
    SEE(e);
    SEE(f);
    SEE(g);
    SEE(h);
}
static void n8fn(int a, void (*b)(int), int c, char *d, int e, int f, int g, char *h)
{
    SEE(a);
    SEE(b);
    SEE(c);
    SEE(d);
    SEE(e);
    SEE(f);
    SEE(g);
    SEE(h);
}
#define TWO_OF_THEM 1, 2.5

static void counts(void)
{
    CHECK(go(n0) == 0);
    nr_seen = 0;
    (void)fake_run();
    CHECK(nr_seen == 2);
    SAME(n1, 1);
    SAME(n2, 1, 2);
    SAME(n2, TWO_OF_THEM);
    SAME(n3, 'a', 2, 3);
    SAME(n4, 1, "x", 3, 4);
    SAME(n5, ((struct s3){.c = {(char)make_s24('x').b}}), (long){make_s24(3).c},
         (struct s1){(char)make_s24('c').a}, ((v4){(int)make_s24(1).a, 2, 3, 4}), (char){'e'});
    SAME(n5, ((struct s3){"x"}), 2, ((struct s1){'c'}), ((v4){1, 2, 3, 4}), 'e');
    SAME(n6, 1, 2, 3, 4, 5, 6);
    SAME(n7, 1, 2, 3, 4, 5, 6, 7);
    SAME(n8, 1, 2, 0, 4, 5, make_s24(6), 7, 8);
    SAME(n8fn, 0, 0, 0, 0, 0, 0, 0, NULL);
}

/* ---- Forms of fn. */

static int add(int a, int b)
{
    SEE(a);
    SEE(b);
    return a + b;
}
static int sub(int a, int b)
{
    SEE(a);
    SEE(b);
    return a - b;
}
static inline int inlined(int a)
{
    SEE(a);
    return a;
}
static int (*choose(int minus))(int, int)
{
    return minus ? sub : add;
}
static int total(int n, ...)
{
    va_list list;
    int sum = 0;

    va_start(list, n);
    for (int i = 0; i < n; i++)
        sum += va_arg(list, int);
    va_end(list);
    SEE(sum);
    return sum;
}
static int mixed(const char *fmt, ...)
{
    va_list list;
    double d;
    char *p;
    long n;

    va_start(list, fmt);
    d = va_arg(list, double);
    p = va_arg(list, char *);
    n = va_arg(list, long);
    va_end(list);
    SEE(d);
    SEE(p);
    SEE(n);
    return 0;
}
struct ops {
    int (*op)(int, int);
    int (*table[2])(int, int);
};
__attribute__((warn_unused_result)) static int must_use(int a)
{
    SEE(a);
    return a;
}
__attribute__((nonnull)) static void not_null(char *a)
{
    SEE(a);
}
extern void missing(int) __attribute__((weak));

static void forms_of_fn(void)
{
    int (*fp)(int, int) = add;
    int (*const cfp)(int, int) = sub;
    struct ops ops = {add, {add, sub}}, *o = &ops;
    float f = 0.5f;
    char c = 'c';

    SAME(add, 1, 2);
    SAME(&add, 1, 2);
    SAME(*add, 1, 2);
    SAME((add), 1, 2);
    SAME(fp, 1, 2);
    SAME(*fp, 1, 2);
    SAME(cfp, 1, 2);
    SAME(o->op, 1, 2);
    SAME(o->table[1], 1, 2);
    SAME(choose(1), 1, 2);
    SAME((fp ? add : sub), 1, 2);
    SAME(((int (*)(int, int))choose(0)), 1, 2);
    SAME(inlined, 3);
    SAME(total, 3, 1, c, (short)7);
    SAME(total, 1, 0);
    SAME(mixed, "dpl", f, "p", 0L);
    SAME(mixed, "dpl", 2.5, NULL, 5L);
    CHECK(go(must_use, 4) == 0 && fake_run() == 4);
    SAME(not_null, &c);
}

static void null_fn(void)
{
    void (*none)(int) = NULL;
    int x = 1;
    leat_handle *h = NULL;
    unsigned before = fake_nr_spawns;

    CHECK(go(none, 1) == -EINVAL);
    CHECK(go(missing, 1) == -EINVAL);
    CHECK(go((void (*)(void))NULL) == -EINVAL);
    CHECK(leat_go_join(&h, none, x++) == -EINVAL);
    CHECK(x == 2 && h == NULL);
    CHECK(fake_nr_spawns == before);
}

/* ---- Results. */

static void t_int(int a)
{
    SEE(a);
}
static signed char r_char(void)
{
    return -5;
}
static unsigned r_uint(void)
{
    return 4000000000u;
}
static long r_long(void)
{
    return LONG_MIN;
}
static _Bool r_bool(void)
{
    return 1;
}
static enum colour r_enum(void)
{
    return BLUE;
}
static const char *r_ptr(void)
{
    return "r";
}
static float r_float(void)
{
    return 3.5f;
}
static double complex r_complex(void)
{
    return 3.5;
}
static struct s24 r_struct(void)
{
    return make_s24(1);
}
static union u8 r_union(void)
{
    return (union u8){.u = 5};
}
static void r_void(void)
{
}
static void (*r_fn(void))(int)
{
    return t_int;
}

#define RESULT(expr) (CHECK((expr) == 0), fake_run())

static void results(void)
{
    CHECK(RESULT(go(r_char)) == -5);
    CHECK(RESULT(go(r_uint)) == 4000000000);
    CHECK(RESULT(go(r_long)) == LONG_MIN);
    CHECK(RESULT(go(r_bool)) == 1);
    CHECK(RESULT(go(r_enum)) == BLUE);
    CHECK(RESULT(go(r_ptr)) == (leat_result)r_ptr());
    CHECK(RESULT(go(r_fn)) == (leat_result)r_fn());
    CHECK(RESULT(go(r_float)) == 0);
    CHECK(RESULT(go(r_complex)) == 0);
    CHECK(RESULT(go(r_struct)) == 0);
    CHECK(RESULT(go(r_union)) == 0);
    CHECK(RESULT(go(r_void)) == 0);
    CHECK(RESULT(go(add, -3, 1)) == -2);
}

/* ---- Evaluation: once, in the caller, and the value of that moment. */

static int nr_evaluated;
static int count(int x)
{
    nr_evaluated++;
    return x;
}
static void two(int a, int b)
{
    SEE(a);
    SEE(b);
}
static void (*count_fn(void))(int, int)
{
    nr_evaluated++;
    return two;
}
static leat_group *count_group(leat_group *g)
{
    nr_evaluated++;
    return g;
}

static void evaluation(void)
{
    int x = 10, i = 0, local = 1, *p = &local;
    leat_group group;
    leat_attr attr = {.name = "evaluated", .priority = LEAT_PRIO_LOW}, *ap = &attr;

    CHECK(go(count_fn(), count(x++), count(2)) == 0);
    CHECK(nr_evaluated == 3 && x == 11);
    x = 99;
    nr_seen = 0;
    (void)fake_run();
    CHECK(memcmp(seen, ((int[]){10, 2}), 2 * sizeof(int)) == 0);

    nr_evaluated = 0;
    CHECK(leat_group_go_attr(count_group(&group), ap++, two, count(1), *p++) == 0);
    CHECK(nr_evaluated == 2 && ap == &attr + 1 && p == &local + 1);
    local = 5;
    nr_seen = 0;
    (void)fake_run();
    CHECK(memcmp(seen, ((int[]){1, 1}), 2 * sizeof(int)) == 0);

    for (i = 0; i < 3; i++)
        go(t_int, i);
    nr_seen = 0;
    (void)fake_run();
    CHECK(memcmp(seen, ((int[]){0, 1, 2}), 3 * sizeof(int)) == 0);
}

/* ---- The other forms, and what the site says. */

static void sites(void)
{
    leat_group group;
    leat_handle *handle;
    const leat_attr attr = {.stack_bytes = 1 << 20};
    const struct leat_site_ *first = NULL;
    int line;

    CHECK(leat_go(add, 1, 2) == 0 && fake_last.plain);
    CHECK(leat_go_attr(&attr, add, 1, 2) == 0 && fake_last.attr == &attr && !fake_last.group &&
          !fake_last.handle);
    CHECK(leat_go_attr(NULL, n0) == 0 && !fake_last.attr && !fake_last.plain);
    CHECK(leat_group_go(&group, add, 1, 2) == 0 && fake_last.group == &group && !fake_last.attr &&
          !fake_last.handle);
    CHECK(leat_group_go_attr(&group, &attr, n0) == 0 && fake_last.group == &group &&
          fake_last.attr == &attr);
    CHECK(leat_go_join(&handle, n1, 0) == 0 && fake_last.handle == &handle && !fake_last.group &&
          !fake_last.attr);
    CHECK(leat_go_join_attr(&handle, &attr, n1, 0) == 0 && fake_last.handle == &handle &&
          fake_last.attr == &attr);
    CHECK(leat_go_attr((&(leat_attr){.name = "literal", .priority = LEAT_PRIO_HIGH}), n0) == 0);
    (void)fake_run();

    for (int i = 0; i < 2; i++) {
        line = __LINE__ + 1;
        CHECK(go(choose(i), i, 2) == 0);
        CHECK(first == NULL || first == fake_last.site);
        first = fake_last.site;
    }
    CHECK(strcmp(first->file, __FILE__) == 0 && first->line == (unsigned)line &&
          strcmp(first->fn, "choose(i)") == 0);
    CHECK(!first->move && !first->drop);
    (void)fake_run();

    fake_rc = -EAGAIN;
    CHECK(go(n0) == -EAGAIN);
    CHECK(leat_group_go(&group, n0) == -EAGAIN);
    fake_rc = 0;
}

/* ---- Places where a call can stand. */

static inline int from_inline(int n)
{
    return go(n1, n);
}
static int from_recursion(int n)
{
    return n == 0 ? go(n1, 0) : from_recursion(n - 1) + go(n1, n);
}
#define IN_A_MACRO(x) ((x) + 0)

static void places(void)
{
    int rc = go(n0), leat_box = 3, args = 4, fn = 5;
    unsigned before;

    if (rc)
        go(n1, 1);
    else
        go(n1, 2);
    for (int i = go(n0); i < 2; i++, go(n0))
        go(n1, i);
    while (go(n0) != 0)
        ;
    switch (go(n0)) {
    case 0:
        go(n2, leat_box, args + fn);
        break;
    }
    assert(go(n0) == 0);
    CHECK(IN_A_MACRO(go(n1, IN_A_MACRO(3))) == 0);
    CHECK(go(n0) == 0 && (rc ? go(n1, 1) : go(n1, 2)) == 0);
    (void)go(n0), (void)go(n0);
    before = fake_nr_spawns;
    go(n1, go(n1, go(n0)));
    CHECK(fake_nr_spawns == before + 3);
    go(n1, ({
           int a = 2;
           go(n1, a);
           a;
       }));
    CHECK(from_inline(3) == 0 && from_inline(4) == 0 && from_recursion(4) == 0);
    nr_seen = 0;
    (void)fake_run();
    CHECK(nr_seen > 0);
}

int main(void)
{
    counts();
    forms_of_fn();
    null_fn();
    results();
    evaluation();
    sites();
    places();
    return fake_report();
}
