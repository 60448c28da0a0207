/*
 * sched/sched.h - what the layers above use: parking, making ready, waiting with a deadline,
 * spawning. (L4 calls these; nothing here knows what is waited for.)
 *
 * `m` is the calling worker in a bracket (bracket.h), NULL on a plain thread. A call that parks
 * returns the worker that the coroutine is on afterwards: forget the old one.
 */
#ifndef LEA_SCHED_SCHED_H
#define LEA_SCHED_SCHED_H

#include "sched/bracket.h"

#include <errno.h>

/*
 * The run that is under way, or NULL. A plain thread must hold it (lea_rt_hold) while it uses it.
 */
struct lea_runtime *lea_rt(void);
struct lea_runtime *lea_rt_hold(void);
void lea_rt_drop(void);

/*
 * By an attached thread that is about to cease to be one: as lea_rt_hold(), of the run that it is
 * in, which may have ended for others.
 */
void lea_rt_keep(void);

/*
 * What a call gives that finds no run, or no coroutine: `usual`, or -ENOTSUP in a child that was
 * forked in the middle of a run.
 */
int lea_outside(int usual);

/* --- park.c --- */

/*
 * Suspend the running coroutine. `commit` runs after its registers are saved, off its stack, and
 * publishes it; it returns false when the wait is over already. Lowest level: no deadline, no
 * cancellation.
 */
struct lea_worker *lea_park(struct lea_worker *m, enum lea_reason reason, lea_commit commit,
                            void *arg);

/* Of lea_park_until() only. Suspends until the ticket is claimed. */
struct lea_worker *lea_park_ticket(struct lea_worker *m, enum lea_reason reason, uintptr_t ticket,
                                   bool shielded);
/*
 * Of lea_park_ticket() only. The commit of a wait with a ticket; arg: the ticket, shifted, with the
 * shield bit.
 */
bool lea_park_arm(struct lea_worker *m, struct lea_co *g, void *arg);
/* Of lea_park_until() only. False: the wait is over. */
bool lea_park_timer(struct lea_worker **m, uintptr_t ticket, int64_t until_ns, bool shielded);

/*
 * Wait for the claim of `ticket` (co.h), which was taken by lea_co_ticket() and handed out to
 * wakers before this call. Returns how the wait
 * ended: what the claimer said, LEA_WAKE_TIMEOUT, or LEA_WAKE_CANCEL (never when shielded).
 * Afterwards nobody holds the ticket for anything: the caller takes itself off waiter lists.
 */
static inline enum lea_wake lea_park_until(struct lea_worker **m, enum lea_reason reason,
                                           uintptr_t ticket, int64_t until_ns, bool shielded)
{
    struct lea_co *g = (*m)->co;

    if (until_ns == INT64_MAX || lea_park_timer(m, ticket, until_ns, shielded))
        *m = lea_park_ticket(*m, reason, ticket, shielded);
    return lea_co_wake_code(g);
}

/*
 * As lea_park_until() without a deadline, not shielded, of a wait that ends by nobody who does not
 * heed (solo.h): by who finds it in a list that is changed in solo sections, and by cancellation.
 */
enum lea_wake lea_park_listed(struct lea_worker **m, enum lea_reason reason, uintptr_t ticket);

/* To the tail of the local queue, or at once when nobody else is ready. */
struct lea_worker *lea_yield(struct lea_worker *m);

/* --- ready.c --- */

/* Make a claimed or new coroutine ready. Any thread; no chan or sync lock held. */
void lea_ready(struct lea_runtime *rt, struct lea_worker *m, struct lea_co *g);
void lea_ready_list_all(struct lea_runtime *rt, struct lea_worker *m, struct lea_ready_list *list);

/* --- late.c --- */

/*
 * As lea_ready() for a new coroutine, which begins at at_ns. Whoever cancels it may do so from now
 * on.
 */
void lea_ready_at(struct lea_runtime *rt, struct lea_worker *m, struct lea_co *g, int64_t at_ns);

/*
 * At the beginning of one that was made ready so, on its own stack: is it to run? False: it was
 * cancelled, its arguments are destroyed.
 */
bool lea_late_begins(struct lea_worker **m);

/* --- spawn.c --- */

struct lea_spawn {
    const struct leat_site_ *site;
    const void *args;
    size_t bytes;
    enum lea_class prio_class;
    size_t stack_bytes;        /* 0: the default */
    const char *name;          /* copied; NULL none */
    struct lea_end_hook *hook; /* told of its end; NULL none */
    bool cancelled;            /* born with cancellation asked for */
    int64_t start_ns;          /* for the caller, who makes it ready: when; 0 at once */
};

/*
 * Begin a coroutine, not ready yet. Returns: 0; -EAGAIN, -ENOMEM, -ESHUTDOWN, -EINVAL. Any thread.
 */
int lea_spawn(struct lea_runtime *rt, struct lea_worker *m, const struct lea_spawn *what,
              struct lea_co **out);

/* Coroutines that have not ended. A number of one instant. */
uint64_t lea_alive(struct lea_runtime *rt);

/*
 * The errno value that belongs to the end of a wait: -ETIMEDOUT, -ECANCELED; 0 for LEA_WAKE_DONE.
 */
static inline int lea_wake_errno(enum lea_wake code)
{
    if (LEA_LIKELY(code == LEA_WAKE_DONE))
        return 0;
    return code == LEA_WAKE_TIMEOUT                             ? -ETIMEDOUT
           : code == LEA_WAKE_CANCEL || code == LEA_WAKE_CLOSED ? -ECANCELED
                                                                : 0;
}

#endif
