/*
 * Settling the settings: defaults, leat_config, environment; every bad value and its message.
 */
#include "support/test.h"

#include "sched/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- fixture: four made-up CPUs, a list of variables, and what was said on stderr --- */

#define ENV(...) ((char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static struct lea_cpus cpus;
static struct lea_config out;
static char said[8192];

static struct lea_cpus cpus_of(const char *list, unsigned quota, bool whole)
{
    struct lea_cpus c = {.quota = quota, .whole_machine = whole};
    const char *why;

    if (lea_cpuset_parse(&c.allowed, list, &why))
        cr_fatal("the list \"%s\": %s", list, why);
    c.nr_allowed = lea_cpuset_count(&c.allowed);
    c.nr_usable = quota && quota < c.nr_allowed ? quota : c.nr_allowed;
    return c;
}

static void setup(void)
{
    cpus = cpus_of("0-3", 0, true);
}

TestSuite(settings, .init = setup, .timeout = 60);

/* Reads back what went to stderr since it was sent to @file. */
static void take_said(FILE *file)
{
    size_t n;

    rewind(file);
    n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
}

/* Resolves with stderr caught in said[]. */
static int resolve(const leat_config *user, char **env)
{
    FILE *file = tmpfile();
    int kept = dup(2);
    int result;

    if (!file || kept < 0 || dup2(fileno(file), 2) < 0)
        cr_fatal("cannot catch stderr");
    memset(&out, 0xff, sizeof(out));
    result = lea_config_resolve_from(&out, user, env, &cpus);
    dup2(kept, 2);
    close(kept);
    take_said(file);
    fclose(file);
    return result;
}

static unsigned nr_lines(void)
{
    unsigned n = 0;

    for (const char *c = said; *c; c++)
        n += *c == '\n';
    return n;
}

static bool said_begins(const char *text)
{
    return strncmp(said, text, strlen(text)) == 0;
}

/* The whole of stderr is this one refusal. */
static void expect_said_refused(const char *name, const char *value, const char *why,
                                const char *accepted)
{
    char line[600];

    snprintf(line, sizeof(line), "leat: %s=\"%s\" is refused: %s; accepted: %s\n", name, value, why,
             accepted);
    cr_expect(eq(str, said, line));
}

/* One variable is refused with exactly this message. */
static void expect_refused(const char *name, const char *value, const char *why,
                           const char *accepted)
{
    char entry[128];

    snprintf(entry, sizeof(entry), "%s=%s", name, value);
    cr_expect(eq(int, resolve(NULL, ENV(entry)), -EINVAL), "%s", entry);
    expect_said_refused(name, value, why, accepted);
}

static void expect_field_refused(const leat_config *user, const char *name, const char *value,
                                 const char *why, const char *accepted)
{
    cr_expect(eq(int, resolve(user, ENV()), -EINVAL), "%s=%s", name, value);
    expect_said_refused(name, value, why, accepted);
}

/* One variable is accepted in silence. */
static void accept(const char *entry)
{
    cr_assert(eq(int, resolve(NULL, ENV((char *)entry)), 0), "%s", entry);
    cr_expect(eq(str, said, (char *)""), "%s", entry);
}

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

/* --- what is refused --- */

/* what the messages say is accepted */
#define PROCS "a whole number from 1 to 1024"
#define STACK "16k to 1G, in bytes or with k, M or G behind the number"
#define PIN "off, auto, or a list of usable CPUs such as 0-3,8"
#define COROUTINES "a whole number from 1 to 1000000000"
#define THREADS "a whole number from 2 to 100000"
#define SPIN "a whole number of microseconds from -1 to 1000000"
#define RETAKE "a whole number of microseconds from -1 to 10000000"
#define SLICE "a whole number of microseconds from 100 to 10000000"
#define NICE "a whole number from -20 to 19"
#define LOG "quiet, warn or info"
#define SCHEDTRACE "a whole number of milliseconds from 0 to 3600000"
#define TRACE "the name of a file that can be written, 1 to 1023 bytes long"
#define BLANK "a blank before or after it"

