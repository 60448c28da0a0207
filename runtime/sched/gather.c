/*
 * Gathering small work that is shared. See gather.h.
 */
#include "sched/gather.h"

#include "base/mutant.h"
#include "base/os.h"
#include "sched/chaos.h"
#include "sched/find.h"
#include "sched/idle.h"

#include <leat/time.h>

#define LOOK_TURNS 32u     /* fewer turns tell nothing */
#define STRANGERS_PART 8u  /* a stranger in so many of them: work is shared */
#define STUCK_NS 10000     /* a turn that lasts for so long is none of small work */
#define JOINS_MAX 64u      /* for each processor: who comes back that often does not stay away */
#define IDLE_ROUNDS_MAX 4u /* nothing can be found out where there are so many */
/* between attempts, at first and at most */
#define PAUSE_NS (2 * LEAT_MSEC)
#define PAUSE_MAX_NS (256 * LEAT_MSEC)

static uint64_t turns(const struct lea_proc *p)
{
    return lea_word_load_rlx(&p->count[LEA_COUNT_RUN]); /* relaxed: a statistic */
}

static uint64_t rate_of(uint64_t n, int64_t ns)
{
    return n * (uint64_t)LEAT_MSEC / (uint64_t)ns;
}

/* --- of every processor --- */

static void measure_from(struct lea_proc *p, uint64_t rate, int64_t now)
{
    lea_word_store_rlx(&p->gather.rate, rate); /* relaxed: a hint */
    p->gather.rate_since_ns = now;
    p->gather.rate_since_turns = turns(p);
}

/*
 * In rounds of LEA_GATHER_TRY_NS, short sleeps included: who shares work may have none for a
 * moment. A round that was much longer has had a long sleep, or turn, and tells nothing.
 */
static void measure(struct lea_proc *p, int64_t now)
{
    int64_t ns = now - p->gather.rate_since_ns;

    if (ns >= 2 * LEA_GATHER_TRY_NS)
        measure_from(p, 0, now);
    else if (ns >= LEA_GATHER_TRY_NS)
        measure_from(p, rate_of(turns(p) - p->gather.rate_since_turns, ns), now);
}

/* --- who is given --- */

/* Work is as small as its turns say again; whoever is idle is to take a part of it. */
static void spread(struct lea_proc *p, int64_t now)
{
    p->gather.again_ns = 0;
    p->gather.owes = true;
    lea_u32_store_rlx(&p->gather.here, 0); /* relaxed: a hint */
    measure_from(p, 0, now);
}

/* Who searches of his own may leave small work alone, and fall asleep: the next look comes soon. */
static void pay(struct lea_proc *p)
{
    struct lea_idle *idle = &p->rt->idle;

    /* relaxed, both: hints */
    if (!lea_u32_load_rlx(&idle->nr_idle) || lea_u32_load_rlx(&idle->nr_searching) ||
        !lea_proc_backlog(p))
        return;
    p->gather.owes = false;
    lea_idle_wake_one(p->rt, p);
}

static void next_attempt(struct lea_gather *own, int64_t not_before_ns)
{
    own->since_ns = 0;
    /* relaxed, both: hints */
    lea_word_store_rlx(&own->not_before_ns, (uintptr_t)not_before_ns);
    lea_word_store_rlx(&own->attempt, lea_word_load_rlx(&own->attempt) + 1);
}

static void longer_pause(struct lea_gather *own)
{
    own->pause_ns = own->pause_ns < PAUSE_MAX_NS ? own->pause_ns * 2 : own->pause_ns;
}

static void attempt_ends(struct lea_proc *p, bool good, int64_t now)
{
    struct lea_gather *own = &p->gather;

    if (good != own->good || !own->pause_ns)
        own->pause_ns = PAUSE_NS;
    else
        longer_pause(own);
    own->good = good;
    next_attempt(own, good ? 0 : now + own->pause_ns);
    if (good)
        own->again_ns = now + own->pause_ns;
    else
        spread(p, now);
}

