/*
 * Settling the settings of a run. One table says for each what it is called, where the program sets
 * it, and what is accepted; fields of leat_config are turned into text first, so that both sources
 * pass the same parser and get the same messages.
 */
#define _GNU_SOURCE /* environ */
#include "sched/config.h"

#include "base/number.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <leat/time.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum kind { NUMBER, BYTES, CHOICE, PIN, PATH, SIGNAL };
enum field_type { NO_FIELD, UNSIGNED, INT, SIZE, U64, TEXT };
enum pin_mode { PIN_OFF, PIN_AUTO, PIN_LIST };

enum setting_id {
    PROCS,
    PIN_CPUS,
    STACK,
    MAX_COROUTINES,
    MAX_THREADS,
    BLOCKING_THREADS,
    SPIN_US,
    SLICE_US,
    RETAKE_US,
    NICE,
    GRACE_MS,
    NETPOLL,
    FILE_IO,
    SCHEDTRACE_MS,
    TRACE,
    DUMP_SIGNAL,
    CHAOS,
    LOG,
    NR_SETTINGS
};

struct setting {
    const char *env;   /* variable, NULL none */
    const char *field; /* of leat_config, NULL none */
    enum field_type type;
    size_t offset;
    enum kind kind;
    int64_t min, max;     /* NUMBER and BYTES */
    int64_t fallback;     /* when neither source says; PROCS and MAX_THREADS are computed instead */
    const char *unit;     /* NUMBER: of what, NULL a mere number */
    const char *words[3]; /* CHOICE: the value is the index */
    const char *accepted; /* NULL for NUMBER: made from the range */
};

#define FIELD(name, type_) .field = #name, .type = type_, .offset = offsetof(leat_config, name)
#define RANGE(kind_, min_, max_, fallback_)                                                        \
    .kind = kind_, .min = min_, .max = max_, .fallback = fallback_
#define MICROSECONDS " of microseconds"
#define MILLISECONDS " of milliseconds"

/* clang-format off: a table */
static const struct setting settings[NR_SETTINGS] = {
    [PROCS] = {"LEAT_PROCS", FIELD(procs, UNSIGNED), RANGE(NUMBER, 1, LEA_PROCS_MAX, 0)},
    [PIN_CPUS] = {"LEAT_PIN", FIELD(pin, TEXT), .kind = PIN, .fallback = PIN_AUTO,
                  .accepted = "off, auto, or a list of usable CPUs such as 0-3,8"},
    [STACK] = {"LEAT_STACK", FIELD(stack_bytes, SIZE),
               RANGE(BYTES, (int64_t)LEA_STACK_BYTES_MIN, (int64_t)LEA_STACK_BYTES_MAX, 64 << 10),
               .accepted = "16k to 1G, in bytes or with k, M or G behind the number"},
    [MAX_COROUTINES] = {"LEAT_MAX_COROUTINES", FIELD(max_coroutines, U64),
                        RANGE(NUMBER, 1, 1000000000, 10000000)},
    [MAX_THREADS] = {"LEAT_MAX_THREADS", FIELD(max_threads, UNSIGNED), RANGE(NUMBER, 2, 100000, 0)},
    [BLOCKING_THREADS] = {"LEAT_BLOCKING_THREADS", FIELD(blocking_threads, UNSIGNED),
                          RANGE(NUMBER, 1, 10000, 64)},
    /* 0 in the environment says the same as -1; in leat_config it is the default */
    [SPIN_US] = {"LEAT_SPIN_US", FIELD(spin_us, INT), RANGE(NUMBER, -1, 1000000, 50),
                 .unit = MICROSECONDS},
    [SLICE_US] = {"LEAT_SLICE_US", FIELD(slice_us, UNSIGNED), RANGE(NUMBER, 100, 10000000, 10000),
                  .unit = MICROSECONDS},
    /* as SPIN_US */
    [RETAKE_US] = {"LEAT_RETAKE_US", FIELD(retake_us, INT), RANGE(NUMBER, -1, 10000000, 2000),
                   .unit = MICROSECONDS},
    [NICE] = {"LEAT_NICE", FIELD(nice, INT), RANGE(NUMBER, -20, 19, 0)},
    [GRACE_MS] = {NULL, FIELD(shutdown_grace_ms, UNSIGNED), RANGE(NUMBER, 1, UINT32_MAX, 1000),
                  .unit = MILLISECONDS},
    [NETPOLL] = {"LEAT_NETPOLL", .kind = CHOICE, .fallback = LEA_CONFIG_NETPOLL_EPOLL,
                 .words = {"epoll"}, .accepted = "epoll"},
    [FILE_IO] = {"LEAT_FILE_IO", .kind = CHOICE, .fallback = LEA_RING_AUTO,
                 .words = {"auto", "pool", "uring"}, .accepted = "auto, pool or uring"},
    [SCHEDTRACE_MS] = {"LEAT_SCHEDTRACE", RANGE(NUMBER, 0, 3600000, 0), .unit = MILLISECONDS},
    [TRACE] = {"LEAT_TRACE", .kind = PATH,
               .accepted = "the name of a file that can be written, 1 to 1023 bytes long"},
    [DUMP_SIGNAL] = {"LEAT_DUMP_SIGNAL", RANGE(SIGNAL, 1, 64, 0),
                     .accepted = "a signal's number, 1 to 64, or a name such as QUIT or SIGUSR1; "
                                 "but not KILL, STOP, PIPE, 32, 33, nor "
                                 "ABRT, BUS, FPE, ILL, SEGV, SYS, TRAP"},
    [CHAOS] = {"LEAT_CHAOS", FIELD(chaos, U64), RANGE(NUMBER, 0, INT64_MAX, 0)},
    [LOG] = {"LEAT_LOG", .kind = CHOICE, .fallback = LEA_LOG_WARN,
             .words = {"quiet", "warn", "info"}, .accepted = "quiet, warn or info"},
};
/* clang-format on */

