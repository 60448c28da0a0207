/*
 * What a switch keeps, hands over and begins. The test's own thread is one context, `home`; the
 * others run on stacks from malloc or mmap. A coroutine here reports into its struct and never
 * asserts.
 */
#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx/ctx.h"
#include "registers.h"
#include "support/test.h"

#ifdef LEA_CTX_ASAN
#include <sanitizer/lsan_interface.h>
#endif

enum { STACK_BYTES = 64 * 1024 };

struct side {
    struct lea_ctx ctx;
    struct lea_ctx home;
    char *low;
    size_t bytes;
    uintptr_t n;
    uintptr_t seen;
    double quotient;
};

static void side_make(struct side *s, size_t bytes, void (*entry)(void *arg))
{
    memset(s, 0, sizeof(*s));
    s->bytes = bytes;
    s->low = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    cr_assert(ne(ptr, s->low, MAP_FAILED));
    lea_ctx_adopt(&s->home);
    lea_ctx_make(&s->ctx, s->low, s->low + bytes, entry);
}

static void side_destroy(struct side *s)
{
    lea_ctx_release(&s->ctx);
    munmap(s->low, s->bytes);
}

static void *side_enter(struct side *s, void *arg)
{
    return lea_ctx_switch(&s->home, &s->ctx, arg);
}

/*
 * ---- the argument
 * ------------------------------------------------------------------------------------------------------
 */

static void add_one_for_ever(void *arg)
{
    struct side *s = arg;
    uintptr_t *value = NULL;

    for (;;) {
        if (value)
            ++*value;
        value = lea_ctx_switch(&s->ctx, &s->home, value);
    }
}

/*
 * Goal: what one side gives is what the other side gets, the first time and later, in both
 * directions.
 */
Test(ctx, argument_goes_both_ways, .timeout = 10)
{
    struct side s;
    uintptr_t value = 0;

    side_make(&s, STACK_BYTES, add_one_for_ever);
    cr_assert(eq(ptr, side_enter(&s, &s), NULL));
    for (unsigned i = 1; i <= 10000; i++) {
        if (side_enter(&s, &value) != &value || value != i)
            cr_fatal("turn %u: value %lu", i, (unsigned long)value);
    }
    side_destroy(&s);
}

/*
 * ---- alignment
 * ---------------------------------------------------------------------------------------------------------
 */

__attribute__((noinline)) static void note_alignment(void *arg)
{
    struct side *s = arg;
    _Alignas(16) volatile char local[16] = {0};

    s->seen = ((uintptr_t)local | (uintptr_t)__builtin_frame_address(0)) % 16;
    s->n = (uintptr_t)__builtin_frame_address(0); /* ASan may keep locals elsewhere */
    lea_ctx_switch_last(&s->ctx, &s->home, NULL);
}

/* Goal: an entry function finds the stack as after any call, whatever the end of the stack. */
Test(ctx, stack_is_aligned_at_entry, .timeout = 10)
{
    struct side s;

    for (size_t off = 0; off < 64; off++) {
        side_make(&s, STACK_BYTES, note_alignment);
        lea_ctx_release(&s.ctx);
        lea_ctx_make(&s.ctx, s.low, s.low + s.bytes - off, note_alignment);
        side_enter(&s, &s);
        cr_expect(eq(uptr, s.seen, 0), "end of stack %zu below a page", off);
        cr_expect(s.n >= (uintptr_t)s.low && s.n < (uintptr_t)(s.low + s.bytes - off));
        side_destroy(&s);
    }
}

/*
 * ---- registers
 * ---------------------------------------------------------------------------------------------------------
 */

static void keep_registers(void *arg)
{
    struct side *s = arg;

    for (;;)
        s->seen += test_registers_kept(&s->ctx, &s->home, 0xc0ffee00000000 + (s->n += 1000),
                                       lea_ctx_switch);
}

/*
 * Goal: each side finds its callee-saved registers as it left them. Method: both hold other values
 * in all of them.
 */
Test(ctx, callee_saved_registers_are_kept, .timeout = 10)
{
    struct side s;
    unsigned wrong = 0;

    side_make(&s, STACK_BYTES, keep_registers);
    side_enter(&s, &s);
    for (uint64_t i = 0; i < 100; i++)
        wrong += test_registers_kept(&s.home, &s.ctx, 0xdead0000000000 + 1000 * i, lea_ctx_switch);
    cr_expect(eq(uint, wrong, 0));
    cr_expect(eq(uptr, s.seen, 0));
    side_destroy(&s);
}

/* Compilers take rounding for a constant: only out of line is each call a division. */
__attribute__((noinline)) static double divide(double a, double b)
{
    __asm__ volatile("" : "+m"(a), "+m"(b));
    return a / b;
}

static unsigned x87_control(void)
{
#ifdef __x86_64__
    uint16_t word;

    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
#else
    return 0;
#endif
}

