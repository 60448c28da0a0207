/*
 * No wake-up is lost: two that wait for each other through plain memory make progress, and each
 * spawn from outside runs. How long it takes is reported, never asserted.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- ping and pong --- */

#define NR_PAIRS 3
#define ROUNDS_LEAST 50

struct pair {
    _Alignas(64) atomic_ulong turn;
    unsigned long done[2];
};

struct game {
    struct pair pair[NR_PAIRS];
    int64_t pause_ns; /* 0: yield between looks */
    unsigned long rounds;
    int64_t until_ns, latest_ns;
    atomic_ulong finished;
    bool reached;
};

/*
 * Ends with the rounds, or when the time is up and enough have been made: a slow machine makes
 * fewer. The other one may have come to its end before.
 */
static bool plays_on(const struct game *g, struct pair *p)
{
    int64_t now = leat_now();

    return now < g->until_ns || (atomic_load(&p->turn) < 2 * ROUNDS_LEAST && now < g->latest_ns);
}

static void player(struct game *g, struct pair *p, unsigned long me)
{
    for (unsigned long i = 0; i < g->rounds && plays_on(g, p); i++) {
        while (atomic_load(&p->turn) % 2 != me && plays_on(g, p)) {
            if (g->pause_ns)
                (void)leat_sleep(g->pause_ns);
            else
                leat_yield();
        }
        if (atomic_load(&p->turn) % 2 != me)
            break;
        atomic_fetch_add(&p->turn, 1);
        p->done[me]++;
    }
    atomic_fetch_add(&g->finished, 1);
}

static int game_main(void *arg)
{
    struct game *g = arg;

    for (int i = 0; i < NR_PAIRS; i++)
        for (unsigned long me = 0; me < 2; me++)
            (void)go(player, g, &g->pair[i], me);
    g->reached = kit_reach(&g->finished, 2 * NR_PAIRS, 2 * KIT_LONG);
    return 0;
}

static void play(unsigned procs, int64_t pause_ns, unsigned long rounds)
{
    static struct game g;

    memset(&g, 0, sizeof(g));
    g.pause_ns = pause_ns;
    g.rounds = rounds;
    g.until_ns = leat_now() + 10 * LEAT_SEC;
    g.latest_ns = leat_now() + KIT_LONG;
    cr_assert(eq(int, kit_run(procs, game_main, &g), 0));
    cr_assert(g.reached, "%u processors: %lu of %d players came to an end", procs,
              atomic_load(&g.finished), 2 * NR_PAIRS);
    for (int i = 0; i < NR_PAIRS; i++) {
        cr_expect(ge(u64, g.pair[i].done[0], ROUNDS_LEAST), "pair %d", i);
        cr_expect(ge(u64, g.pair[i].done[1], ROUNDS_LEAST), "pair %d", i);
    }
}

/*
 * Goal: two that wait for each other through an atomic make progress, wherever they run: yielding
 * in between.
 */
Test(wakeups, ping_pong_by_yields, .timeout = 120)
{
    play(1, 0, KIT_SANITIZED ? 10000 : 300000);
    play(2, 0, KIT_SANITIZED ? 10000 : 300000);
    play(4, 0, 2000);
    play(64, 0, 1000);
}

/* Goal: the same, asleep in between: each turn passes through idleness and a timer. */
Test(wakeups, ping_pong_by_naps, .timeout = 120)
{
    play(1, 50 * LEAT_USEC, 1000);
    play(2, 50 * LEAT_USEC, 1000);
    play(64, 50 * LEAT_USEC, 300);
}

struct rally {
    leat_waitgroup ball[2];
    unsigned long rounds;
    int64_t until_ns;
    atomic_bool over; /* the first one says so, and plays the ball for the last time */
    atomic_ulong done;
    bool reached;
};

/*
 * A park and a ready each time. A plain thread may play as well. Ends with the rounds, or when the
 * time is up and enough have been made, as above.
 */
static void rally_player(struct rally *r, int me)
{
    for (unsigned long i = 1; !atomic_load(&r->over); i++) {
        if (leat_wg_wait(&r->ball[me], LEAT_FOREVER) < 0)
            return;
        leat_wg_add(&r->ball[me], 1);
        if (me == 0 && (i >= r->rounds || (i >= ROUNDS_LEAST && leat_now() > r->until_ns)))
            atomic_store(&r->over, true);
        leat_wg_done(&r->ball[1 - me]);
    }
    atomic_fetch_add(&r->done, 1);
}

