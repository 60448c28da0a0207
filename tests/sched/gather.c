/*
 * Small work that two processors share: when it is gathered on one of them, and when that is
 * undone. No threads: the looks are called by hand, on processors that nobody runs.
 */
#include "support/test.h"

#include "base/os.h"
#include "sched/find.h"
#include "sched/idle.h"
#include "sched/ready.h"

#include <string.h>

/* ahead of the clock, which giving looks at: it is never late */
#define AHEAD_NS (3600 * LEAT_SEC)
#define TRY LEA_GATHER_TRY_NS
#define FEW 5u
#define MANY 100u

struct stage {
    struct lea_runtime rt;
    struct lea_proc *proc[2], p[2];
    struct lea_worker m[2];
    struct lea_co co[MANY]; /* the first few are ready */
    int64_t now;
};

/* Two processors with short turns, and some ready coroutines at the second one. */
static struct stage *stage_of(void)
{
    static struct stage s;

    memset(&s, 0, sizeof(s));
    s.now = lea_os_now_ns() + AHEAD_NS;
    s.rt.nr_procs = 2;
    s.rt.proc = s.proc;
    cr_assert(eq(int, lea_slab_init(&s.rt.batches, sizeof(struct lea_batch), 0), 0));
    for (unsigned i = 0; i < 2; i++) {
        s.proc[i] = &s.p[i];
        s.p[i].rt = &s.rt;
        s.p[i].index = i;
        s.p[i].worker = &s.m[i];
        lea_u32_store_rlx(&s.p[i].turn_ns, 100);
        lea_inject_init(&s.p[i].over, &s.rt.batches);
        lea_inject_init(&s.p[i].lifo_over, &s.rt.batches);
    }
    for (unsigned i = 0; i < MANY; i++)
        s.co[i].prio_class = LEA_CLASS_NORMAL;
    for (unsigned i = 0; i < FEW; i++)
        lea_ring_push(&s.p[1], &s.co[i]);
    return &s;
}

static void stage_end(struct stage *s)
{
    lea_slab_destroy(&s->rt.batches);
}

/* One is woken that had parked at the first processor. */
static void stranger(struct lea_proc *p)
{
    struct lea_co co = {.prio_class = LEA_CLASS_NORMAL};

    lea_u32_store_rlx(&co.state, lea_state_waiting(LEA_REASON_SEM, 1));
    lea_gather_note(p, &co);
}

/* So many turns, with so many strangers; then a look. */
static void look(struct stage *s, unsigned i, uint64_t turns, uint32_t strangers)
{
    lea_count(&s->p[i], LEA_COUNT_RUN, turns);
    for (uint32_t n = 0; n < strangers; n++)
        stranger(&s->p[i]);
    lea_gather_look(&s->p[i], false, s->now);
}

/* The same by the second one, twice: the first one takes turns meanwhile. */
static struct lea_proc *shares(struct stage *s, uint64_t turns, uint32_t strangers)
{
    look(s, 1, turns, strangers);
    lea_count(&s->p[0], LEA_COUNT_RUN, 1);
    look(s, 1, turns, strangers);
    return s->p[1].gather.to;
}

/* Both take so many turns in each of two rounds, so that their rates are known. */
static void measured(struct stage *s, uint64_t turns)
{
    for (unsigned round = 0; round < 2; round++) {
        s->now += TRY;
        look(s, 0, turns, 0);
        look(s, 1, turns, 0);
    }
}

/* An attempt begins: the second one gives away what it has. */
static void gathers(struct stage *s)
{
    cr_assert(eq(ptr, shares(s, 80, 10), &s->p[0]));
    lea_word_store_rlx(&s->p[0].gather.not_before_ns, 0); /* far from now by the clock itself */
    lea_gather_give(&s->p[1]);
    cr_assert(eq(u32, lea_runq_len(&s->p[1].ring[LEA_CLASS_NORMAL]), 0));
    s->p[1].gather.to = NULL; /* it is idle */
    look(s, 0, 0, 0);
}

