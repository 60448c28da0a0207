/*
 * sched/stray.h - a run with one processor: does another worker than its holder run user code?
 *
 * A worker is *astray* that had the processor, has lost it by a hand-over (it was taken, or given
 * away, as for a coroutine that is bound), and still runs user code, or a system call made for it.
 * While nobody is astray, the workers' user code runs one after the other, and sees all that was
 * done before: what they leave to be seen later (sync/rwmutex.h) is seen by the holder without a
 * membarrier. Plain threads and attached ones run beside it at any time, and are not meant.
 *
 * Always: without a hand-over nobody comes to be astray. So a holder who finds nobody notes its
 * owner word with the processor: until that is another one, the next look is one comparison.
 *
 * The look is one under the run's lock, which each worker takes on its way out of user code, onto
 * the spare list or out of its thread: so all that it did is seen. A worker that somebody is about
 * to hand the processor to, most whose thread is just beginning, one that is bound, parked or not,
 * and an attached thread pass for astray there: a No says nothing.
 */
#ifndef LEA_SCHED_STRAY_H
#define LEA_SCHED_STRAY_H

#include "base/mutant.h"
#include "sched/runtime.h"

bool lea_none_astray_slow(struct lea_worker *m);

/*
 * By a worker in a bracket. True: nobody is astray, nor will be before it leaves. Within another
 * bracket (user code that the runtime calls: a constructor of C++, an allocator) the tick is even,
 * and the processor may be taken: no answer there.
 */
static inline bool lea_none_astray(struct lea_worker *m)
{
    const struct lea_proc *p = m->proc;

    if (!p || !p->alone || !(lea_u32_load_rlx(&m->tick) & 1)) /* relaxed: its own */
        return false;
    if (LEA_MUTATED(STRAY_NOTE_KEPT) ? p->none_astray != 0 : LEA_LIKELY(p->none_astray == m->word))
        return true;
    return lea_none_astray_slow(m);
}

#endif
