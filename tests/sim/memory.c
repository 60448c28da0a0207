/*
 * Shared words: what an atomic operation does, and when others see it.
 *
 * Both kinds of machine: a store may wait in its thread's buffer while that goes on; the thread
 * itself sees it. An atomic read-modify-write and a full fence wait until the buffer is empty. x86:
 * stores leave in order, a read-modify-write is a full fence as well, loads are never early. Weak
 * (aarch64): stores leave in any order, except that those to one word keep theirs, and a release
 * waits for all before it. A load may be
 * early: it may give any value that the word had since the last acquire or fence of its thread,
 * though never an older one than the thread has seen there; also before the read-modify-write that
 * stands before it, whose own load it may not pass.
 *
 * Vector clocks of plain memory (race.c) travel with release and acquire only: a fence publishes
 * nothing (DESIGN.md, "Conventions").
 */
#include "sim.h"

#include "base/atomic.h"

#include <string.h>

#define HISTORY 4
#define EARLY_STEPS 300 /* a load is not earlier than that */
#define HELD_STEPS 2000 /* a store is not later than that */
#define NR_PLACES 8192  /* power of two */
#define STACK_REACH 16384

struct write {
    uint64_t value;
    uint64_t step;
    bool release;
    struct sim_vc vc;
};

/* A word that was written in this seed. */
struct place {
    uintptr_t addr;
    uint32_t run;
    uint32_t nr;                /* writes so far; the last HISTORY are kept */
    uint32_t seen[SIM_THREADS]; /* number of the newest write that a thread knows of */
    struct write last[HISTORY];
};

static struct place place[NR_PLACES];
static uint32_t this_run;

void sim_memory_reset(void)
{
    this_run++;
}

static struct place *place_find(uintptr_t addr, bool make)
{
    size_t i = (addr >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 51;

    for (unsigned probes = 0; probes < NR_PLACES; probes++, i = (i + 1) % NR_PLACES) {
        struct place *p = &place[i];

        if (p->run != this_run) {
            if (!make)
                return NULL;
            p->addr = addr;
            p->run = this_run;
            p->nr = 0;
            memset(p->seen, 0, sizeof(p->seen));
            return p;
        }
        if (p->addr == addr)
            return p;
    }
    sim_fail("the simulator has no room for more words");
}

static uint64_t peek(uintptr_t addr, uint32_t bytes)
{
    return bytes == 8 ? *(const uint64_t *)addr : *(const uint32_t *)addr;
}

static void poke(uintptr_t addr, uint32_t bytes, uint64_t value)
{
    if (bytes == 8)
        *(uint64_t *)addr = value;
    else
        *(uint32_t *)addr = (uint32_t)value;
}

/*
 * The history of a word as memory has it. A plain write in between (an initialisation) begins a new
 * one.
 */
static struct place *history(uintptr_t addr, uint32_t bytes, bool make)
{
    struct place *p = place_find(addr, make);

