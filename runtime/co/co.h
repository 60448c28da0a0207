/*
 * co/co.h - what a coroutine is, and who may end its wait.
 *
 * A coroutine is in exactly one place, and its state names which:
 *   FREE     a processor's cache or the slab; nobody else has a pointer that counts
 *   READY    one run queue (a processor's ring, next slot, stack of new ones or backlog, or the
 *            inject queue); not started yet while stack == NULL
 *   RUNNING  one worker's `co`
 *   WAITING  the waiter lists of what it waits for; found again through its wait word only
 *   DEAD     on its way from RUNNING to FREE
 *
 * The memory of a coroutine is type-stable during a run: a late waker may still look at one that
 * has ended.
 *
 * The wait word settles every race between those who may end a wait (readiness, a peer, a deadline,
 * cancellation, close): each wait has a ticket, the sequence number in the word, and the one CAS
 * that moves the word on to the next number wins. Where nobody else can come to the word, in a solo
 * section (sched/solo.h), a load and a store stand for that CAS.
 *
 *   bit  0  PARKED   the registers are saved, or will be before anybody can run the coroutine
 *        (sched/park.h): whoever claims the wait must make it ready
 *   bit  1  SHIELD   this wait is not to be cancelled (set together with PARKED)
 *   bit  2  CANCEL   cancellation is in force: what every call that may park looks at
 *   bit  3  OWN      the coroutine itself was asked to end, by its handle, its group or the end of
 *        the run
 *   bits 4..7        how the last wait ended: enum lea_wake
 *   bit  8  HIDE     a shield is in force: OWN does not show in CANCEL
 *   bit  9  EXTRA    its extra (extra.h) is in use
 *   bit 10  LOCK     somebody looks into its extra (extra.h)
 *   bit 11  SHELTER  born under a shield: the end of the run leaves it alone
 *   bits 12..63      number of the wait that may be claimed now
 *
 * Bits 2, 3 and 8 to 11 outlive a wait. Without scopes CANCEL is OWN without HIDE; scopes add to it
 * (scope/scope.c), under LOCK.
 *
 * A claim may come before the coroutine has parked (it has handed out its ticket already). The
 * claimer then leaves the rest to it: the commit of the park finds the number moved on, and the
 * coroutine is ready again at once (law 1).
 *
 * Ordering pairs.
 *  WAIT-ARM    the commit's CAS to PARKED  ->  CAS in lea_co_claim: the registers are saved before
 *              anybody runs the coroutine.
 *  WAIT-CLAIM  CAS in lea_co_claim  ->  the woken coroutine's read of its word: what the waker
 *              wrote before is visible.
 *
 * What a coroutine's memory keeps from one life to the next: the wait's number and timer_ns, since
 * late wakers and old timer entries may still look, and its extra.
 *
 * Keys: (o) the coroutine itself, while it runs   (c) by CAS, anybody   (q) whoever holds it in a
 * queue   (k) from spawn to end
 *       (T) under the lock of a timer heap, or by CAS (time/timer.c)     (G) under its group's lock
 *       What is a lea_word or lea_u32 besides is read by reports at any time (co/report.h).
 */
#ifndef LEA_CO_CO_H
#define LEA_CO_CO_H

#include "base/atomic.h"
#include "base/delay.h"
#include "base/list.h"
#include "base/mutant.h"
#include "ctx/ctx.h"
#include "mem/stack.h"

#include <leat/go.h>

enum lea_state { LEA_FREE, LEA_READY, LEA_RUNNING, LEA_WAITING, LEA_DEAD };

/* How a wait ended. */
enum lea_wake { LEA_WAKE_NONE, LEA_WAKE_DONE, LEA_WAKE_TIMEOUT, LEA_WAKE_CANCEL, LEA_WAKE_CLOSED };

