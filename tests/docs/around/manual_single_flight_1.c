/* Rendering says how long the name is. */
#include <leat/leat.h>

#include <string.h>

static leat_flight pages;

static leat_result render(const char *name)
{
    return (leat_result)strlen(name);
}

static int run(void *arg)
{
    const char *name = arg;

EXAMPLE
    return err == 0 && page == 10 ? 0 : 1;
}

int main(void)
{
    char name[] = "index.html";

    return leat_run(run, name);
}
