/*
 * scenarios/all.h - every scenario, once. X(name, preemptions that are tried exhaustively (0: not),
 * goal)
 */
#ifndef LEAT_TESTS_SIM_ALL_H
#define LEAT_TESTS_SIM_ALL_H

/*
 * X(name, preemptions that are tried exhaustively, goal). The scheduler: rings.c, idle.c, sched.c,
 * hogs.c.
 */
#define SIM_SCENARIOS_SCHED(X)                                                                     \
    X(ring_small, 3, "two items, an owner and a thief: each comes out once")                       \
    X(ring_steal, 0,                                                                               \
      "an owner and thieves at one ring: each item comes out once, published, in order")           \
    X(ring_wrap, 0, "a full ring whose counters wrap, overflow and theft at once")                 \
    X(lifo, 0, "the stack of new ones: owner and thieves")                                         \
    X(lifo_shed, 0, "the same, full: its owner takes the older half")                              \
    X(next_slot, 0, "the next slot: put, taken and stolen")                                        \
    X(inject, 0, "the inject queue: each item comes out once")                                     \
    X(lock, 1, "one holder at a time, nobody sleeps for ever")                                     \
    X(spawn, 0, "what is spawned runs once, on whatever processor")                                \
    X(tree, 0, "coroutines that spawn coroutines, with interrupted sleeps")                        \
    X(yield, 0, "everybody who yields has a turn again")                                           \
    X(overflow, 0, "more than a ring holds")                                                       \
    X(priorities, 0, "a low priority is slow, and never starved")                                  \
    X(hog, 0, "who waits behind a hog runs beside it")                                             \
    X(monitor, 0, "work that comes as the monitor goes to sleep")                                  \
    X(hog_next, 0, "who waits in a next slot behind a hog runs beside it")                         \
    X(unwatched, 0, "the same without a monitor, after bursts")                                    \
    X(unwatched_pulse, 0, "work from outside, without a monitor")                                  \
    X(unwatched_storm, 0, "submitters, searchers and sleepers at once, without a monitor")         \
    X(idle, 0, "two submitters and two sleepers: nobody sleeps beside work")                       \
    X(idle_claimed, 1, "submitters that find nobody to wake, while another falls asleep")          \
    X(idle_given, 1, "coroutines are given to a processor as it falls asleep")                     \
    X(shift, 0, "timers while short turns become long")                                            \
    X(hog_timer, 0, "timers of a hogged processor fire elsewhere")                                 \
    X(handover, 0, "processors that change hands are not lost")                                    \
    X(handover_faults, 0, "the same when no thread can be had, and sleeps are interrupted")        \
    X(pulse, 0, "work from outside while processors fall asleep")                                  \
    X(burst, 0, "bursts between rests: searchers, successors, last looks")                         \
    X(refused, 0, "threads and descriptors that the system refuses at the start")                  \
    X(poor, 0, "memory that the system refuses")                                                   \
    X(stacks, 0, "stacks of two sizes that end on another processor")                              \
    X(outside, 0, "plain threads that spawn while runs begin and end")

/* Records of descriptors, waits, the poller, timer heaps, alone: records.c, timers.c. */
#define SIM_SCENARIOS_UNIT(X)                                                                      \
    X(record_edge, 2, "an edge, before, while or after its waiter parks, is not lost")             \
    X(record_look, 2, "the same for who asks poll(2) first")                                       \
    X(record_close, 1, "a close wakes whoever waits, and the last one out gives the number back")  \
    X(record_reuse, 2, "a late event of a closed descriptor leaves its successor alone")           \
    X(wait_ends, 0, "claimed and cancelled at once: a wait ends once, and the request stays")      \
    X(wait_cancel, 3, "a cancelled coroutine's waits end, begun or not")                           \
    X(poller_break, 2, "each break of the poller's wait counts, whoever looks in passing")         \
    X(timer_reuse, 0,                                                                              \
      "earlier and later deadlines in turn, in two heaps: none is missed or early")                \
    X(timer_look, 2, "an entry that comes up while the next wait counts on it")                    \
    X(timer_ends, 1, "deadline and claim at once: a wait ends once")

