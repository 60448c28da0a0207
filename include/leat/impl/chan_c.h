/*
 * leat/impl/chan_c.h - the typed forms of channels in C. Include <leat/chan.h>; nothing here is for
 * use by itself.
 *
 * Each is a statement expression: the user's value or pointer initialises a variable of the type
 * that the channel's says, with the warnings that no sane program means made errors (go_c.h), and
 * the runtime gets its address and size.
 */
#ifndef LEAT_IMPL_CHAN_C_H
#define LEAT_IMPL_CHAN_C_H

#ifndef __cplusplus

#include <leat/impl/go_c.h>

#define LEAT_CHAN_PUT_(call, ch, value, ...)                                                       \
    __extension__({                                                                                \
        LEAT_DIAG_STRICT_                                                                          \
        const __typeof__(*(ch).elem_) leat_value_ = (value);                                       \
        LEAT_DIAG_END_                                                                             \
        call((ch).chan, &leat_value_, sizeof(leat_value_) __VA_ARGS__);                            \
    })

#define LEAT_CHAN_GET_(call, ch, out, ...)                                                         \
    __extension__({                                                                                \
        LEAT_DIAG_STRICT_                                                                          \
        __typeof__((ch).elem_) leat_out_ = (out);                                                  \
        LEAT_DIAG_END_                                                                             \
        call((ch).chan, leat_out_, sizeof(*(ch).elem_) __VA_ARGS__);                               \
    })

#define LEAT_COMMA_ ,

#define leat_chan_new(ch, capacity) leat_chan_make(&(ch)->chan, sizeof(*(ch)->elem_), (capacity))
#define leat_chan_put(ch, value, until)                                                            \
    LEAT_CHAN_PUT_(leat_chan_put_, ch, value, LEAT_COMMA_(until))
#define leat_chan_get(ch, out, until) LEAT_CHAN_GET_(leat_chan_get_, ch, out, LEAT_COMMA_(until))
#define leat_chan_put_try(ch, value) LEAT_CHAN_PUT_(leat_chan_put_try_, ch, value, )
#define leat_chan_get_try(ch, out) LEAT_CHAN_GET_(leat_chan_get_try_, ch, out, )

#endif
#endif
