/*
 * timer.pml - a deadline that uses the entry of an earlier wait again, against the runner of the heap.
 *
 * mirrors: runtime/time/timer.c  lea_timer_arm timer_lower entry_add wait_due entry_due lea_timers_run
 * mirrors: runtime/sched/sched.h  lea_park_until
 * mirrors: runtime/sched/park.c  lea_park_timer
 *
 * holds:   -DD1=1 -DD2=3 -DD3=2
 * holds:   -DD1=3 -DD2=2 -DD3=1
 * holds:   -DD1=1 -DD2=2 -DD3=2
 * fails:   -DD1=1 -DD2=2 -DD3=2 -DNO_FENCE_ARM -- TIMER-LOOK: the waiter reads timer_ns before its deadline is visible
 * fails:   -DD1=1 -DD2=2 -DD3=2 -DNO_FENCE_RUN -- TIMER-LOOK: the runner reads the deadline before timer_ns = NONE is visible
 * fails:   -DD1=1 -DD2=2 -DD3=2 -DSEQ_FIRST -- the number of the wait is visible before its deadline: an old one is taken for it
 * fails:   -DD1=1 -DD2=3 -DD3=2 -DAGAIN_BY_STORE -- the runner names its entry by a store, over an earlier one of the waiter's
 * fails:   -DD1=1 -DD2=2 -DD3=2 -DNO_AGAIN -- an entry that came up too early is not put back
 * fails:   -DD1=2 -DD2=2 -DD3=2 -DNO_NONE -- the entry that was popped still counts
 *
 * A coroutine without scopes: three waits with the deadlines D1, D2 and D3; the first two may be ended by somebody else at any time, so that their entries
 * outlive them. Time goes from 0 to 3 and may stop anywhere. Two heaps, as the
 * coroutine moves between processors; any number of runs of each.
 *
 * Memory: the waiter's stores to until, until_seq wait in its buffer, in order; the fence drains it, and so does the lock. The runner's
 * read-modify-write of timer_ns is visible at once, or with NO_FENCE_RUN the later loads come before it (aarch64).
 *
 * Verified: no wait ends before its deadline; when nothing can move any more, no wait is left whose deadline has passed.
 */
#define NO_TIME 7
#define WAITS 3
#define deadline_of(n) ((n) == 1 -> D1 : ((n) == 2 -> D2 : D3))

byte now;
byte wait_seq = 1;            /* number of the wait that may be claimed */
byte until, until_seq;        /* what others see */
byte timer = NO_TIME;         /* timer_ns */
byte buffered, b_until, b_seq;/* stores on their way: 2 both, 1 the later one */
byte heap[8];                 /* two heaps, entries by time: heap[4 * h + time] */
bit lock[2];

#ifdef SEQ_FIRST
#define drain_first until_seq = b_seq
#define drain_second until = b_until
#else
#define drain_first until = b_until
#define drain_second until_seq = b_seq
#endif

active proctype Buffer()
{
end:
    do
    :: atomic { buffered == 2 -> drain_first; buffered = 1 }
    :: atomic { buffered == 1 -> drain_second; buffered = 0 }
    od
}

inline drain()
{
    atomic {
        if
        :: buffered == 2 -> drain_first; drain_second
        :: buffered == 1 -> drain_second
        :: else
        fi;
        buffered = 0
    }
}

active proctype Waiter()
{
    byte n = 1, h;

    do
    :: n <= WAITS ->
        if
        :: h = 0
        :: h = 1
        fi;
        /* lea_timer_arm */
        atomic { buffered == 0 -> b_until = deadline_of(n); b_seq = n; buffered = 2 };
#if !defined(NO_FENCE_ARM)
        drain();
#endif
        if
        :: timer <= deadline_of(n)
        :: else ->
            atomic { !lock[h] -> lock[h] = 1 };
            drain();
            heap[4 * h + deadline_of(n)]++;
            atomic { if :: timer > deadline_of(n) -> timer = deadline_of(n) :: else fi }; /* timer_lower */
            lock[h] = 0
        fi;
        /* parks, until somebody claims the wait */
end_asleep:
        wait_seq > n -> n = n + 1
    :: else -> break
    od
}

/* Readiness, say: ends a wait */
active proctype Other()
{
end:
    do
    :: atomic { wait_seq < WAITS && b_seq == wait_seq -> wait_seq = wait_seq + 1 }
    :: break
    od
}

active proctype Clock()
{
end:
    do
    :: now < 3 -> now = now + 1
    :: break /* stops here, so that late is seen to be late */
    od
}

#define due(t, now) (heap[4 * h + (t)] > 0 && (t) <= (now))

proctype Runner(byte h)
{
    byte at, again, ticket, seen, t0;
    bit early;

end:
    do
    :: atomic { !lock[h] && (due(1, now) || due(2, now) || due(3, now)) -> lock[h] = 1; t0 = now };
        do
        :: atomic {
                due(1, t0) || due(2, t0) || due(3, t0) ->
                at = (heap[4 * h + 1] > 0 -> 1 : (heap[4 * h + 2] > 0 -> 2 : 3));
                heap[4 * h + at] = heap[4 * h + at] - 1
            };
            early = 0;
#ifdef NO_FENCE_RUN
            if
            :: early = 1; ticket = wait_seq; seen = until_seq; again = until
            :: skip
            fi;
#endif
            atomic {
                if
#ifdef NO_NONE
                :: timer == at
#else
                :: timer == at -> timer = NO_TIME
#endif
                :: else -> at = NO_TIME
                fi
            };
            if
            :: at != NO_TIME ->
                /* entry_due */
                if
                :: !early -> ticket = wait_seq; seen = until_seq; again = until
                :: else
                fi;
                if
                :: seen != ticket -> again = NO_TIME
                :: seen == ticket && again > t0
                :: seen == ticket && again <= t0 ->
                    again = NO_TIME;
                    atomic { /* lea_co_claim */
                        if
                        :: wait_seq == ticket -> assert(ticket > WAITS || deadline_of(ticket) <= now); wait_seq = wait_seq + 1
                        :: else
                        fi
                    }
                fi;
#ifndef NO_AGAIN
                if
                :: again != NO_TIME ->
                    heap[4 * h + again]++;
#ifdef AGAIN_BY_STORE
                    timer = again
#else
                    atomic { if :: timer > again -> timer = again :: else fi } /* timer_lower */
#endif
                :: else
                fi
#endif
            :: else
            fi
        :: else -> break
        od;
        atomic { at = 0; again = 0; ticket = 0; seen = 0; t0 = 0; lock[h] = 0 }
    od
}

init
{
    atomic { run Runner(0); run Runner(1) }
    timeout;
    assert(wait_seq > WAITS || b_seq < wait_seq || deadline_of(wait_seq) > now)
}
