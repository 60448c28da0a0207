/*
 * sched/runtime.h - the state of a run: processors, workers, and what they share. Everything hangs
 * from struct lea_runtime; other writable state of the library is the root in run.c that finds it,
 * and what threads without a run look at (solo.h, light.h, membarrier.h).
 *
 * Who may touch what: a processor belongs to the worker whose id its owner word names. Fields
 * without another key are that worker's. An idle processor stays with its sleeping worker; whoever
 * clears its bit in the idle mask may hand it over (idle.h).
 *
 * Keys: (o) its owner   (c) anybody, by CAS   (k) constant after start   (s) written by the owner,
 * read by anybody for reports, or as a hint
 */
#ifndef LEA_SCHED_RUNTIME_H
#define LEA_SCHED_RUNTIME_H

#include "base/cxa.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/rand.h"
#include "co/co.h"
#include "mem/pool.h"
#include "mem/slab.h"
#include "mem/stack.h"
#include "netpoll/netpoll.h"
#include "sched/config.h"
#include "sched/inject.h"
#include "sched/lifo.h"
#include "sched/offload.h"
#include "sched/runq.h"
#include "sched/where.h"
#include "time/timer.h"
#include "trace/ring.h"

#include <pthread.h>
#include <signal.h>

struct lea_runtime;
struct lea_stand;
struct lea_worker;

/* Counters of one processor, in the order of struct leat_stats up to `slices`. */
enum lea_count {
    LEA_COUNT_RUN,
    LEA_COUNT_SPAWNED,
    LEA_COUNT_ENDED,
    LEA_COUNT_PARKED,
    LEA_COUNT_READIED,
    LEA_COUNT_YIELDED,
    LEA_COUNT_STOLEN,
    LEA_COUNT_STEALS,
    LEA_COUNT_OVERFLOWED,
    LEA_COUNT_INJECTED,
    LEA_COUNT_WOKEN,
    LEA_COUNT_WAKES,
    LEA_COUNT_SLEPT,
    LEA_COUNT_SPUN_NS,
    LEA_COUNT_POLLS,
    LEA_COUNT_EVENTS,
    LEA_COUNT_TIMERS,
    LEA_COUNT_SLICES,
    LEA_NR_COUNTS
};

/*
 * Free coroutines, taken from the runtime in batches. Each stands for the right to be alive too: it
 * is counted in nr_granted, and a stack of the default class is reserved for it. One spawner per
 * processor, one for threads outside.
 */
struct lea_spawner {
    struct lea_co *free; /* linked by `link` */
    uint32_t nr_free;
    uint32_t batch; /* (k) how many come at once */
    uint32_t keep;  /* (k) most that are kept */
    uint64_t last_id;
    uint64_t id_step; /* (k) ids of different spawners never meet */
};

/* Coroutines that were in a ring at some time: are they still there? */
struct lea_age {
    uint32_t tail; /* the ring's tail then */
    int64_t ns;    /* 0: not set */
};

/*
 * Of one processor: does it share small work with others, and was it right to gather it in one
 * place (gather.h)? Those with (s) or (c) are for the others.
 */
