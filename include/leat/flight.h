/*
 * leat/flight.h - single-flight: of many callers that want the same thing at once, one execution
 * serves all.
 *
 * A flight is of fixed size, valid when zero, and may be used from coroutines and from plain
 * threads at once. Its memory must stay until all calls have returned and every function that was
 * begun has ended (leat_flight_wait()): callers that give up leave theirs under way.
 *
 * As the objects of leat/sync.h it belongs to no run. A function that is left over when a run ends
 * never ends: its key is under way until leat_flight_forget().
 */
#ifndef LEAT_FLIGHT_H
#define LEAT_FLIGHT_H

#include <leat/base.h>
#include <leat/go.h>
#include <leat/time.h>

LEAT_BEGIN_DECLS

typedef struct leat_flight {
    uint64_t word_[32];
} leat_flight;

/**
 * leat_flight_wait - wait until nothing is under way
 *
 * Context: anywhere. May park, and may come back on another thread.
 * Returns: 0 every function that was begun before has ended; -ETIMEDOUT @until passed first;
 *          -ECANCELED the coroutine was cancelled; -ESHUTDOWN, to a plain thread: the run has
 *          ended, and left a function over; -EINVAL @flight is NULL; -ENOTSUP in a
 *          child that was forked in the middle of a run.
 */
LEAT_API int leat_flight_wait(leat_flight *flight,
                              leat_deadline until) LEAT_MUST_CHECK LEAT_MAY_PARK;

/**
 * leat_flight_forget - the next call with this key begins anew, whatever is under way
 *
 * Those who wait already get the result of what they wait for. Anywhere; never parks. In a child
 * that was forked in the middle of a run nothing happens.
 */
LEAT_API void leat_flight_forget(leat_flight *flight, const void *key, size_t key_bytes);

/* The runtime's side of the macro. Not for use by hand. */
LEAT_API int leat_flight_do_(const struct leat_site_ *site, leat_flight *flight, const void *key,
                             size_t key_bytes, leat_result *result, leat_deadline until,
                             const void *args, size_t bytes) LEAT_MAY_PARK;

/* Inline, so that the test goes away for the name of a function. */
static inline int leat_flight_checked_(int callable, const struct leat_site_ *site,
                                       leat_flight *flight, const void *key, size_t key_bytes,
                                       leat_result *result, leat_deadline until, const void *args,
                                       size_t bytes)
{
    return callable ? leat_flight_do_(site, flight, key, key_bytes, result, until, args, bytes)
                    : -EINVAL;
}

LEAT_END_DECLS

/**
 * leat_flight_do(flight, key, key_bytes, result, until, fn, ...) - the result of fn(args...), from
 * one execution for all who ask for this key
 * @flight:    leat_flight *
 * @key:       const void *, @key_bytes long: what callers must agree on; copied. Another function
 *             or other arguments under the same key do not count: who comes first decides
 * @result:    leat_result *: where the function's value goes, whatever it is; NULL drops it. The
 *             callers share it: what a pointer points to is nobody's to free, unless the program
 *             counts who has it
 * @until:     leat_deadline, for the waiting only
 * fn, ...:    function and arguments, as in go(fn, ...); see leat/go.h
 *
 * If nothing is under way for the key, fn(args...) begins in a coroutine of the run's root group.
 * In any case the caller waits for its end. The deadline or the cancellation of a caller does not
 * end it, and the others get its result; LEAT_AT_ONCE begins it, say, and waits for nobody. It must
 * not call for its own key: that would wait for itself.
 *
 * Context:  anywhere, while a run is under way. May park, and may come back on another thread. A
 *           plain thread sleeps in the kernel.
 * Ordering: what the function wrote is visible after a return of 0.
 * Returns:  0 it has ended; -ETIMEDOUT @until passed first; -ECANCELED the coroutine was cancelled
 *           (it goes on in both cases); for all who wait for it alike: -EAGAIN, -ENOMEM, -ESHUTDOWN
 *           it could not be begun, as from go(); -ESHUTDOWN also to a plain thread whose run has
 *           ended and left the function over: the next call with its key begins anew; -EINVAL fn,
 *           @flight or @key is NULL (@key may be with a length of 0); -ENOTSUP in a child that was
 *           forked in the middle of a run.
 */
#ifndef __cplusplus

#define LEAT_FLIGHT_HOW_(flight, key, key_bytes, result, until)                                    \
    (leat_flight *leat_flight_ = (flight); const void *leat_key_ = (key);                          \
     size_t leat_key_bytes_ = (key_bytes); leat_result *leat_out_ = (result);                      \
     leat_deadline leat_until_ = (until);)
#define LEAT_BY_FLIGHT_                                                                            \
    leat_flight_checked_(leat_box_.leat_fn_ != 0, &leat_site_, leat_flight_, leat_key_,            \
                         leat_key_bytes_, leat_out_, leat_until_, &leat_box_, sizeof(leat_box_))
#define leat_flight_do(flight, key, key_bytes, result, until, ...)                                 \
    LEAT_GO_C_(LEAT_FLIGHT_HOW_(flight, key, key_bytes, result, until), LEAT_BY_FLIGHT_,           \
               __VA_ARGS__)

#elif __cplusplus >= 201703L

namespace leat
{
namespace impl_
{

struct by_flight {
    leat_flight *flight;
    const void *key;
    std::size_t key_bytes;
    leat_result *result;
    leat_deadline until;

    int operator()(const leat_site_ *site, const void *args, std::size_t bytes) const
    {
        return leat_flight_do_(site, flight, key, key_bytes, result, until, args, bytes);
    }
};

inline by_flight flown(leat_flight *flight, const void *key, std::size_t key_bytes,
                       leat_result *result, leat_deadline until)
{
    return by_flight{flight, key, key_bytes, result, until};
}

} // namespace impl_
} // namespace leat

#define leat_flight_do(flight, key, key_bytes, result, until, ...)                                 \
    LEAT_GO_CXX_(flown(flight, key, key_bytes, result, until), __VA_ARGS__)

#else
#define leat_flight_do(...) leat_go()
#endif

#endif
