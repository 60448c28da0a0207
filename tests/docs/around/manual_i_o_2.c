/* Two bytes go through, with a pause; then silence lasts a moment here, not half a minute. */
#include <leat/leat.h>

#include <errno.h>
#include <sys/socket.h>

static leat_deadline moment(void)
{
    return leat_after(2 * LEAT_SEC);
}

#define leat_after(span) moment()
EXAMPLE
#undef leat_after

static int body(void *arg)
{
    int in[2], out[2];
    leat_handle *h;
    leat_result result;
    char c[3] = "";

    (void)arg;
    if (leat_socketpair(SOCK_STREAM, in) < 0 || leat_socketpair(SOCK_STREAM, out) < 0)
        return 1;
    if (leat_go_join(&h, pass_while_it_moves, out[0], in[0]) < 0)
        return 2;
    if (leat_write(in[1], "a", 1, LEAT_FOREVER) != 1 || leat_sleep(100 * LEAT_MSEC) < 0 ||
        leat_write(in[1], "b", 1, LEAT_FOREVER) != 1)
        return 3;
    if (leat_read_full(out[1], c, 2, leat_after(20 * LEAT_SEC)) != 2 || c[0] != 'a' || c[1] != 'b')
        return 4;
    if (leat_join(h, &result, LEAT_FOREVER) != 0 || result != -ETIMEDOUT)
        return 5;
    return 0;
}

int main(void)
{
    return leat_run(body, NULL);
}
