/*
 * sched/case.h - the cases of a select, as their kinds see them; channels are one. Each kind lives
 * in its own room; what they have in common, and the order of steps, is in chan/select.c. Contract:
 * include/leat/select.h.
 *
 * A select that waits has a waiter (waiter.h) for each case, in that case's room, and in the list
 * of that case's object. All have one ticket, or of a plain thread one lead, so that whoever ends
 * the wait does it for all of them by one CAS: a waiter of a select looks as any other to those who
 * claim it.
 *
 * Always:
 *  - No lock of an object is held while another object's is taken.
 *  - A case takes effect through a claim of the select's ticket: by a peer, or by the select itself
 *    (lea_select_claim_self) before it touches an object while it is in the lists of others. Who
 *    loses that claim leaves all as it is.
 *  - Afterwards every waiter is taken off its list, under the object's lock. The one that is off
 *    already, and not `lost`, is the one that was claimed. `lost` is written under the lock by a
 *    claimer that took the waiter off and came too late.
 */
#ifndef LEA_SCHED_CASE_H
#define LEA_SCHED_CASE_H

#include "sched/waiter.h"

#include <leat/select.h>

/* One call of select. */
struct lea_select {
    leat_case *cases;
    size_t n;
    int64_t until_ns;
    int64_t look_ns;      /* a kind has asked to be looked at again then; INT64_MAX nobody */
    struct lea_worker *m; /* NULL: a plain thread */
    struct lea_runtime
        *rt; /* of `m`, or held by the plain thread while it looks; NULL: no run is under way */
    uintptr_t ticket;       /* of the coroutine's wait */
    bool ordered;           /* the first of those that are ready, not any one */
    bool by_address;        /* the order in which the lists are entered */
    bool solo;              /* of channels only, and not many: sections may take all at once */
    struct lea_waiter lead; /* plain thread: the one whose word counts */
};

/* What came of an attempt to queue. */
enum lea_case_queued {
    LEA_CASE_QUEUED,
    LEA_CASE_TAKEN, /* it was ready: the select has claimed itself, and taken it */
    /* it seemed to be ready: the select has claimed itself, and has to begin anew */
    LEA_CASE_AGAIN,
    LEA_CASE_LOST, /* it is ready, and somebody else has claimed the select */
};

/* What was found when the line was left. */
enum lea_case_left {
    LEA_CASE_NOT,
    LEA_CASE_CLAIMED,
    /*
     * its object does not keep whom it has claimed: then it is this one, unless another one is
     * known to be
     */
    LEA_CASE_PERHAPS,
};

/* What a kind does, in the select's bracket. */
struct leat_case_ops_ {
    bool outside; /* something outside of the program may make it ready */
    /* Does it seem ready? No lock. @m: NULL on a plain thread, or not in a bracket yet. */
    bool (*ready)(leat_case *c, struct lea_worker *m);
    /*
     * Take it, if it is ready; the select is in no list, or has claimed itself. False: it is not.
     */
    bool (*take)(leat_case *c, struct lea_select *s);
    /* Take it if it is ready, else get into the line. */
    enum lea_case_queued (*queue)(leat_case *c, struct lea_select *s);
    /* Get out of the line. */
    enum lea_case_left (*leave)(leat_case *c, struct lea_select *s);
    /* It was claimed, and has left the line. False: that was a reason to begin anew. */
    bool (*finish)(leat_case *c, struct lea_select *s, enum lea_wake code);
};

static inline struct lea_waiter *lea_case_waiter(leat_case *c)
{
    return (struct lea_waiter *)(void *)c->room_;
}

/* Before the case's waiter is put into a list. */
static inline void lea_case_begin(leat_case *c, struct lea_select *s)
{
    struct lea_waiter *w = lea_case_waiter(c);

    w->queued = false;
    w->lost = false;
    w->mark = false;
    lea_waiter_begin_served(w);
    if (LEA_LIKELY(s->m != NULL)) {
        w->co = s->m->co;
        w->ticket = s->ticket;
    } else {
        w->co = NULL;
        w->lead = LEA_MUTATED(SELECT_THREAD_ALONE) ? w : &s->lead;
    }
}

/* Is that waiter one of this select's own cases? */
static inline bool lea_case_is_own(const struct lea_select *s, const struct lea_waiter *w)
{
    return s->m ? w->co == s->m->co : !w->co && w->lead == &s->lead;
}

/* Under the object's lock, by who leaves its line: was this the case that was claimed? */
static inline enum lea_case_left lea_case_left(const struct lea_waiter *w)
{
    return !w->queued && (!w->lost || LEA_MUTATED(SELECT_LOST_COUNTS)) ? LEA_CASE_CLAIMED
                                                                       : LEA_CASE_NOT;
}

/* End the own wait, before something is taken while others may end it. False: somebody else has. */
static inline bool lea_select_claim_self(struct lea_select *s)
{
    if (LEA_LIKELY(s->m != NULL))
        return lea_co_claim(s->m->co, s->ticket, LEA_WAKE_NONE) != LEA_CLAIM_LOST;
    return lea_u32_cas(&s->lead.word, LEA_THREAD_WAITS, LEA_THREAD_GAVE_UP);
}

/* It is ready, for good, and nothing is taken from it. */
static inline enum lea_case_queued lea_case_is_ready(leat_case *c, struct lea_select *s)
{
    c->result = 0;
    return lea_select_claim_self(s) ? LEA_CASE_TAKEN : LEA_CASE_LOST;
}

/* The last step of such a one: it has become so, and its claim says all. */
static inline bool lea_case_finish_ready(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    (void)s;
    (void)code;
    c->result = 0;
    return true;
}

/* The select is to look at the case again then. */
static inline void lea_select_look_at(struct lea_select *s, int64_t ns)
{
    if (ns < s->look_ns && !LEA_MUTATED(SELECT_TIMER_UNSEEN))
        s->look_ns = ns;
}

#endif
