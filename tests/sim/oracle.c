/*
 * What must hold, whatever the schedule. Looked at between steps, while nobody moves: the runtime's
 * structures are read as memory has them.
 *
 * At any step: no coroutine in two places, whoever is in a queue is ready, the first of a ring is
 * gone after so many turns, and nobody waits in a queue beside an idle processor without a searcher
 * for longer than a wake-up may be owed. At rest (nobody can run, all stores have arrived): every
 * processor has a worker; whoever is ready is in a queue, whoever runs on a worker; no timer is
 * long past; nobody waits for a descriptor that is ready, of which the kernel will not say so
 * again. A processor in two hands shows as a data race in its plain fields (race.c).
 *
 * Who runs and who searches is looked at in each step, the queues in every 16th, and in one seed of
 * 16 in each too.
 */
#include "sim.h"

#include "oracle.h"
#include "os_fd.h"

#include <stdio.h>
#include <string.h>

#define LOOK_EVERY 16 /* steps; and of so many seeds one looks at each */
/* timers: the monitor looks every 4 ms, and takes the processor that they wait for */
#define LATE_NS 12000000
/* a wake-up is owed until the monitor has looked twice, after 4 ms and after 1 ms, and some */
#define OWED_NS 8000000
#define UNWATCHED_NS 200000 /* without a monitor nothing is owed */
#define MAX_PLACES 2048
/* two rounds of 16 : 4 : 1 turns, and as many that did not come from a ring */
#define RING_TURNS 64u

static struct lea_runtime *rt;

/*
 * How long a processor has been idle while nobody searched, all in all: who searched in between,
 * and found nothing, is no excuse. Time in which somebody who could run was not let does not count.
 */
static struct {
    int64_t sum_ns, last_ns, late_ns, excused_ns;
    bool counts; /* it was so at the last step */
} idle;
static const struct lea_co *ran[SIM_THREADS]; /* by worker: whom it ran at the last step */

/* Who is first in a ring, and since which of its processor's turns. */
static struct first {
    uint32_t head;
    uintptr_t turn;
    bool set;
} firsts[SIM_THREADS][LEA_NR_CLASSES];

static uint32_t look; /* number of the present look at the queues */

void sim_oracle_reset(void)
{
    rt = NULL;
}

#define NR_SEEN 4096 /* power of two, more than places */

static struct parked {
    const struct lea_co *co;
    uintptr_t wait;
    int64_t since_ns;
} parked[NR_SEEN];

void sim_oracle_watch(struct lea_runtime *runtime)
{
    rt = runtime;
    memset(&idle, 0, sizeof(idle));
    idle.last_ns = sim.now_ns;
    idle.late_ns = sim.late_ns;
    memset(firsts, 0, sizeof(firsts));
    memset(ran, 0, sizeof(ran));
    memset(parked, 0, sizeof(parked));
    look += 2; /* what was seen in another run is forgotten */
}

/* --- where coroutines are --- */

static struct place {
    const struct lea_co *co;
    const char *where;
} place[MAX_PLACES];
static unsigned nr_places, nr_queued; /* those in queues come first */

static struct seen {
    const struct lea_co *co;
    uint32_t look, place;
    int64_t queued_ns; /* what the idle sum was when it came into a queue, or last ran */
} seen[2][NR_SEEN];    /* by this look and by the one before */

static void put(uintptr_t co, const char *where)
{
    if (co && nr_places < MAX_PLACES)
        place[nr_places++] = (struct place){(const struct lea_co *)co, where};
}

static void put_batches(const struct lea_batches *list, const char *where)
{
    for (const struct lea_batch *b = list->first; b; b = b == list->last ? NULL : b->next)
        for (uint32_t i = b->from; i < b->n; i++)
            put((uintptr_t)b->co[i], where);
}

static void put_inject(const struct lea_inject *q, const char *where)
{
    for (unsigned c = 0; c < LEA_NR_CLASSES; c++) {
        for (const struct lea_co *co = q->class_list[c].first; co; co = co->link)
            put((uintptr_t)co, where);
        for (unsigned k = 0; k < LEA_NR_INJECT; k++)
            put_batches(&q->list[c][k], where);
    }
}

