/*
 * Dumps at any time. Contract: include/leat/dump.h.
 *
 * No bracket: the callers of the program run on, and a signal handler may have come in the middle
 * of one. A run does not end while a worker of it is in user code; plain threads hold it.
 */
#include "base/os.h"
#include "inspect/lines.h"

#include <errno.h>
#include <leat/dump.h>
#include <limits.h>
#include <string.h>

#define CHUNK_BYTES 1024u

/* Lines on their way to a descriptor, several at once. */
struct sink {
    int fd;
    int error;
    size_t used;
    char at[CHUNK_BYTES];
};
_Static_assert(LEA_LINE_BYTES < CHUNK_BYTES, "a line and its line feed fit in");

static void flush(struct sink *s)
{
    for (size_t done = 0; done < s->used && !s->error;) {
        ssize_t n = lea_os_write(s->fd, s->at + done, s->used - done);

        if (n > 0)
            done += (size_t)n;
        else if (n != -EINTR)
            s->error = n < 0 ? (int)n : -EIO;
    }
    s->used = 0;
}

static void to_sink(void *arg, const char *text)
{
    struct sink *s = arg;
    size_t n = strlen(text);

    if (s->used + n + 1 > sizeof(s->at))
        flush(s);
    memcpy(s->at + s->used, text, n);
    s->used += n;
    s->at[s->used++] = '\n';
}

/* *held: lea_rt_drop() is due. NULL: no run. */
static struct lea_runtime *run_of_caller(bool *held)
{
    struct lea_worker *m = lea_self();

    *held = !m;
    return m ? m->rt : lea_rt_hold();
}

static int as_int(uint64_t n)
{
    return n < INT_MAX ? (int)n : INT_MAX;
}

int leat_dump_to(void (*line)(void *arg, const char *text), void *arg)
{
    struct lea_runtime *rt;
    uint64_t n;
    bool held;

    if (!line)
        return -EINVAL;
    rt = run_of_caller(&held);
    if (!rt)
        return lea_outside(-ESHUTDOWN);
    n = lea_lines(rt, false, line, arg);
    if (held)
        lea_rt_drop();
    return as_int(n);
}

int leat_dump(int fd)
{
    struct sink s = {.fd = fd};
    int n = leat_dump_to(to_sink, &s);

    flush(&s);
    return s.error ? s.error : n;
}
