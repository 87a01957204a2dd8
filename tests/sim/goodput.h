/* SPDX-License-Identifier: BSD-2-Clause */
/* goodput.h - the simulator's report on congestion controls. */
#ifndef MR_TESTS_SIM_GOODPUT_H
#define MR_TESTS_SIM_GOODPUT_H

#include "sim.h"

/* Run the transfers and print the table. Takes a minute or so of real time. */
void sim_goodput(FILE *to);

#endif
