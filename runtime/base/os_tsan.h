/*
 * What the seam does besides in a build with ThreadSanitizer. That keeps a signal until the context
 * that got it, a thread or a coroutine, calls libc, which none does that waits in a system call of
 * ours, that has parked, or that is about to end. So:
 *
 *  - waits come to their end in slices, and libc is called in between;
 *  - a context is left with the signals of its thread blocked, and after a call of libc; its
 *    successor on that thread gives the mask back (ctx/notes.c);
 *  - contexts are made and given up with signals blocked: the sanitizer makes them its current one
 *    for that time;
 *  - a thread ends with signals blocked, and after a call of libc.
 */
#ifndef LEA_BASE_OS_TSAN_H
#define LEA_BASE_OS_TSAN_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LEA_OS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(LEA_OS_TSAN)
#define LEA_OS_TSAN 1
#endif

#ifdef LEA_OS_TSAN
#include <pthread.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/*
 * Blocks all signals but those that the thread causes itself, has what was kept until now handled,
 * and returns the mask before. The other gives it back, on the same thread.
 */
uint64_t lea_tsan_signals_block(void);
void lea_tsan_signals_restore(uint64_t mask);

/* When the next slice of a wait until then ends; what was kept until now is handled. */
int64_t lea_tsan_slice_end(int64_t until_ns);

/* As pthread_create(). */
int lea_tsan_thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                           void *arg);

#pragma GCC visibility pop
#endif

#endif