static void *rally_thread(void *arg)
{
    rally_player(arg, 1);
    return NULL;
}

static int rally_main(void *arg)
{
    struct rally *r = arg;
    pthread_t t;

    leat_wg_add(&r->ball[0], 1);
    leat_wg_add(&r->ball[1], 1);
    (void)go(rally_player, r, 0);
    if (pthread_create(&t, NULL, rally_thread, r))
        return -1;
    leat_wg_done(&r->ball[0]);
    r->reached = kit_reach(&r->done, 2, 2 * KIT_LONG);
    if (r->reached)
        pthread_join(t, NULL);
    return 0;
}

/*
 * Goal: a plain thread that readies a coroutine and waits for it, again and again: the worker falls
 * asleep in between or does not.
 */
Test(wakeups, exchange_with_a_plain_thread, .timeout = 120)
{
    static const unsigned long rounds[KIT_NR_PROCS] = {5000, 5000, 3000, 1000};

    for (int p = 0; p < KIT_NR_PROCS; p++) {
        static struct rally r; /* the thread may outlive a failure */

        memset(&r, 0, sizeof(r));
        r.rounds = rounds[p];
        r.until_ns = leat_now() + 5 * LEAT_SEC;
        cr_assert(eq(int, kit_run(kit_procs[p], rally_main, &r), 0));
        cr_assert(r.reached, "%u processors", kit_procs[p]);
    }
}

/* --- one spawn at a time from outside --- */

#define MOST_SPAWNS 20000

struct visits {
    int64_t late_ns[MOST_SPAWNS];
    atomic_ulong ran;
    unsigned long spawned;
    bool lost;
    atomic_bool over;
};

static void visit(struct visits *v, unsigned long i, int64_t since)
{
    v->late_ns[i] = leat_now() - since;
    atomic_fetch_add(&v->ran, 1);
}

/* Gaps from 50 us to 5 ms: shorter and longer than a worker spins, and than the monitor's looks. */
static void *visitor(void *arg)
{
    struct visits *v = arg;
    int64_t now = leat_now(), until = now + 3 * LEAT_SEC / 2, latest = now + KIT_LONG / 2;
    uint64_t seed = 7;

    for (;
         (now < until || (v->spawned < 20 && now < latest)) && v->spawned < MOST_SPAWNS && !v->lost;
         now = leat_now()) {
        uint64_t r = kit_random(&seed);

        if (go(visit, v, v->spawned, leat_now()) < 0)
            v->lost = true;
        else
            v->spawned++;
        if (!kit_reach(&v->ran, v->spawned, KIT_LONG / 2))
            v->lost = true;
        usleep((useconds_t)(50 + (r % 2 ? r / 2 % 300 : r / 2 % 4950)));
    }
    atomic_store(&v->over, true);
    return NULL;
}

static int visits_main(void *arg)
{
    struct visits *v = arg;
    pthread_t t;

    if (pthread_create(&t, NULL, visitor, v))
        return -1;
    while (!atomic_load(&v->over))
        (void)leat_sleep(100 * LEAT_MSEC);
    pthread_join(t, NULL);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Goal: each coroutine that a plain thread spawns into an idle run is run, whatever the time since
 * the last one.
 */
Test(wakeups, each_spawn_from_outside_runs, .timeout = 60)
{
    static const unsigned procs[] = {1, 2, 64};

    for (int p = 0; p < 3; p++) {
        static struct visits v;

        memset(&v, 0, sizeof(v));
        cr_assert(eq(int, kit_run(procs[p], visits_main, &v), 0));
        cr_assert(not(v.lost), "%u processors: number %lu never ran", procs[p], v.spawned);
        cr_assert(ge(u64, v.spawned, 20));
        qsort(v.late_ns, v.spawned, sizeof(v.late_ns[0]), by_value);
        fprintf(stderr,
                "%u processors: %lu spawns, latency median %ld us, p99 %ld us, longest %ld us\n",
                procs[p], v.spawned, (long)(v.late_ns[v.spawned / 2] / 1000),
                (long)(v.late_ns[v.spawned * 99 / 100] / 1000),
                (long)(v.late_ns[v.spawned - 1] / 1000));
    }
}