/* Descriptors under the whole scheduler: netpoll.c. */
#define SIM_SCENARIOS_NETPOLL(X)                                                                   \
    X(stream, 0,                                                                                   \
      "many bytes through small buffers arrive, in order, whoever owns the descriptors")           \
    X(read_ends, 0,                                                                                \
      "data, close, cancel and deadline at one instant: one ends a read, no data is lost")         \
    X(poll_both, 0, "a wait for both directions ends once, by either")                             \
    X(foreign_reuse, 0, "a number closed behind our back and used again: the new one is heard")    \
    X(adopt_again, 0,                                                                              \
      "a number that is handed over anew: old readers leave, the new owner is heard")              \
    X(close_held, 0, "who closes one end is heard at the other, whatever the poller looks at")     \
    X(connections, 0, "echo over connections, half-closed ones too, while descriptors run out")

/* Timers, mutual waiting, scopes, ends: timers.c, sync.c, scope.c. */
#define SIM_SCENARIOS_SYNC(X)                                                                      \
    X(sleepers, 0, "many sleepers, beside a hog: none early, none late")                           \
    X(deadlines, 0, "a reader's deadlines, shorter and longer in turn, beside its bytes")          \
    X(solo, 0,                                                                                     \
      "one processor: coroutines and two plain threads at a mutex and a waitgroup; solo sections " \
      "end in time")                                                                               \
    X(solo_chan, 0, "the same at a channel")                                                       \
    X(solo_lock, 0, "a thread comes in the middle of sections that follow each other")             \
    X(solo_hog, 0, "a loop of solo sections lets others in")                                       \
    X(solo_select, 0, "the same by selects, among two")                                            \
    X(solo_cancel, 0, "one that waits in a channel is cancelled by a plain thread")                \
    X(mutex_threads, 1, "plain threads exclude each other, with deadlines too")                    \
    X(mutex, 0,                                                                                    \
      "coroutines and threads exclude each other, give up and are cancelled: none is lost")        \
    X(light_word, 0, "plain unlocks of a word, beside who says that he waits for it")              \
    X(light, 0, "plain unlocks beside those that come to wait, and again and again")               \
    X(waitgroup_threads, 2, "all that was done is seen, and the last waiter may free it")          \
    X(waitgroup, 0, "a waitgroup used again and again, by threads too, with waiters that give up") \
    X(waitgroup_free, 0, "a coroutine frees a waitgroup as soon as its wait returns")              \
    X(group_begin, 0, "a thread is on its way into a cancellation as a run begins: none is lost")  \
    X(cancel_end, 0, "a cancellation at the end of its coroutine hits nobody else")                \
    X(group, 0,                                                                                    \
      "errors, limits, cancellation from outside: a group ends when all have, and may be freed")   \
    X(join, 0, "whoever joins, however it ends: its result, once, and no handle lost")             \
    X(run_end, 0, "the end of a run ends all that wait, and the next run works")                   \
    X(outsiders, 0, "threads that spawn beside a run's beginning and end: what was taken runs")    \
    X(refusals, 0,                                                                                 \
      "memory, threads and descriptors refused: errors where they belong, nothing lost")

/* Timers as objects, coroutines that begin later: tickers.c. */
#define SIM_SCENARIOS_TIMER(X)                                                                     \
    X(tick_free, 2, "whoever takes a tick may free the timer at once")                             \
    X(tick_threads, 1, "ticks are taken or prevented, never both, and nobody sleeps through one")  \
    X(tick_once, 0, "the same for coroutines and threads, with deadlines and cancellation")        \
    X(ticker, 0, "ticks of one that goes on: none early, none twice, and nobody is left out")      \
    X(late, 0,                                                                                     \
      "coroutines that begin later: none early, none lost, none that was cancelled before")        \
    X(flight, 0, "one execution of a key at a time, its result for all, whoever gives up")

/* Runs in which nobody can go on, or seems to: quiet.c. */
#define SIM_SCENARIOS_QUIET(X)                                                                     \
    X(deadlock, 0, "whoever can be woken by nobody is reported, once and soon")                    \
    X(no_deadlock, 0, "whoever can be woken from outside, by whatever, is not")                    \
    X(relay, 0, "nor is a run in which one sleeps, another one each time one looks")               \
    X(stuck_end, 0, "nor is one that ends while all others wait for each other")

