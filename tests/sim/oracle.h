/*
 * oracle.h - which runtime the oracles look at; for those who know its structures.
 */
#ifndef LEAT_TESTS_SIM_ORACLE_H
#define LEAT_TESTS_SIM_ORACLE_H

#include "sched/runtime.h"

/* From now on, until NULL. By the main coroutine at its beginning and its end. */
void sim_oracle_watch(struct lea_runtime *runtime);

/* What stands at an address, for the columns of a report; NULL: unknown. */
const char *sim_oracle_name(uintptr_t addr);

#endif
