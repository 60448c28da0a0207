/*
 * Many readers or one writer: the readers. Invariants and ordering: rwmutex.h.
 */
#include "sync/rwmutex.h"

#include "base/delay.h"
#include "base/os.h"
#include "sched/membarrier.h"
#include "sched/wrong.h"
#include "sync/spin.h"

#include <errno.h>

/* The same, and no fence is needed. */
static inline bool is_biased(const struct lea_rw *x, uintptr_t w)
{
    return w == ((uintptr_t)x | LEA_RW_BIAS);
}

/* --- slots; on whatever thread, which they do not leave --- */

/* The own slot of a thread. @offset: lea_self_slot */
static inline struct lea_rw_slot *own_slot(struct lea_rw *x, uintptr_t offset)
{
    return (struct lea_rw_slot *)(void *)((char *)x + offset);
}

/* Of threads that have none. */
static struct lea_rw_slot *shared_slot(struct lea_rw *x, const struct lea_worker *m)
{
    if (!m)
        return &x->slot[1 + lea_self_number() % (LEA_RW_SHARED - 1)];
    return &x->slot[1 + m->id % ((m->rt->all_slots ? LEA_RW_SLOTS : LEA_RW_SHARED) - 1)];
}

/* The calling thread's. *own: nobody else changes it. */
static struct lea_rw_slot *slot_of(struct lea_rw *x, const struct lea_worker *m, bool *own)
{
    uintptr_t offset = m ? m->own_slot : 0;

    *own = offset != 0;
    return offset ? own_slot(x, offset) : shared_slot(x, m);
}

/* How the owner changes its slot. */
static inline void own_set(struct lea_rw_slot *slot, uintptr_t count)
{
    if (LEA_MUTATED(RW_LEAVE_RELAXED))
        lea_word_store_rlx(&slot->count, count);
    else
        lea_word_store_rel(&slot->count, count); /* RW-READ, RW-LEAVE */
}

static void slot_add(struct lea_rw_slot *slot, bool own, uintptr_t n)
{
    if (own)
        own_set(slot, lea_word_load_rlx(&slot->count) + n); /* relaxed: one writer */
    else
        (void)lea_word_add(&slot->count, n); /* RW-READ, RW-LEAVE */
}

/* After a read without BIAS. */
static inline void slot_read(struct lea_rw *x, struct lea_rw_slot *slot)
{
    uintptr_t writes = lea_word_load_rlx(&x->writes);  /* relaxed: a hint */
    uintptr_t n = lea_word_load_rlx(&slot->reads) + 1; /* relaxed: one writer */

    if (LEA_UNLIKELY(lea_word_load_rlx(&slot->seen) != writes)) {
        lea_word_store_rlx(&slot->seen, writes);
        n = 1;
    }
    lea_word_store_rlx(&slot->reads, n);
    if (LEA_UNLIKELY(n % LEA_RW_BIAS_READS == 0) &&
        !lea_u32_load_rlx(&lea_membarrier_known.refused)) /* relaxed: a hint */
        (void)lea_word_cas(
            &x->word, (uintptr_t)x,
            (uintptr_t)x | LEA_RW_BIAS); /* for those who come later: nobody loses by a failure */
}

/* Without BIAS, or shut out. Counted already. */
static __attribute__((noinline)) bool count_in_fenced(struct lea_rw *x, struct lea_rw_slot *slot)
{
    if (!LEA_MUTATED(RW_READ_FENCE))
        lea_fence_full();                              /* RW-READ */
    if (lea_rw_open(x, lea_word_load_acq(&x->word))) { /* RW-READ, RW-WRITE */
        slot_read(x, slot);
        return true;
    }
    slot_add(slot, true, (uintptr_t)-1);
    return false;
}

