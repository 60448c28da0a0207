/*
 * Where work comes from, and in which order. See find.h; for the protocol of searching and
 * sleeping, idle.h.
 */
#include "sched/find.h"

#include "base/check.h"
#include "base/mutant.h"
#include "base/os.h"
#include "sched/chaos.h"
#include "sched/fresh.h"
#include "sched/gather.h"
#include "sched/idle.h"
#include "sched/loop.h"
#include "sched/ready.h"
#include "sched/turns.h"
#include "sched/worker.h"

#define INJECT_BATCH_MAX LEA_BATCH_CAP
/* on the 61st turn: the rings are served meanwhile, and may be full */
#define INJECT_TURN_MAX 2u
#define INJECT_TURN_FREE (LEA_BATCH_CAP / 4) /* while the ring is less than a quarter full */
#define BATCH_COLD (16 * LEA_RUNQ_CAP)       /* each has some 600 bytes for its next turn */
#define TIMERS_MIN 16u
#define POLL_MIN (LEA_POLL_MAX / 16)
/* so seldom does a processor look at the poller while its ring is more than half full */
#define POLL_BUSY_NS 1000000
#define SLOT_THEFT_NS 3000
#define OLDEST_AGE_NS 30000 /* a new one that has stood for so long is worth a move */
#define RING_FEW 4u         /* fewer in a ring are worth less than a tree */
#define SPIN_MIN_NS 1000
#define WAKE_WORTH_NS 50000 /* what a wake-up costs both sides */

static const int32_t class_weight[LEA_NR_CLASSES] = {16, 4, 1};

_Static_assert(LEA_IN_ROW_OF_NEXT >= LEA_IN_ROW_MAX &&
                   LEA_IN_ROW_OF_NEXT - LEA_IN_ROW_NEXT + LEA_IN_ROW_NEW < LEA_IN_ROW_MAX &&
                   LEA_IN_ROW_NEW_AGED > LEA_IN_ROW_OF_NEXT,
               "a row of next alone has that price");
_Static_assert(LEA_RUNQ_CAP / 2 <= LEA_BATCH_CAP, "half of a ring fits into a batch");
_Static_assert(LEA_RUNQ_CAP <= LEA_POLL_MAX,
               "a look at the poller may ask for what an empty ring has room for");
_Static_assert(POLL_MIN > 0 && INJECT_TURN_FREE >= INJECT_TURN_MAX, "looks that take nothing");

/* The ring is full: its older half goes to the backlog. Without memory for a batch, one by one. */
__attribute__((noinline)) void lea_ring_overflow(struct lea_proc *p, struct lea_co *g)
{
    while (!lea_runq_push(&p->ring[g->prio_class], g)) {
        struct lea_batch *b = lea_pool_get(&p->batches, &p->rt->batches);

        if (!b) {
            lea_inject_push(&p->over, g);
            return;
        }
        b->from = 0;
        b->n = lea_runq_take_half(&p->ring[g->prio_class], b->co);
        if (!b->n) { /* thieves made room */
            lea_pool_put(&p->batches, &p->rt->batches, b);
            continue;
        }
        lea_count(p, LEA_COUNT_OVERFLOWED, b->n);
        b = lea_inject_push_batch(&p->over, g->prio_class, b);
        if (b)
            lea_pool_put(&p->batches, &p->rt->batches, b);
    }
}

__attribute__((noinline)) void lea_ring_push_urgent_or_low(struct lea_proc *p, struct lea_co *g)
{
    p->ring_mask |= 1u << g->prio_class;
    if (LEA_UNLIKELY(!lea_runq_push(&p->ring[g->prio_class], g)))
        lea_ring_overflow(p, g);
}

static struct lea_co *class_pop(struct lea_proc *p, unsigned c)
{
    struct lea_co *g = lea_runq_pop(&p->ring[c]);

    if (!g)
        p->ring_mask &= ~(1u << c);
    return g;
}

