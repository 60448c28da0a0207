/*
 * Pairs of a coroutine's record and of waiting: WAIT-ARM, WAIT-CLAIM, EXTRA-BUSY, TIMER-LOOK,
 * THREAD-WAKE.
 */
#include "support/test.h"

#include "base/os.h"
#include "race/kit.h"
#include "sched/extra.h"
#include "sched/waiter.h"
#include "time/timer.h"

#include <string.h>

#define SPAN (300 * LEAT_MSEC)

static struct race_co co;

/* --- WAIT-ARM --- */

/* In all of these a round is a wait, and its number the ticket that was handed out. */
static void *arm_waiter(void *arg)
{
    for (uintptr_t ticket = 0; race_next_round(30000, SPAN); ticket++) {
        RACE_CHECK(race_park(&co, ticket, false) == LEA_WAKE_DONE);
        race_meet();
    }
    return arg;
}

static void *arm_claimer(void *arg)
{
    struct lea_ready_list list;

    for (uintptr_t ticket = 0; race_next_round(30000, SPAN); ticket++) {
        lea_ready_list_init(&list);
        RACE_CHECK(lea_co_claim_to(&co.co, ticket, LEA_WAKE_DONE, &list));
        race_ready(&list); /* which looks at what was saved */
        race_meet();
    }
    return arg;
}

/*
 * Goal: whoever claims a wait that has parked finds the registers saved; one that had not parked
 * yet is left to itself.
 */
Test(race_waits, wait_arm, .timeout = 60)
{
    static void *(*const fn[])(void *) = {arm_waiter, arm_claimer};

    race_co_init(&co);
    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
}

/* --- WAIT-CLAIM --- */

static uint64_t message[RACE_THREADS]; /* plain: written before the claim, read after it */
static lea_u32 winners;

static void *claim_waiter(void *arg)
{
    static const enum lea_wake codes[] = {LEA_WAKE_NONE, LEA_WAKE_DONE, LEA_WAKE_TIMEOUT,
                                          LEA_WAKE_CANCEL};

    for (uintptr_t ticket = 0; race_next_round(30000, SPAN); ticket++) {
        enum lea_wake code = race_park(&co, ticket, false);
        unsigned by = 0;

        for (unsigned i = 1; i < 4; i++)
            by = code == codes[i] ? i : by;
        RACE_CHECK(by > 0);
        RACE_CHECK(by == 3 || message[by] == ticket + 1); /* a cancellation brings no message */
        race_meet();
        RACE_CHECK(lea_u32_load_rlx(&winners) <= 1); /* relaxed: the meeting orders it */
        if (lea_co_cancelled(&co.co))                /* as a new coroutine has it */
            lea_word_and(&co.co.wait, ~LEA_WAIT_CANCEL);
        lea_u32_store_rlx(&winners, 0);
    }
    return arg;
}

static void *claim_claimer(void *arg)
{
    static const enum lea_wake code[] = {LEA_WAKE_NONE, LEA_WAKE_DONE, LEA_WAKE_TIMEOUT};
    struct lea_ready_list list;

    for (uintptr_t ticket = 0; race_next_round(30000, SPAN); ticket++) {
        lea_ready_list_init(&list);
        if (race_self() == 3) {
            lea_co_cancel(&co.co, &list);
        } else {
            message[race_self()] = ticket + 1;
            if (lea_co_claim_to(&co.co, ticket, code[race_self()], &list))
                (void)lea_u32_add(&winners, 1);
        }
        race_ready(&list);
        race_meet();
    }
    return arg;
}

/*
 * Goal: of two claimers and a cancellation one ends the wait, and what a claimer wrote before is
 * seen by whoever was woken.
 */
Test(race_waits, wait_claim, .timeout = 60)
{
    static void *(*const fn[])(void *) = {claim_waiter, claim_claimer, claim_claimer,
                                          claim_claimer};

    race_co_init(&co);
    cr_assert(eq(uint, race_run(4, fn, NULL), 0));
}

/* --- EXTRA-BUSY --- */

static struct lea_extra extra;
static struct {
    bool taken; /* both plain: under the biased lock */
    uint64_t n;
    lea_u32 goal;
} biased;

static void inside_the_extra(void)
{
    RACE_CHECK(!biased.taken);
    biased.taken = true;
    biased.n++;
    race_jitter();
    biased.taken = false;
    (void)lea_u32_add(&biased.goal, 1);
}

static void *extra_owner(void *arg)
{
    struct each_rounds rounds = each_rounds(100000, SPAN);

    while (each_next(&rounds)) {
        (void)lea_extra_enter(&co.co);
        inside_the_extra();
        lea_extra_leave(&co.co);
        race_jitter();
    }
    lea_extra_end(&co.co);
    return arg;
}

static void *extra_other(void *arg)
{
    while (lea_extra_lock(&co.co)) { /* until it has ended */
        inside_the_extra();
        lea_extra_unlock(&co.co);
        for (uint32_t i = race_random(8); i > 0; i--)
            race_jitter();
        if (race_random(16) == 0)
            lea_os_thread_yield();
    }
    return arg;
}

/* Goal: the coroutine and others exclude each other, though it takes no lock. */
Test(race_waits, extra_busy, .timeout = 60)
{
    static void *(*const fn[])(void *) = {extra_owner, extra_other, extra_other};

    race_co_init(&co);
    lea_word_store_rlx(&co.co.extra_word, (uintptr_t)&extra);
    lea_word_or(&co.co.wait, LEA_WAIT_EXTRA);
    cr_assert(eq(uint, race_run(3, fn, NULL), 0));
    cr_assert(eq(u64, biased.n, lea_u32_load_rlx(&biased.goal)));
}

