/*
 * See os_tsan.h. Empty in every other build.
 *
 * libc is called by a function that the sanitizer intercepts, and which does not wait: one that
 * does (usleep) makes the context's table of kept signals, and loses one that comes meanwhile.
 */
#include "base/os_tsan.h"

#include "base/os.h"

#ifdef LEA_OS_TSAN

#include "base/os_call.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define KERNEL_SIGSET_BYTES 8
#define SLICE_NS INT64_C(20000000)
#define BIT(signo) (UINT64_C(1) << ((signo)-1))
#define OWN_FAULTS                                                                                 \
    (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGSYS))

/* volatile: nor does the compiler know what it would return */
static size_t (*volatile const libc_call)(const char *) = strlen;

uint64_t lea_tsan_signals_block(void)
{
    uint64_t before = 0, set = ~OWN_FAULTS;

    (void)SYS(SYS_rt_sigprocmask, SIG_BLOCK, &set, &before, KERNEL_SIGSET_BYTES, 0, 0);
    (void)libc_call("");
    return before;
}

void lea_tsan_signals_restore(uint64_t mask)
{
    (void)SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET_BYTES, 0, 0);
}

int64_t lea_tsan_slice_end(int64_t until_ns)
{
    int64_t end = lea_os_now_ns() + SLICE_NS;

    lea_tsan_signals_restore(lea_tsan_signals_block());
    return until_ns < end ? until_ns : end;
}

struct start {
    void *(*fn)(void *);
    void *arg;
};

static void *thread(void *arg)
{
    struct start s = *(struct start *)arg;
    void *result;

    free(arg);
    result = s.fn(s.arg);
    (void)lea_tsan_signals_block(); /* for good */
    return result;
}

int lea_tsan_thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                           void *arg)
{
    struct start *s = malloc(sizeof(*s));
    int err;

    if (!s)
        return EAGAIN;
    *s = (struct start){fn, arg};
    err = pthread_create(out, attr, thread, s);
    if (err)
        free(s);
    return err;
}

#endif
