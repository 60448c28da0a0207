/*
 * Handles: joining one coroutine. Contract: include/leat/scope.h.
 *
 * Joining is the hot way to wait for a coroutine, so a handle has no lock: one word tells who uses
 * it, and every step is one CAS.
 *   bit 0    ENDED     the result is there; the coroutine does not touch the handle any more
 *   bit 1    DETACHED  the coroutine frees the handle at its end
 *   bit 2    JOINER    somebody waits: `joiner`, and the ticket of its wait
 *   bit 3    THREAD    the joiner is a plain thread, and waits for a word of its own
 *   bit 4    BUSY      somebody is cancelling the coroutine: it cannot end now
 *   bits 5.. number of joins that have begun, so that `joiner` belongs to the word that was read
 *   before it
 *   bits 48..63  generation: how often the memory was given back
 *
 * What the program holds is the address with the generation in its upper 16 bits, which are 0 in an
 * address of ours (mmap keeps below 2^48 without being asked). So a handle that was joined or
 * detached before does not fit its memory any more, and is told from the one that has got that
 * memory since.
 *
 * The coroutine's end is the CAS to ENDED. Before it has read all that it needs from the handle,
 * since the holder may free that at once. A joiner that gives up takes its JOINER back; where it
 * finds ENDED instead, a claim of its old ticket does no harm (co.h), and a plain thread waits for
 * the word on its stack, which the end writes last.
 *
 * The handle's memory is the run's. A plain thread holds the run while it looks at a handle, but
 * not while it sleeps. A run that ends with coroutines left over ends the joins of plain threads
 * for them: it looks through all handles, and does what their ends would have done. So a thread is
 * told in any case, and waits for that when it finds its run gone: whoever tells it may have its
 * frame in hand.
 *
 * Ordering pairs.
 *  HANDLE-END   CAS to ENDED -> acquire load of the word: the result, and what the coroutine wrote.
 *  HANDLE-JOIN  CAS to JOINER -> acquire load in the end: `joiner` and `ticket`.
 *  HANDLE-TELL  release store of the thread's word -> its acquire load.
 */
#include "base/delay.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/case.h"
#include "sched/solo.h"
#include "sched/wrong.h"
#include "scope/outside.h"
#include "scope/scope.h"

#include <errno.h>

#define ENDED ((uintptr_t)1)
#define DETACHED ((uintptr_t)2)
#define JOINER ((uintptr_t)4)
#define THREAD ((uintptr_t)8)
#define BUSY ((uintptr_t)16)
#define JOIN_ONE ((uintptr_t)32)
#define GENERATION_ONE ((uintptr_t)1 << 48)
#define GENERATION (~(GENERATION_ONE - 1))

struct lea_handle {
    struct lea_end_hook hook; /* constant */
    lea_word word;
    struct lea_runtime *rt;  /* constant */
    struct lea_group *group; /* constant; NULL none */
    struct lea_co *co;       /* constant; another one's memory once this one has ended */
    leat_result result;      /* once ENDED */
    lea_word joiner;         /* struct lea_co * or struct thread_joiner * */
    lea_word ticket;
};
_Static_assert(sizeof(struct lea_handle) <= LEA_HANDLE_BYTES,
               "the run's slab of handles is made for them");

static inline struct lea_handle *inner(leat_handle *handle)
{
    return (struct lea_handle *)((uintptr_t)handle & ~GENERATION);
}

/* `w`: what the handle's word says. */
static inline void check_given(leat_handle *handle, uintptr_t w, const char *call)
{
    LEA_RIGHT(!(((uintptr_t)handle ^ w) & GENERATION), call,
              "handle %p was given back before, by leat_join() or leat_detach()", (void *)handle);
}

/* What a joining thread's futex says. */
enum told { TOLD_NOTHING, TOLD_ENDED, TOLD_RUN_OVER };

struct thread_joiner {
    lea_u32 told; /* enum told */
    leat_result result;
};

/* The thread will free the handle: whoever tells it has not to look at that any more. */
static void tell_thread(struct thread_joiner *t, enum told what, leat_result result)
{
    t->result = result;
    lea_delay_point(HANDLE_TELL);
    /* HANDLE-TELL. From here on the thread's frame may be gone */
    lea_u32_store_rel(&t->told, what);
    lea_os_futex_wake(&t->told, 1);
}

