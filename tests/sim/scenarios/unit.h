/*
 * scenarios/unit.h - coroutines without a scheduler: plain threads that wait and are woken by a
 * coroutine's record, so that one structure of the lower layers can be tried alone, in few steps.
 */
#ifndef LEAT_TESTS_SIM_UNIT_H
#define LEAT_TESTS_SIM_UNIT_H

#include "kit.h"

#include "netpoll/netpoll.h"
#include "time/timer.h"

struct unit_co {
    struct lea_co co;
    lea_u32 turn;   /* how often it was made ready; a futex */
    unsigned parks; /* how often it has parked */
};

struct unit_co *unit_co_new(void);

/*
 * Wait for the claim of the current wait, as lea_park_until() does after arming a timer. At its end
 * everybody who was to make it ready has done so, once.
 */
enum lea_wake unit_park(struct unit_co *c, uintptr_t ticket, bool shielded);

/* What a scheduler does with a list of ready coroutines. */
void unit_ready(struct lea_ready_list *list);

/* One wait for a descriptor, as io/wait.c does it. 0: try again. */
int unit_fd_wait(struct unit_co *c, struct lea_fd *f, enum lea_fd_dir dir, uint32_t gen);

/* An edge, as the poller hands it on. */
void unit_fd_edge(struct lea_fd *f, enum lea_fd_dir dir);

/* A poller in memory that is watched. Close it at the end. */
struct lea_netpoll *unit_netpoll(void);
void unit_netpoll_close(struct lea_netpoll *np);

#endif
