/*
 * Looking names up. Contract: include/leat/resolve.h.
 *
 * One look-up is under way for a name, on a thread of the pool, and all who ask for that name wait
 * for it. It lives as long as somebody counts on it: the pool, and each caller. A caller may leave
 * at any time, since the look-up owns its memory.
 *
 * Invariants, under the resolver's lock:
 *  - A look-up is in `all` from its making until its end: so whoever comes in between finds it, and
 *    there is one for a name.
 *  - It is in `held` exactly while it is HELD. POSTED look-ups are nr_posted, and no more than
 *    `max`; while one is HELD, nr_posted == max: so the end of one of those will post it.
 *  - Whoever takes it out of `all` has its answer in hand, claims all who wait, and gives up the
 *    pool's reference.
 *  - The last caller who leaves takes it back if it has not begun.
 *
 * Last touch: of the look-up, by whoever takes the last reference. Of the resolver, the end's drop
 * of its lock; the end of a run frees it under that lock once nothing is POSTED, and leaves it to
 * the threads otherwise.
 *
 * Ordering pair RESOLVER: the release CAS of rt->resolver -> its acquire load: the resolver is
 * complete. All else is under the lock; the pool's lock carries the look-up to its thread.
 */
#include "io/resolve.h"

#include "base/list.h"
#include "base/mutant.h"
#include "base/os.h"
#include "io/addr.h"
#include "mem/heap.h"
#include "sched/offload.h"
#include "sched/waiter.h"

#include <string.h>

struct resolver {
    struct lea_lock lock;
    struct lea_runtime *rt; /* constant */
    uint32_t max;           /* constant */
    uint32_t nr_posted;
    struct lea_node all;
    struct lea_node held; /* oldest first */
};

enum lookup_state { HELD, POSTED, OVER };

/*
 * Keys: all under the resolver's lock, but for (k): constant, (t): the pool's thread until OVER,
 * constant then
 */
struct lookup {
    struct lea_blocking_task task;
    struct resolver *r; /* (k) */
    struct lea_node in_all, in_held;
    enum lookup_state state;
    uint32_t refs;
    struct lea_waiters waiters;
    int result; /* (t) how many addresses, or a negative errno */
    union lea_os_address address[LEA_OS_ADDRESSES]; /* (t) */
    size_t len;                                     /* (k) */
    char name[];                                    /* (k) terminated */
};

static struct lookup *lookup_of(struct lea_blocking_task *task)
{
    return lea_container(task, struct lookup, task);
}

static void lookup_free(struct lookup *l)
{
    lea_heap_free(l, sizeof(*l) + l->len + 1);
}

/* --- the end --- */

static void post(struct lookup *l);

/* The lock is held. The one that is to be posted when it is dropped, or NULL. */
static struct lookup *next_locked(struct resolver *r)
{
    struct lookup *l;

    r->nr_posted--;
    if (lea_list_empty(&r->held) || LEA_MUTATED(RESOLVE_HELD_LEFT))
        return NULL;
    l = lea_container(r->held.next, struct lookup, in_held);
    lea_list_del(&l->in_held);
    l->state = POSTED;
    r->nr_posted++;
    return l;
}

/* By whoever has its answer. Returns the next one to be posted. */
static struct lookup *over(struct lookup *l, int result)
{
    struct resolver *r = l->r;
    struct lea_runtime *rt = r->rt;
    struct lea_ready_list ready;
    struct lea_waiter *waiter;
    struct lookup *next;
    bool last;

    lea_ready_list_init(&ready);
    lea_lock_take(&r->lock);
    lea_list_del(&l->in_all);
    l->result = result;
    l->state = OVER;
    while ((waiter = lea_waiters_pop(&l->waiters)))
        if (lea_co_claim_to(waiter->co, waiter->ticket, LEA_WAKE_DONE, &ready) &&
            LEA_MUTATED(RESOLVE_ONE_TOLD))
            break;
    last = --l->refs == 0;
    next = next_locked(r);
    lea_lock_drop(&r->lock);
    if (last)
        lookup_free(l);
    lea_ready_list_all(rt, NULL, &ready);
    return next;
}

static void run(struct lea_blocking_task *task)
{
    struct lookup *l = lookup_of(task);

    l->result = lea_os_resolve(l->name, l->address, LEA_OS_ADDRESSES);
}