struct lea_gather {
    /* coroutines woken here that had parked at one with a lower number, and where the last did */
    uint32_t nr_strangers, stranger_of;
    uint64_t look_turns; /* count of turns when they were last looked at */
    /* who gives */
    struct lea_proc *to;            /* whom it gives all that is ready here; NULL: nobody */
    int64_t to_ns;                  /* since when */
    bool gives;                     /* it has given something */
    const struct lea_proc *seen_of; /* whose turns it has seen; NULL: nobody's */
    uint64_t seen_turns;            /* how many, */
    int64_t seen_ns;                /* and since when there are no more */
    const struct lea_proc *told_to; /* whom it has told its rate; NULL: nobody */
    uintptr_t told_attempt;         /* and in which attempt of that one */
    lea_word rate;                  /* (s) turns in a millisecond, of late; 0: not known */
    int64_t rate_since_ns;          /* since when they are counted */
    uint64_t rate_since_turns;      /* count of turns then */
    /* who is given */
    /* (c) by any store, a hint. 1: what others share is here: turns are small for longer */
    lea_u32 here;
    lea_word joined;         /* (c) how often somebody has begun to give, not seen so far, */
    lea_word told;           /* (c) and the rates of those who have told theirs */
    lea_word attempt;        /* (s) number of the one that is under way, or the next */
    lea_word not_before_ns;  /* (s) no attempt before that */
    int64_t since_ns;        /* of the attempt that is under way; 0: none */
    uint64_t since_turns;    /* count of turns then */
    uint64_t before;         /* rate of all that take part, before it */
    uintptr_t nr_joins;      /* how often somebody has begun to give meanwhile */
    uint32_t nr_idle_rounds; /* rounds of it that told nothing */
    bool good;               /* the last one was right */
    bool owes;               /* a wake-up, for the work to be spread again */
    int64_t again_ns;        /* it was right, and is undone then; 0: it was not */
    int64_t pause_ns;        /* from one attempt to the next */
};

/*
 * State of a processor, lowest bits of its owner word. The rest: id of the owning worker, and a
 * count of hand-overs.
 *   OWNED    the worker's, who alone touches it
 *   PENDING  the same, and the monitor would like to take it: a CAS of either side decides
 *            (retake.h)
 *   TAKEN    nobody's, in the monitor's hands
 *   BRACKET  the worker has stepped aside (leat_block_enter), and may come back until the monitor
 *            has taken it
 */
enum lea_proc_state { LEA_PROC_OWNED, LEA_PROC_PENDING, LEA_PROC_TAKEN, LEA_PROC_BRACKET };
#define LEA_PROC_STATE_BITS 2
#define LEA_PROC_ID_BITS 22

static inline uintptr_t lea_proc_word(uintptr_t count, uint32_t worker_id,
                                      enum lea_proc_state state)
{
    return count << (LEA_PROC_STATE_BITS + LEA_PROC_ID_BITS) |
           (uintptr_t)worker_id << LEA_PROC_STATE_BITS | (uintptr_t)state;
}

static inline enum lea_proc_state lea_proc_word_state(uintptr_t word)
{
    return (enum lea_proc_state)(word & ((1u << LEA_PROC_STATE_BITS) - 1));
}

/* The same owner and count in another state. */
static inline uintptr_t lea_proc_word_in(uintptr_t word, enum lea_proc_state state)
{
    return (word & ~(uintptr_t)((1u << LEA_PROC_STATE_BITS) - 1)) | (uintptr_t)state;
}

static inline uint32_t lea_proc_word_id(uintptr_t word)
{
    return (uint32_t)(word >> LEA_PROC_STATE_BITS) & ((1u << LEA_PROC_ID_BITS) - 1);
}

static inline uintptr_t lea_proc_word_count(uintptr_t word)
{
    return word >> (LEA_PROC_STATE_BITS + LEA_PROC_ID_BITS);
}

