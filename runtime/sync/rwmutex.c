/*
 * Many readers or one writer: the writers, and what both sides do under LOCK. Invariants and
 * ordering: rwmutex.h.
 */
#include "sync/rwmutex.h"

#include "base/delay.h"
#include "sched/membarrier.h"
#include "sched/stray.h"
#include "sched/wrong.h"
#include "sync/mutex.h"
#include "sync/spin.h"

#include <errno.h>

/* So many looks, a second or so, and it is a copy. */
#define COPY_SURE_ROUNDS 10000u

intptr_t lea_rw_sum(const struct lea_rw *x)
{
    uintptr_t n = 0;

    for (unsigned i = 0; i < LEA_RW_SLOTS; i++)
        n += lea_word_load_acq(&x->slot[i].count); /* RW-LEAVE */
    return (intptr_t)n;
}

void lea_rw_check_not_copied(const struct lea_rw *x, uintptr_t w, const char *call)
{
    LEA_RIGHT(!(w & ~LEA_RW_FLAGS) || (w & ~LEA_RW_FLAGS) == (uintptr_t)x, call,
              "rwmutex %p is a copy of %p, made while that was locked", (const void *)x,
              (void *)(w & ~LEA_RW_FLAGS));
}

/*
 * LOCK is held. The word has not our address: of a lock that was not used before, or was moved, or
 * of a copy. The first two have no readers, but for such as are about to find that they may not
 * come in, on a thread that may have been descheduled.
 */
static __attribute__((noinline)) void check_new_locked(const struct lea_rw *x, uintptr_t w,
                                                       const char *call)
{
    unsigned round = 0;

    if (!(w & ~LEA_RW_FLAGS))
        return;
    while (!(w & LEA_RW_WRITER) && lea_rw_sum(x) != 0 && round < COPY_SURE_ROUNDS)
        lea_relax(&round);
    LEA_RIGHT(!(w & LEA_RW_WRITER) && lea_rw_sum(x) == 0, call,
              "rwmutex %p is a copy of %p, made while that was locked", (const void *)x,
              (void *)(w & ~LEA_RW_FLAGS));
}

uintptr_t lea_rw_enter(struct lea_rw *x, const char *call)
{
    uintptr_t w = lea_word_lock(&x->word);

    if (LEA_UNLIKELY((w & ~LEA_RW_FLAGS) != (uintptr_t)x)) {
        check_new_locked(x, w, call);
        w = (uintptr_t)x;
    }
    return w;
}

void lea_rw_look_locked(struct lea_rw *x, struct lea_wakes *wakes)
{
    struct lea_waiter *waiter = x->drainer;

    if (!waiter || lea_rw_sum(x) != 0)
        return;
    x->drainer = NULL;
    (void)lea_waiter_claim(waiter, LEA_WAKE_DONE, wakes);
}

/* All readers that have been let in are in the slots by now. */
static void see_readers(void)
{
    if (!LEA_MUTATED(RW_NO_MEMBARRIER))
        lea_membarrier(); /* RW-READ, RW-LEAVE, RW-QUICK */
}

/*
 * Nobody but the caller's own thread, in a bracket, passes no fence at this moment: who has an own
 * slot is a worker of this run then, and not astray.
 */
static inline bool sees_readers(struct lea_worker *m)
{
    return m && m->rt->own_slots && lea_none_astray(m); /* RW-READ, RW-LEAVE */
}

/* Readers go on meanwhile, by fences. It may be set again before they are shut out. */
static void take_bias_back(struct lea_rw *x)
{
    uintptr_t w =
        (uintptr_t)x | LEA_RW_BIAS; /* nobody has LOCK, or there will be two membarriers */

    if (!lea_word_cas(&x->word, w, (uintptr_t)x))
        return;
    lea_delay_point(RW_READ);
    see_readers();
}

