/*
 * From the stack of new ones into the list behind it, and back. See fresh.h.
 */
#include "sched/fresh.h"

#include "sched/chaos.h"
#include "sched/find.h"
#include "sched/idle.h"

#define HALF (LEA_LIFO_CAP / 2)

_Static_assert(HALF > 0 && HALF <= LEA_BATCH_CAP, "what sinks, or is taken, at once is one batch");

/* No memory for a batch: one by one. */
static __attribute__((noinline)) void sink_each(struct lea_proc *p)
{
    struct lea_co *old[HALF];
    uint32_t n = lea_lifo_shed(&p->lifo, p->alone, old);

    for (uint32_t i = 0; i < n; i++) {
        if (LEA_UNLIKELY(old[i]->prio_class != LEA_CLASS_NORMAL)) {
            lea_ring_push(p, old[i]);
            continue;
        }
        lea_count(p, LEA_COUNT_OVERFLOWED, 1);
        lea_inject_push(&p->lifo_over, old[i]);
    }
}

/* Others than normal ones, which are rare, out of co[n] into their rings. Returns how many stay. */
static uint32_t keep_normal(struct lea_proc *p, struct lea_co **co, uint32_t n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (LEA_LIKELY(co[i]->prio_class == LEA_CLASS_NORMAL))
            co[kept++] = co[i];
        else
            lea_ring_push(p, co[i]);
    }
    return kept;
}

__attribute__((noinline)) void lea_fresh_sink(struct lea_proc *p)
{
    struct lea_batch *b = lea_pool_get(&p->batches, &p->rt->batches);

    p->sank = true;
    if (LEA_UNLIKELY(!b)) {
        sink_each(p);
        return;
    }
    b->from = 0;
    b->n = keep_normal(p, b->co, lea_lifo_shed(&p->lifo, p->alone, b->co));
    lea_count(p, LEA_COUNT_OVERFLOWED, b->n);
    if (LEA_LIKELY(b->n > 0))
        b = lea_inject_push_batch(&p->lifo_over, LEA_CLASS_NORMAL, b);
    if (b)
        lea_pool_put(&p->batches, &p->rt->batches, b);
}

static uint32_t to_stack(struct lea_proc *p, struct lea_inject *from, uint32_t max)
{
    uint32_t room = LEA_LIFO_CAP - lea_u32_load_rlx(&p->lifo.depth); /* relaxed: ours */
    struct lea_co *got[HALF];
    uint32_t n;

    if (!room || !max)
        return 0;
    n = lea_find_take(p, from, room < max ? room : max, got);
    lea_lifo_push_many(&p->lifo, got, n);
    return n;
}

uint32_t lea_fresh_raise(struct lea_proc *p)
{
    uint32_t n = lea_inject_len(&p->lifo_over) ? to_stack(p, &p->lifo_over, HALF) : 0;

    /* who looked for work meanwhile has found them in neither place */
    if (n && !p->alone)
        lea_idle_published_local(p->rt, p);
    return n;
}

uint32_t lea_fresh_steal(struct lea_proc *p, struct lea_proc *victim)
{
    uint32_t len = lea_inject_len(&victim->lifo_over), half = len - len / 2;

    return to_stack(p, &victim->lifo_over, half < HALF ? half : HALF);
}

/* The oldest of the list, if it is time. */
static bool list_look(struct lea_proc *p, int64_t now)
{
    int64_t rate = 1 + (now - p->sunk_ns) / LEA_FRESH_LATE_NS;
    struct lea_co *g;

    if (now - p->sunk_turn_ns < LEA_FRESH_AGE_NS / rate)
        return false;
    p->sunk_turn_ns = now;
    if (!lea_find_take(p, &p->lifo_over, 1, &g))
        return false;
    lea_ring_push(p, g);
    return true;
}

/*
 * The oldest on the stack, and its slot; NULL: none. Known again by its number, for one that is
 * spawned is often where another has just ended.
 */
static lea_word *oldest(struct lea_proc *p, uintptr_t *w, uint64_t *id)
{
    lea_word *slot = lea_lifo_oldest(&p->lifo, w);

    /* relaxed: a hint; it may have gone, and be another one by now */
    *id = slot ? lea_word_load_rlx(&((struct lea_co *)*w)->id) : 0;
    return slot;
}

/* Owner only: the oldest on the stack, if it has stood there for long. */
static bool stack_look(struct lea_proc *p, int64_t now)
{
    uintptr_t w;
    uint64_t id;
    lea_word *slot = oldest(p, &w, &id);

    if (id != lea_word_load_rlx(&p->lifo_oldest)) { /* relaxed: ours */
        lea_word_store_rlx(&p->lifo_oldest_ns, (uintptr_t)now);
        /* relaxed, as all of these: hints, to thieves too, who may come early by a torn pair */
        lea_word_store_rlx(&p->lifo_oldest, id);
        return false;
    }
    /* relaxed: ours */
    if (!slot || now - (int64_t)lea_word_load_rlx(&p->lifo_oldest_ns) < LEA_FRESH_AGE_NS ||
        !lea_lifo_empty_slot(slot, w, p->alone))
        return false;
    lea_ring_push(p, (struct lea_co *)w);
    lea_word_store_rlx(&p->lifo_oldest, 0); /* relaxed: a hint */
    return true;
}

bool lea_fresh_aged(struct lea_proc *p, int64_t now, int64_t age_ns)
{
    uintptr_t seen = lea_word_load_rlx(&p->lifo_oldest); /* relaxed, as its time: hints */
    uintptr_t w;
    uint64_t id;

    return seen && now - (int64_t)lea_word_load_rlx(&p->lifo_oldest_ns) >= age_ns &&
           oldest(p, &w, &id) && id == seen;
}

bool lea_fresh_look(struct lea_proc *p, int64_t now)
{
    bool empty = lea_u32_load_rlx(&p->lifo.depth) == 0; /* relaxed: ours */
    bool some = lea_inject_len(&p->lifo_over) != 0, out = false;

    if (empty && lea_word_load_rlx(&p->lifo_oldest)) /* relaxed: ours, and a hint */
        lea_word_store_rlx(&p->lifo_oldest, 0);
    if (!some)
        p->sunk_ns = 0;
    else if (!p->sunk_ns)
        p->sunk_ns = p->sunk_turn_ns = now;
    if (some && empty) {
        p->sunk_turn_ns = now;
        (void)lea_fresh_raise(p);
    } else if (!empty && !lea_chaos(p->rt)) { /* it mixes them by itself, and never by the clock */
        if (some)
            out = list_look(p, now);
        out |= stack_look(p, now);
    }
    return out;
}
