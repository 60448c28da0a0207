/*
 * Select. Contract: include/leat/select.h; what always holds while one waits: sched/case.h; what a
 * case of a channel does: case.c; other kinds are in the rooms of what they wait for, behind a
 * table of steps.
 *
 *  1. A look at all channels' words, without a lock, and at what else there is. Of those that seem
 *     ready one is drawn, locked, and taken if it is ready still; else another one is drawn. A word
 *     seems ready in vain only if something has happened, or somebody was in a list in vain, who is
 *     taken off it then.
 *  2. Nothing is ready. A try ends here, if a second look finds that no word has changed: they
 *     count changes, so at the instant between the two looks no channel was ready. (What was drawn
 *     in vain has changed.)
 *  3. The select gets into the lists of all channels, one after the other, with a look under each
 *     lock. Somebody may claim it from the first one on. What is ready now is taken after a claim
 *     of itself.
 *  4. It parks, until somebody claims it, its deadline, or its cancellation.
 *  5. It gets out of all lists, and knows by that which case was claimed.
 *
 * With one processor steps 3 and 5 are one solo section each (sched/solo.h), if there are channels
 * only.
 *
 * Two selects may see each other in step 3 at the same time, claim themselves, and then find the
 * other one gone: both begin anew. From then on they enter the lists in the order of addresses,
 * where that cannot happen for ever: A, at one channel, sees B in its list, so B is at a later one,
 * or past all. Of all who see somebody at a time, the one that is furthest on sees one who has not
 * claimed itself.
 *
 * A select looks at all its channels again after its wait, so whoever receives the last value from
 * one may not free a channel under it.
 */
#include "base/mutant.h"
#include "base/os.h"
#include "chan/case.h"
#include "sched/wrong.h"

#include <errno.h>
#include <limits.h>

#define NOBODY SIZE_MAX
#define FEW 64 /* bits of a word; bounds a solo section, too */

/* --- the steps of a case, by its kind --- */

/* A look without a lock; of a channel the word is noted for the second look. */
static inline bool seems_ready(leat_case *c, struct lea_worker *m)
{
    uintptr_t w;

    if (!c->object_)
        return false;
    if (LEA_UNLIKELY(c->ops_ != NULL))
        return c->ops_->ready(c, m);
    w = lea_word_load_acq(&lea_chan_case_of(c)->word); /* CHAN */
    c->room_[0] = w & ~LEA_CHAN_LOCK;                  /* who has it counts from its unlock on */
    return lea_chan_word_says(w, lea_chan_case_dir(c)) != -EAGAIN;
}

/* Has nothing happened since the look before, which found it not ready or took it in vain? */
static inline bool is_unchanged(leat_case *c, struct lea_worker *m)
{
    if (!c->object_)
        return true;
    if (LEA_UNLIKELY(c->ops_ != NULL))
        return !c->ops_->ready(c, m);
    return (lea_word_load_acq(&lea_chan_case_of(c)->word) & ~LEA_CHAN_LOCK) == /* CHAN */
           c->room_[0];
}

static inline bool take(leat_case *c, struct lea_select *s)
{
    return LEA_UNLIKELY(c->ops_ != NULL) ? c->ops_->take(c, s) : lea_chan_case_take(c, s);
}

static inline enum lea_case_queued queue(leat_case *c, struct lea_select *s)
{
    return LEA_UNLIKELY(c->ops_ != NULL) ? c->ops_->queue(c, s) : lea_chan_case_queue(c, s);
}

static inline enum lea_case_left leave(leat_case *c, struct lea_select *s)
{
    return LEA_UNLIKELY(c->ops_ != NULL) ? c->ops_->leave(c, s) : lea_chan_case_leave(c, s);
}

static inline bool finish(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    if (LEA_UNLIKELY(c->ops_ != NULL))
        return c->ops_->finish(c, s, code);
    c->result = lea_chan_case_finish(c, code);
    return true;
}

/* --- looks without a lock --- */

static bool none_seems_ready(leat_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seems_ready(&cases[i], NULL))
            return false;
    return true;
}

/* Is all as it was in the look before? */
static bool unchanged(leat_case *cases, size_t n, struct lea_worker *m)
{
    for (size_t i = 0; i < n && !LEA_MUTATED(SELECT_TRY_ONE_LOOK); i++)
        if (!is_unchanged(&cases[i], m))
            return false;
    return true;
}

/* 0..n-1. @own: of who has no processor; zero at first. */
static uint32_t draw(const struct lea_select *s, struct lea_rand *own, uint32_t n)
{
    if (LEA_LIKELY(s->m && s->m->proc))
        return lea_rand_below(&s->m->proc->rand, n);
    if (!own->state)
        lea_rand_seed(own, (uint64_t)lea_os_now_ns() + (uintptr_t)s);
    return lea_rand_below(own, n);
}