static void end(struct lea_blocking_task *task, int error)
{
    struct lookup *l = lookup_of(task);
    struct lookup *next = over(l, error < 0 ? error : l->result);

    if (next)
        post(next);
}

/*
 * With none of our locks. A refusal ends it, and all that are held as well: there is no thread at
 * all.
 */
static void post(struct lookup *l)
{
    while (l) {
        int r = lea_blocking_post(l->r->rt, &l->task);

        l = r < 0 ? over(l, r) : NULL;
    }
}

/* --- the resolver of a run --- */

static void at_end(struct lea_runtime *rt)
{
    struct resolver *r = (struct resolver *)lea_word_load_acq(&rt->resolver); /* RESOLVER */
    bool left;

    if (!r)
        return;
    lea_lock_take(&r->lock);
    left = r->nr_posted != 0;
    lea_lock_drop(&r->lock);
    if (!left)
        lea_heap_free(r, sizeof(*r));
}

static struct resolver *resolver_get(struct lea_runtime *rt)
{
    struct resolver *r = (struct resolver *)lea_word_load_acq(&rt->resolver); /* RESOLVER */

    if (LEA_LIKELY(r != NULL))
        return r;
    r = lea_heap_zalloc(sizeof(*r));
    if (!r)
        return NULL;
    lea_lock_init(&r->lock, LEA_RANK_NAMES);
    r->rt = rt;
    r->max = rt->config.blocking_threads > 1 ? rt->config.blocking_threads / 2 : 1;
    lea_list_init(&r->all);
    lea_list_init(&r->held);
    lea_at_end_set(rt, LEA_AT_END_NAMES, at_end);
    if (lea_word_cas(&rt->resolver, 0, (uintptr_t)r)) /* RESOLVER */
        return r;
    lea_heap_free(r, sizeof(*r));
    return (struct resolver *)lea_word_load_acq(&rt->resolver);
}

/* --- asking --- */

static struct lookup *find_locked(const struct resolver *r, const char *name, size_t len)
{
    for (struct lea_node *n = r->all.next; n != &r->all; n = n->next) {
        struct lookup *l = lea_container(n, struct lookup, in_all);

        if (l->len == len && !memcmp(l->name, name, len))
            return l;
    }
    return NULL;
}

static struct lookup *lookup_new(struct resolver *r, const char *name, size_t len)
{
    struct lookup *l = lea_heap_zalloc(sizeof(*l) + len + 1);

    if (!l)
        return NULL;
    l->task.run = run;
    l->task.end = end;
    l->r = r;
    l->refs = 1;
    l->len = len;
    memcpy(l->name, name, len);
    return l;
}

static void add_locked(struct resolver *r, struct lookup *l)
{
    lea_list_push_back(&r->all, &l->in_all);
    if (r->nr_posted < r->max) {
        l->state = POSTED;
        r->nr_posted++;
    } else {
        l->state = HELD;
        lea_list_push_back(&r->held, &l->in_held);
    }
}

/* Joins the look-up that is under way, or makes one. NULL: no memory. *mine: it is to be posted. */
static struct lookup *join(struct resolver *r, const char *name, size_t len,
                           struct lea_waiter *waiter, struct lea_worker *m, bool *mine)
{
    struct lookup *l, *fresh = NULL;

    *mine = false;
    lea_lock_take(&r->lock);
    l = find_locked(r, name, len);
    if (!l) {
        lea_lock_drop(&r->lock); /* not held over an allocation */
        fresh = lookup_new(r, name, len);
        if (!fresh)
            return NULL;
        lea_lock_take(&r->lock);
        l = LEA_MUTATED(RESOLVE_TWICE) ? NULL : find_locked(r, name, len);
        if (!l) {
            l = fresh;
            fresh = NULL;
            add_locked(r, l);
            *mine = l->state == POSTED;
        }
    }
    l->refs++;
    lea_waiter_begin_co(waiter, m->co);
    lea_waiters_push_back(&l->waiters, waiter);
    lea_lock_drop(&r->lock);
    if (fresh)
        lookup_free(fresh);
    return l;
}

/*
 * Nobody waits any more, and the pool has one reference: take it back if it has not begun. The lock
 * is held. *next: to be posted.
 */
