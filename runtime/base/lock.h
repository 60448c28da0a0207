/*
 * A lock between threads, for sections of some dozens of instructions. Never held over a park or a
 * system call that may wait.
 *
 * Word: 0 free, 1 held, 2 held and somebody may sleep for it. Zero is a valid free lock.
 * Ordering pair LOCK: CAS 0 -> 1 or 2 acquires what the store of 0 released. A sleeper's kernel
 * check of the word == 2 and the holder's swap to 0 (both on the one word) leave no gap for a lost
 * wake-up.
 *
 * Locks have ranks, checked in checked builds: a lock may be taken only while every held one has a
 * lower rank. The table is below.
 */
#ifndef LEA_BASE_LOCK_H
#define LEA_BASE_LOCK_H

#include "base/atomic.h"
#include "base/mutant.h"

/* In the order in which they nest, outermost first. */
enum lea_lock_rank {
    LEA_RANK_NONE,
    LEA_RANK_RUN,    /* the root: a run begins or ends */
    LEA_RANK_SIGNAL, /* who listens to which signal */
    LEA_RANK_NAMES,  /* look-ups of names */
    LEA_RANK_SCOPE,  /* members of a group */
    LEA_RANK_SYNC,   /* waiters of a mutex, a waitgroup, a channel */
    LEA_RANK_FD,     /* table of descriptors */
    LEA_RANK_RING,   /* calls on files */
    LEA_RANK_POOL,   /* jobs that hang a thread, and its threads */
    LEA_RANK_SCHED,  /* spare workers, credit for spawns */
    LEA_RANK_TIMER,  /* one processor's timers */
    LEA_RANK_INJECT, /* the inject queue */
    LEA_RANK_MEM,    /* stacks and slabs */
};

struct lea_lock {
    lea_u32 word;
    uint32_t rank; /* enum lea_lock_rank; NONE is not checked */
};

#define LEA_LOCK_INIT(r)                                                                           \
    {                                                                                              \
        {0}, (r)                                                                                   \
    }

void lea_lock_take_slow(struct lea_lock *lock);
void lea_lock_drop_slow(struct lea_lock *lock);

#ifdef LEAT_CHECKED
void lea_lock_rank_enter(const struct lea_lock *lock);
void lea_lock_rank_leave(const struct lea_lock *lock);
bool lea_lock_none_held(void);
#else
static inline void lea_lock_rank_enter(const struct lea_lock *lock)
{
    (void)lock;
}
static inline void lea_lock_rank_leave(const struct lea_lock *lock)
{
    (void)lock;
}
static inline bool lea_lock_none_held(void)
{
    return true;
}
#endif

static inline void lea_lock_init(struct lea_lock *lock, enum lea_lock_rank rank)
{
    lea_u32_store_rlx(&lock->word, 0); /* relaxed: not shared yet */
    lock->rank = (uint32_t)rank;
}

static inline void lea_lock_take(struct lea_lock *lock)
{
    lea_lock_rank_enter(lock);
    if (LEA_MUTATED(LOCK_TWO_STEPS) && lea_u32_load_acq(&lock->word) == 0) {
        lea_u32_store_rel(&lock->word, 1);
        return;
    }
    if (LEA_UNLIKELY(!lea_u32_cas(&lock->word, 0, 1))) /* LOCK */
        lea_lock_take_slow(lock);
}

static inline bool lea_lock_try(struct lea_lock *lock)
{
    /* relaxed: a hint; LOCK */
    if (lea_u32_load_rlx(&lock->word) != 0 || !lea_u32_cas(&lock->word, 0, 1))
        return false;
    lea_lock_rank_enter(lock);
    return true;
}

static inline void lea_lock_drop(struct lea_lock *lock)
{
    lea_lock_rank_leave(lock);
    if (LEA_UNLIKELY(!lea_u32_cas(&lock->word, 1, 0))) /* LOCK */
        lea_lock_drop_slow(lock);
}

#endif
