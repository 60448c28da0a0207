/*
 * leat/impl/go_c.h - how go(fn, args...) is made in C. Include <leat/go.h>; nothing here is for use
 * by itself.
 *
 * One expansion holds, in a statement expression: a call fn(args) that is never made, for the
 * compiler to check the user's own tokens; a box of fn and the arguments, each of the type it has
 * after lvalue conversion; a function that makes the call out of a copy of the box; a static const
 * site that points to that function.
 *
 * Always:
 *  - Each argument is evaluated once, where the box is filled in. All its other copies are
 *    unevaluated or in dead code.
 *  - The call itself converts the box's fields to the parameters' types, as it would have converted
 *    the arguments. The one thing that a field cannot carry is "I am an integer constant 0, so I
 *    may become a null pointer": the call gets a literal 0 for it.
 *  - No executable stack. gcc makes a trampoline for a nested function whose address is taken in an
 *    expression (at -O0, and when it uses its parent's variables); a static initialiser takes the
 *    plain address. So the function must not use anything of its parent but types: gcc would not
 *    complain. clang: a block without captures, in a static initialiser, too; its address travels
 *    as the first word of the box.
 *  - Warnings follow the user's settings in the call that is never made, and are off in the rest,
 *    which has other tokens.
 */
#ifndef LEAT_IMPL_GO_C_H
#define LEAT_IMPL_GO_C_H

/* By hand, for macros whose strings in _Pragma must stay whole. */
/* clang-format off */

#include <leat/base.h>

#ifndef __cplusplus

/* ---- Diagnostics. STRICT: what an ordinary call only warns of, and no sane program means. */

#ifdef __clang__
#define LEAT_DIAG_STRICT_                                                                          \
    _Pragma("clang diagnostic push") _Pragma("clang diagnostic error \"-Wint-conversion\"")        \
    _Pragma("clang diagnostic error \"-Wincompatible-pointer-types\"")                             \
    _Pragma("clang diagnostic error \"-Wincompatible-pointer-types-discards-qualifiers\"")         \
    _Pragma("clang diagnostic error \"-Wincompatible-function-pointer-types\"")                    \
    _Pragma("clang diagnostic ignored \"-Wdeclaration-after-statement\"")                          \
    _Pragma("clang diagnostic ignored \"-Wunreachable-code\"")
#define LEAT_DIAG_QUIET_ _Pragma("clang diagnostic ignored \"-Weverything\"")
#define LEAT_DIAG_END_ _Pragma("clang diagnostic pop")
#else
#define LEAT_DIAG_STRICT_                                                                          \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic error \"-Wint-conversion\"")            \
    _Pragma("GCC diagnostic error \"-Wincompatible-pointer-types\"")                               \
    _Pragma("GCC diagnostic error \"-Wdiscarded-qualifiers\"")                                     \
    _Pragma("GCC diagnostic ignored \"-Wdeclaration-after-statement\"")                            \
    _Pragma("GCC diagnostic ignored \"-Wunused-result\"")