/* The most urgent class with work that has turns left in this round; a round gives 16, 4 and 1. */
static struct lea_co *rings_pop(struct lea_proc *p)
{
    if (!p->ring_mask)
        return NULL;
    for (int round = 0; round < 2; round++) {
        for (unsigned c = 0; c < LEA_NR_CLASSES; c++) {
            struct lea_co *g;

            if (!(p->ring_mask >> c & 1) || p->weight_left[c] <= 0)
                continue;
            g = class_pop(p, c);
            if (g) {
                p->weight_left[c] -= !LEA_MUTATED(CLASS_NO_WEIGHTS);
                return g;
            }
        }
        for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
            p->weight_left[c] = class_weight[c];
    }
    return NULL;
}

struct lea_co *lea_find_weighted(struct lea_proc *p)
{
    /* a row in which the stack of new ones had no turn: it has every second one behind such */
    bool stack = p->in_row == LEA_IN_ROW_OF_NEXT && (p->stack_due = !p->stack_due);
    struct lea_co *g;

    p->in_row = 0;
    /* relaxed: ours */
    if (LEA_LIKELY(!p->ring_mask && !lea_u32_load_rlx(&p->lifo.depth))) /* an exchange of two */
        return lea_next_take(p);
    if (p->ring_mask & ~(1u << LEA_CLASS_NORMAL)) { /* between classes only the weights count */
        bool moved = false;

        if (!(p->ring_mask & 1u << LEA_CLASS_NORMAL))
            (void)lea_fresh_raise(p);
        while ((g = lea_next_take(p)) || (g = lea_lifo_pop(&p->lifo, p->alone))) {
            lea_ring_push(p, g);
            moved = true;
        }
        if (moved && !p->alone)
            lea_idle_published_local(p->rt, p);
    }
    g = stack ? lea_lifo_pop(&p->lifo, p->alone) : NULL;
    if (!g)
        g = rings_pop(p);
    if (!g)
        g = lea_lifo_pop(&p->lifo, p->alone);
    if (!g)
        g = lea_next_take(p);
    return g;
}

static uint32_t ring_room(const struct lea_proc *p)
{
    return LEA_RUNQ_CAP - lea_runq_len(&p->ring[LEA_CLASS_NORMAL]);
}

/* They come from so long a queue that the caches have lost them: fetch what their turns touch. */
static __attribute__((noinline)) void batch_prefetch(struct lea_co *const *co, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        lea_co_prefetch(co[i]);
    for (uint32_t i = 0; i < n; i++)
        if (co[i]->stack)
            lea_co_prefetch_frames(co[i]);
}

uint32_t lea_find_take(struct lea_proc *p, struct lea_inject *q, uint32_t max, struct lea_co **out)
{
    struct lea_batch *empty;
    uint32_t n = lea_inject_take(q, max, out, &empty);

    if (empty)
        lea_pool_put(&p->batches, &p->rt->batches, empty);
    if (n)
        lea_count(p, LEA_COUNT_INJECTED, n);
    return n;
}

/*
 * A batch from the inject queue or a backlog goes into the local rings. Nothing is pushed out of a
 * full ring for it: then one goes into the next slot, so that it has its turn.
 */
static uint32_t take_from(struct lea_proc *p, struct lea_inject *q, uint32_t max)
{
    uint32_t room = ring_room(p), taken, pushed = 0;
    struct lea_co *got[LEA_BATCH_CAP];

    if (!lea_inject_len(q) || (!room && lea_word_load_rlx(&p->next))) /* relaxed: ours */
        return 0;
    taken = lea_find_take(p, q, !room ? 1 : room < max ? room : max, got);
    if (!taken)
        return 0;
    if (!room) {
        (void)lea_next_put(p, got[0]);
        return taken;
    }
    if (LEA_UNLIKELY(lea_inject_len(q) > BATCH_COLD))
        batch_prefetch(got, taken); /* nobody else has them yet */
    p->ring_mask |= 1u << got[0]->prio_class;
    pushed = lea_runq_push_many(&p->ring[got[0]->prio_class], got, taken);
    for (; pushed < taken; pushed++) /* of another class than the ring that was asked for room */
        lea_ring_push(p, got[pushed]);
    return taken;
}

