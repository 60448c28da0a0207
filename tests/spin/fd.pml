/*
 * fd.pml - one descriptor number: its users, readiness, leat_close, and the number's next life.
 *
 * mirrors: runtime/netpoll/netpoll.h  lea_fd_enter lea_fd_leave lea_fd_take_edge lea_fd_wait_begin lea_fd_wait_end lea_fd_ready
 * mirrors: runtime/netpoll/netpoll.c  lea_fd_adopt forget lea_fd_free await_given lea_fd_close
 * mirrors: runtime/netpoll/event.h  lea_event
 * mirrors: runtime/io/wait.h  lea_io_begin lea_io_end lea_io_loop
 * mirrors: runtime/io/wait.c  lea_io_wait lea_io_free
 *
 * holds:   -DCLOSES=1 -DREADERS=2 -DDATA=2
 * holds:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DREUSE
 * holds:   -DCLOSES=2 -DREADERS=1 -DDATA=1
 * fails:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DNO_FENCE_WAIT -- FD-CLOSE: the waiter reads `use` before its word is visible
 * fails:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DNO_FENCE_CLOSE -- FD-CLOSE: the closer reads the words before CLOSING is visible
 * fails:   -DCLOSES=1 -DREADERS=1 -DDATA=1 -DNO_LATCH -- an edge that nobody waits for is dropped
 * fails:   -DCLOSES=1 -DREADERS=1 -DDATA=1 -DEDGE_AFTER_TRY -- the edge is taken after the try: one that came in between is lost
 * fails:   -DCLOSES=1 -DREADERS=1 -DDATA=1 -DCLOSE_AT_ONCE -- the closer does not wait for the last user
 * fails:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DNO_OWN_USE -- the closer holds no use of its own while it tells the waiters
 * fails:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DREUSE -DCLOSE_FIRST -- the number is given back before the record is free
 * fails:   -DCLOSES=1 -DREADERS=1 -DDATA=1 -DNO_WAKE_AFTER -- one that comes in between freeing the record and close(2) is not woken afterwards
 * fails:   -DCLOSES=1 -DREADERS=2 -DDATA=1 -DREUSE -DFORGET_EDGE -- whoever adopts a number forgets its edges, over somebody who has just come in
 * fails:   -DCLOSES=2 -DREADERS=1 -DDATA=1 -DNO_GIVING -- a second close comes in while the number is on its way to the kernel
 * fails:   -DCLOSES=1 -DREADERS=1 -DDATA=1 -DNO_END -- a waiter that leaves its name in the word
 *
 * One direction. READERS coroutines that read one item each; DATA items that come when they like, each with an event that the poller delivers
 * when it likes, also after the number has begun a new life; CLOSES closes. REUSE: as soon as the kernel has the number back, somebody opens and
 * adopts it; the second reader comes then, and one item comes for it. An early wake-up is allowed, it costs a try. One
 * deadline may pass.
 *
 * Sequentially consistent, but for the two fences: without them the load behind may come before the stores in front of it, also before those of
 * a read-modify-write (aarch64).
 *
 * Verified: close(2) comes once, and nobody who entered before is inside then; when nothing can move any more, nobody waits on a descriptor that is
 * being closed or closed, nor beside data; the record is free again; the opener gets the record.
 */
#define EMPTY 0
#define READY 1
#define waiter(i) (2 + (i))

/* `use`, by its parts: they change together */
bit rd, closing, giving, owned = 1;
byte users;                      /* without a direction: the closer */
byte word = EMPTY;
byte gen;
byte data;                       /* in the kernel */
bit open = 1;
byte life;                       /* of the number */
bit asleep[2], woken[2];
byte late = 1;                   /* deadlines that may pass */

/* lea_fd_ready */
inline fd_ready(seen)
{
    atomic {
        seen = word;
        if
        :: seen == READY
#ifdef NO_LATCH
        :: seen == EMPTY
        :: else -> word = EMPTY; woken[seen - 2] = 1
#else
        :: seen != READY -> word = READY;
            if
            :: seen != EMPTY -> woken[seen - 2] = 1
            :: else
            fi
#endif
        fi;
        seen = 0
    }
}

/* lea_fd_free */
inline free_number()
{
    assert(!rd && users == 0);
    gen = gen + 1;
    word = EMPTY;
#ifdef CLOSE_FIRST
    atomic { assert(open); open = 0; data = 0; life = life + 1 };
    atomic { closing = 0; owned = 0 }
#else
#ifdef NO_GIVING
    atomic { closing = 0; owned = 0 };
#else
    atomic { closing = 0; owned = 0; giving = 1 };
#endif
    atomic { assert(open); open = 0; data = 0; life = life + 1 };
    giving = 0;
#ifndef NO_WAKE_AFTER
    fd_ready(seen)
#endif
#endif
}

