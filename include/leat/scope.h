/*
 * leat/scope.h - ending coroutines together: scopes of cancellation, shields, groups, handles to
 * join one, clean-up. Spawning into them: leat/go.h.
 *
 * Cancellation is a request. While it is in force for a coroutine each of its calls that may park
 * gives -ECANCELED, on entry too where it could succeed at once, but for those that cannot be
 * cancelled (leat_mutex_lock() and its like). It comes from
 *  - a scope that the coroutine has opened, and that is cancelled, or whose deadline has passed; it
 *    goes with that scope's end;
 *  - its handle (leat_cancel()), its group, or the end of the run; that stays.
 * A shield hides all of them. Whatever is cancelled is so with all that is inside: a scope with the
 * groups that were opened in it and their members, a group with its members, a coroutine with its
 * scopes and groups; their shields do not hold it up, but keep what was opened under them out of
 * it.
 *
 * NULL for a group, a scope or a handle is -EINVAL where a call has an error to return, and stops
 * the program with a message where it has none. So does what only a wrong program can do: a group
 * that is not open, two waits at once, a handle that was given back, a coroutine that returns with
 * a scope still open. The message names the call, the coroutine that made it, and where that was
 * spawned.
 */
#ifndef LEAT_SCOPE_H
#define LEAT_SCOPE_H

#include <leat/base.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

/*
 * One coroutine that somebody will join. Made by leat_go_join(), given back by leat_join() or
 * leat_detach(). It belongs to its run, and is not to be used in a later one; within its run a
 * handle that was given back is told from those made later.
 */
typedef struct leat_handle leat_handle;

/*
 * A group of coroutines that end together. Lives where its owner wants it, the stack included; open
 * it before use, and wait for it before its memory goes: a member that ends after that writes into
 * memory that is not the group's any more, and nothing notices.
 *
 * A group is cancelled with the coroutine that opened it, and with each scope around it that was
 * open then and no shield lies between; in a cancelled scope it is born so, and a clean-up that
 * wants to use one opens it under a shield. (Without memory to remember it by, it learns of that
 * when its opener waits for it: that wait cancels the members.) A group that was opened under a
 * shield is left alone by the end of the run too, and so are the groups of its members.
 *
 * A group that is still open when the coroutine ends that opened it is cancelled by nobody but
 * leat_group_cancel() and the end of the run.
 *
 * A plain thread may open a group while a run is under way, spawn into it and wait for it: it
 * sleeps in the kernel. Nobody cancels a plain thread; the end of the run cancels the members. Its
 * wait, also for a place in a full group, ends with the run that was under way when it began: with
 * -ESHUTDOWN when that has left members over, which will never end, and touch the group no more.
 */
struct leat_group {
    uint64_t word_[18];
};

/**
 * leat_group_open - begin a group
 * @group: memory for it
 * @limit: most members alive at once, further spawns wait (they park the spawner); 0 for no limit
 *
 * Context: anywhere. Never parks.
 */
LEAT_API void leat_group_open(leat_group *group, unsigned limit);

/**
 * leat_group_wait - wait until every member has ended, and end the group
 *
 * After a return of 0 or of a member's error the group is closed; open it again for the next use.
 * When the deadline passes or the caller is cancelled while members are alive the group stays open
 * (cancelled in the latter case), and must be waited for again: leat_group_close() does that in a
 * cancelled caller, where this call would return at once.
 *
 * A member's -ECANCELED is not an error once the group has been cancelled (by leat_group_cancel(),
 * by an error, or by a wait): it only says that the member did as it was asked. Its other negative
 * values are.
 *
 * Context:  the coroutine or plain thread that opened it. May park, and may come back on another
 *           thread.
 * Ordering: what the members wrote is visible after the return of 0 or of a member's error.
 * Returns:  0 all ended; the first negative value that a member's function returned (members after
 *           it were cancelled); -ETIMEDOUT @until passed first, -ECANCELED the caller was
 *           cancelled; members are then still alive. -ESHUTDOWN, to a plain thread: the run has
 *           ended and left members over.
 */
