/*
 * Loads libleat with dlopen, as a plug-in of a program that knows nothing of leat would, and runs a
 * coroutine.
 *
 *   loader PATH-OF-LIBLEAT
 */
#include <dlfcn.h>
#include <stdio.h>

static int run(void *arg)
{
    return *(int *)arg + 1;
}

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*leat_run)(int (*)(void *), void *);
    int number = 41;

    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&leat_run = dlsym(library, "leat_run");
    if (!leat_run || leat_run(run, &number) != 42) {
        fprintf(stderr, "leat_run does not run\n");
        return 1;
    }
    return 0;
}
