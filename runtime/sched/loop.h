/*
 * sched/loop.h - between two coroutines: the switch, and what happens right after it.
 *
 * Whoever is switched to first lands: it runs the commit of the coroutine that has just left (law
 * 1), on its own stack. That is the next coroutine's stack after a direct switch, the worker's
 * otherwise. Until then nobody can find the one that left. Where there is one processor only, who
 * yields (park.c), or parks in a solo section (park.h), leaves without a commit: whoever finds it
 * cannot run it before the switch.
 */
#ifndef LEA_SCHED_LOOP_H
#define LEA_SCHED_LOOP_H

#include "base/check.h"
#include "base/mutant.h"
#include "sched/ready.h"
#include "sched/sched.h"

/* Where every coroutine begins. arg: its worker. */
void lea_loop_begin(void *arg);

/*
 * Give a ready coroutine that has none a stack. False: no memory for its guard, it has gone back to
 * the inject queue; or it keeps to another thread (bound.h), which runs it now.
 */
bool lea_loop_bind(struct lea_worker *m, struct lea_co *g);

/* The commit of whoever left for us. A refusal makes it ready again. */
static inline void lea_loop_land(struct lea_worker *m)
{
    lea_commit commit = m->commit;

    if (commit) {
        struct lea_co *left = m->left;

        m->commit = NULL;
        if (!commit(m, left, m->commit_arg))
            lea_ready(m->rt, m, left);
    }
}

/*
 * From a coroutine's stack or the worker's, which has processor p: whom to run next, with a stack.
 * NULL: nothing here.
 */
__attribute__((always_inline)) static inline struct lea_co *lea_loop_next(struct lea_worker *m,
                                                                          struct lea_proc *p)
{
    struct lea_co *g = lea_find_local(p);

    if (g && LEA_UNLIKELY(!g->stack) && !lea_loop_bind(m, g))
        return NULL;
    return g;
}

/* Make it the running one. True: that is to be traced. */
static inline bool lea_loop_enter_untraced(struct lea_worker *m, struct lea_co *g)
{
    struct lea_proc *p = m->proc;

    LEA_ASSERT(lea_proc_is_of(p, m));
    m->co = g;
    lea_u32_store_rlx(&g->state, LEA_RUNNING); /* relaxed: for reports */
    lea_count(p, LEA_COUNT_RUN, 1);
    return p->trace != NULL;
}

static inline void lea_loop_enter(struct lea_worker *m, struct lea_co *g)
{
    if (LEA_UNLIKELY(lea_loop_enter_untraced(m, g)))
        lea_trace_put(m->proc->trace, LEA_EVENT_RUN, lea_co_id(g), 0);
}

/*
 * Leave the running coroutine `self` for `g` (already chosen), or for the worker's own stack when g
 * is NULL. Comes back when somebody runs `self` again, with the worker that does. Not inline: all
 * coroutines leave from one place, so that the processor guesses right where a switch returns to
 * (4.7 ns against 16). No commit of its own: lea_loop_leave().
 */
struct lea_worker *lea_loop_switch(struct lea_worker *m, struct lea_co *self, struct lea_co *g);

/* The same, and `commit` publishes `self` afterwards. */
static inline struct lea_worker *lea_loop_leave(struct lea_worker *m, struct lea_co *self,
                                                struct lea_co *g, lea_commit commit, void *arg)
{
    if (LEA_MUTATED(COMMIT_EARLY) && !commit(m, self, arg))
        lea_ready(m->rt, m, self);
    m->commit = LEA_MUTATED(COMMIT_EARLY) ? NULL : commit;
    m->commit_arg = arg;
    m->left = self;
    return lea_loop_switch(m, self, g);
}

/*
 * The coroutine that runs here ends with this result, from whatever depth. What it stands on is
 * left as it is.
 */
void lea_loop_exit(struct lea_co *g, leat_result result) __attribute__((noreturn));

/* A worker's own loop, on its own stack, until the run ends or it has no processor. */
void lea_loop_run(struct lea_worker *m);

#endif
