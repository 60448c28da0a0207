/* Three lines come back in order. */
#include <leat/leat.h>

#include <errno.h>
#include <string.h>

EXAMPLE
static int example(void *arg)
{
    static const char text[] = "cherry\napple\nbanana\n";
    char out[64] = "";
    int n = sorted_lines(text, strlen(text), out, sizeof(out) - 1);

    (void)arg;
    return n == (int)strlen(text) && strcmp(out, "apple\nbanana\ncherry\n") == 0 ? 0 : 1;
}

int main(void)
{
    return leat_run(example, NULL);
}
