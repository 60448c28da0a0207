/*
 * time/timer.h - which deadline is next: one heap per processor.
 *
 * An entry says "look at this coroutine at that time", no more: whether a wait is over is read from
 * the coroutine then. So a wait that ends before its deadline leaves its entry behind, and the next
 * wait with a later deadline uses that entry again: a deadline per blocking call costs a store and
 * a fence, not a heap operation.
 *
 * co->timer_ns names the one entry that counts (by its time); entries with another time are stale.
 * They are dropped when they come up, or when the heap is full: a coroutine whose far deadlines end
 * early and whose near ones fire leaves one stale entry a round. Coroutines are type-stable (co.h),
 * and keep timer_ns when they are used again, so an entry may be looked at after its coroutine
 * ended.
 *
 * The same entry looks after the deadlines of the coroutine's scopes, of which scope_ns is the
 * earliest: a scope whose deadline never comes costs no heap operation either. What to do about one
 * that has come is not known here: the coroutine is handed up.
 *
 * Invariant: a coroutine that waits with a deadline D, or has D in scope_ns, has an entry that
 * counts with a time <= D in some heap, or a runner of that heap is looking at it right now.
 *
 * Ordering pair TIMER-LOOK (law 3): the waiter writes until, until_seq, full fence, reads timer_ns;
 * the runner writes timer_ns = NONE, full fence, reads wait, until_seq, until. One of them sees the
 * other: either the waiter adds an entry, or the runner sees the deadline. So it is with scope_ns.
 * As there are several deadlines, timer_ns is only ever lowered, but by the runner's NONE.
 */
#ifndef LEA_TIME_TIMER_H
#define LEA_TIME_TIMER_H

#include "base/lock.h"
#include "co/co.h"

struct lea_timer_entry {
    uintptr_t at_ns;
    struct lea_co *co;
};

/* Keys: (l) under the lock; first_ns is written under it and read by anybody. */
struct lea_timers {
    _Alignas(LEA_CACHELINE) struct lea_lock lock;
    lea_word first_ns;             /* time of the earliest entry; UINTPTR_MAX none */
    struct lea_timer_entry *entry; /* (l) 4-ary heap, within `memory` */
    void *memory;                  /* (l) */
    uint32_t n, cap;               /* (l) */
    /* (l) free places that are promised to lea_timer_scopes_seen() */
    uint32_t kept;
};

/*
 * Coroutines of which a scope's deadline has passed, on their way up. Each may have ended
 * meanwhile, and have another life.
 */
#define LEA_TIMER_SCOPES 16u
struct lea_timer_scopes {
    struct {
        struct lea_co *co;
        bool place; /* one is kept for its next entry */
    } at[LEA_TIMER_SCOPES];
    uint32_t n;
};

void lea_timers_init(struct lea_timers *t);
void lea_timers_destroy(struct lea_timers *t);

/*
 * The running coroutine's next wait, `ticket`, ends at until_ns. Call before parking; the entry
 * goes into `t` if none serves yet.
 * Returns: 0; -ENOMEM the heap could not grow.
 */
int lea_timer_arm(struct lea_timers *t, struct lea_co *co, uintptr_t ticket, int64_t until_ns);

/*
 * The running coroutine has a scope with the deadline until_ns: stored in scope_ns, and a full
 * fence behind that. As above.
 */
int lea_timer_arm_scope(struct lea_timers *t, struct lea_co *co, int64_t until_ns);

/*
 * End the waits whose deadline has passed. Looks at `max` entries at most, stale ones included, so
 * that the lock is held for a bounded time. Any thread. Returns how many waits it has ended; with 0
 * and a first entry that is still due, call again. Whose scopes are due is added to `scopes`, which
 * is empty before: the caller sees to them, and says so for each.
 */
uint32_t lea_timers_run(struct lea_timers *t, int64_t now_ns, uint32_t max,
                        struct lea_ready_list *out, struct lea_timer_scopes *scopes);

/*
 * Entry `i` of `scopes` was seen to; next_ns: what scope_ns is now (and a full fence behind it),
 * LEA_TIMER_NONE nothing.
 */
void lea_timer_scopes_seen(struct lea_timers *t, const struct lea_timer_scopes *scopes, uint32_t i,
                           uintptr_t next_ns);

/*
 * Time of the earliest entry, INT64_MAX none. Any thread; may be stale, never later than what this
 * thread added.
 */
static inline int64_t lea_timers_first_ns(const struct lea_timers *t)
{
    uintptr_t first = lea_word_load_acq(&t->first_ns);

    return first > INT64_MAX ? INT64_MAX : (int64_t)first;
}

#endif
