/*
 * A full fence on every thread. See membarrier.h.
 */
#include "sched/membarrier.h"

#include "base/log.h"
#include "base/os.h"

/* No store stays in its buffer for so long, by far; no load comes so early. */
#define SETTLED_NS 10000000

struct lea_membarrier_known lea_membarrier_known;

static __attribute__((noinline, cold)) void settle(int error)
{
    int64_t until;

    if (lea_u32_cas(&lea_membarrier_known.refused, 0, 1))
        lea_log_warn("the system refuses membarrier, which it had before (errno %d): some calls of "
                     "mutexes, rwmutexes and channels take %d ms more",
                     error, SETTLED_NS / 1000000);
    for (until = lea_os_now_ns() + SETTLED_NS; lea_os_now_ns() < until;)
        (void)lea_os_sleep_until(until); /* a signal may end it */
}

void lea_membarrier(void)
{
    int r = lea_os_membarrier();

    if (LEA_LIKELY(r == 0))
        return;
    lea_fence_full();
    if (lea_u32_load_acq(&lea_membarrier_known.found))
        settle(-r);
}