static bool take_back_locked(struct lookup *l, struct lookup **next)
{
    struct resolver *r = l->r;

    if (l->state == HELD)
        lea_list_del(&l->in_held);
    else if (l->state == POSTED &&
             (lea_blocking_unpost(&r->rt->blocking, &l->task) || LEA_MUTATED(RESOLVE_FREED_EARLY)))
        *next = next_locked(r);
    else
        return false;
    lea_list_del(&l->in_all);
    return true;
}

static int take_answer(const struct lookup *l, uint16_t port, leat_address *out, int max)
{
    int n = l->result < max ? l->result : max;

    for (int i = 0; i < n; i++) {
        memcpy(&out[i], &l->address[i], sizeof(out[i]));
        if (out[i].any.sa_family == AF_INET6)
            out[i].v6.sin6_port = htons(port);
        else
            out[i].v4.sin_port = htons(port);
    }
    return n;
}

/* The wait is over, in whatever way; the reference is given back. *next: to be posted. */
static int leave(struct lookup *l, struct lea_waiter *waiter, enum lea_wake code, uint16_t port,
                 leat_address *out, int max, struct lookup **next)
{
    struct resolver *r = l->r;
    bool last, cancelled = code == LEA_WAKE_CANCEL || code == LEA_WAKE_CLOSED;
    int n = cancelled ? -ECANCELED : -ETIMEDOUT;

    lea_lock_take(&r->lock);
    if (waiter->queued && !LEA_MUTATED(RESOLVE_WAITER_KEPT))
        lea_waiters_del(&l->waiters, waiter);
    if (!cancelled && l->state == OVER)
        n = take_answer(l, port, out, max);
    last = --l->refs == 0;
    if (l->refs == 1 && l->state != OVER)
        last = take_back_locked(l, next);
    lea_lock_drop(&r->lock);
    if (last)
        lookup_free(l);
    return n;
}

static int look_up(struct lea_worker **m, const char *host, size_t len, uint16_t port,
                   leat_address *out, int max, int64_t until_ns)
{
    struct lea_waiter waiter;
    struct lookup *l, *next = NULL;
    struct resolver *r;
    enum lea_wake code;
    bool mine;
    int n;

    if (lea_co_cancelled((*m)->co))
        return -ECANCELED;
    if (until_ns <= 0)
        return -ETIMEDOUT;
    r = resolver_get((*m)->rt);
    l = r ? join(r, host, len, &waiter, *m, &mine) : NULL;
    if (!l)
        return -ENOMEM;
    if (mine)
        post(l);
    code = lea_waiter_wait(&waiter, m, LEA_REASON_RESOLVE, until_ns, false);
    n = leave(l, &waiter, code, port, out, max, &next);
    if (next)
        post(next);
    return n;
}

static int at_once(const char *name, size_t len, uint16_t port, leat_address *out, int max)
{
    struct lea_addr found[LEA_ADDR_MAX];
    int n = lea_addr_host(name, len, port, found);

    for (int i = 0; i < n && i < max; i++)
        memcpy(&out[i], &found[i].in6, sizeof(out[i]));
    return n < max ? n : max;
}

/* A plain thread's. */
static int directly(const char *host, size_t len, uint16_t port, leat_address *out, int max)
{
    struct lookup *l = lookup_new(NULL, host, len);
    int n;

    if (!l)
        return -ENOMEM;
    run(&l->task);
    n = take_answer(l, port, out, max);
    lookup_free(l);
    return n;
}

int lea_resolve(const char *host, size_t len, uint16_t port, leat_address *out, int max,
                int64_t until_ns)
{
    struct lea_worker *m;
    int n;

    if (len == 0 || len >= LEA_HOST_BYTES || max < 1)
        return -EINVAL;
    n = at_once(host, len, port, out, max);
    if (n > 0)
        return n;
    m = lea_enter_park();
    if (!m)
        return directly(host, len, port, out, max);
    n = look_up(&m, host, len, port, out, max, until_ns);
    lea_leave(m);
    return n;
}

int leat_resolve(const char *host, uint16_t port, leat_address *out, int max, leat_deadline until)
{
    return host ? lea_resolve(host, strnlen(host, LEA_HOST_BYTES), port, out, max, until.ns)
                : -EINVAL;
}