/* Processors that are taken away: retake.c. */
#define SIM_SCENARIOS_RETAKE(X)                                                                    \
    X(retake, 0, "processors taken at every moment: whoever waits runs, and nothing is lost")      \
    X(retake_moment, 0, "two workers, one processor: calls that come in as the monitor decides")   \
    X(retake_bracket, 0, "workers that step aside and come back as the monitor takes")             \
    X(retake_slow, 0, "system calls that take long, with deadlines behind them")                   \
    X(retake_faults, 0, "the same without threads, with late ones and interrupted sleeps")         \
    X(retake_end, 0, "a run ends while processors are being taken")                                \
    X(retake_spares, 0, "workers that leave after a rest, as they are needed again")               \
    X(retake_left, 0, "workers that have left, and new ones up to the limit")                      \
    X(retake_late, 0, "the process is stopped for a while: no processor is taken for that")        \
    X(retake_soon, 0, "who waits behind hogs and blocked threads runs soon")                       \
    X(retake_row, 0, "many that block, one after the other: each costs a short look, not a period")

/* What a descriptor or a processor leaves to its next owner: records.c, idle.c. */
#define SIM_SCENARIOS_LEFT(X)                                                                      \
    X(record_late, 2, "an event that is handed on while its number changes hands marks nobody")    \
    X(idle_watcher, 0, "a watcher whose processor is taken finds somebody else to watch")          \
    X(idle_ended, 2, "a processor is taken from a sleeper while the run ends")

/* Scopes, shields, clean-up: scopes.c. */
#define SIM_SCENARIOS_SCOPE(X)                                                                     \
    X(scope_tree, 0, "a scope cancelled by threads: all inside is told, however deep, and ends")   \
    X(scope_deadline, 0, "deadlines of scopes beside those of waits, and as they are closed")      \
    X(scope_first, 0,                                                                              \
      "the first deadline of a scope in a run, beside an entry of an earlier wait")                \
    X(shield, 0, "shields and clean-up, against handles, deadlines and the end of the run")

/* Calls that hang, on threads of their own: blocking.c. */
#define SIM_SCENARIOS_BLOCKING(X)                                                                  \
    X(blocking, 0, "each job runs once or is taken back, on no more threads than allowed")         \
    X(blocking_meet, 0, "jobs that wait for each other, as many as threads are allowed")           \
    X(blocking_cancel, 0, "jobs that are cancelled, queued or begun")                              \
    X(blocking_idle, 0, "work that comes as an idle thread leaves")                                \
    X(blocking_lookout, 0, "short jobs, one after the other, as those who look out fall asleep")   \
    X(files, 0, "calls on files, more than the ring takes: done, or given up and not done")        \
    X(files_cancel, 0, "calls on files that are cancelled, or whose time is up, as they end")      \
    X(blocking_refused, 0, "threads are refused now and then: no job is left to nobody")           \
    X(blocking_asked, 0, "the same, and jobs run until they are asked to end: they are")

/* Coroutines that keep to their thread: bound.c. */
#define SIM_SCENARIOS_BOUND(X)                                                                     \
    X(bound, 0, "a bound coroutine is on its thread, and nobody else, whatever they wait for")     \
    X(bound_end, 0, "a run ends beside bound coroutines, parked, running or handed over")          \
    X(attach, 0, "threads are attached again and again, and call what coroutines call")            \
    X(attach_end, 0, "a run ends beside threads that come, are attached, or leave it")             \
    X(attach_late, 0, "threads are detached as a run gives up waiting for them, or later")         \
    X(attach_stuck, 0, "an attached thread is part of a deadlock, one that was attached is not")

/* Look-ups of names: names.c. */
#define SIM_SCENARIOS_NAMES(X)                                                                     \
    X(resolve, 0, "one look-up of a name at a time, its answer for all, whoever gives up")         \
    X(resolve_end, 0, "a run ends beside look-ups: none is lost, whatever it has come to")         \
    X(resolve_refused, 0, "threads are refused: whoever asks is told, or has an answer")

/* A coroutine's extra, alone: extra.c. */
#define SIM_SCENARIOS_EXTRA(X)                                                                     \
    X(extra, 1, "the biased lock of an extra, and the coroutine's end beside threads that pin it")

