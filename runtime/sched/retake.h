/*
 * sched/retake.h - taking a processor away from a worker that stays outside the runtime, without
 * stopping that worker.
 *
 * The worker computes and never calls (a hog), or sleeps in a system call that the runtime does not
 * know of, or has stepped aside (blocking.c) and not come back yet. Whoever waits for its processor
 * runs on another worker; it goes on by itself, under the kernel's scheduler, and learns of its
 * loss at its next entry.
 *
 *   monitor                                            worker
 *   owner word and tick stand still for the window
 *   CAS OWNED -> PENDING
 *   request |= TAKE
 *   membarrier, one for all suspects                   entry: tick + 1, compiler barrier, request?
 *   tick has moved: CAS PENDING -> OWNED                 CAS PENDING -> OWNED: still ours
 *   else CAS PENDING -> TAKEN: hands it over             any other word: it was taken
 *
 * From who has stepped aside it is the same, with BRACKET for OWNED on the monitor's side. He goes
 * and comes back by an entry: where that finds no request, the monitor will find that the tick has
 * moved, and takes nothing. So the word, BRACKET or PENDING or about to be, is written over.
 *
 * By the pair TICK (bracket.h) either the monitor sees the entry, or the entry sees the request.
 * Ordering pairs.
 *  RETAKE   the owner word is one atomic for both sides, and holds owner and count: whoever changes
 *           it by CAS from what he has seen knows that nothing happened meanwhile; the owner may
 *           store it in a bracket that found no request, or has answered it. The monitor's acquire
 *           load of the even tick sees all that the worker did to the processor; the hand-over
 *           passes it on.
 *
 * The window only decides when, and whether it is worth it; safety does not depend on it. A worker
 * is classified by its thread's CPU clock and state: a hog has used the CPU, a blocked one sleeps,
 * and one that the kernel has descheduled is left alone. Two looks with a twentieth part of the
 * window between them are enough to know a blocked one: asleep at both, the same tick, no CPU time
 * used. A late look begins anew (monitor.c): it proves nothing of what it saw before.
 */
#ifndef LEA_SCHED_RETAKE_H
#define LEA_SCHED_RETAKE_H

#include "sched/hog.h"
#include "sched/runtime.h"

/* The monitor's notes on the owner of one processor. */
struct lea_stand {
    uintptr_t word; /* owner word and tick, as they were first seen */
    uint32_t tick;
    int64_t since_ns; /* when that was */
    /* its CPU clock when first read, at the last reading, and when that was; cpu_at_ns 0: never */
    int64_t cpu_first_ns, cpu_ns, cpu_at_ns;
    struct lea_hog hog; /* who has computed here for long, and may still do so elsewhere */
    bool counted;       /* as a long section in the runtime */
    bool asleep;        /* its thread slept when it was first seen there */
    bool suspect;       /* it is to be taken: */
    enum lea_take why;
    struct lea_worker *to;
};

/* What may be done about a processor that stands still while somebody waits for it. */
enum lea_verdict {
    LEA_VERDICT_NO,   /* nothing, or not before long */
    LEA_VERDICT_SOON, /* look again soon */
    LEA_VERDICT_TAKE,
};

/*
 * Worker: TAKE was requested. Afterwards m->proc is NULL if the processor was taken. In a bracket.
 */
void lea_retake_answer(struct lea_worker *m);

/* Monitor: is the owner still where it was at the last look? Notes it anew if not. */
bool lea_stand_still(struct lea_runtime *rt, const struct lea_proc *p, struct lea_stand *s,
                     int64_t now);

/*
 * Monitor: the owner was seen there for the first time, outside, and somebody waits. Does its
 * thread sleep? Then a second look that finds it so takes the processor: it need not have stood
 * still between two looks of the usual period before.
 */
bool lea_stand_asleep(struct lea_runtime *rt, struct lea_stand *s, int64_t now);

/* Monitor, somebody waits for this processor, and the owner stands still. */
enum lea_verdict lea_stand_judge(struct lea_runtime *rt, struct lea_stand *s, int64_t now);

/*
 * Monitor: take the processors of the suspects, stand[i] for proc[i]. False: no thread to be had
 * for all of them.
 */
bool lea_retake(struct lea_runtime *rt, struct lea_stand *stand);

/* How soon the monitor looks again after LEA_VERDICT_SOON. */
int64_t lea_retake_look_ns(const struct lea_runtime *rt);

#endif
