/*
 * Mutual exclusion. Contract: include/leat/sync.h.
 *
 * The word is what lockers fight over; the waiters are under a lock of their own.
 *   bit 0  LOCKED   somebody holds the mutex
 *   bit 1  WAITERS  the list is not empty (changed under the list's lock); an unlock has to look at
 *          it
 *   bit 2  WOKEN    a waiter was taken off the list to try its luck, and has not done so yet: an
 *          unlock need not wake another
 * While LOCKED is set the other bits are the mutex's own address, so that a copy of a mutex that is
 * held is known for what it is, at no cost: the unlock compares the whole word anyway. Otherwise
 * they are 0.
 *
 * An unlock wakes the first waiter, which then competes with whoever runs: a running coroutine
 * takes the mutex sooner than a parked one comes to its senses, and handing over each time would
 * cost a switch per section. A waiter that loses goes back to the front, and after 1 ms of waiting
 * it asks for the mutex itself (`mark`): the next unlock hands over, LOCKED stays set.
 * WOKEN is cleared together with the step that takes the mutex or waits again, while LOCKED is set;
 * so whoever holds it then sees the list.
 *
 * Last touch: an unlock that wakes nobody is one CAS, or one store. One that wakes holds the list's
 * lock, and the claimed waiter goes on only after that was dropped (lea_lock_passed): the next
 * holder may free the mutex.
 *
 * A lock that succeeds at once and an unlock that wakes nobody are made in a solo section where
 * that may be (sched/solo.h); whoever changes the word by a locked instruction heeds. Elsewhere an
 * unlock is a plain store while nobody waits (sched/light.h): from before its first change of the
 * word of a mutex that somebody else holds, until after its last, a waiter counts there.
 *
 * Ordering pair MUTEX: the CAS or store that clears LOCKED -> the CAS that sets it. Handed over:
 * WAIT-CLAIM or THREAD-WAKE.
 */
#include "sync/mutex.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/light.h"
#include "sched/solo.h"
#include "sched/waiter.h"
#include "sched/wrong.h"
#include "sync/spin.h"

#include <errno.h>
#include <leat/sync.h>

#define LOCKED ((uintptr_t)1)
#define WAITERS ((uintptr_t)2)
#define WOKEN ((uintptr_t)4)

#define FLAGS (LOCKED | WAITERS | WOKEN)

struct mutex {
    lea_word word;
    struct lea_lock list_lock;
    struct lea_waiters waiters;
};
_Static_assert(sizeof(struct mutex) == sizeof(leat_mutex), "the public size is fixed");
_Static_assert(_Alignof(leat_mutex) > FLAGS, "an address leaves the flags free");

static inline struct mutex *inner(leat_mutex *mutex)
{
    return (struct mutex *)(void *)mutex;
}

/* The word of a mutex that is held, and that nobody waits for. */
static inline uintptr_t held(const struct mutex *x)
{
    return (uintptr_t)x | LOCKED;
}

static void check_not_copied(const struct mutex *x, uintptr_t w, const char *call)
{
    LEA_RIGHT((w & ~FLAGS) == (uintptr_t)x, call,
              "mutex %p is a copy of %p, made while that was locked", (const void *)x,
              (void *)(w & ~FLAGS));
}

/*
 * The CAS from 0 comes first: a look before it would cost an uncontended lock a twentieth. One that
 * fails says that the mutex is taken, or that somebody waits for it, and then a running coroutine
 * may still overtake.
 */
static inline bool try(struct mutex *x)
{
    uintptr_t w;

    lea_solo_heed();
    if (LEA_LIKELY(lea_word_cas(&x->word, 0, held(x)))) /* MUTEX */
        return true;
    w = lea_word_load_rlx(&x->word);                                /* relaxed: the CAS decides */
    return !(w & LOCKED) && lea_word_cas(&x->word, w, w | held(x)); /* MUTEX */
}

/*
 * The same in a solo section. False says nothing. Who is to share the processor does so where it
 * may park: a loop of locks is no hog, and has to.
 */
