/*
 * sched/gather.h - small work that several processors share, gathered on one of them.
 *
 * Coroutines that wait for each other all the time, at a semaphore, a channel, a mutex, are woken
 * where their waker runs. Two processors that share such work pass them to and fro, with all the
 * cache lines that they and what they wait at consist of: a turn of 30 ns takes 100 to 500 then, so
 * that one processor alone may do more than both. Nobody can know that beforehand, so it is tried:
 *
 *  - A processor counts those that running coroutines wake there and that had parked at one with a
 *    lower number. Where that is one in 8 of its turns, turns are short on both sides, and few
 *    wait, it gives that other one all that is ready here, and all that becomes so in its next
 *    turns, for up to 100 µs; by then it has nothing left, most likely, and looks for work
 *    elsewhere.
 *  - Who is given coroutines compares how many turns it takes in LEA_GATHER_TRY_NS with what all
 *    that take part took before: the attempt is right if they are no fewer, within a sixteenth.
 *    From its begin, and as long as it was right, work there counts as small up to
 *    LEA_GATHER_TURN_NS a turn, so that nobody wakes for it, and thieves leave it alone, until its
 *    owner or a thief sees that somebody has waited there for LEA_AGE_NS. Was it wrong, its owner
 *    wakes another one, which takes its half.
 *  - Neither holds for ever. A right attempt is undone after a pause, or when somebody has waited
 *    for LEA_AGE_NS, and made anew if they share still; a wrong one is made anew after a pause.
 *    That is 2 ms, doubled each time that it comes out the same, a quarter of a second at most. An
 *    attempt that others undo again and again is wrong, and so is one that cannot be judged, since
 *    its owner sleeps for long.
 *  - Not in a run without a monitor, which owes no wake-ups, nor with LEAT_CHAOS.
 *
 * Turns are no perfect measure of what gets done. Where they do more each on one processor (they
 * fill a channel before they wait) a gain may be taken for a loss, and the other way round.
 *
 * What is given goes into the other one's backlog, `over`, which its owner looks at within 61 turns
 * or 100 µs, a turn that lasts longer aside, of which the monitor knows; ordering pair IDLE-GATHER,
 * idle.h. All else are hints: a rate that is told twice or not at all makes for one wrong attempt.
 */
#ifndef LEA_SCHED_GATHER_H
#define LEA_SCHED_GATHER_H

#include "sched/runtime.h"

#ifndef LEA_GATHER_TRY_NS
#define LEA_GATHER_TRY_NS 200000
#endif

/* Owner only, not of the only one: a coroutine is woken here. */
static inline void lea_gather_note(struct lea_proc *p, const struct lea_co *g)
{
    /* relaxed: it has parked, and is ours; 0 is beyond all */
    uint32_t at = lea_state_parks_at(lea_u32_load_rlx(&g->state)) - 1;

    if (LEA_UNLIKELY(at < p->index)) {
        p->gather.nr_strangers++;
        p->gather.stranger_of = at;
    }
}

/*
 * Owner only, at each look around (find.h). @aged: somebody has waited in the ring for long. Sets
 * `to` when there is something to be given.
 */
void lea_gather_look(struct lea_proc *p, bool aged, int64_t now);

/* Owner only, while `to` is set: gives it what is ready here, or ends that. */
void lea_gather_give(struct lea_proc *p);

#endif
