/*
 * Readiness of a descriptor as a case of a select. See case.h; contract: include/leat/select.h.
 *
 * Order of a wait: hold the directions, let the poller know the descriptor, get into the wait
 * words, and look once more. An edge that comes after that look ends the wait; one that came before
 * was taken on the way in, or is seen by the look.
 */
#include "io/case.h"

#include "base/mutant.h"
#include "base/os.h"

#include <errno.h>
#include <leat/io.h>

/* What is held: in the case's room. */
struct held {
    struct lea_fd *f; /* NULL nothing */
    uint32_t gen;
    uint32_t in; /* directions whose wait word is ours */
};

static struct held *held_of(leat_case *c)
{
    _Static_assert(sizeof(struct held) <= sizeof(c->room_), "a case has room for it");
    return (struct held *)(void *)c->room_;
}

int lea_fd_case_look(const leat_case *c, struct lea_worker *m)
{
    int r;

    if ((int)c->bytes_ < 0)
        return -EBADF; /* poll(2) would pass it over */
    do {
        if (m)
            lea_syscall_begin(m);
        r = lea_os_poll_now((int)c->bytes_, (int)c->events_);
        if (m)
            lea_syscall_end(m);
    } while (r == -EINTR);
    return r;
}

static uint32_t directions(const leat_case *c)
{
    return (c->events_ & LEAT_POLLIN ? LEA_FD_USE_RD : 0) |
           (c->events_ & LEAT_POLLOUT ? LEA_FD_USE_WR : 0);
}

static bool is_over(const struct held *h)
{
    return (lea_u32_load_acq(&h->f->use) & LEA_FD_USE_CLOSING) ||
           lea_u32_load_acq(&h->f->gen) != h->gen;
}

/* Into the word of a direction. False: the descriptor is being closed, or is another one now. */
static bool get_in(struct held *h, enum lea_fd_dir dir, struct lea_select *s)
{
    while (!lea_fd_wait_begin(h->f, dir, s->m->co, s->ticket))
        if (is_over(h))
            return false;
    h->in |= 1u << dir;
    return true;
}

static void get_out(leat_case *c, struct lea_select *s)
{
    struct held *h = held_of(c);
    struct lea_ready_list list;

    for (int dir = LEA_FD_READ; dir <= LEA_FD_WRITE; dir++) {
        if (h->in & 1u << dir)
            lea_fd_wait_end(h->f, (enum lea_fd_dir)dir, s->m->co);
        if (directions(c) & (dir == LEA_FD_READ ? LEA_FD_USE_RD : LEA_FD_USE_WR))
            lea_u32_store_rlx(&h->f->drained[dir], 0); /* relaxed: ours */
    }
    if (is_over(h))
        c->send_ = true;
    if (!lea_fd_leave(h->f, directions(c)))
        return;
    lea_ready_list_init(&list);
    lea_syscall_begin(s->m);
    (void)lea_fd_free(&s->m->rt->netpoll, h->f, (int)c->bytes_, &list);
    lea_syscall_end(s->m);
    lea_ready_list_all(s->m->rt, s->m, &list);
}

/* It is known without a wait: the result, or an error on the way to the wait. */
static enum lea_case_queued at_once(leat_case *c, struct lea_select *s, int result,
                                    bool (*take)(leat_case *c, struct lea_select *s))
{
    if (!lea_select_claim_self(s))
        return LEA_CASE_LOST;
    if (result == 0)
        return take(c, s) ? LEA_CASE_TAKEN : LEA_CASE_AGAIN;
    c->result = result;
    return LEA_CASE_TAKEN;
}