/* The right to run coroutines: the G/P/M model's P. */
struct lea_proc {
    /* coroutine just readied: set by the owner, taken by the owner or a thief (by CAS) */
    _Alignas(LEA_CACHELINE) lea_word next;
    struct lea_runtime *rt; /* (k) */
    uint32_t index;         /* (k) */
    uint32_t turns_left;    /* until the other sources of work are looked at, or it gives */
    uint32_t turns_batch;   /* what turns_left started from */
    /* price of the turns in a row that did not come from a ring */
    uint32_t in_row;
    uint32_t ring_mask;                  /* classes whose ring may hold something */
    int32_t weight_left[LEA_NR_CLASSES]; /* turns left in this round of weighted service */
    bool alone;                          /* (k) the only processor of the run */
    bool stack_due;                      /* see lea_find_weighted() */
    uint8_t new_price;                   /* in in_row, of a turn from `lifo` */
    bool sank;                           /* some out of `lifo`, since the last look around */
    bool unwatched;                      /* (k) the run has no monitor: no wake-up may be owed */
    int64_t turn_check_ns;               /* when the other sources were last looked at */
    struct lea_spawner spawner;
    struct lea_pool handles;
    struct lea_pool extras;
    struct lea_pool batches;
    struct lea_rand rand;
    struct lea_rand chaos; /* chaos.h */
    /* learnt: how long looking for work pays before sleeping */
    int64_t spin_ns;
    /* of the own ring: for the wake-up that is owed, and for the ring's share of the turns */
    struct lea_age age;
    int64_t share_from_ns, share_pause_ns; /* of turns, with the rings: turns.h */
    int64_t woke_ns;                       /* when its worker last came out of sleep */
    int64_t over_ns; /* since when `over` or `lifo_over` has not been empty; 0: both are */
    /* (s) number of who was at the bottom of `lifo` at the last look around; 0 none */
    lea_word lifo_oldest;
    lea_word lifo_oldest_ns; /* (s) since when */
    int64_t sunk_ns;         /* since when `lifo_over` has not been empty; 0: it is */
    int64_t sunk_turn_ns;    /* when somebody last had its turn out of it */
    /* of the backlog of `victim`, while work is too small to be moved at once */
    struct lea_age victim_age;
    uint32_t victim;
    lea_u32 turn_ns;               /* (s) learnt: how long a turn usually takes */
    struct lea_trace *trace;       /* (k) NULL: not traced */
    uintptr_t none_astray;         /* stray.h: an owner word; 0 none yet */
    lea_word count[LEA_NR_COUNTS]; /* (s) */
    struct lea_gather gather;
    _Alignas(LEA_CACHELINE) lea_word owner; /* (c) lea_proc_word */
    /* who owns it, or sleeps with it; changed by the owner or by who claimed it from idleness */
    struct lea_worker *worker;
    struct lea_stack_cache stacks;
    struct lea_timers timers; /* any thread, see timer.h */
    struct lea_lifo lifo;     /* see lifo.h */
    /*
     * what fell out of the rings, and what others give (gather.h): the owner's backlog, open to
     * thieves
     */
    struct lea_inject over;
    struct lea_inject lifo_over;          /* what sank from `lifo`, see fresh.h */
    struct lea_runq ring[LEA_NR_CLASSES]; /* see runq.h */
};

/*
 * Runs off the parked coroutine's stack, after its registers were saved. False: ready again at
 * once. After publication: hands off.
 */
typedef bool (*lea_commit)(struct lea_worker *m, struct lea_co *co, void *arg);

/*
 * What a worker's sleep word says. Everybody who changes it does so by CAS; a token is never lost.
 */
enum lea_sleep { LEA_SLEEP_AWAKE, LEA_SLEEP_FUTEX, LEA_SLEEP_POLL, LEA_SLEEP_TOKEN };

/* Bits of a worker's request word. */
/* its processor's turn has lasted a slice, and others wait; or the run is over */
#define LEA_REQUEST_SLICE 1u
/* its turns have become long: timers, poller and inject queue are due */
#define LEA_REQUEST_LOOK 2u
#define LEA_REQUEST_TAKE 4u /* its processor is being taken, or was: see whose it is */
/* with TAKE: the monitor has let it run on any CPU, with a usual slice */
#define LEA_REQUEST_SPREAD 16u
#define LEA_REQUEST_BURNING 32u /* with TAKE: the monitor has counted it in nr_burning */
/* always set in a run with LEAT_CHAOS: every entry takes the slow path (chaos.h) */
#define LEA_REQUEST_CHAOS 64u
#define LEA_REQUEST_POLL 128u /* others wait, and it computes: for leat_poll() */
/* always set in a run without membarrier: every entry passes a fence (retake.h) */
#define LEA_REQUEST_FENCE 8u

