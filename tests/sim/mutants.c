/*
 * The mutation table: which seeded bug (base/mutant.h) is found, by which scenario, after how many
 * seeds.
 *
 * A search from the first seed on takes minutes for those that show once in some ten thousand
 * seeds. Where it found each is noted (tests/sim/witnesses), and the test looks there first: that
 * seed must fail with the bug, and pass without it. A change of the runtime shifts schedules, and
 * then a search begins, first in the scenario that has found it before, then in all;
 * tests/sim/table --renew notes what comes of it.
 */
#include "driver.h"

#include "base/mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"",
#define LEA_MUTANT_NAME(name, what) #name,
                                    LEA_MUTANTS(LEA_MUTANT_NAME)};

static const char *const whats[] = {"",
#define LEA_MUTANT_WHAT(name, what) what,
                                    LEA_MUTANTS(LEA_MUTANT_WHAT)};

const char *sim_mutant_name(int mutant)
{
    return mutant > 0 && (size_t)mutant < sizeof(names) / sizeof(names[0]) ? names[mutant] : NULL;
}

int sim_mutant_find(const char *name)
{
    for (int m = 1; sim_mutant_name(m); m++)
        if (!strcmp(name, names[m]))
            return m;
    return 0;
}

/* Where to look for those that show seldom. */
static const struct {
    const char *mutant, *scenario;
} hints[] = {
    {"RUNQ_HALF_PLAIN", "ring_wrap"},
    {"SOLO_END_RELAXED", "solo_lock"},
    {"BRACKET_INSIDE", "retake_bracket"},
    {"IDLE_SUBMIT_FENCE", "unwatched"},
    {"IDLE_TOKEN_STORE", "retake_end"},
    {"IDLE_CLAIM_FAILED_FENCE", "idle_claimed"},
    {"GATHER_NO_FENCE", "idle_given"},
    {"GATHER_HALF", "gather"},
    {"MONITOR_SLEEP_FENCE", "monitor"},
    {"STACK_FREED_EARLY", "handover"},
    {"ROOT_FENCE", "outside"},
    {"FD_CLOSED_TWICE", "record_close"},
    {"FD_CLOSED_HELD", "close_held"},
    {"FD_LOOK_FENCE", "record_look"},
    {"GROUP_COUNT_EARLY", "group"},
    {"GROUP_LAST_TOUCH", "group"},
    {"WAIT_TICKET", "wait_ends"},
    {"WG_LAST_TOUCH", "waitgroup_free"},
    {"HANDLE_BUSY", "cancel_end"},
    {"BOUND_QUIET", "deadlock"},
    {"RESOLVE_TWICE", "resolve"},
    {"WAITER_NOT_TOLD", "chan_free"},
    {"WAITER_LOST_RELAXED", "select"},
    {"WAITER_TOLD_EARLY", "chan_free"},
    {"SELECT_SELF", "select_meet"},
    {"SELECT_TRY_ONE_LOOK", "select_try"},
    {"SELECT_NOT_TOLD", "select"},
    {"SELECT_TIMER_UNSEEN", "select_kinds"},
    {"SELECT_FD_NO_LOOK", "select_outside"},
    {"SCOPE_WATCHERS_UNTOLD", "select_scope"},
    {"RETAKE_MONITOR_FENCE", "retake"},
    {"RETAKE_ENTRY_FENCE", "retake"},
    {"RETAKE_ANSWER_PLAIN", "retake_moment"},
    {"SPARE_LEAVES_HELD", "retake_spares"},
    {"TIMER_OTHERS_IDLE", "retake_slow"},
    {"LATE_ARM_IGNORED", "late"},
    {"QUIET_ONE_LOOK", "relay"},
    {"QUIET_END", "deadlock"},
    {"COND_SIGNAL_SWALLOWED", "cond"},
    {"SEM_GIVEN_TO_NOBODY", "sem"},
    {"EVENT_LAST_TOUCH", "event_free"},
    {"RW_READ_FENCE", "rw"},
    {"RW_LEAVE_FENCE", "rw"},
    {"RW_WRITE_FENCE", "rw"},
    {"RW_NO_MEMBARRIER", "rw_bias"},
    {"RW_UNDONE_SILENTLY", "rw_bias"},
    {"RW_QUICK_UNSEEN", "rw_quick"},
    {"RW_NOT_LET_IN", "rw_turns"},
    {"LIFO_SHED_FENCE", "lifo_shed"},
    {"LIGHT_END_RELAXED", "light_word"},
    {"STRAY_UNSEEN", "rw_stray"},
    {"STRAY_NOTE_KEPT", "rw_stray"},
    {"RW_MOVED_EARLY", "rw"},
};

/* All that were chosen, or those that a hint names. */
static struct options hinted(const struct options *o, const char *mutant)
{
    struct options less = *o;

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strcmp(hints[i].mutant, mutant))
            continue;
        less.nr_chosen = 0;
        for (unsigned k = 0; k < o->nr_chosen; k++)
            if (!strncmp(o->chosen[k]->name, hints[i].scenario, strlen(hints[i].scenario)))
                less.chosen[less.nr_chosen++] = o->chosen[k];
    }
    return less.nr_chosen ? less : *o;
}

struct finding {
    unsigned n;
    uint64_t first;
    const char *scenario;
    char why[128];
};

