/*
 * Settling the settings: what is accepted of defaults, leat_config and environment, and the counts
 * and the pinning that come of it.
 */
#include "support/test.h"

#include "config/settings.h"

#include <stdlib.h>

TestSuite(settings, .init = setup, .timeout = 60);

/* --- what is accepted --- */

static void expect_defaults(void)
{
    cr_expect(eq(uint, out.nr_procs, 4));
    cr_expect(eq(uint, out.max_threads, 516));
    cr_expect(eq(uint, out.blocking_threads, 64));
    cr_expect(eq(u64, out.max_coroutines, 10000000));
    cr_expect(eq(sz, out.stack_bytes, 65536));
    cr_expect(eq(i64, out.spin_ns, 50000));
    cr_expect(eq(i64, out.slice_ns, 10000000));
    cr_expect(eq(i64, out.shutdown_grace_ns, 1000000000));
    cr_expect(eq(i64, out.schedtrace_ns, 0));
    cr_expect(eq(int, out.nice, 0));
    cr_expect(eq(int, (int)out.log, LEA_LOG_WARN));
    cr_expect(eq(int, (int)out.netpoll, LEA_CONFIG_NETPOLL_EPOLL));
    cr_expect(eq(int, (int)out.file_io, LEA_RING_AUTO));
    cr_expect(eq(str, out.trace_path, (char *)""));
    cr_expect(eq(int, out.pinned, true));
}

Test(settings, defaults)
{
    leat_config zero = {0};

    cr_assert(eq(int, resolve(NULL, ENV()), 0));
    expect_defaults();
    cr_assert(eq(int, resolve(&zero, ENV("PATH=/bin", "XLEAT_PROCS=x", "LEAT=1", "")), 0));
    expect_defaults();
    cr_expect(eq(str, said, (char *)""));
}

static const leat_config all_fields = {
    .procs = 2,
    .pin = "off",
    .stack_bytes = 1 << 20,
    .max_coroutines = 77,
    .max_threads = 9,
    .spin_us = -1,
    .slice_us = 100,
    .nice = 5,
    .shutdown_grace_ms = 3,
};

Test(settings, fields)
{
    cr_assert(eq(int, resolve(&all_fields, ENV()), 0));
    cr_expect(eq(uint, out.nr_procs, 2));
    cr_expect(eq(int, out.pinned, false));
    cr_expect(eq(sz, out.stack_bytes, 1 << 20));
    cr_expect(eq(u64, out.max_coroutines, 77));
    cr_expect(eq(uint, out.max_threads, 9));
    cr_expect(eq(i64, out.spin_ns, 0));
    cr_expect(eq(i64, out.slice_ns, 100000));
    cr_expect(eq(int, out.nice, 5));
    cr_expect(eq(i64, out.shutdown_grace_ns, 3000000));
}

Test(settings, environment_overrides_fields)
{
    cr_assert(eq(
        int,
        resolve(&all_fields, ENV("LEAT_PROCS=3", "LEAT_PIN=1", "LEAT_STACK=128k",
                                 "LEAT_MAX_COROUTINES=5", "LEAT_MAX_THREADS=4", "LEAT_SPIN_US=7",
                                 "LEAT_SLICE_US=200", "LEAT_RETAKE_US=300", "LEAT_NICE=0",
                                 "LEAT_NETPOLL=epoll", "LEAT_FILE_IO=pool", "LEAT_SCHEDTRACE=1000",
                                 "LEAT_TRACE=/dev/null", "LEAT_LOG=quiet", "LEAT_PROCS=1")),
        0));
    cr_expect(eq(str, said, (char *)""));
    cr_expect(eq(uint, out.nr_procs, 3), "of two of one name the first counts");
    cr_expect(eq(int, out.pinned, true));
    cr_expect(eq(uint, out.pin_cpu[2], 1));
    cr_expect(eq(sz, out.stack_bytes, 131072));
    cr_expect(eq(u64, out.max_coroutines, 5));
    cr_expect(eq(uint, out.max_threads, 4));
    cr_expect(eq(i64, out.spin_ns, 7000));
    cr_expect(eq(i64, out.slice_ns, 200000));
    cr_expect(eq(i64, out.retake_ns, 300000));
    cr_expect(eq(int, out.nice, 0), "a 0 in the environment is a value");
    cr_expect(eq(i64, out.schedtrace_ns, 1000000000));
    cr_expect(eq(str, out.trace_path, (char *)"/dev/null"));
    cr_expect(eq(int, (int)out.file_io, LEA_RING_OFF));
    cr_expect(eq(int, (int)out.log, LEA_LOG_QUIET));
}

