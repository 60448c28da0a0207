/*
 * leat/impl/chan_cxx.h - the typed forms of channels in C++17. Include <leat/chan.h>; nothing here
 * is for use by itself.
 *
 * The value is converted by the caller, by ordinary parameter passing. Elements are copied as
 * bytes, from frame to frame.
 */
#ifndef LEAT_IMPL_CHAN_CXX_H
#define LEAT_IMPL_CHAN_CXX_H

#ifdef __cplusplus
#if __cplusplus >= 201703L

#include <type_traits>

namespace leat
{
namespace impl_
{

template <class Chan> struct elem_of {
    using type = std::remove_pointer_t<decltype(Chan::elem_)>;
    static_assert(std::is_trivially_copyable_v<type>,
                  "the elements of a channel are copied as bytes");
};

template <class Chan> using elem_t = typename elem_of<Chan>::type;

} // namespace impl_
} // namespace leat

template <class Chan> LEAT_MUST_CHECK inline int leat_chan_new(Chan *ch, std::size_t capacity)
{
    return leat_chan_make(&ch->chan, sizeof(leat::impl_::elem_t<Chan>), capacity);
}

template <class Chan>
LEAT_MUST_CHECK inline int leat_chan_put(Chan ch, const leat::impl_::elem_t<Chan> &value,
                                         leat_deadline until)
{
    return leat_chan_put_(ch.chan, &value, sizeof(value), until);
}

template <class Chan>
LEAT_MUST_CHECK inline int leat_chan_get(Chan ch, leat::impl_::elem_t<Chan> *out,
                                         leat_deadline until)
{
    return leat_chan_get_(ch.chan, out, sizeof(*out), until);
}

template <class Chan>
LEAT_MUST_CHECK inline int leat_chan_put_try(Chan ch, const leat::impl_::elem_t<Chan> &value)
{
    return leat_chan_put_try_(ch.chan, &value, sizeof(value));
}

template <class Chan>
LEAT_MUST_CHECK inline int leat_chan_get_try(Chan ch, leat::impl_::elem_t<Chan> *out)
{
    return leat_chan_get_try_(ch.chan, out, sizeof(*out));
}

#endif
#endif
#endif
