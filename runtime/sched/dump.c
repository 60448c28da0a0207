/*
 * The signal of LEAT_DUMP_SIGNAL. See dump.h. errno is not touched by the handler: the seam makes
 * its calls itself.
 */
#include "sched/dump.h"

#include "base/os.h"
#include "sched/sched.h"

#include <string.h>

/* Any thread of the process, any moment. */
static void on_signal(int signo)
{
    /* also on a worker: it may be the last thing that keeps its run */
    struct lea_runtime *rt = lea_rt_hold();

    (void)signo;
    if (!rt)
        return;
    lea_u32_store_rlx(&rt->monitor.dump, 1); /* relaxed: the fence orders it */
    lea_fence_full();                        /* DUMP */
    if (lea_u32_load_acq(&rt->monitor.asleep) && lea_u32_cas(&rt->monitor.asleep, 1, 0))
        lea_os_futex_wake(&rt->monitor.asleep, 1);
    lea_rt_drop();
}

void lea_dump_begin(struct lea_runtime *rt)
{
    struct sigaction on;

    if (!rt->config.dump_signal)
        return;
    memset(&on, 0, sizeof(on));
    on.sa_handler = on_signal;
    /* a coroutine's stack may have no room for a signal frame */
    on.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&on.sa_mask);
    (void)lea_os_sigaction(rt->config.dump_signal, &on, &rt->before_dump);
}

void lea_dump_end(struct lea_runtime *rt)
{
    struct sigaction now;

    if (!rt->config.dump_signal)
        return;
    /*
     * the program may have set its own handler meanwhile, leat_signal_open() among others: that one
     * stays
     */
    if (lea_os_sigaction(rt->config.dump_signal, NULL, &now) == 0 && now.sa_handler == on_signal)
        (void)lea_os_sigaction(rt->config.dump_signal, &rt->before_dump, NULL);
}

void lea_dump_look(struct lea_runtime *rt)
{
    if (!lea_dump_asked(rt))
        return;
    lea_u32_store_rel(&rt->monitor.dump, 0);
    rt->report_dump(rt);
}
