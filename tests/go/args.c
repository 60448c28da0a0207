/*
 * tests/go/args.c - what go() does with its arguments in C, against the runtime of fake.h. Compiled
 * and run by matrix with every compiler, level and standard; also a test of its own that none of it
 * warns.
 *
 * SAME(fn, args) is the heart: the coroutine must see what an ordinary call fn(args) sees.
 */
#include "fake.h"

#include <assert.h>
#include <complex.h>
#include <float.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* What the functions below have seen, as bytes: each writes its arguments here. */
static unsigned char seen[2048], expected[2048];
static size_t nr_seen;

static void see(const void *bytes, size_t n)
{
    memcpy(seen + nr_seen, bytes, n);
    nr_seen += n;
}
#define SEE(x) see(&(x), sizeof(x))

static size_t call_ended(void)
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

enum colour { RED, GREEN = 7, BLUE = -3 };
struct s1 {
    char c;
};
struct s3 {
    char c[3];
};
struct s8 {
    int a;
    float b;
};
struct s16 {
    double a;
    long b;
};
struct s24 {
    long a, b, c;
};
struct skb {
    char c[1000];
};
struct sconst {
    const int a;
};
struct snested {
    struct s8 a;
    union {
        int i;
        char *p;
    } u;
    int arr[3];
};
union u8 {
    double d;
    uint64_t u;
};
typedef float v4 __attribute__((vector_size(16)));
struct bits {
    unsigned a : 3;
    signed b : 5;
    long long c : 40;
    _Bool d : 1;
    unsigned e : 32;
};
typedef union {
    int *ip;
    const char *cp;
} either __attribute__((transparent_union));

#define TAKES(name, type)                                                                          \
    static void name(type a)                                                                       \
    {                                                                                              \
        SEE(a);                                                                                    \
    }
TAKES(t_bool, _Bool)
TAKES(t_char, char)
TAKES(t_schar, signed char)
TAKES(t_uchar, unsigned char)
TAKES(t_short, short)
TAKES(t_ushort, unsigned short)
TAKES(t_int, int)
TAKES(t_uint, unsigned)
TAKES(t_long, long)
TAKES(t_ulong, unsigned long)
TAKES(t_llong, long long)
TAKES(t_ullong, unsigned long long)
__extension__ TAKES(t_int128, __int128) TAKES(t_float, float) TAKES(t_double, double)
    TAKES(t_enum, enum colour) TAKES(t_ptr, void *) TAKES(t_charp, char *)
        TAKES(t_ccharp, const char *) TAKES(t_cvoidp, const void *) TAKES(t_intp, int *)
            TAKES(t_cintpp, const int *const *) TAKES(t_s1, struct s1) TAKES(t_s3, struct s3)
                TAKES(t_s8, struct s8) TAKES(t_s16, struct s16) TAKES(t_s24, struct s24)
                    TAKES(t_skb, struct skb) TAKES(t_sconst, struct sconst) TAKES(t_union, union u8)
                        TAKES(t_v4, v4) TAKES(t_cfloat, float complex)
                            TAKES(t_cdouble, double complex) TAKES(t_either, either)

                                static void t_ldouble(long double a)
{
    see(&a, LDBL_MANT_DIG == 64 ? 10 : sizeof(a)); /* x87: the rest is padding */
}
static void t_snested(struct snested a)
{
    SEE(a.a);
    SEE(a.u.i);
    SEE(a.arr);
}
static void t_fn(void (*a)(int))
{
    SEE(a);
}
static void t_fnfn(int (*(*a)(void))(double))
{
    SEE(a);
}
static void t_array(int a[3])
{
    see(a, 3 * sizeof(int));
    see(&a, sizeof(int *));
}
static void t_matrix(int (*a)[4])
{
    see(a[1], sizeof(a[1]));
}
static void t_rows(int n, int (*a)[n])
{
    see(a[n - 1], (size_t)n * sizeof(int));
}
static void t_text(const char *a)
{
    see(a, strlen(a) + 1);
    SEE(a);
}
static int (*gives_pointer(void))(double)
{
    return NULL;
}

static void integers(void)
{
    long n = -3;
    unsigned char small = 200;

    SAME(t_bool, 1);
    SAME(t_bool, 0);
    SAME(t_bool, 256);
    SAME(t_bool, &n);
    SAME(t_char, 'x');
    SAME(t_schar, SCHAR_MIN);
    SAME(t_uchar, small);
    SAME(t_uchar, UCHAR_MAX);
    SAME(t_short, SHRT_MIN);
    SAME(t_ushort, USHRT_MAX);
    SAME(t_int, INT_MIN);
    SAME(t_int, INT_MAX);
    SAME(t_uint, UINT_MAX);
    SAME(t_long, LONG_MIN);
    SAME(t_ulong, ULONG_MAX);
    SAME(t_llong, LLONG_MIN);
    SAME(t_ullong, ULLONG_MAX);
    SAME(t_int128, (long)-5);
    SAME(t_enum, GREEN);
    SAME(t_enum, BLUE);
    /* conversions, widening and narrowing, signed and unsigned */
    SAME(t_long, (int)n);
    SAME(t_int, n);
    SAME(t_ulong, (signed char)-1);
    SAME(t_char, (int)n);
    SAME(t_uint, -1);
    SAME(t_int, GREEN);
    SAME(t_int, (_Bool)1);
    SAME(t_int, 0);
    SAME(t_long, 0u);
    SAME(t_ullong, '\0');
    SAME(t_char, 0LL);
    SAME(t_enum, 7);
    SAME(t_enum, 0);
}

