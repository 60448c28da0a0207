/*
 * The cold side of a coroutine's wait: arming, cancelling, names. States, the wait word and the
 * ordering pairs: co.h.
 */
#include "co/co.h"
#include "base/delay.h"
#include "base/mutant.h"

const struct leat_site_ lea_co_attached_site = {
    .file = "leat_attach_thread", .fn = "thread", .line = 1};

/* Set the bits; CANCEL among them ends a wait that is not shielded. Returns the word before. */
static uintptr_t set_bits(struct lea_co *co, uintptr_t bits, struct lea_ready_list *out)
{
    for (;;) {
        uintptr_t w = lea_word_load_acq(&co->wait);
        uintptr_t set = w & LEA_WAIT_HIDE && bits & LEA_WAIT_OWN && !LEA_MUTATED(SHIELD_OWN)
                            ? bits & ~LEA_WAIT_CANCEL
                            : bits;
        uintptr_t next = w | set;
        bool wakes = (set & LEA_WAIT_CANCEL) && (w & LEA_WAIT_PARKED) &&
                     (!(w & LEA_WAIT_SHIELD) || LEA_MUTATED(WAIT_SHIELD));

        if (wakes)
            next = (lea_wait_seq(w) + 1) << LEA_WAIT_SEQ_SHIFT |
                   (uintptr_t)LEA_WAKE_CANCEL << LEA_WAIT_CODE_SHIFT | (next & LEA_WAIT_KEPT);
        if (next == w)
            return w;
        if (!lea_word_cas(&co->wait, w, next)) /* WAIT-CLAIM, WAIT-ARM */
            continue;
        if (wakes)
            lea_ready_list_add(out, co);
        return w;
    }
}

bool lea_co_cancel(struct lea_co *co, struct lea_ready_list *out)
{
    return (set_bits(co, LEA_WAIT_OWN | LEA_WAIT_CANCEL, out) & LEA_WAIT_EXTRA) != 0;
}

void lea_co_cancel_wait(struct lea_co *co, struct lea_ready_list *out)
{
    (void)set_bits(co, LEA_WAIT_CANCEL, out);
}

const char *lea_reason_name(enum lea_reason reason)
{
    static const char *const names[LEA_REASON_NR] = {
        [LEA_REASON_NONE] = "none",           [LEA_REASON_YIELD] = "yield",
        [LEA_REASON_SLEEP] = "sleep",         [LEA_REASON_READ] = "read",
        [LEA_REASON_WRITE] = "write",         [LEA_REASON_ACCEPT] = "accept",
        [LEA_REASON_CONNECT] = "connect",     [LEA_REASON_POLL] = "poll",
        [LEA_REASON_SIGNAL] = "signal",       [LEA_REASON_MUTEX] = "mutex",
        [LEA_REASON_WAITGROUP] = "waitgroup", [LEA_REASON_GROUP] = "group",
        [LEA_REASON_JOIN] = "join",           [LEA_REASON_PROC] = "processor",
        [LEA_REASON_TIMER] = "timer",         [LEA_REASON_START] = "start",
        [LEA_REASON_FLIGHT] = "flight",       [LEA_REASON_BLOCKING] = "blocking call",
        [LEA_REASON_CHILD] = "child",         [LEA_REASON_SEND] = "send",
        [LEA_REASON_RECEIVE] = "receive",     [LEA_REASON_COND] = "condition",
        [LEA_REASON_SEM] = "semaphore",       [LEA_REASON_ONCE] = "once",
        [LEA_REASON_BARRIER] = "barrier",     [LEA_REASON_EVENT] = "event",
        [LEA_REASON_SELECT] = "select",       [LEA_REASON_SELECT_OUTSIDE] = "select",
        [LEA_REASON_RESOLVE] = "name",        [LEA_REASON_RWMUTEX] = "rwmutex",
        [LEA_REASON_FILE] = "file",
    };

    return reason < LEA_REASON_NR ? names[reason] : "unknown";
}

/* Without a default: the compiler asks for what is missing here. */
bool lea_reason_inside(enum lea_reason reason)
{
    switch (reason) {
    case LEA_REASON_MUTEX:
    case LEA_REASON_WAITGROUP:
    case LEA_REASON_COND:
    case LEA_REASON_SEM:
    case LEA_REASON_ONCE:
    case LEA_REASON_BARRIER:
    case LEA_REASON_EVENT:
    case LEA_REASON_SELECT:
    case LEA_REASON_RWMUTEX:
    case LEA_REASON_GROUP:
    case LEA_REASON_JOIN:
    case LEA_REASON_TIMER: /* which has a deadline while the timer runs */
    case LEA_REASON_START: /* likewise, unless it is never to begin */
    case LEA_REASON_FLIGHT:
    case LEA_REASON_SEND:
    case LEA_REASON_RECEIVE:
        return true;
    case LEA_REASON_NONE:
    case LEA_REASON_YIELD:
    case LEA_REASON_SLEEP:
    case LEA_REASON_READ:
    case LEA_REASON_WRITE:
    case LEA_REASON_ACCEPT:
    case LEA_REASON_CONNECT:
    case LEA_REASON_POLL:
    case LEA_REASON_SIGNAL:
    case LEA_REASON_PROC:
    case LEA_REASON_BLOCKING:
    case LEA_REASON_CHILD:
    case LEA_REASON_RESOLVE:
    case LEA_REASON_SELECT_OUTSIDE:
    case LEA_REASON_FILE:
    case LEA_REASON_NR:
        break;
    }
    return false;
}

const char *lea_state_name(enum lea_state state)
{
    static const char *const names[] = {"free", "ready", "running", "waiting", "dead"};

    return state <= LEA_DEAD ? names[state] : "unknown";
}
