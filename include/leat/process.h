/*
 * leat/process.h - child processes: starting one with pipes, waiting for its end with a deadline,
 * ending it.
 *
 * A leat_process is fixed-size and lives where its owner wants it; one coroutine uses it at a time,
 * but for leat_process_kill(), which may come from anywhere while the object is open. Every one
 * that was started is closed with leat_process_close(): it leaves neither a zombie nor a descriptor
 * behind.
 *
 * The end of a child is taken by this object alone: a program that ignores SIGCHLD, or reaps
 * children that it did not start (wait(2), waitpid(-1)), takes ends away, and the wait then gives
 * -ECHILD.
 */
#ifndef LEAT_PROCESS_H
#define LEAT_PROCESS_H

#include <leat/base.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

/*
 * What becomes of a standard descriptor of the child, in place of a descriptor (1 and up) of the
 * caller that it shall be.
 */
#define LEAT_CHILD_INHERIT 0 /* the caller's of the same number */
/* a pipe: the other end is in leat_process, non-blocking, for leat_read() or leat_write() */
#define LEAT_CHILD_PIPE (-1)
#define LEAT_CHILD_NULL (-2) /* /dev/null */
#define LEAT_CHILD_OUT (-3)  /* for `err`: the same as `out` */

/* Settings of a child. Zero means default. */
typedef struct leat_process_opts {
    const char *const *env; /* "NAME=value" …, NULL at the end; default: the caller's */
    /*
     * working directory; default: the caller's. A program without a "/" is looked for in PATH from
     * there
     */
    const char *dir;
    int in, out, err; /* above; default: inherited */
    int kill_signal;  /* sent when a wait is cancelled; default SIGTERM, -1 none */
    bool own_group;   /* a process group of its own: signals go to all of it */
} leat_process_opts;

/* How a child ended. */
typedef struct leat_exit {
    int code;  /* 0..255 of exit(3); -1 when a signal ended it */
    int signo; /* that signal; 0 when it ended by itself */
    bool core; /* it left a core dump */
} leat_exit;

/* Read pid, in, out, err; the rest is the runtime's. */
typedef struct leat_process {
    int pid;
    /*
     * write here what the child reads; -1 none. Closed by leat_process_close(), or before with
     * leat_close(): then set it to -1
     */
    int in;
    int out; /* read here what the child writes; -1 none */
    int err;
    int fd_, kill_signal_, state_;
    bool own_group_;
    leat_exit end_;
} leat_process;

/**
 * leat_process_start - start a program in a child process
 * @process: memory for it; its content does not matter
 * @argv:    the program (searched in PATH when it has no "/") and its arguments, NULL at the end
 * @opts:    NULL for the defaults
 *
 * Descriptors of the caller that are not close-on-exec go along, as ever. The child's signal mask
 * is that of the caller's thread without
 * SIGPIPE; handlers are the default ones; it may run on the CPUs that the run may use, whatever
 * LEAT_PIN says. The calling thread is busy until the program has been loaded, some 0.3 ms.
 *
 * Context: a coroutine or, while a run is under way, a plain thread. Never parks.
 * Returns: 0; -ENOENT, -EACCES, -ENOEXEC no such program, or directory; -EINVAL @argv is empty, or
 *          a value in @opts is none of those named; -EBADF a descriptor is not open; -EMFILE,
 *          -ENFILE, -EAGAIN, -ENOMEM; -ESHUTDOWN no run. Nothing is left behind then, and there is
 *          nothing to close (closing it all the same does no harm).
 */
LEAT_API int leat_process_start(leat_process *process, const char *const argv[],
                                const leat_process_opts *opts) LEAT_MUST_CHECK;

/**
 * leat_process_wait - wait for the end of a child
 * @end: how it ended, on 0; or NULL. May be asked for again and again
 *
 * A child that fills a pipe which nobody reads never ends: read `out` and `err` before, or in
 * coroutines of their own.
 *
 * Context: a coroutine. May park, and may come back on another thread.
 * Returns: 0 it has ended; -ETIMEDOUT @until passed first, the child goes on; -ECANCELED the
 *          coroutine was cancelled: kill_signal has been sent, and leat_process_close() waits for
 *          the end; -EBUSY another coroutine waits for it; -ECHILD somebody else has taken its end;
 *          -EBADF it is closed.
 */
LEAT_API int leat_process_wait(leat_process *process, leat_exit *end,
                               leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_process_kill - send a signal to a child (to its group with own_group); never to a process
 * that has got its number since
 *
 * Context: anywhere, while the object is open. Never parks.
 * Returns: 0; -ESRCH a wait has taken its end; -EINVAL no such signal; -EPERM it runs as somebody
 * else; -EBADF it is closed.
 */
LEAT_API int leat_process_kill(leat_process *process, int signo);

/**
 * leat_process_close - give everything back: pipes are closed; a child that still runs is ended by
 * SIGKILL, and waited for
 *
 * Context: a coroutine. May park, and may come back on another thread. Cannot be cancelled. Nothing
 *          happens on one that is closed. A plain thread that has started one sleeps in the kernel
 *          until the end.
 */
LEAT_API void leat_process_close(leat_process *process) LEAT_MAY_PARK;

/**
 * leat_process_run - start, wait and close in one; @opts with pipes are -EINVAL
 *
 * Context: a coroutine. May park, and may come back on another thread. On a plain thread nothing is
 * started, and -EPERM returned.
 * Returns: as leat_process_start() and leat_process_wait(). After -ETIMEDOUT and -ECANCELED the
 * child has been ended by SIGKILL.
 */
LEAT_API int leat_process_run(const char *const argv[], const leat_process_opts *opts,
                              leat_exit *end, leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

LEAT_END_DECLS

#endif
