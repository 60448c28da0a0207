/*
 * Spawning: ids, names, settings, arguments of every size, plain threads, and a storm.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

/* --- ids --- */

#define NR_SPAWNERS 8u
#define NR_EACH 2500u
#define NR_IDS (NR_SPAWNERS * NR_EACH)

struct ids {
    uint64_t id[NR_IDS];
    atomic_ulong n;
    bool same; /* asked twice, with a park between */
    bool reached;
};

static void note_id(struct ids *ids)
{
    uint64_t id = leat_self_id();

    if (id % 7 == 0)
        leat_yield();
    if (leat_self_id() != id)
        ids->same = false;
    ids->id[atomic_fetch_add(&ids->n, 1)] = id;
}

static void spawn_many(struct ids *ids)
{
    for (unsigned i = 0; i < NR_EACH; i++)
        (void)go(note_id, ids);
}

static int ids_main(void *arg)
{
    struct ids *ids = arg;

    for (unsigned i = 0; i < NR_SPAWNERS; i++)
        (void)go(spawn_many, ids);
    ids->reached = kit_reach(&ids->n, NR_IDS, KIT_LONG);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Goal: no two coroutines of a run have the same id, none has 0, and it stays the same. Coroutines
 * are reused many times meanwhile.
 */
Test(spawn, ids_are_unique, .timeout = 60)
{
    static struct ids ids;

    for (int p = 0; p < KIT_NR_PROCS; p++) {
        memset(&ids, 0, sizeof(ids));
        ids.same = true;
        cr_assert(eq(int, kit_run(kit_procs[p], ids_main, &ids), 0));
        cr_assert(ids.reached, "%lu ran", atomic_load(&ids.n));
        cr_assert(ids.same);
        qsort(ids.id, NR_IDS, sizeof(ids.id[0]), by_value);
        cr_assert(gt(u64, ids.id[0], 0));
        for (unsigned i = 1; i < NR_IDS; i++)
            cr_assert(lt(u64, ids.id[i - 1], ids.id[i]));
    }
}

/* --- names --- */

struct names {
    char at_birth[40], set[40], cut[40], removed[40], inherited[40], other[40];
    atomic_ulong done;
};

static void keep(char *to)
{
    strcpy(to, leat_self_name());
}

static void named(struct names *n)
{
    keep(n->at_birth);
    leat_set_name("a new name");
    leat_yield();
    keep(n->set);
    leat_set_name("0123456789012345678901234567890123456789");
    keep(n->cut);
    leat_set_name(leat_self_name() + 1); /* out of itself */
    leat_set_name(NULL);
    keep(n->removed);
    leat_set_name(NULL);
    leat_set_name("the last one");
    atomic_fetch_add(&n->done, 1);
}

static void unnamed(struct names *n)
{
    keep(n->other);
    atomic_fetch_add(&n->done, 1);
}

static int names_main(void *arg)
{
    struct names *n = arg;
    char name[] = "born with it";
    leat_attr attr = {.name = name};

    if (leat_go_attr(&attr, named, n) < 0)
        return -1;
    strcpy(name, "overwritten"); /* it was copied */
    if (!kit_reach(&n->done, 1, KIT_LONG))
        return -2;
    /* the same memory lives again, without the name */
    if (go(unnamed, n) < 0 || !kit_reach(&n->done, 2, KIT_LONG))
        return -3;
    keep(n->inherited);
    return 0;
}

/* Goal: names are copied, cut at 31 bytes, changed, removed, and gone with the coroutine. */
Test(spawn, names_are_kept, .timeout = 60)
{
    struct names n = {.removed = "x", .other = "x", .inherited = "x"};

    cr_assert(eq(int, kit_run(1, names_main, &n), 0));
    cr_expect(eq(str, n.at_birth, "born with it"));
    cr_expect(eq(str, n.set, "a new name"));
    cr_expect(eq(str, n.cut, "0123456789012345678901234567890"));
    cr_expect(eq(str, n.removed, ""));
    cr_expect(eq(str, n.other, ""));
    cr_expect(eq(str, n.inherited, ""));
}

/* --- settings --- */

struct deep {
    atomic_ulong done;
    size_t bytes;
    uint64_t sum;
};

/* Touches so much of its stack, from the top down. */
static void use_stack(struct deep *d)
{
    volatile unsigned char *room = __builtin_alloca(d->bytes);

    for (size_t i = 0; i < d->bytes; i += 512)
        room[d->bytes - 1 - i] = (unsigned char)i;
    leat_yield();
    for (size_t i = 0; i < d->bytes; i += 512)
        d->sum += room[d->bytes - 1 - i] == (unsigned char)i;
    atomic_fetch_add(&d->done, 1);
}

struct settings {
    struct deep small, usual, large, huge;
    int tiny, too_small, too_large, prio_high, prio_low, prio_2, prio_minus_2, null_attr;
    atomic_ulong ran;
    bool reached;
};

static int settings_main(void *arg)
{
    struct settings *s = arg;
    leat_attr small = {.stack_bytes = 16 << 10}, large = {.stack_bytes = 1 << 20},
              huge = {.stack_bytes = 1 << 30};
    leat_attr tiny = {.stack_bytes = 1}, too_small = {.stack_bytes = (16 << 10) - 1};
    leat_attr too_large = {.stack_bytes = ((size_t)1 << 30) + 1};
    leat_attr high = {.priority = LEAT_PRIO_HIGH}, low = {.priority = LEAT_PRIO_LOW},
              p2 = {.priority = 2}, m2 = {.priority = -2};

    s->small.bytes = 2 << 10;
    s->usual.bytes = 24 << 10;
    s->large.bytes = 900 << 10;
    s->huge.bytes = 20 << 20;
    (void)leat_go_attr(&small, use_stack, &s->small);
    (void)go(use_stack, &s->usual);
    (void)leat_go_attr(&large, use_stack, &s->large);
    (void)leat_go_attr(&huge, use_stack, &s->huge);
    s->tiny = leat_go_attr(&tiny, count_up, &s->ran);
    s->too_small = leat_go_attr(&too_small, count_up, &s->ran);
    s->too_large = leat_go_attr(&too_large, count_up, &s->ran);
    s->prio_high = leat_go_attr(&high, count_up, &s->ran);
    s->prio_low = leat_go_attr(&low, count_up, &s->ran);
    s->prio_2 = leat_go_attr(&p2, count_up, &s->ran);
    s->prio_minus_2 = leat_go_attr(&m2, count_up, &s->ran);
    s->null_attr = leat_go_attr((const leat_attr *)NULL, count_up, &s->ran);
    s->reached = kit_reach(&s->small.done, 1, KIT_LONG) && kit_reach(&s->usual.done, 1, KIT_LONG) &&
                 kit_reach(&s->large.done, 1, KIT_LONG) && kit_reach(&s->huge.done, 1, KIT_LONG) &&
                 kit_reach(&s->ran, 3, KIT_LONG);
    return 0;
}

/*
 * Goal: stack sizes from 16 KiB to 1 GiB and three priorities are had, all else is refused and does
 * not run.
 */
Test(spawn, settings_are_honoured, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct settings s = {.ran = 0};

        cr_assert(eq(int, kit_run(kit_procs[p], settings_main, &s), 0));
        cr_assert(s.reached);
        cr_expect(eq(u64, s.small.sum, s.small.bytes / 512));
        cr_expect(eq(u64, s.usual.sum, s.usual.bytes / 512));
        cr_expect(eq(u64, s.large.sum, s.large.bytes / 512));
        cr_expect(eq(u64, s.huge.sum, s.huge.bytes / 512));
        cr_expect(eq(int, s.tiny, -EINVAL));
        cr_expect(eq(int, s.too_small, -EINVAL));
        cr_expect(eq(int, s.too_large, -EINVAL));
        cr_expect(eq(int, s.prio_high, 0));
        cr_expect(eq(int, s.prio_low, 0));
        cr_expect(eq(int, s.prio_2, -EINVAL));
        cr_expect(eq(int, s.prio_minus_2, -EINVAL));
        cr_expect(eq(int, s.null_attr, 0));
        cr_expect(eq(long, (long)atomic_load(&s.ran), 3));
    }
}

