/*
 * Scenarios of single structures: rings, slots, the stack of new ones, the inject queue, the lock.
 * Virtual threads without a runtime.
 */
#include "kit.h"

#include "all.h"
#include "base/lock.h"
#include "sched/inject.h"
#include "sched/lifo.h"
#include "sched/ready.h"
#include "sched/runq.h"

#define MAX_ITEMS 24

/* Coroutines that only stand for themselves; got[i] counts how often one came out. */
struct items {
    struct lea_co *co;
    unsigned n, pushed, out;
    unsigned got[MAX_ITEMS];
    unsigned last; /* id of the last one that the owner took */
};

static struct items items;

static void items_make(unsigned n)
{
    memset(&items, 0, sizeof(items));
    items.n = n;
    items.co = sim_arena_alloc(n * sizeof(struct lea_co), 64);
    for (unsigned i = 0; i < n; i++)
        items.co[i].id.value_ = i;
}

/* Filled in by whoever pushes it, plainly; so whoever takes it must be ordered behind. */
static struct lea_co *items_next(void)
{
    struct lea_co *co = &items.co[items.pushed++];

    sim_touch(&co->args, sizeof(co->args), true, items_next);
    return co;
}

static void items_took(struct lea_co *co)
{
    sim_check(co >= items.co && co < items.co + items.n, "what came out was never put in: %p",
              (void *)co);
    sim_touch(&co->args, sizeof(co->args), false, items_took);
    items.got[co->id.value_]++;
    items.out++;
    sim_check(items.got[co->id.value_] == 1, "item %u came out twice", (unsigned)co->id.value_);
}

static void items_check_all(void)
{
    for (unsigned i = 0; i < items.pushed; i++)
        sim_check(items.got[i] == 1, "item %u was lost", i);
}

/* --- rings --- */

static struct lea_runq *ring, *thief_ring[2];

static struct lea_runq *ring_new(uint32_t at)
{
    struct lea_runq *q = sim_arena_alloc(sizeof(*q), 64);

    q->head.value_ = q->tail.value_ = at;
    return q;
}

static void *ring_thief(void *arg)
{
    struct lea_runq *own = arg;
    struct lea_co *co;

    for (int i = 0; i < 3; i++) {
        (void)lea_runq_steal(own, ring);
        while ((co = lea_runq_pop(own)))
            items_took(co);
    }
    return NULL;
}

static void ring_play(uint32_t at, unsigned n, unsigned thieves)
{
    struct sim_thread *t[2];
    struct lea_co *co;

    items_make(n);
    ring = ring_new(at);
    for (unsigned i = 0; i < thieves; i++) {
        thief_ring[i] = ring_new(at - i);
        t[i] = kit_thread(ring_thief, thief_ring[i]);
    }
    items.last = UINT32_MAX;
    while (items.pushed < n) {
        unsigned k = 1 + sim_shape(3);

        for (unsigned i = 0; i < k && items.pushed < n; i++)
            sim_check(lea_runq_push(ring, items_next()), "the ring is full");
        if (sim_shape(2) && (co = lea_runq_pop(ring))) {
            sim_check(items.last == UINT32_MAX || co->id.value_ > items.last,
                      "the owner took %u after %u", (unsigned)co->id.value_, items.last);
            items.last = (unsigned)co->id.value_;
            items_took(co);
        }
    }
    for (unsigned i = 0; i < thieves; i++)
        kit_join(t[i]);
    while ((co = lea_runq_pop(ring)))
        items_took(co);
    items_check_all();
}

void scenario_ring_steal(void)
{
    ring_play(0, 3 + sim_shape(10), 1 + sim_shape(2));
}

void scenario_ring_small(void)
{
    ring_play(0, 2, 1);
}

/*
 * Counters wrap around 2^32, and the ring is as good as full: thieves meet slots that are being
 * refilled.
 */

static unsigned char *wrap_seen;
static unsigned wrap_out;

static void wrap_took(const struct lea_co *co)
{
    sim_check(!wrap_seen[co->id.value_]++, "item %u came out twice", (unsigned)co->id.value_);
    wrap_out++;
}