_Static_assert(LEA_LOG_QUIET == 0 && LEA_LOG_WARN == 1 && LEA_LOG_INFO == 2,
               "the words of LOG are in this order");
_Static_assert(LEA_RING_AUTO == 0 && LEA_RING_OFF == 1 && LEA_RING_WANTED == 2,
               "the words of FILE_IO are in this order");
_Static_assert(LEA_TRACE_PATH_MAX == 1024, "the text of TRACE says so");

/* A value on its way from text to number, and who gave it. */
struct value {
    bool given;    /* by a text that was accepted */
    char name[48]; /* "LEAT_PROCS" or "leat_config.procs" */
    const char *text;
    char field_text[24]; /* what text points to when it was a number in leat_config */
    int64_t number;
};

struct settling {
    struct lea_config *out;
    struct value value[NR_SETTINGS];
    struct lea_cpuset pin; /* PIN_LIST: the CPUs named */
    unsigned nr_refused;
};

/* --- messages --- */

/* Text from outside, fit for one line: cut, and nothing unprintable. */
static const char *printable(const char *text, char *buf, size_t size)
{
    size_t n = 0;

    for (; text[n] && n + 4 < size; n++)
        buf[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    strcpy(buf + n, text[n] ? "..." : "");
    return buf;
}

/* @min: the least that would do, for a number */
static void refuse_below(struct settling *s, enum setting_id id, const char *why, int64_t min)
{
    const struct setting *set = &settings[id];
    char text[84], range[96];

    snprintf(range, sizeof(range), "a whole number%s from %" PRId64 " to %" PRId64,
             set->unit ? set->unit : "", min, set->max);
    lea_log_error("%s=\"%s\" is refused: %s; accepted: %s", s->value[id].name,
                  printable(s->value[id].text, text, sizeof(text)), why,
                  set->accepted ? set->accepted : range);
    s->nr_refused++;
}

static void refuse(struct settling *s, enum setting_id id, const char *why)
{
    refuse_below(s, id, why, settings[id].min);
}

/* --- parsing: NULL, or why the text is refused --- */

static const char *in_range(const struct setting *set, int64_t number, int64_t *out)
{
    if (number < set->min)
        return "too small";
    if (number > set->max)
        return "too large";
    *out = number;
    return NULL;
}

/* Digits, moved over; a number that does not fit is as large as can be. False: no digit. */
static bool scan_digits(const char **text, uint64_t *out)
{
    size_t nr_digits = strspn(*text, "0123456789");

    if (nr_digits > 0 && !lea_number_scan(text, out)) {
        *text += nr_digits;
        *out = UINT64_MAX;
    }
    return nr_digits > 0;
}

static const char *parse_number(const struct setting *set, const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t n;

    text += negative;
    if (!scan_digits(&text, &n) || *text)
        return "not a whole number";
    if (n > INT64_MAX)
        return negative ? "too small" : "too large";
    return in_range(set, negative ? -(int64_t)n : (int64_t)n, out);
}

static const char *parse_bytes(const struct setting *set, const char *text, int64_t *out)
{
    static const char units[] = "kKmMgG";
    const char *unit;
    unsigned shift = 0;
    uint64_t n;

    if (!scan_digits(&text, &n))
        return "not a size";
    unit = *text ? strchr(units, *text) : NULL;
    if (unit) {
        shift = 10 * ((unsigned)(unit - units) / 2 + 1);
        text++;
    }
    if (*text)
        return "not a size";
    if (n > (uint64_t)INT64_MAX >> shift)
        return "too large";
    return in_range(set, (int64_t)(n << shift), out);
}

static const char *parse_choice(const struct setting *set, const char *text, int64_t *out)
{
    for (size_t i = 0; i < sizeof(set->words) / sizeof(set->words[0]) && set->words[i]; i++) {
        if (strcmp(set->words[i], text) == 0) {
            *out = (int64_t)i;
            return NULL;
        }
    }
    return "not one of the words";
}

/* @buf is where the reason goes when it is not a fixed text. */
static const char *parse_pin(struct settling *s, const char *text, int64_t *out, char *buf,
                             size_t size)
{
    const struct lea_cpuset *usable = &s->out->cpus.allowed;
    struct lea_cpuset list;
    char allowed[64];
    const char *why;

    if (strcmp(text, "off") == 0 || strcmp(text, "auto") == 0) {
        *out = text[0] == 'o' ? PIN_OFF : PIN_AUTO;
        return NULL;
    }
    if (!strchr("0123456789", text[0]))
        return "neither off nor auto nor a list of CPUs";
    if (lea_cpuset_parse(&list, text, &why))
        return why;
    for (int cpu = lea_cpuset_next(&list, 0); cpu >= 0;
         cpu = lea_cpuset_next(&list, (unsigned)cpu + 1)) {
        if (lea_cpuset_has(usable, (unsigned)cpu))
            continue;
        snprintf(buf, size, "CPU %d is not usable, only %s", cpu,
                 lea_cpuset_format(usable, allowed, sizeof(allowed)));
        return buf;
    }
    s->pin = list;
    *out = PIN_LIST;
    return NULL;
}

static int signal_called(const char *name)
{
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int signo = 1; signo < 32; signo++)
        if (sigabbrev_np(signo) && strcmp(sigabbrev_np(signo), name) == 0)
            return signo;
    return 0;
}

