/*
 * The monitor. Duties: monitor.h; the ordering pair MONITOR: idle.h; SLICE requests: bracket.h; the
 * taking of processors: retake.h.
 */
#include "sched/monitor.h"

#include "base/check.h"
#include "base/mutant.h"
#include "mem/heap.h"
#include "sched/dump.h"
#include "sched/find.h"
#include "sched/idle.h"
#include "sched/light.h"
#include "sched/quiet.h"
#include "sched/retake.h"
#include "sched/sched.h"
#include "sched/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define LOOK_MIN_NS 1000000
#define LOOK_MAX_NS 4000000
/* a timer that is so late is not served by its processor: worth a look */
#define DUE_NS 150000
/* such turns are worth a wake-up, whatever was learnt of earlier ones */
#define LONG_TURN_NS 10000
#define POLL_NS 2000000      /* the poller is looked at here when nobody else has for so long */
#define POLL_STILL_NS 200000 /* and when every processor stands still */
#define SOON_LOOKS 8         /* in a row for those who sleep, and nobody is taken: then it pauses */
#define SLEEPER_READS 4      /* in one look: each costs system calls, and a look must be brief */
#define FOLLOW_LOOKS 5       /* after a sleeper was taken: the next one may sleep as well */
#define NO_THREAD_NS 100000000 /* the system has no thread for us: not asked again before that */
#define SLICE_NS 100000
#define TRIM_NS 500000000
#define LIGHT_NS 500000000
#define MONITOR_STACK_BYTES ((size_t)128 << 10)
#ifndef LEA_MONITOR_IDLE_NS
#define LEA_MONITOR_IDLE_NS 50000000 /* so long after the last turn it still looks */
#endif

/* What the monitor remembers of a processor between two looks. */
struct seen {
    uintptr_t turn;
    int64_t since_ns;
    uint32_t calls; /* looks in a row that found another tick in the same turn */
};

struct watch {
    struct lea_runtime *rt;
    struct seen *seen;
    struct lea_quiet quiet;
    struct lea_stand *stand;
    struct lea_light_seen light_seen;
    int64_t now, last, woke_due;
    int64_t busy_ns, trim_ns, light_ns, trace_ns, no_thread_ns, no_spare_ns;
    int64_t due_ns; /* of the next timer that is not due yet */
    struct lea_hog_limit hog_limit;
    /* ready coroutines in the inject queue that no suspect's successor is meant for */
    uint32_t shared;
    bool suspicious;       /* something stood still: look again soon */
    bool soon;             /* and even sooner */
    bool was_soon;         /* this look is such a one */
    bool suspects;         /* processors are to be taken */
    uint32_t nr_taken;     /* of those, whose workers sleep */
    bool waiting;          /* somebody waits, and no processor is idle */
    uint32_t nr_reads;     /* states of threads that were wanted in this look */
    uint32_t first;        /* where it begins: whom the one before had no read left for */
    uint32_t nr_asleep;    /* workers seen asleep in this look, for the first time there */
    uint32_t asleep_looks; /* looks in a row for such, without a processor taken */
    uint32_t follow;       /* further looks after a sleeper's processor was taken */
    bool moved;            /* some processor has taken a turn */
    /* some processor has taken so many turns that it has seen to the poller itself */
    bool passed;
};

/*
 * Ask for something at the owner's next entry: to let others in, or to look around. Entries for
 * solo sections obey nothing but TAKE (solo.h): who was asked to let others in a slice ago makes no
 * others, so he is asked by that too.
 */
static void request(const struct watch *w, const struct lea_proc *p, uint32_t what)
{
    uint32_t id = lea_proc_word_id(lea_word_load_acq(&p->owner));

    /*
     * a stale request costs its finder one look at its queues: it need not be certain that it still
     * owns p
     */
    if (!id)
        return;
    if (what == LEA_REQUEST_SLICE && !LEA_MUTATED(SOLO_SLICE_UNHEARD) &&
        /* relaxed: a hint */
        (lea_u32_load_rlx(&w->rt->worker[id - 1]->request) & LEA_REQUEST_SLICE))
        what |= LEA_REQUEST_TAKE;
    lea_request_add(w->rt->worker[id - 1], what);
}

/*
 * Timers that are due while their processor's turn goes on and no worker is idle: they become ready
 * all the same.
 */
