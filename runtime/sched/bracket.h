/*
 * sched/bracket.h - the entry to and the exit from the runtime: what lets the monitor tell user
 * code from the runtime's own, and take the processor away from a worker that stays there.
 *
 * Per worker a `tick` (even: user code or a system call made for it; odd: in the runtime), written
 * by the worker only, and a `request` word on the same line, set by the monitor. The tick is odd
 * for nanoseconds, but for the rare hand-over of a processor; every public call that touches a
 * processor is bracketed:
 *
 *     struct lea_worker *m = lea_enter();      NULL: a plain thread
 *     ...
 *     lea_leave(m);
 *
 * Between an exit and the next entry the processor may be taken away, and the worker learns of it
 * at that entry: m->proc may be NULL after lea_enter(), and after lea_syscall_end(). Whoever comes
 * in without one first tries to get an idle one. Without, a call that never parks acts as on a
 * plain thread. A call that may park uses lea_enter_park(): it waits for a processor, and always
 * comes back with one; what parks after a system call may do so without.
 *
 * Entry obeys requests (slow path, request.c).
 *
 * Ordering pair TICK: a worker stores tick, compiler barrier, reads request; the monitor, which
 * must know that the worker has not passed an entry unseen, stores request, membarrier, reads tick.
 * One of them sees the other. Without membarrier (FENCE is set in every request word) the worker
 * passes a full fence in the slow path, and the monitor one of its own. A request for a slice need
 * not know: it is a hint, and the next entry obeys it. The exit is a release store: what was done
 * inside is visible to whoever sees the even tick.
 */
#ifndef LEA_SCHED_BRACKET_H
#define LEA_SCHED_BRACKET_H

#include "base/mutant.h"
#include "sched/runtime.h"

extern _Thread_local struct lea_worker *lea_self_worker __attribute__((visibility("hidden")));

/*
 * The calling thread's worker, NULL on a plain thread. Never inlined: compilers keep the address of
 * a thread-local over a switch, and the switch may come back on another thread. Each file has its
 * own, and no other use of the thread-local: a compiler that sees how little the call changes keeps
 * the caller's values in registers over it, so that an entry saves none.
 */
__attribute__((noinline, unused)) static struct lea_worker *lea_self(void)
{
    struct lea_worker *m = lea_self_worker;

    lea_barrier(); /* not a pure function: every call reads again */
    return m;
}

void lea_self_set(struct lea_worker *m);

/* The calling thread as one of the pool (offload.h); NULL when it is none. */
struct lea_blocking_thread *lea_self_blocking(void);
void lea_self_blocking_set(struct lea_blocking_thread *t);

void lea_request_obey(struct lea_worker *m); /* may give the processor away */
/* may park; with a processor afterwards */
struct lea_worker *lea_request_obey_park(struct lea_worker *m);
void lea_request_poll(void);                         /* leat_poll(), when there is something */
void lea_request_obey_syscall(struct lea_worker *m); /* whose is the processor? No other request */

/* Any thread: ask for something at the worker's next entry. */
static inline void lea_request_add(struct lea_worker *m, uint32_t bits)
{
    uint32_t r;

    do
        r = lea_u32_load_rlx(&m->request); /* relaxed: the CAS decides */
    while ((r & bits) != bits && !lea_u32_cas(&m->request, r, r | bits)); /* TICK */
}

static inline void lea_tick(struct lea_worker *m)
{
    lea_u32_store_rlx(&m->tick, lea_u32_load_rlx(&m->tick) + 1); /* relaxed: one writer; TICK */
    lea_barrier();                                               /* TICK */
}

/* Is there anything to obey, or no processor? */
static inline bool lea_asked(const struct lea_worker *m)
{
    return LEA_UNLIKELY(lea_u32_load_rlx(&m->request) || !m->proc); /* relaxed: TICK orders it */
}

static inline struct lea_worker *lea_enter(void)
{
    struct lea_worker *m = lea_self();

    if (LEA_UNLIKELY(!m))
        return NULL;
    lea_tick(m);
    if (lea_asked(m))
        lea_request_obey(m);
    return m;
}

static inline struct lea_worker *lea_enter_park(void)
{
    struct lea_worker *m = lea_self();

    if (LEA_UNLIKELY(!m))
        return NULL;
    lea_tick(m);
    if (lea_asked(m))
        m = lea_request_obey_park(m);
    return m;
}

static inline void lea_leave(struct lea_worker *m)
{
    uint32_t next = lea_u32_load_rlx(&m->tick) + 1; /* relaxed: one writer */

    if (LEA_MUTATED(TICK_EXIT_RELAXED))
        lea_u32_store_rlx(&m->tick, next);
    else
        lea_u32_store_rel(&m->tick, next); /* TICK */
}

/* Around a system call made for the coroutine, inside a bracket. */
static inline void lea_syscall_begin(struct lea_worker *m)
{
    lea_leave(m);
}

/*
 * The thread is still the same one; the processor may be another one, or gone. A request for a
 * slice is left for the next entry.
 */
static inline void lea_syscall_end(struct lea_worker *m)
{
    lea_tick(m);
    if (lea_asked(m))
        lea_request_obey_syscall(m);
}

#endif