static const char *parse_signal(const struct setting *set, const char *text, int64_t *out)
{
    static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                  SIGABRT, SIGTRAP, SIGSYS,  SIGPIPE, 32,     33};
    const char *why = NULL;

    *out = signal_called(text);
    if (!*out)
        why = parse_number(set, text, out);
    if (why)
        return strchr("-0123456789", text[0]) ? why : "not a signal";
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (*out == refused[i])
            return "one that cannot be had for this";
    return NULL;
}

static const char *parse_path(struct settling *s, const char *text)
{
    size_t len = strlen(text);

    if (len >= sizeof(s->out->trace_path))
        return "too long";
    memcpy(s->out->trace_path, text, len + 1);
    return NULL;
}

/*
 * What is wrong with a text of whatever kind; NULL: nothing. A blank at the end of a line in a
 * script is hard to see.
 */
static const char *parse_edges(enum kind kind, const char *text)
{
    size_t len = strlen(text);

    if (len == 0)
        return "empty";
    if (kind != PATH && (strchr(" \t\r\n", text[0]) || strchr(" \t\r\n", text[len - 1])))
        return "a blank before or after it";
    return NULL;
}

/* Takes the value's text over into its number, or refuses it. */
static void value_parse(struct settling *s, enum setting_id id)
{
    const struct setting *set = &settings[id];
    struct value *v = &s->value[id];
    const char *why = parse_edges(set->kind, v->text);
    char buf[112];

    v->given = false;
    if (why) {
        refuse(s, id, why);
        return;
    }
    switch (set->kind) {
    case NUMBER:
        why = parse_number(set, v->text, &v->number);
        break;
    case BYTES:
        why = parse_bytes(set, v->text, &v->number);
        break;
    case CHOICE:
        why = parse_choice(set, v->text, &v->number);
        break;
    case PIN:
        why = parse_pin(s, v->text, &v->number, buf, sizeof(buf));
        break;
    case PATH:
        why = parse_path(s, v->text);
        break;
    case SIGNAL:
        why = parse_signal(set, v->text, &v->number);
        break;
    }
    v->given = !why;
    if (why)
        refuse(s, id, why);
}

