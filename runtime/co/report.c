/*
 * Looks at coroutines, and words for them. See report.h. Async-signal-safe as far as snprintf of
 * integers and strings is: the overflow report comes from a signal handler.
 */
#include "co/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_WORDS (LEA_CO_NAME_BYTES / sizeof(lea_word))

static void name_get(const struct lea_co *co, uintptr_t wait, char name[LEA_CO_NAME_BYTES])
{
    const struct lea_extra *x =
        wait & LEA_WAIT_EXTRA ? (const struct lea_extra *)lea_word_load_acq(&co->extra_word) : NULL;
    uintptr_t word[NAME_WORDS] = {0};

    for (unsigned i = 0; x && i < NAME_WORDS; i++) /* x may be gone: its life has ended meanwhile */
        word[i] = lea_word_load_acq(&x->name[i]);
    memcpy(name, word, LEA_CO_NAME_BYTES);
}

static uint32_t bound_get(const struct lea_co *co, uintptr_t wait)
{
    const struct lea_extra *x =
        wait & LEA_WAIT_EXTRA ? (const struct lea_extra *)lea_word_load_acq(&co->extra_word) : NULL;

    return x ? lea_u32_load_acq(&x->bound_tid) : 0;
}

/* Of the wait itself, or of a scope that the coroutine is in: the earlier one. */
static int64_t deadline(const struct lea_co *co, uintptr_t wait)
{
    uintptr_t until = INT64_MAX;

    if (!(wait & LEA_WAIT_SHIELD))
        until = lea_word_load_acq(&co->scope_ns);
    if (lea_word_load_acq(&co->until_seq) == lea_wait_seq(wait) &&
        lea_word_load_acq(&co->until_ns) < until)
        until = lea_word_load_acq(&co->until_ns);
    return until < INT64_MAX ? (int64_t)until : INT64_MAX;
}

bool lea_co_look(const struct lea_co *co, struct lea_co_look *out)
{
    uintptr_t id = lea_word_load_acq(&co->id), wait;
    uint32_t state = lea_u32_load_acq(&co->state);

    out->id = id;
    out->site = (const struct leat_site_ *)lea_word_load_acq(&co->site);
    out->state = lea_state_of(state);
    out->reason = lea_state_reason(state);
    out->object = lea_word_load_acq(&co->object);
    wait = lea_word_load_acq(&co->wait);
    out->parked = (wait & LEA_WAIT_PARKED) != 0;
    out->until_ns = deadline(co, wait);
    name_get(co, wait, out->name);
    out->bound_tid = bound_get(co, wait);
    if (!id || !out->site || lea_word_load_acq(&co->id) != id)
        return false;
    out->main = out->site->line == 0;
    out->attached = out->site == &lea_co_attached_site;
    return true;
}

const char *lea_co_who(char *buf, size_t size, const struct lea_co_look *look)
{
    const char *quote = look->name[0] ? "\"" : "";

    if (look->main)
        snprintf(buf, size, "the main coroutine (coroutine %" PRIu64 "%s%s%s%s)", look->id,
                 look->name[0] ? " " : "", quote, look->name, quote);
    else if (look->attached)
        snprintf(buf, size, "thread %" PRIu32 "%s%s%s%s, attached (coroutine %" PRIu64 ")",
                 look->bound_tid, look->name[0] ? " " : "", quote, look->name, quote, look->id);
    else
        snprintf(buf, size, "coroutine %" PRIu64 "%s%s%s%s, spawned at %s:%u (%s)", look->id,
                 look->name[0] ? " " : "", quote, look->name, quote, look->site->file,
                 look->site->line, look->site->fn);
    return buf;
}

const char *lea_co_text(char *buf, size_t size, const struct lea_co_look *look)
{
    size_t n = strlen(lea_co_who(buf, size, look));
    bool waits = look->state == LEA_WAITING;

    snprintf(buf + n, size - n, ": %s%s%s",
             look->state == LEA_FREE ? "new" : lea_state_name(look->state), waits ? ", " : "",
             waits ? lea_reason_name(look->reason) : "");
    return buf;
}
