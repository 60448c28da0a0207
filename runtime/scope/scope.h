/*
 * scope/scope.h - what scopes, groups, handles and the spawn that makes members know of each other.
 *
 * Who is inside whom is a tree: a coroutine has opened scopes, one inside the other, and groups,
 * each inside the innermost scope at that time; a group has members, which are coroutines again.
 * Whoever cancels a scope, a group or a coroutine walks through all that is inside (walk.c). A
 * coroutine is told once for all of its own scopes, by one bit (co.h); so only groups and
 * coroutines are visited.
 *
 * A shield lies between what was opened before and after it. The number of shields in force is the
 * level of a scope or a group that is opened then: a scope reaches the groups inside it of its own
 * level, and the coroutine itself while the level is that.
 *
 * A coroutine has one end hook: its handle's, which passes the end on to the group, or its group's.
 * Both are told before the coroutine's memory is anywhere else, and forget its address under their
 * lock: nobody cancels a coroutine that has ended.
 */
#ifndef LEA_SCOPE_SCOPE_H
#define LEA_SCOPE_SCOPE_H

#include "sched/extra.h"
#include "sched/waiter.h"

#include <leat/scope.h>

/* Keys: (o) its coroutine   (x) under the biased lock of its coroutine (co/extra.h) */
struct lea_scope {
    struct lea_scope *outer;     /* (o) of the same coroutine; NULL none */
    struct lea_co *co;           /* constant */
    uintptr_t until_ns;          /* constant; LEA_TIMER_NONE */
    uintptr_t outer_ns;          /* (o) the earliest deadline around it */
    leat_result cause;           /* (x) not 0 once cancelled */
    uint32_t depth;              /* constant: 1 and up */
    uint32_t level;              /* constant: shields in force when it was opened */
    uint32_t pins;               /* (x) threads that cancel it: it cannot be closed now */
    uint32_t open;               /* (o) SCOPE_OPEN */
    struct lea_waiters watchers; /* (x) selects that wait for its cancellation (case.c) */
};
_Static_assert(sizeof(struct lea_scope) <= sizeof(leat_scope), "the public size is fixed");

/* Keys: (l) under its lock   (x) under the biased lock of its opener   (o) whoever opened it */
struct lea_group {
    struct lea_end_hook hook; /* constant */
    struct lea_lock lock;
    struct lea_node members;     /* (l) by lea_co.member */
    struct lea_node asked;       /* (l) members that were asked to end */
    struct lea_waiter *owner;    /* (l) waits for the end; NULL does not */
    struct lea_waiters spawners; /* (l) wait for room */
    uint64_t nr_members;         /* (l) and spawns that are under way */
    leat_result cause;           /* (l) once cancelled */
    /* constant: the opener; NULL a plain thread, or one without memory for an extra */
    struct lea_co *co;
    /* constant: its id; when it has ended, nobody has the group in a list */
    uint64_t co_id;
    struct lea_node node; /* (x) among its opener's groups */
    uint32_t depth;       /* constant: of the innermost scope around it; 0 none */
    uint32_t level;       /* constant: shields in force when it was opened */
    uint32_t pins;        /* (x) threads that walk through it: it cannot end now */
    uint32_t below;       /* (l) threads that walk through some member's groups */
    uint32_t limit;       /* constant; 0 none */
    int error;            /* (l) the first one */
    uint32_t open;        /* GROUP_OPEN; GROUP_ENDED after its wait */
    bool cancelled;       /* (l) */
    bool sheltered;       /* constant: opened under a shield */
};
_Static_assert(sizeof(struct lea_group) <= sizeof(leat_group), "the public size is fixed");

/* Who walks, and why. */
struct lea_walk {
    struct lea_runtime *rt; /* NULL: no run is under way, so there are plain threads only */
    /* NULL: a plain thread's, or one of the runtime's without a coroutine */
    struct lea_worker *m;
    bool held; /* the run is held for it */
    leat_result cause;
};

static inline struct lea_group *lea_group_of(leat_group *group)
{
    return (struct lea_group *)(void *)group;
}

/* --- walk.c --- */

/* Before the walk, and after: a plain thread holds the run meanwhile. */
struct lea_walk lea_walk_begin(struct lea_worker *m, leat_result cause);
void lea_walk_end(const struct lea_walk *k);

