/*
 * Threads of the program's that are attached to a run: what dumps and reports say of them.
 */
#define _GNU_SOURCE
#include "support/test.h"

#include "sched/attach.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* --- reports --- */

static void to_text(void *arg, const char *line)
{
    struct world *w = arg;
    size_t room = sizeof(w->text) - w->used;
    int n = snprintf(w->text + w->used, room, "%s\n", line);

    w->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void *waits_for_event(void *arg)
{
    struct world *w = arg;

    count_wrong(w, leat_attach_thread("waiter") == 0);
    atomic_fetch_add(&w->attached, 1);
    count_wrong(w, leat_event_wait(&w->event, LEAT_FOREVER) == 0);
    leat_detach_thread();
    return NULL;
}

static int dumped_main(void *arg)
{
    struct world *w = arg;
    pthread_t t = thread(waits_for_event, w);

    if (!kit_reach(&w->attached, 1, KIT_LONG))
        return 1;
    for (int i = 0; i < 20000 && !strstr(w->text, "waiting, event"); i++) {
        w->used = 0;
        (void)leat_sleep(LEAT_MSEC);
        if (leat_dump_to(to_text, w) != 2)
            return 2;
    }
    leat_event_set(&w->event);
    return ends(t) ? 0 : 3;
}

Test(attach_reports, dumps_name_it, .timeout = 60)
{
    static struct world w;

    cr_assert(eq(int, kit_run(2, dumped_main, &w), 0));
    cr_expect(ne(ptr, strstr(w.text, "thread "), NULL), "%s", w.text);
    cr_expect(ne(ptr, strstr(w.text, " \"waiter\", attached (coroutine "), NULL), "%s", w.text);
    cr_expect(ne(ptr, strstr(w.text, ": waiting, event "), NULL), "%s", w.text);
}

static int stuck_main(void *arg)
{
    struct world *w = arg;
    pthread_t t = thread(waits_for_event, w);

    if (!kit_reach(&w->attached, 1, KIT_LONG))
        return 3;
    if (leat_event_wait(&w->event, LEAT_FOREVER) < 0)
        return 6;
    return ends(t) ? 4 : 5;
}

static int stuck_child(void *arg)
{
    leat_config config = {.procs = 2, .shutdown_grace_ms = 20000};

#ifdef __aarch64__
    config.threads_stay_out = true; /* an emulator has threads of its own */
#else
    config.threads_stay_out = KIT_TSAN; /* likewise */
#endif

    return leat_run_with(&config, stuck_main, arg);
}

/*
 * Goal: an attached thread that waits is part of a deadlock, where any other thread of the program
 * would keep it from being reported.
 */
Test(attach_reports, deadlock, .timeout = 60)
{
    char text[KIT_TEXT_BYTES];
    struct world w = {.stop = false};
    int status = kit_child(stuck_child, &w, 40000, text);

    cr_expect(kit_exited(status, 2), "status %#x: %s", (unsigned)status, text);
    cr_expect(ne(ptr, strstr(text, " \"waiter\", attached (coroutine "), NULL), "%s", text);
}

/* --- wrong uses --- */

static int wrong_use;

static void detaches_again(void *arg)
{
    (void)arg;
    leat_detach_thread();
}

static void *uses_it_wrongly(void *arg)
{
    leat_scope scope;

    if (leat_attach_thread("wrong") < 0)
        return arg;
    switch (wrong_use) {
    case 0:
        leat_unlock_thread();
        break;
    case 1:
        leat_exit_self(0);
        break;
    case 2:
        if (leat_scope_open(&scope, LEAT_FOREVER) == 0)
            leat_detach_thread();
        break;
    default:
        if (leat_defer(detaches_again, NULL) == 0)
            leat_detach_thread();
        break;
    }
    return arg;
}

static int wrong_main(void *arg)
{
    (void)arg;
    return ends(thread(uses_it_wrongly, NULL)) ? 0 : 1;
}

static int wrong_child(void *arg)
{
    return kit_run(1, wrong_main, arg);
}

Test(attach_reports, wrong_uses, .timeout = 120)
{
    static const char *const says[] = {"leat_unlock_thread, called by thread ",
                                       "leat_exit_self, called by thread ", "is still open",
                                       "leat_detach_thread, called by thread "};

    for (wrong_use = 0; wrong_use < 4; wrong_use++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(wrong_child, NULL, 40000, text);

        cr_expect(ne(int, status, 0));
        cr_expect(ne(ptr, strstr(text, says[wrong_use]), NULL), "%d: %s", wrong_use, text);
    }
}
