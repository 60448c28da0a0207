/* Nobody listens there, most likely; either result is one that the text allows for. */
#include <leat/leat.h>

#include <string.h>

static int example(void *arg)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    const size_t len = strlen(request);

    (void)arg;
EXAMPLE
    if (fd >= 0)
        (void)leat_close(fd);
    return n == (ssize_t)len || n < 0 ? 0 : 1;
}

int main(void)
{
    return leat_run(example, NULL);
}
