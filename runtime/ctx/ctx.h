/*
 * ctx.h - a context is a stack and the registers that a function call must preserve, saved on that
 * stack.
 *
 * Always:
 *  - A context that is not running is one address, `sp`, and the struct lea_ctx_frame there.
 *  - Everything that the ABI calls callee-saved belongs to the context: the integer registers, the
 *    control words of the floating-point units, d8-d15 on aarch64. The sticky exception flags of
 *    mxcsr travel with it.
 *  - lea_ctx_switch() is the assembly function itself, unless the build has a sanitizer: then it is
 *    a C function around it that says which stack comes next, and every context carries the notes
 *    below.
 *  - A context may be copied, and the copy used in its stead, while it runs; never while it is
 *    parked.
 *  - Memory is published to a context's next thread by whoever makes it findable, not here: a
 *    switch is no barrier.
 *
 * To walk a parked context in gdb: set the stack pointer to ctx->sp and the program counter to
 * lea_ctx_resume, then `bt`.
 *
 * Not marked for shadow stacks (SHSTK): a switch returns to an address that another stack's call
 * pushed.
 */
#ifndef LEA_CTX_CTX_H
#define LEA_CTX_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEA_CTX_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define LEA_CTX_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(LEA_CTX_ASAN)
#define LEA_CTX_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(LEA_CTX_TSAN)
#define LEA_CTX_TSAN 1
#endif
#if defined(LEAT_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#define LEA_CTX_VALGRIND 1
#endif
#endif
#if defined(LEA_CTX_ASAN) || defined(LEA_CTX_TSAN) || defined(LEA_CTX_VALGRIND)
#define LEA_CTX_NOTED 1
#endif

struct lea_ctx {
    /* the saved stack pointer; valid while the context is not running */
    void *sp;
#ifdef LEA_CTX_NOTED
    /* what lea_ctx_switch() hands over, until the resumed side has read it */
    void *arg;
    /* the context that was left for this one, until the resumed side has read it */
    struct lea_ctx *prev;
    void (*entry)(void *arg);
    /* bounds of the stack; of an adopted one, known after it was left once */
    const void *low;
    size_t bytes;
    void *fake;  /* ASan: fake stack while switched out */
    void *fiber; /* TSan: identity */
    /* TSan: the thread's signal mask, until the resumed side has given it back */
    uint64_t mask;
    unsigned valgrind_id;
    bool adopted;
    bool ended; /* left by lea_ctx_switch_last() */
#endif
};

/* What a switch leaves at ctx->sp - LEA_CTX_FRAME_BELOW. The assembly knows these offsets. */
#if defined(__x86_64__)

#define LEA_CTX_FRAME_BELOW 8 /* the control words lie in the red zone */

struct lea_ctx_frame {
    uint32_t mxcsr;
    uint16_t x87cw;
    uint16_t unused;
    void *r12, *r13, *r14, *r15, *rbx, *rbp;
    void *pc;
};

#elif defined(__aarch64__)

#define LEA_CTX_FRAME_BELOW 0

struct lea_ctx_frame {
    void *x29; /* frame pointer, and below the link register: a frame record */
    void *pc;  /* x30 */
    void *x19_x28[10];
    uint64_t d8_d15[8];
    uint64_t fpcr;
    uint64_t unused;
};

#else
#error "leat switches contexts on x86-64 and aarch64 only"
#endif

#pragma GCC visibility push(hidden)

/* Where the caller stands on whatever stack, roughly. */
static inline uintptr_t lea_ctx_stands_at(void)
{
    uintptr_t sp;

#if defined(__x86_64__)
    __asm__ __volatile__("movq %%rsp, %0" : "=r"(sp));
#else
    __asm__ __volatile__("mov %0, sp" : "=r"(sp));
#endif
    return sp;
}

/*
 * Assembly. Where a new context begins: calls the entry function with the argument of the first
 * switch, traps if it returns.
 */
void lea_ctx_start(void);
/*
 * One instruction in: a return address must lie behind a byte of its function, since unwinders look
 * up the byte before it.
 */
#define LEA_CTX_START ((void *)((uintptr_t)lea_ctx_start + 4))

/*
 * Writes the frame of a context that has not run yet: entry in a callee-saved register, a zero
 * frame pointer, which ends a walk by frame pointers, and the control words that the ABI gives a
 * new process. The other registers start with what the memory holds.
 */
static inline void lea_ctx_frame_make(struct lea_ctx *ctx, void *high, void (*entry)(void *arg))
{
    uintptr_t top = (uintptr_t)high & ~(uintptr_t)15;
    struct lea_ctx_frame *frame = (struct lea_ctx_frame *)top - 1;

#if defined(__x86_64__)
    frame->mxcsr = 0x1f80;
    frame->x87cw = 0x037f;
    frame->unused = 0;
    frame->rbx = (void *)(uintptr_t)entry;
    frame->rbp = NULL;
#else
    frame->x29 = NULL;
    frame->x19_x28[0] = (void *)(uintptr_t)entry;
    frame->fpcr = 0;
#endif
    frame->pc = LEA_CTX_START;
    ctx->sp = (char *)frame + LEA_CTX_FRAME_BELOW;
}

#ifndef LEA_CTX_NOTED

/*
 * Saves the caller's registers into *from and resumes *to. `arg` is what the resumed side gets: the
 * value of its own lea_ctx_switch(), or the parameter of its entry function. Returns when somebody
 * switches to *from, perhaps on another thread.
 */
void *lea_ctx_switch(struct lea_ctx *from, struct lea_ctx *to, void *arg);

/*
 * Prepares a context that runs entry(arg) on the stack [low, high), readable and writable
 * throughout, at its first switch. high need not be aligned. entry never returns. A context that
 * was made before is released first.
 */
static inline void lea_ctx_make(struct lea_ctx *ctx, void *low, void *high,
                                void (*entry)(void *arg))
{
    (void)low;
    lea_ctx_frame_make(ctx, high, entry);
}

/* As lea_ctx_switch(), and nobody ever switches to *from again. */
__attribute__((noreturn)) static inline void lea_ctx_switch_last(struct lea_ctx *from,
                                                                 struct lea_ctx *to, void *arg)
{
    lea_ctx_switch(from, to, arg);
    __builtin_trap();
}

/* The calling thread's own stack becomes *ctx: before it is switched from for the first time. */
static inline void lea_ctx_adopt(struct lea_ctx *ctx)
{
    (void)ctx;
}
/*
 * The context's stack goes away or is used for another one. Not while running on it, nor by an
 * adopted one's other thread.
 */
static inline void lea_ctx_release(struct lea_ctx *ctx)
{
    (void)ctx;
}
/*
 * The running context's function has ended and its stack begins another coroutine, without a
 * switch.
 */
static inline void lea_ctx_restart(struct lea_ctx *ctx)
{
    (void)ctx;
}

#else

/*
 * The same contract. In this build the assembly's name stands for the function that also tells the
 * tool (notes.c).
 */
#define lea_ctx_switch lea_ctx_switch_noted
void *lea_ctx_switch_noted(struct lea_ctx *from, struct lea_ctx *to, void *arg);
void lea_ctx_switch_last(struct lea_ctx *from, struct lea_ctx *to, void *arg)
    __attribute__((noreturn));
void lea_ctx_make(struct lea_ctx *ctx, void *low, void *high, void (*entry)(void *arg));
void lea_ctx_adopt(struct lea_ctx *ctx);
void lea_ctx_release(struct lea_ctx *ctx);
void lea_ctx_restart(struct lea_ctx *ctx);

#endif

#pragma GCC visibility pop

#endif
