/*
 * Scenarios: many readers or one writer, by plain threads alone and under the whole scheduler. What
 * is protected lies in memory that is watched: a writer beside anybody is a data race, or an odd
 * count.
 */
#include "kit.h"

#include "all.h"
#include "sync/rwmutex.h"

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

#define PARTIES 5

struct shared {
    leat_rwmutex rw;
    uint64_t value;
};

static struct {
    struct shared *x;
    unsigned rounds, ended, readers, writers, written, gave_up, arrived;
    unsigned moves; /* how a reader stays inside: 0 not, 1 it yields, 2 it sleeps */
    int64_t patience_ns;
    bool wrote, queued;
    leat_handle *handle[PARTIES];
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    s.rounds = 1 + sim_shape(3);
    s.patience_ns = 200 + (int64_t)sim_shape(60) * 500;
}

/* --- inside --- */

static uint64_t look(void)
{
    sim_touch(&s.x->value, 8, false, HERE);
    return s.x->value;
}

static void reading(void)
{
    uint64_t before;

    sim_check(s.writers == 0, "a reader beside a writer");
    s.readers++;
    before = look();
    sim_point();
    if (s.moves == 1)
        leat_yield();
    else if (s.moves == 2)
        (void)leat_sleep(300);
    sim_check(look() == before && s.writers == 0, "somebody wrote beside a reader");
    s.readers--;
    leat_rwmutex_runlock(&s.x->rw);
}

static void writing(void)
{
    sim_check(s.writers == 0 && s.readers == 0, "a writer beside %u writers and %u readers",
              s.writers, s.readers);
    s.writers++;
    sim_touch(&s.x->value, 8, true, HERE);
    s.x->value++;
    sim_point();
    if (s.moves == 2)
        (void)leat_sleep(200);
    s.written++;
    s.writers--;
    leat_rwmutex_unlock(&s.x->rw);
}

enum how { PATIENT, TRIES, IMPATIENT, NR_HOWS };

static void once(bool writes, enum how how)
{
    int r = 0;

    if (how == PATIENT && writes)
        leat_rwmutex_lock(&s.x->rw);
    else if (how == PATIENT)
        leat_rwmutex_rlock(&s.x->rw);
    else if (how == TRIES)
        r = writes ? leat_rwmutex_try(&s.x->rw) : leat_rwmutex_rtry(&s.x->rw);
    else
        r = writes ? leat_rwmutex_lock_until(&s.x->rw, leat_after(s.patience_ns))
                   : leat_rwmutex_rlock_until(&s.x->rw, leat_after(s.patience_ns));
    if (r != 0) {
        sim_check(how == TRIES ? r == -EAGAIN : r == -ETIMEDOUT || r == -ECANCELED,
                  "locking gave %d", r);
        s.gave_up++;
    } else if (writes) {
        writing();
    } else {
        reading();
    }
}

/* Nobody has it, nobody waits, and both sides can have it. */
static void check_free(void)
{
    leat_rwmutex_destroy(&s.x->rw);
    sim_check(s.x->rw.word_[1] == 0 && s.x->rw.word_[2] == 0, "somebody is still in a list");
    sim_check(leat_rwmutex_rtry(&s.x->rw) == 0, "it cannot be read at the end");
    leat_rwmutex_runlock(&s.x->rw);
    sim_check(leat_rwmutex_try(&s.x->rw) == 0, "it cannot be written at the end");
    leat_rwmutex_unlock(&s.x->rw);
    sim_check(s.x->value == s.written, "%llu was written by %u", (unsigned long long)s.x->value,
              s.written);
}

/* --- plain threads --- */

static void *reader_thread(void *arg)
{
    for (unsigned i = 0; i < s.rounds; i++)
        once(false, (enum how)(uintptr_t)arg);
    return NULL;
}

static void *writer_thread(void *arg)
{
    once(true, (enum how)(uintptr_t)arg);
    return NULL;
}

void scenario_rw_threads(void)
{
    struct sim_thread *t[3];
    unsigned n = 2 + sim_shape(2);

    reset();
    s.rounds = 1 + sim_shape(2);
    t[0] = kit_thread(reader_thread, (void *)(uintptr_t)(sim_shape(2) ? PATIENT : TRIES));
    t[1] = kit_thread(writer_thread, (void *)(uintptr_t)sim_shape(NR_HOWS));
    if (n == 3)
        t[2] = kit_thread(sim_shape(2) ? reader_thread : writer_thread,
                          (void *)(uintptr_t)sim_shape(NR_HOWS));
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
    check_free();
}

