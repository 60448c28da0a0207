/*
 * Wrong programs: an unlock of what is not locked, a copy of a lock that is held, an object that
 * goes while somebody waits for it. Each stops, and the message names the call and who made it.
 * Method: each in a child whose stderr is read, by a coroutine and by a plain thread.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if KIT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct wrong {
    void (*fn)(void);
    const char *call, *what;
};

static void *wrong_thread(void *arg)
{
    ((const struct wrong *)arg)->fn();
    return NULL;
}

static void wrong_coroutine(const struct wrong *w)
{
    w->fn();
}

static int coroutine_main(void *arg)
{
    leat_attr attr = {.name = "clumsy"};

    (void)leat_go_attr(&attr, wrong_coroutine, arg);
    return leat_sleep(KIT_LONG);
}

static int thread_main(void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, wrong_thread, arg))
        return -1;
    return leat_sleep(KIT_LONG);
}

static int coroutine_body(void *arg)
{
    return kit_run(2, coroutine_main, arg);
}

static int thread_body(void *arg)
{
    return kit_run(2, thread_main, arg);
}

static void stopped_by(int (*body)(void *), const char *who, const struct wrong *w)
{
    char text[KIT_TEXT_BYTES], call[96];
    int status = kit_child(body, (void *)(uintptr_t)w, 30000, text);

    snprintf(call, sizeof(call), "leat: %s, called by %s", w->call, who);
    cr_expect(ne(int, status, -1), "%s: it went on: %s", w->call, text);
    cr_expect(eq(int, status & 0x7f, SIGABRT), "%s: status %d: %s", w->call, status, text);
    cr_expect(eq(uint, kit_occurs(text, call), 1), "%s in: %s", call, text);
    cr_expect(eq(uint, kit_occurs(text, w->what), 1), "%s in: %s", w->what, text);
}

static void stopped(const struct wrong *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        stopped_by(coroutine_body, "coroutine ", &w[i]);
        stopped_by(thread_body, "a plain thread: ", &w[i]);
    }
}

#define STOPPED(list) stopped(list, sizeof(list) / sizeof((list)[0]))

static void *(*background)(void *);
static atomic_int background_tid;

static void *background_thread(void *arg)
{
    atomic_store(&background_tid, (int)syscall(SYS_gettid));
    return background(arg);
}

/* By the kernel's word. */
static bool is_asleep(int tid)
{
    char path[64], text[256] = "";
    const char *name_end;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    f = fopen(path, "re");
    if (!f)
        return true;
    name_end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
    fclose(f);
    return name_end && name_end[1] == ' ' && name_end[2] == 'S';
}

/*
 * Waits in a thread of its own, for whatever `wait` waits for, and has begun to: it sleeps at ten
 * looks in a row. (On a busy machine it has not come that far after any time.)
 */
static void in_background(void *(*wait)(void *))
{
    pthread_t t;

    background = wait;
    if (pthread_create(&t, NULL, background_thread, NULL) != 0)
        return;
    while (!atomic_load(&background_tid))
        kit_burn(LEAT_MSEC);
    for (int looks = 0; looks < 10; looks++) {
        kit_burn(10 * LEAT_MSEC);
        if (!is_asleep(atomic_load(&background_tid)))
            looks = -1;
    }
}

/* --- mutex --- */

static leat_mutex mutex, copied_mutex;

static void unlock_free(void)
{
    leat_mutex_unlock(&mutex);
}

/*
 * What is copied while others use it is a data race, and ThreadSanitizer would say so before the
 * object does: it is told that the copier has met whoever used the object last, by each of its
 * words.
 */
#if KIT_TSAN
__attribute__((no_sanitize("thread")))
#endif
static void
copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
#if KIT_TSAN
        __tsan_acquire((char *)from + i);
#endif
        ((volatile char *)to)[i] = ((const volatile char *)from)[i];
    }
}

static void copy_mutex(void)
{
    leat_mutex_lock(&mutex);
    copy(&copied_mutex, &mutex, sizeof(mutex));
}

static void unlock_copied(void)
{
    copy_mutex();
    leat_mutex_unlock(&copied_mutex);
}

static void lock_copied(void)
{
    copy_mutex();
    leat_mutex_lock(&copied_mutex);
}

static void lock_copied_until(void)
{
    copy_mutex();
    (void)!leat_mutex_lock_until(&copied_mutex, LEAT_AT_ONCE);
}

static void try_copied(void)
{
    copy_mutex();
    (void)!leat_mutex_try(&copied_mutex);
}

static void destroy_locked(void)
{
    leat_mutex_lock(&mutex);
    leat_mutex_destroy(&mutex);
}

/* Goal: a mutex that is not locked, or was copied while it was, stops the program. */
Test(wrong, mutexes, .timeout = 120)
{
    static const struct wrong list[] = {
        {unlock_free, "leat_mutex_unlock", "is not locked"},
        {unlock_copied, "leat_mutex_unlock", "is a copy of"},
        {lock_copied, "leat_mutex_lock", "is a copy of"},
        {lock_copied_until, "leat_mutex_lock_until", "is a copy of"},
        {try_copied, "leat_mutex_try", "is a copy of"},
        {destroy_locked, "leat_mutex_destroy", "is locked"},
    };

    STOPPED(list);
}