/* The writers' mutex is held. No reader comes in from now on. In a bracket. */
static void shut(struct lea_rw *x, struct lea_worker *m)
{
    bool biased = lea_word_load_rlx(&x->word) & LEA_RW_BIAS; /* relaxed: a hint */
    bool sees = biased && sees_readers(m);
    unsigned round = 0;
    uintptr_t w, next;

    if (biased && !sees)
        take_bias_back(x);
    for (;;) {
        w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */
        if (LEA_LIKELY(!(w & LEA_WORD_LOCK))) {
            next = (uintptr_t)x | LEA_RW_WRITER | (sees ? w & LEA_RW_BIAS : 0);
            if (lea_word_cas(&x->word, w, next)) /* RW-READ, RW-LEAVE */
                break;
        }
        lea_relax(&round);
    }
    lea_delay_point(RW_READ);
    if (lea_spin_may(m)) /* relaxed: a hint; with one processor a write mostly pays nothing */
        lea_word_store_rlx(&x->writes, lea_word_load_rlx(&x->writes) + 1);
    if ((w ^ next) & LEA_RW_BIAS)
        see_readers();
    else if (!LEA_MUTATED(RW_WRITE_FENCE))
        lea_fence_after_rmw(); /* RW-READ, RW-LEAVE */
}

/* Readers come in again. */
static void open_again(struct lea_rw *x, struct lea_worker *m, const struct lea_waiter *mine,
                       const char *call)
{
    struct lea_wakes wakes;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    w = lea_word_lock(&x->word);
    lea_rw_check_not_copied(x, w, call);
    if (mine) {
        if (x->drainer == mine && !LEA_MUTATED(RW_DRAINER_KEPT))
            x->drainer = NULL;
    } else {
        LEA_RIGHT((w & LEA_RW_WRITER) && !x->drainer, call,
                  "rwmutex %p is not locked for writing (word %#lx)", (void *)x, (unsigned long)w);
    }
    if (!mine || !LEA_MUTATED(RW_GAVE_UP_SHUT))
        lea_rw_let_in_locked(x, &wakes);
    lea_word_unlock(&x->word, (uintptr_t)x | (w & LEA_RW_BIAS)); /* RW-WRITE */
    lea_wakes_deliver(&wakes, m);
}

/*
 * WRITER is set by us. True: all readers have left meanwhile. If not, those that run will not soon,
 * and whoever leaves from now on passes a fence.
 */
static bool spin_out(struct lea_rw *x, const struct lea_worker *m)
{
    uintptr_t quick = lea_word_load_rlx(&x->quick); /* relaxed: a writer's own */

    for (int i = 0; lea_spin_may(m) && i < LEA_SPIN_ROUNDS; i++) {
        if (lea_rw_sum(x) == 0) {
            /* where there is a membarrier; relaxed: a hint */
            if (m && m->rt->own_slots && !lea_u32_load_rlx(&lea_membarrier_known.refused))
                lea_word_store_rlx(&x->quick, quick + 1); /* relaxed: RW-QUICK */
            return true;
        }
        lea_pause();
    }
    lea_word_store_rlx(&x->quick, 0); /* relaxed: RW-QUICK */
    if (quick >= LEA_RW_QUICK_WRITES && !LEA_MUTATED(RW_QUICK_UNSEEN))
        see_readers();
    return false;
}

/* WRITER is set by us. Wait until all readers have left. */
static enum lea_wake drain(struct lea_rw *x, struct lea_worker **m, int64_t until_ns, bool shielded,
                           const char *call)
{
    struct lea_waiter waiter;
    enum lea_wake code;
    uintptr_t w;
    bool gone;

    if (LEA_LIKELY(spin_out(x, *m)))
        return LEA_WAKE_DONE;
    lea_waiter_begin(&waiter, *m);
    w = lea_word_lock(&x->word);
    gone = !LEA_MUTATED(RW_NO_SECOND_SUM) && lea_rw_sum(x) == 0;
    if (!gone)
        x->drainer = &waiter;
    lea_word_unlock(&x->word, w);
    if (gone)
        return LEA_WAKE_DONE;
    if (LEA_LIKELY(*m != NULL))
        lea_co_waits_for((*m)->co, x);
    code = lea_waiter_wait(&waiter, m, LEA_REASON_RWMUTEX, until_ns, shielded);
    if (code == LEA_WAKE_DONE)
        return code;
    open_again(x, *m, &waiter, call);
    lea_mutex_unlock(&x->writers, *m, call);
    return code;
}

