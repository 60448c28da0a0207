/*
 * The program closes the poller's own descriptors, as a loop over all numbers does: the run cannot
 * go on, and says what happened.
 */
#include "support/test.h"

#include "sched/kit.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Closes each descriptor of this kind. Returns: how many. */
static int close_all(const char *kind)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    int n = 0;

    while (dir && (e = readdir(dir))) {
        char path[PATH_MAX], to[64];
        ssize_t len;

        snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
        len = readlink(path, to, sizeof(to) - 1);
        if (len <= 0)
            continue;
        to[len] = '\0';
        if (strcmp(to, kind) == 0 && close(atoi(e->d_name)) == 0)
            n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

static void nothing(void)
{
}

/* Spawns while the processors sleep: each time one of them has to be woken. */
static void *spawn_on(void *arg)
{
    int64_t until = leat_now() + KIT_LONG;

    (void)arg;
    while (leat_now() < until) {
        (void)go(nothing);
        usleep(2000);
    }
    return NULL;
}

static int close_main(void *arg)
{
    pthread_t t;

    (void)leat_sleep(LEAT_MSEC); /* there is a poller now, if there was none */
    if (close_all(arg) < 1 || pthread_create(&t, NULL, spawn_on, NULL))
        return 3;
    return leat_sleep(KIT_LONG);
}

static int close_body(void *arg)
{
    leat_config config = {.procs = 1};

    return leat_run_with(&config, close_main, arg);
}

/* Goal: a message that names the descriptor and asks, and abort; not a run that hangs. */
Test(own_fds, closed_by_the_program, .timeout = 120)
{
    static const char *kinds[] = {"anon_inode:[eventpoll]", "anon_inode:[eventfd]"};

    for (int i = 0; i < 2; i++) {
        char text[KIT_TEXT_BYTES];
        int status = kit_child(close_body, (void *)kinds[i], 60000, text);

        bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;

        cr_expect(aborted, "%s: status %#x: %s", kinds[i], (unsigned)status, text);
        cr_expect(ge(u32, kit_occurs(text, "was it closed by the program?"), 1), "%s: %s", kinds[i],
                  text);
    }
}