LEAT_API int leat_group_wait(leat_group *group, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_group_close - wait until every member has ended whatever happens, cancellation of the caller
 * included
 *
 * On a group that a wait has ended already it gives that wait's result again, and
 * leat_group_cancel() does nothing: after any result of leat_group_wait() both may be called.
 *
 * When the caller is or gets cancelled, so are the members.
 *
 * Context: as leat_group_wait(). Returns: as leat_group_wait(), but never -ETIMEDOUT, and only a
 * member's -ECANCELED. -ESHUTDOWN as there: whatever happens is then over, too.
 */
LEAT_API int leat_group_close(leat_group *group) LEAT_MAY_PARK;

/**
 * leat_group_cancel - ask every member to end
 *
 * Their waiting calls, and those of members of their groups, give -ECANCELED from now on; spawns
 * into the group too.
 * Context: anywhere, while the group is open: it must stay open until this call has returned.
 * Whoever cancels it from another coroutine or thread than the one that waits for it has to see to
 * that, as with any use of memory that somebody else gives up (being a member will do: a group does
 * not end before its members). Never parks.
 */
LEAT_API void leat_group_cancel(leat_group *group);

/*
 * A scope: what happens in the calling coroutine between leat_scope_open() and leat_scope_close(),
 * and the groups that it opens meanwhile. Lives where its owner wants it, usually on the stack.
 * Scopes of one coroutine lie inside each other: the innermost is closed first. A member of a group
 * has no scopes but its own: it is cancelled with the group.
 */
typedef struct leat_scope {
    uint64_t word_[10];
} leat_scope;

/**
 * leat_scope_open - begin a scope
 * @scope: memory for it
 * @until: it is cancelled with the cause -ETIMEDOUT when this has passed; LEAT_FOREVER: no
 * deadline; LEAT_AT_ONCE: it is cancelled already
 *
 * A deadline that never passes costs next to nothing. Who sees to one that does is whoever looks at
 * timers next, as with the deadline of a
 * call: usually within 0.1 ms, within some milliseconds when all processors compute. The coroutine
 * need not do anything for it: one that never waits finds leat_cancelled() true, and its next call
 * that may park fails; what it computes meanwhile, it computes. A deadline that has passed when the
 * scope is opened is seen as late as any other.
 *
 * Context: a coroutine. Never parks.
 * Returns: 0; -ENOMEM; -EPERM on a plain thread.
 */
LEAT_API int leat_scope_open(leat_scope *scope, leat_deadline until) LEAT_MUST_CHECK;

/**
 * leat_scope_cancel - cancel all that happens in a scope, now and until it is closed
 * @cause: what leat_scope_close() and leat_cause() will say: a negative errno or any other value of
 *         the program's; 0 is -ECANCELED. Only the first one counts
 *
 * When this has returned, every wait inside has ended, or is about to, and every call inside that
 * may park fails.
 *
 * Context: anywhere, plain threads included, while the scope is open: it must stay open until this
 * call has returned. Whoever calls it from another coroutine than the scope's has to see to that.
 * Never parks. 100 000 waiting members take some ten milliseconds.
 */
LEAT_API void leat_scope_cancel(leat_scope *scope, leat_result cause);

/**
 * leat_scope_cause - why the scope itself was cancelled; 0 it was not. Anywhere, while it is open.
 * Never parks.
 */
LEAT_API leat_result leat_scope_cause(const leat_scope *scope);

/**
 * leat_scope_close - end a scope: wait for the groups that were opened inside and are still open,
 * as leat_group_close() does
 *
 * A scope that was cancelled cancels nothing any more afterwards. The results of the groups are
 * there still: leat_group_close() again.
 *
 * Context:  the coroutine that opened it; it is the innermost open one, and no shield that began in
 *           it is in force. May park if there is such a group, and may come back on another thread.
 * Returns:  0 nothing in it was cancelled; else why: its own cause, or where it had none that of
 *           what is around it (leat_cause()).
 */
LEAT_API leat_result leat_scope_close(leat_scope *scope) LEAT_MAY_PARK;

/**
 * leat_cause - why the calling coroutine is cancelled, if leat_cancelled()
 *
 * The cause of the innermost scope that was cancelled, else of its group: the first member's error,
 * the cause of the scope around it, …; -ESHUTDOWN the run ends; -ECANCELED leat_cancel(),
 * leat_group_cancel().
 *
 * Context: anywhere, never parks. Returns: 0 when cancellation is not in force, and on a plain
 * thread.
 */
LEAT_API leat_result leat_cause(void);

/*
 * A shield: between its begin and its end nothing that was opened before it cancels the calling
 * coroutine, nor does its handle, its group or the end of the run. For clean-up that has to wait. A
 * scope that is opened under it, with a deadline say, works as always, and so do the groups.
 *
 *     leat_shield shield;
 *     leat_scope scope;
 *
 *     leat_shield_begin(&shield);
 *     if (leat_scope_open(&scope, leat_after(LEAT_SEC)) == 0) {
 *         (void)leat_write_all(fd, goodbye, len, LEAT_FOREVER);
 *         (void)leat_scope_close(&scope);
 *     }
 *     leat_shield_end(&shield);
 */
typedef struct leat_shield {
    uint64_t word_[3];
} leat_shield;

/**
 * leat_shield_begin - begin a shield. @shield: memory for it. Anywhere, on a plain thread it does
 * nothing. Never parks, never fails.
 */
LEAT_API void leat_shield_begin(leat_shield *shield);

/**
 * leat_shield_end - what came meanwhile shows now
 *
 * Context: the coroutine (or thread) that began it; it is the innermost one, and no scope that was
 * opened under it is open. Never parks.
 */
LEAT_API void leat_shield_end(leat_shield *shield);

/**
 * leat_defer - have a function called when the calling coroutine ends
 *
 * When its function has returned, or in leat_exit_self(), what was deferred is called with its
 * argument, the youngest first, on the coroutine's stack and under a shield, before its group or
 * whoever joins it hear of the end. It may wait, and may defer more. What @arg points to must be
 * there then: a local variable of a function that has returned is not.
 *
 * Context: a coroutine. Never parks.
 * Returns: 0; -ENOMEM, and then nothing was deferred; -EPERM on a plain thread; -EINVAL @fn is
 * NULL.
 */
LEAT_API int leat_defer(void (*fn)(void *arg), void *arg) LEAT_MUST_CHECK;

/**
 * leat_undefer - take back the youngest leat_defer() of these two. A coroutine; never parks.
 * Returns: false there was none.
 */
LEAT_API bool leat_undefer(void (*fn)(void *arg), void *arg);

/**
 * leat_exit_self - end the calling coroutine, from whatever depth of calls
 * @result: as if its function had returned it
 *
 * Groups of its own that are open are cancelled and waited for, its scopes are closed, deferred
 * clean-up runs, its local values are destroyed. The frames on its stack are left as they are, as
 * by longjmp: no function in between may hold a lock or memory that only its own rest would give
 * back (leat_defer() is for those), nor, in C++, a local object with a destructor.
 *
 * Context: a coroutine, the main one too; not from its clean-up, nor from a callback of the
 * runtime's. May park.
 */
#ifdef __cplusplus
[[noreturn]]
#else
__attribute__((noreturn))
#endif
LEAT_API void
leat_exit_self(leat_result result) LEAT_MAY_PARK;

/**
 * leat_join - wait for a coroutine's end and take its result
 * @handle: from leat_go_join(); given back by a return of 0: a later use of it stops the program.
 * One join at a time, likewise
 * @result: where the function's value goes (0 for a void function), or NULL
 *
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what the coroutine wrote is visible after a return of 0.
 * Returns:  0 it has ended; -ETIMEDOUT @until passed first, -ECANCELED the caller was cancelled
 *           (the handle stays valid in both cases); -ESHUTDOWN a plain thread came after the end of
 *           the run, or waited for a coroutine that was left over when the run ended (also when
 *           @until passes while the run is ending). The handle is gone then.
 */
LEAT_API int leat_join(leat_handle *handle, leat_result *result,
                       leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/** leat_detach - give the handle up without waiting. Anywhere; never parks. */
LEAT_API void leat_detach(leat_handle *handle);

/**
 * leat_cancel - ask one coroutine to end: its waiting calls, and those of the groups that it has
 * opened, give -ECANCELED from now on; nothing if it has ended. Anywhere; never parks.
 */
LEAT_API void leat_cancel(leat_handle *handle);

LEAT_END_DECLS

#endif
