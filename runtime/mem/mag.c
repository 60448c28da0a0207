/*
 * Magazines: lists of words outside of the things that they stand for. Invariants: mag.h.
 */
#include "mem/mag.h"

#include "base/check.h"

#include <string.h>

void lea_mag_store_add(struct lea_mag_store *store, void *mem, size_t bytes)
{
    struct lea_mag_region *r = mem;

    LEA_CHECK(bytes >= sizeof(*r), "%zu bytes for magazines", bytes);
    r->next = store->regions;
    r->used = 0;
    r->nr = (bytes - sizeof(*r)) / sizeof(struct lea_mag);
    store->regions = r;
}

static struct lea_mag *store_take(struct lea_mag_store *store)
{
    struct lea_mag *m = store->empty;
    struct lea_mag_region *r;

    if (m) {
        store->empty = m->older;
        return m;
    }
    while ((r = store->regions) && r->used == r->nr)
        store->regions = r->next;
    LEA_CHECK(r, "no magazine left: more was given back than was ever handed out");
    return &r->mag[r->used++];
}

static void store_give(struct lea_mag_store *store, struct lea_mag *m)
{
    m->older = store->empty;
    store->empty = m;
}

void lea_mags_init(struct lea_mags *l, struct lea_mag_store *store, uint32_t limit)
{
    LEA_CHECK(limit >= 1 && limit <= LEA_MAG_CAP, "limit %u", limit);
    *l = (struct lea_mags){.store = store, .limit = limit};
}

static void mags_unlink(struct lea_mags *l, struct lea_mag *m)
{
    if (m->newer)
        m->newer->older = m->older;
    else
        l->newest = m->older;
    if (m->older)
        m->older->newer = m->newer;
    else
        l->oldest = m->newer;
    store_give(l->store, m);
}

static struct lea_mag *mags_extend(struct lea_mags *l)
{
    struct lea_mag *m = store_take(l->store);

    m->n = 0;
    m->newer = NULL;
    m->older = l->newest;
    if (l->newest)
        l->newest->newer = m;
    else
        l->oldest = m;
    l->newest = m;
    return m;
}

void lea_mags_push(struct lea_mags *l, const uintptr_t *words, unsigned n, uint32_t stamp)
{
    l->nr_words += n;
    while (n > 0) {
        struct lea_mag *m = l->newest;
        unsigned k;

        if (!m || m->n == l->limit)
            m = mags_extend(l);
        k = n < l->limit - m->n ? n : l->limit - m->n;
        memcpy(m->word + m->n, words, k * sizeof(*words));
        m->n += k;
        m->stamp = stamp;
        words += k;
        n -= k;
    }
}

unsigned lea_mags_pop(struct lea_mags *l, uintptr_t *words, unsigned n)
{
    unsigned total = n < l->nr_words ? n : (unsigned)l->nr_words;
    unsigned left = total;

    l->nr_words -= total;
    while (left > 0) {
        struct lea_mag *m = l->newest;
        unsigned k = left < m->n ? left : m->n;

        left -= k;
        m->n -= k;
        memcpy(words + left, m->word + m->n, k * sizeof(*words));
        if (m->n == 0)
            mags_unlink(l, m);
    }
    return total;
}

unsigned lea_mags_shift(struct lea_mags *l, uintptr_t *words)
{
    struct lea_mag *m = l->oldest;
    unsigned n;

    if (!m)
        return 0;
    n = m->n;
    memcpy(words, m->word, n * sizeof(*words));
    l->nr_words -= n;
    mags_unlink(l, m);
    return n;
}
