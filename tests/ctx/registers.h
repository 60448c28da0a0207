/* registers.h - see registers.c */
#ifndef LEAT_TESTS_REGISTERS_H
#define LEAT_TESTS_REGISTERS_H

#include "ctx/ctx.h"

/*
 * Fills the callee-saved registers with first, first + 1, …, calls swtch(from, to, NULL), and
 * returns how many of them are not what they were.
 */
unsigned test_registers_kept(struct lea_ctx *from, struct lea_ctx *to, uint64_t first,
                             void *(*swtch)(struct lea_ctx *, struct lea_ctx *, void *));

#endif
