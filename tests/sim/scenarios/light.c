/*
 * Scenarios: light unlocks (sched/light.h), while places are made light again all the time. First
 * the words alone, then a mutex under the whole scheduler.
 */
#include "kit.h"

#include "all.h"
#include "sched/light.h"
#include "sched/sched.h"
#include "sched/waiter.h"

#define HERE __builtin_return_address(0)

/* --- one that locks and unlocks, others that come to wait --- */

#define HELD ((uintptr_t)1)
#define WAITED_FOR ((uintptr_t)2)
#define WAITERS 2

/* Two words of one place: the one that is held and waited for, and its neighbour, in turn. */
struct words {
    lea_word *word[2];
    unsigned rounds;
    bool told[2], over;
};

static struct words *words;

static void unlock_word(unsigned k)
{
    struct lea_light_slot *slot = lea_self_light;
    lea_word *word = words->word[k];
    const struct lea_light_place *place = lea_light_place_of((uintptr_t)word);
    bool light = lea_light_may(place) && lea_light_begin(slot, word, place) &&
                 lea_word_load_rlx(word) == HELD;
    uintptr_t w;

    if (light)
        lea_word_store_rel(word, 0);
    lea_light_end(slot);
    if (light)
        return;
    do
        w = lea_word_load_rlx(word);
    while (!lea_word_cas(word, w, 0));
    if (w & WAITED_FOR)
        words->told[k] = true;
}

static void *word_holder(void *arg)
{
    lea_light_thread_begin(1);
    for (unsigned i = 0; i < words->rounds; i++) {
        sim_check(lea_word_cas(words->word[i % 2], 0, HELD),
                  "a word that nobody holds is not free");
        sim_point();
        unlock_word(i % 2);
    }
    lea_light_thread_end();
    words->over = true;
    return arg;
}

/* Says that it waits for one of the words, and is told; or comes too late, twice. */
static void *word_waiter(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    lea_word *word = words->word[i];

    for (unsigned k = 0; k < 2; k++) {
        uintptr_t w;

        lea_light_wait_begin(word);
        w = lea_word_load_rlx(word);
        if (w == HELD && lea_word_cas(word, w, w | WAITED_FOR)) {
            unsigned round = 0;

            while (!*(const volatile bool *)&words->told[i] &&
                   !*(const volatile bool *)&words->over)
                lea_relax(&round);
            sim_check(words->told[i], "who waits was never told");
            lea_light_wait_end(word);
            return NULL;
        }
        lea_light_wait_end(word);
    }
    return NULL;
}

static void *word_looker(void *arg)
{
    struct lea_light_seen seen = {{0}};

    for (unsigned i = 0; i < words->rounds + 3; i++)
        lea_light_look(&seen);
    return arg;
}

#define NEAR 512 /* words, of which two share a place: there are fewer places */

void scenario_light_word(void)
{
    struct sim_thread *t[WAITERS + 2];
    unsigned n = 0, other = 1;
    lea_word *near;

    if (!sim.config.membarrier)
        return;
    words = sim_arena_alloc(sizeof(*words), 64);
    near = sim_arena_alloc(NEAR * sizeof(*near), 64);
    while (lea_light_place_of((uintptr_t)&near[other]) != lea_light_place_of((uintptr_t)near))
        other++;
    sim_check(other < NEAR, "no two words share a place");
    words->word[0] = near;
    words->word[1] = &near[other];
    words->rounds = 1 + sim_shape(4);
    t[n++] = kit_thread(word_holder, NULL);
    t[n++] = kit_thread(word_waiter, (void *)(uintptr_t)sim_shape(2));
    if (sim_shape(2))
        t[n++] = kit_thread(word_waiter, (void *)(uintptr_t)sim_shape(2));
    if (sim_shape(3))
        t[n++] = kit_thread(word_looker, NULL);
    while (n > 0)
        kit_join(t[--n]);
}

/* --- a mutex --- */

#define COS 3
#define THREADS 2

struct shared {
    leat_mutex mutex;
    uint64_t value;
};

static struct {
    struct shared *x;
    unsigned rounds, ended, gave_up, sections;
    int64_t hold_ns, nap_ns, patience_ns;
    bool looks;
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    s.rounds = 2 + sim_shape(6);
    s.hold_ns = (int64_t)sim_shape(4) * 500;
    s.nap_ns = (int64_t)sim_shape(20) * 50;
    s.patience_ns = (int64_t)sim_shape(3) * 1000;
    s.looks = sim_shape(3) != 0;
}

static void section(bool patient)
{
    if (patient || !s.patience_ns) {
        leat_mutex_lock(&s.x->mutex);
    } else if (leat_mutex_lock_until(&s.x->mutex, leat_after(s.patience_ns)) != 0) {
        s.gave_up++;
        return;
    }
    sim_touch(&s.x->value, 8, true, HERE);
    s.x->value++;
    s.sections++;
    if (s.hold_ns && !sim_shape(3))
        kit_burn(s.hold_ns);
    leat_mutex_unlock(&s.x->mutex);
}

static void co(unsigned i)
{
    for (unsigned k = 0; k < s.rounds; k++)
        section(i != 1);
    s.ended++;
}

static void *thread(void *arg)
{
    if (s.nap_ns)
        (void)leat_sleep(s.nap_ns);
    for (unsigned k = 0; k < s.rounds; k++)
        section(true);
    s.ended++;
    return arg;
}

/* As the monitor, which looks so seldom that nothing would come of it here. */
static void *looker(void *arg)
{
    struct lea_light_seen seen = {{0}};

    while (*(const volatile unsigned *)&s.ended < *(unsigned *)arg) {
        lea_light_look(&seen);
        (void)leat_sleep(s.nap_ns + 50);
    }
    return NULL;
}

static int light_main(void *arg)
{
    unsigned nr_threads = sim_shape(THREADS), goal = COS + nr_threads;
    struct sim_thread *t[THREADS], *l = s.looks ? kit_thread(looker, &goal) : NULL;

    sim_check(lea_rt()->light == !lea_rt()->fenced, "light unlocks %s",
              lea_rt()->fenced ? "without membarrier" : "are off");
    for (unsigned i = 0; i < nr_threads; i++)
        t[i] = kit_thread(thread, NULL);
    for (unsigned i = 0; i < COS; i++)
        sim_check(go(co, i) == 0, "no coroutine");
    kit_await(&s.ended, goal, "users");
    for (unsigned i = 0; i < nr_threads; i++)
        kit_join(t[i]);
    if (l)
        kit_join(l);
    leat_mutex_lock(&s.x->mutex); /* the last unlock may be in a buffer still */
    sim_touch(&s.x->value, 8, false, HERE);
    sim_check(s.x->value == goal * s.rounds - s.gave_up, "%llu sections of %u, %u given up",
              (unsigned long long)s.x->value, goal * s.rounds, s.gave_up);
    leat_mutex_unlock(&s.x->mutex);
    leat_mutex_destroy(&s.x->mutex);
    (void)arg;
    return 0;
}

void scenario_light(void)
{
    reset();
    kit_run(2 + sim_shape(2), sim_shape(3) ? 0 : SIM_FAULT_LATE_THREAD, light_main, NULL);
}
