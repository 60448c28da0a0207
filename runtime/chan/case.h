/*
 * chan/case.h - sends and receives as cases of a select: what each step does with one channel. The
 * steps: select.c.
 */
#ifndef LEA_CHAN_CASE_H
#define LEA_CHAN_CASE_H

#include "sched/case.h"
#include "chan/chan.h"

static inline struct leat_chan *lea_chan_case_of(const leat_case *c)
{
    return (struct leat_chan *)c->object_;
}

static inline enum lea_chan_dir lea_chan_case_dir(const leat_case *c)
{
    return c->send_ ? LEA_CHAN_DIR_SEND : LEA_CHAN_DIR_RECV;
}

/*
 * Do it, if it need not wait; the select is in no list, or has claimed itself. False: it would have
 * to.
 */
bool lea_chan_case_take(leat_case *c, struct lea_select *s);

/* Take it if it is ready, else get into the line. */
enum lea_case_queued lea_chan_case_queue(leat_case *c, struct lea_select *s);

/* Get out of the line. */
enum lea_case_left lea_chan_case_leave(leat_case *c, const struct lea_select *s);

/*
 * The same for all cases of a select that is `solo`, in one solo section. Into the lines: up to one
 * that is ready, or to the first one when there is no section; returns its index, or their number.
 * Out of them: false: there is no section. *claimed: as of lea_select's leave.
 */
size_t lea_chan_cases_queue_solo(struct lea_select *s);
bool lea_chan_cases_leave_solo(struct lea_select *s, size_t *claimed);

/* It was claimed, and it has left the line: the result. */
int lea_chan_case_finish(const leat_case *c, enum lea_wake code);

#endif
