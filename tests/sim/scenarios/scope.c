/*
 * Scenarios: groups, joins, and ends of runs, with coroutines that wait for everything there is.
 */
#include "kit.h"

#include "all.h"
#include "base/os.h"

#include <sys/socket.h>

#define HERE __builtin_return_address(0)

#define SLOW_WORLD (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD)

/* What members may do. All but the first two end only when they are asked to. */
enum { RETURNS, FAILS, SLEEPS, READS, LOCKS, YIELDS, COUNTS, NESTS, NR_KINDS };

/* Gone as soon as the group's wait has returned. */
struct shared {
    leat_group group;
    uint64_t ended[12];
};

static struct {
    struct shared *x;
    leat_mutex held;
    leat_waitgroup never;
    int fd[2];
    unsigned begun, over, failed;
    leat_handle *handle;
    leat_result result;
    int join, rounds;
    unsigned outside_ok, outside_ran, outside_late;
} s;

static leat_result wait_like(unsigned kind)
{
    char b;

    switch (kind) {
    case SLEEPS:
        return leat_sleep_until(LEAT_FOREVER);
    case READS: /* one of many: whoever reads, the others sleep */
        b = (char)leat_read(s.fd[0], &b, 1, LEAT_FOREVER);
        return b == -EBUSY ? leat_sleep_until(LEAT_FOREVER) : b;
    case LOCKS:
        return leat_mutex_lock_until(&s.held, LEAT_FOREVER);
    case YIELDS:
        while (!leat_cancelled())
            (void)leat_sleep(50 * LEAT_USEC);
        return -ECANCELED;
    default:
        return leat_wg_wait(&s.never, LEAT_FOREVER);
    }
}

static leat_result member(unsigned i, unsigned kind, int64_t nap_ns)
{
    leat_result r = 0;

    s.begun++;
    if (kind == RETURNS || kind == FAILS) {
        r = leat_sleep(nap_ns);
        if (r == 0 && kind == FAILS) {
            r = -100 - (int)i;
            s.failed++;
        }
    } else if (kind == NESTS) {
        leat_group inner;

        leat_group_open(&inner, 0);
        r = leat_group_go(&inner, wait_like, SLEEPS);
        if (r == 0)
            r = leat_group_wait(&inner, LEAT_FOREVER);
        sim_check(r == -ECANCELED || (r == 0 && leat_cancelled()),
                  "the inner group ended by itself");
        sim_check(leat_group_close(&inner) == 0, "an inner group that was cancelled has failed");
        r = -ECANCELED;
    } else {
        r = wait_like(kind);
        sim_check(r == -ECANCELED, "a wait of kind %u that is to be cancelled gave %lld", kind,
                  (long long)r);
    }
    sim_touch(&s.x->ended[i], 8, true, HERE);
    s.x->ended[i] = 1;
    s.over++;
    return r;
}

static void world_open(void)
{
    sim_check(leat_pipe(s.fd) == 0, "no pipe");
    sim_check(leat_mutex_try(&s.held) == 0, "a new mutex is held");
    leat_wg_add(&s.never, 1);
}

static void *cancel_thread(void *arg)
{
    (void)lea_os_sleep_until(sim.now_ns + (int64_t)(uintptr_t)arg);
    leat_group_cancel(&s.x->group);
    return NULL;
}

/* --- groups --- */

