/*
 * Sends and receives as cases of a select. What always holds: sched/case.h; the steps under a
 * channel's lock: chan.h.
 *
 * A select in both lists of a channel without capacity must not meet itself: its own waiters are
 * passed over by its own look, and no longer wait when it takes something, since it has claimed
 * itself by then.
 *
 * What the word said before the lock is so under the lock: where it says that there is nothing to
 * take, nobody is in the other list, and no look at it is needed.
 *
 * Solo (sched/solo.h): where all cases are channels, and there is no deadline, nobody ends the wait
 * but who finds it in a list, and cancellation, as in a plain call: then the waiters have `mark`,
 * and are claimed without a locked instruction.
 */
#include "chan/case.h"

#include "base/mutant.h"
#include "sched/ready.h"
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

static void check_bytes(const struct leat_chan *ch, const leat_case *c)
{
    LEA_RIGHT(c->bytes_ == LEAT_CASE_ANY_BYTES_ || c->bytes_ == ch->elem_bytes, "leat_select",
              "channel %p has elements of %u bytes, this case has %zu", (const void *)ch,
              ch->elem_bytes, c->bytes_);
}

static int try_locked(struct leat_chan *ch, uintptr_t w, const leat_case *c,
                      struct lea_woken *woken)
{
    check_bytes(ch, c);
    return lea_chan_try_locked(ch, w, lea_chan_case_dir(c), c->elem_.out, woken);
}

/* --- taking --- */

/*
 * In a solo section: the oldest of them that still waits, claimed; NULL: there is none, or it is
 * not to be claimed so. Those whose wait has ended are off the list.
 */
static struct lea_chan_waiter *claim_solo(struct lea_waiters *list)
{
    struct lea_waiter *w;

    while ((w = lea_waiters_first(list)) && w->co) {
        if (LEA_LIKELY(lea_waiter_waits(w))) {
            if (!w->mark || !lea_co_claim_parked_solo(w->co, w->ticket, LEA_WAKE_DONE))
                return NULL;
            lea_waiter_tell(w);
            lea_waiters_drop_first(list);
            return lea_container(w, struct lea_chan_waiter, waiter);
        }
        lea_waiters_drop_first(list);
        lea_waiter_tell_lost(w);
    }
    return NULL;
}

/*
 * In a solo section, which is left: hand over to who has parked, or from. False: that is not to be
 * had, and the channel is locked.
 */
static bool hand_over_solo(leat_case *c, struct lea_select *s, uintptr_t w)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_chan_waiter *peer = NULL;
    struct lea_co *co;

    if (LEA_LIKELY(c->send_ ? !(w & LEA_CHAN_CLOSED) : !lea_u32_load_rlx(&ch->len))) /* ours */
        peer = claim_solo(list_of(ch, !c->send_));
    if (!peer) {
        lea_chan_solo_keep(ch, w);
        return false;
    }
    co = peer->waiter.co;
    if (c->send_ && LEA_LIKELY(peer->elem != NULL))
        lea_chan_copy_small(peer->elem, c->elem_.from, ch->elem_bytes);
    else if (!c->send_ && LEA_LIKELY(c->elem_.out != NULL))
        lea_chan_copy_small(c->elem_.out, peer->elem, ch->elem_bytes);
    (void)lea_chan_unlock(ch, w);
    lea_solo_end();
    lea_ready_parked(s->m, co);
    return true;
}

bool lea_chan_case_take(leat_case *c, struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_woken woken = {NULL, NULL, NULL};
    uintptr_t w;

    if (s->m && s->m->proc && ch->small && lea_solo_may() && lea_solo_begin()) {
        check_bytes(ch, c);
        w = lea_chan_solo_lock(ch);
        c->result = 0;
        if (LEA_LIKELY(hand_over_solo(c, s, w)))
            return true;
    } else {
        w = lea_chan_lock(ch, s->m);
    }
    c->result = try_locked(ch, w, c, &woken);
    (void)lea_chan_unlock(ch, w);
    lea_woken_deliver(&woken, s->m, s->rt);
    return c->result != -EAGAIN;
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

/* --- getting into the line, and out of it --- */

/* Locked, and not ready. Unlocks it. */
static inline void queue_locked(leat_case *c, struct lea_select *s, uintptr_t w, bool mark)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_chan_waiter *me = waiter_of(c);

    check_bytes(ch, c);
    lea_case_begin(c, s);
    me->waiter.mark = mark;
    me->elem = c->elem_.out;
    lea_waiters_push_back(list_of(ch, c->send_), &me->waiter);
    lea_chan_unlock_to(ch, w, (w | (c->send_ ? LEA_CHAN_RECV : LEA_CHAN_SEND)) + LEA_CHAN_CHANGE);
}