/* A fair share of the inject queue. */
static uint32_t take_inject(struct lea_proc *p, uint32_t max)
{
    uint32_t share = lea_inject_len(&p->rt->inject) / p->rt->nr_procs + 1;

    return take_from(p, &p->rt->inject, share < max ? share : max);
}

struct lea_co *lea_find_inject(struct lea_proc *p)
{
    uint32_t n = take_from(p, &p->over, INJECT_BATCH_MAX);

    if (!n && lea_fresh_raise(p))
        return lea_lifo_pop(&p->lifo, p->alone);
    if (!n)
        n = take_inject(p, INJECT_BATCH_MAX);
    return n ? rings_pop(p) : NULL;
}

/*
 * Expired timers of one heap; the coroutines go into our ring. No more than it has room for, unless
 * it is always full: what falls out of it goes behind all who wait in the backlog, and in the heap
 * they keep their order.
 */
static uint32_t run_timers(struct lea_proc *p, struct lea_timers *t, int64_t now)
{
    struct lea_ready_list list;
    struct lea_timer_scopes due;
    uint32_t room, n;

    if (lea_timers_first_ns(t) > now)
        return 0;
    room = ring_room(p);
    lea_ready_list_init(&list);
    do {
        due.n = 0;
        n = lea_timers_run(t, now, room < TIMERS_MIN ? TIMERS_MIN : room, &list, &due);
        lea_scopes_due_call(p->rt, p, t, &due, now);
    } while (!n && lea_timers_first_ns(t) <= now); /* stale ones only: behind them somebody may be
                                                      late */
    lea_count(p, LEA_COUNT_TIMERS, n);
    lea_ready_local_list(p, &list, true);
    return n;
}

/* Look at the poller in passing, unless a sleeper waits in it or somebody has just looked. */
static void poll_passing(struct lea_proc *p, int64_t now)
{
    struct lea_netpoll *np = &p->rt->netpoll;
    uintptr_t last = lea_word_load_rlx(&np->last_poll_ns); /* relaxed: the CAS decides */
    uint32_t room = ring_room(p);
    struct lea_ready_list list;

    /* relaxed: hints, the next look is near */
    if (!lea_word_load_rlx(&np->nr_armed) || lea_u32_load_rlx(&p->rt->idle.watcher))
        return;
    /*
     * those who are ready wait already: more of them only make the queue longer, and the kernel
     * keeps them in order
     */
    if (room < LEA_RUNQ_CAP / 2 || lea_inject_len(&p->over)) {
        if ((uintptr_t)now - last < POLL_BUSY_NS)
            return;
        /* however full it is, descriptors do not starve */
        room = room < POLL_MIN ? POLL_MIN : room;
    }
    if ((uintptr_t)now - last < LEA_TURNS_NS / 2 ||
        !lea_word_cas(&np->last_poll_ns, last, (uintptr_t)now))
        return;
    lea_ready_list_init(&list);
    (void)lea_netpoll_poll(np, 0, room, &list);
    lea_count(p, LEA_COUNT_POLLS, 1);
    lea_count(p, LEA_COUNT_EVENTS, list.n);
    lea_ready_local_list(p, &list, false);
}

/*
 * The wake-up that small work owes when somebody has waited, and what was owed when turns became
 * longer.
 */
