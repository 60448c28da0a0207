/*
 * scope/local.h - values by key: tables of a coroutine's and of a processor's.
 */
#ifndef LEA_SCOPE_LOCAL_H
#define LEA_SCOPE_LOCAL_H

#include "co/extra.h"

struct lea_runtime;

/* Destroy what is there, in user code. A destructor may set values. True: there was some. */
bool lea_locals_destroy(struct lea_extra *x);

/* In a bracket. NULL is nothing to do. */
void lea_locals_free(struct lea_locals *locals);

/*
 * The run is over: values of coroutines that were left over, and what is in the processors' slots.
 */
void lea_locals_end(struct lea_runtime *rt);

#endif
