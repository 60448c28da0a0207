/*
 * Birth and death of coroutines. See spawn.h; go(fn, args...) itself is include/leat/go.h.
 *
 * A stack of the default class is reserved for every coroutine in a spawner, so that -ENOMEM comes
 * from the spawn; it is bound at the first turn, so that breadth-first fan-out needs few of them.
 * What a coroutine struct keeps from one life to the next: co.h.
 */
#include "sched/spawn.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/extra.h"
#include "sched/idle.h"
#include "sched/ready.h"

#include <errno.h>
#include <string.h>

#define BATCH_MAX 64u
#define STACK_ARGS_ALIGN ((uintptr_t)15)
#define ARGS_BYTES_MAX 1024u

void lea_spawner_init(struct lea_runtime *rt, struct lea_spawner *s, uint64_t first_id)
{
    uint64_t share = rt->config.max_coroutines / (16 * (uint64_t)rt->config.nr_procs);

    /* what one holds back, the others may miss when few are allowed */
    s->batch = share < 1 ? 1 : share > BATCH_MAX ? BATCH_MAX : (uint32_t)share;
    s->keep = s->batch == 1 ? 1 : 4 * s->batch;
    s->id_step = rt->config.nr_procs + 1;
    s->last_id = first_id;
}

/*
 * Count up to n coroutines more as alive, with a stack each. rt->lock held. Returns how many;
 * -EAGAIN, -ENOMEM.
 */
static int grant_locked(struct lea_runtime *rt, uint32_t n)
{
    uint64_t room = rt->config.max_coroutines - rt->nr_granted;
    int r;

    if (room == 0)
        return -EAGAIN;
    if (n > room)
        n = (uint32_t)room;
    r = lea_stack_reserve(&rt->stacks, rt->stack_class, n);
    if (r == -ENOMEM && n > 1) {
        n = 1;
        r = lea_stack_reserve(&rt->stacks, rt->stack_class, n);
    }
    if (r < 0)
        return r;
    rt->nr_granted += n;
    return (int)n;
}

static void grant_return_locked(struct lea_runtime *rt, uint32_t n)
{
    rt->nr_granted -= n;
    lea_stack_unreserve(&rt->stacks, rt->stack_class, n);
}

/* The spawner is the caller's (`locked`: it is the outside one, under rt->lock). */
static __attribute__((noinline)) int spawner_refill(struct lea_runtime *rt, struct lea_spawner *s,
                                                    bool locked)
{
    void *fresh[BATCH_MAX];
    unsigned n = 0;
    int r;

    if (!locked)
        lea_lock_take(&rt->lock);
    r = grant_locked(rt, s->batch);
    if (r > 0) {
        n = lea_slab_alloc_bulk(&rt->cos, fresh, (unsigned)r);
        if (n < (unsigned)r)
            grant_return_locked(rt, (uint32_t)r - n);
        r = n ? 0 : -ENOMEM;
    }
    if (!locked)
        lea_lock_drop(&rt->lock);
    for (unsigned i = 0; i < n; i++) {
        struct lea_co *g = fresh[i];

        /*
         * Both lines are written to before the second is read: a fresh page that is only read
         * becomes the zero page, and the write behind that a fault which interrupts all workers.
         */
        g->link = s->free;
        g->args = NULL;
        lea_barrier();
        /* relaxed: fresh memory is all zero, and nobody else knows it */
        if (!lea_word_load_rlx(&g->timer_ns)) {
            lea_word_store_rlx(&g->timer_ns, LEA_TIMER_NONE);
            lea_word_store_rlx(&g->scope_ns, LEA_TIMER_NONE);
        }
        s->free = g;
    }
    s->nr_free += n;
    return r;
}

__attribute__((noinline)) void lea_spawner_shrink(struct lea_runtime *rt, struct lea_spawner *s,
                                                  bool locked)
{
    void *back[2 * BATCH_MAX];
    unsigned n = s->batch == 1 ? 1 : 2 * s->batch;

    for (unsigned i = 0; i < n; i++) {
        back[i] = s->free;
        s->free = s->free->link;
    }
    s->nr_free -= n;
    lea_extra_free_all(rt, back, n);
    lea_slab_free_bulk(&rt->cos, back, n);
    if (!locked)
        lea_lock_take(&rt->lock);
    grant_return_locked(rt, n);
    if (!locked)
        lea_lock_drop(&rt->lock);
}

static int spawner_take(struct lea_runtime *rt, struct lea_spawner *s, bool locked,
                        struct lea_co **out)
{
    struct lea_co *g;

    if (!s->free) {
        int r = spawner_refill(rt, s, locked);

        if (r < 0)
            return r;
    }
    g = s->free;
    s->free = g->link;
    s->nr_free--;
    lea_co_prefetch(s->free); /* for the next spawn */
    *out = g;
    return 0;
}

static void spawner_give(struct lea_runtime *rt, struct lea_spawner *s, bool locked,
                         struct lea_co *g)
{
    g->link = s->free;
    s->free = g;
    if (++s->nr_free > s->keep)
        lea_spawner_shrink(rt, s, locked);
}

