/*
 * Groups: coroutines that end together. Contract: include/leat/scope.h.
 *
 * Everything is under the group's lock. A member counts from lea_group_enter() until the very end
 * of lea_group_ended(); nobody but the owner ends the group, and only when none count. So whoever
 * counts, or spawns as somebody who does, may use the group.
 *
 * The last touch of a member is its drop of the lock. The owner has taken the lock since, or was
 * claimed and waits for the lock to be dropped (lea_lock_passed): the group's memory may go as soon
 * as the wait returns.
 *
 * Cancelling goes in portions, so that the lock is not held for as long as there are members: those
 * who were asked move from `members` to `asked`. Nobody comes to `members` afterwards. Members that
 * have opened groups themselves: walk.c.
 *
 * A coroutine that opens a group keeps it in a list, so that whoever cancels one of its scopes, or
 * it, finds the group. Without memory for the extra that has the list, the members are cancelled
 * when the opener waits for them.
 */
#include "base/mutant.h"
#include "sched/solo.h"
#include "sched/wrong.h"
#include "scope/outside.h"
#include "scope/scope.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define GROUP_OPEN 0x67726f75u
#define GROUP_ENDED 0x656e6465u
#define PORTION 256u

static void hook_ended(struct lea_end_hook *hook, struct lea_co *co, leat_result result)
{
    lea_group_ended(lea_container(hook, struct lea_group, hook), lea_self(), co, result);
}

static inline void check_open(const struct lea_group *g, const char *call)
{
    LEA_RIGHT(g->open == GROUP_OPEN, call, "group %p %s", (const void *)g,
              g->open == GROUP_ENDED
                  ? "has ended already, by leat_group_wait() or leat_group_close()"
                  : "is not open: leat_group_open() has not seen it, or it was overwritten");
}

/* --- its opener --- */

static void opened_by(struct lea_group *g, struct lea_worker *m)
{
    struct lea_co *co = m->co;
    struct lea_extra *x = lea_scope_extra(m);
    bool cancelled;
    uintptr_t w;

    if (!x)
        return;
    g->co = co;
    g->co_id = lea_co_id(co);
    w = lea_extra_enter(co);
    lea_list_push_back(&x->groups, &g->node);
    g->depth = x->scope ? x->scope->depth : 0;
    g->level = x->level;
    g->sheltered = x->level || (w & LEA_WAIT_SHELTER);
    cancelled = (w & LEA_WAIT_CANCEL) && !LEA_MUTATED(GROUP_BORN_ALIVE);
    g->cancelled = cancelled;
    lea_extra_leave(co);
    if (LEA_UNLIKELY(cancelled)) /* whoever walks through it now leaves the cause alone */
        g->cause = lea_cause(m);
}

/* Nobody counts any more, and whoever walks through it has gone: its opener forgets it. */
static void opener_leaves(struct lea_group *g, struct lea_worker *m)
{
    struct lea_co *co = g->co;
    bool own = m && m->co == co, pinned;
    unsigned round = 0;

    if (!co || lea_co_id(co) != g->co_id)
        return;
    for (;;) {
        if (LEA_LIKELY(own))
            (void)lea_extra_enter(co);
        else if (!lea_extra_lock(co))
            return;
        pinned = g->pins && !LEA_MUTATED(GROUP_END_PINNED);
        if (!pinned)
            lea_list_del(&g->node);
        if (LEA_LIKELY(own))
            lea_extra_leave(co);
        else
            lea_extra_unlock(co);
        if (LEA_LIKELY(!pinned))
            return;
        lea_relax(&round);
    }
}

void leat_group_open(leat_group *group, unsigned limit)
{
    struct lea_group *g = lea_group_of(group);
    struct lea_worker *m = lea_self();

    LEA_RIGHT(g, "leat_group_open", "the group is NULL");
    memset(g, 0, sizeof(*g));
    g->hook.ended = hook_ended;
    lea_lock_init(&g->lock, LEA_RANK_SCOPE);
    lea_list_init(&g->members);
    lea_list_init(&g->asked);
    g->limit = limit;
    g->open = GROUP_OPEN;
    if (LEA_LIKELY(m != NULL))
        opened_by(g, m);
}