static void put_queues(bool rest)
{
    nr_places = 0;
    put_inject(&rt->inject, "the inject queue");
    for (uint32_t i = 0; i < rt->nr_procs; i++) {
        const struct lea_proc *p = rt->proc[i];

        put_inject(&p->over, "a backlog");
        put_inject(&p->lifo_over, "a list of those that sank");
        if (p->alone && !rest) /* emptied by plain stores, which may be on their way */
            continue;
        for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
            for (uint32_t k = p->ring[c].head.value_; k != p->ring[c].tail.value_; k++)
                put(p->ring[c].slot[k % LEA_RUNQ_CAP].value_, "a ring");
        put(p->next.value_, "a next slot");
        for (unsigned k = 0; k < LEA_LIFO_CAP; k++)
            put(p->lifo.slot[k].value_, "a stack of new ones");
    }
}

static enum lea_state state_of(const struct lea_co *co)
{
    return lea_state_of(co->state.value_);
}

/* Where a look has noted it, or would. */
static struct seen *seen_by(uint32_t number, const struct lea_co *co)
{
    struct seen *s = seen[number % 2];
    unsigned k = (unsigned)((uintptr_t)co * UINT64_C(0x9e3779b97f4a7c15) >> 52);

    while (s[k].look == number && s[k].co != co)
        k = (k + 1) % NR_SEEN;
    return &s[k];
}

static void check_places(bool rest)
{
    put_queues(rest);
    nr_queued = nr_places;
    for (uint32_t i = 0; i < rt->nr_workers; i++)
        put((uintptr_t)rt->worker[i]->co, "a worker");
    look++;
    for (unsigned i = 0; i < nr_places; i++) {
        struct seen *s = seen_by(look, place[i].co), *before = seen_by(look - 1, place[i].co);

        sim_check(i >= nr_queued || state_of(place[i].co) == LEA_READY,
                  "coroutine %llu is in %s, and its state is %s",
                  (unsigned long long)place[i].co->id.value_, place[i].where,
                  lea_state_name(state_of(place[i].co)));
        sim_check(s->look != look, "coroutine %llu in two places: %s and %s",
                  (unsigned long long)place[i].co->id.value_, place[s->place].where,
                  place[i].where);
        *s = (struct seen){place[i].co, look, i,
                           before->look == look - 1 ? before->queued_ns : idle.sum_ns};
    }
}

/*
 * A ring is served first in, first out, and often enough: whoever is first is gone after so many
 * turns of its processor.
 */
static void check_ring(const struct lea_proc *p, unsigned c)
{
    struct first *f = &firsts[p->index][c];
    uint32_t head = p->ring[c].head.value_;
    uintptr_t turn = p->count[LEA_COUNT_RUN].value_;

    if (!f->set || f->head != head || head == p->ring[c].tail.value_) {
        *f = (struct first){head, turn, head != p->ring[c].tail.value_};
        return;
    }
    sim_check(turn - f->turn <= RING_TURNS,
              "somebody is first in a ring of class %u for %u turns of its processor", c,
              (unsigned)(turn - f->turn));
}

/* At rest, of each coroutine that is alive: is it where its state says? */
static void check_state(void *obj, void *arg)
{
    const struct lea_co *co = obj;
    const struct seen *s = seen_by(look, co);
    const char *where = s->look == look ? place[s->place].where : NULL;

    (void)arg;
    switch (state_of(co)) {
    case LEA_READY:
        sim_check(where, "coroutine %llu is lost: it is ready, and in no queue",
                  (unsigned long long)co->id.value_);
        break;
    case LEA_RUNNING:
        sim_check(where && !strcmp(where, "a worker"),
                  "coroutine %llu is lost: it runs, and on no worker",
                  (unsigned long long)co->id.value_);
        break;
    case LEA_WAITING:
        sim_check(!where || !strcmp(where, "a worker"), "coroutine %llu waits, and is in %s",
                  (unsigned long long)co->id.value_, where);
        break;
    default:
        break;
    }
}

