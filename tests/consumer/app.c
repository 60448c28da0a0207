/*
 * A program of somebody else's, built against an installed leat: coroutines run, and the allocator
 * is the one that was asked for.
 *
 *   app jemalloc|libc
 */
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

/* There when jemalloc is linked */
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

static void add(leat_waitgroup *wg, int *sum, int n)
{
    *sum += n;
    leat_wg_done(wg);
}

static int run(void *arg)
{
    leat_waitgroup wg = {0};
    int sum = 0;

    (void)arg;
    for (int i = 1; i <= 10; i++) {
        leat_wg_add(&wg, 1);
        if (go(add, &wg, &sum, i) != 0)
            return -1;
    }
    return leat_wg_wait(&wg, LEAT_FOREVER) == 0 ? sum : -2;
}

int main(int argc, char **argv)
{
    /* one processor: the members add to a plain int */
    leat_config config = {.procs = 1};
    int sum = leat_run_with(&config, run, NULL);
    bool want_jemalloc = argc > 1 && !strcmp(argv[1], "jemalloc");

    if (sum != 55 || want_jemalloc != (mallctl != NULL)) {
        fprintf(stderr, "sum %d, jemalloc is %s\n", sum, mallctl ? "there" : "not there");
        return 1;
    }
    return 0;
}
