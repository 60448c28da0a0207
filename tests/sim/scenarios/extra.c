/*
 * Scenarios of a coroutine's extra alone: the biased lock, and its end beside threads that pin it.
 */
#include "unit.h"

#include "all.h"
#include "sched/extra.h"

static struct {
    struct unit_co *c;
    unsigned inside, entered, pinned;
    bool ended;
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.c = unit_co_new();
    s.c->co.extra_word.value_ = (uintptr_t)sim_arena_alloc(sizeof(struct lea_extra), LEA_CACHELINE);
    s.c->co.wait.value_ = LEA_WAIT_EXTRA;
}

#define HERE __builtin_return_address(0)

static void go_in(void)
{
    sim_check(s.inside++ == 0, "two are inside");
    sim_touch(&s.c->co.extra->level, sizeof(s.c->co.extra->level), true, HERE);
    sim_point();
    s.inside--;
    s.entered++;
}

static void *owner(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        (void)lea_extra_enter(&s.c->co);
        go_in();
        lea_extra_leave(&s.c->co);
    }
    lea_extra_end(&s.c->co);
    sim_check(s.pinned == 0, "it has ended while somebody has it pinned");
    s.ended = true;
    return NULL;
}

/* As whoever walks through its groups: pinned under the lock, looked at without it. */
static void *walker(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 2 && lea_extra_lock(&s.c->co); i++) {
        go_in();
        lea_extra_pin(&s.c->co);
        s.pinned++;
        lea_extra_unlock(&s.c->co);
        sim_point();
        sim_check(!s.ended, "it has ended while it was pinned");
        s.pinned--;
        lea_extra_unpin(&s.c->co);
    }
    return NULL;
}

void scenario_extra(void)
{
    struct sim_thread *t[3];
    unsigned n = 2 + sim_shape(2);

    reset();
    t[0] = kit_thread(owner, NULL);
    for (unsigned i = 1; i < n; i++)
        t[i] = kit_thread(walker, NULL);
    for (unsigned i = 0; i < n; i++)
        kit_join(t[i]);
}
