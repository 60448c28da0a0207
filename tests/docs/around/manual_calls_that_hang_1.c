/* The numeric address needs no server. */
#include <leat/leat.h>

#include <errno.h>
#include <netdb.h>

struct query {
    const char *host, *service;
    struct addrinfo *found;
};

EXAMPLE
static int example(void *arg)
{
    struct query q = {"127.0.0.1", "80", NULL};

    (void)arg;
    if (find_host(&q) != 0 || !q.found)
        return 1;
    freeaddrinfo(q.found);
    return 0;
}

int main(void)
{
    return leat_run(example, NULL);
}
