/*
 * Plain memory: the arena that all of the simulated program's memory comes from, and for every 8
 * bytes of it who last touched them.
 *
 * The runtime is compiled with -fsanitize=thread, and the functions that the compiler calls at each
 * plain access are these. Two accesses to the same byte, one of them a write, by virtual threads
 * whose vector clocks do not order them: a publication lacks its release, or its acquire.
 *
 * A cell keeps up to four accesses, as ThreadSanitizer does. Clocks only grow from seed to seed, so
 * old cells need not be cleared. Nothing is given out twice in a seed: what was freed stays marked,
 * and touching it is an error.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define NR_PAGES (SIM_ARENA_BYTES / PAGE)
#define CELL_ACCESSES 4
#define LARGE_BYTES ((size_t)16 << 20)
#define NR_LARGE 64

/* clock 32 | thread 8 | bytes 8 (a bit each) | write 1 */
struct cell {
    uint64_t access[CELL_ACCESSES];
};

enum page_state { PAGE_NONE, PAGE_USED, PAGE_FREED };

static char *arena;
static struct cell *shadow;
static uint32_t page_state[NR_PAGES]; /* run << 2 | enum page_state */
static uint32_t this_run;
/* Mappings too large to be marked page by page, that were given back in this seed. */
static struct {
    size_t at, end;
} large[NR_LARGE];
static unsigned nr_large;
static size_t used; /* bytes handed out, after the virtual threads' stacks */

#define RESET_BYTES ((size_t)64 << 10)
#define STACKS_BYTES (SIM_THREADS * SIM_STACK_BYTES)

/*
 * Marks memory that was given back in this seed: of no thread, with a clock that is long past in
 * any later seed.
 */
static uint64_t freed(void)
{
    return (uint64_t)this_run << 32 | UINT64_C(0xffffffff);
}

static void *reserve(size_t bytes)
{
    /* at a fixed place, so that a seed sees the same addresses in every process */
    static uintptr_t at = UINT64_C(0x200000000000);
    void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (p == MAP_FAILED) {
        perror("sim: the arena cannot be mapped");
        exit(2);
    }
    at += bytes;
    return p;
}

void sim_race_init(void)
{
    arena = reserve(SIM_ARENA_BYTES);
    shadow = reserve(SIM_ARENA_BYTES / 8 * sizeof(struct cell));
    (void)madvise(arena, SIM_ARENA_BYTES, MADV_NOHUGEPAGE);
    (void)madvise(shadow, SIM_ARENA_BYTES / 8 * sizeof(struct cell), MADV_NOHUGEPAGE);
}

void sim_race_reset(void)
{
    if (used <=
        /* small scenarios, by the hundred thousand: cheaper than to fault the pages in again */
        RESET_BYTES)
        memset(arena + STACKS_BYTES, 0, used);
    else
        (void)madvise(arena + STACKS_BYTES, (used + PAGE - 1) / PAGE * PAGE, MADV_DONTNEED);
    used = 0;
    nr_large = 0;
    this_run = (this_run + 1) & 0x3fffffff;
    for (size_t i = 0; i < STACKS_BYTES / PAGE; i++)
        page_state[i] = this_run << 2 | PAGE_USED;
}

char *sim_thread_stack(unsigned id)
{
    return arena + id * SIM_STACK_BYTES;
}

bool sim_arena_has(const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)arena < SIM_ARENA_BYTES;
}

void *sim_arena_alloc(size_t bytes, size_t align)
{
    size_t at = (used + align - 1) & ~(align - 1);
    size_t end = (at + bytes + 15) & ~(size_t)15;

    if (STACKS_BYTES + end > SIM_ARENA_BYTES)
        return NULL;
    for (size_t page = (STACKS_BYTES + at) / PAGE;
         page <= (STACKS_BYTES + end - 1) / PAGE && end - at < LARGE_BYTES; page++)
        page_state[page] = this_run << 2 | PAGE_USED;
    used = end;
    return arena + STACKS_BYTES + at;
}

void sim_arena_free(void *addr, size_t bytes)
{
    size_t at = (size_t)((char *)addr - arena);

    if (bytes >= LARGE_BYTES) {
        if (nr_large < NR_LARGE) {
            large[nr_large].at = at;
            large[nr_large++].end = at + bytes;
        }
        return;
    }
    if (bytes >= PAGE && at % PAGE == 0) {
        for (size_t page = at / PAGE; page < (at + bytes + PAGE - 1) / PAGE; page++)
            page_state[page] = this_run << 2 | PAGE_FREED;
        return;
    }
    for (size_t c = at / 8; c < (at + bytes + 7) / 8; c++)
        shadow[c].access[0] = freed();
}

