/*
 * Seeded bugs, to prove that the tests find such: each leaves out, or spoils, one line that must be
 * there, and stands where that line is.
 *
 * -DLEA_MUTANT=LEA_MUTANT_<name> builds a library with that bug; the simulator builds with a
 * variable, and tries them all (tests/sim/mutants.c). Without it every LEA_MUTATED() is the
 * constant 0.
 */
#ifndef LEA_BASE_MUTANT_H
#define LEA_BASE_MUTANT_H

#define LEA_MUTANTS_SCHED(X)                                                                       \
    X(LOCK_WAKE_DROPPED, "a contended lock is dropped without waking who sleeps for it")           \
    X(LOCK_TWO_STEPS, "a lock is taken by a load and a store")                                     \
    X(RUNQ_TAIL_FIRST, "a ring's tail is published before its slot")                               \
    X(RUNQ_TAIL_RELAXED, "a ring's tail is published without release")                             \
    X(RUNQ_STEAL_PLAIN, "a thief moves the head by a store")                                       \
    X(RUNQ_POP_PLAIN, "the owner moves the head by a store, beside thieves")                       \
    X(RUNQ_HALF_PLAIN, "the overflow of a ring moves the head by a store")                         \
    X(LIFO_EMPTY_PLAIN, "a slot of new ones is emptied by a store")                                \
    X(LIFO_FILL_RELAXED, "a slot of new ones is filled without release")                           \
    X(LIFO_SHED_FENCE, "LIFO-SHED: the owner looks for thieves without a fence")                   \
    X(LIFO_SHED_BLIND, "LIFO-SHED: a thief takes from a stack that is being shed")                 \
    X(NEXT_TAKE_PLAIN, "the next slot is emptied by a store, beside thieves")                      \
    X(NEXT_NOT_STOLEN, "thieves leave the next slot alone")                                        \
    X(IDLE_SUBMIT_FENCE, "IDLE-LOOK: no fence between publishing work and looking for sleepers")   \
    X(IDLE_SLEEP_FENCE, "IDLE-LOOK: no fence between announcing idleness and the last look")       \
    X(IDLE_NO_LAST_LOOK, "no look at the queues after announcing idleness")                        \
    X(IDLE_NO_SUCCESSOR, "a searcher that found work wakes nobody")                                \
    X(IDLE_CLAIM_FAILED_FENCE, "who found nobody to wake does not look again")                     \
    X(IDLE_SEARCHER_KEPT, "a worker that falls asleep stays counted as a searcher")                \
    X(IDLE_SLEEP_PLAIN, "a worker falls asleep by a store, over a token that has come")            \
    X(IDLE_TOKEN_STORE, "a worker wakes up by a store, over a second token")                       \
    X(IDLE_OTHERS_BIT,                                                                             \
      "a worker takes the idleness of another one, who has its processor now, for its own")        \
    X(GATHER_NO_FENCE, "IDLE-GATHER: no fence between giving coroutines away and a look")          \
    X(GATHER_HALF, "who gives its coroutines away forgets the one in the next slot")               \
    X(GATHER_NO_LAST_LOOK, "a processor falls asleep beside what others have given it")            \
    X(IDLE_CLAIM_PLAIN, "an idle bit is cleared without CAS: two claimers")                        \
    X(MONITOR_SLEEP_FENCE, "MONITOR: no fence before the monitor's last look")                     \
    X(MONITOR_NO_KICK, "who leaves idleness does not wake the monitor")                            \
    X(MONITOR_NO_DEBT, "the monitor does not pay wake-ups that are owed")                          \
    X(COMMIT_EARLY, "a park is committed before the registers are saved")                          \
    X(STACK_FREED_EARLY, "a coroutine's stack is given back while it stands on it")                \
    X(CLASS_NO_WEIGHTS, "the most urgent class is always served first")                            \
    X(ROOT_FENCE, "ROOT: no fence between holding the run and looking whether there is one")       \
    X(SOLO_LOOK_EARLY, "SOLO: the state is read before the holder says that it is inside")         \
    X(SOLO_NO_MEMBARRIER, "SOLO: who heeds looks inside without a membarrier")                     \
    X(SOLO_NOT_AWAITED, "who heeds does not wait for the holder to leave")                         \
    X(SOLO_END_RELAXED, "SOLO: a solo section ends without release")                               \
    X(SOLO_SECOND_PASSES, "who heeds while another one waits passes at once")                      \
    X(SOLO_UNHEEDED, "nobody heeds solo sections")                                                 \
    X(SOLO_TWO_PLACES, "who parks in a solo section counts as the running one until the switch")   \
    X(SOLO_ARM_OUTSIDE,                                                                            \
      "a solo park ends its section before the wait has parked, with the channel not written yet") \
    X(SOLO_SLICE_UNHEARD, "a loop of solo sections is asked for its slice only")                   \
    X(STRAY_UNSEEN, "who holds the one processor sees nobody in user code without it")             \
    X(STRAY_NOTE_KEPT, "that nobody was there is taken for true after a hand-over")                \
    X(LIGHT_LOOK_EARLY, "LIGHT: the place is read before the slot says what is given back")        \
    X(LIGHT_NO_MEMBARRIER, "LIGHT: who is about to wait reads the slots without a membarrier")     \
    X(LIGHT_NOT_AWAITED, "who is about to wait does not wait for light unlocks to end")            \
    X(LIGHT_NEIGHBOURS_PASS, "who is about to wait waits for light unlocks of one object only, "   \
                             "and not for those of its place")                                     \
    X(LIGHT_END_RELAXED, "LIGHT-END: a slot is cleared without release")                           \
    X(LIGHT_UNHEEDED, "who is about to wait leaves a place light")                                 \
    X(LIGHT_CLOSED_BLINDLY,                                                                        \
      "LIGHT-CLOSE: a place is made light without a last look at who waits there")                 \
    X(LIGHT_TOO_SOON, "a place is made light while somebody waits")                                \
    X(SPAWN_NOT_COUNTED, "coroutines that ended stay counted as alive")

