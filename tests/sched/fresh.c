/*
 * The oldest on the stack of new ones: how its age is known. No threads: the owner's looks are
 * called by hand, on a processor that nobody runs.
 */
#include "support/test.h"

#include "sched/find.h"
#include "sched/fresh.h"
#include "sched/idle.h"

#include <string.h>

#define T0 INT64_C(1000000000)

struct stage {
    struct lea_runtime rt;
    struct lea_proc p;
    struct lea_co co[3];
};

static struct stage *stage_of(void)
{
    static struct stage s;

    memset(&s, 0, sizeof(s));
    s.p.rt = &s.rt;
    s.p.alone = true;
    for (unsigned i = 0; i < 3; i++) {
        lea_word_store_rlx(&s.co[i].id, i + 1);
        s.co[i].prio_class = LEA_CLASS_NORMAL;
    }
    return &s;
}

/*
 * Goal: the oldest ages from the first look that finds it on, and goes to the ring after
 * LEA_FRESH_AGE_NS; who comes behind it begins anew.
 */
Test(fresh, the_oldest_ages, .timeout = 20)
{
    struct stage *s = stage_of();

    lea_lifo_push(&s->p.lifo, &s->co[0]);
    lea_lifo_push(&s->p.lifo, &s->co[1]);
    cr_expect(eq(int, lea_fresh_aged(&s->p, T0 + LEA_AGE_NS, LEA_AGE_NS), false),
              "not seen so far");
    cr_assert(eq(int, lea_fresh_look(&s->p, T0), false));
    cr_expect(eq(int, lea_fresh_aged(&s->p, T0 + LEA_AGE_NS - 1, LEA_AGE_NS), false));
    cr_expect(lea_fresh_aged(&s->p, T0 + LEA_AGE_NS, LEA_AGE_NS));
    cr_assert(eq(int, lea_fresh_look(&s->p, T0 + LEA_FRESH_AGE_NS - 1), false));
    cr_assert(lea_fresh_look(&s->p, T0 + LEA_FRESH_AGE_NS));
    cr_assert(eq(ptr, lea_runq_pop(&s->p.ring[LEA_CLASS_NORMAL]), &s->co[0]));
    cr_expect(
        eq(int, lea_fresh_aged(&s->p, T0 + LEA_FRESH_AGE_NS + LEA_AGE_NS, LEA_AGE_NS), false));
    cr_assert(eq(int, lea_fresh_look(&s->p, T0 + LEA_FRESH_AGE_NS + 1), false),
              "the second has only just come");
    cr_expect(eq(u32, lea_runq_len(&s->p.ring[LEA_CLASS_NORMAL]), 0));
}

/*
 * Goal: one that was spawned where another has ended is another one, though it has the same place
 * in the same memory: what is as busy as that is not old.
 */
Test(fresh, one_in_the_place_of_another_is_young, .timeout = 20)
{
    struct stage *s = stage_of();

    lea_lifo_push(&s->p.lifo, &s->co[0]);
    cr_assert(eq(int, lea_fresh_look(&s->p, T0), false));
    cr_assert(eq(ptr, lea_lifo_pop(&s->p.lifo, true), &s->co[0]));
    lea_word_store_rlx(&s->co[0].id, 7);
    lea_lifo_push(&s->p.lifo, &s->co[0]);
    cr_expect(eq(int, lea_fresh_aged(&s->p, T0 + LEA_FRESH_AGE_NS, LEA_AGE_NS), false));
    cr_expect(eq(int, lea_fresh_look(&s->p, T0 + LEA_FRESH_AGE_NS), false));
    cr_expect(lea_fresh_aged(&s->p, T0 + 2 * LEA_FRESH_AGE_NS, LEA_AGE_NS));
    cr_expect(lea_fresh_look(&s->p, T0 + 2 * LEA_FRESH_AGE_NS));
}

/* Goal: of an empty stack nothing is known. */
Test(fresh, an_empty_stack_has_no_oldest, .timeout = 20)
{
    struct stage *s = stage_of();

    lea_lifo_push(&s->p.lifo, &s->co[0]);
    cr_assert(eq(int, lea_fresh_look(&s->p, T0), false));
    cr_assert(eq(ptr, lea_lifo_pop(&s->p.lifo, true), &s->co[0]));
    cr_assert(eq(int, lea_fresh_look(&s->p, T0 + 1), false));
    cr_expect(eq(u64, lea_word_load_rlx(&s->p.lifo_oldest), 0));
    lea_lifo_push(&s->p.lifo, &s->co[0]); /* it sank, and comes back */
    cr_expect(eq(int, lea_fresh_aged(&s->p, T0 + LEA_FRESH_AGE_NS, LEA_AGE_NS), false));
    cr_expect(eq(int, lea_fresh_look(&s->p, T0 + LEA_FRESH_AGE_NS), false));
}