static void pay_aged(struct lea_proc *p, int64_t now, bool aged)
{
    bool owed;

    /* relaxed: looked at again and again */
    if (p->alone || !lea_u32_load_rlx(&p->rt->idle.nr_idle))
        return;
    if (!lea_inject_len(&p->over) && !lea_inject_len(&p->lifo_over))
        p->over_ns = 0;
    else if (!p->over_ns)
        p->over_ns = now;
    if (lea_proc_small(p))
        owed = aged || (p->over_ns && now - p->over_ns >= LEA_AGE_NS) ||
               (p->ring_mask & ~(1u << LEA_CLASS_NORMAL)) || lea_fresh_aged(p, now, LEA_AGE_NS);
    else
        owed = lea_proc_backlog(p) && !lea_proc_brief(p);
    if (owed)
        lea_idle_published(p->rt, p);
}

static void look_around(struct lea_proc *p, bool poll)
{
    int64_t now = lea_os_now_ns();
    bool aged = lea_ring_aged(&p->ring[LEA_CLASS_NORMAL], &p->age, now);

    if (!p->alone)
        lea_gather_look(p, aged, now);
    lea_turns_rewind(p, now);
    lea_turns_share(p, aged, now);
    pay_aged(p, now, aged);
    if (lea_fresh_look(p, now) && !p->alone)
        lea_idle_published_local(p->rt, p);
    (void)run_timers(p, &p->timers, now);
    /* they have waited longest: before new ones come from the poller */
    (void)take_from(p, &p->over, INJECT_BATCH_MAX);
    (void)take_inject(p, ring_room(p) > LEA_RUNQ_CAP * 3 / 4 ? INJECT_TURN_FREE : INJECT_TURN_MAX);
    if (poll)
        poll_passing(p, now);
    if (lea_chaos(p->rt))
        lea_chaos_turn(p);
    if (LEA_UNLIKELY(p->gather.to != NULL))
        p->turns_left = 1;
}

void lea_find_turn(struct lea_proc *p)
{
    if (LEA_LIKELY(!p->gather.to))
        look_around(p, true);
    if (LEA_UNLIKELY(p->gather.to != NULL))
        lea_gather_give(p);
}

bool lea_proc_backlog(struct lea_proc *p)
{
    for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
        if (lea_runq_len(&p->ring[c]))
            return true;
    return lea_inject_len(&p->over) || lea_inject_len(&p->lifo_over) || lea_lifo_several(&p->lifo);
}

bool lea_proc_brief(struct lea_proc *p)
{
    uint64_t turn_ns = lea_u32_load_rlx(&p->turn_ns); /* relaxed: a statistic */

    for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
        if (c != LEA_CLASS_NORMAL && lea_runq_len(&p->ring[c]))
            return false;
    return !p->unwatched && !lea_inject_len(&p->over) && !lea_inject_len(&p->lifo_over) &&
           !lea_lifo_several(&p->lifo) &&
           lea_runq_len(&p->ring[LEA_CLASS_NORMAL]) * turn_ns < WAKE_WORTH_NS;
}

/* The next slot and the stack of new ones: what may be owed. */
static bool slots_filled(struct lea_proc *p)
{
    uintptr_t w = 0;

    return lea_word_load_acq(&p->next) || (lea_lifo_oldest(&p->lifo, &w) && w);
}

bool lea_find_anything(struct lea_runtime *rt)
{
    if (lea_inject_len(&rt->inject) || lea_u32_load_acq(&rt->phase) == LEA_PHASE_STOP)
        return true;
    /* the wake-up for small or brief work is owed, and will come */
    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        if (!lea_proc_small(rt->proc[i]) && lea_proc_backlog(rt->proc[i]) &&
            !lea_proc_brief(rt->proc[i]))
            return true;
        /* and so is a first one's, but for this */
        if (rt->proc[i]->unwatched && slots_filled(rt->proc[i]))
            return true;
    }
    return false;
}

static void steal_note(struct lea_proc *p, const struct lea_proc *victim, uint32_t n)
{
    lea_count(p, LEA_COUNT_STEALS, 1);
    lea_count(p, LEA_COUNT_STOLEN, n);
    if (p->trace)
        lea_trace_put(p->trace, LEA_EVENT_STEAL, victim->index, n);
}

