/*
 * leat/impl/select_c.h - the cases of typed channels in C. Include <leat/select.h>; nothing here is
 * for use by itself.
 *
 * As in chan_c.h: the user's pointer initialises a variable of the type that the channel's says.
 */
#ifndef LEAT_IMPL_SELECT_C_H
#define LEAT_IMPL_SELECT_C_H

#ifndef __cplusplus

#include <leat/impl/go_c.h>

#define leat_case_get(ch, out)                                                                     \
    __extension__({                                                                                \
        LEAT_DIAG_STRICT_                                                                          \
        __typeof__((ch).elem_) leat_out_ = (out);                                                  \
        LEAT_DIAG_END_                                                                             \
        leat_case_out_((ch).chan, leat_out_, sizeof(*(ch).elem_));                                 \
    })

#define leat_case_put(ch, value)                                                                   \
    __extension__({                                                                                \
        LEAT_DIAG_STRICT_                                                                          \
        const __typeof__(*(ch).elem_) *leat_value_ = (value);                                      \
        LEAT_DIAG_END_                                                                             \
        leat_case_from_((ch).chan, leat_value_, sizeof(*(ch).elem_));                              \
    })

#endif
#endif
