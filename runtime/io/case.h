/*
 * io/case.h - readiness of a descriptor as a case of a select, for who knows when to look at it
 * (case.c, process.c).
 *
 * A case: bytes_ the number; events_ what is waited for; send_ it was closed meanwhile.
 * Level-triggered to the caller, as leat_poll_fd() (poll.c): a look decides, an edge only says when
 * to look again. So a wait that an edge has ended begins anew.
 */
#ifndef LEA_IO_CASE_H
#define LEA_IO_CASE_H

#include "sched/case.h"
#include "netpoll/netpoll.h"

/*
 * What poll(2) says, without waiting, in a bracket or outside (@m NULL). 0 nothing; negative: an
 * error, which is a result too.
 */
int lea_fd_case_look(const leat_case *c, struct lea_worker *m);

/* The number's record is held until lea_fd_case_leave(). @take: the kind's own. */
enum lea_case_queued lea_fd_case_queue(leat_case *c, struct lea_select *s,
                                       bool (*take)(leat_case *c, struct lea_select *s));
enum lea_case_left lea_fd_case_leave(leat_case *c, struct lea_select *s);

#endif
