/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h - the simulator's report on congestion controls: goodput over a grid of paths. */
#ifndef MR_TESTS_SIM_REPORT_H
#define MR_TESTS_SIM_REPORT_H

#include <stdbool.h>

/* Run the transfers in so many processes, print the tables, and write them to `path` (NULL: only print).
 * Takes a few minutes. False: a run failed, or light reordering costs too much. */
bool sim_report(const char *path, unsigned workers);

#endif