/* One of the mask's bits, of which there are n > 0. */
static size_t draw_bit(const struct lea_select *s, struct lea_rand *own, uint64_t mask, uint32_t n)
{
    for (n = n > 1 ? draw(s, own, n) : 0; n > 0; n--)
        mask &= mask - 1;
    return (size_t)__builtin_ctzll(mask);
}

/* One that is ready, of few, taken; NOBODY. */
static size_t take_drawn(struct lea_select *s)
{
    struct lea_rand own = {0};
    uint64_t ready = 0;
    uint32_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        bool seems = seems_ready(&s->cases[i], s->m);

        ready |= (uint64_t)seems << i;
        n += seems;
    }
    for (; n > 0; n--) {
        size_t i = draw_bit(s, &own, ready, n);

        if (LEA_LIKELY(take(&s->cases[i], s)))
            return i;
        ready &= ~((uint64_t)1 << i);
    }
    return NOBODY;
}

/* One that seems ready, of many, or the first one; NOBODY. */
static size_t pick(struct lea_select *s)
{
    struct lea_rand own = {0};
    size_t picked = NOBODY;
    uint32_t found = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (!seems_ready(&s->cases[i], s->m))
            continue;
        if (++found == 1 || draw(s, &own, found) == 0)
            picked = i;
        if (s->ordered)
            break;
    }
    return picked;
}

/* One that is ready, taken; NOBODY. */
static size_t take_any(struct lea_select *s)
{
    size_t i;

    if (LEA_LIKELY(s->n <= FEW && !s->ordered))
        return take_drawn(s);
    do
        i = pick(s);
    while (i != NOBODY && !take(&s->cases[i], s));
    return i;
}

/* --- waiting --- */

/* In the order of addresses, and of the cases of one channel. */
static bool is_before(const leat_case *cases, size_t a, size_t b)
{
    return cases[a].object_ != cases[b].object_
               ? (uintptr_t)cases[a].object_ < (uintptr_t)cases[b].object_
               : a < b;
}

/*
 * The case that gets into its list after `last`; NOBODY: before and after all. By address this is
 * slow for many, and rare.
 */
static size_t next_case(const struct lea_select *s, size_t last)
{
    size_t next = NOBODY;

    if (LEA_LIKELY(!s->by_address)) {
        for (next = last + 1; next < s->n; next++)
            if (s->cases[next].object_)
                return next;
        return NOBODY;
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->cases[i].object_ && (last == NOBODY || is_before(s->cases, last, i)) &&
            (next == NOBODY || is_before(s->cases, i, next)))
            next = i;
    return next;
}

/* Into all lists. *at: the case that it ended at. */
static enum lea_case_queued queue_all(struct lea_select *s, size_t *at)
{
    enum lea_case_queued q = LEA_CASE_QUEUED;
    size_t done = s->solo && !s->by_address ? lea_chan_cases_queue_solo(s) : 0;

    for (size_t i = next_case(s, done - 1 /* or NOBODY */); i != NOBODY && q == LEA_CASE_QUEUED;
         i = next_case(s, i)) {
        q = queue(&s->cases[i], s);
        s->cases[i].queued_ = q == LEA_CASE_QUEUED;
        *at = i;
    }
    return q;
}

/* Out of all lists. Returns the case that was claimed; NOBODY. */
static size_t leave_all(struct lea_select *s)
{
    size_t claimed = NOBODY, perhaps = NOBODY;

    if (s->solo && LEA_LIKELY(s->m && s->m->proc) && !LEA_MUTATED(SELECT_LOSERS_KEPT) &&
        lea_chan_cases_leave_solo(s, &claimed))
        return claimed;
    for (size_t i = 0; i < s->n; i++) {
        enum lea_case_left left;

        if (!s->cases[i].queued_ || LEA_MUTATED(SELECT_LOSERS_KEPT))
            continue;
        s->cases[i].queued_ = false;
        left = leave(&s->cases[i], s);
        if (left == LEA_CASE_CLAIMED)
            claimed = i;
        else if (left == LEA_CASE_PERHAPS)
            perhaps = i;
    }
    return claimed != NOBODY ? claimed : perhaps;
}

/* What its wait is called, for reports and for the deadlock check. */
static enum lea_reason reason_of(const struct lea_select *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->cases[i].ops_ && s->cases[i].ops_->outside && s->cases[i].object_)
            return LEA_REASON_SELECT_OUTSIDE;
    return LEA_REASON_SELECT;
}

/* None is in a line yet. Returns: are there channels only? */
static bool look_at_kinds(struct lea_select *s)
{
    bool only_channels = true;

    for (size_t i = 0; i < s->n; i++) {
        s->cases[i].queued_ = false;
        only_channels &= !s->cases[i].ops_;
    }
    return only_channels;
}

static void begin(struct lea_select *s)
{
    s->look_ns = INT64_MAX;
    s->solo = look_at_kinds(s) && s->n <= FEW && s->m && s->m->proc && lea_solo_may();
    if (LEA_LIKELY(s->m != NULL)) {
        s->ticket = lea_co_ticket(s->m->co);
    } else {
        lea_waiter_begin(&s->lead, NULL);
    }
}