/* What a coroutine waits for, for reports. The names, and who can end such a wait, are in co.c. */
enum lea_reason {
    LEA_REASON_NONE,
    LEA_REASON_YIELD,
    LEA_REASON_SLEEP,
    LEA_REASON_READ,
    LEA_REASON_WRITE,
    LEA_REASON_ACCEPT,
    LEA_REASON_CONNECT,
    LEA_REASON_POLL,
    LEA_REASON_SIGNAL,
    LEA_REASON_MUTEX,
    LEA_REASON_WAITGROUP,
    LEA_REASON_GROUP,
    LEA_REASON_JOIN,
    LEA_REASON_PROC,
    LEA_REASON_TIMER,
    LEA_REASON_START,
    LEA_REASON_FLIGHT,
    LEA_REASON_BLOCKING,
    LEA_REASON_CHILD,
    LEA_REASON_SEND,
    LEA_REASON_RECEIVE,
    LEA_REASON_COND,
    LEA_REASON_SEM,
    LEA_REASON_ONCE,
    LEA_REASON_BARRIER,
    LEA_REASON_EVENT,
    LEA_REASON_SELECT,
    LEA_REASON_RESOLVE,
    LEA_REASON_RWMUTEX,
    LEA_REASON_SELECT_OUTSIDE,
    LEA_REASON_FILE,
    LEA_REASON_NR
};

/* Service classes, most urgent first. Public priorities 1, 0, -1. */
enum lea_class { LEA_CLASS_HIGH, LEA_CLASS_NORMAL, LEA_CLASS_LOW, LEA_NR_CLASSES };

#define LEA_WAIT_PARKED ((uintptr_t)1)
#define LEA_WAIT_SHIELD ((uintptr_t)2)
#define LEA_WAIT_CANCEL ((uintptr_t)4)
#define LEA_WAIT_OWN ((uintptr_t)8)
#define LEA_WAIT_HIDE ((uintptr_t)0x100)
#define LEA_WAIT_EXTRA ((uintptr_t)0x200)
#define LEA_WAIT_LOCK ((uintptr_t)0x400)
#define LEA_WAIT_SHELTER ((uintptr_t)0x800)
/* What the end of a wait leaves as it is, and what not, below the number. */
#define LEA_WAIT_KEPT                                                                              \
    (LEA_WAIT_CANCEL | LEA_WAIT_OWN | LEA_WAIT_HIDE | LEA_WAIT_EXTRA | LEA_WAIT_LOCK |             \
     LEA_WAIT_SHELTER)
#define LEA_WAIT_ENDED ((LEA_WAIT_ONE - 1) & ~LEA_WAIT_KEPT)
#define LEA_WAIT_CODE_SHIFT 4
#define LEA_WAIT_SEQ_SHIFT 12
#define LEA_WAIT_ONE ((uintptr_t)1 << LEA_WAIT_SEQ_SHIFT)

/* Room for arguments inside the coroutine; larger ones go onto its stack. */
#define LEA_CO_ARGS_BYTES 48

struct lea_co;
struct lea_extra;

/*
 * Told when a coroutine ends, on the coroutine's own stack, before it is anywhere else. Must not
 * park. Embedded in a group or a handle.
 */
struct lea_end_hook {
    void (*ended)(struct lea_end_hook *hook, struct lea_co *co, leat_result result);
};

