/*
 * poller.pml - who waits in the poller, for how long, and how that wait is broken.
 *
 * mirrors: runtime/sched/idle.c  lea_worker_wake idle_leave watch_until watch lea_worker_sleep lea_idle_wait
 * mirrors: runtime/sched/find.c  poll_passing
 * mirrors: runtime/sched/monitor.c  look_at look_at_poller look_at_timers
 * mirrors: runtime/netpoll/epoll.c  epoll_wait_events read_wake epoll_wake
 *
 * holds:   -DWAKES=3 -DEVENTS=1
 * holds:   -DWAKES=1 -DEVENTS=1 -DTIMERS
 * fails:   -DWAKES=2 -DEVENTS=1 -DSWALLOW -- a look in passing reads the break that is meant for the sleeper
 * fails:   -DWAKES=3 -DEVENTS=1 -DPENDING_FIRST -- wake_pending is cleared before the eventfd is read: a later break is neither written nor pending
 * fails:   -DWAKES=3 -DEVENTS=0 -DPENDING_NEVER -- wake_pending is not cleared
 * fails:   -DWAKES=2 -DEVENTS=1 -DSTORE_AWAKE -- the poller sets itself awake by a store, over a token
 * fails:   -DWAKES=2 -DEVENTS=0 -DSTORE_POLL -- the poller sets POLL by a store, over a token
 * fails:   -DWAKES=2 -DEVENTS=0 -DFUTEX_ALWAYS -- the waker wakes the futex of one that sleeps in the poller
 * fails:   -DWAKES=1 -DEVENTS=1 -DNO_MONITOR_POLLER -- events while all are busy, or asleep without a watcher
 * fails:   -DWAKES=1 -DEVENTS=0 -DTIMERS -DNO_MONITOR_TIMERS -- a timer armed by a long turn while the poller computes its time-out
 * fails:   -DWAKES=1 -DEVENTS=0 -DTIMERS -DNO_OWN_TIMEOUT -- a sleeper that does not mind its own timers
 *
 * Left out: searching (idle.pml), what an event does to its waiter (fd.pml), batches of timers and coalescing, the bound on how often anybody
 * looks (last_poll_ns). The monitor's looks come when they have something to find: that it looks every few milliseconds, and leaves the poller to
 * a processor that takes its turns, is not part of this.
 * Sequentially consistent: the words here are changed by read-modify-writes, and publishing work is idle.pml's.
 *
 * Verified, when nothing can move any more: everybody claimed is awake; no event that came, and no timer whose time has come, is left beside
 * any processor that could see to it, nor beside the monitor; work is not left beside an idle processor.
 */
#define AWAKE 0
#define FUTEX 1
#define POLL 2
#define TOKEN 3

byte watcher;                 /* index + 1 */
byte mask, sleep[2];
bit pending;                  /* wake_pending */
bit eventfd;
bit ready;                    /* epoll has an event that nobody has fetched */
bit armed[2];                 /* a timer in the heap of processor i; all have the same time */
bit passed;                   /* that time has come */
byte work, left = WAKES, events = EVENTS;

/* Owner of the bit, or a claimer */
inline claim(i, yes)
{
    atomic {
        if
        :: mask & (1 << (i)) -> mask = mask & ~(1 << (i)); yes = 1
        :: else -> yes = 0
        fi
    }
}

/* lea_worker_wake, epoll_wake */
inline wake(i)
{
    atomic { old = sleep[i]; sleep[i] = TOKEN };
    if
#ifdef FUTEX_ALWAYS
    :: old == POLL
#else
    :: old == POLL ->
        atomic { old = pending; pending = 1 };
        if
        :: old == 0 -> eventfd = 1
        :: else
        fi
#endif
    :: else
    fi;
    old = 0
}

