/*
 * wait.pml - the wait word: parking against the claims of a waker, a deadline and a cancellation.
 *
 * mirrors: runtime/co/co.h  lea_co_ticket lea_co_claim lea_co_claim_parked lea_co_claim_to lea_co_arm lea_co_wake_code
 * mirrors: runtime/co/co.c  set_bits lea_co_cancel
 * mirrors: runtime/sched/park.c  lea_park_arm
 * mirrors: runtime/sched/loop.h  lea_loop_land
 *
 * holds:
 * fails:   -DPARK_EARLY -- the wait is published before the registers are saved
 * fails:   -DPLAIN_CLAIM -- two claimers that both win
 * fails:   -DNO_TICKET -- a late claimer ends another wait than its own
 * fails:   -DNO_LOOK -- the commit does not look for a claim that came before it
 * fails:   -DNOT_STICKY -- a cancellation that came before the park is forgotten
 * fails:   -DNO_SHIELD -- cancellation ends a shielded wait
 * fails:   -DREADY_ALWAYS -- the claimer of a coroutine that has not parked makes it ready as well
 *
 * Three waits of one coroutine, the second one shielded; per wait one claimer that says DONE and one that says TIMEOUT, each at any time after
 * it got its ticket, or never; one cancellation at any time. Loops of load and CAS are one step: the CAS makes them so.
 *
 * Verified: nobody runs a coroutine whose registers are not saved; it is in the ready queue once at most; a wait ends by one of its own claimers or
 * by cancellation, and not by that when shielded; a claim that won is never slept over; a cancelled coroutine does not sleep unshielded.
 */
#define WAITS 3
#define SHIELDED(n) ((n) == 1)
#define NONE 0
#define DONE 1
#define TIMEOUT 2
#define CANCEL 3

/* the wait word, by its parts: they change together */
byte seq, code;
bit parked, shield, cancel;

bit saved;                  /* the registers */
byte ready;                 /* places in ready queues */
byte handed;                /* waits whose ticket was handed out */
byte won[WAITS];            /* by whom each wait was ended: the claimer's own knowledge */
bit asked;

inline make_ready()
{
    assert(saved);
    ready = ready + 1;
    assert(ready == 1)
}

proctype Claimer(byte ticket; byte what)
{
    bit was;

    /* lea_co_claim_to */
    if
    :: handed > ticket ->
#ifdef PLAIN_CLAIM
        if
        :: seq == ticket -> was = parked
        :: else -> goto lost
        fi;
        atomic {
            seq = ticket + 1; code = what; parked = 0; shield = 0; won[ticket] = what;
            if :: was -> ready = ready + 1; assert(ready == 1) :: else fi
        }
#else
        atomic {
            if
#ifdef NO_TICKET
            :: parked || seq == ticket ->
#else
            :: seq == ticket ->
#endif
                was = parked; seq = seq + 1; code = what; parked = 0; shield = 0; won[ticket] = what;
                if
#ifdef READY_ALWAYS
                :: true -> ready = ready + 1; assert(ready == 1)
#else
                :: was -> make_ready()
                :: else
#endif
                fi
            :: else
            fi
        }
#endif
    :: skip /* never */
    fi;
lost:
    skip
}

/* lea_co_cancel: set_bits, of a coroutine without a shield in force (HIDE) */
active proctype Canceller()
{
    if
    :: atomic {
            asked = 1;
            cancel = 1;
            if
#ifdef NO_SHIELD
            :: parked ->
#else
            :: parked && !shield ->
#endif
                assert(!SHIELDED(seq));
                seq = seq + 1; code = CANCEL; parked = 0; shield = 0;
                make_ready()
            :: else
            fi
        }
    :: skip
    fi
}

active proctype Owner()
{
    byte n, ticket;
    bit refused;

    do
    :: n < WAITS ->
        ticket = seq;
        assert(ticket == n);
        handed = n + 1;
        /* lea_park: leaves, the commit runs on another stack */
#ifdef PARK_EARLY
        skip;
#else
        saved = 1;
#endif
        atomic { /* lea_co_arm */
            refused = 0;
            if
#ifndef NO_LOOK
            :: seq != ticket -> refused = 1
#endif
#ifndef NOT_STICKY
            :: seq == ticket && cancel && !SHIELDED(n) -> seq = seq + 1; code = CANCEL; refused = 1
#endif
            :: else -> parked = 1; shield = SHIELDED(n)
            fi
        };
#ifdef PARK_EARLY
        saved = 1;
#endif
        if
        :: refused -> make_ready() /* lea_loop_land */
        :: else
        fi;
end_asleep:
        atomic { ready == 1 -> ready = 0; saved = 0 };
        assert(seq == n + 1);
        assert(code == CANCEL && asked && !SHIELDED(n) && won[n] == NONE || code != NONE && won[n] == code);
        n = n + 1
    :: else -> break
    od
}

init
{
    atomic {
        run Claimer(0, DONE); run Claimer(0, TIMEOUT);
        run Claimer(1, DONE); run Claimer(1, TIMEOUT);
        run Claimer(2, DONE); run Claimer(2, TIMEOUT)
    }
    timeout;
    assert(ready == 0);
    assert(!parked || seq < WAITS && won[seq] == NONE);        /* asleep: nobody has ended that wait */
    assert(!parked || !cancel || shield)
}
