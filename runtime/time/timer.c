/*
 * Timer heaps. What an entry means, the invariant and the ordering pair: timer.h.
 */
#include "time/timer.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "mem/heap.h"

#include <errno.h>
#include <string.h>

#define ARITY 4u
_Static_assert(ARITY == 4, "earliest() compares four");
#define CAP_MIN 64u
#define SCOPES_AGAIN_NS 1000000 /* see scopes_due() */
/*
 * entries that are due are looked at together: their memory comes together, not one after the other
 */
#define BATCH 64u
/*
 * Entries in front of the root, so that the children of an entry (16 bytes each) share a cache
 * line.
 */
#define LEAD (ARITY - 1u)
#define BYTES(cap) (((cap) + LEAD) * sizeof(struct lea_timer_entry) + LEA_CACHELINE)

void lea_timers_init(struct lea_timers *t)
{
    memset(t, 0, sizeof(*t));
    lea_lock_init(&t->lock, LEA_RANK_TIMER);
    lea_word_store_rlx(&t->first_ns, UINTPTR_MAX); /* relaxed: not shared yet */
}

void lea_timers_destroy(struct lea_timers *t)
{
    lea_heap_free(t->memory, BYTES(t->cap));
    t->memory = NULL;
    t->entry = NULL;
}

static bool heap_grow(struct lea_timers *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : CAP_MIN;
    void *memory = lea_heap_alloc(BYTES(cap));
    struct lea_timer_entry *e;

    if (!memory)
        return false;
    e = (struct lea_timer_entry *)(((uintptr_t)memory + LEA_CACHELINE - 1) &
                                   ~(uintptr_t)(LEA_CACHELINE - 1)) +
        LEAD;
    if (t->memory) {
        memcpy(e, t->entry, t->n * sizeof(*e));
        lea_heap_free(t->memory, BYTES(t->cap));
    }
    t->memory = memory;
    t->entry = e;
    t->cap = cap;
    return true;
}

/*
 * The earliest of four siblings; without branches, which are guessed wrong every other time here (a
 * pop from 50 000: 71 ns against 145).
 */
static uint32_t earliest(const struct lea_timer_entry *e, uint32_t first)
{
    uint32_t a = first + (e[first + 1].at_ns < e[first].at_ns);
    uint32_t b = first + 2 + (e[first + 3].at_ns < e[first + 2].at_ns);
    uint32_t is_b = 0 - (uint32_t)(e[b].at_ns < e[a].at_ns);

    return (a & ~is_b) | (b & is_b);
}

/* An entry for place i, where there is none now: down to where it belongs. */
static void heap_sift(struct lea_timers *t, uint32_t i, struct lea_timer_entry e)
{
    for (;;) {
        uint32_t child = i * ARITY + 1, least = child;

        if (child >= t->n)
            break;
        if (LEA_LIKELY(child + ARITY <= t->n))
            least = earliest(t->entry, child);
        else
            for (uint32_t c = child + 1; c < t->n; c++)
                if (t->entry[c].at_ns < t->entry[least].at_ns)
                    least = c;
        if (e.at_ns <= t->entry[least].at_ns)
            break;
        t->entry[i] = t->entry[least];
        i = least;
    }
    t->entry[i] = e;
}

/*
 * Throw out the entries that do not count. One that does not now never will: whoever sets timer_ns
 * to its time again has brought an entry of its own (under this lock, if into this heap).
 */
static void heap_sweep(struct lea_timers *t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->n; i++)
        if (lea_word_load_acq(&t->entry[i].co->timer_ns) == t->entry[i].at_ns)
            t->entry[n++] = t->entry[i];
    t->n = n;
    for (uint32_t i = n / ARITY + 1; i-- > 0;)
        if (i < n)
            heap_sift(t, i, t->entry[i]);
}

/* It is full. More than half of it kept is no reason to sweep again soon: then it grows. */
static bool heap_make_room(struct lea_timers *t)
{
    heap_sweep(t);
    if (t->cap && t->n + t->kept <= t->cap / 2)
        return true;
    return heap_grow(t) || t->n + t->kept < t->cap;
}

