/*
 * Pipes that are used again. See pipes.h.
 */
#include "io/pipes.h"

#include "base/os.h"
#include "io/own.h"

#include <fcntl.h>

/* Never 0: the two numbers differ. */
static uintptr_t word_of(const int pipe[2])
{
    return (uintptr_t)(uint32_t)pipe[0] << 32 | (uint32_t)pipe[1];
}

static bool take(struct lea_runtime *rt, unsigned i, int pipe[2])
{
    uintptr_t w = lea_word_load_rlx(&rt->pipe[i]); /* relaxed: the CAS decides */

    if (w == 0 || !lea_word_cas(&rt->pipe[i], w, 0))
        return false;
    pipe[0] = (int)(w >> 32);
    pipe[1] = (int)(uint32_t)w;
    return true;
}

static bool put(struct lea_runtime *rt, unsigned i, const int pipe[2])
{
    /* relaxed: the CAS decides */
    return lea_word_load_rlx(&rt->pipe[i]) == 0 && lea_word_cas(&rt->pipe[i], 0, word_of(pipe));
}

int lea_pipe_get(struct lea_worker *m, int pipe[2])
{
    int r;

    for (unsigned i = 0; i < LEA_PIPES_KEPT; i++)
        if (take(m->rt, i, pipe))
            return 0;
    lea_syscall_begin(m);
    r = lea_os_pipe2(pipe, O_NONBLOCK | O_CLOEXEC);
    lea_syscall_end(m);
    if (r < 0)
        pipe[0] = pipe[1] = -1;
    return r;
}

void lea_pipe_put(struct lea_worker *m, int pipe[2])
{
    lea_own_at_end(m->rt);
    for (unsigned i = 0; i < LEA_PIPES_KEPT; i++) {
        if (put(m->rt, i, pipe)) {
            pipe[0] = pipe[1] = -1;
            return;
        }
    }
    lea_syscall_begin(m);
    lea_pipe_close(pipe);
    lea_syscall_end(m);
}

void lea_pipe_close(int pipe[2])
{
    (void)lea_os_close(pipe[0]);
    (void)lea_os_close(pipe[1]);
    pipe[0] = pipe[1] = -1;
}

void lea_pipes_close(struct lea_runtime *rt)
{
    int pipe[2];

    for (unsigned i = 0; i < LEA_PIPES_KEPT; i++)
        if (take(rt, i, pipe))
            lea_pipe_close(pipe);
}