/* --- processors --- */

/*
 * The owner word decides: others may still believe that it is theirs, until their next entry. That
 * none of those touches it is for race.c to find.
 */
static bool has_worker(const struct lea_proc *p)
{
    uint32_t id = lea_proc_word_id(p->owner.value_);
    const struct lea_worker *m = id && id <= rt->nr_workers ? rt->worker[id - 1] : NULL;

    return m && lea_proc_word_state(p->owner.value_) != LEA_PROC_TAKEN &&
           m->place != LEA_PLACE_UNUSED && m->place != LEA_PLACE_SPARE &&
           (m->proc == p || m->bracket == p);
}

static bool any_idle(void)
{
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        if (rt->idle.mask[i / 64].value_ >> (i % 64) & 1)
            return true;
    return false;
}

/* --- work beside an idle processor --- */

static void idle_count(void)
{
    int64_t ns = sim.now_ns - idle.last_ns, excused;

    idle.excused_ns += sim.late_ns - idle.late_ns;
    excused = ns < idle.excused_ns ? ns : idle.excused_ns;
    idle.excused_ns -= excused;
    if (idle.counts)
        idle.sum_ns += ns - excused;
    idle.last_ns = sim.now_ns;
    idle.late_ns = sim.late_ns;
    idle.counts = !rt->idle.nr_searching.value_ && any_idle();
}

static void waits_anew(const struct lea_co *co)
{
    struct seen *s = co ? seen_by(look, co) : NULL;

    if (s && s->look == look)
        s->queued_ns = idle.sum_ns;
}

/* Whoever has run begins to wait anew when it is in a queue again, be it before the next look. */
static void look_at_workers(void)
{
    for (uint32_t i = 0; i < rt->nr_workers && i < SIM_THREADS; i++) {
        const struct lea_co *co = rt->worker[i]->co;

        if (co == ran[i])
            continue;
        waits_anew(ran[i]);
        waits_anew(co);
        ran[i] = co;
    }
    idle_count();
}

/* After check_places(). The clock is about to move on by so much. */
static void check_waiting(int64_t jump_ns)
{
    int64_t owed_ns = rt->monitor.started ? OWED_NS : UNWATCHED_NS;

    if (!idle.counts)
        return;
    jump_ns = jump_ns > idle.excused_ns ? jump_ns - idle.excused_ns : 0;
    for (unsigned i = 0; i < nr_queued; i++) {
        int64_t waiting_ns = idle.sum_ns + jump_ns - seen_by(look, place[i].co)->queued_ns;

        sim_check(waiting_ns < owed_ns,
                  "a coroutine has waited in %s for %lld us beside an idle processor, and nobody "
                  "searches",
                  place[i].where, (long long)waiting_ns / 1000);
    }
}

void sim_oracle_step(void)
{
    if (!rt)
        return;
    look_at_workers();
    if (sim.steps % LOOK_EVERY && sim.config.seed % LOOK_EVERY)
        return;
    for (uint32_t i = 0; i < rt->nr_procs && i < SIM_THREADS; i++)
        for (unsigned c = 0; c < LEA_NR_CLASSES; c++)
            check_ring(rt->proc[i], c);
    check_places(false);
    check_waiting(0);
}

/* --- at rest --- */

/* Since when its wait has been seen: a call that takes long may come to it behind its deadline. */
static int64_t parked_since(const struct lea_co *co)
{
    struct parked *p = &parked[((uintptr_t)co >> 6) % NR_SEEN];

    if (p->co != co || p->wait != co->wait.value_)
        *p = (struct parked){co, co->wait.value_, sim.now_ns};
    return p->since_ns;
}

static bool somebody_late(void)
{
    for (unsigned i = 0; i < sim.nr_threads; i++)
        if (sim.thread[i].state == SIM_RUNNABLE)
            return true;
    return false;
}

