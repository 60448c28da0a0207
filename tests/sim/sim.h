/*
 * sim.h - a machine in one thread: virtual threads, a memory model, a kernel and a clock, all
 * driven by a seed.
 *
 * The runtime's own files are compiled against tests/sim/seam/base/atomic.h, and linked with os_*.c
 * here instead of base/os_linux.c. Every atomic operation and every system call is a point where
 * another virtual thread may go on, a buffered store may leave, a fault may strike. Everything that
 * is not determined is asked for by sim_choose(); 0 is always the dull answer (go on, store at
 * once, no fault), so that a failure can be minimised by making answers 0.
 *
 * Layers here: core.c (threads, choices, policies, time) < memory.c (atomics) and race.c (plain
 * memory) < os_*.c (kernel) < oracle.c (what must hold) < scenarios/ < main.c (seeds, children,
 * minimising), trace.c (columns).
 */
#ifndef LEAT_TESTS_SIM_H
#define LEAT_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_THREADS 16
#define SIM_BUFFER 8 /* stores on their way out of a virtual thread */
#define SIM_FOREVER INT64_MAX

/* A vector clock, by virtual thread. */
struct sim_vc {
    uint32_t at[SIM_THREADS];
};

static inline void sim_vc_join(struct sim_vc *to, const struct sim_vc *from)
{
    for (unsigned i = 0; i < SIM_THREADS; i++)
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

enum sim_memory { SIM_MEMORY_X86, SIM_MEMORY_WEAK };

enum sim_policy {
    SIM_POLICY_RANDOM,
    SIM_POLICY_PCT,
    SIM_POLICY_ROUND,
    SIM_POLICY_EXHAUST,
    SIM_NR_POLICIES
};

/* What is asked for, for the trace and for the probabilities. */
enum sim_choice {
    SIM_CHOOSE_THREAD,
    SIM_CHOOSE_BUFFER, /* does a store wait in the buffer? */
    SIM_CHOOSE_DRAIN,  /* does a waiting one stay? */
    SIM_CHOOSE_STALE,  /* which of the last values does an early load see? */
    SIM_CHOOSE_TIME,   /* does the next timeout come now, though threads could run? */
    SIM_CHOOSE_FAULT,
    SIM_CHOOSE_ORDER, /* an order that the kernel does not promise */
    SIM_NR_CHOICES
};

/* Faults that a scenario allows; the seed decides whether and when they come. */
enum sim_fault {
    SIM_FAULT_INTR = 1,        /* EINTR from sleeps and waits */
    SIM_FAULT_SPURIOUS = 2,    /* a futex sleep that ends for no reason */
    SIM_FAULT_MEMORY = 4,      /* ENOMEM from mappings and the heap */
    SIM_FAULT_THREAD = 8,      /* EAGAIN from thread creation */
    SIM_FAULT_DESCRIPTOR = 16, /* EMFILE */
    SIM_FAULT_LATE_EVENT = 32,
    SIM_FAULT_DOUBLE_EVENT = 64,
    SIM_FAULT_SHORT = 128,       /* short reads and writes, EAGAIN where data could be had */
    SIM_FAULT_LATE_THREAD = 256, /* a thread that is not scheduled for long */
    SIM_FAULT_HELD_FILE = 512,   /* epoll_wait keeps open what is closed while it looks at it */
};

struct sim_config {
    uint64_t seed;
    enum sim_policy policy;
    enum sim_memory memory;
    bool membarrier;       /* the kernel has it */
    unsigned depth;        /* PCT: priority changes */
    unsigned switch_shift; /* RANDOM: one point in 2^n may switch; ROUND: turns of 2^n points */
    unsigned
        /* stores that are held back, held-back stores that stay, loads that are early */
        buffer_percent;
    unsigned fault_permille; /* chances of a fault, where a scenario allows it */
    unsigned time_permille;  /* points at which the next timeout comes early */
};

enum sim_state { SIM_UNUSED, SIM_RUNNABLE, SIM_BLOCKED, SIM_ENDED };

struct sim_store {
    uintptr_t addr;
    uint64_t value;
    uint64_t step; /* when it was issued */
    uint32_t bytes;
    bool release;
    struct sim_vc vc; /* of the release */
    const void *pc;
};

struct sim_thread {
    void *sp; /* saved while another one runs */
    enum sim_state state;
    unsigned id;
    const char *what; /* it waits for; for reports */
    uintptr_t key;    /* what would wake it */
    int64_t until_ns;
    int result;            /* of the wait */
    bool computes;         /* while blocked: it would use a CPU */
    int64_t blocked_ns;    /* since when it is */
    int64_t cpu_ns;        /* that it has used before */
    void (*slow)(void);    /* what its next read or write waits for, in the kernel */
    int64_t late_until_ns; /* SIM_FAULT_LATE_THREAD: not scheduled before */
    int priority;          /* PCT */
    uint64_t ran;          /* steps */
    uint32_t choices;      /* asked for by this thread so far */
    void *(*fn)(void *);
    void *arg;
    char *stack;
    bool joined, detached;
    void *at_end; /* handed to sim_thread_ended, unless NULL */
    char name[16];
    unsigned char tls[256]; /* what the runtime keeps per thread */
    struct sim_vc hb;       /* what happened before, for plain memory */
    uint64_t load_from;     /* weak memory: a load is not satisfied earlier than at this step */
    struct sim_store buffer[SIM_BUFFER];
    unsigned nr_buffered;
};

/* State of the machine during one seed. */
struct sim {
    struct sim_config config;
    struct sim_thread thread[SIM_THREADS];
    unsigned nr_threads;
    struct sim_thread *self;
    uint64_t steps, max_steps;
    uint64_t nr_buffered; /* stores, over all threads */
    int64_t now_ns;
    int64_t
        /*
         * SIM_FAULT_LATE_THREAD and early timeouts, summed up: bounds in time are later by as much
         */
        late_ns;
    uint64_t random, shape; /* generators: of the schedule, and of what the scenario does */
    unsigned refuse_thread; /* so many-th thread creation from now on is refused; 0 none */
    unsigned faults;        /* enum sim_fault that may happen now */
    bool faulty;            /* this seed has faults at all */
    uint64_t last_switch;   /* ROUND */
    uint64_t change_at[8];  /* PCT: steps at which the running thread falls behind */
    int lowest;             /* PCT */
    uint32_t clock_base;    /* vector clocks of this seed start here */
    bool over;              /* the scenario has returned */
    bool no_cpu_clock;      /* the system does not tell how much CPU time a thread has used */
    bool tracing;
    bool quiet; /* an oracle looks: no points, memory as it is */
};

extern struct sim sim;
extern int sim_mutant; /* base/mutant.h: which correct line is left out; 0 none */

/* --- core.c --- */
unsigned sim_choose(enum sim_choice what, unsigned n); /* 0 .. n-1 */
unsigned sim_shape(unsigned n);       /* for scenarios: 0 .. n-1, the same in every replay */
bool sim_fault(enum sim_fault fault); /* does it strike now? */
void sim_point(void);                 /* somebody else may go on */
void sim_yield(void);                 /* somebody else should */
int sim_block(const char *what, uintptr_t key,
              int64_t until_ns); /* what sim_wake() said, or -ETIMEDOUT */
int sim_compute(const char *what, uintptr_t key, int64_t until_ns); /* as sim_block(), on a CPU */
void sim_unblock(struct sim_thread *t, int result);
unsigned sim_wake(uintptr_t key, unsigned n,
                  int result); /* up to n of those blocked on a key, oldest first */
void sim_advance(int64_t ns);
struct sim_thread *sim_thread_new(void *(*fn)(void *), void *arg); /* NULL: too many */
extern void (*sim_thread_ended)(void *arg); /* what lea_os_at_thread_end() was given */
void sim_thread_exit(void) __attribute__((noreturn));
void sim_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define sim_check(cond, ...)                                                                       \
    do {                                                                                           \
        if (!(cond))                                                                               \
            sim_fail(__VA_ARGS__);                                                                 \
    } while (0)

/*
 * Runs fn as the first virtual thread, until all have ended. NULL: passed; else what went wrong,
 * and *kind a word for it.
 */
const char *sim_run(const struct sim_config *config, void (*fn)(void));

/* Answers that were not dull, by (virtual thread, number of its choice). */
struct sim_answer {
    uint32_t thread, number, answer, what;
};
struct sim_answers {
    struct sim_answer *a;
    size_t n, cap;
};
extern struct sim_answers sim_log;                  /* of the last run */
void sim_replay(const struct sim_answers *answers); /* the next runs answer so; NULL: by policy */
/* EXHAUST: answers of the next run with one alternative tried. False: all were. */
bool sim_exhaust_next(unsigned preemptions);
void sim_exhaust_reset(void);

/* --- memory.c --- */
void sim_memory_reset(void);
void sim_drain(struct sim_thread *t); /* all of its stores reach memory */
void sim_drain_some(void);            /* at a point: those that choose to */
void sim_membarrier(void);
void sim_memory_enter(
    void); /* into the kernel, where locks are taken: stores are done, loads are not early */
void sim_hb_send(struct sim_vc *to);            /* the kernel orders what came before ... */
void sim_hb_receive(const struct sim_vc *from); /* ... before what comes after */

/* --- race.c --- */
#define SIM_ARENA_BYTES ((size_t)1 << 30)
#define SIM_STACK_BYTES ((size_t)128 << 10)
void sim_race_init(void);
void sim_race_reset(void);
void *sim_arena_alloc(size_t bytes, size_t align); /* zeroed; never used again in this seed */
void sim_arena_free(void *addr, size_t bytes);     /* touching it from now on is an error */
bool sim_arena_has(const void *addr);
void sim_touch(const void *addr, size_t bytes, bool write,
               const void *pc); /* as the program would, plainly */
char *sim_thread_stack(unsigned id);

/* --- os_*.c --- */
void sim_os_reset(void);
void sim_fd_reset(void);
unsigned sim_fd_open_count(void);
void sim_os_check_end(void);  /* nothing is left mapped, open, allocated or running */
extern char sim_stderr[8192]; /* what was written to it */
extern unsigned sim_nr_cpus;

/* --- oracle.c --- */
void sim_oracle_reset(void);
void sim_oracle_step(void);            /* at every point, cheap */
void sim_oracle_rest(int64_t jump_ns); /* nobody can run: the clock is about to move on */

/* --- trace.c --- */
enum sim_op {
    SIM_OP_LOAD,
    SIM_OP_STORE,
    SIM_OP_CAS,
    SIM_OP_CAS_FAILED,
    SIM_OP_ADD,
    SIM_OP_SWAP,
    SIM_OP_FENCE,
    SIM_OP_DRAIN,
    SIM_OP_CALL,
    SIM_OP_NOTE
};
void sim_trace_reset(void);
void sim_trace(enum sim_op op, uintptr_t addr, uint64_t value, const void *pc, const char *what);
void sim_trace_print(unsigned last);

/* --- scenarios/ --- */
struct sim_scenario {
    const char *name;
    const char *goal;
    void (*run)(void);
    unsigned exhaust; /* preemptions that are tried exhaustively; 0 not */
};
extern const struct sim_scenario sim_scenarios[];
extern const unsigned sim_nr_scenarios;
void sim_warm_up(void); /* a run of the runtime that cannot fail */

#endif