/* So many turns in the round that follows, and what comes of it: is it gathered there? */
static bool does(struct stage *s, uint64_t turns)
{
    s->now += TRY;
    look(s, 0, turns, 0);
    return lea_u32_load_rlx(&s->p[0].gather.here) != 0;
}

/* Goal: one in eight is enough, and all that is ready goes to the other one, in order. */
Test(gather, all_that_is_ready_goes_to_the_first, .timeout = 20)
{
    struct stage *s = stage_of();
    struct lea_co *got[LEA_BATCH_CAP];

    measured(s, 1000);
    cr_expect(eq(ptr, shares(s, 80, 9), NULL), "9 of 80 are less than one in eight");
    cr_assert(eq(ptr, shares(s, 80, 10), &s->p[0]));
    cr_expect(eq(u32, lea_u32_load_rlx(&s->p[0].gather.here), 0), "nothing is given yet");
    lea_word_store_rlx(&s->rt.idle.mask[0], 1); /* it falls asleep at this moment */
    lea_gather_give(&s->p[1]);
    cr_expect(eq(u32, lea_u32_load_rlx(&s->m[0].sleep), LEA_SLEEP_TOKEN));
    cr_expect(eq(u64, lea_word_load_rlx(&s->p[1].count[LEA_COUNT_WAKES]), 1));
    cr_expect(lea_u32_load_rlx(&s->p[0].gather.here));
    cr_expect(eq(u32, lea_runq_len(&s->p[1].ring[LEA_CLASS_NORMAL]), 0));
    cr_expect(eq(u32, s->p[1].turns_left, 1), "at each turn, now");
    cr_expect(eq(i64, s->p[1].turn_check_ns, 0), "which tells nothing of their length");
    cr_assert(eq(u32, lea_find_take(&s->p[0], &s->p[0].over, LEA_BATCH_CAP, got), FEW));
    for (unsigned i = 0; i < FEW; i++)
        cr_expect(eq(ptr, got[i], &s->co[i]));
    /* who is woken in the next turn follows them */
    (void)lea_next_put(&s->p[1], &s->co[0]);
    lea_gather_give(&s->p[1]);
    cr_expect(eq(u32, lea_inject_len(&s->p[0].over), 1));
    cr_expect(eq(u64, lea_word_load_rlx(&s->p[1].next), 0));
    stage_end(s);
}

/* Goal: nothing is gathered where that would be a loss, or could not be judged. */
Test(gather, not_everything_is_gathered, .timeout = 20)
{
    struct stage *s = stage_of();

    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "its rate is not known");
    measured(s, 1000);
    s->p[1].gather.seen_turns = lea_word_load_rlx(&s->p[0].count[LEA_COUNT_RUN]);
    s->p[1].gather.seen_ns = s->now;
    s->now += TRY / 2;
    look(s, 1, 80, 80);
    cr_expect(eq(ptr, s->p[1].gather.to, NULL), "the other one is in a long turn");
    measured(s, 1000);
    lea_u32_store_rlx(&s->p[0].turn_ns, LEA_GATHER_TURN_NS);
    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "turns are long there");
    lea_u32_store_rlx(&s->p[0].turn_ns, 100);
    lea_word_store_rlx(&s->rt.idle.mask[0], 1);
    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "the other one is idle");
    lea_word_store_rlx(&s->rt.idle.mask[0], 0);
    lea_u32_store_rlx(&s->p[1].turn_ns, 1 + LEA_AGE_NS / 2 / MANY);
    for (unsigned i = FEW; i < MANY; i++)
        lea_ring_push(&s->p[1], &s->co[i]);
    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "they would wait for long");
    for (unsigned i = FEW; i < MANY; i++)
        cr_assert(ne(ptr, lea_runq_pop(&s->p[1].ring[LEA_CLASS_NORMAL]), NULL));
    s->co[0].prio_class = LEA_CLASS_HIGH;
    lea_ring_push(&s->p[1], &s->co[0]);
    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "somebody urgent is here");
    s->p[1].ring_mask = 1u << LEA_CLASS_NORMAL;
    s->p[1].unwatched = true;
    cr_expect(eq(ptr, shares(s, 80, 80), NULL), "nobody would pay what is owed");
    s->p[1].unwatched = false;
    cr_expect(eq(ptr, shares(s, 80, 80), &s->p[0]), "nothing of that");
    stage_end(s);
}