Test(settings, bad_procs)
{
    expect_refused("LEAT_PROCS", "0", "too small", PROCS);
    expect_refused("LEAT_PROCS", "1025", "too large", PROCS);
    expect_refused("LEAT_PROCS", "-1", "too small", PROCS);
    expect_refused("LEAT_PROCS", "", "empty", PROCS);
    expect_refused("LEAT_PROCS", "two", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "2 ", BLANK, PROCS);
    expect_refused("LEAT_PROCS", " 2", BLANK, PROCS);
    expect_refused("LEAT_PROCS", "1 2", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "+2", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "2.5", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "0x2", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "-", "not a whole number", PROCS);
    expect_refused("LEAT_PROCS", "4294967297", "too large", PROCS);
    expect_refused("LEAT_PROCS", "99999999999999999999999", "too large", PROCS);
    expect_refused("LEAT_PROCS", "-99999999999999999999999", "too small", PROCS);
}

Test(settings, bad_stack)
{
    expect_refused("LEAT_STACK", "0", "too small", STACK);
    expect_refused("LEAT_STACK", "16383", "too small", STACK);
    expect_refused("LEAT_STACK", "1073741825", "too large", STACK);
    expect_refused("LEAT_STACK", "2G", "too large", STACK);
    expect_refused("LEAT_STACK", "18446744073709551615G", "too large", STACK);
    expect_refused("LEAT_STACK", "99999999999999999999999", "too large", STACK);
    expect_refused("LEAT_STACK", "-64k", "not a size", STACK);
    expect_refused("LEAT_STACK", "64kB", "not a size", STACK);
    expect_refused("LEAT_STACK", "64T", "not a size", STACK);
    expect_refused("LEAT_STACK", "k", "not a size", STACK);
    expect_refused("LEAT_STACK", "", "empty", STACK);
    expect_refused("LEAT_STACK", "64k ", BLANK, STACK);
    expect_refused("LEAT_STACK", "64 k", "not a size", STACK);
    expect_refused("LEAT_STACK", "large", "not a size", STACK);
}

Test(settings, bad_numbers)
{
    static const struct {
        const char *name, *accepted, *below, *above;
    } numbers[] = {
        {"LEAT_MAX_COROUTINES", COROUTINES, "0", "1000000001"},
        {"LEAT_MAX_THREADS", THREADS, "1", "100001"},
        {"LEAT_SPIN_US", SPIN, "-2", "1000001"},
        {"LEAT_SLICE_US", SLICE, "99", "10000001"},
        {"LEAT_RETAKE_US", RETAKE, "-2", "10000001"},
        {"LEAT_NICE", NICE, "-21", "20"},
        {"LEAT_SCHEDTRACE", SCHEDTRACE, "-1", "3600001"},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        expect_refused(numbers[i].name, numbers[i].below, "too small", numbers[i].accepted);
        expect_refused(numbers[i].name, numbers[i].above, "too large", numbers[i].accepted);
        expect_refused(numbers[i].name, "-99999999999999999999", "too small", numbers[i].accepted);
        expect_refused(numbers[i].name, "99999999999999999999", "too large", numbers[i].accepted);
        expect_refused(numbers[i].name, "", "empty", numbers[i].accepted);
        expect_refused(numbers[i].name, "many", "not a whole number", numbers[i].accepted);
        expect_refused(numbers[i].name, "100us", "not a whole number", numbers[i].accepted);
        expect_refused(numbers[i].name, "100 ", BLANK, numbers[i].accepted);
    }
}

Test(settings, bad_words)
{
    expect_refused("LEAT_NETPOLL", "kqueue", "not one of the words", "epoll");
    expect_refused("LEAT_LOG", "loud", "not one of the words", LOG);
    expect_refused("LEAT_LOG", "Warn", "not one of the words", LOG);
    expect_refused("LEAT_LOG", "1", "not one of the words", LOG);
    expect_refused("LEAT_LOG", "", "empty", LOG);
    expect_refused("LEAT_LOG", "warn ", BLANK, LOG);
    expect_refused("LEAT_NETPOLL", "", "empty", "epoll");
    expect_refused("LEAT_NETPOLL", " epoll", BLANK, "epoll");
    expect_refused("LEAT_FILE_IO", "threads", "not one of the words", "auto, pool or uring");
    expect_refused("LEAT_FILE_IO", "", "empty", "auto, pool or uring");
}

#define DUMP                                                                                       \
    "a signal's number, 1 to 64, or a name such as QUIT or SIGUSR1; but not KILL, STOP, PIPE, "    \
    "32, 33, nor ABRT, BUS, FPE, ILL, SEGV, SYS, TRAP"