/* Others have begun to give: the attempt begins, or begins anew. */
static void joined(struct lea_proc *p, uintptr_t joins, int64_t now)
{
    struct lea_gather *own = &p->gather;
    uintptr_t told = lea_word_load_rlx(&own->told); /* relaxed: a hint, as `joins` */

    (void)lea_word_add(&own->joined, -joins);
    (void)lea_word_add(&own->told, -told);
    if (!own->since_ns) {
        own->before = lea_word_load_rlx(&own->rate); /* relaxed: ours */
        own->nr_joins = 0;
        own->nr_idle_rounds = 0;
        if (!own->before) /* no longer known: it cannot be found right */
            own->before = UINT64_MAX / 2;
    }
    own->before += told;
    own->nr_joins += joins;
    own->since_ns = now;
    own->since_turns = turns(p);
    own->again_ns = 0;
    own->owes = false;
    lea_u32_store_rlx(&own->here, 1); /* relaxed: a hint */
}

/* The attempt that is under way: how does it do? */
static void judge(struct lea_proc *p, int64_t now)
{
    struct lea_gather *own = &p->gather;
    int64_t ns = now - own->since_ns;
    uint64_t rate;

    if (own->nr_joins >= (uint64_t)JOINS_MAX * p->rt->nr_procs) {
        attempt_ends(p, false, now);
    } else if (ns >= 2 * LEA_GATHER_TRY_NS) { /* as in measure(): it tells nothing */
        own->since_ns = now;
        own->since_turns = turns(p);
        if (++own->nr_idle_rounds == IDLE_ROUNDS_MAX)
            attempt_ends(p, false, now);
    } else if (ns >= LEA_GATHER_TRY_NS) {
        rate = rate_of(turns(p) - own->since_turns, ns);
        /* the same, within what such a measure is worth, on one CPU less */
        attempt_ends(p, rate + rate / 16 >= own->before, now);
    }
}

static void look_as_given(struct lea_proc *p, bool aged, int64_t now)
{
    struct lea_gather *own = &p->gather;
    uintptr_t joins = lea_word_load_rlx(&own->joined); /* relaxed: a hint */

    if (LEA_UNLIKELY(joins != 0))
        joined(p, joins, now);
    measure(p, now);
    if (LEA_UNLIKELY(own->since_ns != 0)) {
        judge(p, now);
    } else if (LEA_UNLIKELY(own->again_ns != 0)) {
        if (aged) { /* it has become too much for one; when that was so lately, too */
            longer_pause(own);
            next_attempt(own, now + own->pause_ns);
        }
        if (aged || now >= own->again_ns)
            spread(p, now);
    }
    if (LEA_UNLIKELY(own->owes))
        pay(p);
}

/* --- who gives --- */

/* Asked before: has it taken a turn since then, or within STUCK_NS? */
static bool moves(struct lea_gather *own, const struct lea_proc *to, int64_t now)
{
    uint64_t n = turns(to);
    bool known = own->seen_of == to;

    if (known && n == own->seen_turns)
        return now - own->seen_ns < STUCK_NS;
    own->seen_of = to;
    own->seen_turns = n;
    own->seen_ns = now;
    return known;
}

/* What it has to give is all in the ring of the normal class, or in the next slot. */
static bool can_give(struct lea_proc *p)
{
    /* relaxed: ours */
    return !(p->ring_mask & ~(1u << LEA_CLASS_NORMAL)) && !lea_u32_load_rlx(&p->lifo.depth) &&
           !lea_inject_len(&p->over) && !lea_inject_len(&p->lifo_over);
}

/* Nobody will wait there for long. */
static bool can_take(const struct lea_proc *to, const struct lea_proc *from)
{
    /* relaxed, all of them: statistics and hints */
    uint64_t turn_ns = lea_u32_load_rlx(&from->turn_ns), other = lea_u32_load_rlx(&to->turn_ns);
    uint64_t n = lea_runq_len(&to->ring[LEA_CLASS_NORMAL]) + lea_inject_len(&to->over) +
                 lea_runq_len(&from->ring[LEA_CLASS_NORMAL]);

    if (other > turn_ns)
        turn_ns = other;
    return turn_ns < LEA_GATHER_TURN_NS && n * turn_ns < LEA_AGE_NS / 2;
}

