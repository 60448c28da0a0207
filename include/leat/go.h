/*
 * leat/go.h - spawning coroutines: go(fn, args...) and its forms.
 *
 * All forms make a coroutine that runs fn(args...), and return 0 or a negative errno. They are
 * expressions, and may stand alone as a statement.
 *
 * fn:       a function name, a function pointer, or an expression that gives one. A variadic
 *           function works as in a call. In C++ also a lambda, a function object or a member
 *           function (then the object or a pointer to it is the first argument).
 * args:     0 to 8, of any type that fn accepts: integers, pointers, floating point, complex,
 *           structs, unions. Each is evaluated once, by the caller, in unspecified order, and
 *           converted as in the call fn(args...); the coroutine gets copies. What a pointer points
 *           to is not copied: it must live until the coroutine is done with it. The copies, with
 *           fn, take at most LEAT_ARGS_MAX bytes (in practice 1000 for the arguments), and no
 *           argument may ask for more than 16-byte alignment (pass a pointer). No heap is used for
 *           them. Parentheses around an argument that has a comma outside of others: braces, in C
 *           and in C++, and what stands between < and > in C++.
 *           C: cast a pointer to a variable-length array to void *. A compound literal may be
 *           passed, not its address: it ends with the spawn. C++: moved or copied as by
 *           std::thread; default arguments do not count. A reference parameter gets a copy of its
 *           own, except T &, which wants std::ref(). A wrong call (number of arguments,
 *           incompatible pointers, an integer for a pointer, a dropped const) is a compile error,
 *           also where an ordinary call would only draw a warning.
 * result:   for leat_join() and groups: an integer or pointer result of fn, converted to
 *           leat_result; else (void, floating point, struct) 0. A negative result is an error to
 *           fn's group.
 *
 * Context:  anywhere, plain threads included, while a run is under way. Never parks, except as the
 *           group form says.
 * Ordering: what the caller wrote before is visible to the coroutine.
 * Returns:  0 the coroutine will run, or has run already; -EAGAIN LEAT_MAX_COROUTINES are alive;
 *           -ENOMEM no memory for it or for its stack; -ESHUTDOWN no run is under way, or it is
 *           ending; -ECANCELED the group has been cancelled; -EINVAL fn, the group or the place for
 *           the handle is NULL, or a setting is out of range.
 *
 * C needs gcc, or clang with -fblocks (leat::leat and the pkg-config package leat-blocks bring it);
 * C++ needs C++17. No form ever needs an executable stack. It has to be inside a function (C).
 *
 * Define LEAT_NO_SHORT_NAMES before the include where the macro `go` is in the way (C++ members of
 * that name, say); leat_go() is the same.
 */
#ifndef LEAT_GO_H
#define LEAT_GO_H

#include <errno.h>
#include <leat/base.h>
#include <leat/scope.h>
#include <leat/time.h>

/*
 * Classes of attr.priority, served 16 : 4 : 1 by turns while all have work: low is slow, and never
 * starved. Each processor weighs those in its own queues: a low coroutine may run on one while high
 * ones wait at another, until that is stolen from.
 */
#define LEAT_PRIO_HIGH 1
#define LEAT_PRIO_NORMAL 0
#define LEAT_PRIO_LOW (-1)

/* Most bytes that fn and its arguments take together in one spawn. */
#define LEAT_ARGS_MAX 1024

/* Settings of one coroutine. A field that is 0 means "default". Read during the call only. */
typedef struct leat_attr {
    const char *name; /* for reports; at most 31 bytes are copied; default: none */
    /*
     * 16 KiB..1 GiB of address space for its stack, its guard of 16 KiB included; rounded up to a
     * power of two, at least 32 KiB; default: the run's stack_bytes (LEAT_STACK)
     */
    size_t stack_bytes;
    int priority; /* LEAT_PRIO_HIGH, LEAT_PRIO_NORMAL (default) or LEAT_PRIO_LOW */
    /*
     * when it begins (leat_after(), leat_at()); default: at once. Until then it takes no stack, and
     * where it is cancelled before it has begun it ends with -ECANCELED: fn is not called, the
     * arguments are destroyed. It is alive, and a member of its group, all the while
     */
    leat_deadline start;
} leat_attr;

/*
 * One place that spawns, made by the macros. The runtime copies the arguments as bytes, or moves
 * them with move, to a 16-byte aligned place; then either run is called there once, and destroys
 * them, or drop is, if the coroutine never starts. A call that returns an error has moved nothing,
 * or dropped it.
 */
struct leat_site_ {
    leat_result (*run)(void *args);
    /* NULL: plain bytes. The caller destroys what is left of src */
    void (*move)(void *dst, void *src);
    void (*drop)(void *args); /* NULL: nothing to destroy */
    const char *file;
    const char *fn; /* the called expression, as text */
    unsigned line;
};

LEAT_BEGIN_DECLS

/* The runtime's side of the macros. Not for use by hand. */
LEAT_API int leat_go_(const struct leat_site_ *site, const void *args, size_t bytes);
LEAT_API int leat_spawn_(const struct leat_site_ *site, const leat_attr *attr, leat_group *group,
                         leat_handle **handle, const void *args, size_t bytes) LEAT_MAY_PARK;
/*
 * run of every site that clang makes in C: args begins with the address of a block literal, which
 * is called with args.
 */
LEAT_API leat_result leat_block_run_(void *args);

/* Inline, so that the test goes away for the name of a function. */
static inline int leat_go_checked_(int callable, const struct leat_site_ *site, const void *args,
                                   size_t bytes)
{
    return callable ? leat_go_(site, args, bytes) : -EINVAL;
}

static inline int leat_spawn_checked_(int callable, const struct leat_site_ *site,
                                      const leat_attr *attr, leat_group *group,
                                      leat_handle **handle, const void *args, size_t bytes)
{
    return callable ? leat_spawn_(site, attr, group, handle, args, bytes) : -EINVAL;
}

LEAT_END_DECLS

#include <leat/impl/go_c.h>
#include <leat/impl/go_cxx.h>

/*
 * The forms below are macros; "fn, ..." is the function and its arguments, and what the head of
 * this file says holds for each.
 */

/**
 * go - run fn(args...) in a new coroutine of the run's root group. leat_go() is the same.
 *
 * Context: anywhere. Never parks. Returns: see above; neither -EINVAL for settings nor -ECANCELED.
 */
#ifndef LEAT_NO_SHORT_NAMES
#define go(...) leat_go(__VA_ARGS__)
#endif

/**
 * leat_go_attr(attr, fn, ...) - as go(), with settings
 * @attr: const leat_attr *; NULL for the defaults
 *
 * Context: anywhere. Never parks.
 *
 * leat_group_go(group, fn, ...) - run it as a member of a group
 * @group: leat_group *, open
 *
 * Context: anywhere. May park while the group is at its limit, and may come back on another thread
 * (a plain thread sleeps); without a limit it never parks.
 *
 * leat_group_go_attr(group, attr, fn, ...) - both
 *
 * leat_go_join(handle, fn, ...) - as go(), with a handle for leat_join()
 * @handle: leat_handle **; written before the coroutine starts, and only on 0. Give each handle to
 * leat_join() or leat_detach()
 *
 * Context: anywhere. Never parks.
 *
 * leat_go_join_attr(handle, attr, fn, ...) - both
 */

#endif
