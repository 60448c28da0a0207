/*
 * The contended side of lea_lock, and the rank check of checked builds. Invariants and ordering:
 * lock.h.
 */
#include "base/lock.h"

#include "base/check.h"
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"

/*
 * About 1 µs: sections are shorter than that, so waiting longer means that the holder was
 * descheduled.
 */
#define SPIN_ROUNDS 40

void lea_lock_take_slow(struct lea_lock *lock)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (lea_u32_load_rlx(&lock->word) == 0 && lea_u32_cas(&lock->word, 0, 1)) /* LOCK */
            return;
        lea_pause();
    }
    while (lea_u32_swap(&lock->word, 2) != 0) /* LOCK */
        lea_os_futex_wait(&lock->word, 2, INT64_MAX);
}

void lea_lock_drop_slow(struct lea_lock *lock)
{
    uint32_t old = lea_u32_swap(&lock->word, 0); /* LOCK */

    LEA_CHECK(old != 0, "a lock was dropped that nobody held");
    lea_delay_point(LOCK);
    if (old == 2 && !LEA_MUTATED(LOCK_WAKE_DROPPED))
        lea_os_futex_wake(&lock->word, 1);
}

#ifdef LEAT_CHECKED
/*
 * Bit r is set while this thread holds a lock of rank r. No lock is held over a switch, so it never
 * moves to another thread.
 */
static _Thread_local uint32_t held_ranks;

void lea_lock_rank_enter(const struct lea_lock *lock)
{
    if (lock->rank == LEA_RANK_NONE)
        return;
    LEA_CHECK(held_ranks >> lock->rank == 0,
              "lock order: rank %u is taken while the set %#x is held", lock->rank, held_ranks);
    held_ranks |= UINT32_C(1) << lock->rank;
}

void lea_lock_rank_leave(const struct lea_lock *lock)
{
    held_ranks &= ~(UINT32_C(1) << lock->rank) | 1;
}

bool lea_lock_none_held(void)
{
    return held_ranks == 0;
}
#endif