uint64_t lea_group_look(struct lea_group *g, uint64_t *ids, unsigned max)
{
    const struct lea_node *lists[] = {&g->members, &g->asked};
    unsigned n = 0;
    uint64_t members;

    memset(ids, 0, max * sizeof(*ids));
    lea_lock_take(&g->lock);
    for (unsigned l = 0; l < 2; l++)
        for (const struct lea_node *i = lists[l]->next; i != lists[l] && n < max; i = i->next)
            ids[n++] = lea_co_id(lea_container(i, struct lea_co, member));
    members = g->nr_members;
    lea_lock_drop(&g->lock);
    return members;
}

/* --- spawning --- */

bool lea_group_limited(const struct lea_group *g)
{
    return g->limit != 0;
}

struct lea_end_hook *lea_group_hook(struct lea_group *g)
{
    return &g->hook;
}

struct lea_group *lea_group_of_member(const struct lea_co *co)
{
    struct lea_end_hook *hook = co->end_hook;

    if (!hook)
        return NULL;
    if (hook->ended == hook_ended)
        return lea_container(hook, struct lea_group, hook);
    return lea_handle_is_hook(hook) ? lea_handle_group(hook) : NULL;
}

static int wait_for_room(struct lea_group *g, struct lea_worker **m, struct lea_waiter *w)
{
    enum lea_wake code;

    if (LEA_LIKELY(*m != NULL))
        lea_co_waits_for((*m)->co, g);
    code = lea_outside_wait(w, m, LEA_REASON_GROUP, INT64_MAX, false);
    if (code == LEA_WAKE_DONE) /* the place of a member that has ended is ours */
        return 0;
    lea_lock_take(&g->lock);
    if (w->queued)
        lea_waiters_del(&g->spawners, w);
    lea_lock_drop(&g->lock);
    return code == LEA_WAKE_CLOSED ? -ESHUTDOWN : -ECANCELED;
}

int lea_group_enter(struct lea_group *g, struct lea_worker **m)
{
    struct lea_waiter w;

    check_open(g, "leat_group_go");
    lea_lock_take(&g->lock);
    if (g->cancelled) {
        lea_lock_drop(&g->lock);
        return -ECANCELED;
    }
    if (LEA_LIKELY(!g->limit || g->nr_members < g->limit)) {
        g->nr_members++;
        lea_lock_drop(&g->lock);
        return 0;
    }
    lea_waiter_begin(&w, *m);
    lea_waiters_push_back(&g->spawners, &w);
    lea_lock_drop(&g->lock);
    return wait_for_room(g, m, &w);
}

void lea_group_join(struct lea_group *g, struct lea_co *co)
{
    struct lea_ready_list none; /* it has not begun, let alone parked: it finds out by itself */

    lea_ready_list_init(&none);
    if (LEA_UNLIKELY(g->sheltered))
        lea_word_or(&co->wait, LEA_WAIT_SHELTER);
    lea_lock_take(&g->lock);
    if (LEA_LIKELY(!g->cancelled)) {
        lea_list_push_back(&g->members, &co->member);
    } else {
        lea_list_push_back(&g->asked, &co->member);
        (void)lea_co_cancel(co, &none);
    }
    lea_lock_drop(&g->lock);
}

/* One member or spawn fewer: its place goes to a spawner that waits, or to nobody. */
static void place_free_locked(struct lea_group *g, struct lea_wakes *wakes)
{
    struct lea_waiter *w;

    if (!g->cancelled)
        while ((w = lea_waiters_pop(&g->spawners)))
            if (lea_waiter_claim(w, LEA_WAKE_DONE, wakes))
                return;
    if (--g->nr_members == 0 && g->owner) {
        w = g->owner;
        g->owner = NULL;
        (void)lea_waiter_claim(w, LEA_WAKE_DONE, wakes);
    }
}