/* A class of its own: its stack is reserved by itself. The default one came with the grant. */
static int reserve_class(struct lea_runtime *rt, size_t stack_bytes, struct lea_co *g)
{
    unsigned cls = rt->stack_class;
    int r = 0;

    if (stack_bytes) {
        r = lea_stack_class(&rt->stacks, stack_bytes, &cls);
        if (r == 0 && cls != rt->stack_class)
            r = lea_stack_reserve(&rt->stacks, cls, 1);
    }
    g->stack_class = (uint8_t)cls;
    return r;
}

static inline void copy_words(void *dst, const void *src, size_t bytes)
{
    uint64_t *d = dst;
    const unsigned char *s = src;

    for (; bytes >= sizeof(*d); bytes -= sizeof(*d), s += sizeof(*d))
        memcpy(d++, s, sizeof(*d));
    if (bytes)
        memcpy(d, s, bytes);
}

static void args_move(const struct leat_site_ *site, void *dst, const void *src, size_t bytes)
{
    if (site->move)
        site->move(dst, (void *)(uintptr_t)src);
    else
        copy_words(dst, src, bytes);
}

/* Arguments that do not fit into the coroutine go onto its stack, which is bound now. */
static int args_to_stack(struct lea_runtime *rt, struct lea_stack_cache *cache, struct lea_co *g,
                         const struct lea_spawn *what)
{
    struct lea_stack *stack;

    if (what->bytes > ARGS_BYTES_MAX)
        return -EINVAL;
    stack = lea_stack_get(&rt->stacks, cache, g->stack_class);
    if (!stack)
        return -ENOMEM;
    g->stack = stack;
    g->args = (void *)(((uintptr_t)lea_stack_high(stack) - what->bytes) & ~STACK_ARGS_ALIGN);
    args_move(what->site, g->args, what->args, what->bytes);
    lea_ctx_make(&g->ctx, lea_stack_low(stack), g->args, rt->begin);
    return 0;
}

/* What every new life begins with. */
static inline void co_reset(struct lea_co *g, const struct leat_site_ *site,
                            enum lea_class prio_class, uint64_t id)
{
    /* relaxed: late claims of old tickets fail, and CAS */
    uintptr_t w = lea_word_load_rlx(&g->wait);

    /* relaxed: the queue publishes both, and reports look twice */
    lea_word_store_rlx(&g->site, (uintptr_t)site);
    lea_word_store_rlx(&g->id, id);
    g->prio_class = (uint8_t)prio_class;
    g->end_hook = NULL;
    /*
     * relaxed: the queue publishes it. A late canceller of the former life may have set CANCEL:
     * gone with it
     */
    lea_word_store_rlx(&g->wait, (lea_wait_seq(w) + 1) << LEA_WAIT_SEQ_SHIFT);
}

static int spawn_with(struct lea_runtime *rt, struct lea_spawner *s, struct lea_proc *p,
                      const struct lea_spawn *what, struct lea_co **out)
{
    bool locked = p == NULL;
    struct lea_co *g;
    int r = spawner_take(rt, s, locked, &g);

    if (r < 0)
        return r;
    r = reserve_class(rt, what->stack_bytes, g);
    if (r < 0)
        goto give_back;
    co_reset(g, what->site, what->prio_class, s->last_id += s->id_step);
    if (what->bytes <= LEA_CO_ARGS_BYTES) {
        g->args = g->inline_args;
        args_move(what->site, g->args, what->args, what->bytes);
    } else {
        r = args_to_stack(rt, p ? &p->stacks : NULL, g, what);
        if (r < 0)
            goto unreserve;
    }
    g->end_hook = what->hook;
    if (what->name) {
        struct lea_extra *x = lea_extra_get(rt, p, g);

        if (x) /* a name is a comfort, not a promise */
            lea_extra_name(x, what->name);
    }
    if (what->cancelled)
        lea_word_or(&g->wait, LEA_WAIT_OWN | LEA_WAIT_CANCEL);
    if (p)
        lea_count(p, LEA_COUNT_SPAWNED, 1);
    else
        rt->outside_spawned++;
    *out = g;
    return 0;

unreserve:
    lea_word_store_rlx(&g->id, 0); /* relaxed: for reports */
    if (g->stack_class != rt->stack_class)
        lea_stack_unreserve(&rt->stacks, g->stack_class, 1);
give_back:
    spawner_give(rt, s, locked, g);
    return r;
}

int lea_spawn(struct lea_runtime *rt, struct lea_worker *m, const struct lea_spawn *what,
              struct lea_co **out)
{
    int r;

