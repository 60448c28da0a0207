/*
 * Signals as values of a channel. Contract: include/leat/signal.h.
 *
 * A coroutine takes them from a descriptor of leat_signal_open(), which keeps each number until it
 * is taken, and sends them. So there are two places where one that came may be: the descriptor's
 * slot, and the coroutine's hands. Whoever stops it ends the coroutine first, and then finds both.
 *
 * Ordering: what the coroutine writes here is seen by who has joined it (HANDLE-END,
 * scope/handle.c).
 */
#include "io/own.h"
#include "io/signal.h"
#include "mem/heap.h"
#include "sched/wrong.h"

#include <errno.h>
#include <leat/go.h>
#include <leat/io.h>
#include <leat/scope.h>
#include <leat/signal.h>

struct leat_notify {
    leat_signal_chan ch;
    int fd;
    leat_handle *relay;
    uint64_t left; /* the relay's, until it has ended: taken and not sent */
};

static leat_result relay(void *args)
{
    struct leat_notify *n = *(struct leat_notify **)args;
    int signo;

    while ((signo = leat_signal_wait(n->fd, LEAT_FOREVER)) > 0) {
        if (leat_chan_send(n->ch.chan, &signo, LEAT_FOREVER) == 0)
            continue;
        n->left = LEAT_SIG(signo);
        break;
    }
    return 0;
}

static const struct leat_site_ relay_site = {
    .run = relay, .file = "leat_signal_notify", .fn = "relay", .line = 0};

static struct leat_notify *notify_new(void)
{
    struct lea_worker *m = lea_enter();
    struct leat_notify *n = lea_heap_zalloc(sizeof(*n));

    if (m)
        lea_leave(m);
    return n;
}

static void notify_free(struct leat_notify *n)
{
    struct lea_worker *m;

    leat_chan_unref(n->ch.chan);
    m = lea_enter();
    lea_heap_free(n, sizeof(*n));
    if (m)
        lea_leave(m);
}

/* Returns what had come and was not taken. */
static uint64_t close_descriptor(int fd)
{
    struct lea_caller c;
    uint64_t left = 0;

    if (lea_caller_begin(&c) == 0) {
        if (c.m)
            lea_syscall_begin(c.m);
        left = lea_signal_closing(&c.rt->netpoll, fd);
        if (c.m)
            lea_syscall_end(c.m);
        lea_caller_end(&c);
    }
    (void)leat_close(fd);
    return left;
}

int leat_signal_notify(leat_notify **out, leat_signal_chan ch, uint64_t set)
{
    struct leat_notify *n;
    int r;

    if (!out || !ch.chan)
        return -EINVAL;
    n = notify_new();
    if (!n)
        return -ENOMEM;
    n->ch.chan = leat_chan_ref(ch.chan);
    n->fd = leat_signal_open(set);
    r = n->fd < 0 ? n->fd : leat_spawn_(&relay_site, NULL, NULL, &n->relay, &n, sizeof(n));
    if (r < 0) {
        if (n->fd >= 0)
            (void)close_descriptor(n->fd);
        notify_free(n);
        return r;
    }
    *out = n;
    return 0;
}

uint64_t leat_signal_stop(leat_notify *n)
{
    leat_shield shield;
    uint64_t left;

    if (!n)
        return 0;
    leat_shield_begin(&shield);
    leat_cancel(n->relay);
    /* under a shield it cannot fail otherwise */
    LEA_RIGHT(leat_join(n->relay, NULL, LEAT_FOREVER) == 0, "leat_signal_stop",
              "notify %p is of a run that has ended, or of the process that forked this one",
              (void *)n);
    leat_shield_end(&shield);
    left = n->left | close_descriptor(n->fd);
    notify_free(n);
    return left;
}