/* Wakers of the walk. No lock held. */
void lea_walk_deliver(const struct lea_walk *k, struct lea_wakes *wakes);

/*
 * Ask all members to end, and whoever they have opened groups for. When it returns, all were asked,
 * by whomever.
 */
void lea_walk_group(const struct lea_walk *k, struct lea_group *root);

/*
 * The same for the groups that a coroutine has opened inside its scope number `depth` (0: all), at
 * that level. The coroutine was told, and cannot end, nor can the scope.
 */
void lea_walk_co(const struct lea_walk *k, struct lea_co *root, uint32_t depth, uint32_t level);

/* --- scope.c --- */

/* Why cancellation is in force for the running coroutine; 0 it is not. */
leat_result lea_cause(struct lea_worker *m);

/* The coroutine leaves by leat_exit_self(): its scopes are no more. */
void lea_scopes_drop(struct lea_co *co);

/* Begin and end of the shield around a coroutine's clean-up. */
void lea_shield_begin(struct lea_co *co, leat_shield *shield);

/* --- end.c --- */

/* The running coroutine's extra, with what its end needs. NULL: no memory. Not in a bracket. */
struct lea_extra *lea_scope_extra(struct lea_worker *m);

/*
 * Something of this room has to be seen to when the run has ended and its threads have left: before
 * there is such a thing.
 */
void lea_scope_at_end(struct lea_runtime *rt);

/* --- group.c --- */

/* Does a spawn into it park when the group is full? */
bool lea_group_limited(const struct lea_group *group);

/*
 * The right to one more member. At the limit it waits for one to end. Returns: 0, then
 * lea_group_join() or lea_group_leave() must follow; -ECANCELED the group or the caller was
 * cancelled.
 */
int lea_group_enter(struct lea_group *group, struct lea_worker **m);

/* `co` is a member now: not ready yet. */
void lea_group_join(struct lea_group *group, struct lea_co *co);

/*
 * For reports, while somebody waits for the group: how many members count, and the ids of the first
 * `max` in ids[].
 */
uint64_t lea_group_look(struct lea_group *group, uint64_t *ids, unsigned max);

/* The spawn failed. */
void lea_group_leave(struct lea_group *group, struct lea_worker *m);

/* A member has ended. On its stack; the group may be gone afterwards. */
void lea_group_ended(struct lea_group *group, struct lea_worker *m, struct lea_co *co,
                     leat_result result);

/* For a member without a handle. */
struct lea_end_hook *lea_group_hook(struct lea_group *group);

/* Of a member that has not ended; NULL it is none. */
struct lea_group *lea_group_of_member(const struct lea_co *co);

/*
 * Ask members to end, until one has an extra: it is returned, and can neither end nor stop to count
 * before lea_group_asked(). NULL: all were asked, and nobody walks through what they have opened.
 */
struct lea_co *lea_group_ask(struct lea_group *group, const struct lea_walk *k);
void lea_group_asked(struct lea_group *group, struct lea_co *co);

/* Wait for its members as leat_group_close() does; @cancel: ask them to end. By its opener. */
void lea_group_finish(struct lea_group *group, struct lea_worker **m, bool cancel,
                      const char *call);

/* --- handle.c --- */

/* @group: whom to tell as well; NULL none. NULL: no memory. */
struct lea_handle *lea_handle_new(struct lea_runtime *rt, struct lea_worker *m,
                                  struct lea_group *group);
struct lea_end_hook *lea_handle_hook(struct lea_handle *handle);

/* The group of a hook that is a handle's; NULL none. */
bool lea_handle_is_hook(const struct lea_end_hook *hook);
struct lea_group *lea_handle_group(const struct lea_end_hook *hook);

/* What the program gets to see of it. */
leat_handle *lea_handle_give(struct lea_handle *handle);

/* Whose end it waits for. Before the coroutine is ready. */
void lea_handle_set(struct lea_handle *handle, struct lea_co *co);

/* The spawn failed: nobody has seen it. */
void lea_handle_free(struct lea_handle *handle, struct lea_worker *m);

/* The run is over: joins of plain threads end. */
void lea_handles_end(struct lea_runtime *rt);

#endif
