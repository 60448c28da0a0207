/*
 * retake.pml - a processor is taken from a worker that has stayed in user code, without stopping that worker.
 *
 * The monitor samples word and tick; OWNED -> PENDING, request, membarrier, looks at the tick again; then PENDING -> OWNED, or
 * PENDING -> TAKEN and the hand-over. A request that was not needed stays: the worker finds it, and that the processor is its own.
 * Not here: the window and the verdict, which decide when; the way without membarrier, where both sides pass a fence instead.
 *
 * mirrors: runtime/sched/bracket.h  lea_tick lea_enter lea_leave
 * mirrors: runtime/sched/request.c  take_bits lea_request_obey
 * mirrors: runtime/sched/retake.c  answer lea_retake_answer lea_stand_still ask barrier decide
 * mirrors: runtime/sched/runtime.h  lea_proc_word lea_proc_word_in lea_proc_word_id lea_proc_word_count
 * mirrors: runtime/sched/worker.c  lea_proc_assign
 * mirrors: runtime/sched/blocking.c  leat_block_enter lea_bracket_end come_back
 *
 * holds:   -DTAKES=3 -DCALLS=2
 * holds:   -DTAKES=2 -DCALLS=3
 * fails:   -DTAKES=1 -DCALLS=2 -DNO_MEMBARRIER -- the monitor reads an old tick while the worker has read an old request
 * fails:   -DTAKES=1 -DCALLS=2 -DNO_SECOND_LOOK -- the monitor does not look at the tick again
 * fails:   -DTAKES=1 -DCALLS=2 -DNO_ARBITRATION -- both sides decide by themselves instead of by one CAS
 * fails:   -DTAKES=3 -DCALLS=2 -DSTATE_ONLY -- the word holds the state alone: a worker takes another one's PENDING for its own
 * fails:   -DTAKES=1 -DCALLS=2 -DREQUEST_FIRST -- the worker reads the request before it has moved the tick
 * fails:   -DTAKES=1 -DCALLS=2 -DBRACKET_UNASKED -- who stepped aside comes back by a store though he was asked
 * fails:   -DTAKES=1 -DCALLS=2 -DBRACKET_INSIDE -- a processor is taken from who is just coming back to it
 * fails:   -DTAKES=3 -DCALLS=2 -DCLEAR_LATE -- a worker that lost clears its request after it was given a processor again
 *
 * Two workers, one processor, which the monitor may take TAKES times, back and forth; each worker makes CALLS calls each time it has got it.
 * Two of the calls may be leat_block_enter() and what comes back from it.
 * The stores of tick and owner word wait in a buffer, in order; what drains it is a read-modify-write of that worker, the monitor's membarrier, or chance.
 *
 * Verified: never two workers between entry and exit with the processor; nobody is left waiting for a processor that was handed to it.
 */
#define OWNED 0
#define PENDING 1
#define TAKEN 2
#define BRACKET 3
#define WORD 100 /* in a buffer, from here on: a store of the owner word with that state */

/* the owner word, by its parts: they are compared and written together */
byte state = OWNED, owner, count;
byte tick[2];                 /* what the monitor sees */
byte buffer[6], buffered[2];  /* stores on their way: three per worker */
byte mine_of[2];              /* the count in the owner word that a worker stores */
bit request[2], given[2], waits[2];
byte inside;

#ifdef STATE_ONLY
#define word_is(s, o, c) (state == (s))
#else
#define word_is(s, o, c) (state == (s) && owner == (o) && count == (c))
#endif

inline drain_one(i)
{
    if
    :: buffer[3 * i] >= WORD -> state = buffer[3 * i] - WORD; owner = i; count = mine_of[i]
    :: else -> tick[i] = buffer[3 * i]
    fi;
    buffer[3 * i] = buffer[3 * i + 1]; buffer[3 * i + 1] = buffer[3 * i + 2]; buffer[3 * i + 2] = 0; buffered[i] = buffered[i] - 1
}

inline drain(i)
{
    do
    :: buffered[i] > 0 -> drain_one(i)
    :: else -> break
    od
}

inline store_tick(i, t)
{
    atomic { buffered[i] < 3 -> buffer[3 * i + buffered[i]] = t; buffered[i] = buffered[i] + 1 }
}

active proctype Buffers()
{
end:
    do
    :: atomic { buffered[0] > 0 -> drain_one(0) }
    :: atomic { buffered[1] > 0 -> drain_one(1) }
    od
}

