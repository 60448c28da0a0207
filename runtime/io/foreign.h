/*
 * io/foreign.h - reading and writing a descriptor that leat does not own, or a file: it may be
 * blocking, and may be another one at every call.
 *
 * No mode is changed, others share it. What it is is guessed from the last call and settled by the
 * call itself, so that a number that was closed by plain close(2) and reused needs no check of its
 * own:
 *  - a socket: MSG_DONTWAIT. ENOTSOCK says that it is none (any more);
 *  - else RWF_NOWAIT, which pipes, sockets and many files know (EAGAIN, and the poller says EPERM:
 *    a file, whose disk a thread of the pool waits for);
 *  - where that is not known: poll(2) without a timeout, then the call. At most PIPE_BUF bytes are
 *    then written at a time, as much as a pipe that polls writable takes without blocking. Another
 *    process at the same pipe or terminal may be quicker, and the thread then blocks. A file is
 *    left to the pool.
 */
#ifndef LEA_IO_FOREIGN_H
#define LEA_IO_FOREIGN_H

#include "io/wait.h"

#include <sys/uio.h>

ssize_t lea_foreign_readv(struct lea_io *io, const struct iovec *iov, int n, bool in_place);
ssize_t lea_foreign_writev(struct lea_io *io, const struct iovec *iov, int n, bool in_place);

#endif