/* Goal: only who had parked at a processor before this one is a stranger. */
Test(gather, strangers, .timeout = 20)
{
    struct stage *s = stage_of();
    struct lea_co co = {.prio_class = LEA_CLASS_NORMAL};

    for (uint32_t at = 0; at <= 3; at++) {
        lea_u32_store_rlx(&co.state, lea_state_waiting(LEA_REASON_SEM, at));
        lea_gather_note(&s->p[1], &co);
        lea_gather_note(&s->p[0], &co);
    }
    lea_u32_store_rlx(&co.state, LEA_READY);
    lea_gather_note(&s->p[1], &co);
    cr_expect(eq(u32, s->p[1].gather.nr_strangers, 1), "from the first, and no other");
    cr_expect(eq(u32, s->p[1].gather.stranger_of, 0));
    cr_expect(eq(u32, s->p[0].gather.nr_strangers, 0));
    stage_end(s);
}

/* Goal: an urgent one in the next slot is not given, and has its turn here. */
Test(gather, the_urgent_one_stays, .timeout = 20)
{
    struct stage *s = stage_of();
    struct lea_co urgent = {.prio_class = LEA_CLASS_HIGH};

    measured(s, 1000);
    cr_assert(eq(ptr, shares(s, 80, 10), &s->p[0]));
    (void)lea_next_put(&s->p[1], &urgent);
    lea_gather_give(&s->p[1]);
    cr_expect(eq(u32, lea_inject_len(&s->p[0].over), FEW));
    cr_expect(eq(ptr, lea_find_local(&s->p[1]), &urgent));
    cr_expect(eq(ptr, s->p[1].gather.to, NULL));
    stage_end(s);
}

/* Goal: where one does as much as both did, the work stays, and that is found out anew later. */
Test(gather, a_right_one_stays, .timeout = 20)
{
    struct stage *s = stage_of();

    measured(s, 1000);
    gathers(s);
    cr_assert(does(s, 1900), "within a sixteenth");
    lea_u32_store_rlx(&s->p[0].turn_ns, LEA_GATHER_TURN_NS - 1);
    cr_expect(lea_proc_small(&s->p[0]), "nobody is woken for it");
    s->now = s->p[0].gather.again_ns - 1;
    look(s, 0, 0, 0);
    cr_expect(lea_u32_load_rlx(&s->p[0].gather.here));
    s->now++;
    look(s, 0, 0, 0);
    cr_expect(eq(u32, lea_u32_load_rlx(&s->p[0].gather.here), 0));
    cr_expect(eq(int, lea_proc_small(&s->p[0]), false));
    /* what it did meanwhile is not taken for what both do */
    cr_expect(eq(u64, lea_word_load_rlx(&s->p[0].gather.rate), 0));
    stage_end(s);
}

/* Goal: who waits for long ends it, too; and it is tried again later and later. */
Test(gather, until_somebody_waits_for_long, .timeout = 20)
{
    struct stage *s = stage_of();
    int64_t pause = 0;

    for (unsigned round = 0; round < 4; round++) {
        int64_t from;

        measured(s, 1000);
        gathers(s);
        cr_assert(does(s, 2000));
        lea_gather_look(&s->p[0], true, ++s->now);
        cr_assert(eq(u32, lea_u32_load_rlx(&s->p[0].gather.here), 0));
        from = (int64_t)lea_word_load_rlx(&s->p[0].gather.not_before_ns);
        cr_expect(gt(i64, from - s->now, pause));
        pause = from - s->now;
        s->now = from;
        lea_ring_push(&s->p[1], &s->co[0]);
    }
    stage_end(s);
}