/*
 * Half of a victim's most urgent ring. The first of it is run by the caller through the local
 * rings.
 */
static uint32_t steal_rings(struct lea_proc *p, struct lea_proc *victim)
{
    uint32_t n;

    for (unsigned c = 0; c < LEA_NR_CLASSES; c++) {
        n = lea_runq_steal(&p->ring[c], &victim->ring[c]);
        if (!n)
            continue;
        p->ring_mask |= 1u << c;
        steal_note(p, victim, n);
        return n;
    }
    n = take_from(p, &victim->over, INJECT_BATCH_MAX);
    if (!n)
        n = lea_fresh_steal(p, victim);
    if (n)
        steal_note(p, victim, n);
    return n;
}

/*
 * A coroutine that stands in a slot for a while is not part of a quick exchange: it may be stolen.
 * @lifo: where the slot is, NULL: it is the next one
 */
static uint32_t steal_slot(struct lea_proc *p, struct lea_proc *victim, struct lea_lifo *lifo,
                           lea_word *slot, uintptr_t w)
{
    if (!slot || !w)
        return 0;
    for (int64_t until = lea_os_now_ns() + SLOT_THEFT_NS; lea_os_now_ns() < until; lea_pause())
        if (lea_word_load_rlx(slot) != w) /* relaxed: a hint, the CAS decides */
            return 0;
    if (!(lifo ? lea_lifo_steal(lifo, slot, w) : lea_word_cas(slot, w, 0)))
        return 0;
    steal_note(p, victim, 1);
    lea_ring_push(p, (struct lea_co *)w);
    return 1;
}

/* May be another one than lea_fresh_aged() has seen. */
static uint32_t steal_oldest(struct lea_proc *p, struct lea_proc *victim)
{
    uintptr_t w = 0;
    lea_word *slot = lea_lifo_oldest(&victim->lifo, &w);

    return steal_slot(p, victim, &victim->lifo, slot, w);
}

static uint32_t steal_next(struct lea_proc *p, struct lea_proc *victim)
{
    if (LEA_MUTATED(NEXT_NOT_STOLEN))
        return 0;
    return steal_slot(p, victim, NULL, &victim->next, lea_word_load_acq(&victim->next));
}

/*
 * Where work is small: has somebody waited at the victim for long? One victim at a time is kept in
 * mind.
 */
static bool victim_aged(struct lea_proc *p, struct lea_proc *victim)
{
    if (!lea_proc_small(victim) && !lea_proc_brief(victim))
        return true;
    if (!lea_runq_len(&victim->ring[LEA_CLASS_NORMAL]))
        /* the other classes are rare: not held back */
        return !lea_inject_len(&victim->over) && !lea_inject_len(&victim->lifo_over);
    if (p->victim != victim->index) {
        p->victim = victim->index;
        p->victim_age.ns = 0;
    }
    return lea_ring_aged(&victim->ring[LEA_CLASS_NORMAL], &p->victim_age, lea_os_now_ns());
}

/*
 * Small turns that fork and join: the oldest of the new ones is the root of most of what is to
 * come, and in the rings are parents with little left to do. Where there is more in them, or a
 * backlog, many go at once; who is urgent, and timers that are late, come before it. It must have
 * stood there, also for who was woken: that was for the ring, most likely.
 */
static bool oldest_first(struct lea_proc *victim, int64_t now)
{
    return lea_proc_small(victim) && lea_fresh_aged(victim, now, OLDEST_AGE_NS) &&
           !lea_inject_len(&victim->lifo_over) && !lea_inject_len(&victim->over) &&
           !lea_runq_len(&victim->ring[LEA_CLASS_HIGH]) &&
           lea_runq_len(&victim->ring[LEA_CLASS_NORMAL]) < RING_FEW &&
           lea_timers_first_ns(&victim->timers) >= now - LEA_TURNS_NS;
}

