/*
 * The end of solo sections, and what a run's beginning and end mean for them. See solo.h.
 */
#include "sched/solo.h"

#include "base/delay.h"
#include "sched/membarrier.h"
#include "sched/waiter.h"

struct lea_solo lea_solo;

/* The one processor's holder, in a bracket. */
static bool is_holder(void)
{
    const struct lea_worker *m = lea_self();

    /* relaxed: its own */
    return m && (lea_u32_load_rlx(&m->tick) & 1) && m->proc;
}

/* The state is LEAVING, by us: nobody goes inside any more; wait for who is. */
static void wait_outside(void)
{
    unsigned round = 0;

    if (!LEA_MUTATED(SOLO_NO_MEMBARRIER))
        lea_membarrier(); /* SOLO */
    lea_delay_point(SOLO);
    while (lea_u32_load_acq(&lea_solo.inside) && !LEA_MUTATED(SOLO_NOT_AWAITED)) /* SOLO */
        lea_relax(&round);
}

__attribute__((noinline)) void lea_solo_heed_slow(void)
{
    unsigned round = 0;

    if (is_holder())
        return;
    for (;;) {
        uint32_t state = lea_u32_load_acq(&lea_solo.state);

        if (state == LEA_SOLO_OFF)
            return;
        if (state == LEA_SOLO_LEAVING) {
            if (LEA_MUTATED(SOLO_SECOND_PASSES))
                return;
            lea_relax(&round);
        } else if (state == LEA_SOLO_NONE) {
            (void)lea_u32_cas(&lea_solo.state, state, LEA_SOLO_OFF);
        } else if (lea_u32_cas(&lea_solo.state, state, LEA_SOLO_LEAVING)) { /* SOLO */
            wait_outside();
            lea_u32_store_rel(&lea_solo.state, LEA_SOLO_OFF);
            return;
        }
    }
}

void lea_solo_run_begins(bool may, bool only)
{
    for (;;) {
        uint32_t state = lea_u32_load_acq(&lea_solo.state);
        bool on = may && (state == LEA_SOLO_NONE || only);

        if (lea_u32_cas(&lea_solo.state, state, on ? LEA_SOLO_ON : LEA_SOLO_OFF))
            return;
    }
}

void lea_solo_run_ended(void)
{
    (void)lea_u32_cas(&lea_solo.state, LEA_SOLO_ON, LEA_SOLO_NONE);
}

void lea_solo_forked(void)
{
    lea_u32_store_rlx(&lea_solo.inside, 0); /* relaxed: one thread */
    lea_u32_store_rel(&lea_solo.state, LEA_SOLO_OFF);
}