static void look_at_timers(struct watch *w, struct lea_proc *p)
{
    struct lea_timer_scopes due;
    struct lea_ready_list list;

    if (lea_timers_first_ns(&p->timers) > w->now - LOOK_MIN_NS) /* INT64_MAX: no timer */
        return;
    lea_ready_list_init(&list);
    do {
        due.n = 0;
        lea_word_count(&w->rt->monitor.timers,
                       lea_timers_run(&p->timers, w->now, UINT32_MAX, &list, &due));
        lea_scopes_due_call(w->rt, NULL, &p->timers, &due, w->now);
    } while (due.n == LEA_TIMER_SCOPES); /* there may be more */
    lea_ready_list_all(w->rt, NULL, &list);
}

/* Since the last look each turn took longer than a whole batch of turns should. */
static bool turns_long(const struct watch *w, const struct seen *s, uintptr_t turn)
{
    return s->turn != UINTPTR_MAX && (w->now - w->last) / (int64_t)(turn - s->turn) >= LEA_TURNS_NS;
}

/* May processors be taken now? */
static bool takes(const struct watch *w)
{
    return w->rt->config.retake_ns && !w->rt->lone && w->now >= w->no_thread_ns;
}

/* Is its worker, first seen there in this look, asleep? */
static bool asleep(struct watch *w, uint32_t index)
{
    if (w->nr_reads++ >= SLEEPER_READS) {
        if (w->nr_reads == SLEEPER_READS + 1)
            w->first = index;
        return false;
    }
    return lea_stand_asleep(w->rt, &w->stand[index], w->now);
}

/*
 * Its turn was not seen before, and somebody waits. A worker that sleeps in a system call is known
 * at once: whoever is idle takes what waits, else the next look is soon.
 */
static void look_for_sleeper(struct watch *w, struct lea_proc *p)
{
    bool idle = lea_u32_load_acq(&w->rt->idle.nr_idle) != 0;

    if (!idle && !takes(w))
        return;
    w->waiting |= !idle;
    if (!asleep(w, p->index))
        return;
    if (!idle)
        w->nr_asleep++;
    else if (!LEA_MUTATED(MONITOR_NO_DEBT))
        lea_idle_wake_one(w->rt, NULL);
}

/* Its turn goes on, and somebody waits for this processor, or for any: is it to be taken? */
static void judge(struct watch *w, uint32_t index, bool waits_here, bool still)
{
    if (lea_u32_load_acq(&w->rt->idle.nr_idle) || !takes(w))
        return; /* who is idle has been woken, and takes what waits */
    if (!waits_here && !w->shared)
        return;
    w->waiting = true;
    if (!still && asleep(w, index))
        w->nr_asleep++;
    switch (still ? lea_stand_judge(w->rt, &w->stand[index], w->now) : LEA_VERDICT_SOON) {
    case LEA_VERDICT_TAKE:
        w->suspects = true;
        w->nr_taken += w->stand[index].why != LEA_TAKE_HOG;
        if (!waits_here)
            w->shared--;
        break;
    case LEA_VERDICT_SOON:
        w->soon = true;
        if (w->now - w->stand[index].since_ns >= w->rt->config.retake_ns / 2)
            request(w, w->rt->proc[index], LEA_REQUEST_POLL);
        break;
    case LEA_VERDICT_NO:
        break;
    }
}

