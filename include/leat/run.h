/*
 * leat/run.h - starting the runtime, and what a running coroutine may ask of it.
 */
#ifndef LEAT_RUN_H
#define LEAT_RUN_H

#include <leat/base.h>

LEAT_BEGIN_DECLS

/*
 * Settings of one run. A field that is 0 means "default". The environment variable named beside a
 * field overrides it; both have the same range, but for the 0. A value out of range is reported on
 * stderr, and leat_run_with() returns -EINVAL.
 */
typedef struct leat_config {
    /*
     * LEAT_PROCS: 1..1024 processors; default: CPUs by affinity and cgroup quota, but no more than
     * pin lists, and fewer than max_threads
     */
    unsigned procs;
    /*
     * LEAT_PIN: "off", "auto" or a CPU list such as "0-3,8"; default auto (see the manual, Tuning)
     */
    const char *pin;
    /*
     * LEAT_STACK: 16 KiB..1 GiB of address space for a coroutine's stack, its guard of 16 KiB
     * included; rounded up to a power of two, at least 32 KiB; default 64 KiB
     */
    size_t stack_bytes;
    /* LEAT_MAX_COROUTINES: 1..10^9, most coroutines alive at once; default 10 million */
    uint64_t max_coroutines;
    /* LEAT_MAX_THREADS: 2..100 000 threads of the runtime, more than procs; default procs + 512 */
    unsigned max_threads;
    /*
     * LEAT_BLOCKING_THREADS: 1..10 000, most threads for leat_blocking(), files and names, among
     * those of max_threads; default 64
     */
    unsigned blocking_threads;
    /*
     * LEAT_SPIN_US: -1..1 000 000, upper bound of the learnt spin before sleeping, also of the
     * threads of leat_blocking, for 20 µs at most; -1 never spins, and so does LEAT_SPIN_US=0;
     * default 50
     */
    int spin_us;
    /*
     * LEAT_SLICE_US: 100..10 000 000, when a coroutine that never waits lets others run; default
     * 10 000
     */
    unsigned slice_us;
    /*
     * LEAT_RETAKE_US: -1..10 000 000, when the processor of a coroutine that computes without a
     * call goes to others that wait, and after a twentieth to a tenth of that the one of a
     * coroutine that blocks its thread; -1 never, and so does LEAT_RETAKE_US=0; default 2000
     */
    int retake_us;
    /*
     * LEAT_NICE: nice value of the workers, -20..19; default: left alone, LEAT_NICE=0 too. One that
     * the system refuses gets a warning, and they keep theirs
     */
    int nice;
    /*
     * 1 and up: how long the end of the run waits for cancelled coroutines; default 1000. No
     * variable: how long an end may take is the program's affair
     */
    unsigned shutdown_grace_ms;
    /*
     * LEAT_CHAOS: 1..2^63-1, the seed of random scheduling (see the manual, Chaos); default off,
     * LEAT_CHAOS=0 too
     */
    uint64_t chaos;
    /*
     * called in place of the deadlock report (see the manual, Deadlocks), on a thread of the
     * runtime's: it must not wait. It may wake somebody, and return: then the run goes on
     */
    void (*on_deadlock)(void *arg);
    void *deadlock_arg; /* handed to on_deadlock */
    /*
     * the program promises that none of its own threads ever wakes, joins or spawns coroutines:
     * else the deadlock report keeps silent as long as there are any, since they might
     */
    bool threads_stay_out;
} leat_config;

/**
 * leat_run - run a function as the main coroutine of a new runtime
 * @fn:  the main coroutine's function
 * @arg: handed to @fn
 *
 * Starts the workers, runs fn(arg), cancels whatever is still alive when it returns, waits for
 * those (at most shutdown_grace_ms, then names the leftovers on stderr), and stops the workers. May
 * be called again afterwards, also from another thread; one run at a time.
 *
 * Context: a plain thread, which is blocked for the run.
 * Returns: the value of @fn, or an error of leat_run() itself, before @fn began: so return 0 or
 *          more from @fn, or note in *@arg that it ran, where the difference matters. -EINVAL bad
 *          configuration or @fn is NULL; -EBUSY a run is under way; -ENOMEM, -EAGAIN, -EMFILE the
 *          system refused memory, a thread or a descriptor; -EPERM, -ENOSYS and the like it has no
 *          io_uring, and LEAT_FILE_IO=uring insists. A message on stderr says which.
 */
LEAT_API int leat_run(int (*fn)(void *), void *arg);