/* --- arguments --- */

#define ARGS_MAX LEAT_ARGS_MAX

static struct {
    atomic_ulong right, ran;
    atomic_ulong sizes; /* sum of what came, as the coroutines saw it */
    int refusals, too_many;
    bool reached;
} args_seen;

static unsigned char pattern(size_t size, size_t i)
{
    return (unsigned char)(size * 31 + i * 7 + 1);
}

/* The first two bytes tell the size, when there are so many. */
static leat_result args_run(void *args)
{
    unsigned char *b = args;
    size_t size = b[0] | (size_t)b[1] << 8;
    bool right = ((uintptr_t)args & 15) == 0;

    for (size_t i = 2; i < size; i++)
        right &= b[i] == pattern(size, i);
    memset(b, 0xee, size); /* they are ours */
    leat_yield();
    for (size_t i = 0; i < size; i++)
        right &= b[i] == 0xee;
    atomic_fetch_add(&args_seen.right, right);
    atomic_fetch_add(&args_seen.sizes, size);
    atomic_fetch_add(&args_seen.ran, 1);
    return 0;
}

static leat_result none_run(void *args)
{
    (void)args;
    atomic_fetch_add(&args_seen.right, 1);
    atomic_fetch_add(&args_seen.ran, 1);
    return 0;
}

