/*
 * A full fence on every thread. See membarrier.h.
 */
#include "sched/membarrier.h"

#include "base/log.h"
#include "base/os.h"

/* No store stays in its buffer for so long, by far; no load comes so early. */
#define SETTLED_NS 10000000

lea_u32 lea_membarrier_refused;

static __attribute__((noinline, cold)) void settle(int error)
{
    int64_t until;

    if (lea_u32_cas(&lea_membarrier_refused, 0, 1))
        lea_log_warn("the system refuses membarrier since the run began (errno %d): waiting for a "
                     "mutex or a rwmutex may take %d ms more, some times",
                     error, SETTLED_NS / 1000000);
    for (until = lea_os_now_ns() + SETTLED_NS; lea_os_now_ns() < until;)
        (void)lea_os_sleep_until(until); /* a signal may end it */
}

void lea_membarrier(void)
{
    int r = lea_os_membarrier();

    if (LEA_UNLIKELY(r < 0))
        settle(-r);
}
