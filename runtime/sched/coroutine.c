/*
 * What a coroutine may ask of the scheduler about itself: sleep, id, name; to yield: park.c.
 * Contracts: include/leat/run.h, time.h.
 */
#include "base/os.h"
#include "sched/extra.h"
#include "sched/sched.h"

#include <errno.h>
#include <leat/run.h>
#include <leat/time.h>

int leat_sleep_until(leat_deadline until)
{
    struct lea_worker *m = lea_enter_park();
    enum lea_wake code = LEA_WAKE_TIMEOUT;

    if (!m) {
        while (lea_os_sleep_until(until.ns < 0 ? 0 : until.ns) == -EINTR)
            ;
        return 0;
    }
    if (lea_co_cancelled(m->co))
        code = LEA_WAKE_CANCEL;
    else if (until.ns > 0)
        code = lea_park_until(&m, LEA_REASON_SLEEP, lea_co_ticket(m->co), until.ns, false);
    lea_leave(m);
    return code == LEA_WAKE_CANCEL ? -ECANCELED : 0;
}

int leat_sleep(int64_t span_ns)
{
    return leat_sleep_until(leat_after(span_ns));
}

uint64_t leat_self_id(void)
{
    struct lea_worker *m = lea_self();

    return m && m->co ? lea_co_id(m->co) : 0;
}

const char *leat_self_name(void)
{
    struct lea_worker *m = lea_self();

    return m && m->co ? lea_co_name(m->co) : "";
}

void leat_set_name(const char *name)
{
    struct lea_worker *m = lea_enter();
    struct lea_extra *x;

    if (!m)
        return;
    x = lea_extra_get(m->rt, m->proc, m->co);
    if (x)
        lea_extra_name(x, name ? name : "");
    lea_leave(m);
}

bool leat_cancelled(void)
{
    struct lea_worker *m = lea_self();

    return m ? m->co && lea_co_cancelled(m->co) : lea_blocking_cancelled();
}

unsigned leat_nr_procs(void)
{
    struct lea_worker *m = lea_self();
    struct lea_runtime *rt;
    unsigned n;

    if (m)
        return m->rt->nr_procs;
    rt = lea_rt_hold();
    if (!rt)
        return 0;
    n = rt->nr_procs;
    lea_rt_drop();
    return n;
}