/* --- sources --- */

/* The field's text, kept in *v; NULL when it is 0, which means "default". */
static const char *field_text(struct value *v, const struct setting *set, const leat_config *user)
{
    const char *at = (const char *)user + set->offset;
    size_t size = sizeof(v->field_text);
    uint64_t number = 0;

    switch (set->type) {
    case NO_FIELD:
        return NULL;
    case TEXT:
        return *(const char *const *)(const void *)at;
    case INT:
        snprintf(v->field_text, size, "%d", *(const int *)(const void *)at);
        return *(const int *)(const void *)at ? v->field_text : NULL;
    case UNSIGNED:
        number = *(const unsigned *)(const void *)at;
        break;
    case SIZE:
        number = *(const size_t *)(const void *)at;
        break;
    case U64:
        number = *(const uint64_t *)(const void *)at;
        break;
    }
    snprintf(v->field_text, size, "%" PRIu64, number);
    return number ? v->field_text : NULL;
}

static void take_fields(struct settling *s, const leat_config *user)
{
    for (unsigned id = 0; id < NR_SETTINGS; id++) {
        struct value *v = &s->value[id];

        v->number = settings[id].fallback;
        v->text = user ? field_text(v, &settings[id], user) : NULL;
        if (!v->text)
            continue;
        snprintf(v->name, sizeof(v->name), "leat_config.%s", settings[id].field);
        value_parse(s, id);
    }
}

/* The value of a variable; the first one counts, as for getenv(3). */
static const char *env_value(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static void take_env(struct settling *s, char *const *env)
{
    for (unsigned id = 0; id < NR_SETTINGS; id++) {
        struct value *v = &s->value[id];
        const char *text = settings[id].env ? env_value(env, settings[id].env) : NULL;

        if (!text)
            continue;
        v->text = text;
        snprintf(v->name, sizeof(v->name), "%s", settings[id].env);
        value_parse(s, id);
    }
}

static bool is_known(const char *entry)
{
    size_t len = strcspn(entry, "=");

    for (unsigned id = 0; id < NR_SETTINGS; id++) {
        const char *name = settings[id].env;

        if (name && strlen(name) == len && strncmp(name, entry, len) == 0)
            return true;
    }
    return false;
}

static void warn_of_unknown(char *const *env)
{
    char known[320] = "";
    char name[64], shown[64];

    for (unsigned id = 0; id < NR_SETTINGS; id++) {
        size_t used = strlen(known);

        if (settings[id].env)
            snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                     settings[id].env);
    }
    for (; *env; env++) {
        if (strncmp(*env, "LEAT_", 5) != 0 || is_known(*env))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*env, "="), *env);
        lea_log_warn("%s is not known, and ignored; known are: %s",
                     printable(name, shown, sizeof(shown)), known);
    }
}

/* --- settling --- */

static void settle_counts(struct settling *s)
{
    struct lea_config *out = s->out;
    const struct value *procs = &s->value[PROCS];
    const struct value *threads = &s->value[MAX_THREADS];
    unsigned n = out->cpus.nr_usable;

    if (s->value[PIN_CPUS].number == PIN_LIST && lea_cpuset_count(&s->pin) < n)
        n = lea_cpuset_count(&s->pin);
    if (n > LEA_PROCS_MAX)
        n = LEA_PROCS_MAX;
    if (procs->given) {
        n = (unsigned)procs->number;
    } else if (threads->given && n >= threads->number) {
        if (!s->nr_refused)
            lea_log_warn("%s=%" PRId64 ": processors: %" PRId64
                         " instead of %u, since each needs a thread, and the monitor one more",
                         threads->name, threads->number, threads->number - 1, n);
        n = (unsigned)threads->number - 1;
    }
    out->nr_procs = n;
    out->max_threads = threads->given ? (unsigned)threads->number : n + 512;
    if (out->max_threads <= n) {
        char why[80];

        snprintf(why, sizeof(why), "%u processors and the monitor need %u threads", n, n + 1);
        refuse_below(s, MAX_THREADS, why, (int64_t)n + 1);
    }
}

