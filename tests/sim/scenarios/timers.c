/*
 * Scenarios: timer heaps alone (unit.h), sleepers and deadlines under the whole scheduler.
 */
#include "unit.h"

#include "all.h"
#include "base/os.h"

static struct {
    struct lea_timers *heap[2];
    struct unit_co *c[2];
    unsigned rounds;
    unsigned timeouts, edges;
    bool waiting[2];
} s;

static void reset(unsigned nr_co)
{
    memset(&s, 0, sizeof(s));
    for (unsigned i = 0; i < 2; i++) {
        s.heap[i] = sim_arena_alloc(sizeof(*s.heap[i]), LEA_CACHELINE);
        lea_timers_init(s.heap[i]);
    }
    for (unsigned i = 0; i < nr_co; i++)
        s.c[i] = unit_co_new();
}

static void destroy(void)
{
    for (unsigned i = 0; i < 2; i++)
        lea_timers_destroy(s.heap[i]);
}

static void run(struct lea_timers *t, int64_t now_ns)
{
    struct lea_timer_scopes none = {.n = 0}; /* nobody has scopes here */
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    (void)lea_timers_run(t, now_ns, 16, &list, &none);
    unit_ready(&list);
}

/* As lea_park_until(). */
static enum lea_wake wait_until(struct unit_co *c, struct lea_timers *t, uintptr_t ticket,
                                int64_t until_ns)
{
    sim_check(lea_timer_arm(t, &c->co, ticket, until_ns) == 0, "no memory for a timer");
    return unit_park(c, ticket, false);
}

/* --- one coroutine's deadlines, and runners of both heaps that look meanwhile --- */

static int64_t deadline[4]; /* of each wait in turn */

static void *reuse_waiter(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < s.rounds; i++) {
        if (i % 2 == 0 &&
            sim_shape(
                2)) { /* something else ends this one before it parks: its entry is left behind */
            uintptr_t ticket = lea_co_ticket(&s.c[0]->co);

            sim_check(lea_timer_arm(s.heap[i % 2], &s.c[0]->co, ticket, deadline[i]) == 0,
                      "no memory");
            if (lea_co_claim(&s.c[0]->co, ticket, LEA_WAKE_DONE) == LEA_CLAIM_LOST)
                sim_check(lea_co_wake_code(&s.c[0]->co) == LEA_WAKE_TIMEOUT, "who has ended it?");
            continue;
        }
        sim_check(wait_until(s.c[0], s.heap[i % 2], i, deadline[i]) == LEA_WAKE_TIMEOUT,
                  "not by its timer");
        sim_check(deadline[i] <= sim.now_ns, "early: at %lld, it was to be %lld",
                  (long long)sim.now_ns, (long long)deadline[i]);
    }
    s.waiting[0] = false;
    return NULL;
}

/*
 * Runs a heap when its first entry says so, until the waiter has ended; other heaps are looked at
 * only when nobody else would.
 */
static void *reuse_runner(void *arg)
{
    struct lea_timers *t = arg;

    while (*(volatile bool *)&s.waiting[0]) {
        int64_t first = lea_timers_first_ns(t);

        if (first <= sim.now_ns)
            run(t, sim.now_ns);
        else
            (void)lea_os_sleep_until(sim.now_ns + 200);
        sim_check(sim.now_ns < 1000000000 + 1000000, "a deadline is long past");
    }
    return NULL;
}

/* Alternating earlier and later deadlines use one entry, and none is missed. */
void scenario_timer_reuse(void)
{
    struct sim_thread *t[3];

    reset(1);
    s.rounds = 2 + sim_shape(3);
    s.waiting[0] = true;
    for (unsigned i = 0; i < s.rounds; i++)
        deadline[i] = sim.now_ns + 500 + sim_shape(8) * 700;
    t[0] = kit_thread(reuse_waiter, NULL);
    t[1] = kit_thread(reuse_runner, s.heap[0]);
    t[2] = kit_thread(reuse_runner, s.heap[1]);
    for (unsigned i = 0; i < 3; i++)
        kit_join(t[i]);
    destroy();
}

/* --- an entry that comes up while the next wait counts on it --- */

static void *look_waiter(void *arg)
{
    uintptr_t ticket = lea_co_ticket(&s.c[0]->co);

    (void)arg;
    sim_check(lea_timer_arm(s.heap[0], &s.c[0]->co, ticket, 200) == 0, "no memory for a timer");
    sim_check(unit_park(s.c[0], ticket, false) == LEA_WAKE_TIMEOUT, "not by its timer");
    s.timeouts++;
    return NULL;
}

static void *look_runner(void *arg)
{
    (void)arg;
    run(s.heap[0], 100);
    return NULL;
}

void scenario_timer_look(void)
{
    struct sim_thread *t[2];
    uintptr_t ticket;

    reset(1);
    ticket = lea_co_ticket(&s.c[0]->co);
    sim_check(lea_timer_arm(s.heap[0], &s.c[0]->co, ticket, 100) == 0, "no memory for a timer");
    (void)lea_co_claim(&s.c[0]->co, ticket, LEA_WAKE_DONE);
    t[0] = kit_thread(look_waiter, NULL);
    t[1] = kit_thread(look_runner, NULL);
    kit_join(t[1]);
    sim_check(s.timeouts == 0, "a deadline of 200 was over at 100");
    while (!s.timeouts && s.c[0]->turn.value_ == 0) { /* until it is armed, and past that */
        run(s.heap[0], 1000);
        (void)lea_os_sleep_until(sim.now_ns + 1000);
        sim_check(sim.steps < 20000, "a deadline was missed: nobody looks at it any more");
    }
    kit_join(t[0]);
    destroy();
}