/* One look at every other processor, from a random one on. */
static uint32_t steal_pass(struct lea_proc *p, bool eager, bool last, int64_t now)
{
    struct lea_runtime *rt = p->rt;
    uint32_t start = lea_rand_below(&p->rand, rt->nr_procs);

    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        struct lea_proc *victim = rt->proc[(start + i) % rt->nr_procs];
        uint32_t n;

        if (victim == p)
            continue;
        n = oldest_first(victim, now) ? steal_oldest(p, victim) : 0;
        if (!n && (eager || victim_aged(p, victim)))
            n = steal_rings(p, victim);
        if (!n && last) /* its owner looks that often: only what is later than that is nobody's */
            n = run_timers(p, &victim->timers, lea_os_now_ns() - LEA_TURNS_NS);
        if (!n && last && (eager || !lea_proc_small(victim))) {
            n = steal_oldest(p, victim);
            if (!n)
                n = steal_next(p, victim);
        }
        if (n)
            return n;
    }
    return take_inject(p, INJECT_BATCH_MAX);
}

/* Look for work elsewhere, as long as that has lately paid. True: it is in our rings. */
static bool search(struct lea_worker *m)
{
    struct lea_proc *p = m->proc;
    int64_t begin, now, max = m->rt->config.spin_ns;
    /* whoever was woken was woken for a reason */
    bool found, eager = m->searching;

    if (p->alone || !lea_search_begin(m))
        return false;
    begin = now = lea_os_now_ns();
    do {
        found = steal_pass(p, eager, now - begin >= p->spin_ns / 2, now);
        /* relaxed: looked at again before sleep */
        if (found || lea_u32_load_rlx(&m->rt->phase) == LEA_PHASE_STOP)
            break;
        lea_pause();
        now = lea_os_now_ns();
    } while (now - begin < p->spin_ns);
    if (!found)
        found = steal_pass(p, eager, true, now);
    lea_count(p, LEA_COUNT_SPUN_NS, (uint64_t)(now - begin));
    if (found)
        p->spin_ns = p->spin_ns * 2 > max ? max : p->spin_ns * 2;
    else
        p->spin_ns =
            p->spin_ns / 2 < SPIN_MIN_NS ? (max < SPIN_MIN_NS ? max : SPIN_MIN_NS) : p->spin_ns / 2;
    return found;
}

struct lea_co *lea_find_wait(struct lea_worker *m)
{
    struct lea_ready_list list;

    for (;;) {
        struct lea_proc *p;
        struct lea_co *g;

        if (lea_u32_load_acq(&m->rt->phase) == LEA_PHASE_STOP)
            return NULL; /* before m->proc is read: idle.c, run_over() */
        p = m->proc;
        if (!p)
            return NULL;
        /* the only processor is about to wait in the poller anyway, and will get what is there */
        look_around(p, !p->alone);
        p->turns_left++;
        g = lea_find_local(p);
        if (!g) {
            bool found;

            p->gather.to = NULL; /* nothing is left to give: not what is found elsewhere */
            found = search(m);

            p->turn_check_ns = 0; /* the time until now was no turn */
            if (!found)
                found = lea_blocking_look_out(m->rt, p);
            g = found ? lea_find_local(p) : NULL;
        }
        if (g) {
            lea_search_end_found(m);
            return g;
        }
        lea_ready_list_init(&list);
        lea_idle_wait(m, &list);
        if (lea_u32_load_acq(&m->rt->phase) != LEA_PHASE_STOP && m->proc) {
            m->proc->turn_check_ns = 0;
            lea_ready_local_list(m->proc, &list, false);
        } else { /* what the poller gave to a sleeper that has lost its processor meanwhile */
            lea_ready_list_all(m->rt, NULL, &list);
        }
    }
}