static void handle_ended(struct lea_end_hook *hook, struct lea_co *co, leat_result result)
{
    struct lea_handle *h = lea_container(hook, struct lea_handle, hook);
    struct lea_group *group = h->group;
    struct lea_worker *m = lea_self();
    uintptr_t w, joiner, ticket;
    unsigned round = 0;

    if (!LEA_MUTATED(JOIN_EARLY))
        h->result = result;
    for (;;) {
        w = lea_word_load_acq(&h->word); /* HANDLE-JOIN */
        /* relaxed: the CAS says that the word has not changed, so neither has this */
        joiner = lea_word_load_rlx(&h->joiner);
        ticket = lea_word_load_rlx(&h->ticket);
        lea_delay_point(HANDLE_END);
        if (LEA_UNLIKELY(w & BUSY) && !LEA_MUTATED(HANDLE_BUSY))
            lea_relax(&round);
        else if (lea_word_cas(&h->word, w, (w & GENERATION) | ENDED)) /* HANDLE-END */
            break;
    }
    if (LEA_MUTATED(JOIN_EARLY))
        h->result = result;
    if (w & JOINER) {
        if (LEA_UNLIKELY(w & THREAD))
            tell_thread((struct thread_joiner *)joiner, TOLD_ENDED, result);
        else if (lea_co_claim((struct lea_co *)joiner, ticket, LEA_WAKE_DONE) == LEA_CLAIM_PARKED)
            lea_ready(m->rt, m, (struct lea_co *)joiner);
    } else if (w & DETACHED) {
        lea_handle_free(h, m);
    }
    if (group)
        lea_group_ended(group, m, co, result);
}

struct lea_handle *lea_handle_new(struct lea_runtime *rt, struct lea_worker *m,
                                  struct lea_group *group)
{
    struct lea_handle *h = lea_pool_get(m && m->proc ? &m->proc->handles : NULL, &rt->handles);

    if (!h)
        return NULL;
    h->hook.ended = handle_ended;
    /* relaxed: not shared yet */
    lea_word_store_rlx(&h->word, lea_word_load_rlx(&h->word) & GENERATION);
    h->rt = rt;
    h->group = group;
    return h;
}

struct lea_end_hook *lea_handle_hook(struct lea_handle *handle)
{
    return &handle->hook;
}

bool lea_handle_is_hook(const struct lea_end_hook *hook)
{
    return hook->ended == handle_ended;
}

struct lea_group *lea_handle_group(const struct lea_end_hook *hook)
{
    return lea_container(hook, struct lea_handle, hook)->group;
}

leat_handle *lea_handle_give(struct lea_handle *handle)
{
    /* relaxed: the generation changes when it is given back */
    return (leat_handle *)((uintptr_t)handle | (lea_word_load_rlx(&handle->word) & GENERATION));
}

void lea_handle_set(struct lea_handle *handle, struct lea_co *co)
{
    handle->co = co;
}

void lea_handle_free(struct lea_handle *handle, struct lea_worker *m)
{
    /* relaxed: ours alone; who holds it still is wrong, and will find out sooner or later */
    uintptr_t w = lea_word_load_rlx(&handle->word);

    lea_word_store_rlx(&handle->word, (w & GENERATION) + GENERATION_ONE);
    lea_pool_put(m && m->proc ? &m->proc->handles : NULL, &handle->rt->handles, handle);
}

/* --- join --- */

/* False: it has ended. */
static bool joiner_set(leat_handle *handle, uintptr_t joiner, uintptr_t ticket, uintptr_t bits)
{
    struct lea_handle *h = inner(handle);
    uintptr_t w = lea_word_load_acq(&h->word); /* HANDLE-END */

    for (;;) {
        check_given(handle, w, "leat_join");
        if (w & ENDED)
            return false;
        LEA_RIGHT(!(w & (JOINER | DETACHED)), "leat_join", "handle %p is %s", (void *)handle,
                  w & JOINER ? "joined by somebody else at the same time" : "detached");
        lea_word_store_rlx(&h->joiner, joiner); /* relaxed: HANDLE-JOIN publishes both */
        lea_word_store_rlx(&h->ticket, ticket);
        lea_delay_point(HANDLE_JOIN);
        if (lea_word_cas(&h->word, w, (w + JOIN_ONE) | bits)) /* HANDLE-JOIN */
            return true;
        w = lea_word_load_acq(&h->word); /* HANDLE-END */
    }
}

/* False: it has ended meanwhile. */
static bool joiner_unset(struct lea_handle *h)
{
    uintptr_t w;

    do {
        w = lea_word_load_acq(&h->word); /* HANDLE-END */
        if (w & ENDED)
            return false;
    } while (!lea_word_cas(&h->word, w, w & ~(JOINER | THREAD)));
    return true;
}