/* --- the end of a wait: deadline, edge and cancellation at once --- */

static void *ends_waiter(void *arg)
{
    enum lea_wake code;

    (void)arg;
    code = wait_until(s.c[0], s.heap[0], 0, 100);
    s.timeouts += code == LEA_WAKE_TIMEOUT;
    s.edges += code == LEA_WAKE_DONE;
    sim_check(code != LEA_WAKE_NONE, "it ended with nothing");
    s.waiting[0] = false;
    return NULL;
}

static void *ends_claimer(void *arg)
{
    struct lea_ready_list list;

    (void)arg;
    lea_ready_list_init(&list);
    (void)lea_co_claim_to(&s.c[0]->co, 0, LEA_WAKE_DONE, &list);
    unit_ready(&list);
    return NULL;
}

static void *ends_runner(void *arg)
{
    (void)arg;
    run(s.heap[0], 100);
    return NULL;
}

void scenario_timer_ends(void)
{
    struct sim_thread *t[4];
    unsigned runners = 1 + sim_shape(2);

    reset(1);
    s.waiting[0] = true;
    t[0] = kit_thread(ends_waiter, NULL);
    t[1] = kit_thread(ends_claimer, NULL);
    for (unsigned i = 0; i < runners; i++)
        t[2 + i] = kit_thread(ends_runner, NULL);
    for (unsigned i = 0; i < 2 + runners; i++)
        kit_join(t[i]);
    sim_check(s.timeouts + s.edges == 1, "%u timeouts and %u claims have ended one wait",
              s.timeouts, s.edges);
    destroy();
}

/* --- sleepers under the whole scheduler --- */

/*
 * What the oracle allows: the monitor's longest pause, and some. Timeouts that come early by choice
 * make others late.
 */
#define LATE_NS 13000000

static struct {
    unsigned ended;
    int64_t woke_ns[10], until_ns[10];
    bool busy;
} z;

static void sleeper(unsigned i, unsigned rounds, int64_t nap_ns)
{
    for (unsigned k = 0; k < rounds; k++) {
        z.until_ns[i] = leat_now() + nap_ns / (1 + (i + k) % 3);
        sim_check(leat_sleep_until(leat_at(z.until_ns[i])) == 0, "sleeping failed");
        z.woke_ns[i] = sim.now_ns;
        sim_check(z.woke_ns[i] >= z.until_ns[i], "woken %lld ns too early",
                  (long long)(z.until_ns[i] - z.woke_ns[i]));
        sim_check(z.woke_ns[i] - z.until_ns[i] < LATE_NS || sim.config.time_permille,
                  "woken %lld us late", (long long)(z.woke_ns[i] - z.until_ns[i]) / 1000);
    }
    z.ended++;
}

/* Keeps its processor: others run its timers. */
static void hog(int64_t span_ns)
{
    int64_t until = sim.now_ns + span_ns;

    while (sim.now_ns < until)
        lea_pause();
    z.ended++;
}

static int sleepers_main(void *arg)
{
    unsigned n = 2 + sim_shape(8), hogs = *(unsigned *)arg > 1 ? sim_shape(2) : 0;

    for (unsigned i = 0; i < n; i++)
        sim_check(go(sleeper, i, 1 + sim_shape(3), (int64_t)(1 + sim_shape(60)) * 5000) == 0,
                  "no coroutine");
    if (hogs)
        sim_check(go(hog, (int64_t)sim_shape(100) * 1000) == 0, "no coroutine");
    kit_await(&z.ended, n + hogs, "sleepers");
    return 0;
}

void scenario_sleepers(void)
{
    unsigned procs = kit_procs(3);

    memset(&z, 0, sizeof(z));
    kit_run(procs, 0, sleepers_main, &procs);
}

/* --- a deadline beside an edge: the timer is armed while the poller computes its timeout --- */

static struct {
    int fd[2];
    unsigned ended, timeouts;
} q;

static void reader_with_deadlines(unsigned rounds, int64_t patience_ns)
{
    for (unsigned i = 0; i < rounds;) {
        int64_t until = leat_now() + patience_ns * (i % 2 ? 3 : 1);
        char b;
        ssize_t r = leat_read(q.fd[0], &b, 1, leat_at(until));

        if (r == -ETIMEDOUT) {
            sim_check(sim.now_ns >= until, "too early");
            sim_check(sim.now_ns - until < LATE_NS || sim.config.time_permille, "%lld us late",
                      (long long)(sim.now_ns - until) / 1000);
            q.timeouts++;
            patience_ns *= 2;
            continue;
        }
        sim_check(r == 1 && b == (char)i, "read %zd, byte %d of %u", r, b, i);
        i++;
    }
    q.ended++;
}

static void *writing_thread(void *arg)
{
    for (char i = 0; i < (char)(intptr_t)arg; i++) {
        (void)lea_os_sleep_until(sim.now_ns + 3000 * (1 + i % 3));
        sim_check(lea_os_write(q.fd[1], &i, 1) == 1, "the pipe is full");
    }
    return NULL;
}

static int deadlines_main(void *arg)
{
    unsigned rounds = 1 + sim_shape(4);
    struct sim_thread *t;

    (void)arg;
    sim_check(leat_pipe(q.fd) == 0, "no pipe");
    go(reader_with_deadlines, rounds, 500 + (int64_t)sim_shape(20) * 500);
    t = kit_thread(writing_thread, (void *)(uintptr_t)rounds);
    kit_await(&q.ended, 1, "the reader");
    kit_join(t);
    return 0;
}

void scenario_deadlines(void)
{
    memset(&q, 0, sizeof(q));
    kit_run(kit_procs(3), 0, deadlines_main, NULL);
}
