/* SPDX-License-Identifier: BSD-2-Clause */
/* idle.h - the simulator's report on many connections that do nothing. */
#ifndef MR_TESTS_SIM_IDLE_H
#define MR_TESTS_SIM_IDLE_H

#include "sim.h"

/* Establish n connections to one engine, let 64 of them work, and print what each costs in memory and time, beside
 * an engine that has only those 64. Real time is measured and printed, not judged. */
void sim_idle(FILE *to, uint32_t n);

#endif
