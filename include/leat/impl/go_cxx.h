/*
 * leat/impl/go_cxx.h - how go(fn, args...) is made in C++17. Include <leat/go.h>; nothing here is
 * for use by itself.
 *
 * The macro hands fn and the arguments to go_at(), together with a lambda whose type is unique to
 * the place: so each place gets a static const site of its own. go_at() fills a box on the caller's
 * stack, and the runtime copies or moves it into the coroutine.
 *
 * Always:
 *  - Where the parameters of fn are known (a function, a lambda or object with one operator()), the
 *    arguments are converted to them by the caller, by ordinary parameter passing: a literal 0
 *    becomes a null pointer, braces and bit-fields work. Otherwise (generic lambdas, member
 *    functions, C variadics), and where a parameter is a reference to a class (converting would
 *    slice), decayed copies of the arguments are stored, as std::thread does.
 *  - A box that is trivially copyable is copied as bytes: move and drop of its site are NULL.
 *  - An exception that leaves fn, or a move constructor during the spawn, ends the program: there
 *    is no C++ frame above to catch it.
 */
#ifndef LEAT_IMPL_GO_CXX_H
#define LEAT_IMPL_GO_CXX_H

/* By hand, for macros whose strings in _Pragma must stay whole. */
/* clang-format off */

#ifdef __cplusplus
#if __cplusplus >= 201703L

#include <cstddef>
#include <leat/go.h>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace leat {
namespace impl_ {

/* ---- Places. */

struct place {
    const char *file;
    const char *text; /* fn and the arguments as written */
    unsigned line;
};

struct label {
    char text[64];
};

/*
 * The called expression: up to the first comma outside of brackets, or what fits. A string literal
 * in it ends it, too.
 */
constexpr label called(const char *text)
{
    label l{};
    int depth = 0;

    for (std::size_t i = 0; i + 1 < sizeof(l.text) && text[i] != '\0' && text[i] != '"'; i++) {
        depth += text[i] == '(' || text[i] == '[' || text[i] == '{';
        depth -= text[i] == ')' || text[i] == ']' || text[i] == '}';
        if (text[i] == ',' && depth == 0)
            break;
        l.text[i] = text[i];
    }
    return l;
}

struct by_go {
    int operator()(const leat_site_ *site, const void *args, std::size_t bytes) const
    {
        return leat_go_(site, args, bytes);
    }
};

struct by_spawn {
    const leat_attr *attr;
    leat_group *group;
    leat_handle **handle;
    bool complete;

