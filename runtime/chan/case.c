/*
 * Sends and receives as cases of a select. What always holds: sched/case.h; the steps under a
 * channel's lock: chan.h.
 *
 * A select in both lists of a channel without capacity must not meet itself: its own waiters are
 * passed over by its own look, and no longer wait when it takes something, since it has claimed
 * itself by then.
 */
#include "chan/case.h"

#include "base/mutant.h"
#include "sched/wrong.h"

#include <errno.h>

static struct lea_chan_waiter *waiter_of(leat_case *c)
{
    _Static_assert(sizeof(struct lea_chan_waiter) <= sizeof(c->room_), "a case has room for it");
    return (struct lea_chan_waiter *)(void *)c->room_;
}

static struct lea_waiters *list_of(struct leat_chan *ch, bool senders)
{
    return senders ? &ch->senders : &ch->receivers;
}

/* Does somebody else wait in the list? */
static bool other_waits(const struct lea_waiters *list, const struct lea_select *s)
{
    const struct lea_node *node = list->first;

    if (!node)
        return false;
    do {
        const struct lea_waiter *w = lea_container(node, struct lea_waiter, node);

        if ((!lea_case_is_own(s, w) || LEA_MUTATED(SELECT_SELF)) && lea_waiter_waits(w))
            return true;
        node = node->next;
    } while (node != list->first);
    return false;
}

/* Would the attempt not have to wait, as far as can be seen? The channel is locked. */
static bool ready_locked(struct leat_chan *ch, uintptr_t w, const leat_case *c,
                         const struct lea_select *s)
{
    uint32_t len = lea_u32_load_rlx(&ch->len); /* relaxed: ours */

    return (w & LEA_CHAN_CLOSED) || (c->send_ ? len < ch->capacity : len > 0) ||
           other_waits(list_of(ch, !c->send_), s);
}

static int try_locked(struct leat_chan *ch, uintptr_t w, const leat_case *c,
                      struct lea_woken *woken)
{
    LEA_RIGHT(c->bytes_ == LEAT_CASE_ANY_BYTES_ || c->bytes_ == ch->elem_bytes, "leat_select",
              "channel %p has elements of %u bytes, this case has %zu", (const void *)ch,
              ch->elem_bytes, c->bytes_);
    return lea_chan_try_locked(ch, w, lea_chan_case_dir(c), c->elem_.out, woken);
}

bool lea_chan_case_take(leat_case *c, struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_woken woken = {NULL, NULL, NULL};
    uintptr_t w = lea_chan_lock(ch, s->m);
    int r = try_locked(ch, w, c, &woken);

    (void)lea_chan_unlock(ch, w);
    lea_woken_deliver(&woken, s->m, s->rt);
    c->result = r;
    return r != -EAGAIN;
}

/* It is ready, and the channel is locked. Unlocks it. */
static enum lea_case_queued claim_and_take(leat_case *c, struct lea_select *s, uintptr_t w)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_woken woken = {NULL, NULL, NULL};
    enum lea_case_queued q = LEA_CASE_LOST;

    if (lea_select_claim_self(s) || LEA_MUTATED(SELECT_LOOK_UNCLAIMED)) {
        c->result = try_locked(ch, w, c, &woken);
        q = c->result == -EAGAIN ? LEA_CASE_AGAIN : LEA_CASE_TAKEN;
    }
    (void)lea_chan_unlock(ch, w);
    lea_woken_deliver(&woken, s->m, s->rt);
    return q;
}

enum lea_case_queued lea_chan_case_queue(leat_case *c, struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_chan_waiter *me = waiter_of(c);
    uintptr_t w = lea_chan_lock(ch, s->m);

    if (ready_locked(ch, w, c, s) && !LEA_MUTATED(SELECT_NO_SECOND_LOOK))
        return claim_and_take(c, s, w);
    LEA_RIGHT(c->bytes_ == LEAT_CASE_ANY_BYTES_ || c->bytes_ == ch->elem_bytes, "leat_select",
              "channel %p has elements of %u bytes, this case has %zu", (const void *)ch,
              ch->elem_bytes, c->bytes_);
    lea_case_begin(c, s);
    me->elem = c->elem_.out;
    lea_waiters_push_back(list_of(ch, c->send_), &me->waiter);
    (void)lea_chan_unlock(ch, w);
    return LEA_CASE_QUEUED;
}

enum lea_case_left lea_chan_case_leave(leat_case *c, const struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_waiter *me = &waiter_of(c)->waiter;
    uintptr_t w = lea_chan_lock(ch, s->m);
    enum lea_case_left left = lea_case_left(me);

    if (me->queued)
        lea_waiters_del(list_of(ch, c->send_), me);
    (void)lea_chan_unlock(ch, w);
    return left;
}

int lea_chan_case_finish(const leat_case *c, enum lea_wake code)
{
    const struct lea_waiter *me = (const struct lea_waiter *)(const void *)c->room_;

    if (me->co && !LEA_MUTATED(SELECT_NOT_TOLD))
        lea_waiter_told(me); /* who was claimed before it had parked is written to for a while */
    return code == LEA_WAKE_DONE ? 0 : -EPIPE;
}
