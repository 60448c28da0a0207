/*
 * netpoll/event.h - what drivers say to the records of descriptors. Inline: it is run for every
 * event.
 */
#ifndef LEA_NETPOLL_EVENT_H
#define LEA_NETPOLL_EVENT_H

#include "base/delay.h"
#include "base/mutant.h"
#include "netpoll/netpoll.h"

static inline uint64_t lea_tag(int fd, uint32_t gen)
{
    return (uint64_t)gen << 32 | (uint32_t)fd;
}

/* An event for `tag` is about to be handed on: fetch the record. */
static inline void lea_event_prefetch(const struct lea_netpoll *np, uint64_t tag)
{
    lea_prefetch(lea_fd_find(np, (int)(uint32_t)tag));
}

/* Later: fetch who waits in it. */
static inline void lea_event_prefetch_waiter(const struct lea_netpoll *np, uint64_t tag)
{
    const struct lea_fd *f = lea_fd_find(np, (int)(uint32_t)tag);

    if (LEA_LIKELY(f != NULL)) /* relaxed: any address will do, READY and EMPTY too */
        lea_prefetch((void *)lea_word_load_rlx(&f->word[LEA_FD_READ]));
}

/* An event came for the descriptor named by `tag`. */
static inline void lea_event(const struct lea_netpoll *np, uint64_t tag, bool in, bool out,
                             uint32_t seen, struct lea_ready_list *list)
{
    struct lea_fd *f = lea_fd_find(np, (int)(uint32_t)tag);

    /*
     * A late event of a descriptor of ours that is gone: its number may be somebody else's by now.
     * One that is not ours may be known to the poller under an old tag (a dup kept it there): its
     * waiters can do with a wake-up too many, not with one too few.
     */
    if (!f || ((lea_u32_load_acq(&f->use) & LEA_FD_USE_OWNED) &&
               lea_u32_load_acq(&f->gen) != (uint32_t)(tag >> 32) && !LEA_MUTATED(FD_GENERATION)))
        return;
    if (LEA_UNLIKELY(seen != 0)) {
        uint32_t old;

        do {
            /* relaxed: sticky bits, the CAS on the word publishes them */
            old = lea_u32_load_rlx(&f->seen);
            /*
             * its number has changed hands since we looked, or it is not ours: nobody asks for its
             * bits then
             */
            if ((old & ~LEA_FD_SEEN_ANY) != lea_fd_seen_none((uint32_t)(tag >> 32)) &&
                !LEA_MUTATED(FD_SEEN_OTHERS))
                break;
        } while ((old & seen) != seen && !lea_u32_cas(&f->seen, old, old | seen));
        lea_delay_point(FD_READY);
    }
    if (in)
        lea_fd_ready(f, LEA_FD_READ, LEA_WAKE_DONE, list);
    if (out)
        lea_fd_ready(f, LEA_FD_WRITE, LEA_WAKE_DONE, list);
}

#endif
