/*
 * The life of a coroutine between its first and its last switch, and the worker's own loop. See
 * loop.h.
 *
 * Nobody who is switched to finds C++ exceptions of another coroutine on its thread (base/cxa.h):
 * whoever leaves within a catch block takes its own along, and whoever ends has none.
 *
 * A coroutine that ends hands its hot stack to the next one if that has not begun yet: no switch,
 * no stack to find.
 */
#include "sched/loop.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/bound.h"
#include "sched/extra.h"
#include "sched/run.h"
#include "sched/spawn.h"
#include "sched/wrong.h"

#include <errno.h>

#define BIND_RETRY_NS 1000000
/* turns ahead: the one needs what the other fetches, and a turn that ends takes 0.2 µs */
#define SOON_CO 6u
#define SOON_FRAMES 2u

__attribute__((noinline)) static struct lea_worker *land(struct lea_worker *m)
{
    lea_loop_land(m);
    return m;
}

__attribute__((noinline)) static struct lea_worker *switch_traced(struct lea_worker *m,
                                                                  struct lea_co *self,
                                                                  struct lea_co *g)
{
    lea_trace_put(m->proc->trace, LEA_EVENT_RUN, lea_co_id(g), 0);
    return land(lea_ctx_switch(&self->ctx, &g->ctx, m));
}

/*
 * From within a catch block, or while the stack is unwound: the exceptions go along. Rare. Calls
 * the switch again, once, since nothing is in hand then.
 */
__attribute__((noinline)) static struct lea_worker *switch_handling(struct lea_worker *m,
                                                                    struct lea_co *self,
                                                                    struct lea_co *g)
{
    struct lea_cxa mine = lea_cxa_take(m->cxa);

    m = lea_loop_switch(m, self, g);
    lea_cxa_put(m->cxa, mine);
    return m;
}

/*
 * It stands where its registers must not be saved: the owner of that stack would be lost, or both.
 */
__attribute__((noinline, cold, noreturn)) static void stands_elsewhere(struct lea_worker *m,
                                                                       struct lea_co *self)
{
    m->co = self;
    lea_wrong("a call that may park",
              "it does not stand on its own stack: did it longjmp to another coroutine's?");
}

/*
 * One that keeps to its thread, which holds its stack (bound.h), leaves for the worker's own, or
 * stays where it is if that thread is the program's; or one that stands elsewhere.
 */
__attribute__((noinline)) static struct lea_worker *switch_bound(struct lea_worker *m,
                                                                 struct lea_co *self)
{
    bool busy = lea_cxa_busy(m->cxa);
    struct lea_cxa mine;

    if (m->attached)
        return lea_bound_wait(m);
    if (!self->bound ||
        (uintptr_t)m->bound_stack - lea_ctx_stands_at() >= lea_stack_class_bytes(self->stack_class))
        stands_elsewhere(m, self);
    if (busy)
        mine = lea_cxa_take(m->cxa);
    m->co = NULL;
    m = lea_ctx_switch(&self->ctx, &m->ctx, m);
    if (m->commit)
        m = land(m);
    if (busy)
        lea_cxa_put(m->cxa, mine);
    return m;
}

/*
 * Keeps nothing in registers over the switch, and makes its other calls last: so it needs no frame,
 * and a turn less memory.
 */
__attribute__((noinline)) struct lea_worker *lea_loop_switch(struct lea_worker *m,
                                                             struct lea_co *self, struct lea_co *g)
{
    struct lea_ctx *to = &m->ctx;

    if (LEA_UNLIKELY((uintptr_t)self->stack - lea_ctx_stands_at() >=
                     lea_stack_class_bytes(self->stack_class)))
        return switch_bound(m, self);
    if (LEA_UNLIKELY(lea_cxa_busy(m->cxa)))
        return switch_handling(m, self, g);
    if (LEA_LIKELY(g != NULL)) {
        if (LEA_UNLIKELY(lea_loop_enter_untraced(m, g)))
            return switch_traced(m, self, g);
        to = &g->ctx;
    } else {
        m->co = NULL;
    }
    m = lea_ctx_switch(&self->ctx, to, m);
    return m->commit ? land(m) : m;
}

/* A coroutine begins: most likely the next one is new too. */
static void prefetch_next(struct lea_proc *p)
{
    const struct lea_co *next = lea_lifo_peek(&p->lifo);

    lea_co_prefetch(next ? next : lea_runq_peek(&p->ring[LEA_CLASS_NORMAL], 0));
}

bool lea_loop_bind(struct lea_worker *m, struct lea_co *g)
{
    struct lea_stack *stack;

    if (LEA_UNLIKELY(g->bound) && !LEA_MUTATED(BOUND_RUN_ELSEWHERE)) {
        lea_bound_hand(g);
        return false;
    }
    stack = lea_stack_get(&m->rt->stacks, &m->proc->stacks, g->stack_class);
    if (LEA_UNLIKELY(!stack)) {
        lea_u32_store_rlx(&g->state, LEA_READY); /* relaxed: the queue's lock publishes it */
        lea_inject_push(&m->rt->inject, g);
        return false;
    }
    lea_stack_prefetch(&m->proc->stacks, g->stack_class);
    prefetch_next(m->proc);
    g->stack = stack;
    lea_ctx_make(&g->ctx, lea_stack_low(stack), lea_stack_high(stack), lea_loop_begin);
    return true;
}

