/*
 * sched/hog.h - telling of coroutines that compute for long without a call while others wait for
 * their processor. The monitor's.
 */
#ifndef LEA_SCHED_HOG_H
#define LEA_SCHED_HOG_H

#include "sched/runtime.h"

/* What the monitor remembers of the last hog of a processor. Zero is valid: none. */
struct lea_hog {
    const struct lea_worker *m; /* NULL: none, or told of */
    uint32_t tick;              /* of its worker, for as long as it makes no call */
    int64_t since_ns;
    const struct lea_co *co;
};

/* Over all processors: how often is too often? */
struct lea_hog_limit {
    int64_t told_ns;
    uint32_t untold;
};

/* A worker stays in user code and computes, since then; before its processor is taken, if it is. */
void lea_hog_note(struct lea_hog *hog, const struct lea_worker *m, uint32_t tick, int64_t since_ns);

/* At each look. True: there is one that may have to be told of. */
bool lea_hog_look(struct lea_runtime *rt, struct lea_hog *hog, struct lea_hog_limit *limit,
                  int64_t now_ns);

#endif