    int operator()(const leat_site_ *site, const void *args, std::size_t bytes) const
    {
        return complete ? leat_spawn_(site, attr, group, handle, args, bytes) : -EINVAL;
    }
};

inline by_spawn with(const leat_attr *attr) { return by_spawn{attr, nullptr, nullptr, true}; }
inline by_spawn into(leat_group *group, const leat_attr *attr) { return by_spawn{attr, group, nullptr, group != nullptr}; }
inline by_spawn joined(leat_handle **handle, const leat_attr *attr) { return by_spawn{attr, nullptr, handle, handle != nullptr}; }

/* ---- What is kept for a parameter of type P, and how it is passed on. */

template <class P> struct kept { /* by value */
    using type = std::remove_cv_t<P>;
    static type &&pass(type &v) noexcept { return std::move(v); }
};

/*
 * Is it a std::reference_wrapper? Told by what it does: <functional> is large, and who says
 * std::ref() has it.
 */
template <class W, class = void> struct wraps : std::false_type {};
template <class W>
struct wraps<W, std::enable_if_t<std::is_same_v<decltype(std::declval<W &>().get()), typename W::type &>>> : std::true_type {};

/*
 * A reference to something that the coroutine does not own: only std::ref() says that one means it.
 */
template <class T> struct ref {
    T *to;
    template <class W, class = std::enable_if_t<wraps<W>::value && std::is_convertible_v<typename W::type &, T &>>>
    ref(W w) noexcept : to(&static_cast<T &>(w.get()))
    {
    }
};

template <class T> struct kept<T &> {
    using type = ref<T>;
    static T &pass(type &v) noexcept { return *v.to; }
};

template <class T> struct kept<const T &> {
    using type = std::remove_cv_t<T>;
    static const T &pass(type &v) noexcept
    {
        static_assert(!std::is_polymorphic_v<T>, "go: the copy may cut off a derived object; pass nullptr instead of 0");
        return v;
    }
};

template <class T> struct kept<T &&> {
    using type = std::remove_cv_t<T>;
    static type &&pass(type &v) noexcept { return std::move(v); }
};

template <class P> using kept_t = typename kept<P>::type;

/* ---- Parameters of a callable, where it has one signature. */

template <class... P> struct signature_of {
    static constexpr std::size_t count = sizeof...(P);
    /* Converting in the caller loses nothing: values, and references to scalars. */
    static constexpr bool strict = ((!std::is_reference_v<P> || std::is_scalar_v<std::remove_reference_t<P>>) && ...);
    /*
     * The second choice, where copies of the arguments do not fit (a literal 0 among them):
     * references to classes, too.
     */
    static constexpr bool loose =
        !strict && ((!std::is_reference_v<P> || std::is_scalar_v<std::remove_reference_t<P>> ||
                     std::is_class_v<std::remove_reference_t<P>>)&&...);
    template <std::size_t I> using nth = std::tuple_element_t<I, std::tuple<P...>>;
};

struct unknown {
    static constexpr std::size_t count = static_cast<std::size_t>(-1);
    static constexpr bool strict = false;
    static constexpr bool loose = false;
};

template <class M> struct member_signature : unknown {};
template <class C, class R, bool NE, class... P>
struct member_signature<R (C::*)(P...) noexcept(NE)> : signature_of<P...> {};
template <class C, class R, bool NE, class... P>
struct member_signature<R (C::*)(P...) const noexcept(NE)> : signature_of<P...> {};

template <class F, class = void> struct signature : unknown {};
template <class R, bool NE, class... P> struct signature<R (*)(P...) noexcept(NE), void> : signature_of<P...> {};
template <class F> struct signature<F, std::void_t<decltype(&F::operator())>> : member_signature<decltype(&F::operator())> {};

template <class F> using signature_t = signature<std::decay_t<F>>;
template <class F, std::size_t I> using nth_t = typename signature_t<F>::template nth<I>;
template <class F, std::size_t N> using strict_t = std::enable_if_t<signature_t<F>::count == N && signature_t<F>::strict, int>;
template <class F, std::size_t N> using loose_t = std::enable_if_t<signature_t<F>::count == N && signature_t<F>::loose, int>;

/* ---- The box: a callable and what is kept for its parameters. */

template <class R> leat_result result_of(R &&r)
{
    using T = std::remove_cv_t<std::remove_reference_t<R>>;
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>)
        return static_cast<leat_result>(r);
    else if constexpr (std::is_pointer_v<T>)
        return reinterpret_cast<leat_result>(r);
    else
        return static_cast<void>(r), 0;
}

/*
 * The object of a call through a pointer to a member of C: itself, behind std::ref(), or behind a
 * pointer of any sort.
 */
template <class C, class O> decltype(auto) object(O &&o)
{
    if constexpr (std::is_base_of_v<C, std::decay_t<O>>)
        return std::forward<O>(o);
    else if constexpr (wraps<std::decay_t<O>>::value)
        return o.get();
    else
        return *std::forward<O>(o);
}

template <class M, class C, class O, class... A> decltype(auto) invoke_member(M C::*m, O &&o, A &&...args)
{
    if constexpr (std::is_function_v<M>)
        return (object<C>(std::forward<O>(o)).*m)(std::forward<A>(args)...);
    else
        return object<C>(std::forward<O>(o)).*m;
}

/* std::invoke, for the same reason. */
template <class F, class... A> decltype(auto) invoke(F &&fn, A &&...args)
{
    if constexpr (std::is_member_pointer_v<std::decay_t<F>>)
        return invoke_member(fn, std::forward<A>(args)...);
    else
        return std::forward<F>(fn)(std::forward<A>(args)...);
}

template <std::size_t I, class T> struct leaf {
    T value;
};

template <class F, class Seq, class... P> struct box;

template <class F, std::size_t... I, class... P>
struct alignas(void *) box<F, std::index_sequence<I...>, P...> : leaf<I, kept_t<P>>... {
    F fn;

    leat_result call()
    {
        if constexpr (std::is_void_v<decltype(impl_::invoke(std::move(fn), kept<P>::pass(leaf<I, kept_t<P>>::value)...))>) {
            impl_::invoke(std::move(fn), kept<P>::pass(leaf<I, kept_t<P>>::value)...);
            return 0;
        } else {
            return result_of(impl_::invoke(std::move(fn), kept<P>::pass(leaf<I, kept_t<P>>::value)...));
        }
    }

