/*
 * A program of somebody else's, built with a sanitizer against an installed leat: what is right is
 * not reported, and what is wrong is.
 *
 *   app right      nothing to report: locks, stacks that are used again, deep frames, memory that
 *                  only a parked coroutine holds at the end
 *   app heap       a coroutine writes behind a block                     (address, valgrind)
 *   app stack      a coroutine writes behind a local array               (address)
 *   app leak       a coroutine loses a block                             (address, valgrind)
 *   app race       two coroutines write without a lock                   (thread)
 *   app overflow   a coroutine overflows an int                          (undefined)
 *   app unset      a coroutine decides by what nobody has written        (valgrind)
 */
#include <leat/leat.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 200 };

static leat_mutex mutex;
static leat_waitgroup done;
static long counted;
static volatile int zero;
static int raced;
static void *volatile lost;

struct large {
    /* too large to be passed inside the coroutine: goes onto its stack before its first turn */
    char bytes[600];
};

__attribute__((noinline)) static int deep(int n)
{
    volatile char frame[256];

    memset((char *)frame, n, sizeof(frame));
    if (n > 0 && deep(n - 1) < 0)
        return -1;
    leat_yield();
    return frame[n] == (char)n ? 0 : -1;
}

static void worker(int number, struct large args)
{
    int ok = deep(8) == 0 && args.bytes[599] == (char)number;

    leat_mutex_lock(&mutex);
    counted += ok;
    leat_mutex_unlock(&mutex);
    leat_wg_done(&done);
}

static void holder(void)
{
    char *mine = malloc(100); /* nobody else knows it */

    if (!mine)
        return;
    mine[0] = 1;
    leat_wg_done(&done);
    (void)leat_sleep(LEAT_SEC * 1000);
    free(mine);
}

__attribute__((noinline)) static void wrong_heap(void)
{
    volatile char *block = malloc(16);

    if (block)
        block[16 + zero] = 1;
    free((void *)block);
    leat_wg_done(&done);
}

__attribute__((noinline)) static void wrong_stack(void)
{
    volatile char local[16];

    local[16 + zero] = 1;
    leat_wg_done(&done);
}

__attribute__((noinline)) static void wrong_leak(void)
{
    lost = malloc(77);
    lost = NULL;
    leat_wg_done(&done);
}

/* Both at once, each on a processor: who comes first waits for the other one, in no order that counts. */
__attribute__((noinline)) static void wrong_race(void)
{
    static atomic_int here;
    int64_t until = leat_now() + 30 * LEAT_SEC;

    atomic_fetch_add_explicit(&here, 1, memory_order_relaxed);
    while (atomic_load_explicit(&here, memory_order_relaxed) < 2 && leat_now() < until)
        ;
    for (int i = 0; i < 1000; i++) {
        raced++;
        leat_yield();
    }
    leat_wg_done(&done);
}

__attribute__((noinline)) static void wrong_overflow(void)
{
    int most = INT_MAX - zero;

    most++;
    raced = most;
    leat_wg_done(&done);
}

__attribute__((noinline)) static void wrong_unset(void)
{
    int *block = malloc(sizeof(int));

    if (block && *block == 12345)
        puts("unlikely");
    free(block);
    leat_wg_done(&done);
}

/* Counted before it can end */
#define SPAWN(...)                                                                                 \
    do {                                                                                           \
        leat_wg_add(&done, 1);                                                                     \
        if (go(__VA_ARGS__) != 0)                                                                  \
            exit(3);                                                                               \
    } while (0)

static int run(void *arg)
{
    const char *what = arg;

    if (!strcmp(what, "heap"))
        SPAWN(wrong_heap);
    else if (!strcmp(what, "stack"))
        SPAWN(wrong_stack);
    else if (!strcmp(what, "leak"))
        SPAWN(wrong_leak);
    else if (!strcmp(what, "overflow"))
        SPAWN(wrong_overflow);
    else if (!strcmp(what, "unset"))
        SPAWN(wrong_unset);
    else if (!strcmp(what, "race")) {
        SPAWN(wrong_race);
        SPAWN(wrong_race);
    } else {
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < MANY; i++) {
                struct large args;

                memset(&args, i, sizeof(args));
                SPAWN(worker, i, args);
            }
            if (leat_wg_wait(&done, LEAT_FOREVER) != 0)
                return 1;
        }
        if (counted != 3 * MANY)
            return 2;
    }
    if (leat_wg_wait(&done, LEAT_FOREVER) != 0)
        return 1;
    return 0;
}

/*
 * One processor: when we go on the holder is parked, and what it holds lies on its stack. Beside
 * another one it might still be on its way there, with that in a register of a thread that exit()
 * ends.
 */
static int end_beside_holder(void *arg)
{
    (void)arg;
    SPAWN(holder);
    if (leat_wg_wait(&done, LEAT_FOREVER) != 0)
        return 1;
    exit(0);
}

int main(int argc, char **argv)
{
    leat_config config = {.procs = 4, .stack_bytes = 256 << 10};
    char *what = argc > 1 ? argv[1] : (char *)"right";
    int r = leat_run_with(&config, run, what);

    config.procs = 1;
    return r == 0 && !strcmp(what, "right") ? leat_run_with(&config, end_beside_holder, NULL) : r;
}