/*
 * Below and above it: descriptors, timers, waits, sync, scope. Left out, for want of harm: the
 * waiter's fence of FD-CLOSE. Who finds an edge latched makes a system call before it waits, and
 * whoever closes either finds that edge still there, or changes the word by CAS.
 */
#define LEA_MUTANTS_REST(X)                                                                        \
    X(FD_GENERATION, "a late event reaches the next owner of its number")                          \
    X(FD_NOT_LATCHED, "an edge that nobody waits for is not kept")                                 \
    X(FD_LOOK_FENCE, "FD-READY: no fence between taking an edge and a look without a lock")        \
    X(FD_WAIT_TICKET, "FD-WAIT: the ticket of a wait is not published")                            \
    X(FD_WAIT_NOT_LEFT, "a waiter whose wait ended otherwise stays in the word")                   \
    X(FD_CLOSE_FENCE, "FD-CLOSE: no fence between closing and looking for waiters")                \
    X(FD_CLOSED_TWICE, "a second close comes in before the number was given back")                 \
    X(FD_CLOSED_HELD, "a descriptor is closed while the poller may have it in hand")               \
    X(FD_TAG_NOT_RENEWED, "a descriptor that the poller knows keeps its old tag")                  \
    X(POLLER_BREAK_SWALLOWED, "a look in passing takes the break that is meant for the sleeper")   \
    X(POLLER_BREAK_ONCE, "the note that a break is under way is never taken back")                 \
    X(TIMER_ARM_FENCE, "TIMER-LOOK: no fence between a deadline and relying on an entry")          \
    X(TIMER_RUN_FENCE, "TIMER-LOOK: no fence between an entry's end and the look at the deadline") \
    X(TIMER_LATER_SERVES, "a later entry is taken for good enough")                                \
    X(TIMER_SEQ, "a deadline of an earlier wait ends a later one")                                 \
    X(TIMER_NOT_AGAIN, "an entry that came up too early is forgotten")                             \
    X(WAIT_TICKET, "a claim does not ask which wait it is for")                                    \
    X(WAIT_CANCEL_LOST, "a claim forgets that cancellation was asked for")                         \
    X(WAIT_CANCEL_EARLY, "a park does not look whether cancellation was asked for")                \
    X(WAIT_SHIELD, "a shielded wait is cancelled")                                                 \
    X(MUTEX_HAND_OVER, "a mutex that is handed over is free meanwhile")                            \
    X(MUTEX_WAITER_KEPT, "a waiter that has given up stays in the list")                           \
    X(MUTEX_WAITERS_BIT, "a waiter is queued, and the word does not say so")                       \
    X(MUTEX_WOKEN_KEPT, "who was woken does not say that it has had its try")                      \
    X(WG_LAST_TOUCH, "a waiter returns while its waker still holds the waitgroup")                 \
    X(WG_NO_SECOND_LOOK, "a waiter is queued though the count has become zero")                    \
    X(GROUP_COUNT_EARLY, "a member does not count any more while it is in the group's list")       \
    X(GROUP_LAST_TOUCH, "a group's wait returns while its last member holds the lock")             \
    X(JOIN_EARLY, "an end is published before its result")                                         \
    X(HANDLE_BUSY, "a coroutine ends while somebody cancels it")

