/*
 * The pairs LIGHT and LIGHT-END: one that locks and unlocks a word, lightly where that may be,
 * beside one that comes to wait for it again and again, on real hardware. A light unlock asks for
 * no worker.
 */
#include "support/test.h"

#include "base/os.h"
#include "race/kit.h"
#include "sched/light.h"

#include <leat/time.h>

#define SPAN (500 * LEAT_MSEC)

#define HELD ((uintptr_t)1)
#define WAITED_FOR ((uintptr_t)2)

static struct {
    _Alignas(LEA_CACHELINE) lea_word word;
    _Alignas(LEA_CACHELINE) lea_u32 told; /* unlocks that saw somebody wait */
    lea_u32 sections, over;
    lea_word waits;
    uint64_t light; /* the holder's own */
} x;

/* As the monitor does twice a second. */
static void make_light(void)
{
    static struct lea_light_seen seen;

    if (!lea_light_may(lea_light_place_of((uintptr_t)&x.word)))
        lea_light_look(&seen);
}

/* As the unlock of a mutex, but that it takes its time. */
static void unlock(void)
{
    const struct lea_light_place *place = lea_light_place_of((uintptr_t)&x.word);
    uintptr_t w;

    if (lea_light_may(place)) {
        bool light = lea_light_begin(lea_self_light, &x.word, place);

        /* for about as long as a membarrier lasts, at times */
        for (unsigned i = race_random(4) ? 0 : race_random(16); i > 0; i--)
            race_jitter();
        light = light && lea_word_load_rlx(&x.word) == HELD; /* relaxed: our own */
        if (light)
            lea_word_store_rel(&x.word, 0);
        lea_light_end(lea_self_light);
        x.light += light;
        if (light)
            return;
    }
    race_jitter(); /* who has come is to find it held */
    do
        w = lea_word_load_rlx(&x.word); /* relaxed: the CAS decides */
    while (!lea_word_cas(&x.word, w, 0));
    if (w & WAITED_FOR)
        (void)lea_u32_add(&x.told, 1);
}

static void *holder(void *arg)
{
    int64_t until = lea_os_now_ns() + SPAN;

    lea_light_thread_begin(1);
    while (lea_os_now_ns() < until || !lea_word_load_rlx(&x.waits)) {
        for (unsigned i = 0; i < 64; i++) {
            RACE_CHECK(lea_word_cas(&x.word, 0, HELD));
            unlock();
            (void)lea_u32_add(&x.sections, 1);
            make_light();
        }
    }
    lea_u32_store_rel(&x.over, 1);
    lea_light_thread_end();
    return arg;
}

/* Says in the word that it waits: the holder's next unlock has to see that. */
static void wait_once(void)
{
    uint32_t told, section;

    lea_light_wait_begin(&x.word);
    do
        told = lea_u32_load_acq(&x.told);
    while (!lea_word_cas(&x.word, HELD, HELD | WAITED_FOR) && !lea_u32_load_acq(&x.over));
    section = lea_u32_load_acq(&x.sections);
    while (lea_u32_load_acq(&x.told) == told && !lea_u32_load_acq(&x.over) &&
           (int32_t)(lea_u32_load_acq(&x.sections) - section) < 4)
        lea_pause();
    RACE_CHECK(lea_u32_load_acq(&x.told) != told || lea_u32_load_acq(&x.over));
    lea_light_wait_end(&x.word);
    lea_word_count(&x.waits, 1);
}

static void *waiter(void *arg)
{
    while (!lea_u32_load_acq(&x.over)) {
        race_jitter();
        wait_once();
    }
    return arg;
}

/*
 * Goal: what is changed in the word by who has said before that it waits is not overwritten, though
 * the holder's unlocks are light until then.
 */
Test(race_light, light, .timeout = 60)
{
    static void *(*const fn[])(void *) = {holder, waiter};

    if (lea_os_membarrier_register() < 0 || lea_os_membarrier() < 0)
        cr_skip("there is no membarrier here, and so are no light unlocks");
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
    cr_assert(gt(ulong, x.light, 0));
}
