/*
 * Walking a coroutine's stack: the walk sees the callers that there are, and ends where the context
 * began.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "ctx/ctx.h"
#include "support/test.h"

enum { STACK_BYTES = 256 * 1024, DEPTH = 5, FRAMES_MAX = 64 };

static struct {
    struct lea_ctx ctx, home;
    int nr_frames;
    int nr_descend;
    _Unwind_Reason_Code why;
    void *last_function;
    int nr_pointers;
    bool pointers_ended;
    /* not a parameter, for which a compiler would make a copy of the function */
    volatile unsigned depth;
} walk;

static void descend(void);

static _Unwind_Reason_Code see_frame(struct _Unwind_Context *frame, void *arg)
{
    void *function;

    (void)arg;
    if (!_Unwind_GetIP(frame))
        return _URC_NO_REASON; /* libgcc shows the end itself, too: not counted */
    function = _Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(frame) - 1));
    if (++walk.nr_frames > FRAMES_MAX)
        return _URC_NORMAL_STOP;
    walk.last_function = function;
    walk.nr_descend += function == (void *)(uintptr_t)descend;
    return _URC_NO_REASON;
}

/* By frame pointers, as a profiler does: each frame begins with the address of its caller's. */
__attribute__((noinline, no_sanitize("address"))) static void walk_pointers(void)
{
    void **frame = __builtin_frame_address(0);

    while (frame && walk.nr_pointers < FRAMES_MAX) {
        walk.nr_pointers++;
        frame = *frame;
    }
    walk.pointers_ended = !frame;
}

__attribute__((noinline)) static void descend(void)
{
    volatile char local[64];

    local[0] = 1;
    if (--walk.depth) {
        descend();
    } else {
        walk.why = _Unwind_Backtrace(see_frame, NULL);
        walk_pointers();
    }
    local[1] = local[0];
}

static void descend_walk_and_leave(void *arg)
{
    (void)arg;
    walk.depth = DEPTH;
    descend();
    lea_ctx_switch(&walk.ctx, &walk.home, NULL);
    walk.depth = DEPTH;
    descend();
    lea_ctx_switch_last(&walk.ctx, &walk.home, NULL);
}

static void check_walk(void)
{
    cr_expect(eq(int, walk.nr_descend, DEPTH));
    /* the stop is the end of the stack, not an error, and comes in the first function */
    cr_expect(eq(int, walk.why, _URC_END_OF_STACK));
    cr_expect(eq(ptr, walk.last_function, (void *)(uintptr_t)lea_ctx_start));
    cr_expect(le(int, walk.nr_frames, DEPTH + 4));
    cr_expect(walk.pointers_ended, "frame pointers lead on after %d frames", walk.nr_pointers);
    cr_expect(ge(int, walk.nr_pointers, DEPTH + 1));
}

/*
 * Goal: unwinders find every caller, and the end, before a coroutine's first switch and after it
 * came back from one.
 */
Test(ctx_unwind, ends_at_the_entry, .timeout = 10)
{
    char *stack = malloc(STACK_BYTES);

    /* nothing below the first frame looks like an end by chance */
    memset(stack, 0xa5, STACK_BYTES);
    lea_ctx_adopt(&walk.home);
    lea_ctx_make(&walk.ctx, stack, stack + STACK_BYTES, descend_walk_and_leave);
    for (unsigned i = 0; i < 2; i++) {
        walk.nr_frames = walk.nr_descend = walk.nr_pointers = 0;
        walk.last_function = NULL;
        lea_ctx_switch(&walk.home, &walk.ctx, NULL);
        check_walk();
    }
    lea_ctx_release(&walk.ctx);
    free(stack);
}

#ifndef LEA_CTX_NOTED /* the function around the switch would fault first */

static sigjmp_buf after_fault;

static void walk_and_jump(int sig)
{
    (void)sig;
    walk.why = _Unwind_Backtrace(see_frame, NULL);
    siglongjmp(after_fault, 1);
}

__attribute__((noinline)) static void switch_to_nowhere(struct lea_ctx *nowhere)
{
    walk.nr_frames = 0;
    if (!sigsetjmp(after_fault, 1))
        lea_ctx_switch(&walk.ctx, nowhere, NULL);
}

static void fault_and_leave(void *arg)
{
    switch_to_nowhere(arg);
    lea_ctx_switch_last(&walk.ctx, &walk.home, NULL);
}

/*
 * Goal: a walk gets through the switch itself. Method: it faults with all registers saved, as it
 * reads the next context.
 */
Test(ctx_unwind, passes_through_the_switch, .timeout = 10)
{
    struct sigaction act = {.sa_handler = walk_and_jump}, old;
    char *stack = malloc(STACK_BYTES);

    memset(stack, 0xa5, STACK_BYTES);
    lea_ctx_adopt(&walk.home);
    lea_ctx_make(&walk.ctx, stack, stack + STACK_BYTES, fault_and_leave);
    sigaction(SIGSEGV, &act, &old);
    lea_ctx_switch(&walk.home, &walk.ctx, NULL);
    sigaction(SIGSEGV, &old, NULL);
    cr_expect(eq(int, walk.why, _URC_END_OF_STACK));
    cr_expect(eq(ptr, walk.last_function, (void *)(uintptr_t)lea_ctx_start));
    /* the handler, the kernel's frame, the switch, its caller, the entry, the beginning */
    cr_expect(eq(int, walk.nr_frames, 6));
    lea_ctx_release(&walk.ctx);
    free(stack);
}

#endif
