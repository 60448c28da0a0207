/*
 * sched/attach.h - what the tests of attached threads share: threads, a count of their mistakes,
 * and what they clean up. They assert no more than coroutines do.
 *
 * Whoever includes it defines _GNU_SOURCE.
 */
#ifndef LEAT_TESTS_SCHED_ATTACH_H
#define LEAT_TESTS_SCHED_ATTACH_H

#include "sched/kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4

struct world {
    atomic_ulong wrong, ended, turns, attached, destroyed;
    atomic_bool stop;
    leat_mutex mutex;
    leat_event event;
    unsigned long counter;
    leat_chan *ch;
    unsigned grace_ms;
    int result[4];
    char text[8192];
    size_t used;
    leat_run_stats stats;
};

static inline long here(void)
{
    return syscall(SYS_gettid);
}

static inline void count_wrong(struct world *w, bool right)
{
    if (!right)
        atomic_fetch_add(&w->wrong, 1);
}

static inline pthread_t thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, arg) != 0)
        abort();
    return t;
}

/* A thread's end, waited for by a coroutine. */
static inline bool ends(pthread_t t)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += KIT_LONG / LEAT_SEC;
    return pthread_timedjoin_np(t, NULL, &at) == 0;
}

static inline leat_result answers(int n)
{
    (void)leat_sleep(20 * LEAT_USEC);
    return n + 1;
}

/* For a key's value, which is the world. */
static inline void destroy(void *value)
{
    struct world *w = value;

    count_wrong(w, leat_sleep(LEAT_USEC) == 0); /* it is attached still */
    atomic_fetch_add(&w->destroyed, 1);
}

#endif
