/*
 * Do the oracles fire? Each violation here is committed on purpose, by hand, and must be found for
 * what it is.
 */
#include "driver.h"

#include "scenarios/kit.h"

#include "base/os.h"
#include "os_fd.h"
#include "sched/find.h"
#include "sched/sched.h"

#include <stdio.h>
#include <string.h>

void *mallocx(size_t bytes, int flags);

static struct lea_runtime *rt;
static struct lea_proc *other; /* whose worker sleeps */

/* Both others' worker and the monitor are at rest, or nearly. */
static void begin(void)
{
    rt = lea_rt();
    (void)leat_sleep(3 * LEAT_MSEC);
    other = lea_self()->proc == rt->proc[0] ? rt->proc[1] : rt->proc[0];
}

/* So that the oracles look. */
static void go_on(void)
{
    for (int i = 0; i < 40; i++)
        sim_point();
}

static struct lea_co *fake(uint32_t state)
{
    struct lea_co *co = sim_arena_alloc(sizeof(*co), LEA_CACHELINE);

    co->id.value_ = 77;
    co->state.value_ = state;
    co->timer_ns.value_ = LEA_TIMER_NONE;
    return co;
}

static void nothing(void)
{
}

/* A coroutine that was spawned, and is in no queue. */
static struct lea_co *taken_out(void)
{
    sim_check(go(nothing) == 0, "go failed");
    return lea_lifo_pop(&lea_self()->proc->lifo, false);
}

static void sleeps(struct lea_co **self)
{
    *self = lea_self()->co;
    (void)leat_sleep(20 * LEAT_MSEC);
}

static struct lea_co *asleep(void)
{
    static struct lea_co *co;

    co = NULL;
    sim_check(go(sleeps, &co) == 0, "go failed");
    (void)leat_sleep(LEAT_MSEC);
    return co;
}

/* --- in a run --- */

static int two_places(void *arg)
{
    (void)arg;
    begin();
    rt->proc[0]->next.value_ = rt->proc[1]->next.value_ = (uintptr_t)fake(LEA_READY);
    go_on();
    return 0;
}

static int not_ready(void *arg)
{
    (void)arg;
    begin();
    other->next.value_ = (uintptr_t)fake(LEA_WAITING);
    go_on();
    return 0;
}

static int ring_stands(void *arg)
{
    (void)arg;
    begin();
    other->ring[LEA_CLASS_NORMAL]
        .slot[other->ring[LEA_CLASS_NORMAL].tail.value_ % LEA_RUNQ_CAP]
        .value_ = (uintptr_t)fake(LEA_READY);
    other->ring[LEA_CLASS_NORMAL].tail.value_++;
    go_on();
    other->count[LEA_COUNT_RUN].value_ += 200;
    go_on();
    return 0;
}

/* And what the monitor has had to say of that is over. */
static void begin_settled(void)
{
    begin();
    kit_burn(10 * LEAT_MSEC);
}

/* Somebody computes all the time: it is never at rest. */
static void busy(int64_t ns)
{
    for (int64_t until = sim.now_ns + ns; sim.now_ns < until;) {
        sim_advance(50 * LEAT_USEC);
        go_on();
    }
}

static int work_waits(void *arg)
{
    (void)arg;
    begin_settled();
    other->next.value_ = (uintptr_t)fake(LEA_READY);
    busy(20 * LEAT_MSEC);
    return 0;
}

static int work_waits_at_rest(void *arg)
{
    (void)arg;
    begin_settled();
    other->next.value_ = (uintptr_t)fake(LEA_READY);
    kit_burn(20 * LEAT_MSEC);
    return 0;
}

/* Passes: one after the other waits there, none for long. */
static int work_changes(void *arg)
{
    (void)arg;
    begin_settled();
    for (int i = 0; i < 20; i++) {
        other->next.value_ = (uintptr_t)fake(LEA_READY);
        busy(LEAT_MSEC);
    }
    other->next.value_ = 0;
    return 0;
}