static unsigned access_thread(uint64_t a)
{
    return (unsigned)(a >> 24) & 0xff;
}

static const char *place_name(const void *addr)
{
    static char text[64];

    snprintf(text, sizeof(text), "%p", addr);
    return text;
}

static void report(const char *what, const void *addr, const void *pc, uint64_t other)
{
    sim_trace(SIM_OP_NOTE, (uintptr_t)addr, 0, pc, what);
    if (other)
        sim_fail("%s: thread %u at %s, code %p; thread %u before, unordered", what, sim.self->id,
                 place_name(addr), pc, access_thread(other));
    sim_fail("%s: thread %u at %s, code %p", what, sim.self->id, place_name(addr), pc);
}

static void check_cell(struct cell *c, unsigned mask, bool write, const void *addr, const void *pc)
{
    struct sim_thread *t = sim.self;
    uint64_t now =
        (uint64_t)t->hb.at[t->id] << 32 | (uint64_t)t->id << 24 | (uint64_t)mask << 16 | write;
    unsigned slot = CELL_ACCESSES;

    if (c->access[0] == freed())
        report("use after free", addr, pc, 0);
    for (unsigned i = 0; i < CELL_ACCESSES; i++) {
        uint64_t a = c->access[i] >> 32 < sim.clock_base
                         ? 0
                         : c->access[i]; /* of an earlier seed: as if it were not there */
        unsigned thread = access_thread(a), bytes = (unsigned)(a >> 16) & 0xff;
        bool ordered = thread == t->id || (uint32_t)(a >> 32) <= t->hb.at[thread % SIM_THREADS];

        if (a == now)
            return;
        if (!ordered && (bytes & mask) && (write || (a & 1)))
            report(write ? "data race, a write" : "data race, a read", addr, pc, a);
        /* what races with an earlier one later on would race with this one too */
        if (ordered && !(bytes & ~mask) && (write || !(a & 1)))
            slot = i;
    }
    c->access[slot < CELL_ACCESSES ? slot : (sim.steps & (CELL_ACCESSES - 1))] = now;
}

void sim_touch(const void *addr, size_t bytes, bool write, const void *pc)
{
    uintptr_t at = (uintptr_t)addr - (uintptr_t)arena;
    uint32_t state;

    if (at >= SIM_ARENA_BYTES || !sim.self || sim.quiet)
        return;
    state = page_state[at / PAGE];
    if (state == (this_run << 2 | PAGE_FREED))
        report("use after unmap", addr, pc, 0);
    for (unsigned i = 0; i < nr_large; i++)
        if (at >= large[i].at && at < large[i].end)
            report("use after unmap", addr, pc, 0);
    if (bytes == 0) { /* an atomic: only whether it is there */
        if (shadow[at / 8].access[0] == freed())
            report("use after free", addr, pc, 0);
        return;
    }
    while (bytes) {
        size_t from = at % 8, n = 8 - from < bytes ? 8 - from : bytes;

        check_cell(&shadow[at / 8], (unsigned)((1u << n) - 1) << from, write, arena + at, pc);
        at += n;
        bytes -= n;
    }
}

/* --- what the compiler calls --- */

#define PC __builtin_return_address(0)

#define HOOKS(n)                                                                                   \
    void __tsan_read##n(void *addr);                                                               \
    void __tsan_write##n(void *addr);                                                              \
    void __tsan_unaligned_read##n(void *addr);                                                     \
    void __tsan_unaligned_write##n(void *addr);                                                    \
    void __tsan_read##n(void *addr)                                                                \
    {                                                                                              \
        sim_touch(addr, n, false, PC);                                                             \
    }                                                                                              \
    void __tsan_write##n(void *addr)                                                               \
    {                                                                                              \
        sim_touch(addr, n, true, PC);                                                              \
    }                                                                                              \
    void __tsan_unaligned_read##n(void *addr)                                                      \
    {                                                                                              \
        sim_touch(addr, n, false, PC);                                                             \
    }                                                                                              \
    void __tsan_unaligned_write##n(void *addr)                                                     \
    {                                                                                              \
        sim_touch(addr, n, true, PC);                                                              \
    }

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_init(void);
void __tsan_read_range(void *addr, unsigned long bytes);
void __tsan_write_range(void *addr, unsigned long bytes);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

void __tsan_init(void)
{
}

void __tsan_read_range(void *addr, unsigned long bytes)
{
    sim_touch(addr, bytes, false, PC);
}

void __tsan_write_range(void *addr, unsigned long bytes)
{
    sim_touch(addr, bytes, true, PC);
}

void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void)
{
}