/* --- coroutines and threads --- */

static void user(unsigned i)
{
    for (unsigned k = 0; k < s.rounds; k++)
        once(i % 3 == 1, (enum how)((i + k) % NR_HOWS));
    s.ended++;
}

static void *user_thread(void *arg)
{
    user((unsigned)(uintptr_t)arg);
    return NULL;
}

static void (*body)(unsigned i);

static void any_user(unsigned i)
{
    body(i);
}

/* So many users, the last of them plain threads; one may be cancelled. */
static void crowd(unsigned n, unsigned threads, int cancelled, void *(*thread)(void *))
{
    struct sim_thread *t[PARTIES];

    for (unsigned i = 0; i < n; i++)
        if (i >= n - threads)
            t[i] = kit_thread(thread, (void *)(uintptr_t)i);
        else
            sim_check(leat_go_join(&s.handle[i], any_user, i) == 0, "no coroutine");
    if (cancelled >= 0 && (unsigned)cancelled < n - threads)
        leat_cancel(s.handle[cancelled]);
    kit_await(&s.ended, n, "users");
    for (unsigned i = 0; i < n; i++)
        if (i >= n - threads)
            kit_join(t[i]);
        else
            sim_check(leat_join(s.handle[i], NULL, LEAT_FOREVER) == 0, "a join failed");
}

static int rw_main(void *arg)
{
    (void)arg;
    body = user;
    s.moves = sim_shape(3);
    crowd(2 + sim_shape(4), sim_shape(3), sim_shape(2) ? (int)sim_shape(3) : -1, user_thread);
    check_free();
    return 0;
}

void scenario_rw(void)
{
    reset();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, rw_main, NULL);
}

/* --- bias: many reads by few, and a writer now and then --- */

static void bias_user(unsigned i)
{
    if (i == 0) {
        for (unsigned k = 0; k < s.rounds; k++) {
            (void)leat_sleep(s.patience_ns / 8);
            once(true, PATIENT);
        }
    } else {
        for (unsigned k = 0; k < 6; k++) {
            once(false, PATIENT);
            if (k == 3)
                leat_yield();
        }
    }
    s.ended++;
}

static int bias_main(void *arg)
{
    (void)arg;
    body = bias_user;
    s.moves = sim_shape(2);
    crowd(3, 0, -1, NULL);
    check_free();
    return 0;
}

void scenario_rw_bias(void)
{
    reset();
    kit_run(2 + sim_shape(2), 0, bias_main, NULL);
}

/*
 * --- readers that leave without a fence, as if many writers had found them gone by a look, and
 * writers that park for them ---
 */

static void quick_user(unsigned i)
{
    for (unsigned k = 0; k < s.rounds; k++) {
        if (i == 0) {
            leat_rwmutex_lock(&s.x->rw);
            if (lea_rt()->own_slots) /* there is a membarrier */
                lea_word_store_rlx(&lea_rw_inner(&s.x->rw)->quick, LEA_RW_QUICK_WRITES);
            writing();
        } else {
            once(false, PATIENT);
        }
    }
    s.ended++;
}

static int quick_main(void *arg)
{
    (void)arg;
    body = quick_user;
    crowd(2 + sim_shape(2), 0, -1, NULL);
    check_free();
    return 0;
}

void scenario_rw_quick(void)
{
    reset();
    kit_run(2, 0, quick_main, NULL);
}

/*
 * --- one processor, which is taken from readers that call nothing else: a writer beside one that
 * goes on without ---
 */

#define STRAY_RETAKE_US 400u

/* In user code until somebody else has the processor, or for any time. */
static void stray(void)
{
    bool computes = sim_shape(2);

    if (computes)
        kit_burn((int64_t)sim_shape(6) * STRAY_RETAKE_US * LEAT_USEC / 4);
    else
        kit_block((int64_t)sim_shape(6) * STRAY_RETAKE_US * LEAT_USEC / 4);
    if (sim_shape(4))
        kit_until_taken(computes, 100);
}

