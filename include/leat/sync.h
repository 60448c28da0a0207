/*
 * leat/sync.h - mutual waiting. Objects are of fixed size, valid when zero, and may be used from
 * coroutines and from plain threads at once (a plain thread sleeps in the kernel). They own no
 * memory, so nothing needs to be destroyed; the leat_x_destroy() calls check that an object is not
 * in use before its memory goes. Do not move or copy one in use: a copy of a lock that is held is
 * noticed by the next call on it.
 *
 * "Anywhere" is not in a signal handler: it may have interrupted the same call on the same object,
 * also one that never parks.
 *
 * They belong to no run, and do not learn of its end. A coroutine that is left over when a run ends
 * (leat/run.h) never goes on: a mutex that it holds stays locked, and what it was to take from a
 * waitgroup stays there, for plain threads too, and in the next run. Wait with a deadline where
 * that must not happen.
 */
#ifndef LEAT_SYNC_H
#define LEAT_SYNC_H

#include <leat/base.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

/*
 * Mutual exclusion. Not recursive. Whoever locked it unlocks it; a coroutine may hold it while it
 * parks.
 */
typedef struct leat_mutex {
    uint64_t word_[3];
} leat_mutex;

/* Counts work that is under way; waiters go on when it reaches zero. */
typedef struct leat_waitgroup {
    uint64_t word_[3];
} leat_waitgroup;

/**
 * leat_mutex_lock - take the mutex, waiting as long as it takes
 *
 * Waiters are served in order, except that a running caller may overtake for at most 1 ms.
 * Context:  anywhere. May park, and may come back on another thread. Cannot be cancelled.
 * Ordering: what the previous holder wrote before its unlock is visible.
 */
LEAT_API void leat_mutex_lock(leat_mutex *mutex) LEAT_MAY_PARK;

/**
 * leat_mutex_lock_until - as leat_mutex_lock(), with a deadline
 *
 * Context: anywhere. May park, and may come back on another thread.
 * Returns: 0 locked; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was cancelled.
 */
