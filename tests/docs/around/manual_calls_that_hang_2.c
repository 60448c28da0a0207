/* The library's thread is one that the program begins, for the example. */
#include <leat/leat.h>

#include <pthread.h>
#include <string.h>

EXAMPLE
static void *library(void *connection)
{
    on_packet(connection, "packet", 6);
    return NULL;
}

static int example(void *arg)
{
    char got[6];
    int fds[2];
    pthread_t t;
    ssize_t n;

    (void)arg;
    if (leat_socketpair(SOCK_STREAM, fds) != 0 || pthread_create(&t, NULL, library, &fds[1]) != 0)
        return 1;
    n = leat_read_full(fds[0], got, sizeof(got), leat_after(10 * LEAT_SEC));
    pthread_join(t, NULL);
    leat_close(fds[0]);
    leat_close(fds[1]);
    return n == 6 && memcmp(got, "packet", 6) == 0 ? 0 : 2;
}

int main(void)
{
    return leat_run(example, NULL);
}
