/*
 * See kit.h.
 */
#include "race/kit.h"

#include "base/os.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned n;
    void *(*fn[RACE_THREADS])(void *);
    void *arg;
    lea_u32 here, meetings; /* of the barrier */
    lea_u32 go_on;
    long left;        /* by thread 0, between meetings */
    int64_t until_ns; /* the same */
    lea_u32 wrong;
} r;

static __thread unsigned self;
static __thread unsigned seed;

void race_wrong(const char *file, int line, const char *what)
{
    if (lea_u32_add(&r.wrong, 1) < 5)
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

unsigned race_self(void)
{
    return self;
}

void race_jitter(void)
{
    each_jitter(&seed);
}

uint32_t race_random(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)seed * below >> 32);
}

/* There may be fewer CPUs than threads. */
static void relax(unsigned *round)
{
    if (++*round < 200)
        lea_pause();
    else
        sched_yield();
}

void race_await(const lea_u32 *word, uint32_t value)
{
    unsigned round = 0;

    while (lea_u32_load_acq(word) != value)
        relax(&round);
}

void race_meet(void)
{
    uint32_t meeting = lea_u32_load_acq(&r.meetings);
    unsigned round = 0;

    if (lea_u32_add(&r.here, 1) + 1 == r.n) {
        lea_u32_store_rlx(&r.here, 0); /* relaxed: the next one is published below */
        lea_u32_store_rel(&r.meetings, meeting + 1);
        return;
    }
    while (lea_u32_load_acq(&r.meetings) == meeting)
        relax(&round);
}

bool race_next_round(long most, int64_t span_ns)
{
    bool on;

    race_meet();
    if (self == 0) {
        if (!r.until_ns) {
            r.left = EACH_SLOW(most);
            r.until_ns = lea_os_now_ns() + span_ns;
        }
        lea_u32_store_rlx(&r.go_on, r.left-- > 0 &&
                                        ((r.left & 15) || lea_os_now_ns() < r.until_ns) &&
                                        lea_u32_load_rlx(&r.wrong) < 5);
    }
    race_meet();
    on = lea_u32_load_rlx(&r.go_on); /* relaxed: the meeting orders it */
    if (on)
        race_jitter();
    return on;
}

static void *begin(void *arg)
{
    self = (unsigned)(uintptr_t)arg;
    seed = 1 + self * 7919;
    return r.fn[self](r.arg);
}

static unsigned run(void *arg)
{
    const char *delays = getenv("LEA_DELAY_SEED");
    pthread_t t[RACE_THREADS];

    if (delays)
        fprintf(stderr, "LEA_DELAY_SEED=%s\n", delays);
    r.arg = arg;
    r.left = 0;
    r.until_ns = 0;
    lea_u32_store_rlx(&r.wrong, 0); /* relaxed: there are no threads yet */
    for (unsigned i = 0; i < r.n; i++)
        if (pthread_create(&t[i], NULL, begin, (void *)(uintptr_t)i))
            abort();
    for (unsigned i = 0; i < r.n; i++)
        pthread_join(t[i], NULL);
    return lea_u32_load_rlx(&r.wrong);
}

unsigned race_run(unsigned n, void *(*const *fn)(void *), void *arg)
{
    r.n = n;
    memcpy(r.fn, fn, n * sizeof(*fn));
    return run(arg);
}

unsigned race_run_same(unsigned n, void *(*fn)(void *), void *arg)
{
    r.n = n;
    for (unsigned i = 0; i < n; i++)
        r.fn[i] = fn;
    return run(arg);
}

/* --- coroutines without a scheduler --- */

void race_co_init(struct race_co *c)
{
    memset(c, 0, sizeof(*c));
    lea_word_store_rlx(&c->co.timer_ns, LEA_TIMER_NONE);
}

enum lea_wake race_park(struct race_co *c, uintptr_t ticket, bool shielded)
{
    uint32_t turn = lea_u32_load_rlx(&c->turn); /* relaxed: nobody changes it now */

    c->saved = ticket + 1;
    if (lea_co_arm(&c->co, ticket, shielded)) {
        while (lea_u32_load_acq(&c->turn) == turn)
            (void)lea_os_futex_wait(&c->turn, turn, INT64_MAX);
        RACE_CHECK(lea_u32_load_rlx(&c->turn) == turn + 1);
    } else {
        RACE_CHECK(lea_u32_load_rlx(&c->turn) == turn);
    }
    RACE_CHECK(lea_co_ticket(&c->co) == ticket + 1);
    return lea_co_wake_code(&c->co);
}

void race_ready(struct lea_ready_list *list)
{
    struct lea_co *co;

    while ((co = lea_ready_list_take(list))) {
        struct race_co *c = (struct race_co *)(void *)co;

        RACE_CHECK(c->saved == lea_co_ticket(co)); /* WAIT-ARM: the registers are saved */
        (void)lea_u32_add(&c->turn, 1);
        (void)lea_os_futex_wake(&c->turn, 1);
    }
}
