/*
 * The seam to the Linux kernel, for child processes. See os.h.
 */
#define _GNU_SOURCE
#include "base/os.h"

#include "base/os_call.h"

#include <errno.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDFD_GROUP 4 /* pidfd_send_signal() to the whole process group; Linux 6.9 */
#define WAIT_PIDFD 3  /* waitid()'s P_PIDFD */

static int child_files(posix_spawn_file_actions_t *files, const struct lea_os_child *child)
{
    int r = 0;

    if (child->dir)
        r = posix_spawn_file_actions_addchdir_np(files, child->dir);
    for (int i = 0; r == 0 && i < 3; i++)
        r = posix_spawn_file_actions_adddup2(files, child->fd[i], i);
    return r;
}

static int child_attributes(posix_spawnattr_t *attr, const struct lea_os_child *child)
{
    sigset_t mask;
    int r = pthread_sigmask(SIG_BLOCK, NULL, &mask);

    sigdelset(&mask, SIGPIPE); /* workers block it */
    if (r == 0)
        r = posix_spawnattr_setsigmask(attr, &mask);
    if (r == 0)
        r = posix_spawnattr_setflags(
            attr, (short)(POSIX_SPAWN_SETSIGMASK | (child->own_group ? POSIX_SPAWN_SETPGROUP : 0)));
    return r;
}

/*
 * libc's: it knows how to share the caller's memory until the program is loaded, with signals and
 * cancellation kept away.
 */
__attribute__((noinline)) int lea_os_child_start(const struct lea_os_child *child)
{
    char *const *env = child->env ? (char *const *)(uintptr_t)child->env : environ;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int saved = errno;
    pid_t pid = -1;
    int r = posix_spawn_file_actions_init(&files);

    if (r == 0) {
        r = posix_spawnattr_init(&attr);
        if (r == 0) {
            r = child_files(&files, child);
            if (r == 0)
                r = child_attributes(&attr, child);
            if (r == 0)
                r = posix_spawnp(&pid, child->argv[0], &files, &attr,
                                 (char *const *)(uintptr_t)child->argv, env);
            posix_spawnattr_destroy(&attr);
        }
        posix_spawn_file_actions_destroy(&files);
    }
    errno = saved;
    return r == 0 ? pid : -r;
}

void lea_os_child_abandon(int pid)
{
    (void)SYS(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
    while (SYS(SYS_wait4, pid, NULL, 0, NULL, 0, 0) == -EINTR)
        ;
}

int lea_os_pidfd_open(int pid)
{
    return (int)SYS(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
}

int lea_os_pidfd_signal(int pidfd, int signo)
{
    return (int)SYS(SYS_pidfd_send_signal, pidfd, signo, NULL, 0, 0, 0);
}

int lea_os_pidfd_signal_group(int pidfd, int pid, int signo)
{
    int r = (int)SYS(SYS_pidfd_send_signal, pidfd, signo, NULL, PIDFD_GROUP, 0, 0);

    if (r != -EINVAL || signo < 0 || signo > SIGRTMAX)
        return r;
    /* an older kernel: it holds the number, unless its end is taken at this moment */
    r = lea_os_pidfd_signal(pidfd, 0);
    return r < 0 ? r : (int)SYS(SYS_kill, -pid, signo, 0, 0, 0, 0);
}

int lea_os_pidfd_end(int pidfd, struct lea_os_exit *out)
{
    siginfo_t info = {.si_pid = 0};
    long r = SYS(SYS_waitid, WAIT_PIDFD, pidfd, &info, WEXITED | WNOHANG, NULL, 0);

    if (r < 0)
        return (int)r;
    if (info.si_pid == 0)
        return -EAGAIN;
    out->code = info.si_code == CLD_EXITED ? info.si_status : -1;
    out->signo = info.si_code == CLD_EXITED ? 0 : info.si_status;
    out->core = info.si_code == CLD_DUMPED;
    return 0;
}