static __attribute__((noinline)) bool try_solo(struct mutex *x)
{
    struct lea_worker *m = lea_solo_enter(LEA_REQUEST_SLICE);
    bool taken = false;

    if (LEA_UNLIKELY(!m))
        return lea_solo_nested() && try(x);
    if (LEA_LIKELY(lea_solo_begin())) {
        taken = lea_word_load_acq(&x->word) == 0;
        if (LEA_LIKELY(taken))
            lea_word_store_rlx(&x->word, held(x)); /* relaxed: SOLO publishes it */
        lea_solo_end();
    }
    lea_leave(m);
    return taken;
}

static bool spin(struct mutex *x, const struct lea_worker *m)
{
    if (!lea_spin_may(m))
        return false;
    for (int i = 0; i < LEA_SPIN_ROUNDS; i++) {
        uintptr_t w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */

        if (w & (WAITERS | WOKEN))
            return false;
        if (!w && try(x))
            return true;
        lea_pause();
    }
    return false;
}

/*
 * Take the mutex, or wait in the list. @woken: WOKEN when it was set for us, else 0. True: taken.
 */
static bool take_or_queue(struct mutex *x, struct lea_waiter *waiter, uintptr_t woken)
{
    uintptr_t w;

    lea_lock_take(&x->list_lock);
    for (;;) {
        w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */
        if (!(w & LOCKED)) {
            if (lea_word_cas(&x->word, w, (w | held(x)) & ~woken)) /* MUTEX */
                break;
        } else if (lea_word_cas(&x->word, w,
                                (LEA_MUTATED(MUTEX_WAITERS_BIT) ? w : w | WAITERS) & ~woken)) {
            if (woken)
                lea_waiters_push_front(&x->waiters, waiter);
            else
                lea_waiters_push_back(&x->waiters, waiter);
            break;
        }
    }
    lea_lock_drop(&x->list_lock);
    return !(w & LOCKED);
}

/* The wait ended by deadline or cancellation. */
static void dequeue(struct mutex *x, struct lea_waiter *waiter)
{
    lea_lock_take(&x->list_lock);
    if (waiter->queued && !LEA_MUTATED(MUTEX_WAITER_KEPT))
        lea_waiters_del(&x->waiters, waiter);
    if (!lea_waiters_first(&x->waiters))
        lea_word_and(&x->word, ~WAITERS);
    lea_lock_drop(&x->list_lock);
}

static enum lea_wake wait_heavy(struct mutex *x, struct lea_worker **m, int64_t until_ns,
                                bool shielded, enum lea_reason reason, const void *object)
{
    struct lea_waiter waiter;
    uintptr_t woken = 0;
    bool hand_over = false;
    int64_t since_ns = 0;

    lea_solo_heed();
    for (;;) {
        enum lea_wake code;

        lea_waiter_begin(&waiter, *m);
        waiter.mark = hand_over;
        if (take_or_queue(x, &waiter, woken))
            return LEA_WAKE_DONE;
        if (!since_ns)
            since_ns = lea_os_now_ns();
        if (LEA_LIKELY(*m != NULL))
            lea_co_waits_for((*m)->co, object);
        code = lea_waiter_wait(&waiter, m, reason, until_ns, shielded);
        if (code != LEA_WAKE_DONE) {
            dequeue(x, &waiter);
            return code;
        }
        lea_lock_passed(&x->list_lock);
        if (waiter.mark) /* handed over */
            return code;
        woken = LEA_MUTATED(MUTEX_WOKEN_KEPT) ? 0 : WOKEN;
        hand_over = lea_os_now_ns() - since_ns >= LEA_HAND_OVER_NS;
    }
}

static enum lea_wake lock_wait(struct mutex *x, struct lea_worker **m, int64_t until_ns,
                               bool shielded, enum lea_reason reason, const void *object)
{
    enum lea_wake code;

    lea_light_wait_begin(x);
    code = wait_heavy(x, m, until_ns, shielded, reason, object);
    lea_light_wait_end(x);
    return code;
}