    if (p && p->nr && p->last[(p->nr - 1) % HISTORY].value != peek(addr, bytes)) {
        p->nr = 0;
        memset(p->seen, 0, sizeof(p->seen));
    }
    return p;
}

static void commit(struct sim_thread *t, uintptr_t addr, uint32_t bytes, uint64_t value,
                   const struct sim_vc *release)
{
    struct place *p = history(addr, bytes, true);
    struct write *w;

    if (p->nr == 0) { /* what was there before */
        p->last[0] = (struct write){.value = peek(addr, bytes)};
        p->nr = 1;
    }
    w = &p->last[p->nr % HISTORY];
    w->value = value;
    w->step = sim.steps;
    w->release = release != NULL;
    if (release)
        w->vc = *release;
    p->nr++;
    p->seen[t->id] = p->nr;
    poke(addr, bytes, value);
}

/* --- buffers --- */

static void drain_one(struct sim_thread *t, unsigned i)
{
    struct sim_store s = t->buffer[i];

    memmove(&t->buffer[i], &t->buffer[i + 1], (t->nr_buffered - i - 1) * sizeof(s));
    t->nr_buffered--;
    sim.nr_buffered--;
    if (sim.tracing) {
        struct sim_thread *self = sim.self;

        sim.self = t;
        sim_trace(SIM_OP_DRAIN, s.addr, s.value, s.pc, NULL);
        sim.self = self;
    }
    commit(t, s.addr, s.bytes, s.value, s.release ? &s.vc : NULL);
}

void sim_drain(struct sim_thread *t)
{
    while (t->nr_buffered)
        drain_one(t, 0);
}

/* May this one leave before those ahead of it? */
static bool may_leave(const struct sim_thread *t, unsigned i)
{
    if (i == 0)
        return true;
    if (sim.config.memory == SIM_MEMORY_X86 || t->buffer[i].release)
        return false;
    for (unsigned k = 0; k < i; k++)
        if (t->buffer[k].addr == t->buffer[i].addr)
            return false;
    return true;
}

void sim_drain_some(void)
{
    for (unsigned i = 0; i < sim.nr_threads; i++) {
        struct sim_thread *t = &sim.thread[i];
        unsigned k = 0;

        while (k < t->nr_buffered) {
            bool stays = !may_leave(t, k) || (sim.steps - t->buffer[k].step < HELD_STEPS &&
                                              sim_choose(SIM_CHOOSE_DRAIN, 2));

            if (stays)
                k++;
            else
                drain_one(t, k);
            if (stays && sim.config.memory == SIM_MEMORY_X86)
                break;
        }
    }
}

void sim_membarrier(void)
{
    for (unsigned i = 0; i < sim.nr_threads; i++) {
        sim_drain(&sim.thread[i]);
        sim.thread[i].load_from = sim.steps;
    }
}

void sim_memory_enter(void)
{
    sim_drain(sim.self);
    sim.self->load_from = sim.steps;
}

/* --- clocks --- */

static void acquire(struct sim_thread *t, const struct write *w)
{
    if (w->release)
        sim_vc_join(&t->hb, &w->vc);
}

/* The thread's clock as a release publishes it; what follows belongs to the next tick. */
static struct sim_vc release_vc(struct sim_thread *t)
{
    struct sim_vc vc = t->hb;