static void *wrap_thief(void *arg)
{
    struct lea_runq *own = arg;
    struct lea_co *co;

    for (int i = 0; i < 2; i++) {
        (void)lea_runq_steal(own, ring);
        while ((co = lea_runq_pop(own)))
            wrap_took(co);
    }
    return NULL;
}

void scenario_ring_wrap(void)
{
    uint32_t at = 0u - 100;
    struct lea_co *many = sim_arena_alloc((LEA_RUNQ_CAP + 40) * sizeof(*many), 64),
                  *out[LEA_RUNQ_CAP / 2], *co;
    struct sim_thread *t;
    unsigned n = 0, k;

    wrap_seen = sim_arena_alloc(LEA_RUNQ_CAP + 40, 16);
    wrap_out = 0;
    ring = ring_new(at);
    thief_ring[0] = ring_new(at);
    for (; n < LEA_RUNQ_CAP; n++) { /* by hand, to save steps */
        many[n].id.value_ = n;
        ring->slot[(at + n) % LEA_RUNQ_CAP].value_ = (uintptr_t)&many[n];
    }
    ring->tail.value_ = at + n;
    sim_check(!lea_runq_push(ring, &many[n]), "a full ring took one more");
    t = kit_thread(wrap_thief, thief_ring[0]);
    for (unsigned i = 0; i < 6; i++) {
        many[n].id.value_ = n;
        if (lea_runq_push(ring, &many[n])) {
            n++;
            for (unsigned j = 0; j < 2 && (co = lea_runq_pop(ring)); j++)
                wrap_took(co);
        } else {
            k = lea_runq_take_half(ring, out);
            for (unsigned j = 0; j < k; j++)
                wrap_took(out[j]);
        }
    }
    kit_join(t);
    while ((co = lea_runq_pop(ring)))
        wrap_took(co);
    sim_check(wrap_out == n, "%u of %u items came out", wrap_out, n);
}

/* --- the stack of new ones --- */

static struct lea_lifo *lifo;

static void *lifo_thief(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        uintptr_t w = 0;
        lea_word *slot = lea_lifo_oldest(lifo, &w);

        if (slot && w && lea_lifo_steal(lifo, slot, w))
            items_took((struct lea_co *)w);
    }
    return NULL;
}

void scenario_lifo(void)
{
    unsigned n = 2 + sim_shape(8);
    struct sim_thread *t[2];
    struct lea_co *co;

    items_make(n);
    lifo = sim_arena_alloc(sizeof(*lifo), 64);
    for (unsigned i = 0; i < 2; i++)
        t[i] = kit_thread(lifo_thief, NULL);
    while (items.pushed < n) {
        for (unsigned k = 1 + sim_shape(3); k > 0 && items.pushed < n; k--)
            lea_lifo_push(lifo, items_next());
        if (sim_shape(2) && (co = lea_lifo_pop(lifo, false)))
            items_took(co);
    }
    for (unsigned i = 0; i < 2; i++)
        kit_join(t[i]);
    while ((co = lea_lifo_pop(lifo, false)))
        items_took(co);
    items_check_all();
}

/* --- the same, full: its owner sheds, beside thieves --- */

static void *shed_thief(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        uintptr_t w = 0;
        lea_word *slot = lea_lifo_oldest(lifo, &w);

        if (slot && w && lea_lifo_steal(lifo, slot, w))
            wrap_took((struct lea_co *)w);
    }
    return NULL;
}

void scenario_lifo_shed(void)
{
    struct lea_co *many = sim_arena_alloc(LEA_LIFO_CAP * sizeof(*many), 64), *out[LEA_LIFO_CAP / 2],
                  *co;
    struct sim_thread *t[2];
    unsigned thieves = 1 + sim_shape(2), n;

    wrap_seen = sim_arena_alloc(LEA_LIFO_CAP, 16);
    wrap_out = 0;
    lifo = sim_arena_alloc(sizeof(*lifo), 64);
    for (n = 0; n < LEA_LIFO_CAP; n++) { /* by hand, to save steps */
        many[n].id.value_ = n;
        lifo->slot[n].value_ = (uintptr_t)&many[n];
    }
    lifo->top.value_ = lifo->depth.value_ = n;
    for (unsigned i = 0; i < thieves; i++)
        t[i] = kit_thread(shed_thief, NULL);
    n = lea_lifo_shed(lifo, false, out);
    for (unsigned i = 0; i < n; i++)
        wrap_took(out[i]);
    for (unsigned i = 0; i < thieves; i++)
        kit_join(t[i]);
    while ((co = lea_lifo_pop(lifo, false)))
        wrap_took(co);
    sim_check(wrap_out == LEA_LIFO_CAP, "%u of %u items came out", wrap_out, LEA_LIFO_CAP);
}