static __attribute__((noinline)) int lock_slow(struct mutex *x, int64_t until_ns, bool shielded,
                                               const char *call)
{
    struct lea_worker *m = lea_enter_park();
    uintptr_t w = lea_word_load_rlx(&x->word); /* relaxed: for the check */
    enum lea_wake code;

    if (w & LOCKED)
        check_not_copied(x, w, call);
    code = spin(x, m) ? LEA_WAKE_DONE : lock_wait(x, &m, until_ns, shielded, LEA_REASON_MUTEX, x);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

/* Taken at once? A coroutine that may go solo looks no further outside of a bracket. */
static inline bool try_first(struct mutex *x)
{
    return LEA_UNLIKELY(lea_solo_may()) ? try_solo(x) : LEA_LIKELY(try(x));
}

void leat_mutex_lock(leat_mutex *mutex)
{
    if (LEA_UNLIKELY(!try_first(inner(mutex))))
        (void)lock_slow(inner(mutex), INT64_MAX, true, "leat_mutex_lock");
}

int leat_mutex_lock_until(leat_mutex *mutex, leat_deadline until)
{
    struct lea_worker *m = lea_self();

    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co)))
        return -ECANCELED;
    if (LEA_LIKELY(try_first(inner(mutex))))
        return 0;
    return lock_slow(inner(mutex), until.ns, false, "leat_mutex_lock_until");
}

static int try_once(struct mutex *x)
{
    uintptr_t w;

    lea_solo_heed();
    do {
        w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */
        if (w & LOCKED) {
            check_not_copied(x, w, "leat_mutex_try");
            return -EAGAIN;
        }
    } while (!lea_word_cas(&x->word, w, w | held(x))); /* MUTEX */
    return 0;
}

static __attribute__((noinline)) int try_once_bracketed(struct mutex *x)
{
    struct lea_worker *m = lea_solo_enter_once();
    int r = try_once(x);

    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r;
}

int leat_mutex_try(leat_mutex *mutex)
{
    struct mutex *x = inner(mutex);

    if (LEA_UNLIKELY(lea_solo_may()))
        return try_solo(x) ? 0 : try_once_bracketed(x);
    return try_once(x);
}

/*
 * The list's lock is held, and LOCKED is set by the caller. Lets one waiter go on, or finds none.
 */
static void pass_on_locked(struct mutex *x, struct lea_wakes *wakes)
{
    struct lea_waiter *waiter;
    uintptr_t keep = 0, w, next;

    while ((waiter = lea_waiters_pop(&x->waiters))) {
        bool hand_over = waiter->mark;

        if (!lea_waiter_claim(waiter, LEA_WAKE_DONE, wakes))
            continue;
        keep = hand_over && !LEA_MUTATED(MUTEX_HAND_OVER) ? held(x) : WOKEN;
        break;
    }
    do {
        w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */
        next = (w & WOKEN) | keep | (lea_waiters_first(&x->waiters) ? WAITERS : 0);
    } while (!lea_word_cas(&x->word, w, next)); /* MUTEX */
}

static void check_held(const struct mutex *x, uintptr_t w, const char *call)
{
    LEA_RIGHT(w & LOCKED, call, "mutex %p is not locked (word %#lx)", (const void *)x,
              (unsigned long)w);
    check_not_copied(x, w, call);
}

/* Within a bracket, or on a plain thread. */
static void unlock_slow(struct mutex *x, struct lea_worker *m, const char *call)
{
    struct lea_wakes wakes;

    lea_solo_heed();
    lea_wakes_begin(&wakes, m);
    for (;;) {
        uintptr_t w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */

        lea_delay_point(MUTEX);
        check_held(x, w, call);
        if ((w & WAITERS) && !(w & WOKEN)) {
            lea_lock_take(&x->list_lock);
            pass_on_locked(x, &wakes);
            lea_lock_drop(&x->list_lock);
            break;
        }
        if (lea_word_cas(&x->word, w, w & (WAITERS | WOKEN))) /* MUTEX */
            break;
    }
    lea_wakes_deliver(&wakes, m);
}

/*
 * False: somebody is to be woken, or something is wrong. By a look first: while somebody waits the
 * CAS of the simple case would always fail.
 */
static inline bool unlock_fast(struct mutex *x)
{
    uintptr_t w;

    lea_solo_heed();
    w = lea_word_load_rlx(&x->word); /* relaxed: the CAS decides */
    if (LEA_LIKELY(w == held(x)))
        return lea_word_cas(&x->word, held(x), 0); /* MUTEX */
    /* MUTEX */
    return (w & ~WAITERS) == (held(x) | WOKEN) && lea_word_cas(&x->word, w, w & (WAITERS | WOKEN));
}