static enum lea_wake write_slow(struct lea_rw *x, struct lea_worker **m, int64_t until_ns,
                                bool shielded, const char *call)
{
    enum lea_wake code;
    intptr_t n;

    if (LEA_UNLIKELY((lea_word_load_rlx(&x->word) & ~LEA_RW_FLAGS) !=
                     (uintptr_t)x)) /* relaxed: LOCK orders it */
        lea_word_unlock(&x->word, lea_rw_enter(x, call));
    code = lea_mutex_lock_for(&x->writers, m, until_ns, shielded, LEA_REASON_RWMUTEX, x);
    if (code != LEA_WAKE_DONE)
        return code;
    shut(x, *m);
    n = lea_rw_sum(x);
    LEA_RIGHT(n >= 0, call, "rwmutex %p was unlocked by readers %ld times too often", (void *)x,
              (long)-n);
    if (LEA_LIKELY(n == 0))
        return LEA_WAKE_DONE;
    return drain(x, m, until_ns, shielded, call);
}

static int write_until(struct lea_rw *x, int64_t until_ns, bool shielded, const char *call)
{
    struct lea_worker *m = lea_enter_park();
    enum lea_wake code = LEA_WAKE_CANCEL;

    if (shielded || !m || LEA_LIKELY(!lea_co_cancelled(m->co)))
        code = write_slow(x, &m, until_ns, shielded, call);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

void leat_rwmutex_lock(leat_rwmutex *rw)
{
    (void)write_until(lea_rw_inner(rw), INT64_MAX, true, "leat_rwmutex_lock");
}

int leat_rwmutex_lock_until(leat_rwmutex *rw, leat_deadline until)
{
    return write_until(lea_rw_inner(rw), until.ns, false, "leat_rwmutex_lock_until");
}

int leat_rwmutex_try(leat_rwmutex *rw)
{
    static const char call[] = "leat_rwmutex_try";
    struct lea_rw *x = lea_rw_inner(rw);
    struct lea_waiter nobody;
    struct lea_worker *m;
    bool in;

    if (LEA_UNLIKELY((lea_word_load_rlx(&x->word) & ~LEA_RW_FLAGS) !=
                     (uintptr_t)x)) /* relaxed: LOCK orders it */
        lea_word_unlock(&x->word, lea_rw_enter(x, call));
    if (leat_mutex_try(&x->writers) != 0)
        return -EAGAIN;
    m = lea_enter();
    shut(x, m);
    in = lea_rw_sum(x) == 0;
    if (!in) {
        open_again(x, m, &nobody, call);
        lea_mutex_unlock(&x->writers, m, call);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return in ? 0 : -EAGAIN;
}

void leat_rwmutex_unlock(leat_rwmutex *rw)
{
    struct lea_worker *m = lea_enter();
    struct lea_rw *x = lea_rw_inner(rw);

    open_again(x, m, NULL, "leat_rwmutex_unlock");
    lea_mutex_unlock(&x->writers, m, "leat_rwmutex_unlock");
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

void leat_rwmutex_destroy(leat_rwmutex *rw)
{
    static const char call[] = "leat_rwmutex_destroy";
    struct lea_rw *x = lea_rw_inner(rw);
    uintptr_t w = lea_word_load_acq(&x->word); /* WORD */

    LEA_RIGHT(!(w & LEA_RW_WRITER), call, "rwmutex %p is locked, or waited for", (void *)x);
    LEA_RIGHT(lea_rw_sum(x) == 0, call, "rwmutex %p is locked for reading", (void *)x);
    leat_mutex_destroy(&x->writers);
}
