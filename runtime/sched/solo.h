/*
 * sched/solo.h - a run with one processor needs no locked instructions, as long as nobody without
 * it comes to what its coroutines share.
 *
 * A locked instruction costs as much as a switch, and is there for other threads only. Where a run
 * has one processor, its holder changes the words of channels, mutexes and waitgroups, and the wait
 * words behind them, by plain loads and stores within *solo sections*: some dozens of instructions
 * (for each case, in a select) inside a bracket, without a call that leaves. Everybody else
 * *heeds*: before the first locked instruction on such a word he has solo sections end for good, in
 * this process. Then all is as in a run with many processors, where they are off from the start. So
 * it costs others a look at one word that hardly ever changes, and once a membarrier.
 *
 * Others are: plain threads, before a run too; threads of the pool and the monitor; a worker
 * without a processor, or not in a bracket. The holder in a bracket need not heed anything: what it
 * does by locked instructions comes before or after its own solo sections.
 *
 * The state:
 *   NONE     no run, and nobody has heeded yet
 *   ON       a run with one processor is under way: its holder may go solo
 *   LEAVING  somebody heeds, and waits until the holder is not inside
 *   OFF      for good, but for a program that begins its next run as its only thread
 *
 * Always: while somebody is `inside`, it is the one processor's holder, in a bracket, and nobody
 * who heeds is past lea_solo_heed().
 *
 * Ordering pair SOLO: the holder stores `inside`, compiler barrier, reads the state; who heeds
 * moves the state on, membarrier, reads `inside`. One of them sees the other. Leaving is a release
 * store, which the other's acquire load sees: what was done inside is visible to whoever has
 * heeded. Without membarrier the state is OFF.
 */
#ifndef LEA_SCHED_SOLO_H
#define LEA_SCHED_SOLO_H

#include "sched/bracket.h"

enum lea_solo_state { LEA_SOLO_NONE, LEA_SOLO_ON, LEA_SOLO_LEAVING, LEA_SOLO_OFF };

/* On two lines: everybody reads the one, the holder writes the other. */
extern struct lea_solo {
    _Alignas(LEA_CACHELINE) lea_u32 state;
    _Alignas(LEA_CACHELINE) lea_u32 inside;
} lea_solo __attribute__((visibility("hidden")));

/*
 * A hint: is it worth trying? Also while somebody waits for the holder to leave: that one goes on
 * in a bracket then, where it need not wait for him.
 */
static inline bool lea_solo_may(void)
{
    uint32_t state = lea_u32_load_rlx(&lea_solo.state); /* relaxed: a hint */

    return state == LEA_SOLO_ON || state == LEA_SOLO_LEAVING;
}

/* A hint, for a call that is in a bracket in any case: false too while somebody waits. */
static inline bool lea_solo_is_on(void)
{
    return lea_u32_load_rlx(&lea_solo.state) == LEA_SOLO_ON; /* relaxed: a hint */
}

/*
 * By a worker with a processor, in a bracket, after lea_solo_may(). False: use locked instructions.
 */
static inline bool lea_solo_begin(void)
{
    if (!LEA_MUTATED(SOLO_LOOK_EARLY)) {
        /* relaxed: membarrier orders it; SOLO */
        lea_u32_store_rlx(&lea_solo.inside, 1);
        lea_barrier();
    }
    if (LEA_UNLIKELY(lea_u32_load_acq(&lea_solo.state) != LEA_SOLO_ON)) { /* SOLO */
        lea_u32_store_rel(&lea_solo.inside, 0);
        return false;
    }
    if (LEA_MUTATED(SOLO_LOOK_EARLY))
        lea_u32_store_rlx(&lea_solo.inside, 1);
    return true;
}

static inline void lea_solo_end(void)
{
    if (LEA_MUTATED(SOLO_END_RELAXED))
        lea_u32_store_rlx(&lea_solo.inside, 0);
    else
        lea_u32_store_rel(&lea_solo.inside, 0); /* SOLO */
}

/*
 * An entry for a solo section alone: nothing is obeyed, so it never loses the processor. NULL:
 * there is none, it may be about to be taken, the run wants every entry to be a full one, or one of
 * the requests @also is there; or the calling thread is in a bracket already, in user code that the
 * runtime calls (a constructor of C++, an allocator).
 */
static inline struct lea_worker *lea_solo_enter(uint32_t also)
{
    struct lea_worker *m = lea_self();

    if (LEA_UNLIKELY(!m || (lea_u32_load_rlx(&m->tick) & 1))) /* relaxed: its own */
        return NULL;
    lea_tick(m);
    /* relaxed: TICK orders it */
    if (LEA_LIKELY(m->proc && !(lea_u32_load_rlx(&m->request) &
                                (LEA_REQUEST_TAKE | LEA_REQUEST_CHAOS | LEA_REQUEST_FENCE | also))))
        return m;
    lea_leave(m);
    return NULL;
}

/*
 * As lea_enter(), for a call that never parks: a request to share the processor is left for the
 * next entry, since to give it away in the middle of a call would end solo sections. For a loop of
 * such calls the monitor asks again, by TAKE, which is obeyed.
 */
static inline struct lea_worker *lea_solo_enter_any(void)
{
    struct lea_worker *m = lea_solo_may() ? lea_solo_enter(0) : NULL;

    return m ? m : lea_enter();
}

/* Is the calling thread in a bracket already? */
static inline bool lea_solo_nested(void)
{
    const struct lea_worker *m = lea_self();

    return m && (lea_u32_load_rlx(&m->tick) & 1); /* relaxed: its own */
}

/* The same for a call that needs no bracket: NULL too where there is one already. */
static inline struct lea_worker *lea_solo_enter_once(void)
{
    return lea_solo_nested() ? NULL : lea_solo_enter_any();
}

void lea_solo_heed_slow(void);

/*
 * Before a locked instruction on what solo sections change; anybody, any number of times. Waits for
 * a section to end, at most.
 */
static inline void lea_solo_heed(void)
{
    if (LEA_UNLIKELY(lea_u32_load_acq(&lea_solo.state) != LEA_SOLO_OFF) &&
        !LEA_MUTATED(SOLO_UNHEEDED))
        lea_solo_heed_slow();
}

/* The same, by who has a worker at hand, NULL for a plain thread; a worker is in a bracket. */
static inline void lea_solo_heed_by(const struct lea_worker *m)
{
    if (LEA_UNLIKELY(!m || !m->proc))
        lea_solo_heed();
}

/*
 * A run begins, before its workers do. @may: it has one processor, membarrier, and no LEAT_CHAOS.
 * @only: the process has one thread, so nobody is in the middle of anything.
 */
void lea_solo_run_begins(bool may, bool only);
/* Its workers have left. */
void lea_solo_run_ended(void);
/* In a child that was forked: it has one thread. */
void lea_solo_forked(void);

#endif
