/*
 * Scopes and shields: what of a coroutine's work is cancelled together. Contract:
 * include/leat/scope.h; the tree: scope.h.
 *
 * A coroutine sees the scopes of its present level, and what it was itself asked, unless a shield
 * hides that; the one bit that says whether any of it is cancelled is CANCEL in its wait word
 * (co.h). Opening a scope leaves that as it is, and so does closing one that was not
 * cancelled: both cost one fence (co/extra.h). All else sees to the bit under LOCK, or inside: a
 * scope's cancellation, the end of a cancelled one, the begin and the end of a shield.
 *
 * Deadlines: scope_ns of the coroutine is the earliest of its open scopes. The timers' runner hands
 * up a coroutine for which it has passed (time/timer.h), and scopes_due() cancels whatever is due:
 * the coroutine itself has no part in it.
 *
 * Who cancels a scope pins it while it walks through the groups inside; its end waits for that.
 */
#include "scope/scope.h"
#include "base/mutant.h"
#include "sched/idle.h"
#include "sched/solo.h"
#include "sched/wrong.h"

#include <errno.h>

#define SCOPE_OPEN 0x73636f70u
#define SCOPE_ENDED 0x656e6465u
#define SHIELD_OPEN 0x73686965u
#define SHIELD_ENDED 0x656e6465u

struct shield {
    struct lea_co *co;
    uint32_t level; /* before it */
    bool exact;     /* the level was counted */
    uint32_t open;  /* SHIELD_OPEN */
};
_Static_assert(sizeof(struct shield) <= sizeof(leat_shield), "the public size is fixed");

static inline struct lea_scope *inner(leat_scope *scope)
{
    return (struct lea_scope *)(void *)scope;
}

/* --- what is in force --- */

/* The innermost cancelled scope that the coroutine sees; NULL none. Inside, or under LOCK. */
static struct lea_scope *seen_cancelled(const struct lea_extra *x)
{
    for (struct lea_scope *s = x->scope; s && s->level == x->level; s = s->outer)
        if (s->cause)
            return s;
    return NULL;
}

/* The coroutine, inside: its level and its scopes are new. */
static void look_again(struct lea_co *co)
{
    struct lea_extra *x = co->extra;
    uintptr_t hide = x->level ? LEA_WAIT_HIDE : 0, cancel = seen_cancelled(x) ? LEA_WAIT_CANCEL : 0,
              w, own;

    do {
        w = lea_word_load_acq(&co->wait);
        own = !hide && (w & LEA_WAIT_OWN) && !LEA_MUTATED(SHIELD_END_FORGETS) ? LEA_WAIT_CANCEL : 0;
    } while (!lea_word_cas(&co->wait, w,
                           (w & ~(LEA_WAIT_CANCEL | LEA_WAIT_HIDE)) | hide | cancel | own));
}

static leat_result own_cause(struct lea_worker *m)
{
    struct lea_group *g = lea_group_of_member(m->co);
    leat_result cause = 0;

    if (g) {
        lea_lock_take(&g->lock);
        cause = g->cause;
        lea_lock_drop(&g->lock);
    }
    if (cause)
        return cause;
    return lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_RUN ? -ECANCELED : -ESHUTDOWN;
}

leat_result lea_cause(struct lea_worker *m)
{
    leat_result cause = 0;
    uintptr_t w;

    if (!m)
        return 0;
    w = lea_word_load_acq(&m->co->wait);
    if (!(w & LEA_WAIT_CANCEL))
        return 0;
    if (w & LEA_WAIT_EXTRA) {
        struct lea_scope *s;

        (void)lea_extra_enter(m->co);
        s = seen_cancelled(m->co->extra);
        if (s)
            cause = s->cause;
        lea_extra_leave(m->co);
    }
    return cause ? cause : own_cause(m);
}

leat_result leat_cause(void)
{
    struct lea_worker *m = lea_self();

    return m && m->co ? lea_cause(m) : 0;
}