/* Where a worker without a processor is kept. Under the sched lock. */
enum lea_worker_place {
    LEA_PLACE_NONE,  /* nowhere: it has a processor, or is in user code without one */
    LEA_PLACE_SPARE, /* on the spare list, asleep or about to */
    /* off that list again, or never on it: somebody is about to hand it a processor */
    LEA_PLACE_HELD,
    LEA_PLACE_GONE,     /* its thread has ended, or is about to; to be joined */
    LEA_PLACE_JOINED,   /* off that list: somebody is joining its thread */
    LEA_PLACE_ATTACHED, /* its thread is the program's: nobody else ends or joins it */
    LEA_PLACE_UNUSED,   /* it has no thread: for the next one that is started */
};

/* An OS thread: the G/P/M model's M. Never freed during a run. */
struct lea_worker {
    _Alignas(LEA_CACHELINE) lea_u32 tick; /* (o) even: user code; odd: in the runtime. bracket.h */
    lea_u32 request;                      /* (c) set by the monitor, cleared by the owner */
    /* (o) NULL: none; while asleep: of whoever claimed the processor, or hands one over */
    struct lea_proc *proc;
    struct lea_co *co;      /* (o) whom it runs; NULL on its own stack */
    lea_commit commit;      /* (o) of the coroutine that has just left; NULL none */
    void *commit_arg;       /* (o) */
    struct lea_co *left;    /* (o) */
    struct lea_runtime *rt; /* (k) */
    /* (k) from its first turn on: lea_self_slot of its thread */
    uint32_t own_slot;
    struct lea_ctx ctx;    /* (o) its own stack, while a coroutine runs */
    struct lea_cxa *cxa;   /* (o) its thread's, or no_cxa */
    struct lea_cxa no_cxa; /* (o) nothing, for a program without C++ */
    /* (o) counted in nr_searching; while asleep: of its waker */
    bool searching;
    uint32_t id;                /* (k) 1 and up */
    struct lea_proc *last_proc; /* (o) */
    struct lea_rand chaos;      /* (o) chaos.h */
    /* (o) what the owner word of `proc` says while that is ours; written with `proc` */
    uintptr_t word;
    lea_u32 tid; /* (o) the kernel's number of its thread: lea_worker_tid() */
    /* (o) its thread has begun without a processor, and not waited for one yet */
    bool born_without;
    /* (o) its thread may run on any CPU, with a usual slice */
    bool spread;
    int pinned_cpu; /* (o) -1: to none */
    bool burning;   /* (o) counted in nr_burning */
    /* (o) the processor that it has stepped aside from (blocking.c); NULL none */
    struct lea_proc *bracket;
    struct lea_co *bracket_co; /* (o) who did so, and how often */
    unsigned bracket_depth;    /* (o) */
    /* (o) what calls on files that need not wait have cost since one of them gave way */
    uint32_t at_once;
    /* (o) the one coroutine that it runs (bound.h); NULL: whoever comes */
    struct lea_co *bound;
    struct lea_stack *bound_stack; /* (o) */
    unsigned bound_depth;          /* (o) */
    /* (o) its thread is the program's, and was attached so often (attach.c); 0: it is ours */
    unsigned attached;
    bool attached_pipe; /* (o) SIGPIPE was not blocked in that thread before */
    bool leaves;        /* (o) its thread ends when its coroutine has left */
    /* 1: it may run `bound`; set by who hands it over, cleared by the owner */
    lea_u32 bound_go;
    _Alignas(LEA_CACHELINE) lea_u32 sleep; /* (c) enum lea_sleep */
    enum lea_worker_place place;           /* under the sched lock */
    struct lea_worker *spare_next;         /* under the sched lock: next on the list of its place */
    pthread_t thread;                      /* (k) */
    void *altstack;                        /* (o) for the overflow report */
    stack_t altstack_before;               /* (o) */
};

/* Slots in each rwmutex that belong to one worker (sync/rwmutex.c). */
#define LEA_OWN_SLOTS 8u

/* Of one handle (scope/handle.c). */
#define LEA_HANDLE_BYTES 64

#define LEA_IDLE_WORDS (LEA_PROCS_MAX / 64)