static int group_main(void *arg)
{
    unsigned n = 1 + sim_shape(5), limit = sim_shape(2) ? 0 : 1 + sim_shape(3), spawned = 0;
    bool cancels = sim_shape(2), endless = false, fails = false, waits = sim_shape(2);
    struct sim_thread *t = NULL;
    int r = 0, first = 0;

    (void)arg;
    world_open();
    leat_group_open(&s.x->group, limit);
    if (cancels)
        t = kit_thread(cancel_thread, (void *)(uintptr_t)(sim_shape(50) * 1000));
    for (unsigned i = 0; i < n && r == 0; i++) {
        /*
         * with a limit nobody may be endless before all have been spawned, unless somebody cancels
         */
        unsigned kind = sim_shape(cancels || !limit ? NR_KINDS : 2);

        endless |= kind > FAILS;
        fails |= kind == FAILS;
        r = leat_group_go(&s.x->group, member, i, kind, (int64_t)sim_shape(30) * 1000);
        sim_check(r == 0 || r == -ECANCELED, "spawning into the group gave %d", r);
        spawned += r == 0;
        first = kind == FAILS && r == 0 ? -100 - (int)i : first;
    }
    sim_check(r == 0 || cancels || s.failed, "a spawn was refused, and nobody has cancelled");
    if (t) /* the group must be there until it has been cancelled */
        kit_join(t);
    if (waits || (endless && !cancels && !fails)) {
        r = leat_group_wait(&s.x->group, leat_after(40 * LEAT_USEC));
        sim_check(r != 0 || !endless || cancels, "an endless group has ended");
    }
    if (endless && !cancels)
        leat_group_cancel(&s.x->group);
    r = leat_group_close(&s.x->group);
    sim_check(s.failed ? r <= -100 : r == 0, "the group's error is %d, %u have failed", r,
              s.failed);
    sim_check(s.failed != 1 || r == first || !first || fails, "another error than the only one: %d",
              r);
    sim_check(s.over == s.begun && s.over <= spawned, "%u of %u members have ended", s.over,
              spawned);
    for (unsigned i = 0; i < n; i++)
        sim_touch(&s.x->ended[i], 8, false, HERE);
    sim_arena_free(s.x, sizeof(*s.x));
    return 0;
}

void scenario_group(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, group_main, NULL);
}

/* --- joins --- */

static leat_result joined(bool endless, unsigned kind, int64_t nap_ns)
{
    leat_result r = endless ? wait_like(kind) : leat_sleep(nap_ns);

    s.over++;
    return r == 0 ? 77 : r;
}

/* The only one that ends an endless one: the handle is there until then. */
static void cancel_it(int64_t nap_ns)
{
    (void)leat_sleep(nap_ns);
    leat_cancel(s.handle);
}

static void *join_it(void *impatient)
{
    int r = -ETIMEDOUT;

    if (impatient)
        r = leat_join(s.handle, &s.result, leat_after(3000));
    if (r == -ETIMEDOUT)
        r = leat_join(s.handle, &s.result, LEAT_FOREVER);
    s.join = r;
    s.begun++;
    return NULL;
}

static void join_coroutine(bool impatient)
{
    (void)join_it((void *)(uintptr_t)impatient);
}

/* Cancelled itself while it joins: the handle stays. */
static leat_result join_in_vain(void)
{
    return leat_join(s.handle, NULL, LEAT_FOREVER);
}

static void join_with(unsigned who, bool impatient)
{
    struct sim_thread *t;
    leat_handle *vain;
    leat_result r;

    switch (who) {
    case 0:
        t = kit_thread(join_it, (void *)(uintptr_t)impatient);
        kit_await(&s.begun, 1,
                  "the thread that joins"); /* not by kit_join(): that would keep the processor */
        kit_join(t);
        break;
    case 1:
        go(join_coroutine, impatient);
        kit_await(&s.begun, 1, "the joiner");
        break;
    case 2:
        sim_check(leat_go_join(&vain, join_in_vain) == 0, "no joiner");
        leat_cancel(vain);
        sim_check(leat_join(vain, &r, LEAT_FOREVER) == 0 && (r == -ECANCELED || r == 0),
                  "a cancelled join gave %lld", (long long)r);
        if (r == 0) { /* it was quicker */
            s.result = 77;
            s.join = 0;
            break;
        }
        /* fallthrough */
    default:
        (void)join_it((void *)(uintptr_t)impatient);
    }
}

static int join_main(void *arg)
{
    bool endless = sim_shape(2), impatient = sim_shape(2);
    unsigned kind = SLEEPS + sim_shape(NESTS - SLEEPS), who = sim_shape(5);

    (void)arg;
    world_open();
    s.join = -1;
    sim_check(leat_go_join(&s.handle, joined, endless, kind, (int64_t)sim_shape(40) * 200) == 0,
              "no coroutine");
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(30) * 200);
    if (who == 4) {
        if (endless)
            leat_cancel(s.handle);
        leat_detach(s.handle);
        kit_await(&s.over, 1, "one that was detached");
        return 0;
    }
    who = who == 2 && endless ? 3 : who;
    if (endless)
        go(cancel_it, (int64_t)sim_shape(40) * 200);
    join_with(who, impatient);
    sim_check(s.join == 0, "joining gave %d", s.join);
    sim_check(s.over == 1, "joined, and it has not ended");
    sim_check(s.result == (endless ? -ECANCELED : 77), "its result is %lld", (long long)s.result);
    return 0;
}