/* --- cancelling --- */

/* Under LOCK: it is cancelled from now on, and cannot be closed until its groups have been told. */
static void cancel_locked(struct lea_scope *s, leat_result cause, struct lea_wakes *wakes)
{
    struct lea_waiter *watcher;

    if (!s->cause)
        s->cause = cause;
    s->pins++;
    while (!LEA_MUTATED(SCOPE_WATCHERS_UNTOLD) && (watcher = lea_waiters_pop(&s->watchers)))
        (void)lea_waiter_claim(watcher, LEA_WAKE_DONE, wakes);
    if (s->level == s->co->extra->level || LEA_MUTATED(SCOPE_SHIELDED))
        lea_co_cancel_wait(s->co, &wakes->ready);
}

static void tell_groups(const struct lea_walk *k, struct lea_scope *s)
{
    struct lea_co *co = s->co;

    lea_walk_co(k, co, s->depth, s->level);
    (void)lea_extra_lock(co);
    s->pins--;
    lea_extra_unlock(co);
}

static void wakes_init(struct lea_wakes *wakes, const struct lea_walk *k)
{
    lea_ready_list_init(&wakes->ready);
    wakes->threads = NULL;
    wakes->rt = k->rt;
}

static inline void check_open(const struct lea_scope *s, const char *call)
{
    LEA_RIGHT(s->open == SCOPE_OPEN, call, "scope %p %s", (const void *)s,
              s->open == SCOPE_ENDED
                  ? "was closed already"
                  : "is not open: leat_scope_open() has not seen it, or it was overwritten");
}

