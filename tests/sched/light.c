/*
 * Light unlocks: which runs have them, that each wait is counted in its place and out again however
 * it ends, and that a place where nobody waits any more is light again.
 */
#include "support/test.h"

#include "sched/kit.h"

#include "base/os.h"
#include "sched/light.h"
#include "sched/membarrier.h"
#include "sched/sched.h"

#include <errno.h>
#include <leat/scope.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 100
#define CALLERS 4

struct world {
    leat_mutex mutex;
    leat_waitgroup wg;
    uint64_t sections;
    atomic_bool timed_out;
    int failed; /* the line of what went wrong; 0 nothing */
};

#define MUST(w, cond) ((cond) ? (void)0 : (void)((w)->failed = __LINE__))

static bool possible(void)
{
    return lea_os_membarrier_register() == 0 && lea_os_membarrier() == 0;
}

static struct lea_light_place *place(const struct world *w)
{
    return lea_light_place_of((uintptr_t)&w->mutex);
}

static uint32_t waiting(const struct world *w)
{
    return (uint32_t)lea_word_load_acq(&place(w)->waits);
}

static uint32_t state(const struct world *w)
{
    return lea_u32_load_acq(&place(w)->state);
}

static int run(struct world *w, int procs, int (*fn)(void *))
{
    leat_config config = {.procs = procs};

    return leat_run_with(&config, fn, w);
}

/* As the monitor, which looks twice a second. */
static void look_twice(void)
{
    struct lea_light_seen seen = {{0}};

    lea_light_look(&seen);
    lea_light_look(&seen);
}

static void waits(struct world *w, int how)
{
    int r = how == 1 ? leat_mutex_lock_until(&w->mutex, leat_after(LEAT_MSEC))
                     : leat_mutex_lock_until(&w->mutex, LEAT_FOREVER);

    MUST(w, r == (how == 0 ? 0 : how == 1 ? -ETIMEDOUT : -ECANCELED));
    if (how == 1)
        atomic_store(&w->timed_out, true);
    if (r == 0)
        leat_mutex_unlock(&w->mutex);
    leat_wg_done(&w->wg);
}

/* One has given up, the others wait, and are known to. */
static bool reached(const struct world *w)
{
    for (int64_t until = leat_now() + KIT_LONG; leat_now() < until; (void)leat_sleep(LEAT_MSEC))
        if (atomic_load(&w->timed_out) && waiting(w) == 2 && state(w) == LEA_LIGHT_HEAVY)
            return true;
    return false;
}

/* One waits and gets it, one until its deadline, one until it is cancelled. */
static int ends_main(void *arg)
{
    struct world *w = arg;
    leat_handle *h = NULL;

    leat_mutex_lock(&w->mutex);
    leat_wg_add(&w->wg, 3);
    MUST(w, go(waits, w, 0) == 0);
    MUST(w, go(waits, w, 1) == 0);
    MUST(w, leat_go_join(&h, waits, w, 2) == 0);
    MUST(w, reached(w));
    look_twice();
    MUST(w, state(w) == LEA_LIGHT_HEAVY);
    leat_cancel(h);
    MUST(w, leat_join(h, NULL, LEAT_FOREVER) == 0);
    leat_mutex_unlock(&w->mutex);
    MUST(w, leat_wg_wait(&w->wg, leat_after(KIT_LONG)) == 0);
    return 0;
}

Test(light, each_end_of_a_wait_is_counted_out, .timeout = 60)
{
    for (int procs = 1; procs <= 2; procs++) {
        struct world w = {0};

        cr_assert(eq(int, run(&w, procs, ends_main), 0));
        cr_assert(eq(int, w.failed, 0));
        cr_assert(eq(uint, waiting(&w), 0));
        look_twice();
        cr_assert(eq(uint, state(&w), LEA_LIGHT));
        leat_mutex_destroy(&w.mutex);
    }
}

static void fights(struct world *w)
{
    for (int i = 0; i < ROUNDS; i++) {
        leat_mutex_lock(&w->mutex);
        w->sections++;
        if (i % 10 == 0)
            leat_yield(); /* and others come to wait */
        leat_mutex_unlock(&w->mutex);
    }
    leat_wg_done(&w->wg);
}

static void *fights_thread(void *arg)
{
    fights(arg);
    return NULL;
}

static void fight(struct world *w)
{
    pthread_t t;

    leat_wg_add(&w->wg, CALLERS + 1);
    MUST(w, pthread_create(&t, NULL, fights_thread, w) == 0);
    for (int i = 0; i < CALLERS; i++)
        MUST(w, go(fights, w) == 0);
    MUST(w, leat_wg_wait(&w->wg, leat_after(KIT_LONG)) == 0);
    pthread_join(t, NULL);
    MUST(w, w->sections == (uint64_t)(CALLERS + 1) * ROUNDS);
    MUST(w, waiting(w) == 0);
}

static int fight_main(void *arg)
{
    fight(arg);
    return lea_rt()->light == possible() ? 0 : 1;
}

