/*
 * What the monitor reports on stderr: a dump when a signal asks for it (sched/dump.h), and a
 * deadlock (sched/quiet.h): every coroutine with what it waits for, then the end of the process.
 *
 * The process ends at once, as by _exit(2): what the program has registered for its end might wait
 * for a coroutine.
 */
#include "base/log.h"
#include "base/os.h"
#include "inspect/lines.h"
#include "netpoll/netpoll.h"
#include "sched/chaos.h"
#include "sched/run.h" /* declares what is defined here */

#include <inttypes.h>
#include <stdio.h>

#define EXIT_STATUS 2
#define NAMED_BYTES 200

static void to_log(void *arg, const char *text)
{
    (void)arg;
    lea_log_error("  %s", text);
}

/*
 * Descriptors that leat opened or was given, and that are still open: nobody waits on them, or this
 * were no deadlock.
 */
static void name_descriptors(struct lea_runtime *rt)
{
    char named[NAMED_BYTES] = "";
    size_t used = 0;

    for (int fd = 0; fd < (int)(lea_u32_load_acq(&rt->netpoll.nr_chunks) * LEA_FD_CHUNK) &&
                     used < sizeof(named) - 16;
         fd++) {
        const struct lea_fd *f = lea_fd_find(&rt->netpoll, fd);

        if (f && (lea_u32_load_acq(&f->use) & LEA_FD_USE_OWNED))
            used +=
                (size_t)snprintf(named + used, sizeof(named) - used, "%s%d", used ? ", " : "", fd);
    }
    if (used)
        lea_log_error("  open, and nobody waits on them: descriptors %s%s", named,
                      used < sizeof(named) - 16 ? "" : ", ...");
}

void lea_report_dump(struct lea_runtime *rt)
{
    uint64_t n;

    lea_log_error("dump of all coroutines:");
    n = lea_lines(rt, false, to_log, NULL);
    lea_log_error("end of the dump: %" PRIu64 " coroutine%s", n, n == 1 ? "" : "s");
}

void lea_report_deadlock(struct lea_runtime *rt)
{
    uint64_t n = lea_alive(rt);

    if (n == 1)
        lea_log_error("deadlock: the only coroutine waits, and nothing can wake it");
    else
        lea_log_error("deadlock: all %" PRIu64
                      " coroutines wait for one another, and nothing else can wake them",
                      n);
    (void)lea_lines(rt, true, to_log, NULL);
    name_descriptors(rt);
    lea_chaos_note(rt);
    lea_os_exit(EXIT_STATUS);
}
