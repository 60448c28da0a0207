/*
 * Walking through all that is inside a group, or inside a coroutine's scope, to tell that it is
 * cancelled. What is inside whom: scope.h.
 *
 * No recursion, no memory of its own, and no lock but for a step: the way back leads from a group
 * to its opener and from there to the group that it is a member of, and whoever is on the way is
 * pinned, so that it cannot end. Enders wait for pins to go (for as long as a walk takes from where
 * it is; they have nothing inside any more by then), walkers wait only for walkers further inside:
 * no circle.
 *
 * Anything opened or spawned meanwhile sees by itself that it is in what was cancelled: a group's
 * mark is set before its members are asked, a coroutine's bit before its groups are looked through;
 * whoever comes later looks at these under the same lock.
 */
#include "scope/scope.h"

#include "base/mutant.h"

struct lea_walk lea_walk_begin(struct lea_worker *m, leat_result cause)
{
    struct lea_walk k = {.rt = m ? m->rt : lea_rt_hold(), .m = m, .cause = cause};

    k.held = !m && k.rt;
    return k;
}

void lea_walk_end(const struct lea_walk *k)
{
    if (k->held)
        lea_rt_drop();
}

void lea_walk_deliver(const struct lea_walk *k, struct lea_wakes *wakes)
{
    if (wakes->ready.n) {
        if (LEA_LIKELY(k->rt != NULL))
            lea_ready_list_all(k->rt, k->m, &wakes->ready);
        else /* a run has begun since, and they are its coroutines */
            lea_wakes_late(&wakes->ready);
    }
    if (LEA_UNLIKELY(wakes->threads != NULL))
        lea_wakes_threads(wakes->threads);
}

/* The first group from `node` on that is to be told. Pinned. The opener's lock is held. */
static struct lea_group *group_from_locked(struct lea_co *co, struct lea_node *node, uint32_t depth,
                                           uint32_t level)
{
    for (; node != &co->extra->groups; node = node->next) {
        struct lea_group *g = lea_container(node, struct lea_group, node);

        if (g->depth >= depth && g->level == level) {
            g->pins++;
            lea_extra_pin(co);
            return g;
        }
    }
    return NULL;
}

static struct lea_group *group_first(struct lea_co *co, uint32_t depth, uint32_t level)
{
    struct lea_group *g;

    if (!lea_extra_lock(co))
        return NULL;
    g = group_from_locked(co, co->extra->groups.next, depth, level);
    lea_extra_unlock(co);
    return g;
}

static struct lea_group *group_next(struct lea_group *before, uint32_t depth, uint32_t level)
{
    struct lea_co *co = before->co;
    struct lea_group *g;

    (void)lea_extra_lock(co); /* it cannot have ended: the group is pinned */
    g = group_from_locked(co, before->node.next, depth, level);
    before->pins--;
    lea_extra_unlock(co);
    lea_extra_unpin(co);
    return g;
}

/* From group `g` on, through all that is inside, until `root` or all of `root_co` has been told. */
static void walk(const struct lea_walk *k, struct lea_group *g, const struct lea_group *root,
                 const struct lea_co *root_co, uint32_t depth, uint32_t level)
{
    while (g) {
        struct lea_co *co = lea_group_ask(g, k);
        struct lea_group *next;
        bool is_root;

        if (co) { /* a member that may have opened groups */
            next = LEA_MUTATED(GROUP_WALK_FLAT) ? NULL : group_first(co, 0, 0);
            if (!next)
                lea_group_asked(g, co);
            else
                g = next;
            continue;
        }
        if (g == root)
            return;
        co = g->co;
        is_root = co == root_co;
        next = group_next(g, is_root ? depth : 0, is_root ? level : 0);
        if (next || is_root) {
            g = next;
            continue;
        }
        g = lea_group_of_member(co);
        lea_group_asked(g, co);
    }
}

void lea_walk_group(const struct lea_walk *k, struct lea_group *root)
{
    walk(k, root, root, NULL, 0, 0);
}

void lea_walk_co(const struct lea_walk *k, struct lea_co *root, uint32_t depth, uint32_t level)
{
    walk(k, group_first(root, depth, level), NULL, root, depth, level);
}
