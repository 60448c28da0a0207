/*
 * idle.pml - publishing work against falling asleep: searchers, the last look, the successor's wake-up, wake-ups that are owed, coroutines
 * that one processor gives another.
 *
 * mirrors: runtime/sched/idle.h  lea_idle_published
 * mirrors: runtime/sched/idle.c  lea_idle_claim_proc lea_idle_claim lea_worker_wake anybody_idle lea_idle_wake_one lea_search_begin
 *          lea_search_end_found idle_announce lea_token_await idle_leave lea_worker_sleep search_on lea_idle_wait wake_if_idle lea_idle_given given
 * mirrors: runtime/sched/gather.c  lea_gather_give
 * mirrors: runtime/sched/find.c  lea_find_anything lea_find_wait
 * mirrors: runtime/sched/inject.c  lea_inject_push
 * mirrors: runtime/sched/runq.h  lea_runq_push
 * mirrors: runtime/sched/ready.h  lea_ready_local
 * mirrors: runtime/sched/monitor.h  lea_monitor_kick
 * mirrors: runtime/sched/monitor.c  look_at sleep_deep
 *
 * holds:   -DN=2 -DITEMS=2
 * holds:   -DN=3 -DITEMS=3 -DLATE=0 -DASLEEP -DHOGS -DOUTSIDE_ONLY
 * holds:   -DN=2 -DITEMS=2 -DMONITOR -DLATE=0 -DHOGS
 * holds:   -DN=2 -DITEMS=2 -DGIVES
 * fails:   -DN=2 -DITEMS=2 -DNO_FENCE_SUBMIT -- IDLE-LOOK: the submitter reads nr_idle before its push is visible
 * fails:   -DN=2 -DITEMS=2 -DNO_FENCE_SLEEP -- IDLE-LOOK: the sleeper looks before its announcement is visible
 * fails:   -DN=2 -DITEMS=2 -DNO_LAST_LOOK -- a sleeper that does not look again
 * fails:   -DN=2 -DITEMS=2 -DNO_SUCCESSOR -- a searcher that finds work wakes nobody after it
 * fails:   -DN=2 -DITEMS=2 -DNO_RESUME -- a searcher whose last look found work goes on as if nobody had relied on its search
 * fails:   -DN=2 -DITEMS=2 -DLATE_SEARCH_END -- nr_searching dropped after the last look
 * fails:   -DN=2 -DITEMS=2 -DNO_RELOOK -- a waker that claimed nobody does not look at the mask again
 * fails:   -DN=2 -DITEMS=2 -DPLAIN_SLEEP -- the sleep word is set by a store: a token that came first is lost
 * fails:   -DN=2 -DITEMS=2 -DMONITOR -DLATE=0 -DHOGS -DNO_LOOK -- nobody pays what a next slot owes
 * fails:   -DN=2 -DITEMS=2 -DMONITOR -DLATE=0 -DHOGS -DNO_FENCE_MONITOR -- MONITOR: the monitor reads nr_idle before its sleep is visible
 * fails:   -DN=2 -DITEMS=2 -DMONITOR -DLATE=0 -DHOGS -DNO_FENCE_KICK -- MONITOR: a claimer reads `asleep` before its claim is visible
 * fails:   -DN=2 -DITEMS=2 -DGIVES -DNO_FENCE_GIVE -- IDLE-GATHER: the giver looks for a sleeper before what it gives is visible
 * fails:   -DN=2 -DITEMS=2 -DGIVES -DNO_OWN_LOOK -- a sleeper that does not look for what it was given
 *
 * Left out: how long anybody searches and where first, small and brief work (whose wake-up is owed, as a next slot's), timers,
 * the poller (poller.pml), processors that change hands. Without MONITOR nobody repairs a lost wake-up.
 *
 * Memory. A plain store (a queue's tail or length, `asleep`) waits in its thread's buffer until a fence, or until it likes. A read-modify-write
 * is visible at once here, which is x86; that aarch64 lets a later load pass it shows as that load coming first (NO_FENCE_SLEEP, _KICK).
 *
 * Verified, when nothing can move any more: no item stands in a queue beside an idle processor, nor in what an idle one was given; everybody
 * claimed was woken, and the counts agree with the mask.
 */
#ifndef LATE
#define LATE 1
#endif
#define AWAKE 0
#define FUTEX 1
#define TOKEN 2
#define NOBODY 255
#define OUTSIDE N
#define bit_of(i) (1 << (i))

byte inject, ring[N], next[N];      /* what others see */
byte given[N], given_held[N];       /* small work, which nobody else looks at; [to whom] */
byte held[N + 1];                   /* pushed, and still in the pusher's store buffer; [OUTSIDE]: the plain thread's */
byte nr_searching, sleep[N];
#ifdef ASLEEP
byte mask = 6;                      /* all but the first begin asleep */
short nr_idle = 2;
#else
byte mask;
short nr_idle;                      /* a claimer may come between a sleeper's bit and its count: -1 for an instant */
#endif
bit searching[N];
byte left = ITEMS;                  /* items still to be made */
byte late = LATE;                   /* sleeps that may end by themselves */
bit asleep, asleep_held;            /* the monitor's word, and its store on the way */

