/*
 * Pairs of signal descriptors: SIGNAL-OPEN, SIGNAL-NOTE. (SIGNAL-CLOSE: io_signal, where numbers
 * are used again.)
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define SPAN (400 * LEAT_MSEC)

/* --- SIGNAL-OPEN --- */

static atomic_bool over;
static pthread_t target;

static void *storm(void *arg)
{
    unsigned seed = 1;

    while (!atomic_load(&over)) {
        pthread_kill(target, SIGUSR1);
        each_jitter(&seed);
        pthread_kill(target, SIGUSR2);
        each_jitter(&seed);
    }
    return arg;
}

/* One descriptor at a time, for one of two signals: so both use the same slot. */
static int open_main(void *arg)
{
    struct each_rounds rounds = each_rounds(3000, SPAN);

    (void)arg;
    for (int i = 0; each_next(&rounds); i++) {
        int signo = i % 2 ? SIGUSR1 : SIGUSR2;
        int fd = leat_signal_open(LEAT_SIG(signo));

        if (fd < 0)
            return fd;
        for (int k = 0; k < 2; k++)
            if (leat_signal_wait(fd, EACH_LONG) != signo)
                return 1;
        if (leat_close(fd) != 0)
            return 2;
    }
    return 0;
}

static void ignore(int signo)
{
    (void)signo;
}

/*
 * Goal: a handler that finds a slot open finds what that owner wants, and nothing of the owner
 * before.
 */
Test(race_signals, signal_open, .timeout = 60)
{
    struct sigaction sa = {.sa_handler = ignore, .sa_flags = SA_RESTART | SA_ONSTACK};
    pthread_t t;

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGUSR2, &sa, NULL);
    target = pthread_self();
    cr_assert(eq(int, pthread_create(&t, NULL, storm, NULL), 0));
    for (EACH_PROCS(procs))
        cr_expect(eq(int, each_run(procs, open_main, NULL), 0));
    atomic_store(&over, true);
    pthread_join(t, NULL);
}

/* --- SIGNAL-NOTE --- */

static atomic_ulong sent, seen;

/* The next one when the last one was seen: a hang is a note that was lost. */
static void *sender(void *arg)
{
    unsigned seed = 3;

    while (!atomic_load(&over)) {
        unsigned long n = atomic_fetch_add(&sent, 1) + 1;

        pthread_kill(target, SIGUSR1);
        while (atomic_load(&seen) < n && !atomic_load(&over))
            leat_yield();
        each_jitter(&seed);
    }
    return arg;
}

static int note_main(void *arg)
{
    struct each_rounds rounds = each_rounds(20000, SPAN);
    int fd = leat_signal_open(LEAT_SIG(SIGUSR1)), r = 0;
    pthread_t t;

    (void)arg;
    atomic_store(&over, false);
    if (fd < 0 || pthread_create(&t, NULL, sender, NULL))
        return -1;
    while (r == 0 && each_next(&rounds)) {
        r = leat_signal_wait(fd, EACH_LONG) == SIGUSR1 ? 0 : 1;
        atomic_fetch_add(&seen, 1);
    }
    atomic_store(&over, true);
    pthread_join(t, NULL);
    (void)leat_close(fd);
    return r;
}

/* Goal: each signal is an event, however the handler meets whoever takes the one before. */
Test(race_signals, signal_note, .timeout = 60)
{
    struct sigaction sa = {.sa_handler = ignore, .sa_flags = SA_RESTART | SA_ONSTACK};

    sigaction(SIGUSR1, &sa, NULL);
    target = pthread_self();
    for (EACH_PROCS(procs)) {
        atomic_store(&seen, atomic_load(&sent));
        cr_expect(eq(int, each_run(procs, note_main, NULL), 0));
    }
}
