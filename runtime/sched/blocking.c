/*
 * Calls that may hang the thread: stepping aside for one that stays on the coroutine's own stack.
 * Contract: include/leat/blocking.h.
 *
 * Who steps aside keeps the right to come back: the owner word says BRACKET, m->proc is NULL,
 * m->bracket names the processor. So every entry in between finds the worker without a processor,
 * and comes back first (lea_proc_reacquire). Whoever wants the processor takes it by a CAS of the
 * word, and the way back is one too (RETAKE, retake.h).
 */
#include "base/mutant.h"
#include "sched/bracket.h"
#include "sched/worker.h"

#include <leat/blocking.h>

void leat_block_enter(void)
{
    struct lea_worker *m = lea_self();
    struct lea_proc *p;

    if (!m)
        return;
    if (LEA_UNLIKELY(m->bracket_depth) && m->bracket_co == m->co) {
        m->bracket_depth++;
        return;
    }
    m = lea_enter();
    m->bracket_depth = 1;
    m->bracket_co = m->co;
    p = m->proc;
    if (LEA_LIKELY(p != NULL)) {
        m->bracket = p;
        m->proc = NULL;
        lea_word_store_rel(&p->owner, lea_proc_word_in(m->word, LEA_PROC_BRACKET)); /* RETAKE */
    }
    lea_leave(m);
}

/* It was taken, or there was none before: an idle one, or on without. */
static __attribute__((noinline)) void leave_without(void)
{
    lea_leave(lea_enter());
}

void leat_block_leave(void)
{
    struct lea_worker *m = lea_self();

    if (!m || !m->bracket_depth || m->bracket_co != m->co || --m->bracket_depth)
        return;
    if (LEA_UNLIKELY(m->bracket ? !lea_bracket_end(m) : !m->proc))
        leave_without();
}
