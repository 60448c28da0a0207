/*
 * Memory of idle stacks goes back to the kernel; the slots stay free in the depot, with their
 * guards.
 *
 * The depot is a stack of magazines, so those at its old end are the ones that nobody needed since
 * their stamp. Stamps count epochs and not time: after a long sleep of the caller the first look
 * grows the epoch by one only, and stacks that were put back a moment ago do not pass for old.
 *
 * The kernel is told in batches: each call that drops pages makes every CPU that runs a thread of
 * this process flush its TLB. Stack by stack that is 14 us each, in batches of 256 0.5 us.
 * Neighbours are joined first: dropping pages across a guard leaves the guard.
 */
#include "mem/stack.h"

#include "base/os.h"

#include <sys/mman.h>

#define BATCH 256u
#define CALL_MAX 1024u /* stacks that one call gives back: 1 to 2 ms */

static void words_sort(uintptr_t *word, unsigned n)
{
    for (unsigned gap = n / 2; gap > 0; gap /= 2) {
        for (unsigned i = gap; i < n; i++) {
            uintptr_t w = word[i];
            unsigned k = i;

            for (; k >= gap && word[k - gap] > w; k -= gap)
                word[k] = word[k - gap];
            word[k] = w;
        }
    }
}

/* Drops the pages of free stacks of one class, header and all, and marks the words. */
static void stacks_drop(const struct lea_stack_pool *pool, unsigned cls, uintptr_t *word,
                        unsigned n)
{
    struct iovec range[BATCH];
    size_t slot = lea_stack_class_bytes(cls);
    int nr = 0;

    words_sort(word, n);
    for (unsigned i = 0; i < n; i++) {
        char *base = (char *)(word[i] & ~(slot - 1));
        struct iovec *last = nr > 0 ? &range[nr - 1] : NULL;

        if (last && (char *)last->iov_base + last->iov_len == base)
            last->iov_len += slot;
        else
            range[nr++] = (struct iovec){.iov_base = base + pool->guards.bytes,
                                         .iov_len = slot - pool->guards.bytes};
        word[i] |= LEA_STACK_COLD;
    }
    if (lea_os_madvise_many(range, nr, MADV_DONTNEED) == 0)
        return;
    /* A refusal (locked memory) leaves the pages resident and is not worth a word. */
    for (int i = 0; i < nr; i++)
        (void)lea_os_madvise(range[i].iov_base, range[i].iov_len, MADV_DONTNEED);
}

/* The oldest stacks of a class, if they have been idle for long enough. */
static unsigned depot_take_idle_locked(struct lea_stack_pool *pool, unsigned cls, uintptr_t *word)
{
    struct lea_mags *hot = &pool->depot[cls].hot;
    unsigned n = 0;

    while (hot->oldest && pool->epoch - hot->oldest->stamp >= LEA_STACK_IDLE_EPOCHS &&
           n + hot->limit <= BATCH)
        n += lea_mags_shift(hot, word + n);
    if (hot->nr_words == 0)
        /* relaxed: under the lock */
        lea_u32_store_rlx(&pool->hot_mask, lea_u32_load_rlx(&pool->hot_mask) & ~(1u << cls));
    return n;
}

/*
 * Returns how many stacks it gave back. Takes and leaves with the lock held, and drops it in
 * between.
 */
static unsigned class_trim_locked(struct lea_stack_pool *pool, unsigned cls, unsigned max)
{
    uintptr_t word[BATCH];
    unsigned done = 0;

    while (done < max) {
        unsigned n = depot_take_idle_locked(pool, cls, word);

        if (n == 0)
            break;
        lea_lock_drop(&pool->lock);
        stacks_drop(pool, cls, word, n);
        lea_lock_take(&pool->lock);
        lea_mags_push(&pool->depot[cls].cold, word, n, 0);
        lea_word_count(&pool->nr_trimmed, n);
        done += n;
    }
    return done;
}

int64_t lea_stack_trim(struct lea_stack_pool *pool, int64_t now_ns)
{
    unsigned left = CALL_MAX;
    int64_t next_ns;

    /* relaxed: a hint; whoever puts stacks later looks again later */
    if (lea_u32_load_rlx(&pool->hot_mask) == 0)
        return INT64_MAX;

    lea_lock_take(&pool->lock);
    if (now_ns - pool->epoch_ns >= LEA_STACK_EPOCH_NS) {
        pool->epoch_ns = now_ns;
        pool->epoch++;
    }
    for (unsigned c = 0; c < LEA_STACK_CLASSES && left > 0; c++) {
        unsigned n = class_trim_locked(pool, c, left);

        left = n < left ? left - n : 0;
    }
    /* relaxed: under the lock */
    next_ns =
        lea_u32_load_rlx(&pool->hot_mask) == 0 ? INT64_MAX : pool->epoch_ns + LEA_STACK_EPOCH_NS;
    lea_lock_drop(&pool->lock);
    return left == 0 ? now_ns : next_ns;
}
