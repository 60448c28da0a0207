/*
 * In which order one processor runs what is ready when many new ones come at once: bursts and trees
 * of them, and those who are woken, or wait for their turn, beside. Counted in turns.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>

/* --- first turns that take long --- */

#define NR_WAITING 100
#define NR_LONG 2000
#define LONG_TURN_NS 20000

struct waiting {
    atomic_ulong began, ended;
    unsigned long turns, turns_first; /* of those that yield: all, and before the first long one */
    bool over, reached;
};

static void waits(struct waiting *w)
{
    while (!w->over) {
        w->turns++;
        leat_yield();
    }
    atomic_fetch_add(&w->ended, 1);
}

static void begins_long(struct waiting *w)
{
    if (atomic_fetch_add(&w->began, 1) == 0)
        w->turns_first = w->turns;
    kit_burn(LONG_TURN_NS);
    if (atomic_load(&w->began) == NR_LONG)
        w->over = true;
}

static int waiting_main(void *arg)
{
    struct waiting *w = arg;

    for (int i = 0; i < NR_WAITING; i++)
        (void)go(waits, w);
    while (w->turns < 3 * NR_WAITING)
        leat_yield();
    for (int i = 0; i < NR_LONG; i++)
        if (go(begins_long, w) < 0)
            w->over = true;
    w->reached = kit_reach(&w->ended, NR_WAITING, KIT_LONG);
    return 0;
}

/*
 * Goal: while those that have begun wait for long, new ones leave them every second turn, and not
 * one in 17. Method: a hundred that yield beside many whose first turn is long; counted in turns.
 */
Test(order_bursts, new_ones_share_with_those_that_wait, .timeout = 60)
{
    static struct waiting w;

    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(waiting_main, &w), 0));
    cr_assert(w.reached, "%lu of %d began", atomic_load(&w.began), NR_LONG);
    cr_expect(ge(ulong, w.turns - w.turns_first, NR_LONG / 4));
}

/* --- many that wait, and have much to begin --- */

#define NR_REQUESTS 1000
#define NR_PARTS 10
#define PART_NS 2000

struct requests {
    leat_event start;
    leat_waitgroup ready, done;
    unsigned long parts, most; /* spawned, and not done */
    int64_t took_ns;
    bool failed;
};

static void part(struct requests *r, leat_waitgroup *parts)
{
    kit_burn(PART_NS);
    r->parts--;
    leat_wg_done(parts);
}

static void request(struct requests *r)
{
    leat_waitgroup parts = {0};

    leat_wg_done(&r->ready);
    r->failed |= leat_event_wait(&r->start, LEAT_FOREVER) != 0;
    for (int i = 0; i < NR_PARTS; i++) {
        leat_wg_add(&parts, 1);
        if (go(part, r, &parts) < 0) {
            r->failed = true;
            leat_wg_done(&parts);
        } else if (++r->parts > r->most) {
            r->most = r->parts;
        }
    }
    r->failed |= leat_wg_wait(&parts, LEAT_FOREVER) != 0;
    leat_wg_done(&r->done);
}

static int requests_main(void *arg)
{
    struct requests *r = arg;

    leat_wg_add(&r->ready, NR_REQUESTS);
    leat_wg_add(&r->done, NR_REQUESTS);
    for (int i = 0; i < NR_REQUESTS; i++)
        if (go(request, r) < 0)
            return -1;
    r->failed |= leat_wg_wait(&r->ready, leat_after(KIT_LONG)) != 0;
    r->took_ns = -leat_now();
    leat_event_set(&r->start);
    r->failed |= leat_wg_wait(&r->done, leat_after(KIT_LONG)) != 0;
    r->took_ns += leat_now();
    return 0;
}

/*
 * Goal: of a thousand that are woken at once, and each begin ten others, most are done before most
 * begin. (Those others share turns with who still waits in the rings: not for long, though.) Where
 * each turn takes as long as a look around, they have their turns by the clock: nothing is said.
 */
Test(order_bursts, what_the_woken_begin_goes_depth_first, .timeout = 60)
{
    static struct requests r;

    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(requests_main, &r), 0));
    cr_assert(not(r.failed));
    if (r.took_ns <= 200 * LEAT_MSEC)
        cr_expect(le(ulong, r.most, NR_REQUESTS * NR_PARTS / 2));
}

/* --- trees --- */