Test(settings, bounds_are_accepted)
{
    char path[1100] = "LEAT_TRACE=/tmp", name[64];

    accept("LEAT_PROCS=1");
    cr_expect(eq(uint, out.nr_procs, 1));
    accept("LEAT_PROCS=1024");
    cr_expect(eq(uint, out.nr_procs, 1024));
    cr_expect(eq(uint, out.max_threads, 1536));
    accept("LEAT_STACK=16k");
    cr_expect(eq(sz, out.stack_bytes, 16384));
    accept("LEAT_STACK=16384");
    accept("LEAT_STACK=1M");
    cr_expect(eq(sz, out.stack_bytes, 1048576));
    accept("LEAT_STACK=1m");
    accept("LEAT_STACK=64K");
    accept("LEAT_STACK=1g");
    accept("LEAT_STACK=1G");
    cr_expect(eq(sz, out.stack_bytes, 1073741824));
    accept("LEAT_STACK=1073741824");
    accept("LEAT_MAX_COROUTINES=1");
    accept("LEAT_MAX_COROUTINES=1000000000");
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_MAX_THREADS=2", "LEAT_PROCS=1")), 0));
    cr_expect(eq(str, said, (char *)""));
    accept("LEAT_MAX_THREADS=100000");
    accept("LEAT_SPIN_US=-1");
    cr_expect(eq(i64, out.spin_ns, 0));
    accept("LEAT_SPIN_US=0");
    cr_expect(eq(i64, out.spin_ns, 0));
    accept("LEAT_SPIN_US=1000000");
    accept("LEAT_SLICE_US=100");
    accept("LEAT_SLICE_US=10000000");
    accept("LEAT_RETAKE_US=-1");
    cr_expect(eq(i64, out.retake_ns, 0));
    accept("LEAT_RETAKE_US=0");
    cr_expect(eq(i64, out.retake_ns, 0));
    accept("LEAT_RETAKE_US=10000000");
    accept("LEAT_NICE=-20");
    cr_expect(eq(int, out.nice, -20));
    accept("LEAT_NICE=19");
    accept("LEAT_SCHEDTRACE=0");
    accept("LEAT_SCHEDTRACE=3600000");
    accept("LEAT_LOG=warn");
    /* others run this test at the same time */
    snprintf(name, sizeof(name), "/leat-test-trace-%d", (int)getpid());
    while (strlen(path) < strlen("LEAT_TRACE=") + 1023 - strlen(name))
        strcat(path, "/");
    strcat(path, name);
    accept(path);
    cr_expect(eq(sz, strlen(out.trace_path), 1023));
    cr_expect(eq(int, unlink(path + strlen("LEAT_TRACE=")), 0), "the file is there from the start");
}

/* --- counts and pinning that depend on each other --- */

/* Fewer threads than the processors need: as many as there is room for, and a warning. */
static void few_threads(const char *number, const char *warning)
{
    char entry[32];

    snprintf(entry, sizeof(entry), "LEAT_MAX_THREADS=%s", number);
    cr_assert(eq(int, resolve(NULL, ENV(entry)), 0));
    cr_expect(ne(ptr, strstr(said, warning), NULL), "%s in: %s", warning, said);
    cr_expect(eq(uint, nr_lines(), 1), "%s", said);
}

Test(settings, default_processors)
{
    cpus = cpus_of("0-3", 2, false);
    accept("LEAT_PIN=auto");
    cr_expect(eq(uint, out.nr_procs, 2), "the quota");
    accept("LEAT_PIN=3");
    cr_expect(eq(uint, out.nr_procs, 1), "no more than the list names");
    accept("LEAT_PIN=0-3");
    cr_expect(eq(uint, out.nr_procs, 2), "the quota again");
    accept("LEAT_PROCS=7");
    cr_expect(eq(uint, out.nr_procs, 7), "as asked for");
    cpus = cpus_of("0-2999", 0, true);
    accept("LEAT_PIN=auto");
    cr_expect(eq(uint, out.nr_procs, 1024));
    few_threads("3", "processors: 2 instead of 1024");
    cr_expect(eq(uint, out.nr_procs, 2), "room for the monitor");
    cpus = cpus_of("0-3", 0, true);
    few_threads("4", "processors: 3 instead of 4");
    cr_expect(eq(uint, out.nr_procs, 3), "as many CPUs as threads");
    accept("LEAT_MAX_THREADS=5");
    cr_expect(eq(uint, out.nr_procs, 4));
}

