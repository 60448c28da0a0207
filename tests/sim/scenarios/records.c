/*
 * Scenarios: records of descriptors, waits and the poller, alone. No scheduler: see unit.h.
 */
#include "unit.h"

#include "all.h"
#include "base/os.h"
#include "netpoll/event.h"
#include "os_fd.h"

#include <fcntl.h>

static struct {
    struct lea_netpoll *np;
    struct unit_co *c;
    struct lea_fd *f;
    int fd, other;  /* the ends of a pipe: reading, writing */
    unsigned there; /* what the kernel has for the reader */
    unsigned goal, taken;
    bool looks;     /* poll(2) looks first, which takes no lock */
    int results[3]; /* of closing */
    int result;     /* of the reader */
    unsigned woken;
} s;

static void reset(void)
{
    memset(&s, 0, sizeof(s));
    s.np = unit_netpoll();
    s.c = unit_co_new();
}

static void open_pipe(void)
{
    struct lea_ready_list list;
    int fds[2];

    sim_check(lea_os_pipe2(fds, O_NONBLOCK) == 0, "no pipe");
    s.fd = fds[0];
    s.other = fds[1];
    s.f = lea_fd_get(s.np, s.fd);
    lea_ready_list_init(&list);
    sim_check(lea_fd_adopt(s.np, s.fd, LEA_FD_KIND_STREAM, LEA_FD_MADE, &list) == 0 && !list.n,
              "a new descriptor cannot be adopted");
}

/* --- readiness against park --- */

/* As lea_os_poll_now(): a lock orders stores, on the weak machine nothing else does. */
static bool nothing_to_read(void)
{
    lea_fd_before_look(s.f);
    if (sim.config.memory == SIM_MEMORY_X86)
        sim_file_enter("poll");
    else
        sim_point();
    return !s.there;
}

static void *edge_reader(void *arg)
{
    (void)arg;
    sim_check(lea_fd_enter(s.f, LEA_FD_USE_RD) == 0, "the record is busy");
    sim_check(lea_fd_enter(s.f, LEA_FD_USE_RD) == -EBUSY, "two readers are inside");
    while (s.taken < s.goal) {
        (void)lea_fd_take_edge(s.f, LEA_FD_READ);
        if (!s.looks || !nothing_to_read()) {
            sim_file_enter("read");
            if (s.there) {
                s.there--;
                s.taken++;
                continue;
            }
        }
        s.result = unit_fd_wait(s.c, s.f, LEA_FD_READ, s.f->gen.value_);
        sim_check(s.result == 0, "waiting gave %d", s.result);
    }
    sim_check(!lea_fd_leave(s.f, LEA_FD_USE_RD), "nobody closes it");
    return NULL;
}

static void *edge_writer(void *arg)
{
    (void)arg;
    sim_file_enter("epoll_wait");
    s.there++;
    unit_fd_edge(s.f, LEA_FD_READ);
    return NULL;
}

static void edges(bool looks)
{
    struct sim_thread *t[3];
    unsigned writers = 1 + sim_shape(2);

    reset();
    s.looks = looks;
    s.f = lea_fd_get(s.np, 5);
    s.goal = writers;
    t[0] = kit_thread(edge_reader, NULL);
    for (unsigned i = 0; i < writers; i++)
        t[1 + i] = kit_thread(edge_writer, NULL);
    for (unsigned i = 0; i <= writers; i++)
        kit_join(t[i]);
    sim_check(s.taken == s.goal && s.c->parks == s.c->turn.value_, "woken %u times of %u parks",
              s.c->turn.value_, s.c->parks);
    unit_netpoll_close(s.np);
}

void scenario_record_edge(void)
{
    edges(false);
}

void scenario_record_look(void)
{
    edges(true);
}

/* --- close against a reader that waits, and against another close --- */

static void *close_reader(void *arg)
{
    uint32_t gen;
    char b;

    (void)arg;
    if (lea_fd_enter(s.f, LEA_FD_USE_RD) < 0) {
        s.result = -EBADF;
        return NULL;
    }
    gen = lea_u32_load_acq(&s.f->gen);
    if (!(lea_u32_load_rlx(&s.f->use) & LEA_FD_USE_OWNED)) { /* closed altogether before */
        struct lea_ready_list list;

        s.result = -EBADF;
        lea_ready_list_init(&list);
        if (lea_fd_leave(s.f, LEA_FD_USE_RD))
            (void)lea_fd_free(s.np, s.f, s.fd, &list);
        return NULL;
    }
    for (;;) {
        (void)lea_fd_take_edge(s.f, LEA_FD_READ);
        s.result = (int)lea_os_read(s.fd, &b, 1);
        sim_check(s.result == -EAGAIN, "the number was given back under a reader: it got %d",
                  s.result);
        s.result = unit_fd_wait(s.c, s.f, LEA_FD_READ, gen);
        if (s.result < 0)
            break;
    }
    if (lea_fd_leave(s.f, LEA_FD_USE_RD)) {
        struct lea_ready_list list;

        lea_ready_list_init(&list);
        sim_check(lea_fd_free(s.np, s.f, s.fd, &list) == 0,
                  "the last user finds the number closed");
        unit_ready(&list);
    }
    return NULL;
}