static bool heap_push(struct lea_timers *t, uintptr_t at_ns, struct lea_co *co)
{
    uint32_t i;

    if (LEA_UNLIKELY(t->n + t->kept >= t->cap) && !heap_make_room(t))
        return false;
    for (i = t->n++; i > 0;) {
        uint32_t up = (i - 1) / ARITY;

        if (t->entry[up].at_ns <= at_ns)
            break;
        t->entry[i] = t->entry[up];
        i = up;
    }
    t->entry[i] = (struct lea_timer_entry){at_ns, co};
    return true;
}

static void heap_pop(struct lea_timers *t)
{
    struct lea_timer_entry last = t->entry[--t->n];

    heap_sift(t, 0, last);
}

static void note_first(struct lea_timers *t)
{
    lea_word_store_rel(&t->first_ns, t->n ? t->entry[0].at_ns : UINTPTR_MAX);
}

/* An entry at that time is in a heap now. An earlier one goes on to count. */
static void timer_lower(struct lea_co *co, uintptr_t at)
{
    uintptr_t old;

    do {
        old = lea_word_load_rlx(&co->timer_ns); /* relaxed: the CAS decides */
        if (old <= at)
            return;
    } while (!lea_word_cas(&co->timer_ns, old, at));
}

/* @place: one was kept for it. */
static int entry_add(struct lea_timers *t, struct lea_co *co, uintptr_t at, bool place)
{
    bool added;

    lea_lock_take(&t->lock);
    t->kept -= place;
    added = heap_push(t, at, co);
    if (added) {
        timer_lower(co, at);
        note_first(t);
    }
    lea_lock_drop(&t->lock);
    return added ? 0 : -ENOMEM;
}

int lea_timer_arm(struct lea_timers *t, struct lea_co *co, uintptr_t ticket, int64_t until_ns)
{
    uintptr_t until = until_ns < 0 ? 0 : (uintptr_t)until_ns;

    lea_word_store_rlx(&co->until_ns, until); /* relaxed: until_seq publishes it */
    /* with the release in front of it: a reader of this number sees its deadline */
    lea_word_store_rel(&co->until_seq, ticket);
    /*
     * relaxed: without an entry that serves one is added, whatever a runner sees; to rely on one
     * takes the pair
     */
    if (lea_word_load_rlx(&co->timer_ns) <=
        (LEA_MUTATED(TIMER_LATER_SERVES) ? UINTPTR_MAX - 1 : until)) {
        if (LEA_MUTATED(TIMER_LATER_SERVES))
            return 0;
        lea_delay_point(TIMER_LOOK);
        if (!LEA_MUTATED(TIMER_ARM_FENCE))
            lea_fence_full(); /* TIMER-LOOK */
        if (lea_word_load_acq(&co->timer_ns) <= until)
            return 0;
    }
    return entry_add(t, co, until, false);
}

int lea_timer_arm_scope(struct lea_timers *t, struct lea_co *co, int64_t until_ns)
{
    lea_delay_point(TIMER_LOOK);
    return lea_word_load_acq(&co->timer_ns) <= (uintptr_t)until_ns
               ? 0
               : entry_add(t, co, (uintptr_t)until_ns, false);
}

void lea_timer_scopes_seen(struct lea_timers *t, const struct lea_timer_scopes *scopes, uint32_t i,
                           uintptr_t next_ns)
{
    struct lea_co *co = scopes->at[i].co;
    bool place = scopes->at[i].place;

    if (next_ns != LEA_TIMER_NONE && lea_word_load_acq(&co->timer_ns) > next_ns) {
        /* without a place and without memory: it comes up again soon in any case */
        (void)entry_add(t, co, next_ns, place);
    } else if (place) {
        lea_lock_take(&t->lock);
        t->kept--;
        lea_lock_drop(&t->lock);
    }
}

/*
 * The entry of `co` has come up: end its wait, or find out when to look again (UINTPTR_MAX: no
 * deadline is waiting).
 */
static uintptr_t wait_due(struct lea_co *co, uintptr_t wait, uintptr_t now,
                          struct lea_ready_list *out, uint32_t *fired)
{
    uintptr_t ticket = lea_wait_seq(wait);
    uintptr_t until;

