/*
 * Who waits, and when nobody does any more. See light.h.
 */
#include "sched/light.h"

#include "sched/membarrier.h"
#include "sched/waiter.h"

struct lea_light lea_light;

/* Nobody gives back an object of this place by a plain store any more who has begun before. */
static void await_slots(const struct lea_light_place *place, uintptr_t waited, uint32_t nr)
{
    for (uint32_t i = 0; i < nr && !LEA_MUTATED(LIGHT_NOT_AWAITED); i++) {
        unsigned round = 0;
        uintptr_t object;

        while ((object = lea_word_load_acq(&lea_light.slot[i].object)) && /* LIGHT, LIGHT-END */
               (LEA_MUTATED(LIGHT_NEIGHBOURS_PASS) ? object == waited
                                                   : lea_light_place_of(object) == place))
            lea_relax(&round);
    }
}

/* We count in this place, which was not HEAVY. */
static __attribute__((noinline)) void make_heavy(struct lea_light_place *place, uintptr_t object)
{
    uint32_t state, nr;

    do {
        state = lea_u32_load_acq(&place->state);
        if (state == LEA_LIGHT_HEAVY)
            return;
    } while (state != LEA_LIGHT_PENDING &&
             !lea_u32_cas(&place->state, state, LEA_LIGHT_PENDING)); /* LIGHT */
    lea_fence_full(); /* who begins raises nr_slots, fence, and reads the state */
    nr = lea_u32_load_acq(&lea_light.nr_slots);
    if (nr) {
        if (!LEA_MUTATED(LIGHT_NO_MEMBARRIER))
            lea_membarrier(); /* LIGHT */
        lea_delay_point(LIGHT);
        await_slots(place, object, nr);
    }
    /* it may be so by now, by another one */
    (void)lea_u32_cas(&place->state, LEA_LIGHT_PENDING, LEA_LIGHT_HEAVY);
}

void lea_light_wait_begin(const void *object)
{
    struct lea_light_place *place = lea_light_place_of((uintptr_t)object);

    (void)lea_word_add(&place->waits, LEA_LIGHT_EVER + 1); /* LIGHT-CLOSE */
    lea_fence_after_rmw();                                 /* LIGHT-CLOSE */
    lea_delay_point(LIGHT_CLOSE);
    if (LEA_UNLIKELY(lea_u32_load_acq(&place->state) != LEA_LIGHT_HEAVY) && /* LIGHT-CLOSE */
        !LEA_MUTATED(LIGHT_UNHEEDED))
        make_heavy(place, (uintptr_t)object);
}

void lea_light_wait_end(const void *object)
{
    (void)lea_word_add(&lea_light_place_of((uintptr_t)object)->waits, (uintptr_t)-1);
}

/* It is HEAVY. @waits: nobody, and unchanged since the last look. */
static void close_place(struct lea_light_place *place, uintptr_t waits)
{
    bool none;

    if (!lea_u32_cas(&place->state, LEA_LIGHT_HEAVY, LEA_LIGHT_CLOSING)) /* LIGHT-CLOSE */
        return;
    lea_fence_after_rmw(); /* LIGHT-CLOSE */
    lea_delay_point(LIGHT_CLOSE);
    none = lea_word_load_acq(&place->waits) == waits || /* LIGHT-CLOSE */
           LEA_MUTATED(LIGHT_CLOSED_BLINDLY);
    /* who came meanwhile may have made it PENDING */
    (void)lea_u32_cas(&place->state, LEA_LIGHT_CLOSING, none ? LEA_LIGHT : LEA_LIGHT_HEAVY);
}

void lea_light_look(struct lea_light_seen *seen)
{
    if (lea_u32_load_acq(&lea_membarrier_known.refused))
        return;
    for (uint32_t i = 0; i < LEA_LIGHT_PLACES; i++) {
        struct lea_light_place *place = &lea_light.place[i];
        uintptr_t waits = lea_word_load_acq(&place->waits);
        uint32_t ever = (uint32_t)(waits / LEA_LIGHT_EVER);

        if (LEA_MUTATED(LIGHT_TOO_SOON) || (seen->ever[i] == ever && waits % LEA_LIGHT_EVER == 0))
            close_place(place, waits);
        seen->ever[i] = ever;
    }
}

void lea_light_thread_begin(uint32_t id)
{
    uint32_t nr;

    if (id > LEA_LIGHT_SLOTS)
        return;
    while ((nr = lea_u32_load_acq(&lea_light.nr_slots)) < id &&
           !lea_u32_cas(&lea_light.nr_slots, nr, id))
        ;
    lea_fence_full(); /* make_heavy() */
    lea_self_light_set(&lea_light.slot[id - 1]);
}

void lea_light_thread_end(void)
{
    lea_self_light_set(NULL);
}

void lea_light_run_ended(void)
{
    lea_u32_store_rel(&lea_light.nr_slots, 0);
}

void lea_light_forked(void)
{
    uint32_t nr = lea_u32_load_rlx(&lea_light.nr_slots); /* all relaxed: one thread */

    for (uint32_t i = 0; i < nr; i++)
        if (lea_word_load_rlx(&lea_light.slot[i].object))
            lea_word_store_rlx(&lea_light.slot[i].object, 0);
    lea_self_light_set(NULL);
}
