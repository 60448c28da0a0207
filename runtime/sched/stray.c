/*
 * Is anybody in user code without the processor? See stray.h.
 */
#include "sched/stray.h"

__attribute__((noinline)) bool lea_none_astray_slow(struct lea_worker *m)
{
    struct lea_runtime *rt = m->rt;
    bool none;

    lea_lock_take(&rt->lock);
    none = rt->nr_workers - rt->nr_gone - rt->nr_spare == 1;
    lea_lock_drop(&rt->lock);
    if (none)
        m->proc->none_astray = m->word;
    return none || LEA_MUTATED(STRAY_UNSEEN);
}