/* Timers and tickers, coroutines that begin later, single-flight. */
#define LEA_MUTANTS_TIMER(X)                                                                       \
    X(TICK_NOT_TAKEN, "a tick that somebody has taken is left for others")                         \
    X(TICK_STALE, "a timer that is stopped or started anew keeps a tick that was due")             \
    X(TICK_EARLIER_UNSEEN, "who waits for a timer does not learn of an earlier start")             \
    X(TICK_CATCHES_UP, "ticks that nobody took in time come one after the other")                  \
    X(TICK_WAITER_KEPT, "a waiter that looks again is still in the list")                          \
    X(LATE_ARM_IGNORED, "a late start that is over before it was published is forgotten")          \
    X(LATE_BEGINS_CANCELLED, "a coroutine begins that was cancelled before its time")              \
    X(FLIGHT_TWICE, "no second look for a key before a call of one's own is put there")            \
    X(FLIGHT_FOUND_OVER, "a call that is over is still found by its key")                          \
    X(FLIGHT_ONE_TOLD, "the end of a flight goes on with one who waits, not with all")             \
    X(FLIGHT_WAITER_KEPT, "a caller that gave up stays in the list")

/* Coroutines that keep to their thread: sched/bound.h. */
#define LEA_MUTANTS_BOUND(X)                                                                       \
    X(BOUND_RUN_ELSEWHERE, "a bound coroutine is run by whoever takes it out of a queue")          \
    X(BOUND_TOKEN_LEFT, "a bound coroutine's thread goes on before the token of its hand-over")    \
    X(BOUND_NOT_WOKEN, "a bound coroutine is handed to a thread that is not woken")                \
    X(BOUND_QUIET, "a bound coroutine parks, and the monitor is not told")                         \
    X(BOUND_ENDS_BOUND, "a bound coroutine ends, and its thread waits for it still")               \
    X(ATTACH_QUIET, "an attached thread parks, and the monitor is not told")                       \
    X(ATTACH_END_EARLY, "ATTACH-END: a run's memory goes while a thread is being detached")        \
    X(ATTACH_UNKEPT, "ATTACH-END: a thread that is detached does not hold the run")                \
    X(ATTACH_COUNTED_FIRST, "a thread is attached before it shows as somebody who runs")           \
    X(ATTACH_FREED_FIRST, "a thread shows as outside only after it has ended as a coroutine")