/* As the macros of go.h make them; in them the size goes in steps. */
static const struct leat_site_ args_site = {
    .run = args_run, .file = __FILE__, .fn = "args_run", .line = __LINE__};
static const struct leat_site_ none_site = {
    .run = none_run, .file = __FILE__, .fn = "none_run", .line = __LINE__};

static int args_main(void *arg)
{
    _Alignas(16) unsigned char b[ARGS_MAX + 1];

    (void)arg;
    for (int round = 0; round < 3; round++) {
        (void)leat_go_(&none_site, NULL, 0);
        for (size_t size = 2; size <= ARGS_MAX; size++) {
            for (size_t i = 0; i < size; i++)
                b[i] = pattern(size, i);
            b[0] = (unsigned char)size;
            b[1] = (unsigned char)(size >> 8);
            args_seen.refusals += leat_go_(&args_site, b, size) < 0;
            memset(b, 0, sizeof(b));
        }
    }
    args_seen.too_many = leat_go_(&args_site, b, ARGS_MAX + 1);
    args_seen.reached = kit_reach(&args_seen.ran, 3 * ARGS_MAX, KIT_LONG);
    return 0;
}

/*
 * Goal: arguments of 0 to 1024 bytes arrive, 16-byte aligned, and belong to the coroutine; more is
 * refused. Method: what the macros make, by hand, for every size, more than one life of each
 * coroutine.
 */
Test(spawn, arguments_of_every_size, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        memset(&args_seen, 0, sizeof(args_seen));
        cr_assert(eq(int, kit_run(kit_procs[p], args_main, NULL), 0));
        cr_assert(args_seen.reached, "%lu ran", atomic_load(&args_seen.ran));
        cr_expect(eq(int, args_seen.refusals, 0));
        cr_expect(eq(int, args_seen.too_many, -EINVAL));
        cr_expect(eq(long, (long)atomic_load(&args_seen.right), 3 * ARGS_MAX));
        cr_expect(
            eq(long, (long)atomic_load(&args_seen.sizes), 3 * (ARGS_MAX * (ARGS_MAX + 1) / 2 - 1)));
    }
}

/* --- from plain threads --- */

#define NR_THREADS 4
#define NR_FROM_EACH 5000u

struct foreign {
    atomic_ulong ran, accepted, began;
    atomic_bool stop;
    int other;          /* an answer that is neither 0 nor -ESHUTDOWN */
    atomic_int refused; /* -ESHUTDOWN after an acceptance */
    bool reached;
};

static void *spawn_from_thread(void *arg)
{
    struct foreign *f = arg;

    for (unsigned i = 0; i < NR_FROM_EACH; i++)
        if (go(count_up, &f->ran) == 0)
            atomic_fetch_add(&f->accepted, 1);
    return NULL;
}

static int foreign_main(void *arg)
{
    struct foreign *f = arg;
    pthread_t t[NR_THREADS];

    for (int i = 0; i < NR_THREADS; i++)
        if (pthread_create(&t[i], NULL, spawn_from_thread, f))
            return -1;
    f->reached = kit_reach(&f->ran, NR_THREADS * NR_FROM_EACH, KIT_LONG);
    for (int i = 0; i < NR_THREADS; i++)
        pthread_join(t[i], NULL);
    return 0;
}

/*
 * Goal: plain threads may spawn, all of it runs; without a run they get -ESHUTDOWN, before and
 * after.
 */
Test(spawn, from_plain_threads, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct foreign f = {.ran = 0};

        cr_assert(eq(int, go(count_up, &f.ran), -ESHUTDOWN));
        cr_assert(eq(int, kit_run(kit_procs[p], foreign_main, &f), 0));
        cr_assert(f.reached, "%lu ran", atomic_load(&f.ran));
        cr_assert(eq(long, (long)atomic_load(&f.accepted), NR_THREADS *(long)NR_FROM_EACH));
        cr_assert(eq(int, go(count_up, &f.ran), -ESHUTDOWN));
        cr_assert(eq(long, (long)atomic_load(&f.ran), (long)atomic_load(&f.accepted)));
    }
}

