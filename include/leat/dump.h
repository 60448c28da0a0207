/*
 * leat/dump.h - what every coroutine does, in a line each. The deadlock report has the same lines
 * (the manual, Watching).
 *
 * A line names the coroutine, the place where it was spawned, its state, and when it waits, what
 * for, at what, and how much longer at most:
 *
 *     coroutine 7 "reader", spawned at server.c:41 (read_all): waiting, read on descriptor 5, for
 *     at most 1200 ms more
 *
 * The coroutines run on meanwhile: each line is true of a moment, the whole is not of one. Those
 * that begin meanwhile may be missing.
 */
#ifndef LEAT_DUMP_H
#define LEAT_DUMP_H

#include <leat/base.h>

LEAT_BEGIN_DECLS

/**
 * leat_dump - write a line about each coroutine that has not ended
 * @fd: a descriptor; written to by write(2), which may block the thread
 *
 * Context: anywhere, a signal handler or the on_deadlock of leat_config included. Never parks, and
 * takes no memory.
 * Returns: how many coroutines; -ESHUTDOWN no run is under way; -ENOTSUP in a child that was forked
 * in the middle of one; what write(2) says, and then the rest is missing.
 */
LEAT_API int leat_dump(int fd);

/**
 * leat_dump_to - the same, line by line to a function
 * @line: called for each coroutine; the text ends with a 0, without a line feed, and is gone after
 * the call
 * @arg:  handed to @line
 *
 * Context: anywhere. Never parks, unless @line does; that may call anything a coroutine, or here a
 * plain thread, may call.
 * Returns: how many coroutines; -ESHUTDOWN, -ENOTSUP as above; -EINVAL @line is NULL.
 */
LEAT_API int leat_dump_to(void (*line)(void *arg, const char *text), void *arg);

LEAT_END_DECLS

#endif
