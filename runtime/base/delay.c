/*
 * Delays at named points. See delay.h. Empty in other builds.
 *
 * Most visits cost a load; one in five hundred sleeps for some microseconds, some give the CPU
 * away, some spin.
 */
#include "base/delay.h"

#ifdef LEAT_DELAYS

#include "base/atomic.h"
#include "base/os.h"

#include <inttypes.h>
#include <stdlib.h>

#define SLEEP_NS_MAX 65536
#define SPINS_MAX 512

static lea_word delay_seed;  /* 0: none */
static lea_word delay_given; /* by the environment */
static lea_word delay_turn;  /* counts visits; of two at once one may be lost */

__attribute__((constructor)) static void delay_begin(void)
{
    const char *seed = getenv("LEA_DELAY_SEED");

    if (seed)
        /* relaxed: there is one thread */
        lea_word_store_rlx(&delay_given, strtoumax(seed, NULL, 0));
    lea_delay_from(0);
}

void lea_delay_from(uint64_t seed)
{
    uintptr_t given = lea_word_load_rlx(&delay_given); /* relaxed: never changes */

    lea_word_store_rlx(&delay_seed, given ? given : seed); /* relaxed: any number will do */
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void lea_delay(const char *name)
{
    uint64_t seed = lea_word_load_rlx(&delay_seed), x = seed; /* relaxed: any number will do */

    if (LEA_LIKELY(seed == 0))
        return;
    lea_word_count(&delay_turn, 1); /* relaxed, with loads and stores: no fence */
    for (; *name; name++)
        x = x * 31 + (unsigned char)*name;
    /* relaxed: any number will do */
    x = mix(x + lea_word_load_rlx(&delay_turn) * 0x9e3779b97f4a7c15u);
    if (x % 512 == 0)
        (void)lea_os_sleep_until(lea_os_now_ns() + (int64_t)(x >> 32) % SLEEP_NS_MAX);
    else if (x % 32 == 1)
        lea_os_thread_yield();
    else if (x % 8 == 2)
        for (uint64_t i = (x >> 32) % SPINS_MAX; i > 0; i--)
            lea_pause();
}

#endif