proctype Worker(byte i)
{
    bit got, timeout_set, zero;
    byte old;
    bit may_arm = 1;

find:
    atomic { got = 0; timeout_set = 0; zero = 0 };
    /* timers of all, as a searcher's last pass */
    atomic { if :: passed -> armed[0] = 0; armed[1] = 0 :: else fi };
    /* poll_passing: not while somebody waits in the poller; one that looked just before he went there is still on its way */
    if
    :: watcher == 0 ->
        atomic {
            ready = 0;
#ifdef SWALLOW
            if :: eventfd -> eventfd = 0; pending = 0 :: else fi
#endif
        }
    :: skip
    fi;
    atomic {
        if
        :: work > 0 -> work = work - 1
        :: else -> goto idle
        fi
    };
    /* a turn */
#ifdef TIMERS
    if
    :: atomic { may_arm -> may_arm = 0; armed[i] = 1 }
    :: skip
    fi;
#endif
    if
    :: goto find
    :: skip
    fi;
end_hog: /* goes on for ever */
    false;

idle:
    atomic { mask = mask | (1 << i) };
    if
    :: work > 0 -> goto leave
    :: else
    fi;
    atomic { if :: watcher == 0 -> watcher = i + 1; got = 1 :: else fi };
    if
    :: got -> /* watch */
        timeout_set = armed[i];
        if
        :: !(mask & (1 << (1 - i))) -> timeout_set = timeout_set | armed[1 - i]
        :: else
        fi;
        zero = timeout_set && passed;
#ifdef STORE_POLL
        got = 1; sleep[i] = POLL;
#else
        atomic { if :: sleep[i] == AWAKE -> sleep[i] = POLL :: else -> got = 0 fi };
#endif
        if
        :: !got /* a token is there */
        :: got && zero -> ready = 0 /* a look in passing: leaves the eventfd alone */
        :: got && !zero ->
end_poll:
            if
#ifdef PENDING_FIRST
            :: eventfd -> pending = 0; eventfd = 0
#elif defined(PENDING_NEVER)
            :: eventfd -> eventfd = 0
#else
            :: eventfd -> eventfd = 0; pending = 0
#endif
            :: atomic { ready -> ready = 0 }
            :: timeout_set && passed
            fi
        fi;
        if
        :: got ->
#ifdef STORE_AWAKE
            sleep[i] = AWAKE
#else
            atomic { if :: sleep[i] == POLL -> sleep[i] = AWAKE :: else fi }
#endif
        :: else
        fi;
        watcher = 0
    :: else -> /* lea_worker_sleep */
#ifndef NO_OWN_TIMEOUT
        timeout_set = armed[i];
#endif
        atomic { if :: sleep[i] == AWAKE -> sleep[i] = FUTEX :: else fi };
end_futex:
        if
        :: sleep[i] != FUTEX
        :: timeout_set && passed -> atomic { if :: sleep[i] == FUTEX -> sleep[i] = AWAKE :: else fi }
        fi
    fi;

leave:
    atomic { got = 0; timeout_set = 0; zero = 0 };
    claim(i, got);
    if
    :: got
    :: else -> sleep[i] == TOKEN -> sleep[i] = AWAKE
    fi;
    goto find
}

/* Somebody publishes work and claims an idle processor, whichever */
active proctype Waker()
{
    byte old, i;
    bit got;

    do
    :: atomic { left > 0 -> left = left - 1; work = work + 1; got = 0 };
        if
        :: i = 0
        :: i = 1
        fi;
        claim(i, got);
        if
        :: !got -> i = 1 - i; claim(i, got)
        :: got
        fi;
        if
        :: got -> wake(i)
        :: else
        fi;
        i = 0
    :: break
    od
}

active proctype World()
{
end:
    do
    :: atomic { events > 0 -> events = events - 1; ready = 1 }
#ifdef TIMERS
    :: atomic { !passed -> passed = 1 }
#endif
    od
}

active proctype Monitor()
{
end:
    do
#ifndef NO_MONITOR_POLLER
    :: watcher == 0 && ready -> ready = 0
#endif
#ifndef NO_MONITOR_TIMERS
    :: passed && armed[0] && !(mask & 1) -> armed[0] = 0
    :: passed && armed[1] && !(mask & 2) -> armed[1] = 0
#endif
    od
}

init
{
    atomic { run Worker(0); run Worker(1) }
    timeout;
    assert(!ready);
    assert(!passed || !armed[0] && !armed[1]);
    assert(mask == 0 || work == 0);
    assert(mask & 1 || sleep[0] == AWAKE);
    assert(mask & 2 || sleep[1] == AWAKE)
}
