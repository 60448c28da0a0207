/*
 * ticker.h - one that wakes every millisecond beside whatever else goes on, and remembers how late
 * it was each time.
 *
 * A tick is late by what its sleep took longer than the millisecond that it asked for: the next one
 * is asked for when this one has run, so that one long stall is one late tick, as for a client that
 * waits for an answer.
 */
#ifndef LEAT_BENCH_TICKER_H
#define LEAT_BENCH_TICKER_H

#include <stdint.h>

#define TICKER_MAX 4096

struct ticker {
    int nr;
    int64_t late_ns[TICKER_MAX];
    int64_t at_ns[TICKER_MAX]; /* since the begin */
};

/* Ticks for this long. In a coroutine. */
void ticker_run(struct ticker *t, int64_t span_ns);

/*
 * The lines PREFIXlate_p50, late_p99, late_max, in ms, and later_p99: the same of the ticks that
 * ended more than after_ns behind the begin, once the runtime has had time to see what goes on.
 * Sorts.
 */
void ticker_print(struct ticker *t, int64_t after_ns);

#endif