/* The first line holds all that a wait and a switch touch. */
struct lea_co {
    _Alignas(LEA_CACHELINE) struct lea_ctx ctx; /* (o) saved registers while not RUNNING */
    lea_word wait;                              /* (c) the wait word, above */
    struct lea_co *link;                        /* (q) next in a list */
    /* (k) NULL until the first turn, unless large arguments lie on it */
    struct lea_stack *stack;
    /* (k) const struct leat_site_ *: where it was spawned, and what it runs */
    lea_word site;
    /* enum lea_state, enum lea_reason and a processor above it; written by whoever holds it */
    lea_u32 state;
    uint8_t stack_class; /* (k) */
    uint8_t prio_class;  /* (k) enum lea_class */
    /* (k) it begins later, and has not begun yet (sched/late.c); 0 otherwise */
    uint8_t late;
    /*
     * (o) 1: it runs on one thread only, and has no `stack` while it is not RUNNING (sched/bound.h)
     */
    uint8_t bound;
    lea_word fd_ticket; /* (o) number of its last wait for a descriptor; netpoll.h, FD-WAIT */
    /* (o) what its current or last wait is for, below; fetched ahead, never looked into */
    lea_word object;
    void *args;  /* (k) inline_args or on the stack */
    lea_word id; /* (k) 1 and up; 0 for a free one */
    /* (o) number of the wait that until_ns belongs to */
    lea_word until_seq;
    lea_word until_ns; /* (o) its deadline */
    /* (T) when a timer heap will look at this coroutine; LEA_TIMER_NONE */
    lea_word timer_ns;
    /* the earliest deadline of its open scopes; LEA_TIMER_NONE */
    lea_word scope_ns;
    struct lea_node member; /* (G) among the members of its group */
    /* (k) group or handle to be told of the end; NULL none */
    struct lea_end_hook *end_hook;
    union {
        /* (k) what few need (extra.h); NULL none yet. Counts while the wait word says EXTRA */
        struct lea_extra *extra;
        /* the same: how it is written, and read by reports */
        lea_word extra_word;
    };
    _Alignas(16) unsigned char inline_args[LEA_CO_ARGS_BYTES];
};
#ifndef LEA_CTX_NOTED
_Static_assert(sizeof(struct lea_co) == 3 * LEA_CACHELINE,
               "a line more is 64 bytes for each of a million, and one more miss for each turn");
#endif

/* down to the caller of a blocking read, and the first bytes of its buffer */
#define LEA_CO_FRAME_LINES 6u

/* Fetch what a spawn or a first turn touches. NULL is fine. */
static inline void lea_co_prefetch(const struct lea_co *co)
{
    if (!co)
        return;
    lea_prefetch(co);
    lea_prefetch(&co->until_seq);
    lea_prefetch(&co->inline_args);
}

/*
 * Fetch what its next turn touches first: the saved registers, and the frames that it returns
 * through. Of one that has not begun, anything.
 */
static inline void lea_co_prefetch_frames(const struct lea_co *co)
{
    /* a number: it may be no address at all */
    uintptr_t low = (uintptr_t)co->ctx.sp - LEA_CTX_FRAME_BELOW;

    for (unsigned line = 0; line < LEA_CO_FRAME_LINES; line++)
        lea_prefetch((const void *)(low + line * LEA_CACHELINE));
}

/* The part of those that a turn touches which ends in another yield. */
static inline void lea_co_prefetch_turn(const struct lea_co *co)
{
    /* a number: it may be no address at all */
    uintptr_t low = (uintptr_t)co->ctx.sp - LEA_CTX_FRAME_BELOW;

    lea_prefetch((const void *)low);
    lea_prefetch((const void *)(low + LEA_CACHELINE));
    lea_prefetch((const void *)(low + 2 * LEA_CACHELINE));
}

#define LEA_STATE_REASON_SHIFT 8
#define LEA_STATE_PROC_SHIFT 16

/*
 * `object`, by reason: READ to SIGNAL a struct lea_fd, JOIN the coroutine that is to end, the
 * others the address of what the program waits at. Written before the state says WAITING.
 */
static inline void lea_co_waits_for(struct lea_co *co, const void *object)
{
    lea_word_store_rlx(&co->object, (uintptr_t)object); /* relaxed: for reports, and as a hint */
}

static inline enum lea_state lea_state_of(uint32_t state)
{
    return (enum lea_state)(state & ((1u << LEA_STATE_REASON_SHIFT) - 1));
}

/* @parks_at: 1 + the index of the processor that it parks at; 0: none is named */
static inline uint32_t lea_state_waiting(enum lea_reason reason, uint32_t parks_at)
{
    return LEA_WAITING | (uint32_t)reason << LEA_STATE_REASON_SHIFT |
           parks_at << LEA_STATE_PROC_SHIFT;
}

static inline enum lea_reason lea_state_reason(uint32_t state)
{
    return (enum lea_reason)((state & ((1u << LEA_STATE_PROC_SHIFT) - 1)) >>
                             LEA_STATE_REASON_SHIFT);
}

/* 0: it does not wait, or see above */
static inline uint32_t lea_state_parks_at(uint32_t state)
{
    return state >> LEA_STATE_PROC_SHIFT;
}

