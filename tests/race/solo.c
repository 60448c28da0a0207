/*
 * The pair SOLO: the holder of the one processor beside two who heed, on real hardware. The
 * holder's part is played by a thread: a solo section asks for no worker.
 */
#include "support/test.h"

#include "base/os.h"
#include "race/kit.h"
#include "sched/solo.h"

#define SPAN (500 * LEAT_MSEC)
#define ROUNDS 30000

/* Plain: changed in solo sections, and by who has heeded, under a lock that solo needs not. */
static struct {
    uint64_t begun, done;
    lea_u32 lock;
    lea_u32 heeded; /* how many have, in this round */
} x;

static void *holder(void *arg)
{
    while (race_next_round(ROUNDS, SPAN)) {
        lea_u32_store_rlx(&x.heeded, 0); /* relaxed: the meeting orders it */
        lea_solo_run_begins(true, true); /* nobody else is there before the meeting */
        race_meet();
        while (lea_u32_load_acq(&x.heeded) < 2) {
            if (!lea_solo_may() || !lea_solo_begin())
                continue;
            RACE_CHECK(x.begun == x.done);
            x.begun++;
            lea_barrier();
            x.done++;
            lea_solo_end();
        }
        race_meet();
    }
    return arg;
}

static void *heeder(void *arg)
{
    while (race_next_round(ROUNDS, SPAN)) {
        race_meet();
        race_jitter();
        lea_solo_heed();
        while (!lea_u32_cas(&x.lock, 0, 1))
            lea_pause();
        RACE_CHECK(x.begun == x.done);
        x.begun++;
        race_jitter();
        x.done++;
        lea_u32_store_rel(&x.lock, 0);
        (void)lea_u32_add(&x.heeded, 1);
        race_meet();
    }
    return arg;
}

/*
 * Goal: whoever has heeded finds what was done in solo sections, whole, and no section begins after
 * that; a second one who heeds waits for the first.
 */
Test(race_solo, solo, .timeout = 60)
{
    static void *(*const fn[])(void *) = {holder, heeder, heeder};

    if (lea_os_membarrier_register() < 0 || lea_os_membarrier() < 0)
        cr_skip("there is no membarrier here, and so are no solo sections");
    cr_assert(eq(uint, race_run(3, fn, NULL), 0));
}
