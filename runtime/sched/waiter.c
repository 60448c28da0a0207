/*
 * Waiting as a coroutine or as a plain thread. Invariants and ordering: waiter.h.
 */
#include "sched/waiter.h"

#include "base/delay.h"
#include "base/os.h"

#include <errno.h>

#define RELAX_PAUSES 40u /* about 1 µs */
#define RELAX_YIELDS 8u
#define RELAX_SLEEP_NS 50000

static enum lea_wake thread_wait(struct lea_waiter *w, int64_t until_ns)
{
    for (;;) {
        uint32_t v = lea_u32_load_acq(&w->word); /* THREAD-WAKE */

        if (v > LEA_THREAD_ENDED)
            return (enum lea_wake)(v - LEA_THREAD_ENDED);
        if (v == LEA_THREAD_CLAIMED) {
            (void)lea_os_futex_wait(&w->word, v, INT64_MAX);
            continue;
        }
        if ((until_ns <= 0 || lea_os_futex_wait(&w->word, v, until_ns) == -ETIMEDOUT) &&
            lea_u32_cas(&w->word, LEA_THREAD_WAITS, LEA_THREAD_GAVE_UP))
            return LEA_WAKE_TIMEOUT;
    }
}

enum lea_wake lea_waiter_wait(struct lea_waiter *w, struct lea_worker **m, enum lea_reason reason,
                              int64_t until_ns, bool shielded)
{
    if (LEA_UNLIKELY(!w->co))
        return thread_wait(w->lead, until_ns);
    return lea_park_until(m, reason, w->ticket, until_ns, shielded);
}

bool lea_waiter_claim_thread(struct lea_waiter *w, enum lea_wake code, struct lea_wakes *wakes)
{
    struct lea_waiter *lead = w->lead;

    if (!lea_u32_cas(&lead->word, LEA_THREAD_WAITS, LEA_THREAD_CLAIMED))
        return false;
    lead->code = (uint8_t)code;
    lead->next = wakes->threads;
    wakes->threads = lead;
    return true;
}

struct lea_waiter *lea_waiter_claim_one_thread(struct lea_waiter *w, enum lea_wake code)
{
    struct lea_wakes wakes = {.threads = NULL};

    (void)lea_waiter_claim_thread(w, code, &wakes);
    return wakes.threads;
}

void lea_wakes_threads(struct lea_waiter *threads)
{
    while (threads) {
        struct lea_waiter *w = threads;
        lea_u32 *word = &w->word;

        threads = w->next;
        lea_delay_point(THREAD_WAKE);
        /* THREAD-WAKE. From here on the frame may be gone */
        lea_u32_store_rel(word, LEA_THREAD_ENDED + (uint32_t)w->code);
        lea_os_futex_wake(word, 1);
    }
}

static bool is_it(void *obj, void *arg)
{
    return obj == arg;
}

void lea_wakes_late(struct lea_ready_list *ready)
{
    struct lea_runtime *rt = LEA_MUTATED(WAKE_RUN_MISSED) ? NULL : lea_rt_hold();
    struct lea_co *co;

    if (!rt)
        return; /* it has ended again: they are its leftovers */
    while ((co = lea_ready_list_take(ready)))
        if (lea_slab_any(&rt->cos, is_it, co)) /* not a leftover of an earlier one */
            lea_ready(rt, NULL, co);
    lea_rt_drop();
}

void lea_wakes_late_one(struct lea_co *co)
{
    struct lea_ready_list one;

    lea_ready_list_init(&one);
    lea_ready_list_add(&one, co);
    lea_wakes_late(&one);
}

void lea_relax(unsigned *round)
{
    unsigned n = (*round)++;

    if (n < RELAX_PAUSES)
        lea_pause();
    else if (n < RELAX_PAUSES + RELAX_YIELDS)
        lea_os_thread_yield();
    else
        (void)lea_os_sleep_until(lea_os_now_ns() + RELAX_SLEEP_NS);
}
