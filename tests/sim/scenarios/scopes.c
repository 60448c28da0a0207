/*
 * Scenarios: scopes, shields and clean-up, cancelled from outside and by deadlines while they open,
 * close and end.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#define HERE __builtin_return_address(0)
#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

/* Gone as soon as it was closed. */
struct part {
    leat_scope scope;
    leat_group group;
};

static struct {
    struct part *top;
    leat_handle *handle;
    lea_u32 told; /* the cancellation has returned */
    unsigned begun, ended, cleaned, saved;
    int bad;
} s;

static struct part *part_new(void)
{
    return sim_arena_alloc(sizeof(struct part), 64);
}

static int sleeper(void)
{
    int r = leat_sleep_until(LEAT_FOREVER);

    sim_check(r == -ECANCELED, "sleeping for ever gave %d", r);
    return 0;
}

/* What comes after the cancellation has returned must see it. */
static void check_told(leat_group *g)
{
    if (!lea_u32_load_acq(&s.told))
        return;
    sim_check(leat_cancelled() && leat_cause() == -71, "cancelled for %lld",
              (long long)leat_cause());
    sim_check(leat_group_go(g, sleeper) == -ECANCELED, "a cancelled group takes more members");
}

/*
 * Its own group, inside of a scope or not; waited for under a shield, so that only the walk can
 * reach its members.
 */
static void nester(unsigned depth, bool scoped, int64_t nap_ns)
{
    struct part *p = part_new();
    leat_shield shield;

    s.begun++;
    if (scoped)
        sim_check(leat_scope_open(&p->scope, leat_after(LEAT_SEC * 1000)) == 0, "no scope");
    leat_group_open(&p->group, 0);
    (void)leat_group_go(&p->group, sleeper);
    if (depth)
        (void)leat_group_go(&p->group, nester, depth - 1, !scoped, nap_ns / 2);
    (void)leat_sleep(nap_ns);
    check_told(&p->group);
    leat_shield_begin(&shield);
    sim_check(leat_group_close(&p->group) == 0, "the inner group has failed");
    leat_shield_end(&shield);
    if (scoped)
        sim_check(leat_scope_close(&p->scope) == -71, "another cause than the outer one's");
    sim_check(leat_sleep(0) == -ECANCELED, "not cancelled any more");
    sim_arena_free(p, sizeof(*p));
    s.ended++;
}

static void *cancel_top(void *arg)
{
    (void)lea_os_sleep_until(sim.now_ns + (int64_t)(uintptr_t)arg);
    leat_scope_cancel(&s.top->scope, -71);
    lea_u32_store_rel(&s.told, 1);
    return NULL;
}

static int tree_main(void *arg)
{
    unsigned n = 1 + sim_shape(3);
    struct sim_thread *t[2];
    bool two = sim_shape(2);
    leat_shield shield;

    (void)arg;
    sim_check(leat_scope_open(&s.top->scope, LEAT_FOREVER) == 0, "no scope");
    leat_group_open(&s.top->group, 0);
    t[0] = kit_thread(cancel_top, (void *)(uintptr_t)(sim_shape(40) * 200));
    if (two)
        t[1] = kit_thread(cancel_top, (void *)(uintptr_t)(sim_shape(40) * 200));
    for (unsigned i = 0; i < n; i++)
        (void)leat_group_go(&s.top->group, nester, sim_shape(3), sim_shape(2),
                            (int64_t)sim_shape(30) * 200);
    leat_shield_begin(&shield);
    sim_check(leat_group_close(&s.top->group) == 0, "the group has failed");
    while (!lea_u32_load_acq(&s.told))
        sim_check(leat_sleep(1000) == 0, "a shield does not hold");
    kit_join(t[0]);
    if (two)
        kit_join(t[1]);
    leat_shield_end(&shield);
    sim_check(leat_scope_close(&s.top->scope) == -71, "another cause than the only one");
    sim_check(leat_sleep(100) == 0, "cancelled after the scope's end");
    sim_check(s.begun == s.ended, "%u of %u have ended", s.ended, s.begun);
    sim_arena_free(s.top, sizeof(*s.top));
    return 0;
}

void scenario_scope_tree(void)
{
    memset(&s, 0, sizeof(s));
    s.top = part_new();
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, tree_main, NULL);
}

/* --- deadlines --- */

static int deadline_main(void *arg)
{
    unsigned rounds = 1 + sim_shape(4);

    (void)arg;
    for (unsigned i = 0; i < rounds; i++) {
        struct part *p = part_new();
        unsigned naps = sim_shape(4);
        int64_t span = 2000 + (int64_t)sim_shape(20) * 1000;
        bool waits = sim_shape(2), outer = sim_shape(2);
        leat_scope around;
        leat_result why;

        if (outer)
            sim_check(leat_scope_open(&around, leat_after(span + 3000)) == 0, "no scope");
        sim_check(leat_scope_open(&p->scope, leat_after(span)) == 0, "no scope");
        leat_group_open(&p->group, 0);
        if (sim_shape(2))
            (void)leat_group_go(&p->group, sleeper);
        else
            waits = waits || naps == 0;
        for (unsigned k = 0; k < naps; k++)
            (void)leat_sleep((int64_t)sim_shape(8) *
                             500); /* each end of a nap lets the scope's entry go */
        if (waits)
            sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED, "slept for ever");
        why = leat_scope_close(&p->scope); /* waits for the group, which only the deadline ends */
        sim_check(why == -ETIMEDOUT || why == 0, "the cause is %lld", (long long)why);
        sim_check(!waits || why == -ETIMEDOUT, "no cause");
        sim_arena_free(p, sizeof(*p));
        if (outer) {
            if (sim_shape(2))
                sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED, "slept for ever");
            (void)leat_scope_close(&around);
        }
        sim_check(leat_sleep(500) == 0, "cancelled after the scope's end");
    }
    return 0;
}

