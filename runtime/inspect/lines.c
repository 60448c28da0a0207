/*
 * Lines about coroutines: what co/report.h says, and at what they wait, where that can be known.
 * See lines.h.
 *
 * While coroutines run, what one waits at may end at any moment. Then only memory that keeps its
 * type is looked into: other coroutines, records of descriptors. The address of anything else still
 * tells who waits at the same.
 */
#include "inspect/lines.h"

#include "base/os.h"
#include "netpoll/netpoll.h"
#include "sched/case.h"
#include "scope/scope.h"

#include <inttypes.h>
#include <leat/time.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MEMBERS_NAMED 8u
#define CASES_NAMED 8u

struct lines {
    struct lea_runtime *rt;
    bool still;
    void (*line)(void *arg, const char *text);
    void *arg;
    int64_t now_ns;
    uint64_t n;
};

/* A line that grows; what does not fit is cut. */
struct text {
    char at[LEA_LINE_BYTES];
    size_t used;
};

static __attribute__((format(printf, 2, 3))) void add(struct text *t, const char *fmt, ...)
{
    size_t room = sizeof(t->at) - t->used;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->at + t->used, room, fmt, args);
    va_end(args);
    if (n > 0)
        t->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_descriptor(struct text *t, const struct lines *l, uintptr_t object)
{
    int fd = lea_fd_number(&l->rt->netpoll, object);

    if (fd >= 0)
        add(t, " on descriptor %d", fd);
}

static void add_target(struct text *t, const struct lines *l, uintptr_t object)
{
    struct lea_co_look look;

    if (!lea_slab_has(&l->rt->cos, object) || !lea_co_look((const struct lea_co *)object, &look))
        return;
    add(t, " of coroutine %" PRIu64, look.id);
    if (look.name[0])
        add(t, " \"%s\"", look.name);
}

static void add_group(struct text *t, const struct lines *l, uintptr_t object)
{
    uint64_t ids[MEMBERS_NAMED], n, named;

    add(t, " %#" PRIxPTR, object);
    if (!l->still)
        return;
    n = lea_group_look((struct lea_group *)object, ids, MEMBERS_NAMED);
    named = n < MEMBERS_NAMED ? n : MEMBERS_NAMED;
    for (uint64_t i = 0; i < named && ids[i]; i++)
        add(t, "%s%" PRIu64, i == 0 ? " of " : ", ", ids[i]);
    if (n > named)
        add(t, " and %" PRIu64 " more", n - named);
}

static void add_select(struct text *t, const struct lines *l, uintptr_t object)
{
    const struct lea_select *s = (const struct lea_select *)object;

    if (!l->still) {
        add(t, " %#" PRIxPTR, object);
        return;
    }
    if (s->n == 0)
        add(t, " without cases");
    for (size_t i = 0; i < s->n && i < CASES_NAMED; i++) {
        const void *what = s->cases[i].object_;

        add(t, "%s", i == 0 ? " of " : ", ");
        if (what)
            add(t, "%p", what);
        else
            add(t, "none");
    }
    if (s->n > CASES_NAMED)
        add(t, " and %zu more", s->n - CASES_NAMED);
}

static void add_wait(struct text *t, const struct lines *l, const struct lea_co_look *look)
{
    switch (look->reason) {
    case LEA_REASON_READ:
    case LEA_REASON_WRITE:
    case LEA_REASON_ACCEPT:
    case LEA_REASON_CONNECT:
    case LEA_REASON_POLL:
    case LEA_REASON_SIGNAL:
        add_descriptor(t, l, look->object);
        break;
    case LEA_REASON_JOIN:
        add_target(t, l, look->object);
        break;
    case LEA_REASON_GROUP:
        add_group(t, l, look->object);
        break;
    case LEA_REASON_SELECT:
    case LEA_REASON_SELECT_OUTSIDE:
        add_select(t, l, look->object);
        break;
    case LEA_REASON_MUTEX:
    case LEA_REASON_WAITGROUP:
    case LEA_REASON_SEND:
    case LEA_REASON_RECEIVE:
    case LEA_REASON_COND:
    case LEA_REASON_SEM:
    case LEA_REASON_ONCE:
    case LEA_REASON_BARRIER:
    case LEA_REASON_EVENT:
    case LEA_REASON_RWMUTEX:
        add(t, " %#" PRIxPTR, look->object);
        break;
    default:
        break;
    }
    if (look->until_ns != INT64_MAX)
        add(t, ", for at most %" PRId64 " ms more",
            look->until_ns > l->now_ns ? (look->until_ns - l->now_ns) / LEAT_MSEC : 0);
}

static void one(void *obj, void *arg)
{
    struct lines *l = arg;
    struct lea_co_look look;
    struct text t;

    if (!lea_co_look(obj, &look))
        return;
    t.used = strlen(lea_co_text(t.at, sizeof(t.at), &look));
    if (look.state == LEA_WAITING)
        add_wait(&t, l, &look);
    if (look.bound_tid && !look.attached)
        add(&t, ", keeps to thread %" PRIu32, look.bound_tid);
    l->n++;
    l->line(l->arg, t.at);
}

uint64_t lea_lines(struct lea_runtime *rt, bool still, void (*line)(void *arg, const char *text),
                   void *arg)
{
    struct lines l = {
        .rt = rt, .still = still, .line = line, .arg = arg, .now_ns = lea_os_now_ns()};

    lea_slab_each(&rt->cos, one, &l);
    return l.n;
}