inline drain(who)
{
    atomic {
        if
        :: (who) == OUTSIDE -> inject = inject + held[who]
        :: else -> ring[who] = ring[who] + held[who]
        fi;
        held[who] = 0
    }
}

active proctype Buffers()
{
    byte b;
end:
    do
    :: atomic { held[OUTSIDE] > 0 -> drain(OUTSIDE) }
    :: atomic { held[0] > 0 -> drain(0) }
    :: atomic { held[1] > 0 -> drain(1) }
#if N > 2
    :: atomic { held[2] > 0 -> drain(2) }
#endif
    :: atomic { asleep_held -> asleep = 1; asleep_held = 0 }
#ifdef GIVES
    :: atomic { given_held[0] > 0 -> given[0] = given[0] + given_held[0]; given_held[0] = 0 }
    :: atomic { given_held[1] > 0 -> given[1] = given[1] + given_held[1]; given_held[1] = 0 }
#endif
    od
}

/* lea_idle_claim_proc: clears `got` when somebody else was faster */
inline claim_proc(v)
{
    atomic {
        if
        :: mask & bit_of(v) -> mask = mask & ~bit_of(v); got = 1
        :: else -> got = 0
        fi
    }
    if
    :: got ->
#ifdef NO_FENCE_KICK
        was = asleep;
        nr_idle = nr_idle - 1;
#elif defined(MONITOR)
        nr_idle = nr_idle - 1;
        was = asleep;
#else
        nr_idle = nr_idle - 1;
#endif
        if
        :: atomic { was -> asleep = 0; asleep_held = 0; was = 0 }
        :: else
        fi
    :: else
    fi
}

/* lea_idle_wake_one */
inline wake_one()
{
    do
    :: atomic { nr_searching == 0 -> nr_searching = 1 };
        atomic { seen = mask; got = 0 };
        do
        :: atomic { !got && seen != 0 -> k = (seen & 1 -> 0 : (seen & 2 -> 1 : 2)); seen = seen & ~bit_of(k) }; claim_proc(k)
        :: else -> break
        od;
        if
        :: got -> atomic { searching[k] = 1; sleep[k] = TOKEN; k = 0; seen = 0; got = 0; was = 0 }; break
        :: else ->
            atomic { nr_searching = nr_searching - 1; k = 0; seen = 0; was = 0 };
#ifdef NO_RELOOK
            break
#else
            if
            :: mask == 0 -> break
            :: else
            fi
#endif
        fi
    :: else -> break
    od
}

/* An item of who's. With the fence behind it nobody can tell whether the store has waited: one step. */
inline push(who)
{
#ifdef NO_FENCE_SUBMIT
    atomic { left > 0 -> left = left - 1; held[who] = held[who] + 1 };
#else
    atomic { left > 0 -> left = left - 1; held[who] = held[who] + 1; drain(who) };
#endif
    published()
}

/* lea_idle_published, behind its fence */
inline published()
{
    if
    :: nr_idle != 0 ->
        if
        :: nr_searching == 0 -> wake_one()
        :: else
        fi
    :: else
    fi
}

/* lea_inject_push_list into the other one's backlog, lea_idle_given */
inline give(v)
{
#ifdef NO_FENCE_GIVE
    atomic { left > 0 -> left = left - 1; given_held[v] = given_held[v] + 1 };
#else
    atomic { left > 0 -> left = left - 1; given[v] = given[v] + 1 };
#endif
    claim_proc(v);
    if
    :: got -> sleep[v] = TOKEN
    :: else
    fi;
    atomic { got = 0; was = 0 }
}

/* lea_find_anything */
inline look()
{
    found = inject > 0;
#ifndef OUTSIDE_ONLY
    k = 0;
    do
    :: atomic { k < N && !found -> found = ring[k] + (k == i -> held[k] : 0) > 0; k = k + 1 }
    :: else -> break
    od
#endif
}

