/*
 * files - 100 coroutines read 4 KiB at random places of a file of 1 GiB; another one wakes every
 * millisecond beside them.
 *
 * Argument 1: the file is in memory. 2: it is not, when they begin; pages that were read are not
 * read from the disk again, so the time is short.
 *
 * The file is made when it is not there; bench/run takes it away.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "ticker.h"

#include <fcntl.h>
#include <leat/leat.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS 100
#define FILE_BYTES ((off_t)1 << 30)
#define READ_BYTES 4096
#define CHUNK_BYTES ((size_t)1 << 20)
#define SPAN_NS (500 * LEAT_MSEC)
#define FIRST_NS (20 * LEAT_MSEC)

static struct ticker ticker;
static int file;
static bool over; /* read by the readers: a plain flag, one read late does no harm */
static uint64_t nr_reads[READERS];

static void make(void)
{
    char *chunk = malloc(CHUNK_BYTES);
    struct stat st;

    bench_must(fstat(file, &st) == 0, "fstat");
    if (st.st_size != FILE_BYTES) {
        for (size_t i = 0; i < CHUNK_BYTES; i++)
            chunk[i] = (char)(i * 7 + 1);
        for (off_t at = 0; at < FILE_BYTES; at += (off_t)CHUNK_BYTES)
            bench_must(pwrite(file, chunk, CHUNK_BYTES, at) == (ssize_t)CHUNK_BYTES, "pwrite");
    }
    bench_must(fsync(file) == 0, "fsync");
    for (off_t at = 0; at < FILE_BYTES; at += (off_t)CHUNK_BYTES)
        bench_must(pread(file, chunk, CHUNK_BYTES, at) == (ssize_t)CHUNK_BYTES, "pread");
    free(chunk);
}

static void reader(uint64_t which, leat_waitgroup *wg)
{
    char buf[READ_BYTES];
    uint64_t state = which + 1;

    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        state = bench_splitmix(state);
        bench_must(leat_pread(file, buf, READ_BYTES,
                              (off_t)(state % (FILE_BYTES / READ_BYTES)) * READ_BYTES,
                              LEAT_FOREVER) == READ_BYTES,
                   "leat_pread");
        nr_reads[which]++;
    }
    leat_wg_done(wg);
}

static int main_co(void *arg)
{
    leat_waitgroup wg = {0};
    struct bench_span span;
    uint64_t reads = 0;

    (void)arg;
    leat_wg_add(&wg, READERS);
    bench_begin(&span);
    for (uint64_t i = 0; i < READERS; i++)
        bench_must(go(reader, i, &wg) == 0, "go");
    ticker_run(&ticker, SPAN_NS);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    bench_must(leat_wg_wait(&wg, LEAT_FOREVER) == 0, "leat_wg_wait");
    bench_end(&span);
    for (int i = 0; i < READERS; i++)
        reads += nr_reads[i];
    bench_print("reads", (double)reads / ((double)span.wall_ns / 1e9), "1/s");
    bench_print("cpu", (double)span.cpu_ns / 1e3 / (double)reads, "us");
    ticker_print(&ticker, FIRST_NS);
    return 0;
}

int main(int argc, char **argv)
{
    long kind = bench_arg(argc, argv, 1);

    bench_must(kind <= 2, "1 or 2");
    file = open("/var/tmp/leat-bench-files", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bench_must(file >= 0, "open");
    make();
    bench_must(posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM) == 0, "posix_fadvise");
    if (kind == 2)
        bench_must(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise");
    return leat_run(main_co, NULL) == 0 ? 0 : 1;
}