static inline bool word_says_wait(uintptr_t w, const leat_case *c)
{
    return lea_chan_word_says(w, lea_chan_case_dir(c)) == -EAGAIN;
}

enum lea_case_queued lea_chan_case_queue(leat_case *c, struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    uintptr_t w = lea_chan_lock(ch, s->m);

    if (LEA_UNLIKELY(!word_says_wait(w, c)) && ready_locked(ch, w, c, s) &&
        !LEA_MUTATED(SELECT_NO_SECOND_LOOK))
        return claim_and_take(c, s, w);
    queue_locked(c, s, w, false);
    return LEA_CASE_QUEUED;
}

size_t lea_chan_cases_queue_solo(struct lea_select *s)
{
    bool mark = s->until_ns == INT64_MAX;
    size_t i;

    if (!lea_solo_begin())
        return 0;
    for (i = 0; i < s->n; i++) {
        leat_case *c = &s->cases[i];
        struct leat_chan *ch = lea_chan_case_of(c);
        uintptr_t w;

        if (!ch)
            continue;
        w = lea_chan_solo_lock(ch);
        if (LEA_UNLIKELY(!word_says_wait(w, c))) {
            lea_chan_rank_leave();
            break;
        }
        queue_locked(c, s, w, mark);
        c->queued_ = true;
    }
    lea_solo_end();
    return i;
}

/* Locked, and it is in the line. Unlocks it. */
static inline void leave_locked(leat_case *c, uintptr_t w)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_waiters *list = list_of(ch, c->send_);

    lea_waiters_del(list, &waiter_of(c)->waiter);
    lea_chan_unlock_to(ch, w, list->first ? w + LEA_CHAN_CHANGE : lea_chan_next(ch, w));
}

enum lea_case_left lea_chan_case_leave(leat_case *c, const struct lea_select *s)
{
    struct leat_chan *ch = lea_chan_case_of(c);
    struct lea_waiter *me = &waiter_of(c)->waiter;
    enum lea_case_left left;
    uintptr_t w;

    if (me->co && lea_u32_load_acq(&me->word) != LEA_SERVED_NOT) /* WAITER-TOLD, WAITER-LOST */
        return lea_case_left(me);
    w = lea_chan_lock(ch, s->m);
    left = lea_case_left(me);
    if (me->queued)
        leave_locked(c, w);
    else
        (void)lea_chan_unlock(ch, w);
    return left;
}

bool lea_chan_cases_leave_solo(struct lea_select *s, size_t *claimed)
{
    if (!lea_solo_begin())
        return false;
    for (size_t i = 0; i < s->n; i++) {
        leat_case *c = &s->cases[i];

        if (!c->queued_)
            continue;
        c->queued_ = false;
        if (waiter_of(c)->waiter.queued)
            leave_locked(c, lea_chan_solo_lock(lea_chan_case_of(c)));
        else if (lea_case_left(&waiter_of(c)->waiter) == LEA_CASE_CLAIMED)
            *claimed = i;
    }
    lea_solo_end();
    return true;
}

int lea_chan_case_finish(const leat_case *c, enum lea_wake code)
{
    const struct lea_waiter *me = (const struct lea_waiter *)(const void *)c->room_;

    if (me->co && !LEA_MUTATED(SELECT_NOT_TOLD))
        lea_waiter_told(me); /* who was claimed before it had parked is written to for a while */
    return code == LEA_WAKE_DONE ? 0 : -EPIPE;
}
