/*
 * Calls on files that the kernel makes by itself (netpoll/ring.h), waited for by their coroutine.
 */
#define _GNU_SOURCE /* RWF_NOWAIT */
#include "io/file_ring.h"

#include "base/mutant.h"
#include "base/os.h"
#include "netpoll/netpoll.h"

/* A call that the kernel did not take for want of memory is handed over again so much later. */
#define RETRY_NS INT64_C(1000000)

/*
 * The kernel has not done it, and says nothing about the file: another kind of file, one of the
 * threads that we lent it has ended, …
 */
static bool is_for_others(ssize_t r)
{
    return r == -ECANCELED || r == -EINTR || r == -EAGAIN || r == -EOPNOTSUPP || r == -EINVAL ||
           r == -ENOSYS;
}

static bool describe(struct lea_os_ring_call *to, const struct lea_file_call *c)
{
    switch (c->op) {
    case LEA_FILE_READ:
        to->op = LEA_OS_RING_READ;
        break;
    case LEA_FILE_WRITE:
        to->op = LEA_OS_RING_WRITE;
        break;
    case LEA_FILE_SYNC:
        to->op = c->flags ? LEA_OS_RING_DATASYNC : LEA_OS_RING_SYNC;
        break;
    default: /* for these it would take a thread of its own, too */
        return false;
    }
    to->fd = c->fd;
    to->iov = c->iov;
    to->nr_iov = c->nr_iov;
    to->offset = c->offset;
    return true;
}

static void send_queued(struct lea_worker *m)
{
    lea_syscall_begin(m);
    lea_ring_send(&m->rt->netpoll);
    lea_syscall_end(m);
}

/*
 * To its end. Returns: 0; the error of a wait that was over before, and then the kernel has been
 * asked to end it.
 */
static int wait_for(struct lea_worker **m, struct lea_ring_call *rc, int64_t until_ns)
{
    struct lea_netpoll *np = &(*m)->rt->netpoll;
    int why = 0;

    for (;;) {
        int64_t until = why ? INT64_MAX : until_ns;
        uintptr_t ticket = lea_co_ticket(rc->co);
        enum lea_wake code;
        bool sent;

        if (!lea_ring_wait_begin(np, rc, ticket, &sent))
            return why;
        if (!sent && !LEA_MUTATED(RING_UNSENT)) {
            int64_t soon = lea_os_now_ns() + RETRY_NS;

            until = soon < until ? soon : until;
        }
        code = lea_park_until(m, LEA_REASON_FILE, ticket, until, why != 0);
        if (code == LEA_WAKE_DONE)
            return why;
        if (code != LEA_WAKE_CANCEL && lea_os_now_ns() < until_ns) {
            send_queued(*m);
            continue;
        }
        if (!why) {
            why = lea_wake_errno(code);
            if (LEA_MUTATED(RING_LEFT))
                return why;
            lea_ring_cancel(np, rc);
        }
        send_queued(*m);
    }
}

bool lea_file_by_ring(struct lea_worker **m, const struct lea_file_call *c, int64_t until_ns,
                      ssize_t *result)
{
    struct lea_ring_call rc = {.co = (*m)->co};
    struct lea_os_ring_call call = {.op = LEA_OS_RING_READ};
    int why;

    if (until_ns <= 0 || !describe(&call, c) || !lea_ring_begin(&(*m)->rt->netpoll, &rc, &call))
        return false;
    send_queued(*m);
    why = wait_for(m, &rc, until_ns);
    *result = rc.result;
    if (why < 0 && (rc.result == -ECANCELED || rc.result == -EINTR))
        *result = why;
    else if (is_for_others(rc.result))
        return false;
    return true;
}