static void floats(void)
{
    double third = 1.0 / 3;
    float f = 0.1f;

    SAME(t_float, f);
    SAME(t_float, 1);
    SAME(t_float, third);
    SAME(t_double, third);
    SAME(t_double, f);
    SAME(t_double, 3);
    SAME(t_double, 0);
    SAME(t_double, -0.0);
    SAME(t_double, LONG_MAX);
    SAME(t_double, 'a');
    SAME(t_ldouble, 1.0L / 3);
    SAME(t_ldouble, f);
    SAME(t_ldouble, 7);
    SAME(t_int, 2.9);
    SAME(t_int, f);
    SAME(t_bool, 0.5);
    SAME(t_cfloat, 1.0f + 2.0f * I);
    SAME(t_cdouble, 1.0 + third * I);
    SAME(t_cdouble, 3);
    SAME(t_double, 1.0 + 2.0 * I);
    SAME(t_v4, ((v4){1, 2, 3, 4}));
}

static void pointers(void)
{
    int numbers[3] = {1, 2, 3}, matrix[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    int *p = numbers, n = 3;
    int vla[n], rows[n][n];
    const int *const *cpp = NULL;
    const char *text = "text";
    char buf[] = "buffer";
    static const char fixed[4] = "abc";

    memcpy(vla, numbers, sizeof(numbers));
    memset(rows, 3, sizeof(rows));
    SAME(t_ptr, p);
    SAME(t_ptr, &p);
    SAME(t_intp, p);
    SAME(t_intp, p + 1);
    SAME(t_intp, numbers);
    SAME(t_intp, &numbers[2]);
    SAME(t_cvoidp, numbers);
    SAME(t_cintpp, cpp);
    SAME(t_array, numbers);
    SAME(t_array, vla);
    SAME(t_matrix, matrix);
    SAME(t_rows, n, (void *)rows);
#ifndef __clang__
    SAME(t_rows, n, rows); /* clang: no structures with such fields */
#endif
    SAME(t_charp, buf);
    SAME(t_text, text);
    SAME(t_text, "literal");
    SAME(t_text, fixed);
    SAME(t_text, __func__);
    SAME(t_charp, NULL);
    SAME(t_charp, 0);
    SAME(t_charp, (void *)0);
    SAME(t_charp, 0L);
    SAME(t_charp, 1 - 1);
    SAME(t_charp, RED);
    SAME(t_charp, '\0');
    SAME(t_ccharp, buf);
    SAME(t_ccharp, 0);
    SAME(t_cvoidp, text);
    SAME(t_fn, t_int);
    SAME(t_fn, &t_int);
    SAME(t_fn, 0);
    SAME(t_fn, NULL);
    SAME(t_fnfn, gives_pointer);
    SAME(t_either, p);
    SAME(t_either, text);
}

static struct s24 make_s24(long a)
{
    return (struct s24){a, a + 1, a + 2};
}

static void aggregates(void)
{
    struct s1 s1 = {'q'};
    struct s3 s3 = {"ab"};
    const struct s8 s8 = {3, 0.5f};
    volatile struct s16 s16 = {2.5, -9};
    struct sconst sconst = {4};
    struct snested nested = {.a = {1, 2.0f}, .u.i = 7, .arr = {1, 2, 3}};
    union u8 u = {.d = 1.5};
    static struct skb kb;

    memset(kb.c, 'k', sizeof(kb.c));
    kb.c[999] = 'e';
    SAME(t_s1, s1);
    SAME(t_s3, s3);
    SAME(t_s8, s8);
    SAME(t_s16, s16);
    SAME(t_s24, make_s24(40));
    SAME(t_s24, ((struct s24){1, 2, 3}));
    SAME(t_s24, ((struct s24){nested.u.i, s8.a, nested.arr[2]})); /* values that are no constants */
    SAME(t_s24, (struct s24){.b = nested.u.i});
    SAME(t_s8, ((struct s8){make_s24(s8.a).b, nested.a.b}));
    SAME(t_skb, kb);
    CHECK(fake_last.bytes <= LEAT_ARGS_MAX);
    SAME(t_sconst, sconst);
    SAME(t_snested, nested);
    SAME(t_union, u);
}

static void kinds_of_object(void)
{
    struct bits b = {5, -9, -(1LL << 38), 1, 0xfffffffe}, *bp = &b;
    const int c = 3;
    volatile int v = 4;
    register int r = 5;
    _Atomic int a = 6;
    static int s = 7;
    static _Thread_local int t = 8;
    int arr[2] = {9, 10};
    int *restrict rp = arr;

    SAME(t_uint, b.a);
    SAME(t_int, b.b);
    SAME(t_llong, bp->c);
    SAME(t_int, bp->c);
    SAME(t_bool, b.d);
    SAME(t_ullong, b.e);
    SAME(t_int, c);
    SAME(t_int, v);
    SAME(t_int, r);
    SAME(t_int, a);
    SAME(t_int, s);
    SAME(t_int, t);
    SAME(t_intp, rp);
    SAME(t_int, arr[1]);
    SAME(t_int, c ? v : r);
    SAME(t_long, sizeof(b));
    SAME(t_int, ({
             int twice = 2 * c;
             twice;
         }));
    SAME(t_int, (v, 3));
}

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
    integers();
    floats();
    pointers();
    aggregates();
    kinds_of_object();
    counts();
    forms_of_fn();
    null_fn();
    results();
    evaluation();
    sites();
    places();
    return fake_report();
}