static enum lea_wake join_coroutine(leat_handle *handle, struct lea_worker **m, int64_t until_ns)
{
    struct lea_handle *h = inner(handle);
    struct lea_co *self = (*m)->co;
    uintptr_t ticket = lea_co_ticket(self);
    enum lea_wake code;

    if (LEA_UNLIKELY(lea_co_cancelled(self)))
        return LEA_WAKE_CANCEL;
    if (!joiner_set(handle, (uintptr_t)self, ticket, JOINER))
        return LEA_WAKE_DONE;
    LEA_RIGHT(h->co != self, "leat_join", "handle %p is the caller's own", (void *)handle);
    lea_co_waits_for(self, h->co);
    code = lea_park_until(m, LEA_REASON_JOIN, ticket, until_ns, false);
    if (LEA_UNLIKELY(code != LEA_WAKE_DONE) && !joiner_unset(h) && code == LEA_WAKE_TIMEOUT)
        code = LEA_WAKE_DONE;
    return code;
}

static enum lea_wake thread_wait(struct lea_handle *h, struct thread_joiner *t, int64_t until_ns,
                                 uint64_t seed)
{
    while (!lea_u32_load_acq(&t->told)) { /* HANDLE-TELL */
        bool gave_up;

        if (until_ns > 0 && lea_os_futex_wait(&t->told, 0, until_ns) != -ETIMEDOUT)
            continue;
        if (lea_outside_hold(seed)) {
            gave_up = joiner_unset(h);
            lea_rt_drop();
            if (gave_up)
                return LEA_WAKE_TIMEOUT;
        }
        until_ns = INT64_MAX; /* it has ended, or the run has, and we are being told */
    }
    return lea_u32_load_acq(&t->told) == TOLD_ENDED ? LEA_WAKE_DONE : LEA_WAKE_CLOSED;
}

/*
 * The end of a run, when its threads have ended: its plain threads' joins end now, or never. One
 * handle.
 */
static void run_over(void *obj, void *arg)
{
    struct lea_handle *h = obj;
    uintptr_t joiner, w;

    (void)arg;
    do {
        w = lea_word_load_acq(&h->word);        /* HANDLE-JOIN */
        joiner = lea_word_load_rlx(&h->joiner); /* relaxed: as in handle_ended() */
        /* one that nobody uses says neither */
        if ((w & ENDED) || !(w & THREAD))
            return;
    } while (!lea_word_cas(&h->word, w, (w & GENERATION) | ENDED));
    tell_thread((struct thread_joiner *)joiner, TOLD_RUN_OVER, 0);
}

void lea_handles_end(struct lea_runtime *rt)
{
    lea_slab_each(&rt->handles, run_over, NULL);
}

static int join_thread(leat_handle *handle, leat_result *result, int64_t until_ns)
{
    struct lea_handle *h = inner(handle);
    struct lea_runtime *rt = lea_rt_hold();
    struct thread_joiner t = {{0}, 0};
    uint64_t seed;

    if (!rt)
        return lea_outside(-ESHUTDOWN);
    seed = rt->seed;
    lea_scope_at_end(rt); /* before the join begins: it counts on that */
    if (joiner_set(handle, (uintptr_t)&t, 0, JOINER | THREAD)) {
        enum lea_wake code;

        lea_rt_drop();
        code = thread_wait(h, &t, until_ns, seed);
        if (code != LEA_WAKE_DONE)
            return code == LEA_WAKE_CLOSED ? -ESHUTDOWN : lea_wake_errno(code);
        if (result)
            *result = t.result;
        if (!lea_outside_hold(seed))
            return 0; /* the handle is gone with its run */
    } else if (result) {
        *result = h->result;
    }
    lea_handle_free(h, NULL);
    lea_rt_drop();
    return 0;
}

int leat_join(leat_handle *handle, leat_result *result, leat_deadline until)
{
    struct lea_worker *m;
    enum lea_wake code;

    if (LEA_UNLIKELY(!handle))
        return -EINVAL;
    m = lea_enter_park();
    if (LEA_UNLIKELY(!m))
        return join_thread(handle, result, until.ns);
    code = join_coroutine(handle, &m, until.ns);
    if (LEA_LIKELY(code == LEA_WAKE_DONE)) {
        if (result)
            *result = inner(handle)->result;
        lea_handle_free(inner(handle), m);
    }
    lea_leave(m);
    return lea_wake_errno(code);
}

/* --- as a case of a select --- */

