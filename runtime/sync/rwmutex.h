/*
 * sync/rwmutex.h - many readers or one writer: what the two sides share (rwread.c, rwmutex.c).
 * Contract: include/leat/sync.h.
 *
 * Readers are counted in slots, a cache line each, so that they share none that is written:
 *   own slots     of the run's first workers, changed by that worker's thread only, by plain
 *                 stores. A coroutine cannot leave its thread in the middle of such a change, and
 *                 no processor is needed for it, so there is no bracket either.
 *   shared slots  of everybody else (plain threads, later workers, all of a run that is too large
 *                 for own slots): by atomic adds.
 * A coroutine may lock on one worker and unlock on another: a slot may be negative, and only the
 * sum over all of them says something. A slot that becomes negative is looked at: it is that, or an
 * unlock too many.
 *
 * The word: bit 0 LOCK (word.h) of the lists; bit 1 WRITER: no reader may come in; bit 2 BIAS:
 * readers of own slots pass no fence, and a writer makes up for it by a membarrier. Above: the
 * lock's own address, 0 until the first use: a copy that was made while the lock was held is known
 * by it. So one comparison tells a reader all.
 *
 * A reader counts itself, then looks at the word; a writer sets WRITER, then looks at the slots.
 * From then on nobody new is counted for good, and the numbers only fall: whenever a sum, read slot
 * after slot, is 0, all readers have left. (It may be too large, by readers that are about to see
 * WRITER and to leave.) A writer looks for a moment, and then waits for that as the `drainer`;
 * whoever leaves and sees WRITER looks, under LOCK, whether that was the last. Writers exclude each
 * other by a mutex of their own, and a waiting writer shuts out readers that come later.
 *
 * The end of a write wakes all readers that wait. Who has waited for long is counted by that, so
 * that a stream of writers does not shut it out. The others come in when they run, if they may: one
 * that was counted while it is still in a run queue would hold the lock there, and the next writer
 * would wait for all of the queue, and all of the queue for it, each time (with 100 coroutines and
 * a write in 1000 that took 40 ns an operation, and takes 6 now).
 *
 * BIAS is set by readers, after so many since the last write that a writer's membarrier costs
 * little beside them, and taken back by the next writer that has to pay for it, before it shuts
 * the readers out: they go on meanwhile. One that need not pay leaves it where it is, beside WRITER
 * too: who holds the one processor of a run, beside nobody astray (sched/stray.h).
 * Readers that pass no fence are of this run's workers (or it has no own slots), and each has run
 * before the writer, on its thread or on one that has been out of user code since: all of their
 * stores are seen. While it is in the bracket nobody else comes to run, and who runs after it sees
 * WRITER, by the hand-over of the processor. All others pass fences as ever, and so does it.
 *
 * Without BIAS who comes in passes a fence, and so does who leaves, until writers have found for a
 * while that they need not park for them (`quick`): a writer that only looks sees a slot change
 * soon, by a fence or not. One that has to park takes that back, by a membarrier.
 *
 * Last touch: not defined as for a mutex. A reader looks at the word after it is counted out, so
 * memory goes when the calls have returned.
 *
 * Ordering pairs.
 *  RW-READ   (law 3) a reader stores its slot, fence (none with BIAS), reads the word; a writer
 *            sets WRITER, fence (membarrier if that takes BIAS back), reads the slots. Mostly BIAS
 *            was taken back before, and a membarrier followed that.
 *  RW-LEAVE  the release of a slot by who leaves -> the writer's acquire of it: what was read, was
 *            read before it is written. Then the same
 *            fences: who leaves sees WRITER, or the writer sees it gone.
 *  RW-QUICK  who leaves stores its slot, loads `quick`, and if that is high reads the word without
 *            a fence; a writer, which has set WRITER, stores 0 there, membarrier, and then reads
 *            the slots once more before it waits: it sees the slot, or who leaves sees WRITER. And
 *            who leaves later, beside a later writer that finds 0, has seen 0 as well.
 *  RW-WRITE  the release of the word at the end of a write -> the acquire by readers.
 */
#ifndef LEA_SYNC_RWMUTEX_H
#define LEA_SYNC_RWMUTEX_H