static __attribute__((noinline)) bool count_in_shared(struct lea_rw *x)
{
    struct lea_rw_slot *slot = shared_slot(x, lea_self());

    slot_add(slot, false, 1);
    lea_fence_after_rmw(); /* RW-READ */
    lea_delay_point(RW_READ);
    if (LEA_LIKELY(lea_rw_open(x, lea_word_load_acq(&x->word)))) /* RW-READ, RW-WRITE */
        return true;
    slot_add(slot, false, (uintptr_t)-1);
    return false;
}

/*
 * Counted, and not shut out? If not, nothing is counted any more, but a drainer may have seen it:
 * undone(). Never inlined where a switch can happen: it reads a thread-local (sched/self.h).
 */
__attribute__((noinline)) bool leat_rwmutex_read_(leat_rwmutex *rw)
{
    uintptr_t offset = lea_self_slot;
    struct lea_rw *x = lea_rw_inner(rw);
    struct lea_rw_slot *slot;

    if (LEA_UNLIKELY(!offset))
        return count_in_shared(x);
    slot = own_slot(x, offset);
    own_set(slot, lea_word_load_rlx(&slot->count) + 1); /* relaxed: one writer */
    lea_barrier();                                      /* RW-READ */
    lea_delay_point(RW_READ);
    if (LEA_LIKELY(is_biased(x, lea_word_load_acq(&x->word)))) /* RW-READ, RW-WRITE */
        return true;
    return count_in_fenced(x, slot);
}

/* How far a runlock has come. */
enum left { LEFT_DONE, LEFT_NOT_YET, LEFT_TO_LOOK };

static inline int seen_out(const struct lea_rw *x)
{
    return LEA_LIKELY(lea_rw_open(x, lea_word_load_acq(&x->word))) ? LEFT_DONE
                                                                   : LEFT_TO_LOOK; /* RW-LEAVE */
}

static __attribute__((noinline)) int count_out_fenced(const struct lea_rw *x)
{
    /* relaxed: RW-QUICK */
    if (lea_word_load_rlx(&x->quick) < LEA_RW_QUICK_WRITES && !LEA_MUTATED(RW_LEAVE_FENCE))
        lea_fence_full(); /* RW-LEAVE */
    return seen_out(x);
}

static __attribute__((noinline)) int count_out_shared(struct lea_rw *x)
{
    struct lea_rw_slot *slot = shared_slot(x, lea_self());

    if (LEA_UNLIKELY((intptr_t)lea_word_load_rlx(&slot->count) <= 0)) /* relaxed: a hint */
        return LEFT_NOT_YET;
    slot_add(slot, false, (uintptr_t)-1);
    lea_fence_after_rmw(); /* RW-LEAVE */
    return seen_out(x);
}

/*
 * As leat_rwmutex_read_(). Too few in the slot: a coroutine has come from another thread, or it was
 * not locked.
 */
__attribute__((noinline)) int leat_rwmutex_leave_(leat_rwmutex *rw)
{
    uintptr_t offset = lea_self_slot, count;
    struct lea_rw *x = lea_rw_inner(rw);
    struct lea_rw_slot *slot;

    if (LEA_UNLIKELY(!offset))
        return count_out_shared(x);
    slot = own_slot(x, offset);
    count = lea_word_load_rlx(&slot->count) - 1; /* relaxed: one writer */
    if (LEA_UNLIKELY((intptr_t)count < 0))
        return LEFT_NOT_YET;
    own_set(slot, count);
    lea_barrier();                                             /* RW-LEAVE */
    if (LEA_LIKELY(is_biased(x, lea_word_load_acq(&x->word)))) /* RW-LEAVE */
        return LEFT_DONE;
    return count_out_fenced(x);
}

/* --- the slow side --- */

/*
 * LOCK is held. Has the slot of somebody who has just left become lower than the number of readers
 * allows? While readers come in the sum may be read too low, so they are shut out for that.
 */
