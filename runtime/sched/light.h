/*
 * sched/light.h - a mutex is given back by a plain store while nobody waits for it.
 *
 * A locked instruction at the unlock is there for those who are about to wait: they set a bit in a
 * word that the holder is about to clear. They are few. So the holder says, in a word of its own
 * thread, which object it is about to give back, looks whether anybody waits, and stores; who is
 * about to wait says so first, and then, by a membarrier, sees that nobody is in the middle of
 * that. From then on all give it back by a locked instruction, until nobody has waited for some
 * tenths of a second: so waiting costs a membarrier seldom, and mutexes that are fought over are as
 * before.
 *
 * Those who wait are counted by *place*, of which there are a few: objects that share one with
 * another that is waited for are given back by a locked instruction, no more. Its states:
 *   LIGHT    nobody waits
 *   PENDING  somebody waits, and makes sure that nobody is in the middle of a light unlock
 *   HEAVY    somebody has made sure
 *   CLOSING  nobody has waited for a while, and the monitor looks once more
 * Only LIGHT lets light unlocks in. Who unlocks reads the state, which hardly ever changes; the
 * count is on another line.
 *
 * Always: while somebody counts in a place and has found it HEAVY, or made it so, it is not LIGHT,
 * and no word of an object there is changed by a light unlock.
 *
 * Who unlocks so is a worker's thread, one of the first LEA_LIGHT_SLOTS of the run, and runs with
 * no processor at hand or with one, in a bracket or not: what counts is that nothing switches
 * between the two stores into its slot, and that no handler of a signal calls leat. All others
 * unlock by locked instructions, at any time.
 *
 * A membarrier that the system refuses all of a sudden (a filter that the program has installed
 * since the run began) is made up for by a sleep in which every store comes out of its buffer;
 * places stay HEAVY from then on.
 *
 * Ordering pairs.
 *  LIGHT        who unlocks stores its slot, compiler barrier, reads the state; who is about to
 *               wait sees to it that the state is not LIGHT, membarrier, reads the slots. One of
 *               them sees the other.
 *  LIGHT-END    the release that clears a slot -> the acquire by who is about to wait, also of what
 *               the same thread has stored there since: the store into the object has been made.
 *  LIGHT-CLOSE  who is about to wait counts, fence, reads the state; the monitor sets it to
 *               CLOSING, fence, reads the count. One of them sees the other.
 */
#ifndef LEA_SCHED_LIGHT_H
#define LEA_SCHED_LIGHT_H

#include "base/delay.h"
#include "sched/self.h"

#define LEA_LIGHT_SLOTS 256u
#define LEA_LIGHT_PLACES_SHIFT 6
#define LEA_LIGHT_PLACES (1u << LEA_LIGHT_PLACES_SHIFT)

enum lea_light_state { LEA_LIGHT, LEA_LIGHT_CLOSING, LEA_LIGHT_PENDING, LEA_LIGHT_HEAVY };

/* In `waits`: below, how many wait now; above, how many ever did. */
#define LEA_LIGHT_EVER ((uintptr_t)1 << 32)

struct lea_light_place {
    _Alignas(LEA_CACHELINE) lea_u32 state; /* enum lea_light_state */
    _Alignas(LEA_CACHELINE) lea_word waits;
};

/* Of one thread. */
struct lea_light_slot {
    /* what it gives back at this moment; 0: nothing */
    _Alignas(LEA_CACHELINE) lea_word object;
    uint64_t times; /* in checked builds: how often it was cleared */
};

/* For threads too that have no run, and outlives each: static. */
extern struct lea_light {
    struct lea_light_slot slot[LEA_LIGHT_SLOTS];
    struct lea_light_place place[LEA_LIGHT_PLACES];
    lea_u32 nr_slots; /* those from here on are nobody's */
} lea_light __attribute__((visibility("hidden")));

static inline struct lea_light_place *lea_light_place_of(uintptr_t object)
{
    return &lea_light.place[object * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LEA_LIGHT_PLACES_SHIFT)];
}

/* A hint: is it worth trying? */
static inline bool lea_light_may(const struct lea_light_place *place)
{
    return lea_u32_load_acq(&place->state) == LEA_LIGHT;
}

/*
 * The calling thread is about to give back this object, of this place, by a plain store, if nobody
 * waits. False: by a locked instruction. In both cases lea_light_end() follows at once, and nothing
 * between the two may call anything.
 */
static inline bool lea_light_begin(struct lea_light_slot *slot, const void *object,
                                   const struct lea_light_place *place)
{
    /* relaxed: membarrier orders it; LIGHT */
    lea_word_store_rlx(&slot->object, (uintptr_t)object);
    lea_barrier(); /* LIGHT */
    lea_delay_point(LIGHT);
    return LEA_MUTATED(LIGHT_LOOK_EARLY) ||
           lea_u32_load_acq(&place->state) == LEA_LIGHT; /* LIGHT */
}

static inline void lea_light_end(struct lea_light_slot *slot)
{
#ifdef LEAT_CHECKED
    slot->times++;
#endif
    if (LEA_MUTATED(LIGHT_END_RELAXED))
        lea_word_store_rlx(&slot->object, 0);
    else
        lea_word_store_rel(&slot->object, 0); /* LIGHT-END */
}

/*
 * Around each wait: from before the first change of the object's word by who is about to wait,
 * until after its last. Anybody. May make a system call, and wait for an unlock of some
 * instructions to end.
 */
void lea_light_wait_begin(const void *object);
void lea_light_wait_end(const void *object);

/* What the monitor remembers from one look to the next. */
struct lea_light_seen {
    uint32_t ever[LEA_LIGHT_PLACES];
};

/*
 * By the monitor, twice a second: where nobody has waited since the last look is light again. One
 * thread at a time: a second one would take the CLOSING of the first for its own.
 */
void lea_light_look(struct lea_light_seen *seen);

/*
 * A worker's thread begins, with this id (1 and up), and may unlock so until it ends.
 */
void lea_light_thread_begin(uint32_t id);
void lea_light_thread_end(void);

/* A run has ended, and neither it nor one before has left a thread behind. */
void lea_light_run_ended(void);

/* In a child that was forked: it has one thread. */
void lea_light_forked(void);

#endif