    static leat_result run(void *args) noexcept
    {
        struct owner {
            box *b;
            ~owner() { b->~box(); }
        } o{static_cast<box *>(args)};
        return o.b->call();
    }

    static void move(void *dst, void *src) noexcept { ::new (dst) box(std::move(*static_cast<box *>(src))); }
    static void drop(void *args) noexcept { static_cast<box *>(args)->~box(); }
};

template <class F, class... P> using box_t = box<std::decay_t<F>, std::index_sequence_for<P...>, P...>;

/*
 * Can it be NULL? Pointers, and objects that may be empty (std::function); lambdas only convert to
 * something comparable.
 */
template <class F, class = void> struct nullable : std::bool_constant<std::is_pointer_v<F> || std::is_member_pointer_v<F>> {};
template <class F>
struct nullable<F, std::enable_if_t<std::is_class_v<F> && !std::is_convertible_v<const F &, bool>,
                                    std::void_t<decltype(std::declval<const F &>() == nullptr)>>> : std::true_type {};

template <class Place, class By, class Box> int spawn_box(Place where, By by, Box &&b)
{
    static_assert(sizeof(Box) <= LEAT_ARGS_MAX, "go: the arguments are too large, pass a pointer");
    static_assert(alignof(Box) <= 16, "go: an argument wants more than 16-byte alignment, pass a pointer");
    static constexpr label fn = called(where().text);
    static constexpr leat_site_ site = {&Box::run,
                                        std::is_trivially_copyable_v<Box> ? nullptr : &Box::move,
                                        std::is_trivially_destructible_v<Box> ? nullptr : &Box::drop,
                                        where().file,
                                        fn.text,
                                        where().line};

    if constexpr (nullable<decltype(b.fn)>::value) {
        if (b.fn == nullptr)
            return -EINVAL;
    }
    return by(&site, &b, sizeof(b));
}

/*
 * ---- From the call to the box. All are `first` but the one that needs a conversion where copies
 * of the arguments might do.
 */


struct second {};
struct first : second {};

/*
 * Known parameters: ordinary parameter passing converts the arguments. One function for each number
 * of them, for both sorts.
 */