    if (lea_word_load_acq(&co->until_seq) != ticket && !LEA_MUTATED(TIMER_SEQ))
        return UINTPTR_MAX;
    /* relaxed: until_seq was read with acquire; a newer one fails the claim */
    until = lea_word_load_rlx(&co->until_ns);
    if (until > now)
        return LEA_MUTATED(TIMER_NOT_AGAIN) ? UINTPTR_MAX : until;
    if (lea_co_claim_to(co, ticket, LEA_WAKE_TIMEOUT, out))
        ++*fired;
    return UINTPTR_MAX;
}

/*
 * The same for its scopes. One that is due is handed up, with a place in the heap for the next of
 * them. If a wait (shielded, or not begun) has a later deadline, that has the place: then it is
 * looked at again soon, so that the next scope is not missed if there is no memory.
 */
static uintptr_t scopes_due(struct lea_timers *t, struct lea_co *co, uintptr_t now, uintptr_t again,
                            struct lea_timer_scopes *scopes)
{
    uintptr_t at = lea_word_load_acq(&co->scope_ns);
    bool place = again == UINTPTR_MAX;

    if (at > now || scopes->n == LEA_TIMER_SCOPES)
        return at < again && !LEA_MUTATED(TIMER_SCOPE_NOT_AGAIN) ? at : again;
    scopes->at[scopes->n].co = co;
    scopes->at[scopes->n++].place = place;
    t->kept += place;
    return place ? UINTPTR_MAX : again < now + SCOPES_AGAIN_NS ? again : now + SCOPES_AGAIN_NS;
}

static uintptr_t entry_due(struct lea_timers *t, struct lea_co *co, uintptr_t now,
                           struct lea_ready_list *out, uint32_t *fired,
                           struct lea_timer_scopes *scopes)
{
    uintptr_t wait = lea_word_load_acq(&co->wait);
    uintptr_t again = wait_due(co, wait, now, out, fired);

    return LEA_LIKELY(!(wait & LEA_WAIT_EXTRA)) ? again : scopes_due(t, co, now, again, scopes);
}

/*
 * Due entries out of the heap, earliest first. Each one's memory is asked for at once, and comes
 * while the others are popped.
 */
static uint32_t pop_due(struct lea_timers *t, uintptr_t now, uint32_t max,
                        struct lea_timer_entry *due)
{
    uint32_t n = 0;

    while (n < max && t->n && t->entry[0].at_ns <= now) {
        due[n] = t->entry[0];
        lea_prefetch(due[n].co);
        lea_prefetch(&due[n].co->until_seq);
        n++;
        heap_pop(t);
    }
    return n;
}

/*
 * Entries that were popped: drops the stale ones, declares the others looked at. Returns how many
 * those are.
 */
static uint32_t disown(struct lea_timer_entry *due, uint32_t n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++)
        /* else an earlier entry took its place */
        if (lea_word_cas(&due[i].co->timer_ns, due[i].at_ns, LEA_TIMER_NONE))
            due[kept++] = due[i];
    return kept;
}

uint32_t lea_timers_run(struct lea_timers *t, int64_t now_ns, uint32_t max,
                        struct lea_ready_list *out, struct lea_timer_scopes *scopes)
{
    uintptr_t now = (uintptr_t)now_ns;
    struct lea_timer_entry due[BATCH];
    uint32_t fired = 0, n;

    lea_lock_take(&t->lock);
    for (uint32_t left = max;
         scopes->n < LEA_TIMER_SCOPES && (n = pop_due(t, now, left < BATCH ? left : BATCH, due));
         left -= n) {
        uint32_t kept = disown(due, n);

        if (!LEA_MUTATED(TIMER_RUN_FENCE))
            lea_fence_full(); /* TIMER-LOOK, for all of them */
        for (uint32_t i = 0; i < kept; i++) {
            lea_delay_point(TIMER_LOOK);
            uintptr_t again = entry_due(t, due[i].co, now, out, &fired, scopes);

            if (again == UINTPTR_MAX)
                continue;
            /* the popped entries left their places */
            LEA_CHECK(heap_push(t, again, due[i].co), "a timer heap that just shrank has no room");
            timer_lower(due[i].co, again); /* the waiter may have added an earlier one meanwhile */
        }
    }
    note_first(t);
    lea_lock_drop(&t->lock);
    return fired;
}