static void stray_user(unsigned i)
{
    if (i == 0) {
        for (unsigned k = 0; k < s.rounds + 2; k++) {
            once(true, k % 2 ? PATIENT : IMPATIENT);
            if (sim_shape(2))
                leat_yield();
            else
                (void)leat_sleep(s.patience_ns / 8);
        }
    } else {
        for (unsigned k = 0; k < 8; k++) {
            once(false, PATIENT);
            if (k % 4 == i)
                stray();
        }
    }
    s.ended++;
}

static int stray_main(void *arg)
{
    (void)arg;
    body = stray_user;
    crowd(2 + sim_shape(2), 0, -1, NULL);
    check_free();
    return 0;
}

void scenario_rw_stray(void)
{
    leat_config c = {.procs = 1,
                     .max_threads = 10,
                     .retake_us = (int)STRAY_RETAKE_US,
                     .slice_us = 2000,
                     .shutdown_grace_ms = 2000};

    reset();
    kit_run_config(&c, 0, stray_main, NULL);
}

/*
 * --- a writer that gives up: 0 reads for a while, 1 waits to write, 2 comes to read behind it ---
 */

static void drain_user(unsigned i)
{
    if (i == 0) {
        leat_rwmutex_rlock(&s.x->rw);
        s.arrived = 1;
        (void)leat_sleep(s.patience_ns);
        reading();
    } else if (i == 1) {
        while (!*(const volatile unsigned *)&s.arrived)
            (void)leat_sleep(50);
        once(true, IMPATIENT);
    } else {
        (void)leat_sleep(s.patience_ns / 2);
        once(false, PATIENT);
    }
    s.ended++;
}

static void *drain_thread(void *arg)
{
    drain_user((unsigned)(uintptr_t)arg);
    return NULL;
}

static int drain_main(void *arg)
{
    (void)arg;
    body = drain_user;
    crowd(3, sim_shape(3), -1, drain_thread);
    check_free();
    return 0;
}

void scenario_rw_drain(void)
{
    reset();
    kit_run(kit_procs(3), 0, drain_main, NULL);
}

/*
 * --- turns: 0 reads; 1 waits to write; 2 comes later to read, and 3 to write: the order is 1, 2, 3
 * ---
 */

static void turns_user(unsigned i)
{
    switch (i) {
    case 0:
        leat_rwmutex_rlock(&s.x->rw);
        s.arrived = 1;
        while (*(const volatile unsigned *)&s.arrived < 4)
            (void)leat_sleep(500);
        (void)leat_sleep(20 * LEAT_USEC);
        s.readers++;
        sim_check(!s.wrote, "a writer beside a reader");
        s.readers--;
        leat_rwmutex_runlock(&s.x->rw);
        break;
    case 1:
        while (*(const volatile unsigned *)&s.arrived < 1)
            (void)leat_sleep(100);
        s.arrived = 2;
        leat_rwmutex_lock(&s.x->rw);
        s.wrote = true;
        (void)leat_sleep(20 * LEAT_USEC); /* the two others have queued by now, most likely */
        s.queued = s.x->rw.word_[1] != 0;
        (void)leat_sleep(5 * LEAT_USEC); /* more than LEA_HAND_OVER_NS here */
        writing();
        break;
    case 2:
        while (!*(const volatile uint64_t *)&s.x->rw.word_[2]) /* the writer waits for the reader */
            (void)leat_sleep(100);
        sim_check(leat_rwmutex_rtry(&s.x->rw) == -EAGAIN, "a reader passed by a writer that waits");
        s.arrived = 3;
        leat_rwmutex_rlock(&s.x->rw);
        sim_check(s.wrote, "a reader passed by a writer that waits");
        s.arrived = 5;
        reading();
        break;
    default:
        while (*(const volatile unsigned *)&s.arrived < 3)
            (void)leat_sleep(100);
        s.arrived = 4;
        leat_rwmutex_lock(&s.x->rw);
        sim_check(s.wrote, "the second writer came first");
        sim_check(s.arrived == 5 || !s.queued,
                  "a writer overtook a reader that had waited for long");
        writing();
        break;
    }
    s.ended++;
}

static int turns_main(void *arg)
{
    (void)arg;
    body = turns_user;
    s.moves = sim_shape(2);
    crowd(4, 0, -1, NULL);
    check_free();
    return 0;
}

void scenario_rw_turns(void)
{
    reset();
    kit_run(kit_procs(3), 0, turns_main, NULL);
}
