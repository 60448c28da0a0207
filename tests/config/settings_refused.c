/*
 * Settling the settings: every bad value and its message, variables that are not known, and the one
 * line that each of them gets.
 */
#include "support/test.h"

#include "config/settings.h"

TestSuite(settings_refused, .init = setup, .timeout = 60);

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

Test(settings_refused, bad_procs)
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

Test(settings_refused, bad_stack)
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

Test(settings_refused, bad_numbers)
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

Test(settings_refused, bad_words)
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

Test(settings_refused, dump_signal)
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

Test(settings_refused, chaos)
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
Test(settings_refused, bad_trace)
{
    expect_refused("LEAT_TRACE", "", "empty", TRACE);
    expect_refused("LEAT_TRACE", "/nonexistent/leat.trace",
                   "it cannot be written (errno 2, No such file or directory)", TRACE);
    expect_refused("LEAT_TRACE", "/", "it cannot be written (errno 21, Is a directory)", TRACE);
    expect_refused("LEAT_TRACE", "/dev/null/x", "it cannot be written (errno 20, Not a directory)",
                   TRACE);
}

Test(settings_refused, bad_pin)
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

Test(settings_refused, bad_fields)
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

Test(settings_refused, all_bad_values_are_reported)
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
Test(settings_refused, hostile_values_stay_on_one_line)
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

Test(settings_refused, unknown_variables_get_one_warning_each)
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