static void round_upwards(void *arg)
{
    struct side *s = arg;
    unsigned fresh = x87_control();

    s->seen = fegetround() == FE_TONEAREST;
#ifdef __x86_64__
    s->seen = s->seen && fresh == 0x037f;
#else
    (void)fresh;
#endif
    fesetround(FE_UPWARD);
    for (;;) {
        s->quotient = divide(1, 3);
        lea_ctx_switch(&s->ctx, &s->home, NULL);
        s->n += fegetround() != FE_UPWARD || s->quotient != divide(1, 3);
    }
}

/*
 * Goal: rounding is each context's own, begins as in a new process, and both units' control words
 * are kept.
 */
Test(ctx, floating_point_control_is_kept_per_context, .timeout = 10)
{
    struct side s;
    double down;
    unsigned x87;

    side_make(&s, STACK_BYTES, round_upwards);
    cr_assert(eq(int, fesetround(FE_DOWNWARD), 0));
    x87 = x87_control();
    down = divide(1, 3);
    for (unsigned i = 0; i < 10; i++) {
        side_enter(&s, &s);
        cr_expect(eq(int, fegetround(), FE_DOWNWARD));
        cr_expect(eq(uint, x87_control(), x87));
        cr_expect(divide(1, 3) == down);
    }
    fesetround(FE_TONEAREST);
    cr_expect(s.seen == 1, "a new context inherits its maker's rounding");
    cr_expect(eq(uptr, s.n, 0));
    cr_expect(gt(dbl, s.quotient, down));
    side_destroy(&s);
}

/*
 * ---- many, deep
 * --------------------------------------------------------------------------------------------------------
 */

struct ring {
    struct lea_ctx home;
    struct lea_ctx *ctx;
    unsigned nr;
    unsigned at; /* who runs */
    unsigned long turns;
};

static void ring_turn(void *arg)
{
    struct ring *r = arg;
    const unsigned me = r->at;

    for (unsigned round = 0; round < 3; round++) {
        struct lea_ctx *next = &r->home;

        if (r->at != me)
            abort();
        r->turns++;
        r->at = me + 1 < r->nr ? me + 1 : 0;
        if (r->at || round < 2)
            next = &r->ctx[r->at];
        lea_ctx_switch(&r->ctx[me], next, r);
    }
    abort();
}

/* Goal: ten thousand contexts pass a turn on, three times round. */
Test(ctx, ten_thousand_contexts, .timeout = 60)
{
    enum { NR = 10000, BYTES = 16 * 1024 };
    struct ring r = {.nr = NR, .ctx = calloc(NR, sizeof(struct lea_ctx))};
    char *stacks = mmap(NULL, (size_t)NR * BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
#ifdef LEA_CTX_TSAN
    r.nr = 1000; /* it knows at most some 8000 threads */
#endif

    cr_assert(ne(ptr, stacks, MAP_FAILED));
    lea_ctx_adopt(&r.home);
    for (unsigned i = 0; i < r.nr; i++)
        lea_ctx_make(&r.ctx[i], stacks + (size_t)i * BYTES, stacks + (size_t)(i + 1) * BYTES,
                     ring_turn);
    lea_ctx_switch(&r.home, &r.ctx[0], &r);
    cr_expect(eq(ulong, r.turns, 3ul * r.nr));
    for (unsigned i = 0; i < r.nr; i++)
        lea_ctx_release(&r.ctx[i]);
    munmap(stacks, (size_t)NR * BYTES);
    free(r.ctx);
}

__attribute__((noinline)) static uintptr_t descend(struct side *s, unsigned depth)
{
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile char local[512];
    uintptr_t sum;

    local[0] = (char)depth;
    if (here < (uintptr_t)s->low || here >= (uintptr_t)(s->low + s->bytes))
        s->n++;
    if (depth == 0)
        lea_ctx_switch(&s->ctx, &s->home, NULL);
    sum = depth ? depth + descend(s, depth - 1) : 0;
    return local[0] == (char)depth ? sum : 0;
}

static void descend_and_say(void *arg)
{
    struct side *s = arg;

    s->seen = descend(s, 2000);
    lea_ctx_switch_last(&s->ctx, &s->home, NULL);
}

/*
 * Goal: calls go as deep as the stack is large, stay inside it, and come back after a switch at the
 * bottom.
 */
Test(ctx, recursion_stays_on_its_own_stack, .timeout = 10)
{
    struct side s;

    side_make(&s, 4u << 20, descend_and_say);
    side_enter(&s, &s);
    cr_expect(eq(uptr, s.seen, 0));
    side_enter(&s, NULL);
    cr_expect(eq(uptr, s.seen, 2000ul * 2001 / 2));
    cr_expect(eq(uptr, s.n, 0));
    side_destroy(&s);
}

/*
 * ---- ends and beginnings
 * -----------------------------------------------------------------------------------------------
 */

__attribute__((noinline)) static void dirty_stack(void)
{
    volatile char local[4096];

    memset((char *)local, 0x5a, sizeof(local));
}

static void end_at_once(void *arg)
{
    struct side *s = arg;

    dirty_stack();
    s->n++;
    lea_ctx_switch_last(&s->ctx, &s->home, s);
}

/* Goal: a stack serves one context after the other. */
Test(ctx, stack_is_used_again_after_release, .timeout = 20)
{
    struct side s;

    side_make(&s, STACK_BYTES, end_at_once);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert(eq(ptr, side_enter(&s, &s), &s));
        lea_ctx_release(&s.ctx);
        lea_ctx_make(&s.ctx, s.low, s.low + s.bytes, end_at_once);
    }
    cr_expect(eq(uptr, s.n, 1000));
    side_destroy(&s);
}

