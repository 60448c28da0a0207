/*
 * support/waits.h - "by now it surely waits", said by the runtime's own counter and not by a clock:
 * a busy machine may not have let the other one run for a long time.
 *
 *   uint64_t before = waits_begun();
 *   go(waiter, …);
 *   if (!waits_await(before + 1)) …      the waiter is in its list, or word, by now
 *
 * Every wait of the run counts: meanwhile nobody else may begin one. The caller does not: it
 * yields.
 */
#ifndef LEAT_TESTS_WAITS_H
#define LEAT_TESTS_WAITS_H

#include <leat/leat.h>

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define WAITS_LONG (60 * LEAT_SEC) /* so long that only a hang takes longer */

/* Waits that have begun in this run. */
static inline uint64_t waits_begun(void)
{
    leat_run_stats stats;

    return leat_stats_run(&stats) == 0 ? stats.sum.parked : 0;
}

/* Coroutines only. False: not within WAITS_LONG. */
static inline bool waits_await(uint64_t goal)
{
    int64_t until = leat_now() + WAITS_LONG;

    for (unsigned i = 1; waits_begun() < goal; i++) {
        if (leat_now() > until)
            return false;
        if (i % 64 == 0)
            usleep(50); /* or under valgrind the others hardly ever get its lock */
        leat_yield();
    }
    return true;
}

#endif