/* Who sleeps and who searches: idle.h */
struct lea_idle {
    _Alignas(LEA_CACHELINE) lea_u32 nr_idle;
    lea_u32 nr_searching;
    lea_word mask[LEA_IDLE_WORDS];
    lea_u32 watcher; /* index + 1 of the processor whose worker waits in the poller, or 0 */
};

/* From whom a processor was taken. */
enum lea_take { LEA_TAKE_HOG, LEA_TAKE_BLOCKED, LEA_TAKE_BRACKET, LEA_NR_TAKES };

struct lea_monitor {
    _Alignas(LEA_CACHELINE) lea_u32 asleep; /* 1: sleeps until somebody leaves idleness */
    lea_u32 stop;
    lea_u32 dump; /* 1: a dump is asked for, dump.h */
    /* coroutines that ended, or were given away, on a worker without a processor: quiet.h */
    lea_u32 ends_without;
    lea_word looks;
    lea_word timers, events;        /* waits that it ended itself */
    lea_word retaken[LEA_NR_TAKES]; /* processors taken from workers, by what those did */
    lea_word hogs; /* coroutines that computed for so long that they were reported */
    /* times that a worker stayed in the runtime for longer than LEAT_RETAKE_US */
    lea_word long_sections;
    struct lea_where where; /* where.h */
    pthread_t thread;
    bool started;
};

/* Pipes that wait for the next relay: as many as one expects to be busy at the same instant. */
#define LEA_PIPES_KEPT 16u

enum lea_phase { LEA_PHASE_RUN, LEA_PHASE_ENDING, LEA_PHASE_STOP };

/*
 * Called by the end of the run, when its threads have ended, but for those that are left in user
 * code.
 */
typedef void (*lea_at_end)(struct lea_runtime *rt);

/* Who is called, in this order. */
enum lea_at_end_slot { LEA_AT_END_IO, LEA_AT_END_NAMES, LEA_AT_END_SCOPE, LEA_NR_AT_END };

/*
 * Deadlines of scopes have passed: called by who ran the timers, without a lock, in the runtime.
 * @p: its processor, NULL the monitor's thread. For each entry lea_timer_scopes_seen() must follow.
 */
typedef void (*lea_scopes_due)(struct lea_runtime *rt, struct lea_proc *p, struct lea_timers *t,
                               const struct lea_timer_scopes *due, int64_t now_ns);

