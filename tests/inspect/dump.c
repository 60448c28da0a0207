/*
 * Dumps: at any time, from anywhere, while the coroutines run on.
 */
#include "support/test.h"

#include "sched/kit.h"
#include "support/waits.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dump {
    atomic_ulong asleep, stop, ended, lines, torn;
    leat_mutex mutex;
    leat_waitgroup wg;
    int pipe[2];
    char text[8192];
    size_t used;
    int result, errors;
    unsigned procs;
};

static void to_text(void *arg, const char *line)
{
    struct dump *d = arg;
    size_t room = sizeof(d->text) - d->used;
    int n = snprintf(d->text + d->used, room, "%s\n", line);

    d->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void locks(struct dump *d)
{
    atomic_fetch_add(&d->asleep, 1);
    leat_mutex_lock(&d->mutex);
    leat_mutex_unlock(&d->mutex);
}

static void reads(struct dump *d)
{
    char b;

    atomic_fetch_add(&d->asleep, 1);
    (void)!leat_read(d->pipe[0], &b, 1, leat_after(KIT_LONG));
}

static void sleeps(struct dump *d)
{
    atomic_fetch_add(&d->asleep, 1);
    (void)leat_sleep(3600 * LEAT_SEC);
}

static int kinds_main(void *arg)
{
    struct dump *d = arg;
    leat_attr attr = {.name = "a reader"};
    FILE *file = tmpfile();
    char back[8192] = "";
    size_t n;

    if (!file || leat_pipe(d->pipe) < 0)
        return 3;
    leat_mutex_lock(&d->mutex);
    (void)go(locks, d);
    (void)leat_go_attr(&attr, reads, d);
    (void)go(sleeps, d);
    (void)kit_reach(&d->asleep, 3, KIT_LONG);
    /* they wait by now, or are about to: looked for until they do */
    for (int64_t until = leat_now() + KIT_LONG; leat_now() < until;) {
        d->used = 0;
        d->result = leat_dump_to(to_text, d);
        if (strstr(d->text, "read on descriptor") && strstr(d->text, "mutex 0x") &&
            strstr(d->text, "waiting, sleep"))
            break;
        (void)leat_sleep(2 * LEAT_MSEC);
    }
    d->errors = leat_dump(fileno(file)) != 4;
    rewind(file);
    n = fread(back, 1, sizeof(back) - 1, file);
    for (size_t i = 0; i < n; i++)
        atomic_fetch_add(&d->lines, back[i] == '\n');
    fclose(file);
    d->errors += leat_dump(-1) != -EBADF;
    d->errors += leat_dump_to(NULL, NULL) != -EINVAL;
    leat_mutex_unlock(&d->mutex);
    return 0;
}

/* Goal: a line for each, with what it waits for and at what. */
Test(dump, says_what_each_waits_for, .timeout = 60)
{
    static struct dump d;

    cr_assert(eq(int, kit_run(2, kinds_main, &d), 0));
    cr_expect(eq(int, d.result, 4), "%s", d.text);
    cr_expect(eq(ulong, atomic_load(&d.lines), 4));
    cr_expect(eq(int, d.errors, 0));
    cr_expect(eq(uint, kit_occurs(d.text, "the main coroutine (coroutine "), 1), "%s", d.text);
    cr_expect(eq(uint, kit_occurs(d.text, "): running\n"), 1), "%s", d.text);
    cr_expect(eq(uint, kit_occurs(d.text, "(locks): waiting, mutex 0x"), 1), "%s", d.text);
    cr_expect(eq(uint, kit_occurs(d.text, "\"a reader\", spawned at "), 1), "%s", d.text);
    cr_expect(eq(uint, kit_occurs(d.text, "(reads): waiting, read on descriptor "), 1), "%s",
              d.text);
    cr_expect(eq(uint, kit_occurs(d.text, "(sleeps): waiting, sleep, for at most 3"), 1), "%s",
              d.text);
}

/* Goal: without a run there is nothing to say. */
Test(dump, outside_a_run, .timeout = 60)
{
    cr_expect(eq(int, leat_dump(2), -ESHUTDOWN));
    cr_expect(eq(int, leat_dump_to(to_text, NULL), -ESHUTDOWN));
}

/* --- while everything moves --- */

static void short_life(struct dump *d, int depth)
{
    leat_set_name(depth % 2 ? "first name of this one" : "second");
    leat_yield();
    leat_set_name("another");
    if (depth % 3 == 0)
        leat_mutex_lock(&d->mutex), leat_yield(), leat_mutex_unlock(&d->mutex);
    leat_wg_done(&d->wg);
}

static void check_line(void *arg, const char *line)
{
    struct dump *d = arg;

    atomic_fetch_add(&d->lines, 1);
    if ((strncmp(line, "coroutine ", 10) && strncmp(line, "the main coroutine ", 19)) ||
        !strchr(line, ':') || strlen(line) > 500)
        atomic_fetch_add(&d->torn, 1);
}

static void *dumper(void *arg)
{
    struct dump *d = arg;

    while (!atomic_load(&d->stop))
        if (leat_dump_to(check_line, d) < 0)
            atomic_fetch_add(&d->torn, 1);
    return NULL;
}

static void dumps_too(struct dump *d)
{
    while (!atomic_load(&d->stop)) {
        (void)leat_dump_to(check_line, d);
        leat_yield();
    }
}

static int moving_main(void *arg)
{
    struct dump *d = arg;
    pthread_t t;

    if (pthread_create(&t, NULL, dumper, d))
        return 3;
    (void)go(dumps_too, d);
    for (int round = 0; round < (KIT_VALGRIND ? 10 : 200); round++) {
        leat_attr attr = {.name = "spawned with a name"};

        leat_wg_add(&d->wg, 20);
        for (int i = 0; i < 20; i++)
            if ((i % 2 ? leat_go_attr(&attr, short_life, d, i) : go(short_life, d, i)) < 0)
                leat_wg_done(&d->wg);
        if (leat_wg_wait(&d->wg, LEAT_FOREVER) < 0)
            return 4;
    }
    (void)kit_reach(&d->lines, 1, KIT_LONG);
    atomic_store(&d->stop, 1);
    pthread_join(t, NULL);
    return 0;
}

/*
 * Goal: dumps beside coroutines that begin, change their names, wait and end: each line is whole
 * (and ThreadSanitizer is content).
 */
Test(dump, while_everything_moves, .timeout = 120)
{
    for (unsigned i = 0; i < KIT_NR_PROCS; i++) {
        static struct dump d;

        memset(&d, 0, sizeof(d));
        cr_assert(eq(int, kit_run(kit_procs[i], moving_main, &d), 0));
        cr_expect(eq(ulong, atomic_load(&d.torn), 0));
        cr_expect(gt(ulong, atomic_load(&d.lines), 0));
    }
}

/* --- by signal --- */

/* So many dumps are complete. */
static bool dumped(unsigned n)
{
    int64_t until = leat_now() + KIT_LONG;

    while (kit_said("leat: end of the dump") < n) {
        if (leat_now() > until)
            return false;
        (void)leat_sleep(5 * LEAT_MSEC);
    }
    return true;
}

static int signal_main(void *arg)
{
    struct dump *d = arg;
    uint64_t waits = waits_begun();

    (void)go(sleeps, d);
    if (!waits_await(waits + 1))
        return 4;
    for (unsigned i = 0; i < 3; i++) {
        /* the monitor has gone to sleep for good by the last one */
        (void)leat_sleep(i == 2 ? 300 * LEAT_MSEC : LEAT_MSEC);
        kill(getpid(), SIGUSR2);
        if (!dumped(i + 1))
            return 5;
    }
    return 0;
}

static int signal_body(void *arg)
{
    struct dump *d = arg;
    int r;

    setenv("LEAT_DUMP_SIGNAL", "USR2", 1);
    signal(SIGUSR2, SIG_IGN);
    r = kit_run(d->procs, signal_main, d);
    /* the program's own handling is back */
    return r == 0 && signal(SIGUSR2, SIG_DFL) == SIG_IGN ? 0 : 3;
}

/* Goal: each signal gives a dump on stderr, and the run goes on. */
Test(dump, by_signal, .timeout = 60)
{
    struct dump d = {.procs = 2};
    char text[KIT_TEXT_BYTES];
    int status = kit_child(signal_body, &d, 30000, text);

    cr_expect(kit_exited(status, 0), "status %d: %s", status, text);
    cr_expect(eq(uint, kit_occurs(text, "leat: dump of all coroutines:\n"), 3), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "leat: end of the dump: 2 coroutines\n"), 3), "%s", text);
    cr_expect(eq(uint, kit_occurs(text, "(sleeps): waiting, sleep"), 3), "%s", text);
}