/* --- the next slot --- */

static struct lea_proc *proc;

static void *slot_thief(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        uintptr_t w = lea_word_load_acq(&proc->next);

        if (w && lea_word_cas(&proc->next, w, 0))
            items_took((struct lea_co *)w);
    }
    return NULL;
}

void scenario_next_slot(void)
{
    unsigned n = 2 + sim_shape(6);
    struct sim_thread *t[2];
    struct lea_co *co;

    items_make(n);
    proc = sim_arena_alloc(sizeof(*proc), 64);
    for (unsigned i = 0; i < 2; i++)
        t[i] = kit_thread(slot_thief, NULL);
    while (items.pushed < n) {
        co = lea_next_put(proc, items_next());
        if (co)
            items_took(co);
        if (sim_shape(2) && (co = lea_next_take(proc)))
            items_took(co);
    }
    for (unsigned i = 0; i < 2; i++)
        kit_join(t[i]);
    if ((co = lea_next_take(proc)))
        items_took(co);
    items_check_all();
}

/* --- the inject queue --- */

static struct lea_inject *inject;

static void *injector(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3 && items.pushed < items.n; i++)
        lea_inject_push(inject, items_next());
    return NULL;
}

static void *inject_taker(void *arg)
{
    struct lea_co *out[LEA_BATCH_CAP];
    struct lea_batch *empty;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        uint32_t n = 0;

        empty = NULL;
        if (lea_inject_len(inject))
            n = lea_inject_take(inject, 2, out, &empty);
        if (empty)
            lea_slab_free_bulk(inject->batches, (void **)&empty, 1);

        for (uint32_t k = 0; k < n; k++)
            items_took(out[k]);
    }
    return NULL;
}

void scenario_inject(void)
{
    struct sim_thread *t[4];
    struct lea_co *out[LEA_BATCH_CAP];
    struct lea_batch *empty;
    struct lea_slab slab;
    uint32_t n;

    items_make(6);
    inject = sim_arena_alloc(sizeof(*inject), 64);
    sim_check(lea_slab_init(&slab, sizeof(struct lea_batch), 0) == 0, "no slab");
    lea_inject_init(inject, &slab);
    for (unsigned i = 0; i < 4; i++)
        t[i] = kit_thread(i % 2 ? inject_taker : injector, NULL);
    for (unsigned i = 0; i < 4; i++)
        kit_join(t[i]);
    while (lea_inject_len(inject)) {
        n = lea_inject_take(inject, LEA_BATCH_CAP, out, &empty);
        if (empty)
            lea_slab_free_bulk(inject->batches, (void **)&empty, 1);
        for (uint32_t k = 0; k < n; k++)
            items_took(out[k]);
    }
    items_check_all();
    lea_slab_destroy(&slab);
}

/* --- the lock --- */

static struct locked {
    struct lea_lock lock;
    unsigned n, inside;
} * locked;

static void *locker(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        if (i != 1 || !lea_lock_try(&locked->lock))
            lea_lock_take(&locked->lock);
        sim_touch(&locked->n, sizeof(locked->n), true, locker);
        sim_check(locked->inside++ == 0, "two threads hold the lock");
        sim_point();
        locked->n++;
        locked->inside--;
        lea_lock_drop(&locked->lock);
    }
    return NULL;
}

void scenario_lock(void)
{
    struct sim_thread *t[3];
    unsigned n = 2 + sim_shape(2);

    sim.faults = SIM_FAULT_INTR | SIM_FAULT_SPURIOUS;
    locked = sim_arena_alloc(sizeof(*locked), 64);
    for (unsigned i = 0; i < n; i++)
        t[i] = kit_thread(locker, NULL);
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
    sim_check(locked->n == 3 * n, "%u of %u additions", locked->n, 3 * n);
}