void lea_group_leave(struct lea_group *g, struct lea_worker *m)
{
    struct lea_wakes wakes;

    lea_wakes_begin(&wakes, m);
    lea_lock_take(&g->lock);
    place_free_locked(g, &wakes);
    lea_lock_drop(&g->lock);
    lea_wakes_deliver(&wakes, m);
}

/* --- cancelling --- */

/* Ask the next members to end, up to one that has an extra: that one cannot end now. */
static struct lea_co *ask_portion_locked(struct lea_group *g, struct lea_wakes *wakes)
{
    for (unsigned i = 0; i < PORTION && !lea_list_empty(&g->members); i++) {
        struct lea_co *co = lea_container(g->members.next, struct lea_co, member);

        lea_prefetch(lea_container(co->member.next, struct lea_co, member));
        lea_list_del(&co->member);
        lea_list_push_back(&g->asked, &co->member);
        if (LEA_UNLIKELY(lea_co_cancel(co, &wakes->ready))) {
            lea_extra_pin(co);
            g->below++;
            return co;
        }
    }
    return NULL;
}

struct lea_co *lea_group_ask(struct lea_group *g, const struct lea_walk *k)
{
    unsigned round = 0;
    bool more, others;

    lea_solo_heed();
    do {
        struct lea_wakes wakes = {.rt = k->rt};
        struct lea_waiter *w;
        struct lea_co *co;

        lea_ready_list_init(&wakes.ready);
        lea_lock_take(&g->lock);
        if (!g->cancelled) {
            g->cancelled = true;
            g->cause = k->cause;
        }
        while ((w = lea_waiters_pop(&g->spawners)))
            (void)lea_waiter_claim(w, LEA_WAKE_CANCEL, &wakes);
        co = ask_portion_locked(g, &wakes);
        more = !lea_list_empty(&g->members);
        others = g->below != 0;
        lea_lock_drop(&g->lock);
        lea_walk_deliver(k, &wakes);
        if (co)
            return co;
        if (!more && others)
            lea_relax(&round);
    } while (more || others);
    return NULL;
}

void lea_group_asked(struct lea_group *g, struct lea_co *co)
{
    lea_extra_unpin(co);
    lea_lock_take(&g->lock);
    g->below--;
    lea_lock_drop(&g->lock);
}

/*
 * A child that was forked in the middle of a run: the members are the parent's, and so is whoever
 * holds the group's lock.
 */
static bool of_a_parent(const struct lea_worker *m)
{
    return LEA_UNLIKELY(!m) && lea_outside(0) < 0;
}

static void cancel_all(struct lea_group *g, struct lea_worker *m, leat_result cause)
{
    struct lea_walk k = lea_walk_begin(m, cause);

    lea_walk_group(&k, g);
    lea_walk_end(&k);
}

