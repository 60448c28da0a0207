/*
 * How many compute without a processor, as the monitor counts them. No threads: the monitor's steps
 * are called by hand, on a runtime of one processor and two workers that nobody runs.
 */
#include "support/test.h"

#include "sched/retake.h"
#include "sched/worker.h"

#include <string.h>

struct stage {
    struct lea_runtime rt;
    struct lea_proc p, *proc[1];
    struct lea_worker owner, spare, *worker[2];
    struct lea_stand stand;
};

/* The owner computes, and is to lose its processor: the second worker is there to have it. */
static struct stage *stage_of(uint32_t tick)
{
    static struct stage s;

    memset(&s, 0, sizeof(s));
    s.rt.nr_procs = 1;
    s.rt.fenced = true;
    s.rt.proc = s.proc;
    s.rt.worker = s.worker;
    s.rt.nr_workers = 2;
    s.rt.config.max_threads = 4;
    lea_lock_init(&s.rt.lock, LEA_RANK_SCHED);
    s.proc[0] = &s.p;
    s.worker[0] = &s.owner;
    s.worker[1] = &s.spare;
    s.owner.rt = s.spare.rt = s.p.rt = &s.rt;
    s.owner.id = 1;
    s.spare.id = 2;
    s.spare.place = LEA_PLACE_SPARE;
    s.rt.spare = &s.spare;
    s.rt.nr_spare = 1;
    lea_u32_store_rlx(&s.owner.tick, tick);
    lea_proc_assign(&s.p, &s.owner);
    s.stand.word = s.owner.word;
    s.stand.tick = 2;
    s.stand.suspect = true;
    s.stand.why = LEA_TAKE_HOG;
    return &s;
}

/*
 * Goal: one that has come in as its processor was about to be taken is not counted, also when it
 * never looks at what it was asked: it may park, sleep, and leave.
 */
Test(burning, who_keeps_its_processor_is_not_counted, .timeout = 60)
{
    struct stage *s = stage_of(3);

    cr_assert(lea_retake(&s->rt, &s->stand));
    cr_expect(eq(u64, lea_word_load_acq(&s->p.owner), s->owner.word));
    cr_expect(eq(u32, lea_u32_load_acq(&s->rt.nr_burning), 0));
    cr_expect(eq(u32, lea_u32_load_acq(&s->owner.request), LEA_REQUEST_TAKE | LEA_REQUEST_SPREAD));
    cr_expect(eq(ptr, s->rt.spare, &s->spare));
}

/* Goal: one that has lost its processor is, until it finds the request. */
Test(burning, who_has_lost_it_is, .timeout = 60)
{
    struct stage *s = stage_of(2);

    cr_assert(lea_retake(&s->rt, &s->stand));
    cr_expect(eq(u32, lea_u32_load_acq(&s->rt.nr_burning), 1));
    cr_expect(ne(u32, lea_u32_load_acq(&s->owner.request) & LEA_REQUEST_BURNING, 0));
    cr_expect(eq(ptr, s->spare.proc, &s->p));
    cr_expect(eq(ptr, s->rt.spare, NULL));
}