/* Names. */
#define LEA_MUTANTS_NAMES(X)                                                                       \
    LEA_MUTANTS_BOUND(X)                                                                           \
    X(RESOLVE_TWICE, "no second look for a name before a look-up of one's own is put there")       \
    X(RESOLVE_ONE_TOLD, "the end of a look-up goes on with one who waits, not with all")           \
    X(RESOLVE_WAITER_KEPT, "who gave up waiting for a name stays in the list")                     \
    X(RESOLVE_HELD_LEFT, "the end of a look-up does not begin the next one")                       \
    X(RESOLVE_FREED_EARLY, "the last one who waits frees a look-up that has begun")

/* Many readers or one writer. */
#define LEA_MUTANTS_RW(X)                                                                          \
    X(RW_READ_FENCE, "RW-READ: a reader looks at the word without a fence")                        \
    X(RW_LEAVE_FENCE, "RW-LEAVE: a reader that leaves looks at the word without a fence")          \
    X(RW_LEAVE_RELAXED, "RW-LEAVE: a reader's slot is stored without release")                     \
    X(RW_WRITE_FENCE, "RW-READ: a writer looks at the slots without a fence")                      \
    X(RW_NO_MEMBARRIER, "RW-READ: a writer takes the bias back without a membarrier")              \
    X(RW_UNDONE_SILENTLY, "a reader that is shut out does not tell whom its count has misled")     \
    X(RW_QUICK_UNSEEN, "RW-QUICK: a writer parks for readers without a membarrier")                \
    X(RW_NO_SECOND_SUM, "a writer waits for readers that have left meanwhile")                     \
    X(RW_DRAINER_KEPT, "a writer that has given up is still woken by who leaves")                  \
    X(RW_GAVE_UP_SHUT, "a writer that gives up leaves the readers shut out")                       \
    X(RW_NOT_LET_IN, "a reader that has waited for long is not let in by the end of a write")      \
    X(RW_LET_IN_LATE, "readers that are let in are not counted at once")                           \
    X(RW_LET_IN_NOBODY, "a reader that has given up is counted as one that was let in")            \
    X(RW_MOVED_EARLY, "a reader that was let in is not counted for a moment")                      \
    X(RW_READER_KEPT, "a reader that has given up stays in the list")

/* Conditions, semaphores, once, barriers, events. */
#define LEA_MUTANTS_MEET(X)                                                                        \
    X(COND_UNLOCK_FIRST, "a waiter gives the mutex back before it is in the condition's list")     \
    X(COND_SIGNAL_SWALLOWED, "a signal goes to a waiter that has given up, and to nobody else")    \
    X(SEM_SMALL_FIRST, "who asks for few permits goes before who asks for many")                   \
    X(SEM_GIVEN_TO_NOBODY, "permits are taken for a waiter that has given up")                     \
    X(SEM_GAVE_UP, "nobody is served when the first one in the line gives up")                     \
    X(ONCE_TWO_STEPS, "a function that runs once is begun by a load and a store")                  \
    X(BARRIER_HALF_A_ROUND, "one of a round that is over returns as if it were not")               \
    X(BARRIER_COUNTED_STILL, "who gives up at a barrier counts as there")                          \
    X(EVENT_LAST_TOUCH, "a waiter returns while the one who set it still holds the event")         \
    X(EVENT_NO_SECOND_LOOK, "a waiter is queued though the event has been set")

/* The deadlock check. */
#define LEA_MUTANTS_QUIET(X)                                                                       \
    X(QUIET_ONE_LOOK, "MONITOR: nobody looks whether something has moved while all was looked at") \
    X(QUIET_THREADS, "threads of the program's are left out of account")                           \
    X(QUIET_DEADLINES, "deadlines are left out of account")                                        \
    X(QUIET_END, "who ends without a processor does not tell the monitor")

