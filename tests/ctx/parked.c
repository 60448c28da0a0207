/*
 * parked.c - a program for gdb to look at: two coroutines that pass a turn on, and a context that
 * never ran.
 */
#include <stdlib.h>

#include "ctx/ctx.h"

enum { STACK_BYTES = 64 * 1024 };

/* gdb knows these names: walk.py */
struct lea_ctx parked_home, parked_left, parked_right, parked_fresh;

void parked_inner(struct lea_ctx *from, struct lea_ctx *to);
void parked_outer(void *arg);

void parked_inner(struct lea_ctx *from, struct lea_ctx *to)
{
    lea_ctx_switch(from, to, to);
}

void parked_outer(void *arg)
{
    struct lea_ctx *self = arg;

    for (;;)
        parked_inner(self, self == &parked_left ? &parked_right : &parked_home);
}

int main(void)
{
    static char stacks[3][STACK_BYTES];

    lea_ctx_adopt(&parked_home);
    lea_ctx_make(&parked_left, stacks[0], stacks[0] + STACK_BYTES, parked_outer);
    lea_ctx_make(&parked_right, stacks[1], stacks[1] + STACK_BYTES, parked_outer);
    lea_ctx_make(&parked_fresh, stacks[2], stacks[2] + STACK_BYTES, parked_outer);
    for (int i = 0; i < 3; i++)
        parked_inner(&parked_home, &parked_left);
    return 0;
}