/* Channels: chan.c. */
#define SIM_SCENARIOS_CHAN(X)                                                                      \
    X(chan_threads, 1, "plain threads send, receive and close: each value once, in order")         \
    X(chan, 0, "the same beside coroutines that give up and are cancelled: nothing is lost")       \
    X(chan_free, 0, "who receives the last value frees the channel at once")                       \
    X(chan_try, 2, "a try fails only where the channel was open and not ready")                    \
    X(chan_begin, 0, "a thread is on its way into a channel as a run begins: nobody is lost")

/* Select: select.c. */
#define SIM_SCENARIOS_SELECT(X)                                                                    \
    X(select_threads, 0, "plain threads select among sends and receives: each value once")         \
    X(select, 0, "the same beside coroutines that give up and are cancelled: nothing is lost")     \
    X(select_meet, 0, "selects that could be either side meet one another")                        \
    X(select_kinds, 0, "a select among a channel, an event and a timer misses none")               \
    X(select_outside, 0, "a select among a channel, a pipe and a coroutine's end misses none")     \
    X(select_scope, 0, "a select learns that another coroutine's scope was cancelled")             \
    X(select_try, 2, "a try fails only where at one instant nothing was ready")

/* Conditions, semaphores, once, barriers, events: meet.c. */
#define SIM_SCENARIOS_MEET(X)                                                                      \
    X(cond, 0, "what is made is taken, and no signal is lost to one that has given up")            \
    X(cond_one, 0, "one signal, as its waiter gives up: the one behind it has it")                 \
    X(sem, 0, "never more permits in use than there are, and none lost")                           \
    X(gather, 0, "small work that processors share is gathered on one of them")                    \
    X(sem_order, 0, "who asks for all is not overtaken, and who gives up lets the next one pass")  \
    X(once, 0, "it runs once, and who returns sees what it wrote")                                 \
    X(once_free, 0, "who has waited for its run may free it")                                      \
    X(barrier, 0, "who goes on has met all the others, though some give up and come back")         \
    X(event, 0, "who sees it set, or is woken, may free it")                                       \
    X(event_free, 0, "a coroutine frees an event as soon as its wait returns")

/* Many readers or one writer: rw.c. */
#define SIM_SCENARIOS_RW(X)                                                                        \
    X(rw_threads, 1, "plain threads read together or write alone")                                 \
    X(rw, 0, "the same for coroutines that move, give up and are cancelled, beside threads")       \
    X(rw_bias, 0, "readers that pass no fence, and now and then a writer")                         \
    X(rw_quick, 0, "readers that leave without a fence, and a writer that parks for one")          \
    X(rw_stray, 0, "the same with one processor, which is taken from readers in user code")        \
    X(rw_drain, 0, "a writer gives up as the last reader leaves: nobody stays shut out")           \
    X(rw_turns, 0,                                                                                 \
      "who waits to write is not overtaken, and its end lets those in that have waited to read")

#define SIM_SCENARIOS(X)                                                                           \
    SIM_SCENARIOS_MEET(X)                                                                          \
    SIM_SCENARIOS_RW(X)                                                                            \
    SIM_SCENARIOS_LEFT(X)                                                                          \
    SIM_SCENARIOS_SCHED(X)                                                                         \
    SIM_SCENARIOS_UNIT(X)                                                                          \
    SIM_SCENARIOS_NETPOLL(X)                                                                       \
    SIM_SCENARIOS_SYNC(X)                                                                          \
    SIM_SCENARIOS_TIMER(X)                                                                         \
    SIM_SCENARIOS_QUIET(X)                                                                         \
    SIM_SCENARIOS_RETAKE(X)                                                                        \
    SIM_SCENARIOS_SCOPE(X)                                                                         \
    SIM_SCENARIOS_BOUND(X)                                                                         \
    SIM_SCENARIOS_NAMES(X)                                                                         \
    SIM_SCENARIOS_BLOCKING(X)                                                                      \
    SIM_SCENARIOS_EXTRA(X)                                                                         \
    SIM_SCENARIOS_CHAN(X)                                                                          \
    SIM_SCENARIOS_SELECT(X)

#define SIM_SCENARIO_DECLARE(name, exhaust, goal) void scenario_##name(void);
SIM_SCENARIOS(SIM_SCENARIO_DECLARE)

#endif