void leat_scope_cancel(leat_scope *scope, leat_result cause)
{
    struct lea_scope *s = inner(scope);
    struct lea_wakes wakes;
    struct lea_worker *m;
    struct lea_walk k;

    LEA_RIGHT(s, "leat_scope_cancel", "the scope is NULL");
    check_open(s, "leat_scope_cancel");
    m = lea_enter();
    k = lea_walk_begin(m, cause ? cause : -ECANCELED);
    wakes_init(&wakes, &k);
    if (k.rt && lea_extra_lock(s->co)) { /* else the run is over, and its coroutine was left over */
        cancel_locked(s, k.cause, &wakes);
        lea_extra_unlock(s->co);
        lea_walk_deliver(&k, &wakes);
        tell_groups(&k, s);
    }
    lea_walk_end(&k);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

/*
 * The outermost scope whose deadline has passed unnoticed. LOCK is held. *next: the earliest
 * deadline of the others.
 */
static struct lea_scope *due_locked(struct lea_extra *x, uintptr_t now, uintptr_t *next)
{
    struct lea_scope *due = NULL;

    *next = LEA_TIMER_NONE;
    for (struct lea_scope *s = x->scope; s; s = s->outer) {
        if (s->cause)
            continue;
        if (s->until_ns <= now)
            due = s;
        else if (s->until_ns < *next)
            *next = s->until_ns;
    }
    return due;
}

/* One coroutine: it may have ended, or be another one by now. Returns its next deadline. */
static uintptr_t co_due(const struct lea_walk *k, struct lea_co *co, uintptr_t now)
{
    for (;;) {
        struct lea_wakes wakes;
        struct lea_scope *s;
        uintptr_t next;

        if (!lea_extra_lock(co))
            return LEA_TIMER_NONE;
        wakes_init(&wakes, k);
        s = due_locked(co->extra, now, &next);
        if (s)
            cancel_locked(s, k->cause, &wakes);
        else
            lea_word_store_rel(&co->scope_ns, next);
        lea_extra_unlock(co);
        if (!s) {
            lea_fence_full(); /* TIMER-LOOK */
            return next;
        }
        lea_walk_deliver(k, &wakes);
        tell_groups(k, s);
    }
}

static void scopes_due(struct lea_runtime *rt, struct lea_proc *p, struct lea_timers *t,
                       const struct lea_timer_scopes *due, int64_t now_ns)
{
    /* all go through the inject queue: the runner may be about to sleep */
    struct lea_walk k = {.rt = rt, .cause = -ETIMEDOUT};

    for (uint32_t i = 0; i < due->n; i++) {
        struct lea_proc *owner = lea_container(t, struct lea_proc, timers);
        uintptr_t next = co_due(&k, due->at[i].co, (uintptr_t)now_ns);

        lea_timer_scopes_seen(t, due, i, next);
        if (next != LEA_TIMER_NONE && owner != p)
            lea_idle_timer_added(rt, owner);
    }
}

/* --- open and close --- */

/*
 * A deadline earlier than any around it, and not yet looked after by an entry. Its time is in
 * scope_ns.
 */
static __attribute__((noinline)) int arm(struct lea_worker *m, int64_t until_ns)
{
    struct lea_proc *p;
    int r;

    m = lea_enter();
    p = m->proc ? m->proc : m->last_proc;
    if (LEA_MUTATED(SCOPE_DUE_LATE))
        lea_word_store_rel(&m->rt->scopes_due, (uintptr_t)scopes_due);
    r = lea_timer_arm_scope(&p->timers, m->co, until_ns);
    if (LEA_UNLIKELY(!m->proc))
        lea_idle_timer_added(m->rt, p);
    lea_leave(m);
    return r;
}

/*
 * Before a deadline is in scope_ns: from then on any entry of this coroutine's that comes up, of an
 * earlier wait too, may hand it up. The release of scope_ns publishes it, to the acquire in
 * time/timer.c.
 */
static inline void see_to_deadlines(struct lea_runtime *rt)
{
    if (LEA_UNLIKELY(!lea_word_load_rlx(&rt->scopes_due)) && /* relaxed: always the same */
        !LEA_MUTATED(SCOPE_DUE_LATE))
        lea_word_store_rlx(&rt->scopes_due, (uintptr_t)scopes_due); /* relaxed: as above */
}

static inline uintptr_t deadline(leat_deadline until)
{
    return until.ns == INT64_MAX ? LEA_TIMER_NONE : until.ns < 0 ? 0 : (uintptr_t)until.ns;
}

/* Inside. */
static void push(struct lea_extra *x, struct lea_scope *s)
{
    s->outer = x->scope;
    s->depth = s->outer ? s->outer->depth + 1 : 1;
    s->level = x->level;
    s->open = SCOPE_OPEN;
    x->scope = s;
}

int leat_scope_open(leat_scope *scope, leat_deadline until)
{
    struct lea_scope *s = inner(scope);
    struct lea_worker *m = lea_self();
    struct lea_extra *x;
    struct lea_co *co;

    if (LEA_UNLIKELY(!s))
        return -EINVAL;
    if (LEA_UNLIKELY(!m))
        return lea_outside(-EPERM);
    x = lea_scope_extra(m);
    if (LEA_UNLIKELY(!x))
        return -ENOMEM;
    co = m->co;
    s->co = co;
    s->until_ns = deadline(until);
    s->outer_ns = lea_word_load_rlx(
        &co->scope_ns); /* relaxed: a late change by scopes_due() leaves it too early, and costs a
                           look */
    s->cause = 0;
    s->pins = 0;
    s->watchers.first = NULL;
    if (s->until_ns < s->outer_ns) {
        see_to_deadlines(m->rt);
        lea_word_store_rel(&co->scope_ns, s->until_ns); /* the fence inside orders it; TIMER-LOOK */
    }
    (void)lea_extra_enter(co);
    push(x, s);
    if (LEA_UNLIKELY(
            lea_word_load_rlx(&co->scope_ns) >
            s->until_ns)) { /* relaxed: nobody else changes it now; scopes_due() came first */
        see_to_deadlines(m->rt);
        lea_word_store_rel(&co->scope_ns, s->until_ns);
        lea_fence_full(); /* TIMER-LOOK */
    }
    lea_extra_leave(co);
    if (LEA_UNLIKELY(s->until_ns == 0)) {
        leat_scope_cancel(scope, -ETIMEDOUT);
        return 0;
    }
    /* LEA_TIMER_NONE is served by any */
    if (LEA_LIKELY(lea_word_load_acq(&co->timer_ns) <= s->until_ns) || arm(m, until.ns) == 0)
        return 0;
    (void)leat_scope_close(scope);
    return -ENOMEM;
}

static void check_close(const struct lea_scope *s, const struct lea_co *co)
{
    check_open(s, "leat_scope_close");
    LEA_RIGHT(s->co == co, "leat_scope_close", "scope %p is another coroutine's", (const void *)s);
    LEA_RIGHT(co->extra->scope == s, "leat_scope_close", "scope %p is not the innermost one: %p is",
              (const void *)s, (void *)co->extra->scope);
    LEA_RIGHT(co->extra->level == s->level, "leat_scope_close",
              "a shield that began inside of scope %p is still in force", (const void *)s);
}

/* Groups that were opened inside, and not waited for. */
static __attribute__((noinline)) void finish_groups(struct lea_co *co, uint32_t depth)
{
    struct lea_node *groups = &co->extra->groups, *node = groups->next;

    while (node != groups) {
        struct lea_group *g = lea_container(node, struct lea_group, node);
        struct lea_worker *m;

        if (g->depth < depth) {
            node = node->next;
            continue;
        }
        m = lea_enter_park();
        lea_group_finish(g, &m, false, "leat_scope_close");
        lea_leave(m);
        node = groups->next;
    }
}

leat_result leat_scope_close(leat_scope *scope)
{
    struct lea_scope *s = inner(scope);
    struct lea_worker *m = lea_self();
    struct lea_extra *x;
    struct lea_co *co;
    unsigned round = 0;
    leat_result cause;
    uintptr_t w;

    LEA_RIGHT(s, "leat_scope_close", "the scope is NULL");
    LEA_RIGHT(m, "leat_scope_close", "a plain thread has no scopes");
    co = m->co;
    check_close(s, co);
    x = co->extra;
    if (LEA_UNLIKELY(!lea_list_empty(&x->groups)))
        finish_groups(co, s->depth);
    while (w = lea_extra_enter(co), LEA_UNLIKELY(s->pins && !LEA_MUTATED(SCOPE_CLOSE_PINNED))) {
        lea_extra_leave(co);
        lea_relax(&round);
    }
    LEA_RIGHT(!s->watchers.first, "leat_scope_close", "a select still waits for scope %p",
              (const void *)s);
    x->scope = s->outer;
    if (s->until_ns < s->outer_ns)
        lea_word_store_rlx(&co->scope_ns,
                           x->scope ? s->outer_ns
                                    : LEA_TIMER_NONE); /* relaxed: an old one only costs a look */
    cause = s->cause;
    if (LEA_UNLIKELY(cause) && !LEA_MUTATED(SCOPE_CLOSE_KEEPS))
        look_again(co);
    lea_extra_leave(co);
    s->open = SCOPE_ENDED;
    return LEA_LIKELY(!(w & LEA_WAIT_CANCEL)) || cause ? cause : leat_cause();
}

leat_result leat_scope_cause(const leat_scope *scope)
{
    const struct lea_scope *s = (const struct lea_scope *)(const void *)scope;
    struct lea_worker *m = lea_self(), *in;
    leat_result cause;

    LEA_RIGHT(s, "leat_scope_cause", "the scope is NULL");
    check_open(s, "leat_scope_cause");
    if (m && m->co == s->co) {
        (void)lea_extra_enter(s->co);
        cause = s->cause;
        lea_extra_leave(s->co);
    } else {
        in = lea_solo_may() ? lea_solo_enter_once() : NULL; /* it need not heed there */
        (void)lea_extra_lock(s->co); /* it cannot have ended: the scope is open */
        cause = s->cause;
        lea_extra_unlock(s->co);
        if (in)
            lea_leave(in);
    }
    return cause;
}

void lea_scopes_drop(struct lea_co *co)
{
    struct lea_extra *x = co->extra;

    while (x->scope) {
        struct lea_scope *s = x->scope;
        unsigned round = 0;

        while ((void)lea_extra_enter(co), s->pins) {
            lea_extra_leave(co);
            lea_relax(&round);
        }
        LEA_RIGHT(!s->watchers.first, "leat_exit_self", "a select still waits for scope %p",
                  (const void *)s);
        x->scope = s->outer;
        lea_word_store_rlx(&co->scope_ns,
                           x->scope ? s->outer_ns
                                    : LEA_TIMER_NONE); /* relaxed: as in leat_scope_close() */
        lea_extra_leave(co);
        s->open = SCOPE_ENDED;
    }
}

/* --- shields --- */

static inline struct shield *shield_of(leat_shield *shield)
{
    return (struct shield *)(void *)shield;
}

/* Of a coroutine without an extra: the bits are all there is. */
static void hide(struct lea_co *co, bool hidden)
{
    uintptr_t w, next;

    do {
        w = lea_word_load_acq(&co->wait);
        next = (w & ~(LEA_WAIT_CANCEL | LEA_WAIT_HIDE)) | (hidden ? LEA_WAIT_HIDE : 0);
        if (!hidden && (w & LEA_WAIT_OWN) && !LEA_MUTATED(SHIELD_END_FORGETS))
            next |= LEA_WAIT_CANCEL;
    } while (!lea_word_cas(&co->wait, w, next));
}

void lea_shield_begin(struct lea_co *co, leat_shield *shield)
{
    struct shield *h = shield_of(shield);
    uintptr_t w =
        lea_word_load_rlx(&co->wait); /* relaxed: the bits that are looked at are its own */

    h->co = co;
    h->open = SHIELD_OPEN;
    h->exact = (w & LEA_WAIT_EXTRA) != 0;
    if (h->exact) {
        (void)lea_extra_enter(co);
        h->level = co->extra->level++;
        look_again(co);
        lea_extra_leave(co);
    } else {
        h->level = w & LEA_WAIT_HIDE ? 1 : 0;
        hide(co, true);
    }
}

void leat_shield_begin(leat_shield *shield)
{
    struct lea_worker *m = lea_self();

    LEA_RIGHT(shield, "leat_shield_begin", "the shield is NULL");
    if (m)
        lea_shield_begin(m->co, shield);
    else
        *shield_of(shield) = (struct shield){.open = SHIELD_OPEN};
}

void leat_shield_end(leat_shield *shield)
{
    struct shield *h = shield_of(shield);
    struct lea_worker *m = lea_self();
    struct lea_extra *x;
    struct lea_co *co;

    LEA_RIGHT(h, "leat_shield_end", "the shield is NULL");
    LEA_RIGHT(h->open == SHIELD_OPEN, "leat_shield_end", "shield %p %s", (void *)h,
              h->open == SHIELD_ENDED ? "has ended already" : "has not begun, or was overwritten");
    co = m ? m->co : NULL;
    LEA_RIGHT(h->co == co, "leat_shield_end", "shield %p is another coroutine's", (void *)h);
    h->open = SHIELD_ENDED;
    if (!co)
        return;
    if (!(lea_word_load_rlx(&co->wait) & LEA_WAIT_EXTRA)) { /* relaxed: its own */
        hide(co, h->level != 0);
        return;
    }
    x = co->extra;
    LEA_RIGHT(!h->exact || x->level == h->level + 1, "leat_shield_end",
              "shield %p is not the innermost one", (void *)h);
    LEA_RIGHT(!x->scope || x->scope->level <= h->level, "leat_shield_end",
              "scope %p, opened inside of shield %p, is still open", (void *)x->scope, (void *)h);
    (void)lea_extra_enter(co);
    x->level = h->level;
    look_again(co);
    lea_extra_leave(co);
}