struct lea_runtime {
    lea_u32 phase;        /* enum lea_phase; on a line that hardly ever changes */
    uint32_t nr_procs;    /* (k) */
    unsigned stack_class; /* (k) the default one */
    bool alone;           /* (k) nr_procs == 1 */
    bool lone;            /* (k) the caller's thread is the only worker */
    /* (k) after start: workers with ids up to this have a slot of their own in each rwmutex */
    uint32_t own_slots;
    bool all_slots; /* (k) after start: all workers share all of its slots */
    bool light;     /* (k) after start: its workers may unlock by plain stores (light.h) */
    /* (k) no membarrier: every entry into the runtime passes a fence */
    bool fenced;
    void (*begin)(void *);    /* (k) where every coroutine begins: lea_loop_begin */
    struct lea_proc **proc;   /* (k) */
    struct lea_config config; /* (k) */
    int64_t start_ns;         /* (k) */
    uint64_t seed;            /* (k) */
    uint32_t nr_made_procs;   /* (k) >= nr_procs when threads were refused */
    struct lea_idle idle;
    struct lea_inject inject;
    struct lea_netpoll netpoll;
    struct lea_stack_pool stacks;
    struct lea_slab cos;
    struct lea_slab extras;  /* of coroutines, and kept with them */
    struct lea_slab batches; /* of coroutines that fell out of a ring */
    struct lea_slab handles; /* what leat_go_join() hands out; ends with the run */
    struct lea_monitor monitor;
    void (*report_deadlock)(struct lea_runtime *rt); /* (k) run.h; does not come back */
    void (*report_dump)(struct lea_runtime *rt);     /* (k) run.h */
    void *monitor_seen;              /* the monitor's own notes, one per processor */
    struct lea_stand *monitor_stand; /* and those on owners */
    /* workers that compute on without a processor, as far as known */
    lea_u32 nr_burning;
    struct lea_blocking blocking; /* threads for calls that hang */
    lea_word chaos_wakes;         /* chaos.h */
    /* 1: all threads of the start are there, the workers may begin */
    lea_u32 gate;
    struct lea_lock lock;      /* the fields from here to the next comment */
    uint64_t nr_granted;       /* coroutines that may be alive: handed out to spawners */
    struct lea_worker *spare;  /* workers that wait for a processor */
    struct lea_worker *gone;   /* those whose threads are to be joined */
    bool end_joins;            /* by the end of the run, and by nobody else any more */
    struct lea_worker *unused; /* those without a thread */
    /* by id - 1; grows up to max_threads. An id in an owner word has one, without the lock too */
    struct lea_worker **worker;
    uint32_t nr_workers, nr_gone; /* ever made; without a thread now, or about to be */
    uint32_t nr_spare;
    bool thread_warned;
    struct lea_node outside_waits; /* of plain threads, which the end ends: scope/outside.h */
    struct lea_spawner outside;    /* for threads without a processor */
    uint64_t outside_spawned;
    uint64_t outside_ended;
    lea_word at_end[LEA_NR_AT_END]; /* lea_at_end, for the layers above; 0 until set, once */
    lea_word resolver;              /* look-ups of names, of io; 0 none yet */
    lea_word pipe[LEA_PIPES_KEPT];  /* (c) empty ones, of io/pipes.h; 0 none */
    lea_word proc_locals;           /* values of processors, of the layer above; 0 none yet */
    /* lea_scopes_due, for the layer above; set before there is a scope with a deadline */
    lea_word scopes_due;
    /* (k) handlers from before the run */
    struct sigaction before_segv, before_bus, before_dump, before_abort;
    struct lea_end_hook main_hook;
    int main_result;
    lea_u32 main_done; /* futex of leat_run's caller */
    /* grows when a coroutine ends while the run ends: futex of leat_run's caller */
    lea_u32 ended;
};

/* Anybody who holds the run, any number of times. */
static inline void lea_at_end_set(struct lea_runtime *rt, enum lea_at_end_slot slot,
                                  lea_at_end call)
{
    if (LEA_UNLIKELY(!lea_word_load_rlx(&rt->at_end[slot]))) /* relaxed: once set it stays */
        lea_word_store_rel(&rt->at_end[slot], (uintptr_t)call);
}

static inline void lea_scopes_due_call(struct lea_runtime *rt, struct lea_proc *p,
                                       struct lea_timers *t, const struct lea_timer_scopes *due,
                                       int64_t now_ns)
{
    if (LEA_UNLIKELY(due->n))
        ((lea_scopes_due)lea_word_load_acq(&rt->scopes_due))(rt, p, t, due, now_ns);
}

/*
 * Of a worker whose tick was seen to be even, by acquire: it is set before that. Relaxed: the
 * struct may have got another thread since, whose number says nothing of the former one. Whoever
 * acts on what he learns by it finds another owner word, or another tick, then.
 */
static inline int lea_worker_tid(const struct lea_worker *m)
{
    return (int)lea_u32_load_rlx(&m->tid);
}

/* For assertions, inside a bracket: the monitor may be asking for it, no more. */
static inline bool lea_proc_is_of(const struct lea_proc *p, const struct lea_worker *m)
{
    uintptr_t w = lea_word_load_rlx(&p->owner); /* relaxed: nobody else changes owner and count */

    return lea_proc_word_in(w, LEA_PROC_OWNED) == m->word &&
           (lea_proc_word_state(w) == LEA_PROC_OWNED || lea_proc_word_state(w) == LEA_PROC_PENDING);
}

static inline void lea_count(struct lea_proc *p, enum lea_count what, uint64_t n)
{
    lea_word_count(&p->count[what], n);
}

#endif
