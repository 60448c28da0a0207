/*
 * sched/blocks.c - what go() needs of the library when a C program is compiled by clang
 * (leat/impl/go_c.h).
 *
 * clang makes the function of each spawning place as a block literal without captures, a constant
 * object whose address is the first word of the arguments. The layout used here is the one that the
 * compiler's documents fix for all platforms.
 *
 * Always: nothing here is ever written. A block literal begins with the address of a class object
 * that only a block runtime looks at; programs that link one bring their own, so ours are weak.
 */
#include <leat/go.h>

struct lea_block {
    const void *isa;
    int flags;
    int reserved;
    leat_result (*invoke)(struct lea_block *self, void *args);
};

/*
 * The names are the compiler's. Global: literals without captures. Stack: others, should a program
 * use them for itself.
 */
#define LEA_BLOCK_CLASS __attribute__((weak, visibility("default")))
extern const void *const _NSConcreteGlobalBlock[32];
extern const void *const _NSConcreteStackBlock[32];
LEA_BLOCK_CLASS const void *const _NSConcreteGlobalBlock[32] = {NULL};
LEA_BLOCK_CLASS const void *const _NSConcreteStackBlock[32] = {NULL};

leat_result leat_block_run_(void *args)
{
    struct lea_block *block = *(struct lea_block **)args;

    return block->invoke(block, args);
}