    t->hb.at[t->id]++;
    return vc;
}

void sim_hb_send(struct sim_vc *to)
{
    struct sim_vc vc = release_vc(sim.self);

    sim_vc_join(to, &vc);
}

void sim_hb_receive(const struct sim_vc *from)
{
    sim_vc_join(&sim.self->hb, from);
}

/* --- loads --- */

/*
 * Which write an early load gives: any that was the newest at some step since load_from, not older
 * than what the thread has seen.
 */
static uint32_t early(struct sim_thread *t, const struct place *p)
{
    uint32_t newest = p->nr - 1, oldest = newest;

    while (oldest > 0 && newest - oldest < HISTORY - 1 && oldest >= p->seen[t->id]) {
        uint64_t replaced = p->last[oldest % HISTORY].step;

        if (replaced <= t->load_from || sim.steps - replaced > EARLY_STEPS)
            break;
        oldest--;
    }
    return newest - sim_choose(SIM_CHOOSE_STALE, newest - oldest + 1);
}

/*
 * In a frame of the stack that we stand on, most likely. What this thread has stored there, by
 * another coroutine's hand, is in memory before it goes on: frames are written to by plain
 * instructions, which pass no buffer here, and none of a real thread's stores to one place is
 * overtaken by an older one.
 */
static bool on_this_stack(uintptr_t addr)
{
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

    return addr - sp < STACK_REACH;
}

static uint64_t load(const void *word, uint32_t bytes, bool acq, const void *pc)
{
    uintptr_t addr = (uintptr_t)word;
    struct sim_thread *t;
    struct place *p;
    uint64_t value;

    if (sim.quiet)
        return peek(addr, bytes);
    sim_point();
    t = sim.self;
    sim_touch(word, 0, false, pc);
    for (unsigned i = t->nr_buffered; i-- > 0;) {
        if (t->buffer[i].addr == addr) {
            value = t->buffer[i].value;
            if (sim.tracing)
                sim_trace(SIM_OP_LOAD, addr, value, pc, "own");
            if (on_this_stack(addr))
                sim_drain(t);
            return value;
        }
    }
    p = history(addr, bytes, false);
    value = peek(addr, bytes);
    if (p && p->nr) {
        uint32_t i = sim.config.memory == SIM_MEMORY_WEAK ? early(t, p) : p->nr - 1;
        const struct write *w = &p->last[i % HISTORY];

        value = w->value;
        p->seen[t->id] = i + 1 > p->seen[t->id] ? i + 1 : p->seen[t->id];
        if (acq) {
            acquire(t, w);
            t->load_from = w->step > t->load_from ? w->step : t->load_from;
        }
    }
    if (sim.tracing)
        sim_trace(SIM_OP_LOAD, addr, value, pc, acq ? "acq" : "rlx");
    return value;
}

/* --- stores --- */

static bool must_wait(const struct sim_thread *t, uintptr_t addr, bool rel)
{
    if (!t->nr_buffered)
        return false;
    if (sim.config.memory == SIM_MEMORY_X86 || rel)
        return true;
    for (unsigned i = 0; i < t->nr_buffered; i++)
        if (t->buffer[i].addr == addr)
            return true;
    return false;
}

static void store(void *word, uint32_t bytes, uint64_t value, bool rel, const void *pc)
{
    uintptr_t addr = (uintptr_t)word;
    struct sim_thread *t;
    struct sim_vc vc;

    sim_point();
    t = sim.self;
    sim_touch(word, 0, true, pc);
    if (rel)
        vc = release_vc(t);
    if (sim.tracing)
        sim_trace(SIM_OP_STORE, addr, value, pc, rel ? "rel" : "rlx");
    if (!must_wait(t, addr, rel) && !sim_choose(SIM_CHOOSE_BUFFER, 2)) {
        commit(t, addr, bytes, value, rel ? &vc : NULL);
        return;
    }
    if (t->nr_buffered == SIM_BUFFER)
        drain_one(t, 0);
    t->buffer[t->nr_buffered] = (struct sim_store){
        .addr = addr, .value = value, .step = sim.steps, .bytes = bytes, .release = rel, .pc = pc};
    if (rel)
        t->buffer[t->nr_buffered].vc = vc;
    t->nr_buffered++;
    sim.nr_buffered++;
}

/* --- read, modify, write --- */

enum rmw { RMW_CAS, RMW_ADD, RMW_OR, RMW_AND, RMW_SWAP };

static uint64_t modified(enum rmw how, uint64_t old, uint64_t v)
{
    switch (how) {
    case RMW_ADD:
        return old + v;
    case RMW_OR:
        return old | v;
    case RMW_AND:
        return old & v;
    default:
        return v;
    }
}

/*
 * Returns the value before; *done: it was written (a CAS may find another value than it expects).
 */
static uint64_t rmw(void *word, uint32_t bytes, enum rmw how, uint64_t expect, uint64_t v,
                    bool *done, const void *pc)
{
    uintptr_t addr = (uintptr_t)word;
    struct sim_thread *t;
    struct place *p;
    struct sim_vc vc;
    uint64_t old, new;

    sim_point();
    t = sim.self;
    sim_touch(word, 0, true, pc);
    sim_drain(t);
    old = peek(addr, bytes);
    new = modified(how, old, v);
    new = bytes == 4 ? (uint32_t) new : new;
    *done = how != RMW_CAS || old == expect;
    p = history(addr, bytes, false);
    if (p && p->nr) {
        const struct write *w = &p->last[(p->nr - 1) % HISTORY];

        acquire(t, w);
        p->seen[t->id] = p->nr;
        /* its own load may be as early as the value is old, and later loads only come after that */
        if (sim.config.memory == SIM_MEMORY_WEAK && w->step > t->load_from)
            t->load_from = w->step;
    }
    if (sim.tracing)
        sim_trace(how == RMW_CAS    ? (*done ? SIM_OP_CAS : SIM_OP_CAS_FAILED)
                  : how == RMW_SWAP ? SIM_OP_SWAP
                                    : SIM_OP_ADD,
                  addr, *done ? new : old, pc, NULL);
    if (!*done)
        return old;
    vc = release_vc(t);
    commit(t, addr, bytes, new, &vc);
    return old;
}

/* --- the seam --- */

#define PC __builtin_return_address(0)

uintptr_t lea_word_load_rlx(const lea_word *w)
{
    return load(&w->value_, 8, false, PC);
}

uintptr_t lea_word_load_acq(const lea_word *w)
{
    return load(&w->value_, 8, true, PC);
}

void lea_word_store_rlx(lea_word *w, uintptr_t v)
{
    store(&w->value_, 8, v, false, PC);
}

void lea_word_store_rel(lea_word *w, uintptr_t v)
{
    store(&w->value_, 8, v, true, PC);
}

bool lea_word_cas(lea_word *w, uintptr_t expect, uintptr_t v)
{
    bool done;

    (void)rmw(&w->value_, 8, RMW_CAS, expect, v, &done, PC);
    return done;
}

uintptr_t lea_word_add(lea_word *w, uintptr_t v)
{
    bool done;

    return rmw(&w->value_, 8, RMW_ADD, 0, v, &done, PC);
}

void lea_word_or(lea_word *w, uintptr_t bits)
{
    bool done;

    (void)rmw(&w->value_, 8, RMW_OR, 0, bits, &done, PC);
}

void lea_word_and(lea_word *w, uintptr_t bits)
{
    bool done;

    (void)rmw(&w->value_, 8, RMW_AND, 0, bits, &done, PC);
}

uintptr_t lea_word_swap(lea_word *w, uintptr_t v)
{
    bool done;

    return rmw(&w->value_, 8, RMW_SWAP, 0, v, &done, PC);
}

uint32_t lea_u32_load_rlx(const lea_u32 *w)
{
    return (uint32_t)load(&w->value_, 4, false, PC);
}

uint32_t lea_u32_load_acq(const lea_u32 *w)
{
    return (uint32_t)load(&w->value_, 4, true, PC);
}

void lea_u32_store_rlx(lea_u32 *w, uint32_t v)
{
    store(&w->value_, 4, v, false, PC);
}

void lea_u32_store_rel(lea_u32 *w, uint32_t v)
{
    store(&w->value_, 4, v, true, PC);
}

bool lea_u32_cas(lea_u32 *w, uint32_t expect, uint32_t v)
{
    bool done;

    (void)rmw(&w->value_, 4, RMW_CAS, expect, v, &done, PC);
    return done;
}

uint32_t lea_u32_add(lea_u32 *w, uint32_t v)
{
    bool done;

    return (uint32_t)rmw(&w->value_, 4, RMW_ADD, 0, v, &done, PC);
}

uint32_t lea_u32_swap(lea_u32 *w, uint32_t v)
{
    bool done;

    return (uint32_t)rmw(&w->value_, 4, RMW_SWAP, 0, v, &done, PC);
}

void lea_word_count(lea_word *w, uintptr_t n)
{
    w->value_ += n;
}

static void fence(const void *pc)
{
    sim_point();
    sim_drain(sim.self);
    sim.self->load_from = sim.steps;
    if (sim.tracing)
        sim_trace(SIM_OP_FENCE, 0, 0, pc, NULL);
}

void lea_fence_full(void)
{
    fence(PC);
}

void lea_fence_after_rmw(void)
{
    if (sim.config.memory == SIM_MEMORY_WEAK)
        fence(PC);
}

void lea_fence_before_look(void)
{
    lea_fence_after_rmw();
}

void lea_pause(void)
{
    sim_yield();
    sim_advance(40);
}