/* Passes: it runs now and then. */
static int work_runs(void *arg)
{
    struct lea_co *co;

    (void)arg;
    begin_settled();
    co = fake(LEA_READY);
    for (int i = 0; i < 20; i++) {
        other->next.value_ = (uintptr_t)co;
        busy(LEAT_MSEC);
        other->next.value_ = 0;
        other->worker->co = co;
        sim_point();
        other->worker->co = NULL;
    }
    return 0;
}

static int ready_lost(void *arg)
{
    (void)arg;
    begin();
    (void)taken_out();
    kit_burn(LEAT_MSEC);
    return 0;
}

static int running_lost(void *arg)
{
    (void)arg;
    begin();
    asleep()->state.value_ = LEA_RUNNING;
    kit_burn(LEAT_MSEC);
    return 0;
}

static int processor_lost(void *arg)
{
    (void)arg;
    begin();
    other->owner.value_ = lea_proc_word(9, 0, LEA_PROC_TAKEN);
    kit_burn(LEAT_MSEC);
    return 0;
}

static int timer_lost(void *arg)
{
    (void)arg;
    begin();
    (void)asleep();
    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        rt->proc[i]->timers.n = 0;
        rt->proc[i]->timers.first_ns.value_ = UINTPTR_MAX;
    }
    kit_burn(100 * LEAT_MSEC);
    return 0;
}

static void reads(int fd)
{
    char c;

    sim_check(leat_read(fd, &c, 1, LEAT_FOREVER) != 2, "a byte is two");
}

static int edge_lost(void *arg)
{
    int fd[2];

    (void)arg;
    begin();
    sim_check(leat_pipe(fd) == 0 && go(reads, fd[0]) == 0, "no reader");
    (void)leat_sleep(LEAT_MSEC);
    sim_file_of(fd[0])->len = 1; /* a byte, and no edge */
    kit_burn(LEAT_MSEC);
    return 0;
}

static void stays(void)
{
    for (;;)
        kit_burn(LEAT_SEC);
}

static int left_over(void *arg)
{
    (void)arg;
    return go(stays);
}

#define IN_A_RUN(name)                                                                             \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        kit_run(2, 0, name, NULL);                                                                 \
    }
IN_A_RUN(two_places)
IN_A_RUN(not_ready)
IN_A_RUN(ring_stands)
IN_A_RUN(work_waits)
IN_A_RUN(work_waits_at_rest)
IN_A_RUN(work_changes)
IN_A_RUN(work_runs)
IN_A_RUN(ready_lost)
IN_A_RUN(running_lost)
IN_A_RUN(processor_lost)
IN_A_RUN(timer_lost)
IN_A_RUN(edge_lost)
IN_A_RUN(left_over)

/* --- without one --- */

static uint64_t *cell;

static void *touches(void *arg)
{
    sim_touch(cell, sizeof(*cell), arg != NULL, touches);
    return NULL;
}

static void touch_both(void *second)
{
    struct sim_thread *t[2];

    cell = sim_arena_alloc(sizeof(*cell), 64);
    t[0] = kit_thread(touches, &cell);
    t[1] = kit_thread(touches, second);
    kit_join(t[0]);
    kit_join(t[1]);
}

static void race_write(void)
{
    touch_both(&cell);
}

/* Passes: what the kernel orders is no race. */
static void no_race(void)
{
    cell = sim_arena_alloc(sizeof(*cell), 64);
    kit_join(kit_thread(touches, &cell));
    kit_join(kit_thread(touches, &cell));
}

static void after_free(void)
{
    cell = sim_arena_alloc(sizeof(*cell), 64);
    sim_arena_free(cell, sizeof(*cell));
    (void)touches(NULL);
}

static void after_unmap(void)
{
    cell = lea_os_map(3 * 4096, 3);
    (void)lea_os_unmap(cell, 3 * 4096);
    (void)touches(NULL);
}

/* As large as the stacks of a run. */
static void after_unmap_large(void)
{
    cell = lea_os_map((size_t)64 << 20, 3);
    (void)lea_os_unmap(cell, (size_t)64 << 20);
    cell += 1000000;
    (void)touches(NULL);
}

static void still_mapped(void)
{
    (void)lea_os_map(1, 3);
}