static void *closer(void *arg)
{
    int *result = arg;
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    *result = lea_fd_close(s.np, s.fd, &list);
    unit_ready(&list);
    return NULL;
}

void scenario_record_close(void)
{
    struct sim_thread *t[4];
    unsigned closers = 1 + sim_shape(3), good = 0;

    reset();
    open_pipe();
    if (sim_shape(2)) /* who finds this one latched does not touch the word */
        unit_fd_edge(s.f, LEA_FD_READ);
    t[0] = kit_thread(close_reader, NULL);
    for (unsigned i = 0; i < closers; i++)
        t[1 + i] = kit_thread(closer, &s.results[i]);
    for (unsigned i = 0; i <= closers; i++)
        kit_join(t[i]);
    sim_check(s.result == -ECANCELED || s.result == -EBADF, "the reader got %d", s.result);
    for (unsigned i = 0; i < closers; i++) {
        sim_check(s.results[i] == 0 || s.results[i] == -EBADF, "closing gave %d", s.results[i]);
        good += s.results[i] == 0;
    }
    sim_check(good == 1, "%u of %u closed it", good, closers);
    sim_check(s.f->use.value_ == 0, "the record is still in use: %#x", s.f->use.value_);
    sim_check(lea_os_fcntl(s.fd, F_GETFD, 0) == -EBADF, "the number is still open");
    lea_os_close(s.other);
    unit_netpoll_close(s.np);
}

/* --- late events of the one before --- */

static void *reuse_reader(void *arg)
{
    uint32_t gen;

    (void)arg;
    sim_check(lea_fd_enter(s.f, LEA_FD_USE_RD) == 0, "the record is busy");
    gen = lea_u32_load_acq(&s.f->gen);
    while (!s.there) {
        (void)lea_fd_take_edge(s.f, LEA_FD_READ);
        sim_file_enter("read");
        if (!s.there && unit_fd_wait(s.c, s.f, LEA_FD_READ, gen) == 0)
            s.woken++;
    }
    (void)lea_fd_leave(s.f, LEA_FD_USE_RD);
    return NULL;
}

static void *late_poller(void *arg)
{
    uint64_t tag = *(uint64_t *)arg;
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    lea_event(s.np, tag, true, true, LEA_FD_SEEN_RDHUP | LEA_FD_SEEN_HUP, &list);
    sim_check(list.n == 0,
              "a late event of a descriptor that is gone wakes the waiter of its successor");
    unit_ready(&list);
    return NULL;
}

void scenario_record_reuse(void)
{
    struct sim_thread *t[2];
    struct lea_ready_list list;
    uint64_t tag;
    int first;

    reset();
    open_pipe();
    first = s.fd;
    tag = lea_tag(s.fd, s.f->gen.value_);
    lea_ready_list_init(&list);
    sim_check(lea_fd_close(s.np, s.fd, &list) == 0, "the descriptor cannot be closed");
    lea_os_close(s.other);
    open_pipe();
    sim_check(s.fd == first, "the number is not used again");
    t[0] = kit_thread(reuse_reader, NULL);
    t[1] = kit_thread(late_poller, &tag);
    kit_join(t[1]);
    sim_check(!(s.f->seen.value_ & LEA_FD_SEEN_ANY), "the successor has seen %#x",
              s.f->seen.value_);
    sim_file_enter("epoll_wait");
    s.there = 1;
    unit_fd_edge(s.f, LEA_FD_READ);
    kit_join(t[0]);
    sim_check(s.woken <= 1, "one edge has ended %u waits", s.woken);
    sim_check(lea_fd_close(s.np, s.fd, &list) == 0 && !list.n, "the second one cannot be closed");
    lea_os_close(s.other);
    unit_netpoll_close(s.np);
}

/* The event is being handed on while its number changes hands. */
void scenario_record_late(void)
{
    struct sim_thread *t;
    struct lea_ready_list list;
    uint64_t tag;
    int first;

    reset();
    open_pipe();
    first = s.fd;
    tag = lea_tag(s.fd, s.f->gen.value_);
    t = kit_thread(late_poller, &tag);
    lea_ready_list_init(&list);
    sim_check(lea_fd_close(s.np, s.fd, &list) == 0, "the descriptor cannot be closed");
    lea_os_close(s.other);
    open_pipe();
    sim_check(s.fd == first, "the number is not used again");
    kit_join(t);
    sim_check(!(s.f->seen.value_ & LEA_FD_SEEN_ANY), "the successor has seen %#x",
              s.f->seen.value_);
    sim_check(lea_fd_close(s.np, s.fd, &list) == 0 && !list.n, "the second one cannot be closed");
    lea_os_close(s.other);
    unit_netpoll_close(s.np);
}

