/*
 * Taking processors away. Protocol and ordering pairs: retake.h.
 */
#include "sched/retake.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/bracket.h"
#include "sched/worker.h"

/*
 * Whoever sleeps in a call is known after a small part of the window, and so is who has stepped
 * aside.
 */
#define BLOCKED_PART 10
#define LOOKS_PER_PART 2
#define BURNT_PART 4 /* who has used this part of the window on a CPU is a hog */
#define LOOK_NS_MIN 20000

/* --- the worker --- */

/* The word as a worker reads it. */
static bool says(uintptr_t w, uintptr_t mine, enum lea_proc_state state)
{
    if (LEA_MUTATED(RETAKE_WORD_STATE_ONLY))
        return lea_proc_word_state(w) == state;
    return w == lea_proc_word_in(mine, state);
}

/* True: the processor is still ours. */
static bool answer(struct lea_worker *m, struct lea_proc *p)
{
    for (;;) {
        uintptr_t w = lea_word_load_acq(&p->owner);

        if (LEA_MUTATED(RETAKE_STALE_OBEYED))
            return false;
        if (says(w, m->word, LEA_PROC_OWNED))
            return true;
        if (!says(w, m->word, LEA_PROC_PENDING))
            return false;
        lea_delay_point(RETAKE);
        if (LEA_MUTATED(RETAKE_ANSWER_PLAIN)) {
            lea_word_store_rel(&p->owner, m->word);
            return true;
        }
        if (lea_word_cas(&p->owner, w, m->word)) /* RETAKE */
            return true;
    }
}

void lea_retake_answer(struct lea_worker *m)
{
    struct lea_proc *p = m->proc;

    if (!p)
        return;
    if (answer(m, p)) {
        lea_worker_settle(m); /* the monitor has let it go already */
        return;
    }
    m->last_proc = p;
    if (!LEA_MUTATED(RETAKE_LOST_KEEPS))
        m->proc = NULL;
}

/* --- the monitor: who stands still --- */

bool lea_stand_still(struct lea_runtime *rt, const struct lea_proc *p, struct lea_stand *s,
                     int64_t now)
{
    uintptr_t word = lea_word_load_acq(&p->owner); /* RETAKE */
    uint32_t id = lea_proc_word_id(word);
    uint32_t tick = id ? lea_u32_load_acq(&rt->worker[id - 1]->tick) : 0; /* TICK, RETAKE */

    if (word == s->word && tick == s->tick)
        return true;
    s->word = word;
    s->tick = tick;
    s->since_ns = now;
    s->cpu_at_ns = 0;
    s->counted = false;
    s->asleep = false;
    return false;
}

static bool sleeps(int tid)
{
    char state = lea_os_thread_state(tid);

    return state == 'S' || state == 'D';
}

bool lea_stand_asleep(struct lea_runtime *rt, struct lea_stand *s, int64_t now)
{
    enum lea_proc_state state = lea_proc_word_state(s->word);
    int64_t cpu;
    int tid;

    if (!lea_proc_word_id(s->word) || (s->tick & 1) ||
        (state != LEA_PROC_OWNED && state != LEA_PROC_BRACKET))
        return false;
    tid = lea_worker_tid(rt->worker[lea_proc_word_id(s->word) - 1]);
    cpu = lea_os_thread_cpu_of(tid);
    if (cpu < 0 || !sleeps(tid))
        return false;
    s->cpu_at_ns = now;
    s->cpu_first_ns = s->cpu_ns = cpu;
    s->asleep = true;
    return true;
}

int64_t lea_retake_look_ns(const struct lea_runtime *rt)
{
    int64_t ns = rt->config.retake_ns / (BLOCKED_PART * LOOKS_PER_PART);

    return ns < LOOK_NS_MIN ? LOOK_NS_MIN : ns;
}

/*
 * In the runtime, where it should be for nanoseconds: the kernel has other plans, or memory is
 * slow.
 */
static enum lea_verdict judge_inside(struct lea_runtime *rt, struct lea_stand *s, int64_t now)
{
    if (!s->counted && now - s->since_ns >= rt->config.retake_ns) {
        s->counted = true;
        lea_word_count(&rt->monitor.long_sections, 1);
    }
    return LEA_VERDICT_NO;
}

static enum lea_verdict judged(struct lea_stand *s, enum lea_take why)
{
    s->suspect = true;
    s->why = why;
    return LEA_VERDICT_TAKE;
}

/* In user code: what does its thread do? */
static enum lea_verdict judge_outside(struct lea_runtime *rt, struct lea_stand *s, int64_t now)
{
    int tid = lea_worker_tid(rt->worker[lea_proc_word_id(s->word) - 1]);
    int64_t window = rt->config.retake_ns, cpu = lea_os_thread_cpu_of(tid), before = s->cpu_ns;
    bool whole = now - s->since_ns >= window, slept, burnt;
    char state;

    if (cpu < 0) /* nothing is known but that it stands still */
        return !whole ? LEA_VERDICT_SOON : judged(s, LEA_TAKE_HOG);
    if (!s->cpu_at_ns) {
        s->cpu_at_ns = now;
        s->cpu_first_ns = s->cpu_ns = cpu;
        return LEA_VERDICT_SOON;
    }
    if (now - s->cpu_at_ns < window / (s->asleep ? BLOCKED_PART * LOOKS_PER_PART : BLOCKED_PART))
        return LEA_VERDICT_SOON;
    slept = cpu == before;
    burnt = whole && cpu - s->cpu_first_ns >= (now - s->since_ns) / BURNT_PART;
    s->cpu_ns = cpu;
    s->cpu_at_ns = now;
    if (!slept && !whole)
        return LEA_VERDICT_SOON;
    state = burnt && !slept ? 'R' : lea_os_thread_state(tid);
    if (state == 'S' || state == 'D' || (!state && whole))
        return judged(s, LEA_TAKE_BLOCKED);
    if (burnt) {
        lea_hog_note(&s->hog, rt->worker[lea_proc_word_id(s->word) - 1], s->tick, s->since_ns);
        return lea_burning_room(rt) ? judged(s, LEA_TAKE_HOG) : LEA_VERDICT_NO;
    }
    /*
     * it would run if the kernel let it: another worker would have to wait just so. Not to be asked
     * for every time
     */
    s->cpu_at_ns = now + window / BURNT_PART;
    return LEA_VERDICT_SOON;
}

