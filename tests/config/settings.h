/*
 * config/settings.h - what the tests of the settings share: four made-up CPUs, a list of variables,
 * and what was said on stderr. One copy for each file of tests that includes it.
 */
#ifndef LEAT_TESTS_CONFIG_SETTINGS_H
#define LEAT_TESTS_CONFIG_SETTINGS_H

#include "support/test.h"

#include "sched/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENV(...) ((char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static struct lea_cpus cpus;
static struct lea_config out;
static char said[8192];

static inline struct lea_cpus cpus_of(const char *list, unsigned quota, bool whole)
{
    struct lea_cpus c = {.quota = quota, .whole_machine = whole};
    const char *why;

    if (lea_cpuset_parse(&c.allowed, list, &why))
        cr_fatal("the list \"%s\": %s", list, why);
    c.nr_allowed = lea_cpuset_count(&c.allowed);
    c.nr_usable = quota && quota < c.nr_allowed ? quota : c.nr_allowed;
    return c;
}

static inline void setup(void)
{
    cpus = cpus_of("0-3", 0, true);
}

/* Reads back what went to stderr since it was sent to @file. */
static inline void take_said(FILE *file)
{
    size_t n;

    rewind(file);
    n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
}

/* Resolves with stderr caught in said[]. */
static inline int resolve(const leat_config *user, char **env)
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

static inline unsigned nr_lines(void)
{
    unsigned n = 0;

    for (const char *c = said; *c; c++)
        n += *c == '\n';
    return n;
}

static inline bool said_begins(const char *text)
{
    return strncmp(said, text, strlen(text)) == 0;
}

/* The whole of stderr is this one refusal. */
static inline void expect_said_refused(const char *name, const char *value, const char *why,
                                       const char *accepted)
{
    char line[600];

    snprintf(line, sizeof(line), "leat: %s=\"%s\" is refused: %s; accepted: %s\n", name, value, why,
             accepted);
    cr_expect(eq(str, said, line));
}

/* One variable is accepted in silence. */
static inline void accept(const char *entry)
{
    cr_assert(eq(int, resolve(NULL, ENV((char *)entry)), 0), "%s", entry);
    cr_expect(eq(str, said, (char *)""), "%s", entry);
}

#endif