void scenario_join(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(3), sim_shape(2) ? SLOW_WORLD : 0, join_main, NULL);
}

/* --- a cancellation that comes as its coroutine ends, and another one takes its memory --- */

static void brief(int64_t nap_ns)
{
    if (nap_ns)
        (void)leat_sleep(nap_ns);
}

static void *cancel_from_outside(void *handle)
{
    leat_cancel(handle);
    s.begun++;
    return NULL;
}

static void untouched(void)
{
    sim_check(leat_sleep(5 * LEAT_USEC) == 0, "one that nobody has cancelled is cancelled");
    s.over++;
}

static int cancel_end_main(void *arg)
{
    unsigned rounds = 1 + sim_shape(3);

    (void)arg;
    for (unsigned i = 1; i <= rounds; i++) {
        struct sim_thread *t;

        sim_check(leat_go_join(&s.handle, brief, (int64_t)sim_shape(3) * 500) == 0, "no coroutine");
        t = kit_thread(cancel_from_outside, s.handle);
        for (unsigned k = 0; k < 2; k++) {
            leat_yield();
            sim_check(go(untouched) == 0, "no coroutine");
        }
        kit_await(&s.begun, i, "the cancellation");
        kit_join(t);
        sim_check(leat_join(s.handle, NULL, LEAT_FOREVER) == 0, "joining failed");
        kit_await(&s.over, 2 * i, "those that nobody cancels");
    }
    return 0;
}

void scenario_cancel_end(void)
{
    memset(&s, 0, sizeof(s));
    kit_run(kit_procs(2), 0, cancel_end_main, NULL);
}

/* --- the end of a run, with everybody still waiting; and the next run --- */

static void left_over(unsigned kind)
{
    leat_result r;
    int again;

    s.begun++;
    r = wait_like(kind);
    sim_check(r == -ECANCELED, "the end of the run gave %lld to kind %u", (long long)r, kind);
    sim_check(leat_sleep(LEAT_SEC) == -ECANCELED, "it can sleep after that");
    /*
     * a request to end orders nothing: this one may not have seen the end of the run yet, and then
     * that takes another one along
     */
    again = go(left_over, SLEEPS);
    sim_check(again == 0 || again == -ESHUTDOWN, "spawning gave %d", again);
    s.rounds += again == 0;
    s.over++;
}

static int end_main(void *arg)
{
    unsigned n = 1 + sim_shape(6);

    (void)arg;
    world_open();
    for (unsigned i = 0; i < n; i++) {
        sim_check(go(left_over, SLEEPS + sim_shape(NESTS - SLEEPS)) == 0, "no coroutine");
        s.rounds++;
    }
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(30) * 1000);
    return 0;
}

void scenario_run_end(void)
{
    unsigned faults = sim_shape(2) ? SLOW_WORLD : 0;

    memset(&s, 0, sizeof(s));
    for (unsigned run = 0; run < 2; run++) {
        kit_run(kit_procs(2), faults, end_main, NULL);
        sim_check(s.over == (unsigned)s.rounds && s.begun == s.over,
                  "%u of %d have ended with the run", s.over, s.rounds);
        s.held = (leat_mutex){{0}};
        s.never = (leat_waitgroup){{0}};
    }
    sim_check(go(left_over, SLEEPS) == -ESHUTDOWN, "one can spawn without a run");
}

/* --- plain threads that come and go as they like --- */

static void from_outside(void)
{
    s.outside_ran++;
}

static void *outsider(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < n; i++) {
        leat_handle *h = NULL;
        leat_result result;
        int r = i % 3 == 2 ? leat_go_join(&h, from_outside) : go(from_outside);

        sim_check(r == 0 || r == -ESHUTDOWN, "spawning from outside gave %d", r);
        s.outside_ok += r == 0;
        s.outside_late += r != 0;
        if (h) {
            leat_cancel(h);
            r = leat_join(h, &result, LEAT_FOREVER);
            sim_check(r == 0 || r == -ESHUTDOWN, "joining from outside gave %d", r);
        }
    }
    return NULL;
}