Test(settings, threads_must_suffice)
{
    cr_expect(eq(int, resolve(NULL, ENV("LEAT_PROCS=8", "LEAT_MAX_THREADS=8")), -EINVAL));
    expect_said_refused("LEAT_MAX_THREADS", "8", "8 processors and the monitor need 9 threads",
                        "a whole number from 9 to 100000");
    cr_expect(eq(int, resolve(NULL, ENV("LEAT_PROCS=8", "LEAT_MAX_THREADS=9")), 0));
    cr_expect(eq(int, resolve(&(leat_config){.max_threads = 8}, ENV("LEAT_PROCS=8")), -EINVAL));
    cr_expect(said_begins("leat: leat_config.max_threads=\"8\" is refused"), "%s", said);
    cr_expect(eq(int, resolve(NULL, ENV("LEAT_PROCS=x", "LEAT_MAX_THREADS=2")), -EINVAL));
    cr_expect(eq(uint, nr_lines(), 1), "no second complaint about a number that nobody gave: %s",
              said);
}

Test(settings, pin_auto)
{
    accept("LEAT_PROCS=4");
    cr_assert(eq(int, out.pinned, true));
    for (unsigned i = 0; i < 4; i++)
        cr_expect(eq(uint, out.pin_cpu[i], i));
    accept("LEAT_PROCS=3");
    cr_expect(eq(int, out.pinned, false), "several such processes would share three CPUs");
    accept("LEAT_PROCS=1");
    cr_expect(eq(int, out.pinned, false));
    few_threads("3", "processors: 2 instead of 4");
    cr_expect(eq(uint, out.nr_procs, 2));
    cr_expect(eq(int, out.pinned, false), "two of four");
    accept("LEAT_PROCS=5");
    cr_expect(eq(int, out.pinned, false), "more processors than CPUs");
    cpus.whole_machine = false;
    accept("LEAT_PROCS=4");
    cr_expect(eq(int, out.pinned, false), "not the whole machine");
    cpus = cpus_of("0,2,64", 0, true);
    accept("LEAT_PIN=auto");
    cr_assert(eq(int, out.pinned, true));
    cr_expect(eq(uint, out.pin_cpu[1], 2));
    cr_expect(eq(uint, out.pin_cpu[2], 64));
    accept("LEAT_PIN=off");
    cr_expect(eq(int, out.pinned, false));
    cr_expect(eq(uint, out.nr_procs, 3));
}

Test(settings, pin_list)
{
    static const unsigned expected[] = {1, 3, 1, 3, 1};

    cpus.whole_machine = false;
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_PROCS=5", "LEAT_PIN=3,1")), 0));
    cr_assert(eq(int, out.pinned, true));
    for (unsigned i = 0; i < 5; i++)
        cr_expect(eq(uint, out.pin_cpu[i], expected[i]));
    cr_assert(eq(int, resolve(&(leat_config){.pin = "2"}, ENV("LEAT_PIN=off")), 0));
    cr_expect(eq(int, out.pinned, false));
    cr_expect(eq(uint, out.nr_procs, 4));
}

/* --- the real environment --- */

Test(settings, real_environment)
{
    setenv("LEAT_PROCS", "6", 1);
    setenv("LEAT_PIN", "off", 1);
    cr_assert(eq(int, lea_config_resolve(&out, NULL), 0));
    cr_expect(eq(uint, out.nr_procs, 6));
    cr_expect(ge(uint, out.cpus.nr_usable, 1));
    clearenv();
    cr_assert(eq(int, lea_config_resolve(&out, NULL), 0));
    cr_expect(eq(uint, out.nr_procs, lea_cpus_usable() < 1024 ? lea_cpus_usable() : 1024));
}
