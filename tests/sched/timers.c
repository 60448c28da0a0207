/*
 * The timer heap by itself, with coroutines that never run and a time that is ours: order, nothing
 * early, deadlines used again.
 */
#include "support/test.h"

#include "sched/kit.h"
#include "time/timer.h"

#include <stdlib.h>
#include <string.h>

#define NR_CO 1000u

struct fixture {
    struct lea_timers heap;
    struct lea_co *co;
};

static struct fixture fixture_new(void)
{
    struct fixture f;

    lea_timers_init(&f.heap);
    f.co = aligned_alloc(LEA_CACHELINE, NR_CO * sizeof(struct lea_co));
    memset(f.co, 0, NR_CO * sizeof(struct lea_co));
    for (unsigned i = 0; i < NR_CO; i++)
        lea_word_store_rlx(&f.co[i].timer_ns, LEA_TIMER_NONE);
    return f;
}

static void fixture_free(struct fixture *f)
{
    lea_timers_destroy(&f->heap);
    free(f->co);
}

/* As a park does it: arm the timer, then publish that the registers are saved. */
static int wait_begin(struct fixture *f, struct lea_co *co, int64_t until)
{
    uintptr_t ticket = lea_co_ticket(co);
    int r = lea_timer_arm(&f->heap, co, ticket, until);

    if (r == 0 && !lea_co_arm(co, ticket, false))
        return -1;
    return r;
}

/* Somebody else ends it. */
static bool wait_end(struct lea_co *co)
{
    return lea_co_claim(co, lea_co_ticket(co), LEA_WAKE_DONE) == LEA_CLAIM_PARKED;
}

static uint32_t run(struct fixture *f, int64_t now, uint32_t max, struct lea_ready_list *out)
{
    lea_ready_list_init(out);
    struct lea_timer_scopes none = {.n = 0}; /* nobody has scopes here */

    return lea_timers_run(&f->heap, now, max, out, &none);
}

/*
 * Goal: the earliest first, none before its time, each once. Method: random deadlines, a clock that
 * is moved in random steps.
 */
Test(timers, in_order_and_never_early, .timeout = 60)
{
    struct fixture f = fixture_new();
    uint64_t seed = 1;
    int64_t now = 1000, last = 0;
    uint32_t fired = 0;

    for (unsigned i = 0; i < NR_CO; i++)
        cr_assert(
            eq(int, wait_begin(&f, &f.co[i], 1001 + (int64_t)(kit_random(&seed) % 100000)), 0));
    while (fired < NR_CO) {
        struct lea_ready_list out;
        struct lea_co *g;

        now += (int64_t)(kit_random(&seed) % 700);
        cr_assert(le(i64, now, 200000));
        fired += run(&f, now, 7, &out);
        while ((g = lea_ready_list_take(&out))) {
            int64_t at = (int64_t)lea_word_load_rlx(&g->until_ns);

            cr_assert(le(i64, at, now));
            cr_assert(ge(i64, at, last));
            cr_assert(eq(int, (int)lea_co_wake_code(g), LEA_WAKE_TIMEOUT));
            last = at;
        }
    }
    cr_assert(eq(u32, f.heap.n, 0));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), INT64_MAX));
    fixture_free(&f);
}

/* Goal: the time of the first one is always known. */
Test(timers, first_is_known, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;

    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), INT64_MAX));
    cr_assert(eq(int, wait_begin(&f, &f.co[0], 500), 0));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 500));
    cr_assert(eq(int, wait_begin(&f, &f.co[1], 700), 0));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 500));
    cr_assert(eq(int, wait_begin(&f, &f.co[2], 300), 0));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 300));
    cr_assert(eq(u32, run(&f, 299, 9, &out), 0));
    cr_assert(eq(u32, run(&f, 300, 9, &out), 1));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 500));
    cr_assert(eq(u32, run(&f, 10000, 1, &out), 1)); /* at most so many */
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 700));
    cr_assert(eq(u32, run(&f, 10000, 9, &out), 1));
    fixture_free(&f);
}

/* Goal: deadlines at the ends of the range fire at once, or not before the end of time. */
Test(timers, ends_of_the_range, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;

    cr_assert(eq(int, wait_begin(&f, &f.co[0], INT64_MAX - 1), 0));
    cr_assert(eq(int, wait_begin(&f, &f.co[1], INT64_MIN), 0));
    cr_assert(eq(int, wait_begin(&f, &f.co[2], -1), 0));
    cr_assert(eq(int, wait_begin(&f, &f.co[3], 0), 0));
    cr_assert(eq(int, wait_begin(&f, &f.co[4], 1), 0));
    cr_assert(eq(u32, run(&f, 1, 99, &out), 4));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), INT64_MAX - 1));
    cr_assert(eq(u32, run(&f, INT64_MAX - 2, 99, &out), 0));
    cr_assert(eq(u32, run(&f, INT64_MAX - 1, 99, &out), 1));
    fixture_free(&f);
}

/*
 * Goal: a wait with a later deadline uses the entry that an earlier one left behind: however many
 * waits, one entry each, and the last one fires at its own time. The usual case of a connection:
 * each read has a deadline, none fires.
 */
