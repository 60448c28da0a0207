/*
 * Records of descriptors by themselves, with a poller that is the test's: what another thread would
 * do in the middle of a call is done by the poller in its place.
 */
#include "support/test.h"

#include "netpoll/netpoll.h"

#include <string.h>

#define FD 7

static struct poller {
    uint64_t tag; /* what it knows FD by; 0 it does not */
    unsigned calls;
    void (*meanwhile)(struct lea_netpoll *np); /* before the next call takes effect */
} poller;

static int fake_open(struct lea_netpoll *np)
{
    (void)np;
    return 0;
}

static void fake_nothing(struct lea_netpoll *np)
{
    (void)np;
}

static int fake_add(struct lea_netpoll *np, int fd, uint64_t tag, bool renew)
{
    void (*meanwhile)(struct lea_netpoll *) = poller.meanwhile;

    poller.meanwhile = NULL;
    if (meanwhile)
        meanwhile(np);
    poller.calls++;
    cr_assert(eq(int, fd, FD));
    if (!poller.tag || renew)
        poller.tag = tag;
    return 0;
}

static void fake_del(struct lea_netpoll *np, int fd)
{
    (void)np;
    (void)fd;
}

static int fake_wait(struct lea_netpoll *np, int64_t timeout_ns, uint32_t max,
                     struct lea_ready_list *out)
{
    (void)np;
    (void)timeout_ns;
    (void)max;
    (void)out;
    return 0;
}

static const struct lea_netpoll_driver fake = {"fake",   fake_open, fake_nothing, fake_add,
                                               fake_del, fake_wait, fake_nothing};

static void netpoll_new(struct lea_netpoll *np)
{
    memset(np, 0, sizeof(*np));
    memset(&poller, 0, sizeof(poller));
    lea_lock_init(&np->lock, LEA_RANK_FD);
    np->driver = &fake;
}

static void adopt(struct lea_netpoll *np)
{
    struct lea_ready_list list;

    lea_ready_list_init(&list);
    cr_assert(eq(int, lea_fd_adopt(np, FD, LEA_FD_KIND_SOCKET, 0, &list), 0));
}

static void adopt_and_arm(struct lea_netpoll *np)
{
    adopt(np);
    cr_assert(eq(int, lea_fd_arm(np, lea_fd_get(np, FD), FD), 0));
}

static void check_tag(struct lea_netpoll *np)
{
    struct lea_fd *f = lea_fd_get(np, FD);

    cr_assert(eq(u64, poller.tag >> 32, lea_u32_load_rlx(&f->gen)));
    cr_assert(eq(u32, (uint32_t)poller.tag, FD));
}

/*
 * Goal: whoever arms a number that is adopted meanwhile does not leave an old tag in the poller, by
 * which the new owner's events would be dropped. Method: the adoption, and the new owner's own
 * arming, come between the reading of the generation and the system call.
 */
Test(records, an_old_tag_does_not_stay, .timeout = 20)
{
    struct lea_netpoll np;
    struct lea_fd *f;

    netpoll_new(&np);
    f = lea_fd_get(&np, FD);
    cr_assert(eq(int, lea_fd_enter(f, LEA_FD_USE_RD), 0));
    poller.meanwhile = adopt_and_arm;
    cr_assert(eq(int, lea_fd_arm(&np, f, FD), 0));
    check_tag(&np);
    poller.meanwhile = adopt;
    cr_assert(eq(int, lea_fd_arm(&np, f, FD), 0)); /* is known by its tag: no call */
    adopt(&np);
    cr_assert(eq(int, lea_fd_arm(&np, f, FD), 0));
    check_tag(&np);
    poller.calls = 0;
    cr_assert(eq(int, lea_fd_arm(&np, f, FD), 0));
    cr_assert(eq(u32, poller.calls, 0));
    lea_netpoll_close(&np);
}