static int hold(leat_case *c, struct lea_select *s)
{
    struct held *h = held_of(c);
    int fd = (int)c->bytes_, r;

    h->in = 0;
    h->f = lea_fd_get(&s->m->rt->netpoll, fd);
    if (!h->f)
        return fd < 0 ? -EBADF : -ENOMEM;
    r = lea_fd_enter(h->f, directions(c));
    if (r < 0)
        return r;
    h->gen = lea_u32_load_acq(&h->f->gen);
    lea_syscall_begin(s->m);
    r = lea_fd_arm(&s->m->rt->netpoll, h->f, fd);
    lea_syscall_end(s->m);
    if (r < 0)
        get_out(c, s);
    return r == -EPERM ? (int)c->events_ : r; /* a file is always ready */
}

enum lea_case_queued lea_fd_case_queue(leat_case *c, struct lea_select *s,
                                       bool (*take)(leat_case *c, struct lea_select *s))
{
    struct held *h = held_of(c);
    int r = hold(c, s);
    bool in;

    if (r != 0)
        return at_once(c, s, r, take);
    in = (!(c->events_ & LEAT_POLLIN) || get_in(h, LEA_FD_READ, s)) &&
         (!(c->events_ & LEAT_POLLOUT) || get_in(h, LEA_FD_WRITE, s));
    lea_fd_before_look(h->f);
    if (in && (LEA_MUTATED(SELECT_FD_NO_LOOK) || lea_fd_case_look(c, s->m) == 0))
        return LEA_CASE_QUEUED;
    get_out(c, s);
    return at_once(c, s, 0, take);
}

enum lea_case_left lea_fd_case_leave(leat_case *c, struct lea_select *s)
{
    get_out(c, s);
    return LEA_CASE_PERHAPS;
}

/* --- leat_case_fd() --- */

static bool events_are_wrong(const leat_case *c)
{
    return !c->events_ || (c->events_ & ~(uint32_t)(LEAT_POLLIN | LEAT_POLLOUT));
}

static bool fd_ready(leat_case *c, struct lea_worker *m)
{
    return c->send_ || events_are_wrong(c) || (!m && !lea_self()) || lea_fd_case_look(c, m) != 0;
}

/* Held meanwhile, so that the number stays what it is. */
static int look_held(const leat_case *c, struct lea_worker *m)
{
    struct lea_fd *f = lea_fd_get(&m->rt->netpoll, (int)c->bytes_);
    struct lea_ready_list list;
    int r;

    if (!f)
        return (int)c->bytes_ < 0 ? -EBADF : -ENOMEM;
    r = lea_fd_enter(f, LEA_FD_USE_POLL);
    if (r < 0)
        return r;
    r = lea_fd_case_look(c, m);
    if (!lea_fd_leave(f, LEA_FD_USE_POLL))
        return r;
    lea_ready_list_init(&list);
    lea_syscall_begin(m);
    (void)lea_fd_free(&m->rt->netpoll, f, (int)c->bytes_, &list);
    lea_syscall_end(m);
    lea_ready_list_all(m->rt, m, &list);
    return -ECANCELED;
}

static bool fd_take(leat_case *c, struct lea_select *s)
{
    if (events_are_wrong(c))
        c->result = -EINVAL;
    else if (!s->m)
        c->result = lea_outside(-EPERM);
    else if (c->send_)
        c->result = -ECANCELED;
    else
        c->result = look_held(c, s->m);
    if (c->result != 0)
        c->send_ = false;
    return c->result != 0;
}

static enum lea_case_queued fd_queue(leat_case *c, struct lea_select *s)
{
    return lea_fd_case_queue(c, s, fd_take);
}

static bool fd_finish(leat_case *c, struct lea_select *s, enum lea_wake code)
{
    (void)code;
    return fd_take(c, s);
}

leat_case leat_case_fd(int fd, int events)
{
    static const struct leat_case_ops_ ops = {true,     fd_ready,          fd_take,
                                              fd_queue, lea_fd_case_leave, fd_finish};
    static const char any; /* an address that is not NULL */
    leat_case c = leat_case_of_((void *)(uintptr_t)&any, &ops);

    c.bytes_ = (size_t)fd;
    c.events_ = (uint32_t)events;
    return c;
}
