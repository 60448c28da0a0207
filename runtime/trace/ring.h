/*
 * trace/ring.h - the last events of one processor, for looking back: who ran, parked, woke, when.
 *
 * One writer, the processor's owner; the ring overwrites its oldest events. Read when the run is
 * over (LEAT_TRACE=file).
 */
#ifndef LEA_TRACE_RING_H
#define LEA_TRACE_RING_H

#include "base/atomic.h"

#include <stddef.h>

enum lea_event {
    LEA_EVENT_RUN,   /* id: the coroutine that is switched to */
    LEA_EVENT_PARK,  /* id: who parks; arg: why */
    LEA_EVENT_READY, /* id: who is made ready */
    LEA_EVENT_SPAWN, /* id: the new one */
    LEA_EVENT_END,   /* id: who ended */
    LEA_EVENT_STEAL, /* id: victim processor; arg: how many */
    LEA_EVENT_SLEEP, /* the worker goes to sleep */
    LEA_EVENT_WAKE,  /* it wakes */
    LEA_NR_EVENTS
};

#define LEA_TRACE_CAP 65536u /* events; a power of two */

struct lea_trace_event {
    int64_t at_ns;
    uint64_t id;
    uint32_t kind, arg;
};

struct lea_trace {
    uint64_t n; /* events ever written */
    struct lea_trace_event event[LEA_TRACE_CAP];
};

struct lea_trace *lea_trace_new(void);
void lea_trace_free(struct lea_trace *t);
void lea_trace_put(struct lea_trace *t, enum lea_event kind, uint64_t id, uint32_t arg);

/* Append the events as text lines "ns processor event id arg" to an open descriptor. */
void lea_trace_write(const struct lea_trace *t, int fd, uint32_t processor);

#endif
