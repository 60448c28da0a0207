/*
 * sched/kit.h - what the tests of the core share: runs with a number of processors, waiting for a
 * count, a census of what the process holds, children whose end and stderr are looked at, refusals
 * by seccomp.
 *
 * A coroutine never asserts: it writes into a struct, and the test looks at it after the run.
 */
#ifndef LEAT_TESTS_SCHED_KIT_H
#define LEAT_TESTS_SCHED_KIT_H

#include <leat/leat.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KIT_SANITIZED 1
#endif
#endif
#ifndef KIT_SANITIZED
#define KIT_SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__)
#define KIT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KIT_TSAN 1
#endif
#endif
#ifndef KIT_TSAN
#define KIT_TSAN 0
#endif

/* Memcheck is slow too, and runs one thread at a time. */
#ifdef LEAT_VALGRIND
#include <valgrind/valgrind.h>
#define KIT_VALGRIND (RUNNING_ON_VALGRIND != 0)
#else
#define KIT_VALGRIND 0
#endif

/*
 * Numbers of processors that tests go through where it matters: the exception, the machine's, and
 * more than it has.
 */
#define KIT_NR_PROCS 4
extern const unsigned kit_procs[KIT_NR_PROCS];

/* A run with so many processors, a long grace, and defaults. */
int kit_run(unsigned procs, int (*fn)(void *), void *arg);

/*
 * One processor, which is not taken from who is held up on a busy machine, and no turn is cut short
 * by a clock: nobody else runs between two calls that may park, so plain fields do.
 */
int kit_run_alone(int (*fn)(void *), void *arg);

/*
 * Wait until the count is at least `goal`. Coroutines and plain threads. False: not within the
 * span.
 */
bool kit_reach(atomic_ulong *count, unsigned long goal, int64_t span_ns);

/*
 * So long that only a hang takes longer, also on a machine that is busy with other things: as much
 * longer as the runner has more patience then.
 */
#ifndef LEAT_TEST_EMULATED /* by qemu-user: tests/CMakeLists.txt */
#define LEAT_TEST_EMULATED 0
#endif
#define KIT_PATIENCE (KIT_VALGRIND ? 5 : KIT_TSAN || LEAT_TEST_EMULATED ? 3 : 1)
#define KIT_LONG (KIT_PATIENCE * 20 * LEAT_SEC)

/*
 * The test assumes an order, or how much is done in a time: without LEAT_CHAOS, whatever the
 * environment says.
 */
void kit_no_chaos(void);

/* Spin in user code, without any call that the runtime would notice. */
void kit_burn(int64_t span_ns);

/* xorshift: the same numbers in every run of a test. */
uint64_t kit_random(uint64_t *state);

/* What the process holds; without the threads that ThreadSanitizer has for itself. */
struct kit_census {
    long fds, tasks, maps;
    long vm_kib, rss_kib;
};
struct kit_census kit_census_take(void);

/*
 * As kit_census_take(), once threads that were joined have left the kernel's list too: at most so
 * many tasks, or 5 s.
 */
struct kit_census kit_census_settled(long tasks);

/* Zeroed memory that a child shares with us. */
void *kit_shared(size_t bytes);

/* A child that runs body(arg) and exits with its value. Its stderr is kept. */
struct kit_child {
    pid_t pid;
    int err_fd;
};
struct kit_child kit_child_begin(int (*body)(void *), void *arg);

/*
 * Wait for its end; kill it after the time, by KIT_PATIENCE. Returns: the wait status, -1 killed.
 * text: its stderr, cut to fit.
 */
#define KIT_TEXT_BYTES 4096
int kit_child_end(struct kit_child *child, int timeout_ms, char text[KIT_TEXT_BYTES]);

/* Both. */
int kit_child(int (*body)(void *), void *arg, int timeout_ms, char text[KIT_TEXT_BYTES]);

/* The child ended by itself, with this exit status. */
bool kit_exited(int status, int code);

/* How often the words stand in the text. */
unsigned kit_occurs(const char *text, const char *words);

/* In such a child: how often they stand in what it has written to its stderr so far. */
unsigned kit_said(const char *words);

/* --- seccomp.c. For children only: there is no way back. --- */

/*
 * One refused system call: number, the argument that must have a value (-1: whatever they are), and
 * the error.
 */
struct kit_refusal {
    int nr;
    int arg;
    uint32_t value;
    int error;
};

/* False: this kernel or emulator has no seccomp. */
bool kit_refuse(const struct kit_refusal *list, unsigned n);

/* Let `n` more threads begin, then refuse with EAGAIN. False: as above. */
bool kit_refuse_threads_after(unsigned n);

#endif
