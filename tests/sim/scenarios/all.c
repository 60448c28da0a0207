#include "all.h"

#include "sim.h"

#define SIM_SCENARIO_ENTRY(name, exhaust, goal) {#name, goal, scenario_##name, exhaust},

const struct sim_scenario sim_scenarios[] = {SIM_SCENARIOS(SIM_SCENARIO_ENTRY)};
const unsigned sim_nr_scenarios = sizeof(sim_scenarios) / sizeof(sim_scenarios[0]);
