/*
 * leat/impl/select_cxx.h - the cases of typed channels in C++17. Include <leat/select.h>; nothing
 * here is for use by itself.
 */
#ifndef LEAT_IMPL_SELECT_CXX_H
#define LEAT_IMPL_SELECT_CXX_H

#ifdef __cplusplus
#if __cplusplus >= 201703L

template <class Chan> inline leat_case leat_case_get(Chan ch, leat::impl_::elem_t<Chan> *out)
{
    return leat_case_out_(ch.chan, out, sizeof(*out));
}

template <class Chan>
inline leat_case leat_case_put(Chan ch, const leat::impl_::elem_t<Chan> *value)
{
    return leat_case_from_(ch.chan, value, sizeof(*value));
}

#endif
#endif
#endif
