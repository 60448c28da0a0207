/*
 * Spawning with settings, into a group, with a handle: what is accepted, what is refused, and what
 * a refusal leaves behind.
 */
#include "support/test.h"

#include "sync/each.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int nothing(void)
{
    return 0;
}

/* --- settings --- */

static leat_handle *const NOT_WRITTEN = (leat_handle *)(uintptr_t)16;

static int refused(leat_attr attr)
{
    leat_handle *h = NOT_WRITTEN;
    leat_group g;
    int mistakes = 0;

    leat_group_open(&g, 1);
    mistakes += leat_go_attr(&attr, nothing) != -EINVAL;
    mistakes += leat_go_join_attr(&h, &attr, nothing) != -EINVAL || h != NOT_WRITTEN;
    mistakes += leat_group_go_attr(&g, &attr, nothing) != -EINVAL;
    mistakes += leat_group_wait(&g, LEAT_AT_ONCE) != 0; /* no place was taken */
    return mistakes;
}

static int settings_main(void *arg)
{
    leat_attr attr = {0};
    leat_handle *h;
    int mistakes = 0;

    (void)arg;
    mistakes += refused((leat_attr){.priority = 2});
    mistakes += refused((leat_attr){.priority = -2});
    mistakes += refused((leat_attr){.stack_bytes = 1});
    mistakes += refused((leat_attr){.stack_bytes = (16 << 10) - 1});
    mistakes += refused((leat_attr){.stack_bytes = ((size_t)1 << 30) + 1});
    for (int p = -1; p <= 1; p++) {
        attr.priority = p;
        mistakes +=
            leat_go_join_attr(&h, &attr, nothing) != 0 || leat_join(h, NULL, EACH_LONG) != 0;
    }
    attr.stack_bytes = 16 << 10;
    mistakes += leat_go_join_attr(&h, &attr, nothing) != 0 || leat_join(h, NULL, EACH_LONG) != 0;
    mistakes += leat_go_attr(NULL, nothing) != 0;
    return mistakes;
}

/* Goal: settings out of range are refused, without a trace; those in range are not. */
Test(spawn, checks_settings, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, settings_main, NULL), 0));
}

static int name_is(const char *name)
{
    return strcmp(leat_self_name(), name) == 0;
}

static size_t use_stack(size_t bytes)
{
    volatile char room[200 << 10];

    memset((char *)room, 1, sizeof(room));
    return (size_t)room[bytes % sizeof(room)];
}

static int traits_main(void *arg)
{
    leat_attr attr = {.name = "a name that is longer than what is kept of it"};
    leat_handle *h;
    leat_result r = 0;

    (void)arg;
    if (leat_go_join_attr(&h, &attr, name_is, "a name that is longer than what") != 0)
        return 1;
    if (leat_join(h, &r, EACH_LONG) != 0 || r != 1)
        return 2;
    attr = (leat_attr){.stack_bytes = 512 << 10};
    if (leat_go_join_attr(&h, &attr, use_stack, (size_t)5) != 0)
        return 3;
    return leat_join(h, &r, EACH_LONG) == 0 && r == 1 ? 0 : 4;
}

/* Goal: the settings hold in the coroutine. */
Test(spawn, applies_settings, .timeout = 20)
{
    for (EACH_PROCS(procs))
        cr_assert(eq(int, each_run(procs, traits_main, NULL), 0));
}

/* --- no function, no run --- */

static int null_main(void *arg)
{
    int (*fn)(void) = arg;
    leat_handle *h = NOT_WRITTEN;
    leat_group g;
    int mistakes = 0;

    leat_group_open(&g, 0);
    mistakes += leat_go(fn) != -EINVAL;
    mistakes += leat_go_join(&h, fn) != -EINVAL || h != NOT_WRITTEN;
    mistakes += leat_group_go(&g, fn) != -EINVAL;
    mistakes += leat_group_wait(&g, LEAT_AT_ONCE) != 0;
    return mistakes;
}

/* Goal: no function is a refusal. */
Test(spawn, refuses_no_function, .timeout = 20)
{
    cr_assert(eq(int, each_run(2, null_main, NULL), 0));
}

static int outside_mistakes(void)
{
    leat_handle *h = NOT_WRITTEN;
    leat_group g;
    int mistakes = 0;

    leat_group_open(&g, 1);
    mistakes += leat_go(nothing) != -ESHUTDOWN;
    mistakes += leat_go_join(&h, nothing) != -ESHUTDOWN || h != NOT_WRITTEN;
    mistakes += leat_group_go(&g, nothing) != -ESHUTDOWN;
    mistakes += leat_group_go(&g, nothing) != -ESHUTDOWN; /* the first one gave its place back */
    return mistakes;
}