static void check_timer(void *obj, void *arg)
{
    const struct lea_co *co = obj;

    (void)arg;
    if (lea_state_of(co->state.value_) == LEA_WAITING && (co->wait.value_ & LEA_WAIT_PARKED) &&
        co->timer_ns.value_ != LEA_TIMER_NONE) {
        int64_t due = (int64_t)co->timer_ns.value_, parked = parked_since(co);

        sim_check((due > parked ? due : parked) > sim.now_ns - LATE_NS - sim.late_ns,
                  "coroutine %llu: its timer is %lld us late", (unsigned long long)co->id.value_,
                  (long long)(sim.now_ns - due) / 1000);
    }
}

/*
 * Of one direction of a descriptor: whoever waits for it and finds it ready hears of that, now or a
 * little late.
 */
static void check_waiter(const struct lea_fd *f, int fd, enum lea_fd_dir dir)
{
    const struct lea_co *co = (const struct lea_co *)f->word[dir].value_;
    const struct sim_file *file = sim_file_of(fd);
    uint32_t wanted = dir == LEA_FD_READ ? EPOLLIN : EPOLLOUT;
    bool known = false;

    if ((uintptr_t)co <= LEA_FD_READY || !file || !(co->wait.value_ & LEA_WAIT_PARKED) ||
        co->fd_ticket.value_ != lea_wait_seq(co->wait.value_) ||
        lea_state_reason(co->state.value_) == LEA_REASON_CONNECT ||
        (dir == LEA_FD_READ && f->backoff.value_) ||
        !(sim_file_ready(file) & wanted)) /* accept pauses while descriptors run out */
        return;
    for (unsigned i = 0; i < SIM_FILES; i++) {
        for (unsigned k = 0; sim_files[i].kind == KIND_EPOLL && k < SIM_INTERESTS; k++) {
            known |= sim_files[i].interest[k].file == file;
            if (sim_files[i].interest[k].file == file && sim_files[i].interest[k].pending)
                return;
        }
    }
    /* else the number was closed behind our back, and is another file's: the next call finds out */
    sim_check(!known, "coroutine %llu waits to %s descriptor %d, which is ready: the edge is lost",
              (unsigned long long)co->id.value_, dir == LEA_FD_READ ? "read" : "write", fd);
}

static void check_readiness(void)
{
    for (int fd = SIM_FIRST_FD; fd < SIM_FDS; fd++) {
        const struct lea_fd *chunk =
            (const struct lea_fd *)rt->netpoll.chunk[(unsigned)fd / LEA_FD_CHUNK].value_;

        if (!chunk)
            continue;
        check_waiter(&chunk[(unsigned)fd % LEA_FD_CHUNK], fd, LEA_FD_READ);
        check_waiter(&chunk[(unsigned)fd % LEA_FD_CHUNK], fd, LEA_FD_WRITE);
    }
}

void sim_oracle_rest(int64_t jump_ns)
{
    if (!rt || somebody_late())
        return;
    look_at_workers();
    check_places(true);
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        sim_check(has_worker(rt->proc[i]), "processor %u is lost: no worker has it", i);
    sim.quiet = true;
    lea_slab_each(&rt->cos, check_state, NULL);
    if (rt->monitor.started &&
        !rt->thread_warned) /* else a turn that does not end makes timers late */
        lea_slab_each(&rt->cos, check_timer, NULL);
    sim.quiet = false;
    check_readiness();
    check_waiting(jump_ns);
}

/* --- names --- */

static bool in(uintptr_t addr, const void *obj, size_t bytes)
{
    return addr - (uintptr_t)obj < bytes;
}

#define NAMED(obj, field, ...)                                                                     \
    if (in(addr, &(obj)->field, sizeof((obj)->field))) {                                           \
        snprintf(text, sizeof(text), __VA_ARGS__);                                                 \
        return text;                                                                               \
    }

static char text[48];