/* The wait is under way, or has been ended by somebody already. */
static enum lea_wake wait(struct lea_select *s, enum lea_case_queued q)
{
    int64_t until_ns = s->look_ns < s->until_ns ? s->look_ns : s->until_ns;

    if (!s->m)
        return lea_waiter_wait(&s->lead, &s->m, LEA_REASON_SELECT, until_ns, false);
    if (q == LEA_CASE_LOST)
        return lea_co_wake_code(s->m->co);
    lea_co_waits_for(s->m->co, s);
    if (s->solo && until_ns == INT64_MAX)
        return lea_park_listed(&s->m, LEA_REASON_SELECT, s->ticket);
    return lea_park_until(&s->m, reason_of(s), s->ticket, until_ns, false);
}

/*
 * Steps 3 to 5. Returns: the index; -EAGAIN begin anew; -ETIMEDOUT; -ECANCELED. A plain thread does
 * not hold the run any more.
 */
static int wait_any(struct lea_select *s)
{
    enum lea_case_queued q;
    enum lea_wake code;
    size_t at = 0, claimed;

    begin(s);
    q = queue_all(s, &at);
    if (!s->m && s->rt)
        lea_rt_drop();
    if (q == LEA_CASE_TAKEN || q == LEA_CASE_AGAIN) {
        (void)leave_all(s);
        s->by_address = true;
        return q == LEA_CASE_TAKEN ? (int)at : -EAGAIN;
    }
    code = wait(s, q);
    claimed = leave_all(s);
    if (code == LEA_WAKE_DONE || code == LEA_WAKE_CLOSED) {
        if (claimed == NOBODY && q == LEA_CASE_LOST)
            return -EAGAIN; /* by a descriptor that was on its way in, and is out again */
        LEA_CHECK(claimed < s->n, "select %p was ended by nobody", (void *)s);
        return finish(&s->cases[claimed], s, code) ? (int)claimed : -EAGAIN;
    }
    if (code == LEA_WAKE_TIMEOUT && s->look_ns < s->until_ns)
        return -EAGAIN;
    return lea_wake_errno(code);
}

/*
 * A plain thread holds the run while it looks and gets into lists: there it may have to make
 * coroutines ready.
 */
static void hold(struct lea_select *s)
{
    s->rt = LEA_LIKELY(s->m != NULL) ? s->m->rt : lea_rt_hold();
}

static void drop(const struct lea_select *s)
{
    if (!s->m && s->rt)
        lea_rt_drop();
}

static int select_until(struct lea_select *s)
{
    for (;;) {
        size_t i;
        int r;

        if (s->m && LEA_UNLIKELY(lea_co_cancelled(s->m->co)))
            return -ECANCELED;
        hold(s);
        i = take_any(s);
        if (i == NOBODY && LEA_LIKELY(s->until_ns > 0)) {
            r = wait_any(s);
            if (r != -EAGAIN)
                return r;
            continue;
        }
        drop(s);
        if (i != NOBODY)
            return (int)i;
        if (unchanged(s->cases, s->n, s->m))
            return -ETIMEDOUT;
    }
}

static void check_number(size_t n)
{
    LEA_RIGHT(n <= INT_MAX, "leat_select", "there are %zu cases", n);
}

static inline int select_wait(leat_case *cases, size_t n, leat_deadline until, bool ordered)
{
    struct lea_select s;
    int r;

    check_number(n);
    s.cases = cases;
    s.n = n;
    s.until_ns = until.ns;
    s.ordered = ordered;
    s.by_address = false;
    s.m = lea_enter_park();
    r = select_until(&s);
    if (LEA_LIKELY(s.m != NULL))
        lea_leave(s.m);
    return r;
}

int leat_select(leat_case *cases, size_t n, leat_deadline until)
{
    return select_wait(cases, n, until, false);
}

int leat_select_ordered(leat_case *cases, size_t n, leat_deadline until)
{
    return select_wait(cases, n, until, true);
}

/* Something is ready, it seems. */
static __attribute__((noinline)) size_t try_once(leat_case *cases, size_t n, bool ordered)
{
    struct lea_select s;
    size_t i;

    s.cases = cases;
    s.n = n;
    s.ordered = ordered;
    s.m = lea_solo_enter_any();
    hold(&s);
    i = take_any(&s);
    drop(&s);
    if (LEA_LIKELY(s.m != NULL))
        lea_leave(s.m);
    return i;
}

static inline int select_try(leat_case *cases, size_t n, bool ordered)
{
    check_number(n);
    for (;;) {
        if (!none_seems_ready(cases, n)) {
            size_t i = try_once(cases, n, ordered);

            if (i != NOBODY)
                return (int)i;
        }
        if (unchanged(cases, n, NULL))
            return -EAGAIN;
    }
}

int leat_select_try(leat_case *cases, size_t n)
{
    return select_try(cases, n, false);
}

int leat_select_ordered_try(leat_case *cases, size_t n)
{
    return select_try(cases, n, true);
}
