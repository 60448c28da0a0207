/*
 * notes.c - tells sanitizers and valgrind which stack a thread is about to stand on. Empty in a
 * plain build.
 *
 * Always:
 *  - The resumed side finishes what the leaving side began, before it does anything else: a new
 *    context in notes_begin(), an old one behind its own switch. What it needs is in its own
 *    context (arg, prev), written by the leaving side on the same thread; prev is not parked for
 *    anybody else to see until the resumed side has gone on.
 *  - Nothing instrumented runs between __tsan_switch_to_fiber() and the switch. Calls and returns
 *    are counted per fiber, so the functions here need no further care: each is entered and left as
 *    the same fiber.
 *  - TSan sees one fiber for all coroutines that follow each other on one stack, and a switch
 *    orders both sides. That is what
 *    happens: they run one after the other on one thread. A new identity in lea_ctx_restart() would
 *    lose the count of the calls that are still open below it.
 *  - Signals under TSan: see os_tsan.h. The mask goes from the leaving to the resumed side, on one
 *    thread.
 *  - LSan does not know the stacks of parked contexts: each is a root region from make to release.
 *    (It does not search their fake stacks, which ASan uses with detect_stack_use_after_return=1:
 *    leaks found then may be none.)
 */
#include "ctx/ctx.h"

#ifdef LEA_CTX_NOTED

#ifdef LEA_CTX_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef LEA_CTX_TSAN
#include "base/os_tsan.h"

#include <sanitizer/tsan_interface.h>
#endif
#ifdef LEA_CTX_VALGRIND
#include <valgrind/memcheck.h>
#endif

#if defined(__clang__)
#define NOT_INSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define NOT_INSTRUMENTED __attribute__((no_sanitize_address, no_sanitize_thread, noinline))
#endif

/* The assembly function, whose plain name ctx.h has given to the function around it. */
void *notes_bare_switch(struct lea_ctx *from, struct lea_ctx *to,
                        void *arg) __asm__("lea_ctx_switch");

NOT_INSTRUMENTED static void notes_leave(struct lea_ctx *from, struct lea_ctx *to, void *arg)
{
#ifdef LEA_CTX_TSAN
    to->mask = lea_tsan_signals_block();
#endif
    to->arg = arg;
    to->prev = from;
#ifdef LEA_CTX_ASAN
    __sanitizer_start_switch_fiber(from->ended ? NULL : &from->fake, to->low, to->bytes);
#endif
#ifdef LEA_CTX_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

NOT_INSTRUMENTED static void notes_arrive(struct lea_ctx *self)
{
#ifdef LEA_CTX_ASAN
    struct lea_ctx *prev = self->prev;
    const void *low;
    size_t bytes;

    __sanitizer_finish_switch_fiber(self->fake, &low, &bytes);
    if (prev->adopted && !prev->low) {
        prev->low = low;
        prev->bytes = bytes;
    }
#endif
#ifdef LEA_CTX_TSAN
    lea_tsan_signals_restore(self->mask);
#endif
    self->prev = NULL;
}

NOT_INSTRUMENTED void *lea_ctx_switch_noted(struct lea_ctx *from, struct lea_ctx *to, void *arg)
{
    notes_leave(from, to, arg);
    notes_bare_switch(from, to, to);
    notes_arrive(from);
    return from->arg;
}

NOT_INSTRUMENTED void lea_ctx_switch_last(struct lea_ctx *from, struct lea_ctx *to, void *arg)
{
    from->ended = true;
    notes_leave(from, to, arg);
    notes_bare_switch(from, to, to);
    __builtin_trap();
}

/* First function of every context in this build. */
NOT_INSTRUMENTED static void notes_begin(void *arg)
{
    struct lea_ctx *self = arg;

    notes_arrive(self);
    self->entry(self->arg);
    __builtin_trap();
}

#ifdef LEA_CTX_TSAN
static void *fiber_make(void)
{
    uint64_t mask = lea_tsan_signals_block();
    void *fiber = __tsan_create_fiber(0);

    lea_tsan_signals_restore(mask);
    return fiber;
}

static void fiber_give_up(void *fiber)
{
    uint64_t mask = lea_tsan_signals_block();

    __tsan_destroy_fiber(fiber);
    lea_tsan_signals_restore(mask);
}
#endif

void lea_ctx_make(struct lea_ctx *ctx, void *low, void *high, void (*entry)(void *arg))
{
    *ctx =
        (struct lea_ctx){.entry = entry, .low = low, .bytes = (size_t)((char *)high - (char *)low)};
#ifdef LEA_CTX_ASAN
    __lsan_register_root_region(low, ctx->bytes);
#endif
#ifdef LEA_CTX_TSAN
    ctx->fiber = fiber_make();
#endif
#ifdef LEA_CTX_VALGRIND
    ctx->valgrind_id = (unsigned)VALGRIND_STACK_REGISTER(low, high);
#endif
    lea_ctx_frame_make(ctx, high, notes_begin);
}

void lea_ctx_adopt(struct lea_ctx *ctx)
{
    *ctx = (struct lea_ctx){.adopted = true};
#ifdef LEA_CTX_TSAN
    ctx->fiber = __tsan_get_current_fiber();
#endif
}

void lea_ctx_release(struct lea_ctx *ctx)
{
    if (ctx->adopted)
        return;
#ifdef LEA_CTX_ASAN
    __lsan_unregister_root_region(ctx->low, ctx->bytes);
    __asan_unpoison_memory_region(ctx->low, ctx->bytes);
#endif
#ifdef LEA_CTX_TSAN
    fiber_give_up(ctx->fiber);
    ctx->fiber = NULL;
#endif
#ifdef LEA_CTX_VALGRIND
    VALGRIND_STACK_DEREGISTER(ctx->valgrind_id);
    /*
     * what lay below the stack pointer counts as out of bounds until then, also for arguments that
     * are put there before the next first turn
     */
    (void)VALGRIND_MAKE_MEM_UNDEFINED(ctx->low, ctx->bytes);
#endif
}

void lea_ctx_restart(struct lea_ctx *ctx)
{
#ifdef LEA_CTX_ASAN
    const char *low = ctx->low;

    __asan_unpoison_memory_region(low, (size_t)((const char *)__builtin_frame_address(0) - low));
#endif
    (void)ctx;
}

#endif
