/*
 * sched/program.h - what the tests of a kernel that refuses share: a program that needs a bit of
 * everything, and always gives the same numbers.
 *
 * It runs in a child, and writes into memory that the test shares with that.
 */
#ifndef LEAT_TESTS_SCHED_PROGRAM_H
#define LEAT_TESTS_SCHED_PROGRAM_H

#include "sched/kit.h"

struct program {
    unsigned procs, want_procs;
    bool no_seccomp;
    unsigned nr_procs;
    atomic_ulong ran, slept, early, echoed, deep;
    int value, again;
    bool reached;
    unsigned long threads_allowed;
};

/* A coroutine that sleeps for so long, and counts whether it did. */
void program_nap(struct program *p, int64_t span);

/* In the child: one run of it. Returns: 0, for main's value is in the struct. */
int program_run(struct program *p);

/*
 * A child that runs body(p), which refuses what it will and calls program_run(); asserts that the
 * numbers are right. Test's own thread. text: its stderr.
 */
void program_check(struct program *p, int (*body)(void *), char text[KIT_TEXT_BYTES]);

#endif
