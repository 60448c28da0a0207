#include <leat/leat.h>
#include <string.h>

EXAMPLE

static leat_result tell(int client, int server)
{
    proxy(client, server);
    return 0;
}

/* A question, its end, and the answer after that. */
static int try_it(void *arg)
{
    int near[2], far[2];
    leat_handle *h;
    leat_result r;
    char got[8];

    (void)arg;
    if (leat_socketpair(SOCK_STREAM, near) != 0 || leat_socketpair(SOCK_STREAM, far) != 0 ||
        leat_go_join(&h, tell, near[1], far[0]) != 0)
        return 1;
    if (leat_write_all(near[0], "what", 4, LEAT_FOREVER) != 4 || shutdown(near[0], SHUT_WR) != 0 ||
        leat_read_full(far[1], got, sizeof(got), leat_after(20 * LEAT_SEC)) != 4 ||
        leat_write_all(far[1], "that", 4, LEAT_FOREVER) != 4)
        return 2;
    leat_close(far[1]);
    if (leat_read_full(near[0], got, sizeof(got), leat_after(20 * LEAT_SEC)) != 4 ||
        memcmp(got, "that", 4) != 0)
        return 3;
    leat_close(near[0]);
    return leat_join(h, &r, leat_after(20 * LEAT_SEC));
}

int main(void)
{
    return leat_run(try_it, NULL);
}
