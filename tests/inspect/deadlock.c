/*
 * Runs in which nobody can go on are reported: what the report says, and the callback in its place.
 * Each in a child of its own: the report ends the process.
 */
#include "support/test.h"

#include "inspect/deadlock.h"

#include <string.h>

static leat_mutex mutex[2];
static leat_waitgroup both;

static void crosswise(int i)
{
    leat_mutex_lock(&mutex[i]);
    leat_wg_done(&both);
    (void)!leat_wg_wait(&both, LEAT_FOREVER);
    leat_mutex_lock(&mutex[1 - i]);
}

/* One of each kind of wait: two mutexes crosswise, a waitgroup, a group, a join. */
static int all_kinds_main(void *arg)
{
    leat_attr attr = {.name = "crossed"};
    leat_group group;
    leat_handle *h;

    (void)arg;
    leat_wg_add(&both, 2);
    leat_wg_add(&never, 1);
    leat_group_open(&group, 0);
    (void)leat_go_join_attr(&h, &attr, crosswise, 0);
    (void)go(crosswise, 1);
    (void)leat_group_go(&group, waits_never);
    if (leat_group_wait(&group, leat_after(LEAT_MSEC)) != -ETIMEDOUT)
        return 3;
    (void)!leat_join(h, NULL, LEAT_FOREVER);
    return 0;
}

/*
 * Goal: exit status 2, and a line for each with its name, reason, place of spawn and whom it waits
 * for.
 */
Test(deadlock, is_reported, .timeout = 60)
{
    for (unsigned i = 0; i < KIT_NR_PROCS; i++) {
        struct stuck s = {.procs = kit_procs[i], .main = all_kinds_main};
        char text[KIT_TEXT_BYTES];
        int status = kit_child(stuck_body, &s, 30000, text);

        cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
        cr_expect(eq(uint, kit_occurs(text, "deadlock: all 4 coroutines wait for one another"), 1),
                  "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "the main coroutine (coroutine "), 1), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "waiting, join of coroutine "), 1), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "\"crossed\", spawned at "), 1), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "deadlock.c:"), 3), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "(crosswise)"), 2), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "waiting, mutex 0x"), 2), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "waiting, waitgroup 0x"), 1), "%s", text);
    }
}

static leat_rwmutex rw;

static void rw_reads(void)
{
    leat_rwmutex_rlock(&rw);
}

static void rw_writes(void)
{
    leat_rwmutex_lock(&rw);
}

/* Two wait to write, one for the reader and one behind it, and another one to read behind both. */
static int rwmutex_main(void *arg)
{
    (void)arg;
    leat_wg_add(&never, 1);
    leat_rwmutex_rlock(&rw);
    (void)go(rw_writes);
    while (leat_rwmutex_rtry(&rw) == 0) {
        leat_rwmutex_runlock(&rw);
        leat_yield();
    }
    (void)go(rw_writes);
    (void)go(rw_reads);
    waits_never();
    return 0;
}

/* Goal: whoever waits for a rwmutex is reported as waiting for that, in whatever part of it. */
Test(deadlock, names_rwmutexes, .timeout = 60)
{
    struct stuck s = {.procs = 2, .main = rwmutex_main};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
    cr_expect(eq(uint, kit_occurs(text, "all 4 coroutines wait for one another"), 1), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "waiting, rwmutex 0x"), 3), "%s", text);
}

static int group_main(void *arg)
{
    leat_group group;

    (void)arg;
    leat_wg_add(&never, 1);
    leat_group_open(&group, 0);
    for (int i = 0; i < 10; i++)
        (void)leat_group_go(&group, waits_never);
    return leat_group_wait(&group, LEAT_FOREVER);
}

/* Goal: a group's members are named, the first of many. */
Test(deadlock, names_members, .timeout = 60)
{
    struct stuck s = {.procs = 2, .main = group_main};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);
    const char *line = strstr(text, "waiting, group 0x");

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
    cr_expect(ne(ptr, (void *)line, NULL), "%s", text);
    cr_expect(line && strstr(line, " and 2 more\n"), "%s", text);
}

static void selects(leat_chan *a, leat_chan *b)
{
    leat_case c[] = {leat_case_recv(a, NULL), leat_case_recv(b, NULL), leat_case_none()};

    (void)!leat_select(c, 3, LEAT_FOREVER);
}

static int selects_main(void *arg)
{
    leat_chan *a, *b;

    (void)arg;
    if (leat_chan_make(&a, 0, 0) != 0 || leat_chan_make(&b, 0, 0) != 0 || go(selects, a, b) != 0)
        return 3;
    return leat_select(NULL, 0, LEAT_FOREVER);
}

/* Goal: selects may be part of a deadlock; what they wait for is named. */
Test(deadlock, names_the_cases_of_a_select, .timeout = 60)
{
    for (unsigned i = 0; i < KIT_NR_PROCS; i++) {
        struct stuck s = {.procs = kit_procs[i], .main = selects_main};
        char text[KIT_TEXT_BYTES];
        int status = kit_child(stuck_body, &s, 30000, text);
        const char *line = strstr(text, "waiting, select of 0x");

        cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
        cr_expect(line && strstr(line, ", 0x") && strstr(line, ", none\n"), "%s", text);
        cr_expect(eq(uint, kit_occurs(text, "waiting, select without cases"), 1), "%s", text);
    }
}

static int alone_main(void *arg)
{
    int listener = leat_tcp_listen("127.0.0.1:0", NULL);

    (void)arg;
    if (listener < 0)
        return 3;
    leat_wg_add(&never, 1);
    waits_never();
    return 0;
}

/*
 * Goal: a listener that is open, but on which nobody waits, does not hide a deadlock; it is named.
 */
Test(deadlock, open_listeners_do_not_count, .timeout = 60)
{
    struct stuck s = {.procs = 1, .main = alone_main};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(stuck_body, &s, 30000, text);

    cr_expect(kit_exited(status, 2), "status %d: %s", status, text);
    cr_expect(eq(uint,
                 kit_occurs(text, "deadlock: the only coroutine waits, and nothing can wake it"),
                 1),
              "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "open, and nobody waits on them: descriptors "), 1), "%s",
              text);
}

static int again_main(void *arg)
{
    struct stuck *s = arg;

    for (unsigned i = 1; i <= 3; i++) {
        leat_wg_add(&never, 1);
        waits_never();
        if (atomic_load(s->reports) != i)
            return 3;
        (void)leat_sleep(LEAT_MSEC);
    }
    return 7;
}

/*
 * Goal: a callback is called in place of the report, once for each deadlock; it may wake somebody,
 * and the run goes on.
 */
Test(deadlock, callback, .timeout = 60)
{
    for (unsigned i = 0; i < KIT_NR_PROCS; i++) {
        struct stuck s = {.procs = kit_procs[i],
                          .main = again_main,
                          .reports = kit_shared(sizeof(atomic_ulong)),
                          .calls_back = true};
        char text[KIT_TEXT_BYTES];
        int status = kit_child(stuck_body, &s, 30000, text);

        cr_expect(kit_exited(status, 7), "status %d: %s", status, text);
        cr_expect(eq(ulong, atomic_load(s.reports), 3));
        cr_expect(eq(uint, kit_occurs(text, "deadlock"), 0), "%s", text);
    }
}
