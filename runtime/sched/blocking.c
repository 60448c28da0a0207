/*
 * Calls that may hang the thread: stepping aside for one that stays on the coroutine's own stack.
 * Contract: include/leat/blocking.h.
 *
 * Who steps aside keeps the right to come back: the owner word says BRACKET, m->proc is NULL,
 * m->bracket names the processor. So every entry in between finds the worker without a processor,
 * and comes back first (lea_proc_reacquire). The monitor takes the processor as from who has not
 * stepped aside, only sooner (retake.h). So the way back is an entry: without a request there the
 * word is as good as ours, whatever the monitor is about to do, and a store says so.
 */
#include "base/delay.h"
#include "base/mutant.h"
#include "sched/bracket.h"
#include "sched/worker.h"

#include <leat/blocking.h>

void leat_block_enter(void)
{
    struct lea_worker *m = lea_self();
    struct lea_proc *p;

    /* relaxed: its own. In a bracket: a constructor of C++ that go() calls does not step aside */
    if (!m || LEA_UNLIKELY(lea_u32_load_rlx(&m->tick) & 1))
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

bool lea_bracket_end(struct lea_worker *m)
{
    struct lea_proc *p = m->bracket;

    m->bracket = NULL;
    m->last_proc = p;
    for (;;) {
        uintptr_t w = lea_word_load_acq(&p->owner);

        if (w != lea_proc_word_in(m->word, LEA_PROC_BRACKET) &&
            w != lea_proc_word_in(m->word, LEA_PROC_PENDING) && !LEA_MUTATED(BRACKET_PLAIN))
            return false;
        lea_delay_point(RETAKE);
        if (LEA_MUTATED(BRACKET_PLAIN))
            lea_word_store_rel(&p->owner, m->word);
        else if (!lea_word_cas(&p->owner, w, m->word)) /* RETAKE */
            continue;
        m->proc = p;
        return true;
    }
}

/* Come back. False: it was taken meanwhile. */
static inline bool come_back(struct lea_worker *m)
{
    struct lea_proc *p = m->bracket;
    bool ours = true;

    lea_tick(m);
    /* relaxed: TICK orders it */
    if (LEA_LIKELY(!lea_u32_load_rlx(&m->request)) || LEA_MUTATED(BRACKET_UNASKED)) {
        lea_word_store_rel(&p->owner, m->word); /* RETAKE */
        m->bracket = NULL;
        m->last_proc = p;
        m->proc = p;
    } else {
        ours = lea_bracket_end(m);
    }
    lea_leave(m);
    return ours;
}

/* It was taken, or there was none before: an idle one, or on without. */
static __attribute__((noinline)) void leave_without(void)
{
    lea_leave(lea_enter());
}

void leat_block_leave(void)
{
    struct lea_worker *m = lea_self();

    /* relaxed: its own */
    if (!m || !m->bracket_depth || m->bracket_co != m->co ||
        LEA_UNLIKELY(lea_u32_load_rlx(&m->tick) & 1) || --m->bracket_depth)
        return;
    if (LEA_UNLIKELY(m->bracket ? !come_back(m) : !m->proc))
        leave_without();
}
