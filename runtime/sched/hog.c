/*
 * The report on hogs. See hog.h. Where it is is asked by a signal, which a thread that is on a CPU
 * bears: it is in no system call that would fail.
 */
#include "sched/hog.h"

#include "base/log.h"
#include "co/report.h"

#include <inttypes.h>
#include <stdio.h>

#define TELL_NS 100000000
#define APART_NS 1000000000

/*
 * Whom it runs. It may come in at this very moment, and write this: then what is read is of no use,
 * and harmless, as a coroutine's memory keeps its type. Hence not for sanitizers to judge.
 */
__attribute__((noinline, no_sanitize("thread"))) static const struct lea_co *running(
    const struct lea_worker *m)
{
    return *(struct lea_co *const volatile *)&m->co;
}

void lea_hog_note(struct lea_hog *hog, const struct lea_worker *m, uint32_t tick, int64_t since_ns)
{
    if (hog->m == m && hog->tick == tick)
        return;
    hog->m = m;
    hog->tick = tick;
    hog->since_ns = since_ns;
    hog->co = running(m);
}

static void tell(struct lea_runtime *rt, const struct lea_hog *hog, struct lea_hog_limit *limit,
                 int64_t now_ns)
{
    struct lea_co_look look;
    char who[LEA_CO_WHO_BYTES], more[48] = "";

    if (now_ns - limit->told_ns < APART_NS && limit->told_ns) {
        limit->untold++;
        return;
    }
    if (!hog->co || !lea_co_look(hog->co, &look) || look.state != LEA_RUNNING)
        return;
    if (limit->untold)
        snprintf(more, sizeof(more), " (and %" PRIu32 " others before)", limit->untold);
    lea_log_warn("%s has computed for %" PRId64
                 " ms without a call, while others waited: it goes on beside them%s",
                 lea_co_who(who, sizeof(who), &look), (now_ns - hog->since_ns) / 1000000, more);
    lea_where_tell(rt, hog->m);
    limit->told_ns = now_ns;
    limit->untold = 0;
}

bool lea_hog_look(struct lea_runtime *rt, struct lea_hog *hog, struct lea_hog_limit *limit,
                  int64_t now_ns)
{
    if (!hog->m)
        return false;
    if (lea_u32_load_acq(&hog->m->tick) != hog->tick) {
        hog->m = NULL;
        return false;
    }
    if (now_ns - hog->since_ns < TELL_NS)
        return true;
    lea_word_count(&rt->monitor.hogs, 1);
    tell(rt, hog, limit, now_ns);
    hog->m = NULL;
    return false;
}
