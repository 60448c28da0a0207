/*
 * switch - two contexts that hand the processor to each other: the bare register switch, no
 * scheduler.
 *
 * Prints ns per switch (a round trip is two). Under callgrind, bench/run divides the instructions
 * of lea_ctx_switch by the count.
 * Argument: round trips, default 20 million.
 */
#include "bench.h"

#include "ctx/ctx.h"

#define STACK_BYTES (64 * 1024)

static struct lea_ctx ctx_main;
static struct lea_ctx ctx[2];
static _Alignas(64) char stack[2][STACK_BYTES];
static long left;

/*
 * Both coroutines run this. As in the runtime, there is one place that switches: the processor
 * guesses where it returns to.
 */
static void bounce(void *arg)
{
    struct lea_ctx *self = arg;
    struct lea_ctx *peer = self == &ctx[0] ? &ctx[1] : &ctx[0];

    while (left-- > 0)
        (void)lea_ctx_switch(self, peer, peer);
    lea_ctx_switch_last(self, &ctx_main, NULL);
}

int main(int argc, char **argv)
{
    long rounds = bench_arg(argc, argv, 20 * 1000 * 1000);
    struct bench_span span;

    lea_ctx_adopt(&ctx_main);
    for (int i = 0; i < 2; i++)
        lea_ctx_make(&ctx[i], stack[i], stack[i] + sizeof stack[i] - (size_t)i * 192, bounce);
    left = 2 * rounds;
    bench_begin(&span);
    (void)lea_ctx_switch(&ctx_main, &ctx[0], &ctx[0]);
    bench_end(&span);

    bench_must(left == -1, "the coroutines did not take turns");
    bench_print("wall", (double)span.wall_ns / (2.0 * (double)rounds), "ns");
    return 0;
}
