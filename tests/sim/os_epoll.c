/*
 * Readiness in the simulator: epoll, edge-triggered as the kernel does it. Contracts:
 * runtime/base/os.h.
 *
 * What Linux promises and what it does not: an edge comes with every arrival of data, and with
 * every departure that makes room after a write had found too little; adding or changing an
 * interest reports what is ready then. A wake-up of epoll_wait hits one of its sleepers. Late,
 * double and reordered events are allowed, and come where the scenario asks for them.
 */
#include "os_fd.h"

#include <errno.h>

uint32_t sim_file_ready(const struct sim_file *f)
{
    uint32_t e = 0;

    switch (f->kind) {
    case KIND_PIPE_READ:
        return (f->len ? EPOLLIN : 0) | (f->hung_up ? EPOLLHUP : 0);
    case KIND_PIPE_WRITE:
        return !f->peer ? EPOLLOUT | EPOLLERR : f->peer->len < SIM_STREAM_BYTES ? EPOLLOUT : 0;
    case KIND_STREAM:
        if (f->len || f->hung_up)
            e |= EPOLLIN;
        if (f->hung_up)
            e |= EPOLLRDHUP;
        if (f->reset)
            e |= EPOLLERR | EPOLLHUP;
        if (!f->peer || f->peer->len < SIM_STREAM_BYTES)
            e |= EPOLLOUT;
        if (f->hung_up && (f->shut || !f->peer))
            e |= EPOLLHUP;
        return e;
    case KIND_SOCKET:
        return EPOLLOUT | EPOLLHUP;
    case KIND_LISTENER:
        return f->nr_queue ? EPOLLIN : 0;
    case KIND_EVENT:
        return (f->count ? EPOLLIN : 0) | EPOLLOUT;
    case KIND_RING:
        return sim_ring_ready() ? EPOLLIN : 0;
    default:
        return 0;
    }
}

/* As sim_file_ready(), by somebody who wants to be told of room when there is none. */
static uint32_t ask(struct sim_file *f)
{
    uint32_t e = sim_file_ready(f);

    f->no_space |= !(e & EPOLLOUT);
    return e;
}

/* Something has happened to a file: an edge for every epoll that is interested. */
void sim_file_edge(struct sim_file *f, uint32_t events)
{
    (void)sim_wake((uintptr_t)f, SIM_THREADS, 0); /* blocking reads and writes */
    for (unsigned i = 0; i < SIM_FILES; i++) {
        struct sim_file *ep = &sim_files[i];

        if (ep->kind != KIND_EPOLL)
            continue;
        for (unsigned k = 0; k < SIM_INTERESTS; k++) {
            struct sim_interest *in = &ep->interest[k];

            if (in->file != f || !(events & (in->events | EPOLLHUP | EPOLLERR)))
                continue;
            in->pending = true;
            in->visible_ns = sim_fault(SIM_FAULT_LATE_EVENT) ? sim.now_ns + 50000 : 0;
            (void)sim_wake((uintptr_t)ep, 1, 1);
        }
    }
}

void sim_file_edge_at(struct sim_file *f, int64_t at_ns)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        struct sim_file *ep = &sim_files[i];

        for (unsigned k = 0; ep->kind == KIND_EPOLL && k < SIM_INTERESTS; k++) {
            struct sim_interest *in = &ep->interest[k];

            if (in->file != f)
                continue;
            in->visible_ns = in->pending && in->visible_ns < at_ns ? in->visible_ns : at_ns;
            in->pending = true;
            (void)sim_wake((uintptr_t)ep, 1, 1); /* it has a time to wait for now */
        }
    }
}

int lea_os_epoll_create(void)
{
    sim_file_enter("epoll_create");
    if (sim_fault(SIM_FAULT_DESCRIPTOR))
        return -EMFILE;
    return sim_fd_new(sim_file_new(KIND_EPOLL, true), SIM_FIRST_FD);
}

int lea_os_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    struct sim_file *ep, *f;
    struct sim_interest *in = NULL, *room = NULL;

    sim_file_enter("epoll_ctl");
    ep = sim_file_of(epfd);
    f = sim_file_of(fd);
    if (!ep || !f)
        return -EBADF;
    for (unsigned i = 0; i < SIM_INTERESTS; i++) {
        if (ep->interest[i].file == f && ep->interest[i].fd == fd)
            in = &ep->interest[i];
        else if (!ep->interest[i].file && !room)
            room = &ep->interest[i];
    }
    if (op == EPOLL_CTL_DEL) {
        if (!in)
            return -ENOENT;
        in->file = NULL;
        return 0;
    }
    if (op == EPOLL_CTL_ADD) {
        if (in)
            return -EEXIST;
        if (sim_fault(SIM_FAULT_MEMORY))
            return -ENOMEM;
        sim_check(room, "the simulator has no room for more interests");
        in = room;
    } else if (!in) {
        return -ENOENT;
    }
    *in = (struct sim_interest){
        .fd = fd, .file = f, .data = event->data.u64, .events = event->events};
    if (ask(f) & (in->events | EPOLLHUP | EPOLLERR)) {
        in->pending = true;
        (void)sim_wake((uintptr_t)ep, 1, 1);
    }
    return 0;
}