void scenario_scope_deadline(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, deadline_main, NULL);
}

/* --- shields, clean-up, the end of the run --- */

static int save(void)
{
    int r = leat_sleep(2000);

    sim_check(r == 0, "who works for a clean-up is cancelled");
    s.saved++;
    return 0;
}

static void clean(void *arg)
{
    leat_group g;
    int r;

    (void)arg;
    sim_check(leat_sleep(1000) == 0, "clean-up is cancelled");
    leat_group_open(&g, 0);
    r = leat_group_go(&g, save);
    sim_check(r == 0 || r == -ESHUTDOWN, "clean-up spawns: %d", r);
    sim_check(leat_group_close(&g) == 0, "clean-up fails");
    s.cleaned++;
}

static void shielded(bool extra, bool exits)
{
    leat_shield shield;
    leat_scope scope, under;
    int r;

    s.begun++;
    if (extra)
        sim_check(leat_scope_open(&scope, leat_after(3000)) == 0, "no scope");
    leat_shield_begin(&shield);
    r = leat_sleep(4000);
    sim_check(r == 0, "a shield does not hold: %d", r);
    sim_check(leat_scope_open(&under, leat_after(1000)) == 0, "no scope");
    sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED, "slept for ever");
    sim_check(leat_scope_close(&under) == -ETIMEDOUT, "no cause");
    sim_check(leat_sleep(1000) == 0, "a shield does not hold after a scope under it");
    leat_shield_end(&shield);
    if (extra) {
        leat_group g;

        sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED,
                  "what came under a shield is forgotten");
        leat_group_open(&g, 0);
        sim_check(leat_group_go(&g, sleeper) == -ECANCELED,
                  "a group in a cancelled scope takes members");
        (void)leat_group_close(&g);
        (void)leat_scope_close(&scope);
    }
    sim_check(leat_defer(clean, NULL) == 0, "no memory");
    sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED,
              "what came under a shield is forgotten");
    s.ended++;
    if (exits)
        leat_exit_self(0);
}

static void *cancel_it(void *arg)
{
    (void)lea_os_sleep_until(sim.now_ns + (int64_t)(uintptr_t)arg);
    leat_cancel(s.handle);
    lea_u32_store_rel(&s.told, 1);
    return NULL;
}

static int shield_main(void *arg)
{
    bool by_run = sim_shape(2);
    struct sim_thread *t;

    (void)arg;
    sim_check(leat_go_join(&s.handle, shielded, sim_shape(2), sim_shape(2)) == 0, "no coroutine");
    if (!by_run) {
        t = kit_thread(cancel_it, (void *)(uintptr_t)(sim_shape(60) * 200));
        while (!lea_u32_load_acq(&s.told))
            (void)leat_sleep(1000);
        kit_join(t);
        if (sim_shape(2)) {
            return leat_join(s.handle, NULL, LEAT_FOREVER);
        }
    }
    leat_detach(s.handle);
    (void)leat_sleep((int64_t)sim_shape(40) * 300);
    return 0;
}

void scenario_shield(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, shield_main, NULL);
    sim_check(s.begun == s.ended && s.ended == s.cleaned, "%u have begun, %u ended, %u cleaned up",
              s.begun, s.ended, s.cleaned);
}

/* --- the first deadline of a scope in a run, beside an entry that an earlier wait has left --- */

static leat_waitgroup early;

static void lets_go(void)
{
    leat_wg_done(&early);
}

static int scope_first_main(void *arg)
{
    int64_t late_ns = 400 + (int64_t)sim_shape(40) * 20;
    leat_scope scope;

    (void)arg;
    memset(&early, 0, sizeof(early));
    leat_wg_add(&early, 1);
    sim_check(go(lets_go) == 0, "no coroutine");
    (void)!leat_wg_wait(&early, leat_after(late_ns)); /* its entry stays */
    for (unsigned k = sim_shape(40); k > 0; k--)
        sim_point();
    sim_check(leat_scope_open(&scope, leat_after((int64_t)sim_shape(4) * 20)) == 0, "no scope");
    sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED, "slept for ever");
    sim_check(leat_scope_close(&scope) == -ETIMEDOUT, "no cause");
    sim_check(leat_sleep(0) == 0, "cancelled behind it");
    return 0;
}

void scenario_scope_first(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(2 + sim_shape(2), 0, scope_first_main, NULL);
}
