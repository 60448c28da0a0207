/*
 * co/extra.h - what few coroutines need: a name, scopes and groups that they have opened, clean-up,
 * local values. Out of struct lea_co, of which there may be a million.
 *
 * Made at the first use (sched/extra.c), and then kept with the coroutine's memory from life to
 * life; it counts while the wait word says
 * EXTRA. Its memory is type-stable during a run, as the coroutine's is.
 *
 * Fields with (x) are under a lock that is biased to the coroutine itself, since only it opens and
 * closes: the coroutine says `busy`, and goes in unless the wait word says LOCK; anybody else sets
 * LOCK, and goes in when nobody is `busy`. So the coroutine pays for one fence. Nobody else comes
 * in, or stays, once the coroutine has ended: lea_extra_end() waits for LOCK and `pins` to go, and
 * takes EXTRA back.
 *
 * Ordering pair EXTRA-BUSY (law 3): the coroutine stores busy, fence, reads LOCK; another thread
 * sets LOCK, fence, reads busy. What is under the lock is published by the release of busy, or of
 * LOCK, to the acquire of the same word.
 *
 * Keys: (o) the coroutine itself   (x) under the biased lock   (c) anybody, atomically   (r) (o),
 * read by reports
 */
#ifndef LEA_CO_EXTRA_H
#define LEA_CO_EXTRA_H

#include "co/co.h"

#define LEA_CO_NAME_BYTES 32

struct lea_scope;
struct lea_worker;
struct lea_defers;
struct lea_locals;

struct lea_extra {
    struct lea_node groups;  /* (x) the open groups that it has opened */
    struct lea_scope *scope; /* (x) the innermost open scope; NULL none */
    uint32_t level;          /* (x) shields in force */
    lea_u32 busy;            /* (o) 1: the coroutine is inside */
    lea_u32 pins;            /* (c) threads that walk through its groups: it cannot end now */
    bool ending;             /* (o) its clean-up runs */
    /* (o) called on its stack at its end, in user code; NULL nothing to do */
    void (*at_end)(struct lea_co *co);
    struct lea_defers *defers; /* (o) */
    struct lea_locals *locals; /* (o) */
    /*
     * (o) whose thread it keeps to, while the coroutine says so; whoever takes it out of a queue
     * reads it
     */
    struct lea_worker *bound;
    lea_u32 bound_tid; /* (r) the kernel's number of that thread; 0 none */
    /* (r) text, "" none; in words, the last byte is 0 */
    lea_word name[LEA_CO_NAME_BYTES / sizeof(lea_word)];
};

/* Its own. Others: co/report.h */
static inline const char *lea_co_name(const struct lea_co *co)
{
    return lea_word_load_acq(&co->wait) & LEA_WAIT_EXTRA ? (const char *)co->extra->name : "";
}

#endif