#define CHILDREN 10
#define LEVELS 5
#define NODES 111111UL

struct tree {
    atomic_ulong ran;
    leat_run_stats stats;
    int64_t took_ns;
};

static void node(struct tree *t, int level, leat_waitgroup *up)
{
    leat_waitgroup mine = {0};

    atomic_fetch_add(&t->ran, 1);
    if (level > 0) {
        leat_wg_add(&mine, CHILDREN);
        for (int i = 0; i < CHILDREN; i++)
            (void)go(node, t, level - 1, &mine);
        if (leat_wg_wait(&mine, LEAT_FOREVER) < 0)
            return;
    }
    leat_wg_done(up);
}

static int tree_main(void *arg)
{
    struct tree *t = arg;
    leat_waitgroup end = {0};
    int64_t begin = leat_now();

    leat_wg_add(&end, 1);
    (void)go(node, t, LEVELS, &end);
    if (leat_wg_wait(&end, LEAT_FOREVER) < 0)
        return -1;
    t->took_ns = leat_now() - begin;
    return leat_stats_run(&t->stats);
}

/*
 * Goal: a tree of coroutines goes depth first, though the oldest come to their turn meanwhile: few
 * wait, so next to none sink. Where it takes long, many have come to their turn in that way, and it
 * only matters that all have run.
 */
Test(order_bursts, a_tree_goes_depth_first, .timeout = 60)
{
    struct tree t = {.ran = 0};

    kit_no_chaos(); /* the order is what is tested */
    cr_assert(eq(int, kit_run_alone(tree_main, &t), 0));
    cr_assert(eq(ulong, atomic_load(&t.ran), NODES));
    if (t.took_ns < 100 * LEAT_MSEC)
        cr_expect(lt(u64, t.stats.sum.overflowed, NODES / 4), "in %lld ms",
                  (long long)(t.took_ns / LEAT_MSEC));
}

/* --- a burst from outside --- */

#define NR_BURST 4000
#define BURST_TURN_NS 20000

struct burst {
    leat_sem sem;
    atomic_ulong began, asked, let, ran;
    unsigned long before, behind; /* began until its wake-up, and from then to its turn */
    bool reached, failed;
};

static void burst_one(struct burst *b)
{
    atomic_fetch_add(&b->began, 1);
    kit_burn(BURST_TURN_NS);
}

static void woken_behind(struct burst *b)
{
    atomic_store(&b->asked, 1);
    if (leat_sem_acquire(&b->sem, 1, LEAT_FOREVER) == 0)
        b->behind = atomic_load(&b->began) - b->before;
    atomic_fetch_add(&b->ran, 1);
}

static void *burst_thread(void *arg)
{
    struct burst *b = arg;

    for (int i = 0; i < NR_BURST; i++)
        b->failed |= go(burst_one, b) < 0;
    b->before = atomic_load(&b->began);
    leat_sem_release(&b->sem, 1);
    atomic_store(&b->let, 1);
    return b;
}

static int burst_main(void *arg)
{
    struct burst *b = arg;
    pthread_t t;

    (void)go(woken_behind, b);
    if (!kit_reach(&b->asked, 1, KIT_LONG))
        return -1;
    leat_yield(); /* it waits now */
    if (pthread_create(&t, NULL, burst_thread, b))
        return -2;
    while (!atomic_load(&b->let)) /* nobody takes the processor: all of them queue up */
        kit_burn(BURST_TURN_NS);
    b->reached = kit_reach(&b->ran, 1, KIT_LONG) && kit_reach(&b->began, NR_BURST, KIT_LONG);
    pthread_join(t, NULL);
    return 0;
}

/*
 * Goal: one that is woken from outside is not held up by a burst of new ones from outside before
 * it. Method: counted in those that begin between its wake-up and its turn; a batch or two.
 */
Test(order_bursts, a_burst_from_outside_holds_up_nobody_who_has_begun, .timeout = 60)
{
    static struct burst b;

    kit_no_chaos(); /* the order is what is tested */
    b.sem = (leat_sem)LEAT_SEM(0);
    cr_assert(eq(int, kit_run_alone(burst_main, &b), 0));
    cr_assert(not(b.failed));
    cr_assert(b.reached, "%lu of %d began", atomic_load(&b.began), NR_BURST);
    cr_expect(le(ulong, b.before, NR_BURST / 4));
    cr_expect(le(ulong, b.behind, NR_BURST / 4));
}
