/*
 * Values by key. Contract: include/leat/local.h.
 *
 * A table is open addressing by the key's address, at most three quarters full. Keys stay in it
 * when their values go: most come back. A coroutine's table is its own. A processor's is under a
 * lock: not only its owner uses it (who has lost it does not know at once).
 */
#include "scope/local.h"

#include "base/mutant.h"
#include "mem/heap.h"
#include "sched/wrong.h"
#include "scope/scope.h"

#include <errno.h>
#include <leat/local.h>
#include <leat/run.h>
#include <string.h>

#define CAP_MIN 4u
#define ROUNDS_MAX 8u /* destructors that set values */

struct local {
    const void *key; /* NULL: free */
    void *value;
};

struct lea_locals {
    uint32_t n;   /* keys */
    uint32_t cap; /* a power of two */
    uint32_t rounds;
    struct local at[];
};

/* A processor's, and one for those without: an array. */
struct slots {
    _Alignas(LEA_CACHELINE) struct lea_lock lock;
    struct lea_locals *table; /* NULL none yet */
};

static size_t slots_bytes(const struct lea_runtime *rt)
{
    return (rt->nr_procs + 1) * sizeof(struct slots);
}

static void value_end(void (*destroy)(void *value), void *value)
{
    if (destroy)
        destroy(value);
}

static size_t table_bytes(uint32_t cap)
{
    return sizeof(struct lea_locals) + cap * sizeof(struct local);
}

/* --- a table --- */