/* --- a wait that many may end --- */

static struct {
    struct unit_co *c;
    lea_u32 round;
    unsigned rounds, claimed, cancelled;
    bool shielded;
} w;

static void *wait_waiter(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < w.rounds; i++) {
        enum lea_wake code;

        lea_u32_store_rel(&w.round, i + 1); /* its ticket may be claimed from now on */
        code = unit_park(w.c, i, w.shielded);

        if (w.shielded)
            sim_check(code == LEA_WAKE_DONE, "a shielded wait ended with %d", (int)code);
        else
            sim_check(code == LEA_WAKE_DONE || code == LEA_WAKE_CANCEL, "it ended with %d",
                      (int)code);
    }
    return NULL;
}

static void *wait_claimer(void *arg)
{
    struct lea_ready_list list;

    (void)arg;
    for (unsigned i = 0; i < w.rounds; i++) {
        while (lea_u32_load_acq(&w.round) <= i)
            lea_pause();
        lea_ready_list_init(&list);
        if (lea_co_claim_to(&w.c->co, i, LEA_WAKE_DONE, &list))
            w.claimed++;
        unit_ready(&list);
    }
    return NULL;
}

static void *wait_canceller(void *arg)
{
    struct lea_ready_list list;

    (void)arg;
    lea_ready_list_init(&list);
    lea_co_cancel(&w.c->co, &list);
    unit_ready(&list);
    return NULL;
}

/*
 * Cancelled and claimed: each wait ends once, a shielded one only by its claim, and the request
 * stays.
 */
void scenario_wait_ends(void)
{
    struct sim_thread *t[3];

    memset(&w, 0, sizeof(w));
    w.c = unit_co_new();
    w.rounds = 1 + sim_shape(2);
    w.shielded = sim_shape(2);
    t[0] = kit_thread(wait_waiter, NULL);
    t[1] = kit_thread(wait_claimer, NULL);
    t[2] = kit_thread(wait_canceller, NULL);
    for (unsigned i = 0; i < 3; i++)
        kit_join(t[i]);
    sim_check(w.c->co.wait.value_ & LEA_WAIT_CANCEL, "the request to end is lost");
    sim_check(!w.shielded || w.claimed == w.rounds, "the claim of a shielded wait was lost");
}

/* Cancelled only: a wait, begun or not, ends. */
void scenario_wait_cancel(void)
{
    struct sim_thread *t[2];

    memset(&w, 0, sizeof(w));
    w.c = unit_co_new();
    w.rounds = 1 + sim_shape(3);
    t[0] = kit_thread(wait_waiter, NULL);
    t[1] = kit_thread(wait_canceller, NULL);
    for (unsigned i = 0; i < 2; i++)
        kit_join(t[i]);
    sim_check(w.c->co.wait.value_ >> LEA_WAIT_SEQ_SHIFT == w.rounds, "%llu of %u waits have ended",
              (unsigned long long)w.c->co.wait.value_ >> LEA_WAIT_SEQ_SHIFT, w.rounds);
}

/* --- breaking the poller's wait --- */

static struct {
    struct lea_netpoll *np;
    unsigned waits, waited, looks;
    lea_u32 done; /* waits that have ended; a futex */
} b;

static void *break_sleeper(void *arg)
{
    struct lea_ready_list list;

    (void)arg;
    lea_ready_list_init(&list);
    while (b.waited < b.waits) {
        if (lea_netpoll_poll(b.np, -1, LEA_POLL_MAX, &list) == 0)
            continue; /* interrupted */
        b.waited++;
        (void)lea_u32_add(&b.done, 1);
        (void)lea_os_futex_wake(&b.done, 1);
    }
    return NULL;
}

static void *break_passer(void *arg)
{
    struct lea_ready_list list;

    (void)arg;
    lea_ready_list_init(&list);
    for (unsigned i = 0; i < b.looks; i++)
        (void)lea_netpoll_poll(b.np, 0, LEA_POLL_MAX, &list);
    return NULL;
}

/*
 * Whoever breaks a wait, after the one before has ended, does so once: by a look in passing it is
 * not used up.
 */
void scenario_poller_break(void)
{
    struct sim_thread *t[2];

    memset(&b, 0, sizeof(b));
    sim.faults = SIM_FAULT_INTR;
    b.np = unit_netpoll();
    b.waits = 1 + sim_shape(3);
    b.looks = sim_shape(3);
    t[0] = kit_thread(break_sleeper, NULL);
    t[1] = kit_thread(break_passer, NULL);
    for (uint32_t i = 0; i < b.waits; i++) {
        lea_netpoll_wake(b.np);
        while (lea_u32_load_acq(&b.done) == i)
            (void)lea_os_futex_wait(&b.done, i, SIM_FOREVER);
    }
    kit_join(t[0]);
    kit_join(t[1]);
    unit_netpoll_close(b.np);
    sim.faults = 0;
}
