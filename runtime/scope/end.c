/*
 * The end of a coroutine, by return or by leat_exit_self(): clean-up that was put off until then,
 * and the end of local values. Contracts: include/leat/scope.h, local.h.
 *
 * All of it runs on the coroutine's own stack, in user code, before anybody is told of the end: it
 * may wait. A shield is in force then.
 */
#include "base/mutant.h"
#include "mem/heap.h"
#include "sched/loop.h"
#include "sched/wrong.h"
#include "scope/local.h"
#include "scope/outside.h"
#include "scope/scope.h"

#include <errno.h>

#define DEFERS_MIN 6u

struct defer {
    void (*fn)(void *arg);
    void *arg;
};

/* Youngest last. */
struct lea_defers {
    uint32_t n, cap;
    struct defer at[];
};

static size_t defers_bytes(uint32_t cap)
{
    return sizeof(struct lea_defers) + cap * sizeof(struct defer);
}

/* --- clean-up --- */

static struct lea_defers *defers_grown(struct lea_defers *old)
{
    uint32_t cap = old ? old->cap * 2 : DEFERS_MIN;
    struct lea_worker *m = lea_enter();
    struct lea_defers *d = lea_heap_alloc(defers_bytes(cap));

    if (d) {
        d->n = 0;
        d->cap = cap;
        for (; old && d->n < old->n; d->n++)
            d->at[d->n] = old->at[d->n];
        if (old)
            lea_heap_free(old, defers_bytes(old->cap));
    }
    lea_leave(m);
    return d;
}

int leat_defer(void (*fn)(void *arg), void *arg)
{
    struct lea_worker *m = lea_self();
    struct lea_extra *x;
    struct lea_defers *d;

    if (!fn)
        return -EINVAL;
    if (!m)
        return lea_outside(-EPERM);
    x = lea_scope_extra(m);
    if (!x)
        return -ENOMEM;
    d = x->defers;
    if (!d || d->n == d->cap) {
        d = defers_grown(d);
        if (!d)
            return -ENOMEM;
        x->defers = d;
    }
    d->at[d->n++] = (struct defer){fn, arg};
    return 0;
}

bool leat_undefer(void (*fn)(void *arg), void *arg)
{
    struct lea_worker *m = lea_self();
    struct lea_defers *d = m && (lea_word_load_rlx(&m->co->wait) & LEA_WAIT_EXTRA)
                               ? m->co->extra->defers
                               : NULL; /* relaxed: its own */

    for (uint32_t i = d ? d->n : 0; i-- > 0;) {
        if (d->at[i].fn != fn || d->at[i].arg != arg)
            continue;
        for (d->n--; i < d->n; i++)
            d->at[i] = d->at[i + 1];
        return true;
    }
    return false;
}

/*
 * An attached thread whose run has stopped meanwhile: what is put off still may call leat, and
 * would sleep for ever, as would our own entries. It is not done any more.
 */
static bool left_over(const struct lea_worker *m)
{
    return LEA_UNLIKELY(m->attached) && lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP;
}

static void defers_run(struct lea_extra *x)
{
    while (x->defers && x->defers->n && !left_over(lea_self())) {
        struct defer one = x->defers->at[--x->defers->n];

        one.fn(one.arg);
    }
}

/* --- the end --- */

static void clean_up(struct lea_co *co)
{
    struct lea_extra *x = co->extra;
    struct lea_worker *m;
    leat_shield shield;

    if (!x->defers && !x->locals)
        return;
    x->ending = true;
    if (!LEA_MUTATED(DEFER_UNSHIELDED))
        lea_shield_begin(co, &shield);
    do
        defers_run(x);
    while (!left_over(lea_self()) && (lea_locals_destroy(x) || (x->defers && x->defers->n)));
    m = lea_self();
    if (LEA_UNLIKELY(m->attached)) /* an entry may sleep for ever, and none is needed */
        lea_tick(m);
    else
        m = lea_enter();
    if (x->defers)
        lea_heap_free(x->defers, defers_bytes(x->defers->cap));
    lea_locals_free(x->locals);
    x->defers = NULL;
    x->locals = NULL;
    lea_leave(m);
}

/*
 * It leaves groups open: from now on they end with their members, or with the run. They may lie on
 * frames that are gone, and are not touched.
 */
static void groups_forget(struct lea_co *co)
{
    struct lea_extra *x = co->extra;
    unsigned round = 0;

    while ((void)lea_extra_enter(co), lea_u32_load_acq(&x->pins)) {
        lea_extra_leave(co);
        lea_relax(&round);
    }
    lea_list_init(&x->groups);
    lea_extra_leave(co);
}

/* The coroutine's function has returned. */
static void returned(struct lea_co *co)
{
    struct lea_extra *x = co->extra;

    LEA_RIGHT(lea_self()->co == co, "return from a coroutine's function",
              "it stands on the stack of coroutine %llu: did it longjmp there?",
              (unsigned long long)lea_co_id(co));
    LEA_RIGHT(!x->scope, "return from a coroutine's function", "scope %p is still open",
              (void *)x->scope);
    clean_up(co);
    if (LEA_UNLIKELY(!lea_list_empty(&x->groups)))
        groups_forget(co);
}

struct lea_extra *lea_scope_extra(struct lea_worker *m)
{
    struct lea_co *co = m->co;
    struct lea_extra *x;

    if (LEA_LIKELY((lea_word_load_rlx(&co->wait) & LEA_WAIT_EXTRA) &&
                   co->extra->at_end)) /* relaxed: its own */
        return co->extra;
    m = lea_enter();
    x = lea_extra_get(m->rt, m->proc, co);
    if (x)
        x->at_end = returned;
    lea_leave(m);
    return x;
}

static void finish_all(struct lea_co *co)
{
    struct lea_node *groups = &co->extra->groups;

    while (!lea_list_empty(groups)) {
        struct lea_worker *m = lea_enter_park();

        lea_group_finish(lea_container(groups->next, struct lea_group, node), &m, true,
                         "leat_exit_self");
        lea_leave(m);
    }
}

void leat_exit_self(leat_result result)
{
    struct lea_worker *m = lea_self();
    struct lea_co *co;

    LEA_RIGHT(m, "leat_exit_self", "a plain thread cannot end that way");
    LEA_RIGHT(!m->attached, "leat_exit_self",
              "an attached thread is no coroutine's: leat_detach_thread()");
    co = m->co;
    if (lea_word_load_rlx(&co->wait) & LEA_WAIT_EXTRA) { /* relaxed: its own */
        LEA_RIGHT(!co->extra->ending, "leat_exit_self",
                  "the coroutine ends already, and this is its clean-up");
        finish_all(co);
        lea_scopes_drop(co);
        clean_up(co);
    }
    if (lea_co_site(co)->drop) /* its function would have */
        lea_co_site(co)->drop(co->args);
    lea_loop_exit(co, result);
}

/* --- the end of the run --- */

static void run_over(struct lea_runtime *rt)
{
    lea_outside_end(rt);
    lea_handles_end(rt);
    lea_locals_end(rt);
}

void lea_scope_at_end(struct lea_runtime *rt)
{
    lea_at_end_set(rt, LEA_AT_END_SCOPE, run_over);
}