void leat_group_cancel(leat_group *group)
{
    struct lea_group *g = lea_group_of(group);
    struct lea_worker *m;

    LEA_RIGHT(g, "leat_group_cancel", "the group is NULL");
    if (g->open == GROUP_ENDED)
        return;
    m = lea_enter();
    if (of_a_parent(m))
        return;
    check_open(g, "leat_group_cancel");
    cancel_all(g, m, -ECANCELED);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

/* --- the end --- */

static int error_of(leat_result result)
{
    return result < INT_MIN ? INT_MIN : (int)result;
}

void lea_group_ended(struct lea_group *g, struct lea_worker *m, struct lea_co *co,
                     leat_result result)
{
    struct lea_wakes wakes;

    if (LEA_UNLIKELY(result < 0)) {
        bool first;

        lea_lock_take(&g->lock);
        lea_list_del(&co->member);
        /* whoever was asked to end says so, and has not failed */
        first = !g->error && !(result == -ECANCELED && g->cancelled);
        if (first)
            g->error = error_of(result);
        lea_lock_drop(&g->lock);
        if (first)
            cancel_all(g, m, g->error); /* we still count: the group stays */
    }
    lea_wakes_begin(&wakes, m);
    lea_lock_take(&g->lock);
    if (LEA_MUTATED(GROUP_COUNT_EARLY)) {
        place_free_locked(g, &wakes);
        lea_lock_drop(&g->lock);
        lea_lock_take(&g->lock);
        lea_list_del(&co->member);
    } else {
        lea_list_del(&co->member);
        place_free_locked(g, &wakes);
    }
    lea_lock_drop(&g->lock);
    lea_wakes_deliver(&wakes, m);
}

/* Nobody counts any more. */
static int end(struct lea_group *g, struct lea_worker *m)
{
    opener_leaves(g, m);
    g->open = GROUP_ENDED;
    return g->error;
}

/*
 * Returns LEA_WAKE_DONE and ends the group, with *result; or how the wait ended otherwise. CLOSED,
 * on a plain thread only: members are left over by a run that has ended, and will not touch the
 * group any more.
 */
static enum lea_wake wait_members(struct lea_group *g, struct lea_worker **m, int64_t until_ns,
                                  bool shielded, const char *call, int *result)
{
    struct lea_waiter w;
    enum lea_wake code;

    check_open(g, call);
    lea_waiter_begin(&w, *m);
    lea_lock_take(&g->lock);
    LEA_RIGHT(!g->owner, call, "somebody else waits for group %p at the same time", (void *)g);
    if (g->nr_members == 0) {
        lea_lock_drop(&g->lock);
        *result = end(g, *m);
        return LEA_WAKE_DONE;
    }
    g->owner = &w;
    lea_lock_drop(&g->lock);
    if (LEA_LIKELY(*m != NULL))
        lea_co_waits_for((*m)->co, g);
    code = lea_outside_wait(&w, m, LEA_REASON_GROUP, until_ns, shielded);
    if (code == LEA_WAKE_DONE) {
        if (!LEA_MUTATED(GROUP_LAST_TOUCH))
            lea_lock_passed(&g->lock);
        *result = end(g, *m); /* nobody else is left */
        return code;
    }
    lea_lock_take(&g->lock);
    g->owner = NULL;
    if (g->nr_members == 0)
        code = LEA_WAKE_DONE;
    lea_lock_drop(&g->lock);
    if (code == LEA_WAKE_DONE)
        *result = end(g, *m);
    return code;
}

int leat_group_wait(leat_group *group, leat_deadline until)
{
    struct lea_group *g = lea_group_of(group);
    struct lea_worker *m;
    enum lea_wake code;
    int result = 0;

    if (!g)
        return -EINVAL;
    m = lea_enter_park();
    if (of_a_parent(m))
        return -ENOTSUP;
    code = wait_members(g, &m, until.ns, false, "leat_group_wait", &result);
    if (code == LEA_WAKE_TIMEOUT && m && lea_co_cancelled(m->co)) /* both at once */
        code = LEA_WAKE_CANCEL;
    if (code == LEA_WAKE_CANCEL)
        cancel_all(g, m, lea_cause(m));
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return code == LEA_WAKE_DONE     ? result
           : code == LEA_WAKE_CLOSED ? -ESHUTDOWN
                                     : lea_wake_errno(code);
}

static int finish(struct lea_group *g, struct lea_worker **m, bool cancel, const char *call)
{
    enum lea_wake code = LEA_WAKE_CANCEL;
    int result = 0;

    if (!cancel)
        code = wait_members(g, m, INT64_MAX, false, call, &result);
    if (code == LEA_WAKE_CANCEL) {
        leat_result cause = lea_cause(*m);

        cancel_all(g, *m, cause ? cause : -ECANCELED);
        code = wait_members(g, m, INT64_MAX, true, call, &result);
    }
    return code == LEA_WAKE_CLOSED ? -ESHUTDOWN : result;
}

void lea_group_finish(struct lea_group *g, struct lea_worker **m, bool cancel, const char *call)
{
    (void)finish(g, m, cancel, call);
}

int leat_group_close(leat_group *group)
{
    struct lea_group *g = lea_group_of(group);
    struct lea_worker *m;
    int result;

    if (!g)
        return -EINVAL;
    if (g->open == GROUP_ENDED)
        return g->error;
    m = lea_enter_park();
    if (of_a_parent(m))
        return -ENOTSUP;
    result = finish(g, &m, false, "leat_group_close");
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return result;
}