static void still_allocated(void)
{
    (void)mallocx(8, 0);
}

static void still_open(void)
{
    int fd[2];

    (void)lea_os_pipe2(fd, 0);
}

static void not_joined(void)
{
    (void)kit_thread(touches, NULL);
    cell = sim_arena_alloc(sizeof(*cell), 64);
    kit_burn(LEAT_MSEC);
}

static void hang(void)
{
    lea_u32 *word = sim_arena_alloc(sizeof(*word), 64);

    (void)lea_os_futex_wait(word, 0, INT64_MAX);
}

static void no_progress(void)
{
    for (;;)
        sim_point();
}

static void stops(void)
{
    struct lea_lock *lock = sim_arena_alloc(sizeof(*lock), 64);

    lea_lock_drop_slow(lock);
}

static void crash(void)
{
    __builtin_trap();
}

static const struct violation {
    struct sim_scenario scenario;
    const char *expected; /* how what is said begins; NULL: it must pass */
} violations[] = {
    {{"two_places", "", run_two_places, 0}, "coroutine 77 in two places"},
    {{"not_ready", "", run_not_ready, 0},
     "coroutine 77 is in a next slot, and its state is waiting"},
    {{"ring_stands", "", run_ring_stands, 0}, "somebody is first in a ring"},
    {{"ready_lost", "", run_ready_lost, 0}, "coroutine * is lost: it is ready"},
    {{"running_lost", "", run_running_lost, 0}, "coroutine * is lost: it runs"},
    {{"processor_lost", "", run_processor_lost, 0}, "processor * is lost"},
    {{"work_waits", "", run_work_waits, 0}, "a coroutine has waited in a next slot"},
    {{"work_waits_at_rest", "", run_work_waits_at_rest, 0},
     "a coroutine has waited in a next slot"},
    {{"work_changes", "", run_work_changes, 0}, NULL},
    {{"work_runs", "", run_work_runs, 0}, NULL},
    {{"timer_lost", "", run_timer_lost, 0}, "coroutine *: its timer is"},
    {{"edge_lost", "", run_edge_lost, 0}, "coroutine * waits to read descriptor"},
    {{"left_over", "", run_left_over, 0}, "left over at the end"},
    {{"race_write", "", race_write, 0}, "data race, a write"},
    {{"no_race", "", no_race, 0}, NULL},
    {{"after_free", "", after_free, 0}, "use after free"},
    {{"after_unmap", "", after_unmap, 0}, "use after unmap"},
    {{"after_unmap_large", "", after_unmap_large, 0}, "use after unmap"},
    {{"still_mapped", "", still_mapped, 0}, "4096 bytes are still mapped"},
    {{"still_allocated", "", still_allocated, 0}, "1 objects of the heap"},
    {{"still_open", "", still_open, 0}, "2 descriptors are still open"},
    {{"not_joined", "", not_joined, 0}, "thread thread-1 was never joined"},
    {{"hang", "", hang, 0}, "hang: nobody can run any more"},
    {{"no_progress", "", no_progress, 0}, "no progress"},
    {{"stops", "", stops, 0}, "the runtime stopped the program"},
    {{"crash", "", crash, 0}, "crash"},
};

/* A '*' stands for one word. */
static bool begins(const char *text, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (*text++ != *pattern)
                return false;
            continue;
        }
        while (*text && *text != ' ' && *text != ':')
            text++;
    }
    return true;
}

#define SEEDS 3 /* with quiet machines, so that nothing else happens */

int sim_violations_all(const struct options *o)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
        const struct violation *v = &violations[i];

        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            char why[1024];
            bool failed = sim_try(o, &v->scenario, seed, why);
            bool right = v->expected ? failed && begins(why, v->expected) : !failed;

            if (right)
                continue;
            wrong++;
            printf("%s:%llu: %s, and not: %s\n", v->scenario.name, (unsigned long long)seed,
                   failed ? why : "passes", v->expected ? v->expected : "passes");
        }
    }
    wrong += sim_litmus_all(o);
    printf("%u violations that were not found for what they are\n", wrong);
    return wrong ? 1 : 0;
}
