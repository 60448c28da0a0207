/*
 * Spawning with settings, into a group, with a handle: the runtime's side of every form of
 * include/leat/go.h but the plain one.
 */
#include "scope/scope.h"

#include <errno.h>

#define STACK_MIN ((size_t)16 << 10)
#define STACK_MAX ((size_t)1 << 30)

static bool attr_valid(const leat_attr *attr)
{
    return attr->priority >= LEAT_PRIO_LOW && attr->priority <= LEAT_PRIO_HIGH &&
           (attr->stack_bytes == 0 ||
            (attr->stack_bytes >= STACK_MIN && attr->stack_bytes <= STACK_MAX));
}

/* A place in the group is ours. Nothing has been moved when this fails. */
static int begin(struct lea_runtime *rt, struct lea_worker *m, struct lea_spawn *what,
                 struct lea_group *group, leat_handle **out)
{
    struct lea_handle *h = NULL;
    struct lea_co *co;
    int r;

    if (out) {
        h = lea_handle_new(rt, m, group);
        if (!h)
            return -ENOMEM;
        what->hook = lea_handle_hook(h);
    } else if (group) {
        what->hook = lea_group_hook(group);
    }
    r = lea_spawn(rt, m, what, &co);
    if (r < 0) {
        if (h)
            lea_handle_free(h, m);
        return r;
    }
    if (group)
        lea_group_join(group, co);
    if (h) {
        lea_handle_set(h, co);
        *out = lea_handle_give(h);
    }
    if (LEA_LIKELY(what->start_ns <= 0))
        lea_ready(rt, m, co);
    else
        lea_ready_at(rt, m, co, what->start_ns);
    return 0;
}

/*
 * A plain thread holds the run only for as long as it needs it: not while it waits for room in a
 * group.
 */
static int begin_held(struct lea_worker *m, struct lea_spawn *what, struct lea_group *group,
                      leat_handle **out)
{
    struct lea_runtime *rt;
    int r;

    if (LEA_LIKELY(m != NULL))
        return begin(m->rt, m, what, group, out);
    rt = lea_rt_hold();
    if (!rt)
        return lea_outside(-ESHUTDOWN);
    r = begin(rt, NULL, what, group, out);
    lea_rt_drop();
    return r;
}

static int spawn(struct lea_worker **m, struct lea_spawn *what, struct lea_group *group,
                 leat_handle **out)
{
    int r = group ? lea_group_enter(group, m) : 0;

    if (r == 0) {
        r = begin_held(*m, what, group, out);
        if (r < 0 && group)
            lea_group_leave(group, *m);
    }
    return r;
}

int leat_spawn_(const struct leat_site_ *site, const leat_attr *attr, leat_group *group,
                leat_handle **handle, const void *args, size_t bytes)
{
    struct lea_spawn what = {
        .site = site, .args = args, .bytes = bytes, .prio_class = LEA_CLASS_NORMAL};
    struct lea_group *g = group ? lea_group_of(group) : NULL;
    struct lea_worker *m;
    int r;

    if (attr) {
        if (!attr_valid(attr))
            return -EINVAL;
        what.prio_class = (enum lea_class)(LEAT_PRIO_HIGH - attr->priority);
        what.stack_bytes = attr->stack_bytes;
        what.name = attr->name;
        what.start_ns = attr->start.ns;
    }
    m = g && lea_group_limited(g) ? lea_enter_park() : lea_enter();
    r = spawn(&m, &what, g, handle);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r;
}
