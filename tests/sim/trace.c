/*
 * The interleaving of a failing run, as columns: one for each virtual thread, a line for each thing
 * that it did, with where it stands in the source.
 */
#include "sim.h"

#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 8192
#define COLUMN 46

static struct event {
    const void *pc;
    const char *what;
    uint64_t value, step;
    int64_t now_ns;
    uint32_t line; /* index into lines[] */
    uint8_t thread, op;
    char name[32];
} event[KEPT];
static uint64_t nr_events;

void sim_trace_reset(void)
{
    nr_events = 0;
}

void sim_trace(enum sim_op op, uintptr_t addr, uint64_t value, const void *pc, const char *what)
{
    struct event *e = &event[nr_events++ % KEPT];
    const char *name;

    if (!sim.tracing || !sim.self)
        return;
    name = addr ? sim_oracle_name(addr) : NULL;
    *e = (struct event){.pc = pc,
                        .what = what,
                        .value = value,
                        .step = sim.steps,
                        .now_ns = sim.now_ns,
                        .thread = (uint8_t)sim.self->id,
                        .op = op};
    if (name)
        snprintf(e->name, sizeof(e->name), "%s", name);
    else if (addr)
        snprintf(e->name, sizeof(e->name), "%llx", (unsigned long long)addr & 0xffffff);
}

/* --- source lines, by addr2line --- */

#define LINE_BYTES 40
static char lines[KEPT][LINE_BYTES];

static void lines_find(uint64_t from)
{
    char list[] = "/tmp/leat-sim-XXXXXX", command[128];
    int fd = mkstemp(list);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    char row[512];

    if (!f)
        return;
    for (uint64_t i = from; i < nr_events; i++)
        fprintf(f, "%p\n", (const void *)((const char *)event[i % KEPT].pc - 1));
    fclose(f);
    snprintf(command, sizeof(command), "addr2line -s -e /proc/%d/exe < %s 2>/dev/null",
             (int)getpid(), list);
    f = popen(command, "r");
    for (uint64_t i = from; f && i < nr_events && fgets(row, sizeof(row), f); i++) {
        row[strcspn(row, " \n")] = '\0';
        snprintf(lines[i % KEPT], LINE_BYTES, "%.39s", row);
    }
    if (f)
        pclose(f);
    remove(list);
}

static void text_of(const struct event *e, const char *line, char *out, size_t bytes)
{
    static const char *const verb[] = {
        "read",  "write",           "cas",  "cas fails", "rmw", "swap",
        "fence", "reaches memory:", "call", "note:"};
    unsigned long long v = e->value;

    if (e->op == SIM_OP_CALL)
        snprintf(out, bytes, "%s  %s", e->what, line);
    else if (e->op == SIM_OP_FENCE)
        snprintf(out, bytes, "fence  %s", line);
    else if (e->op == SIM_OP_NOTE)
        snprintf(out, bytes, "** %s  %s", e->what, line);
    else
        snprintf(out, bytes, v > 99999 ? "%s %s %s%s%llx  %s" : "%s %s %s%s%llu  %s", verb[e->op],
                 e->name, e->op == SIM_OP_LOAD ? "" : ":= ", e->op == SIM_OP_LOAD ? "= " : "", v,
                 line);
}

void sim_trace_print(unsigned last)
{
    uint64_t from = nr_events > KEPT ? nr_events - KEPT : 0;
    unsigned column[SIM_THREADS], nr_columns = 0;
    bool seen[SIM_THREADS] = {false};

    if (nr_events - from > last)
        from = nr_events - last;
    lines_find(from);
    for (uint64_t i = from; i < nr_events; i++)
        seen[event[i % KEPT].thread] = true;
    printf("%10s ", "us");
    for (unsigned t = 0; t < SIM_THREADS; t++) {
        column[t] = seen[t] ? nr_columns++ : 0;
        if (seen[t])
            printf("%-*s", COLUMN, sim.thread[t].name);
    }
    printf("\n");
    for (uint64_t i = from; i < nr_events; i++) {
        const struct event *e = &event[i % KEPT];
        char out[160];

        text_of(e, lines[i % KEPT], out, sizeof(out));
        printf("%10.2f %*s%s\n", (double)(e->now_ns - 1000000000) / 1000,
               (int)column[e->thread] * COLUMN, "", out);
    }
}
