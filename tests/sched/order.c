/*
 * In which order one processor runs what is ready: those that yield, new ones and those just
 * readied in a row, what waits behind an exchange, the inject queue. All of it is counted in turns.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- yields --- */

#define NR_TURNERS 10
#define NR_ROUNDS 50

struct turns {
    int who[NR_TURNERS * NR_ROUNDS], began[NR_TURNERS];
    int n, nr_began;
    atomic_ulong ended;
    bool reached;
};

/*
 * One processor: nobody else runs between two of our lines, so plain fields do. Nobody's turns
 * count before all have begun: until then it depends on the clock who is let in when (the oldest
 * new one goes to the queue when it has waited long enough).
 */
static void turner(struct turns *t, int me)
{
    t->began[t->nr_began++] = me;
    while (t->nr_began < NR_TURNERS)
        leat_yield();
    for (int i = 0; i < NR_ROUNDS; i++) {
        t->who[t->n++] = me;
        leat_yield();
    }
    atomic_fetch_add(&t->ended, 1);
}

static int turns_main(void *arg)
{
    struct turns *t = arg;

    for (int i = 0; i < NR_TURNERS; i++)
        (void)go(turner, t, i);
    t->reached = kit_reach(&t->ended, NR_TURNERS, KIT_LONG);
    return 0;
}

/*
 * Goal: coroutines that yield take turns, always in the same order. The one that was spawned last
 * begins first.
 */
Test(order, yielding_is_first_in_first_out, .timeout = 60)
{
    struct turns t = {.n = 0};

    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(turns_main, &t), 0));
    cr_assert(t.reached);
    cr_assert(eq(int, t.n, NR_TURNERS *NR_ROUNDS));
    cr_expect(eq(int, t.began[0], NR_TURNERS - 1));
    for (int i = NR_TURNERS; i < t.n; i++)
        cr_assert(eq(int, t.who[i], t.who[i - NR_TURNERS]), "turn %d", i);
}

/* --- what goes before the queue --- */

#define NR_LINKS 3000
#define BYSTANDER (-1)

struct chain {
    int who[20 * NR_LINKS];
    int n;
    atomic_bool over;
    atomic_ulong began, ended;
    leat_waitgroup ping, pong;
    unsigned long links;
    bool reached;
};

static struct chain chain;

static void chain_note(struct chain *c, int who)
{
    if (c->n < 20 * NR_LINKS)
        c->who[c->n++] = who;
}

static void bystander(struct chain *c)
{
    atomic_fetch_add(&c->began, 1);
    while (!atomic_load(&c->over)) {
        chain_note(c, BYSTANDER);
        leat_yield();
    }
    atomic_fetch_add(&c->ended, 1);
}

/* The most turns in a row that were not a bystander's. */
static int longest_row(const struct chain *c)
{
    int row = 0, longest = 0;

    for (int i = 0; i < c->n; i++) {
        row = c->who[i] == BYSTANDER ? 0 : row + 1;
        longest = row > longest ? row : longest;
    }
    return longest;
}

/* Main waits, and is a bystander too: its turns end a row like any other's. */
static bool watch(struct chain *c)
{
    int64_t until = leat_now() + KIT_LONG;

    while (atomic_load(&c->ended) < 2 && leat_now() < until) {
        (void)leat_sleep(500 * LEAT_USEC);
        chain_note(c, BYSTANDER);
    }
    return atomic_load(&c->ended) == 2;
}

static bool bystanders_begin(struct chain *c)
{
    for (int i = 0; i < 2; i++)
        (void)go(bystander, c);
    return kit_reach(&c->began, 2, KIT_LONG);
}

/* Each link spawns the next one, and ends. */
static void link_run(struct chain *c, int i)
{
    chain_note(c, i);
    if (i + 1 < NR_LINKS)
        (void)go(link_run, c, i + 1);
    else
        atomic_store(&c->over, true);
}

static int chain_main(void *arg)
{
    struct chain *c = arg;

    if (!bystanders_begin(c))
        return -1;
    (void)go(link_run, c, 0);
    c->reached = watch(c);
    return 0;
}

/*
 * Goal: new ones go before the queue, at most 16 in a row. Method: a chain of spawns beside two
 * that yield, counted in turns.
 */
Test(order, new_ones_at_most_16_in_a_row, .timeout = 60)
{
    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(chain_main, &chain), 0));
    cr_assert(chain.reached);
    cr_expect(ge(int, longest_row(&chain), 2));
    cr_expect(le(int, longest_row(&chain), 17));
}

static void player(struct chain *c, leat_waitgroup *mine, leat_waitgroup *other, int me)
{
    for (int i = 0; i < NR_LINKS; i++) {
        if (leat_wg_wait(mine, LEAT_FOREVER) < 0)
            return;
        chain_note(c, me);
        leat_wg_add(mine, 1);
        leat_wg_done(other);
        c->links++;
    }
    atomic_store(&c->over, true);
}