static void *spawn_until_told(void *arg)
{
    struct foreign *f = arg;
    bool was_accepted = false;

    while (!atomic_load(&f->stop)) {
        int r = go(count_up, &f->ran);

        if (r == 0) {
            atomic_fetch_add(&f->accepted, 1);
            was_accepted = true;
        } else if (r == -ESHUTDOWN) {
            atomic_fetch_add(&f->refused, was_accepted);
            was_accepted = false;
        } else {
            f->other = r;
        }
    }
    return NULL;
}

static int short_main(void *arg)
{
    struct foreign *f = arg;

    return kit_reach(&f->ran, atomic_load(&f->ran) + 20, KIT_LONG) ? 0 : -1;
}

/*
 * Goal: a thread that spawns over the beginnings and ends of runs: what was accepted runs, what is
 * refused does not, nothing breaks.
 */
Test(spawn, across_the_ends_of_runs, .timeout = 60)
{
    struct foreign f = {.ran = 0};
    pthread_t t;

    kit_no_chaos(); /* threads that spawn without end are faster than turns at random */
    cr_assert(eq(int, pthread_create(&t, NULL, spawn_until_told, &f), 0));
    for (int i = 0; i < 40 || (atomic_load(&f.refused) < 5 && i < 2000); i++)
        cr_assert(eq(int, kit_run(kit_procs[i % 3], short_main, &f), 0));
    atomic_store(&f.stop, true);
    pthread_join(t, NULL);
    cr_assert(eq(int, f.other, 0));
    cr_assert(ge(int, f.refused, 5));
    cr_assert(eq(long, (long)atomic_load(&f.ran), (long)atomic_load(&f.accepted)));
}

/* --- a storm --- */

#if KIT_SANITIZED
#define NR_STORM 50000ul
#define STORM_ALIVE 1000l
#else
#define NR_STORM (KIT_VALGRIND ? 5000ul : 1000000ul)
#define STORM_ALIVE (KIT_VALGRIND ? 500l : 10000l)
#endif

struct storm {
    atomic_ulong ended;
    unsigned long refused;
    long most_alive;
    leat_run_stats stats;
    struct kit_census before, after;
    bool reached;
};

static int storm_main(void *arg)
{
    struct storm *s = arg;

    s->before = kit_census_take();
    for (unsigned long i = 0; i < NR_STORM;) {
        long alive = (long)(i - atomic_load(&s->ended));

        if (alive >= STORM_ALIVE) {
            leat_yield();
            continue;
        }
        if (alive > s->most_alive)
            s->most_alive = alive;
        if (go(count_up, &s->ended) == 0)
            i++;
        else
            s->refused++;
    }
    s->reached = kit_reach(&s->ended, NR_STORM, KIT_LONG);
    s->after = kit_census_take();
    (void)leat_stats_run(&s->stats);
    return 0;
}

/*
 * Goal: a million short coroutines with ten thousand alive at most take memory for ten thousand,
 * and no threads of their own. Method: resident memory at the end; without reuse it would be
 * gigabytes.
 */
Test(spawn, a_storm_takes_memory_for_the_living, .timeout = 60)
{
    static const unsigned procs[] = {1, 2, 4};

    kit_no_chaos(); /* threads are counted, and chaos gives processors to new ones */
    for (int p = 0; p < 3; p++) {
        struct storm s = {.ended = 0};

        cr_assert(eq(int, kit_run(procs[p], storm_main, &s), 0));
        cr_assert(s.reached, "%lu ended", atomic_load(&s.ended));
        cr_expect(eq(u64, s.refused, 0));
        /*
         * a processor changes hands at the end of a slice, and a busy machine stops workers
         * anywhere
         */
        cr_expect(le(long, s.after.tasks, s.before.tasks + 32));
        cr_expect(eq(u64, s.stats.sum.spawned, NR_STORM + 1));
        /* the last ones may be on their way out */
        cr_expect(ge(u64, s.stats.sum.ended + 16, NR_STORM));
        cr_expect(le(u64, s.stats.stacks_made, (uint64_t)STORM_ALIVE + 2000));
#if !KIT_SANITIZED
        cr_expect(le(long, s.after.rss_kib, s.before.rss_kib + 120 * 1024));
#endif
    }
}