/*
 * One ends, and the next has been here before: where many end so, one after the other, they were
 * made ready all at once, and the caches have lost what they touch.
 */
static void prefetch_soon(const struct lea_proc *p)
{
    const struct lea_runq *q = &p->ring[LEA_CLASS_NORMAL];
    uint32_t n = lea_runq_len(q);

    if (n > SOON_CO)
        lea_co_prefetch(lea_runq_peek(q, SOON_CO));
    /* not beside thieves, who may be running it by now */
    if (p->alone && n > SOON_FRAMES)
        lea_co_prefetch_frames(lea_runq_peek(q, SOON_FRAMES));
}

/* Commit of a coroutine that ended: nobody stands on its stack any more. */
static bool end_commit(struct lea_worker *m, struct lea_co *g, void *arg)
{
    (void)arg;
    lea_ctx_release(&g->ctx);
    lea_spawn_free(m, g);
    return true;
}

static __attribute__((noreturn)) void leave_for_good(struct lea_worker *m, struct lea_co *g,
                                                     struct lea_co *next)
{
    if (LEA_UNLIKELY(!m->proc) && m->bound)
        lea_bound_end(m, g);
    if (next && !next->stack && !lea_loop_bind(m, next))
        next = NULL;
    if (LEA_MUTATED(STACK_FREED_EARLY))
        (void)end_commit(m, g, NULL);
    m->commit = LEA_MUTATED(STACK_FREED_EARLY) ? NULL : end_commit;
    m->left = g;
    if (next) {
        prefetch_soon(m->proc);
        lea_loop_enter(m, next);
        lea_ctx_switch_last(&g->ctx, &next->ctx, m);
    }
    m->co = NULL;
    lea_ctx_switch_last(&g->ctx, &m->ctx, m);
}

/*
 * The function of `g` has returned. Either the next coroutine takes the stack over, and is
 * returned; or we leave for good.
 */
static struct lea_co *end_or_next(struct lea_worker *m, struct lea_co *g)
{
    struct lea_co *next = m->proc ? lea_find_local(m->proc) : NULL;

    if (next && !next->stack && next->stack_class == g->stack_class && LEA_LIKELY(!next->bound)) {
        next->stack = g->stack;
        next->ctx = g->ctx;
        lea_ctx_restart(&next->ctx);
        g->stack = NULL;
        prefetch_next(m->proc);
        lea_spawn_free_bare(m, g);
        lea_loop_enter(m, next);
        return next;
    }
    leave_for_good(m, g, next);
}

/* The coroutine has ended, by its own account: tells whom it concerns. */
static struct lea_worker *ended(struct lea_worker *m, struct lea_co *g, leat_result result)
{
    LEA_CHECK(m && m->co == g, "coroutine %llu ended on another stack than its own",
              (unsigned long long)lea_co_id(g));
    /* what leat_run's caller does elsewhere */
    if (LEA_UNLIKELY(g->end_hook == &m->rt->main_hook) && m->rt->lone) {
        lea_leave(m);
        lea_lone_end(m->rt);
        m = lea_enter();
    }
    lea_u32_store_rlx(&g->state, LEA_DEAD); /* relaxed: for reports */
    if (g->end_hook)
        g->end_hook->ended(g->end_hook, g, result);
    if (LEA_UNLIKELY(lea_word_load_rlx(&g->wait) & LEA_WAIT_EXTRA)) /* relaxed: its own */
        lea_extra_end(g);
    return m;
}

void lea_loop_begin(void *arg)
{
    struct lea_worker *m = arg;
    struct lea_co *g;

    lea_loop_land(m);
    for (g = m->co;;) {
        leat_result result = -ECANCELED;

        if (LEA_LIKELY(!g->late) || lea_late_begins(&m)) {
            lea_leave(m);
            result = lea_co_site(g)->run(g->args);
            /* relaxed: its own */
            if (LEA_UNLIKELY(lea_word_load_rlx(&g->wait) & LEA_WAIT_EXTRA) && g->extra->at_end)
                g->extra->at_end(g);
            m = lea_enter();
        }
        m = ended(m, g, result);
        g = end_or_next(m, g);
    }
}

void lea_loop_exit(struct lea_co *g, leat_result result)
{
    struct lea_worker *m = ended(lea_enter(), g, result);

    leave_for_good(m, g, m->proc ? lea_find_local(m->proc) : NULL);
}

void lea_loop_run(struct lea_worker *m)
{
    for (;;) {
        struct lea_co *g = lea_find_wait(m);

        if (!g)
            return;
        if (LEA_UNLIKELY(g->bound)) {
            lea_bound_hand(g);
            continue;
        }
        /* no memory for its guard: somebody may give some back */
        if (!g->stack && !lea_loop_bind(m, g)) {
            (void)lea_os_sleep_until(lea_os_now_ns() + BIND_RETRY_NS);
            continue;
        }
        lea_loop_enter(m, g);
        (void)lea_ctx_switch(&m->ctx, &g->ctx, m);
        lea_loop_land(m);
    }
}
