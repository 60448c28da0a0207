/*
 * The rare side of extras: making them, their end, and the way in for others than the coroutine.
 * See co/extra.h.
 */
#include "sched/extra.h"

#include "sched/solo.h"
#include "sched/waiter.h"

#include <string.h>

struct lea_extra *lea_extra_make(struct lea_runtime *rt, struct lea_proc *p, struct lea_co *co)
{
    struct lea_extra *x = co->extra;

    if (!x) {
        x = lea_pool_get(p ? &p->extras : NULL, &rt->extras);
        if (!x)
            return NULL;
        lea_u32_store_rlx(&x->busy, 0);                    /* relaxed: EXTRA publishes it */
        lea_u32_store_rlx(&x->pins, 0);                    /* relaxed: as above */
        lea_word_store_rlx(&co->extra_word, (uintptr_t)x); /* relaxed: as above */
    }
    lea_list_init(&x->groups);
    x->scope = NULL;
    /* shields from before are as good as one: there was nothing yet that could lie between them */
    x->level = lea_word_load_rlx(&co->wait) & LEA_WAIT_HIDE ? 1 : 0; /* relaxed: its own */
    x->ending = false;
    x->at_end = NULL;
    x->defers = NULL;
    x->locals = NULL;
    lea_extra_name(x, "");
    lea_word_or(&co->wait, LEA_WAIT_EXTRA);
    return x;
}

void lea_extra_name(struct lea_extra *x, const char *name)
{
    uintptr_t word[LEA_CO_NAME_BYTES / sizeof(uintptr_t)] = {0};

    memcpy(word, name, strnlen(name, LEA_CO_NAME_BYTES - 1));
    for (unsigned i = 0; i < sizeof(word) / sizeof(word[0]); i++)
        /* relaxed: a report in between sees some of both */
        lea_word_store_rlx(&x->name[i], word[i]);
}

void lea_extra_end(struct lea_co *co)
{
    unsigned round = 0;

    for (;;) {
        uintptr_t w = lea_word_load_acq(&co->wait);

        if (w & LEA_WAIT_LOCK) {
            lea_relax(&round);
            continue;
        }
        /*
         * under the lock, where pins come from: the word alone looks the same after somebody was in
         * and has left one
         */
        if (!lea_word_cas(&co->wait, w, w | LEA_WAIT_LOCK))
            continue;
        if (!lea_u32_load_acq(&co->extra->pins))
            break;
        lea_extra_unlock(co);
        lea_relax(&round);
    }
    lea_word_and(&co->wait, ~(LEA_WAIT_LOCK | LEA_WAIT_EXTRA));
}

void lea_extra_free_all(struct lea_runtime *rt, void **cos, unsigned n)
{
    void *back[LEA_POOL_BATCH];
    unsigned nr = 0;

    for (unsigned i = 0; i < n; i++) {
        struct lea_co *co = cos[i];

        if (!co->extra)
            continue;
        back[nr++] = co->extra;
        /* relaxed: a report that still reads it finds memory that keeps its type */
        lea_word_store_rlx(&co->extra_word, 0);
        if (nr == LEA_POOL_BATCH) {
            lea_slab_free_bulk(&rt->extras, back, nr);
            nr = 0;
        }
    }
    if (nr)
        lea_slab_free_bulk(&rt->extras, back, nr);
}

/* Somebody is inside, or is about to go in: stand back, and try again. */
uintptr_t lea_extra_enter_slow(struct lea_co *co)
{
    unsigned round = 0;
    uintptr_t w;

    do {
        lea_u32_store_rel(&co->extra->busy, 0); /* EXTRA-BUSY */
        while (lea_word_load_acq(&co->wait) & LEA_WAIT_LOCK)
            lea_relax(&round);
        lea_u32_store_rlx(&co->extra->busy, 1); /* relaxed: the fence orders it */
        lea_fence_full();                       /* EXTRA-BUSY */
        w = lea_word_load_acq(&co->wait);
    } while (w & LEA_WAIT_LOCK);
    return w;
}

bool lea_extra_lock(struct lea_co *co)
{
    unsigned round = 0;

    lea_solo_heed();
    for (;;) {
        uintptr_t w = lea_word_load_acq(&co->wait);

        if (!(w & LEA_WAIT_EXTRA))
            return false;
        if (w & LEA_WAIT_LOCK)
            lea_relax(&round);
        else if (lea_word_cas(&co->wait, w, w | LEA_WAIT_LOCK))
            break;
    }
    if (!LEA_MUTATED(SCOPE_LOCK_FENCE))
        lea_fence_after_rmw(); /* EXTRA-BUSY */
    round = 0;
    while (lea_u32_load_acq(&co->extra->busy)) /* EXTRA-BUSY */
        lea_relax(&round);
    return true;
}

void lea_extra_unlock(struct lea_co *co)
{
    lea_word_and(&co->wait, ~LEA_WAIT_LOCK);
}
