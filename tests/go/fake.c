/* tests/go/fake.c - see fake.h. */
#include "fake.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PENDING 64

struct pending {
    const struct leat_site_ *site;
    unsigned char *args;
    unsigned char *memory;
};

static struct pending pending[MAX_PENDING];
static unsigned nr_pending;

struct fake_spawn fake_last;
unsigned fake_nr_spawns;
unsigned fake_nr_failed;
int fake_rc;

static unsigned nr_checks;

static int remember(const struct leat_site_ *site, const void *args, size_t bytes)
{
    struct pending *p = &pending[nr_pending];

    fake_nr_spawns++;
    if (fake_rc)
        return fake_rc;
    if (nr_pending == MAX_PENDING || bytes > LEAT_ARGS_MAX) {
        fprintf(stderr, "fake: too much\n");
        abort();
    }
    p->memory = (unsigned char *)aligned_alloc(32, (bytes + 16 + 31) & ~(size_t)31);
    if (!p->memory)
        abort();
    p->args = p->memory + 16; /* aligned to 16, and not to 32 */
    p->site = site;
    if (site->move) {
        site->move(p->args, (void *)(uintptr_t)args);
    } else {
        memcpy(p->args, args, bytes);
        /* the caller's copy is of no use to anybody from here on */
        memset((void *)(uintptr_t)args, 0xa5, bytes);
    }
    nr_pending++;
    return 0;
}

int leat_go_(const struct leat_site_ *site, const void *args, size_t bytes)
{
    fake_last = (struct fake_spawn){.site = site, .bytes = bytes, .plain = 1};
    return remember(site, args, bytes);
}

int leat_spawn_(const struct leat_site_ *site, const leat_attr *attr, leat_group *group,
                leat_handle **handle, const void *args, size_t bytes)
{
    fake_last = (struct fake_spawn){
        .site = site, .attr = attr, .group = group, .handle = handle, .bytes = bytes};
    return remember(site, args, bytes);
}

leat_result fake_run(void)
{
    leat_result result = 0;
    unsigned nr = nr_pending;

    nr_pending = 0;
    for (unsigned i = 0; i < nr; i++) {
        result = pending[i].site->run(pending[i].args);
        free(pending[i].memory);
    }
    return result;
}

void fake_drop(void)
{
    for (unsigned i = 0; i < nr_pending; i++) {
        if (pending[i].site->drop)
            pending[i].site->drop(pending[i].args);
        free(pending[i].memory);
    }
    nr_pending = 0;
}

void fake_check(int ok, const char *file, int line, const char *text)
{
    nr_checks++;
    if (!ok) {
        fake_nr_failed++;
        printf("%s:%d: not true: %s\n", file, line, text);
    }
}

int fake_report(void)
{
    printf("%u checks, %u failed\n", nr_checks, fake_nr_failed);
    return fake_nr_failed != 0;
}