#define LEAT_DIAG_QUIET_                                                                           \
    _Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                                         \
    _Pragma("GCC diagnostic ignored \"-Wincompatible-pointer-types\"")                             \
    _Pragma("GCC diagnostic ignored \"-Wdiscarded-qualifiers\"") _Pragma("GCC diagnostic ignored \"-Wpointer-sign\"") \
    _Pragma("GCC diagnostic ignored \"-Wconversion\"") _Pragma("GCC diagnostic ignored \"-Wsign-conversion\"") \
    _Pragma("GCC diagnostic ignored \"-Wfloat-conversion\"") _Pragma("GCC diagnostic ignored \"-Wdouble-promotion\"") \
    _Pragma("GCC diagnostic ignored \"-Wenum-conversion\"") _Pragma("GCC diagnostic ignored \"-Wtraditional-conversion\"") \
    _Pragma("GCC diagnostic ignored \"-Wformat\"") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"") \
    _Pragma("GCC diagnostic ignored \"-Wformat-security\"") _Pragma("GCC diagnostic ignored \"-Wnonnull\"") \
    _Pragma("GCC diagnostic ignored \"-Wunused-value\"") _Pragma("GCC diagnostic ignored \"-Wshadow\"") \
    _Pragma("GCC diagnostic ignored \"-Wpadded\"") _Pragma("GCC diagnostic ignored \"-Wredundant-decls\"") \
    _Pragma("GCC diagnostic ignored \"-Wnested-externs\"") _Pragma("GCC diagnostic ignored \"-Waggregate-return\"") \
    _Pragma("GCC diagnostic ignored \"-Wc++-compat\"") _Pragma("GCC diagnostic ignored \"-Wcast-qual\"") \
    _Pragma("GCC diagnostic ignored \"-Wduplicated-branches\"")                                    \
    _Pragma("GCC diagnostic ignored \"-Wmissing-noreturn\"") _Pragma("GCC diagnostic ignored \"-Wsuggest-attribute=noreturn\"") \
    _Pragma("GCC diagnostic ignored \"-Wsuggest-attribute=pure\"") _Pragma("GCC diagnostic ignored \"-Wsuggest-attribute=const\"")
#define LEAT_DIAG_END_ _Pragma("GCC diagnostic pop")
#endif

/* ---- The parts of a box. */

/*
 * Type of an argument after lvalue conversion: no qualifiers; arrays and functions are pointers.
 * Typedefs, because inside of a struct or an enum clang takes a compound literal for one of file
 * scope, and wants its values constant.
 */
#define LEAT_TYPE_(i, a) typedef __typeof__(((void)0, (a))) leat_t##i##_;
#define LEAT_FIELD_(i) leat_t##i##_ leat_v##i##_;

/*
 * Is it of the compiler's type classes 1 to last? 1 to 4 are integers of all sorts, 5 pointers;
 * vectors are -1.
 */
#define LEAT_CLASS_(a, last) (__builtin_classify_type(a) >= 1 && __builtin_classify_type(a) <= (last))

/*
 * leat_z<i>_ has 2 bytes for an integer constant expression of value 0, else 1: as a void *, that
 * is a null pointer constant, and ?: has the type of its other side.
 */
#define LEAT_ZERO_(i, a)                                                                           \
    typedef char leat_z##i##_[_Generic(1 ? (void *)(long)__builtin_choose_expr(LEAT_CLASS_(a, 4), (a), 1) : (int *)0, \
                                       int *: 2,                                                   \
                                       default: 1)];
#define LEAT_IS_ZERO_(i) (sizeof(leat_z##i##_) == 2)

/*
 * The field, or a literal 0 of its type. The inner choice is there because a cast to a struct type
 * must not even be written.
 */