/* One processor that is not idle. */
static void look_at(struct watch *w, struct lea_proc *p, struct seen *s)
{
    uintptr_t turn = lea_word_load_acq(&p->count[LEA_COUNT_RUN]);
    bool waits, due = lea_timers_first_ns(&p->timers) <= w->now;
    bool still = lea_stand_still(w->rt, p, &w->stand[p->index], w->now);

    waits =
        lea_word_load_acq(&p->next) != 0 || lea_u32_load_acq(&p->lifo.depth) || lea_proc_backlog(p);
    if (turn != s->turn) {
        w->moved = true;
        bool owed = lea_u32_load_acq(&w->rt->idle.nr_idle) &&
                    (lea_word_load_acq(&p->next) || lea_proc_backlog(p));

        /*
         * its owner looks around every 61st turn, which may be long after its turns have become
         * long
         */
        if (owed && s->turn != UINTPTR_MAX &&
            (w->now - w->last) / (int64_t)(turn - s->turn) >= LONG_TURN_NS)
            lea_idle_wake_one(w->rt, NULL);
        /* nor does anybody else look when nobody is idle */
        if (turns_long(w, s, turn) && (due || lea_inject_len(&w->rt->inject))) {
            request(w, p, LEA_REQUEST_LOOK);
            w->suspicious = true;
        }
        w->suspicious |= owed || lea_u32_load_acq(&p->lifo.depth);
        if ((waits || due || w->shared) &&
            (w->was_soon || s->turn == UINTPTR_MAX || turns_long(w, s, turn)))
            look_for_sleeper(w, p);
        w->passed |= s->turn != UINTPTR_MAX && turn - s->turn >= LEA_TURNS_MAX;
        s->turn = turn;
        s->calls = 0;
        s->since_ns = w->now;
        w->busy_ns = w->now;
        return;
    }
    w->busy_ns = w->now;
    w->suspicious = true;
    if ((waits || due) && !LEA_MUTATED(MONITOR_NO_DEBT))
        lea_idle_wake_one(w->rt, NULL);
    look_at_timers(w, p);
    if (w->now - s->since_ns >= w->rt->config.slice_ns) {
        if (waits || due || lea_inject_len(&w->rt->inject))
            request(w, p, LEA_REQUEST_SLICE);
        s->since_ns = w->now;
    }
    s->calls = still ? 0 : s->calls + 1;
    if (s->calls < 2) /* else it calls all the time: the end of its slice will do */
        judge(w, p->index, waits || due, still);
}

/*
 * Nobody waits in the poller, and nobody has looked for a while: all processors are busy with long
 * turns, or asleep without a watcher. Only then: what is found here goes through the inject queue,
 * where it waits longer than in the ring of a processor that takes its turns.
 */
static void look_at_poller(struct watch *w)
{
    struct lea_netpoll *np = &w->rt->netpoll;
    uintptr_t last = lea_word_load_rlx(&np->last_poll_ns); /* relaxed: the CAS decides */
    struct lea_ready_list list;

    if (w->passed || !lea_word_load_acq(&np->nr_armed) || lea_u32_load_acq(&w->rt->idle.watcher))
        return;
    if (w->now - (int64_t)last < (w->moved ? POLL_NS : POLL_STILL_NS) ||
        !lea_word_cas(&np->last_poll_ns, last, (uintptr_t)w->now))
        return;
    lea_ready_list_init(&list);
    (void)lea_netpoll_poll(np, 0, LEA_POLL_MAX, &list);
    lea_word_count(&w->rt->monitor.events, list.n);
    lea_ready_list_all(w->rt, NULL, &list);
    /* an idle worker that finds nothing becomes the watcher */
    if (lea_u32_load_acq(&w->rt->idle.nr_idle))
        lea_idle_wake_one(w->rt, NULL);
}

static void schedtrace(struct watch *w)
{
    struct lea_runtime *rt = w->rt;
    char rings[256];
    size_t used = 0;

    rings[0] = '\0';
    for (uint32_t i = 0; i < rt->nr_procs && used < sizeof(rings) - 32; i++) {
        uint32_t n = 0;

        for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
            n += lea_runq_len(&rt->proc[i]->ring[c]);
        /* relaxed, both: a statistic and a hint */
        used += (size_t)snprintf(rings + used, sizeof(rings) - used, "%s%u/%uns%s", i ? " " : "", n,
                                 lea_u32_load_rlx(&rt->proc[i]->turn_ns),
                                 lea_u32_load_rlx(&rt->proc[i]->gather.here) ? "+" : "");
    }
    lea_log_error("SCHED %" PRId64 "ms: procs=%u idle=%u searching=%u threads=%u alive=%" PRIu64
                  " inject=%u rings=[%s]",
                  (w->now - rt->start_ns) / 1000000, rt->nr_procs,
                  lea_u32_load_acq(&rt->idle.nr_idle), lea_u32_load_acq(&rt->idle.nr_searching),
                  rt->nr_workers, lea_alive(rt), lea_inject_len(&rt->inject), rings);
}

/*
 * The process may have been stopped, or its CPU quota used up: what stood still proves nothing, and
 * no processor is taken for it. Slices end all the same, as on a busy machine every look is late:
 * one that ends too early costs a turn.
 */