/* --- waitgroup --- */

static leat_waitgroup wg;

static void done_too_often(void)
{
    leat_wg_done(&wg);
}

static void add_too_few(void)
{
    leat_wg_add(&wg, -3);
}

static void *wait_wg(void *arg)
{
    (void)arg;
    (void)!leat_wg_wait(&wg, LEAT_FOREVER);
    return NULL;
}

static void destroy_awaited_wg(void)
{
    leat_wg_add(&wg, 1);
    in_background(wait_wg);
    leat_wg_destroy(&wg);
}

/*
 * Goal: a count below zero stops the program, and so does a waitgroup that goes before its work is
 * done.
 */
Test(wrong, waitgroups, .timeout = 120)
{
    static const struct wrong list[] = {
        {done_too_often, "leat_wg_done", "has the count 0, -1 more"},
        {add_too_few, "leat_wg_add", "has the count 0, -3 more"},
        {destroy_awaited_wg, "leat_wg_destroy", "has the count 1"},
    };

    STOPPED(list);
}

/* --- rwmutex --- */

static leat_rwmutex rw, copied_rw;

static void runlock_free(void)
{
    leat_rwmutex_rlock(&rw);
    leat_rwmutex_runlock(&rw);
    leat_rwmutex_runlock(&rw);
}

static void runlock_unused(void)
{
    leat_rwmutex_runlock(&rw);
}

static void runlock_written(void)
{
    leat_rwmutex_lock(&rw);
    leat_rwmutex_runlock(&rw);
}

static void unlock_read(void)
{
    leat_rwmutex_rlock(&rw);
    leat_rwmutex_unlock(&rw);
}

static void unlock_unused(void)
{
    leat_rwmutex_unlock(&rw);
}

static void copy_read(void)
{
    leat_rwmutex_rlock(&rw);
    memcpy(&copied_rw, &rw, sizeof(rw));
}

static void copy_written(void)
{
    leat_rwmutex_lock(&rw);
    memcpy(&copied_rw, &rw, sizeof(rw));
}

static void runlock_copy(void)
{
    copy_read();
    leat_rwmutex_runlock(&copied_rw);
}

static void rlock_copy(void)
{
    copy_read();
    leat_rwmutex_rlock(&copied_rw);
}

static void lock_copy(void)
{
    copy_read();
    leat_rwmutex_lock(&copied_rw);
}

static void unlock_copy(void)
{
    copy_written();
    leat_rwmutex_unlock(&copied_rw);
}

static void rtry_copy(void)
{
    copy_written();
    (void)!leat_rwmutex_rtry(&copied_rw);
}

static void destroy_read(void)
{
    leat_rwmutex_rlock(&rw);
    leat_rwmutex_destroy(&rw);
}

static void *wait_to_write(void *arg)
{
    (void)arg;
    leat_rwmutex_lock(&rw);
    return NULL;
}

static void destroy_waited_for(void)
{
    leat_rwmutex_rlock(&rw);
    in_background(wait_to_write);
    while (leat_rwmutex_rtry(&rw) == 0) { /* it has not come to wait yet */
        leat_rwmutex_runlock(&rw);
        kit_burn(LEAT_MSEC);
    }
    leat_rwmutex_destroy(&rw);
}

/* Goal: the same of a rwmutex: locked by readers, by a writer, or not at all. */
Test(wrong, rwmutexes, .timeout = 200)
{
    static const struct wrong list[] = {
        {runlock_free, "leat_rwmutex_runlock", "is not locked for reading"},
        {runlock_unused, "leat_rwmutex_runlock", "is not locked for reading"},
        {runlock_written, "leat_rwmutex_runlock", "is not locked for reading"},
        {unlock_read, "leat_rwmutex_unlock", "is not locked for writing"},
        {unlock_unused, "leat_rwmutex_unlock", "is not locked for writing"},
        {runlock_copy, "leat_rwmutex_runlock", "is a copy of"},
        {rlock_copy, "leat_rwmutex_rlock", "is a copy of"},
        {lock_copy, "leat_rwmutex_lock", "is a copy of"},
        {unlock_copy, "leat_rwmutex_unlock", "is a copy of"},
        {rtry_copy, "leat_rwmutex_rtry", "is a copy of"},
        {destroy_read, "leat_rwmutex_destroy", "is locked for reading"},
        {destroy_waited_for, "leat_rwmutex_destroy", "is locked, or waited for"},
    };

    STOPPED(list);
}

/* --- the others --- */

static leat_cond cond, copied_cond;
static leat_sem sem, copied_sem;
static leat_once once, copied_once;
static leat_barrier barrier, copied_barrier;
static leat_event event;

static void *wait_cond(void *arg)
{
    (void)arg;
    leat_mutex_lock(&mutex);
    (void)!leat_cond_wait(&cond, &mutex, LEAT_FOREVER);
    return NULL;
}

