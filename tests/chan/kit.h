/*
 * chan/kit.h - what the tests of channels and of select share. Coroutines count mistakes, the test
 * looks at the count.
 */
#ifndef LEAT_TESTS_CHAN_KIT_H
#define LEAT_TESTS_CHAN_KIT_H

#include "sync/each.h"

LEAT_CHAN_TYPE(number_chan, int64_t);

static inline void kit_count(atomic_int *mistakes, bool mistake)
{
    if (mistake)
        atomic_fetch_add(mistakes, 1);
}

/* Some turns for the others. */
static inline void kit_let_run(int64_t turns)
{
    for (int64_t i = 0; i < turns; i++)
        leat_yield();
}

/* Wait by naps until a count is reached. */
static inline void kit_until(const atomic_int *count, int goal)
{
    while (atomic_load(count) < goal)
        (void)leat_sleep(20 * LEAT_USEC);
}

/*
 * Wait by naps until so many wait in a channel: then the order in which they came is known. For
 * tests that look inside.
 */
#ifdef LEA_CHAN_CHAN_H
static inline unsigned kit_nr_waiting(leat_chan *c, enum lea_chan_dir dir)
{
    uintptr_t w = lea_chan_lock(c, NULL);
    const struct lea_node *first = dir == LEA_CHAN_DIR_SEND ? c->senders.first : c->receivers.first,
                          *node = first;
    unsigned n = 0;

    while (node) {
        n++;
        node = node->next == first ? NULL : node->next;
    }
    (void)lea_chan_unlock(c, w);
    return n;
}

static inline void kit_waiting(leat_chan *c, enum lea_chan_dir dir, unsigned n)
{
    while (kit_nr_waiting(c, dir) != n)
        (void)leat_sleep(20 * LEAT_USEC);
}
#endif

#endif
