/*
 * Three classes, served 16 : 4 : 1 by turns on a processor where all have work. Counted in turns,
 * so no clock matters.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <string.h>

#define NR_OF_EACH 8
#define NR_CLASSES 3

struct classes {
    bool used[NR_CLASSES]; /* high, normal, low */
    unsigned long turns[NR_CLASSES];
    unsigned long in_a_row[NR_CLASSES]; /* longest span of turns without one of this class */
    unsigned long last[NR_CLASSES];
    unsigned long all, goal;
    atomic_bool over;
    atomic_ulong alive;
    bool ended;
};

static void turner(struct classes *c, int cls)
{
    while (!atomic_load(&c->over)) {
        unsigned long gap = ++c->all - c->last[cls];

        if (c->turns[cls] && gap > c->in_a_row[cls])
            c->in_a_row[cls] = gap;
        c->last[cls] = c->all;
        c->turns[cls]++;
        if (c->all >= c->goal)
            atomic_store(&c->over, true);
        leat_yield();
    }
    atomic_fetch_sub(&c->alive, 1);
}

static int classes_main(void *arg)
{
    static const int priority[NR_CLASSES] = {LEAT_PRIO_HIGH, LEAT_PRIO_NORMAL, LEAT_PRIO_LOW};
    struct classes *c = arg;
    int64_t until = leat_now() + KIT_LONG;

    for (int i = 0; i < NR_OF_EACH; i++)
        for (int cls = 0; cls < NR_CLASSES; cls++) {
            leat_attr attr = {.priority = priority[cls]};

            if (!c->used[cls])
                continue;
            atomic_fetch_add(&c->alive, 1);
            if (leat_go_attr(&attr, turner, c, cls) < 0)
                return -1;
        }
    while (atomic_load(&c->alive) && leat_now() < until)
        (void)leat_sleep(LEAT_MSEC);
    c->ended = atomic_load(&c->alive) == 0;
    return 0;
}

static void check_share(const struct classes *c, int cls, unsigned weight, unsigned of)
{
    unsigned long share = c->goal * weight / of;

    cr_expect(ge(u64, c->turns[cls], share * 85 / 100), "class %d: %lu of %lu turns", cls,
              c->turns[cls], c->goal);
    cr_expect(le(u64, c->turns[cls], share * 115 / 100), "class %d: %lu of %lu turns", cls,
              c->turns[cls], c->goal);
}

/*
 * Goal: 16 : 4 : 1 while all three have work, and no class waits for longer than a round or two of
 * the weights.
 */
Test(priorities, weights_by_turns, .timeout = 60)
{
    struct classes c = {.used = {true, true, true}, .goal = 21000};

    cr_assert(eq(int, kit_run_alone(classes_main, &c), 0));
    cr_assert(c.ended);
    check_share(&c, 0, 16, 21);
    check_share(&c, 1, 4, 21);
    check_share(&c, 2, 1, 21);
    cr_expect(le(u64, c.in_a_row[1], 60));
    /* turns of main and of what it wakes are not counted here */
    cr_expect(le(u64, c.in_a_row[2], 100));
}

/* Goal: two classes share as their weights say, whichever is missing. */
Test(priorities, weights_of_two, .timeout = 60)
{
    struct classes no_high = {.used = {false, true, true}, .goal = 10000};
    struct classes no_normal = {.used = {true, false, true}, .goal = 17000};
    struct classes no_low = {.used = {true, true, false}, .goal = 20000};

    cr_assert(eq(int, kit_run_alone(classes_main, &no_high), 0));
    cr_assert(no_high.ended);
    check_share(&no_high, 1, 4, 5);
    check_share(&no_high, 2, 1, 5);
    cr_assert(eq(int, kit_run_alone(classes_main, &no_normal), 0));
    cr_assert(no_normal.ended);
    check_share(&no_normal, 0, 16, 17);
    check_share(&no_normal, 2, 1, 17);
    cr_assert(eq(int, kit_run_alone(classes_main, &no_low), 0));
    cr_assert(no_low.ended);
    check_share(&no_low, 0, 16, 20);
    check_share(&no_low, 1, 4, 20);
}

/* --- low is slow, and never starved --- */

struct starving {
    atomic_bool over;
    atomic_ulong low, high;
    bool reached;
};

static void feed(struct starving *s, int left);

/*
 * A crowd of the highest class that keeps readying more of its kind: the next slot is always full.
 */
static void feed(struct starving *s, int left)
{
    leat_attr attr = {.priority = LEAT_PRIO_HIGH};

    atomic_fetch_add(&s->high, 1);
    if (left > 0 && !atomic_load(&s->over))
        (void)leat_go_attr(&attr, feed, s, left - 1);
}

static void high_hog(struct starving *s)
{
    while (!atomic_load(&s->over)) {
        feed(s, 5);
        leat_yield();
    }
}

static void low_worker(struct starving *s)
{
    for (int i = 0; i < 500; i++) {
        atomic_fetch_add(&s->low, 1);
        leat_yield();
    }
}

static int starving_main(void *arg)
{
    struct starving *s = arg;
    leat_attr high = {.priority = LEAT_PRIO_HIGH}, low = {.priority = LEAT_PRIO_LOW};

    for (int i = 0; i < 3; i++)
        (void)leat_go_attr(&high, high_hog, s);
    (void)leat_go_attr(&low, low_worker, s);
    s->reached = kit_reach(&s->low, 500, KIT_LONG);
    atomic_store(&s->over, true);
    return 0;
}

/*
 * Goal: one of the lowest class gets through, beside many of the highest that never stop readying
 * each other.
 */
Test(priorities, low_is_never_starved, .timeout = 60)
{
    for (int p = 0; p < KIT_NR_PROCS; p++) {
        struct starving s = {.low = 0};

        cr_assert(eq(int, kit_run(kit_procs[p], starving_main, &s), 0));
        cr_assert(s.reached, "%u processors: %lu of 500 turns beside %lu", kit_procs[p],
                  atomic_load(&s.low), atomic_load(&s.high));
    }
}