static int exchange_main(void *arg)
{
    struct chain *c = arg;

    if (!bystanders_begin(c))
        return -1;
    leat_wg_add(&c->ping, 1);
    leat_wg_add(&c->pong, 1);
    (void)go(player, c, &c->ping, &c->pong, 1);
    (void)go(player, c, &c->pong, &c->ping, 2);
    leat_wg_done(&c->ping);
    c->reached = watch(c);
    return 0;
}

/*
 * Goal: whoever was just readied goes before the queue, at most three times in a row: an exchange
 * between two does not starve the queue. Method: two that wake each other for ever beside two that
 * yield. A row may begin with one that came from the queue.
 */
Test(order, readied_at_most_three_in_a_row, .timeout = 60)
{
    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(exchange_main, &chain), 0));
    cr_assert(chain.reached, "%lu exchanges", chain.links);
    cr_expect(ge(int, longest_row(&chain), 2));
    cr_expect(le(int, longest_row(&chain), 5));
}

/* A chain that never ends on its own. */
static void endless(struct chain *c)
{
    if (!atomic_load(&c->over))
        (void)go(endless, c);
    else
        atomic_fetch_add(&c->ended, 1);
}

static void begin_late(struct chain *c)
{
    atomic_fetch_add(&c->began, 1);
}

static int bottom_main(void *arg)
{
    struct chain *c = arg;

    for (unsigned long i = 0; i < c->links; i++)
        (void)go(begin_late, c);
    (void)go(endless, c);
    c->reached = kit_reach(&c->began, c->links, KIT_LONG);
    atomic_store(&c->over, true);
    return kit_reach(&c->ended, 1, KIT_LONG) ? 0 : -1;
}

static void oldest_begin(unsigned long n)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        memset(&chain, 0, sizeof(chain));
        chain.links = n;
        cr_assert(eq(int, kit_run(kit_procs[p], bottom_main, &chain), 0));
        cr_assert(chain.reached, "%u processors: %lu of %lu began", kit_procs[p],
                  atomic_load(&chain.began), n);
    }
}

/*
 * Goal: those that wait at the bottom of the stack of new ones begin, though a newer one comes at
 * every turn.
 */
Test(order, the_oldest_new_ones_begin_too, .timeout = 60)
{
    oldest_begin(100);
}

/* Goal: and so do those that sank, being more than that stack holds. */
Test(order, those_that_sank_begin_too, .timeout = 60)
{
    oldest_begin(1000);
}

static void rally(struct chain *c, leat_sem *mine, leat_sem *other)
{
    while (!atomic_load(&c->over) && leat_sem_acquire(mine, 1, LEAT_FOREVER) == 0)
        leat_sem_release(other, 1);
    leat_sem_release(other, 1);
    atomic_fetch_add(&c->ended, 1);
}

static int behind_main(void *arg)
{
    struct chain *c = arg;
    leat_sem ping = LEAT_SEM(1), pong = LEAT_SEM(0);

    for (unsigned long i = 0; i < c->links; i++)
        (void)go(begin_late, c);
    (void)go(rally, c, &ping, &pong);
    (void)go(rally, c, &pong, &ping);
    c->reached = kit_reach(&c->began, c->links, KIT_LONG);
    atomic_store(&c->over, true);
    return kit_reach(&c->ended, 2, KIT_LONG) ? 0 : -1;
}

/* Goal: and so do those behind an exchange that never ends. */
Test(order, new_ones_behind_an_exchange_begin, .timeout = 60)
{
    memset(&chain, 0, sizeof(chain));
    chain.links = 1000;
    cr_assert(eq(int, kit_run_alone(behind_main, &chain), 0));
    cr_assert(chain.reached, "%lu of 1000 began", atomic_load(&chain.began));
}

LEAT_CHAN_TYPE(ball_chan, int);

#define NR_LATE 100

static void returns(struct chain *c, ball_chan serve, ball_chan back)
{
    int ball;

    while (leat_chan_get(serve, &ball, LEAT_FOREVER) == 0)
        if (leat_chan_put(back, ball, LEAT_FOREVER) < 0)
            break;
    atomic_fetch_add(&c->ended, 1);
}

static int rally_main(void *arg)
{
    struct chain *c = arg;
    ball_chan serve, back;
    int ball = 1;

    if (leat_chan_new(&serve, 0) < 0 || leat_chan_new(&back, 0) < 0 || go(returns, c, serve, back))
        return -1;
    for (int i = 0; i < 1000; i++)
        if (leat_chan_put(serve, ball, LEAT_FOREVER) || leat_chan_get(back, &ball, LEAT_FOREVER))
            return -2;
    for (int i = 0; i < NR_LATE; i++)
        (void)go(begin_late, c);
    for (c->links = 0; atomic_load(&c->began) < NR_LATE; c->links++)
        if (leat_chan_put(serve, ball, LEAT_FOREVER) || leat_chan_get(back, &ball, LEAT_FOREVER))
            return -3;
    leat_chan_close(serve.chan);
    if (!kit_reach(&c->ended, 1, KIT_LONG))
        return -4;
    leat_chan_unref(back.chan);
    leat_chan_unref(serve.chan);
    return 0;
}