Test(settings, dump_signal)
{
    accept("LEAT_DUMP_SIGNAL=USR1");
    cr_expect(eq(int, out.dump_signal, SIGUSR1));
    accept("LEAT_DUMP_SIGNAL=SIGQUIT");
    cr_expect(eq(int, out.dump_signal, SIGQUIT));
    accept("LEAT_DUMP_SIGNAL=12");
    cr_expect(eq(int, out.dump_signal, 12));
    expect_refused("LEAT_DUMP_SIGNAL", "", "empty", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "usr1", "not a signal", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "SIG", "not a signal", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "0", "too small", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "65", "too large", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "-1", "too small", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "9", "one that cannot be had for this", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "SIGKILL", "one that cannot be had for this", DUMP);
    expect_refused("LEAT_DUMP_SIGNAL", "11", "one that cannot be had for this", DUMP);
}

#define CHAOS "a whole number from 0 to 9223372036854775807"

Test(settings, chaos)
{
    accept("LEAT_CHAOS=0");
    cr_expect(eq(u64, out.chaos, 0));
    accept("LEAT_CHAOS=9223372036854775807");
    cr_expect(eq(u64, out.chaos, INT64_MAX));
    expect_refused("LEAT_CHAOS", "", "empty", CHAOS);
    expect_refused("LEAT_CHAOS", "on", "not a whole number", CHAOS);
    expect_refused("LEAT_CHAOS", "-1", "too small", CHAOS);
    expect_refused("LEAT_CHAOS", "9223372036854775808", "too large", CHAOS);
    expect_field_refused(&(leat_config){.chaos = UINT64_MAX}, "leat_config.chaos",
                         "18446744073709551615", "too large", CHAOS);
    expect_refused("LEAT_CHAOS", "1 ", BLANK, CHAOS);
}

/* Goal: a file that cannot be written is noticed at the start of the run. */
Test(settings, bad_trace)
{
    expect_refused("LEAT_TRACE", "", "empty", TRACE);
    expect_refused("LEAT_TRACE", "/nonexistent/leat.trace",
                   "it cannot be written (errno 2, No such file or directory)", TRACE);
    expect_refused("LEAT_TRACE", "/", "it cannot be written (errno 21, Is a directory)", TRACE);
    expect_refused("LEAT_TRACE", "/dev/null/x", "it cannot be written (errno 20, Not a directory)",
                   TRACE);
}

Test(settings, bad_pin)
{
    expect_refused("LEAT_PIN", "", "empty", PIN);
    expect_refused("LEAT_PIN", "maybe", "neither off nor auto nor a list of CPUs", PIN);
    expect_refused("LEAT_PIN", "Auto", "neither off nor auto nor a list of CPUs", PIN);
    expect_refused("LEAT_PIN", "-1", "neither off nor auto nor a list of CPUs", PIN);
    expect_refused("LEAT_PIN", "auto ", BLANK, PIN);
    expect_refused("LEAT_PIN", "0,", "a CPU number is missing", PIN);
    expect_refused("LEAT_PIN", "99999999999999999999", "CPU numbers end at 4095", PIN);
    expect_refused("LEAT_PIN", "3-1", "a range runs backwards", PIN);
    expect_refused("LEAT_PIN", "0-4", "CPU 4 is not usable, only 0-3", PIN);
    expect_refused("LEAT_PIN", "4096", "CPU numbers end at 4095", PIN);
    expect_field_refused(&(leat_config){.pin = "9"}, "leat_config.pin", "9",
                         "CPU 9 is not usable, only 0-3", PIN);
    expect_field_refused(&(leat_config){.pin = ""}, "leat_config.pin", "", "empty", PIN);
}

Test(settings, bad_fields)
{
    expect_field_refused(&(leat_config){.procs = 2000}, "leat_config.procs", "2000", "too large",
                         PROCS);
    expect_field_refused(&(leat_config){.stack_bytes = 5}, "leat_config.stack_bytes", "5",
                         "too small", STACK);
    expect_field_refused(&(leat_config){.stack_bytes = SIZE_MAX}, "leat_config.stack_bytes",
                         "18446744073709551615", "too large", STACK);
    expect_field_refused(&(leat_config){.max_coroutines = UINT64_MAX}, "leat_config.max_coroutines",
                         "18446744073709551615", "too large", COROUTINES);
    expect_field_refused(&(leat_config){.max_threads = 1}, "leat_config.max_threads", "1",
                         "too small", THREADS);
    expect_field_refused(&(leat_config){.blocking_threads = 10001}, "leat_config.blocking_threads",
                         "10001", "too large", "a whole number from 1 to 10000");
    expect_field_refused(&(leat_config){.spin_us = -2}, "leat_config.spin_us", "-2", "too small",
                         SPIN);
    expect_field_refused(&(leat_config){.slice_us = 1}, "leat_config.slice_us", "1", "too small",
                         SLICE);
    expect_field_refused(&(leat_config){.nice = 40}, "leat_config.nice", "40", "too large", NICE);
    cr_expect(eq(int, resolve(&(leat_config){.procs = 2000}, ENV("LEAT_PROCS=2")), -EINVAL),
              "a variable does not hide the program's mistake");
}