static void check_left_locked(struct lea_rw *x, const char *call)
{
    intptr_t n = lea_rw_sum(x);

    if (LEA_LIKELY(n >= 0))
        return;
    lea_word_store_rel(&x->word, (uintptr_t)x | LEA_RW_WRITER | LEA_WORD_LOCK);
    lea_fence_full(); /* RW-READ */
    lea_membarrier(); /* RW-READ */
    n = lea_rw_sum(x);
    LEA_RIGHT(n >= 0, call, "rwmutex %p is not locked for reading (%ld readers)", (void *)x,
              (long)n);
}

/*
 * After count_in() has failed, and before anything that may park: whoever waits for the readers to
 * leave may have seen us among them.
 */
static void undone(struct lea_rw *x, const char *call)
{
    struct lea_worker *m = lea_enter();
    struct lea_wakes wakes;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    w = lea_rw_enter(x, call);
    if ((w & LEA_RW_WRITER) && !LEA_MUTATED(RW_UNDONE_SILENTLY))
        lea_rw_look_locked(x, &wakes);
    lea_word_unlock(&x->word, w);
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}

/* @mine: who waits, if it is shut out; NULL nobody. Returns: it has been let in. */
static bool come_in(struct lea_rw *x, const struct lea_worker *m, struct lea_waiter *mine,
                    const char *call)
{
    uintptr_t w = lea_rw_enter(x, call);
    bool own;

    if (w & LEA_RW_WRITER) {
        if (mine)
            lea_waiters_push_back(&x->readers, mine);
    } else {
        struct lea_rw_slot *slot = slot_of(x, m, &own);

        slot_add(slot, own, 1);
    }
    lea_word_unlock(&x->word, w);
    return !(w & LEA_RW_WRITER);
}

void lea_rw_let_in_locked(struct lea_rw *x, struct lea_wakes *wakes)
{
    struct lea_waiter *waiter;
    int64_t now_ns = 0;

    while ((waiter = lea_waiters_pop(&x->readers))) {
        const struct lea_rw_reader *reader = lea_container(waiter, struct lea_rw_reader, waiter);
        bool in;

        if (!now_ns)
            now_ns = lea_os_now_ns();
        in = now_ns - reader->since_ns >= LEA_HAND_OVER_NS && !LEA_MUTATED(RW_NOT_LET_IN);
        waiter->mark = in;
        if (in && !LEA_MUTATED(RW_LET_IN_LATE))
            slot_add(&x->slot[0], false, 1); /* before the claim, for it may run at once */
        if (!lea_waiter_claim(waiter, LEA_WAKE_DONE, wakes) && in && !LEA_MUTATED(RW_LET_IN_NOBODY))
            slot_add(&x->slot[0], false, (uintptr_t)-1);
    }
}

/*
 * From the first slot to the thread's own: of those who were let in, and will leave by their own;
 * for a slot that is too low since coroutines have come from elsewhere. A sum, which begins with
 * the first slot, may see them twice, but never not at all.
 */
static void move_count(struct lea_rw *x, struct lea_rw_slot *slot, bool own, uintptr_t n)
{
    if (LEA_MUTATED(RW_MOVED_EARLY))
        slot_add(&x->slot[0], false, -n);
    slot_add(slot, own, n);
    if (!LEA_MUTATED(RW_MOVED_EARLY))
        slot_add(&x->slot[0], false, -n);
}

static enum lea_wake read_slow(struct lea_rw *x, struct lea_worker **m, int64_t until_ns,
                               bool shielded, const char *call)
{
    struct lea_rw_reader mine = {.since_ns = lea_os_now_ns()};
    struct lea_rw_slot *slot;
    bool own;

    for (;;) {
        enum lea_wake code;

        lea_waiter_begin(&mine.waiter, *m);
        if (come_in(x, *m, &mine.waiter, call))
            return LEA_WAKE_DONE;
        if (LEA_LIKELY(*m != NULL))
            lea_co_waits_for((*m)->co, x);
        code = lea_waiter_wait(&mine.waiter, m, LEA_REASON_RWMUTEX, until_ns, shielded);
        if (code != LEA_WAKE_DONE) {
            uintptr_t w = lea_word_lock(&x->word);

            if (mine.waiter.queued && !LEA_MUTATED(RW_READER_KEPT))
                lea_waiters_del(&x->readers, &mine.waiter);
            lea_word_unlock(&x->word, w);
            return code;
        }
        if (mine.waiter.mark)
            break;
    }
    slot = slot_of(x, *m, &own);
    move_count(x, slot, own, 1);
    return LEA_WAKE_DONE;
}

