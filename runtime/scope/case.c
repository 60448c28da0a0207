/*
 * The cancellation of a scope as a case of a select. Contract: include/leat/select.h; what always
 * holds: sched/case.h.
 *
 * The lock of a case's object is that of the scope's coroutine for its extra (co/extra.h): whoever
 * cancels a scope takes its watchers off the list and claims them there (scope.c). A scope that was
 * cancelled stays so, and has no watchers.
 */
#include "sched/case.h"
#include "scope/scope.h"

static bool case_ready(leat_case *c, struct lea_worker *m)
{
    (void)m;
    return leat_scope_cause(c->object_) != 0;
}

static bool case_take(leat_case *c, struct lea_select *s)
{
    c->result = 0;
    return case_ready(c, s->m);
}

static enum lea_case_queued case_queue(leat_case *c, struct lea_select *s)
{
    struct lea_scope *scope = c->object_;

    if (!lea_extra_lock(scope->co)) /* its run is over */
        return lea_case_is_ready(c, s);
    if (scope->cause) {
        lea_extra_unlock(scope->co);
        return lea_case_is_ready(c, s);
    }
    lea_case_begin(c, s);
    lea_waiters_push_back(&scope->watchers, lea_case_waiter(c));
    lea_extra_unlock(scope->co);
    return LEA_CASE_QUEUED;
}

static enum lea_case_left case_leave(leat_case *c, struct lea_select *s)
{
    struct lea_scope *scope = c->object_;
    struct lea_waiter *me = lea_case_waiter(c);
    bool locked = lea_extra_lock(scope->co);
    enum lea_case_left left = lea_case_left(me);

    (void)s;
    if (me->queued)
        lea_waiters_del(&scope->watchers, me);
    if (locked)
        lea_extra_unlock(scope->co);
    return left;
}

leat_case leat_case_scope(leat_scope *scope)
{
    static const struct leat_case_ops_ ops = {false,      case_ready, case_take,
                                              case_queue, case_leave, lea_case_finish_ready};

    return leat_case_of_(scope, &ops);
}