enum lea_verdict lea_stand_judge(struct lea_runtime *rt, struct lea_stand *s, int64_t now)
{
    if (!lea_proc_word_id(s->word))
        return LEA_VERDICT_NO;
    switch (lea_proc_word_state(s->word)) {
    case LEA_PROC_BRACKET:
        if ((s->tick & 1) && !LEA_MUTATED(BRACKET_INSIDE)) /* on its way in or out */
            return judge_inside(rt, s, now);
        return now - s->since_ns < rt->config.retake_ns / BLOCKED_PART
                   ? LEA_VERDICT_SOON
                   : judged(s, LEA_TAKE_BRACKET);
    case LEA_PROC_OWNED:
        return s->tick & 1 ? judge_inside(rt, s, now) : judge_outside(rt, s, now);
    default:
        return LEA_VERDICT_NO;
    }
}

/* --- the monitor: taking --- */

static struct lea_worker *owner_of(const struct lea_runtime *rt, const struct lea_stand *s)
{
    return rt->worker[lea_proc_word_id(s->word) - 1];
}

static void hand_over(struct lea_runtime *rt, struct lea_proc *p, struct lea_stand *s)
{
    lea_word_count(&rt->monitor.retaken[s->why], 1);
    lea_worker_hand(s->to, p);
    s->word = 0; /* whatever comes is new */
}

/* OWNED or BRACKET -> PENDING, and the request. False: it is not as it was. */
static bool ask(struct lea_runtime *rt, struct lea_proc *p, struct lea_stand *s)
{
    struct lea_worker *m = owner_of(rt, s);
    uint32_t bits = LEA_REQUEST_TAKE;

    if (!lea_word_cas(&p->owner, s->word, lea_proc_word_in(s->word, LEA_PROC_PENDING))) /* RETAKE */
        return false;
    if (s->why == LEA_TAKE_HOG) {
        lea_worker_spread(rt, lea_worker_tid(m));
        (void)lea_u32_add(&rt->nr_burning, 1);
        bits |= LEA_REQUEST_SPREAD | LEA_REQUEST_BURNING;
    }
    lea_request_add(m, bits); /* TICK */
    return true;
}

/* All workers pass a fence. False: that cannot be had any more. */
static bool barrier(struct lea_runtime *rt)
{
    if (rt->fenced) {
        if (!LEA_MUTATED(RETAKE_MONITOR_FENCE))
            lea_fence_full(); /* TICK: theirs is in their entry */
        return true;
    }
    return LEA_MUTATED(RETAKE_NO_MEMBARRIER) || lea_os_membarrier() == 0; /* TICK */
}

/*
 * It keeps its processor. What ask() has counted goes again, unless the worker has found it and
 * does that itself: it may fall asleep first, and leave without an entry.
 */
static void not_burning(struct lea_runtime *rt, struct lea_worker *m)
{
    uint32_t r;

    do {
        r = lea_u32_load_rlx(&m->request); /* relaxed: the CAS decides */
        if (!(r & LEA_REQUEST_BURNING))
            return;
    } while (!lea_u32_cas(&m->request, r, r & ~LEA_REQUEST_BURNING));
    (void)lea_u32_add(&rt->nr_burning, (uint32_t)-1);
}

static void decide(struct lea_runtime *rt, struct lea_proc *p, struct lea_stand *s, bool ordered)
{
    uintptr_t pending = lea_proc_word_in(s->word, LEA_PROC_PENDING);
    uintptr_t taken = lea_proc_word_in(s->word, LEA_PROC_TAKEN);
    bool stood = lea_u32_load_acq(&owner_of(rt, s)->tick) == s->tick; /* TICK, RETAKE */

    lea_delay_point(RETAKE);
    s->suspect = false;
    if (!ordered || (!stood && !LEA_MUTATED(RETAKE_NO_SECOND_LOOK))) {
        (void)lea_word_cas(&p->owner, pending,
                           s->word); /* RETAKE: fails if the worker has answered */
    } else if (LEA_MUTATED(RETAKE_NO_ARBITRATION)) {
        lea_word_store_rel(&p->owner, taken);
        hand_over(rt, p, s);
        return;
    } else if (lea_word_cas(&p->owner, pending, taken)) { /* RETAKE */
        hand_over(rt, p, s);
        return;
    }
    not_burning(rt, owner_of(rt, s));
    lea_worker_unhold(s->to);
}

bool lea_retake(struct lea_runtime *rt, struct lea_stand *stand)
{
    uint32_t asked = 0;
    bool all = true, ordered;

    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        struct lea_stand *s = &stand[i];

        if (!s->suspect)
            continue;
        s->to = all ? lea_worker_hold(rt) : NULL;
        all = s->to != NULL;
        if (!all) {
            s->suspect = false;
        } else if (ask(rt, rt->proc[i], s)) {
            asked++;
        } else {
            lea_worker_unhold(s->to);
            s->suspect = false;
        }
    }
    if (!asked)
        return all;
    lea_delay_point(RETAKE);
    ordered = barrier(rt);
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        if (stand[i].suspect)
            decide(rt, rt->proc[i], &stand[i], ordered);
    return all;
}