proctype Reader(byte i)
{
    byte my_gen, seen;
    bit last, in, refused;

#ifdef REUSE
    if
    :: i == 1 ->
end_later:
        life == 1 && owned /* comes for the number's new life */
    :: else
    fi;
#endif
    /* lea_fd_enter */
    do
    :: atomic { closing || !open -> goto out }
    :: atomic { !closing && open && !rd -> rd = 1; break }
    od;
    my_gen = gen;
    do
    :: true ->
#ifdef NO_FENCE_WAIT
        if
        :: refused = closing; in = 1
        :: in = 0
        fi;
#endif
#ifndef EDGE_AFTER_TRY
        if
        :: word == READY -> word = EMPTY
        :: else
        fi;
#endif
        atomic {
            if
            :: !open -> break /* EBADF */
            :: open && data > 0 -> data = data - 1; break
            :: else
            fi
        };
#ifdef EDGE_AFTER_TRY
        if
        :: word == READY -> word = EMPTY
        :: else
        fi;
#endif
        if
        :: gen != my_gen -> break
        :: else
        fi;
        /* lea_fd_wait_begin */
        atomic { if :: word == EMPTY -> word = waiter(i); seen = 1 :: else -> seen = 0 fi };
        if
        :: seen ->
#ifdef NO_FENCE_WAIT
            if
            :: !in -> refused = closing
            :: else
            fi;
#else
            refused = closing;
#endif
            if
            :: !refused ->
                asleep[i] = 1;
end_asleep:
                if
                :: atomic { woken[i] -> woken[i] = 0; asleep[i] = 0 }
                :: atomic { late > 0 -> late = late - 1; asleep[i] = 0 } /* the deadline; the try that follows may find something */
                fi
            :: else
            fi;
#ifndef NO_END
            /* lea_fd_wait_end: no claim can come late, the coroutine would find its own ticket ended */
            atomic {
                if
                :: word == READY -> word = EMPTY
                :: word == waiter(i) -> word = EMPTY
                :: else
                fi;
                woken[i] = 0
            }
#endif
        :: else ->
            if
            :: word == READY -> word = EMPTY
            :: else
            fi
        fi;
        atomic { in = 0; refused = 0; seen = 0 };
        if
        :: closing || gen != my_gen -> break
        :: else
        fi
    od;
    assert(word != waiter(i));
    atomic { rd = 0; last = closing && users == 0 };
    if
    :: last -> free_number()
    :: else
    fi;
out:
    skip
}

/* lea_fd_close */
active [CLOSES] proctype Closer()
{
    byte seen, was;
    bit last, ours;

    if
    :: skip
    :: goto out /* never */
    fi;
#ifdef NO_FENCE_CLOSE
    if
    :: word == READY -> seen = 1
    :: skip
    fi;
#endif
#ifdef NO_OWN_USE
    atomic { if :: closing -> goto out :: else -> closing = 1 fi };
#else
    do
    :: atomic { !giving && closing -> goto out } /* EBADF */
    :: atomic { !giving && !closing -> closing = 1; users = users + 1; ours = owned; was = life; break }
    od;
    if
    :: !ours && !open -> /* nobody's: EBADF */
        closing = 0;
        atomic { users = users - 1; assert(!closing || rd || users > 0) };
        goto out
    :: else
    fi;
#endif
    if
    :: seen == 0 -> fd_ready(seen)
    :: else
    fi;
#ifdef NO_OWN_USE
    atomic { last = closing && !rd };
#elif defined(CLOSE_AT_ONCE)
    atomic { users = 0; last = closing };
#else
    atomic { users = users - 1; last = closing && !rd && users == 0 };
#endif
    if
    :: last -> assert(life == was); free_number()
    :: else
    fi;
out:
    skip
}

/* The kernel's event for an item, by way of the poller: lea_event */
proctype Event(byte tag)
{
    byte seen;

    if
    :: owned && gen != tag
    :: else -> fd_ready(seen)
    fi
}

active proctype Kernel()
{
    byte n;

end:
    do
    :: atomic { n < DATA && open && life == 0 && owned -> n = n + 1; data = data + 1; run Event(0) }
#ifdef REUSE
    :: atomic { open && life == 1 && owned && n < DATA + 1 -> n = DATA + 1; data = data + 1; run Event(gen) }
#endif
    od
}

#ifdef REUSE
/* Another thread opens a file, gets the number, and hands it over: lea_fd_adopt */
active proctype Opener()
{
    byte seen;

end:
    atomic { !open -> open = 1 };
    gen = gen + 1;
    atomic {
        assert(!closing);
        owned = 1;
        seen = rd || users > 0
    };
    if
#ifdef FORGET_EDGE
    :: seen == 0 -> word = EMPTY
#else
    :: seen == 0 /* an edge of the former life costs a try */
#endif
    :: else -> seen = 0; fd_ready(seen)
    fi
}
#endif

init
{
    atomic {
        run Reader(0);
#if READERS > 1
        run Reader(1)
#endif
    }
    timeout;
    assert(!closing);
    assert(!asleep[0] && !asleep[1] || open && data == 0)
}