/* --- TIMER-LOOK --- */

static struct lea_timers heap;
static lea_u32 over;
static lea_u32 parked; /* ticket of the wait that may be claimed, plus one */

static void *look_waiter(void *arg)
{
    struct each_rounds rounds = each_rounds(30000, SPAN);

    while (each_next(&rounds)) {
        uintptr_t ticket = lea_co_ticket(&co.co);
        int64_t until = lea_os_now_ns() + (int64_t)race_random(20000);
        enum lea_wake code;

        RACE_CHECK(lea_timer_arm(&heap, &co.co, ticket, until) == 0);
        lea_u32_store_rel(&parked, (uint32_t)ticket + 1);
        code = race_park(&co, ticket, false); /* a hang: its deadline was missed */
        RACE_CHECK(code == LEA_WAKE_TIMEOUT || code == LEA_WAKE_DONE);
        RACE_CHECK(code != LEA_WAKE_TIMEOUT || lea_os_now_ns() >= until);
    }
    lea_u32_store_rel(&over, 1);
    return arg;
}

/* Runs the heap when its first entry says so, and never else. */
static void *look_runner(void *arg)
{
    struct lea_timer_scopes none = {.n = 0}; /* nobody has scopes here */
    struct lea_ready_list list;

    while (!lea_u32_load_acq(&over)) {
        int64_t now = lea_os_now_ns();

        lea_ready_list_init(&list);
        if (lea_timers_first_ns(&heap) <= now)
            (void)lea_timers_run(&heap, now, UINT32_MAX, &list, &none);
        race_ready(&list);
        race_jitter();
    }
    return arg;
}

/* Ends every other wait before its time: so its entry is left behind, and serves the next one. */
static void *look_claimer(void *arg)
{
    struct lea_ready_list list;
    uint32_t seen = 0;

    while (!lea_u32_load_acq(&over)) {
        uint32_t now = lea_u32_load_acq(&parked);

        lea_ready_list_init(&list);
        if (now != seen && race_random(2))
            (void)lea_co_claim_to(&co.co, now - 1, LEA_WAKE_DONE, &list);
        seen = now;
        race_ready(&list);
        race_jitter();
    }
    return arg;
}

/* Goal: a deadline that relies on an entry that comes up this very moment is not missed. */
Test(race_waits, timer_look, .timeout = 60)
{
    static void *(*const fn[])(void *) = {look_waiter, look_runner, look_claimer};

    race_co_init(&co);
    lea_timers_init(&heap);
    cr_assert(eq(uint, race_run(3, fn, NULL), 0));
    lea_timers_destroy(&heap);
}

/* --- THREAD-WAKE --- */

static struct lea_lock lock;
static struct lea_waiters waiters; /* under the lock */
static uint64_t letter;            /* plain: written before the delivery, read after it */
static lea_u32 gave_up;            /* number of the last round in which it did */

static bool paint_is_whole(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0xa5)
            return false;
    return true;
}

/* Its frame is something else as soon as the wait is over. */
static void *thread_waiter(void *arg)
{
    uint64_t number = 0;

    while (race_next_round(20000, SPAN)) {
        unsigned char memory[sizeof(struct lea_waiter)] __attribute__((aligned(16)));
        struct lea_waiter *w = (struct lea_waiter *)(void *)memory;
        struct lea_worker *m = NULL;
        enum lea_wake code;

        number++;
        lea_waiter_begin(w, NULL);
        lea_lock_take(&lock);
        lea_waiters_push_back(&waiters, w);
        lea_lock_drop(&lock);
        code = lea_waiter_wait(
            w, &m, LEA_REASON_MUTEX,
            race_random(2) ? lea_os_now_ns() + (int64_t)race_random(5000) : INT64_MAX, false);
        RACE_CHECK(code == LEA_WAKE_DONE ? letter == number : code == LEA_WAKE_TIMEOUT);
        if (code != LEA_WAKE_DONE) {
            lea_lock_take(&lock);
            if (w->queued)
                lea_waiters_del(&waiters, w);
            lea_lock_drop(&lock);
            lea_u32_store_rel(&gave_up, (uint32_t)number);
        }
        memset(memory, 0xa5, sizeof(memory));
        race_meet();
        RACE_CHECK(paint_is_whole(memory, sizeof(memory)));
    }
    return arg;
}

static void *thread_claimer(void *arg)
{
    uint64_t number = 0;

    while (race_next_round(20000, SPAN)) {
        struct lea_waiter *w = NULL;
        struct lea_wakes wakes;

        number++;
        while (!w && lea_u32_load_acq(&gave_up) != (uint32_t)number) {
            lea_wakes_begin(&wakes, NULL);
            lea_lock_take(&lock);
            w = lea_waiters_pop(&waiters);
            if (w && lea_waiter_claim(w, LEA_WAKE_DONE, &wakes))
                letter = number;
            lea_lock_drop(&lock);
            lea_wakes_deliver(&wakes, NULL);
            race_jitter();
        }
        race_meet();
    }
    return arg;
}

/* Goal: a thread that was woken sees what its waker wrote, and its frame is its own again. */
Test(race_waits, thread_wake, .timeout = 60)
{
    static void *(*const fn[])(void *) = {thread_waiter, thread_claimer};

    cr_assert(eq(uint, race_run(2, fn, NULL), 0));
}