/* Owner, or who holds it in a queue. */
static inline uint64_t lea_co_id(const struct lea_co *co)
{
    return lea_word_load_rlx(&co->id); /* relaxed: constant for those */
}

/* In place of one, of a thread of the program's that is attached to the run (sched/attach.c). */
extern const struct leat_site_ lea_co_attached_site;

static inline const struct leat_site_ *lea_co_site(const struct lea_co *co)
{
    /* relaxed: constant for those */
    return (const struct leat_site_ *)lea_word_load_rlx(&co->site);
}

/* No timer heap holds an entry that counts for this coroutine. Later than any deadline. */
#define LEA_TIMER_NONE UINTPTR_MAX

/* Coroutines on their way to a run queue, linked by `link`. */
struct lea_ready_list {
    struct lea_co *first, **last;
    uint32_t n;
};

static inline void lea_ready_list_init(struct lea_ready_list *l)
{
    l->first = NULL;
    l->last = &l->first;
    l->n = 0;
}

static inline void lea_ready_list_add(struct lea_ready_list *l, struct lea_co *co)
{
    co->link = NULL;
    *l->last = co;
    l->last = &co->link;
    l->n++;
}

static inline struct lea_co *lea_ready_list_take(struct lea_ready_list *l)
{
    struct lea_co *co = l->first;

    if (co) {
        l->first = co->link;
        if (!l->first)
            l->last = &l->first;
        l->n--;
    }
    return co;
}

static inline uintptr_t lea_wait_seq(uintptr_t word)
{
    return word >> LEA_WAIT_SEQ_SHIFT;
}

/* The ticket of the wait that the running coroutine is about to begin. Owner only. */
static inline uintptr_t lea_co_ticket(const struct lea_co *co)
{
    /* relaxed: only a claim of a handed-out ticket changes the number */
    return lea_wait_seq(lea_word_load_rlx(&co->wait));
}

enum lea_claim {
    LEA_CLAIM_LOST,    /* somebody else ended that wait */
    LEA_CLAIM_RUNNING, /* ours; the coroutine has not parked yet and will find out by itself */
    LEA_CLAIM_PARKED,  /* ours; the caller must make the coroutine ready */
};

/* End the wait `ticket` of a coroutine. Anybody, any number of times. */
static inline enum lea_claim lea_co_claim(struct lea_co *co, uintptr_t ticket, enum lea_wake code)
{
    for (;;) {
        uintptr_t w = lea_word_load_acq(&co->wait);
        uintptr_t next =
            (ticket + 1) << LEA_WAIT_SEQ_SHIFT | (uintptr_t)code << LEA_WAIT_CODE_SHIFT |
            (w & (LEA_MUTATED(WAIT_CANCEL_LOST) ? LEA_WAIT_EXTRA | LEA_WAIT_LOCK : LEA_WAIT_KEPT));

        if (lea_wait_seq(w) != ticket && !LEA_MUTATED(WAIT_TICKET))
            return LEA_CLAIM_LOST;
        lea_delay_point(WAIT_CLAIM);
        if (lea_word_cas(&co->wait, w, next)) /* WAIT-CLAIM, WAIT-ARM */
            return w & LEA_WAIT_PARKED ? LEA_CLAIM_PARKED : LEA_CLAIM_RUNNING;
    }
}

/*
 * As lea_co_claim(), once, for one that has parked: true: it must be made ready. False says
 * nothing.
 */
static inline bool lea_co_claim_parked(struct lea_co *co, uintptr_t ticket, enum lea_wake code)
{
    uintptr_t w = lea_word_load_acq(&co->wait);

    return lea_wait_seq(w) == ticket && (w & LEA_WAIT_PARKED) &&
           lea_word_cas(&co->wait, w, /* WAIT-CLAIM, WAIT-ARM */
                        (ticket + 1) << LEA_WAIT_SEQ_SHIFT |
                            (uintptr_t)code << LEA_WAIT_CODE_SHIFT | (w & LEA_WAIT_KEPT));
}

