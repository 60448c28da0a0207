/*
 * The seam to libc's threads: a server's libraries expect thread-local storage and stack bounds
 * that libc knows of. What is known of a thread or a fork anywhere in the process is libc's, too.
 */
#define _GNU_SOURCE
#include "base/os.h"

#include "base/cpus.h"
#include "base/os_tsan.h"

#include <errno.h>
#include <limits.h>

/* 0; an errno. @cpus: NULL where the caller may run */
static int start(pthread_t *out, void *(*fn)(void *), void *arg, size_t stack_bytes,
                 const struct lea_cpuset *cpus)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);

    if (err)
        return err;
    if (stack_bytes < (size_t)PTHREAD_STACK_MIN)
        stack_bytes = (size_t)PTHREAD_STACK_MIN;
    pthread_attr_setstacksize(&attr, stack_bytes);
    if (cpus)
        err = pthread_attr_setaffinity_np(&attr, sizeof(*cpus), (const cpu_set_t *)cpus);
    if (!err)
#ifdef LEA_OS_TSAN
        err = lea_tsan_thread_create(out, &attr, fn, arg);
#else
        err = pthread_create(out, &attr, fn, arg);
#endif
    pthread_attr_destroy(&attr);
    return err;
}

int lea_os_thread_start(pthread_t *out, void *(*fn)(void *), void *arg, size_t stack_bytes, int cpu)
{
    struct lea_cpuset one = {{0}};
    int err;

    if (cpu < 0)
        return -start(out, fn, arg, stack_bytes, NULL);
    lea_cpuset_add(&one, (unsigned)cpu);
    err = start(out, fn, arg, stack_bytes, &one);
    if (err && err != EAGAIN && err != ENOMEM) /* not there, or not by our choice */
        err = start(out, fn, arg, stack_bytes, NULL);
    return -err;
}

void lea_os_thread_guard(void (*fn)(void *arg), void (*died)(void *arg), void *arg)
{
    pthread_cleanup_push(died, arg);
    fn(arg);
    pthread_cleanup_pop(0);
}

void lea_os_thread_join(pthread_t thread)
{
    pthread_join(thread, NULL);
}

void lea_os_thread_detach(pthread_t thread)
{
    pthread_detach(thread);
}

void lea_os_at_fork(void (*child)(void))
{
    static lea_u32 fork_noticed;

    if (lea_u32_cas(&fork_noticed, 0, 1))
        /* refused for want of memory: then a child is what it was without */
        (void)pthread_atfork(NULL, NULL, child);
}

/* written once, before anybody asks */
static pthread_key_t end_key;
static bool end_key_made;

void lea_os_at_thread_end(void (*ended)(void *arg))
{
    static lea_u32 asked;

    if (lea_u32_cas(&asked, 0, 1))
        end_key_made = pthread_key_create(&end_key, ended) == 0;
}

int lea_os_thread_end_ask(void *arg)
{
    return end_key_made ? -pthread_setspecific(end_key, arg) : -EAGAIN;
}