static int outside_main(void *arg)
{
    (void)arg;
    if (sim_shape(2))
        (void)leat_sleep((int64_t)sim_shape(30) * 1000);
    return 0;
}

void scenario_outsiders(void)
{
    struct sim_thread *t[2];

    memset(&s, 0, sizeof(s));
    for (unsigned i = 0; i < 2; i++)
        t[i] = kit_thread(outsider, (void *)(uintptr_t)(1 + sim_shape(4)));
    kit_run(kit_procs(2), sim_shape(2) ? SLOW_WORLD : 0, outside_main, NULL);
    for (unsigned i = 0; i < 2; i++)
        kit_join(t[i]);
    sim_check(s.outside_ran == s.outside_ok, "%u were spawned from outside, %u have run",
              s.outside_ok, s.outside_ran);
}

/* --- a thread is on its way into a cancellation as a run begins --- */

static leat_group early;

static void *cancel_early(void *arg)
{
    leat_group_cancel(&early);
    s.over++;
    return arg;
}

static void member_early(void)
{
    sim_check(leat_sleep_until(LEAT_FOREVER) == -ECANCELED, "a member woke up");
}

static int early_main(void *arg)
{
    int r;

    (void)arg;
    for (unsigned i = 1 + sim_shape(2); i > 0; i--) {
        r = leat_group_go(&early, member_early);
        sim_check(r == 0 || r == -ECANCELED, "a spawn gave %d", r);
    }
    kit_await(&s.over, 1, "who cancels");
    r = leat_group_wait(&early, LEAT_FOREVER);
    sim_check(r == 0, "the wait gave %d", r);
    return 0;
}

void scenario_group_begin(void)
{
    struct sim_thread *t;

    memset(&s, 0, sizeof(s));
    memset(&early, 0, sizeof(early));
    leat_group_open(&early, 0);
    t = kit_thread(cancel_early, NULL);
    kit_run(1 + sim_shape(2), 0, early_main, NULL);
    kit_join(t);
}

/* --- what the system may refuse --- */

static int refused_main(void *arg)
{
    unsigned n = 1 + sim_shape(5), ok = 0, left;
    leat_group group;
    int r;

    (void)arg;
    leat_group_open(&group, 0);
    for (unsigned i = 0; i < n; i++) {
        r = leat_group_go(&group, member, i, RETURNS, (int64_t)sim_shape(20) * 1000);
        sim_check(r == 0 || r == -ENOMEM, "spawning gave %d", r);
        ok += r == 0;
    }
    r = leat_socketpair(SOCK_STREAM, s.fd);
    sim_check(r == 0 || r == -EMFILE || r == -ENOMEM, "a pair gave %d", r);
    if (r == 0) {
        char b[4];
        ssize_t got = leat_write(s.fd[0], "abcd", 4, LEAT_FOREVER);

        sim_check(got > 0 || got == -ENOMEM, "writing gave %zd", got);
        left = got > 0 ? (unsigned)got : 0;
        while (left) {
            got = leat_read(s.fd[1], b, sizeof(b), LEAT_FOREVER);
            sim_check(got > 0, "reading what is there gave %zd", got);
            left -= (unsigned)got;
        }
        got = leat_read(s.fd[1], b, sizeof(b), leat_after(20 * LEAT_USEC));
        sim_check(got == -ETIMEDOUT || got == -ENOMEM, "reading more gave %zd", got);
    }
    sim_check(leat_group_wait(&group, LEAT_FOREVER) == 0, "the group has failed");
    sim_check(s.over == ok && s.begun == ok, "%u of %u have ended", s.over, ok);
    return 0;
}

void scenario_refusals(void)
{
    memset(&s, 0, sizeof(s));
    s.x = sim_arena_alloc(sizeof(*s.x), 64);
    (void)kit_run_may_fail(kit_procs(3),
                           SLOW_WORLD | SIM_FAULT_MEMORY | SIM_FAULT_THREAD | SIM_FAULT_DESCRIPTOR |
                               SIM_FAULT_SHORT | SIM_FAULT_LATE_EVENT,
                           refused_main, NULL);
}