/*
 * Goal: two that pass a value to and fro leave a turn in four to new ones. Method: counted in
 * passes, two turns and more each.
 */
Test(order, an_exchange_leaves_turns_to_new_ones, .timeout = 60)
{
    kit_no_chaos(); /* the order is what is tested */
    memset(&chain, 0, sizeof(chain));
    cr_assert(eq(int, kit_run_alone(rally_main, &chain), 0));
    cr_expect(le(ulong, chain.links, 4 * NR_LATE));
}

/* --- the inject queue --- */

struct crowd {
    unsigned n;
    unsigned long *turns; /* of each */
    atomic_ulong all, ran, alive;
    atomic_bool over;
    unsigned long least, most, waited_most;
    leat_run_stats stats;
    bool reached;
};

static void yielder(struct crowd *c, unsigned me)
{
    while (!atomic_load(&c->over)) {
        c->turns[me]++;
        atomic_fetch_add(&c->all, 1);
        leat_yield();
    }
    atomic_fetch_sub(&c->alive, 1);
}

static void crowd_begin(struct crowd *c)
{
    c->turns = calloc(c->n, sizeof(*c->turns));
    for (unsigned i = 0; i < c->n; i++) {
        atomic_fetch_add(&c->alive, 1);
        (void)go(yielder, c, i);
    }
}

static bool crowd_end(struct crowd *c)
{
    int64_t until = leat_now() + KIT_LONG;

    atomic_store(&c->over, true);
    while (atomic_load(&c->alive) && leat_now() < until)
        (void)leat_sleep(LEAT_MSEC);
    c->least = c->most = c->turns[0];
    for (unsigned i = 1; i < c->n; i++) {
        c->least = c->turns[i] < c->least ? c->turns[i] : c->least;
        c->most = c->turns[i] > c->most ? c->turns[i] : c->most;
    }
    free(c->turns);
    return atomic_load(&c->alive) == 0;
}

static void count_up(atomic_ulong *n)
{
    atomic_fetch_add(n, 1);
}

#define NR_INJECTED 20 /* each takes a third of a second under memcheck on a busy machine */

static void *inject_thread(void *arg)
{
    struct crowd *c = arg;

    for (unsigned long i = 0; i < NR_INJECTED; i++) {
        if (go(count_up, &c->ran) < 0)
            return NULL;
        if (!kit_reach(&c->ran, i + 1, KIT_LONG))
            return NULL;
    }
    return c;
}

static int injected_main(void *arg)
{
    struct crowd *c = arg;
    pthread_t t;

    crowd_begin(c);
    if (pthread_create(&t, NULL, inject_thread, c))
        return -1;
    c->reached = kit_reach(&c->ran, NR_INJECTED, KIT_LONG);
    (void)leat_stats_run(&c->stats);
    pthread_join(t, NULL);
    return crowd_end(c) ? 0 : -2;
}

/*
 * Goal: what comes from outside is served while coroutines that yield keep the local queue full for
 * ever.
 */
Test(order, inject_queue_is_served, .timeout = 60)
{
    struct crowd c = {.n = 5};

    cr_assert(eq(int, kit_run(1, injected_main, &c), 0));
    cr_assert(c.reached, "%lu of %d ran", atomic_load(&c.ran), NR_INJECTED);
    cr_expect(ge(u64, c.stats.sum.injected, NR_INJECTED));
}

static int overflow_main(void *arg)
{
    struct crowd *c = arg;

    crowd_begin(c);
    c->reached = kit_reach(&c->all, 200ul * c->n, KIT_LONG);
    (void)leat_stats_run(&c->stats);
    return crowd_end(c) ? 0 : -2;
}

/*
 * Goal: more ready coroutines than the ring has room for all get their turns, though half of a full
 * ring moves to the backlog.
 * Method: 1000 that yield; after 200 turns each, on average, none may be far behind.
 */
Test(order, overflow_starves_nobody, .timeout = 60)
{
    struct crowd c = {.n = 1000};

    cr_assert(eq(int, kit_run_alone(overflow_main, &c), 0));
    cr_assert(c.reached);
    /* more often than once each, when they had not begun */
    cr_expect(gt(u64, c.stats.sum.overflowed, 2 * c.n));
    cr_expect(gt(u64, c.stats.sum.injected, 2 * c.n));
    cr_expect(ge(u64, c.least, 20), "the least served has %lu turns, the most %lu", c.least,
              c.most);
}
