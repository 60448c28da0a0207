/*
 * tests/go/args.c - what go() does with its arguments in C, kind by kind, against the runtime of
 * fake.h. Compiled and run by matrix with every compiler, level and standard; also a test of its
 * own that none of it warns.
 */
#include "same.h"

#include <complex.h>
#include <float.h>
#include <limits.h>
#include <string.h>

struct s8 {
    int a;
    float b;
};
struct s16 {
    double a;
    long b;
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

int main(void)
{
    integers();
    floats();
    pointers();
    aggregates();
    kinds_of_object();
    return fake_report();
}