/* Goal: where one does less than both did, it is undone, and tried again later and later. */
Test(gather, a_wrong_one_is_undone, .timeout = 20)
{
    struct stage *s = stage_of();
    int64_t pause = 0;

    for (unsigned round = 0; round < 10; round++) {
        int64_t from;

        measured(s, 1000);
        gathers(s);
        cr_assert(eq(int, does(s, 1800), false));
        from = (int64_t)lea_word_load_rlx(&s->p[0].gather.not_before_ns);
        cr_assert(ge(i64, from - s->now, pause));
        cr_expect(round == 0 || round > 7 || from - s->now == 2 * pause);
        pause = from - s->now;
        lea_ring_push(&s->p[1], &s->co[0]);
        measured(s, 1000);
        s->now = from - 1;
        cr_expect(eq(ptr, shares(s, 80, 80), NULL), "not yet");
        s->now = from;
    }
    cr_expect(lt(i64, pause, LEAT_SEC), "never for long");
    stage_end(s);
}

/* Goal: for a wrong one somebody else is woken, as soon as nobody searches. */
Test(gather, a_wrong_one_wakes_another, .timeout = 20)
{
    struct stage *s = stage_of();

    measured(s, 1000);
    gathers(s);
    lea_ring_push(&s->p[0], &s->co[0]);
    lea_ring_push(&s->p[0], &s->co[1]);
    cr_assert(eq(int, does(s, 100), false));
    lea_u32_store_rlx(&s->rt.idle.nr_searching, 1); /* the giver, and it will fall asleep */
    look(s, 0, 0, 0);
    lea_u32_store_rlx(&s->rt.idle.nr_idle, 1);
    lea_word_store_rlx(&s->rt.idle.mask[0], 2);
    look(s, 0, 0, 0);
    cr_expect(eq(u32, lea_u32_load_rlx(&s->m[1].sleep), LEA_SLEEP_AWAKE));
    lea_u32_store_rlx(&s->rt.idle.nr_searching, 0);
    look(s, 0, 0, 0);
    cr_expect(eq(u32, lea_u32_load_rlx(&s->m[1].sleep), LEA_SLEEP_TOKEN));
    stage_end(s);
}

/* Goal: a round in which its owner slept for long is not judged, and many of them end it. */
Test(gather, idle_rounds, .timeout = 20)
{
    struct stage *s = stage_of();
    unsigned rounds = 0;

    measured(s, 1000);
    gathers(s);
    s->now += 2 * TRY;
    look(s, 0, 1, 0);
    cr_expect(lea_u32_load_rlx(&s->p[0].gather.here));
    cr_expect(does(s, 2000), "the next one counts");
    lea_ring_push(&s->p[1], &s->co[0]);
    measured(s, 1000);
    gathers(s);
    do {
        s->now += 2 * TRY;
        look(s, 0, 1, 0);
    } while (s->p[0].gather.since_ns && ++rounds < 100);
    cr_expect(lt(uint, rounds, 10));
    cr_expect(eq(u32, lea_u32_load_rlx(&s->p[0].gather.here), 0));
    stage_end(s);
}

/* Goal: an attempt that others undo as it goes on is over. */
Test(gather, who_comes_back_is_let, .timeout = 20)
{
    struct stage *s = stage_of();
    unsigned rounds = 0;

    measured(s, 1000);
    do {
        gathers(s);
        lea_ring_push(&s->p[1], &s->co[0]); /* it has stolen some of it */
        s->now++;
    } while (s->p[0].gather.since_ns && ++rounds < 1000);
    cr_expect(lt(uint, rounds, 200));
    cr_expect(eq(u32, lea_u32_load_rlx(&s->p[0].gather.here), 0));
    cr_expect(gt(u64, lea_word_load_rlx(&s->p[0].gather.not_before_ns), (uint64_t)s->now));
    stage_end(s);
}

