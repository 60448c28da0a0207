/*
 * conformance/kit.h - what the classical programs share: the numbers of processors, and a count of
 * mistakes that coroutines make.
 */
#ifndef LEAT_TESTS_CONFORMANCE_KIT_H
#define LEAT_TESTS_CONFORMANCE_KIT_H

#include "sync/each.h"

/* What instrumented and emulated code, and valgrind, go through less of. */
#define KIT_LESS(n) (EACH_VALGRIND ? (n) / 40 : EACH_SANITIZED || EACH_EMULATED ? (n) / 10 : (n))

LEAT_CHAN_TYPE(int_chan, int);

/* Ends a coroutine that was cancelled, and notes any other error. */
static inline bool kit_ok(atomic_int *mistakes, int err)
{
    if (err != 0 && err != -ECANCELED)
        atomic_fetch_add(mistakes, 1);
    return err == 0;
}

static inline int_chan kit_chan(size_t capacity)
{
    int_chan ch;

    return leat_chan_new(&ch, capacity) == 0 ? ch : (int_chan){NULL};
}

#endif
