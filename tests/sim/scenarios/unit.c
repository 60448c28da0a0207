#include "unit.h"

#include "base/os.h"

struct unit_co *unit_co_new(void)
{
    struct unit_co *c = sim_arena_alloc(sizeof(*c), LEA_CACHELINE);

    c->co.timer_ns.value_ = LEA_TIMER_NONE;
    return c;
}

#define HERE __builtin_return_address(0)

enum lea_wake unit_park(struct unit_co *c, uintptr_t ticket, bool shielded)
{
    uint32_t turn = c->turn.value_;

    sim_touch(&c->co.ctx, sizeof(c->co.ctx), true, HERE); /* the registers are saved */
    c->parks++;
    if (lea_co_arm(&c->co, ticket, shielded)) {
        while (lea_u32_load_acq(&c->turn) == turn)
            (void)lea_os_futex_wait(&c->turn, turn, SIM_FOREVER);
        sim_check(c->turn.value_ == turn + 1, "a coroutine was made ready twice");
    } else {
        c->parks--;
        sim_check(c->turn.value_ == turn, "a coroutine that had not parked was made ready");
    }
    sim_check(lea_co_ticket(&c->co) == ticket + 1, "wait %llu ended, and number %llu is next",
              (unsigned long long)ticket, (unsigned long long)lea_co_ticket(&c->co));
    return lea_co_wake_code(&c->co);
}

void unit_ready(struct lea_ready_list *list)
{
    struct lea_co *co;

    while ((co = lea_ready_list_take(list))) {
        struct unit_co *c = (struct unit_co *)(void *)co;

        sim_touch(&co->ctx, sizeof(co->ctx), false, HERE); /* and loaded */
        (void)lea_u32_add(&c->turn, 1);
        (void)lea_os_futex_wake(&c->turn, 1);
    }
}

int unit_fd_wait(struct unit_co *c, struct lea_fd *f, enum lea_fd_dir dir, uint32_t gen)
{
    uintptr_t ticket = lea_co_ticket(&c->co);
    enum lea_wake code = LEA_WAKE_DONE;

    if (lea_u32_load_acq(&f->gen) != gen)
        return -ECANCELED;
    if (lea_fd_wait_begin(f, dir, &c->co, ticket)) {
        code = unit_park(c, ticket, false);
        lea_fd_wait_end(f, dir, &c->co);
    } else {
        (void)lea_co_claim(&c->co, ticket, LEA_WAKE_NONE);
    }
    if (lea_u32_load_acq(&f->use) & LEA_FD_USE_CLOSING || lea_u32_load_acq(&f->gen) != gen)
        return -ECANCELED;
    return code == LEA_WAKE_CANCEL ? -ECANCELED : code == LEA_WAKE_TIMEOUT ? -ETIMEDOUT : 0;
}

void unit_fd_edge(struct lea_fd *f, enum lea_fd_dir dir)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    lea_fd_ready(f, dir, LEA_WAKE_DONE, &list);
    unit_ready(&list);
}

struct lea_netpoll *unit_netpoll(void)
{
    struct lea_netpoll *np = sim_arena_alloc(sizeof(*np), LEA_CACHELINE);

    sim_check(lea_netpoll_open(np) == 0, "the poller cannot be opened");
    return np;
}

void unit_netpoll_close(struct lea_netpoll *np)
{
    lea_netpoll_close(np);
}