/* Taking processors away: sched/retake.c, bracket.h, request.c, worker.c, blocking.c. */
#define LEA_MUTANTS_RETAKE(X)                                                                      \
    X(TICK_EXIT_RELAXED, "the tick of an exit is stored without release")                          \
    X(RETAKE_NO_MEMBARRIER, "TICK: the monitor asks without a membarrier")                         \
    X(RETAKE_MONITOR_FENCE,                                                                        \
      "TICK: the monitor asks without a fence, where there is no membarrier")                      \
    X(RETAKE_ENTRY_FENCE, "TICK: no fence in an entry, where there is no membarrier")              \
    X(RETAKE_NO_SECOND_LOOK, "the monitor does not look at the tick again")                        \
    X(RETAKE_NO_ARBITRATION, "the monitor takes a processor by a store")                           \
    X(RETAKE_ANSWER_PLAIN, "a worker answers the monitor by a store")                              \
    X(RETAKE_WORD_STATE_ONLY, "a worker looks at the state of its processor, not at whose it is")  \
    X(RETAKE_STALE_OBEYED, "a worker gives in to a request of long ago")                           \
    X(RETAKE_LOST_KEEPS, "a worker that lost its processor goes on with its caches")               \
    X(MONITOR_LATE, "a monitor that woke late takes what stood still")                             \
    X(MONITOR_NOT_SOON, "the monitor waits for a period though it has seen a worker asleep")       \
    X(BRACKET_PLAIN, "who stepped aside and was asked comes back by a store")                      \
    X(BRACKET_UNASKED, "who stepped aside comes back by a store though he was asked")              \
    X(BRACKET_INSIDE, "a processor is taken from who is just coming back to it")                   \
    X(SPARE_LEAVES_HELD, "a spare worker leaves as it is handed a processor")                      \
    X(TIMER_OTHERS_IDLE, "IDLE-TIMER: a timer is added for a sleeper that is not told")

/* Scopes, shields, extras: co, sched/extra.h, scope; their deadlines: time. */
#define LEA_MUTANTS_SCOPE(X)                                                                       \
    X(SHIELD_OWN, "a shield does not hide that the coroutine itself was asked to end")             \
    X(EXTRA_BUSY_FENCE, "EXTRA-BUSY: no fence between going in and looking for others")            \
    X(TIMER_SCOPE_NOT_AGAIN, "a wait that ends keeps the deadline of a scope from its entry")      \
    X(SCOPE_LOCK_FENCE, "EXTRA-BUSY: no fence between LOCK and looking for the coroutine")         \
    X(SCOPE_CLOSE_PINNED, "a scope is closed while somebody cancels it")                           \
    X(SCOPE_CLOSE_KEEPS, "a cancelled scope's end leaves its coroutine cancelled")                 \
    X(SCOPE_DUE_LATE, "a deadline of a scope is there before it is said who sees to it")           \
    X(SCOPE_SHIELDED, "a scope cancels its coroutine through a shield")                            \
    X(SHIELD_END_FORGETS, "what came during a shield is forgotten at its end")                     \
    X(GROUP_BORN_ALIVE, "a group that is opened in a cancelled scope is not cancelled")            \
    X(GROUP_WALK_FLAT, "who cancels a group leaves out what its members have opened")              \
    X(GROUP_END_PINNED, "a group ends while somebody walks through it")                            \
    X(DEFER_UNSHIELDED, "clean-up runs without a shield")                                          \
    X(SHELTER_SWEPT, "the end of a run cancels who works for a clean-up")

/* What a descriptor or a processor leaves to its next owner. */
#define LEA_MUTANTS_LEFT(X)                                                                        \
    X(FD_SEEN_OTHERS, "hang-up bits of a descriptor that is gone stay with its successor")         \
    X(IDLE_WATCHER_LOST, "a watcher that has lost its processor tells nobody")                     \
    X(IDLE_END_TOKEN, "a token of the run's end is taken for a claimer's")

