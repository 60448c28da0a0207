/*
 * histogram.h - latencies in buckets of at most 1.6 % width: 64 per power of two, exact below 64
 * ns.
 */
#ifndef LEAT_BENCH_HISTOGRAM_H
#define LEAT_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 6
#define HISTOGRAM_SUB (1u << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_index(uint64_t v)
{
    unsigned shift;

    if (v < HISTOGRAM_SUB)
        return (unsigned)v;
    shift = 63u - (unsigned)__builtin_clzll(v) - HISTOGRAM_BITS;
    return (shift + 1) * HISTOGRAM_SUB + (unsigned)(v >> shift) - HISTOGRAM_SUB;
}

/* The largest value that falls into a bucket. */
static inline uint64_t histogram_upper(unsigned index)
{
    unsigned shift;

    if (index < HISTOGRAM_SUB)
        return index;
    shift = index / HISTOGRAM_SUB - 1;
    return ((uint64_t)(index % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t v)
{
    h->bucket[histogram_index(v)]++;
    h->count++;
    if (v > h->max)
        h->max = v;
}

/* The value that a part (0..1) of all values does not exceed. */
static inline uint64_t histogram_at(const struct histogram *h, double part)
{
    uint64_t left = (uint64_t)(part * (double)h->count);

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->bucket[i] > left)
            return histogram_upper(i) < h->max ? histogram_upper(i) : h->max;
        left -= h->bucket[i];
    }
    return h->max;
}

#endif
