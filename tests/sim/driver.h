/*
 * driver.h - what the parts of the driver share: options, sweeps over seeds, failures.
 */
#ifndef LEAT_TESTS_SIM_DRIVER_H
#define LEAT_TESTS_SIM_DRIVER_H

#include "sim.h"

#define MAX_CHOSEN 256
#define MAX_JOBS 256

struct options {
    const struct sim_scenario *chosen[MAX_CHOSEN];
    unsigned nr_chosen;
    uint64_t from, seeds;
    unsigned jobs, failures, lines;
    int policy, memory; /* -1: by seed */
    double hours;
    bool minimise, replay, inside, mutants, oracles, sum;
    const char *markdown; /* mutants: where the table goes */
    const char *witnesses,
        *witnesses_to; /* mutants: where each was found before, where that is noted */
};

struct sim_failure {
    const struct sim_scenario *scenario;
    uint64_t seed;
    const char *why, *text;
};

struct sim_sum {
    uint64_t seeds, steps;
};

/* Reads the command line; ends the process at a bad one. */
void sim_options(struct options *o, int argc, char **argv);

struct sim_config sim_config_of(const struct options *o, uint64_t seed);
void sim_config_print(const struct sim_config *c);
void sim_sweep(const struct options *o, uint64_t from, uint64_t to,
               bool (*found)(const struct options *, const struct sim_failure *, void *), void *arg,
               struct sim_sum *sum);
void sim_explain(const struct options *o, const struct sim_failure *found);

/* Runs one seed of a scenario in a child, on a machine without faults. True: it failed, and why. */
bool sim_try(const struct options *o, const struct sim_scenario *scenario, uint64_t seed,
             char why[1024]);

/* The same on the seed's own machine. */
bool sim_fails(const struct options *o, const struct sim_scenario *scenario, uint64_t seed,
               char why[1024]);

/* Deliberate violations, and outcomes of the memory: how many were not what they should be. */
int sim_violations_all(const struct options *o);
unsigned sim_litmus_all(const struct options *o);

const char *sim_mutant_name(int mutant); /* NULL: there is no such one */
int sim_mutant_find(const char *name);   /* 0: none */
int sim_mutants_all(const struct options *o);

#endif
