/*
 * The public clock. Units and ranges: include/leat/time.h.
 */
#include "base/os.h"

#include <leat/time.h>

int64_t leat_now(void)
{
    return lea_os_now_ns();
}

leat_deadline leat_after(int64_t span_ns)
{
    int64_t at;

    if (span_ns <= 0)
        return LEAT_AT_ONCE;
    if (__builtin_add_overflow(lea_os_now_ns(), span_ns, &at))
        return LEAT_FOREVER;
    return leat_at(at);
}
