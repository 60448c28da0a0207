/*
 * Small fast random numbers for choices that only need to differ (victims of a theft, delays):
 * xorshift64*.
 */
#ifndef LEA_BASE_RAND_H
#define LEA_BASE_RAND_H

#include <stdint.h>

struct lea_rand {
    uint64_t state; /* never 0 */
};

static inline void lea_rand_seed(struct lea_rand *r, uint64_t seed)
{
    r->state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static inline uint32_t lea_rand_next(struct lea_rand *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* 0..n-1 */
static inline uint32_t lea_rand_below(struct lea_rand *r, uint32_t n)
{
    return (uint32_t)(((uint64_t)lea_rand_next(r) * n) >> 32);
}

#endif
