/*
 * co/report.h - what a report says of a coroutine: reading it while it lives on, and putting it
 * into words.
 *
 * Always: whatever the coroutine does meanwhile, a look touches memory that keeps its type, and
 * gives text that ends. It is of one life: the id is read before and after. It need not be of one
 * instant: only who knows that nothing moves (sched/quiet.h) may draw conclusions.
 */
#ifndef LEA_CO_REPORT_H
#define LEA_CO_REPORT_H

#include "co/extra.h"

#include <stddef.h>

struct lea_co_look {
    uint64_t id;
    const struct leat_site_ *site;
    uint32_t bound_tid;           /* the thread that it keeps to; 0 any */
    char name[LEA_CO_NAME_BYTES]; /* "" none */
    enum lea_state state;
    enum lea_reason reason; /* of a WAITING one */
    uintptr_t object;       /* as lea_co.object */
    /* deadline of the wait, or of a scope around it; INT64_MAX none */
    int64_t until_ns;
    bool main;     /* the main coroutine, which nobody has spawned */
    bool attached; /* a thread of the program's, bound_tid, which nobody has spawned either */
    bool parked;   /* nobody has ended its wait yet */
};

/* Room for the texts below; a longer file name or function is cut. */
#define LEA_CO_WHO_BYTES 200
#define LEA_CO_TEXT_BYTES 280

/*
 * Any thread, any time. False: free, or its life changes at this moment. A FREE one with an id is
 * about to begin.
 */
bool lea_co_look(const struct lea_co *co, struct lea_co_look *out);

/*
 * `coroutine 7 "reader", spawned at server.c:41 (read_all)`, `thread 4711 "callbacks", attached
 * (coroutine 9)`. Returns buf.
 */
const char *lea_co_who(char *buf, size_t size, const struct lea_co_look *look);

/* The same, with its state: `...: waiting, mutex`. */
const char *lea_co_text(char *buf, size_t size, const struct lea_co_look *look);

#endif