static void one_after_the_other(void *arg)
{
    struct side *s = arg;

    for (;;) {
        dirty_stack();
        s->n++;
        if (s->n % 10 == 0)
            lea_ctx_switch(&s->ctx, &s->home, s);
        lea_ctx_restart(&s->ctx);
    }
}

/* Goal: a stack serves one coroutine after the other without a switch. */
Test(ctx, stack_goes_on_after_restart, .timeout = 20)
{
    struct side s;

    side_make(&s, STACK_BYTES, one_after_the_other);
    for (unsigned i = 0; i < 100; i++)
        side_enter(&s, &s);
    cr_expect(eq(uptr, s.n, 1000));
    side_destroy(&s);
}

#ifndef LEA_CTX_NOTED
static void return_from_entry(void *arg)
{
    (void)arg;
}

/* Goal: an entry function that returns ends the process there and then. */
#ifdef __x86_64__
Test(ctx, entry_must_not_return, .timeout = 10, .signal = SIGILL)
#else
Test(ctx, entry_must_not_return, .timeout = 10, .signal = SIGTRAP)
#endif
{
    struct side s;

    side_make(&s, STACK_BYTES, return_from_entry);
    side_enter(&s, &s);
}
#endif

/*
 * ---- threads
 * -----------------------------------------------------------------------------------------------------------
 */

struct baton {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned turns;
    unsigned plain; /* written by the coroutine alone, on whichever thread it is */
    unsigned on_other;
    pthread_t owner;
    struct lea_ctx ctx;
    struct lea_ctx *home;
};

/*
 * pthread_self() is declared constant, and is not one here. Out of line and opaque, it is asked
 * anew each time.
 */
__attribute__((noinline)) static bool thread_is(pthread_t thread)
{
    __asm__ volatile("");
    return pthread_equal(pthread_self(), thread);
}

static void count_where(void *arg)
{
    struct baton *b = arg;

    for (;;) {
        b->plain++;
        b->on_other += !thread_is(b->owner);
        lea_ctx_switch(&b->ctx, b->home, NULL);
    }
}

static void baton_run(struct baton *b, unsigned parity)
{
    struct lea_ctx home;

    lea_ctx_adopt(&home);
    for (unsigned i = 0; i < 100; i++) {
        pthread_mutex_lock(&b->lock);
        while (b->turns % 2 != parity)
            pthread_cond_wait(&b->moved, &b->lock);
        b->home = &home;
        lea_ctx_switch(&home, &b->ctx, b);
        b->turns++;
        pthread_cond_signal(&b->moved);
        pthread_mutex_unlock(&b->lock);
    }
    lea_ctx_release(&home);
}

static void *baton_thread(void *arg)
{
    baton_run(arg, 1);
    return NULL;
}

/*
 * Goal: a context left on one thread goes on on another. Method: two threads take turns to run one
 * context.
 */
Test(ctx, context_moves_between_threads, .timeout = 20)
{
    struct baton b = {.owner = pthread_self()};
    char *stack = malloc(STACK_BYTES);
    pthread_t other;

    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.moved, NULL);
    lea_ctx_make(&b.ctx, stack, stack + STACK_BYTES, count_where);
    cr_assert(eq(int, pthread_create(&other, NULL, baton_thread, &b), 0));
    baton_run(&b, 0);
    pthread_join(other, NULL);
    cr_expect(eq(uint, b.plain, 200));
    cr_expect(eq(uint, b.on_other, 100));
    lea_ctx_release(&b.ctx);
    free(stack);
}

#ifdef LEA_CTX_ASAN
__attribute__((noinline)) static void hold_memory(void *arg)
{
    struct side *s = arg;
    char *volatile memory = malloc(100);

    lea_ctx_switch(&s->ctx, &s->home, NULL);
    free(memory);
    lea_ctx_switch_last(&s->ctx, &s->home, NULL);
}

/* Goal: what only a parked context points to is no leak. */
Test(ctx, parked_stacks_are_searched_for_pointers, .timeout = 20)
{
    struct side s;

    side_make(&s, STACK_BYTES, hold_memory);
    side_enter(&s, &s);
    cr_expect(eq(int, __lsan_do_recoverable_leak_check(), 0));
    side_enter(&s, NULL);
    side_destroy(&s);
}
#endif