/* Goal: giving ends with the attempt, and after a while: others are due. */
Test(gather, giving_ends, .timeout = 20)
{
    struct stage *s = stage_of();

    measured(s, 1000);
    gathers(s);
    lea_ring_push(&s->p[1], &s->co[0]);
    cr_assert(eq(ptr, shares(s, 80, 80), &s->p[0]));
    lea_gather_give(&s->p[1]);
    cr_assert(eq(ptr, s->p[1].gather.to, &s->p[0]));
    look(s, 0, 0, 0);
    cr_assert(eq(int, does(s, 1000), false));
    lea_gather_give(&s->p[1]);
    cr_expect(eq(ptr, s->p[1].gather.to, NULL), "that was wrong");
    s->now = (int64_t)lea_word_load_rlx(&s->p[0].gather.not_before_ns);
    measured(s, 1000);
    cr_assert(eq(ptr, shares(s, 80, 80), &s->p[0]));
    s->p[1].gather.to_ns -= 2 * AHEAD_NS;
    lea_gather_give(&s->p[1]);
    cr_expect(eq(ptr, s->p[1].gather.to, NULL), "long ago");
    cr_expect(eq(u32, s->p[1].turns_left, 1), "it looks around at once");
    cr_assert(eq(ptr, shares(s, 80, 80), &s->p[0]));
    s->p[1].gather.seen_ns -= 2 * AHEAD_NS;
    lea_gather_give(&s->p[1]);
    cr_expect(eq(ptr, s->p[1].gather.to, NULL), "the other one is stuck");
    cr_assert(eq(ptr, shares(s, 80, 80), &s->p[0]));
    lea_word_store_rlx(&s->p[0].gather.not_before_ns, (uintptr_t)s->now + 1);
    lea_gather_give(&s->p[1]);
    cr_expect(eq(ptr, s->p[1].gather.to, NULL), "another one's attempt was wrong");
    stage_end(s);
}

/* Goal: who gives what was given to it is no place to gather anything. */
Test(gather, down_a_chain, .timeout = 20)
{
    struct stage *s = stage_of();
    uintptr_t nr;

    measured(s, 1000);
    s->p[1].gather.since_ns = s->now; /* by a third one */
    lea_u32_store_rlx(&s->p[1].gather.here, 1);
    nr = lea_word_load_rlx(&s->p[1].gather.attempt);
    gathers(s);
    cr_expect(eq(u32, lea_u32_load_rlx(&s->p[1].gather.here), 0));
    cr_expect(eq(i64, s->p[1].gather.since_ns, 0));
    cr_expect(ne(u64, lea_word_load_rlx(&s->p[1].gather.attempt), nr),
              "that one tells its rate anew");
    stage_end(s);
}

/* Two that had parked at the first processor are woken at once by the second one. */
static bool broadcast_wakes(struct stage *s, uint32_t turn_ns)
{
    struct lea_co co[2] = {{.prio_class = LEA_CLASS_NORMAL}, {.prio_class = LEA_CLASS_NORMAL}};
    struct lea_ready_list list;
    bool woken;

    lea_ready_list_init(&list);
    for (unsigned i = 0; i < 2; i++) {
        lea_u32_store_rlx(&co[i].state, lea_state_waiting(LEA_REASON_ONCE, 1));
        lea_ready_list_add(&list, &co[i]);
    }
    s->m[1].rt = &s->rt;
    s->m[1].proc = &s->p[1];
    lea_u32_store_rlx(&s->p[1].turn_ns, turn_ns);
    lea_u32_store_rlx(&s->rt.idle.nr_idle, 1);
    lea_u32_store_rlx(&s->rt.idle.nr_searching, 0);
    lea_word_store_rlx(&s->rt.idle.mask[0], 1);
    lea_ready_list_all(&s->rt, &s->m[1], &list);
    woken = lea_u32_load_rlx(&s->m[0].sleep) == LEA_SLEEP_TOKEN;
    cr_expect(eq(u32, lea_runq_len(&s->p[1].ring[LEA_CLASS_NORMAL]), 2));
    while (lea_runq_pop(&s->p[1].ring[LEA_CLASS_NORMAL]))
        ;
    return woken;
}

/*
 * Goal: who wakes many at once counts the strangers among them, and wakes nobody else for them
 * while turns are small.
 */
Test(gather, broadcasts, .timeout = 20)
{
    struct stage *s = stage_of();

    while (lea_runq_pop(&s->p[1].ring[LEA_CLASS_NORMAL]))
        ;
    cr_expect(eq(int, broadcast_wakes(s, 100), false));
    cr_expect(eq(u32, s->p[1].gather.nr_strangers, 2));
    cr_expect(broadcast_wakes(s, LEA_SMALL_TURN_NS));
    stage_end(s);
}