static int collect(struct sim_file *ep, struct epoll_event *events, int max, int64_t *next_ns)
{
    unsigned start = sim_choose(SIM_CHOOSE_ORDER, SIM_INTERESTS);
    int n = 0;

    *next_ns = SIM_FOREVER;
    for (unsigned i = 0; i < SIM_INTERESTS && n < max; i++) {
        struct sim_interest *in = &ep->interest[(start + i) % SIM_INTERESTS];
        uint32_t e;

        if (!in->file || !in->pending)
            continue;
        if (in->visible_ns > sim.now_ns) {
            *next_ns = in->visible_ns < *next_ns ? in->visible_ns : *next_ns;
            continue;
        }
        e = in->file->held_by ? 0 : ask(in->file) & (in->events | EPOLLHUP | EPOLLERR);
        in->pending = e && (!(in->events & EPOLLET) || sim_fault(SIM_FAULT_DOUBLE_EVENT));
        if (in->file->kind == KIND_RING && sim_ring_next() != SIM_FOREVER) {
            in->pending = true;
            in->visible_ns = sim_ring_next();
            *next_ns = in->visible_ns < *next_ns ? in->visible_ns : *next_ns;
        }
        if (!e)
            continue;
        events[n].events = e;
        events[n++].data.u64 = in->data;
    }
    return n;
}

/*
 * Linux takes a reference to each file that it looks at. The last one is given back when the call
 * returns, not when it goes on to sleep. Until then the file is open, and reports nothing. So: a
 * sleeper that has an edge of the file to look at.
 */
bool sim_file_held(struct sim_file *f)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        const struct sim_file *ep = &sim_files[i];

        for (unsigned k = 0; ep->kind == KIND_EPOLL && ep->sleeper && k < SIM_INTERESTS; k++) {
            if (ep->interest[k].file != f || !ep->interest[k].pending ||
                !(sim.faults & SIM_FAULT_HELD_FILE) || !sim_choose(SIM_CHOOSE_ORDER, 2))
                continue;
            f->held_by = ep->sleeper;
            return true;
        }
    }
    return false;
}

static void leaves(struct sim_file *ep)
{
    ep->sleeper = NULL;
    for (unsigned i = 0; i < SIM_FILES; i++) {
        if (sim_files[i].kind == KIND_FREE || sim_files[i].held_by != sim.self)
            continue;
        sim_files[i].held_by = NULL;
        sim_file_release(&sim_files[i]);
    }
}

static int wait_events(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    int64_t until = timeout_ns < 0 || timeout_ns > SIM_FOREVER - sim.now_ns
                        ? SIM_FOREVER
                        : sim.now_ns + timeout_ns;

    for (;;) {
        struct sim_file *ep = sim_file_of(epfd);
        int64_t next;
        int n;

        if (!ep)
            return -EBADF;
        n = collect(ep, events, max, &next);
        if (!n && timeout_ns == 0)
            /* whoever only looks, again and again, must not keep others from running */
            sim_yield();
        if (n || timeout_ns == 0 || until <= sim.now_ns)
            return n;
        if (sim_fault(SIM_FAULT_INTR))
            return -EINTR;
        ep->sleeper = sim.self;
        (void)sim_block("epoll_wait", (uintptr_t)ep, until < next ? until : next);
    }
}

int lea_os_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    struct sim_file *ep;
    int n;

    sim_file_enter("epoll_wait");
    n = wait_events(epfd, events, max, timeout_ns);
    ep = sim_file_of(epfd);
    if (ep && ep->sleeper == sim.self)
        leaves(ep);
    return n;
}

/* It takes no lock: on the weak machine it waits for no store. */
int lea_os_poll_now(int fd, int events)
{
    struct sim_file *f;

    if (sim.config.memory == SIM_MEMORY_X86)
        sim_file_enter("poll");
    else
        sim_point();
    f = sim_file_of(fd);
    if (!f)
        return -EBADF;
    return (int)ask(f) & (events | EPOLLHUP | EPOLLERR);
}