static const char *name_in_proc(const struct lea_proc *p, uintptr_t addr)
{
    NAMED(p, next, "P%u.next", p->index)
    NAMED(p, owner, "P%u.owner", p->index)
    for (unsigned c = 0; c < LEA_NR_CLASSES; c++) {
        NAMED(p, ring[c].head, "P%u.ring%u.head", p->index, c)
        NAMED(p, ring[c].tail, "P%u.ring%u.tail", p->index, c)
        NAMED(p, ring[c].slot, "P%u.ring%u[%u]", p->index, c,
              (unsigned)(addr - (uintptr_t)p->ring[c].slot) / 8)
    }
    NAMED(p, lifo.slot, "P%u.lifo[%u]", p->index, (unsigned)(addr - (uintptr_t)p->lifo.slot) / 8)
    NAMED(p, lifo, "P%u.lifo", p->index)
    NAMED(p, over, "P%u.over+%u", p->index, (unsigned)(addr - (uintptr_t)&p->over))
    NAMED(p, lifo_over, "P%u.lifo_over+%u", p->index, (unsigned)(addr - (uintptr_t)&p->lifo_over))
    NAMED(p, timers, "P%u.timers+%u", p->index, (unsigned)(addr - (uintptr_t)&p->timers))
    snprintf(text, sizeof(text), "P%u+%u", p->index, (unsigned)(addr - (uintptr_t)p));
    return text;
}

static uintptr_t wanted;

static void name_co(void *obj, void *arg)
{
    const struct lea_co *co = obj;
    uintptr_t addr = wanted;

    (void)arg;
    if (in(addr, co, sizeof(*co)))
        snprintf(text, sizeof(text), "g%llu.%s", (unsigned long long)co->id.value_,
                 in(addr, &co->wait, 8)       ? "wait"
                 : in(addr, &co->state, 4)    ? "state"
                 : in(addr, &co->timer_ns, 8) ? "timer_ns"
                                              : "?");
}

const char *sim_oracle_name(uintptr_t addr)
{
    if (!rt)
        return NULL;
    NAMED(rt, idle.nr_idle, "nr_idle")
    NAMED(rt, idle.nr_searching, "nr_searching")
    NAMED(rt, idle.mask, "idle.mask")
    NAMED(rt, idle.watcher, "watcher")
    NAMED(rt, phase, "phase")
    NAMED(rt, inject, "inject+%u", (unsigned)(addr - (uintptr_t)&rt->inject))
    NAMED(rt, netpoll.wake_pending, "wake_pending")
    NAMED(rt, netpoll.last_poll_ns, "last_poll_ns")
    NAMED(rt, monitor.asleep, "monitor.asleep")
    NAMED(rt, monitor.stop, "monitor.stop")
    for (uint32_t i = 0; i < rt->nr_procs; i++)
        if (in(addr, rt->proc[i], sizeof(struct lea_proc)))
            return name_in_proc(rt->proc[i], addr);
    for (uint32_t i = 0; i < rt->nr_workers; i++) {
        const struct lea_worker *m = rt->worker[i];

        NAMED(m, tick, "M%u.tick", m->id)
        NAMED(m, request, "M%u.request", m->id)
        NAMED(m, sleep, "M%u.sleep", m->id)
    }
    for (uintptr_t c = 0; c < LEA_FD_CHUNKS; c++) {
        const struct lea_fd *f = (const struct lea_fd *)rt->netpoll.chunk[c].value_;

        if (!f)
            break;
        if (in(addr, f, LEA_FD_CHUNK * sizeof(*f))) {
            unsigned fd = (unsigned)((addr - (uintptr_t)f) / sizeof(*f)),
                     at = (unsigned)((addr - (uintptr_t)f) % sizeof(*f));

            snprintf(text, sizeof(text), "fd%u.%s", fd + (unsigned)c * LEA_FD_CHUNK,
                     at == 0   ? "use"
                     : at == 4 ? "gen"
                     : at < 16 ? "read"
                     : at < 24 ? "write"
                               : "?");
            return text;
        }
    }
    text[0] = '\0';
    wanted = addr;
    sim.quiet = true;
    lea_slab_each(&rt->cos, name_co, NULL);
    sim.quiet = false;
    return text[0] ? text : NULL;
}