#define LEAT_PARAM_(i) kept_t<nth_t<F, i>> a##i
#define LEAT_PARAMS_0
#define LEAT_PARAMS_1 , LEAT_PARAM_(0)
#define LEAT_PARAMS_2 LEAT_PARAMS_1, LEAT_PARAM_(1)
#define LEAT_PARAMS_3 LEAT_PARAMS_2, LEAT_PARAM_(2)
#define LEAT_PARAMS_4 LEAT_PARAMS_3, LEAT_PARAM_(3)
#define LEAT_PARAMS_5 LEAT_PARAMS_4, LEAT_PARAM_(4)
#define LEAT_PARAMS_6 LEAT_PARAMS_5, LEAT_PARAM_(5)
#define LEAT_PARAMS_7 LEAT_PARAMS_6, LEAT_PARAM_(6)
#define LEAT_PARAMS_8 LEAT_PARAMS_7, LEAT_PARAM_(7)
#define LEAT_TYPES_0
#define LEAT_TYPES_1 , nth_t<F, 0>
#define LEAT_TYPES_2 LEAT_TYPES_1, nth_t<F, 1>
#define LEAT_TYPES_3 LEAT_TYPES_2, nth_t<F, 2>
#define LEAT_TYPES_4 LEAT_TYPES_3, nth_t<F, 3>
#define LEAT_TYPES_5 LEAT_TYPES_4, nth_t<F, 4>
#define LEAT_TYPES_6 LEAT_TYPES_5, nth_t<F, 5>
#define LEAT_TYPES_7 LEAT_TYPES_6, nth_t<F, 6>
#define LEAT_TYPES_8 LEAT_TYPES_7, nth_t<F, 7>
#define LEAT_LEAF_(i) leaf<i, kept_t<nth_t<F, i>>>{std::move(a##i)},
#define LEAT_LEAVES_0
#define LEAT_LEAVES_1 LEAT_LEAVES_0 LEAT_LEAF_(0)
#define LEAT_LEAVES_2 LEAT_LEAVES_1 LEAT_LEAF_(1)
#define LEAT_LEAVES_3 LEAT_LEAVES_2 LEAT_LEAF_(2)
#define LEAT_LEAVES_4 LEAT_LEAVES_3 LEAT_LEAF_(3)
#define LEAT_LEAVES_5 LEAT_LEAVES_4 LEAT_LEAF_(4)
#define LEAT_LEAVES_6 LEAT_LEAVES_5 LEAT_LEAF_(5)
#define LEAT_LEAVES_7 LEAT_LEAVES_6 LEAT_LEAF_(6)
#define LEAT_LEAVES_8 LEAT_LEAVES_7 LEAT_LEAF_(7)
#define LEAT_KNOWN_(rank, sort, n)                                                                 \
    template <class Place, class By, class F, sort##_t<F, n> = 0>                                  \
    int go_at(rank, Place where, By by, F &&fn LEAT_PARAMS_##n)                                    \
    {                                                                                              \
        return spawn_box(where, by, box_t<F LEAT_TYPES_##n>{LEAT_LEAVES_##n std::forward<F>(fn)}); \
    }
#define LEAT_KNOWN_ALL_(rank, sort)                                                                \
    LEAT_KNOWN_(rank, sort, 0)                                                                     \
    LEAT_KNOWN_(rank, sort, 1)                                                                     \
    LEAT_KNOWN_(rank, sort, 2)                                                                     \
    LEAT_KNOWN_(rank, sort, 3)                                                                     \
    LEAT_KNOWN_(rank, sort, 4)                                                                     \
    LEAT_KNOWN_(rank, sort, 5)                                                                     \
    LEAT_KNOWN_(rank, sort, 6)                                                                     \
    LEAT_KNOWN_(rank, sort, 7)                                                                     \
    LEAT_KNOWN_(rank, sort, 8)

LEAT_KNOWN_ALL_(first, strict)
LEAT_KNOWN_ALL_(second, loose)

/* Decayed copies of the arguments, passed on as rvalues. */
template <std::size_t... I, class Place, class By, class F, class... A>
int go_copies(std::index_sequence<I...>, Place where, By by, F &&fn, A &&...args)
{
    using Box = box_t<F, std::decay_t<A> &&...>;
    return spawn_box(where, by, Box{leaf<I, std::decay_t<A>>{std::forward<A>(args)}..., std::forward<F>(fn)});
}

template <class F, class... A>
constexpr bool copies_fit = sizeof...(A) <= 8 && std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>;

template <class Place, class By, class F, class... A, std::enable_if_t<!signature_t<F>::strict && copies_fit<F, A...>, int> = 0>
int go_at(first, Place where, By by, F &&fn, A &&...args)
{
    return go_copies(std::index_sequence_for<A...>{}, where, by, std::forward<F>(fn), std::forward<A>(args)...);
}

template <class Place, class By, class F, class... A,
          std::enable_if_t<!signature_t<F>::strict && !signature_t<F>::loose && !copies_fit<F, A...>, int> = 0>
int go_at(first, Place, By, F &&, A &&...)
{
    static_assert(sizeof...(A) <= 8, "go: at most 8 arguments");
    static_assert(sizeof...(A) > 8 || std::is_void_v<Place>, "go: the function cannot be called with copies of these arguments");
    return -EINVAL;
}

} // namespace impl_
} // namespace leat

#define LEAT_GO_CXX_(by, ...)                                                                      \
    ::leat::impl_::go_at(::leat::impl_::first{}, [] { return ::leat::impl_::place{__FILE__, #__VA_ARGS__, __LINE__}; }, \
                         ::leat::impl_::by, __VA_ARGS__)

#define leat_go(...) LEAT_GO_CXX_(by_go{}, __VA_ARGS__)
#define leat_go_attr(attr, ...) LEAT_GO_CXX_(with(attr), __VA_ARGS__)
#define leat_group_go(group, ...) LEAT_GO_CXX_(into(group, nullptr), __VA_ARGS__)
#define leat_group_go_attr(group, attr, ...) LEAT_GO_CXX_(into(group, attr), __VA_ARGS__)
#define leat_go_join(handle, ...) LEAT_GO_CXX_(joined(handle, nullptr), __VA_ARGS__)
#define leat_go_join_attr(handle, attr, ...) LEAT_GO_CXX_(joined(handle, attr), __VA_ARGS__)

#else
#define leat_go(...) [] { static_assert(false, "go: leat needs C++17 for it"); return 0; }()
#define leat_go_attr(...) leat_go()
#define leat_group_go(...) leat_go()
#define leat_group_go_attr(...) leat_go()
#define leat_go_join(...) leat_go()
#define leat_go_join_attr(...) leat_go()
#endif
#endif /* __cplusplus */
#endif