LEAT_API int leat_mutex_lock_until(leat_mutex *mutex,
                                   leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_mutex_try - take the mutex if it is free. Never parks. Returns: 0 locked; -EAGAIN somebody
 * holds it.
 */
LEAT_API int leat_mutex_try(leat_mutex *mutex) LEAT_MUST_CHECK;

/**
 * leat_mutex_unlock - give the mutex back, and let the next waiter go on
 *
 * A mutex that is not locked, or is a copy of one that was, stops the program with a message.
 * Context: anywhere. Never parks.
 */
LEAT_API void leat_mutex_unlock(leat_mutex *mutex);

/**
 * leat_mutex_destroy - say that the mutex is not used any more
 *
 * Checks, and no more: one that is locked or waited for stops the program with a message. The
 * memory may go afterwards, or be used again.
 * Context: anywhere. Never parks.
 */
LEAT_API void leat_mutex_destroy(leat_mutex *mutex);

/**
 * leat_wg_add - add to the count
 * @n: how many; may be negative, the count never (that stops the program with a message)
 *
 * Add before the work can end: an add that races with a wait at count zero may come too late for
 * it.
 * Context: anywhere. Never parks.
 */
LEAT_API void leat_wg_add(leat_waitgroup *wg, int n);

/**
 * leat_wg_done - take one from the count; at zero all waiters go on. Anywhere; never parks.
 * Ordering: before their return.
 */
LEAT_API void leat_wg_done(leat_waitgroup *wg);

/**
 * leat_wg_wait - wait until the count is zero
 *
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what was written before each leat_wg_done() is visible after a return of 0.
 * Returns:  0 the count reached zero; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was
 *           cancelled.
 */
LEAT_API int leat_wg_wait(leat_waitgroup *wg, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_wg_destroy - as leat_mutex_destroy(): a count that is not zero, or a waiter, stops the
 * program. Anywhere; never parks.
 */
LEAT_API void leat_wg_destroy(leat_waitgroup *wg);

/* --- many readers or one writer --- */

/*
 * For what is read far more often than it is written: readers on different processors do not get
 * into each other's way, and a lock for reading costs about 3 ns with its unlock. A writer that
 * waits shuts out readers that come later, and the end of a write wakes all those that wait by
 * then: who has waited for 1 ms is in by that, the others unless the next writer comes first.
 * Neither side starves. Not recursive: who locks it again for reading while a writer waits, waits
 * for itself. 832 bytes, so that readers share no cache line.
 *
 * The memory may go when all calls have returned.
 */
typedef struct leat_rwmutex {
    uint64_t word_[104];
} leat_rwmutex;

LEAT_API bool leat_rwmutex_read_(leat_rwmutex *rw) LEAT_MUST_CHECK;
LEAT_API int leat_rwmutex_leave_(leat_rwmutex *rw) LEAT_MUST_CHECK;
LEAT_API void leat_rwmutex_rlock_slow_(leat_rwmutex *rw) LEAT_MAY_PARK;
LEAT_API void leat_rwmutex_runlock_slow_(leat_rwmutex *rw, int left);

/**
 * leat_rwmutex_rlock - lock it for reading, waiting while somebody writes or waits to write
 *
 * Context:  anywhere. May park, and may come back on another thread. Cannot be cancelled.
 * Ordering: what the writers before wrote before their unlock is visible.
 */
static inline void leat_rwmutex_rlock(leat_rwmutex *rw)
{
    if (__builtin_expect(!leat_rwmutex_read_(rw), 0))
        leat_rwmutex_rlock_slow_(rw);
}

/**
 * leat_rwmutex_rlock_until - as leat_rwmutex_rlock(), with a deadline
 *
 * Context: anywhere. May park, and may come back on another thread.
 * Returns: 0 locked for reading; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was
 * cancelled.
 */
LEAT_API int leat_rwmutex_rlock_until(leat_rwmutex *rw,
                                      leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_rwmutex_rtry - lock it for reading if nobody writes, or wants to. Never parks. Returns: 0;
 * -EAGAIN.
 */
LEAT_API int leat_rwmutex_rtry(leat_rwmutex *rw) LEAT_MUST_CHECK;

/**
 * leat_rwmutex_runlock - give a lock for reading back
 *
 * By whoever took it; on any thread. One too many stops the program with a message, at the latest
 * when somebody wants to write.
 * Context: anywhere. Never parks.
 */
static inline void leat_rwmutex_runlock(leat_rwmutex *rw)
{
    int left = leat_rwmutex_leave_(rw);

    if (__builtin_expect(left != 0, 0))
        leat_rwmutex_runlock_slow_(rw, left);
}

/**
 * leat_rwmutex_lock - lock it for writing, waiting until all readers and writers have left
 *
 * Writers are served as by leat_mutex_lock(). The first one after many readers pays some
 * microseconds.
 * Context:  anywhere. May park, and may come back on another thread. Cannot be cancelled.
 * Ordering: what writers wrote before is visible, and what readers read before their unlock was
 * read before.
 */
LEAT_API void leat_rwmutex_lock(leat_rwmutex *rw) LEAT_MAY_PARK;

/**
 * leat_rwmutex_lock_until - as leat_rwmutex_lock(), with a deadline
 *
 * One that gives up wakes the readers that have waited behind it, as the end of a write.
 * Context: anywhere. May park, and may come back on another thread.
 * Returns: 0 locked for writing; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was
 * cancelled.
 */
LEAT_API int leat_rwmutex_lock_until(leat_rwmutex *rw,
                                     leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_rwmutex_try - lock it for writing if nobody has it, or is just coming in. Never parks.
 * Returns: 0; -EAGAIN.
 */
LEAT_API int leat_rwmutex_try(leat_rwmutex *rw) LEAT_MUST_CHECK;

/**
 * leat_rwmutex_unlock - end a write: one that is not locked for writing stops the program with a
 * message. Anywhere; never parks.
 */
LEAT_API void leat_rwmutex_unlock(leat_rwmutex *rw);

/**
 * leat_rwmutex_destroy - as leat_mutex_destroy(): one that is locked or waited for stops the
 * program, but for a reader that a write has just woken, and that has not come in. Anywhere; never
 * parks.
 */
LEAT_API void leat_rwmutex_destroy(leat_rwmutex *rw);

/* --- conditions --- */

/* Waiting for a change of what a mutex protects. */
typedef struct leat_cond {
    uint64_t word_[3];
} leat_cond;

/**
 * leat_cond_wait - give the mutex back, wait for a signal, and take the mutex again
 * @mutex: locked by the caller; the same one for all who wait at the same time
 *
 * Call it in a loop that looks whether what is waited for is there: somebody else may have come
 * first. Who waits already when a signal is given under the mutex, or by somebody who had it
 * meanwhile, does not miss it. The mutex is held again whatever is returned; taking it has no
 * deadline and cannot be cancelled.
 * Context:  anywhere. May park, and may come back on another thread.
 * Returns:  0 there was a signal; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was
 *           cancelled.
 */
LEAT_API int leat_cond_wait(leat_cond *cond, leat_mutex *mutex,
                            leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_cond_signal - let the oldest waiter go on, if there is one. With or without the mutex.
 * Anywhere; never parks.
 */
LEAT_API void leat_cond_signal(leat_cond *cond);

/**
 * leat_cond_broadcast - let all go on that wait. With or without the mutex. Anywhere; never parks.
 */
LEAT_API void leat_cond_broadcast(leat_cond *cond);

/**
 * leat_cond_destroy - as leat_mutex_destroy(): a waiter stops the program. Anywhere; never parks.
 */
LEAT_API void leat_cond_destroy(leat_cond *cond);

/* --- semaphores --- */

/* A number of permits. Zero: none yet; LEAT_SEM(n): n. At most INT32_MAX. */
typedef struct leat_sem {
    uint64_t word_[2];
} leat_sem;

#define LEAT_SEM_SHIFT_ 32
#define LEAT_SEM(n)                                                                                \
    {                                                                                              \
        {                                                                                          \
            (uint64_t)(uint32_t)(n) << LEAT_SEM_SHIFT_, 0                                          \
        }                                                                                          \
    }

/**
 * leat_sem_acquire - take @n permits, all at once, waiting until there are enough
 *
 * Strictly in order: who comes while others wait queues behind them, even if there is enough for
 * it. More than there ever will be is waited for until @until.
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what was written before the permits were given back is visible.
 * Returns:  0 they are the caller's; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was
 *           cancelled.
 */
LEAT_API int leat_sem_acquire(leat_sem *sem, unsigned n,
                              leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_sem_try - take @n permits if they are there and nobody waits. Never parks. Returns: 0;
 * -EAGAIN.
 */
LEAT_API int leat_sem_try(leat_sem *sem, unsigned n) LEAT_MUST_CHECK;

/**
 * leat_sem_release - give @n permits back, or add them; whoever has enough now goes on. Anybody
 * may; anywhere; never parks.
 */
LEAT_API void leat_sem_release(leat_sem *sem, unsigned n);

/**
 * leat_sem_destroy - as leat_mutex_destroy(): a waiter stops the program. Anywhere; never parks.
 */
LEAT_API void leat_sem_destroy(leat_sem *sem);

/* --- once --- */

/* A function that runs once. */
typedef struct leat_once {
    uint64_t word_[3];
} leat_once;

#define LEAT_ONCE_DONE_ 2

LEAT_API void leat_once_do_slow_(leat_once *once, void (*fn)(void *), void *arg) LEAT_MAY_PARK;

/**
 * leat_once_do - run @fn(@arg) unless it has been run by this object, or wait until it has
 *
 * @fn runs in whoever comes first, on its stack. It must return, and must not come here again with
 * the same object (which stops a program, with a message). It is not run again if it failed: let it
 * keep its result. A caller that is cancelled runs it all the same, and the calls in it that may
 * park fail then. @fn that is NULL stops a program, unless another one has been run.
 * Context:  anywhere. May park, and may come back on another thread. Waiting cannot be cancelled.
 *           Once it has run: one load.
 * Ordering: what @fn wrote is visible.
 */
static inline void leat_once_do(leat_once *once, void (*fn)(void *), void *arg)
{
    if (__builtin_expect(__atomic_load_n(&once->word_[0], __ATOMIC_ACQUIRE) != LEAT_ONCE_DONE_, 0))
        leat_once_do_slow_(once, fn, arg);
}

/**
 * leat_once_do_until - as leat_once_do(), waiting for another one's run no longer than that
 *
 * Context: anywhere. May park, and may come back on another thread.
 * Returns: 0 it has been run; -ETIMEDOUT @until passed while another one ran it; -ECANCELED the
 * coroutine was cancelled; -EINVAL @fn is NULL.
 */
LEAT_API int leat_once_do_until(leat_once *once, void (*fn)(void *), void *arg,
                                leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_once_try - as leat_once_do(), without waiting. Returns: 0 it has been run; -EAGAIN another
 * one is running it; -EINVAL @fn is NULL.
 */
LEAT_API int leat_once_try(leat_once *once, void (*fn)(void *), void *arg) LEAT_MUST_CHECK;

/**
 * leat_once_destroy - as leat_mutex_destroy(): one that is running stops the program. Anywhere;
 * never parks.
 */
LEAT_API void leat_once_destroy(leat_once *once);

/* --- barriers --- */

/* A place where so many meet, round after round. */
typedef struct leat_barrier {
    uint64_t word_[2];
} leat_barrier;

/**
 * leat_barrier_wait - wait until @n have come, the caller included
 * @n: at least 1, and the same for all of a round; another one stops the program
 *
 * The next round begins with whoever comes next. One that gives up has not come: the others wait
 * for one more. The memory may go when all calls have returned.
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what anybody wrote before its call is visible to all of the round after theirs.
 * Returns:  1 the caller came last; 0 it did not; -ETIMEDOUT @until passed first; -ECANCELED the
 *           coroutine was cancelled.
 */
LEAT_API int leat_barrier_wait(leat_barrier *barrier, unsigned n,
                               leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_barrier_destroy - as leat_mutex_destroy(): a waiter stops the program. Anywhere; never
 * parks.
 */
LEAT_API void leat_barrier_destroy(leat_barrier *barrier);

/* --- events --- */

/* Something has happened, or not yet. */
typedef struct leat_event {
    uint64_t word_[2];
} leat_event;

#define LEAT_EVENT_SET_ 2

/**
 * leat_event_is_set - has it happened? One load. Ordering: what was written before leat_event_set()
 * is visible if so.
 */
static inline bool leat_event_is_set(const leat_event *event)
{
    return (__atomic_load_n(&event->word_[0], __ATOMIC_ACQUIRE) & LEAT_EVENT_SET_) != 0;
}

/**
 * leat_event_set - it has happened: all waiters go on, and who waits later does not wait. Anywhere;
 * never parks. Not touched after that.
 */
LEAT_API void leat_event_set(leat_event *event);

/**
 * leat_event_reset - it has not happened (again). Who was woken goes on all the same. Anywhere;
 * never parks.
 */
LEAT_API void leat_event_reset(leat_event *event);

/**
 * leat_event_wait - wait until it has happened
 *
 * Context:  anywhere. May park, and may come back on another thread.
 * Ordering: what was written before leat_event_set() is visible after a return of 0.
 * Returns:  0 it has; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was cancelled.
 */
LEAT_API int leat_event_wait(leat_event *event, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_event_destroy - as leat_mutex_destroy(): a waiter stops the program. Anywhere; never parks.
 */
LEAT_API void leat_event_destroy(leat_event *event);

LEAT_END_DECLS

#endif
