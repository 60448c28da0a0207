/*
 * Single-flight. Contract: include/leat/flight.h.
 *
 * What is under way for a key is a call: it has a coroutine of its own, so that no caller's
 * deadline or cancellation touches it, and lives as long as somebody counts on it: the function,
 * and each caller. Calls are found by key in buckets; everything of a call is under its bucket's
 * lock.
 *
 * Invariants:
 *  - A call is in its bucket from before it begins until its end. Who takes it out has its result
 *    in hand, and tells all who wait.
 *  - Of the calls with one key at most one is not forgotten.
 *
 * Last touch: of the flight, the end's drop of the bucket's lock. leat_flight_wait() has taken that
 * lock since. Of the call, whoever takes the last reference.
 */
#include "base/mutant.h"
#include "mem/heap.h"
#include "sched/waiter.h"
#include "scope/outside.h"
#include "scope/scope.h"

#include <errno.h>
#include <leat/flight.h>
#include <string.h>

#define NR_BUCKETS 16u
#define KEY_BYTES_MAX UINT32_MAX

struct call;

struct bucket {
    struct lea_lock lock;
    struct call *first; /* (l) */
};

struct flight {
    struct bucket bucket[NR_BUCKETS];
};
_Static_assert(sizeof(struct flight) == sizeof(leat_flight), "the public size is fixed");

/* Keys: (l) under the bucket's lock; constant from its making otherwise */
struct call {
    struct lea_end_hook hook;
    struct bucket *bucket;
    uint64_t hash;
    size_t key_bytes;
    struct call *next;          /* (l) */
    struct lea_waiters waiters; /* (l) */
    leat_result result;         /* (l) of the function */
    uint32_t refs;              /* (l) the function's, and one of each caller */
    int error;                  /* (l) it could not be begun */
    bool over;                  /* (l) result or error is there; it is in no bucket any more */
    bool forgotten;             /* (l) nobody finds it by its key any more */
    unsigned char key[];
};

static inline struct flight *inner(leat_flight *flight)
{
    return (struct flight *)(void *)flight;
}

