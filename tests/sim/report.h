/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h - the simulator's report on congestion controls: goodput over a grid of paths. */
#ifndef MR_TESTS_SIM_REPORT_H
#define MR_TESTS_SIM_REPORT_H

#include <stdbool.h>

/* Run the transfers in so many processes, print the tables, and write them to `path` (NULL: only print). With
 * `cells`, a pattern as of the shell's for "control/RTT/loss/reordering" ("cubic/20ms/1%/0%"), only those, with
 * what happened in them. False: a run failed, a cell is below its bound, or light reordering costs too much. */
bool sim_report(const char *path, const char *cells, unsigned workers);

/* What one cell gets in so many runs, and its bound, Mbit/s. */
double sim_report_cell(const char *name, unsigned runs, double *bound);

#endif
