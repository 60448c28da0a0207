/*
 * io/pipes.h - empty pipes for leat_relay(), which are used again and again.
 *
 * Making and closing one costs as much as passing on two small messages. Those that nobody uses
 * wait in the runtime's struct, a word for each that holds both numbers: who changes it to 0 has
 * the pipe. (One that is taken and put back between a look and its CAS is the same pipe, and
 * empty.) Both ends are non-blocking.
 */
#ifndef LEA_IO_PIPES_H
#define LEA_IO_PIPES_H

#include "sched/sched.h"

/* In a bracket. 0; -EMFILE, -ENFILE, and then both are -1. */
int lea_pipe_get(struct lea_worker *m, int pipe[2]);

/* In a bracket. An empty one; both are -1 afterwards. */
void lea_pipe_put(struct lea_worker *m, int pipe[2]);

/* With an even tick, or on a plain thread: one that is not empty. Both are -1 afterwards. */
void lea_pipe_close(int pipe[2]);

/* By the end of the run. */
void lea_pipes_close(struct lea_runtime *rt);

#endif