/* The key's place, or the free one where it belongs. */
static inline struct local *place_of(struct lea_locals *t, const void *key)
{
    uint32_t i = (uint32_t)((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; i++) {
        struct local *l = &t->at[i & (t->cap - 1)];

        if (LEA_LIKELY(l->key == key) || !l->key)
            return l;
    }
}

/* A larger one with the same values; those without are left out. In a bracket. NULL: no memory. */
static struct lea_locals *grown(struct lea_locals *old)
{
    uint32_t cap = CAP_MIN, values = 0;
    struct lea_locals *t;

    for (uint32_t i = 0; old && i < old->cap; i++)
        values += old->at[i].value != NULL;
    while (cap < 2 * (values + 1))
        cap *= 2;
    t = lea_heap_zalloc(table_bytes(cap));
    if (!t)
        return NULL;
    t->cap = cap;
    t->rounds = old ? old->rounds : 0;
    for (uint32_t i = 0; old && i < old->cap; i++) {
        if (!old->at[i].value)
            continue;
        *place_of(t, old->at[i].key) = old->at[i];
        t->n++;
    }
    lea_locals_free(old);
    return t;
}

void lea_locals_free(struct lea_locals *t)
{
    if (t)
        lea_heap_free(t, table_bytes(t->cap));
}

/*
 * The place to set a value of the key; *table may be another one afterwards. In a bracket. NULL: no
 * memory.
 */
static struct local *place_make(struct lea_locals **table, const void *key)
{
    struct local *l;

    if (*table) {
        l = place_of(*table, key);
        if (l->key)
            return l;
    }
    if (!*table || (*table)->n + 1 > (*table)->cap / 4 * 3) {
        struct lea_locals *t = grown(*table);

        if (!t)
            return NULL;
        *table = t;
    }
    l = place_of(*table, key);
    l->key = key;
    (*table)->n++;
    return l;
}

/* --- of a coroutine --- */

static inline struct lea_locals *own(const struct lea_worker *m)
{
    /* relaxed: its own */
    return m && (lea_word_load_rlx(&m->co->wait) & LEA_WAIT_EXTRA) ? m->co->extra->locals : NULL;
}

void *leat_local_get(const leat_local *key)
{
    struct lea_locals *t = own(lea_self());

    return t && key ? place_of(t, key)->value : NULL; /* a free place has none */
}

int leat_local_set(const leat_local *key, void *value)
{
    struct lea_worker *m = lea_self();
    struct lea_locals *t = own(m);
    struct lea_extra *x;
    struct local *l = NULL;

    if (!key)
        return -EINVAL;
    if (!m)
        return lea_outside(-EPERM);
    if (t && (l = place_of(t, key))->key == key) {
        l->value = value;
        return 0;
    }
    if (!value)
        return 0;
    x = lea_scope_extra(m);
    if (!x)
        return -ENOMEM;
    m = lea_enter();
    lea_scope_at_end(m->rt);
    l = place_make(&x->locals, key);
    if (l)
        l->value = value;
    lea_leave(m);
    return l ? 0 : -ENOMEM;
}

bool lea_locals_destroy(struct lea_extra *x)
{
    bool any = false;

    for (uint32_t i = 0; x->locals && i < x->locals->cap;
         i++) { /* a destructor may make it another table */
        struct local l = x->locals->at[i];

        if (!l.value)
            continue;
        any = true;
        x->locals->at[i].value = NULL;
        value_end(((const leat_local *)l.key)->destroy, l.value);
    }
    LEA_RIGHT(!any || ++x->locals->rounds <= ROUNDS_MAX, "the end of a coroutine",
              "destructors of its local values set values again and again");
    return any;
}

/* --- of processors --- */

static void *slots_map(struct lea_runtime *rt)
{
    struct slots *s = lea_heap_map(slots_bytes(rt));

    if (!s)
        return NULL;
    for (uint32_t i = 0; i <= rt->nr_procs; i++)
        lea_lock_init(&s[i].lock, LEA_RANK_SCOPE);
    if (!lea_word_cas(&rt->proc_locals, 0, (uintptr_t)s)) /* another one was faster */
        lea_heap_unmap(s, slots_bytes(rt));
    return (void *)lea_word_load_acq(&rt->proc_locals);
}

/* The caller's. */
static struct slots *slots_of(struct lea_runtime *rt, const struct lea_worker *m)
{
    struct slots *s = (struct slots *)lea_word_load_acq(&rt->proc_locals);

    return s ? &s[m && m->proc ? m->proc->index : rt->nr_procs] : NULL;
}

static void *take(struct slots *s, const void *key)
{
    struct local *l;
    void *value = NULL;

    if (!s)
        return NULL;
    lea_lock_take(&s->lock);
    l = s->table ? place_of(s->table, key) : NULL;
    if (l) {
        value = l->value;
        l->value = NULL;
    }
    lea_lock_drop(&s->lock);
    return value;
}

/* Returns what found no place. */
static void *give(struct slots *s, const void *key, void *value)
{
    struct local *l;

    if (!s)
        return value;
    lea_lock_take(&s->lock);
    l = place_make(&s->table, key);
    if (l && !l->value) {
        l->value = value;
        value = NULL;
    }
    lea_lock_drop(&s->lock);
    return value;
}

void *leat_proc_take(const leat_proc_local *key)
{
    struct lea_worker *m = lea_enter();
    struct lea_runtime *rt = m ? m->rt : lea_rt_hold();
    void *value = rt && key ? take(slots_of(rt, m), key) : NULL;

    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    else if (rt)
        lea_rt_drop();
    return value;
}

void *leat_proc_give(const leat_proc_local *key, void *value)
{
    struct lea_worker *m = lea_enter();
    struct lea_runtime *rt = m ? m->rt : lea_rt_hold();

    if (rt && key && value) {
        if (!lea_word_load_acq(&rt->proc_locals) && slots_map(rt))
            lea_scope_at_end(rt);
        value = give(slots_of(rt, m), key, value);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    else if (rt)
        lea_rt_drop();
    return value;
}

unsigned leat_proc_index(void)
{
    struct lea_worker *m = lea_self();

    return m && m->proc ? m->proc->index : leat_nr_procs();
}

/* --- the end of the run --- */

/* Nobody runs it any more, unless a thread is in its code. */
static void co_left(void *obj, void *arg)
{
    struct lea_co *co = obj;
    uint32_t state = lea_u32_load_acq(&co->state) & ((1u << LEA_STATE_REASON_SHIFT) - 1);

    (void)arg;
    if (!lea_co_id(co) || (state != LEA_WAITING && state != LEA_READY) ||
        !(lea_word_load_acq(&co->wait) & LEA_WAIT_EXTRA))
        return;
    while (lea_locals_destroy(co->extra))
        ;
}

void lea_locals_end(struct lea_runtime *rt)
{
    struct slots *s = (struct slots *)lea_word_load_acq(&rt->proc_locals);

    lea_slab_each(&rt->cos, co_left, NULL);
    for (uint32_t i = 0; s && i <= rt->nr_procs; i++) {
        struct lea_locals *t = s[i].table;

        for (uint32_t k = 0; t && k < t->cap; k++)
            if (t->at[k].value)
                value_end(((const leat_proc_local *)t->at[k].key)->destroy, t->at[k].value);
        lea_locals_free(t);
    }
    if (s)
        lea_heap_unmap(s, slots_bytes(rt));
    lea_word_store_rel(&rt->proc_locals, 0);
}