static void woke_late(struct watch *w)
{
    for (uint32_t i = 0; i < w->rt->nr_procs; i++)
        w->stand[i].word = 0;
}

static void trim(struct watch *w)
{
    int64_t next = lea_stack_trim(&w->rt->stacks, w->now);

    /* it stopped halfway: goes on at the next look */
    w->trim_ns = next > w->now ? w->now + TRIM_NS : w->now;
    if (next != INT64_MAX)
        w->busy_ns = w->now; /* there is memory to give back: not asleep before that */
}

/* Whom the system refuses one is not asked for it at each look. */
static void keep_spares(struct watch *w, uint32_t n)
{
    if (w->now >= w->no_spare_ns && !lea_worker_keep_spares(w->rt, n))
        w->no_spare_ns = w->now + NO_THREAD_NS;
}

static void take(struct watch *w)
{
    if (!lea_retake(w->rt, w->stand))
        w->no_thread_ns = w->now + NO_THREAD_NS;
    else
        /* who is stopped by one call may soon be followed by another */
        keep_spares(w, w->nr_taken ? w->nr_taken : 1);
    w->soon = true;
    if (w->nr_taken) {
        w->asleep_looks = 0;
        w->follow = FOLLOW_LOOKS;
    }
}

/*
 * Workers that sleep were seen, or one was taken just now: coroutines that block one after the
 * other cost a short look each, and not a period. Bounded: calls that sleep for less than that, one
 * after the other, would have the monitor awake all the time, and nobody gain by it.
 */
static void look_soon_for_sleepers(struct watch *w)
{
    if (LEA_MUTATED(MONITOR_NOT_SOON))
        return;
    if (w->nr_asleep && w->asleep_looks++ < SOON_LOOKS) {
        w->soon = true;
        keep_spares(w, w->nr_asleep); /* a hand-over does not wait for its thread then */
    } else {
        w->asleep_looks = 0;
    }
    if (w->waiting && w->follow) {
        w->follow--;
        w->soon = true;
    }
}

static void look(struct watch *w)
{
    struct lea_runtime *rt = w->rt;
    int64_t late_ns = rt->config.retake_ns && rt->config.retake_ns / 2 < LOOK_MAX_NS
                          ? rt->config.retake_ns / 2
                          : LOOK_MAX_NS;

    w->last = w->now;
    w->now = lea_os_now_ns();
    w->was_soon = w->soon;
    w->waiting = false;
    w->nr_asleep = w->nr_taken = w->nr_reads = 0;
    w->suspicious = w->soon = w->suspects = w->moved = w->passed = false;
    w->due_ns = INT64_MAX;
    w->shared = lea_inject_len(&rt->inject);
    lea_word_count(&rt->monitor.looks, 1);
    if (w->now - w->woke_due > late_ns && !LEA_MUTATED(MONITOR_LATE))
        woke_late(w);
    for (uint32_t k = 0, first = w->first; k < rt->nr_procs; k++) {
        uint32_t i = (first + k) % rt->nr_procs;
        int64_t due_ns = lea_timers_first_ns(&rt->proc[i]->timers);

        if (due_ns > w->now && due_ns < w->due_ns)
            w->due_ns = due_ns;
        if (lea_hog_look(rt, &w->stand[i].hog, &w->hog_limit, w->now))
            w->busy_ns = w->now; /* not asleep before that is over, or told */
        if (lea_proc_idle(rt->proc[i])) {
            w->seen[i].turn = UINTPTR_MAX;
            w->stand[i].word = 0;
            continue;
        }
        look_at(w, rt->proc[i], &w->seen[i]);
    }
    if (w->suspects)
        take(w);
    look_soon_for_sleepers(w);
    if (lea_inject_len(&rt->inject))
        lea_idle_wake_one(rt, NULL);
    look_at_poller(w);
    if (w->now >= w->trim_ns)
        trim(w);
    if (w->now >= w->light_ns) {
        lea_light_look(&w->light_seen);
        w->light_ns = w->now + LIGHT_NS;
    }
    if (rt->config.schedtrace_ns && w->now >= w->trace_ns) {
        schedtrace(w);
        w->trace_ns = w->now + rt->config.schedtrace_ns;
    }
}

/*
 * When to look again. Longer and longer while all moves; but a timer that its processor has not
 * served is a sign.
 */