/* FNV-1a: keys are short. */
static uint64_t hash_of(const unsigned char *key, size_t bytes)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ key[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/*
 * A child that was forked in the middle of a run: calls and locks are as they were in the parent at
 * that instant, and nobody is left to end them.
 */
static bool of_a_parent(const struct lea_worker *m)
{
    return LEA_UNLIKELY(!m) && lea_outside(0) < 0;
}

/* The call that is under way for the key of `c`, or NULL. */
static struct call *find_locked(const struct bucket *b, uint64_t hash, const void *key,
                                size_t bytes)
{
    for (struct call *c = b->first; c; c = c->next)
        if (!c->forgotten && c->hash == hash && c->key_bytes == bytes &&
            !memcmp(c->key, key, bytes))
            return c;
    return NULL;
}

static void call_free(struct call *c)
{
    lea_heap_free(c, sizeof(*c) + c->key_bytes);
}

/* --- the end --- */

static void over(struct call *c, struct lea_worker *m, leat_result result, int error)
{
    struct bucket *b = c->bucket;
    struct lea_waiter *waiter;
    struct lea_wakes wakes;
    bool last;

    lea_wakes_begin(&wakes, m);
    lea_lock_take(&b->lock);
    for (struct call **at = &b->first; *at && !LEA_MUTATED(FLIGHT_FOUND_OVER); at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    c->over = true;
    c->result = result;
    c->error = error;
    while ((waiter = lea_waiters_pop(&c->waiters)))
        if (lea_waiter_claim(waiter, LEA_WAKE_DONE, &wakes) && LEA_MUTATED(FLIGHT_ONE_TOLD))
            break;
    last = --c->refs == 0;
    lea_lock_drop(&b->lock);
    lea_wakes_deliver(&wakes, m);
    if (last)
        call_free(c);
}

static void hook_ended(struct lea_end_hook *hook, struct lea_co *co, leat_result result)
{
    (void)co;
    over(lea_container(hook, struct call, hook), lea_self(), result, 0);
}

/* --- the beginning --- */

static struct call *call_new(struct bucket *b, uint64_t hash, const void *key, size_t bytes)
{
    struct call *c = lea_heap_alloc(sizeof(*c) + bytes);

    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->hook.ended = hook_ended;
    c->bucket = b;
    c->hash = hash;
    c->key_bytes = bytes;
    c->refs = 1;
    if (bytes)
        memcpy(c->key, key, bytes);
    return c;
}

/* It is in its bucket already: others may have joined it, and are told if it cannot begin. */
static void begin(struct call *c, struct lea_worker *m, const struct leat_site_ *site,
                  const void *args, size_t bytes)
{
    struct lea_spawn what = {.site = site,
                             .args = args,
                             .bytes = bytes,
                             .prio_class = LEA_CLASS_NORMAL,
                             .hook = &c->hook};
    struct lea_runtime *rt = m ? m->rt : lea_rt_hold();
    struct lea_co *co;
    int r = lea_outside(-ESHUTDOWN);

    if (rt)
        r = lea_spawn(rt, m, &what, &co);
    if (r == 0)
        lea_ready(rt, m, co);
    else
        over(c, m, 0, r);
    if (!m && rt)
        lea_rt_drop();
}

static void join_locked(struct call *c, struct lea_waiter *waiter, struct lea_worker *m)
{
    c->refs++;
    lea_waiter_begin(waiter, m);
    lea_waiters_push_back(&c->waiters, waiter);
}

/*
 * Joins what is under way, or puts a call of its own there: then *mine is to begin. NULL: no
 * memory.
 */
static struct call *find_or_make(struct bucket *b, const void *key, size_t bytes, uint64_t hash,
                                 struct lea_waiter *waiter, struct lea_worker *m, bool *mine)
{
    struct call *c, *fresh = NULL;

    *mine = false;
    lea_lock_take(&b->lock);
    c = find_locked(b, hash, key, bytes);
    if (!c) {
        lea_lock_drop(&b->lock); /* not held over an allocation */
        fresh = call_new(b, hash, key, bytes);
        if (!fresh)
            return NULL;
        lea_lock_take(&b->lock);
        c = LEA_MUTATED(FLIGHT_TWICE) ? NULL : find_locked(b, hash, key, bytes);
        if (!c) {
            *mine = true;
            c = fresh;
            c->next = b->first;
            b->first = c;
        }
    }
    join_locked(c, waiter, m);
    lea_lock_drop(&b->lock);
    if (fresh && !*mine)
        call_free(fresh);
    return c;
}

/* --- waiting --- */

/* Of wait(): the run has ended without it, and it will not end any more. */
#define LEFT_OVER 1

/* For the end of a call that was joined; the reference is given back. */
static int wait(struct call *c, const struct flight *f, struct lea_waiter *waiter,
                struct lea_worker **m, int64_t until_ns, leat_result *result)
{
    struct bucket *b = c->bucket;
    enum lea_wake code;
    leat_result value;
    bool is_over, last;
    int error;

    if (LEA_LIKELY(*m != NULL))
        lea_co_waits_for((*m)->co, f);
    code = lea_outside_wait(waiter, m, LEA_REASON_FLIGHT, until_ns, false);
    lea_lock_take(&b->lock);
    if (waiter->queued && !LEA_MUTATED(FLIGHT_WAITER_KEPT))
        lea_waiters_del(&c->waiters, waiter);
    is_over = c->over;
    if (code == LEA_WAKE_CLOSED)
        c->forgotten = true; /* nobody else is to wait for it */
    value = c->result;
    error = c->error;
    last = --c->refs == 0;
    lea_lock_drop(&b->lock);
    if (last)
        call_free(c);
    if (code == LEA_WAKE_CLOSED)
        return LEFT_OVER;
    if (code == LEA_WAKE_CANCEL)
        return -ECANCELED;
    if (!is_over)
        return -ETIMEDOUT;
    if (error == 0 && result)
        *result = value;
    return error;
}

int leat_flight_do_(const struct leat_site_ *site, leat_flight *flight, const void *key,
                    size_t key_bytes, leat_result *result, leat_deadline until, const void *args,
                    size_t bytes)
{
    struct flight *f = inner(flight);
    struct lea_waiter waiter;
    struct lea_worker *m;
    int r = -ENOMEM;

    if (!f || (!key && key_bytes) || key_bytes > KEY_BYTES_MAX)
        return -EINVAL;
    m = lea_enter_park();
    if (of_a_parent(m))
        return -ENOTSUP;
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co))) {
        r = -ECANCELED;
    } else {
        uint64_t hash = hash_of(key, key_bytes);
        bool mine;
        struct call *c =
            find_or_make(&f->bucket[hash % NR_BUCKETS], key, key_bytes, hash, &waiter, m, &mine);

        if (c && mine)
            begin(c, m, site, args, bytes);
        if (c)
            r = wait(c, f, &waiter, &m, until.ns, result);
    }
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r == LEFT_OVER ? -ESHUTDOWN : r;
}

/* Until the bucket has nothing under way, or nothing that will end. */
static int wait_bucket(struct bucket *b, const struct flight *f, struct lea_worker **m,
                       int64_t until_ns)
{
    struct lea_waiter waiter;
    int r = 0;

    while (r != -ETIMEDOUT && r != -ECANCELED && r != LEFT_OVER) {
        struct call *c;

        lea_lock_take(&b->lock);
        c = b->first;
        if (c)
            join_locked(c, &waiter, *m);
        lea_lock_drop(&b->lock);
        if (!c)
            return 0;
        r = wait(c, f, &waiter, m, until_ns, NULL);
    }
    return r;
}

int leat_flight_wait(leat_flight *flight, leat_deadline until)
{
    struct flight *f = inner(flight);
    struct lea_worker *m;
    int r = 0;

    if (!f)
        return -EINVAL;
    m = lea_enter_park();
    if (of_a_parent(m))
        return -ENOTSUP;
    if (m && LEA_UNLIKELY(lea_co_cancelled(m->co)))
        r = -ECANCELED;
    for (unsigned i = 0; i < NR_BUCKETS && r == 0; i++)
        r = wait_bucket(&f->bucket[i], f, &m, until.ns);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
    return r == LEFT_OVER ? -ESHUTDOWN : r;
}

void leat_flight_forget(leat_flight *flight, const void *key, size_t key_bytes)
{
    uint64_t hash = hash_of(key, key_bytes);
    struct bucket *b = &inner(flight)->bucket[hash % NR_BUCKETS];
    struct call *c;

    if (of_a_parent(lea_self()))
        return;
    lea_lock_take(&b->lock);
    c = find_locked(b, hash, key, key_bytes);
    if (c)
        c->forgotten = true;
    lea_lock_drop(&b->lock);
}