/** leat_run_with - as leat_run(), with settings. @config: NULL for the defaults; copied. */
LEAT_API int leat_run_with(const leat_config *config, int (*fn)(void *), void *arg);

/**
 * leat_yield - let the others that are ready run first
 *
 * The caller goes to the tail of its processor's queue. From a plain thread: sched_yield(2).
 * Context: anywhere. May park, and may come back on another thread.
 */
LEAT_API void leat_yield(void) LEAT_MAY_PARK;

/**
 * leat_lock_thread - keep the calling coroutine on the thread that it is on, and all others off it
 * leat_unlock_thread - no more; as many unlocks as locks
 *
 * For libraries that keep something per thread: a graphics context, a namespace, errno over several
 * calls. Such a coroutine may call everything, and parks as all do; its thread sleeps meanwhile. It
 * does not count among LEAT_PROCS: it runs beside as many others as ever, on any CPU that the
 * process may use, and its turns cost two wake-ups of threads. One that ends while its thread is
 * locked takes the thread along, and nobody inherits what it did to it.
 *
 * Context: a coroutine; on a plain thread, which has nothing else to run, nothing happens. Never
 *          parks. leat_unlock_thread() without a lock stops the program with a message.
 * Returns: 0; -EAGAIN there is no further thread for the others (LEAT_MAX_THREADS, or the system
 * refuses); -ENOMEM. Nothing has changed then.
 */
LEAT_API int leat_lock_thread(void) LEAT_MUST_CHECK;
LEAT_API void leat_unlock_thread(void);

/**
 * leat_attach_thread - make a thread of the program's own a part of the run: one that a library
 * began, say, and calls back on
 * leat_detach_thread - no more; as many as there were attachments
 * @name: in reports, as for leat_set_name(); NULL none
 *
 * Between the two the thread is a coroutine that keeps to it: it may make all calls that a
 * coroutine may, and wait for descriptors, joins and children; it is cancelled with the run, has
 * values (leat/local.h), a line in dumps, and is no reason for the deadlock report to keep silent.
 * It stays on its own stack, takes no processor from others, and sleeps in the kernel when it
 * waits: each such turn costs two wake-ups of threads. It counts among LEAT_MAX_THREADS and the
 * coroutines. Its affinity and its signals are left alone, but for SIGPIPE, which is blocked
 * meanwhile.
 *
 * The run's end cancels it, and waits for the detachment as for the end of a coroutine. Who is
 * still attached when that time is up sleeps for ever in the next call, as all who are left over,
 * but for leat_detach_thread(), which leaves the run behind then; what was put off by leat_defer()
 * is not done any more. A thread that ends is detached by that. leat_exit_self() is for others.
 *
 * Context:  any thread of the program's, but those of leat_blocking(). On a coroutine both do
 *           nothing. leat_attach_thread() does not park; leat_detach_thread() calls what was
 *           deferred and destroys values, which may. On a plain thread leat_detach_thread() does
 *           nothing.
 * Ordering: none; what the thread writes is known to others as between coroutines.
 * Returns:  0; -ESHUTDOWN no run is under way, or it is ending, or the thread is attached to one
 *           that has ended: detach it first; -EAGAIN LEAT_MAX_THREADS or
 *           LEAT_MAX_COROUTINES is reached; -ENOMEM; -EPERM a thread of leat_blocking(); -ENOTSUP
 *           in a child that was forked in the middle of a run. Nothing has changed then.
 */
LEAT_API int leat_attach_thread(const char *name) LEAT_MUST_CHECK;
LEAT_API void leat_detach_thread(void);

/**
 * leat_self_id - the calling coroutine's id, 1 and up, never reused during a run; 0 on a plain
 * thread. Never parks.
 */
LEAT_API uint64_t leat_self_id(void);

/**
 * leat_self_name - the calling coroutine's name, "" when it has none or on a plain thread. Never
 * parks.
 */
LEAT_API const char *leat_self_name(void);

/**
 * leat_set_name - name the calling coroutine in reports
 * @name: at most 31 bytes are kept of it; NULL removes the name
 *
 * Context: a coroutine; on a plain thread nothing happens. Never parks.
 */
LEAT_API void leat_set_name(const char *name);

/**
 * leat_cancelled - has the calling coroutine been asked to end? Never parks; false on a plain
 * thread. In a job: leat_blocking().
 */
LEAT_API bool leat_cancelled(void);

/** leat_nr_procs - processors of this run; 0 when none is under way. Never parks. */
LEAT_API unsigned leat_nr_procs(void);

LEAT_END_DECLS

#endif