/*
 * Shut out, and counted out again. True: in, after all. If not, the writer is not soon gone. A
 * writer that parks for readers may have seen us, and is told by what comes next: by undone(), or,
 * once in, by a leave as any other.
 */
static bool spin_in(struct lea_rw *x)
{
    if (!lea_spin_may(lea_self()))
        return false;
    for (int i = 0; i < LEA_SPIN_ROUNDS; i++) {
        uintptr_t w = lea_word_load_rlx(&x->word); /* relaxed: a hint */

        if (lea_rw_open(x, w) && leat_rwmutex_read_((leat_rwmutex *)(void *)x))
            return true;
        if ((w & ~LEA_RW_FLAGS) != (uintptr_t)x) /* its first use */
            return false;
        lea_pause();
    }
    return false;
}

static int read_until(struct lea_rw *x, int64_t until_ns, bool shielded, const char *call)
{
    struct lea_worker *m;
    enum lea_wake code;

    if (spin_in(x))
        return 0;
    undone(x, call);
    m = lea_enter_park();
    code = read_slow(x, &m, until_ns, shielded, call);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return lea_wake_errno(code);
}

void leat_rwmutex_rlock_slow_(leat_rwmutex *rw)
{
    (void)read_until(lea_rw_inner(rw), INT64_MAX, true, "leat_rwmutex_rlock");
}

int leat_rwmutex_rlock_until(leat_rwmutex *rw, leat_deadline until)
{
    struct lea_worker *m = lea_self();

    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co)))
        return -ECANCELED;
    if (LEA_LIKELY(leat_rwmutex_read_(rw)))
        return 0;
    return read_until(lea_rw_inner(rw), until.ns, false, "leat_rwmutex_rlock_until");
}

int leat_rwmutex_rtry(leat_rwmutex *rw)
{
    struct lea_rw *x = lea_rw_inner(rw);
    struct lea_worker *m;
    bool in;

    if (LEA_LIKELY(leat_rwmutex_read_(rw)))
        return 0;
    undone(x, "leat_rwmutex_rtry");
    m = lea_enter();
    in = come_in(x, m, NULL, "leat_rwmutex_rtry");
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return in ? 0 : -EAGAIN;
}

void leat_rwmutex_runlock_slow_(leat_rwmutex *rw, int left)
{
    static const char call[] = "leat_rwmutex_runlock";
    struct lea_worker *m = lea_enter();
    struct lea_rw *x = lea_rw_inner(rw);
    struct lea_wakes wakes;
    uintptr_t w;

    lea_wakes_begin(&wakes, m);
    w = lea_word_lock(&x->word);
    lea_rw_check_not_copied(x, w, call);
    LEA_RIGHT(w & ~LEA_RW_FLAGS, call, "rwmutex %p is not locked for reading (never used)",
              (void *)x);
    if (left == LEFT_NOT_YET) {
        bool own;
        struct lea_rw_slot *slot = slot_of(x, m, &own);

        move_count(x, slot, own, LEA_RW_MOVED);
        slot_add(slot, own, (uintptr_t)-1);
        lea_fence_full(); /* RW-LEAVE */
    }
    check_left_locked(x, call);
    if (w & LEA_RW_WRITER)
        lea_rw_look_locked(x, &wakes);
    lea_word_unlock(&x->word, w);
    lea_wakes_deliver(&wakes, m);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}