    if (LEA_UNLIKELY(lea_u32_load_acq(&rt->phase) != LEA_PHASE_RUN))
        return -ESHUTDOWN;
    if (LEA_LIKELY(m && m->proc))
        return spawn_with(rt, &m->proc->spawner, m->proc, what, out);
    lea_lock_take(&rt->lock);
    /*
     * again: the end of the run counts the living under this lock, after it has changed the phase
     */
    r = lea_u32_load_acq(&rt->phase) == LEA_PHASE_RUN
            ? spawn_with(rt, &rt->outside, NULL, what, out)
            : -ESHUTDOWN;
    lea_lock_drop(&rt->lock);
    return r;
}

static void spawn_free(struct lea_runtime *rt, struct lea_proc *p, struct lea_co *g)
{
    if (g->stack) {
        lea_stack_put(&rt->stacks, p ? &p->stacks : NULL, g->stack, g->stack_class);
        g->stack = NULL;
    }
    if (LEA_UNLIKELY(g->stack_class != rt->stack_class))
        lea_stack_unreserve(&rt->stacks, g->stack_class, 1);
    if (LEA_UNLIKELY(p && p->trace))
        lea_trace_put(p->trace, LEA_EVENT_END, lea_co_id(g), 0);
    lea_word_store_rlx(&g->id, 0);          /* relaxed: for reports */
    lea_u32_store_rlx(&g->state, LEA_FREE); /* relaxed: for reports */
    if (LEA_LIKELY(p != NULL)) {
        lea_count(p, LEA_COUNT_ENDED, !LEA_MUTATED(SPAWN_NOT_COUNTED));
        spawner_give(rt, &p->spawner, false, g);
    } else {
        lea_lock_take(&rt->lock);
        rt->outside_ended++;
        spawner_give(rt, &rt->outside, true, g);
        lea_lock_drop(&rt->lock);
    }
    /* relaxed: the waiter looks again by the clock */
    if (LEA_UNLIKELY(lea_u32_load_rlx(&rt->phase) != LEA_PHASE_RUN)) {
        (void)lea_u32_add(&rt->ended, 1);
        lea_os_futex_wake(&rt->ended, 1);
    }
}

void lea_spawn_free(struct lea_worker *m, struct lea_co *g)
{
    spawn_free(m->rt, m->proc, g);
}

void lea_spawn_free_outside(struct lea_runtime *rt, struct lea_co *g)
{
    spawn_free(rt, NULL, g);
}

uint64_t lea_alive(struct lea_runtime *rt)
{
    uint64_t spawned = 0, ended;

    /*
     * all ends first: a number read later can only be larger, so the difference is never too small
     */
    lea_lock_take(&rt->lock);
    ended = rt->outside_ended;
    lea_lock_drop(&rt->lock);
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        ended += lea_word_load_acq(&rt->proc[i]->count[LEA_COUNT_ENDED]);
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        spawned += lea_word_load_acq(&rt->proc[i]->count[LEA_COUNT_SPAWNED]);
    lea_lock_take(&rt->lock);
    spawned += rt->outside_spawned;
    lea_lock_drop(&rt->lock);
    return spawned > ended ? spawned - ended : 0;
}

/* Whatever the fast path does not do: m may be NULL, or without a processor. */
static __attribute__((noinline)) int go_slow(struct lea_worker *m, const struct leat_site_ *site,
                                             const void *args, size_t bytes)
{
    struct lea_spawn what = {
        .site = site, .args = args, .bytes = bytes, .prio_class = LEA_CLASS_NORMAL};
    /* a run does not go away while a worker is in it */
    struct lea_runtime *rt = m ? m->rt : lea_rt_hold();
    struct lea_co *g;
    int r;

    if (!rt)
        return lea_outside(-ESHUTDOWN);
    r = lea_spawn(rt, m, &what, &g);
    if (r == 0)
        lea_ready(rt, m, g);
    if (!m)
        lea_rt_drop();
    return r;
}

int leat_go_(const struct leat_site_ *site, const void *args, size_t bytes)
{
    struct lea_worker *m = lea_enter();
    struct lea_proc *p = m ? m->proc : NULL;
    int r = 0;

    if (LEA_LIKELY(p && bytes <= LEA_CO_ARGS_BYTES && !site->move && p->spawner.free &&
                   lea_u32_load_rlx(&m->rt->phase) ==
                       LEA_PHASE_RUN)) { /* relaxed: a late spawn is cancelled by the sweep */
        struct lea_spawner *s = &p->spawner;
        struct lea_co *g = s->free;

        s->free = g->link;
        s->nr_free--;
        lea_co_prefetch(s->free); /* for the next spawn */
        co_reset(g, site, LEA_CLASS_NORMAL, s->last_id += s->id_step);
        g->stack_class = (uint8_t)m->rt->stack_class;
        g->args = g->inline_args;
        copy_words(g->inline_args, args, bytes);
        lea_count(p, LEA_COUNT_SPAWNED, 1);
        if (LEA_UNLIKELY(p->trace != NULL))
            lea_trace_put(p->trace, LEA_EVENT_SPAWN, lea_co_id(g), 0);
        lea_ready_new(p, g, m->co->prio_class);
    } else {
        r = go_slow(m, site, args, bytes);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r;
}
