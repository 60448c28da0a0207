/*
 * Scenarios: calls on files, by the ring and by threads of the pool.
 */
#include "kit.h"

#include "all.h"
#include "os_fd.h"

#define CALLERS_MAX 7 /* the ring takes 4 */
#define HERE __builtin_return_address(0)
#define BYTES 8
#define FAULTS                                                                                     \
    (SIM_FAULT_INTR | SIM_FAULT_SPURIOUS | SIM_FAULT_LATE_THREAD | SIM_FAULT_SHORT |               \
     SIM_FAULT_LATE_EVENT)

static struct {
    leat_waitgroup over;
    unsigned rounds;
    int fd;
} s;

/* The memory is the caller's again, whatever came of it. */
static long one_read(leat_deadline until)
{
    unsigned char buf[BYTES] = {0};
    ssize_t n = leat_pread(s.fd, buf, BYTES, 0, until);
    unsigned filled = 0;

    sim_touch(buf, BYTES, true, HERE);
    for (unsigned i = 0; i < BYTES; i++)
        filled += buf[i] == SIM_FILLED;
    sim_check(n == BYTES || n == -ETIMEDOUT || n == -ECANCELED, "a read gave %zd", n);
    sim_check(filled == (n == BYTES ? BYTES : 0), "after %zd %u bytes were filled", n, filled);
    return n == BYTES ? 0 : (long)n;
}

static long one_call(unsigned i, leat_deadline until)
{
    char byte = 1;
    ssize_t n;

    switch (i % 3) {
    case 0:
        n = leat_fsync(s.fd, until);
        break;
    case 1:
        n = leat_pwrite(s.fd, &byte, 1, 0, until) - 1;
        sim_touch(&byte, 1, true, HERE);
        if (n < 0)
            n++;
        break;
    default:
        return one_read(until);
    }
    sim_check(n == 0 || n == -ETIMEDOUT || n == -ECANCELED, "a call gave %zd", n);
    return (long)n;
}

static void caller(unsigned i, int64_t span_ns)
{
    for (unsigned n = 0; n < s.rounds; n++) {
        long r = one_call(i + n, span_ns ? leat_after(span_ns) : LEAT_FOREVER);

        sim_check(span_ns || r == 0, "without a deadline it gave %ld", r);
    }
    leat_wg_done(&s.over);
}

static void begin(void)
{
    int fds[2];

    memset(&s, 0, sizeof(s));
    s.rounds = 1 + sim_shape(3);
    sim_check(leat_pipe(fds) == 0, "no descriptor");
    s.fd = fds[0];
}

static int files_main(void *arg)
{
    unsigned n = 1 + sim_shape(CALLERS_MAX);
    bool deadlines = sim_shape(2);

    (void)arg;
    begin();
    leat_wg_add(&s.over, (int)n);
    for (unsigned i = 0; i < n; i++)
        sim_check(go(caller, i, deadlines ? (int64_t)(10 + 60 * i) * LEAT_USEC : (int64_t)0) == 0,
                  "no coroutine");
    sim_check(leat_wg_wait(&s.over, LEAT_FOREVER) == 0, "a wait gave up");
    return 0;
}

void scenario_files(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 1 + sim_shape(3),
                          .shutdown_grace_ms = 100000};

    kit_run_config(&config, FAULTS, files_main, NULL);
}

/* --- cancelled --- */

static long cancelled_caller(unsigned i, int64_t span_ns)
{
    return one_call(i, span_ns ? leat_after(span_ns) : LEAT_FOREVER);
}

static int cancel_main(void *arg)
{
    leat_handle *h[3];

    (void)arg;
    begin();
    for (unsigned i = 0; i < 3; i++)
        sim_check(leat_go_join(&h[i], cancelled_caller, i + sim_shape(3),
                               sim_shape(2) ? (int64_t)(30 + sim_shape(20)) * LEAT_USEC
                                            : (int64_t)0) == 0,
                  "no coroutine");
    if (sim_shape(4))
        (void)leat_sleep((int64_t)(sim_shape(2) ? 30 : sim_shape(500)) * LEAT_USEC);
    for (int i = 0; i < 3; i++)
        leat_cancel(h[i]);
    for (int i = 0; i < 3; i++) {
        leat_result r;

        sim_check(leat_join(h[i], &r, LEAT_FOREVER) == 0, "no join");
        sim_check(r == 0 || r == -ECANCELED || r == -ETIMEDOUT, "cancelled: %lld", (long long)r);
    }
    return 0;
}

void scenario_files_cancel(void)
{
    leat_config config = {.procs = kit_procs(2),
                          .max_threads = 10,
                          .blocking_threads = 1,
                          .shutdown_grace_ms = 100000};

    kit_run_config(&config, FAULTS, cancel_main, NULL);
}