#define LEAT_PASS_(i)                                                                              \
    __builtin_choose_expr(LEAT_IS_ZERO_(i),                                                        \
                          (__typeof__(__builtin_choose_expr(LEAT_IS_ZERO_(i), leat_b_->leat_v##i##_, 0)))0, \
                          leat_b_->leat_v##i##_)

/*
 * Make a call, and return its value as leat_result: 0 when there is none, and for types other than
 * integers and pointers.
 */
#define LEAT_VOID_(call) __builtin_types_compatible_p(__typeof__(call), void)
#define LEAT_RETURN_(call)                                                                         \
    do {                                                                                           \
        __typeof__(__builtin_choose_expr(LEAT_VOID_(call), 0, call)) leat_r_ =                     \
            __builtin_choose_expr(LEAT_VOID_(call), ((call), 0), call);                            \
        (void)leat_r_;                                                                             \
        return (leat_result)__builtin_choose_expr(LEAT_CLASS_(leat_r_, 5), leat_r_, 0);            \
    } while (0)

#define LEAT_UNWRAP_(...) __VA_ARGS__

/*
 * ---- The function that makes the call. HEAD: the box's first field; FILL: its value; RUN: what
 * the site's run is.
 */

#ifdef __clang__
#define LEAT_BOX_HEAD_ leat_result (^leat_block_)(void *);
#define LEAT_BOX_FILL_ leat_thunk_,
#define LEAT_RUN_ leat_block_run_
#define LEAT_THUNK_DECL_
#define LEAT_THUNK_ static leat_result (^const leat_thunk_)(void *) = ^leat_result(void *leat_p_)
#define LEAT_THUNK_END_ ;
#else
#define LEAT_BOX_HEAD_
#define LEAT_BOX_FILL_
#define LEAT_RUN_ leat_thunk_
/* the address is a constant up to the definition only */
#define LEAT_THUNK_DECL_ auto leat_result leat_thunk_(void *);
#define LEAT_THUNK_ leat_result leat_thunk_(void *leat_p_)
#define LEAT_THUNK_END_
#endif

/*
 * The whole. n: number of arguments; how: declarations of what the spawn call needs beside the box,
 * in parentheses;
 * spawn: that call, an inline function that also looks whether fn is NULL (a test written out here
 * would warn for plain function names).
 */
#define LEAT_SPAWN_(n, how, spawn, fn, args)                                                       \
    __extension__({                                                                                \
        LEAT_DIAG_STRICT_                                                                          \
        if (0)                                                                                     \
            (void)(fn)args;                                                                        \
        LEAT_UNWRAP_ how LEAT_DIAG_QUIET_ typedef __typeof__(&*(fn)) leat_fn_t_;                   \
        LEAT_TYPES_##n##_ args typedef struct {                                                    \
            LEAT_BOX_HEAD_ leat_fn_t_ leat_fn_;                                                    \
            LEAT_FIELDS_##n##_                                                                     \
        } leat_box_t_;                                                                             \
        _Static_assert(sizeof(leat_box_t_) <= LEAT_ARGS_MAX, "go: the arguments are too large, pass a pointer"); \
        _Static_assert(_Alignof(leat_box_t_) <= 16, "go: an argument wants more than 16-byte alignment, pass a pointer"); \
        LEAT_ZEROS_##n##_ args LEAT_THUNK_DECL_                                                    \
        static const struct leat_site_ leat_site_ = {LEAT_RUN_, 0, 0, __FILE__, #fn, __LINE__};    \
        LEAT_THUNK_                                                                                \
        {                                                                                          \
            leat_box_t_ *leat_b_ = (leat_box_t_ *)leat_p_;                                         \
            LEAT_RETURN_(leat_b_->leat_fn_(LEAT_PASS_##n##_));                                     \
        }                                                                                          \
        LEAT_THUNK_END_                                                                            \
        leat_box_t_ leat_box_ = {LEAT_BOX_FILL_ fn, LEAT_UNWRAP_ args};                            \
        LEAT_DIAG_END_                                                                             \
        spawn; /* a call: the one kind of value that nobody minds being unused */                  \
    })

/*
 * ---- From the number of arguments to the lists. fn counts as the first, so that the list is never
 * empty.
 */

#define LEAT_PICK_(f, a, b, c, d, e, g, h, i, j, k, l, m, n, ...) n
#define LEAT_COUNT_(...) LEAT_PICK_(__VA_ARGS__, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)
#define LEAT_JOIN_(a, b, c) a##b##c
#define LEAT_GO_N_(n) LEAT_JOIN_(LEAT_GO_, n, _)

#define LEAT_TYPES_0_()
#define LEAT_TYPES_1_(a) LEAT_TYPE_(1, a)
#define LEAT_TYPES_2_(a, b) LEAT_TYPES_1_(a) LEAT_TYPE_(2, b)
#define LEAT_TYPES_3_(a, b, c) LEAT_TYPES_2_(a, b) LEAT_TYPE_(3, c)
#define LEAT_TYPES_4_(a, b, c, d) LEAT_TYPES_3_(a, b, c) LEAT_TYPE_(4, d)
#define LEAT_TYPES_5_(a, b, c, d, e) LEAT_TYPES_4_(a, b, c, d) LEAT_TYPE_(5, e)
#define LEAT_TYPES_6_(a, b, c, d, e, f) LEAT_TYPES_5_(a, b, c, d, e) LEAT_TYPE_(6, f)
#define LEAT_TYPES_7_(a, b, c, d, e, f, g) LEAT_TYPES_6_(a, b, c, d, e, f) LEAT_TYPE_(7, g)
#define LEAT_TYPES_8_(a, b, c, d, e, f, g, h) LEAT_TYPES_7_(a, b, c, d, e, f, g) LEAT_TYPE_(8, h)

#define LEAT_FIELDS_0_
#define LEAT_FIELDS_1_ LEAT_FIELD_(1)
#define LEAT_FIELDS_2_ LEAT_FIELDS_1_ LEAT_FIELD_(2)
#define LEAT_FIELDS_3_ LEAT_FIELDS_2_ LEAT_FIELD_(3)
#define LEAT_FIELDS_4_ LEAT_FIELDS_3_ LEAT_FIELD_(4)
#define LEAT_FIELDS_5_ LEAT_FIELDS_4_ LEAT_FIELD_(5)
#define LEAT_FIELDS_6_ LEAT_FIELDS_5_ LEAT_FIELD_(6)
#define LEAT_FIELDS_7_ LEAT_FIELDS_6_ LEAT_FIELD_(7)
#define LEAT_FIELDS_8_ LEAT_FIELDS_7_ LEAT_FIELD_(8)

#define LEAT_ZEROS_0_()
#define LEAT_ZEROS_1_(a) LEAT_ZERO_(1, a)
#define LEAT_ZEROS_2_(a, b) LEAT_ZEROS_1_(a) LEAT_ZERO_(2, b)
#define LEAT_ZEROS_3_(a, b, c) LEAT_ZEROS_2_(a, b) LEAT_ZERO_(3, c)
#define LEAT_ZEROS_4_(a, b, c, d) LEAT_ZEROS_3_(a, b, c) LEAT_ZERO_(4, d)
#define LEAT_ZEROS_5_(a, b, c, d, e) LEAT_ZEROS_4_(a, b, c, d) LEAT_ZERO_(5, e)
#define LEAT_ZEROS_6_(a, b, c, d, e, f) LEAT_ZEROS_5_(a, b, c, d, e) LEAT_ZERO_(6, f)
#define LEAT_ZEROS_7_(a, b, c, d, e, f, g) LEAT_ZEROS_6_(a, b, c, d, e, f) LEAT_ZERO_(7, g)
#define LEAT_ZEROS_8_(a, b, c, d, e, f, g, h) LEAT_ZEROS_7_(a, b, c, d, e, f, g) LEAT_ZERO_(8, h)

#define LEAT_PASS_0_
#define LEAT_PASS_1_ LEAT_PASS_(1)
#define LEAT_PASS_2_ LEAT_PASS_1_, LEAT_PASS_(2)
#define LEAT_PASS_3_ LEAT_PASS_2_, LEAT_PASS_(3)
#define LEAT_PASS_4_ LEAT_PASS_3_, LEAT_PASS_(4)
#define LEAT_PASS_5_ LEAT_PASS_4_, LEAT_PASS_(5)
#define LEAT_PASS_6_ LEAT_PASS_5_, LEAT_PASS_(6)
#define LEAT_PASS_7_ LEAT_PASS_6_, LEAT_PASS_(7)
#define LEAT_PASS_8_ LEAT_PASS_7_, LEAT_PASS_(8)

#define LEAT_GO_0_(how, spawn, fn) LEAT_SPAWN_(0, how, spawn, fn, ())
#define LEAT_GO_1_(how, spawn, fn, a) LEAT_SPAWN_(1, how, spawn, fn, (a))
#define LEAT_GO_2_(how, spawn, fn, a, b) LEAT_SPAWN_(2, how, spawn, fn, (a, b))
#define LEAT_GO_3_(how, spawn, fn, a, b, c) LEAT_SPAWN_(3, how, spawn, fn, (a, b, c))
#define LEAT_GO_4_(how, spawn, fn, a, b, c, d) LEAT_SPAWN_(4, how, spawn, fn, (a, b, c, d))
#define LEAT_GO_5_(how, spawn, fn, a, b, c, d, e) LEAT_SPAWN_(5, how, spawn, fn, (a, b, c, d, e))
#define LEAT_GO_6_(how, spawn, fn, a, b, c, d, e, f) LEAT_SPAWN_(6, how, spawn, fn, (a, b, c, d, e, f))
#define LEAT_GO_7_(how, spawn, fn, a, b, c, d, e, f, g) LEAT_SPAWN_(7, how, spawn, fn, (a, b, c, d, e, f, g))
#define LEAT_GO_8_(how, spawn, fn, a, b, c, d, e, f, g, h) LEAT_SPAWN_(8, how, spawn, fn, (a, b, c, d, e, f, g, h))
/* 9 stands for 9 to 12 */
#define LEAT_GO_9_(...)                                                                            \
    __extension__({                                                                                \
        _Static_assert(0, "go: at most 8 arguments");                                              \
        0;                                                                                         \
    })

/* ---- The public forms. */

#if defined(__clang__) && !defined(__BLOCKS__)
#define LEAT_GO_C_(how, spawn, ...)                                                                \
    __extension__({                                                                                \
        _Static_assert(0, "go: clang needs the option -fblocks for it in C (leat::leat and pkg-config's leat-blocks bring it)"); \
        0;                                                                                         \
    })
#else
#define LEAT_GO_C_(how, spawn, ...) LEAT_GO_N_(LEAT_COUNT_(__VA_ARGS__))(how, spawn, __VA_ARGS__)
#endif

#define LEAT_HOW_(attr, group, handle)                                                             \
    (const leat_attr *leat_attr_ = (attr); leat_group *leat_group_ = (group); leat_handle **leat_handle_ = (handle);)

#define LEAT_BY_GO_ leat_go_checked_(leat_box_.leat_fn_ != 0, &leat_site_, &leat_box_, sizeof(leat_box_))
/* target: what the form cannot do without beside fn */
#define LEAT_BY_SPAWN_(target)                                                                     \
    leat_spawn_checked_(leat_box_.leat_fn_ != 0 && (target), &leat_site_, leat_attr_, leat_group_, leat_handle_, &leat_box_, \
                        sizeof(leat_box_))

#define leat_go(...) LEAT_GO_C_((), LEAT_BY_GO_, __VA_ARGS__)
#define leat_go_attr(attr, ...) LEAT_GO_C_(LEAT_HOW_(attr, 0, 0), LEAT_BY_SPAWN_(1), __VA_ARGS__)
#define leat_group_go(group, ...) LEAT_GO_C_(LEAT_HOW_(0, group, 0), LEAT_BY_SPAWN_(leat_group_ != 0), __VA_ARGS__)
#define leat_group_go_attr(group, attr, ...) LEAT_GO_C_(LEAT_HOW_(attr, group, 0), LEAT_BY_SPAWN_(leat_group_ != 0), __VA_ARGS__)
#define leat_go_join(handle, ...) LEAT_GO_C_(LEAT_HOW_(0, 0, handle), LEAT_BY_SPAWN_(leat_handle_ != 0), __VA_ARGS__)
#define leat_go_join_attr(handle, attr, ...) LEAT_GO_C_(LEAT_HOW_(attr, 0, handle), LEAT_BY_SPAWN_(leat_handle_ != 0), __VA_ARGS__)

#endif /* !__cplusplus */
#endif
