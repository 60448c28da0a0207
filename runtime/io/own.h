/*
 * io/own.h - descriptors that leat has opened: taking them over, closing them, and what is left
 * over when a run ends.
 *
 * System calls that make a descriptor need no processor: they are made outside the bracket, in any
 * thread. Only the record is made inside.
 */
#ifndef LEA_IO_OWN_H
#define LEA_IO_OWN_H

#include "netpoll/netpoll.h"
#include "sched/sched.h"

#include <sys/socket.h>

/* Who calls: a coroutine in a bracket, or a plain thread that holds the run. */
struct lea_caller {
    struct lea_worker *m; /* NULL: a plain thread */
    struct lea_runtime *rt;
};

/* Returns: 0; -ESHUTDOWN no run is under way. */
int lea_caller_begin(struct lea_caller *c);
void lea_caller_end(const struct lea_caller *c);

/*
 * Is a run under way? To be asked before a descriptor is made; lea_own() has the last word. 0,
 * -ESHUTDOWN.
 */
int lea_own_possible(void);

/* The end of this run will close what is left over. Before anything is made in it. */
void lea_own_at_end(struct lea_runtime *rt);

/*
 * Take over a new, non-blocking descriptor. Returns: it; a negative errno, and then it is closed.
 * Outside a bracket.
 */
int lea_own(int fd, enum lea_fd_kind kind, uint8_t flags);

/* As lea_own(), inside a bracket. */
int lea_own_inside(const struct lea_caller *c, int fd, enum lea_fd_kind kind, uint8_t flags);

/*
 * Flags of a stream socket of a family. A unix socket's short read may have stopped at passed
 * descriptors: no hint there.
 */
static inline uint8_t lea_own_flags(int family, int type)
{
    bool tcp = (family == AF_INET || family == AF_INET6) && type == SOCK_STREAM;

    return (uint8_t)(LEA_FD_MADE | (tcp ? LEA_FD_SHORT_IS_DRAINED : 0));
}

#endif
