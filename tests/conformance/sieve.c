/*
 * The prime sieve: a coroutine counts upwards, and each prime adds a filter that lets through what
 * it does not divide.
 */
#include "support/test.h"

#include "conformance/kit.h"

#include <errno.h>

#define FILTERS_MAX 400

struct sieve {
    leat_group group;
    int_chan stage[FILTERS_MAX + 1]; /* the numbers in front of each filter */
    atomic_int mistakes;
    int filters;
    size_t capacity;
};

static void count_up(struct sieve *s)
{
    for (int i = 2;; i++)
        if (!kit_ok(&s->mistakes, leat_chan_put(s->stage[0], i, LEAT_FOREVER)))
            return;
}

static void filter(struct sieve *s, int stage, int prime)
{
    int i;

    while (kit_ok(&s->mistakes, leat_chan_get(s->stage[stage], &i, LEAT_FOREVER)))
        if (i % prime != 0 &&
            !kit_ok(&s->mistakes, leat_chan_put(s->stage[stage + 1], i, LEAT_FOREVER)))
            return;
}

static bool is_prime(int n)
{
    for (int i = 2; i * i <= n; i++)
        if (n % i == 0)
            return false;
    return n > 1;
}

static int run_sieve(struct sieve *s)
{
    int last = 1;

    if (leat_group_go(&s->group, count_up, s) != 0)
        return 1;
    for (int n = 0; n < s->filters; n++) {
        int prime;

        if (leat_chan_get(s->stage[n], &prime, EACH_LONG) != 0)
            return 2;
        for (int i = last + 1; i < prime; i++)
            if (is_prime(i))
                return 3;
        if (!is_prime(prime))
            return 4;
        last = prime;
        if (leat_group_go(&s->group, filter, s, n, prime) != 0)
            return 5;
    }
    return 0;
}

static int sieve_main(void *arg)
{
    struct sieve *s = arg;
    int r;

    for (int i = 0; i <= s->filters; i++)
        s->stage[i] = kit_chan(s->capacity);
    leat_group_open(&s->group, 0);
    r = run_sieve(s);
    leat_group_cancel(&s->group);
    if (leat_group_close(&s->group) != 0)
        r = 6;
    for (int i = 0; i <= s->filters; i++)
        leat_chan_unref(s->stage[i].chan);
    return r;
}

static void sieve(int filters, size_t capacity)
{
    for (EACH_PROCS(procs)) {
        static struct sieve s;

        s = (struct sieve){.filters = filters, .capacity = capacity};
        cr_assert(eq(int, each_run(procs, sieve_main, &s), 0));
        cr_assert(eq(int, s.mistakes, 0));
    }
}

/* Goal: what comes out is the primes, in order; the numbers meet each filter one by one. */
Test(sieve, unbuffered, .timeout = 100)
{
    sieve(KIT_LESS(FILTERS_MAX), 0);
}

Test(sieve, buffered, .timeout = 100)
{
    sieve(KIT_LESS(FILTERS_MAX), 7);
}
