/*
 * sync/word.h - a word that says how an object is, and with one bit locks the rest of it.
 *
 * While the bit is set nobody else changes the word, so that the lock is dropped by one plain store
 * of the next word: that store is the last touch of whoever held it. A waiter that was claimed
 * meanwhile waits for the bit to be clear before it returns, and may free the object then.
 *
 * Held for some dozens of instructions; never over a park, nor while a coroutine is made ready. But
 * who has reason to think that a program is wrong makes sure first, which may take a call to the
 * kernel, or a second of looks (rwmutex).
 *
 * Ordering pair WORD: the release store in lea_word_unlock() -> the CAS in lea_word_lock() and the
 * loads in lea_word_passed().
 */
#ifndef LEA_SYNC_WORD_H
#define LEA_SYNC_WORD_H

#include "base/lock.h"
#include "sched/waiter.h"

#define LEA_WORD_LOCK ((uintptr_t)1)

/* Checked builds know of it as of any other lock. */
static inline void lea_word_rank_enter(void)
{
    lea_lock_rank_enter(&(const struct lea_lock){.rank = LEA_RANK_SYNC});
}

static inline void lea_word_rank_leave(void)
{
    lea_lock_rank_leave(&(const struct lea_lock){.rank = LEA_RANK_SYNC});
}

/* Returns the word, without the bit. */
static inline uintptr_t lea_word_lock(lea_word *word)
{
    unsigned round = 0;

    lea_word_rank_enter();
    for (;;) {
        uintptr_t w = lea_word_load_rlx(word); /* relaxed: the CAS decides */

        if (LEA_LIKELY(!(w & LEA_WORD_LOCK)) && lea_word_cas(word, w, w | LEA_WORD_LOCK)) /* WORD */
            return w;
        lea_relax(&round);
    }
}

static inline void lea_word_unlock(lea_word *word, uintptr_t next)
{
    lea_word_rank_leave();
    lea_word_store_rel(word, next); /* WORD */
}

/* Whoever claimed us held the lock: it has dropped it now. */
static inline void lea_word_passed(const lea_word *word)
{
    unsigned round = 0;

    while (LEA_UNLIKELY(lea_word_load_acq(word) & LEA_WORD_LOCK)) /* WORD */
        lea_relax(&round);
}

#endif
