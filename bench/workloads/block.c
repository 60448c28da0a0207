/*
 * block - four coroutines in a blocking read(2) of a pipe for 200 ms; another one wakes every
 * millisecond beside them.
 *
 * Argument 1: nobody tells the runtime that the call may block. 2: leat_block_enter() does.
 */
#include "bench.h"
#include "ticker.h"

#include <leat/leat.h>
#include <unistd.h>

#define READERS 4
#define SPAN_NS (200 * LEAT_MSEC)
#define FIRST_NS (20 * LEAT_MSEC)

static struct ticker ticker;

static void reader(int fd, int announced, leat_waitgroup *wg)
{
    char c;
    ssize_t n;

    if (announced)
        leat_block_enter();
    n = read(fd, &c, 1);
    if (announced)
        leat_block_leave();
    bench_must(n == 1, "read");
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    int announced = *(long *)arg == 2;
    leat_waitgroup wg = {0};
    int fd[2];

    bench_must(pipe(fd) == 0, "pipe");
    leat_wg_add(&wg, READERS);
    for (int i = 0; i < READERS; i++)
        bench_must(go(reader, fd[0], announced, &wg) == 0, "go");
    ticker_run(&ticker, SPAN_NS);
    bench_must(write(fd[1], "1234", READERS) == READERS, "write");
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    ticker_print(&ticker, FIRST_NS);
    return 0;
}

int main(int argc, char **argv)
{
    long kind = bench_arg(argc, argv, 1);

    bench_must(kind <= 2, "1 or 2");
    return leat_run(main_co, &kind) == 0 ? 0 : 1;
}