static bool caught(const struct options *o, const struct sim_failure *f, void *arg)
{
    struct finding *c = arg;

    (void)o;
    if (!c->n || f->seed < c->first) {
        c->first = f->seed;
        c->scenario = f->scenario->name;
        snprintf(c->why, sizeof(c->why), "%.*s", (int)strcspn(f->why, ":0123456789("), f->why);
    }
    return ++c->n < o->failures;
}

/* --- where they were found before --- */

#define MAX_WITNESSES 512

static struct witness {
    int mutant;
    const struct sim_scenario *scenario;
    uint64_t seed;
} witnesses[MAX_WITNESSES];
static unsigned nr_witnesses;

static const struct sim_scenario *scenario_called(const char *name)
{
    for (unsigned i = 0; i < sim_nr_scenarios; i++)
        if (!strcmp(sim_scenarios[i].name, name))
            return &sim_scenarios[i];
    return NULL;
}

/*
 * Lines of: bug, scenario, seed. What is unknown here (renamed, say) is passed over: then there is
 * a search.
 */
static bool witnesses_read(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[256], mutant[64], scenario[64];
    unsigned long long seed;

    if (!f) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof(line), f) && nr_witnesses < MAX_WITNESSES) {
        struct witness w;

        if (line[0] == '#' || sscanf(line, "%63s %63s %llu", mutant, scenario, &seed) != 3)
            continue;
        w = (struct witness){sim_mutant_find(mutant), scenario_called(scenario), seed};
        if (w.mutant && w.scenario)
            witnesses[nr_witnesses++] = w;
    }
    fclose(f);
    return true;
}

/* Does that seed fail because of the bug? */
static bool shows(const struct options *o, int mutant, const struct sim_scenario *scenario,
                  uint64_t seed, char why[1024])
{
    bool fails;
    char without[1024];

    sim_mutant = mutant;
    fails = sim_fails(o, scenario, seed, why);
    sim_mutant = 0;
    return fails && !sim_fails(o, scenario, seed, without);
}

static bool witnessed(const struct options *o, int mutant, struct finding *c)
{
    for (unsigned i = 0; i < nr_witnesses; i++) {
        const struct witness *w = &witnesses[i];
        struct sim_failure f = {w->scenario, w->seed, "", ""};
        char why[1024];

        if (w->mutant == mutant && shows(o, mutant, w->scenario, w->seed, why)) {
            f.why = why;
            (void)caught(o, &f, c);
            return true;
        }
    }
    return false;
}

/* In the scenarios that have found it before. False: none has, or nothing is found there. */
static bool search_near(const struct options *o, int mutant, struct finding *c, struct sim_sum *sum)
{
    struct options less = *o;

    less.nr_chosen = 0;
    for (unsigned i = 0; i < nr_witnesses; i++)
        if (witnesses[i].mutant == mutant)
            less.chosen[less.nr_chosen++] = witnesses[i].scenario;
    if (less.nr_chosen)
        sim_sweep(&less, o->from, o->from + o->seeds / 3, caught, c, sum);
    return c->n > 0;
}

static void search(const struct options *o, int mutant, struct finding *c, struct sim_sum *sum)
{
    sim_mutant = mutant;
    if (!search_near(o, mutant, c, sum)) {
        struct options less = hinted(o, names[mutant]);

        sim_sweep(&less, o->from, o->from + o->seeds, caught, c, sum);
    }
    sim_mutant = 0;
}

static FILE *file_to(const char *path)
{
    FILE *f = path ? fopen(path, "w") : NULL;

    if (path && !f) {
        perror(path);
        exit(2);
    }
    return f;
}

static void row(FILE *table, const struct options *o, int m, const struct finding *c,
                uint64_t seeds)
{
    if (c->n)
        fprintf(table, "| `%s` | %s | `%s` | %llu | %s |\n", names[m], whats[m], c->scenario,
                (unsigned long long)(c->first - o->from + 1), c->why);
    else
        fprintf(table, "| `%s` | %s | **not found** | %llu | |\n", names[m], whats[m],
                (unsigned long long)seeds);
}

int sim_mutants_all(const struct options *o)
{
    FILE *table = file_to(o->markdown), *to = file_to(o->witnesses_to);
    unsigned missed = 0;

    if (o->witnesses && !witnesses_read(o->witnesses))
        return 2;
    if (table)
        fprintf(table, "| seeded bug | what it is | found by | after seeds | seen as "
                       "|\n|---|---|---|---|---|\n");
    if (to)
        fprintf(to,
                "# Where each seeded bug shows: bug, scenario, seed. Written by tests/sim/table\n");
    for (int m = 1; sim_mutant_name(m); m++) {
        struct finding c = {0};
        struct sim_sum sum = {0};
        bool before = witnessed(o, m, &c);

        if (!before)
            search(o, m, &c, &sum);
        missed += !c.n;
        if (c.n)
            printf("%-28s found by %-24s %s %6llu: %s\n", names[m], c.scenario,
                   before ? "at seed again" : "after seeds  ",
                   (unsigned long long)(c.first - (before ? 0 : o->from - 1)), c.why);
        else
            printf("%-28s NOT FOUND in %llu seeds\n", names[m], (unsigned long long)sum.seeds);
        fflush(stdout);
        if (table)
            row(table, o, m, &c, sum.seeds);
        if (to && c.n)
            fprintf(to, "%s %s %llu\n", names[m], c.scenario, (unsigned long long)c.first);
    }
    if (table)
        fclose(table);
    if (to)
        fclose(to);
    printf("%u mutants not found\n", missed);
    return missed ? 1 : 0;
}