static int64_t next_look(const struct watch *w, int64_t *pause)
{
    int64_t at;

    *pause = w->suspicious ? LOOK_MIN_NS : *pause * 2 > LOOK_MAX_NS ? LOOK_MAX_NS : *pause * 2;
    if (w->soon)
        return w->now + lea_retake_look_ns(w->rt);
    at = w->now + *pause;
    if (w->due_ns != INT64_MAX && w->due_ns + DUE_NS < at)
        at = w->due_ns + DUE_NS > w->now + LOOK_MIN_NS ? w->due_ns + DUE_NS : w->now + LOOK_MIN_NS;
    return at;
}

/* Nothing runs: sleep until a processor leaves idleness. */
static void sleep_deep(struct lea_runtime *rt, const struct lea_quiet *quiet, int64_t now)
{
    int64_t until;

    lea_u32_store_rlx(&rt->monitor.asleep, 1); /* relaxed: the fence orders it */
    if (!LEA_MUTATED(MONITOR_SLEEP_FENCE))
        lea_fence_full(); /* MONITOR */
    until = lea_dump_asked(rt) ? 0 : lea_quiet_sleep_until(rt, quiet, now);
    while (until > now && lea_u32_load_rlx(&rt->idle.nr_idle) == rt->nr_procs &&
           lea_u32_load_acq(&rt->monitor.asleep) && !lea_u32_load_acq(&rt->monitor.stop)) {
        if (lea_os_futex_wait(&rt->monitor.asleep, 1, until) == -ETIMEDOUT)
            break;
    }
    lea_u32_store_rel(&rt->monitor.asleep, 0);
}

static void *monitor_thread(void *arg)
{
    struct lea_runtime *rt = arg;
    struct watch w = {.rt = rt, .seen = rt->monitor_seen, .stand = rt->monitor_stand};
    int64_t pause = LOOK_MIN_NS;

    w.now = w.busy_ns = lea_os_now_ns();
    w.trim_ns = w.now + TRIM_NS;
    w.light_ns = w.now + LIGHT_NS;
    w.woke_due = w.now + pause;
    lea_os_thread_name("leat-monitor");
    lea_os_timers_precise();
    lea_os_slice_set(0, SLICE_NS);
    while (!lea_u32_load_acq(&rt->monitor.stop)) {
        (void)lea_os_futex_wait(&rt->monitor.stop, 0, w.woke_due);
        look(&w);
        lea_dump_look(rt);
        lea_quiet_look(rt, &w.quiet, w.now);
        w.woke_due = next_look(&w, &pause);
        if (lea_u32_load_acq(&rt->idle.nr_idle) == rt->nr_procs &&
            w.now - w.busy_ns > LEA_MONITOR_IDLE_NS && !rt->config.schedtrace_ns) {
            sleep_deep(rt, &w.quiet, w.now);
            w.now = w.busy_ns = lea_os_now_ns();
            pause = LOOK_MIN_NS;
            w.woke_due = w.now + pause;
        }
    }
    return NULL;
}

int lea_monitor_start(struct lea_runtime *rt)
{
    int r;

    rt->monitor_seen = lea_heap_zalloc(rt->nr_procs * sizeof(struct seen));
    rt->monitor_stand = lea_heap_zalloc(rt->nr_procs * sizeof(struct lea_stand));
    if (!rt->monitor_seen || !rt->monitor_stand)
        return -ENOMEM;
    r = lea_os_thread_start(&rt->monitor.thread, monitor_thread, rt, MONITOR_STACK_BYTES, -1);
    rt->monitor.started = r == 0;
    return r;
}

void lea_monitor_stop(struct lea_runtime *rt)
{
    if (rt->monitor.started) {
        lea_u32_store_rel(&rt->monitor.stop, 1);
        lea_os_futex_wake(&rt->monitor.stop, 1);
        lea_fence_full();
        lea_u32_store_rel(&rt->monitor.asleep, 0);
        lea_os_futex_wake(&rt->monitor.asleep, 1);
        lea_os_thread_join(rt->monitor.thread);
        rt->monitor.started = false;
    }
    lea_heap_free(rt->monitor_seen, rt->nr_procs * sizeof(struct seen));
    lea_heap_free(rt->monitor_stand, rt->nr_procs * sizeof(struct lea_stand));
    rt->monitor_seen = NULL;
    rt->monitor_stand = NULL;
}