/* Goal: before a run and after it every form gives -ESHUTDOWN. */
Test(spawn, refuses_outside_a_run, .timeout = 20)
{
    cr_assert(eq(int, outside_mistakes(), 0));
    cr_assert(eq(int, each_run(2, traits_main, NULL), 0));
    cr_assert(eq(int, outside_mistakes(), 0));
}

/* --- moved arguments --- */

static atomic_int moved, dropped, ran;

static leat_result box_run(void *args)
{
    atomic_fetch_add(&ran, *(int *)args);
    return *(int *)args;
}

static void box_move(void *dst, void *src)
{
    memcpy(dst, src, sizeof(int));
    atomic_fetch_add(&moved, 1);
}

static void box_drop(void *args)
{
    (void)args;
    atomic_fetch_add(&dropped, 1);
}

static const struct leat_site_ box_site = {.run = box_run,
                                           .move = box_move,
                                           .drop = box_drop,
                                           .file = __FILE__,
                                           .fn = "box",
                                           .line = __LINE__};

static int box_main(void *arg)
{
    leat_attr bad = {.priority = 5};
    leat_group g;
    leat_handle *h = NULL;
    leat_result r = 0;
    int box = 3;

    (void)arg;
    leat_group_open(&g, 0);
    if (leat_spawn_(&box_site, &bad, NULL, NULL, &box, sizeof(box)) != -EINVAL || moved)
        return 1;
    /* group and handle together */
    if (leat_spawn_(&box_site, NULL, &g, &h, &box, sizeof(box)) != 0 || moved != 1)
        return 2;
    if (leat_join(h, &r, EACH_LONG) != 0 || r != 3)
        return 3;
    if (leat_spawn_(&box_site, NULL, &g, &h, &box, sizeof(box)) != 0)
        return 4;
    if (leat_group_wait(&g, EACH_LONG) != 0 || ran != 6) /* the group waits for it, joined or not */
        return 5;
    leat_detach(h);
    leat_group_open(&g, 0);
    leat_group_cancel(&g);
    if (leat_spawn_(&box_site, NULL, &g, NULL, &box, sizeof(box)) != -ECANCELED || moved != 2)
        return 6;
    return leat_group_wait(&g, EACH_LONG);
}

/* Goal: a refusal has moved nothing, or dropped it; a coroutine may have a group and a handle. */
Test(spawn, moves_arguments_once, .timeout = 20)
{
    for (EACH_PROCS(procs)) {
        moved = dropped = ran = 0;
        cr_assert(eq(int, each_run(procs, box_main, NULL), 0));
        cr_assert(eq(int, ran, 6));
        cr_assert(eq(int, moved - dropped, 2));
    }
}

/* --- as many as there may be --- */

static int wait_here(leat_waitgroup *wg)
{
    return leat_wg_wait(wg, LEAT_FOREVER);
}

static int fill(leat_group *g, leat_waitgroup *wg, int *n)
{
    int r;

    while ((r = leat_group_go(g, wait_here, wg)) == 0)
        (*n)++;
    return r;
}

static int full_main(void *arg)
{
    leat_waitgroup wg = {0};
    leat_handle *h, *more[100];
    leat_group g;

    (void)arg;
    for (int round = 0; round < 3; round++) {
        int n = 0, nr_more = 0, r;

        leat_group_open(&g, 0);
        leat_wg_add(&wg, 1);
        if (fill(&g, &wg, &n) != -EAGAIN || n < 50 || n > 100)
            return 1;
        /* another processor, to which a slice's end on a busy machine moves us, may have some left */
        for (h = NOT_WRITTEN; (r = leat_go_join(&h, wait_here, &wg)) == 0; h = NOT_WRITTEN) {
            more[nr_more++] = h;
            if (n + nr_more > 100)
                return 4;
        }
        if (r != -EAGAIN || h != NOT_WRITTEN)
            return 2;
        leat_wg_done(&wg);
        while (nr_more > 0)
            if (leat_join(more[--nr_more], NULL, EACH_LONG) != 0)
                return 5;
        if (leat_group_wait(&g, EACH_LONG) != 0) /* the refused ones do not count */
            return 3;
    }
    return 0;
}

/* Goal: past the most coroutines every form gives -EAGAIN, and leaves nothing behind. */
Test(spawn, refuses_too_many, .timeout = 20)
{
    /* another processor, to which it moves the spawner, may have some left */
    unsetenv("LEAT_CHAOS");
    for (EACH_PROCS(procs)) {
        leat_config config = {.procs = procs, .max_coroutines = 100};

        cr_assert(eq(int, leat_run_with(&config, full_main, NULL), 0));
    }
}