/* Threads for calls that hang. */
#define LEA_MUTANTS_BLOCKING(X)                                                                    \
    X(BLOCKING_LATE, "a thread leaves the pool though a job was just given to it")                 \
    X(BLOCKING_LEFT, "a deadline leaves a job that has begun")                                     \
    X(BLOCKING_TICKET, "the second wait for a job is not told to its thread")                      \
    X(BLOCKING_LOOKOUT_STORE, "a thread that has looked out falls asleep over a job it was given") \
    X(BLOCKING_LOOKOUT_KEPT, "a thread that has looked out is given jobs after it has left")       \
    X(BLOCKING_NOT_GROWN, "a job waits for a busy thread, though another could be had")            \
    X(RING_LEFT, "a deadline or a cancellation leaves a call that the kernel is making")           \
    X(RING_TICKET, "the second wait for a call is not told to who takes its end")                  \
    X(RING_SOME_TAKEN, "one event takes out some ends, and leaves the others")                     \
    X(RING_UNSENT, "a call that the kernel did not take is not handed over again")

/* Channels and select. */
#define LEA_MUTANTS_CHAN(X)                                                                        \
    X(WAITER_NOT_TOLD, "who was served before it had parked does not wait for its server")         \
    X(WAKE_RUN_MISSED, "a thread that found no run leaves out who waits in one that has begun")    \
    X(CHAN_LOCK_PLAIN, "a channel is locked by a load and a store")                                \
    X(WAITER_LOST_RELAXED, "who came too late to serve a waiter says so without release")          \
    X(WAITER_TOLD_EARLY, "who was served before it had parked goes on under its server's hands")   \
    X(CHAN_REFILL, "a receive from a full ring forgets who waits to send")                         \
    X(CHAN_PAST_RING, "a send passes by who waits for a value, into the ring")                     \
    X(CHAN_WAITER_KEPT, "who has given up stays in a channel's list")                              \
    X(CHAN_CLOSE_SENDERS, "a close forgets those who wait to send")                                \
    X(SELECT_SELF, "a select that looks for somebody else finds itself")                           \
    X(SELECT_LOOK_UNCLAIMED, "a select takes what it finds ready without a claim of itself")       \
    X(SELECT_NO_SECOND_LOOK, "a select gets into a channel's line without a look")                 \
    X(SELECT_TRY_ONE_LOOK, "a select that must not wait looks at its channels once")               \
    X(SELECT_TIMER_UNSEEN, "a select does not wake up for its timers")                             \
    X(SELECT_FD_NO_LOOK, "a select waits for a descriptor without a look at it")                   \
    X(SCOPE_WATCHERS_UNTOLD, "who cancels a scope does not tell the selects that wait for that")   \
    X(SELECT_LOSERS_KEPT, "a select that is over stays in the lines of the other channels")        \
    X(SELECT_LOST_COUNTS, "a claim that came too late is taken for the one that ended a select")   \
    X(SELECT_NOT_TOLD,                                                                             \
      "a select that was served before it had parked does not wait for its server")                \
    X(SELECT_THREAD_ALONE, "each case of a thread's select has a word of its own")

/* clang-format off */
#define LEA_MUTANTS(X) \
    LEA_MUTANTS_SCHED(X) LEA_MUTANTS_REST(X) LEA_MUTANTS_TIMER(X) LEA_MUTANTS_QUIET(X) \
    LEA_MUTANTS_RETAKE(X) LEA_MUTANTS_LEFT(X) LEA_MUTANTS_SCOPE(X) LEA_MUTANTS_BLOCKING(X) \
    LEA_MUTANTS_NAMES(X) LEA_MUTANTS_CHAN(X) LEA_MUTANTS_MEET(X) LEA_MUTANTS_RW(X)
/* clang-format on */

enum lea_mutant {
    LEA_MUTANT_NONE,
#define LEA_MUTANT_ENUM(name, what) LEA_MUTANT_##name,
    LEA_MUTANTS(LEA_MUTANT_ENUM)
};

#ifndef LEA_MUTANT
#define LEA_MUTANT LEA_MUTANT_NONE
#elif defined(LEA_MUTANT_IS_VARIABLE)
extern int LEA_MUTANT;
#endif

#define LEA_MUTATED(name) __builtin_expect(LEA_MUTANT == LEA_MUTANT_##name, 0)

#endif