static void cond_without_mutex(void)
{
    (void)!leat_cond_wait(&cond, &mutex, LEAT_FOREVER);
}

static void cond_of_two_mutexes(void)
{
    static leat_mutex other;

    in_background(wait_cond);
    leat_mutex_lock(&other);
    (void)!leat_cond_wait(&cond, &other, LEAT_FOREVER);
}

static void signal_copied(void)
{
    in_background(wait_cond);
    copy(&copied_cond, &cond, sizeof(cond));
    leat_cond_signal(&copied_cond);
}

static void destroy_awaited_cond(void)
{
    in_background(wait_cond);
    leat_cond_destroy(&cond);
}

static void *wait_sem(void *arg)
{
    (void)arg;
    (void)!leat_sem_acquire(&sem, 1, LEAT_FOREVER);
    return NULL;
}

static void release_too_many(void)
{
    leat_sem_release(&sem, INT32_MAX);
    leat_sem_release(&sem, 1);
}

static void release_copied(void)
{
    in_background(wait_sem);
    copy(&copied_sem, &sem, sizeof(sem));
    leat_sem_release(&copied_sem, 1);
}

static void destroy_awaited_sem(void)
{
    in_background(wait_sem);
    leat_sem_destroy(&sem);
}

static void once_in_itself(void *arg)
{
    leat_once_do(&once, once_in_itself, arg);
}

static void once_waits_for_itself(void)
{
    leat_once_do(&once, once_in_itself, NULL);
}

static void copy_and_do(void *arg)
{
    copy(&copied_once, &once, sizeof(once));
    leat_once_do(&copied_once, copy_and_do, arg);
}

static void once_copied(void)
{
    leat_once_do(&once, copy_and_do, NULL);
}

static void destroy_in_itself(void *arg)
{
    (void)arg;
    leat_once_destroy(&once);
}

static void destroy_running_once(void)
{
    leat_once_do(&once, destroy_in_itself, NULL);
}

static void *wait_barrier(void *arg)
{
    (void)arg;
    (void)!leat_barrier_wait(&barrier, 2, LEAT_FOREVER);
    return NULL;
}

static void barrier_of_two_numbers(void)
{
    in_background(wait_barrier);
    (void)!leat_barrier_wait(&barrier, 3, LEAT_FOREVER);
}

static void barrier_copied(void)
{
    in_background(wait_barrier);
    copy(&copied_barrier, &barrier, sizeof(barrier));
    (void)!leat_barrier_wait(&copied_barrier, 2, LEAT_FOREVER);
}

static void destroy_awaited_barrier(void)
{
    in_background(wait_barrier);
    leat_barrier_destroy(&barrier);
}

static void *wait_event(void *arg)
{
    (void)arg;
    (void)!leat_event_wait(&event, LEAT_FOREVER);
    return NULL;
}

static void destroy_awaited_event(void)
{
    in_background(wait_event);
    leat_event_destroy(&event);
}

static void once_without_function(void)
{
    static leat_once none;

    leat_once_do(&none, NULL, NULL);
}

/*
 * Goal: each object that is used against its rules, copied or destroyed while it is waited for,
 * stops the program.
 */
Test(wrong, the_others, .timeout = 200)
{
    static const struct wrong list[] = {
        {cond_without_mutex, "leat_cond_wait", "is not locked"},
        {cond_of_two_mutexes, "leat_cond_wait", "is waited for with mutex"},
        {signal_copied, "leat_cond_signal", "is a copy of"},
        {destroy_awaited_cond, "leat_cond_destroy", "is waited for"},
        {release_too_many, "leat_sem_release", "out of its range"},
        {release_copied, "leat_sem_release", "is a copy of"},
        {destroy_awaited_sem, "leat_sem_destroy", "is waited for"},
        {once_waits_for_itself, "leat_once_do", "waits for itself"},
        {once_copied, "leat_once_do", "is a copy of"},
        {once_without_function, "leat_once_do", "is NULL"},
        {destroy_running_once, "leat_once_destroy", "is running"},
        {barrier_of_two_numbers, "leat_barrier_wait", "is one of 2 in this round"},
        {barrier_copied, "leat_barrier_wait", "is a copy of"},
        {destroy_awaited_barrier, "leat_barrier_destroy", "is waited for"},
        {destroy_awaited_event, "leat_event_destroy", "is waited for"},
    };

    STOPPED(list);
}

/* Goal: an object that is not in use may be destroyed, at any time, and used again. */
Test(wrong, none_of_these, .timeout = 20)
{
    leat_mutex m = {0}, copy;
    leat_waitgroup g = {0};

    for (int i = 0; i < 2; i++) {
        leat_mutex_destroy(&m);
        leat_mutex_lock(&m);
        leat_mutex_unlock(&m);
        memcpy(&copy, &m, sizeof(m)); /* while it is free */
        cr_assert(eq(int, leat_mutex_try(&copy), 0));
        leat_mutex_unlock(&copy);
        leat_wg_destroy(&g);
        leat_wg_add(&g, 1);
        leat_wg_done(&g);
    }
    leat_mutex_destroy(&m);
    leat_wg_destroy(&g);
}