/* It has our rate for this attempt, or both rates are known: so it can be judged. */
static bool can_join(const struct lea_gather *own, const struct lea_proc *to)
{
    /* relaxed, all of them: hints */
    return (own->told_to == to && own->told_attempt == lea_word_load_rlx(&to->gather.attempt)) ||
           (lea_word_load_rlx(&own->rate) && lea_word_load_rlx(&to->gather.rate));
}

static void join(struct lea_proc *p, struct lea_proc *to)
{
    struct lea_gather *own = &p->gather;
    uintptr_t attempt = lea_word_load_rlx(&to->gather.attempt); /* relaxed, as all: hints */

    if (own->told_to != to || own->told_attempt != attempt)
        (void)lea_word_add(&to->gather.told, lea_word_load_rlx(&own->rate));
    own->told_to = to;
    own->told_attempt = attempt;
    /* at once, for thieves; should its owner clear it now, it sets it again when it sees us */
    lea_u32_store_rlx(&to->gather.here, 1);
    (void)lea_word_add(&to->gather.joined, 1);
    own->gives = true;
    if (own->since_ns) /* it is no place to gather anything now */
        next_attempt(own, 0);
    own->again_ns = 0;
    own->owes = false;
    lea_u32_store_rlx(&own->here, 0);
}

static void look_as_giver(struct lea_proc *p, int64_t now)
{
    struct lea_gather *own = &p->gather;
    uint64_t n = turns(p) - own->look_turns;
    uint32_t strangers = own->nr_strangers;
    struct lea_proc *to;

    if (n < LOOK_TURNS)
        return;
    own->look_turns += n;
    own->nr_strangers = 0;
    if (LEA_LIKELY(!strangers || strangers * STRANGERS_PART < n) || p->unwatched ||
        lea_chaos(p->rt))
        return;
    to = p->rt->proc[own->stranger_of];
    /* relaxed: a hint */
    if (!moves(own, to, now) || now < (int64_t)lea_word_load_rlx(&to->gather.not_before_ns) ||
        lea_proc_idle(to) || !can_give(p) || !can_take(to, p) || !can_join(own, to))
        return;
    own->to = to;
    own->to_ns = now;
    own->gives = false;
}

void lea_gather_look(struct lea_proc *p, bool aged, int64_t now)
{
    look_as_given(p, aged, now);
    look_as_giver(p, now);
}

/* For as long as nobody else is due, and it is right. */
static bool goes_on(struct lea_proc *p, int64_t now)
{
    struct lea_gather *own = &p->gather;
    struct lea_proc *to = own->to;

    return now - own->to_ns < LEA_TURNS_NS && can_give(p) && can_take(to, p) &&
           moves(own, to, now) &&
           /* relaxed, both: hints. Is it known by now how that went, or how another one did? */
           (own->gives ? own->told_attempt == lea_word_load_rlx(&to->gather.attempt)
                       : now >= (int64_t)lea_word_load_rlx(&to->gather.not_before_ns));
}

void lea_gather_give(struct lea_proc *p)
{
    struct lea_gather *own = &p->gather;
    struct lea_ready_list list;
    struct lea_co *g, *next;

    p->turns_left = 1;    /* each turn, until there is nothing left: find.c */
    p->turn_check_ns = 0; /* those are not counted */
    if (!goes_on(p, lea_os_now_ns())) {
        own->to = NULL;
        return;
    }
    lea_ready_list_init(&list);
    while ((g = lea_runq_pop(&p->ring[LEA_CLASS_NORMAL])))
        lea_ready_list_add(&list, g);
    next = lea_next_take(p);
    if (next && LEA_UNLIKELY(next->prio_class != LEA_CLASS_NORMAL))
        lea_ring_push(p, next);
    else if (next && !LEA_MUTATED(GATHER_HALF))
        lea_ready_list_add(&list, next);
    if (!list.n)
        return;
    if (!own->gives)
        join(p, own->to);
    lea_inject_push_list(&own->to->over, &list);
    lea_idle_given(p->rt, own->to, p);
}