#include "sched/self.h"
#include "sync/word.h"

#include <leat/sync.h>
#include <stddef.h>

#define LEA_RW_WRITER ((uintptr_t)2)
#define LEA_RW_BIAS ((uintptr_t)4)
#define LEA_RW_FLAGS (LEA_WORD_LOCK | LEA_RW_WRITER | LEA_RW_BIAS)

#define LEA_RW_SHARED 4u
#define LEA_RW_SLOTS (LEA_RW_SHARED + LEA_OWN_SLOTS)

/*
 * Readings by one worker without BIAS, and without a write among them, until it sets that: a
 * membarrier costs about as much as the fences of so many (17 µs of two CPUs in a virtual machine).
 */
#ifndef LEA_RW_BIAS_READS
#define LEA_RW_BIAS_READS 1024u
#endif

/*
 * So many writes in a row that had to look but not to park, and who leaves passes no fence. A
 * membarrier costs as much as the fences that some such writes save, where one in 100 writes.
 */
#ifndef LEA_RW_QUICK_WRITES
#define LEA_RW_QUICK_WRITES 16u
#endif

/* The first slot is nobody's: it makes up for what others are too high or too low. */
struct lea_rw_slot {
    lea_word count; /* signed */
    lea_word reads; /* own slots: without BIAS, since the writes that `seen` tells of */
    lea_word seen;
    uint64_t pad[5];
};

/*
 * How much a slot gets that is too low: it takes as many coroutines from elsewhere until it is
 * again.
 */
#ifndef LEA_RW_MOVED
#define LEA_RW_MOVED 16u
#endif

/* One that waits. `mark` of the waiter: who woke it has counted it, in the first slot. */
struct lea_rw_reader {
    struct lea_waiter waiter;
    int64_t since_ns;
};

struct lea_rw {
    lea_word word;
    struct lea_waiters readers; /* under LOCK */
    struct lea_waiter *drainer; /* under LOCK */
    leat_mutex writers;
    /* changed by who holds the mutex above: */
    lea_word writes; /* without BIAS */
    lea_word quick;  /* those in a row that did not park for readers to leave */
    struct lea_rw_slot slot[LEA_RW_SLOTS];
};
_Static_assert(sizeof(struct lea_rw) == sizeof(leat_rwmutex), "the public size is fixed");
_Static_assert(_Alignof(leat_rwmutex) > LEA_RW_FLAGS, "an address leaves the flags free");
_Static_assert(sizeof(struct lea_rw_slot) == LEA_CACHELINE, "slots share no line");
_Static_assert(offsetof(struct lea_rw, slot[LEA_RW_SHARED]) == LEA_OWN_SLOT(1),
               "own slots are where sched/self.h says");

static inline struct lea_rw *lea_rw_inner(leat_rwmutex *rw)
{
    return (struct lea_rw *)(void *)rw;
}

/* How many readers there are, or seem to be. The first slot first: see move_count() in rwread.c. */
intptr_t lea_rw_sum(const struct lea_rw *x);

/*
 * May readers come in, and is the lock what its word says? LOCK does not matter: WRITER is not set
 * under it, but for a moment by who looks for unlocks too many, and then it is seen.
 */
static inline bool lea_rw_open(const struct lea_rw *x, uintptr_t w)
{
    return (w & ~(LEA_RW_BIAS | LEA_WORD_LOCK)) == (uintptr_t)x;
}

/* LOCK is held, and the lock should be too. */
void lea_rw_check_not_copied(const struct lea_rw *x, uintptr_t w, const char *call);

/* Takes LOCK. Returns the word, with the lock's address, without LOCK. */
uintptr_t lea_rw_enter(struct lea_rw *x, const char *call);

/* LOCK is held, WRITER is set. The writer that waits for the readers goes on if they have left. */
void lea_rw_look_locked(struct lea_rw *x, struct lea_wakes *wakes);

/*
 * LOCK is held, and WRITER is about to be cleared: all readers that wait go on, and are counted if
 * they have waited long.
 */
void lea_rw_let_in_locked(struct lea_rw *x, struct lea_wakes *wakes);

#endif