Test(settings, all_bad_values_are_reported)
{
    cr_expect(eq(int,
                 resolve(&(leat_config){.nice = 40, .slice_us = 1},
                         ENV("LEAT_PROCS=x", "LEAT_STACK=1", "LEAT_LOG=y", "LEAT_PIN=z",
                             "LEAT_TRACE=", "LEAT_WHAT=1")),
                 -EINVAL));
    cr_expect(eq(uint, nr_lines(), 8), "%s", said);
    cr_expect(ne(ptr, strstr(said, "leat_config.nice="), NULL));
    cr_expect(ne(ptr, strstr(said, "leat_config.slice_us="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_PROCS="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_STACK="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_LOG="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_PIN="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_TRACE="), NULL));
    cr_expect(ne(ptr, strstr(said, "LEAT_WHAT is not known"), NULL));
}

/* Goal: a value full of line ends or without end still makes one readable line. */
Test(settings, hostile_values_stay_on_one_line)
{
    char entry[5000] = "LEAT_PROCS=x\n\033[2J\xff";
    size_t used = strlen(entry);

    memset(entry + used, '7', sizeof(entry) - used - 1);
    cr_expect(eq(int, resolve(NULL, ENV(entry)), -EINVAL));
    cr_expect(eq(uint, nr_lines(), 1));
    cr_expect(said_begins("leat: LEAT_PROCS=\"x??[2J?777"), "%s", said);
    cr_expect(
        ne(ptr, strstr(said, "7...\" is refused: not a whole number; accepted: " PROCS "\n"), NULL),
        "%s", said);
    memcpy(entry, "LEAT_TRACE=", 11);
    cr_expect(eq(int, resolve(NULL, ENV(entry)), -EINVAL));
    cr_expect(ne(ptr, strstr(said, "is refused: too long; accepted: the name of a file"), NULL),
              "%s", said);
    memset(entry, 'X', sizeof(entry) - 1);
    memcpy(entry, "LEAT_", 5);
    cr_expect(eq(int, resolve(NULL, ENV(entry)), 0));
    cr_expect(eq(uint, nr_lines(), 1));
    cr_expect(ne(ptr, strstr(said, "LEAT_LOG\n"), NULL), "the whole list is there: %s", said);
}

Test(settings, unknown_variables_get_one_warning_each)
{
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_PROC=3", "LEAT_PROCS2", "LEAT_=1")), 0));
    cr_expect(eq(uint, nr_lines(), 3), "%s", said);
    cr_expect(said_begins("leat: LEAT_PROC is not known, and ignored; known are: LEAT_PROCS, "
                          "LEAT_PIN, LEAT_STACK, "
                          "LEAT_MAX_COROUTINES, LEAT_MAX_THREADS, LEAT_BLOCKING_THREADS, "
                          "LEAT_SPIN_US, LEAT_SLICE_US, "
                          "LEAT_RETAKE_US, LEAT_NICE, LEAT_NETPOLL, LEAT_FILE_IO, "
                          "LEAT_SCHEDTRACE, LEAT_TRACE, LEAT_DUMP_SIGNAL, LEAT_CHAOS, LEAT_LOG\n"),
              "%s", said);
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_PROC=3", "LEAT_LOG=quiet")), 0));
    cr_expect(eq(str, said, (char *)""), "quiet says nothing but errors");
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_PROC=3")), 0));
    cr_expect(eq(uint, nr_lines(), 1), "and does not outlive its run");
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_LOG=info")), 0));
    cr_expect(said_begins("leat: 4 processors, pinned; usable CPUs 0-3, "), "%s", said);
    cr_assert(eq(int, resolve(NULL, ENV("LEAT_LOG=info", "LEAT_PROCS=1")), 0));
    cr_expect(said_begins("leat: 1 processor, "), "%s", said);
    cr_expect(eq(uint, nr_lines(), 1));
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