Test(timers, later_deadlines_use_the_entry_again, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;
    int64_t now = 0;

    for (int i = 0; i < 20000; i++) {
        now = i * 100;
        for (unsigned c = 0; c < 10; c++) {
            cr_assert(eq(int, wait_begin(&f, &f.co[c], now + 50000 + c), 0));
            cr_assert(le(u32, f.heap.n, 10));
            if (i < 19999)
                cr_assert(wait_end(&f.co[c]));
        }
        cr_assert(eq(u32, run(&f, now, 99, &out), 0)); /* looks, and finds that none is due */
    }
    cr_assert(le(u32, f.heap.n, 10));
    cr_assert(eq(u32, run(&f, now + 49999, 99, &out), 0));
    cr_assert(eq(u32, run(&f, now + 50004, 99, &out), 5));
    cr_assert(eq(u32, run(&f, now + 50009, 99, &out), 5));
    cr_assert(eq(u32, f.heap.n, 0));
    fixture_free(&f);
}

/*
 * Goal: two deadlines by turns, a near and a far one, leave few entries, and the near one is never
 * late.
 */
Test(timers, near_and_far_by_turns, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;
    uint32_t most = 0;

    for (int i = 0; i < 20000; i++) {
        int64_t now = i * 100;

        cr_assert(eq(int, wait_begin(&f, &f.co[0], now + (i % 2 ? 1000 : 30000)), 0));
        cr_assert(wait_end(&f.co[0]));
        cr_assert(eq(u32, run(&f, now + 1, 99, &out), 0));
        most = f.heap.n > most ? f.heap.n : most;
    }
    /* one near entry comes up every 1000 or so, and a far one stays for 30000 at most */
    cr_expect(le(u32, most, 40));
    cr_assert(eq(int, wait_begin(&f, &f.co[0], 20000 * 100 + 77), 0));
    cr_assert(eq(u32, run(&f, 20000 * 100 + 76, 99, &out), 0));
    cr_assert(eq(u32, run(&f, 20000 * 100 + 77, 99, &out), 1));
    fixture_free(&f);
}

/*
 * Goal: an earlier deadline than the entry that is there fires at its own time, and the stale entry
 * harms nobody.
 */
Test(timers, an_earlier_deadline_is_not_late, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;

    cr_assert(eq(int, wait_begin(&f, &f.co[0], 9000), 0));
    cr_assert(wait_end(&f.co[0]));
    cr_assert(eq(int, wait_begin(&f, &f.co[0], 400), 0));
    cr_assert(eq(u32, run(&f, 399, 99, &out), 0));
    cr_assert(eq(u32, run(&f, 400, 99, &out), 1));
    /* the next wait has no deadline: what is left of the old ones does not end it */
    cr_assert(lea_co_arm(&f.co[0], lea_co_ticket(&f.co[0]), false));
    cr_assert(eq(u32, run(&f, 100000, 99, &out), 0));
    cr_assert(eq(u32, f.heap.n, 0));
    cr_assert(wait_end(&f.co[0]));
    fixture_free(&f);
}

/*
 * Goal: far deadlines that end early and near ones that fire, by turns, leave a heap that does not
 * grow with time, though no far one ever comes up; those who do wait there are served in order.
 */
Test(timers, stale_entries_do_not_pile_up, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;
    const int64_t far = 1000000000;
    int64_t last = 0;

    for (unsigned c = 10; c < 60; c++)
        cr_assert(eq(int, wait_begin(&f, &f.co[c], far / 2 + (c * 7919) % 5000), 0));
    for (int i = 0; i < 20000; i++) {
        int64_t now = i * 100;

        for (unsigned c = 0; c < 10; c++) {
            cr_assert(eq(int, wait_begin(&f, &f.co[c], far + now + c), 0));
            cr_assert(wait_end(&f.co[c]));
            cr_assert(eq(int, wait_begin(&f, &f.co[c], now + 50 + c), 0));
        }
        cr_assert(eq(u32, run(&f, now + 99, 99, &out), 10));
    }
    cr_assert(le(u32, f.heap.cap, 256));
    for (int64_t now = far / 2; now < far / 2 + 5000; now += 10) {
        struct lea_co *g;

        run(&f, now, 99, &out);
        while ((g = lea_ready_list_take(&out))) {
            int64_t at = (int64_t)lea_word_load_rlx(&g->until_ns);

            cr_assert(le(i64, at, now));
            cr_assert(gt(i64, at, now - 10));
            last = at;
        }
    }
    cr_assert(ge(i64, last, far / 2));
    cr_assert(eq(u32, run(&f, 2 * far, 9999, &out), 0));
    cr_assert(eq(u32, f.heap.n, 0));
    fixture_free(&f);
}

/* Goal: one look is bounded by `max`, whether the entries that come up count or are stale. */
Test(timers, stale_entries_count_as_looked_at, .timeout = 60)
{
    struct fixture f = fixture_new();
    struct lea_ready_list out;
    uint32_t n;

    /* each earlier than the one before: all stay, the last one counts */
    for (int i = 40; i > 0; i--) {
        cr_assert(eq(int, wait_begin(&f, &f.co[0], 1000 + i), 0));
        cr_assert(wait_end(&f.co[0]));
    }
    cr_assert(eq(int, wait_begin(&f, &f.co[1], 5000), 0));
    n = f.heap.n;
    cr_assert(eq(u32, n, 41));
    cr_assert(eq(u32, run(&f, 9000, 15, &out), 0));
    cr_assert(eq(u32, f.heap.n, n - 15));
    cr_assert(eq(i64, lea_timers_first_ns(&f.heap), 1016));
    cr_assert(eq(u32, run(&f, 9000, 25, &out), 0));
    cr_assert(eq(u32, run(&f, 9000, 1, &out), 1));
    fixture_free(&f);
}
