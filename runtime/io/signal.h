/*
 * io/signal.h - what the rest of io/ must know of signal descriptors: they are closed with care.
 */
#ifndef LEA_IO_SIGNAL_H
#define LEA_IO_SIGNAL_H

#include "netpoll/netpoll.h"
#include "sched/runtime.h"

/*
 * leat_close() is about to close this number: if it is a signal descriptor, no handler uses it
 * afterwards. Returns LEAT_SIG() of what had come to it and was not taken. Any thread.
 */
uint64_t lea_signal_closing(struct lea_netpoll *np, int fd);

/*
 * The end of a run: no handler of ours is left, and none comes any more. The numbers are closed as
 * everything else that leat made.
 */
void lea_signal_close_all(const struct lea_runtime *rt);

#endif
