/*
 * The command line of the simulator.
 */
#include "driver.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEY_SEEDS = 256,
    KEY_FROM,
    KEY_POLICY,
    KEY_MEMORY,
    KEY_MUTANT,
    KEY_MUTANTS,
    KEY_ORACLES,
    KEY_HOURS,
    KEY_REPLAY,
    KEY_INSIDE,
    KEY_AS_IS,
    KEY_LIST,
    KEY_FAILURES,
    KEY_LINES,
    KEY_SUM,
    KEY_MARKDOWN,
    KEY_WITNESSES,
    KEY_WITNESSES_TO
};

static const struct argp_option table[] = {
    {"scenario", 's', "NAME", 0, "only scenarios whose name begins so; may be given again", 0},
    {"seeds", KEY_SEEDS, "N", 0,
     "how many seeds (2000); with --policy exhaust, at most so many schedules", 0},
    {"from", KEY_FROM, "SEED", 0, "the first one (0)", 0},
    {"jobs", 'j', "N", 0, "processes (as many as CPUs)", 0},
    {"hours", KEY_HOURS, "H", 0, "instead of --seeds: for so long", 0},
    {"policy", KEY_POLICY, "NAME", 0, "random, pct, round or exhaust; else each seed has its own",
     0},
    {"memory", KEY_MEMORY, "NAME", 0, "x86 or weak; else each seed has its own", 0},
    {"mutant", KEY_MUTANT, "NAME", 0, "run with this seeded bug", 0},
    {"mutants", KEY_MUTANTS, NULL, 0, "find every seeded bug", 0},
    {"oracles", KEY_ORACLES, NULL, 0,
     "commit every violation that an oracle looks for, and want it found", 0},
    {"markdown", KEY_MARKDOWN, "FILE", 0, "with --mutants: write the table there", 0},
    {"witnesses", KEY_WITNESSES, "FILE", 0,
     "with --mutants: look first where each was found before", 0},
    {"witnesses-to", KEY_WITNESSES_TO, "FILE", 0, "with --mutants: note where each was found", 0},
    {"failures", KEY_FAILURES, "N", 0, "go on until so many were found (1)", 0},
    {"lines", KEY_LINES, "N", 0, "events of a failing run that are printed (120)", 0},
    {"as-is", KEY_AS_IS, NULL, 0, "do not minimise", 0},
    {"replay", KEY_REPLAY, "SCENARIO:SEED", 0, "run this one again, and explain it", 0},
    {"inside", KEY_INSIDE, NULL, 0, "with --replay: in this process, for a debugger", 0},
    {"sum", KEY_SUM, NULL, 0, "print the exact number of steps, over all seeds", 0},
    {"list", KEY_LIST, NULL, 0, "scenarios and mutants", 0},
    {0},
};

static void list(void)
{
    const char *name;

    for (unsigned i = 0; i < sim_nr_scenarios; i++)
        printf("%-26s %s\n", sim_scenarios[i].name, sim_scenarios[i].goal);
    for (int m = 1; (name = sim_mutant_name(m)); m++)
        printf("mutant %s\n", name);
}

static void choose(struct options *o, const char *name, bool whole)
{
    unsigned before = o->nr_chosen;

    for (unsigned i = 0; i < sim_nr_scenarios && o->nr_chosen < MAX_CHOSEN; i++)
        if (whole ? !strcmp(sim_scenarios[i].name, name)
                  : !strncmp(sim_scenarios[i].name, name, strlen(name)))
            o->chosen[o->nr_chosen++] = &sim_scenarios[i];
    if (o->nr_chosen == before) {
        fprintf(stderr, "sim: no scenario is called %s (see --list)\n", name);
        exit(2);
    }
}

static int word(const char *arg, const char *const *words, const char *what)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(arg, words[i]))
            return i;
    fprintf(stderr, "sim: unknown %s %s (see --help)\n", what, arg);
    exit(2);
}

static uint64_t number(const char *arg)
{
    char *end;
    uint64_t n = strtoull(arg, &end, 10);

    if (!*arg || *end) {
        fprintf(stderr, "sim: %s is not a whole number\n", arg);
        exit(2);
    }
    return n;
}

static void replay(struct options *o, const char *token)
{
    const char *colon = strrchr(token, ':');
    char name[64];

    if (!colon) {
        fprintf(stderr, "sim: --replay wants SCENARIO:SEED, not %s\n", token);
        exit(2);
    }
    snprintf(name, sizeof(name), "%.*s", (int)(colon - token), token);
    o->nr_chosen = 0;
    choose(o, name, true);
    o->from = number(colon + 1);
    o->replay = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const policies[] = {"random", "pct", "round", "exhaust", NULL};
    static const char *const memories[] = {"x86", "weak", NULL};
    struct options *o = state->input;

    switch (key) {
    case 's':
        choose(o, arg, false);
        break;
    case 'j':
        o->jobs = (unsigned)number(arg);
        break;
    case KEY_SEEDS:
        o->seeds = number(arg);
        break;
    case KEY_FROM:
        o->from = number(arg);
        break;
    case KEY_HOURS:
        o->hours = strtod(arg, NULL);
        break;
    case KEY_POLICY:
        o->policy = word(arg, policies, "policy");
        break;
    case KEY_MEMORY:
        o->memory = word(arg, memories, "memory model");
        break;
    case KEY_MUTANTS:
        o->mutants = true;
        break;
    case KEY_ORACLES:
        o->oracles = true;
        break;
    case KEY_MARKDOWN:
        o->markdown = arg;
        break;
    case KEY_WITNESSES:
        o->witnesses = arg;
        break;
    case KEY_WITNESSES_TO:
        o->witnesses_to = arg;
        break;
    case KEY_FAILURES:
        o->failures = (unsigned)number(arg);
        break;
    case KEY_LINES:
        o->lines = (unsigned)number(arg);
        break;
    case KEY_AS_IS:
        o->minimise = false;
        break;
    case KEY_SUM:
        o->sum = true;
        break;
    case KEY_REPLAY:
        replay(o, arg);
        break;
    case KEY_INSIDE:
        o->inside = true;
        break;
    case KEY_LIST:
        list();
        exit(0);
    case KEY_MUTANT:
        sim_mutant = sim_mutant_find(arg);
        if (!sim_mutant)
            argp_error(state, "no mutant is called %s (see --list)", arg);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

void sim_options(struct options *o, int argc, char **argv)
{
    static const struct argp argp = {
        table, parse, NULL, "Runs leat's scheduler in a simulated machine, over many seeds.",
        NULL,  NULL,  NULL};

    *o = (struct options){.seeds = 2000,
                          .jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
                          .failures = 1,
                          .lines = 120,
                          .policy = -1,
                          .memory = -1,
                          .minimise = true};
    argp_parse(&argp, argc, argv, 0, NULL, o);
    if (o->jobs < 1 || o->jobs > MAX_JOBS)
        o->jobs = o->jobs < 1 ? 1 : MAX_JOBS;
    if (!o->nr_chosen)
        choose(o, "", false);
}