Test(light, coroutines_and_a_thread, .timeout = 60)
{
    for (int procs = 2; procs <= 4; procs++) {
        struct world w = {0};

        cr_assert(eq(int, run(&w, procs, fight_main), 0));
        cr_assert(eq(int, w.failed, 0));
        look_twice();
        cr_assert(eq(uint, state(&w), LEA_LIGHT));
    }
}

#ifdef LEAT_CHECKED
static int counts_main(void *arg)
{
    struct world *w = arg;
    uint64_t times = 0;

    for (int i = 0; i < ROUNDS; i++) {
        leat_mutex_lock(&w->mutex);
        leat_mutex_unlock(&w->mutex);
    }
    for (uint32_t i = 0; i < LEA_LIGHT_SLOTS; i++)
        times += lea_light.slot[i].times;
    return times >= ROUNDS ? 0 : 1;
}

Test(light, an_unlock_is_light, .timeout = 60)
{
    struct world w = {0};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no light unlocks");
    cr_assert(eq(int, run(&w, 2, counts_main), 0));
}
#endif

/* The one thread of a child waits for nobody's unlock that the fork cut off. */
static int fork_main(void *arg)
{
    struct world *w = arg;
    int status = 0;
    pid_t child;

    lea_word_store_rel(&lea_light.slot[LEA_LIGHT_SLOTS - 1].object, (uintptr_t)&w->mutex);
    lea_u32_store_rel(&lea_light.nr_slots, LEA_LIGHT_SLOTS);
    child = fork();
    if (child == 0) {
        lea_light_wait_begin(&w->mutex);
        lea_light_wait_end(&w->mutex);
        _exit(state(w) == LEA_LIGHT_HEAVY ? 3 : 4);
    }
    lea_word_store_rel(&lea_light.slot[LEA_LIGHT_SLOTS - 1].object, 0);
    MUST(w, child > 0 && waitpid(child, &status, 0) == child);
    MUST(w, WIFEXITED(status) && WEXITSTATUS(status) == 3);
    return 0;
}

Test(light, not_in_a_child, .timeout = 60)
{
    struct world w = {0};

    if (!possible())
        cr_skip("there is no membarrier here, and so are no light unlocks");
    cr_assert(eq(int, run(&w, 2, fork_main), 0));
    cr_assert(eq(int, w.failed, 0));
}

/* body(NULL) in a process of its own: 0. */
static void in_child(int (*body)(void *))
{
    char text[KIT_TEXT_BYTES];

    if (!possible())
        cr_skip("there is no membarrier here, and so are no light unlocks");
    cr_assert(eq(int, kit_child(body, NULL, 30000, text), 0), "%s", text);
}

static int refused_main(void *arg)
{
    const struct kit_refusal all[] = {{SYS_membarrier, -1, 0, ENOSYS}};
    struct world *w = arg;
    leat_rwmutex rw = {0};

    MUST(w, lea_rt()->light);
    look_twice();
    for (int i = 0; i < 4000; i++) { /* readers pass no fence by now */
        leat_rwmutex_rlock(&rw);
        leat_rwmutex_runlock(&rw);
    }
    if (!kit_refuse(all, 1)) /* of this thread, and those that it begins */
        return 0;
    lea_light_wait_begin(&w->mutex);
    MUST(w, state(w) == LEA_LIGHT_HEAVY && lea_u32_load_acq(&lea_membarrier_known.refused));
    lea_light_wait_end(&w->mutex);
    leat_rwmutex_lock(&rw);
    leat_rwmutex_unlock(&rw);
    fight(w);
    return 0;
}

static int refused_body(void *arg)
{
    struct world w = {0};
    int r;

    (void)arg;
    r = run(&w, 1, ends_main); /* a run before, with light unlocks */
    if (r != 0 || w.failed)
        return w.failed;
    w = (struct world){0};
    r = run(&w, 2, refused_main);
    look_twice();
    return r ? 1 : w.failed ? w.failed : w.sections && state(&w) != LEA_LIGHT_HEAVY ? 2 : 0;
}

/* Goal: a filter that the program installs while it runs takes nothing from it but some time. */
Test(light, refused_under_way, .timeout = 60)
{
    in_child(refused_body);
}

static atomic_bool begun;

static void computes_on(void)
{
    atomic_store(&begun, true);
    for (;;)
        kit_burn(LEAT_MSEC);
}

static int leaves_one(void *arg)
{
    struct world *w = arg;

    MUST(w, go(computes_on) == 0);
    while (!atomic_load(&begun))
        leat_yield();
    return 0;
}

static int not_light(void *arg)
{
    struct world *w = arg;

    MUST(w, !lea_rt()->light);
    fight(w);
    return 0;
}

static int left_body(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 1};
    struct world w = {0};

    (void)arg;
    MUST(&w, leat_run_with(&config, leaves_one, &w) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(&w, run(&w, 2, not_light) == 0);
        MUST(&w, lea_u32_load_acq(&lea_light.nr_slots) > 0);
        w.sections = 0;
    }
    return w.failed;
}

/*
 * Goal: a thread that a run has left behind may unlock as before, so whoever waits looks at its
 * slot in all runs that follow, none of which uses it.
 */
Test(light, one_is_left_behind, .timeout = 60)
{
    in_child(left_body);
}
