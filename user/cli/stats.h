/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.h - the counters of an engine, for people. */
#ifndef MR_CLI_STATS_H
#define MR_CLI_STATS_H

#include <stdio.h>

#include "millrace.h"

/* Every counter of the engine that is not zero. Reads the device's by system call. */
void cli_stats_print(FILE *out, struct mr_engine *engine);

/* The same for an array: one heading per layer (what stands before the dot of a name), values
 * aligned and grouped by thousands, the explanation beside each. */
void cli_stats_format(FILE *out, const struct mr_counter *counters, unsigned n);

#endif