proctype Worker(byte i)
{
    byte calls, mine;
    bit asked, lost;

end_waits:
    atomic { given[i] -> given[i] = 0 };
got:
#ifdef CLEAR_LATE
    request[i] = 0;
#endif
    atomic { calls = 0; lost = 0; mine = count; mine_of[i] = mine };
    do
    :: calls < CALLS ->
        calls = calls + 1;
        /* lea_enter */
#ifdef REQUEST_FIRST
        asked = request[i];
        store_tick(i, calls * 2 - 1 + 16 * mine);
#else
        store_tick(i, calls * 2 - 1 + 16 * mine);
        asked = request[i];
#endif
        if
        :: asked ->
            /* take_bits: a read-modify-write, before anything is decided */
#ifdef CLEAR_LATE
            atomic { drain(i) };
#else
            atomic { drain(i); request[i] = 0 };
#endif
            /* answer */
#ifdef NO_ARBITRATION
            lost = !word_is(PENDING, i, mine) && !word_is(OWNED, i, mine);
            if
            :: !lost -> state = OWNED
            :: else
            fi
#else
            atomic {
                drain(i);
                if
                :: word_is(PENDING, i, mine) -> state = OWNED
                :: word_is(OWNED, i, mine)
                :: else -> lost = 1
                fi
            }
#endif
        :: else
        fi;
        if
        :: !lost && calls < CALLS ->
            /* leat_block_enter */
            store_tick(i, WORD + BRACKET);
            asked = 0;
            store_tick(i, calls * 2 + 16 * mine);
            calls = calls + 1;
            /* come_back */
            store_tick(i, calls * 2 - 1 + 16 * mine);
#ifndef BRACKET_UNASKED
            asked = request[i];
#endif
            if
            :: asked ->
                /* lea_bracket_end */
                atomic {
                    drain(i);
                    if
                    :: word_is(PENDING, i, mine) || word_is(BRACKET, i, mine) -> state = OWNED
                    :: else -> lost = 1
                    fi
                }
            :: else -> store_tick(i, WORD + OWNED)
            fi
        :: true
        fi;
        if
        :: lost -> break
        :: else ->
            inside = inside + 1;
            assert(inside == 1);
            inside = inside - 1
        fi;
        asked = 0;
        /* lea_leave: a release */
        store_tick(i, calls * 2 + 16 * mine)
    :: else -> goto user
    od;
    /* it has lost the processor, and will take another one when there is one */
    asked = 0;
    store_tick(i, calls * 2 + 16 * mine);
    waits[i] = 1;
    goto end_waits;
user: /* in user code to the end: what has not been taken may be taken here, and then it waits at its next entry, which is not made */
    skip
}

/* Its own stores are ordered by its system call and its CAS. lea_stand_still, ask, barrier, decide */
active proctype Monitor()
{
    byte o, c, s, k, was;
    bit taken;

    do
    :: k < TAKES ->
        k = k + 1;
        atomic { o = owner; c = count; was = state; s = tick[o] };
        if
        :: was != OWNED && was != BRACKET
#ifdef BRACKET_INSIDE
        :: was == OWNED && s % 2 == 1
#else
        :: (was == OWNED || was == BRACKET) && s % 2 == 1
#endif
        :: else ->
            atomic { if :: word_is(was, o, c) -> state = PENDING :: else -> goto next fi };
            request[o] = 1;
#ifndef NO_MEMBARRIER
            atomic { drain(0); drain(1) };
#endif
            taken = 0;
            if
#ifndef NO_SECOND_LOOK
            :: tick[o] != s ->
                atomic { if :: word_is(PENDING, o, c) -> state = was :: else fi }
#endif
            :: else ->
#ifdef NO_ARBITRATION
                state = TAKEN; taken = 1;
#else
                atomic { if :: word_is(PENDING, o, c) -> state = TAKEN; taken = 1 :: else fi };
#endif
            fi;
            if
            :: taken ->
                /* to the other one, once it waits for a processor: lea_proc_assign */
end_none:
                atomic { waits[1 - o] -> waits[1 - o] = 0; state = OWNED; owner = 1 - o; count = count + 1; given[1 - o] = 1 }
            :: else
            fi
        fi;
next:
        taken = 0
    :: else -> break
    od
}

init
{
    atomic { waits[1] = 1; given[0] = 1; run Worker(0); run Worker(1) }
    timeout;
    assert(!given[0] && !given[1])
}