static void settle_pin(struct settling *s)
{
    struct lea_config *out = s->out;
    const struct lea_cpuset *set = &out->cpus.allowed;
    int cpu = -1;

    if (s->value[PIN_CPUS].number == PIN_LIST) {
        set = &s->pin;
        out->pinned = true;
    } else if (s->value[PIN_CPUS].number == PIN_AUTO) {
        /* fewer processors than CPUs: every such process would have chosen the same ones */
        out->pinned = out->cpus.whole_machine && out->nr_procs == out->cpus.nr_allowed;
    }
    for (unsigned i = 0; out->pinned && i < out->nr_procs; i++) {
        cpu = lea_cpuset_next(set, (unsigned)(cpu + 1));
        if (cpu < 0)
            cpu = lea_cpuset_next(set, 0);
        out->pin_cpu[i] = (uint16_t)cpu;
    }
}

/*
 * At the start, not at the end of a run that took hours. The trace of an earlier run goes: nobody
 * takes it for this one's.
 */
static void settle_trace(struct settling *s)
{
    char why[96];
    int fd;

    if (!s->value[TRACE].given)
        return;
    fd = lea_os_open(s->out->trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        snprintf(why, sizeof(why), "it cannot be written (errno %d, %s)", -fd, strerror(-fd));
        refuse(s, TRACE, why);
        return;
    }
    lea_os_close(fd);
}

static void settle_numbers(struct settling *s)
{
    struct lea_config *out = s->out;
    const struct value *v = s->value;

    out->max_coroutines = (uint64_t)v[MAX_COROUTINES].number;
    out->stack_bytes = (size_t)v[STACK].number;
    out->blocking_threads = (unsigned)v[BLOCKING_THREADS].number;
    out->spin_ns = v[SPIN_US].number > 0 ? v[SPIN_US].number * LEAT_USEC : 0;
    out->slice_ns = v[SLICE_US].number * LEAT_USEC;
    out->retake_ns = v[RETAKE_US].number > 0 ? v[RETAKE_US].number * LEAT_USEC : 0;
    out->shutdown_grace_ns = v[GRACE_MS].number * LEAT_MSEC;
    out->schedtrace_ns = v[SCHEDTRACE_MS].number * LEAT_MSEC;
    out->nice = (int)v[NICE].number;
    out->netpoll = (enum lea_config_netpoll)v[NETPOLL].number;
    out->file_io = (enum lea_ring_choice)v[FILE_IO].number;
    out->chaos = (uint64_t)v[CHAOS].number;
    out->dump_signal = (int)v[DUMP_SIGNAL].number;
    out->log = (enum lea_log_level)v[LOG].number;
}

int lea_config_resolve_from(struct lea_config *out, const leat_config *user, char *const *env,
                            const struct lea_cpus *cpus)
{
    struct settling s = {.out = out};
    char allowed[64];

    memset(out, 0, sizeof(*out));
    out->cpus = *cpus;
    take_fields(&s, user);
    if (user) {
        out->on_deadlock = user->on_deadlock;
        out->deadlock_arg = user->deadlock_arg;
        out->threads_stay_out = user->threads_stay_out;
    }
    take_env(&s, env);
    settle_numbers(&s);
    lea_log_set_level(out->log);
    warn_of_unknown(env);
    settle_counts(&s);
    settle_trace(&s);
    if (s.nr_refused)
        return -EINVAL;
    settle_pin(&s);
    lea_log_info("%u processor%s, %s; usable CPUs %s, quota %u (0: none); at most "
                 "%" PRIu64 " coroutines, %u threads",
                 out->nr_procs, out->nr_procs == 1 ? "" : "s",
                 out->pinned ? "pinned" : "not pinned",
                 lea_cpuset_format(&out->cpus.allowed, allowed, sizeof(allowed)), out->cpus.quota,
                 out->max_coroutines, out->max_threads);
    return 0;
}

int lea_config_resolve(struct lea_config *out, const leat_config *user)
{
    static char *const nothing[] = {NULL};
    struct lea_cpus cpus;
    /*
     * environ is NULL after clearenv(3); whoever starts a setuid program must not choose the file
     * that it writes
     */
    bool use_env = environ && !lea_os_is_privileged();

    lea_cpus_look(&cpus, "");
    return lea_config_resolve_from(out, user, use_env ? environ : nothing, &cpus);
}