/*
 * The same in a solo section (sched/solo.h), of a wait that nobody else ends but by cancellation.
 */
static inline bool lea_co_claim_parked_solo(struct lea_co *co, uintptr_t ticket, enum lea_wake code)
{
    uintptr_t w = lea_word_load_acq(&co->wait);

    if (LEA_UNLIKELY(lea_wait_seq(w) != ticket || !(w & LEA_WAIT_PARKED)))
        return false;
    /* the number one further */
    lea_word_store_rel(&co->wait, (w & ~LEA_WAIT_ENDED) + LEA_WAIT_ONE +
                                      ((uintptr_t)code << LEA_WAIT_CODE_SHIFT)); /* WAIT-CLAIM */
    return true;
}

/*
 * As lea_co_claim(); a coroutine that must be made ready is added to `out`. True when the wait was
 * ours.
 */
static inline bool lea_co_claim_to(struct lea_co *co, uintptr_t ticket, enum lea_wake code,
                                   struct lea_ready_list *out)
{
    enum lea_claim c = lea_co_claim(co, ticket, code);

    if (c == LEA_CLAIM_PARKED)
        lea_ready_list_add(out, co);
    return c != LEA_CLAIM_LOST;
}

/*
 * Publish that the registers are saved: the commit of a park. False: the wait has ended already,
 * the coroutine is ready again.
 */
static inline bool lea_co_arm(struct lea_co *co, uintptr_t ticket, bool shielded)
{
    for (;;) {
        uintptr_t w = lea_word_load_acq(&co->wait);

        if (lea_wait_seq(w) != ticket)
            return false;
        /* either way the wait has ended: by us, or by who came first */
        if ((w & LEA_WAIT_CANCEL) && !shielded && !LEA_MUTATED(WAIT_CANCEL_EARLY)) {
            (void)lea_co_claim(co, ticket, LEA_WAKE_CANCEL);
            return false;
        }
        lea_delay_point(WAIT_ARM);
        /* WAIT-ARM */
        if (lea_word_cas(&co->wait, w, w | LEA_WAIT_PARKED | (shielded ? LEA_WAIT_SHIELD : 0)))
            return true;
    }
}

/* The same in a solo section, of a wait that nobody else ends but by cancellation; not shielded. */
static inline bool lea_co_arm_solo(struct lea_co *co, uintptr_t ticket)
{
    uintptr_t w = lea_word_load_acq(&co->wait);

    if (LEA_UNLIKELY(lea_wait_seq(w) != ticket || (w & LEA_WAIT_CANCEL)))
        return lea_co_arm(co, ticket, false);
    lea_word_store_rel(&co->wait, w | LEA_WAIT_PARKED); /* WAIT-ARM */
    return true;
}

/*
 * Ask it to end: whatever it waits for ends, now and later, unless a shield is in force. A
 * coroutine that must be made ready is added to `out`. Anybody. True: it has an extra, so there may
 * be scopes and groups of its own to be told too.
 */
bool lea_co_cancel(struct lea_co *co, struct lea_ready_list *out);

/*
 * Cancellation is in force for it, by a scope: its wait ends unless that is shielded. Under LOCK.
 */
void lea_co_cancel_wait(struct lea_co *co, struct lea_ready_list *out);

/* Owner only: is cancellation in force? */
static inline bool lea_co_cancelled(const struct lea_co *co)
{
    /* relaxed: a request, it publishes nothing */
    return (lea_word_load_rlx(&co->wait) & LEA_WAIT_CANCEL) != 0;
}

/* How the last wait ended. Owner only, after a park. */
static inline enum lea_wake lea_co_wake_code(const struct lea_co *co)
{
    /* WAIT-CLAIM */
    return (enum lea_wake)(lea_word_load_acq(&co->wait) >> LEA_WAIT_CODE_SHIFT & 15);
}

const char *lea_reason_name(enum lea_reason reason);

/*
 * Can nothing but a coroutine or a thread of the program's end such a wait (unless it has a
 * deadline)? Then it may be part of a deadlock.
 */
bool lea_reason_inside(enum lea_reason reason);
const char *lea_state_name(enum lea_state state);

#endif