proctype Worker(byte i)
{
    byte k, seen;
    bit found, got, was, searched, early;

#ifdef ASLEEP
    atomic { if :: i > 0 && sleep[i] == AWAKE -> sleep[i] = FUTEX :: else fi };
    if
    :: i > 0 -> goto end_asleep
    :: else
    fi;
#endif
find: /* a pass is one step: what a slower one would miss, the last look finds */
    atomic {
        found = 0; k = 0; seen = 0; got = 0; searched = 0; early = 0; /* fewer states: what is dead is 0 */
        ring[i] = ring[i] + held[i]; held[i] = 0;                     /* the ring's CAS drains the buffer */
        if
        :: next[i] > 0 -> next[i] = 0; goto turn
        :: else
        fi;
        if
        :: ring[i] > 0 -> ring[i] = ring[i] - 1; goto turn
        :: else
        fi;
#ifdef GIVES
        if
        :: given[i] > 0 -> given[i] = given[i] - 1; goto turn
        :: else
        fi;
#endif
        if
        :: inject > 0 -> inject = inject - 1; goto turn
        :: else
        fi
    };
    /* lea_search_begin */
    if
    :: searching[i]
    :: else ->
        seen = nr_searching;
        if
        :: 2 * seen >= N - nr_idle -> goto idle
        :: else -> atomic { nr_searching = nr_searching + 1; searching[i] = 1 }
        fi
    fi;
    atomic {
        k = 0;
        do
        :: k < N ->
            if
            :: k != i && ring[k] > 0 -> ring[k] = ring[k] - 1; k = 0; goto turn
            :: k != i && next[k] > 0 -> next[k] = 0; k = 0; goto turn
            :: else
            fi;
            k = k + 1
        :: else -> break
        od;
        if
        :: inject > 0 -> inject = inject - 1; k = 0; goto turn
        :: else
        fi
    };

idle: /* lea_idle_wait, idle_announce */
    early = 0;
    atomic { searched = searching[i]; searching[i] = 0; k = 0; seen = 0 };
#ifdef NO_FENCE_SLEEP
    if
    :: look(); early = 1
    :: skip
    fi;
#endif
    atomic { mask = mask | bit_of(i) };
    nr_idle = nr_idle + 1;
#ifndef LATE_SEARCH_END
    if
    :: searched -> nr_searching = nr_searching - 1
    :: else
    fi;
#endif
#ifdef NO_LAST_LOOK
    found = 0;
#else
    if
    :: early
    :: else -> look()
    fi;
#if defined(GIVES) && !defined(NO_OWN_LOOK)
    found = found || given[i] > 0;
#endif
#endif
#ifdef LATE_SEARCH_END
    if
    :: searched -> nr_searching = nr_searching - 1
    :: else
    fi;
#endif
    k = 0;
    if
    :: !found -> /* lea_worker_sleep */
#ifdef PLAIN_SLEEP
        sleep[i] = FUTEX;
#else
        atomic { if :: sleep[i] == AWAKE -> sleep[i] = FUTEX :: else fi };
#endif
end_asleep:
        if
        :: sleep[i] != FUTEX
        :: atomic { late > 0 -> late = late - 1 }; atomic { if :: sleep[i] == FUTEX -> sleep[i] = AWAKE :: else fi }
        fi
    :: else
    fi;
    /* idle_leave, search_on */
    claim_proc(i);
    if
    :: got ->
        skip;
#ifndef NO_RESUME
        if
        :: found -> atomic { nr_searching = nr_searching + 1; searching[i] = 1 }
        :: else
        fi
#endif
    :: else -> sleep[i] == TOKEN -> sleep[i] = AWAKE
    fi;
    goto find;

turn:
    if
    :: searching[i] ->
        atomic { searching[i] = 0; nr_searching = nr_searching - 1 };
#ifndef NO_SUCCESSOR
        if /* lea_search_end_found */
        :: nr_idle != 0 ->
            look();
            if
            :: found -> wake_one()
            :: else
            fi
        :: else
        fi
#endif
    :: else
    fi;
    do
#ifndef OUTSIDE_ONLY
    :: push(i)
#endif
#ifdef GIVES
    :: give(1 - i)
#endif
#ifdef MONITOR
    :: atomic { left > 0 && next[i] == 0 -> left = left - 1; next[i] = 1 } /* its wake-up is owed */
#endif
    :: break
    od;
#ifndef HOGS
    if
    :: goto find
    :: skip
    fi;
#endif
end_hog: /* a turn that goes on for ever: what stands in its queues is for others */
    false
}

/* A thread without a processor: lea_inject_push, lea_idle_published */
#ifndef INSIDE_ONLY
active proctype Outside()
{
    byte k, seen;
    bit got, was;

    do
    :: push(OUTSIDE)
    :: break
    od
}
#endif

#ifdef MONITOR
#define owes(i) (!(mask & bit_of(i)) && (next[i] > 0 || ring[i] > 0))

active proctype Monitor()
{
    byte k, seen;
    bit got, was;

end:
    do
#ifndef NO_LOOK
    :: (owes(0) || owes(1)) && nr_searching == 0 && mask != 0 -> wake_one()
#endif
    :: nr_idle == N -> /* sleep_deep */
        asleep_held = 1;
#ifndef NO_FENCE_MONITOR
        atomic { asleep = asleep | asleep_held; asleep_held = 0 };
#endif
        do
        :: nr_idle == N && (asleep || asleep_held) ->
end_deep:
            !asleep && !asleep_held
        :: else -> break
        od;
        atomic { asleep = 0; asleep_held = 0 }
    od
}
#endif

init
{
    atomic {
        run Worker(0);
        run Worker(1);
#if N > 2
        run Worker(2);
#endif
    }
    timeout;
    assert(nr_searching == 0);
    assert(nr_idle == (mask & 1) + ((mask >> 1) & 1) + ((mask >> 2) & 1));
    assert(mask == 0 || inject + ring[0] + ring[1] == 0);
#if N > 2
    assert(mask == 0 || ring[2] == 0);
#endif
    assert(!(mask & bit_of(0)) || given[0] + given_held[0] == 0);
    assert(!(mask & bit_of(1)) || given[1] + given_held[1] == 0);
    assert(mask == 0 || next[0] + next[1] == 0)
}
