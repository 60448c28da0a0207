/*
 * Making records of our own descriptors, and closing what a run leaves behind. See own.h.
 *
 * The end of a run gives every signal back, and closes what leat opened and nobody closed, pipes
 * that nobody uses among it. What was
 * handed over by leat_adopt() stays open, and so does everything when coroutines are still alive in
 * user code: they may be using the numbers.
 */
#include "io/own.h"

#include "base/os.h"
#include "io/pipes.h"
#include "io/signal.h"

#include <errno.h>

int lea_caller_begin(struct lea_caller *c)
{
    c->m = lea_enter();
    c->rt = c->m ? c->m->rt : lea_rt_hold();
    return c->rt ? 0 : lea_outside(-ESHUTDOWN);
}

void lea_caller_end(const struct lea_caller *c)
{
    if (c->m)
        lea_leave(c->m);
    else
        lea_rt_drop();
}

int lea_own_possible(void)
{
    return lea_rt() ? 0 : lea_outside(-ESHUTDOWN);
}

static void close_left_over(struct lea_netpoll *np, struct lea_fd *chunk, int first)
{
    struct lea_ready_list nobody;

    lea_ready_list_init(&nobody);
    for (int i = 0; i < (int)LEA_FD_CHUNK; i++)
        if ((lea_u32_load_acq(&chunk[i].use) & ~LEA_FD_USE_GIVING) == LEA_FD_USE_OWNED &&
            (lea_u32_load_rlx(&chunk[i].flags) & LEA_FD_MADE))
            (void)lea_fd_close(np, first + i, &nobody);
}

static void at_end(struct lea_runtime *rt)
{
    lea_signal_close_all(rt);
    lea_pipes_close(rt);
    if (lea_alive(rt))
        return;
    /*
     * relaxed: a record that a plain thread makes at this moment may be missed, as its descriptor
     * may come later
     */
    for (uint32_t i = lea_u32_load_rlx(&rt->netpoll.nr_chunks); i-- > 0;) {
        struct lea_fd *chunk = (struct lea_fd *)lea_word_load_acq(&rt->netpoll.chunk[i]);

        if (chunk)
            close_left_over(&rt->netpoll, chunk, (int)(i * LEA_FD_CHUNK));
    }
}

void lea_own_at_end(struct lea_runtime *rt)
{
    lea_at_end_set(rt, LEA_AT_END_IO, at_end);
}

int lea_own_inside(const struct lea_caller *c, int fd, enum lea_fd_kind kind, uint8_t flags)
{
    struct lea_ready_list list;
    int r;

    lea_ready_list_init(&list);
    r = lea_fd_adopt(&c->rt->netpoll, fd, kind, flags, &list);
    lea_ready_list_all(c->rt, c->m, &list);
    if (LEA_LIKELY(r == 0))
        return fd;
    (void)lea_os_close(fd);
    return r;
}

int lea_own(int fd, enum lea_fd_kind kind, uint8_t flags)
{
    struct lea_caller c;
    int r = lea_caller_begin(&c);

    if (r < 0) {
        (void)lea_os_close(fd);
        return r;
    }
    lea_own_at_end(c.rt);
    r = lea_own_inside(&c, fd, kind, flags);
    lea_caller_end(&c);
    return r;
}
