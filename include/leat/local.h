/*
 * leat/local.h - values that belong to a coroutine, or to a processor.
 *
 * A key is an object of the program's, and its address is what counts. It lives as long as there
 * are values for it: most are static.
 *
 *     static const leat_local session_key = {session_free};
 *     ...
 *     err = leat_local_set(&session_key, session);
 *     ...
 *     struct session *s = leat_local_get(&session_key);
 */
#ifndef LEAT_LOCAL_H
#define LEAT_LOCAL_H

#include <leat/base.h>

LEAT_BEGIN_DECLS

/* A key: each coroutine may have a value for it. */
typedef struct leat_local {
    void (*destroy)(void *value); /* at the coroutine's end; NULL: nothing is to be done */
} leat_local;

/*
 * The end of values. When a coroutine ends, by return or by leat_exit_self(), its values that are
 * not NULL are destroyed on its own stack, in no particular order, after the clean-up of
 * leat_defer() and before anybody hears of the end. A destructor may wait, under a shield as that
 * clean-up, and may use other values; those that it sets are destroyed in their turn, at most 8
 * times over. One that leat_run() gives up waiting for has its values destroyed at the end of the
 * run by the thread that called leat_run(), unless a thread of the run is still in its code.
 */

/**
 * leat_local_get - the calling coroutine's value
 *
 * Context: anywhere, never parks. A few nanoseconds. Returns: NULL when none was set, and on a
 * plain thread.
 */
LEAT_API void *leat_local_get(const leat_local *key);

/**
 * leat_local_set - set the calling coroutine's value
 * @value: NULL takes it away, and never fails
 *
 * A value that was set before is not destroyed: it is the caller's again.
 *
 * Context: a coroutine. Never parks.
 * Returns: 0; -ENOMEM; -EPERM on a plain thread; -EINVAL @key is NULL.
 */
LEAT_API int leat_local_set(const leat_local *key, void *value) LEAT_MUST_CHECK;

/*
 * A key: each processor has a slot for it, which holds one value or none. For what is worth keeping
 * at hand and need not be anybody's in
 * particular: buffers, connections, states of random generators. What was taken from a slot is the
 * caller's alone, also on another processor, until it is given back.
 */
typedef struct leat_proc_local {
    /*
     * at the end of the run, by leat_run()'s thread, of what is in a slot then; NULL nothing is to
     * be done
     */
    void (*destroy)(void *value);
} leat_proc_local;

/**
 * leat_proc_take - take what is in the slot of the processor that the caller runs on
 *
 * Context: anywhere, never parks. Plain threads, and coroutines that have just lost their
 * processor, share a slot.
 * Ordering: what was written before the value was given is visible.
 * Returns: NULL the slot is empty, or no run is under way.
 */
LEAT_API void *leat_proc_take(const leat_proc_local *key);

/**
 * leat_proc_give - put a value into the slot of the processor that the caller runs on
 *
 * Context: as leat_proc_take().
 * Returns: NULL; @value itself when it found no place: the slot is taken, there is no memory, or no
 * run under way. It is the caller's then.
 */
LEAT_API void *leat_proc_give(const leat_proc_local *key, void *value) LEAT_MUST_CHECK;

/**
 * leat_proc_index - number of the processor that the caller runs on: 0 to leat_nr_procs() - 1, or
 * leat_nr_procs() for none of them
 *
 * For tables of the program's own, counters say, with one line for each processor and one more. It
 * is a hint: right until the next call that may park, but a coroutine that computes for long can
 * lose its processor meanwhile, to one that gets the same number. So what the lines hold is changed
 * atomically; that is as good as free, since hardly anybody else does it at the same time.
 *
 * Context: anywhere, never parks. 0 when no run is under way.
 */
LEAT_API unsigned leat_proc_index(void);

LEAT_END_DECLS

#endif