/* A plain thread is not told by a coroutine's end in the way of a select: it is refused at once. */
static bool case_ready(leat_case *c, struct lea_worker *m)
{
    return (!m && !lea_self()) ||
           (lea_word_load_acq(&inner(c->object_)->word) & ENDED); /* HANDLE-END */
}

static bool case_take(leat_case *c, struct lea_select *s)
{
    leat_result *result = c->elem_.out;
    uintptr_t w;

    c->result = s->m ? 0 : lea_outside(-EPERM);
    if (!s->m)
        return true;
    w = lea_word_load_acq(&inner(c->object_)->word); /* HANDLE-END */
    check_given(c->object_, w, "leat_select");
    if (!(w & ENDED))
        return false;
    if (result)
        *result = inner(c->object_)->result;
    lea_handle_free(inner(c->object_), s->m);
    c->result = 0;
    return true;
}

static enum lea_case_queued case_queue(leat_case *c, struct lea_select *s)
{
    struct lea_co *self = s->m->co;

    if (!joiner_set(c->object_, (uintptr_t)self, s->ticket, JOINER)) {
        if (!lea_select_claim_self(s))
            return LEA_CASE_LOST;
        return case_take(c, s) ? LEA_CASE_TAKEN : LEA_CASE_AGAIN;
    }
    LEA_RIGHT(inner(c->object_)->co != self, "leat_select", "handle %p is the caller's own",
              c->object_);
    return LEA_CASE_QUEUED;
}

static enum lea_case_left case_leave(leat_case *c, struct lea_select *s)
{
    (void)s;
    return joiner_unset(inner(c->object_)) ? LEA_CASE_NOT : LEA_CASE_PERHAPS;
}

static bool case_finish(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    (void)code;
    return case_take(c, s);
}

leat_case leat_case_join(leat_handle *handle, leat_result *result)
{
    static const struct leat_case_ops_ ops = {false,      case_ready, case_take,
                                              case_queue, case_leave, case_finish};
    leat_case c = leat_case_of_(handle, &ops);

    c.elem_.out = result;
    return c;
}

/* --- detach, cancel --- */

static void detach(leat_handle *handle, struct lea_worker *m)
{
    struct lea_handle *h = inner(handle);
    uintptr_t w;

    do {
        w = lea_word_load_acq(&h->word); /* HANDLE-END */
        check_given(handle, w, "leat_detach");
        if (w & ENDED) {
            lea_handle_free(h, m);
            return;
        }
        LEA_RIGHT(!(w & (JOINER | DETACHED)), "leat_detach", "handle %p is %s", (void *)handle,
                  w & JOINER ? "joined by somebody else at the same time" : "detached already");
    } while (!lea_word_cas(&h->word, w, w | DETACHED));
}

void leat_detach(leat_handle *handle)
{
    struct lea_worker *m;

    LEA_RIGHT(handle, "leat_detach", "the handle is NULL");
    m = lea_enter();
    if (LEA_LIKELY(m != NULL)) {
        detach(handle, m);
        lea_leave(m);
    } else if (lea_rt_hold()) {
        detach(handle, NULL);
        lea_rt_drop();
    }
}

static void cancel(leat_handle *handle, const struct lea_walk *k)
{
    struct lea_handle *h = inner(handle);
    struct lea_wakes wakes = {.rt = k->rt};
    unsigned round = 0;
    bool walks;

    lea_solo_heed();
    for (;;) {
        uintptr_t w = lea_word_load_acq(&h->word); /* HANDLE-END */

        check_given(handle, w, "leat_cancel");
        if (w & ENDED)
            return;
        if (w & BUSY)
            lea_relax(&round);
        else if (lea_word_cas(&h->word, w, w | BUSY))
            break;
    }
    lea_ready_list_init(&wakes.ready);
    walks = lea_co_cancel(h->co, &wakes.ready);
    lea_walk_deliver(k, &wakes);
    if (LEA_UNLIKELY(walks))
        lea_walk_co(k, h->co, 0, 0);
    lea_word_and(&h->word, ~BUSY);
}

void leat_cancel(leat_handle *handle)
{
    struct lea_worker *m;
    struct lea_walk k;

    LEA_RIGHT(handle, "leat_cancel", "the handle is NULL");
    m = lea_enter();
    k = lea_walk_begin(m, -ECANCELED);
    if (k.rt) /* else the run is over, and everybody has ended */
        cancel(handle, &k);
    lea_walk_end(&k);
    if (LEA_LIKELY(m != NULL))
        lea_leave(m);
}