/*
 * By a plain store. False: that may not be. Never inlined where a switch can happen: it reads a
 * thread-local (sched/self.h).
 */
static __attribute__((noinline)) bool unlock_light(struct mutex *x,
                                                   const struct lea_light_place *place)
{
    struct lea_light_slot *slot = lea_self_light;
    bool light;

    if (LEA_UNLIKELY(!slot))
        return false;
    light = lea_light_begin(slot, x, place) &&
            LEA_LIKELY(lea_word_load_rlx(&x->word) == held(x)); /* relaxed: our own */
    if (LEA_LIKELY(light))
        lea_word_store_rel(&x->word, 0); /* MUTEX */
    lea_light_end(slot);
    return light;
}

/* As unlock_fast(). */
static inline bool unlock_first(struct mutex *x)
{
    const struct lea_light_place *place = lea_light_place_of((uintptr_t)x);

    return (LEA_LIKELY(lea_light_may(place)) && LEA_LIKELY(unlock_light(x, place))) ||
           unlock_fast(x);
}

static __attribute__((noinline)) void unlock_bracketed(struct mutex *x)
{
    struct lea_worker *m = lea_solo_enter_any();

    unlock_slow(x, m, "leat_mutex_unlock");
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

/* In a solo section. False: that may not be, somebody is to be woken, or something is wrong. */
static __attribute__((noinline)) bool unlock_solo(struct mutex *x)
{
    struct lea_worker *m = lea_solo_enter(0);
    bool dropped = false;

    if (LEA_UNLIKELY(!m)) {
        m = lea_solo_enter_once();
        dropped = unlock_fast(x);
        if (m)
            lea_leave(m);
        return dropped;
    }
    if (LEA_LIKELY(lea_solo_begin())) {
        dropped = lea_word_load_rlx(&x->word) == held(x); /* relaxed: our own */
        if (LEA_LIKELY(dropped))
            lea_word_store_rel(&x->word, 0); /* MUTEX */
        lea_solo_end();
    }
    lea_leave(m);
    return dropped;
}

void leat_mutex_unlock(leat_mutex *mutex)
{
    struct mutex *x = inner(mutex);
    bool dropped = LEA_UNLIKELY(lea_solo_may()) ? unlock_solo(x) : LEA_LIKELY(unlock_first(x));

    if (LEA_UNLIKELY(!dropped))
        unlock_bracketed(x);
}

void lea_mutex_check_held(const leat_mutex *mutex, const char *call)
{
    const struct mutex *x = (const struct mutex *)(const void *)mutex;

    check_held(x, lea_word_load_rlx(&x->word), call); /* relaxed: the caller's own */
}

void lea_mutex_unlock(leat_mutex *mutex, struct lea_worker *m, const char *call)
{
    struct mutex *x = inner(mutex);

    if (LEA_UNLIKELY(!(lea_solo_may() ? unlock_fast(x) : unlock_first(x))))
        unlock_slow(x, m, call);
}

void lea_mutex_lock(leat_mutex *mutex, struct lea_worker **m)
{
    struct mutex *x = inner(mutex);

    if (LEA_UNLIKELY(!try(x)) && !spin(x, *m))
        (void)lock_wait(x, m, INT64_MAX, true, LEA_REASON_MUTEX, x);
}

enum lea_wake lea_mutex_lock_for(leat_mutex *mutex, struct lea_worker **m, int64_t until_ns,
                                 bool shielded, enum lea_reason reason, const void *object)
{
    struct mutex *x = inner(mutex);

    if (LEA_LIKELY(try(x)) || spin(x, *m))
        return LEA_WAKE_DONE;
    return lock_wait(x, m, until_ns, shielded, reason, object);
}

void leat_mutex_destroy(leat_mutex *mutex)
{
    const struct mutex *x = inner(mutex);
    uintptr_t w = lea_word_load_acq(&x->word); /* MUTEX */

    LEA_RIGHT(!(w & LOCKED), "leat_mutex_destroy", "mutex %p is locked", (const void *)x);
    LEA_RIGHT(w == 0, "leat_mutex_destroy", "mutex %p is waited for", (const void *)x);
}
