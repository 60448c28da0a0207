/*
 * Refusals by seccomp, see kit.h. Filters are inherited by every thread that the process begins
 * later, and nobody else notices.
 *
 * libc begins threads with clone3, whose flags a filter cannot read: it is refused as unknown, and
 * libc falls back to clone, where
 * CLONE_THREAD tells a thread from a process.
 */
#define _GNU_SOURCE
#include "sched/kit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define REFUSALS_MAX 16
#define WORD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(what))
#define IF_EQ(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(k), yes, no)
#define IF_SET(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(k), yes, no)

static int install(struct sock_filter *code, unsigned n, unsigned flags)
{
    struct sock_fprog prog = {.len = (unsigned short)n, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

bool kit_refuse(const struct kit_refusal *list, unsigned nr)
{
    struct sock_filter code[4 + 5 * REFUSALS_MAX];
    unsigned n = 0;

    if (nr > REFUSALS_MAX)
        return false;
    code[n++] = (struct sock_filter)WORD(arch);
    code[n++] = (struct sock_filter)IF_EQ(ARCH, 1, 0);
    code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    for (unsigned i = 0; i < nr; i++) {
        code[n++] = (struct sock_filter)WORD(nr);
        code[n++] = (struct sock_filter)IF_EQ(list[i].nr, 0, list[i].arg < 0 ? 1 : 3);
        if (list[i].arg >= 0) {
            code[n++] = (struct sock_filter)WORD(args[0]);
            code[n - 1].k += (uint32_t)list[i].arg * 8; /* the lower half */
            code[n++] = (struct sock_filter)IF_EQ(list[i].value, 0, 1);
        }
        code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | (uint32_t)list[i].error);
    }
    code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    return install(code, n, 0) == 0;
}

/* Says what becomes of each thread that wants to begin, as long as its parent lives. */
static void supervise(int fd, unsigned n)
{
    for (;;) {
        struct seccomp_notif request;
        struct seccomp_notif_resp answer;

        memset(&request, 0, sizeof(request));
        memset(&answer, 0, sizeof(answer));
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request)) {
            if (errno == EINTR || errno == ENOENT)
                continue;
            _exit(0);
        }
        answer.id = request.id;
        if (n) {
            n--;
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        } else {
            answer.error = -EAGAIN;
        }
        (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

static void *nothing(void *arg)
{
    return arg;
}

/*
 * ThreadSanitizer begins a thread of its own beside the first one that its process begins: that one
 * is not to be counted.
 */
static void sanitizer_begins(void)
{
    pthread_t t;

    if (KIT_TSAN && !pthread_create(&t, NULL, nothing, NULL))
        pthread_join(t, NULL);
}

bool kit_refuse_threads_after(unsigned n)
{
    struct sock_filter code[] = {
        WORD(arch),
        IF_EQ(ARCH, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        WORD(nr),
        IF_EQ(SYS_clone3, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        IF_EQ(SYS_clone, 0, 3),
        WORD(args[0]),
        IF_SET(CLONE_THREAD, 0, 1),
        RETURN(n ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EAGAIN),
        RETURN(SECCOMP_RET_ALLOW),
    };
    int fd;
    pid_t pid;

    sanitizer_begins();
    fd = install(code, sizeof(code) / sizeof(code[0]), n ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
    if (fd < 0)
        return false;
    if (!n)
        return true;
    /*
     * not fork(): ThreadSanitizer's begins a thread of its own in the child, and would wait for the
     * supervisor, which it is
     */
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        supervise(fd, n);
    }
    close(fd); /* the supervisor's end of the line is the only one */
    return pid > 0;
}
