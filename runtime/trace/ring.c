/*
 * The event ring. Who may call: ring.h.
 */
#include "trace/ring.h"

#include "base/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

struct lea_trace *lea_trace_new(void)
{
    return lea_os_map(sizeof(struct lea_trace), PROT_READ | PROT_WRITE);
}

void lea_trace_free(struct lea_trace *t)
{
    (void)lea_os_unmap(t, sizeof(*t));
}

void lea_trace_put(struct lea_trace *t, enum lea_event kind, uint64_t id, uint32_t arg)
{
    t->event[t->n++ % LEA_TRACE_CAP] =
        (struct lea_trace_event){lea_os_now_ns(), id, (uint32_t)kind, arg};
}

void lea_trace_write(const struct lea_trace *t, int fd, uint32_t processor)
{
    static const char *const names[LEA_NR_EVENTS] = {"run", "park",  "ready", "spawn",
                                                     "end", "steal", "sleep", "wake"};
    char buf[4096];
    size_t used = 0;

    for (uint64_t i = t->n > LEA_TRACE_CAP ? t->n - LEA_TRACE_CAP : 0; i < t->n; i++) {
        const struct lea_trace_event *e = &t->event[i % LEA_TRACE_CAP];

        used +=
            (size_t)snprintf(buf + used, sizeof(buf) - used, "%" PRId64 " %u %s %" PRIu64 " %u\n",
                             e->at_ns, processor, names[e->kind], e->id, e->arg);
        if (used > sizeof(buf) - 128 || i + 1 == t->n) {
            (void)lea_os_write(fd, buf, used);
            used = 0;
        }
    }
}
