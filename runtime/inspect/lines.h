/*
 * inspect/lines.h - a line about each coroutine, for dumps and the deadlock report.
 */
#ifndef LEA_INSPECT_LINES_H
#define LEA_INSPECT_LINES_H

#include "co/report.h"
#include "sched/sched.h"

/* Longest line, with its 0. It stands on the caller's stack, which may be a coroutine's. */
#define LEA_LINE_BYTES 440

/*
 * Calls line(arg, text) for each coroutine that has not ended, in no order. @still: nothing moves
 * (sched/quiet.h), so that objects of the program's may be looked into. Any thread that holds the
 * run, or a worker. Returns how many.
 */
uint64_t lea_lines(struct lea_runtime *rt, bool still, void (*line)(void *arg, const char *text),
                   void *arg);

#endif
